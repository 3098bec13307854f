/* The lines of a configuration file, in the grammar of rabbitmq.conf: `key = value`, `include
 * path`, and comments from # on. Bytes in, lines out; nothing is opened here. */
#ifndef LEVERET_CONFIG_GRAMMAR_H
#define LEVERET_CONFIG_GRAMMAR_H

#include "base/bytes.h"

enum { GRAMMAR_KEY_MAX = 255 };

struct grammar {
    struct bytes text; /* borrowed */
    size_t at;
    size_t line; /* number of the last line that was read; the first is 1 */
};

enum grammar_what { GRAMMAR_END, GRAMMAR_SETTING, GRAMMAR_INCLUDE, GRAMMAR_WRONG };

struct grammar_item {
    enum grammar_what what;
    size_t line, column; /* where it stands, from 1; of what is wrong, the place of that */
    char key[GRAMMAR_KEY_MAX + 1]; /* words with dots between; of a setting */
    struct bytes value;            /* never empty unless quoted; of an include the path. Borrowed */
    bool is_quoted;                /* it stood between ' and ', which are left away */
    const char *why;               /* of what is wrong */
};

struct grammar grammar_of(struct bytes text);
/* The next line that says something. After one that is wrong reading goes on with the next. */
enum grammar_what grammar_next(struct grammar *grammar, struct grammar_item *item);
/* Is it UTF-8 without control characters, but for tabs? */
bool grammar_is_text(struct bytes text);

#endif
