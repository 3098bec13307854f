/* A file of the configuration, against the daemon's own table. Whatever it is, reading it ends, and
 * each fault has a place and a reason; and if there is none, what is printed of it is a file that
 * says the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/grammar.h"
#include "options.h"
#include "tests/fuzz/fuzz.h"

static char *const environment[] = {(char *)(uintptr_t) "HOME=/home/a # b", NULL};

struct reading {
    struct config config;
    struct options options;
};

/* Files of this machine are not what is looked at. */
static bool includes(struct bytes text)
{
    struct grammar grammar = grammar_of(text);
    struct grammar_item item;
    while (grammar_next(&grammar, &item) != GRAMMAR_END) {
        assert(item.line > 0 && item.column > 0);
        assert(item.what != GRAMMAR_WRONG || item.why);
        assert(item.what == GRAMMAR_WRONG || grammar_is_text(item.value));
        if (item.what == GRAMMAR_INCLUDE)
            return true;
    }
    return false;
}

static void check_remarks(const struct config *config)
{
    size_t faults = 0;
    for (const struct list *at = config->remarks.next; at != &config->remarks; at = at->next) {
        const struct config_remark *remark = list_entry(at, struct config_remark, link);
        assert(remark->origin[0] && remark->reason[0]);
        faults += remark->is_fault;
    }
    assert((faults == 0) == (config->faults == 0));
}

/* The file is in memory, and has a name all the same. */
static struct reading *reading_new(struct bytes text)
{
    char path[64], error[512];
    struct reading *reading = mem_zalloc(sizeof(*reading));
    int fd = memfd_create("config", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    snprintf(path, sizeof(path), "--config=/proc/self/fd/%d", fd);
    char *arguments[] = {(char *)(uintptr_t) "leveretd", path, NULL};
    struct options_input input = {.count = 2,
                                  .arguments = arguments,
                                  .environment = environment,
                                  .folder = "/nonexistent",
                                  .rabbitmq = "/nonexistent"};
    bool is_read = options_read(&reading->options, &reading->config, &input, error, sizeof(error));
    close(fd);
    assert(is_read);
    check_remarks(&reading->config);
    return reading;
}

static void reading_free(struct reading *reading)
{
    config_free(&reading->config);
    mem_free(reading);
}

/* What is printed, without the places, which are other ones in the copy. */
static char *printed(const struct reading *reading, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    config_print(&reading->config, &reading->options, out);
    fclose(out);
    return text;
}

static void strip_places(char *text)
{
    char *to = text;
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n') + 1;
        char *place = memrchr(line, '#', (size_t)(end - line));
        size_t size = place && line[0] != '#' ? (size_t)(place - line) : 0;
        memmove(to, line, size);
        to += size;
    }
    *to = '\0';
}

/* What is printed is a file that says the same, but for what none can say. */
static void read_again(const struct reading *first)
{
    size_t first_size, second_size;
    char *said = printed(first, &first_size);
    struct reading *second = reading_new(bytes_of(said, first_size));
    char *again = printed(second, &second_size);
    bool is_whole = !strstr(said, "# no file can say this value");
    assert(second->config.faults == 0);
    strip_places(said);
    strip_places(again);
    assert(!is_whole || strcmp(said, again) == 0);
    reading_free(second);
    free(said);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    if (includes(text))
        return 0;
    struct reading *first = reading_new(text);
    if (first->config.faults == 0)
        read_again(first);
    reading_free(first);
    return 0;
}
