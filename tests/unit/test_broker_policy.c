/* Policies as objects: what may be set, which one counts, what several come to. What queues and
 * exchanges make of them is test_broker_reconfigure.c. */
#include <stdio.h>

#include "amqp/text.h"
#include "broker/exchange.h"
#include "broker/policy.h"
#include "broker/vhost_removal.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;
static struct buffer memory;

static struct bytes table_of(const char *text)
{
    struct text_given given = {0};
    struct bytes table;
    if (!text_read_table(bytes_str(text), &memory, &table, &given))
        bail("%s", given.error);
    return table;
}

static struct policy_request request_of(const char *name, const char *pattern,
                                        const char *definition)
{
    return (struct policy_request){
        .vhost = bytes_str("/"),
        .name = bytes_str(name),
        .pattern = bytes_str(pattern),
        .definition = table_of(definition),
    };
}

static bool set(const struct policy_request *request)
{
    return policy_set(&bench.broker, request, &bench.error);
}

static void put(const char *name, const char *pattern, const char *apply_to, int64_t priority)
{
    struct policy_request request = request_of(name, pattern, "{max-length:i64 5}");
    request.apply_to = bytes_str(apply_to);
    request.priority = priority;
    ok(set(&request), "policy %s", name);
}

static bool is_refused(const char *definition, bool is_operator, const char *why)
{
    struct policy_request request = request_of("p", "", definition);
    request.is_operator = is_operator;
    ok(!set(&request), "%s", definition);
    return is_str(bench_text(&bench), why, "why");
}

/* The names of those that count, "-" for none: of queues, classic and quorum, and of exchanges. */
static void counts(const char *name, const char *wanted)
{
    struct budget budget = budget_of(BUDGET_MS);
    struct bytes bytes = bytes_str(name);
    const struct policy *of[] = {policy_match_queue(bench.vhost, false, bytes, 1, &budget),
                                 policy_match_queue(bench.vhost, false, bytes, 2, &budget),
                                 policy_match_exchange(bench.vhost, false, bytes, &budget)};
    char found[100] = "";
    for (int i = 0; i < 3; i++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s", i ? " " : "",
                 of[i] ? of[i]->name : "-");
    is_str(found, wanted, "what counts for '%s'", name);
}

TEST(a_pattern_is_not_anchored)
{
    bench_new(&bench);
    put("p", "b+", "all", 0);
    counts("abc", "p p p");
    counts("ac", "- - -");
    put("p", "^b$", "all", 0);
    counts("abc", "- - -");
    counts("b", "p p p");
    bench_free(&bench);
}

TEST(what_a_policy_applies_to)
{
    bench_new(&bench);
    put("all", "^a", "all", 0);
    put("queues", "^q", "queues", 0);
    put("exchanges", "^e", "exchanges", 0);
    put("classic", "^c", "classic_queues", 0);
    put("quorum", "^u", "quorum_queues", 0);
    put("streams", "^s", "streams", 0);
    counts("a", "all all all");
    counts("q", "queues queues -");
    counts("e", "- - exchanges");
    counts("c", "classic - -");
    counts("u", "- quorum -");
    counts("s", "- - -");
    struct policy_request request = request_of("p", "", "{expires:i64 1}");
    ok(set(&request), "if it does not say,");
    is_str(policy_applies_to(policy_find(bench.vhost, false, bytes_str("p"))), "all", "to all");
    bench_free(&bench);
}

TEST(the_highest_priority_counts)
{
    bench_new(&bench);
    put("low", "", "all", -3);
    put("b", ".*", "all", 2);
    put("high", "^hi", "all", INT64_MAX);
    put("a", ".*", "all", 2);
    put("z", ".*", "all", 1);
    counts("high", "high high high");
    counts("x", "a a a");
    struct error error;
    ok(policy_delete(&bench.broker, false, bytes_str("/"), bytes_str("a"), &error), "a goes");
    counts("x", "b b b");
    put("b", ".*", "all", 0);
    counts("x", "z z z");
    put("z", "^$", "all", 9);
    counts("x", "b b b");
    size_t at = 0;
    is_str(policy_next(bench.vhost, false, &at)->name, "high", "they are listed in this order");
    is_str(policy_next(bench.vhost, false, &at)->name, "z", "one after the other");
    bench_free(&bench);
}

TEST(a_policy_counts_where_all_of_its_keys_do)
{
    bench_new(&bench);
    struct policy_request mirrors = request_of("mirrors", ".*", "{ha-mode:str all, expires:i64 9}");
    mirrors.priority = 1;
    ok(set(&mirrors), "one for mirrors");
    put("other", ".*", "all", 0);
    counts("x", "mirrors other mirrors");
    struct policy_request stream = request_of("stream", ".*", "{max-age:str 1h}");
    stream.priority = 2;
    ok(set(&stream), "one for streams");
    counts("x", "mirrors other stream");
    bench_free(&bench);
}

