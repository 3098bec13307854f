/* The command line. */
#include "options.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "tests/lib/tap.h"

static char error[512];
static struct config config;
static bool is_read;

/* Reads up to three arguments, with an environment, and no files. */
static bool read_with(struct options *options, const char *const *environment, const char *a,
                      const char *b, const char *c)
{
    char *arguments[] = {(char *)(uintptr_t) "leveretd", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
                         (char *)(uintptr_t)c};
    struct options_input input = {.count = 1 + (a != NULL) + (b != NULL) + (c != NULL),
                                  .arguments = arguments,
                                  .environment = (char *const *)(uintptr_t)environment,
                                  .folder = "/nonexistent",
                                  .rabbitmq = "/nonexistent"};
    if (is_read)
        config_free(&config);
    is_read = true;
    error[0] = '\0';
    return options_read(options, &config, &input, error, sizeof(error));
}

static bool read_arguments(struct options *options, const char *a, const char *b, const char *c)
{
    return read_with(options, NULL, a, b, c);
}

TEST(defaults)
{
    struct options options;
    ok(read_arguments(&options, NULL, NULL, NULL), "no arguments are fine");
    is_int(options.listen.count, 0, "listening is left to the program");
    ok(!options.logs.outlets[LOGS_CONSOLE].is_said, "no level of the log is said");
    is_int(options.memory.millionths, 600000, "memory is 60 percent");
    is_int(options.slow_turn_ms, 50, "turns of 50 ms are slow");
    is_int(options.server.frame_max, 131072, "the server's defaults are there");
    is_int(options.store.chunk_entries, 2048, "and the store's");
    is_int(options.listen_tls.count, 0, "nobody listens with TLS");
    is_int(options.tls.options.min_version, TLS_VERSION_1_2, "whose oldest version would be 1.2");
}

TEST(values)
{
    struct options options;
    ok(read_arguments(&options, "--listen", "[::1]:0", "--listen=127.0.0.1:5672"), "two forms");
    is_int(options.listen.count, 2, "each adds an address");
    is_str(options.listen.at[0], "[::1]:0", "the first");
    is_str(options.listen.at[1], "127.0.0.1:5672", "the second");
    ok(read_arguments(&options, "--segment-size", "64KiB", "--heartbeat=7"), "numbers");
    is_int(options.store.segment_bytes, 65536, "of 32 bits");
    is_int(options.server.heartbeat_s, 7, "of 16 bits");
    ok(read_arguments(&options, "--checkpoint-bytes=3G", "--guest-anywhere", NULL), "and more");
    is_int(options.store.checkpoint_bytes, 3221225472, "of 64 bits");
    ok(options.server.guest_anywhere && !options.server.allow_anonymous, "a flag sets itself");
    ok(read_arguments(&options, "--log-level", "debug", "--data-dir=/x"), "texts");
    is_int(options.logs.outlets[LOGS_CONSOLE].level, LOG_LEVEL_DEBUG, "a level");
    is_str(options.data_dir, "/x", "a path");
}

TEST(short_names)
{
    struct options options;
    ok(read_arguments(&options, "-h", NULL, NULL) && options.help, "-h asks for help");
    ok(read_arguments(&options, "-V", NULL, NULL) && options.version, "-V for the version");
    ok(!read_arguments(&options, "-p", "5672", NULL), "there are no others");
}

TEST(tls)
{
    struct options options;
    ok(read_arguments(&options, "--listen-tls=127.0.0.1:0", "--tls-cert=c", "--tls-key=k"), "TLS");
    is_int(options.listen.count, 0, "is no plain address");
    is_int(options.listen_tls.count, 1, "but one with TLS");
    is_str(options.listen_tls.at[0], "127.0.0.1:0", "as it was given");
    is_str(options.tls.options.certificate, "c", "with a certificate");
    is_str(options.tls.options.key, "k", "and its key");
    ok(read_arguments(&options, "--tls-verify-peer", "--tls-ca=a", "--tls-min-version=1.3"),
       "more");
    ok(options.tls.options.verify_peer && !options.tls.options.peer_optional, "clients need a certificate");
    is_str(options.tls.options.authorities, "a", "of these authorities");
    is_int(options.tls.options.min_version, TLS_VERSION_1_3, "and the newest version");
    ok(read_arguments(&options, "--tls-verify-peer", "--tls-peer-optional", NULL),
       "asked for only");
    ok(options.tls.options.verify_peer && options.tls.options.peer_optional, "clients may have a certificate");
    ok(!read_arguments(&options, "--tls-min-version", "1.1", NULL), "older ones are not spoken");
    is_str(error, "--tls-min-version must be 1.2 or 1.3, and not '1.1'", "at all");
}

