/* What a queue's arguments, its policy and the operator's come to. */
#include "amqp/text.h"
#include "queue/queue_settings.h"
#include "tests/lib/tap.h"

static struct buffer memory, policy_memory, operators_memory;
static struct settings_pool pool;

static struct bytes table_of(const char *text, struct buffer *room)
{
    struct text_given given = {0};
    struct bytes table;
    if (!text_read_table(bytes_str(text), room, &table, &given))
        bail("%s", given.error);
    return table;
}

/* The settings of a queue with these arguments. */
static const struct queue_settings *settings_of(const char *arguments)
{
    struct queue_sources sources = {.arguments = table_of(arguments, &memory)};
    return queue_settings_take(&pool, &sources);
}

static uint64_t policy_number;

/* Each with policies that no other has had. */
static const struct queue_settings *settings_of_all(const char *arguments, const char *policy,
                                                    const char *operators)
{
    policy_number += 2;
    struct queue_sources sources = {.arguments = table_of(arguments, &memory),
                                    .policy = table_of(policy, &policy_memory),
                                    .operators = table_of(operators, &operators_memory),
                                    .policy_number = policy_number - 1,
                                    .operators_number = policy_number};
    return queue_settings_take(&pool, &sources);
}

static const struct queue_settings *settings_of_none(void)
{
    struct queue_sources none = {0};
    return queue_settings_take(&pool, &none);
}

TEST(a_queue_without_arguments_sets_nothing)
{
    const struct queue_settings *settings = settings_of_none();
    ok(!settings->dead_letter_exchange && !settings->dead_letter_routing_key, "no dead letters");
    ok(settings->message_ttl_ms == SETTING_NONE && settings->expires_ms == SETTING_NONE, "no time");
    ok(settings->max_length == SETTING_NONE && settings->max_length_bytes == SETTING_NONE,
       "no length");
    ok(settings->overflow == OVERFLOW_DROP_HEAD, "it would drop from the head");
    ok(settings->timeout_action == TIMEOUT_CLOSE, "a late consumer would lose its channel");
    ok(!settings->single_active_consumer, "all consumers are active");
    ok(settings->delivery_limit == SETTING_NONE, "messages may come back for ever");
    ok(settings_of_none() == settings, "and it shares that with its like");
    queue_settings_give_back(&pool, settings);
    ok(settings_of("{x-queue-type:str classic, x-mine:i64 7}") == settings, "also with arguments that set none");
}

TEST(each_argument_sets_its_field)
{
    const struct queue_settings *settings =
        settings_of("{x-expires:i64 1000, x-message-ttl:i32 0, x-max-length:i64 3, "
                    "x-max-length-bytes:i64 4096, x-max-priority:i8 9, x-delivery-limit:i64 20, "
                    "x-consumer-timeout:i64 60000, x-consumer-timeout-action:str return, "
                    "x-overflow:str reject-publish, x-delayed-retry-type:str failed, "
                    "x-delayed-retry-min:i32 5, x-delayed-retry-max:i64 9, "
                    "x-retry-backoff:str exponential, "
                    "x-single-active-consumer:bool true, x-dead-letter-exchange:str x, "
                    "x-dead-letter-routing-key:str k, x-dead-letter-strategy:str at-least-once, x-queue-type:str quorum}");
    is_int(settings->expires_ms, 1000, "x-expires");
    is_int(settings->message_ttl_ms, 0, "x-message-ttl, of which none is not 0");
    is_int(settings->max_length, 3, "x-max-length");
    is_int(settings->max_length_bytes, 4096, "x-max-length-bytes");
    is_int(settings->max_priority, 9, "x-max-priority");
    is_int(settings->delivery_limit, 20, "x-delivery-limit");
    is_int(settings->retry_min_ms, 5, "x-delayed-retry-min");
    is_int(settings->retry_max_ms, 9, "x-delayed-retry-max");
    ok(settings->retry_type == RETRY_FAILED, "x-delayed-retry-type");
    ok(settings->retry_backoff == BACKOFF_EXPONENTIAL, "x-retry-backoff");
    is_int(settings->consumer_timeout_ms, 60000, "x-consumer-timeout");
    ok(settings->timeout_action == TIMEOUT_RETURN, "x-consumer-timeout-action");
    ok(settings->overflow == OVERFLOW_REJECT, "x-overflow");
    ok(settings->single_active_consumer, "x-single-active-consumer");
    is_str(settings->dead_letter_exchange, "x", "x-dead-letter-exchange");
    is_str(settings->dead_letter_routing_key, "k", "x-dead-letter-routing-key");
    ok(queue_keeps_letters(settings), "x-dead-letter-strategy");
    ok(settings->is_quorum, "x-queue-type");
    queue_settings_give_back(&pool, settings);
}

