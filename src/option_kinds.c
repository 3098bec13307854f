#include "option_kinds.h"

#include <inttypes.h>
#include <string.h>

#include "broker/queue_arguments.h"
#include "net/address.h"
#include "options.h"

enum { MILLION = 1000000 };

/* The row's field, to look at. */
static const void *field_of(const struct option *option, const void *fields)
{
    return (const char *)fields + option->offset;
}

/* ---- addresses ---- */

static bool add_address(struct listen_options *listen, const char *text, const char **why)
{
    struct endpoint endpoint;
    *why = listen->count < OPTIONS_LISTEN_MAX ? endpoint_read(text, 0, &endpoint)
                                              : "there are too many";
    if (!*why && strlen(text) >= OPTIONS_ADDRESS_BYTES)
        *why = "it is too long";
    if (*why)
        return false;
    snprintf(listen->at[listen->count++], OPTIONS_ADDRESS_BYTES, "%s", text);
    return true;
}

static bool read_listen(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    return add_address(option_field(option, fields), text, why);
}

/* RabbitMQ writes an IPv6 address without brackets: ::1:5672. */
static bool read_listener(const struct option *option, void *fields, const char *name,
                          const char *text, const char **why)
{
    char bracketed[OPTIONS_ADDRESS_BYTES];
    const char *end, *last = strrchr(text, ':');
    uint64_t port;
    (void)name;
    if (!last && !(digits_read(text, &port, &end) && *end == '\0')) {
        *why = "the port is missing";
        return false;
    }
    if (!last || strchr(text, ':') == last || strchr(text, '['))
        return read_listen(option, fields, text, why);
    snprintf(bracketed, sizeof(bracketed), "[%.*s]%s", (int)(last - text), text, last);
    return read_listen(option, fields, bracketed, why);
}

static bool is_plain(const struct option *option)
{
    return option->offset == offsetof(struct options, listen);
}

/* Of several the first. */
static void write_listen(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct listen_options *listen = field_of(option, fields);
    if (listen->count)
        snprintf(text, size, "%s", listen->at[0]);
    else
        snprintf(text, size, "%s", is_plain(option) ? "5672, everywhere" : "");
}

static bool write_nth_listener(const struct option *option, const void *fields, size_t n,
                               char *name, char *text, size_t size)
{
    const struct listen_options *listen = field_of(option, fields);
    bool is_usual = listen->count == 0 && !listen->is_none && is_plain(option);
    if (n >= listen->count + is_usual)
        return false;
    sprintf(name, "%zu", n + 1);
    snprintf(text, size, "%s", is_usual ? "5672" : listen->at[n]);
    return true;
}

static void describe_listen(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "[HOST:]PORT, at most %d times", OPTIONS_LISTEN_MAX);
}

static void describe_listener(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "PORT or HOST:PORT");
}

static void clear_listen(const struct option *option, void *fields)
{
    struct listen_options *listen = option_field(option, fields);
    listen->count = 0;
}

static bool read_no_listener(const struct option *option, void *fields, const char *text,
                             const char **why)
{
    struct listen_options *listen = option_field(option, fields);
    (void)why;
    listen->count = 0;
    listen->is_none = true;
    return strcmp(text, "none") == 0;
}

static void write_no_listener(const struct option *option, const void *fields, char *text,
                              size_t size)
{
    const struct listen_options *listen = field_of(option, fields);
    snprintf(text, size, "%s", listen->is_none && listen->count == 0 ? "none" : "");
}

static void describe_none(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "none");
}

const struct option_kind listen_kind = {
    .read = read_listen, .write = write_listen, .describe = describe_listen, .clear = clear_listen};
const struct option_kind listener_kind = {.read = read_listen,
                                          .describe = describe_listener,
                                          .read_named = read_listener,
                                          .write_nth = write_nth_listener};
const struct option_kind no_listener_kind = {.read = read_no_listener,
                                             .write = write_no_listener,
                                             .describe = describe_none,
                                             .is_last = true};

static bool read_management(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    const char **at = option_field(option, fields);
    struct endpoint endpoint;
    *at = text;
    *why = strcmp(text, "none") == 0 ? NULL : endpoint_read(text, 0, &endpoint);
    return !*why;
}

static void describe_management(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "[HOST:]PORT, or none");
}

const struct option_kind management_kind = {.read = read_management,
                                            .describe = describe_management};

/* ---- the log ---- */

/* RabbitMQ has more of them. */
static const struct {
    const char *name;
    enum log_level level;
} more_levels[] = {
    {"notice", LOG_LEVEL_INFO},
    {"critical", LOG_LEVEL_ERROR},
    {"alert", LOG_LEVEL_ERROR},
    {"emergency", LOG_LEVEL_ERROR},
};

