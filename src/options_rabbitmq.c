/* RabbitMQ's places, as its packages and its image have them. */
#include "options_rabbitmq.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* ---- files ---- */

/* The name may leave .conf away. */
static void read_named(struct config *config, const char *path)
{
    char longer[PATH_BYTES];
    snprintf(longer, sizeof(longer), "%s.conf", path);
    bool is_short = access(path, F_OK) != 0 && access(longer, F_OK) == 0;
    config_read(config, is_short ? longer : path, true);
}

static void read_folder(struct config *config, const char *path)
{
    if (is_folder(path))
        config_read_folder(config, path);
    else
        config_read(config, path, true);
}

/* What is in Erlang's terms, or a program of the shell. */
static void tell_unread(struct config *config, const char *path, const char *what)
{
    if (access(path, F_OK) == 0)
        config_warn(config, path, "%s", what);
}

static void read_main(struct config *config, const char *folder)
{
    char path[PATH_BYTES];
    const char *named = config_variable(config, "RABBITMQ_CONFIG_FILE");
    snprintf(path, sizeof(path), "%s/rabbitmq.conf", folder ? folder : "");
    if (named)
        read_named(config, named);
    else if (folder)
        config_read(config, path, false);
}

static void read_more(struct config *config, const char *folder)
{
    char path[PATH_BYTES];
    const char *named = config_variable(config, "RABBITMQ_CONFIG_FILES");
    snprintf(path, sizeof(path), "%s/conf.d", folder ? folder : "");
    if (named)
        read_folder(config, named);
    else if (folder)
        config_read_folder(config, path);
}

static void tell_all_unread(struct config *config, const char *folder)
{
    static const char terms[] =
        "this file is ignored, as it is in Erlang's terms: say the same by keys "
        "of rabbitmq.conf or leveret.conf(5)";
    static const char script[] = "this file is ignored, as it is a program of the shell: set its "
                                 "variables, with RABBITMQ_ before their names, in the environment";
    char path[PATH_BYTES];
    const char *named = config_variable(config, "RABBITMQ_ADVANCED_CONFIG_FILE");
    if (named)
        tell_unread(config, named, terms);
    if (!folder)
        return;
    snprintf(path, sizeof(path), "%s/advanced.config", folder);
    if (!named)
        tell_unread(config, path, terms);
    snprintf(path, sizeof(path), "%s/rabbitmq.config", folder);
    tell_unread(config, path, terms);
    snprintf(path, sizeof(path), "%s/rabbitmq-env.conf", folder);
    tell_unread(config, path, script);
}

void rabbitmq_read_files(struct config *config, const char *folder)
{
    read_main(config, folder);
    read_more(config, folder);
    tell_all_unread(config, folder);
}

/* ---- variables ---- */

static void set(struct config *config, const char *variable, const char *key, const char *value)
{
    config_set(config, CONFIG_ENVIRONMENT, variable, key, bytes_str(value));
}

static void read_listener(struct config *config)
{
    char at[512];
    const char *port = config_variable(config, "RABBITMQ_NODE_PORT");
    const char *host = config_variable(config, "RABBITMQ_NODE_IP_ADDRESS");
    if (!port && !host)
        return;
    snprintf(at, sizeof(at), "%s%s%s", host ? host : "", host ? ":" : "", port ? port : "5672");
    set(config, host ? "RABBITMQ_NODE_IP_ADDRESS" : "RABBITMQ_NODE_PORT", "listeners.tcp.default",
        at);
}

/* "warning", or "connection=debug"; what else RabbitMQ takes is about colours. */
static void read_level(struct config *config, const char *said, size_t size)
{
    char key[64], level[32];
    size_t name = strcspn(said, ",=");
    bool is_named = name < size;
    if (size >= sizeof(level) || said[0] == '+' || said[0] == '-')
        return;
    snprintf(key, sizeof(key), "log.%.*s.level", is_named ? (int)name : 7,
             is_named ? said : "default");
    snprintf(level, sizeof(level), "%.*s", is_named ? (int)(size - name - 1) : (int)size,
             is_named ? said + name + 1 : said);
    set(config, "RABBITMQ_LOG", key, level);
}

static void read_levels(struct config *config)
{
    const char *said = config_variable(config, "RABBITMQ_LOG");
    for (size_t size; said && *said; said += size + (said[size] == ',')) {
        size = strcspn(said, ",");
        read_level(config, said, size);
    }
}

static void tell_idle(struct config *config)
{
    static const char *const names[] = {
        "RABBITMQ_MNESIA_BASE",
        "RABBITMQ_PID_FILE",
        "RABBITMQ_ENABLED_PLUGINS_FILE",
        "RABBITMQ_CONF_ENV_FILE",
        "RABBITMQ_USE_LONGNAME",
        "RABBITMQ_VM_MEMORY_HIGH_WATERMARK",
        "RABBITMQ_SSL_CERTFILE",
        "RABBITMQ_SSL_KEYFILE",
        "RABBITMQ_SSL_CACERTFILE",
        "RABBITMQ_DEFAULT_PASS_FILE",
        "RABBITMQ_DEFAULT_USER_FILE",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
    };
    char list[1024];
    size_t used = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (config_variable(config, names[i]))
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
                                     names[i]);
    if (used)
        config_warn(config, "environment", "these variables have no effect: %s", list);
}

void rabbitmq_read_variables(struct config *config)
{
    read_listener(config);
    read_levels(config);
    tell_idle(config);
}
