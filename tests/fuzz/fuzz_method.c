/* The payload of a method frame. What can be read is written, read again and put into text and
 * back: the text must stay the same all the way. (The bytes need not: reserved fields are not
 * kept.) */
#include <assert.h>
#include <stdlib.h>

#include "amqp/text.h"
#include "tests/lib/match.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/amqp_more.h"

static void same_text(const union method *method, const struct buffer *text)
{
    struct buffer again = {0};
    text_method(&again, method);
    assert(bytes_equal(buffer_bytes(&again), buffer_bytes(text)));
    buffer_free(&again);
}

static void through_bytes(const union method *method, const struct buffer *text)
{
    size_t size = method_size(method);
    uint8_t *memory = malloc(size);
    struct writer writer = writer_of(memory, size);
    method_write(&writer, method);
    assert(!writer.bad && writer_left(&writer) == 0);
    union method back;
    assert(method_read(bytes_of(memory, size), &back) == METHOD_OK);
    same_text(&back, text);
    free(memory);
}

static void through_text(const struct buffer *text)
{
    struct buffer memory = {0};
    union method back;
    struct text_given given;
    if (text->size <= TEXT_MAX) {
        assert(text_read_method(buffer_bytes(text), &memory, &back, &given));
        assert(match_method(&back, &given, &back));
        same_text(&back, text);
    }
    buffer_free(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union method method;
    if (method_read(bytes_of(data, size), &method) == METHOD_OK) {
        struct buffer text = {0};
        text_method(&text, &method);
        through_bytes(&method, &text);
        through_text(&text);
        buffer_free(&text);
    }
    /* And as text: whatever it is, reading it must end well. */
    struct buffer memory = {0};
    struct text_given given;
    text_read_method(bytes_of(data, size), &memory, &method, &given);
    buffer_free(&memory);
    return 0;
}