TEST(memory)
{
    struct options options;
    ok(read_arguments(&options, "--memory-limit", "40%", NULL), "a share");
    is_int(options.memory.millionths, 400000, "in percent");
    ok(read_arguments(&options, "--memory-limit", "2GiB", NULL), "a size");
    is_int(options.memory.millionths, 0, "is no share");
    is_int(options.memory.bytes, 2147483648, "but bytes");
    ok(read_arguments(&options, "--memory-limit", "512M", NULL), "a short one");
    is_int(options.memory.bytes, 536870912, "as it is written");
    ok(read_arguments(&options, "--memory-limit", "0", NULL), "none");
    is_int(options.memory.bytes, 0, "is no limit");
    ok(!read_arguments(&options, "--memory-limit", "40", NULL), "a share without its sign");
    is_str(
        error,
        "--memory-limit must be a share from 1% to 100%, a size from 64KiB on, or 0 for no limit, "
        "and not '40': that is so many bytes; a share has a % behind it; for example "
        "--memory-limit 60%",
        "is told what to do");
    ok(!read_arguments(&options, "--memory-limit", "0.4", NULL), "a share as RabbitMQ writes it");
    ok(!read_arguments(&options, "--memory-limit", "0%", NULL), "nothing is no share");
    ok(!read_arguments(&options, "--memory-limit", "101%", NULL), "nor is more than all");
}

TEST(refused)
{
    struct options options;
    ok(!read_arguments(&options, "--speed", "11", NULL), "an unknown option");
    is_str(error, "unknown option '--speed'", "is named");
    ok(!read_arguments(&options, "--lisen=5672", NULL, NULL), "a slip");
    is_str(error, "unknown option '--lisen=5672'; did you mean --listen?",
           "is told what may be meant");
    ok(!read_arguments(&options, "now", NULL, NULL), "a bare word");
    is_str(error, "unexpected argument 'now'; options begin with --", "is named, too");
    ok(!read_arguments(&options, "--listen", NULL, NULL), "a missing value");
    is_str(error, "--listen needs a value: [HOST:]PORT; for example --listen 127.0.0.1:5672",
           "is told what it should be");
    ok(!read_arguments(&options, "--listen", "::1:5672", NULL), "an address that is none");
    is_str(
        error,
        "--listen must be [HOST:]PORT, at most 64 times, and not '::1:5672': an IPv6 address needs "
        "brackets; for example --listen 127.0.0.1:5672",
        "is told why");
    ok(!read_arguments(&options, "--help=yes", NULL, NULL), "a value for a flag");
    is_str(error, "--help takes no value", "is refused");
    ok(!read_arguments(&options, "--frame-max", "100", NULL), "a number too small");
    is_str(error,
           "--frame-max must be a size from 8KiB to 16MiB, and not '100'; for example --frame-max "
           "128KiB",
           "is told the bounds");
    ok(!read_arguments(&options, "--channel-max", "65536", NULL), "one too large");
    ok(!read_arguments(&options, "--segment-size", "5G", NULL), "a size too large");
    ok(!read_arguments(&options, "--chunk-entries", "1000", NULL), "no power of two");
    ok(!read_arguments(&options, "--log-level", "loud", NULL), "an unknown level");
    ok(!read_arguments(&options, "--data-dir=", NULL, NULL), "an empty path");
    is_str(error, "--data-dir must be a path, and not ''; for example --data-dir /var/lib/leveret",
           "is told what one is");
    ok(!read_arguments(&options, "--product=", NULL, NULL), "an empty name");
    is_str(error, "--product must be a text, and not ''; for example --product RabbitMQ",
           "is told what one is, too");
    ok(!read_arguments(&options, "--salvage", "--check-store", "/x"), "two things to do");
    is_str(error, "--check-store changes nothing, and --salvage does: give one of them",
           "are too many");
    ok(!read_arguments(&options, "--heartbeat", "-1", NULL), "a negative number");
}

