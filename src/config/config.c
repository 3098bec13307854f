#include "config/config.h"

#include <stdarg.h>
#include <string.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "config/grammar.h"

enum { NEAREST = 3, VALUE_MAX = 65535, REASON_MAX = 1024 };

void config_init(struct config *config, const struct option_table *table, char *const *environment)
{
    *config = (struct config){.table = table, .environment = environment};
    list_init(&config->settings);
    list_init(&config->remarks);
    list_init(&config->open_files);
    map_init(&config->by_key, 0);
    config->origins = mem_zalloc_array(table->count, sizeof(*config->origins));
}

static struct config_setting *setting_at(struct list *link)
{
    return list_entry(link, struct config_setting, link);
}

void config_free(struct config *config)
{
    list_for_each_safe(link, after, &config->settings)
        mem_free(setting_at(link));
    list_for_each_safe(link, after, &config->remarks)
        mem_free(list_entry(link, struct config_remark, link));
    map_free(&config->by_key);
    mem_free(config->origins);
    mem_free(config->kept);
    for (size_t i = 0; i < config->files; i++)
        mem_free(config->file_names[i]);
    mem_free(config->file_names);
}

/* ---- remarks ---- */

static void remark(struct config *config, bool is_fault, const char *origin, const char *format,
                   va_list arguments)
{
    char reason[REASON_MAX];
    size_t *count = is_fault ? &config->faults : &config->warnings;
    if ((*count)++ >= CONFIG_REMARKS_MAX)
        return;
    vsnprintf(reason, sizeof(reason), format, arguments);
    size_t origin_size = strlen(origin) + 1, reason_size = strlen(reason) + 1;
    struct config_remark *made = mem_alloc(sizeof(*made) + origin_size + reason_size);
    made->is_fault = is_fault;
    made->origin = memcpy(made->text, origin, origin_size);
    made->reason = memcpy(made->text + origin_size, reason, reason_size);
    list_push_back(&config->remarks, &made->link);
}

void config_fault(struct config *config, const char *origin, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    remark(config, true, origin, format, arguments);
    va_end(arguments);
}

void config_warn(struct config *config, const char *origin, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    remark(config, false, origin, format, arguments);
    va_end(arguments);
}

/* RabbitMQ's text, in one line. */
static void tell_unknown(struct config *config, enum config_source source, const char *origin,
                         const char *key)
{
    const char *nearest[NEAREST];
    char reason[REASON_MAX];
    size_t count = options_near_key(config->table, key, nearest, NEAREST);
    size_t size = (size_t)snprintf(
        reason, sizeof(reason), "You've tried to set %s, but there is no setting with that name.%s",
        key, count ? " Did you mean one of these?" : "");
    for (size_t i = 0; i < count && size < sizeof(reason); i++)
        size += (size_t)snprintf(reason + size, sizeof(reason) - size, " %s", nearest[i]);
    if (source == CONFIG_ENVIRONMENT)
        config_warn(config, origin, "%s", reason);
    else
        config_fault(config, origin, "%s", reason);
}

/* ---- settings ---- */

static void add(struct config *config, enum config_source source, const char *origin,
                const char *key, struct bytes value)
{
    const char *name;
    const struct option *option = option_find_key(config->table, key, &name);
    if (!option) {
        tell_unknown(config, source, origin, key);
        return;
    }
    size_t key_size = strlen(key) + 1, origin_size = strlen(origin) + 1;
    struct config_setting *setting =
        mem_zalloc(sizeof(*setting) + key_size + origin_size + value.size + 1);
    setting->source = source;
    setting->option = option;
    setting->key = memcpy(setting->text, key, key_size);
    setting->origin = memcpy(setting->text + key_size, origin, origin_size);
    char *copy = setting->text + key_size + origin_size;
    setting->value = value.size ? memcpy(copy, value.data, value.size) : copy;
    struct config_setting *before = map_remove(&config->by_key, bytes_str(key));
    if (before)
        before->is_replaced = true;
    map_add(&config->by_key, bytes_str(setting->key), setting);
    list_push_back(&config->settings, &setting->link);
}

void config_set(struct config *config, enum config_source source, const char *origin,
                const char *key, struct bytes value)
{
    if (strlen(key) > GRAMMAR_KEY_MAX)
        config_fault(config, origin, "the key is too long");
    else if (value.size > VALUE_MAX)
        config_fault(config, origin, "the value of %s is longer than %d bytes", key, VALUE_MAX);
    else if (!grammar_is_text(value))
        config_fault(config, origin, "the value of %s has bytes that are no text", key);
    else
        add(config, source, origin, key, value);
}

