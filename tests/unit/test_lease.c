/* Rights that end by themselves: who may answer, hold, and dispatch until when. */
#include "cluster/lease.h"
#include "tests/lib/tap.h"

/* Node 1 leads in term 5 since ELECTED, and its first entry is 100; 2 and 3 are others. */
enum { ELECTED = 10000, TERM = 5, FIRST = 100 };

static struct lease *leader;

static struct lease_ask ask_of(uint64_t sent_ms, uint64_t applied)
{
    return (struct lease_ask){
        .incarnation = 7, .sent_ms = sent_ms, .term = TERM, .applied = applied};
}

static void asks(uint64_t node, uint64_t now_ms, uint64_t applied)
{
    struct lease_ask ask = ask_of(now_ms, applied);
    lease_asked(leader, now_ms, node, &ask);
}

static void applies(uint64_t now_ms, uint64_t node, uint64_t incarnation, bool is_present,
                    uint64_t index)
{
    struct lease_node entry = {node, incarnation, is_present};
    lease_node_applied(leader, now_ms, index, &entry);
}

/* Elected, with all three present since before, and in office. */
static void begin(void)
{
    leader = lease_new(1, 7, 1000);
    for (uint64_t node = 1; node <= 3; node++)
        applies(2000, node, 7, true, 90 + node);
    lease_lead(leader, ELECTED, TERM, FIRST);
    lease_applied(leader, FIRST);
}

static bool grants(uint64_t now_ms, uint64_t wanted, struct lease_grant *grant)
{
    uint64_t node = 0;
    return lease_grants(leader, now_ms, &node, grant) && node == wanted;
}

static bool proposes(uint64_t now_ms, uint64_t node, bool is_present)
{
    struct lease_node entry;
    return lease_proposal(leader, now_ms, &entry) && entry.node == node &&
           entry.is_present == is_present;
}

TEST(a_grant_waits_for_what_was_sent_later)
{
    struct lease_grant grant;
    begin();
    asks(2, ELECTED + 50, FIRST);
    ok(!grants(ELECTED + 60, 2, &grant), "nothing is answered yet");
    lease_answered(leader, ELECTED + 50);
    ok(!grants(ELECTED + 60, 2, &grant), "what was sent as it came may have been sent before");
    lease_answered(leader, ELECTED + 51);
    ok(grants(ELECTED + 60, 2, &grant), "what was sent later is answered");
    is_int(grant.sent_ms, ELECTED + 50, "it names the question");
    is_int(grant.term, TERM, "and the term");
    ok(grant.answer, "who has all may answer");
    ok(!grants(ELECTED + 60, 2, &grant), "one question, one grant");
    lease_free(leader);
}

TEST(a_question_waits_though_others_come)
{
    struct lease_grant grant;
    begin();
    asks(2, ELECTED + 50, FIRST);
    asks(2, ELECTED + 150, FIRST + 3);
    lease_answered(leader, ELECTED + 100);
    ok(grants(ELECTED + 250, 2, &grant), "the first one is granted");
    is_int(grant.sent_ms, ELECTED + 50, "as it was asked");
    asks(2, ELECTED + 300, FIRST);
    asks(2, ELECTED + 1100, FIRST);
    lease_answered(leader, ELECTED + 1000);
    ok(!grants(ELECTED + 1200, 2, &grant), "one that waited for too long is replaced");
    lease_answered(leader, ELECTED + 1101);
    ok(grants(ELECTED + 1200, 2, &grant), "by one that is granted");
    is_int(grant.sent_ms, ELECTED + 1100, "as that was asked");
    lease_free(leader);
}

TEST(only_the_present_are_granted)
{
    struct lease_grant grant;
    struct lease_node entry;
    begin();
    asks(4, ELECTED + 50, FIRST);
    lease_answered(leader, ELECTED + 60);
    ok(!grants(ELECTED + 70, 4, &grant), "nobody knows of it");
    ok(lease_proposal(leader, ELECTED + 70, &entry), "the log shall say that it is there");
    is_int(entry.node, 4, "it");
    is_int(entry.incarnation, 7, "as it is");
    ok(entry.is_present, "present");
    lease_proposed(leader, FIRST + 1, &entry);
    ok(!lease_proposal(leader, ELECTED + 70, &entry), "it is said once");
    ok(!grants(ELECTED + 70, 4, &grant), "an entry that is not applied says nothing");
    applies(ELECTED + 80, 4, 7, true, FIRST + 1);
    ok(grants(ELECTED + 90, 4, &grant), "it is granted");
    lease_free(leader);
}