/* ---- keys, all as --set, which files and the environment are no different from ---- */

static const char *fault(size_t number)
{
    list_for_each(link, &config.remarks) {
        const struct config_remark *remark = list_entry(link, struct config_remark, link);
        if (remark->is_fault && number-- == 0)
            return remark->reason;
    }
    return "";
}

static bool read_keys(struct options *options, const char *a, const char *b)
{
    char one[256], other[256];
    snprintf(one, sizeof(one), "--set=%s", a);
    snprintf(other, sizeof(other), "--set=%s", b ? b : "heartbeat=60");
    return read_arguments(options, one, other, NULL) && config.faults == 0;
}

TEST(key_listeners)
{
    struct options options;
    ok(read_keys(&options, "listeners.tcp.a=5673", "listeners.tcp.b=127.0.0.1:1"), "two names");
    is_int(options.listen.count, 2, "are two addresses");
    is_str(options.listen.at[0], "5673", "a port alone");
    ok(read_keys(&options, "listeners.tcp.a=::1:5672", "listeners.tcp.a=[::1]:2"),
       "one name twice");
    is_int(options.listen.count, 1, "is one address");
    is_str(options.listen.at[0], "[::1]:2", "the later one");
    ok(read_keys(&options, "listeners.tcp.a=::1:5672", NULL), "as RabbitMQ writes IPv6");
    is_str(options.listen.at[0], "[::1]:5672", "with brackets here");
    ok(read_keys(&options, "listeners.tcp=none", "listeners.tcp.a=5672"),
       "none, whatever comes after");
    ok(options.listen.count == 0 && options.listen.is_none, "there is none");
    ok(!read_keys(&options, "listeners.tcp.a=abc", NULL), "no port");
    is_str(fault(0),
           "listeners.tcp.a must be PORT or HOST:PORT, and not 'abc': the port is missing; for "
           "example listeners.tcp.a = 127.0.0.1:5672",
           "is told");
    ok(read_arguments(&options, "--set=listeners.tcp.a=5673", "--listen=1", "--listen=2"), "both");
    is_int(options.listen.count, 2, "options replace what keys say");
    is_str(options.listen.at[0], "1", "all of it");
}

TEST(key_tls)
{
    struct options options;
    ok(!read_keys(&options, "listeners.ssl.a=5671", NULL), "TLS without a certificate");
    is_str(fault(0), "needs ssl_options.certfile and ssl_options.keyfile", "is a fault");
    ok(read_keys(&options, "ssl_options.certfile=c", "ssl_options.cacertfile=a"),
       "files without a listener are not");
    ok(options.tls.options.authorities == NULL, "nor do they ask for anything");
    ok(read_keys(&options, "ssl_options.verify=verify_peer", "ssl_options.cacertfile=a"), "peers");
    ok(options.tls.options.verify_peer && options.tls.options.peer_optional, "may have a certificate");
    is_str(options.tls.options.authorities, "a", "of these authorities");
    ok(read_keys(&options, "ssl_options.fail_if_no_peer_cert=true",
                 "ssl_options.verify=verify_peer"),
       "or");
    ok(options.tls.options.verify_peer && !options.tls.options.peer_optional, "need one");
    ok(read_keys(&options, "ssl_options.versions.1=tlsv1.3", NULL), "a version");
    is_int(options.tls.options.min_version, TLS_VERSION_1_3, "is the oldest");
    ok(read_keys(&options, "ssl_options.versions.1=tlsv1.3", "ssl_options.versions.2=tlsv1.2"),
       "of two");
    is_int(options.tls.options.min_version, TLS_VERSION_1_2, "the older one is");
    ok(!read_keys(&options, "ssl_options.versions.1=tlsv1.1", NULL), "one that is too old");
    ok(read_keys(&options, "ssl_options.versions.1=tlsv1.2", NULL), "one alone");
    is_int(options.tls.options.max_version, TLS_VERSION_1_2, "is the newest as well");
    ok(read_keys(&options, "ssl_options.ciphers.1=A", "ssl_options.ciphers.2=B"), "ciphers");
    is_str(options.tls.options.ciphers, "A:B", "are a list");
    ok(!read_keys(&options, "ssl_options.ciphers.1=A:B", NULL), "of a name each");
    ok(read_keys(&options, "ssl_options.depth=2", "ssl_options.honor_cipher_order=true"), "and");
    ok(options.tls.options.depth == 2 && options.tls.options.own_order, "more");
}

