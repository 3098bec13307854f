/* Definitions as RabbitMQ writes them: what comes of them, what is left out, and what is wrong. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "broker/exchange.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/quota.h"
#include "broker/undo.h"
#include "definitions/definitions.h"
#include "definitions/json_scan.h"
#include "definitions/json_table.h"
#include "tests/lib/broker_bench.h"

static struct bench bench;
static struct definitions_counts counts;
static char told[4000]; /* a line for each remark */

static void tell(void *context, const struct definitions_remark *remark)
{
    size_t used = strlen(told);
    (void)context;
    snprintf(told + used, sizeof(told) - used, "%s%s %zu %.*s:%.*s: %s\n",
             remark->is_fault ? "! " : "", remark->kind, remark->number, BYTES_ARG(remark->vhost),
             BYTES_ARG(remark->name), remark->text);
}

static bool import_bytes(struct bytes text)
{
    struct definitions_listener listener = {tell, NULL};
    told[0] = '\0';
    return definitions_import(&bench.broker, text, &listener, &counts);
}

/* Apostrophes stand for quotes. */
static bool import(const char *text)
{
    char json[4000];
    size_t size = strlen(text);
    for (size_t i = 0; i <= size; i++)
        json[i] = text[i];
    for (size_t i = 0; i < size; i++)
        if (json[i] == '\'')
            json[i] = '"';
    return import_bytes(bytes_of(json, size));
}

static void imported(const char *text, const char *remarks)
{
    ok(import(text), "imported: %.60s", text);
    is_str(told, remarks, "what is told");
}

static void refused(const char *text, const char *remarks)
{
    ok(!import(text), "refused: %.60s", text);
    is_str(told, remarks, "why");
}

static struct vhost *vhost_named(const char *name)
{
    return vhost_find(&bench.broker, bytes_str(name));
}

static bool has_password(const char *name, const char *password)
{
    return user_check_password(user_find(&bench.broker, bytes_str(name)), bytes_str(password));
}

/* ---- texts ---- */

static void both_ways(const char *plain, const char *encoded)
{
    struct buffer out = {0};
    base64_write(bytes_str(plain), &out);
    ok(bytes_equal_str(buffer_bytes(&out), encoded), "'%s' becomes '%s'", plain, encoded);
    out.size = 0;
    ok(base64_read(bytes_str(encoded), &out), "which is read");
    ok(bytes_equal_str(buffer_bytes(&out), plain), "as '%s'", plain);
    buffer_free(&out);
}

TEST(base64_goes_both_ways)
{
    static const char *const wrong[] = {
        "Zg=", "Zg", "Z===", "Zh==", "Zm9=", "Zm9v=", "Z g=", "====", "Zg==Zg==", "Zm9\xc3"};
    struct buffer out = {0};
    both_ways("", "");
    both_ways("f", "Zg==");
    both_ways("fo", "Zm8=");
    both_ways("foo", "Zm9v");
    both_ways("foob\xff>?", "Zm9vYv8+Pw==");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ok(!base64_read(bytes_str(wrong[i]), &out) && out.size == 0, "'%s' is wrong", wrong[i]);
    buffer_free(&out);
}

static void table_is(const char *json, const char *printed)
{
    char fault[300] = "";
    struct buffer table = {0}, text = {0};
    struct json *document = json_parse(bytes_str(json), fault, sizeof(fault));
    ok(document && json_to_table(document, JSON_NULL_REFUSED, &table, fault, sizeof(fault)),
       "%s: %s", json, fault);
    ok(table_check(buffer_bytes(&table)), "it is a table");
    struct field field = {.type = 'F', .value = {.bytes = buffer_bytes(&table)}};
    field_print_value(&text, &field);
    buffer_add_u8(&text, 0);
    is_str((const char *)text.data, printed, "what it holds");
    json_release(document);
    buffer_free(&table);
    buffer_free(&text);
}

static void no_table(const char *json, const char *why)
{
    char fault[300] = "";
    struct buffer table = {0};
    struct json *document = json_parse(bytes_str(json), fault, sizeof(fault));
    ok(!json_to_table(document, JSON_NULL_REFUSED, &table, fault, sizeof(fault)), "%.40s is none",
       json);
    is_str(fault, why, "why");
    json_release(document);
    buffer_free(&table);
}

TEST(arguments_are_tables)
{
    table_is("{}", "[]");
    table_is("[]", "[]");
    table_is("{\"b\":true,\"a\":-5,\"s\":\"x\",\"d\":0.5,\"e\":1e2}",
             "[{<<\"b\">>,bool,true},{<<\"a\">>,long,-5},{<<\"s\">>,longstr,<<\"x\">>},"
             "{<<\"d\">>,double,0.5},{<<\"e\">>,double,100.0}]");
    table_is("{\"t\":{\"k\":9223372036854775807},\"l\":[1,\"a\",[false],{}]}",
             "[{<<\"t\">>,table,[{<<\"k\">>,long,9223372036854775807}]},"
             "{<<\"l\">>,array,[{long,1},{longstr,<<\"a\">>},{array,[{bool,false}]},{table,[]}]}]");
    no_table("[1]", "it must be an object of values, and not an array");
    no_table("{\"a\":{\"b\":null}}", "argument 'b': null is no value of a table");
}