static bool read_level(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    struct log_choice *choice = option_field(option, fields);
    (void)why;
    choice->is_said = log_level_read(text, &choice->level);
    for (size_t i = 0; i < sizeof(more_levels) / sizeof(more_levels[0]); i++)
        if (strcmp(text, more_levels[i].name) == 0)
            *choice = (struct log_choice){true, more_levels[i].level};
    return choice->is_said;
}

static void write_level(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct log_choice *choice = field_of(option, fields);
    snprintf(text, size, "%s", choice->is_said ? log_level_name(choice->level) : "");
}

static void describe_level(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "one of debug, info, warning, error, none");
}

const struct option_kind level_kind = {
    .read = read_level, .write = write_level, .describe = describe_level};

static bool read_formatter(const struct option *option, void *fields, const char *text,
                           const char **why)
{
    bool *is_json = option_field(option, fields);
    (void)why;
    *is_json = strcmp(text, "json") == 0;
    return *is_json || strcmp(text, "plaintext") == 0;
}

static void write_formatter(const struct option *option, const void *fields, char *text,
                            size_t size)
{
    const bool *is_json = field_of(option, fields);
    snprintf(text, size, "%s", *is_json ? "json" : "plaintext");
}

static void describe_formatter(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "plaintext or json");
}

const struct option_kind formatter_kind = {
    .read = read_formatter, .write = write_formatter, .describe = describe_formatter};

static bool read_log_file(const struct option *option, void *fields, const char *text,
                          const char **why)
{
    const char **file = option_field(option, fields);
    (void)why;
    *file = strcmp(text, "false") == 0 ? NULL : text;
    return *text != '\0';
}

static void write_log_file(const struct option *option, const void *fields, char *text, size_t size)
{
    const char *const *file = field_of(option, fields);
    snprintf(text, size, "%s", *file ? *file : "false");
}

static void describe_log_file(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "the name of a file, or false");
}

const struct option_kind log_file_kind = {
    .read = read_log_file, .write = write_log_file, .describe = describe_log_file};

/* ---- bytes and shares ---- */

/* "0.4", "1", in millionths, from 0 to 1000; false: it is no such number. */
static bool read_share(const char *text, uint64_t *millionths)
{
    const char *end;
    uint64_t whole, place = MILLION;
    if (!digits_read(text, &whole, &end) || whole > 1000)
        return false;
    *millionths = whole * MILLION;
    if (*end == '\0')
        return true;
    const char *digit = end + 1;
    for (; *end == '.' && *digit >= '0' && *digit <= '9' && place > 1; digit++)
        *millionths += (uint64_t)(*digit - '0') * (place /= 10);
    return digit > end + 1 && *digit == '\0';
}

static void write_share(uint64_t millionths, char *text, size_t size)
{
    char digits[32];
    int last = snprintf(digits, sizeof(digits), "%" PRIu64 ".%06" PRIu64, millionths / MILLION,
                        millionths % MILLION);
    while (last > 0 && digits[last - 1] == '0' && digits[last - 2] != '.')
        last--;
    snprintf(text, size, "%.*s", last, digits);
}

/* What behind digits multiplies them by; 0: it is no unit. */
static uint64_t unit_factor(const char *unit, uint64_t letter_step, uint64_t byte_step)
{
    static const char letters[] = "kmgt";
    if (*unit == '\0')
        return 1;
    const char *letter = strchr(letters, *unit | 0x20);
    if (!letter)
        return 0;
    bool is_letter = unit[1] == '\0', is_byte = strcasecmp(unit + 1, "b") == 0;
    bool is_binary = strcasecmp(unit + 1, "i") == 0 || strcasecmp(unit + 1, "ib") == 0;
    if (!is_letter && !is_byte && !is_binary)
        return 0;
    uint64_t step = is_binary ? 1024 : is_byte ? byte_step : letter_step, factor = step;
    for (const char *at = letters; at < letter; at++)
        factor *= step;
    return factor;
}

static bool read_units(const char *text, uint64_t byte_step, uint64_t *bytes)
{
    const char *end;
    if (!digits_read(text, bytes, &end))
        return false;
    uint64_t factor = unit_factor(end, byte_step, byte_step);
    if (factor == 0 || *bytes > UINT64_MAX / factor)
        return false;
    *bytes *= factor;
    return true;
}

bool units_read(const char *text, uint64_t *bytes)
{
    return read_units(text, 1000, bytes);
}

static bool read_bytes(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    uint64_t bytes;
    (void)why;
    return read_units(text, option->kind == &bytesize_kind ? 1024 : 1000, &bytes) &&
           option_put_number(option, fields, bytes);
}