TEST(key_defaults)
{
    struct options options;
    ok(read_keys(&options, "default_users.ann.password=x",
                 "default_policies.operator.p.expires=1h30m"),
       "a user and a policy");
    const struct vhost_defaults *defaults = options.broker.defaults;
    is_int(defaults->users.count, 1, "users");
    is_str(defaults->users.list[0].name, "ann", "with a name");
    is_str(defaults->users.list[0].password, "x", "and a password");
    is_int(defaults->policies.count, 1, "policies");
    ok(defaults->policies.list[0].is_set[0] && defaults->policies.list[0].numbers[0] == 5400000,
       "with a time");
    ok(read_keys(&options, "default_limits.vhosts.a.max_queues=5",
                 "default_limits.vhosts.a.pattern=^x"),
       "limits");
    is_int(options.broker.defaults->limits.count, 1, "are one thing");
    ok(options.broker.defaults->limits.list[0].max_queues.is_set, "with a limit");
    ok(read_keys(&options, "default_policies.operator.p.max_length_bytes=2KiB",
                 "default_policies.operator.p.message_ttl=7"),
       "a size, and milliseconds");
    is_int(options.broker.defaults->policies.list[0].numbers[3], 2048, "bytes");
    is_int(options.broker.defaults->policies.list[0].numbers[1], 7, "a time");
    static const char *const wrong[] = {
        "default_users.ann=x",
        "default_users.ann.password.x=y",
        "default_limits.vhosts.a.max_queues=many",
        "default_limits.vhosts.a.queues=1",
        "default_policies.operator.p.expires=1y",
        "default_policies.operator.p.expires=h",
        "default_policies.operator.p.max_length=1k",
        "default_policies.operator.p.classic_queues.ha_mode=all",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ok(!read_keys(&options, wrong[i], NULL), "%s", wrong[i]);
}

TEST(key_management)
{
    struct options options;
    ok(read_keys(&options, "heartbeat=1", NULL) && !options.management.at, "nothing said");
    ok(read_keys(&options, "management.tcp.port=1", NULL), "a port");
    is_str(options.management.at, ":1", "is everywhere");
    ok(read_keys(&options, "management.tcp.ip=127.0.0.1", NULL), "an address");
    is_str(options.management.at, "127.0.0.1:15672", "has the usual port");
    ok(read_keys(&options, "management.tcp.ip=::1", "management.listener.port=2"), "both");
    is_str(options.management.at, "[::1]:2", "with brackets where they have to be");
    ok(read_arguments(&options, "--set=management.tcp.port=1", "--management=none", NULL),
       "an option");
    is_str(options.management.at, "none", "counts before them");
    ok(!options.management_secure.at, "nowhere with TLS");
    ok(read_keys(&options, "management.ssl.certfile=c", "management.ssl.keyfile=k"), "TLS");
    is_str(options.management_secure.at, ":15671", "is at its port");
    is_str(options.management.at, "none", "and then there is no other");
    ok(read_arguments(&options, "--set=management.ssl.certfile=c",
                      "--set=management.ssl.keyfile=k", "--management=127.0.0.1:2"),
       "both ways");
    is_str(options.management_secure.at, ":15671", "the one");
    is_str(options.management.at, "127.0.0.1:2", "and the other");
    ok(!read_keys(&options, "management.ssl.port=1", NULL), "without a certificate");
}

TEST(key_memory)
{
    struct options options;
    ok(read_keys(&options, "vm_memory_high_watermark.relative=0.405", NULL), "a share");
    is_int(options.memory.millionths, 405000, "is exact");
    ok(read_keys(&options, "vm_memory_high_watermark.relative=0.5",
                 "vm_memory_high_watermark.absolute=2GB"),
       "of two keys");
    ok(options.memory.millionths == 0 && options.memory.bytes == 2000000000,
       "the later one counts");
    is_int(options.server.memory_bytes_max, 2000000000, "for the server");
    ok(read_keys(&options, "total_memory_available_override_value=1000000000",
                 "disk_free_limit.relative=1.5"),
       "what the machine has");
    is_int(options.server.memory_bytes_max, 600000000, "is what a share is of");
    is_int(options.store.disk_reserve_bytes, 1500000000, "for the disk as well");
    static const char *const bad[] = {"0", "1.1", "3", ".5", "0.", "0.5x", "-0.5", "1e-1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char key[64];
        snprintf(key, sizeof(key), "vm_memory_high_watermark.relative=%s", bad[i]);
        ok(!read_keys(&options, key, NULL), "%s is no share", bad[i]);
    }
    ok(read_arguments(&options, "--set=disk_free_limit.relative=1.0", "--disk-reserve=1M", NULL),
       "an");
    is_int(options.store.disk_reserve_bytes, 1 << 20, "option counts before a key");
}

TEST(key_sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {{"7", 7},          {"4k", 4000},       {"4K", 4000},        {"4kB", 4000},
                 {"4KB", 4000},     {"4Ki", 4096},      {"4KiB", 4096},      {"2MB", 2000000},
                 {"2MiB", 2 << 20}, {"3g", 3000000000}, {"1TiB", 1ULL << 40}};
    static const char *const bad[] = {"2 GB", "GB", "2x", "2GBs", "1.5GB", "99999999TB", "", "-1"};
    struct options options;
    char key[64];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(key, sizeof(key), "disk_free_limit.absolute=%s", sizes[i].text);
        ok(read_keys(&options, key, NULL), "%s", sizes[i].text);
        is_int(options.store.disk_reserve_bytes, sizes[i].bytes, "in bytes");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(key, sizeof(key), "disk_free_limit.absolute=%s", bad[i]);
        ok(!read_keys(&options, key, NULL), "'%s' is no size", bad[i]);
    }
    ok(read_keys(&options, "frame_max=64KB", NULL), "of a frame");
    is_int(options.server.frame_max, 65536, "kB are 1024");
}

