/* Options of a program, as a table: each row names an option, the field that it sets, and what it
 * may be. Command line, error texts and help come from the rows; so can a file of them, by
 * option_find and option_set. What is special about a kind of values stands in its struct of
 * functions. */
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
    /* What a value must be: "a number from 1 to 9". NULL: as the row's `argument`. */
    void (*describe)(const struct option *option, char *text, size_t size);
    bool takes_nothing; /* the option has no value: `read` gets none */
};

struct option {
    const char *name; /* without the dashes; NULL: a heading of the help */
    const struct option_kind *kind;
    size_t offset;
    size_t width; /* of the field, in bytes */
    uint64_t min, max;
    const char *argument; /* what the help calls the value, or its unit: "SIZE", "MS"; NULL: none */
    const char *help;
    const char *example; /* a value that is allowed; "": none is given; NULL: the default */
    char letter;         /* a short name; 0: none */
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

/* Reads `count` arguments, the first of which is the program's name and passed over. False: `error`
 * says what is wrong. Values are borrowed. */
bool options_read_arguments(const struct option_table *table, void *fields, int count,
                            char **arguments, char *error, size_t error_size);
/* The option of that name, which is `size` bytes long; NULL: there is none. */
const struct option *option_find(const struct option_table *table, const char *name, size_t size);
/* Sets it. False: `error` says what it may be, with an example. */
bool option_set(const struct option_table *table, const struct option *option, void *fields,
                const char *value, char *error, size_t error_size);
/* The rows as lines of a help text. */
void options_print(const struct option_table *table, FILE *out);

/* ---- kinds ---- */

extern const struct option_kind option_flag;   /* bool: becomes true */
extern const struct option_kind option_no;     /* bool: becomes false */
extern const struct option_kind option_text;   /* const char *, not empty */
extern const struct option_kind option_path;   /* the same, for a file or folder */
extern const struct option_kind option_number; /* of 16, 32 or 64 bits without sign */
extern const struct option_kind option_size;   /* the same in bytes: see size_read */
extern const struct option_kind option_power;  /* the same, a power of two */

/* Puts a number into the row's field; false: it is out of the row's bounds, or does not fit. */
bool option_put_number(const struct option *option, void *fields, uint64_t number);

/* ---- texts of numbers ---- */

/* Digits alone; *end is what follows them. False: there is none, or they are too many. */
bool digits_read(const char *text, uint64_t *number, const char **end);
/* A number of bytes: "4096", "64K", "64KiB" (1024 each), "64kB" (1000 each), and so with M, G and
 * T. */
bool size_read(const char *text, uint64_t *bytes);

#endif
