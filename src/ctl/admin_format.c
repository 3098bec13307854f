/* What rabbitmqadmin shows of an array of objects: objects in objects become columns whose names
 * have dots, and values look as Python has them. */
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/admin.h"
#include "definitions/json.h"

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* ---- values as texts ---- */

struct style {
    bool is_pretty; /* sorted, on lines of their own, and with all letters as they are */
};

/* The shortest that is read as the same number, with a point or an exponent. */
static void add_fraction(struct buffer *out, double number)
{
    char text[40];
    int digits = 1;
    do
        snprintf(text, sizeof(text), "%.*e", digits - 1, number);
    while (strtod(text, NULL) != number && digits++ < 17);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent >= -4 && exponent < 16)
        snprintf(text, sizeof(text), "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 1,
                 number);
    else
        snprintf(text, sizeof(text), "%.*g", digits, number);
    add(out, text);
}

/* A letter beyond ASCII, as \uXXXX; returns where the next one is. */
static const uint8_t *add_escaped(struct buffer *out, const uint8_t *at, const uint8_t *end)
{
    static const uint8_t masks[] = {0, 0, 0x1f, 0x0f, 0x07};
    size_t size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    char text[16];
    if ((size_t)(end - at) < size)
        return end;
    uint32_t letter = *at & masks[size];
    for (size_t i = 1; i < size; i++)
        letter = letter << 6 | (at[i] & 0x3f);
    if (letter >= 0x10000)
        snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd7c0 + (letter >> 10),
                 0xdc00 + (letter & 0x3ff));
    else
        snprintf(text, sizeof(text), "\\u%04x", letter);
    add(out, text);
    return at + size;
}

static void add_control(struct buffer *out, uint8_t letter)
{
    static const char letters[] = "btnvfr"; /* from 8 on */
    char text[8];
    if (letter == '"' || letter == '\\')
        snprintf(text, sizeof(text), "\\%c", letter);
    else if (letter >= 8 && letter <= 13 && letter != 11)
        snprintf(text, sizeof(text), "\\%c", letters[letter - 8]);
    else
        snprintf(text, sizeof(text), "\\u%04x", letter);
    add(out, text);
}

static void add_quoted(struct buffer *out, struct bytes text, struct style style)
{
    const uint8_t *at = text.data, *end = text.data + text.size;
    add(out, "\"");
    while (at < end) {
        if (*at >= 0x80 && !style.is_pretty) {
            at = add_escaped(out, at, end);
            continue;
        }
        if (*at < ' ' || *at == '"' || *at == '\\')
            add_control(out, *at);
        else
            buffer_add(out, at, 1);
        at++;
    }
    add(out, "\"");
}

static void add_json(struct buffer *out, const struct json *value, struct style style,
                     size_t level);

static void add_line(struct buffer *out, size_t level)
{
    add(out, "\n");
    for (size_t i = 0; i < level; i++)
        add(out, "  ");
}

struct member {
    struct bytes name;
    const struct json *value;
};

static int compare_members(const void *one, const void *other)
{
    return bytes_compare(((const struct member *)one)->name, ((const struct member *)other)->name);
}

/* The members of an object, to be freed. */
static struct member *members_of(const struct json *object, bool is_sorted)
{
    struct member *members = mem_zalloc_array(json_count(object) + 1, sizeof(*members));
    struct json_walk walk = json_walk_of(object);
    size_t count = 0;
    while (json_next(&walk, &members[count].name, &members[count].value))
        count++;
    if (is_sorted)
        qsort(members, count, sizeof(*members), compare_members);
    return members;
}

/* An array, or the members of an object. */
static void add_items(struct buffer *out, const struct json *value, struct style style,
                      size_t level)
{
    bool is_object = json_kind_of(value) == JSON_IS_OBJECT;
    struct member *members = is_object ? members_of(value, style.is_pretty) : NULL;
    add(out, is_object ? "{" : "[");
    for (size_t i = 0; i < json_count(value); i++) {
        add(out, i == 0 ? "" : style.is_pretty ? "," : ", ");
        if (style.is_pretty)
            add_line(out, level + 1);
        if (is_object) {
            add_quoted(out, members[i].name, style);
            add(out, ": ");
        }
        add_json(out, is_object ? members[i].value : json_item(value, i), style, level + 1);
    }
    if (style.is_pretty && json_count(value))
        add_line(out, level);
    add(out, is_object ? "}" : "]");
    mem_free(members);
}

