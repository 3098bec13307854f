/* The verbs of leveretctl and of the names that it has besides: one row of verbs.def each. Usage,
 * help, what a command line may have, completion and the manual page's list come from it. */
#ifndef LEVERET_CTL_VERB_H
#define LEVERET_CTL_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;

/* The names of the program; a verb is known under several. */
enum tool {
    TOOL_LEVERETCTL,
    TOOL_CTL,
    TOOL_DIAGNOSTICS,
    TOOL_QUEUES,
    TOOL_PLUGINS,
    TOOL_UPGRADE,
    TOOL_STREAMS,
    TOOL_ADMIN,
};

enum { TOOL_COUNT = TOOL_ADMIN + 1 };

enum group {
    GROUP_HELP,
    GROUP_NODES,
    GROUP_CLUSTER,
    GROUP_REPLICATION,
    GROUP_USERS,
    GROUP_ACCESS,
    GROUP_MONITORING,
    GROUP_PARAMETERS,
    GROUP_POLICIES,
    GROUP_VHOSTS,
    GROUP_CONFIGURATION,
    GROUP_DEFINITIONS,
    GROUP_FLAGS,
    GROUP_OPERATIONS,
    GROUP_QUEUES,
    GROUP_PLUGINS,
    GROUP_UPGRADE,
    GROUP_COUNT,
};

struct verb {
    const char *name;
    unsigned tools; /* set of 1 << enum tool */
    enum group group;
    /* Its arguments and options as the usage shows them, which is what they may be:
     * "<name> [--force] [--vhost <vhost>] [<column>, ...]". */
    const char *syntax;
    unsigned optional; /* how many of the last <arguments> may be left out all the same */
    /* What a list can show: "*name *messages pid=a.b arguments:table"; see rows.h. NULL: no list.
     */
    const char *columns;
    const char *banner;  /* a template (command.h); NULL: none */
    const char *request; /* "GET /users", a template; NULL: the function knows */
    const char *missing; /* exit code and template of the text when that is not found; NULL: 69 */
    int (*run)(struct command *command);
    const char *text; /* a paragraph; its first sentence stands in lists */
};

extern const struct verb verbs[];
extern const size_t verb_count;

const char *tool_name(enum tool tool);
/* Of the program's path; a name that is none of them is leveretctl. */
enum tool tool_of(const char *path);
const char *group_title(enum group group);
bool verb_is_of(const struct verb *verb, enum tool tool);
/* NULL: the tool has none of that name. */
const struct verb *verb_find(enum tool tool, const char *name);
/* "store" and "check" for store_check, under our own name. */
const struct verb *verb_find_two(enum tool tool, const char *first, const char *second);
/* The one whose name is the nearest; NULL: none is near. */
const struct verb *verb_near(enum tool tool, const char *name);

/* Is an option part of its syntax, and has it a value there? */
bool verb_has_option(const struct verb *verb, const char *name, size_t size, bool *has_value);
/* The same for one of a letter, "[--if-empty|-e]" or "[-e]"; *name is the long one, if it has one.
 */
bool verb_has_letter(const struct verb *verb, char letter, const char **name, size_t *size,
                     bool *has_value);
/* How many arguments it takes; *most SIZE_MAX: any number. */
void verb_arguments(const struct verb *verb, size_t *least, size_t *most);

#endif
