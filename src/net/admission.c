/* An IPv6 peer has as many addresses as it likes within its network, so that of IPv6 the first 64 bits count. */
#include "net/admission.h"

#include <string.h>

#include "base/mem.h"

enum { KEY_BYTES = 9, V6_BYTES = 8, THOUSAND = 1000 };

struct visitor {
    uint8_t key[KEY_BYTES]; /* the family, and what counts of the address */
    uint32_t connections;
};

void admission_init(struct admission *admission, uint64_t seed)
{
    *admission = (struct admission){0};
    map_init(&admission->visitors, seed);
}

void admission_free(struct admission *admission)
{
    map_free(&admission->visitors);
}

/* ---- in a second ---- */

bool admission_may_take(struct admission *admission, const struct admission_options *options,
                        uint64_t now_ms)
{
    uint64_t most = (uint64_t)options->per_second * THOUSAND;
    if (!most)
        return true;
    uint64_t quiet_ms = admission->told_ms ? now_ms - admission->told_ms : THOUSAND;
    admission->tokens += (quiet_ms < THOUSAND ? quiet_ms : THOUSAND) * options->per_second;
    if (admission->tokens > most)
        admission->tokens = most;
    admission->told_ms = now_ms;
    return admission->tokens >= THOUSAND;
}

void admission_took(struct admission *admission)
{
    admission->tokens -= admission->tokens < THOUSAND ? admission->tokens : THOUSAND;
}

uint64_t admission_next_ms(const struct admission *admission, const struct admission_options *options)
{
    uint64_t lacking = admission->tokens < THOUSAND ? THOUSAND - admission->tokens : 0;
    if (!options->per_second)
        return admission->told_ms;
    return admission->told_ms + (lacking + options->per_second - 1) / options->per_second;
}

/* ---- from an address ---- */

static struct bytes key_of(const struct address *address, uint8_t key[KEY_BYTES])
{
    memset(key, 0, KEY_BYTES);
    key[0] = (uint8_t)address->any.sa_family;
    if (address->any.sa_family == AF_INET)
        memcpy(key + 1, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
    else if (address->any.sa_family == AF_INET6)
        memcpy(key + 1, &address->v6.sin6_addr, V6_BYTES);
    return bytes_of(key, KEY_BYTES);
}

bool admission_enter(struct admission *admission, const struct admission_options *options,
                     const struct address *address, struct visitor **visitor)
{
    uint8_t key[KEY_BYTES];
    struct bytes name = key_of(address, key);
    *visitor = map_find(&admission->visitors, name);
    if (options->per_address && *visitor && (*visitor)->connections >= options->per_address)
        return false;
    if (!*visitor) {
        *visitor = mem_zalloc(sizeof(**visitor));
        memcpy((*visitor)->key, key, KEY_BYTES);
        map_add(&admission->visitors, bytes_of((*visitor)->key, KEY_BYTES), *visitor);
    }
    (*visitor)->connections++;
    return true;
}

void admission_leave(struct admission *admission, struct visitor *visitor)
{
    if (!visitor || --visitor->connections)
        return;
    map_remove(&admission->visitors, bytes_of(visitor->key, KEY_BYTES));
    mem_free(visitor);
}
