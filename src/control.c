/* What operators want of the daemon while it runs: copies, settings, a reload, an end; and what they ask of its
 * cluster. */
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "folder.h"
#include "net/clock.h"

_Static_assert((int)API_TEXT_BYTES == (int)RELOAD_TEXT_BYTES, "texts of a reload go to the API");

/* ---- copies ---- */

static struct daemon *of_backups(const struct api_backups *backups)
{
    return list_entry(backups, struct daemon, backups);
}

static const char *begin_backup(const struct api_backups *backups, const char *folder, char *error,
                                size_t error_size)
{
    struct daemon *daemon = of_backups(backups);
    return backup_begin(&daemon->backup, daemon->store, folder, loop_wake, daemon->loop, error,
                        error_size);
}

static void stop_backup(const struct api_backups *backups)
{
    backup_stop(&of_backups(backups)->backup);
}

static const struct store_backup *look_at_backup(const struct api_backups *backups,
                                                 const char **folder, bool *goes_on)
{
    struct daemon *daemon = of_backups(backups);
    *goes_on = !backup_has_ended(&daemon->backup);
    *folder = daemon->backup.path;
    return daemon->backup.path ? &daemon->backup.copy : NULL;
}

/* ---- settings ---- */

struct settings_reader {
    struct config_reader reader;
    api_tell_setting *tell;
    void *context;
};

static void tell_setting(const struct config_reader *reader, const char *key, const char *value,
                         const char *origin)
{
    const struct settings_reader *one = list_entry(reader, struct settings_reader, reader);
    one->tell(one->context, key, value, origin);
}

static void tell_settings(const struct api_control *control, api_tell_setting *tell, void *context)
{
    const struct daemon *daemon = list_entry(control, struct daemon, control);
    const struct settings_reader reader = {{tell_setting}, tell, context};
    config_walk(reload_config(&daemon->reload), &daemon->options, &reader.reader);
}

static bool set_key(const struct api_control *control, const char *key, const char *value,
                    char *text)
{
    struct daemon *daemon = list_entry(control, struct daemon, control);
    return reload_set(&daemon->reload, key, value, text);
}

static bool set_level(const struct api_control *control, const char *level, char *text)
{
    return reload_set_level(&list_entry(control, struct daemon, control)->reload, level, text);
}

static bool set_listening(const struct api_control *control, bool is_open, char *text)
{
    struct daemon *daemon = list_entry(control, struct daemon, control);
    if (!is_open) {
        listeners_suspend(daemon->loop, &daemon->amqp);
        listeners_suspend(daemon->loop, &daemon->web);
    }
    int error = is_open ? listeners_reopen(daemon->loop, &daemon->amqp) : 0;
    if (is_open && !error)
        error = listeners_reopen(daemon->loop, &daemon->web);
    if (error)
        snprintf(text, API_TEXT_BYTES, "cannot listen at %s: %s%s", daemon->loop->listeners.where,
                 strerror(error), bind_advice(error));
    return error == 0;
}

void control_tell_files(struct daemon *daemon, const struct config *config)
{
    daemon->surroundings.base.config_files = (const char *const *)config->file_names;
}

static bool daemon_reload(struct daemon *daemon, char *text)
{
    manager_reloads(&daemon->manager, clock_monotonic_us());
    bool is_done = reload_configuration(&daemon->reload, text);
    control_tell_files(daemon, reload_config(&daemon->reload));
    manager_reloaded(&daemon->manager);
    logs_reopen(&daemon->logs);
    return is_done;
}

/* A member of a cluster has agreed to what the others rely on, and may not forget it. */
static bool reset(const struct api_control *control, char *text)
{
    struct daemon *daemon = list_entry(control, struct daemon, control);
    if (daemon->membership) {
        snprintf(text, API_TEXT_BYTES,
                 "this broker is one of a cluster, which relies on what it has agreed to, and on all of its "
                 "brokers' stores; leveret-cluster(7) says how a cluster is founded anew");
        return false;
    }
    int error = daemon->begins_anew ? 0 : folder_mark_reset(daemon->data_dir);
    if (error) {
        folder_refuse(daemon->data_dir, error, text, API_TEXT_BYTES);
        return false;
    }
    daemon->begins_anew = daemon->manager.goes_on = true;
    loop_stop(daemon->loop, "reset");
    return true;
}

