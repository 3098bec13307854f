/* The command line. */
#include "options.h"

#include "tests/lib/tap.h"

static char error[512];

/* Reads up to three arguments. */
static bool read_arguments(struct options *options, const char *a, const char *b, const char *c)
{
    char *arguments[] = {(char *)(uintptr_t) "leveretd", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
                         (char *)(uintptr_t)c};
    int count = 1 + (a != NULL) + (b != NULL) + (c != NULL);
    error[0] = '\0';
    return options_read(options, count, arguments, error, sizeof(error));
}

TEST(defaults)
{
    struct options options;
    ok(read_arguments(&options, NULL, NULL, NULL), "no arguments are fine");
    is_int(options.listen_count, 0, "listening is left to the program");
    is_int(options.log_level, LOG_LEVEL_INFO, "the log is at info");
    is_int(options.memory.percent, 60, "memory is 60 percent");
    is_int(options.slow_turn_ms, 50, "turns of 50 ms are slow");
    is_int(options.server.frame_max, 131072, "the server's defaults are there");
    is_int(options.store.chunk_entries, 2048, "and the store's");
    is_int(options.listen_tls_count, 0, "nobody listens with TLS");
    is_int(options.tls.min_version, TLS_VERSION_1_2, "whose oldest version would be 1.2");
}

TEST(values)
{
    struct options options;
    ok(read_arguments(&options, "--listen", "[::1]:0", "--listen=127.0.0.1:5672"), "two forms");
    is_int(options.listen_count, 2, "each adds an address");
    is_str(options.listen[0], "[::1]:0", "the first");
    is_str(options.listen[1], "127.0.0.1:5672", "the second");
    ok(read_arguments(&options, "--segment-size", "64KiB", "--heartbeat=7"), "numbers");
    is_int(options.store.segment_bytes, 65536, "of 32 bits");
    is_int(options.server.heartbeat_s, 7, "of 16 bits");
    ok(read_arguments(&options, "--checkpoint-bytes=3G", "--guest-anywhere", NULL), "and more");
    is_int(options.store.checkpoint_bytes, 3221225472, "of 64 bits");
    ok(options.server.guest_anywhere && !options.server.allow_anonymous, "a flag sets itself");
    ok(read_arguments(&options, "--log-level", "debug", "--data-dir=/x"), "texts");
    is_int(options.log_level, LOG_LEVEL_DEBUG, "a level");
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
    is_int(options.listen_count, 0, "is no plain address");
    is_int(options.listen_tls_count, 1, "but one with TLS");
    is_str(options.listen_tls[0], "127.0.0.1:0", "as it was given");
    is_str(options.tls.certificate, "c", "with a certificate");
    is_str(options.tls.key, "k", "and its key");
    ok(read_arguments(&options, "--tls-verify-peer", "--tls-ca=a", "--tls-min-version=1.3"), "more");
    ok(options.tls.verify_peer && !options.tls.peer_optional, "clients need a certificate");
    is_str(options.tls.authorities, "a", "of these authorities");
    is_int(options.tls.min_version, TLS_VERSION_1_3, "and the newest version");
    ok(read_arguments(&options, "--tls-verify-peer", "--tls-peer-optional", NULL), "asked for only");
    ok(options.tls.verify_peer && options.tls.peer_optional, "clients may have a certificate");
    ok(!read_arguments(&options, "--tls-min-version", "1.1", NULL), "older ones are not spoken");
    is_str(error, "--tls-min-version must be 1.2 or 1.3, and not '1.1'", "at all");
}

TEST(memory)
{
    struct options options;
    ok(read_arguments(&options, "--memory-limit", "40%", NULL), "a share");
    is_int(options.memory.percent, 40, "in percent");
    ok(read_arguments(&options, "--memory-limit", "2GiB", NULL), "a size");
    is_int(options.memory.percent, 0, "is no share");
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

int main(void)
{
    RUN(defaults);
    RUN(values);
    RUN(short_names);
    RUN(tls);
    RUN(memory);
    RUN(refused);
    return done();
}