TEST(tables_are_bounded)
{
    struct buffer text = {0};
    char fault[300] = "";
    for (size_t i = 0; i < 200; i++)
        buffer_add(&text, "{\"a\":", 5);
    buffer_add(&text, "1", 1);
    for (size_t i = 0; i < 200; i++)
        buffer_add(&text, "}", 1);
    struct json *document = json_parse(buffer_bytes(&text), fault, sizeof(fault));
    struct buffer table = {0};
    ok(!json_to_table(document, JSON_NULL_REFUSED, &table, fault, sizeof(fault)), "a deep one");
    is_str(fault, "argument 'a': tables and arrays nest too deeply", "why");
    json_release(document);
    text.size = table.size = 0;
    buffer_add(&text, "{\"a\":[0", 7);
    for (size_t i = 0; i < 70000; i++)
        buffer_add(&text, ",0", 2);
    buffer_add(&text, "]}", 2);
    document = json_parse(buffer_bytes(&text), fault, sizeof(fault));
    ok(!json_to_table(document, JSON_NULL_REFUSED, &table, fault, sizeof(fault)), "a large one");
    is_str(fault, "argument '': there are too many values", "why");
    json_release(document);
    buffer_free(&text);
    buffer_free(&table);
}

TEST(tables_become_json)
{
    static const uint8_t table[] = "\x01"
                                   "b"
                                   "t\x01"
                                   "\x01"
                                   "s"
                                   "s\xff\xfe"
                                   "\x01"
                                   "f"
                                   "f\x3f\xc0\0\0"
                                   "\x01"
                                   "D"
                                   "D\x02\0\0\x30\x39"
                                   "\x01"
                                   "T"
                                   "T\0\0\0\0\0\0\0\x05"
                                   "\x01"
                                   "d"
                                   "d\x40\x59\0\0\0\0\0\0"
                                   "\x01"
                                   "V"
                                   "V"
                                   "\x01"
                                   "A"
                                   "A\0\0\0\x03"
                                   "t\0V"
                                   "\x01"
                                   "F"
                                   "F\0\0\0\0"
                                   "\x01"
                                   "x"
                                   "x\0\0\0\x05"
                                   "\"\\\n\x7f\0"
                                   "\x01"
                                   "b"
                                   "t\0";
    struct buffer out = {0};
    struct bytes contents = bytes_of(table, sizeof(table) - 1);
    struct json_writer writer = json_writer_of(&out);
    ok(table_check(contents), "it is a table");
    json_put_table(&writer, contents);
    buffer_add_u8(&out, 0);
    is_str((const char *)out.data,
           "{\"b\":true,\"s\":-2,\"f\":1.5,\"D\":123.45,\"T\":5,\"d\":100.0,\"V\":null,"
           "\"A\":[false,null],\"F\":{},\"x\":\"\\\"\\\\\\u000a\\u007f\\u0000\"}",
           "as it is written");
    ok(!writer.is_bad, "all of it is text");
    json_put_text(&writer, bytes_str("\xff"));
    ok(writer.is_bad, "that is none");
    buffer_free(&out);
}

/* ---- objects ---- */

TEST(users_come_with_rabbitmqs_hashes)
{
    bench_new(&bench);
    /* Salts of four bytes, and digests of them with `secret` behind. */
    imported(
        "{'users':["
        "{'name':'sha256','password_hash':'AQIDBDB9kM21iEUzN1lZ+6VReCsdNqS0sERdAQTcY6Xs3PMz',"
        "'hashing_algorithm':'rabbit_password_hashing_sha256','tags':['monitoring','management'],"
        "'limits':{'max-channels':10,'max-connections':-1,'max-publish-rate':7}},"
        "{'name':'plain','password':'secret','tags':'administrator, impersonator'},"
        "{'name':'none','password_hash':'','tags':'','limits':[]}]}",
        "");
    is_int(counts.users, 3, "users");
    const struct user *user = user_find(&bench.broker, bytes_str("sha256"));
    ok(has_password("sha256", "secret") && !has_password("sha256", "x"), "a hash");
    is_str(user->tags_text, "monitoring,management", "tags");
    is_int(user->tags, TAG_MONITORING | TAG_MANAGEMENT, "as they are");
    ok(user->max_channels.is_set && user->max_channels.most == 10, "a limit");
    ok(!user->max_connections.is_set, "and none");
    is_int(user->quota->limits.set, 1 << QUOTA_RATE, "a quota");
    is_int(user->quota->limits.most[QUOTA_RATE], 7, "of so much");
    ok(has_password("plain", "secret") && !has_password("plain", "Secret"), "a plain password");
    is_int(user_find(&bench.broker, bytes_str("plain"))->tags, TAG_ADMINISTRATOR | TAG_IMPERSONATOR,
           "tags with commas");
    ok(!has_password("none", ""), "who has none cannot log in");
    imported("{'rabbit_version':'3.5.7','users':[{'name':'old','tags':'','password_hash':"
             "'AQIDBDgk9ci8Lfh6CKE9Y0AUfmU='}]}",
             "");
    is_int(user_find(&bench.broker, bytes_str("old"))->hash_kind, HASH_MD5, "of old times");
    ok(has_password("old", "secret"), "which is good");
    bench_free(&bench);
}