TEST(another_start_is_another_presence)
{
    struct lease_grant grant;
    struct lease_ask ask = ask_of(ELECTED + 50, FIRST);
    begin();
    ask.incarnation = 8;
    lease_asked(leader, ELECTED + 50, 2, &ask);
    lease_answered(leader, ELECTED + 60);
    ok(!grants(ELECTED + 70, 2, &grant), "the one that is present has ended");
    ok(lease_over(leader, RIGHT_HOLD, 2, ELECTED + 70), "and all its rights with it");
    ok(proposes(ELECTED + 70, 2, true), "the new one shall be present");
    applies(ELECTED + 80, 2, 8, true, FIRST + 1);
    ok(grants(ELECTED + 90, 2, &grant), "it is granted");
    is_int(grant.incarnation, 8, "what it asked for");
    asks(2, ELECTED + 100, FIRST + 50);
    lease_answered(leader, ELECTED + 200);
    ok(!grants(ELECTED + 300, 2, &grant), "what the one of before asked comes to nothing");
    lease_free(leader);
}

TEST(who_is_silent_becomes_absent)
{
    struct lease_grant grant;
    struct lease_node entry;
    begin();
    asks(2, ELECTED + 50, FIRST);
    asks(3, ELECTED + 3000, FIRST);
    lease_answered(leader, ELECTED + 60);
    ok(grants(ELECTED + 100, 2, &grant), "it has rights");
    ok(!lease_proposal(leader, ELECTED + 3349, &entry), "which may not be over");
    ok(lease_proposal(leader, ELECTED + 3350, &entry), "they are over");
    is_int(entry.node, 2, "who is silent");
    ok(!entry.is_present, "is absent");
    lease_proposed(leader, FIRST + 1, &entry);
    asks(2, ELECTED + 3400, FIRST);
    lease_answered(leader, ELECTED + 3401);
    ok(!grants(ELECTED + 3500, 2, &grant), "it is granted nothing while that is under way");
    applies(ELECTED + 3600, 2, 7, false, FIRST + 1);
    ok(!grants(ELECTED + 3600, 2, &grant), "nor when it is so");
    ok(proposes(ELECTED + 3600, 2, true), "but it can be present again");
    lease_free(leader);
}

TEST(a_new_leader_takes_the_present_for_holders)
{
    begin();
    applies(ELECTED, 3, 7, false, FIRST + 1);
    ok(!lease_over(leader, RIGHT_ANSWER, 2, ELECTED + 1649), "it may answer still");
    ok(lease_over(leader, RIGHT_ANSWER, 2, ELECTED + 1650), "and then not");
    ok(!lease_over(leader, RIGHT_HOLD, 2, ELECTED + 3299), "it may hold still");
    ok(lease_over(leader, RIGHT_HOLD, 2, ELECTED + 3300), "and then not");
    ok(lease_over(leader, RIGHT_HOLD, 3, ELECTED), "who is absent holds nothing");
    ok(lease_over(leader, RIGHT_HOLD, 9, ELECTED), "nor who never was there");
    ok(!lease_over(leader, RIGHT_HOLD, 1, ELECTED + 9000), "own rights are not over");
    ok(!lease_over(leader, RIGHT_DISPATCH, 2, ELECTED + 329), "the leader of before may dispatch");
    ok(lease_over(leader, RIGHT_DISPATCH, 2, ELECTED + 330), "and then not");
    lease_follow(leader);
    ok(!lease_over(leader, RIGHT_HOLD, 2, ELECTED + 9000), "who does not lead does not know");
    lease_free(leader);
}

TEST(nothing_is_known_before_office)
{
    struct lease_grant grant;
    struct lease_node entry;
    leader = lease_new(1, 7, 1000);
    lease_lead(leader, ELECTED, TERM, FIRST);
    lease_applied(leader, FIRST - 1);
    asks(2, ELECTED + 10, FIRST - 1);
    lease_answered(leader, ELECTED + 500);
    ok(!grants(ELECTED + 600, 2, &grant), "nothing is granted");
    ok(!lease_proposal(leader, ELECTED + 600, &entry), "nothing is proposed");
    ok(!lease_over(leader, RIGHT_HOLD, 2, ELECTED + 9000), "nothing is over");
    ok(!lease_have(leader, RIGHT_DISPATCH, ELECTED + 600), "nothing is dispatched");
    is_int(lease_tell_w(leader, ELECTED + 9000), 0, "W is not known");
    lease_free(leader);
}

