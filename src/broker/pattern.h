/* Regular expressions over names, as RabbitMQ's permissions are: Perl's, not anchored, of bytes.
 * The empty one matches the empty name alone. Neither making one nor matching can take long: what
 * would, is refused, or matches nothing. */
#ifndef LEVERET_BROKER_PATTERN_H
#define LEVERET_BROKER_PATTERN_H

#include "base/budget.h"
#include "base/bytes.h"

enum { PATTERN_BYTES_MAX = 4096 };

struct pattern_code;

/* All zero: matches nothing. */
struct pattern {
    enum { PATTERN_NOTHING, PATTERN_EMPTY, PATTERN_EVERYTHING, PATTERN_CODE } kind;
    struct pattern_code *code;
    char *text; /* terminated */
    size_t size;
};

/* False, with a text that says what is wrong and where, if it is none; then it matches nothing, but
 * has its text. pattern_free in any case. */
bool pattern_init(struct pattern *pattern, struct bytes text, char *fault, size_t fault_size);
void pattern_free(struct pattern *pattern);
bool pattern_matches(const struct pattern *pattern, struct bytes name);
/* The same; what it takes goes off the budget. */
bool pattern_matches_within(const struct pattern *pattern, struct bytes name,
                            struct budget *budget);

static inline struct bytes pattern_text(const struct pattern *pattern)
{
    return bytes_of(pattern->text, pattern->size);
}

#endif
