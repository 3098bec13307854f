#include "net/log_tail.h"

#include "net/clock.h"

/* What stands in front of each line. */
struct front {
    uint64_t dropped;
    uint16_t size;
    uint8_t level;
    bool is_json;
};

void log_tail_init(struct log_tail *tail, void (*wake)(void *context), void *context)
{
    *tail = (struct log_tail){.wake = wake, .context = context};
    pthread_mutex_init(&tail->lock, NULL);
}

void log_tail_free(struct log_tail *tail)
{
    pthread_mutex_destroy(&tail->lock);
    buffer_free(&tail->lines);
}

/* False: there is no room for it. */
static bool add(struct log_tail *tail, const struct front *front, const char *line)
{
    if (tail->lines.size - tail->start + sizeof(*front) + front->size > LOG_TAIL_BYTES)
        return false;
    if (tail->start) {
        buffer_drop(&tail->lines, tail->start);
        tail->start = 0;
    }
    buffer_add(&tail->lines, front, sizeof(*front));
    buffer_add(&tail->lines, line, front->size);
    return true;
}

void log_tail_take(struct log_tail *tail, const struct log_record *record, unsigned style)
{
    char line[LOG_WHOLE_MAX];
    size_t size = log_line_whole(record, style, clock_wall_ms(), line);
    pthread_mutex_lock(&tail->lock);
    bool was_empty = tail->lines.size == tail->start;
    const struct front front = {.dropped = tail->dropped,
                                .size = (uint16_t)size,
                                .level = (uint8_t)record->level,
                                .is_json = style & LOG_STYLE_JSON};
    if (tail->wake)
        tail->dropped = add(tail, &front, line) ? 0 : tail->dropped + 1;
    if (tail->wake && was_empty)
        tail->wake(tail->context);
    pthread_mutex_unlock(&tail->lock);
}

void log_tail_stop(struct log_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    tail->wake = NULL;
    pthread_mutex_unlock(&tail->lock);
}

bool log_tail_next(struct log_tail *tail, struct log_tail_line *line)
{
    struct front front;
    pthread_mutex_lock(&tail->lock);
    bool is_there = tail->lines.size > tail->start;
    if (is_there) {
        memcpy(&front, tail->lines.data + tail->start, sizeof(front));
        *line = (struct log_tail_line){.level = (enum log_level)front.level,
                                       .is_json = front.is_json,
                                       .dropped = front.dropped,
                                       .size = front.size};
        memcpy(line->text, tail->lines.data + tail->start + sizeof(front), front.size);
        tail->start += sizeof(front) + front.size;
        if (tail->start == tail->lines.size) {
            buffer_free(&tail->lines);
            tail->start = 0;
        }
    }
    pthread_mutex_unlock(&tail->lock);
    return is_there;
}

bool log_tail_is_empty(struct log_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    bool is_empty = tail->lines.size == tail->start;
    pthread_mutex_unlock(&tail->lock);
    return is_empty;
}