TEST(what_is_wrong_with_users)
{
    bench_new(&bench);
    refused(
        "{'users':[{'name':'a','tags':''},{'name':'b','password_hash':'?','tags':''},"
        "{'name':'c','password_hash':'AAAA','tags':''},"
        "{'name':'d','password':'x','hashing_algorithm':'rot13'},"
        "{'name':'e','password':'x','tags':[1]},{'name':'','password':'x'},"
        "{'name':'f','password':'x','limits':{'max-channels':'many'}},{}, 3]}",
        "! user 1 :a: there is neither 'password_hash' nor 'password'; a user who cannot log in "
        "by a password has an empty 'password_hash'\n"
        "! user 2 :b: 'password_hash' is not base64 of salt and digest\n"
        "! user 3 :c: a password hash of user 'c' has 3 bytes instead of 36\n"
        "! user 4 :d: hashing_algorithm 'rot13' is not known; it may be "
        "rabbit_password_hashing_sha256, rabbit_password_hashing_sha512, "
        "rabbit_password_hashing_md5 or leveret_scrypt\n"
        "! user 5 :e: 'tags' must have strings in it, and not a whole number\n"
        "! user 6 :: the name of a user has 1 to 255 bytes, and not 0\n"
        "! user 7 :f: 'max-channels' must be a whole number, and not a string\n"
        "! user 8 :: 'name' is missing\n"
        "! user 9 :: it must be an object, and not a whole number\n");
    bench_free(&bench);
}

/* Else nobody would see that there is no limit. */
TEST(what_is_wrong_with_limits)
{
    bench_new(&bench);
    imported("{'users':[{'name':'a','password':'x','limits':{'max-conections':5}}],"
             "'vhosts':[{'name':'v','limits':{'max-queue':5}},{'name':'w','limits':null}],"
             "'parameters':[{'component':'vhost-limits','vhost':'v','name':'limits','value':"
             "{'max-channels':1}}]}",
             "user 1 :a: limit 'max-conections' is not known, and left out; it may be "
             "max-connections, max-channels, max-publish-rate or max-publish-bytes-rate\n"
             "vhost 1 :v: limit 'max-queue' is not known, and left out; it may be max-connections, "
             "max-queues, max-messages, max-message-bytes, max-publish-rate or "
             "max-publish-bytes-rate\n"
             "parameter 1 v:limits: limit 'max-channels' is not known, and left out; it may be "
             "max-connections, max-queues, max-messages, max-message-bytes, max-publish-rate or "
             "max-publish-bytes-rate\n");
    imported("{'users':[{'name':'u','password':'x','limits':{'max-messages':5}}]}",
             "user 1 :u: limit 'max-messages' is not known, and left out; it may be "
             "max-connections, max-channels, max-publish-rate or max-publish-bytes-rate\n");
    refused("{'vhosts':[{'name':'v','limits':{'max-messages':9007199254740993}}]}",
            "! vhost 1 :v: 'max-messages' is more than 9007199254740992\n");
    refused("{'users':[{'name':'a','password':'x','limits':'5'},"
            "{'name':'b','password':'x','limits':[5]}]}",
            "! user 1 :a: 'limits' must be an object, and not a string\n"
            "! user 2 :b: 'limits' must be an object, and not an array\n");
    refused("{'vhosts':[{'name':'v','limits':5}]}",
            "! vhost 1 :v: 'limits' must be an object, and not a whole number\n");
    refused("{'parameters':[{'component':'vhost-limits','vhost':'/','name':'limits'},"
            "{'component':'vhost-limits','vhost':'/','name':'limits','value':true}]}",
            "! parameter 1 /:limits: 'value' is missing: it holds the limits\n"
            "! parameter 2 /:limits: 'value' must be an object, and not true or false\n");
    bench_free(&bench);
}

/* A user of such a name could not log in, and what is allowed on a topic exchange is looked up by
 * both names with a NUL between them. */
TEST(names_with_a_nul)
{
    bench_new(&bench);
    refused("{'users':[{'name':'a\\u0000b','password':'x'}]}",
            "! user 1 :a: the name of a user has no NUL byte in it\n");
    refused("{'vhosts':[{'name':'a\\u0000b'}]}",
            "! vhost 1 :a: the name of a virtual host has no NUL byte in it\n");
    bench_free(&bench);
}

TEST(virtual_hosts_and_what_is_allowed_there)
{
    bench_new(&bench);
    imported(
        "{'vhosts':[{'name':'/'},{'name':'v','limits':[],'metadata':{'description':'d',"
        "'tags':['a','b'],'default_queue_type':'quorum'}},"
        "{'name':'w','default_queue_type':'undefined','limits':{'max-queues':3}}],"
        "'permissions':[{'user':'guest','vhost':'v','configure':'^c','write':'','read':'.*'}],"
        "'topic_permissions':[{'user':'guest','vhost':'v','exchange':'amq.topic',"
        "'write':'^{username}','read':'.*'}],"
        "'parameters':[{'component':'vhost-limits','vhost':'v','name':'limits','value':"
        "{'max-connections':10,'max-queues':5,'max-message-bytes':5000000000,"
        "'max-publish-bytes-rate':0,'max-messages':-1}},"
        "{'component':'odd','vhost':'v','name':'s','value':{}}],"
        "'global_parameters':[{'name':'internal_cluster_id','value':'c'}]}",
        "parameter 2 v:s: component 'odd' is not known, and its parameter left out\n"
        "global_parameter 1 :internal_cluster_id: it is of the cluster that has written the file, "
        "and left out\n");
    const struct vhost *vhost = vhost_named("v");
    is_str(vhost->description, "d", "description");
    is_str(vhost->tags, "a,b", "tags");
    is_str(vhost->queue_type, "quorum", "type of queues");
    ok(vhost->max_connections.most == 10 && vhost->max_queues.most == 5, "limits");
    is_int(vhost->quota->limits.set, 1 << QUOTA_BYTES | 1 << QUOTA_BYTES_RATE, "quotas");
    ok(vhost->quota->limits.most[QUOTA_BYTES] == UINT64_C(5000000000), "of more than 32 bits");
    is_str(vhost_named("w")->queue_type, "", "no type");
    is_int(vhost_named("w")->max_queues.most, 3, "a limit beside the name");
    const struct user *guest = user_find(&bench.broker, bytes_str("guest"));
    ok(permission_find(guest, bytes_str("v")) && !permission_find(guest, bytes_str("w")),
       "permissions");
    is_int(map_count(&guest->topics), 1, "topics");
    is_int(counts.left_out, 2, "left out");
    is_int(counts.parameters, 1, "parameters");
    refused("{'vhosts':[{'name':'x','default_queue_type':'odd'}]}",
            "! vhost 1 :x: 'default_queue_type' is 'odd'; it may be classic or quorum\n");
    refused(
        "{'permissions':[{'user':'nobody','vhost':'/','configure':'','write':'','read':''},"
        "{'user':'guest','vhost':'no','configure':'','write':'','read':''},"
        "{'user':'guest','vhost':'/','configure':'','write':'(','read':''}]}",
        "! permission 1 /:nobody: no user 'nobody': it is neither there nor among the 'users' of "
        "the file\n"
        "! permission 2 no:guest: Please create virtual host \"no\" prior to importing "
        "definitions: it is neither there nor among the 'vhosts' of the file\n"
        "! permission 3 /:guest: invalid regular expression '(': missing closing parenthesis at "
        "offset 1\n");
    bench_free(&bench);
}

