/* The settings of a program, from files, the environment and the command line: gathered with where
 * each was said, checked against a table of options (base/options.h), and applied to the fields
 * that its rows name.
 *
 * Nothing stops at the first fault: all are kept, with their places, until somebody asks. */
#ifndef LEVERET_CONFIG_CONFIG_H
#define LEVERET_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/options.h"

enum { CONFIG_REMARKS_MAX = 100 };

/* Who says something: the later ones count before the earlier ones, and what is said later before
 * what the same source has said earlier. */
enum config_source { CONFIG_FILES, CONFIG_ENVIRONMENT, CONFIG_COMMAND };

struct config_setting {
    struct list link;
    enum config_source source;
    const struct option *option;
    bool is_replaced; /* another one has the same key, and counts */
    const char *key, *value;
    const char *origin; /* "/etc/leveret/leveret.conf:3" */
    char text[];
};

struct config_remark {
    struct list link;
    bool is_fault;
    const char *origin;
    const char *reason;
    char text[];
};

struct config {
    const struct option_table *table;
    char *const *environment; /* NAME=VALUE, up to NULL; NULL: none */
    struct list settings;     /* struct config_setting, in the order in which they were made */
    struct map by_key;        /* those of them that count */
    struct list remarks;      /* struct config_remark, CONFIG_REMARKS_MAX of each sort at most */
    size_t faults, warnings;  /* how many there were */
    const char **origins;     /* of each row of the table; NULL: nobody has set it */
    size_t files;             /* that were read */
    char **file_names;        /* of those, up to NULL; NULL: there are none */
    void *kept;               /* freed with it; NULL: nothing */
    struct list open_files;   /* that include each other, for files.c */
};

/* What is passed must outlive it; so must the settings whoever has fields that they were applied
 * to. */
void config_init(struct config *config, const struct option_table *table, char *const *environment);
void config_free(struct config *config);

/* Reads a file, and what it includes; without `must_exist` it may be missing. */
void config_read(struct config *config, const char *path, bool must_exist);
/* Reads the files of a folder whose names end with .conf, sorted; it may be missing. */
void config_read_folder(struct config *config, const char *path);
/* Takes the variables that begin with `prefix`: the rest, with a dot for each __ and in small
 * letters, is a key. One without a row is no fault, as others set variables of such names as well.
 */
void config_read_environment(struct config *config, const char *prefix);
/* Takes the variables that the rows name. */
void config_read_variables(struct config *config);
/* The value of a variable; NULL: it is not there, or empty. */
const char *config_variable(const struct config *config, const char *name);
/* One setting. */
void config_set(struct config *config, enum config_source source, const char *origin,
                const char *key, struct bytes value);
/* One of the command line: KEY=VALUE. */
void config_set_line(struct config *config, enum config_source source, const char *origin,
                     const char *line);
void config_fault(struct config *config, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warn(struct config *config, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the fields; values that may not be are faults. */
void config_apply(struct config *config, void *fields);
/* The command line has set the row's field. */
void config_took(struct config *config, const struct option *option, const char *origin);
/* Who has set the row's field; NULL: nobody. */
const char *config_origin(const struct config *config, const struct option *option);

/* Who is told of all keys: each with its value (NULL: it is not shown) and where it comes from
 * (NULL: it is not set). */
struct config_reader {
    void (*tell)(const struct config_reader *reader, const char *key, const char *value,
                 const char *origin);
};

void config_walk(const struct config *config, const void *fields,
                 const struct config_reader *reader);
/* The same as lines of a file. */
void config_print(const struct config *config, const void *fields, FILE *out);
/* The settings of one row that leaves a name open, as "key = value" with ", " between. */
void config_write_settings(const struct config *config, const struct option *option, char *text,
                           size_t size);
/* The keys that were given and do nothing, with ", " between; how many there are. */
size_t config_write_idle(const struct config *config, enum option_effect effect, char *text,
                         size_t size);

#endif
