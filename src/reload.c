/* New options are made beside those that run, and compared with them row by row. Only when nothing
 * of them is wrong, certificates included, are the fields of live rows copied. */
#include "reload.h"

#include <string.h>

#include "base/mem.h"
#include "option_kinds.h"

enum { VALUE_MAX = 512 };

/* What there is to say of a reload. */
struct changes_text {
    char live[RELOAD_TEXT_BYTES / 2 - 64], start[RELOAD_TEXT_BYTES / 2 - 64]; /* keys */
    size_t live_count, start_count;
};

/* ---- what is different ---- */

static bool is_open(const struct option *option)
{
    return strpbrk(option->key, "$*") != NULL;
}

/* Another row may have told of the field in the same way. */
static bool is_first(const struct option_table *table, const struct option *option)
{
    for (const struct option *other = table->options; other < option; other++)
        if (other->key && other->kind == option->kind && other->offset == option->offset)
            return false;
    return true;
}

static void write_value(const struct option *option, const struct config *config,
                        const struct options *options, char *text)
{
    if (is_open(option))
        config_write_settings(config, option, text, VALUE_MAX);
    else
        option_write(option, options, text, VALUE_MAX);
}

static bool differs(const struct option *option, const struct options *one,
                    const struct options *other)
{
    char value[VALUE_MAX], other_value[VALUE_MAX];
    if (is_open(option))
        return memcmp((const char *)one + option->offset, (const char *)other + option->offset,
                      option->width) != 0;
    option_write(option, one, value, sizeof(value));
    option_write(option, other, other_value, sizeof(other_value));
    return strcmp(value, other_value) != 0;
}

static void add_key(char *keys, size_t size, size_t *count, const char *key)
{
    size_t used = strlen(keys);
    snprintf(keys + used, size - used, "%s%s", *count ? ", " : "", key);
    (*count)++;
}

static void tell_change(const struct reload *reload, const struct option *option,
                        const struct config *fresh_config, const struct options *fresh,
                        struct changes_text *told)
{
    char from[VALUE_MAX] = "***", to[VALUE_MAX] = "***";
    bool is_live = option->effect == OPTION_LIVE;
    if (!option->is_secret) {
        write_value(option, reload_config(reload), reload->options, from);
        write_value(option, fresh_config, fresh, to);
    }
    log_event(&reload->logs->log, is_live ? EVENT_config_changed : EVENT_config_needs_restart,
              "key=%s from=%s to=%s", option->key, from, to);
    if (is_live)
        add_key(told->live, sizeof(told->live), &told->live_count, option->key);
    else
        add_key(told->start, sizeof(told->start), &told->start_count, option->key);
}

static void tell_changes(const struct reload *reload, const struct config *fresh_config,
                         const struct options *fresh, struct changes_text *told)
{
    const struct option_table *table = reload->config->table;
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (option->key && option->width && option_has_effect(option) && is_first(table, option) &&
            differs(option, reload->options, fresh))
            tell_change(reload, option, fresh_config, fresh, told);
    }
}

/* ---- what is wrong ---- */

static bool refuse(const struct reload *reload, const char *why, char *text)
{
    log_event(&reload->logs->log, EVENT_config_not_reloaded, "reason=%s", why);
    snprintf(text, RELOAD_TEXT_BYTES, "nothing is changed: %s", why);
    return false;
}

static bool refuse_config(const struct reload *reload, const struct config *fresh, char *text)
{
    char why[RELOAD_TEXT_BYTES - 64] = "";
    list_for_each(link, &fresh->remarks) {
        const struct config_remark *remark = list_entry(link, struct config_remark, link);
        if (!remark->is_fault)
            continue;
        log_event(&reload->logs->log, EVENT_config_wrong, "at=%s reason=%s", remark->origin,
                  remark->reason);
        if (!why[0])
            snprintf(why, sizeof(why), "%zu settings are wrong, the first at %s: %s", fresh->faults,
                     remark->origin, remark->reason);
    }
    return refuse(reload, why, text);
}

/* The files are read with the new options. */
static bool prepare_tls(const struct reload *reload, struct tls_context *context,
                        const struct tls_settings *settings, char *text)
{
    char error[512];
    if (!context)
        return true;
    if (!tls_settings_has_own(settings) || !tls_settings_can_verify(settings))
        return refuse(reload,
                      "listeners with TLS need a certificate, its key, and authorities if they "
                      "verify peers",
                      text);
    if (tls_context_prepare(context, &settings->options, error, sizeof(error)))
        return true;
    log_event(&reload->logs->log, EVENT_tls_not_reloaded, "reason=%s", error);
    return refuse(reload, error, text);
}

static void take_tls(const struct reload *reload, struct tls_context *context,
                     const struct tls_settings *settings)
{
    if (!context)
        return;
    tls_context_commit(context);
    log_event(&reload->logs->log, EVENT_tls_reloaded, "certificate=%s",
              settings->options.certificate);
}

/* ---- what counts from now on ---- */