TEST(definitions_are_checked)
{
    bench_new(&bench);
    is_refused("{}", false, "406 no policy provided");
    is_refused("{no-such:i64 1}", false,
               "406 [{<<\"no-such\">>,1}] are not recognised policy settings");
    is_refused("{max-lenght:i64 1}", false,
               "406 [{<<\"max-lenght\">>,1}] are not recognised policy settings; did you mean max-length?");
    is_refused("{mesage_ttl:i64 1}", true,
               "406 [{<<\"mesage_ttl\">>,1}] are not recognised policy settings; did you mean "
               "message-ttl?");
    is_refused("{dead-letter-exchange:str x}", true,
               "406 [{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings");
    is_refused("{message-ttl:str 5}", false, "406 <<\"5\">> is not a valid message TTL");
    is_refused("{message-ttl:i64 -1}", false, "406 -1 is not a valid message TTL");
    is_refused("{expires:i64 0}", false, "406 0 is not a valid queue expiry");
    is_refused("{max-length:f64 1.5}", true, "406 1.5 is not a valid maximum length");
    is_refused("{max-length:void}", false, "406 null is not a valid maximum length");
    is_refused("{max-length-bytes:bool true}", false,
               "406 true is not a valid maximum length in bytes");
    is_refused("{max-in-memory-length:i64 -1}", false,
               "406 -1 is not a valid maximum memory in bytes");
    is_refused("{alternate-exchange:i64 1}", false, "406 1 is not a valid alternate exchange name");
    is_refused("{dead-letter-exchange:array [i64 1, str b]}", false,
               "406 [1,<<\"b\">>] is not a valid dead letter exchange name");
    is_refused(
        "{dead-letter-routing-key:table {a:i64 1, b:str c}}", false,
        "406 #{<<\"a\">> => 1,<<\"b\">> => <<\"c\">>} is not a valid dead letter routing key");
    is_refused("{overflow:str sideways}", false,
               "406 <<\"sideways\">> is not a valid overflow value");
    is_refused("{overflow:str drop}", false, "406 <<\"drop\">> is not a valid overflow value");
    is_refused("{dead-letter-strategy:str never}", false,
               "406 <<\"never\">> is not a valid dead letter strategy");
    is_refused("{delivery-limit:str 3}", true, "406 <<\"3\">> is not a valid delivery limit");
    is_refused("{queue-mode:str hot}", false, "406 <<\"hot\">> is not a valid queue-mode value");
    is_refused("{queue-version:i64 3}", false, "406 3 is not a valid queue-version value");
    is_refused("{max-age:str 3x}", false, "406 <<\"3x\">> is not a valid max age");
    is_refused("{consumer-timeout:i64 0}", false, "406 0 is not a valid consumer timeout");
    is_refused("{expires:i64 1, expires:i64 2}", false,
               "406 [<<\"expires\">>] duplicate keys not allowed");
    bench_free(&bench);
}

TEST(so_are_those_of_mirrors_and_federation)
{
    bench_new(&bench);
    is_refused("{ha-params:i64 2}", false,
               "406 ha-mode must be specified to specify ha-params, ha-sync-mode or "
               "ha-promote-on-shutdown");
    is_refused("{ha-mode:str some}", false, "406 <<\"some\">> is not a valid ha-mode value");
    is_refused("{ha-mode:str all, ha-params:i64 2}", false,
               "406 ha-mode=\"all\" does not take parameters");
    is_refused("{ha-mode:str exactly}", false,
               "406 ha-mode=\"exactly\" takes an integer, none given");
    is_refused("{ha-mode:str nodes, ha-params:str a}", false,
               "406 ha-mode=\"nodes\" takes a list, <<\"a\">> given");
    is_refused("{ha-mode:str nodes, ha-params:array []}", false,
               "406 ha-mode=\"nodes\" list must be non-empty");
    is_refused("{ha-mode:str all, ha-sync-mode:str often}", false,
               "406 ha-sync-mode must be \"manual\" or \"automatic\", got <<\"often\">>");
    is_refused("{ha-mode:str all, ha-sync-batch-size:i64 0}", true,
               "406 ha-sync-batch-size takes an integer greater than 0, 0 given");
    is_refused("{federation-upstream:str a, federation-upstream-set:str b}", false,
               "406 cannot specify federation-upstream, federation-upstream-set or "
               "federation-upstream-pattern together");
    struct policy_request request =
        request_of("p", "", "{ha-mode:str exactly, ha-params:i64 2, ha-sync-mode:str automatic}");
    ok(set(&request), "what was written for older brokers is kept");
    bench_free(&bench);
}

