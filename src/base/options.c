/* Kinds of options that any program has, the command line, and the texts of errors and help. */
#include "base/options.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/near.h"

/* ---- numbers ---- */

bool digits_read(const char *text, uint64_t *number, const char **end)
{
    *number = 0;
    *end = text;
    for (; **end >= '0' && **end <= '9'; (*end)++) {
        uint64_t digit = (uint64_t)(**end - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *end != text;
}

/* What a suffix multiplies by; 0: it is none. */
static uint64_t suffix_factor(const char *suffix)
{
    static const char letters[] = "kmgt";
    if (*suffix == '\0' || strcmp(suffix, "B") == 0)
        return 1;
    const char *letter = strchr(letters, *suffix | 0x20);
    if (!letter)
        return 0;
    const char *rest = suffix + 1;
    uint64_t step = strcmp(rest, "B") == 0 ? 1000 : 1024;
    if (*rest != '\0' && strcmp(rest, "B") != 0 && strcmp(rest, "i") != 0 &&
        strcmp(rest, "iB") != 0)
        return 0;
    uint64_t factor = step;
    for (const char *at = letters; at < letter; at++)
        factor *= step;
    return factor;
}

bool size_read(const char *text, uint64_t *bytes)
{
    const char *end;
    if (!digits_read(text, bytes, &end))
        return false;
    uint64_t factor = suffix_factor(end);
    if (factor == 0 || *bytes > UINT64_MAX / factor)
        return false;
    *bytes *= factor;
    return true;
}

static void write_size(uint64_t size, char *text, size_t text_size)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (size != 0 && size % 1024 == 0 && unit < 3) {
        size /= 1024;
        unit++;
    }
    snprintf(text, text_size, "%" PRIu64 "%s", size, units[unit]);
}

static void write_digits(uint64_t number, char *text, size_t size)
{
    snprintf(text, size, "%" PRIu64, number);
}

/* The largest number that the field holds. */
static uint64_t width_max(size_t width)
{
    return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1;
}

bool option_put_number(const struct option *option, void *fields, uint64_t number)
{
    void *field = option_field(option, fields);
    uint16_t small = (uint16_t)number;
    uint32_t middle = (uint32_t)number;
    assert(option->width == 2 || option->width == 4 || option->width == 8);
    if (number < option->min || number > option->max || number > width_max(option->width))
        return false;
    if (option->width == 2)
        memcpy(field, &small, sizeof(small));
    else if (option->width == 4)
        memcpy(field, &middle, sizeof(middle));
    else
        memcpy(field, &number, sizeof(number));
    return true;
}

static uint64_t get_number(const struct option *option, const void *fields)
{
    const void *field = option_look(option, fields);
    uint16_t small;
    uint32_t middle;
    uint64_t large;
    if (option->width == 2)
        return memcpy(&small, field, sizeof(small)), small;
    if (option->width == 4)
        return memcpy(&middle, field, sizeof(middle)), middle;
    return memcpy(&large, field, sizeof(large)), large;
}

/* "a number from 1 to 9", or "from 1 on" when only the field bounds it. */
static void describe_range(const struct option *option, const char *what,
                           void (*write)(uint64_t, char *, size_t), char *text, size_t size)
{
    uint64_t field_max = width_max(option->width);
    uint64_t max = option->max < field_max ? option->max : field_max;
    char first[32], last[32];
    write(option->min, first, sizeof(first));
    write(max, last, sizeof(last));
    if (max == UINT64_MAX)
        snprintf(text, size, "%s from %s on", what, first);
    else
        snprintf(text, size, "%s from %s to %s", what, first, last);
}

/* ---- kinds ---- */

bool truth_read(const char *text, bool *truth)
{
    *truth = strcmp(text, "true") == 0;
    return *truth || strcmp(text, "false") == 0;
}

static bool read_flag(const struct option *option, void *fields, const char *text, const char **why)
{
    bool *field = option_field(option, fields), is_told = true;
    (void)why;
    if (text && !truth_read(text, &is_told))
        return false;
    *field = is_told == (option->kind == &option_flag);
    return true;
}

static void write_flag(const struct option *option, const void *fields, char *text, size_t size)
{
    const bool *field = option_look(option, fields);
    bool is_told = *field == (option->kind == &option_flag);
    snprintf(text, size, "%s", is_told ? "true" : "false");
}

const struct option_kind option_flag = {
    .read = read_flag, .write = write_flag, .wanted = "true or false", .takes_nothing = true};
const struct option_kind option_no = {
    .read = read_flag, .write = write_flag, .wanted = "true or false", .takes_nothing = true};

static bool read_text(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)why;
    memcpy(option_field(option, fields), &text, sizeof(text));
    return *text != '\0';
}

static void write_text(const struct option *option, const void *fields, char *text, size_t size)
{
    const char *value;
    memcpy(&value, option_look(option, fields), sizeof(value));
    snprintf(text, size, "%s", value ? value : "");
}

const struct option_kind option_text = {.read = read_text, .write = write_text, .wanted = "a text"};
const struct option_kind option_path = {.read = read_text, .write = write_text, .wanted = "a path"};