static void write_number(const struct option *option, const void *fields, char *text, size_t size)
{
    option_number.write(option, fields, text, size);
}

static void describe_bytes(const struct option *option, char *text, size_t size)
{
    option_size.describe(option, text, size);
}

const struct option_kind bytes_kind = {
    .read = read_bytes, .write = write_number, .describe = describe_bytes};
const struct option_kind bytesize_kind = {
    .read = read_bytes, .write = write_number, .describe = describe_bytes};

/* ---- amounts of memory and disk ---- */

static bool set_share(const struct option *option, struct amount *amount, uint64_t millionths)
{
    amount->millionths = (uint32_t)millionths;
    return millionths >= 1 && millionths <= option->max;
}

/* A few bytes are never meant; what is, most likely, is a share. */
static bool set_bytes(const struct option *option, struct amount *amount, uint64_t bytes,
                      const char *hint, const char **why)
{
    *amount = (struct amount){.bytes = bytes};
    if (bytes == 0 || bytes >= option->min)
        return true;
    *why = hint;
    return false;
}

static bool read_amount(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    struct amount *amount = option_field(option, fields);
    const char *end;
    uint64_t number;
    if (digits_read(text, &number, &end) && strcmp(end, "%") == 0)
        return number <= 100 && set_share(option, amount, number * (MILLION / 100));
    return size_read(text, &number) &&
           set_bytes(option, amount, number, "that is so many bytes; a share has a % behind it",
                     why);
}

static void write_amount(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct amount *amount = field_of(option, fields);
    if (amount->millionths)
        snprintf(text, size, "%u%%", amount->millionths / (MILLION / 100));
    else
        snprintf(text, size, "%" PRIu64, amount->bytes);
}

static void describe_amount(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "a share from 1%% to 100%%, a size from 64KiB on, or 0 for no limit");
}

const struct option_kind amount_kind = {
    .read = read_amount, .write = write_amount, .describe = describe_amount};

static bool read_amount_share(const struct option *option, void *fields, const char *text,
                              const char **why)
{
    uint64_t millionths;
    (void)why;
    return read_share(text, &millionths) &&
           set_share(option, option_field(option, fields), millionths);
}

static void write_amount_share(const struct option *option, const void *fields, char *text,
                               size_t size)
{
    const struct amount *amount = field_of(option, fields);
    if (amount->millionths)
        write_share(amount->millionths, text, size);
}

static void describe_amount_share(const struct option *option, char *text, size_t size)
{
    snprintf(text, size, "a number above 0 and up to %" PRIu64, option->max / MILLION);
}

const struct option_kind amount_share_kind = {
    .read = read_amount_share, .write = write_amount_share, .describe = describe_amount_share};

static bool read_amount_bytes(const struct option *option, void *fields, const char *text,
                              const char **why)
{
    uint64_t bytes;
    return read_units(text, 1000, &bytes) &&
           set_bytes(option, option_field(option, fields), bytes,
                     "that is so few bytes; a share is the key that ends with .relative", why);
}

static void write_amount_bytes(const struct option *option, const void *fields, char *text,
                               size_t size)
{
    const struct amount *amount = field_of(option, fields);
    if (!amount->millionths)
        snprintf(text, size, "%" PRIu64, amount->bytes);
}

static void describe_amount_bytes(const struct option *option, char *text, size_t size)
{
    snprintf(text, size, "a size from %" PRIu64 " on%s", option->min,
             option->min ? ", or 0 for no limit" : "");
}

const struct option_kind amount_bytes_kind = {
    .read = read_amount_bytes, .write = write_amount_bytes, .describe = describe_amount_bytes};

/* The same with the sizes of the command line. */
static bool read_amount_size(const struct option *option, void *fields, const char *text,
                             const char **why)
{
    uint64_t bytes;
    return size_read(text, &bytes) &&
           set_bytes(option, option_field(option, fields), bytes, NULL, why);
}

static void describe_amount_size(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "a size from 0 on");
}

const struct option_kind amount_size_kind = {
    .read = read_amount_size, .write = write_amount_bytes, .describe = describe_amount_size};

/* ---- queues ---- */

static bool read_queue_type(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    (void)option;
    *why = strcmp(text, "stream") == 0 ? "there are no streams" : NULL;
    options->broker.queue_type = text;
    return queue_arguments_is_default_type(bytes_str(text));
}

static void write_queue_type(const struct option *option, const void *fields, char *text,
                             size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", options->broker.queue_type);
}

static void describe_queue_type(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "classic or quorum");
}

const struct option_kind queue_type_kind = {
    .read = read_queue_type, .write = write_queue_type, .describe = describe_queue_type};

/* ---- names ---- */