TEST(so_is_the_rest)
{
    bench_new(&bench);
    char name[300];
    memset(name, 'n', sizeof(name) - 1);
    name[299] = '\0';
    struct policy_request request = request_of(name, "", "{expires:i64 1}");
    ok(!set(&request), "a long name");
    is_str(bench_text(&bench), "406 the name of a policy has 1 to 255 bytes, and not 299", "why");
    request = request_of("p", "a(b", "{expires:i64 1}");
    ok(!set(&request), "no pattern");
    is_str(bench_text(&bench),
           "406 pattern should be regular expression but is invalid: invalid regular expression "
           "'a(b': missing closing parenthesis at offset 3",
           "why");
    request = request_of("p", "", "{expires:i64 1}");
    request.apply_to = bytes_str("some");
    ok(!set(&request), "to nothing");
    is_str(bench_text(&bench),
           "406 apply-to 'some' unrecognised; should be one of: 'queues', 'classic_queues',  "
           "'quorum_queues', 'streams', 'exchanges', or 'all'",
           "why");
    request.vhost = bytes_str("nowhere");
    ok(!set(&request), "nowhere");
    is_str(bench_text(&bench), "404 no vhost 'nowhere'", "why");
    ok(!policy_delete(&bench.broker, true, bytes_str("/"), bytes_str("p"), &bench.error),
       "no such");
    is_str(bench_text(&bench), "404 no operator policy 'p' in vhost '/'", "why");
    ok(!policy_delete(&bench.broker, false, bytes_str("v"), bytes_str("p"), &bench.error),
       "nor here");
    is_str(bench_text(&bench), "404 no vhost 'v'", "why");
    bench_free(&bench);
}

TEST(every_setting_of_queues_is_a_key)
{
    static const char *const names[] = {
#define SETTING(argument, check, types, done, kind, field, policy) policy,
#define ARGUMENT(argument, check, types, done)
#include "queue/queue_settings.def"
#undef SETTING
#undef ARGUMENT
    };
    char text[100];
    bench_new(&bench);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!names[i])
            continue;
        snprintf(text, sizeof(text), "{%s:void}", names[i]);
        struct policy_request request = request_of("p", "", text);
        ok(!set(&request) && !strstr(bench_text(&bench), "not recognised"), "%s", names[i]);
    }
    bench_free(&bench);
}

TEST(policies_come_back)
{
    bench_new(&bench);
    struct policy_request request =
        request_of("p", "^q", "{expires:i64 7, overflow:str drop-head}");
    request.apply_to = bytes_str("classic_queues");
    request.priority = -4;
    ok(set(&request), "a policy");
    request.is_operator = true;
    request.definition = table_of("{max-length:i64 7}");
    ok(set(&request), "an operator's, of the same name");
    uint64_t number = bench.broker.policy_number;
    ok(set(&request) && bench.broker.policy_number == number, "set again it is the same");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_POLICY), 1, "a policy on record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_OPERATOR_POLICY), 1, "and the other one");
    bench_restart(&bench);
    const struct policy *policy = policy_find(bench.vhost, false, bytes_str("p"));
    is_str(policy_applies_to(policy), "classic_queues", "what it applies to");
    is_int(policy->priority, -4, "its priority");
    is_str(policy->pattern.text, "^q", "its pattern");
    ok(bytes_equal(policy_definition(policy), table_of("{expires:i64 7, overflow:str drop-head}")),
       "its definition");
    policy = policy_find(bench.vhost, true, bytes_str("p"));
    ok(bytes_equal(policy_definition(policy), table_of("{max-length:i64 7}")), "the operator's");
    counts("q", "p - -");
    struct bytes name = bytes_str("p");
    ok(policy_delete(&bench.broker, false, bytes_str("/"), name, &bench.error), "one goes");
    bench_restart(&bench);
    ok(!policy_find(bench.vhost, false, name) && policy_find(bench.vhost, true, name), "for good");
    bench_free(&bench);
}

static void starts_not(const char *entry, size_t key_size, size_t size, const char *why)
{
    char error[300] = "";
    struct broker broker;
    message_pool_init(&bench.pool);
    random_init(&bench.random, 7);
    struct store *store = store_fake_new(&bench.pool);
    store_fake_put(store, bytes_of("\1\1/", 3), bytes_of("\1", 1));
    store_fake_put(store, bytes_of(entry, key_size), bytes_of(entry + key_size, size - key_size));
    broker_init(&broker, store, &bench.pool, &bench.random, &bench.log, 0);
    ok(!broker_restore(&broker, error, sizeof(error)), "a catalogue with a bad policy");
    is_str(error, why, "why");
    broker_free(&broker);
    store_fake_free(store);
    message_pool_free(&bench.pool);
}