static bool reload(const struct api_control *control, char *text)
{
    return daemon_reload(list_entry(control, struct daemon, control), text);
}

static bool serves(const struct api_control *control, char *text)
{
    const struct daemon *daemon = list_entry(control, struct daemon, control);
    uint32_t leader = membership_leader(daemon->membership);
    const struct cluster_settings *settings = &daemon->options.cluster;
    const struct cluster_node *node = cluster_node_find(settings, leader);
    if (daemon->office == OFFICE_SERVES)
        return true;
    if (leader && leader != settings->number)
        snprintf(text, API_TEXT_BYTES,
                 "this broker follows number %u of its cluster, at the host of %s: ask that one", leader,
                 node ? node->at : "");
    else
        snprintf(text, API_TEXT_BYTES,
                 "no broker leads this cluster now: more than half of its brokers have to run, and reach one another");
    return false;
}

static struct service *leader_of(const struct api_control *control)
{
    return membership_relay_http(list_entry(control, struct daemon, control)->membership);
}

static struct service *relay_to(const struct api_control *control, uint32_t number)
{
    return membership_relay_to(list_entry(control, struct daemon, control)->membership, number);
}

static size_t tell_members(const struct api_control *control, struct api_member *out)
{
    return membership_members(list_entry(control, struct daemon, control)->membership, out);
}

static bool tell_group(const struct api_control *control, struct api_group *out)
{
    const struct daemon *daemon = list_entry(control, struct daemon, control);
    bool takes_part = membership_group(daemon->membership, out);
    out->images_taken = daemon->has_image;
    return takes_part;
}

static bool forget_member(const struct api_control *control, uint32_t number, char *text)
{
    const char *why = membership_forget(list_entry(control, struct daemon, control)->membership, number);
    if (why)
        snprintf(text, API_TEXT_BYTES, "%s", why);
    return !why;
}

static bool hand_over(const struct api_control *control)
{
    return membership_hand_over(list_entry(control, struct daemon, control)->membership);
}

static void keep_drained(const struct api_control *control, bool is_drained)
{
    list_entry(control, struct daemon, control)->is_drained = is_drained;
}

static void send_away(const struct api_control *control, bool all)
{
    membership_send_away(list_entry(control, struct daemon, control)->membership, all);
}

void control_build(struct daemon *daemon)
{
    daemon->backups = (struct api_backups){begin_backup, stop_backup, look_at_backup};
    backup_init(&daemon->backup, daemon->data_dir, &daemon->logs.log);
    daemon->control = (struct api_control){.settings = tell_settings,
                                           .set = set_key,
                                           .set_level = set_level,
                                           .listen = set_listening,
                                           .drained = keep_drained,
                                           .reset = reset,
                                           .reload = reload};
    if (!daemon->membership)
        return;
    daemon->control.serves = serves;
    daemon->control.leader = leader_of;
    daemon->control.members = tell_members;
    daemon->control.group = tell_group;
    daemon->control.forget = forget_member;
    daemon->control.hand_over = hand_over;
    daemon->control.other = relay_to;
    daemon->control.send_away = send_away;
}

/* ---- the configuration, read again ---- */

static void on_hangup(void *context)
{
    char text[RELOAD_TEXT_BYTES];
    daemon_reload(context, text);
}

void control_prepare_reload(struct daemon *daemon)
{
    daemon->reload.options = &daemon->options;
    daemon->reload.config = &daemon->config;
    daemon->reload.logs = &daemon->logs;
    daemon->reload.tls = daemon->tls;
    daemon->reload.management_tls = daemon->management_tls;
    daemon->reload.metrics_tls = daemon->metrics_tls;
    daemon->reload.turns = &daemon->loop->turns;
    daemon->reload.store = daemon->store;
    daemon->reload.broker = &daemon->broker;
    daemon->reload.server = daemon->server;
    loop_at_hangup(daemon->loop, on_hangup, daemon);
    loop_add(daemon->loop, &daemon->manager.service);
}
