/* Who may log in, and how. */
#include <string.h>

#include "broker/password.h"
#include "option_kinds.h"
#include "options.h"

/* ---- names ---- */

static bool read_names(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    char *names = option_field(option, fields);
    if (strlen(text) >= option->width) {
        *why = "that is too long";
        return false;
    }
    strcpy(names, strcmp(text, "none") == 0 ? "" : text);
    return *text != '\0';
}

static void write_names(const struct option *option, const void *fields, char *text, size_t size)
{
    snprintf(text, size, "%s", (const char *)option_look(option, fields));
}

const struct option_kind names_kind = {
    .read = read_names, .write = write_names, .wanted = "names with commas between, or none"};

/* The first key of a list replaces what it is by itself: the rows with such keys begin with a comma
 * while they are filled, which options_read takes away. */
static bool read_name(const struct option *option, void *fields, const char *name, const char *text,
                      const char **why)
{
    char *names = option_field(option, fields);
    bool is_listed;
    size_t used = names[0] == ',' ? strlen(names) : 0;
    if (!truth_read(text, &is_listed))
        return false;
    if (strchr(name, ',') || used + strlen(name) + 2 > option->width) {
        *why = strchr(name, ',') ? "a name with a comma cannot be listed" : "there are too many";
        return false;
    }
    if (is_listed)
        snprintf(names + used, option->width - used, ",%s", name);
    else if (used == 0)
        strcpy(names, ",");
    return true;
}

static bool write_nth_name(const struct option *option, const void *fields, size_t n, char *name,
                           char *text, size_t size)
{
    const char *at = option_look(option, fields);
    for (; n && *at; n--)
        at = strchrnul(at, ',') + (*strchrnul(at, ',') != '\0');
    snprintf(name, 200, "%.*s", (int)strcspn(at, ","), at);
    snprintf(text, size, "true");
    return *at != '\0';
}

const struct option_kind name_kind = {
    .wanted = "true or false", .read_named = read_name, .write_nth = write_nth_name};

static bool read_no_name(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    char *names = option_field(option, fields);
    (void)why;
    names[0] = '\0';
    return strcmp(text, "none") == 0;
}

static void write_no_name(const struct option *option, const void *fields, char *text, size_t size)
{
    const char *names = option_look(option, fields);
    snprintf(text, size, "%s", names[0] ? "" : "none");
}

const struct option_kind no_name_kind = {
    .read = read_no_name, .write = write_no_name, .wanted = "none", .is_last = true};

/* ---- who may log in, and how ---- */

static bool read_anonymous(const struct option *option, void *fields, const char *text,
                           const char **why)
{
    bool *allowed = option_field(option, fields);
    *allowed = strcmp(text, "guest") == 0;
    *why = "who has no name is guest";
    return *allowed || strcmp(text, "none") == 0;
}

static void write_anonymous(const struct option *option, const void *fields, char *text,
                            size_t size)
{
    const bool *allowed = option_look(option, fields);
    snprintf(text, size, "%s", *allowed ? "guest" : "none");
}

const struct option_kind anonymous_kind = {
    .read = read_anonymous, .write = write_anonymous, .wanted = "guest or none"};

static bool read_mechanism(const struct option *option, void *fields, const char *name,
                           const char *text, const char **why)
{
    struct options *options = fields;
    (void)option, (void)name;
    static const char *const mechanisms[] = {"PLAIN", "AMQPLAIN", "ANONYMOUS", "EXTERNAL"};
    (void)why;
    for (unsigned i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
        if (strcmp(text, mechanisms[i]) != 0)
            continue;
        options->mechanisms |= 1U << i;
        return true;
    }
    return false;
}

const struct option_kind mechanism_kind = {.read_named = read_mechanism,
                                           .wanted = "PLAIN, AMQPLAIN, ANONYMOUS or EXTERNAL"};

static bool read_backend(const struct option *option, void *fields, const char *name,
                         const char *text, const char **why)
{
    (void)option, (void)fields, (void)name;
    *why = "only the broker's own users can log in yet";
    return strcmp(text, "internal") == 0 || strcmp(text, "rabbit_auth_backend_internal") == 0;
}

const struct option_kind backend_kind = {.read_named = read_backend, .wanted = "internal"};

/* ---- how passwords are kept ---- */

static bool read_hashing(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    struct options *options = fields;
    uint8_t kind;
    (void)option, (void)why;
    if (!hash_kind_find(bytes_str(text), &kind))
        return false;
    options->broker.password_kind = kind;
    return true;
}

static void write_hashing(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", hash_kind_name(options->broker.password_kind));
}

const struct option_kind hashing_kind = {
    .read = read_hashing,
    .write = write_hashing,
    .wanted = "rabbit_password_hashing_sha256, rabbit_password_hashing_sha512, rabbit_password_hashing_md5 or "
              "leveret_scrypt"};

/* ---- whom a certificate names ---- */

struct word {
    const char *text;
    int value;
};

static bool read_word(const struct word *words, size_t count, const char *text, int *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].text, text) != 0)
            continue;
        *value = words[i].value;
        return true;
    }
    return false;
}

static const char *word_of(const struct word *words, int value)
{
    while (words->value != value)
        words++;
    return words->text;
}

static const struct word login_froms[] = {
    {"distinguished_name", LOGIN_FROM_DN},
    {"common_name", LOGIN_FROM_CN},
    {"subject_alternative_name", LOGIN_FROM_SAN},
    {"subject_alt_name", LOGIN_FROM_SAN},
};

static bool read_login_from(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    int value;
    (void)why;
    if (!read_word(login_froms, sizeof(login_froms) / sizeof(login_froms[0]), text, &value))
        return false;
    *(enum login_from *)option_field(option, fields) = (enum login_from)value;
    return true;
}

static void write_login_from(const struct option *option, const void *fields, char *text,
                             size_t size)
{
    const enum login_from *from = option_look(option, fields);
    snprintf(text, size, "%s", word_of(login_froms, (int)*from));
}

const struct option_kind login_from_kind = {
    .read = read_login_from,
    .write = write_login_from,
    .wanted = "distinguished_name, common_name or subject_alternative_name"};

static const struct word san_types[] = {
    {"dns", PEER_DNS}, {"ip", PEER_IP},  {"email", PEER_EMAIL},
    {"uri", PEER_URI}, {"other_name", PEER_OTHER_NAME},
};

static bool read_san_type(const struct option *option, void *fields, const char *text,
                          const char **why)
{
    int value;
    (void)why;
    if (!read_word(san_types, sizeof(san_types) / sizeof(san_types[0]), text, &value))
        return false;
    *(enum peer_name *)option_field(option, fields) = (enum peer_name)value;
    return true;
}

static void write_san_type(const struct option *option, const void *fields, char *text, size_t size)
{
    const enum peer_name *type = option_look(option, fields);
    snprintf(text, size, "%s", word_of(san_types, (int)*type));
}

const struct option_kind san_type_kind = {.read = read_san_type,
                                          .write = write_san_type,
                                          .wanted = "dns, ip, email, uri or other_name"};
