/* What the first bytes of a body say, so that whoever consumes it knows which message it is and
 * when it was due; and what the rest looks like, so that damage shows.
 *
 *     0  sender  2 octets  number of the producer
 *     2  sequence 6        counted from 0 for each producer and key
 *     8  time    8         nanoseconds of the monotonic clock, where the body has the room
 *
 * After the stamp comes byte i of the pattern at place i of the body. */
#ifndef LEVERET_PERF_STAMP_H
#define LEVERET_PERF_STAMP_H

#include "amqp/wire.h"

enum { STAMP_ID_SIZE = 8, STAMP_SIZE = 16 };

#define STAMP_SEQUENCE_MAX (((uint64_t)1 << 48) - 1)

static inline void stamp_put_id(uint8_t *body, uint64_t producer, uint64_t sequence)
{
    put_u64(body, producer << 48 | sequence);
}

static inline void stamp_put_time(uint8_t *body, uint64_t time_ns)
{
    put_u64(body + STAMP_ID_SIZE, time_ns);
}

static inline uint64_t stamp_get(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static inline uint8_t pattern_byte(uint64_t place)
{
    return (uint8_t)('a' + place % 26);
}

#endif