TEST(a_leader_has_rights_by_what_is_answered)
{
    begin();
    lease_answered(leader, ELECTED + 100);
    ok(!lease_have(leader, RIGHT_DISPATCH, ELECTED + 329), "the one of before may dispatch");
    ok(lease_have(leader, RIGHT_DISPATCH, ELECTED + 330), "this one may");
    ok(lease_have(leader, RIGHT_DISPATCH, ELECTED + 399), "until");
    ok(!lease_have(leader, RIGHT_DISPATCH, ELECTED + 400),
       "its heartbeats have long been unanswered");
    ok(lease_have(leader, RIGHT_ANSWER, ELECTED + 1599), "it may answer");
    ok(!lease_have(leader, RIGHT_ANSWER, ELECTED + 1600), "not for ever");
    ok(lease_have(leader, RIGHT_HOLD, ELECTED + 3099), "it may hold");
    ok(!lease_have(leader, RIGHT_HOLD, ELECTED + 3100), "not for ever");
    lease_follow(leader);
    ok(lease_have(leader, RIGHT_HOLD, ELECTED + 3099), "also when it leads no more");
    lease_free(leader);
    leader = lease_new(1, 7, 1000);
    lease_lead(leader, ELECTED, TERM, FIRST);
    lease_applied(leader, FIRST);
    lease_answered(leader, ELECTED + 100);
    ok(!lease_have(leader, RIGHT_ANSWER, ELECTED + 200), "who is not present has no rights");
    ok(proposes(ELECTED + 200, 1, true), "so it shall be");
    applies(ELECTED + 210, 1, 7, true, FIRST + 1);
    lease_answered(leader, ELECTED + 100);
    ok(lease_have(leader, RIGHT_ANSWER, ELECTED + 220), "and has");
    lease_free(leader);
}

TEST(a_right_runs_from_the_asking)
{
    struct lease *node = lease_new(2, 7, 1000);
    struct lease_ask ask;
    lease_applied(node, 42);
    lease_term(node, TERM);
    lease_ask(node, 2000, &ask);
    is_int(ask.sent_ms, 2000, "when");
    is_int(ask.applied, 42, "how far");
    is_int(ask.term, TERM, "which term it knows");
    ok(!ask.answers, "what it may");
    struct lease_grant grant = {.incarnation = 7, .sent_ms = 2000, .term = TERM, .answer = true};
    lease_granted(node, 2400, &grant);
    ok(lease_have(node, RIGHT_ANSWER, 3499), "a second and a half to answer");
    ok(!lease_have(node, RIGHT_ANSWER, 3500), "from then on not");
    ok(lease_have(node, RIGHT_HOLD, 4999), "three seconds to hold");
    ok(!lease_have(node, RIGHT_HOLD, 5000), "from then on not");
    grant = (struct lease_grant){.incarnation = 7, .sent_ms = 4000, .term = TERM};
    lease_granted(node, 4100, &grant);
    ok(!lease_have(node, RIGHT_ANSWER, 4200), "a right to hold is none to answer");
    ok(lease_have(node, RIGHT_HOLD, 6999), "it may hold");
    lease_free(node);
}

TEST(what_was_not_asked_is_not_granted)
{
    static const struct {
        struct lease_grant grant;
        const char *what;
    } rows[] = {
        {{6, 2000, TERM, true}, "what an earlier start asked"},
        {{8, 2000, TERM, true}, "what a later start will ask"},
        {{7, 2000, TERM - 1, true}, "what a leader of before grants"},
        {{7, 3001, TERM, true}, "what will be asked"},
        {{7, UINT64_MAX, TERM, true}, "what never will be"},
        {{7, 999, TERM, true}, "what was asked before the start"},
    };
    struct lease *node = lease_new(2, 7, 1000);
    lease_term(node, TERM);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lease_granted(node, 3000, &rows[i].grant);
        ok(!lease_have(node, RIGHT_HOLD, 3000), "%s does not count", rows[i].what);
    }
    lease_free(node);
}

