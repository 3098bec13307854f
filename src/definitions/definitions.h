/* Definitions: all objects of a broker as RabbitMQ writes them into a file of JSON (3.x and 4.x),
 * of all virtual hosts or of one. */
#ifndef LEVERET_DEFINITIONS_H
#define LEVERET_DEFINITIONS_H

#include "base/budget.h"
#include "base/digest.h"
#include "broker/broker.h"
#include "broker/error.h"

/* Something that has to be told about an object, or (empty kind) about the whole. All is borrowed
 * for the call. */
struct definitions_remark {
    bool is_fault;            /* else the object, or a part of it, was left out */
    const char *kind;         /* "queue" and its like; "": of none */
    size_t number;            /* of the object in its list, from 1 */
    struct bytes vhost, name; /* as far as they are known */
    const char *text;
};

struct definitions_listener {
    void (*tell)(void *context, const struct definitions_remark *remark);
    void *context;
};

/* What a file had, and was taken. */
struct definitions_counts {
    size_t users, vhosts, permissions, topic_permissions, parameters, policies, queues, exchanges,
        bindings;
    size_t left_out;
};

/* Makes all that the text defines. What is there already becomes as it says; but for queues,
 * exchanges and bindings, which stay as they are. What this broker does not have, such as streams,
 * is left out, and told.
 *
 * False: something is wrong, and has been told, as far as it was found. What came before is in the
 * model and in the filling batch: neither may be used any more (store_abandon). */
bool definitions_import(struct broker *broker, struct bytes text,
                        const struct definitions_listener *listener,
                        struct definitions_counts *counts);

/* The same in parts, for a broker that serves: each goes as far as its budget, and others may do in
 * between what they will. What was made can be taken back, if that was noted during each part
 * (broker/undo.h). `only` is the virtual host, held, into which all goes, whatever the text calls
 * it, and without the sections that are not of one; NULL: as above. All that is passed stays the
 * caller's and as it is until the end. */
struct import;
struct import *definitions_begin(struct broker *broker, struct vhost *only, struct bytes text,
                                 const struct definitions_listener *listener,
                                 struct definitions_counts *counts);
/* False: there is no more to do. */
bool definitions_go_on(struct import *import, struct budget *budget);
/* There is, but it waits for the hash of a password, which a worker makes: broker/login.h. */
bool definitions_wait(const struct import *import);
/* At any time; false: something is wrong, or it has not come to its end. */
bool definitions_end(struct import *import);

/* The digest of what was imported last by whoever wanted that noted, which is the global parameter
 * imported_definition_hash_value: is it this one? */
bool definitions_are_noted(struct broker *broker, const uint8_t digest[SHA256_SIZE]);
/* From now on it is; false: that is refused. */
bool definitions_note(struct broker *broker, const uint8_t digest[SHA256_SIZE], struct error *error);

/* Who wrote an export: the versions of this program, and of the RabbitMQ that it behaves like. */
struct definitions_origin {
    const char *version, *rabbitmq_version;
};

/* Appends all objects, or those of one virtual host (NULL: of all), as RabbitMQ would write them:
 * an import makes the same of it. Exclusive queues, and what has a name that begins with `amq.`,
 * are not among them. An object with bytes that are no UTF-8 is left out, and told; returns how
 * many were.
 */
size_t definitions_export(const struct broker *broker, const struct vhost *only,
                          const struct definitions_origin *origin,
                          const struct definitions_listener *listener, struct buffer *out);

#endif
