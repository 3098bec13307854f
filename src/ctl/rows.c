#include "ctl/rows.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ctl/format.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "definitions/json_scan.h"

/* ---- columns ---- */

static enum cell_kind kind_of(struct bytes text)
{
    static const struct {
        const char *name;
        enum cell_kind kind;
    } kinds[] = {{"table", CELL_TABLE},
                 {"tags", CELL_TAGS},
                 {"text", CELL_TEXT},
                 {"exchange", CELL_EXCHANGE},
                 {"channel", CELL_CHANNEL}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (bytes_equal_str(text, kinds[i].name))
            return kinds[i].kind;
    return CELL_PLAIN;
}

static void copy(char *out, const char *text, size_t size)
{
    if (size >= COLUMN_NAME_MAX)
        size = COLUMN_NAME_MAX - 1;
    memcpy(out, text, size);
    out[size] = '\0';
}

/* The next column of a spec; moves *spec on. False: there is none. */
static bool next_column(const char **spec, struct column *column, bool *is_usual)
{
    const char *at = *spec + strspn(*spec, " ");
    size_t size = strcspn(at, " ");
    if (size == 0)
        return false;
    *spec = at + size;
    *is_usual = *at == '*';
    at += *is_usual;
    size -= *is_usual;
    size_t value_size = strcspn(at, ": ");
    size_t name_size = strcspn(at, "=: ");
    copy(column->name, at, name_size);
    if (name_size < value_size)
        copy(column->path, at + name_size + 1, value_size - name_size - 1);
    else
        copy(column->path, at, name_size);
    column->has_parts = strchr(column->path, '.') != NULL;
    column->kind = value_size < size ? kind_of(bytes_of(at + value_size + 1, size - value_size - 1))
                                     : CELL_PLAIN;
    return true;
}

static bool find_column(const char *spec, const char *name, size_t size, struct column *column)
{
    bool is_usual;
    while (next_column(&spec, column, &is_usual))
        if (strlen(column->name) == size && memcmp(column->name, name, size) == 0)
            return true;
    return false;
}

void columns_print_names(const char *spec, FILE *out)
{
    struct column column;
    bool is_usual;
    while (next_column(&spec, &column, &is_usual))
        fprintf(out, "  %s\n", column.name);
}

static void take_usual(const char *spec, struct columns *columns)
{
    struct column column;
    bool is_usual;
    while (next_column(&spec, &column, &is_usual))
        if (is_usual && columns->count < COLUMNS_MAX)
            columns->list[columns->count++] = column;
}

/* Adds a column that was asked for; a name that is none goes to `unknown`. */
static void take_one(const char *spec, const char *name, size_t size, struct columns *columns,
                     struct buffer *unknown)
{
    struct column column;
    if (size == 0)
        return;
    if (!find_column(spec, name, size, &column)) {
        buffer_add(unknown, ",", unknown->size > 0);
        buffer_add(unknown, name, size);
    } else if (columns->count < COLUMNS_MAX) {
        columns->list[columns->count++] = column;
    }
}

static void take_named(const char *spec, const char *names, struct columns *columns,
                       struct buffer *unknown)
{
    while (*names) {
        size_t size = strcspn(names, ", ");
        take_one(spec, names, size, columns, unknown);
        names += size + (names[size] != '\0');
    }
}

int columns_choose(struct command *command, const char *spec, struct columns *columns)
{
    struct buffer unknown = {0};
    int code = 0;
    const char *names = command_option(command, "columns");
    *columns = (struct columns){0};
    if (strstr(command->verb->syntax, "<column>"))
        for (size_t i = 0; i < command->argument_count; i++)
            take_named(spec, command->arguments[i], columns, &unknown);
    if (names)
        take_named(spec, names, columns, &unknown);
    if (unknown.size)
        code = say_usage(command, "Info key(s) %.*s are not supported",
                         BYTES_ARG(buffer_bytes(&unknown)));
    if (columns->count == 0)
        take_usual(spec, columns);
    buffer_free(&unknown);
    return code;
}

void columns_add_query(const struct columns *columns, struct buffer *query)
{
    buffer_add(query, "columns=", 8);
    for (size_t i = 0; i < columns->count; i++) {
        const char *path = columns->list[i].path;
        buffer_add(query, ",", i > 0);
        buffer_add(query, path, strlen(path));
    }
}

/* What a path leads to: a member of that name, or else what a member of its first name has at the
 * rest of it. */
static struct bytes find_value(struct bytes object, const char *path)
{
    size_t first = strcspn(path, ".");
    struct json_scan scan = json_scan_of(object, '{');
    struct bytes name, value, part = {0};
    while (json_scan_member(&scan, &name, &value)) {
        if (bytes_equal_str(name, path))
            return value;
        if (path[first] && bytes_equal(name, bytes_of(path, first)))
            part = value;
    }
    return part.size ? find_value(part, path + first + 1) : part;
}

struct bytes row_value(const struct column *column, struct bytes object)
{
    return find_value(object, column->path);
}

void row_values(const struct columns *columns, struct bytes object,
                struct bytes values[COLUMNS_MAX])
{
    struct json_scan scan = json_scan_of(object, '{');
    struct bytes name, value;
    memset(values, 0, columns->count * sizeof(*values));
    while (json_scan_member(&scan, &name, &value))
        for (size_t i = 0; i < columns->count; i++)
            if (columns->list[i].path[0] == name.data[0] &&
                bytes_equal_str(name, columns->list[i].path))
                values[i] = value;
    for (size_t i = 0; i < columns->count; i++)
        if (!values[i].size && columns->list[i].has_parts)
            values[i] = row_value(&columns->list[i], object);
}

/* ---- which rows ---- */

enum relation { IS_EQUAL, IS_NOT, IS_LESS, IS_LESS_OR_EQUAL, IS_MORE, IS_MORE_OR_EQUAL, HAS_PART };

struct filter {
    struct column column;
    enum relation relation;
    const char *value;
};

/* NAME, a relation and a value. */
static bool filter_read(const char *spec, const char *text, struct filter *filter)
{
    static const struct {
        const char *sign;
        enum relation relation;
    } signs[] = {{"!=", IS_NOT},  {">=", IS_MORE_OR_EQUAL}, {"<=", IS_LESS_OR_EQUAL},
                 {"=", IS_EQUAL}, {">", IS_MORE},           {"<", IS_LESS},
                 {"~", HAS_PART}};
    size_t size = strcspn(text, "!=<>~");
    const char *at = text + size;
    while (size && text[size - 1] == ' ')
        size--;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        size_t length = strlen(signs[i].sign);
        if (strncmp(at, signs[i].sign, length) != 0)
            continue;
        filter->relation = signs[i].relation;
        filter->value = at + length + strspn(at + length, " ");
        return find_column(spec, text, size, &filter->column);
    }
    return false;
}