/* `reserve` is what was kept free on the disk until now. */
static void act(struct reload *reload, uint64_t reserve)
{
    struct options *options = reload->options;
    logs_set_options(reload->logs, &options->logs);
    options->server.trace_frames = logs_take(reload->logs, LOG_CATEGORY_CHANNEL, LOG_LEVEL_DEBUG);
    reload->turns->slow_us = (uint64_t)options->slow_turn_ms * 1000;
    reload->broker->options = options->broker;
    if (options->store.disk_reserve_bytes != reserve)
        store_set_disk_reserve(reload->store, options->store.disk_reserve_bytes);
    server_set_options(reload->server, &options->server);
}

static void take_live(struct reload *reload, const struct options *fresh)
{
    uint64_t reserve = reload->options->store.disk_reserve_bytes;
    options_take_live(reload->options, fresh, reload->config->table);
    act(reload, reserve);
}

static void keep(struct reload *reload, struct config *fresh)
{
    reload_free(reload);
    reload->latest = fresh;
}

static bool apply(struct reload *reload, struct config *fresh_config, const struct options *fresh,
                  char *text)
{
    struct changes_text told = {.live_count = 0};
    if (!prepare_tls(reload, reload->tls, &fresh->tls, text) ||
        !prepare_tls(reload, reload->management_tls, &fresh->management_tls, text) ||
        !prepare_tls(reload, reload->metrics_tls, &fresh->metrics_tls, text))
        return false;
    take_tls(reload, reload->tls, &fresh->tls);
    take_tls(reload, reload->management_tls, &fresh->management_tls);
    take_tls(reload, reload->metrics_tls, &fresh->metrics_tls);
    tell_changes(reload, fresh_config, fresh, &told);
    take_live(reload, fresh);
    log_event(&reload->logs->log, EVENT_config_reloaded, "changed=%zu need_restart=%zu", told.live_count,
              told.start_count);
    snprintf(text, RELOAD_TEXT_BYTES, "%zu settings have changed%s%s%s%s", told.live_count,
             told.live_count ? ": " : "", told.live,
             told.start_count ? "; these need a restart: " : "", told.start);
    return true;
}

static bool read_again(struct reload *reload, struct config *fresh_config, struct options *fresh,
                       char *text)
{
    char error[RELOAD_TEXT_BYTES - 64];
    if (!options_read(fresh, fresh_config, reload->input, error, sizeof(error)))
        return refuse(reload, error, text);
    if (fresh_config->faults)
        return refuse_config(reload, fresh_config, text);
    return apply(reload, fresh_config, fresh, text);
}

bool reload_configuration(struct reload *reload, char *text)
{
    struct config *fresh_config = mem_zalloc(sizeof(*fresh_config));
    struct options *fresh = mem_zalloc(sizeof(*fresh));
    bool is_done = read_again(reload, fresh_config, fresh, text);
    mem_free(fresh);
    if (is_done) {
        keep(reload, fresh_config);
        return true;
    }
    config_free(fresh_config);
    mem_free(fresh_config);
    return false;
}

struct config *reload_config(const struct reload *reload)
{
    return reload->latest ? reload->latest : reload->config;
}

bool reload_set(struct reload *reload, const char *key, const char *value, char *text)
{
    const char *name;
    const struct option_table *table = reload->config->table;
    const struct option *option = option_find_key(table, key, &name);
    uint64_t reserve = reload->options->store.disk_reserve_bytes;
    char from[VALUE_MAX] = "", to[VALUE_MAX];
    if (option)
        option_write(option, reload->options, from, sizeof(from));
    if (!options_set_live(reload->options, table, key, value, text, RELOAD_TEXT_BYTES))
        return false;
    act(reload, reserve);
    option_write(option, reload->options, to, sizeof(to));
    config_took(reload_config(reload), option_find_key(reload_config(reload)->table, key, &name),
                "set while it runs");
    log_event(&reload->logs->log, EVENT_config_changed, "key=%s from=%s to=%s", key, from, to);
    return true;
}

bool reload_set_level(struct reload *reload, const char *level, char *text)
{
    static const struct option row = {.kind = &level_kind, .width = sizeof(struct log_choice)};
    struct server_options *options = &reload->options->server;
    struct log_choice choice;
    const char *why = NULL;
    if (!level_kind.read(&row, &choice, level, &why)) {
        snprintf(text, RELOAD_TEXT_BYTES, "there is no level '%s'", level);
        return false;
    }
    logs_set_level(reload->logs, choice.level);
    options->trace_frames = logs_take(reload->logs, LOG_CATEGORY_CHANNEL, LOG_LEVEL_DEBUG);
    server_set_options(reload->server, options);
    log_event(&reload->logs->log, EVENT_config_changed, "key=log.level to=%s", level);
    return true;
}

void reload_free(struct reload *reload)
{
    if (!reload->latest)
        return;
    config_free(reload->latest);
    mem_free(reload->latest);
    reload->latest = NULL;
}