static bool read_number(const struct option *option, void *fields, const char *text,
                        const char **why)
{
    uint64_t number;
    const char *end;
    (void)why;
    return digits_read(text, &number, &end) && *end == '\0' &&
           option_put_number(option, fields, number);
}

void option_write_number(const struct option *option, const void *fields, char *text, size_t size)
{
    write_digits(get_number(option, fields), text, size);
}

void option_describe_number(const struct option *option, char *text, size_t size)
{
    describe_range(option, "a number", write_digits, text, size);
}

const struct option_kind option_number = {
    .read = read_number, .write = option_write_number, .describe = option_describe_number};

static bool read_bytes(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    uint64_t bytes;
    (void)why;
    return size_read(text, &bytes) && option_put_number(option, fields, bytes);
}

static void write_bytes(const struct option *option, const void *fields, char *text, size_t size)
{
    write_size(get_number(option, fields), text, size);
}

void option_describe_size(const struct option *option, char *text, size_t size)
{
    describe_range(option, "a size", write_size, text, size);
}

const struct option_kind option_size = {
    .read = read_bytes, .write = write_bytes, .describe = option_describe_size};

static bool read_power(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    if (!read_number(option, fields, text, why))
        return false;
    uint64_t number = get_number(option, fields);
    return (number & (number - 1)) == 0;
}

static void describe_power(const struct option *option, char *text, size_t size)
{
    describe_range(option, "a power of two", write_digits, text, size);
}

const struct option_kind option_power = {
    .read = read_power, .write = option_write_number, .describe = describe_power};

/* ---- errors ---- */

void option_write(const struct option *option, const void *fields, char *text, size_t size)
{
    text[0] = '\0';
    if (option->kind->write)
        option->kind->write(option, fields, text, size);
}

/* What the option is when nothing is said; nothing when that is not told. */
static void write_default(const struct option_table *table, const struct option *option, char *text,
                          size_t size)
{
    text[0] = '\0';
    if (table->defaults)
        option_write(option, table->defaults, text, size);
}

/* `text` gets a value that is allowed, or nothing. */
static void write_example(const struct option_table *table, const struct option *option, char *text,
                          size_t size)
{
    if (option->example)
        snprintf(text, size, "%s", option->example);
    else
        write_default(table, option, text, size);
}

/* `text` gets "; for example --NAME VALUE", or nothing. */
static void put_example(const struct option_table *table, const struct option *option, char *text,
                        size_t size)
{
    char value[64];
    text[0] = '\0';
    write_example(table, option, value, sizeof(value));
    if (value[0])
        snprintf(text, size, "; for example --%s %s", option->name, value);
}

void option_describe(const struct option *option, char *text, size_t size)
{
    const struct option_kind *kind = option->kind;
    const char *argument = option->argument ? option->argument : "";
    if (kind->describe)
        kind->describe(option, text, size);
    else
        snprintf(text, size, "%s", kind->wanted ? kind->wanted : argument);
}

bool option_set(const struct option_table *table, const struct option *option, void *fields,
                const char *value, char *error, size_t error_size)
{
    char wanted[128], example[128];
    const char *why = NULL;
    if (option->kind->read(option, fields, value, &why))
        return true;
    option_describe(option, wanted, sizeof(wanted));
    put_example(table, option, example, sizeof(example));
    snprintf(error, error_size, "--%s must be %s, and not '%s'%s%s%s", option->name, wanted, value,
             why ? ": " : "", why ? why : "", example);
    return false;
}

size_t options_near_key(const struct option_table *table, const char *key, const char **nearest,
                        size_t count)
{
    size_t size = strlen(key), found = 0, far[8];
    assert(count <= sizeof(far) / sizeof(far[0]));
    for (size_t i = 0; i < table->count; i++) {
        const char *other = table->options[i].key, *alias = table->options[i].alias;
        size_t at, cost = other ? near_distance(key, size, other) : SIZE_MAX;
        if (alias && near_distance(key, size, alias) < cost)
            cost = near_distance(key, size, other = alias);
        if (cost > size / 2)
            continue;
        for (at = found < count ? found++ : count; at > 0 && far[at - 1] > cost; at--)
            if (at < count)
                far[at] = far[at - 1], nearest[at] = nearest[at - 1];
        if (at < count)
            far[at] = cost, nearest[at] = other;
    }
    return found;
}

static bool refuse_unknown(const struct option_table *table, const char *argument, size_t size,
                           char *error, size_t error_size)
{
    const char *best = NULL;
    size_t nearest = size / 3 + 1;
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->options[i].name;
        size_t far = name ? near_distance(argument + 2, size, name) : nearest;
        if (far < nearest) {
            nearest = far;
            best = name;
        }
    }
    snprintf(error, error_size, "unknown option '%s'%s%s%s", argument,
             best ? "; did you mean --" : "", best ? best : "", best ? "?" : "");
    return false;
}

/* ---- the command line ---- */

const struct option *option_find(const struct option_table *table, const char *name, size_t size)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *other = table->options[i].name;
        if (other && strlen(other) == size && memcmp(other, name, size) == 0)
            return &table->options[i];
    }
    return NULL;
}