#define TOPOLOGY                                                                                   \
    "{'vhosts':[{'name':'/'},{'name':'v'}],'queues':["                                             \
    "{'name':'q','vhost':'v','durable':true,'auto_delete':false,'type':'classic',"                 \
    "'arguments':{'x-max-length':5,'x-overflow':'reject-publish'}},"                               \
    "{'name':'t','vhost':'/','durable':false,'auto_delete':true,'arguments':{}},"                  \
    "{'name':'quorum','vhost':'v','type':'quorum','arguments':{}}],"                               \
    "'exchanges':[{'name':'x','vhost':'v','type':'headers','durable':true,'auto_delete':false,"    \
    "'internal':true,'arguments':{'alternate-exchange':'amq.fanout'}}],"                           \
    "'bindings':[{'source':'x','vhost':'v','destination':'q','destination_type':'queue',"          \
    "'routing_key':'','arguments':{'x-match':'all','n':1}},"                                       \
    "{'source':'amq.topic','vhost':'v','destination':'x','destination_type':'exchange',"           \
    "'routing_key':'a.#','arguments':{}},"                                                         \
    "{'source':'','vhost':'v','destination':'q','destination_type':'queue','routing_key':'q',"     \
    "'arguments':{}}]}"

static void has_topology(void)
{
    const struct vhost *vhost = vhost_named("v");
    const struct queue *queue = vhost_queue(vhost, bytes_str("q"));
    const struct exchange *exchange = vhost_exchange(vhost, bytes_str("x"));
    ok(queue && queue->durable && queue->settings->max_length == 5, "a queue and its limit");
    ok(exchange && exchange->internal && exchange->kind == &exchange_headers, "an exchange");
    is_str(exchange->alternate, "amq.fanout", "its alternate");
    is_int(set_count(&vhost->bindings), 2, "bindings");
    struct bytes type;
    queue = vhost_queue(vhost, bytes_str("quorum"));
    ok(table_find_string(bytes_of(queue->arguments, queue->arguments_size), "x-queue-type",
                         &type) &&
           bytes_equal_str(type, "quorum"),
       "a type that is beside the arguments");
}

TEST(queues_exchanges_and_bindings)
{
    bench_new(&bench);
    imported(TOPOLOGY, "");
    has_topology();
    queue_delete(vhost_queue(vhost_named("/"), bytes_str("t")));
    size_t entries = store_fake_entries(bench.store);
    imported(TOPOLOGY, "");
    is_int(store_fake_entries(bench.store), entries, "once more is the same");
    bench_restart(&bench);
    has_topology();
    bench_free(&bench);
}

TEST(policies)
{
    bench_new(&bench);
    imported(
        "{'policies':[{'vhost':'/','name':'ttl','pattern':'^q','apply-to':'queues','definition':"
        "{'max-length':7,'message-ttl':600000},'priority':3}],"
        "'parameters':[{'vhost':'/','component':'operator_policy','name':'op','value':"
        "{'pattern':'.*','definition':{'max-length':4},'priority':0,'apply-to':'queues'}}],"
        "'queues':[{'name':'q'}]}",
        "");
    is_int(counts.policies + counts.parameters, 2, "counted");
    const struct policy *policy = policy_find(bench.vhost, false, bytes_str("ttl"));
    ok(policy && policy->priority == 3 && policy->apply_to == APPLY_TO_QUEUES, "a policy");
    ok(policy_find(bench.vhost, true, bytes_str("op")), "an operator's");
    const struct queue *queue = vhost_queue(bench.vhost, bytes_str("q"));
    is_int(queue->settings->message_ttl_ms, 600000, "the queue has it");
    is_int(queue->settings->max_length, 4, "and the operator's limit");
    refused(
        "{'policies':[{'vhost':'/','name':'a','pattern':'(','definition':{'max-length':1}},"
        "{'vhost':'/','name':'b','pattern':'x','definition':{'max-length':null}},"
        "{'vhost':'/','name':'c','pattern':'x','priority':'high','definition':{}},"
        "{'vhost':'/','name':'d','pattern':'x'},"
        "{'vhost':'/','name':'e','pattern':'x','definition':7}]}",
        "! policy 1 /:a: pattern should be regular expression but is invalid: invalid regular "
        "expression '(': missing closing parenthesis at offset 1\n"
        "! policy 2 /:b: null is not a valid maximum length\n"
        "! policy 3 /:c: 'priority' must be a whole number, and not a string\n"
        "! policy 4 /:d: 'definition' is missing\n"
        "! policy 5 /:e: 'definition': it must be an object of values, and not a whole number\n");
    bench_free(&bench);
}

