/* From model to catalogue and back; users; and catalogues that make no sense. */
#include <stdio.h>

#include "base/digest.h"
#include "base/mem.h"
#include "broker/catalogue.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/queue_declare.h"
#include "broker/quota.h"
#include "broker/vhost_removal.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;

TEST(a_new_store_gets_the_usual_things)
{
    bench_new(&bench);
    ok(bench.vhost, "the virtual host /");
    is_int(store_fake_entries(bench.store), 3,
           "a virtual host, a user and a permission are on record");
    is_int(store_fake_settled(bench.store), 1, "the store knows that all queues were named");
    const struct user *guest = user_find(&bench.broker, bytes_str("guest"));
    ok(user_check_password(guest, bytes_str("guest")), "guest has its password");
    bench_restart(&bench);
    is_int(store_fake_entries(bench.store), 3, "a restart adds nothing");
    guest = user_find(&bench.broker, bytes_str("guest"));
    ok(user_check_password(guest, bytes_str("guest")), "and keeps the password");
    bench_free(&bench);
}

TEST(what_is_durable_comes_back)
{
    bench_new(&bench);
    bench_exchange(&bench, "x", "topic", "d", "alternate-exchange=Sy any=I1");
    bench_exchange(&bench, "y", "headers", "dai", NULL);
    bench_exchange(&bench, "passing", "fanout", "", NULL);
    bench_queue(&bench, "q", "d", "x-dead-letter-exchange=Sx x-dead-letter-routing-key=Sk");
    bench_queue(&bench, "r", "da", NULL);
    bench_queue(&bench, "passing", "", NULL);
    bench_queue(&bench, "mine", "dx", NULL);
    bench_bind(&bench, "x", "q", "a.#", NULL);
    bench_bind(&bench, "x", "y", "#", NULL);
    bench_bind(&bench, "y", "r", "", "x-match=Sany b=I2 a=I1");
    bench_bind(&bench, "y", "r", "", "x-match=Sany c=I3");
    bench_bind(&bench, "x", "passing", "#", NULL);
    bench_bind(&bench, "passing", "q", "", NULL);
    bench_bind(&bench, "amq.fanout", "q", "", NULL);
    is_int(store_fake_entries_of(bench.store, CATALOGUE_EXCHANGE), 2, "exchanges on record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_QUEUE), 2, "queues");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_BINDING), 5, "bindings of durable ends");
    bench_publish(&bench, "", "q", NULL, NULL, "kept");
    uint64_t id = vhost_queue(bench.vhost, bytes_str("q"))->id;
    bench_restart(&bench);
    is_int(map_count(&bench.vhost->exchanges), 9, "exchanges, with the predeclared ones");
    is_int(map_count(&bench.vhost->queues), 2, "queues");
    is_int(set_count(&bench.vhost->bindings), 5, "bindings");
    struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    ok(queue && queue->id == id && queue->durable && !queue->auto_delete, "q is as it was");
    is_str(queue->settings->dead_letter_exchange, "x", "with its arguments");
    is_int(queue->counts->ready, 1, "and its message");
    ok(vhost_queue(bench.vhost, bytes_str("r"))->auto_delete, "r is auto-delete");
    struct exchange *y = vhost_exchange(bench.vhost, bytes_str("y"));
    ok(y->auto_delete && y->internal && y->durable, "y is as it was");
    is_int(bench_publish(&bench, "x", "a.b", "c=I3", NULL, ""), 2, "routing is as it was");
    is_int(bench_publish(&bench, "x", "b", "c=I4", NULL, ""), 0, "in all its parts");
    ok(bench_bind(&bench, "y", "r", "", "a=I1 b=I2 x-match=Sany"), "a binding is known again");
    is_int(set_count(&bench.vhost->bindings), 5, "and not a new one");
    ok(bench_unbind(&bench, "y", "r", "", "a=I1 b=I2 x-match=Sany"), "it is unbound");
    ok(exchange_delete(bench.vhost, bytes_str("x"), false, &bench.error), "an exchange goes");
    queue_delete(queue);
    is_int(store_fake_entries_of(bench.store, CATALOGUE_EXCHANGE), 1, "exchanges on record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_QUEUE), 1, "queues");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_BINDING), 1, "bindings");
    bench_restart(&bench);
    is_int(map_count(&bench.vhost->exchanges), 8, "after another restart that is so");
    is_int(map_count(&bench.vhost->queues), 1, "for queues, too");
    bench_free(&bench);
}

/* Which queues they are is said by a policy here, and by an argument. */
static void declare_mirrored(void)
{
    struct policy_request request = {.vhost = bytes_str("/"),
                                     .name = bytes_str("mirrors"),
                                     .pattern = bytes_str("^m"),
                                     .definition = bench_table("ha-mode=Sall")};
    ok(policy_set(&bench.broker, &request, &bench.error), "a policy");
    bench_queue(&bench, "m", "", NULL);
    bench_queue(&bench, "m.auto", "a", NULL);
    bench_queue(&bench, "m.not", "", "mirrored=t0");
    bench_queue(&bench, "m.mine", "x", NULL);
    bench_queue(&bench, "m.durable", "d", NULL);
    bench_queue(&bench, "asked", "", "mirrored=t1");
    bench_queue(&bench, "other", "", NULL);
}

static bool is_there(const char *name)
{
    return vhost_queue(bench.vhost, bytes_str(name));
}

TEST(what_is_mirrored_comes_back_though_it_is_not_durable)
{
    bench_new(&bench);
    bench.broker.options.queue_group = 2;
    declare_mirrored();
    bench_exchange(&bench, "passing", "fanout", "", NULL);
    bench_bind(&bench, "amq.direct", "m.auto", "key", NULL);
    bench_bind(&bench, "passing", "m.auto", "key", NULL);
    bench_bind(&bench, "amq.direct", "other", "key", NULL);
    is_int(store_fake_entries_of(bench.store, CATALOGUE_QUEUE), 4, "queues on record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_BINDING), 1, "bindings of ends that survive");
    bench_publish(&bench, "amq.direct", "key", NULL, NULL, "kept");
    bench_restart(&bench);
    ok(is_there("m") && is_there("m.auto") && is_there("asked") && is_there("m.durable"), "those are back");
    ok(!is_there("m.not") && !is_there("m.mine") && !is_there("other"), "and others are not");
    const struct queue *queue = vhost_queue(bench.vhost, bytes_str("m.auto"));
    ok(queue_survives(queue) && !queue->durable && queue->auto_delete, "it is no more durable than it was");
    is_int(queue->counts->ready, 1, "it has its message");
    is_int(queue->bindings.next != &queue->bindings, 1, "and is bound");
    ok(bench_queue(&bench, "m.auto", "a", NULL), "it is declared once more as what it was");
    ok(!bench_queue(&bench, "m.auto", "da", NULL), "and not as a durable one");
    is_str(bench_text(&bench),
           "406 inequivalent arg 'durable' for queue 'm.auto' in vhost '/': received 'true' but current is 'false'",
           "which is said");
    queue_delete(vhost_queue(bench.vhost, bytes_str("m.auto")));
    is_int(store_fake_entries_of(bench.store, CATALOGUE_QUEUE), 3, "one that goes is off record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_BINDING), 0, "with its bindings");
    bench_free(&bench);
}

TEST(without_a_group_there_are_no_mirrors)
{
    bench_new(&bench);
    declare_mirrored();
    is_int(store_fake_entries_of(bench.store, CATALOGUE_QUEUE), 1, "the durable queue alone is on record");
    bench_restart(&bench);
    is_int(map_count(&bench.vhost->queues), 1, "and comes back");
    bench_free(&bench);
}

TEST(a_mirrored_queue_is_newer_than_others)
{
    struct buffer room = {0};
    struct bytes key, value;
    struct change change = {.kind = CATALOGUE_QUEUE, .durable = true, .name = bytes_str("q"), .id = 5}, read;
    catalogue_write(&change, &room, &key, &value);
    is_int(value.data[0], CATALOGUE_VERSION, "a durable one can be read by who knows of no mirrors");
    change.is_mirrored = true;
    catalogue_write(&change, &room, &key, &value);
    is_int(value.data[0], CATALOGUE_VERSION_OF_MIRRORED, "a mirrored one cannot");
    is_int(catalogue_read(key, value, &read), CATALOGUE_OK, "it is read here");
    ok(read.is_mirrored && read.durable && read.id == 5, "as it was");
    room.data[key.size]++;
    is_int(catalogue_read(key, value, &read), CATALOGUE_NEWER, "a newer one is not");
    buffer_free(&room);
}

TEST(several_virtual_hosts_are_apart)
{
    bench_new(&bench);
    struct vhost *other = vhost_put(&bench.broker, bytes_str("other"));
    struct queue_declare declare = {.name = bytes_str("q"), .durable = true};
    bool created;
    ok(queue_declare(other, &declare, &created, &bench.error), "a queue in another one");
    ok(!vhost_queue(bench.vhost, bytes_str("q")), "is not in the first");
    bench_queue(&bench, "q", "d", NULL);
    bench_restart(&bench);
    other = vhost_find(&bench.broker, bytes_str("other"));
    ok(other && vhost_queue(other, bytes_str("q")), "after a restart it is there");
    ok(vhost_queue(other, bytes_str("q")) != vhost_queue(bench.vhost, bytes_str("q")),
       "and another one");
    bench_free(&bench);
}

TEST(users_have_passwords)
{
    bench_new(&bench);
    struct user *user = user_put(&bench.broker, bytes_str("ann"), bytes_str("secret"));
    ok(user_check_password(user, bytes_str("secret")), "the right one");
    ok(!user_check_password(user, bytes_str("Secret")), "a wrong one");
    ok(!user_check_password(user, bytes_str("")), "none");
    ok(!user_check_password(NULL, bytes_str("secret")), "no such user");
    uint8_t before[PASSWORD_HASH_SIZE];
    memcpy(before, user->password_hash, sizeof(before));
    ok(user_put(&bench.broker, bytes_str("ann"), bytes_str("secret")) == user, "set again");
    ok(memcmp(before, user->password_hash, sizeof(before)) != 0, "with another salt");
    user_put_hash(&bench.broker, bytes_str("bob"), bytes_of(NULL, 0));
    bench_restart(&bench);
    ok(user_check_password(user_find(&bench.broker, bytes_str("ann")), bytes_str("secret")),
       "kept");
    const struct user *bob = user_find(&bench.broker, bytes_str("bob"));
    ok(bob && !user_check_password(bob, bytes_str("")), "one without a password cannot log in");
    bench_free(&bench);
}

static const struct parameter *parameter(const char *vhost, const char *name)
{
    struct parameter_name wanted = {.vhost = bytes_str(vhost ? vhost : ""),
                                    .component = bytes_str(vhost ? "shovel" : ""),
                                    .name = bytes_str(name),
                                    .is_global = !vhost};
    return parameter_find(&bench.broker, &wanted);
}

static bool set_parameter(const char *vhost, const char *component, const char *name,
                          const char *value, bool is_text)
{
    struct parameter_request request = {.name = {.vhost = bytes_str(vhost ? vhost : ""),
                                                 .component = bytes_str(component),
                                                 .name = bytes_str(name),
                                                 .is_global = !vhost},
                                        .value = bytes_str(value),
                                        .is_text = is_text};
    return parameter_set(&bench.broker, &request, &bench.error);
}

TEST(parameters_come_back)
{
    bench_new(&bench);
    ok(set_parameter("/", "shovel", "s", "{\"a\":1}", false), "one of a virtual host");
    ok(set_parameter(NULL, "", "s", "[1]", false), "a global one of the same name");
    ok(set_parameter(NULL, "", "cluster_name", "here", true), "one that is a text");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_PARAMETER), 1, "on record");
    is_int(store_fake_entries_of(bench.store, CATALOGUE_GLOBAL_PARAMETER), 2, "the global ones");
    uint64_t changes = store_fake_changes(bench.store);
    ok(set_parameter(NULL, "", "s", "[1]", false), "the same once more");
    is_int(store_fake_changes(bench.store), changes, "changes nothing");
    for (int start = 0; start < 2; start++) {
        is_str((const char *)parameter("/", "s")->value, "{\"a\":1}", "a value");
        is_str((const char *)parameter(NULL, "s")->value, "[1]", "a global one");
        ok(!parameter(NULL, "s")->is_text && parameter(NULL, "cluster_name")->is_text, "texts");
        struct bytes name = parameter_cluster_name(&bench.broker, "otherwise");
        ok(bytes_equal_str(name, "here"), "the name of the cluster");
        bench_restart(&bench);
    }
    struct parameter_name gone = {.is_global = true, .name = bytes_str("cluster_name")};
    ok(parameter_delete(&bench.broker, &gone, &bench.error), "one goes");
    ok(!parameter_delete(&bench.broker, &gone, &bench.error) && bench.error.code == 404, "once");
    bench_restart(&bench);
    ok(!parameter(NULL, "cluster_name") && parameter(NULL, "s"), "and the others stay");
    ok(bytes_equal_str(parameter_cluster_name(&bench.broker, "otherwise"), "otherwise"), "no name");
    bench_free(&bench);
}

TEST(parameters_that_cannot_be)
{
    bench_new(&bench);
    ok(!set_parameter("/", "odd", "s", "1", false), "of an unknown component");
    is_str(bench.error.detail, "component odd not found", "the text");
    ok(!set_parameter("nosuch", "shovel", "s", "1", false) && bench.error.code == 404, "nowhere");
    ok(!set_parameter(NULL, "", "", "1", false) && bench.error.code == 406, "without a name");
    char *large = mem_zalloc(PARAMETER_VALUE_MAX + 2);
    memset(large, '1', PARAMETER_VALUE_MAX + 1);
    ok(!set_parameter(NULL, "", "s", large, false) && bench.error.code == 406, "too large");
    large[PARAMETER_VALUE_MAX] = '\0';
    ok(set_parameter(NULL, "", "s", large, false), "as large as can be");
    mem_free(large);
    bench_free(&bench);
}

TEST(a_protected_virtual_host_stays)
{
    bench_new(&bench);
    bool is_protected = true;
    struct vhost_request request = {.name = bytes_str("/"), .is_protected = &is_protected};
    ok(vhost_set(&bench.broker, &request, &bench.error), "it is protected");
    for (int start = 0; start < 2; start++) {
        ok(!vhost_delete(&bench.broker, bytes_str("/"), &bench.error), "and not deleted");
        is_int(bench.error.code, 406, "which is said");
        bench_restart(&bench);
    }
    request.is_protected = NULL;
    ok(vhost_set(&bench.broker, &request, &bench.error), "what is not said");
    ok(vhost_find(&bench.broker, bytes_str("/"))->is_protected, "stays");
    is_protected = false;
    request.is_protected = &is_protected;
    ok(vhost_set(&bench.broker, &request, &bench.error) &&
           vhost_delete(&bench.broker, bytes_str("/"), &bench.error),
       "it is no more, and goes");
    bench_free(&bench);
}

/* As written before there were permissions. */
TEST(old_users_may_do_everything)
{
    static const char ann[] = "\1\0";
    char error[300];
    struct broker broker;
    message_pool_init(&bench.pool);
    random_init(&bench.random, 7);
    struct store *store = store_fake_new(&bench.pool);
    store_fake_put(store, bytes_of("\1\1/", 3), bytes_of("\1", 1));
    store_fake_put(store, bytes_of("\1\1v", 3), bytes_of("\1", 1));
    store_fake_put(store, bytes_of("\2\3ann", 5), bytes_of(ann, 2));
    for (int start = 0; start < 2; start++) {
        broker_init(&broker, store, &bench.pool, &bench.random, &bench.log, 0);
        ok(broker_restore(&broker, error, sizeof(error)), "it starts");
        const struct user *user = user_find(&broker, bytes_str("ann"));
        const struct permission *permission = permission_find(user, bytes_str("v"));
        ok(permission && pattern_matches(&permission->patterns[ACCESS_WRITE], bytes_str("x")) &&
               permission_find(user, bytes_str("/")),
           "ann may do everything everywhere");
        is_int(store_fake_entries(store), 5, "which is on record");
        ok(!user->is_old, "and is asked for once");
        broker_free(&broker);
    }
    store_fake_free(store);
    message_pool_free(&bench.pool);
}

TEST(permissions_and_limits_come_back)
{
    bench_new(&bench);
    struct error error;
    struct bytes text = bytes_str("what it is for"), tags = bytes_str("impersonator, mine");
    struct limit five = {true, 5}, none = {true, 0};
    struct vhost_request vhost = {.name = bytes_str("v"),
                                  .description = &text,
                                  .tags = &tags,
                                  .queue_type = &text,
                                  .max_queues = &five};
    struct quota_limits quotas = {0}, rates = {0};
    quota_limit(&quotas, QUOTA_BYTES, QUOTA_MOST);
    quota_limit(&quotas, QUOTA_RATE, 0);
    quota_limit(&rates, QUOTA_BYTES_RATE, 300);
    vhost.quotas = &quotas;
    struct user_request user = {.name = bytes_str("ann"), .tags = &tags, .max_connections = &none};
    user.quotas = &rates;
    struct permission_request permission = {.user = bytes_str("ann"),
                                            .vhost = bytes_str("v"),
                                            .exchange = bytes_str("x"),
                                            .configure = bytes_str("^a"),
                                            .write = bytes_str(""),
                                            .read = bytes_str("c$")};
    ok(vhost_set(&bench.broker, &vhost, &error) && user_set(&bench.broker, &user, &error) &&
           permission_set(&bench.broker, &permission, &error) &&
           topic_permission_set(&bench.broker, &permission, &error) &&
           user_set_password(&bench.broker, bytes_str("ann"), HASH_SHA512, bytes_str("p"), &error),
       "all of it is set");
    bench_restart(&bench);
    const struct vhost *v = vhost_find(&bench.broker, bytes_str("v"));
    struct user *ann = user_find(&bench.broker, bytes_str("ann"));
    const struct permission *hers = ann ? permission_find(ann, bytes_str("v")) : NULL;
    ok(v && hers, "they are there");
    is_str(v->description, "what it is for", "description");
    is_str(v->tags, "impersonator, mine", "tags");
    is_str(v->queue_type, "what it is for", "type of queues");
    ok(v->max_queues.is_set && v->max_queues.most == 5 && !v->max_connections.is_set, "limits");
    ok(ann->max_connections.is_set && ann->max_connections.most == 0 && !ann->max_channels.is_set,
       "limits of a user");
    is_int(v->quota->limits.set, 1 << QUOTA_BYTES | 1 << QUOTA_RATE, "quotas");
    ok(v->quota->limits.most[QUOTA_BYTES] == QUOTA_MOST && v->quota->limits.most[QUOTA_RATE] == 0,
       "as they were");
    is_int(ann->quota->limits.most[QUOTA_BYTES_RATE], 300, "and a user's");
    is_int(ann->tags, TAG_IMPERSONATOR, "the tags that mean something");
    ok(user_check_password(ann, bytes_str("p")), "the password");
    is_str(hers->patterns[ACCESS_CONFIGURE].text, "^a", "configure");
    is_str(hers->patterns[ACCESS_WRITE].text, "", "write");
    is_str(hers->patterns[ACCESS_READ].text, "c$", "read");
    is_int(map_count(&ann->topics), 1, "topics");
    ok(permission_clear(&bench.broker, bytes_str("ann"), bytes_str("v"), &error) &&
           topic_permission_clear(&bench.broker, bytes_str("ann"), bytes_str("v"), NULL, &error) &&
           user_clear_password(&bench.broker, bytes_str("ann"), &error) &&
           user_set_tags(&bench.broker, bytes_str("ann"), bytes_str(""), &error),
       "all of it is taken away");
    quotas = (struct quota_limits){0};
    ok(vhost_set(&bench.broker, &vhost, &error), "and the quotas");
    bench_restart(&bench);
    ok(!vhost_find(&bench.broker, bytes_str("v"))->quota, "which are gone");
    ann = user_find(&bench.broker, bytes_str("ann"));
    ok(!permission_find(ann, bytes_str("v")) && map_count(&ann->topics) == 0 && ann->tags == 0 &&
           !user_check_password(ann, bytes_str("p")),
       "and stays away");
    bench_free(&bench);
}

TEST(a_deleted_user_leaves_nothing)
{
    bench_new(&bench);
    struct error error;
    size_t before = store_fake_entries(bench.store);
    struct permission_request permission = {.user = bytes_str("ann"),
                                            .vhost = bytes_str("/"),
                                            .exchange = bytes_str("x")};
    user_put(&bench.broker, bytes_str("ann"), bytes_str("p"));
    permission_set(&bench.broker, &permission, &error);
    topic_permission_set(&bench.broker, &permission, &error);
    is_int(store_fake_entries(bench.store), before + 3, "a user and two permissions");
    ok(user_delete(&bench.broker, bytes_str("ann"), &error), "deleted");
    is_int(store_fake_entries(bench.store), before, "nothing is left");
    ok(!user_delete(&bench.broker, bytes_str("ann"), &error), "there is none");
    is_str(error.detail, "no user 'ann'", "which is told");
    bench_free(&bench);
}

/* A start goes on with what was going. */
TEST(a_virtual_host_goes_over_restarts)
{
    bench_new(&bench);
    struct error error;
    bool created;
    size_t before = store_fake_entries(bench.store);
    struct vhost *vhost = vhost_put(&bench.broker, bytes_str("v"));
    struct permission_request permission = {.user = bytes_str("guest"), .vhost = bytes_str("v")};
    permission_set(&bench.broker, &permission, &error);
    for (int i = 0; i < 50; i++) {
        char name[20];
        snprintf(name, sizeof(name), "n%d", i);
        struct queue_declare queue = {.name = bytes_str(name), .durable = true};
        struct exchange_declare exchange = {
            .name = bytes_str(name), .type = bytes_str("fanout"), .durable = true};
        struct binding_request binding = {.source = bytes_str(name)};
        exchange_declare(vhost, &exchange, &error);
        binding.queue = queue_declare(vhost, &queue, &created, &error);
        binding_add(vhost, &binding, &error);
    }
    is_int(store_fake_entries(bench.store), before + 152, "much is in it");
    ok(vhost_delete(&bench.broker, bytes_str("v"), &error), "deleted");
    ok(!vhost_find(&bench.broker, bytes_str("v")), "nobody finds it");
    struct vhost_request again = {.name = bytes_str("v")};
    ok(!vhost_set(&bench.broker, &again, &error), "nor makes it before it is gone");
    for (int turn = 0; turn < 3; turn++) {
        struct budget budget = budget_of(8000);
        vhosts_go(&bench.broker, &budget);
        bench_restart(&bench);
        ok(vhosts_are_left(&bench.broker), "a part is gone");
    }
    struct budget budget = budget_of(100 * BUDGET_MS);
    while (vhosts_are_left(&bench.broker))
        vhosts_go(&bench.broker, &budget);
    is_int(store_fake_entries(bench.store), before, "all is gone");
    ok(vhost_set(&bench.broker, &again, &error), "the name is free");
    bench_free(&bench);
}

TEST(sha256_is_as_published)
{
    static const uint8_t abc[SHA256_SIZE] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
        0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
        0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t digest[SHA256_SIZE];
    sha256(bytes_str("a"), bytes_str("bc"), digest);
    is_bytes(digest, sizeof(digest), abc, sizeof(abc), "abc, in two parts");
    sha256(bytes_str("abc"), bytes_of(NULL, 0), digest);
    is_bytes(digest, sizeof(digest), abc, sizeof(abc), "and in one");
}

/* With this entry in the catalogue the broker does not start. */
static void refused(const char *key, size_t key_size, const char *value, size_t value_size,
                    const char *text)
{
    char error[300] = "";
    struct broker broker;
    struct store *store = store_fake_new(&bench.pool);
    broker_init(&broker, bench.store, &bench.pool, &bench.random, &bench.log, 0);
    broker.store = store;
    store_fake_put(store, bytes_of("\1\1/", 3), bytes_of("\1", 1));
    store_fake_put(store, bytes_of("\3\1/\1x", 5), bytes_of("\1\0\6fanout\0", 10));
    store_fake_put(store, bytes_of(key, key_size), bytes_of(value, value_size));
    ok(!broker_restore(&broker, error, sizeof(error)), "refused");
    is_str(error, text, "the text");
    is_int(store_fake_settled(store), 0, "no queue is dropped");
    broker_free(&broker);
    store_fake_free(store);
}

#define REFUSED(key, value, text) refused(key, sizeof(key) - 1, value, sizeof(value) - 1, text)

TEST(what_makes_no_sense_stops_the_start)
{
    bench_new(&bench);
    REFUSED("\1\1a", "\4", "catalogue: virtual host 'a': written by a newer version of this program");
    REFUSED("\1\1a", "\3\0\0\0\0\0\0\0", "catalogue: virtual host 'a': malformed"); /* no quotas */
    REFUSED("\1\1a", "\3\0\0\0\0\0\0\x10\1", "catalogue: virtual host 'a': malformed");
    REFUSED("\1\1a", "\3\0\0\0\0\0\0\3\1", "catalogue: virtual host 'a': malformed");
    REFUSED("\1\1a", "", "catalogue: virtual host 'a': malformed");
    REFUSED("\1\1a", "\0", "catalogue: virtual host 'a': malformed");
    REFUSED("\1\2a", "\1", "catalogue: virtual host '': malformed");
    REFUSED("\2\1u", "\1\1short", "catalogue: user 'u': malformed");
    REFUSED("\2\1u", "\1\0more", "catalogue: user 'u': malformed");
    REFUSED("\x20\1u", "\1", "catalogue: entry '': written by a newer version of this program");
    REFUSED("\3\1v\1e", "\1\0\6fanout\0", "catalogue: exchange 'e': its virtual host is missing");
    REFUSED("\3\1/\1e", "\1\0\3foo\0", "catalogue: exchange 'e': its type is unknown");
    REFUSED("\3\1/\12amq.direct", "\1\0\6direct\0",
            "catalogue: exchange 'amq.direct': it is there already");
    REFUSED("\3\1/\1e", "\1\0\6fanout\1?", "catalogue: exchange 'e': its arguments are malformed");
    REFUSED("\4\1/\1q", "\1\0\0\0\0\0\0\0\0\0\0",
            "catalogue: queue 'q': its id is impossible");
    REFUSED("\4\1/\1q", "\1\7\0\0\0\0\0\0\0\0\1?",
            "catalogue: queue 'q': its arguments are malformed");
    REFUSED("\5\1/\1x\4\1q\1k", "\1\0", "catalogue: binding 'q': one of its ends is missing");
    REFUSED("\5\1/\1y\3\1x\1k", "\1\0", "catalogue: binding 'x': one of its ends is missing");
    REFUSED("\5\1/\1x\2\1x\1k", "\1\0", "catalogue: binding '': malformed");
    REFUSED("\5\1/\1x\3\1x\1k", "\1\1?", "catalogue: binding 'x': its arguments are malformed");
    bench_free(&bench);
}

struct report {
    char text[2000];
    size_t size;
};

static void report(void *context, const char *line)
{
    struct report *report = context;
    report->size += (size_t)snprintf(report->text + report->size,
                                     sizeof(report->text) - report->size, "%s\n", line);
}

/* A catalogue with holes: what has its ends is kept, the rest goes, and all of that is told. */
TEST(what_makes_no_sense_is_left_out_when_salvaged)
{
    struct report told = {.size = 0};
    struct salvage salvage = {report, NULL, &told};
    struct broker broker;
    char error[300];
    bench_new(&bench);
    struct store *store = store_fake_new(&bench.pool);
    broker_init(&broker, store, &bench.pool, &bench.random, &bench.log, 0);
#define PUT(key, value) \
    store_fake_put(store, bytes_of(key, sizeof(key) - 1), bytes_of(value, sizeof(value) - 1))
    PUT("\3\1/\1x", "\1\0\6fanout\0");
    PUT("\3\1/\1e", "\1\0\3foo\0");
    PUT("\4\1/\1q", "\1\7\0\0\0\0\0\0\0\0\0");
    PUT("\5\1/\1x\4\1q\1k", "\1\0");
    PUT("\5\1/\1x\4\1r\1k", "\1\0");
#undef PUT
    struct index *nameless = store_queue(store, 9, NULL);
    struct message *message = message_new(&bench.pool, bytes_str(""), bytes_str("r"),
                                          bytes_of("\0\0", 2), 0);
    store_publish(store, message, &nameless, 1);
    message_unref(&bench.pool, message);
    broker_salvage(&broker, &salvage);
    is_str(told.text,
           "made again: virtual host '/'\n"
           "lost: catalogue: exchange 'e': its type is unknown\n"
           "lost: catalogue: binding 'r': one of its ends is missing\n"
           "no user is left: guest is made again\n"
           "the name is lost: queue 9 is called 'salvaged.9' now\n"
           "queue 9: 'salvaged.9' in virtual host '/': 1 messages\n"
           "queue 7: 'q' in virtual host '/': 0 messages\n",
           "the report");
    is_int(store_fake_settled(store), 1, "queues without messages and names go");
    broker_free(&broker);
    store_fake_restart(store);
    broker_init(&broker, store, &bench.pool, &bench.random, &bench.log, 0);
    ok(broker_restore(&broker, error, sizeof(error)), "what is left starts");
    struct vhost *vhost = vhost_find(&broker, bytes_str("/"));
    ok(vhost && vhost_queue(vhost, bytes_str("salvaged.9")), "with the queue that was nameless");
    is_int(set_count(&vhost->bindings), 1, "and the binding that has both ends");
    broker_free(&broker);
    store_fake_free(store);
    bench_free(&bench);
}

/* A name that was nothing but a line end could be bound to once. */
TEST(a_binding_to_the_default_exchange_is_dropped)
{
    struct broker broker;
    char error[300] = "";
    bench_new(&bench);
    struct store *store = store_fake_new(&bench.pool);
    broker_init(&broker, store, &bench.pool, &bench.random, &bench.log, 0);
    store_fake_put(store, bytes_of("\1\1/", 3), bytes_of("\1", 1));
    store_fake_put(store, bytes_of("\4\1/\1q", 5), bytes_of("\1\7\0\0\0\0\0\0\0\0\0", 11));
    store_fake_put(store, bytes_of("\5\1/\0\4\1q\1k", 9), bytes_of("\1\0", 2));
    ok(broker_restore(&broker, error, sizeof(error)), "the broker starts: %s", error);
    is_int(store_fake_entries_of(store, 5), 0, "and it is on no record any more");
    is_int(store_fake_entries_of(store, 4), 1, "while its queue is");
    broker_free(&broker);
    store_fake_free(store);
    bench_free(&bench);
}

int main(void)
{
    RUN(a_new_store_gets_the_usual_things);
    RUN(what_is_durable_comes_back);
    RUN(what_is_mirrored_comes_back_though_it_is_not_durable);
    RUN(without_a_group_there_are_no_mirrors);
    RUN(a_mirrored_queue_is_newer_than_others);
    RUN(several_virtual_hosts_are_apart);
    RUN(users_have_passwords);
    RUN(parameters_come_back);
    RUN(parameters_that_cannot_be);
    RUN(a_protected_virtual_host_stays);
    RUN(old_users_may_do_everything);
    RUN(permissions_and_limits_come_back);
    RUN(a_deleted_user_leaves_nothing);
    RUN(a_virtual_host_goes_over_restarts);
    RUN(sha256_is_as_published);
    RUN(what_makes_no_sense_stops_the_start);
    RUN(what_makes_no_sense_is_left_out_when_salvaged);
    RUN(a_binding_to_the_default_exchange_is_dropped);
    return done();
}