TEST(key_limits)
{
    struct options options;
    ok(read_keys(&options, "connection_max=infinity", "channel_max=0"), "without limits");
    is_int(options.server.connections_max, 0, "there is none");
    is_int(options.server.channel_max, 65535, "or as many as there can be");
    ok(read_keys(&options, "max_connections=5", "consumer_timeout=7"), "and an alias");
    is_int(options.server.connections_max, 5, "is the same");
    is_int(options.server.consumer_timeout_ms, 7, "in milliseconds");
}

TEST(key_names)
{
    struct options options;
    ok(read_keys(&options, "heartbeat=1", NULL), "nothing said");
    is_str(options.server.loopback_users, "guest", "guest is for this machine");
    ok(read_keys(&options, "loopback_users.guest=false", NULL), "taken away");
    is_str(options.server.loopback_users, "", "nobody is");
    ok(read_keys(&options, "loopback_users.ann=true", "loopback_users.bob=true"), "others");
    is_str(options.server.loopback_users, "ann,bob", "replace guest");
    ok(read_keys(&options, "loopback_users=none", "loopback_users.bob=true"), "none");
    is_str(options.server.loopback_users, "", "removes all");
    ok(!read_keys(&options, "loopback_users.a=maybe", NULL), "no truth");
    ok(read_keys(&options, "default_user_tags.policymaker=true", "default_user=u"),
       "the first user");
    is_str(options.broker.first.tags, "policymaker", "has tags");
    is_str(options.broker.first.user, "u", "and a name");
    is_str(options.broker.first.password, "guest", "and the usual password");
}

