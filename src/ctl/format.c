#include "ctl/format.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ctl/term.h"

enum { FLUSH_BYTES = 65536 };

bool format_read(const char *name, enum format *format)
{
    static const struct {
        const char *name;
        enum format format;
    } formats[] = {{"table", FORMAT_TABLE},        {"tsv", FORMAT_TSV},
                   {"json", FORMAT_JSON},          {"json_stream", FORMAT_JSON_LINES},
                   {"jsonl", FORMAT_JSON_LINES},   {"csv", FORMAT_CSV},
                   {"pretty_table", FORMAT_PRETTY}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(name, formats[i].name) == 0) {
            *format = formats[i].format;
            return true;
        }
    return false;
}

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

static void flush(struct buffer *out)
{
    fwrite(out->data, 1, out->size, stdout);
    out->size = 0;
}

static void flush_much(struct buffer *out)
{
    if (out->size >= FLUSH_BYTES)
        flush(out);
}

/* The table of one verb has no names above it with RabbitMQ's tools. */
static bool is_bare(const struct command *command)
{
    return strcmp(command->verb->name, "list_user_topic_permissions") == 0;
}

static bool has_header(const struct command *command)
{
    return !command_has(command, "silent") && !command_has(command, "no-table-headers");
}

/* RabbitMQ's tools show lists of many objects row by row, and nothing when there is none; of others
 * they show an empty line then. */
static bool is_streamed(const struct command *command)
{
    return strstr(command->verb->syntax, "<column>") != NULL;
}

/* ---- with tabs ---- */

/* Line ends and the like would break the table. */
static void hide_controls(struct buffer *out, size_t from)
{
    for (size_t i = from; i < out->size; i++)
        if (out->data[i] < 0x20 || out->data[i] == 0x7f)
            out->data[i] = '?';
}

static void with_tabs(const struct command *command, const struct rows *rows, struct buffer *out)
{
    size_t count = rows->columns.count;
    struct bytes values[COLUMNS_MAX];
    bool has_names =
        has_header(command) && (command_is_ours(command) || (rows->count && !is_bare(command)));
    for (size_t i = 0; i < count && has_names; i++) {
        add(out, rows->columns.list[i].name);
        add(out, i + 1 < count ? "\t" : "\n");
    }
    if (rows->count == 0 && !command_is_ours(command) && !is_streamed(command))
        add(out, "\n");
    for (size_t row = 0; row < rows->count; row++) {
        row_values(&rows->columns, rows->list[row].object, values);
        for (size_t i = 0; i < count; i++) {
            size_t from = out->size;
            term_cell(command, rows->columns.list[i].kind, values[i], out);
            hide_controls(out, from);
            add(out, i + 1 < count ? "\t" : "\n");
        }
        flush_much(out);
    }
}

/* ---- JSON ---- */

static void add_object(const struct command *command, const struct rows *rows, size_t row,
                       struct buffer *out)
{
    struct json_writer writer = json_writer_of(out);
    struct bytes values[COLUMNS_MAX];
    row_values(&rows->columns, rows->list[row].object, values);
    writer.mends = true;
    json_open(&writer, '{');
    for (size_t i = 0; i < rows->columns.count; i++) {
        const struct column *column = &rows->columns.list[i];
        json_name(&writer, bytes_str(column->name));
        term_json(command, column->kind, values[i], &writer);
    }
    json_close(&writer, '}');
}

static void as_json(const struct command *command, const struct rows *rows, struct buffer *out)
{
    bool is_array = command->format == FORMAT_JSON;
    add(out, is_array ? "[\n" : "");
    for (size_t row = 0; row < rows->count; row++) {
        add(out, is_array && row ? "," : "");
        add_object(command, rows, row, out);
        add(out, "\n");
        flush_much(out);
    }
    add(out, is_array ? "]\n" : "");
}

/* ---- CSV ---- */

