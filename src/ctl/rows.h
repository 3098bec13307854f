/* Objects of the API as rows of a table.
 *
 * What a list can show stands in one text: "*name pid=a.b arguments:table". A star: shown when
 * nothing else is asked for. Behind = is where the value is in the object, if not at its own name.
 * Behind : is how it is shown. */
#ifndef LEVERET_CTL_ROWS_H
#define LEVERET_CTL_ROWS_H

#include <stdio.h>

#include "ctl/command.h"

enum cell_kind {
    CELL_PLAIN,
    CELL_TABLE,    /* a table of AMQP: [{"x-max-length",5}] under RabbitMQ's names */
    CELL_TAGS,     /* [a, b] there */
    CELL_TEXT,     /* JSON as a text */
    CELL_EXCHANGE, /* always "exchange" */
    CELL_CHANNEL,  /* a token of a connection or channel, from its name */
};

enum { COLUMNS_MAX = 64, COLUMN_NAME_MAX = 64 };

struct column {
    char name[COLUMN_NAME_MAX];
    char path[COLUMN_NAME_MAX]; /* names with dots between them */
    bool has_parts;             /* more than one */
    enum cell_kind kind;
};

struct columns {
    struct column list[COLUMNS_MAX];
    size_t count;
};

/* The text of an object in JSON, borrowed. */
struct row {
    struct bytes object;
};

struct rows {
    struct columns columns;
    struct row *list;
    size_t count, capacity;
};

/* Prints the names of a list's columns, each on a line of its own. */
void columns_print_names(const char *spec, FILE *out);
/* The columns that were asked for. 0, or the code to end with. */
int columns_choose(struct command *command, const char *spec, struct columns *columns);
/* The same, and in `asked` also those that --filter and --sort look at. */
int columns_choose_all(struct command *command, const char *spec, struct columns *shown,
                       struct columns *asked);
/* Adds the value of the option "columns" of a query, which asks for these paths and no others. */
void columns_add_query(const struct columns *columns, struct buffer *query);

/* The values of all columns in an object, each as its text in JSON; empty: there is none. */
void row_values(const struct columns *columns, struct bytes object,
                struct bytes values[COLUMNS_MAX]);
/* The same of one column. */
struct bytes row_value(const struct column *column, struct bytes object);

/* Shows the objects of an array, the text of which is given: those that pass --filter, in the order
 * of --sort. 0, or the code to end with. */
int rows_show(struct command *command, const char *spec, struct bytes array);

#endif
