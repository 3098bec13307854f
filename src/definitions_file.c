#include "definitions_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "definitions/definitions.h"
#include "machine.h"

/* Of a virtual host with 100,000 queues there are 20 MiB. */
enum { FILE_BYTES_MAX = 64 << 20, READ_BYTES = 1 << 16, LINES_MAX = 100 };

/* 0, or an errno value; EFBIG: it is too large. */
static int read_open(int fd, struct buffer *text)
{
    for (;;) {
        ssize_t size = read(fd, buffer_room(text, READ_BYTES), READ_BYTES);
        if (size == 0)
            return 0;
        if (size < 0 && errno != EINTR)
            return errno;
        if (size > 0)
            buffer_added(text, (size_t)size);
        if (text->size > FILE_BYTES_MAX)
            return EFBIG;
    }
}

static int read_file(const char *path, struct buffer *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = read_open(fd, text);
    close(fd);
    return error;
}

/* ---- what is told ---- */

struct teller {
    const struct log *log;
    const char *path;
    size_t faults, lines;
};

/* A file of a large broker may have more to tell than anybody reads. */
static void tell(void *context, const struct definitions_remark *remark)
{
    struct teller *teller = context;
    teller->faults += remark->is_fault;
    if (!remark->is_fault && teller->lines++ >= LINES_MAX)
        return;
    enum event event = remark->is_fault ? EVENT_definitions_wrong : EVENT_definitions_left_out;
    if (!remark->kind[0])
        log_event(teller->log, event, "file=%s reason=%s", teller->path, remark->text);
    else if (remark->vhost.size == 0)
        log_event(teller->log, event, "file=%s %s=%zu name=%.*s reason=%s", teller->path,
                  remark->kind, remark->number, BYTES_ARG(remark->name), remark->text);
    else
        log_event(teller->log, event, "file=%s %s=%zu vhost=%.*s name=%.*s reason=%s", teller->path,
                  remark->kind, remark->number, BYTES_ARG(remark->vhost), BYTES_ARG(remark->name),
                  remark->text);
}

static void tell_imported(const struct teller *teller, const struct definitions_counts *counts)
{
    if (teller->lines > LINES_MAX)
        log_event(teller->log, EVENT_definitions_left_out,
                  "file=%s reason=\"so much more is: %zu\"", teller->path,
                  teller->lines - LINES_MAX);
    log_event(teller->log, EVENT_definitions_imported,
              "file=%s users=%zu vhosts=%zu permissions=%zu topic_permissions=%zu parameters=%zu "
              "policies=%zu queues=%zu exchanges=%zu bindings=%zu left_out=%zu",
              teller->path, counts->users, counts->vhosts, counts->permissions,
              counts->topic_permissions, counts->parameters, counts->policies, counts->queues,
              counts->exchanges, counts->bindings, counts->left_out);
}

/* ---- both ---- */

static bool import(const char *path, struct broker *broker, struct bytes text, char *why,
                   size_t why_size)
{
    struct teller teller = {.log = broker->log, .path = path};
    struct definitions_listener listener = {tell, &teller};
    struct definitions_counts counts;
    if (definitions_import(broker, text, &listener, &counts)) {
        tell_imported(&teller, &counts);
        return true;
    }
    snprintf(
        why, why_size,
        "nothing of %s was imported: the lines before this one say what is wrong in it (%zu in "
        "all); mend that, or start without --definitions",
        path, teller.faults);
    return false;
}

/* What is done with the text of each file; false: `why` says what is wrong. */
typedef bool use_text(const char *path, struct bytes text, void *context, char *why, size_t why_size);

static bool use_file(const char *path, use_text *use, void *context, char *why, size_t why_size)
{
    struct buffer text = {0};
    int error = read_file(path, &text);
    if (error == EFBIG)
        snprintf(why, why_size,
                 "the definitions in %s are larger than %d MiB; import them in parts", path,
                 FILE_BYTES_MAX >> 20);
    else if (error)
        snprintf(why, why_size,
                 "the definitions in %s cannot be read: %s; name a file that this user may read "
                 "with --definitions",
                 path, strerror(error));
    bool is_done = !error && use(path, buffer_bytes(&text), context, why, why_size);
    buffer_free(&text);
    machine_trim_memory();
    return is_done;
}

static int is_json(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 5, ".json") == 0;
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

static bool use_folder(const char *path, use_text *use, void *context, char *why, size_t why_size)
{
    char file[4096];
    struct dirent **entries;
    bool is_done = true;
    int count = scandir(path, &entries, is_json, by_name);
    if (count < 0) {
        snprintf(why, why_size, "the definitions in %s cannot be read: %s", path, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        is_done = is_done && use_file(file, use, context, why, why_size);
        free(entries[i]);
    }
    free(entries);
    return is_done;
}

static bool use_all(const char *path, use_text *use, void *context, char *why, size_t why_size)
{
    struct stat info;
    bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return (is_folder ? use_folder : use_file)(path, use, context, why, why_size);
}

static bool import_text(const char *path, struct bytes text, void *context, char *why, size_t why_size)
{
    return import(path, context, text, why, why_size);
}

bool definitions_load(const char *path, struct broker *broker, char *why, size_t why_size)
{
    return use_all(path, import_text, broker, why, why_size);
}

/* ---- what was imported before ---- */

/* Of what came before, and this file. */
static bool add_to_digest(const char *path, struct bytes text, void *context, char *why, size_t why_size)
{
    uint8_t *digest = context;
    (void)path, (void)why, (void)why_size;
    sha256(bytes_of(digest, SHA256_SIZE), text, digest);
    return true;
}

bool definitions_load_if_changed(const char *path, struct broker *broker, char *why, size_t why_size)
{
    uint8_t digest[SHA256_SIZE] = {0};
    char text[2 * SHA256_SIZE + 1];
    struct error error;
    if (!use_all(path, add_to_digest, digest, why, why_size))
        return false;
    if (definitions_are_noted(broker, digest)) {
        digest_write(digest, SHA256_SIZE, text);
        log_event(broker->log, EVENT_definitions_unchanged, "file=%s sha256=%s", path, text);
        return true;
    }
    if (!definitions_load(path, broker, why, why_size))
        return false;
    if (definitions_note(broker, digest, &error))
        return true;
    snprintf(why, why_size, "what was imported cannot be noted: %s", error.detail);
    return false;
}
