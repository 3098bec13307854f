/* Reply codes: names, what they close, and the reply text that goes with them. */
#ifndef LEVERET_AMQP_REPLY_H
#define LEVERET_AMQP_REPLY_H

#include <stdarg.h>

#include "base/bytes.h"

enum reply_code {
#define REPLY(NAME, code, closes) REPLY_##NAME = code,
#include "amqp/reply.def"
};

enum { REPLY_TEXT_MAX = 255 };

/* Why a broker that goes closes connections (CONNECTION_FORCED): RabbitMQ's words. */
#define REPLY_SHUTDOWN "broker forced connection closure with reason 'shutdown'"
#define REPLY_MAINTENANCE "Node was put into maintenance mode"
/* Of another broker of the cluster, to which the client has come. */
#define REPLY_MAINTENANCE_THERE "Node that you are connected to was put into maintenance mode"

/* "NOT_FOUND"; "INTERNAL_ERROR" for a code that is not in the table. */
const char *reply_name(uint16_t code);
/* Does the code close the connection rather than the channel it was raised on? A code that is not
 * in the table does. On channel 0 every error closes the connection: the caller knows that. */
bool reply_closes_connection(uint16_t code);
/* Writes `NAME - detail` into text (REPLY_TEXT_MAX + 1 bytes, terminated), cut to 255 bytes at the
 * boundary of a character; bytes that are not UTF-8 become '?'. Returns its length. */
size_t reply_format(char *text, uint16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t reply_format_va(char *text, uint16_t code, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