TEST(w_waits_for_those_who_may_answer)
{
    begin();
    lease_applied(leader, FIRST + 20);
    is_int(lease_tell_w(leader, ELECTED + 100), 0, "two have said nothing");
    asks(2, ELECTED + 110, FIRST + 10); /* it knows this term, and has no right */
    is_int(lease_tell_w(leader, ELECTED + 120), 0, "one has said nothing");
    struct lease_ask ask = ask_of(ELECTED + 130, FIRST - 5);
    ask.answers = true;
    lease_asked(leader, ELECTED + 130, 3, &ask);
    is_int(lease_tell_w(leader, ELECTED + 140), FIRST - 5, "what the one that answers has");
    is_int(lease_tell_w(leader, ELECTED + 1649), FIRST - 5, "as long as it may");
    is_int(lease_tell_w(leader, ELECTED + 1650), FIRST + 20, "and then what this one has");
    lease_free(leader);
}

TEST(w_does_not_wait_for_ever)
{
    begin();
    is_int(lease_tell_w(leader, ELECTED + 1649), 0, "nobody has said anything");
    is_int(lease_tell_w(leader, ELECTED + 1650), FIRST, "whoever might have answered does not now");
    lease_free(leader);
}

TEST(who_has_no_right_but_takes_an_old_grant_counts)
{
    struct lease_ask ask = ask_of(ELECTED + 10, FIRST - 5);
    begin();
    ask.term = TERM - 1;
    applies(ELECTED, 3, 7, false, FIRST + 1);
    lease_asked(leader, ELECTED + 10, 2, &ask);
    is_int(lease_tell_w(leader, ELECTED + 20), FIRST - 5, "a grant of before may be on its way");
    asks(2, ELECTED + 30, FIRST - 5);
    is_int(lease_tell_w(leader, ELECTED + 40), FIRST + 1, "it takes none of before");
    lease_free(leader);
}

TEST(w_does_not_fall)
{
    struct lease_grant grant;
    begin();
    applies(ELECTED, 3, 7, false, FIRST + 1);
    asks(2, ELECTED + 10, FIRST);
    lease_applied(leader, FIRST + 9);
    is_int(lease_tell_w(leader, ELECTED + 20), FIRST + 9, "nobody else may answer");
    lease_answered(leader, ELECTED + 30);
    ok(grants(ELECTED + 40, 2, &grant) && !grant.answer, "who has less may only hold");
    asks(2, ELECTED + 50, FIRST + 9);
    lease_answered(leader, ELECTED + 60);
    ok(grants(ELECTED + 70, 2, &grant) && grant.answer, "who has as much may answer");
    lease_applied(leader, FIRST + 30);
    is_int(lease_tell_w(leader, ELECTED + 80), FIRST + 9, "it has that, and no more");
    lease_heard_w(leader, FIRST + 3);
    is_int(lease_w(leader), FIRST + 9, "less is not believed");
    asks(2, ELECTED + 90, FIRST + 20);
    is_int(lease_tell_w(leader, ELECTED + 100), FIRST + 20, "it has more");
    lease_free(leader);
}

/* From a moment on, every 100 ms: what node 2 says of itself, and whether it may answer then. */
static bool goes_on(uint64_t from_ms, uint64_t until_ms, uint64_t applied)
{
    struct lease_grant grant = {.answer = false};
    for (uint64_t now = from_ms; now <= until_ms; now += 100) {
        asks(2, now, applied);
        asks(3, now, FIRST + 50);
        lease_answered(leader, now + 1);
        grants(now + 2, 2, &grant);
        struct lease_grant other;
        grants(now + 2, 3, &other);
    }
    return grant.answer;
}

TEST(who_is_behind_does_not_hold_w_back)
{
    begin();
    lease_applied(leader, FIRST + 50);
    ok(goes_on(ELECTED + 100, ELECTED + 500, FIRST), "a little behind is not behind");
    ok(!goes_on(ELECTED + 600, ELECTED + 900, FIRST), "half a second is");
    is_int(lease_tell_w(leader, ELECTED + 900), FIRST, "so far it may answer");
    ok(!goes_on(ELECTED + 1000, ELECTED + 2200, FIRST), "it gets no more");
    is_int(lease_tell_w(leader, ELECTED + 2200), FIRST + 50, "so W rises");
    ok(!goes_on(ELECTED + 2300, ELECTED + 4200, FIRST + 50), "it has to keep up");
    ok(goes_on(ELECTED + 4300, ELECTED + 4400, FIRST + 50), "for two seconds");
    lease_free(leader);
}