static void add_quoted(struct buffer *out, struct bytes text)
{
    add(out, "\"");
    for (size_t i = 0; i < text.size; i++) {
        buffer_add(out, "\"", text.data[i] == '"');
        buffer_add(out, &text.data[i], 1);
    }
    add(out, "\"");
}

static void as_csv(const struct command *command, const struct rows *rows, struct buffer *out)
{
    size_t count = rows->columns.count;
    struct bytes values[COLUMNS_MAX];
    struct buffer cell = {0};
    for (size_t i = 0; i < count && has_header(command); i++) {
        add_quoted(out, bytes_str(rows->columns.list[i].name));
        add(out, i + 1 < count ? "," : "\n");
    }
    for (size_t row = 0; row < rows->count; row++) {
        row_values(&rows->columns, rows->list[row].object, values);
        for (size_t i = 0; i < count; i++) {
            cell.size = 0;
            term_cell(command, rows->columns.list[i].kind, values[i], &cell);
            add_quoted(out, buffer_bytes(&cell));
            add(out, i + 1 < count ? "," : "\n");
        }
        flush_much(out);
    }
    buffer_free(&cell);
}

/* ---- aligned ---- */

/* Columns on a terminal: characters of UTF-8, which are taken for one column each. */
static size_t width_of(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.size; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width;
}

struct grid {
    const struct command *command;
    const struct rows *rows;
    size_t widths[COLUMNS_MAX];
    bool is_number[COLUMNS_MAX];
    struct bytes values[COLUMNS_MAX]; /* of the row at hand */
    struct buffer cell;
};

static bool is_number(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') && text.data[i] != '.')
            return false;
    return true;
}

static void grid_row(struct grid *grid, size_t row)
{
    row_values(&grid->rows->columns, grid->rows->list[row].object, grid->values);
}

/* Of the row at hand; or the column's name. */
static struct bytes grid_cell(struct grid *grid, size_t column, bool is_header)
{
    const struct column *what = &grid->rows->columns.list[column];
    if (is_header)
        return bytes_str(what->name);
    grid->cell.size = 0;
    term_cell(grid->command, what->kind, grid->values[column], &grid->cell);
    hide_controls(&grid->cell, 0);
    return buffer_bytes(&grid->cell);
}

static void grid_measure(struct grid *grid)
{
    size_t count = grid->rows->columns.count;
    for (size_t i = 0; i < count; i++) {
        grid->widths[i] = has_header(grid->command) ? strlen(grid->rows->columns.list[i].name) : 0;
        grid->is_number[i] = true;
    }
    for (size_t row = 0; row < grid->rows->count; row++) {
        grid_row(grid, row);
        for (size_t i = 0; i < count; i++) {
            struct bytes text = grid_cell(grid, i, false);
            size_t width = width_of(text);
            grid->is_number[i] = grid->is_number[i] && is_number(text);
            if (width > grid->widths[i])
                grid->widths[i] = width;
        }
    }
}

static void add_padded(struct buffer *out, struct bytes text, size_t width, bool is_right)
{
    size_t left = width - width_of(text);
    for (size_t i = 0; i < left && is_right; i++)
        add(out, " ");
    buffer_add(out, text.data, text.size);
    for (size_t i = 0; i < left && !is_right; i++)
        add(out, " ");
}

static void grid_line(struct grid *grid, bool is_header, struct buffer *out)
{
    size_t count = grid->rows->columns.count;
    for (size_t i = 0; i < count; i++) {
        struct bytes text = grid_cell(grid, i, is_header);
        bool is_last = i + 1 == count && !grid->is_number[i];
        add_padded(out, text, is_last ? width_of(text) : grid->widths[i], grid->is_number[i]);
        add(out, i + 1 < count ? "  " : "\n");
    }
}

static void aligned(struct grid *grid, struct buffer *out)
{
    if (has_header(grid->command)) {
        add(out, "\033[1m");
        grid_line(grid, true, out);
        add(out, "\033[0m");
    }
    for (size_t row = 0; row < grid->rows->count; row++) {
        grid_row(grid, row);
        grid_line(grid, false, out);
        flush_much(out);
    }
}

