/* For this folder: what the parts of an import share. */
#ifndef LEVERET_DEFINITIONS_IMPORT_H
#define LEVERET_DEFINITIONS_IMPORT_H

#include "base/budget.h"
#include "broker/error.h"
#include "broker/vhost.h"
#include "definitions/definitions.h"
#include "definitions/json.h"
#include "definitions/json_scan.h"

enum { IMPORT_FAULT_MAX = 800, IMPORT_SECTIONS = 10 };

enum import_state { IMPORT_READS, IMPORT_MAKES, IMPORT_FORGETS, IMPORT_ENDED };

struct import {
    struct broker *broker;
    const struct definitions_listener *listener;
    struct definitions_counts *counts;
    enum import_state state;
    struct bytes text;
    struct json_scan file, list;     /* where it is in the text, and in the list of a section */
    bool is_in_list;                 /* that is at hand */
    size_t section;                  /* the number of that section */
    size_t number;                   /* items of that list so far */
    const uint8_t *lists[IMPORT_SECTIONS]; /* where those begin that have something in them */
    struct buffer header;            /* all that is in the file but what is in those lists */
    struct json *root;               /* the same; NULL: it is not read yet */
    struct vhost *only;              /* where all is to be; NULL: where it says */
    struct bytes vhost;              /* of objects that do not name one */
    bool is_old;                     /* from before RabbitMQ 3.6 */
    struct map left_out;             /* queues and exchanges that are not there: import_leave_out; */
    uint64_t forgotten_at;           /* up to where its values are freed, at the end */
    struct buffer scratch;           /* bytes made for the object at hand */
    bool can_wait;                   /* for what a worker does; else it is done at once */
    bool is_waiting;                 /* the object at hand does */
    struct json *kept;               /* an array with that object; NULL: none waits */
    struct login *login;             /* the hash of its password, in the making */
    struct definitions_remark place; /* the object at hand */
    size_t faults;
};

/* ---- the text, in parts ---- */

/* The number of the section with this name; IMPORT_SECTIONS: there is none. */
size_t import_section_named(struct bytes name);
/* Begins to read the text. */
void import_read(struct import *import);
/* Reads on, which ends with `root`, or with a fault. */
void import_read_some(struct import *import, struct budget *budget);
/* Begins with the list of a section; false: there is nothing in it. */
bool import_open_list(struct import *import, size_t section);
/* An array with the next item of the list, which is the caller's to release; NULL: there is none.
 */
struct json *import_next(struct import *import, struct budget *budget);

/* ---- telling ---- */

/* Tells what is wrong with the object at hand; false. */
bool import_fail(struct import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool import_fail_with(struct import *import, const struct error *error);
/* Tells what of it, or that all of it, is left out. */
void import_omit(struct import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A member of the object; false, after import_fail, when it has another type. What may be missing
 * is left as it was. */
bool import_text(struct import *import, const struct json *object, const char *name,
                 struct bytes *text);
bool import_maybe_text(struct import *import, const struct json *object, const char *name,
                       struct bytes *text);
bool import_maybe_flag(struct import *import, const struct json *object, const char *name,
                       bool *flag);
bool import_maybe_whole(struct import *import, const struct json *object, const char *name,
                        int64_t *number);
/* Words as an array, or with commas between them; they lie in `scratch` until its next use. */
bool import_maybe_words(struct import *import, const struct json *object, const char *name,
                        struct bytes *words);
/* Missing, null, or empty: some exports have an array there where nothing is in the object. */
bool import_is_nothing(const struct json *value);
/* Both limits and the quotas out of `limits`, a member called `name`: an object, or nothing. Negative, or not
 * there: none. What else is in it is told. */
struct named_limit {
    const char *name;
    struct limit *limit;
};

struct named_limits {
    bool of_user;
    struct named_limit named[2];
    struct quota_limits *quotas;
};

bool import_limits(struct import *import, const struct json *limits, const char *name,
                   const struct named_limits *known);
/* NULL: the object at hand names none that is there. */
struct vhost *import_vhost(struct import *import, const struct json *object);

/* What an object says of a virtual host beside its name. */
bool import_vhost_named(struct import *import, struct bytes name, const struct json *object);
/* What may be in it, as a parameter and beside its name. */
bool import_vhost_limits(struct import *import, struct bytes name, const struct json *limits,
                         const char *member);
/* The parts, each for one object. False: it is wrong, and that was told. */
bool import_user(struct import *import, const struct json *object);
bool import_one_vhost(struct import *import, const struct json *object);
bool import_permission(struct import *import, const struct json *object);
bool import_topic_permission(struct import *import, const struct json *object);
bool import_parameter(struct import *import, const struct json *object);
bool import_global_parameter(struct import *import, const struct json *object);
bool import_policy(struct import *import, const struct json *object);
bool import_queue(struct import *import, const struct json *object);
bool import_exchange(struct import *import, const struct json *object);
bool import_binding(struct import *import, const struct json *object);

#endif
