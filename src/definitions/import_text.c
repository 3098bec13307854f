/* The text of an import is read twice, in parts that are small, so that it may be large and nobody
 * has to wait for it: first to see that all of it is JSON and where the lists of its sections are,
 * and then, section by section, to make what is in them. There is never a tree of the whole. */
#include "definitions/import.h"

#include <stdio.h>

/* Bytes of an object of a list, and of all that is beside the lists. */
enum { PART_MAX = 1 << 20 };

/* Of the budget: for a part, and for each of its bytes. */
enum { PART_STEPS = 60, STEPS_PER_BYTE = 2 };

/* ---- what is wrong ---- */

static void fail_at(struct import *import, const uint8_t *at, const char *what)
{
    size_t line = 1;
    const uint8_t *begin = import->text.data, *end;
    for (; at > begin && (end = memchr(begin, '\n', (size_t)(at - begin))); begin = end + 1)
        line++;
    import_fail(import, "line %zu, column %zu: %s", line, (size_t)(at - begin), what);
}

/* A text that is short is read as a whole, to be told more exactly what is wrong. */
static void fail_text(struct import *import, const uint8_t *at, const char *what)
{
    char fault[256];
    bool is_short = import->text.size <= PART_MAX;
    struct json *root = is_short ? json_parse(import->text, fault, sizeof(fault)) : NULL;
    if (root && json_kind_of(root) != JSON_IS_OBJECT)
        import_fail(import, "definitions must be an object, and not %s",
                    json_kind_name(json_kind_of(root)));
    else if (is_short && !root)
        import_fail(import, "%s", fault);
    else
        fail_at(import, at, what);
    json_release(root);
}

static void fail_scan(struct import *import, const struct json_scan *scan)
{
    bool is_large = (size_t)(scan->end - scan->at) > PART_MAX;
    fail_text(import, scan->at,
              is_large ? "this is no JSON, or larger than the megabyte that an object may have"
                       : "this is no JSON");
}

/* ---- parts ---- */

/* A value, in an array; NULL: it is wrong, and that was told. */
static struct json *parse(struct import *import, struct bytes value)
{
    char fault[256];
    struct buffer part = {0};
    buffer_add(&part, "[", 1);
    buffer_add(&part, value.data, value.size);
    buffer_add(&part, "]", 1);
    struct json *array = json_parse(buffer_bytes(&part), fault, sizeof(fault));
    buffer_free(&part);
    if (!array)
        fail_text(import, value.data, fault);
    return array;
}

static void use(struct budget *budget, struct bytes value)
{
    budget_use(budget, PART_STEPS + value.size * STEPS_PER_BYTE);
}

static struct json_scan scan_list(struct bytes text)
{
    struct json_scan list = json_scan_of(text, '[');
    list.value_max = PART_MAX;
    return list;
}

/* ---- once, to see what is there ---- */

static void add_to_header(struct import *import, struct bytes name, struct bytes value)
{
    struct buffer *header = &import->header;
    buffer_add(header, header->size ? ",\"" : "{\"", 2);
    buffer_add(header, name.data, name.size);
    buffer_add(header, "\":", 2);
    buffer_add(header, value.data, value.size);
    if (header->size > PART_MAX)
        fail_at(import, name.data, "there is more than a megabyte beside the lists");
}

/* A name that has escapes may be that of a section as well. */
static size_t section_named(struct import *import, struct bytes name)
{
    if (!memchr(name.data, '\\', name.size))
        return import_section_named(name);
    struct json *array = parse(import, bytes_of(name.data - 1, name.size + 2));
    size_t section = import_section_named(json_text(json_item(array, 0)));
    json_release(array);
    return section;
}

static void end_header(struct import *import)
{
    char fault[256];
    buffer_add(&import->header, import->header.size ? "}" : "{}", import->header.size ? 1 : 2);
    import->root = json_parse(buffer_bytes(&import->header), fault, sizeof(fault));
    if (!import->root)
        fail_text(import, import->text.data, fault);
}

/* Of a list it is enough here that it is one. */
static void read_member(struct import *import, struct budget *budget)
{
    struct json_scan *file = &import->file;
    struct bytes name, value;
    if (!json_scan_name(file, &name)) {
        if (json_scan_is_over(file))
            end_header(import);
        else
            fail_scan(import, file);
        return;
    }
    use(budget, name);
    import->section = section_named(import, name);
    import->list = scan_list(json_scan_rest(file));
    import->is_in_list = import->section < IMPORT_SECTIONS && !import->list.is_bad;
    if (import->is_in_list) {
        add_to_header(import, name, bytes_str("[]"));
    } else if (json_scan_value(file, &value)) {
        use(budget, value);
        add_to_header(import, name, value);
    } else {
        fail_scan(import, file);
    }
}

static void read_item(struct import *import, struct budget *budget)
{
    struct bytes value;
    if (json_scan_item(&import->list, &value)) {
        use(budget, value);
        json_release(parse(import, value));
        if (!import->lists[import->section])
            import->lists[import->section] = json_scan_rest(&import->file).data;
    } else if (import->list.is_bad) {
        fail_scan(import, &import->list);
    } else {
        import->file.at = import->list.at;
        import->is_in_list = false;
    }
}

void import_read(struct import *import)
{
    import->file = json_scan_of(import->text, '{');
    import->file.value_max = PART_MAX;
    if (import->file.is_bad)
        fail_text(import, import->text.data, "this is no object of JSON");
}

void import_read_some(struct import *import, struct budget *budget)
{
    while (!import->root && !import->faults && !budget_is_spent(budget)) {
        if (import->is_in_list)
            read_item(import, budget);
        else
            read_member(import, budget);
    }
}

/* ---- and again, to make it ---- */

bool import_open_list(struct import *import, size_t section)
{
    const uint8_t *at = import->lists[section], *end = import->text.data + import->text.size;
    import->section = section;
    import->number = 0;
    if (at)
        import->list = scan_list(bytes_of(at, (size_t)(end - at)));
    return at != NULL;
}

struct json *import_next(struct import *import, struct budget *budget)
{
    struct bytes value;
    if (!json_scan_item(&import->list, &value))
        return NULL;
    use(budget, value);
    import->number++;
    return parse(import, value);
}