TEST(what_is_there_stays)
{
    bench_new(&bench);
    bench_queue(&bench, "q", "d", "x-max-length=I1");
    bench_exchange(&bench, "x", "fanout", "d", NULL);
    imported(
        "{'queues':[{'name':'q','arguments':{'x-max-length':2}}],"
        "'exchanges':[{'name':'x','type':'direct'},{'name':'amq.direct','type':'fanout'}]}",
        "queue 1 /:q: it is there, with other properties, and stays as it is: inequivalent arg "
        "'x-max-length' for queue 'q' in vhost '/': received '2' but current is '1'\n"
        "exchange 1 /:x: it is there, with other properties, and stays as it is: inequivalent "
        "arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is 'fanout'\n");
    is_int(vhost_queue(bench.vhost, bytes_str("q"))->settings->max_length, 1, "the queue");
    bench_free(&bench);
}

TEST(what_cannot_be_is_left_out_with_its_bindings)
{
    bench_new(&bench);
    imported(
        "{'queues':[{'name':'s','arguments':{'x-queue-type':'stream'}},"
        "{'name':'amq.gen-1'},{'name':'e','exclusive':true},{'name':'q','colour':'red'}],"
        "'exchanges':[{'name':'amq.own','type':'direct'}],'bindings':["
        "{'source':'amq.fanout','destination':'s'},{'source':'amq.own','destination':'q'},"
        "{'source':'amq.fanout','destination':'q'}],"
        "'coffee':[]}",
        "queue 1 /:s: streams are not supported; it is left out\n"
        "queue 2 /:amq.gen-1: names that begin with 'amq.' are given by the broker; it is left "
        "out\n"
        "queue 3 /:e: an exclusive queue belongs to a connection; it is left out\n"
        "queue 4 /:q: 'colour' is not known, and left out\n"
        "exchange 1 /:amq.own: names that begin with 'amq.' are given by the broker; it is left "
        "out\n"
        "binding 1 /:amq.fanout: so is its destination; it is left out\n"
        "binding 2 /:amq.own: so is its source; it is left out\n"
        " 0 :: 'coffee' is not known, and left out\n");
    is_int(counts.queues, 1, "queues");
    is_int(counts.bindings, 1, "bindings");
    is_int(counts.left_out, 6, "left out");
    bench_free(&bench);
}

static char *exported(const struct vhost *only)
{
    struct definitions_listener listener = {tell, NULL};
    struct definitions_origin origin = {"1.2", "3.13.7"};
    struct buffer out = {0};
    told[0] = '\0';
    definitions_export(&bench.broker, only, &origin, &listener, &out);
    buffer_add_u8(&out, 0);
    return (char *)out.data;
}

#define ACCESS                                                                                     \
    "{'users':[{'name':'a','password':'p','tags':['management','policymaker'],'limits':"           \
    "{'max-connections':2}},{'name':'b','password_hash':'','tags':''}],"                           \
    "'vhosts':[{'name':'v','metadata':{'description':'d \\u00e4','tags':['x'],"                    \
    "'default_queue_type':'classic'}}],"                                                           \
    "'permissions':[{'user':'a','vhost':'/','configure':'^a','write':'.*','read':''},"             \
    "{'user':'a','vhost':'v','configure':'','write':'','read':''}],"                               \
    "'topic_permissions':[{'user':'a','vhost':'v','exchange':'amq.topic','write':'^a','read':''}]" \
    ","                                                                                            \
    "'parameters':[{'component':'vhost-limits','vhost':'v','name':'limits','value':"               \
    "{'max-queues':9}},{'component':'operator_policy','vhost':'v','name':'o','value':"             \
    "{'pattern':'^o','definition':{'max-length':4},'priority':2,'apply-to':'queues'}}],"           \
    "'policies':[{'vhost':'v','name':'p','pattern':'^q','definition':{'expires':9},'priority':-1}" \
    "]}"

TEST(what_is_exported_is_imported_to_the_same)
{
    bench_new(&bench);
    imported(ACCESS, "");
    imported(TOPOLOGY, "");
    bench_queue(&bench, "exclusive", "dx", NULL);
    bench_bind(&bench, "amq.direct", "exclusive", "k", NULL);
    char *first = exported(NULL);
    is_str(told, "", "all of it");
    bench_free(&bench);
    bench_new(&bench);
    ok(import_bytes(bytes_str(first)), "imported: %s", told);
    is_str(told, "", "all of it");
    has_topology();
    ok(has_password("a", "p"), "a password");
    char *second = exported(NULL);
    is_str(second, first, "and exported");
    ok(import_bytes(bytes_str(first)), "once more");
    free(second);
    second = exported(NULL);
    is_str(second, first, "is the same");
    free(first);
    free(second);
    bench_free(&bench);
}

