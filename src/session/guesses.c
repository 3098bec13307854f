#include "session/guesses.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/hash.h"

enum { PLACES_EACH = 4, V6_BYTES = 8, HOST_BYTES = 64 };

void guesses_init(struct guesses *guesses, uint64_t seed)
{
    guesses->seed = seed;
}

static uint64_t address_of(const struct guesses *guesses, struct bytes host)
{
    char text[HOST_BYTES];
    uint8_t v6[16];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(host));
    if (inet_pton(AF_INET6, text, v6) == 1)
        host = bytes_of(v6, V6_BYTES);
    return hash_bytes(host, guesses->seed);
}

static uint32_t second_of(uint64_t now_ms)
{
    return (uint32_t)(now_ms / 1000) + 1;
}

static size_t first_place(uint64_t address)
{
    return (size_t)(address % (GUESSES_PLACES / PLACES_EACH)) * PLACES_EACH;
}

bool guesses_are_many(const struct guesses *guesses, struct bytes host, uint32_t most,
                      uint64_t now_ms)
{
    uint64_t address = address_of(guesses, host);
    const struct guess *place = &guesses->places[first_place(address)];
    for (size_t i = 0; i < PLACES_EACH; i++)
        if (place[i].address == address && place[i].second == second_of(now_ms))
            return place[i].failures >= most;
    return false;
}

/* Its own, or else one of an earlier second, or that with the fewest failures. */
static struct guess *place_for(struct guesses *guesses, uint64_t address, uint32_t second)
{
    struct guess *place = &guesses->places[first_place(address)], *least = place;
    for (size_t i = 0; i < PLACES_EACH; i++)
        if (place[i].address == address && place[i].second == second)
            return &place[i];
    for (size_t i = 0; i < PLACES_EACH; i++) {
        if (place[i].second != second)
            return &place[i];
        if (place[i].failures < least->failures)
            least = &place[i];
    }
    return least;
}

void guesses_failed(struct guesses *guesses, struct bytes host, uint64_t now_ms)
{
    uint64_t address = address_of(guesses, host);
    uint32_t second = second_of(now_ms);
    struct guess *place = place_for(guesses, address, second);
    if (place->address != address || place->second != second)
        *place = (struct guess){.address = address, .second = second};
    place->failures++;
}
