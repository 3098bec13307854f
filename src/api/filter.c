#include "api/filter.h"

#include <ctype.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"

/* What is searched in one step of a turn's budget, and at once. */
enum { HEADER_BYTES = 8, BODY_BYTES = 64, SLICE_BYTES = 64 << 10 };

static struct bytes behind(struct bytes text, size_t size)
{
    return bytes_of(text.data + size, text.size - size);
}

static struct message_filter header_filter(struct bytes text)
{
    const uint8_t *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
    size_t size = equals ? (size_t)(equals - text.data) : text.size;
    return (struct message_filter){
        .by = FILTER_HEADER,
        .name = bytes_of(text.data, size),
        .text = equals ? behind(text, size + 1) : bytes_of(NULL, 0),
        .has_value = equals,
    };
}

/* Letters alone in front of a colon: what is most likely meant as a kind. 0: there are none. */
static size_t word_before_colon(struct bytes text)
{
    size_t size = 0;
    while (size < text.size && isalpha(text.data[size]))
        size++;
    return size < text.size && text.data[size] == ':' ? size : 0;
}

bool message_filter_read(struct bytes text, struct message_filter *filter,
                         char reason[FILTER_REASON_BYTES])
{
    enum { SHOWN = 30 };
    size_t word = word_before_colon(text);
    struct bytes kind = bytes_of(text.data, word), rest = word ? behind(text, word + 1) : text;
    *filter = (struct message_filter){.by = rest.size ? FILTER_TEXT : FILTER_NONE, .text = rest};
    if (bytes_equal_str(kind, "header"))
        *filter = header_filter(rest);
    else if (bytes_equal_str(kind, "key"))
        *filter = (struct message_filter){.by = FILTER_KEY, .text = rest};
    else if (word && !bytes_equal_str(kind, "text"))
        return snprintf(reason, FILTER_REASON_BYTES,
                        "there is no filter '%.*s:'; it is key:TEXT, header:NAME, "
                        "header:NAME=VALUE or text:TEXT",
                        (int)(word < SHOWN ? word : SHOWN), text.data) < 0;
    return true;
}

static bool has_text(struct bytes in, struct bytes text)
{
    return text.size == 0 ||
           (in.size >= text.size && memmem(in.data, in.size, text.data, text.size));
}

static bool has_header(const struct message_filter *filter, const struct message *message)
{
    struct properties_brief brief;
    struct field field;
    struct buffer value = {0};
    properties_scan(message_properties(message), &brief);
    if (!table_find(brief.headers, filter->name, &field))
        return false;
    if (filter->has_value)
        field_print_value(&value, &field);
    bool is_it = !filter->has_value || bytes_equal(buffer_bytes(&value), filter->text);
    buffer_free(&value);
    return is_it;
}

/* Bodies may be long, and are searched in slices. False: it goes on in a later turn. */
static bool search(struct bytes body, struct bytes text, struct budget *budget, uint64_t *searched,
                   bool *found)
{
    *found = false;
    while (!*found && body.size - *searched >= text.size) {
        if (budget_is_spent(budget))
            return false;
        struct bytes part = behind(body, *searched);
        if (part.size > SLICE_BYTES + text.size)
            part.size = SLICE_BYTES + text.size; /* so that what begins in the slice is in it */
        *found = has_text(part, text);
        *searched += part.size - text.size + 1;
        budget_use(budget, part.size / BODY_BYTES + 1);
    }
    return true;
}

bool message_decide(const struct message_filter *filter, const struct message *message,
                    struct budget *budget, uint64_t *searched, bool *is_wanted)
{
    *is_wanted = filter->by == FILTER_NONE;
    if (!message || *is_wanted)
        return true;
    if (filter->by == FILTER_TEXT)
        return search(message_body(message), filter->text, budget, searched, is_wanted);
    if (filter->by == FILTER_KEY) {
        *is_wanted = has_text(message_routing_key(message), filter->text);
    } else {
        *is_wanted = has_header(filter, message);
        budget_use(budget, message_properties(message).size / HEADER_BYTES);
    }
    return true;
}
