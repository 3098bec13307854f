/* Is what came what a text asked for? Only the fields that the text gave are looked at. */
#ifndef LEVERET_TESTS_MATCH_H
#define LEVERET_TESTS_MATCH_H

#include "amqp/text.h"

/* Is `actual` the method `expected` is, with the same values in the fields given? Bytes of tables
 * are compared as they are. */
bool match_method(const union method *expected, const struct text_given *given,
                  const union method *actual);
bool match_properties(const struct properties *expected, const struct text_given *given,
                      const struct properties *actual);

#endif
