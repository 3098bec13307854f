/* Confirms that wait, over a store and a channel that are made up here: which numbers go out, when, and
 * how they are put together. */
#include "session/wait.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "session/channel.h"
#include "session/relayed.h"
#include "session/server_state.h"
#include "tests/lib/tap.h"

/* ---- what it is built on ---- */

static uint64_t filling, durable; /* batches */
static bool has_failed;
static char sent[4096]; /* what went out, as text */

struct ticket store_ticket(const struct store *store)
{
    (void)store;
    return (struct ticket){.index = filling};
}

struct ticket store_names_ticket(const struct store *store)
{
    return store_ticket(store);
}

enum ticket_state store_ticket_state(const struct store *store, struct ticket ticket)
{
    (void)store;
    return ticket.index <= durable ? TICKET_DURABLE : TICKET_PENDING;
}

const char *store_failure(const struct store *store)
{
    (void)store;
    return has_failed ? "it failed" : NULL;
}

bool store_is_congested(const struct store *store)
{
    (void)store;
    return false;
}

void store_want(struct store *store, struct ticket ticket)
{
    (void)store;
    (void)ticket;
}

void channel_send(struct channel *channel, const union method *method)
{
    (void)channel;
    size_t size = strlen(sent);
    bool is_ack = method->id == METHOD_BASIC_ACK;
    uint64_t tag = is_ack ? method->basic_ack.delivery_tag : method->basic_nack.delivery_tag;
    bool multiple = is_ack ? method->basic_ack.multiple : method->basic_nack.multiple;
    snprintf(sent + size, sizeof(sent) - size, "%s%s%llu%s", size ? " " : "", is_ack ? "+" : "-",
             (unsigned long long)tag, multiple ? "*" : "");
}

void relayed_settled(struct channel *of, uint64_t count)
{
    (void)of;
    size_t size = strlen(sent);
    snprintf(sent + size, sizeof(sent) - size, "%s=%llu", size ? " " : "", (unsigned long long)count);
}

void channel_released(struct channel *channel)
{
    (void)channel;
}

/* Nothing here is held for long. */

void connection_hold(struct connection *connection, enum hold reason)
{
    (void)connection;
    (void)reason;
    abort();
}

void connection_release(struct connection *connection, enum hold reason)
{
    (void)connection;
    (void)reason;
}

/* ---- a channel ---- */

static struct broker broker;
static struct server server;
static struct connection connection;
static struct channel channel;

static void begin(void)
{
    server = (struct server){.broker = &broker};
    connection = (struct connection){.server = &server};
    channel = (struct channel){.connection = &connection};
    wait_init(&server.waits, NULL);
    list_init(&channel.waiting_replies);
    list_init(&channel.confirms_waiting);
    list_init(&channel.settles_waiting);
    list_init(&channel.confirming_link);
    filling = 1;
    durable = 0;
    has_failed = false;
    sent[0] = '\0';
}

/* Publishes of these numbers are on record, and wait for the filling batch. */
static void confirm(uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++)
        wait_confirm(&channel, number, 1 << LOG_JOURNAL);
}

/* Goes on to the next turn; what went out is `wanted`: + is an ack, - a nack, * multiple. */
static void turn(const char *wanted)
{
    sent[0] = '\0';
    wait_tick(&server);
    is_str(sent, wanted, "what goes out");
}

/* Numbers that the waits of the channel name. */
static uint64_t named(void)
{
    uint64_t count = 0;
    list_for_each(link, &channel.confirms_waiting) {
        const struct wait *wait = list_entry(link, struct wait, channel_link);
        count += wait->last - wait->first + 1;
    }
    return count;
}

TEST(a_batch_is_confirmed_as_one)
{
    begin();
    confirm(1, 3);
    filling = 2;
    confirm(4, 4);
    turn("");
    durable = 1;
    turn("+3*");
    durable = 2;
    turn("+4");
}

TEST(batches_that_end_together_are_confirmed_as_one)
{
    begin();
    confirm(1, 1);
    filling = 2;
    confirm(2, 2);
    durable = 2;
    turn("+2*");
}

/* What need not wait goes out at once, and by itself while others before it wait. */
TEST(those_on_no_record_do_not_wait)
{
    begin();
    wait_confirm(&channel, 1, 0);
    wait_confirm(&channel, 2, 0);
    confirm(3, 3);
    wait_confirm(&channel, 4, 0);
    wait_confirm(&channel, 5, 0);
    turn("+2* +4 +5");
    durable = 1;
    turn("+3");
}

/* A wait names neighbours only: those between them may have been answered. */
TEST(waits_have_no_gaps)
{
    begin();
    confirm(1, 1);
    wait_confirm(&channel, 2, 0);
    turn("+2");
    confirm(3, 3);
    wait_refuse(&channel, 4);
    turn("-4");
    confirm(5, 6);
    is_int(named(), 4, "four numbers wait");
    durable = 1;
    turn("+6*");
}

TEST(a_refusal_is_no_ack)
{
    begin();
    confirm(1, 1);
    wait_refuse(&channel, 2);
    wait_refuse(&channel, 3);
    confirm(4, 4);
    turn("-2 -3");
    durable = 1;
    turn("+4*");
    wait_refuse(&channel, 5);
    wait_refuse(&channel, 6);
    wait_confirm(&channel, 7, 0);
    turn("-6* +7");
}