TEST(no_more_nodes_than_there_is_room_for)
{
    struct lease_node entry, present[LEASE_NODES_MAX];
    uint64_t index = FIRST;
    begin();
    for (uint64_t node = 1000; node < 3000; node++)
        asks(node, ELECTED + node, FIRST);
    for (uint32_t i = 0; lease_proposal(leader, ELECTED + 3000, &entry) && i < 100; i++)
        lease_proposed(leader, ++index, &entry);
    is_int(index, FIRST + LEASE_NODES_MAX - 3, "as many as there is room for are made present");
    for (uint64_t i = FIRST + 1; i <= index; i++)
        applies(ELECTED + 3000, 999 + i - FIRST, 7, true, i);
    is_int(lease_present(leader, present), LEASE_NODES_MAX, "all places are taken");
    asks(5000, ELECTED + 3100, FIRST);
    ok(!lease_proposal(leader, ELECTED + 3100, &entry), "one more is not heard");
    lease_free(leader);
}

TEST(presence_goes_with_the_state)
{
    struct lease_node present[LEASE_NODES_MAX];
    begin();
    applies(ELECTED, 3, 7, false, FIRST + 1);
    size_t count = lease_present(leader, present);
    is_int(count, 2, "two are present");
    struct lease *other = lease_new(2, 8, 500);
    lease_restored(other, 500, FIRST + 1, present, count);
    struct lease_ask ask;
    lease_ask(other, 600, &ask);
    is_int(ask.applied, FIRST + 1, "the state is that new");
    lease_lead(other, 1000, TERM + 1, FIRST + 2);
    lease_applied(other, FIRST + 2);
    ok(!lease_over(other, RIGHT_HOLD, 1, 1100), "who was present may hold");
    ok(lease_over(other, RIGHT_HOLD, 3, 1100), "who was not does not");
    lease_free(other);
    lease_free(leader);
}

TEST(barrier)
{
    static const struct {
        struct lease_barrier barrier;
        bool early, late;
        const char *what;
    } rows[] = {
        {{BARRIER_LINKED, false, false, false},
         false,
         false,
         "who is here has to say what it holds"},
        {{BARRIER_LINKED, true, true, true}, true, true, "and has said it"},
        {{BARRIER_SILENT, false, false, true}, false, true, "who is silent may hold"},
        {{BARRIER_SILENT, true, false, true}, false, true, "whatever it said"},
        {{BARRIER_SILENT, false, false, false}, true, true, "nothing was given"},
        {{BARRIER_SILENT, false, true, false}, false, true, "it may be the one consumer"},
        {{BARRIER_GONE, false, false, true}, true, true, "who is gone holds nothing"},
        {{BARRIER_GONE, false, true, true}, false, true, "unless that is forged"},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_int(lease_barrier_passed(leader, 2, &rows[i].barrier, ELECTED + 3299), rows[i].early,
               "%s, at first", rows[i].what);
        is_int(lease_barrier_passed(leader, 2, &rows[i].barrier, ELECTED + 3300), rows[i].late,
               "%s, when its right is over", rows[i].what);
    }
    lease_free(leader);
}

int main(void)
{
    RUN(a_grant_waits_for_what_was_sent_later);
    RUN(a_question_waits_though_others_come);
    RUN(only_the_present_are_granted);
    RUN(another_start_is_another_presence);
    RUN(who_is_silent_becomes_absent);
    RUN(a_new_leader_takes_the_present_for_holders);
    RUN(nothing_is_known_before_office);
    RUN(a_leader_has_rights_by_what_is_answered);
    RUN(a_right_runs_from_the_asking);
    RUN(what_was_not_asked_is_not_granted);
    RUN(w_waits_for_those_who_may_answer);
    RUN(w_does_not_wait_for_ever);
    RUN(who_has_no_right_but_takes_an_old_grant_counts);
    RUN(w_does_not_fall);
    RUN(who_is_behind_does_not_hold_w_back);
    RUN(no_more_nodes_than_there_is_room_for);
    RUN(presence_goes_with_the_state);
    RUN(barrier);
    return done();
}