void config_set_line(struct config *config, enum config_source source, const char *origin,
                     const char *line)
{
    char key[GRAMMAR_KEY_MAX + 1];
    const char *equals = strchr(line, '=');
    size_t size = equals ? (size_t)(equals - line) : 0;
    if (size == 0 || size > GRAMMAR_KEY_MAX || equals[1] == '\0') {
        config_fault(config, origin, "must be KEY=VALUE, and not '%s'; for example heartbeat=30",
                     line);
        return;
    }
    memcpy(key, line, size);
    key[size] = '\0';
    config_set(config, source, origin, key, bytes_str(equals + 1));
}

/* ---- the environment ---- */

const char *config_variable(const struct config *config, const char *name)
{
    size_t size = strlen(name);
    for (char *const *at = config->environment; at && *at; at++)
        if (strncmp(*at, name, size) == 0 && (*at)[size] == '=')
            return (*at)[size + 1] ? *at + size + 1 : NULL;
    return NULL;
}

/* listeners.tcp.default of LISTENERS__TCP__DEFAULT. */
static void write_key(const char *name, size_t size, char *key)
{
    for (size_t i = 0; i < size; i++) {
        bool is_dot = name[i] == '_' && i + 1 < size && name[i + 1] == '_';
        bool is_capital = name[i] >= 'A' && name[i] <= 'Z';
        *key++ = is_dot ? '.' : is_capital ? (char)(name[i] + 'a' - 'A') : name[i];
        i += is_dot;
    }
    *key = '\0';
}

static void read_variable(struct config *config, const char *variable, const char *name)
{
    char key[GRAMMAR_KEY_MAX + 1], origin[GRAMMAR_KEY_MAX + 32];
    const char *equals = strchr(name, '=');
    if (!equals || equals == name || equals - name > GRAMMAR_KEY_MAX || !equals[1])
        return;
    write_key(name, (size_t)(equals - name), key);
    snprintf(origin, sizeof(origin), "%.*s", (int)(equals - variable), variable);
    config_set(config, CONFIG_ENVIRONMENT, origin, key, bytes_str(equals + 1));
}

void config_read_environment(struct config *config, const char *prefix)
{
    size_t size = strlen(prefix);
    for (char *const *at = config->environment; at && *at; at++)
        if (strncmp(*at, prefix, size) == 0)
            read_variable(config, *at, *at + size);
}

void config_read_variables(struct config *config)
{
    for (size_t i = 0; i < config->table->count; i++) {
        const struct option *option = &config->table->options[i];
        const char *value =
            option->environment ? config_variable(config, option->environment) : NULL;
        if (value)
            config_set(config, CONFIG_ENVIRONMENT, option->environment, option->key,
                       bytes_str(value));
    }
}

/* ---- what they come to ---- */

/* Rows that set the same field have the same origin. */
void config_took(struct config *config, const struct option *option, const char *origin)
{
    for (size_t i = 0; i < config->table->count; i++) {
        const struct option *other = &config->table->options[i];
        if (other == option || (option->width && other->width && option_has_effect(other) &&
                                other->offset == option->offset))
            config->origins[i] = origin;
    }
}

const char *config_origin(const struct config *config, const struct option *option)
{
    return config->origins[option - config->table->options];
}

static void apply(struct config *config, const struct config_setting *setting, void *fields)
{
    char error[REASON_MAX];
    if (option_set_key(config->table, setting->option, fields, setting->key, setting->value, error,
                       sizeof(error)))
        config_took(config, setting->option, setting->origin);
    else
        config_fault(config, setting->origin, "%s", error);
}

static void apply_source(struct config *config, enum config_source source, bool last, void *fields)
{
    list_for_each(link, &config->settings) {
        const struct config_setting *setting = setting_at(link);
        if (setting->source == source && !setting->is_replaced &&
            option_has_effect(setting->option) && setting->option->kind->is_last == last)
            apply(config, setting, fields);
    }
}

void config_apply(struct config *config, void *fields)
{
    for (enum config_source source = CONFIG_FILES; source <= CONFIG_COMMAND; source++) {
        apply_source(config, source, false, fields);
        apply_source(config, source, true, fields);
    }
}

/* ---- and what is told of them ---- */

static bool leaves_open(const struct option *option)
{
    return strpbrk(option->key, "$*") != NULL;
}

static size_t tell_settings(const struct config *config, const struct option *option,
                            const struct config_reader *reader)
{
    size_t count = 0;
    list_for_each(link, &((struct config *)(uintptr_t)config)->settings) {
        const struct config_setting *setting = setting_at(link);
        if (setting->option != option || setting->is_replaced)
            continue;
        reader->tell(reader, setting->key, option->is_secret ? NULL : setting->value,
                     setting->origin);
        count++;
    }
    return count;
}