TEST(key_logins)
{
    struct options options;
    ok(read_keys(&options, "auth_mechanisms.1=AMQPLAIN", "auth_mechanisms.2=ANONYMOUS"),
       "two ways");
    ok(options.server.no_plain && !options.server.no_amqplain && options.server.allow_anonymous,
       "these");
    ok(!read_keys(&options, "auth_mechanisms.1=GSSAPI", NULL), "one that is not there is a fault");
    ok(!options.server.allow_external, "certificates log nobody in by themselves");
    ok(read_keys(&options, "auth_mechanisms.1=EXTERNAL", NULL) && options.server.allow_external &&
           options.server.no_plain && options.server.external_name == PEER_DISTINGUISHED_NAME,
       "by the distinguished name, when they do");
    ok(read_keys(&options, "ssl_cert_login_from=common_name", "ssl_cert_login_san_type=email") &&
           options.server.external_name == PEER_COMMON_NAME,
       "or the common name, whatever else is said");
    ok(read_keys(&options, "ssl_cert_login_from=subject_alternative_name", NULL) &&
           options.server.external_name == PEER_DNS && options.server.external_index == 0,
       "or the first DNS name");
    ok(read_keys(&options, "ssl_cert_login_from=subject_alt_name", "ssl_cert_login_san_type=uri") &&
           options.server.external_name == PEER_URI,
       "or another kind of name");
    ok(read_keys(&options, "ssl_cert_login_san_index=2", NULL) && options.server.external_index == 2,
       "or another one of them");
    ok(!read_keys(&options, "ssl_cert_login_from=serial_number", NULL), "but no other one");
    ok(!read_keys(&options, "ssl_cert_login_san_type=x400", NULL), "nor of other kinds");
    ok(read_keys(&options, "auth_backends.1=internal", "anonymous_login_user=none"), "own users");
    ok(!read_keys(&options, "auth_backends.1=ldap", NULL), "others would not be asked");
    ok(read_keys(&options, "proxy_protocol=true", "leveret.proxy_trusted.1=192.0.2.0/24") &&
           options.proxy_protocol && options.proxies.count == 1 && options.proxies.at[0].bits == 24,
       "a proxy, and where it is");
    ok(!read_keys(&options, "leveret.proxy_trusted.1=192.0.2.1/24", NULL) &&
           !read_keys(&options, "leveret.proxy_trusted.1=proxy.example", NULL),
       "which is no name, nor a range with bits behind it");
}

TEST(keys_without_effect)
{
    struct options options;
    char keys[256];
    ok(read_keys(&options, "num_acceptors.tcp=10", "mqtt.tcp.listeners=1883"), "are accepted");
    is_int(config_write_idle(&config, OPTION_FOREIGN, keys, sizeof(keys)), 1, "one of RabbitMQ's");
    is_str(keys, "num_acceptors.tcp", "is named");
    is_int(config_write_idle(&config, OPTION_NOT_YET, keys, sizeof(keys)), 1,
           "one of what is not there");
    is_str(keys, "mqtt.tcp.listeners", "is named as well");
}

/* What a file is told of a key. */
static const char *told_of(const char *key)
{
    struct options options;
    char setting[128];
    snprintf(setting, sizeof(setting), "%s=1", key);
    if (read_keys(&options, setting, NULL) || list_is_empty(&config.remarks))
        return "nothing";
    return list_entry(list_first(&config.remarks), struct config_remark, link)->reason;
}

