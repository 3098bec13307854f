/* Names from patterns, and who publishes where. */
#include "perf/names.h"

#include <stdio.h>
#include <string.h>

static void append(char name[NAME_MAX_SIZE], size_t *size, const char *text, size_t length)
{
    if (length > NAME_MAX_SIZE - 1 - *size)
        length = NAME_MAX_SIZE - 1 - *size;
    memcpy(name + *size, text, length);
    *size += length;
    name[*size] = '\0';
}

/* Puts numbers[i] where the pattern has % and letters[i]. */
static const char *fill_in(const char *pattern, const char *letters, const uint32_t *numbers,
                           char name[NAME_MAX_SIZE])
{
    size_t size = 0;
    name[0] = '\0';
    for (; *pattern; pattern++) {
        const char *letter = *pattern == '%' && pattern[1] ? strchr(letters, pattern[1]) : NULL;
        if (!letter) {
            append(name, &size, pattern, 1);
            continue;
        }
        char digits[16];
        int length = snprintf(digits, sizeof(digits), "%u", numbers[letter - letters]);
        append(name, &size, digits, (size_t)length);
        pattern++;
    }
    return name;
}

const char *queue_name(const struct options *options, uint32_t index, char name[NAME_MAX_SIZE])
{
    uint32_t number = options->queue_from + index;
    return fill_in(options->queue_pattern, "d", &number, name);
}

const char *key_name(const struct options *options, const char *pattern, uint32_t queue,
                     uint32_t producer, uint32_t message, char name[NAME_MAX_SIZE])
{
    uint32_t numbers[] = {options->queue_from + queue, producer, message};
    if (!pattern)
        return queue_name(options, queue, name);
    return fill_in(pattern, "qpm", numbers, name);
}

/* Whatever the key, a message may arrive in every queue: naming them in turn would send it again.
 */
static bool ignores_keys(const struct options *options)
{
    const char *type = options->exchange_type;
    return type && (strcmp(type, "fanout") == 0 || strcmp(type, "headers") == 0);
}

uint32_t producer_queues(const struct options *options, uint32_t producer)
{
    bool named = !options->routing_key || strstr(options->routing_key, "%q");
    if (!named || ignores_keys(options) || producer >= options->queues)
        return 1;
    return (options->queues - producer - 1) / options->producers + 1;
}

uint32_t producer_queue(const struct options *options, uint32_t producer, uint32_t turn)
{
    uint64_t queue = producer + (uint64_t)turn * options->producers;
    return options->queues ? (uint32_t)(queue % options->queues) : 0;
}

uint32_t producer_level(const struct options *options, uint32_t producer, uint64_t message)
{
    if (options_levels(options) == 1)
        return 0;
    uint64_t each = (uint64_t)producer_queues(options, producer) * options->keys;
    return (uint32_t)(message / each % options_levels(options));
}

/* Of exchanges that give each message to one of their queues, whatever its key. */
static bool chooses_one(const char *type)
{
    return strcmp(type, "x-consistent-hash") == 0 || strcmp(type, "x-modulus-hash") == 0 ||
           strcmp(type, "x-random") == 0;
}

uint64_t copies_expected(const struct options *options)
{
    const char *type = options->exchange_type;
    if (options->queues == 0)
        return 0;
    if (!*options->exchange)
        return options->routing_key ? 0 : 1;
    if (!type)
        return 0;
    if (strcmp(type, "fanout") == 0)
        return options->queues;
    if (chooses_one(type))
        return 1;
    return strcmp(type, "direct") == 0 && !options->routing_key && !options->binding_key;
}
