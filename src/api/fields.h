/* What an object looks like in JSON, field by field: as a whole, as those of its fields that a
 * client has named ("columns"), or as the one value that it wants a list to be sorted by. */
#ifndef LEVERET_API_FIELDS_H
#define LEVERET_API_FIELDS_H

#include "definitions/json_writer.h"

enum { COLUMNS_MAX = 63, COLUMN_DEPTH_MAX = 8 };

/* Paths of names, as "name" or "message_stats.publish_details.rate". */
struct columns {
    size_t count; /* 0: everything */
    struct {
        size_t depth;
        struct bytes names[COLUMN_DEPTH_MAX]; /* borrowed */
    } paths[COLUMNS_MAX];
};

/* Reads them, separated by commas. False: they are too many, or too deep. */
bool columns_read(struct columns *columns, struct bytes text);

struct fields {
    struct json_writer json;
    const struct columns *columns; /* NULL: everything */
    struct buffer *sort_key;       /* not NULL: nothing is written but a value to sort by */
    size_t depth;
    uint64_t chosen[COLUMN_DEPTH_MAX + 1]; /* at each depth: a bit for each path that led here */
};

/* Writes to the end of `out`. `columns` may be NULL. */
struct fields fields_of(struct buffer *out, const struct columns *columns);
/* Appends to `out` what is found under the only path of `columns`, as bytes in the order of the
 * values: numbers before true, false and null, these before texts. What is not found is null. */
struct fields fields_sort_key(struct buffer *out, const struct columns *columns);

/* An object or an array without a name: the whole, or an item. */
void fields_begin(struct fields *fields, char bracket);
void fields_end(struct fields *fields, char bracket);

/* Is anything of a field of this name written? To be asked where finding its value costs something.
 */
bool fields_want(const struct fields *fields, const char *name);

/* A field. */
void fields_text(struct fields *fields, const char *name, struct bytes text);
void fields_string(struct fields *fields, const char *name, const char *text);
void fields_whole(struct fields *fields, const char *name, uint64_t number);
/* The position of a message: a text, as there are programs that have no whole numbers of 64 bits. */
void fields_position(struct fields *fields, const char *name, uint64_t position);
void fields_signed(struct fields *fields, const char *name, int64_t number);
void fields_fraction(struct fields *fields, const char *name, double number);
/* A count, and as `name`_details how fast it changes: of what nobody measures, which is 0. See rates.h. */
void fields_counter(struct fields *fields, const char *name, uint64_t count);
void fields_flag(struct fields *fields, const char *name, bool flag);
void fields_null(struct fields *fields, const char *name);
/* The contents of a field table (amqp/table.h), as an object. */
void fields_table(struct fields *fields, const char *name, struct bytes table);
/* A value that is written in JSON already. */
void fields_written(struct fields *fields, const char *name, struct bytes json);
/* An array of the words of a text, which has commas or spaces between them. */
void fields_words(struct fields *fields, const char *name, const char *words);
/* False: nobody wants it; nothing of it is to be written, nor closed. */
bool fields_open(struct fields *fields, const char *name, char bracket);
void fields_close(struct fields *fields, char bracket);
/* An empty array: what RabbitMQ counts for each pair of a channel and a queue only if it is asked to
 * ("detailed" rates). */
void fields_nothing(struct fields *fields, const char *name);
/* An item of an array. */
void fields_put_whole(struct fields *fields, uint64_t number);
void fields_put_text(struct fields *fields, struct bytes text);

#endif