/* Beside keys that are there a slip is one, and no key of what is not there yet. */
TEST(misspelt_keys)
{
    static const struct {
        const char *key, *meant;
    } slips[] = {
        {"prometheus.tcp.prot", " prometheus.tcp.port"},
        {"prometheus.pth", " prometheus.path"},
        {"management.tcp.prot", " management.tcp.port"},
        {"management.ssl.certflie", " management.ssl.certfile"},
        {"management.path_prefx", " management.path_prefix"},
        {"log.default.x", " log.default.level"},
        {"log.queue.levle", " log.queue.level"},
        {"ssl_options.certifle", " ssl_options.certfile"},
        {"ssl_options.cacertsfile", " ssl_options.cacertfile"},
        {"default_permissions.raed", " default_permissions.read"},
        {"default_limits.vhost.a.max_queues", " default_limits.vhosts.*"},
        {"default_policies.operators.a.expires", " default_policies.operator.*"},
        {"tcp_listen_options.backlgo", " tcp_listen_options.backlog"},
    };
    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
        const char *told = told_of(slips[i].key);
        ok(strstr(told, "there is no setting with that name"), "%s is a fault: %s", slips[i].key,
           told);
        ok(strstr(told, slips[i].meant), "and is told%s", slips[i].meant);
    }
}

TEST(keys_of_what_is_not_there)
{
    static const char *const keys[] = {
        "log.default.rotation.size",   "log.queue.file",
        "management.tcp.compress",     "management.oauth_client_id",
        "management.rates_mode",       "management.sample_retention_policies.global.minute",
        "prometheus.ssl.compress",     "prometheus.authentication.enabled",
        "ssl_options.psk_identity",    "ssl_options.key.RSAPrivateKey"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        is_str(told_of(keys[i]), "nothing", "%s is taken", keys[i]);
}

TEST(environment)
{
    static const char *const image[] = {"RABBITMQ_DEFAULT_USER=u",  "RABBITMQ_DEFAULT_PASS=p w",
                                        "RABBITMQ_DEFAULT_VHOST=v", "RABBITMQ_NODENAME=rabbit@h",
                                        "RABBITMQ_NODE_PORT=5673",  "RABBITMQ_LOG=debug,x=info",
                                        "RABBITMQ_MNESIA_DIR=/d",   NULL};
    static const char *const ours[] = {"LEVERET_HEARTBEAT=7",
                                       "LEVERET_LISTENERS__TCP__A=1",
                                       "LEVERET_DEFAULT_USER=x",
                                       "RABBITMQ_DEFAULT_USER=u",
                                       "LEVERET_PORT=tcp://1",
                                       "LEVERET_FRAME_MAX=",
                                       NULL};
    struct options options;
    ok(read_with(&options, image, NULL, NULL, NULL) && config.faults == 0, "that of the image");
    is_str(options.broker.first.user, "u", "a user");
    is_str(options.broker.first.password, "p w", "a password");
    is_str(options.broker.first.vhost, "v", "a virtual host");
    is_str(options.broker.node, "rabbit@h", "a name");
    is_str(options.listen.at[0], "5673", "a port");
    is_int(options.logs.outlets[LOGS_CONSOLE].level, LOG_LEVEL_DEBUG, "a level");
    is_str(options.data_dir, "/d", "a folder");
    ok(options.listen.count == 1, "and nothing else");
    ok(read_with(&options, ours, NULL, NULL, NULL) && config.faults == 0, "our own");
    is_int(options.server.heartbeat_s, 7, "a key");
    is_str(options.listen.at[0], "1", "one with dots");
    is_str(options.broker.first.user, "x", "counts before RabbitMQ's");
    is_int(config.warnings, 1, "one that is no key is told of");
    ok(read_with(&options, ours, "--heartbeat=3", NULL, NULL), "an option");
    is_int(options.server.heartbeat_s, 3, "counts before it");
    ok(read_with(&options, ours, "--set=heartbeat=4", NULL, NULL), "and so does");
    is_int(options.server.heartbeat_s, 4, "a setting of the command line");
}

/* A folder as RabbitMQ's packages make it; `name` is a file in it. */
static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        bail("no file can be written");
}

