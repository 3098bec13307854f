/* rabbitmqadmin, as version 1 of it is: another language than that of the verbs, for the same API,
 * over TCP alone. Its types and their words stand in admin.def, its options in admin_options.def.
 */
#ifndef LEVERET_CTL_ADMIN_H
#define LEVERET_CTL_ADMIN_H

#include <stdio.h>

#include "ctl/client.h"

enum { ADMIN_FAILURE = 1, ADMIN_USAGE = 2 }; /* what it ends with */

enum admin_option {
#define OPTION(id, name, letter, value, key, usual, text) ADMIN_##id,
#include "ctl/admin_options.def"
#undef OPTION
    ADMIN_OPTIONS
};

struct admin {
    const char *given[ADMIN_OPTIONS];  /* on the command line, NULL: it was not; a switch: "True" */
    const char *values[ADMIN_OPTIONS]; /* all in all */
    const char **arguments;
    size_t argument_count;
    struct client client;
    struct buffer kept[5]; /* texts that values point to */
};

struct admin_listing {
    const char *verb, *type;
    bool is_scoped;
    const char *columns, *json;
};

struct admin_object {
    const char *verb, *type, *method, *path, *needed, *optional, *json;
};

extern const struct admin_listing admin_listings[];
extern const struct admin_object admin_objects[];
extern const size_t admin_listing_count, admin_object_count;

/* All of a run of the program; returns what it ends with. */
int admin_main(int count, char **words);

/* ---- for its files ---- */

/* The next of the words with spaces between them; false: that was all. */
bool admin_next_word(const char **at, struct bytes *word);
/* Is it one of them? */
bool admin_has_word(const char *words, struct bytes word);
/* "What is wrong", and where help is; returns the code. A printf format. */
int admin_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "*** what went wrong"; returns the code. */
int admin_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 0: the answer is good, and its body is the caller's; else what to end with, which was said. */
int admin_ask(struct admin *admin, const char *method, struct bytes path, struct bytes body,
              struct reply *reply);

/* ---- admin_options.c ---- */

/* Reads the command line and the configuration file. 0, or what to end with. */
int admin_read(struct admin *admin, int count, char **words);
void admin_free(struct admin *admin);
static inline bool admin_is_set(const struct admin *admin, enum admin_option option)
{
    return admin->values[option] != NULL;
}

/* ---- admin_help.c ---- */

void admin_print_help(FILE *out);
void admin_print_usage(FILE *out);
int admin_help(struct admin *admin);
void admin_print_completion(FILE *out);

/* ---- admin_format.c ---- */

/* What a list shows, and how. */
struct admin_view {
    const char *columns;      /* with spaces between them; "": all */
    const char *const *named; /* columns of the command line, which count instead of `columns` */
    size_t named_count;
    const char *json; /* members that stay JSON */
};

/* Shows the array as the options say. 0, or what to end with. */
int admin_show(const struct admin *admin, struct bytes array, const struct admin_view *view);

#endif
