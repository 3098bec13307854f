#include "tls_settings.h"

#include <stdio.h>
#include <string.h>

enum { SPOKEN_1_2 = 1, SPOKEN_1_3 = 2 };

struct tls_settings tls_settings_default(void)
{
    return (struct tls_settings){.options = tls_options_default()};
}

struct tls_options tls_options_of_brokers(const char *cookie)
{
    struct tls_options options = tls_options_default();
    options.is_mutual = true;
    options.cookie = cookie;
    return options;
}

void tls_settings_join(struct tls_settings *settings)
{
    struct tls_options *options = &settings->options;
    if (options->verify_peer)
        options->peer_optional = settings->ask != TLS_ASK_MUST;
    if (!settings->versions)
        return;
    options->min_version = settings->versions & SPOKEN_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
    options->max_version = settings->versions & SPOKEN_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

void tls_settings_settle(struct tls_settings *settings)
{
    struct tls_options *options = &settings->options;
    tls_settings_point(settings);
    if (options->max_version < options->min_version)
        options->max_version = options->min_version;
    if (options->verify_peer && !options->authorities)
        options->authorities = settings->authorities;
}

void tls_settings_point(struct tls_settings *settings)
{
    settings->options.ciphers = settings->ciphers[0] ? settings->ciphers : NULL;
    settings->options.others = settings->others[0] ? settings->others : NULL;
}

bool tls_settings_has_own(const struct tls_settings *settings)
{
    return settings->options.certificate && settings->options.key;
}

bool tls_settings_can_verify(const struct tls_settings *settings)
{
    return !settings->options.verify_peer || settings->options.authorities;
}

/* ---- kinds of their values ---- */

static bool read_tls_version(const struct option *option, void *fields, const char *text,
                             const char **why)
{
    enum tls_version *version = option_field(option, fields);
    (void)why;
    *version = strcmp(text, "1.3") == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    return *version == TLS_VERSION_1_3 || strcmp(text, "1.2") == 0;
}

static void write_tls_version(const struct option *option, const void *fields, char *text,
                              size_t size)
{
    const enum tls_version *version = option_look(option, fields);
    snprintf(text, size, "%s", *version == TLS_VERSION_1_3 ? "1.3" : "1.2");
}

const struct option_kind tls_version_kind = {
    .read = read_tls_version, .write = write_tls_version, .wanted = "1.2 or 1.3"};

/* Each names one that is spoken, so that the oldest of them counts; none that is old is. */
static bool read_tls_versions(const struct option *option, void *fields, const char *name,
                              const char *text, const char **why)
{
    unsigned *versions = option_field(option, fields);
    bool is_new = strcmp(text, "tlsv1.3") == 0, is_old = strcmp(text, "tlsv1.2") == 0;
    (void)name;
    if (strcmp(text, "tlsv1.1") == 0 || strcmp(text, "tlsv1") == 0)
        *why = "it is not safe any more, and not there";
    *versions |= is_new ? SPOKEN_1_3 : is_old ? SPOKEN_1_2 : 0;
    return is_new || is_old;
}

const struct option_kind tls_versions_kind = {.read_named = read_tls_versions,
                                              .wanted = "tlsv1.2 or tlsv1.3"};

static bool read_tls_verify(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    bool *verify = option_field(option, fields);
    (void)why;
    *verify = strcmp(text, "verify_peer") == 0;
    return *verify || strcmp(text, "verify_none") == 0;
}

static void write_tls_verify(const struct option *option, const void *fields, char *text,
                             size_t size)
{
    const bool *verify = option_look(option, fields);
    snprintf(text, size, "%s", *verify ? "verify_peer" : "verify_none");
}

const struct option_kind tls_verify_kind = {
    .read = read_tls_verify, .write = write_tls_verify, .wanted = "verify_peer or verify_none"};

static bool read_tls_ask(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    enum tls_ask *ask = option_field(option, fields);
    bool must;
    (void)why;
    if (!truth_read(text, &must))
        return false;
    *ask = must ? TLS_ASK_MUST : TLS_ASK_MAY;
    return true;
}

static void write_tls_ask(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct tls_settings *settings = (const void *)((const char *)option_look(option, fields) -
                                                         offsetof(struct tls_settings, ask));
    bool must = settings->options.verify_peer && !settings->options.peer_optional;
    snprintf(text, size, "%s", must ? "true" : "false");
}

const struct option_kind tls_ask_kind = {
    .read = read_tls_ask, .write = write_tls_ask, .wanted = "true or false"};

static bool read_cipher(const struct option *option, void *fields, const char *name,
                        const char *text, const char **why)
{
    char *ciphers = option_field(option, fields);
    size_t used = strlen(ciphers);
    (void)name;
    if (strpbrk(text, ":,! +") || strlen(text) >= 128) {
        *why = "each key has one name";
        return false;
    }
    if (used + strlen(text) + 2 > option->width) {
        *why = "there are too many";
        return false;
    }
    snprintf(ciphers + used, option->width - used, "%s%s", used ? ":" : "", text);
    return true;
}

const struct option_kind ciphers_kind = {.read_named = read_cipher,
                                         .wanted = "a name of a cipher, as OpenSSL has it"};

static bool read_certificate(const struct option *option, void *fields, const char *name, const char *text,
                             const char **why)
{
    char *files = option_field(option, fields);
    size_t used = strlen(files);
    (void)name;
    if (!*text)
        return false;
    if (used + strlen(text) + 2 > option->width) {
        *why = "there are too many";
        return false;
    }
    snprintf(files + used, option->width - used, "%s\n", text);
    return true;
}

const struct option_kind certificates_kind = {.read_named = read_certificate, .wanted = "a file"};