static void add_json(struct buffer *out, const struct json *value, struct style style, size_t level)
{
    char number[32];
    switch (json_kind_of(value)) {
    case JSON_IS_TEXT:
        add_quoted(out, json_text(value), style);
        break;
    case JSON_IS_WHOLE:
        snprintf(number, sizeof(number), "%lld", (long long)json_whole(value));
        add(out, number);
        break;
    case JSON_IS_FRACTION:
        add_fraction(out, json_fraction(value));
        break;
    case JSON_IS_BOOL:
        add(out, json_flag(value) ? "true" : "false");
        break;
    case JSON_IS_ARRAY:
    case JSON_IS_OBJECT:
        add_items(out, value, style, level);
        break;
    default:
        add(out, "null");
    }
}

static bool has_texts_alone(const struct json *array)
{
    for (size_t i = 0; i < json_count(array); i++)
        if (json_kind_of(json_item(array, i)) != JSON_IS_TEXT)
            return false;
    return true;
}

/* What stands in a cell. */
static void add_cell(struct buffer *out, const struct json *value)
{
    struct bytes text = json_text(value);
    switch (json_kind_of(value)) {
    case JSON_IS_TEXT:
        buffer_add(out, text.data, text.size);
        break;
    case JSON_IS_BOOL:
        add(out, json_flag(value) ? "True" : "False");
        break;
    case JSON_IS_ARRAY:
        if (!has_texts_alone(value)) {
            add_json(out, value, (struct style){false}, 0);
            break;
        }
        for (size_t i = 0; i < json_count(value); i++) {
            struct bytes word = json_text(json_item(value, i));
            add(out, i ? " " : "");
            buffer_add(out, word.data, word.size);
        }
        break;
    default:
        add_json(out, value, (struct style){false}, 0);
    }
}

/* ---- columns and rows ---- */

struct table {
    const struct admin_view *view;
    size_t depth;
    char **columns; /* in the order in which they were found */
    size_t *order;  /* of columns: the order in which they are shown */
    size_t count, capacity;
    char ***rows; /* a text for each column; NULL: null, or nothing */
    size_t row_count;
    size_t hint; /* where the last column was found */
};

enum { NAME_BYTES = 512 };

static size_t find_column(struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t at = (table->hint + i) % table->count;
        if (strcmp(table->columns[at], name) != 0)
            continue;
        table->hint = at + 1;
        return at;
    }
    return table->count;
}

static void add_column(struct table *table, const char *name)
{
    if (find_column(table, name) < table->count)
        return;
    table->columns =
        mem_grow(table->columns, &table->capacity, table->count + 1, sizeof(*table->columns));
    table->columns[table->count++] = mem_dup(name, strlen(name) + 1);
    table->hint = table->count;
}

static void put_cell(struct table *table, char **row, const char *name, const struct json *value)
{
    struct buffer text = {0};
    size_t at = find_column(table, name);
    if (at == table->count)
        return;
    if (json_kind_of(value) == JSON_IS_OBJECT)
        add_json(&text, value, (struct style){false}, 0);
    else if (json_kind_of(value) != JSON_IS_NULL)
        add_cell(&text, value);
    buffer_add_u8(&text, '\0');
    mem_free(row[at]);
    row[at] = json_kind_of(value) == JSON_IS_NULL ? NULL : mem_dup(text.data, text.size);
    buffer_free(&text);
}

/* Everything in an object, by its full name. `row` NULL: columns are made. */
static void walk(struct table *table, const struct json *object, const char *prefix, size_t depth,
                 char **row)
{
    struct json_walk at = json_walk_of(object);
    struct bytes name;
    const struct json *value;
    while (json_next(&at, &name, &value)) {
        char full[NAME_BYTES];
        bool is_object = json_kind_of(value) == JSON_IS_OBJECT;
        bool is_json = is_object && admin_has_word(table->view->json, name);
        snprintf(full, sizeof(full), "%s%s%.*s", prefix, *prefix ? "." : "", BYTES_ARG(name));
        if (is_object && !is_json && depth < table->depth)
            walk(table, value, full, depth + 1, row);
        if (is_object && !is_json)
            continue;
        if (row)
            put_cell(table, row, full, value);
        else
            add_column(table, full);
    }
}

