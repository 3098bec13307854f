/* Entries on their way: so many and so many bytes for each group, and what they are no longer. */
#include "cluster/link_flight.h"

#include "tests/lib/tap.h"

enum { G = 7 };

static struct link_flights flights;

TEST(bytes_are_bounded)
{
    link_flights_init(&flights);
    link_flights_sent(&flights, G, 1, 1, LINK_FLIGHT_BYTES - 100);
    ok(link_flights_have_room(&flights, G, 1, 100), "up to the bound");
    ok(!link_flights_have_room(&flights, G, 1, 101), "not beyond");
    ok(link_flights_have_room(&flights, G + 1, 1, LINK_FLIGHT_BYTES), "another group has its own");
    link_flights_answered(&flights, G, 1);
    ok(link_flights_have_room(&flights, G, 1, 101), "what has arrived does not count");
    is_int(flights.groups.count, 0, "and takes no memory");
    link_flights_clear(&flights);
}

TEST(entries_are_bounded)
{
    link_flights_init(&flights);
    for (uint64_t i = 1; i < LINK_FLIGHT_ENTRIES; i++)
        link_flights_sent(&flights, G, i, 1, 1);
    ok(link_flights_have_room(&flights, G, 1, 1), "the last one");
    ok(!link_flights_have_room(&flights, G, 2, 1), "not two");
    link_flights_sent(&flights, G, LINK_FLIGHT_ENTRIES, 1, 1);
    ok(!link_flights_have_room(&flights, G, 1, 0), "no more");
    link_flights_answered(&flights, G, 10);
    ok(link_flights_have_room(&flights, G, 10, 1), "ten have arrived");
    ok(!link_flights_have_room(&flights, G, 11, 1), "and no more");
    link_flights_clear(&flights);
}

TEST(a_large_one_goes_alone)
{
    link_flights_init(&flights);
    ok(link_flights_have_room(&flights, G, 1, 10 * (size_t)LINK_FLIGHT_BYTES), "alone it goes");
    link_flights_sent(&flights, G, 1, 1, 10 * (size_t)LINK_FLIGHT_BYTES);
    ok(!link_flights_have_room(&flights, G, 1, 1), "nothing goes beside it");
    link_flights_answered(&flights, G, 0);
    ok(!link_flights_have_room(&flights, G, 1, 1), "an answer to something before");
    link_flights_answered(&flights, G, 1);
    ok(link_flights_have_room(&flights, G, 1, 1), "but behind it");
    link_flights_sent(&flights, G, 2, 1, 1);
    ok(!link_flights_have_room(&flights, G, 1, 10 * (size_t)LINK_FLIGHT_BYTES),
       "and not beside others");
    link_flights_clear(&flights);
}

TEST(what_is_sent_again_counts_once)
{
    link_flights_init(&flights);
    link_flights_sent(&flights, G, 1, 100, 1000);
    link_flights_sent(&flights, G, 101, 100, 1000);
    link_flights_sent(&flights, G, 51, 150, 1500);
    ok(link_flights_have_room(&flights, G, LINK_FLIGHT_ENTRIES - 150, 1), "once");
    ok(!link_flights_have_room(&flights, G, LINK_FLIGHT_ENTRIES - 149, 1), "and not never");
    link_flights_reset(&flights, G);
    ok(link_flights_have_room(&flights, G, LINK_FLIGHT_ENTRIES, LINK_FLIGHT_BYTES),
       "a reset forgets all");
    link_flights_reset(&flights, G);
    link_flights_answered(&flights, G, 7);
    is_int(flights.groups.count, 0, "what nobody knows of is nothing");
    link_flights_clear(&flights);
}

int main(void)
{
    RUN(bytes_are_bounded);
    RUN(entries_are_bounded);
    RUN(a_large_one_goes_alone);
    RUN(what_is_sent_again_counts_once);
    return done();
}