TEST(parameters_are_exported)
{
    bench_new(&bench);
    imported("{'vhosts':[{'name':'v','metadata':{'protected_from_deletion':true}}],"
             "'parameters':[{'component':'shovel','vhost':'v','name':'s','value':{'b':[1,0.1,null,"
             "true],'a':'x'}}],'global_parameters':[{'name':'n','value':5},"
             "{'name':'t','value':'t\\u0001'}]}",
             "parameter 1 v:s: parameters of component 'shovel' are kept, but nothing here acts on "
             "them\n");
    is_int(counts.parameters, 3, "parameters");
    ok(vhost_named("v")->is_protected, "a virtual host is protected");
    char *text = exported(NULL);
    ok(strstr(text, "\"parameters\":[{\"vhost\":\"v\",\"component\":\"shovel\",\"name\":\"s\","
                    "\"value\":{\"b\":[1,0.1,null,true],\"a\":\"x\"}}],\"global_parameters\":["
                    "{\"name\":\"n\",\"value\":5},{\"name\":\"t\",\"value\":\"t\\u0001\"}]"),
       "all of them: %s", text);
    ok(strstr(text, "\"protected_from_deletion\":true"), "and what is protected");
    bench_free(&bench);
    bench_new(&bench);
    ok(import_bytes(bytes_str(text)), "imported: %s", told);
    char *again = exported(NULL);
    is_str(again, text, "the same comes out");
    free(text);
    free(again);
    refused("{'global_parameters':[{'name':'n'},{'name':5,'value':1},{'name':'','value':1}],"
            "'parameters':[{'component':'shovel','vhost':'/','name':'s','value':'x'}]}",
            "! parameter 1 /:s: 'value' must be an object, and not a string\n");
    refused("{'global_parameters':[{'name':'n'},{'name':5,'value':1},{'name':'','value':1}]}",
            "! global_parameter 1 :n: 'value' is missing\n"
            "! global_parameter 2 :: 'name' must be a string, and not a whole number\n"
            "! global_parameter 3 :: the name of a parameter has 1 to 255 bytes, and not 0\n");
    bench_free(&bench);
}

TEST(an_export_of_one_virtual_host)
{
    bench_new(&bench);
    imported(ACCESS, "");
    imported("{'queues':[{'name':'q','vhost':'v','arguments':{'x-max-length':5}}],'bindings':["
             "{'source':'amq.topic','vhost':'v','destination':'q','routing_key':'#'}]}",
             "");
    char *text = exported(vhost_named("v"));
    is_str(text,
           "{\"rabbit_version\":\"3.13.7\",\"rabbitmq_version\":\"3.13.7\","
           "\"product_name\":\"Leveret\",\"product_version\":\"1.2\","
           "\"rabbitmq_definition_format\":\"single_virtual_host\","
           "\"original_vhost_name\":\"v\",\"metadata\":{\"description\":\"d \xc3\xa4\","
           "\"tags\":[\"x\"],\"default_queue_type\":\"classic\"},"
           "\"parameters\":[{\"component\":\"vhost-limits\",\"name\":\"limits\","
           "\"value\":{\"max-queues\":9}},{\"component\":\"operator_policy\",\"name\":\"o\","
           "\"value\":{\"pattern\":\"^o\",\"apply-to\":\"queues\","
           "\"definition\":{\"max-length\":4},\"priority\":2}}],"
           "\"policies\":[{\"name\":\"p\",\"pattern\":\"^q\",\"apply-to\":\"all\","
           "\"definition\":{\"expires\":9},\"priority\":-1}],"
           "\"queues\":[{\"name\":\"q\",\"durable\":true,\"auto_delete\":false,"
           "\"arguments\":{\"x-max-length\":5}}],\"exchanges\":[],"
           "\"bindings\":[{\"source\":\"amq.topic\",\"destination\":\"q\","
           "\"destination_type\":\"queue\",\"routing_key\":\"#\",\"arguments\":{}}]}",
           "as it is written");
    bench_free(&bench);
    bench_new(&bench);
    ok(import_bytes(bytes_str(text)), "imported: %s", told);
    char *again = exported(vhost_named("v"));
    is_str(again, text, "and exported");
    free(text);
    free(again);
    bench_free(&bench);
}

TEST(what_is_no_text_is_not_exported)
{
    bench_new(&bench);
    bench_queue(&bench, "\xff", "d", NULL);
    bench_queue(&bench, "q", "d", "x-odd=S\xfe");
    bench_queue(&bench, "r", "d", NULL);
    char *text = exported(bench.vhost);
    is_str(told,
           "queue 1 /:q: it has bytes that are no UTF-8, and is left out\n"
           "queue 3 /:\xff: it has bytes that are no UTF-8, and is left out\n",
           "what is told");
    ok(import_bytes(bytes_str(text)), "the rest is well-formed: %s", told);
    is_int(counts.queues, 1, "one queue");
    free(text);
    bench_free(&bench);
}

TEST(a_file_of_one_virtual_host)
{
    bench_new(&bench);
    imported("{'rabbit_version':'3.10.8','queues':[{'name':'q'}]}", "");
    ok(vhost_queue(bench.vhost, bytes_str("q")), "the default one");
    imported("{'rabbitmq_version':'4.1.0','rabbitmq_definition_format':'single_virtual_host',"
             "'original_vhost_name':'own','metadata':{'description':'d'},'queues':[{'name':'q'}]}",
             "");
    ok(vhost_named("own") && vhost_queue(vhost_named("own"), bytes_str("q")), "or its own");
    is_str(vhost_named("own")->description, "d", "as it is described");
    bench_free(&bench);
}

