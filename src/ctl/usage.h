/* Usage and help, from the verbs' rows. */
#ifndef LEVERET_CTL_USAGE_H
#define LEVERET_CTL_USAGE_H

#include <stdio.h>

#include "ctl/verb.h"

/* One line: of the verb, or of the tool if there is none. */
void usage_print_line(enum tool tool, const struct verb *verb, FILE *out);
/* The tool's verbs, group by group. */
void usage_print_tool(enum tool tool, FILE *out);
/* All about one verb. */
void usage_print_verb(enum tool tool, const struct verb *verb, FILE *out);

/* One of the options that each verb takes. */
struct usage_option {
    const char *name;
    char letter;
    const char *value; /* what it is called; NULL: it has none */
    const char *text;  /* NULL: taken, and without meaning */
};

extern const struct usage_option usage_options[];
extern const size_t usage_option_count;

/* By its name, or by its letter as a name of one byte; NULL: there is none. */
const struct usage_option *usage_option_find(const char *name, size_t size);

#endif