/* Numbers by their value, all else as text. */
static int compare_texts(const char *a, const char *b)
{
    char *a_end, *b_end;
    double a_number = strtod(a, &a_end), b_number = strtod(b, &b_end);
    if (*a && *b && *a_end == '\0' && *b_end == '\0')
        return (a_number > b_number) - (a_number < b_number);
    return strcmp(a, b);
}

/* A cell as a C string; the caller frees it. */
static char *cell_text(const struct command *command, const struct column *column,
                       struct bytes object)
{
    struct buffer text = {0};
    term_cell(command, column->kind, row_value(column, object), &text);
    buffer_add(&text, "", 1);
    return (char *)text.data;
}

static bool passes(const struct command *command, const struct filter *filter,
                   struct bytes object)
{
    char *text = cell_text(command, &filter->column, object);
    int order = compare_texts(text, filter->value);
    bool has_part = strstr(text, filter->value) != NULL;
    mem_free(text);
    switch (filter->relation) {
    case IS_EQUAL:
        return order == 0;
    case IS_NOT:
        return order != 0;
    case IS_LESS:
        return order < 0;
    case IS_LESS_OR_EQUAL:
        return order <= 0;
    case IS_MORE:
        return order > 0;
    case IS_MORE_OR_EQUAL:
        return order >= 0;
    default:
        return has_part;
    }
}

