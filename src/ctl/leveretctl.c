/* leveretctl, and what it is by other names: rabbitmqctl, rabbitmq-diagnostics, rabbitmq-queues,
 * rabbitmq-plugins, rabbitmq-upgrade, rabbitmq-streams, and rabbitmqadmin. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/admin.h"
#include "ctl/command.h"
#include "ctl/exit.h"

/* ---- passwords, as lists of processes show arguments ---- */

static void hide(char *word)
{
    memset(word, 'x', strlen(word));
}

/* What is behind "://USER:" and before "@". */
static void hide_in_address(char *word)
{
    char *user = strstr(word, "://");
    char *at = user ? strrchr(user, '@') : NULL;
    char *colon = at ? memchr(user + 3, ':', (size_t)(at - user) - 3) : NULL;
    if (colon)
        memset(colon + 1, 'x', (size_t)(at - colon) - 1);
}

/* What is behind "password=", and before that may be dashes. */
static void hide_value(char *word)
{
    static const char name[] = "password=";
    word += strspn(word, "-");
    if (strncmp(word, name, strlen(name)) == 0)
        hide(word + strlen(name));
}

/* How many words behind its name a verb has before its password; -1: it has none. */
static int words_before_password(const char *verb)
{
    static const char *const named[] = {"add_user", "change_password", "authenticate_user"};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (strcmp(verb, named[i]) == 0)
            return 1;
    return strcmp(verb, "hash_password") == 0 ? 0 : -1;
}

/* Which words are options is not known yet, so that values of some go as well. */
static void hide_passwords_of_verb(char **words)
{
    bool may_be_option = true;
    int shown = -1;
    while (*words && (shown = words_before_password(*words++)) < 0)
        continue;
    for (; *words; words++) {
        bool is_option = may_be_option && (*words)[0] == '-';
        may_be_option = may_be_option && strcmp(*words, "--") != 0;
        if (!is_option && shown > 0)
            shown--;
        else if (!is_option)
            hide(*words);
    }
}

/* Of rabbitmqadmin. */
static void hide_passwords_of_options(char **words)
{
    for (; words[0] && words[1]; words++)
        if (strcmp(words[0], "-p") == 0 || strcmp(words[0], "--password") == 0)
            hide(words[1]);
}

static void hide_passwords(char **argv)
{
    for (char **word = argv + 1; *word; word++) {
        hide_in_address(*word);
        hide_value(*word);
    }
    if (tool_of(argv[0]) == TOOL_ADMIN)
        hide_passwords_of_options(argv + 1);
    else
        hide_passwords_of_verb(argv + 1);
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
    }
    hide_passwords(argv);
    return words;
}

/* ---- the program ---- */

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