/* ---- in a frame ---- */

/* What a frame is drawn with: left end, line, crossing and right end of the top, the middle and the
 * bottom; then what stands between cells. */
struct frame {
    const char *top[4], *middle[4], *bottom[4];
    const char *bar;
    const char *bold, *plain;
};

/* RabbitMQ's tools switch the terminal to its characters for lines. */
static const struct frame frame_vt100 = {{"\033(0l", "q", "w", "k\033(B"},
                                         {"\033(0t", "q", "n", "u\033(B"},
                                         {"\033(0m", "q", "v", "j\033(B"},
                                         "\033(0x\033(B",
                                         "\033[1m",
                                         "\033[0m"};
static const struct frame frame_lines = {
    {"┌", "─", "┬", "┐"}, {"├", "─", "┼", "┤"}, {"└", "─", "┴", "┘"}, "│", "\033[1m", "\033[0m"};
static const struct frame frame_ascii = {
    {"+", "-", "+", "+"}, {"+", "-", "+", "+"}, {"+", "-", "+", "+"}, "|", "", ""};

static const struct frame *frame_of(const struct command *command)
{
    const char *language = getenv("LC_ALL");
    if (!language || !*language)
        language = getenv("LC_CTYPE");
    if (!language || !*language)
        language = getenv("LANG");
    if (!command_is_ours(command))
        return &frame_vt100;
    bool is_utf8 = language && (strstr(language, "UTF-8") || strstr(language, "utf8"));
    return command->is_terminal && is_utf8 ? &frame_lines : &frame_ascii;
}

static void frame_rule(const struct grid *grid, const char *const parts[4], struct buffer *out)
{
    size_t count = grid->rows->columns.count;
    add(out, parts[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t dash = 0; dash < grid->widths[i] + 2; dash++)
            add(out, parts[1]);
        add(out, i + 1 < count ? parts[2] : parts[3]);
    }
    add(out, "\n");
}

static void frame_line(struct grid *grid, const struct frame *frame, bool is_header,
                       struct buffer *out)
{
    for (size_t i = 0; i < grid->rows->columns.count; i++) {
        struct bytes text = grid_cell(grid, i, is_header);
        add(out, frame->bar);
        add(out, " ");
        add(out, is_header ? frame->bold : "");
        buffer_add(out, text.data, text.size);
        add(out, is_header ? frame->plain : "");
        for (size_t left = width_of(text); left < grid->widths[i] + 1; left++)
            add(out, " ");
    }
    add(out, frame->bar);
    add(out, "\n");
}

static void framed(struct grid *grid, struct buffer *out)
{
    const struct frame *frame = frame_of(grid->command);
    frame_rule(grid, frame->top, out);
    if (has_header(grid->command))
        frame_line(grid, frame, true, out);
    for (size_t row = 0; row < grid->rows->count; row++) {
        if (row || has_header(grid->command))
            frame_rule(grid, frame->middle, out);
        grid_row(grid, row);
        frame_line(grid, frame, false, out);
        flush_much(out);
    }
    frame_rule(grid, frame->bottom, out);
}

/* ---- which of them ---- */

void format_rows(const struct command *command, const struct rows *rows)
{
    struct buffer out = {0};
    struct grid grid = {.command = command, .rows = rows};
    bool is_aligned =
        command->format == FORMAT_TABLE && command_is_ours(command) && command->is_terminal;
    if (is_aligned || command->format == FORMAT_PRETTY)
        grid_measure(&grid);
    if (is_aligned)
        aligned(&grid, &out);
    else if (command->format == FORMAT_PRETTY)
        framed(&grid, &out);
    else if (command->format == FORMAT_CSV)
        as_csv(command, rows, &out);
    else if (command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES)
        as_json(command, rows, &out);
    else
        with_tabs(command, rows, &out);
    flush(&out);
    buffer_free(&out);
    buffer_free(&grid.cell);
}