/* As they are, when no key says so. */
static void tell_list(const struct option *option, const void *fields, const char *origin,
                      const struct config_reader *reader)
{
    char key[GRAMMAR_KEY_MAX + 1], value[1024];
    size_t fixed = strcspn(option->key, "$");
    memcpy(key, option->key, fixed);
    for (size_t n = 0;
         option->kind->write_nth(option, fields, n, key + fixed, value, sizeof(value)); n++)
        reader->tell(reader, key, value, origin);
}

static void tell_open(const struct config *config, const struct option *option, const void *fields,
                      const struct config_reader *reader)
{
    const char *origin = config_origin(config, option);
    bool is_option = origin && strncmp(origin, "--", 2) == 0 && strncmp(origin, "--set", 5) != 0;
    bool is_told = !is_option && tell_settings(config, option, reader);
    if (!is_told && option->kind->write_nth)
        tell_list(option, fields, origin ? origin : "default", reader);
}

static void tell_option(const struct config *config, const struct option *option,
                        const void *fields, const struct config_reader *reader)
{
    char value[1024];
    const char *origin = config_origin(config, option);
    if (leaves_open(option)) {
        tell_open(config, option, fields, reader);
        return;
    }
    option_write(option, fields, value, sizeof(value));
    if (option->is_secret)
        reader->tell(reader, option->key, NULL, origin ? origin : "default");
    else
        reader->tell(reader, option->key, value, !value[0] ? NULL : origin ? origin : "default");
}

void config_walk(const struct config *config, const void *fields,
                 const struct config_reader *reader)
{
    for (size_t i = 0; i < config->table->count; i++) {
        const struct option *option = &config->table->options[i];
        if (option->key && option_has_effect(option))
            tell_option(config, option, fields, reader);
    }
}

/* Does a file that has the value so, between these quotes or none, say this value? */
static bool says(const char *quote, const char *value)
{
    struct buffer line = {0};
    struct grammar_item item;
    const char *const parts[] = {"key = ", quote, value, quote};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        buffer_add(&line, parts[i], strlen(parts[i]));
    struct grammar grammar = grammar_of(buffer_bytes(&line));
    bool is_said = grammar_next(&grammar, &item) == GRAMMAR_SETTING &&
                   bytes_equal_str(item.value, value) && (item.is_quoted || !strstr(value, "$("));
    buffer_free(&line);
    return is_said;
}

struct printer {
    struct config_reader reader;
    FILE *out;
};

/* A value with both # and ' can come from anywhere else, and no file can say it. */
static void print_line(const struct config_reader *reader, const char *key, const char *value,
                       const char *origin)
{
    FILE *out = list_entry(reader, struct printer, reader)->out;
    if (!origin) {
        fprintf(out, "# %s is not set\n", key);
        return;
    }
    if (!value) {
        fprintf(out, "# %s is not shown  # %s\n", key, origin);
        return;
    }
    const char *quote = says("", value) ? "" : "'";
    if (*quote && !says(quote, value))
        fprintf(out, "# no file can say this value of %s: %s  # %s\n", key, value, origin);
    else
        fprintf(out, "%s = %s%s%s  # %s\n", key, quote, value, quote, origin);
}

void config_print(const struct config *config, const void *fields, FILE *out)
{
    const struct printer printer = {{print_line}, out};
    config_walk(config, fields, &printer.reader);
}

/* Appends to a list; *size counts what did not fit as well. */
static void list_text(char *text, size_t text_size, size_t *size, const char *one)
{
    size_t at = *size < text_size ? *size : text_size;
    *size += (size_t)snprintf(text + at, text_size - at, "%s%s", *size ? ", " : "", one);
}

void config_write_settings(const struct config *config, const struct option *option, char *text,
                           size_t size)
{
    char one[GRAMMAR_KEY_MAX + 256];
    size_t used = 0;
    text[0] = '\0';
    list_for_each(link, &((struct config *)(uintptr_t)config)->settings) {
        const struct config_setting *setting = setting_at(link);
        if (setting->option != option || setting->is_replaced)
            continue;
        snprintf(one, sizeof(one), "%s = %s", setting->key, setting->value);
        list_text(text, size, &used, one);
    }
}

size_t config_write_idle(const struct config *config, enum option_effect effect, char *text,
                         size_t size)
{
    size_t used = 0, count = 0;
    text[0] = '\0';
    list_for_each(link, &((struct config *)(uintptr_t)config)->settings) {
        const struct config_setting *setting = setting_at(link);
        if (setting->option->effect != effect || setting->is_replaced)
            continue;
        list_text(text, size, &used, setting->key);
        count++;
    }
    return count;
}