TEST(what_is_wrong_with_topology)
{
    char text[600], name[300];
    bench_new(&bench);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    refused("{'queues':[{'name':'a','arguments':{'x-expires':0}},{'name':''},{'name':'\\n'},"
            "{'name':'b','durable':'yes'},{'name':'c','arguments':{'x':null}}],"
            "'bindings':[{'source':'no','destination':'a'}]}",
            "! queue 1 /:a: invalid arg 'x-expires' for queue 'a' in vhost '/': "
            "{value_zero,0}\n"
            "! queue 2 /:: 'name' is empty\n"
            "! queue 3 /:\n: 'name' is empty\n"
            "! queue 4 /:b: 'durable' must be true or false, and not a string\n"
            "! queue 5 /:c: 'arguments': argument 'x': null is no value of a table\n");
    refused("{'exchanges':[{'name':'x'},{'name':'y','type':'odd'}]}",
            "! exchange 1 /:x: 'type' is missing\n"
            "! exchange 2 /:y: unknown exchange type 'odd'\n");
    refused(
        "{'bindings':[{'source':'no','destination':'q'},{'destination':'q'},"
        "{'source':'amq.direct','destination':'no','destination_type':'exchange'},"
        "{'source':'amq.direct','destination':'no','destination_type':'house'}]}",
        "! binding 1 /:no: no queue 'q' in vhost '/'\n"
        "! binding 2 /:: 'source' is missing\n"
        "! binding 3 /:amq.direct: no exchange 'no' in vhost '/'\n"
        "! binding 4 /:amq.direct: 'destination_type' is 'house'; it may be queue or exchange\n");
    snprintf(text, sizeof(text), "{'queues':[{'name':'%s'}]}", name);
    ok(!import(text), "a name that is too long");
    ok(strstr(told, "'name' has 299 bytes, and may have 255"), "why");
    bench_free(&bench);
}

TEST(faults_end_an_import)
{
    struct buffer text = {0};
    bench_new(&bench);
    buffer_add(&text, "{\"queues\":[0", 12);
    for (size_t i = 0; i < 100; i++)
        buffer_add(&text, ",0", 2);
    buffer_add(&text, "],\"exchanges\":[0]}", 18);
    ok(!import_bytes(buffer_bytes(&text)), "refused");
    size_t lines = 0;
    for (const char *at = told; (at = strchr(at, '\n')); at++)
        lines++;
    is_int(lines, 20, "faults that are told");
    buffer_free(&text);
    bench_free(&bench);
}

TEST(what_is_no_json)
{
    bench_new(&bench);
    refused("{'a':1,\n 'b' 2}", "!  0 :: line 2, column 6: ':' expected near '2'\n");
    refused("{'a':1,'a':2}", "!  0 :: line 1, column 10: duplicate object key near '\"a\"'\n");
    refused("{'a':99999999999999999999}",
            "!  0 :: line 1, column 25: too big integer near '99999999999999999999'\n");
    refused("", "!  0 :: line 1, column 0: '[' or '{' expected near end of file\n");
    refused("[]", "!  0 :: definitions must be an object, and not an array\n");
    refused("{'users':{}}", "!  0 :: 'users' must be an array, and not an object\n");
    imported("\xef\xbb\xbf{}", "");
    struct buffer deep = {0};
    for (size_t i = 0; i < 100000; i++)
        buffer_add(&deep, "[", 1);
    ok(!import_bytes(buffer_bytes(&deep)), "a deep one");
    ok(strstr(told, "maximum parsing depth reached"), "why: %s", told);
    buffer_free(&deep);
    bench_free(&bench);
}

/* ---- in parts ---- */

enum { MANY = 300, STEPS = 5000, PARTS_LEAST = 20 };

/* So many queues, and a binding to one that may not be there. */
static struct buffer many(const char *bound)
{
    char line[200];
    struct buffer text = {0};
    buffer_add(&text, "{\"queues\":[", 11);
    for (int i = 0; i < MANY; i++) {
        snprintf(line, sizeof(line), "%s{\"name\":\"m%d\",\"vhost\":\"/\"}", i ? "," : "", i);
        buffer_add(&text, line, strlen(line));
    }
    snprintf(line, sizeof(line),
             "],\"bindings\":[{\"source\":\"amq.topic\",\"vhost\":\"/\",\"destination\":\"%s\","
             "\"routing_key\":\"k\"}]}",
             bound);
    buffer_add(&text, line, strlen(line));
    return text;
}

/* Others do something after each part. */
static bool import_parts(const char *bound, struct undo *undo)
{
    struct buffer text = many(bound);
    struct definitions_listener listener = {tell, NULL};
    struct import *import =
        definitions_begin(&bench.broker, NULL, buffer_bytes(&text), &listener, &counts);
    bool has_more = true;
    unsigned parts = 0;
    for (told[0] = '\0'; has_more; parts++) {
        struct budget budget = budget_of(STEPS);
        undo_note_in(&bench.broker, undo);
        has_more = definitions_go_on(import, &budget);
        undo_pause(&bench.broker);
        bench_queue(&bench, "theirs", "d", "");
    }
    ok(parts > PARTS_LEAST, "it takes %u parts", parts);
    bool is_done = definitions_end(import);
    buffer_free(&text);
    return is_done;
}

TEST(an_import_in_parts)
{
    struct undo undo = {0};
    struct budget budget = budget_of(INT64_MAX);
    bench_new(&bench);
    ok(import_parts("m7", &undo), "imported: %s", told);
    is_int(broker_queues(&bench.broker), MANY + 1, "queues");
    ok(!undo_forget(&undo, &budget), "nothing is to be taken back");
    bench_restart(&bench);
    is_int(broker_queues(&bench.broker), MANY + 1, "queues after a restart");
    bench_free(&bench);
}