/* ---- in which order ---- */

struct sorted {
    char *key;
    size_t number;
    struct bytes object;
};

static int compare_sorted(const void *a, const void *b)
{
    const struct sorted *left = a, *right = b;
    int order = compare_texts(left->key, right->key);
    return order ? order : (left->number > right->number) - (left->number < right->number);
}

static void sort_rows(const struct command *command, struct rows *rows, const struct column *column,
                      bool is_falling)
{
    struct sorted *list = mem_zalloc_array(rows->count + 1, sizeof(*list));
    for (size_t i = 0; i < rows->count; i++)
        list[i] = (struct sorted){cell_text(command, column, rows->list[i].object), i,
                                  rows->list[i].object};
    qsort(list, rows->count, sizeof(*list), compare_sorted);
    for (size_t i = 0; i < rows->count; i++) {
        rows->list[i].object = list[is_falling ? rows->count - 1 - i : i].object;
        mem_free(list[i].key);
    }
    mem_free(list);
}

/* ---- all of it ---- */

struct wish {
    bool filters, sorts, is_falling;
    struct filter filter;
    struct column order;
};

static int read_wish(struct command *command, const char *spec, struct wish *wish)
{
    const char *test = command_option(command, "filter");
    const char *order = command_option(command, "sort");
    *wish = (struct wish){.filters = test != NULL, .sorts = order != NULL};
    if (test && !filter_read(spec, test, &wish->filter))
        return say_usage(command,
                         "--filter is a column, a relation and a value, and not '%s'; for example "
                         "--filter 'messages>0'",
                         test);
    wish->is_falling = order && *order == '-';
    if (order && !find_column(spec, order + wish->is_falling, strlen(order + wish->is_falling),
                              &wish->order))
        return say_usage(command, "--sort is a column, and not '%s'", order);
    return 0;
}

int columns_choose_all(struct command *command, const char *spec, struct columns *shown,
                       struct columns *asked)
{
    struct wish wish;
    int code = columns_choose(command, spec, shown);
    if (code == 0)
        code = read_wish(command, spec, &wish);
    if (code)
        return code;
    *asked = *shown;
    if (wish.filters && asked->count < COLUMNS_MAX)
        asked->list[asked->count++] = wish.filter.column;
    if (wish.sorts && asked->count < COLUMNS_MAX)
        asked->list[asked->count++] = wish.order;
    return 0;
}

/* Those that are to be shown. False: the text is no array of JSON. */
static bool choose_rows(const struct command *command, const struct wish *wish, struct bytes array,
                        struct rows *rows)
{
    struct json_scan scan = json_scan_of(array, '[');
    struct bytes object;
    while (json_scan_item(&scan, &object)) {
        if (wish->filters && !passes(command, &wish->filter, object))
            continue;
        rows->list = mem_grow(rows->list, &rows->capacity, rows->count + 1, sizeof(*rows->list));
        rows->list[rows->count++].object = object;
    }
    return json_scan_is_over(&scan);
}

int rows_show(struct command *command, const char *spec, struct bytes array)
{
    struct rows rows = {0};
    struct wish wish;
    int code = columns_choose(command, spec, &rows.columns);
    if (code == 0)
        code = read_wish(command, spec, &wish);
    if (code)
        return code;
    if (choose_rows(command, &wish, array, &rows)) {
        if (wish.sorts)
            sort_rows(command, &rows, &wish.order, wish.is_falling);
        format_rows(command, &rows);
    } else {
        code = say_fail(command, EXIT_SOFTWARE, "the broker's answer is no list in JSON");
    }
    mem_free(rows.list);
    return code;
}
