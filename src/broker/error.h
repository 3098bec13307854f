/* An answer to a peer that asked for what cannot be: reply code (AMQP 0-9-1, 1.4) and the detail
 * that follows its name in reply-text. Whether it closes the channel or the connection follows from
 * the code; the session sends it. */
#ifndef LEVERET_BROKER_ERROR_H
#define LEVERET_BROKER_ERROR_H

#include <stdbool.h>
#include <stdint.h>

struct error {
    uint16_t code;    /* 0: none */
    char detail[600]; /* cut to fit in a shortstr when it is sent */
};

/* Fills `error` and returns false, so that a function can end with it. */
bool error_set(struct error *error, uint16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
