/* Options of a program, as a table: each row names an option, a key of configuration files, or
 * both; the field that it sets, and what it may be. Command line, files, error texts and help come
 * from the rows. What is special about a kind of values stands in its struct of functions. */
#ifndef LEVERET_BASE_OPTIONS_H
#define LEVERET_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct option;

/* `fields` is the struct that all options of a table set; option_field finds the row's field in it.
 * Texts are cut to their size and terminated. */
struct option_kind {
    /* False: the value is not allowed; *why may say more than what is. The text is borrowed. */
    bool (*read)(const struct option *option, void *fields, const char *text, const char **why);
    /* What the field holds, for the help and as an example. NULL: nothing to show. */
    void (*write)(const struct option *option, const void *fields, char *text, size_t size);
    /* What a value must be: always the same text, or one that depends on the row, as "a number from 1
     * to 9". Both NULL: as the row's `argument`. */
    const char *wanted;
    void (*describe)(const struct option *option, char *text, size_t size);
    bool takes_nothing; /* the option has no value: `read` gets none; a key has true or false */
    bool is_last;       /* as a key it counts after those that have values of a list */
    /* For a key that ends with a name: `read`, with that name. */
    bool (*read_named)(const struct option *option, void *fields, const char *name,
                       const char *text, const char **why);
    /* Of a list, which such keys fill: the n-th of its names and values, false behind the last one;
     */
    bool (*write_nth)(const struct option *option, const void *fields, size_t n, char *name,
                      char *text, size_t size);
    /* and it becomes empty, before the command line adds to it. NULL: values replace each other. */
    void (*clear)(const struct option *option, void *fields);
};

/* What a key does. */
enum option_effect {
    OPTION_AT_START, /* a change counts from the next start on */
    OPTION_LIVE,     /* a change counts as soon as the files are read again */
    OPTION_FOREIGN,  /* nothing: it is about how RabbitMQ is made */
    OPTION_NOT_YET,  /* nothing yet */
};

struct option {
    const char *name; /* without the dashes; NULL: of files alone, or a heading of the help */
    const struct option_kind *kind;
    size_t offset;
    size_t width; /* of the field, in bytes */
    uint64_t min, max;
    const char *argument; /* what the help calls the value, or its unit: "SIZE", "MS"; NULL: none */
    const char *help;
    const char *example; /* a value that is allowed; "": none is given; NULL: the default */
    char letter;         /* a short name; 0: none */
    /* In files: "heartbeat"; "listeners.tcp.$name" stands for any name behind the last dot, and
     * "mqtt.*" for all that begins so. NULL: the command line alone has it. */
    const char *key;
    const char *alias;       /* another key for the same; NULL: none */
    const char *environment; /* a variable that says the same, by its whole name; NULL: none */
    const char *text;        /* a paragraph about the key, without its bounds and default */
    enum option_effect effect;
    bool is_secret; /* the value is not shown */
};

struct option_table {
    const struct option *options;
    size_t count;
    const void *defaults; /* fields as they are when nothing is said; NULL: not told */
    int help_width;       /* columns of name and value in the help */
};

#define OPTION_FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

static inline void *option_field(const struct option *option, void *fields)
{
    return (char *)fields + option->offset;
}

/* The same, to look at. */
static inline const void *option_look(const struct option *option, const void *fields)
{
    return (const char *)fields + option->offset;
}

/* Is something done with its key? */
static inline bool option_has_effect(const struct option *option)
{
    return option->effect == OPTION_AT_START || option->effect == OPTION_LIVE;
}

static inline bool option_is_heading(const struct option *option)
{
    return !option->name && !option->key;
}

/* Reads `count` arguments, the first of which is the program's name and passed over. False: `error`
 * says what is wrong. Values are borrowed. */
bool options_read_arguments(const struct option_table *table, void *fields, int count,
                            char **arguments, char *error, size_t error_size);
/* The option at *at, which is moved behind it and its value; *value is NULL if it has none. NULL:
 * there is no such option, or its value is missing: `error` says so. */
const struct option *options_next_argument(const struct option_table *table, int count,
                                           char **arguments, int *at, const char **value,
                                           char *error, size_t error_size);
/* The option of that name, which is `size` bytes long; NULL: there is none. */
const struct option *option_find(const struct option_table *table, const char *name, size_t size);
/* Sets it. False: `error` says what it may be, with an example. */
bool option_set(const struct option_table *table, const struct option *option, void *fields,
                const char *value, char *error, size_t error_size);
/* The row of a key, and what stands for its $name (NULL: it has none). NULL: no row has it. */
const struct option *option_find_key(const struct option_table *table, const char *key,
                                     const char **name);
/* Sets what a key stands for. False: `error` says what it may be, with an example. */
bool option_set_key(const struct option_table *table, const struct option *option, void *fields,
                    const char *key, const char *value, char *error, size_t error_size);
/* Up to `count` keys that are most like a wrong one; how many there are. */
size_t options_near_key(const struct option_table *table, const char *key, const char **nearest,
                        size_t count);
/* What the option, or its key, may be, and what it is by itself; nothing if that is not told. */
void option_describe(const struct option *option, char *text, size_t size);
void option_write(const struct option *option, const void *fields, char *text, size_t size);
/* The rows as lines of a help text. */
void options_print(const struct option_table *table, FILE *out);

/* ---- kinds ---- */

extern const struct option_kind option_flag;   /* bool: becomes true, or what a key says */
extern const struct option_kind option_no;     /* bool: becomes false, or what a key does not say */
extern const struct option_kind option_text;   /* const char *, not empty */
extern const struct option_kind option_path;   /* the same, for a file or folder */
extern const struct option_kind option_number; /* of 16, 32 or 64 bits without sign */
extern const struct option_kind option_size;   /* the same in bytes: see size_read */
extern const struct option_kind option_power;  /* the same, a power of two */

/* Parts of these, for kinds that only read a number in another way. */
void option_write_number(const struct option *option, const void *fields, char *text, size_t size);
void option_describe_number(const struct option *option, char *text, size_t size);
void option_describe_size(const struct option *option, char *text, size_t size);
/* Puts a number into the row's field; false: it is out of the row's bounds, or does not fit. */
bool option_put_number(const struct option *option, void *fields, uint64_t number);

/* ---- texts of numbers ---- */

/* Digits alone; *end is what follows them. False: there is none, or they are too many. */
bool digits_read(const char *text, uint64_t *number, const char **end);
/* "true" or "false". */
bool truth_read(const char *text, bool *truth);
/* A number of bytes: "4096", "64K", "64KiB" (1024 each), "64kB" (1000 each), and so with M, G and
 * T. */
bool size_read(const char *text, uint64_t *bytes);

#endif
