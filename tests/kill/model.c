/* See model.h. Rules for what may be missing at a drain: a message that was not confirmed may be
 * (but in both of its queues, and with all of its transaction, or not at all); one whose ack was
 * sent may be; and one that went to a consumer with auto-acks, as the broker is done with it when
 * it has been sent, and what was on its way died with the broker. */
#include "model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { VIOLATIONS_PRINTED = 40 };

void model_init(struct model *model, const struct campaign *campaign)
{
    *model = (struct model){.campaign = *campaign};
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < PUBLISHERS; i++)
        mem_free(model->publishers[i].entries);
}

void model_violate(struct model *model, const char *kind, const char *format, ...)
{
    va_list arguments;
    if (++model->violations > VIOLATIONS_PRINTED)
        return;
    printf("violation %s round=%u ", kind, model->round);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

static struct entry *entry_find(struct model *model, uint32_t publisher, uint64_t sequence)
{
    if (publisher >= PUBLISHERS)
        return NULL;
    struct publisher *log = &model->publishers[publisher];
    if (sequence < log->base || sequence >= log->next)
        return NULL;
    return &log->entries[sequence - log->base];
}

uint64_t model_publish(struct model *model, uint32_t publisher, uint32_t group)
{
    struct publisher *log = &model->publishers[publisher];
    size_t at = log->next - log->base;
    if (at == log->capacity) {
        log->capacity = log->capacity ? 2 * log->capacity : 1024;
        log->entries = mem_realloc(log->entries, log->capacity * sizeof(log->entries[0]));
    }
    log->entries[at] = (struct entry){.round = model->round, .group = group};
    model->figures.published++;
    return log->next++;
}

void model_confirm(struct model *model, struct message_id id)
{
    struct entry *entry = entry_find(model, id.publisher, id.sequence);
    assert(entry);
    entry->state = ENTRY_CONFIRMED;
    model->figures.confirms++;
}

/* ---- deliveries ---- */

/* What was published of the properties; only what came back is told how often it did. */
static struct bytes properties_of(const struct delivery *delivery, uint8_t *room)
{
    if (!delivery->redelivered)
        return delivery->properties;
    return bytes_of(room, message_properties_before(delivery->properties, room));
}

/* Is it, to the last byte, what was published? */
static bool is_intact(const struct model *model, const struct delivery *delivery,
                      struct message_id id)
{
    uint8_t body[BODY_BYTES_MAX], properties[PROPERTIES_BYTES_MAX], room[PROPERTIES_BYTES_MAX];
    size_t size = message_body_size(&model->campaign, id);
    if (delivery->body.size != size)
        return false;
    message_body(&model->campaign, id, body);
    size_t properties_size = message_properties(&model->campaign, id, properties);
    return memcmp(body, delivery->body.data, size) == 0 &&
           bytes_equal(properties_of(delivery, room), bytes_of(properties, properties_size));
}

static bool find_slot(const struct model *model, const struct delivery *delivery,
                      struct message_id id, uint8_t *slot)
{
    struct route route;
    message_route(&model->campaign, id, &route);
    for (*slot = 0; *slot < route.count; (*slot)++)
        if (route.queues[*slot] == delivery->queue)
            return true;
    return false;
}

static void judge_order(struct model *model, const struct delivery *delivery, struct order *order,
                        struct message_id id)
{
    if (delivery->redelivered && !order->is_strict)
        return;
    uint64_t *next = &order->next[id.publisher];
    if (id.sequence < *next)
        model_violate(model, "order",
                      "queue=%s publisher=%u sequence=%llu after=%llu redelivered=%d",
                      queue_names[delivery->queue], id.publisher, (unsigned long long)id.sequence,
                      (unsigned long long)*next - 1, delivery->redelivered);
    else
        *next = id.sequence + 1;
}

static void judge_slot(struct model *model, const struct delivery *delivery, struct message_id id,
                       uint8_t *flags)
{
    const char *broken = NULL;
    if (*flags & SLOT_DURABLE)
        broken = "returned";
    else if (*flags & SLOT_HELD)
        broken = "twice";
    else if ((*flags & SLOT_SEEN) && !delivery->redelivered)
        broken = "redelivered";
    if (broken)
        model_violate(model, broken, "queue=%s publisher=%u sequence=%llu flags=%u redelivered=%d",
                      queue_names[delivery->queue], id.publisher, (unsigned long long)id.sequence,
                      *flags, delivery->redelivered);
}

bool model_deliver(struct model *model, const struct delivery *delivery, struct order *order,
                   struct slot_ref *ref)
{
    struct message_id id;
    const char *name = queue_names[delivery->queue];
    if (!message_identify(&model->campaign, delivery->body, &id)) {
        model_violate(model, "invented", "queue=%s size=%zu", name, delivery->body.size);
        return false;
    }
    struct entry *entry = entry_find(model, id.publisher, id.sequence);
    uint8_t slot;
    const char *broken = NULL;
    if (!entry)
        broken = id.publisher < PUBLISHERS && id.sequence < model->publishers[id.publisher].base
                     ? "returned"
                     : "invented";
    else if (!find_slot(model, delivery, id, &slot))
        broken = "misplaced";
    else if (!is_intact(model, delivery, id))
        broken = "damaged";
    if (broken) {
        model_violate(model, broken, "queue=%s publisher=%u sequence=%llu size=%zu redelivered=%d",
                      name, id.publisher, (unsigned long long)id.sequence, delivery->body.size,
                      delivery->redelivered);
        return false;
    }
    judge_order(model, delivery, order, id);
    judge_slot(model, delivery, id, &entry->slots[slot]);
    uint8_t flags = delivery->no_ack ? SLOT_SEEN | SLOT_ACKED : SLOT_SEEN | SLOT_HELD;
    if (entry->round < model->round)
        flags |= SLOT_OLD;
    entry->slots[slot] = (entry->slots[slot] & SLOT_OLD) | flags;
    model->figures.delivered++;
    model->figures.redelivered += delivery->redelivered;
    *ref = (struct slot_ref){id.publisher, id.sequence, slot};
    return true;
}

static uint8_t *slot_find(struct model *model, struct slot_ref ref)
{
    struct entry *entry = entry_find(model, ref.publisher, ref.sequence);
    return entry ? &entry->slots[ref.slot] : NULL;
}

void model_ack(struct model *model, struct slot_ref ref)
{
    uint8_t *flags = slot_find(model, ref);
    if (flags)
        *flags = (*flags & SLOT_OLD) | SLOT_SEEN | SLOT_ACKED;
    model->figures.acks++;
}

void model_ack_is_durable(struct model *model, struct slot_ref ref)
{
    uint8_t *flags = slot_find(model, ref);
    if (!flags || !(*flags & SLOT_ACKED))
        return;
    *flags |= SLOT_DURABLE;
    model->figures.acks_proved++;
}

void model_release(struct model *model, struct slot_ref ref)
{
    uint8_t *flags = slot_find(model, ref);
    if (flags)
        *flags &= (uint8_t)~SLOT_HELD;
}

/* ---- the reckoning ---- */

static bool may_be_gone(const struct model *model, const struct entry *entry,
                        enum queue_number queue)
{
    return queue == QUEUE_AUTO && entry->round <= model->auto_round;
}

/* It was confirmed, or came back after a restart, and was not acked since: then it must have come.
 */
static void judge_slot_at_end(struct model *model, struct message_id id, const struct entry *entry,
                              uint8_t flags, enum queue_number queue)
{
    if (flags & SLOT_ACKED) {
        model->figures.verified++;
        return;
    }
    if (entry->state != ENTRY_CONFIRMED && !(flags & SLOT_OLD))
        return;
    if (may_be_gone(model, entry, queue))
        model->figures.excused++;
    else
        model_violate(model, "lost",
                      "queue=%s publisher=%u sequence=%llu published=%u flags=%u confirmed=%d",
                      queue_names[queue], id.publisher, (unsigned long long)id.sequence,
                      entry->round, flags, entry->state == ENTRY_CONFIRMED);
}

/* What is whole or not at all: a message with all its queues, a transaction with all its messages.
 */
struct whole {
    bool some; /* a part of it survived the broker that it was published to */
    bool none; /* a part of it was never seen */
};

static void judge_entry(struct model *model, struct message_id id, const struct entry *entry,
                        struct whole *whole)
{
    struct route route;
    message_route(&model->campaign, id, &route);
    for (uint8_t i = 0; i < route.count; i++) {
        uint8_t flags = entry->slots[i];
        if (flags & SLOT_OLD)
            whole->some = true;
        else if (!(flags & SLOT_SEEN) && !may_be_gone(model, entry, route.queues[i]))
            whole->none = true;
        if (entry->state != ENTRY_CONFIRMED && (flags & SLOT_OLD))
            model->figures.unconfirmed_kept++;
        judge_slot_at_end(model, id, entry, flags, route.queues[i]);
    }
}

static void judge_publisher(struct model *model, uint32_t publisher)
{
    const struct publisher *log = &model->publishers[publisher];
    struct whole whole = {false, false};
    uint32_t group = 0;
    for (uint64_t sequence = log->base; sequence < log->next; sequence++) {
        const struct entry *entry = &log->entries[sequence - log->base];
        if (entry->group == 0 || entry->group != group)
            whole = (struct whole){false, false};
        group = entry->group;
        bool was_torn = whole.some && whole.none;
        judge_entry(model, (struct message_id){publisher, sequence}, entry, &whole);
        if (whole.some && whole.none && !was_torn)
            model_violate(model, "torn", "publisher=%u sequence=%llu published=%u group=%u",
                          publisher, (unsigned long long)sequence, entry->round, group);
    }
}

void model_drained(struct model *model)
{
    for (uint32_t i = 0; i < PUBLISHERS; i++) {
        struct publisher *log = &model->publishers[i];
        judge_publisher(model, i);
        log->base = log->next;
    }
    model->figures.drains++;
}
