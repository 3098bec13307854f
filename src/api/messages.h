/* Messages in JSON: as they come, and as they are told. */
#ifndef LEVERET_API_MESSAGES_H
#define LEVERET_API_MESSAGES_H

#include "api/call.h"
#include "store/message.h"

/* How payloads are told. */
struct message_style {
    bool is_base64;    /* always; else only those that are no text */
    uint64_t truncate; /* bytes that are told at most */
};

/* Fields of an open object: exchange, routing_key, properties, payload and their like. */
void message_add(struct fields *fields, const struct message *message,
                 const struct message_style *style);
/* Reads `encoding` and `truncate` of the body. False: the call is answered. */
bool message_read_style(struct call *call, struct message_style *style);

#endif