TEST(a_quorum_queue_has_a_limit_of_deliveries)
{
    const struct queue_settings *settings = settings_of("{x-queue-type:str quorum}");
    is_int(settings->delivery_limit, QUORUM_DELIVERY_LIMIT, "though it does not say one");
    queue_settings_give_back(&pool, settings);
    settings = settings_of("{x-queue-type:str quorum, x-delivery-limit:i8 0}");
    is_int(settings->delivery_limit, 0, "another if it does");
    queue_settings_give_back(&pool, settings);
    settings = settings_of("{x-queue-type:str quorum, x-delivery-limit:i32 -7}");
    ok(settings->delivery_limit == SETTING_NONE, "and none for a negative one");
    queue_settings_give_back(&pool, settings);
}

TEST(a_value_of_another_type_sets_nothing)
{
    const struct queue_settings *settings =
        settings_of("{x-expires:str 1000, x-message-ttl:i64 -1, x-overflow:str sideways, "
                    "x-single-active-consumer:i8 1, x-max-length:bool true, "
                    "x-dead-letter-exchange:i8 1}");
    ok(settings == settings_of_none(), "as without arguments");
}

TEST(a_routing_key_is_as_long_as_a_key_can_be)
{
    char text[400] = "{x-dead-letter-routing-key:str ";
    size_t size = strlen(text);
    memset(text + size, 'k', 300);
    text[size + 300] = '}';
    const struct queue_settings *settings = settings_of(text);
    is_int(strlen(settings->dead_letter_routing_key), 255, "and not longer");
    queue_settings_give_back(&pool, settings);
}

/* Of all that a number can come from. */
static void expires_in(const char *arguments, const char *policy, const char *operators,
                       uint64_t wanted)
{
    const struct queue_settings *settings = settings_of_all(arguments, policy, operators);
    is_int(settings->expires_ms, wanted, "%s %s %s", arguments, policy, operators);
    queue_settings_give_back(&pool, settings);
}

TEST(the_lowest_number_counts)
{
    expires_in("{}", "{expires:i64 5}", "{}", 5);
    expires_in("{}", "{}", "{expires:i64 5}", 5);
    expires_in("{}", "{expires:i64 5}", "{expires:i64 3}", 3);
    expires_in("{}", "{expires:i64 3}", "{expires:i64 5}", 3);
    expires_in("{x-expires:i8 4}", "{expires:i64 5}", "{}", 4);
    expires_in("{x-expires:i64 6}", "{expires:i64 5}", "{}", 5);
    expires_in("{x-expires:i8 6}", "{expires:i64 5}", "{expires:i64 4}", 4);
    expires_in("{x-expires:i8 2}", "{max-length:i64 1}", "{expires:i64 4}", 2);
    expires_in("{x-expires:str x}", "{expires:i64 4}", "{}", SETTING_NONE);
    expires_in("{}", "{x-expires:i64 4}", "{}", SETTING_NONE);
}

static void goes_to(const char *arguments, const char *policy, const char *wanted)
{
    const struct queue_settings *settings = settings_of_all(arguments, policy, "{}");
    is_str(settings->dead_letter_exchange, wanted, "%s %s", arguments, policy);
    queue_settings_give_back(&pool, settings);
}

TEST(an_argument_counts_before_a_policy)
{
    goes_to("{}", "{dead-letter-exchange:str p}", "p");
    goes_to("{x-dead-letter-exchange:str a}", "{dead-letter-exchange:str p}", "a");
    goes_to("{x-dead-letter-exchange:str a}", "{dead-letter-routing-key:str k}", "a");
}

