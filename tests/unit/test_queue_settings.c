/* What a queue's arguments come to. */
#include "amqp/text.h"
#include "queue/queue_settings.h"
#include "tests/lib/tap.h"

static struct buffer memory;

/* The settings of a queue with these arguments. */
static const struct queue_settings *settings_of(const char *arguments)
{
    struct text_given given = {0};
    struct bytes table;
    if (!text_read_table(bytes_str(arguments), &memory, &table, &given))
        bail("%s", given.error);
    return queue_settings_new(table);
}

TEST(a_queue_without_arguments_sets_nothing)
{
    const struct queue_settings *settings = queue_settings_new(bytes_of(NULL, 0));
    ok(!settings->dead_letter_exchange && !settings->dead_letter_routing_key, "no dead letters");
    ok(settings->message_ttl_ms == SETTING_NONE && settings->expires_ms == SETTING_NONE, "no time");
    ok(settings->max_length == SETTING_NONE && settings->max_length_bytes == SETTING_NONE,
       "no length");
    ok(settings->overflow == OVERFLOW_DROP_HEAD, "it would drop from the head");
    ok(settings->timeout_action == TIMEOUT_CLOSE, "a late consumer would lose its channel");
    ok(!settings->single_active_consumer, "all consumers are active");
    ok(settings->delivery_limit == SETTING_NONE, "messages may come back for ever");
    ok(queue_settings_new(bytes_of(NULL, 0)) == settings, "and it shares that with its like");
    queue_settings_free(settings);
    ok(settings_of("{x-queue-type:str classic, x-mine:i64 7}") == settings, "also with arguments that set none");
}

TEST(each_argument_sets_its_field)
{
    const struct queue_settings *settings =
        settings_of("{x-expires:i64 1000, x-message-ttl:i32 0, x-max-length:i64 3, "
                    "x-max-length-bytes:i64 4096, x-max-priority:i8 9, x-delivery-limit:i64 20, "
                    "x-consumer-timeout:i64 60000, x-consumer-timeout-action:str return, "
                    "x-overflow:str reject-publish, "
                    "x-single-active-consumer:bool true, x-dead-letter-exchange:str x, "
                    "x-dead-letter-routing-key:str k, x-dead-letter-strategy:str at-least-once, x-queue-type:str quorum}");
    is_int(settings->expires_ms, 1000, "x-expires");
    is_int(settings->message_ttl_ms, 0, "x-message-ttl, of which none is not 0");
    is_int(settings->max_length, 3, "x-max-length");
    is_int(settings->max_length_bytes, 4096, "x-max-length-bytes");
    is_int(settings->max_priority, 9, "x-max-priority");
    is_int(settings->delivery_limit, 20, "x-delivery-limit");
    is_int(settings->consumer_timeout_ms, 60000, "x-consumer-timeout");
    ok(settings->timeout_action == TIMEOUT_RETURN, "x-consumer-timeout-action");
    ok(settings->overflow == OVERFLOW_REJECT, "x-overflow");
    ok(settings->single_active_consumer, "x-single-active-consumer");
    is_str(settings->dead_letter_exchange, "x", "x-dead-letter-exchange");
    is_str(settings->dead_letter_routing_key, "k", "x-dead-letter-routing-key");
    ok(queue_keeps_letters(settings), "x-dead-letter-strategy");
    ok(settings->is_quorum, "x-queue-type");
    queue_settings_free(settings);
}

TEST(a_quorum_queue_has_a_limit_of_deliveries)
{
    const struct queue_settings *settings = settings_of("{x-queue-type:str quorum}");
    is_int(settings->delivery_limit, QUORUM_DELIVERY_LIMIT, "though it does not say one");
    queue_settings_free(settings);
    settings = settings_of("{x-queue-type:str quorum, x-delivery-limit:i8 0}");
    is_int(settings->delivery_limit, 0, "another if it does");
    queue_settings_free(settings);
    settings = settings_of("{x-queue-type:str quorum, x-delivery-limit:i32 -7}");
    ok(settings->delivery_limit == SETTING_NONE, "and none for a negative one");
    queue_settings_free(settings);
}

TEST(a_value_of_another_type_sets_nothing)
{
    const struct queue_settings *settings =
        settings_of("{x-expires:str 1000, x-message-ttl:i64 -1, x-overflow:str sideways, "
                    "x-single-active-consumer:i8 1, x-max-length:bool true, "
                    "x-dead-letter-exchange:i8 1}");
    ok(settings == queue_settings_new(bytes_of(NULL, 0)), "as without arguments");
}

TEST(a_routing_key_is_as_long_as_a_key_can_be)
{
    char text[400] = "{x-dead-letter-routing-key:str ";
    size_t size = strlen(text);
    memset(text + size, 'k', 300);
    text[size + 300] = '}';
    const struct queue_settings *settings = settings_of(text);
    is_int(strlen(settings->dead_letter_routing_key), 255, "and not longer");
    queue_settings_free(settings);
}

int main(void)
{
    RUN(a_queue_without_arguments_sets_nothing);
    RUN(each_argument_sets_its_field);
    RUN(a_quorum_queue_has_a_limit_of_deliveries);
    RUN(a_value_of_another_type_sets_nothing);
    RUN(a_routing_key_is_as_long_as_a_key_can_be);
    buffer_free(&memory);
    return done();
}