/* However many there are, each waits for its batch. */
TEST(thousands_wait)
{
    begin();
    for (uint64_t number = 1; number <= 5000; number++) {
        filling = number;
        confirm(number, number);
    }
    turn("");
    is_int(named(), 5000, "all of them wait");
    durable = 4999;
    turn("+4999*");
    durable = 5000;
    turn("+5000");
}

TEST(what_is_settled_is_told_in_its_order)
{
    begin();
    wait_settled(&channel, 1);
    wait_settled(&channel, 2);
    confirm(1, 1);
    filling = 2;
    wait_settled(&channel, 3);
    turn("");
    durable = 1;
    turn("=2 +1");
    filling = 0; /* nothing is to be decided */
    wait_settled(&channel, 4);
    turn("");
    durable = 2;
    turn("=4");
    wait_settled(&channel, 5);
    turn("=5");
    filling = 3;
    wait_settled(&channel, 6);
    has_failed = true;
    turn("");
    wait_forget(&channel);
    ok(list_is_empty(&channel.settles_waiting), "nothing waits any more");
}

TEST(a_failure_refuses_all)
{
    begin();
    confirm(1, 2);
    has_failed = true;
    turn("-2*");
}

/* A reply that is held, as a returned message would be. */
static void reply(void)
{
    wait_room(&channel, 1)[0] = 'r';
    wait_added(&channel, 1);
}

TEST(what_a_failure_lost_with_replies_is_refused)
{
    begin();
    wait_hold(&channel, (struct ticket){.index = filling});
    reply();
    wait_confirm(&channel, 1, 0);
    has_failed = true;
    turn("-1");
    is_int(channel.held_bytes, 0, "nothing is held");
    wait_confirm(&channel, 2, 0);
    turn("+2");
}

TEST(a_channel_that_ends_is_told_nothing)
{
    begin();
    confirm(1, 1);
    wait_confirm(&channel, 2, 0);
    wait_forget(&channel);
    durable = 1;
    turn("");
    is_int(named(), 0, "nothing waits");
}

/* ---- a second log, as a group of brokers would have one ---- */

struct other {
    uint64_t present, durable;
    uint64_t wanted;
    bool has_failed, is_congested;
};

static struct ticket other_present(const void *log)
{
    const struct other *other = log;
    return (struct ticket){.log = 2, .index = other->present};
}

static enum ticket_state other_state(const void *log, struct ticket ticket)
{
    const struct other *other = log;
    if (other->has_failed)
        return TICKET_FAILED;
    return ticket.index <= other->durable ? TICKET_DURABLE : TICKET_PENDING;
}

static void other_want(void *log, struct ticket ticket)
{
    struct other *other = log;
    other->wanted = ticket.index;
}

static bool other_is_congested(const void *log)
{
    const struct other *other = log;
    return other->is_congested;
}

enum { BOTH = 1 << LOG_JOURNAL | 1 << 2 };

static void begin_with(struct other *other)
{
    *other = (struct other){.present = 7};
    begin();
    wait_add_log(&server.waits, 2,
                 &(struct wait_log){.log = other,
                                    .present = other_present,
                                    .state = other_state,
                                    .want = other_want,
                                    .is_congested = other_is_congested});
}

TEST(a_promise_ends_with_the_last_of_its_logs)
{
    struct other other;
    begin_with(&other);
    wait_confirm(&channel, 1, BOTH);
    wait_confirm(&channel, 2, BOTH);
    wait_confirm(&channel, 3, 1 << 2);
    is_int(other.wanted, 7, "the other log is told that somebody waits");
    durable = 1;
    turn("");
    other.durable = 7;
    turn("+3*");
    wait_confirm(&channel, 4, BOTH);
    filling = 2;
    wait_confirm(&channel, 5, BOTH);
    turn("+4");
    durable = 2;
    turn("+5");
}

TEST(what_fails_in_one_log_has_failed)
{
    struct other other;
    begin_with(&other);
    wait_confirm(&channel, 1, BOTH);
    wait_confirm(&channel, 2, 1 << LOG_JOURNAL);
    other.has_failed = true;
    turn("-1");
    durable = 1;
    turn("+2");
    is_int(named(), 0, "nothing waits");
}

TEST(who_ends_leaves_all_logs)
{
    struct other other;
    begin_with(&other);
    wait_confirm(&channel, 1, BOTH);
    wait_forget(&channel);
    durable = 1;
    other.durable = 7;
    turn("");
}

TEST(congestion_is_of_a_log)
{
    struct other other;
    begin_with(&other);
    is_int(wait_congested(&server.waits, UINT32_MAX), 0, "of none");
    other.is_congested = true;
    is_int(wait_congested(&server.waits, UINT32_MAX), 1 << 2, "of one");
    is_int(wait_congested(&server.waits, 1 << LOG_JOURNAL), 0, "which others do not use");
}

int main(void)
{
    RUN(a_batch_is_confirmed_as_one);
    RUN(batches_that_end_together_are_confirmed_as_one);
    RUN(those_on_no_record_do_not_wait);
    RUN(waits_have_no_gaps);
    RUN(a_refusal_is_no_ack);
    RUN(thousands_wait);
    RUN(what_is_settled_is_told_in_its_order);
    RUN(a_failure_refuses_all);
    RUN(what_a_failure_lost_with_replies_is_refused);
    RUN(a_channel_that_ends_is_told_nothing);
    RUN(a_promise_ends_with_the_last_of_its_logs);
    RUN(what_fails_in_one_log_has_failed);
    RUN(who_ends_leaves_all_logs);
    RUN(congestion_is_of_a_log);
    return done();
}
