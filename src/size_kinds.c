/* Bytes as RabbitMQ writes them, and amounts of memory and disk as bytes or as shares. */
#include <inttypes.h>
#include <string.h>

#include "option_kinds.h"
#include "options.h"

enum { MILLION = 1000000 };

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

const struct option_kind bytes_kind = {
    .read = read_bytes, .write = option_write_number, .describe = option_describe_size};
const struct option_kind bytesize_kind = {
    .read = read_bytes, .write = option_write_number, .describe = option_describe_size};

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
    const struct amount *amount = option_look(option, fields);
    if (amount->millionths)
        snprintf(text, size, "%u%%", amount->millionths / (MILLION / 100));
    else
        snprintf(text, size, "%" PRIu64, amount->bytes);
}

const struct option_kind amount_kind = {
    .read = read_amount,
    .write = write_amount,
    .wanted = "a share from 1% to 100%, a size from 64KiB on, or 0 for no limit"};

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
    const struct amount *amount = option_look(option, fields);
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
    const struct amount *amount = option_look(option, fields);
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

const struct option_kind amount_size_kind = {
    .read = read_amount_size, .write = write_amount_bytes, .wanted = "a size from 0 on"};