static void overflows(const char *arguments, const char *policy, const char *operators,
                      enum overflow wanted)
{
    const struct queue_settings *settings = settings_of_all(arguments, policy, operators);
    is_int(settings->overflow, wanted, "%s %s %s", arguments, policy, operators);
    queue_settings_give_back(&pool, settings);
}

static void mirror(const char *arguments, const char *policy, bool wanted)
{
    struct queue_sources sources = {.arguments = table_of(arguments, &memory),
                                    .policy = table_of(policy, &policy_memory),
                                    .policy_number = ++policy_number};
    const struct queue_settings *settings = queue_settings_take(&pool, &sources);
    ok(settings->is_mirrored == wanted && queue_sources_mirror(&sources) == wanted, "%s with %s: %s", arguments,
       policy, wanted ? "mirrored" : "not mirrored");
    queue_settings_give_back(&pool, settings);
}

TEST(mirrors_are_wanted)
{
    mirror("{}", "{max-length:i64 3}", false);
    mirror("{}", "{ha-mode:str all}", true);
    mirror("{}", "{ha-mode:str exactly, ha-params:i64 2}", true);
    mirror("{}", "{ha-mode:str nodes, ha-params:array [str a]}", true);
    mirror("{mirrored:bool true}", "{}", true);
    mirror("{mirrored:bool false}", "{ha-mode:str all}", false);
}

TEST(what_a_full_queue_does)
{
    overflows("{}", "{overflow:str reject-publish}", "{}", OVERFLOW_REJECT);
    overflows("{}", "{overflow:str reject-publish}", "{overflow:str drop-head}",
              OVERFLOW_DROP_HEAD);
    overflows("{x-overflow:str reject-publish-dlx}", "{overflow:str reject-publish}", "{}",
              OVERFLOW_REJECT_DLX);
    overflows("{x-overflow:str drop-head, x-queue-type:str quorum}",
              "{overflow:str reject-publish}", "{}", OVERFLOW_REJECT);
}

TEST(queues_share_their_settings)
{
    struct queue_sources sources = {.arguments = table_of("{x-max-length:i8 5}", &memory)};
    const struct queue_settings *one = queue_settings_take(&pool, &sources);
    ok(queue_settings_take(&pool, &sources) == one, "those of the same arguments");
    struct queue_sources other = sources;
    other.policy = table_of("{expires:i64 7}", &policy_memory);
    other.policy_number = ++policy_number;
    const struct queue_settings *two = queue_settings_take(&pool, &other);
    ok(two != one && two->max_length == 5 && two->expires_ms == 7, "but not of another policy");
    ok(queue_settings_take(&pool, &other) == two, "those of the same policy");
    other.policy_number = ++policy_number;
    const struct queue_settings *three = queue_settings_take(&pool, &other);
    ok(three != two, "unless it was set anew");
    is_int(map_count(&pool.shared), 3, "three of them");
    queue_settings_give_back(&pool, one);
    is_int(one->max_length, 5, "what somebody has stays");
    queue_settings_give_back(&pool, one);
    queue_settings_give_back(&pool, two);
    queue_settings_give_back(&pool, two);
    queue_settings_give_back(&pool, three);
    is_int(map_count(&pool.shared), 0, "and goes with the last");
}

int main(void)
{
    settings_pool_init(&pool, 1);
    RUN(a_queue_without_arguments_sets_nothing);
    RUN(each_argument_sets_its_field);
    RUN(a_quorum_queue_has_a_limit_of_deliveries);
    RUN(a_value_of_another_type_sets_nothing);
    RUN(a_routing_key_is_as_long_as_a_key_can_be);
    RUN(the_lowest_number_counts);
    RUN(an_argument_counts_before_a_policy);
    RUN(mirrors_are_wanted);
    RUN(what_a_full_queue_does);
    RUN(queues_share_their_settings);
    settings_pool_free(&pool);
    buffer_free(&memory);
    buffer_free(&policy_memory);
    buffer_free(&operators_memory);
    return done();
}
