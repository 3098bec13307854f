/* Content: a method that carries some, a header, and bodies become a message (AMQP 0-9-1, 2.3.5.2
 * and 4.2.6). */
#ifndef LEVERET_SESSION_CONTENT_H
#define LEVERET_SESSION_CONTENT_H

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "base/buffer.h"
#include "broker/error.h"
#include "store/message.h"

struct channel;

enum content_state {
    CONTENT_NONE,    /* a method is next */
    CONTENT_HEADER,  /* the header is next */
    CONTENT_BODY,    /* bodies are next */
};

enum { CONTENT_HARD_MAX = 512 * 1024 * 1024 };

struct content {
    enum content_state state;
    bool mandatory;
    bool is_plain;        /* no property needs a look before it is routed */
    uint32_t body_left; /* bytes still to come */
    struct bytes exchange, routing_key; /* until the header has come; borrowed */
    uint8_t *saved;                     /* what they are borrowed from; NULL: the input */
    struct message *message;            /* once the header has come */
    uint32_t body_size;                 /* of all of it; the message of a large one grows */
};

/* basic.publish was seen. Its names are borrowed until content_save or the header. */
void content_begin(struct channel *channel, const struct method_basic_publish *publish);
/* The input that the names were borrowed from goes away. */
void content_save(struct content *content);
/* A content header frame: the message is made. */
bool content_header(struct channel *channel, struct bytes payload, struct error *error);
/* Bytes of the body. */
bool content_body(struct channel *channel, struct bytes part, struct error *error);
static inline bool content_is_complete(const struct content *content)
{
    return content->state == CONTENT_BODY && content->body_left == 0;
}
/* Takes the complete message; the caller has its reference. */
struct message *content_take(struct content *content);
/* Drops what is there. */
void content_free(struct channel *channel);

#endif
