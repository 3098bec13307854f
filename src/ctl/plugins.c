/* Plugins of RabbitMQ: what they do is built in, or it is not there. */
#include <stdio.h>
#include <string.h>

#include "ctl/say.h"
#include "ctl/verbs.h"

static const char *const built_in[] = {
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_message_deduplication",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
};

enum { BUILT_IN_COUNT = sizeof(built_in) / sizeof(built_in[0]) };

static bool is_built_in(const char *name)
{
    for (size_t i = 0; i < BUILT_IN_COUNT; i++)
        if (strcmp(built_in[i], name) == 0)
            return true;
    return false;
}

int run_plugins(struct command *command)
{
    bool is_disabling = strcmp(command->verb->name, "disable") == 0;
    bool is_set = strcmp(command->verb->name, "set") == 0;
    if (command->argument_count == 0 && !is_set && !command_has(command, "all"))
        return say_usage(command, "not enough arguments.");
    for (size_t i = 0; i < command->argument_count; i++) {
        const char *name = command->arguments[i];
        if (is_disabling && is_built_in(name))
            return say_fail(command, EXIT_UNAVAILABLE, "%s is built in, and cannot be disabled",
                            name);
        if (!is_disabling && !is_built_in(name))
            return say_fail(command, EXIT_UNAVAILABLE,
                            "%s is not there; what is built in is shown by 'list'", name);
    }
    return say_done(command);
}

/* As rabbitmq-plugins shows them: all are enabled, and run. */
int run_plugins_list(struct command *command)
{
    const char *pattern = command_argument(command, 0);
    bool is_minimal = command_has(command, "minimal") || command_has(command, "m");
    bool has_title = !command_has(command, "quiet") && !command_has(command, "silent");
    if (has_title)
        printf("Listing plugins with pattern \"%s\" ...\n", pattern ? pattern : ".*");
    if (!is_minimal) {
        const char *node = command_node(command);
        if (!node)
            return EXIT_UNAVAILABLE;
        printf(" Configured: E = explicitly enabled; e = implicitly enabled\n"
               " | Status: * = running on %s\n |/\n",
               node);
    }
    for (size_t i = 0; i < BUILT_IN_COUNT; i++) {
        if (pattern && !strstr(built_in[i], pattern))
            continue;
        if (is_minimal)
            printf("%s\n", built_in[i]);
        else
            printf("[E*] %-33s %s\n", built_in[i], PACKAGE_VERSION);
    }
    return EXIT_GOOD;
}
