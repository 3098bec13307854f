/* Field tables and arrays (AMQP 0-9-1, section 4.2.5.5, with the types that RabbitMQ reads), over
 * the bytes as they came: a table is a run of (name, type, value), an array of (type, value). The
 * bytes here are contents, without the 4 bytes of length in front of them.
 *
 *     t bool       b int8     B uint8    s int16 (not a short string)   u uint16    I int32
 *     i uint32     l int64    L int64    f float  d double  D decimal: scale, uint32
 *     S long string   x bytes   T seconds since 1970   F table   A array   V nothing
 *
 * Names may be any bytes and may repeat; the first one counts. */
#ifndef LEVERET_AMQP_TABLE_H
#define LEVERET_AMQP_TABLE_H

#include "amqp/wire.h"
#include "base/buffer.h"

enum {
    TABLE_DEPTH_MAX = 100,   /* a table in a table has depth 2 */
    TABLE_ITEMS_MAX = 65535, /* in a table and all that it contains */
};

struct field {
    struct bytes name; /* empty in an array */
    char type;
    struct bytes raw; /* the value as it came, without its type: to copy it */
    union {
        bool boolean;       /* t */
        int64_t integer;    /* b B s u I i l L */
        uint64_t timestamp; /* T */
        double number;      /* f d */
        struct bytes bytes; /* S x; contents of F A */
        struct {
            uint8_t scale;
            uint32_t digits;
        } decimal; /* D */
    } value;
};

/* Is all of it well-formed, down to the innermost table? No deeper than TABLE_DEPTH_MAX, no more
 * items than TABLE_ITEMS_MAX, known types only, and no number that is not finite (RabbitMQ has no
 * such). */
bool table_check(struct bytes table);

/* Takes the next item off: `walk` is reader_of(contents). False at the end, and when what follows
 * is malformed (walk->bad), which cannot be in what table_check has passed. */
bool table_next(struct reader *walk, struct field *field);
bool array_next(struct reader *walk, struct field *field);

/* The first item of that name. */
bool table_find(struct bytes table, struct bytes name, struct field *field);

/* The value of the first item of that name, when it has a fitting type: long string, bool,
 * table, array. */
bool table_find_string(struct bytes table, const char *name, struct bytes *value);
bool table_find_bool(struct bytes table, const char *name, bool *value);
bool table_find_table(struct bytes table, const char *name, struct bytes *contents);
bool table_find_array(struct bytes table, const char *name, struct bytes *contents);

/* b B s u I i l L, as RabbitMQ's checks of integer arguments have it. */
static inline bool field_is_integer(const struct field *field)
{
    return field->type && strchr("bBsuIilL", field->type);
}

/* Are two values the same in RabbitMQ's argument equivalence? Integers of all widths by value, f
 * and d by value, everything else (also inside tables and arrays) by type and value; l is L. Names
 * are not compared. Both must have passed table_check. */
bool field_equal(const struct field *a, const struct field *b);

/* Are two values the same to a headers exchange, which looks at what they hold and not at their type?
 * Numbers are, of all widths, with a fraction or not, and times, which are seconds; text and bytes;
 * an empty table and an empty array. Inside tables and arrays the type counts as well. */
bool field_same_value(const struct field *a, const struct field *b);
/* A hash of the value: the same for values that are the same in this sense. False for types that
 * have none: they are the same as none that has one. */
bool field_hash_value(const struct field *field, uint64_t seed, uint64_t *hash);

/* RabbitMQ's name of a type: "longstr", "signedint", ...; "unknown". */
const char *field_type_name(char type);

/* Appends the value as RabbitMQ prints it: `10`, `true`, `some text`, `[{<<"k">>,long,1}]`. Stops
 * after about 255 bytes: that is where a reply text ends. */
void field_print_value(struct buffer *out, const struct field *field);
/* Appends what RabbitMQ puts after "received" and "current is" in its 406 texts about arguments:
 * `none` for NULL, `the value '10' of type 'long'`. When both sides have a value, RabbitMQ leaves
 * the types out (`received '10' but current is '20'`): field_print_quoted. */
void field_print(struct buffer *out, const struct field *field);
void field_print_quoted(struct buffer *out, const struct field *field);
/* Appends the value as RabbitMQ prints what it has read from JSON: `10`, `<<"text">>`, `[1,2]`,
 * `#{<<"k">> => 1}`. */
void field_print_term(struct buffer *out, const struct field *field);

/* Appends the contents of a table, or of an array, to a buffer, item by item; what is open is told
 * apart, and in an array the name is not written (pass an empty one). Every begin has its end;
 * names are at most 255 bytes. */
struct table_writer {
    struct buffer *out;
    unsigned depth;
    bool array[TABLE_DEPTH_MAX + 1];    /* is that level an array? */
    size_t starts[TABLE_DEPTH_MAX + 1]; /* where its contents begin in `out` */
};

/* Begins a table, or an array, at the end of `out`. */
void table_writer_init(struct table_writer *writer, struct buffer *out);
void array_writer_init(struct table_writer *writer, struct buffer *out);
void table_add_string(struct table_writer *writer, struct bytes name, struct bytes value);  /* S */
void table_add_bool(struct table_writer *writer, struct bytes name, bool value);            /* t */
void table_add_int32(struct table_writer *writer, struct bytes name, int32_t value);        /* I */
void table_add_int64(struct table_writer *writer, struct bytes name, int64_t value);        /* l */
void table_add_timestamp(struct table_writer *writer, struct bytes name, uint64_t seconds); /* T */
/* A value as it came: type and field->raw, under any name. */
void table_add_raw(struct table_writer *writer, struct bytes name, char type, struct bytes raw);
/* A field as it came, under its own name. */
void table_add_field(struct table_writer *writer, const struct field *field);
/* A finished array by its contents. */
void table_add_array(struct table_writer *writer, struct bytes name, struct bytes contents);
/* Tables and arrays written in place, at most TABLE_DEPTH_MAX deep. */
void table_begin_table(struct table_writer *writer, struct bytes name);
void table_begin_array(struct table_writer *writer, struct bytes name);
void table_end(struct table_writer *writer);

#endif