static void describe_truth(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "true or false");
}

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
    snprintf(text, size, "%s", (const char *)field_of(option, fields));
}

static void describe_names(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "names with commas between, or none");
}

const struct option_kind names_kind = {
    .read = read_names, .write = write_names, .describe = describe_names};

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
    const char *at = field_of(option, fields);
    for (; n && *at; n--)
        at = strchrnul(at, ',') + (*strchrnul(at, ',') != '\0');
    snprintf(name, 200, "%.*s", (int)strcspn(at, ","), at);
    snprintf(text, size, "true");
    return *at != '\0';
}

const struct option_kind name_kind = {
    .describe = describe_truth, .read_named = read_name, .write_nth = write_nth_name};

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
    const char *names = field_of(option, fields);
    snprintf(text, size, "%s", names[0] ? "" : "none");
}

const struct option_kind no_name_kind = {
    .read = read_no_name, .write = write_no_name, .describe = describe_none, .is_last = true};

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
    const bool *allowed = field_of(option, fields);
    snprintf(text, size, "%s", *allowed ? "guest" : "none");
}

static void describe_anonymous(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "guest or none");
}

const struct option_kind anonymous_kind = {
    .read = read_anonymous, .write = write_anonymous, .describe = describe_anonymous};

static bool read_mechanism(const struct option *option, void *fields, const char *name,
                           const char *text, const char **why)
{
    struct options *options = fields;
    (void)option, (void)name;
    static const char *const mechanisms[] = {"PLAIN", "AMQPLAIN", "ANONYMOUS"};
    if (strcmp(text, "EXTERNAL") == 0)
        *why = "certificates do not log anybody in yet";
    for (unsigned i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
        if (strcmp(text, mechanisms[i]) != 0)
            continue;
        options->mechanisms |= 1U << i;
        return true;
    }
    return false;
}

static void describe_mechanism(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "PLAIN, AMQPLAIN or ANONYMOUS");
}

const struct option_kind mechanism_kind = {.read_named = read_mechanism,
                                           .describe = describe_mechanism};

static bool read_backend(const struct option *option, void *fields, const char *name,
                         const char *text, const char **why)
{
    (void)option, (void)fields, (void)name;
    *why = "only the broker's own users can log in yet";
    return strcmp(text, "internal") == 0 || strcmp(text, "rabbit_auth_backend_internal") == 0;
}

static void describe_backend(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "internal");
}

const struct option_kind backend_kind = {.read_named = read_backend, .describe = describe_backend};

/* ---- others ---- */

static bool read_set(const struct option *option, void *fields, const char *text, const char **why)
{
    struct options *options = fields;
    (void)option;
    *why = options->sets_count < OPTIONS_SETS_MAX ? NULL : "there are too many";
    if (!*why)
        options->sets[options->sets_count++] = text;
    return !*why;
}

static void describe_set(const struct option *option, char *text, size_t size)
{
    (void)option;
    snprintf(text, size, "KEY=VALUE");
}

static void clear_set(const struct option *option, void *fields)
{
    struct options *options = fields;
    (void)option;
    options->sets_count = 0;
}

const struct option_kind set_kind = {
    .read = read_set, .describe = describe_set, .clear = clear_set};

static bool read_unlimited(const struct option *option, void *fields, const char *text,
                           const char **why)
{
    return option_number.read(option, fields, strcmp(text, "infinity") == 0 ? "0" : text, why);
}

static void describe_number(const struct option *option, char *text, size_t size)
{
    option_number.describe(option, text, size);
}

static void describe_unlimited(const struct option *option, char *text, size_t size)
{
    char number[100];
    describe_number(option, number, sizeof(number));
    snprintf(text, size, "%s, or infinity", number);
}

const struct option_kind unlimited_kind = {
    .read = read_unlimited, .write = write_number, .describe = describe_unlimited};

static bool read_highest(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    if (strcmp(text, "0") == 0)
        return option_put_number(option, fields, option->max);
    return option_number.read(option, fields, text, why);
}

const struct option_kind highest_kind = {
    .read = read_highest, .write = write_number, .describe = describe_number};

static bool read_only(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)fields;
    *why = option->help;
    return strcmp(text, option->example) == 0;
}

static void write_only(const struct option *option, const void *fields, char *text, size_t size)
{
    (void)fields;
    snprintf(text, size, "%s", option->example);
}

static void describe_only(const struct option *option, char *text, size_t size)
{
    snprintf(text, size, "%s", option->example);
}

const struct option_kind only_kind = {
    .read = read_only, .write = write_only, .describe = describe_only};

static bool read_idle(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)option, (void)fields, (void)text, (void)why;
    return true;
}

const struct option_kind idle_kind = {.read = read_idle};