TEST(an_import_is_taken_back_in_parts)
{
    struct undo undo = {0};
    unsigned parts = 1;
    bench_new(&bench);
    bench_queue(&bench, "m5", "d", "");
    ok(!import_parts("nosuch", &undo), "refused: %s", told);
    is_int(broker_queues(&bench.broker), MANY + 1, "queues have been made");
    struct queue *again = vhost_queue(bench.vhost, bytes_str("m9"));
    queue_delete(again);
    bench_queue(&bench, "m9", "d", "");
    for (bool has_more = true; has_more; parts++) {
        struct budget budget = budget_of(STEPS);
        has_more = undo_take_back(&bench.broker, &undo, &budget);
    }
    ok(parts > PARTS_LEAST, "in %u parts", parts);
    ok(vhost_queue(bench.vhost, bytes_str("m5")), "what was there before is there");
    ok(vhost_queue(bench.vhost, bytes_str("m9")), "what was made anew as well");
    ok(vhost_queue(bench.vhost, bytes_str("theirs")), "and what others have made");
    is_int(broker_queues(&bench.broker), 3, "queues in all");
    bench_restart(&bench);
    is_int(broker_queues(&bench.broker), 3, "and after a restart");
    bench_free(&bench);
}

TEST(what_was_left_out_is_forgotten_in_parts)
{
    enum { FEW_STEPS = 500, LEAST = 10 };
    char line[200];
    struct buffer text = {0};
    struct definitions_listener listener = {tell, NULL};
    buffer_add(&text, "{\"queues\":[", 11);
    for (int i = 0; i < MANY; i++) {
        snprintf(line, sizeof(line),
                 "%s{\"name\":\"s%d\",\"vhost\":\"/\",\"arguments\":{\"x-queue-type\":\"stream\"}}",
                 i ? "," : "", i);
        buffer_add(&text, line, strlen(line));
    }
    buffer_add(&text, "]}", 2);
    bench_new(&bench);
    struct import *import =
        definitions_begin(&bench.broker, NULL, buffer_bytes(&text), &listener, &counts);
    bool has_more = true;
    unsigned parts = 0;
    for (told[0] = '\0'; has_more; parts += counts.left_out == MANY) {
        struct budget budget = budget_of(FEW_STEPS);
        has_more = definitions_go_on(import, &budget);
        ok(budget.left > -2 * FEW_STEPS, "no part is large");
    }
    is_int(counts.left_out, MANY, "are left out");
    ok(parts > LEAST, "and forgotten in %u parts", parts);
    ok(definitions_end(import), "what is left is nothing: done");
    buffer_free(&text);
    bench_free(&bench);
}

/* ---- JSON as it stands in a text ---- */

/* The values of an array with a stroke behind each, and "!" when it is bad. */
static void items_are(const char *array, const char *items)
{
    char seen[200] = "";
    struct bytes value;
    struct json_scan scan = json_scan_of(bytes_str(array), '[');
    scan.value_max = 20;
    while (json_scan_item(&scan, &value))
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s|", BYTES_ARG(value));
    if (!json_scan_is_over(&scan))
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "!");
    is_str(seen, items, "%s", array);
}

TEST(what_stands_in_an_array)
{
    items_are("[]", "");
    items_are(" [ 1 , \"a,]\" , {\"b\":[2,3]} ] ", "1|\"a,]\"|{\"b\":[2,3]}|");
    items_are("[\"\\\"\",\"\\\\\",true]", "\"\\\"\"|\"\\\\\"|true|");
    items_are("", "!");
    items_are("{}", "!");
    items_are("[", "!");
    items_are("[1", "1|!");
    items_are("[1,", "1|!");
    items_are("[1,]", "1|!");
    items_are("[1 2]", "1|!");
    items_are("[,1]", "!");
    items_are("[1]]", "1|!");
    items_are("[\"a", "!");
    items_are("[\"a\\", "!");
    items_are("[[1,{}", "!");
    items_are("[1,\"a text that is too long\"]", "1|!");
}

TEST(what_a_value_in_a_text_is)
{
    struct bytes text;
    ok(json_scan_text(bytes_str("\"a\""), &text) && bytes_equal_str(text, "a"), "a text");
    ok(!json_scan_text(bytes_str("\"\\n\""), &text), "with an escape");
    ok(!json_scan_text(bytes_str("12"), &text), "a number is none");
    ok(json_scan_is_whole(bytes_str("-120")), "a whole number");
    ok(!json_scan_is_whole(bytes_str("1.5")) && !json_scan_is_whole(bytes_str("-")) &&
           !json_scan_is_whole(bytes_str("")) && !json_scan_is_whole(bytes_str("1e3")),
       "others are none");
    ok(!json_scan_is_whole(bytes_str("1234567890123456789")), "nor is one that is very large");
}

int main(void)
{
    RUN(base64_goes_both_ways);
    RUN(arguments_are_tables);
    RUN(tables_are_bounded);
    RUN(tables_become_json);
    RUN(users_come_with_rabbitmqs_hashes);
    RUN(what_is_wrong_with_users);
    RUN(what_is_wrong_with_limits);
    RUN(names_with_a_nul);
    RUN(virtual_hosts_and_what_is_allowed_there);
    RUN(queues_exchanges_and_bindings);
    RUN(policies);
    RUN(what_is_there_stays);
    RUN(what_cannot_be_is_left_out_with_its_bindings);
    RUN(what_is_exported_is_imported_to_the_same);
    RUN(parameters_are_exported);
    RUN(an_export_of_one_virtual_host);
    RUN(what_is_no_text_is_not_exported);
    RUN(a_file_of_one_virtual_host);
    RUN(what_is_wrong_with_topology);
    RUN(faults_end_an_import);
    RUN(what_is_no_json);
    RUN(an_import_in_parts);
    RUN(an_import_is_taken_back_in_parts);
    RUN(what_was_left_out_is_forgotten_in_parts);
    RUN(what_stands_in_an_array);
    RUN(what_a_value_in_a_text_is);
    return done();
}