/* Some columns come first. */
static int rank(const char *name)
{
    static const char *const first[] = {
        "vhost", "name", "type", "source", "destination", "destination_type", "routing_key"};
    enum { FIRST = sizeof(first) / sizeof(first[0]) };
    for (int i = 0; i < FIRST; i++)
        if (strcmp(name, first[i]) == 0)
            return i;
    return FIRST;
}

static int compare_columns(const void *one, const void *other, void *context)
{
    const struct table *table = context;
    const char *a = table->columns[*(const size_t *)one];
    const char *b = table->columns[*(const size_t *)other];
    return rank(a) != rank(b) ? rank(a) - rank(b) : strcmp(a, b);
}

static void make_columns(struct table *table, const struct json *array)
{
    const char *at = table->view->columns;
    struct bytes word;
    char name[NAME_BYTES];
    for (size_t i = 0; i < table->view->named_count; i++)
        add_column(table, table->view->named[i]);
    while (table->view->named_count == 0 && admin_next_word(&at, &word)) {
        snprintf(name, sizeof(name), "%.*s", BYTES_ARG(word));
        add_column(table, name);
    }
    bool is_told = table->count > 0;
    table->depth = is_told ? SIZE_MAX : table->depth;
    for (size_t i = 0; !is_told && i < json_count(array); i++)
        walk(table, json_item(array, i), "", 1, NULL);
    table->order = mem_zalloc_array(table->count + 1, sizeof(*table->order));
    for (size_t i = 0; i < table->count; i++)
        table->order[i] = i;
    if (!is_told)
        qsort_r(table->order, table->count, sizeof(*table->order), compare_columns, table);
}

static void make_rows(struct table *table, const struct json *array)
{
    table->row_count = json_count(array);
    table->rows = mem_zalloc_array(table->row_count + 1, sizeof(*table->rows));
    for (size_t i = 0; i < table->row_count; i++) {
        char **row = mem_zalloc_array(table->count + 1, sizeof(*row));
        for (size_t j = 0; j < table->count; j++)
            row[j] = mem_dup("", 1);
        table->rows[i] = row;
        walk(table, json_item(array, i), "", 1, row);
    }
}

static void free_table(struct table *table)
{
    for (size_t i = 0; i < table->row_count; i++) {
        for (size_t j = 0; j < table->count; j++)
            mem_free(table->rows[i][j]);
        mem_free(table->rows[i]);
    }
    for (size_t j = 0; j < table->count; j++)
        mem_free(table->columns[j]);
    mem_free(table->rows);
    mem_free(table->columns);
    mem_free(table->order);
}

/* ---- formats ---- */

/* Of the column that is shown at that place; `none` stands for null. */
static const char *cell(const struct table *table, size_t row, size_t place, const char *none)
{
    const char *text = table->rows[row][table->order[place]];
    return text ? text : none;
}

static const char *title(const struct table *table, size_t place)
{
    return table->columns[table->order[place]];
}

static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((uint8_t)*text & 0xc0) != 0x80;
    return width;
}

static void print_spaces(int count)
{
    printf("%*s", count > 0 ? count : 0, "");
}

static void print_bar(const int *widths, size_t count)
{
    printf("+");
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < widths[i] + 2; j++)
            printf("-");
        printf("+");
    }
    printf("\n");
}

static void print_table(const struct admin *admin, const struct table *table)
{
    (void)admin;
    int *widths = mem_zalloc_array(table->count + 1, sizeof(*widths));
    for (size_t j = 0; j < table->count; j++) {
        widths[j] = width_of(title(table, j));
        for (size_t i = 0; i < table->row_count; i++)
            if (width_of(cell(table, i, j, "")) > widths[j])
                widths[j] = width_of(cell(table, i, j, ""));
    }
    print_bar(widths, table->count);
    printf("|");
    for (size_t j = 0; j < table->count; j++) {
        int room = widths[j] - width_of(title(table, j));
        print_spaces(room / 2 + 1);
        printf("%s", title(table, j));
        print_spaces(room - room / 2 + 1);
        printf("|");
    }
    printf("\n");
    print_bar(widths, table->count);
    for (size_t i = 0; i < table->row_count; i++) {
        printf("|");
        for (size_t j = 0; j < table->count; j++) {
            printf(" %s", cell(table, i, j, ""));
            print_spaces(widths[j] - width_of(cell(table, i, j, "")) + 1);
            printf("|");
        }
        printf("\n");
    }
    print_bar(widths, table->count);
    mem_free(widths);
}

