/* leveretctl, and what it is by other names: rabbitmqctl, rabbitmq-diagnostics, rabbitmq-queues,
 * rabbitmq-plugins, rabbitmq-upgrade, rabbitmq-streams, and rabbitmqadmin. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/admin.h"
#include "ctl/command.h"
#include "ctl/exit.h"

/* Lists of processes show arguments: what is behind "://USER:" and before "@". */
static void hide_password(char *word)
{
    char *user = strstr(word, "://");
    char *at = user ? strrchr(user, '@') : NULL;
    char *colon = at ? memchr(user + 3, ':', (size_t)(at - user) - 3) : NULL;
    if (colon)
        memset(colon + 1, 'x', (size_t)(at - colon) - 1);
}

/* Copies of the arguments, in one piece, which the caller frees. */
static char **take_arguments(int argc, char **argv)
{
    size_t size = ((size_t)argc + 1) * sizeof(char *);
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    char **words = mem_zalloc(size);
    char *at = (char *)(words + argc + 1);
    for (int i = 0; i < argc; i++) {
        size_t length = strlen(argv[i]) + 1;
        words[i] = memcpy(at, argv[i], length);
        at += length;
        hide_password(argv[i]);
    }
    return words;
}

int main(int argc, char **argv)
{
    static struct command command;
    char **words = take_arguments(argc, argv);
    int code;
    if (tool_of(argv[0]) == TOOL_ADMIN) {
        code = admin_main(argc, words);
    } else {
        code = command_read(&command, argc, words);
        if (code == 0 && command.verb)
            code = command_run(&command);
        command_close(&command);
    }
    mem_free(words);
    if (fflush(stdout) != 0 && code == 0)
        code = EXIT_UNAVAILABLE;
    return code;
}
