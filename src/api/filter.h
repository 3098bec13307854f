/* Which messages are meant. */
#ifndef LEVERET_API_FILTER_H
#define LEVERET_API_FILTER_H

#include "base/budget.h"
#include "base/bytes.h"
#include "store/message.h"

struct message_filter {
    enum { FILTER_NONE, FILTER_KEY, FILTER_HEADER, FILTER_TEXT } by;
    struct bytes name, text;
    bool has_value; /* of FILTER_HEADER: its value is `text` */
};

enum { FILTER_REASON_BYTES = 200 };

/* Reads `key:TEXT`, `header:NAME`, `header:NAME=VALUE` or `text:TEXT`; what has no word and a colon in
 * front is a text. Without bytes: all. Borrows the text. False: there is no such kind; `reason` says
 * which there are. */
bool message_filter_read(struct bytes text, struct message_filter *filter,
                         char reason[FILTER_REASON_BYTES]);
/* Is the message one that is wanted? One that is damaged (NULL) has nothing to be found by. False: it
 * is not known yet, as the budget is spent; *searched, 0 at first, says where to go on. */
bool message_decide(const struct message_filter *filter, const struct message *message,
                    struct budget *budget, uint64_t *searched, bool *is_wanted);

#endif