static void print_tsv(const struct admin *admin, const struct table *table)
{
    for (size_t j = 0; !admin_is_set(admin, ADMIN_QUIET) && j < table->count; j++)
        printf("%s%s", title(table, j), j + 1 < table->count ? "\t" : "\n");
    for (size_t i = 0; i < table->row_count; i++)
        for (size_t j = 0; j < table->count; j++)
            printf("%s%s", cell(table, i, j, ""), j + 1 < table->count ? "\t" : "\n");
}

static void print_rule(void)
{
    printf("\n");
    for (int i = 0; i < 80; i++)
        printf("-");
    printf("\n\n");
}

static void print_long(const struct admin *admin, const struct table *table)
{
    (void)admin;
    int width = 0;
    for (size_t j = 0; j < table->count; j++)
        if (width_of(title(table, j)) > width)
            width = width_of(title(table, j));
    print_rule();
    for (size_t i = 0; i < table->row_count; i++) {
        for (size_t j = 0; j < table->count; j++) {
            print_spaces(width - width_of(title(table, j)));
            printf("%s: %s\n", title(table, j), cell(table, i, j, "None"));
        }
        print_rule();
    }
}

static void print_pairs(const struct admin *admin, const struct table *table)
{
    (void)admin;
    for (size_t i = 0; i < table->row_count; i++) {
        for (size_t j = 0; j < table->count; j++)
            printf("%s%s=\"%s\"", j ? " " : "", title(table, j), cell(table, i, j, "None"));
        printf("\n");
    }
}

/* The names alone. */
static void print_names(const struct admin *admin, const struct table *table)
{
    (void)admin;
    for (size_t j = 0; j < table->count; j++) {
        if (strcmp(title(table, j), "name") != 0)
            continue;
        for (size_t i = 0; i < table->row_count; i++)
            printf("%s%s", i ? " " : "", cell(table, i, j, ""));
        printf("\n");
    }
}

static int show_table(const struct admin *admin, const struct json *array,
                      const struct admin_view *view,
                      void (*print)(const struct admin *, const struct table *))
{
    const char *depth = admin->values[ADMIN_DEPTH];
    struct table table = {.view = view, .depth = depth ? strtoul(depth, NULL, 10) : 1};
    make_columns(&table, array);
    make_rows(&table, array);
    if (table.row_count)
        print(admin, &table);
    else if (!admin_is_set(admin, ADMIN_QUIET))
        printf("No items\n");
    free_table(&table);
    return 0;
}

static int show_pretty(const struct json *array)
{
    struct buffer text = {0};
    add_json(&text, array, (struct style){true}, 0);
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
    return 0;
}

static int show_document(const struct admin *admin, const struct json *array,
                         const struct admin_view *view)
{
    static const struct {
        const char *name;
        void (*print)(const struct admin *, const struct table *);
    } formats[] = {{"tsv", print_tsv},
                   {"long", print_long},
                   {"table", print_table},
                   {"kvp", print_pairs},
                   {"bash", print_names}};
    const char *format = admin->values[ADMIN_FORMAT];
    if (strcmp(format, "pretty_json") == 0)
        return show_pretty(array);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(format, formats[i].name) == 0)
            return show_table(admin, array, view, formats[i].print);
    return admin_refuse("Format %s not recognised", format);
}

int admin_show(const struct admin *admin, struct bytes array, const struct admin_view *view)
{
    char error[200];
    if (strcmp(admin->values[ADMIN_FORMAT], "raw_json") == 0) {
        printf("%.*s\n", BYTES_ARG(array));
        return 0;
    }
    struct json *document = json_parse(array, error, sizeof(error));
    if (!document)
        return admin_die("The answer is no JSON: %s", error);
    int code = show_document(admin, document, view);
    json_release(document);
    return code;
}