TEST(rabbitmq_compat)
{
    static char *arguments[] = {(char *)(uintptr_t) "leveretd",
                                (char *)(uintptr_t) "--rabbitmq-compat"};
    char folder[] = "/tmp/leveret-options-XXXXXX", own[100], path[100], command[100];
    struct options options;
    struct options_input input = {
        .count = 2, .arguments = arguments, .folder = own, .rabbitmq = folder};
    if (!mkdtemp(folder))
        bail("no folder can be made");
    snprintf(path, sizeof(path), "%s/conf.d", folder);
    mkdir(path, 0700);
    snprintf(own, sizeof(own), "%s/own", folder);
    mkdir(own, 0700);
    write_file(folder, "rabbitmq.conf", "heartbeat = 1\nchannel_max = 1\nvhost_max = 1\n");
    write_file(folder, "conf.d/10-defaults.conf",
               "channel_max = 2\nloopback_users.guest = false\n");
    write_file(own, "leveret.conf", "vhost_max = 3\n");
    write_file(folder, "advanced.config", "[].\n");
    write_file(folder, "rabbitmq-env.conf", "NODENAME=a\n");
    config_free(&config);
    ok(options_read(&options, &config, &input, error, sizeof(error)) && config.faults == 0, "read");
    is_int(options.server.heartbeat_s, 1, "RabbitMQ's file");
    is_int(options.server.channel_max, 2, "and its folder");
    is_int(options.broker.vhosts_max, 3, "count less than our own");
    is_str(options.server.loopback_users, "", "as its image has it");
    is_int(config.warnings, 2, "files that are not read are told of");
    config_free(&config);
    input.count = 1;
    ok(options_read(&options, &config, &input, error, sizeof(error)), "without being asked");
    is_int(options.server.heartbeat_s, 60, "its file is not read");
    is_int(config.warnings, 0, "nor told of");
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        diag("%s is left", folder);
}

/* Does it stand, without an effect, for all that begins as this key does? Then it would hide slips. */
static bool hides_slips(const struct option *idle, const struct option *option)
{
    size_t fixed = strcspn(idle->key, "*");
    return !option_has_effect(idle) && idle->key[fixed] == '*' && option->key &&
           option_has_effect(option) && strncmp(idle->key, option->key, fixed) == 0;
}

TEST(nothing_hides_slips)
{
    struct option_table table = options_table(NULL);
    for (size_t i = 0; i < table.count; i++)
        for (size_t j = 0; table.options[i].key && j < table.count; j++)
            if (hides_slips(&table.options[i], &table.options[j]))
                ok(false, "%s is not beside %s", table.options[i].key, table.options[j].key);
    ok(table.count > 0, "all rows were looked at");
}

/* A table that contradicts itself could say anything. */
TEST(table)
{
    struct option_table table = options_table(NULL);
    for (size_t i = 0; i < table.count; i++) {
        const struct option *option = &table.options[i];
        const char *name;
        if (!option->key)
            continue;
        bool is_idle = option->effect == OPTION_FOREIGN || option->effect == OPTION_NOT_YET;
        ok(is_idle == (option->text == NULL), "%s has a text", option->key);
        ok(option_find_key(&table, option->key, &name) == option, "%s is there once", option->key);
        ok(!option->alias || option_find_key(&table, option->alias, &name) == option,
           "and so is its alias");
    }
}

int main(void)
{
    RUN(defaults);
    RUN(values);
    RUN(short_names);
    RUN(tls);
    RUN(memory);
    RUN(refused);
    RUN(key_listeners);
    RUN(key_tls);
    RUN(key_defaults);
    RUN(key_management);
    RUN(key_memory);
    RUN(key_sizes);
    RUN(key_limits);
    RUN(key_names);
    RUN(key_logins);
    RUN(keys_without_effect);
    RUN(misspelt_keys);
    RUN(keys_of_what_is_not_there);
    RUN(environment);
    RUN(rabbitmq_compat);
    RUN(nothing_hides_slips);
    RUN(table);
    config_free(&config);
    return done();
}
