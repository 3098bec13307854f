/* A request of rabbitmqadmin: an object, and what its words, as name=value, say about it. */
#ifndef LEVERET_CTL_ADMIN_REQUEST_H
#define LEVERET_CTL_ADMIN_REQUEST_H

#include "ctl/admin.h"
#include "definitions/json.h"

enum { ADMIN_WORDS_MAX = 16 };

struct admin_word {
    struct bytes name;
    const char *value;
    struct json *document; /* [value], if it is JSON; NULL: it is a text */
};

struct admin_request {
    const struct admin_object *object;
    struct admin_word words[ADMIN_WORDS_MAX];
    size_t count;
    char value_room[256]; /* defaults */
};

/* Its words, from the argument of that number on. 0, or what to end with, which was said. */
int admin_request_read(struct admin *admin, size_t from, struct admin_request *request);
void admin_request_free(struct admin_request *request);
/* NULL: there is no such word. */
const char *admin_request_value(struct admin_request *request, const char *name);
/* The last value of a name counts. 0, or what to end with, which was said. */
int admin_request_put(struct admin_request *request, struct bytes name, const char *value);
/* As admin_ask. */
int admin_request_send(struct admin *admin, struct admin_request *request, struct reply *reply);

#endif