static const struct option *find_letter(const struct option_table *table, const char *argument)
{
    if (argument[0] != '-' || argument[1] == '\0' || argument[2] != '\0')
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        if (table->options[i].letter == argument[1])
            return &table->options[i];
    return NULL;
}

/* The option that an argument names, and its value, which is NULL when it does not stand in the
 * same argument. */
static const struct option *parse(const struct option_table *table, const char *argument,
                                  const char **value, char *error, size_t error_size)
{
    const struct option *option = find_letter(table, argument);
    *value = NULL;
    if (option)
        return option;
    if (strncmp(argument, "--", 2) != 0) {
        snprintf(error, error_size, "unexpected argument '%s'; options begin with --", argument);
        return NULL;
    }
    const char *equals = strchr(argument, '=');
    size_t size = equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
    *value = equals ? equals + 1 : NULL;
    option = option_find(table, argument + 2, size);
    if (!option)
        refuse_unknown(table, argument, size, error, error_size);
    return option;
}

static bool refuse_missing(const struct option_table *table, const struct option *option,
                           char *error, size_t error_size)
{
    char wanted[128], example[128];
    option_describe(option, wanted, sizeof(wanted));
    put_example(table, option, example, sizeof(example));
    snprintf(error, error_size, "--%s needs a value: %s%s", option->name,
             example[0] ? option->argument : wanted, example);
    return false;
}

const struct option *options_next_argument(const struct option_table *table, int count,
                                           char **arguments, int *at, const char **value,
                                           char *error, size_t error_size)
{
    const struct option *option = parse(table, arguments[(*at)++], value, error, error_size);
    if (!option)
        return NULL;
    if (option->kind->takes_nothing && *value) {
        snprintf(error, error_size, "--%s takes no value", option->name);
        return NULL;
    }
    if (option->kind->takes_nothing || *value)
        return option;
    if (*at == count) {
        refuse_missing(table, option, error, error_size);
        return NULL;
    }
    *value = arguments[(*at)++];
    return option;
}

bool options_read_arguments(const struct option_table *table, void *fields, int count,
                            char **arguments, char *error, size_t error_size)
{
    const char *value;
    for (int at = 1; at < count;) {
        const struct option *option =
            options_next_argument(table, count, arguments, &at, &value, error, error_size);
        if (!option || !option_set(table, option, fields, value, error, error_size))
            return false;
    }
    return true;
}

/* ---- keys ---- */

/* Does the row stand for the key? *name is what it leaves open. */
static bool is_key(const char *pattern, const char *key, const char **name)
{
    size_t fixed = strcspn(pattern, "$*");
    *name = NULL;
    if (pattern[fixed] == '\0')
        return strcmp(pattern, key) == 0;
    *name = key + fixed;
    return strncmp(pattern, key, fixed) == 0 && key[fixed] != '\0';
}

const struct option *option_find_key(const struct option_table *table, const char *key,
                                     const char **name)
{
    const struct option *open = NULL;
    const char *open_name = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        bool is_one = (option->key && is_key(option->key, key, name)) ||
                      (option->alias && is_key(option->alias, key, name));
        if (is_one && !*name)
            return option;
        /* Of several that leave something open the one that leaves the least. */
        if (is_one && (!open_name || *name > open_name))
            open = option, open_name = *name;
    }
    *name = open_name;
    return open;
}

static bool read_key(const struct option *option, void *fields, const char *key, const char *value,
                     const char **why)
{
    const struct option_table row = {.options = option, .count = 1};
    const char *name;
    option_find_key(&row, key, &name);
    if (name && option->kind->read_named)
        return option->kind->read_named(option, fields, name, value, why);
    return option->kind->read(option, fields, value, why);
}

bool option_set_key(const struct option_table *table, const struct option *option, void *fields,
                    const char *key, const char *value, char *error, size_t error_size)
{
    char wanted[128], example[64];
    const char *why = NULL;
    if (read_key(option, fields, key, value, &why))
        return true;
    option_describe(option, wanted, sizeof(wanted));
    write_example(table, option, example, sizeof(example));
    snprintf(error, error_size, "%s must be %s, and not '%s'%s%s%s%s%s%s", key, wanted,
             option->is_secret ? "***" : value, why ? ": " : "", why ? why : "",
             example[0] ? "; for example " : "", example[0] ? key : "", example[0] ? " = " : "",
             example);
    return false;
}

/* ---- help ---- */

static void print_one(const struct option_table *table, const struct option *option, FILE *out)
{
    char left[64], value[64];
    snprintf(left, sizeof(left), "--%s%s%s", option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    value[0] = '\0';
    if (!option->kind->takes_nothing)
        write_default(table, option, value, sizeof(value));
    fprintf(out, "  %-*s %s%s%s%s\n", table->help_width, left, option->help, value[0] ? " (" : "",
            value, value[0] ? ")" : "");
}

void options_print(const struct option_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (option->name)
            print_one(table, option, out);
        else if (option_is_heading(option))
            fprintf(out, "\n%s:\n", option->help);
    }
}