TEST(a_bad_entry_ends_the_start)
{
#define STARTS_NOT(key, value, why)                                                                \
    starts_not(key value, sizeof(key) - 1, sizeof(key value) - 1, why)
    STARTS_NOT("\10\1/\1p", "\1\0\0\0\0\0\0\0\0\4some\1q\0",
               "catalogue: policy 'p': what it applies to is unknown");
    STARTS_NOT("\11\1/\1p", "\1\0\0\0\0\0\0\0\0\3all\1q\2xx",
               "catalogue: operator policy 'p': its definition is malformed");
    STARTS_NOT("\10\1/\1p", "\1\0\0\0\0\0\0\0\0\3all\1q", "catalogue: policy 'p': malformed");
    STARTS_NOT("\10\1v\1p", "\1\0\0\0\0\0\0\0\0\3all\1q\0",
               "catalogue: policy 'p': its virtual host is missing");
}

TEST(they_go_with_their_virtual_host)
{
    bench_new(&bench);
    size_t before = store_fake_entries(bench.store);
    struct vhost *other = vhost_put(&bench.broker, bytes_str("v"));
    struct policy_request request = request_of("p", "", "{expires:i64 7}");
    request.vhost = bytes_str("v");
    ok(set(&request), "a policy");
    request.is_operator = true;
    ok(set(&request), "an operator's");
    ok(!policy_find(bench.vhost, false, bytes_str("p")) && policy_find(other, true, bytes_str("p")),
       "it is in its virtual host alone");
    ok(vhost_delete(&bench.broker, bytes_str("v"), &bench.error), "which goes");
    struct budget budget = budget_of(100 * BUDGET_MS);
    vhosts_go(&bench.broker, &budget);
    is_int(store_fake_entries(bench.store), before, "nothing is left on record");
    bench_free(&bench);
}

static void comes_to(const char *mine, const char *operators, const char *wanted)
{
    struct buffer result = {0}, text = {0};
    struct policy_request request = request_of("p", "", mine);
    ok(set(&request), "%s", mine);
    request = request_of("p", "", operators);
    request.is_operator = true;
    ok(set(&request), "%s", operators);
    policy_effective(policy_find(bench.vhost, false, bytes_str("p")),
                     policy_find(bench.vhost, true, bytes_str("p")), &result);
    text_table(&text, buffer_bytes(&result));
    is_bytes(text.data, text.size, wanted, strlen(wanted), "together");
    buffer_free(&result);
    buffer_free(&text);
}

TEST(two_policies_together)
{
    bench_new(&bench);
    comes_to("{max-length:i64 5, expires:i64 10}", "{max-length:i64 7, message-ttl:i64 1}",
             "{max-length:i64 5, expires:i64 10, message-ttl:i64 1}");
    comes_to("{max-length:i64 7}", "{max-length:i64 5}", "{max-length:i64 5}");
    comes_to("{delivery-limit:i64 -1}", "{delivery-limit:i64 5}", "{delivery-limit:i64 5}");
    comes_to("{delivery-limit:i64 5}", "{delivery-limit:i64 -1}", "{delivery-limit:i64 5}");
    comes_to("{overflow:str drop-head}", "{overflow:str reject-publish}",
             "{overflow:str reject-publish}");
    struct buffer result = {0};
    policy_effective(NULL, NULL, &result);
    is_int(result.size, 0, "none of them come to nothing");
    buffer_free(&result);
    bench_free(&bench);
}

TEST(no_pattern_stalls)
{
    char name[256];
    memset(name, 'a', sizeof(name) - 1);
    name[254] = '!';
    name[255] = '\0';
    bench_new(&bench);
    put("hostile", "^(a+)+$", "all", 0);
    put("other", "!", "all", -1);
    struct budget budget = budget_of(BUDGET_MS);
    const struct policy *found =
        policy_match_queue(bench.vhost, false, bytes_str(name), 1, &budget);
    ok(found, "what cannot be found out in time does not match, and what follows counts");
    is_str(found ? found->name : "", "other", "as here");
    ok(budget.left < BUDGET_MS - 5000, "what it took is known");
    budget = budget_of(BUDGET_MS);
    policy_match_queue(bench.vhost, false, bytes_str("aaaa"), 1, &budget);
    ok(budget.left > BUDGET_MS - 500, "a short name takes little");
    bench_free(&bench);
}

int main(void)
{
    RUN(a_pattern_is_not_anchored);
    RUN(what_a_policy_applies_to);
    RUN(the_highest_priority_counts);
    RUN(a_policy_counts_where_all_of_its_keys_do);
    RUN(definitions_are_checked);
    RUN(so_are_those_of_mirrors_and_federation);
    RUN(so_is_the_rest);
    RUN(every_setting_of_queues_is_a_key);
    RUN(policies_come_back);
    RUN(a_bad_entry_ends_the_start);
    RUN(they_go_with_their_virtual_host);
    RUN(two_policies_together);
    RUN(no_pattern_stalls);
    buffer_free(&memory);
    return done();
}
