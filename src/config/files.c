/* Files, what they include, and folders of them. A file that includes itself, a folder, a device
 * that never ends, a file that is no text: each is a fault with its place, and bounded. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/grammar.h"

enum { FILE_BYTES_MAX = 1 << 20, FILES_MAX = 1000, DEPTH_MAX = 16, READ_BYTES = 1 << 14 };
enum { ORIGIN_MAX = 4096 + 32, VALUE_MAX = 1 << 16 };

/* A file that is being read. */
struct open_file {
    struct list link; /* among those that have included it */
    const char *path;
    dev_t device;
    ino_t inode;
};

static void place(const char *path, size_t line, char *origin)
{
    snprintf(origin, ORIGIN_MAX, "%s:%zu", path, line);
}

/* ---- $(NAME) ---- */

/* Appends the variable that begins at `at`; the byte behind it, or NULL with a fault. */
static const uint8_t *expand_one(struct config *config, const char *origin, const uint8_t *at,
                                 const uint8_t *end, struct buffer *value)
{
    char name[256];
    const uint8_t *close = memchr(at, ')', (size_t)(end - at));
    size_t size = close ? (size_t)(close - at) : 0;
    if (size == 0 || size >= sizeof(name)) {
        config_fault(config, origin,
                     "$( begins the name of a variable of the environment, which ends "
                     "with ); a value that means it literally stands between '");
        return NULL;
    }
    memcpy(name, at, size);
    name[size] = '\0';
    const char *is = config_variable(config, name);
    if (!is) {
        config_fault(config, origin, "the environment has no variable %s, or it is empty", name);
        return NULL;
    }
    buffer_add(value, is, strlen(is));
    return close + 1;
}

/* False: there was a fault. */
static bool expand(struct config *config, const char *origin, struct bytes text,
                   struct buffer *value)
{
    const uint8_t *at = text.data, *end = text.data + text.size;
    while (at && at < end && value->size < VALUE_MAX) {
        if (*at == '$' && at + 1 < end && at[1] == '(')
            at = expand_one(config, origin, at + 2, end, value);
        else
            buffer_add(value, at++, 1);
    }
    return at != NULL;
}

static void set(struct config *config, const char *origin, const struct grammar_item *item)
{
    struct buffer value = {0};
    if (item->is_quoted)
        config_set(config, CONFIG_FILES, origin, item->key, item->value);
    else if (expand(config, origin, item->value, &value))
        config_set(config, CONFIG_FILES, origin, item->key, buffer_bytes(&value));
    buffer_free(&value);
}

/* ---- a file ---- */

static void read_path(struct config *config, const char *origin, const char *path, bool must_exist);

/* All that a pattern stands for, which may be nothing. */
static void include(struct config *config, const struct open_file *file, const char *origin,
                    struct bytes path)
{
    char pattern[4096];
    glob_t found = {0};
    const char *slash = strrchr(file->path, '/');
    int folder = path.data[0] != '/' && slash ? (int)(slash - file->path) + 1 : 0;
    int size = snprintf(pattern, sizeof(pattern), "%.*s%.*s", folder, file->path, BYTES_ARG(path));
    if (size < 0 || (size_t)size >= sizeof(pattern)) {
        config_fault(config, origin, "the path is too long");
        return;
    }
    if (glob(pattern, GLOB_NOESCAPE, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            read_path(config, origin, found.gl_pathv[i], true);
    globfree(&found);
}

static void read_text(struct config *config, const struct open_file *file, struct bytes text)
{
    char origin[ORIGIN_MAX];
    struct grammar_item item;
    struct grammar grammar = grammar_of(text);
    while (grammar_next(&grammar, &item) != GRAMMAR_END) {
        place(file->path, item.line, origin);
        if (item.what == GRAMMAR_WRONG)
            config_fault(config, origin,
                         "Syntax error in %s after line %zu column %zu, parsing incomplete: %s",
                         file->path, item.line, item.column, item.why);
        else if (item.what == GRAMMAR_INCLUDE)
            include(config, file, origin, item.value);
        else
            set(config, origin, &item);
    }
}

/* NULL, or what is wrong. */
static const char *read_bytes(int fd, struct buffer *text)
{
    for (;;) {
        ssize_t size = read(fd, buffer_room(text, READ_BYTES), READ_BYTES);
        if (size == 0)
            return NULL;
        if (size < 0 && errno != EINTR)
            return strerror(errno);
        if (size > 0)
            buffer_added(text, (size_t)size);
        if (text->size > FILE_BYTES_MAX)
            return "it is larger than 1 MiB";
    }
}

/* Who has included it, or has to. */
static const char *check(const struct config *config, const struct stat *info)
{
    size_t depth = 0;
    list_for_each(link, &((struct config *)(uintptr_t)config)->open_files) {
        const struct open_file *other = list_entry(link, struct open_file, link);
        if (other->device == info->st_dev && other->inode == info->st_ino)
            return "it includes itself";
        depth++;
    }
    if (depth >= DEPTH_MAX)
        return "files include each other too deeply";
    if (config->files >= FILES_MAX)
        return "there are too many files";
    if (S_ISDIR(info->st_mode))
        return "it is a folder";
    return S_ISREG(info->st_mode) || S_ISCHR(info->st_mode) ? NULL : "it is no file";
}

static void note_file(struct config *config, const char *path)
{
    size_t size = strlen(path) + 1;
    config->file_names =
        mem_realloc(config->file_names, (config->files + 2) * sizeof(*config->file_names));
    config->file_names[config->files] = mem_dup(path, size);
    config->file_names[++config->files] = NULL;
}

static const char *read_open(struct config *config, int fd, struct open_file *file)
{
    struct stat info;
    struct buffer text = {0};
    if (fstat(fd, &info) < 0)
        return strerror(errno);
    const char *why = check(config, &info);
    if (why)
        return why;
    file->device = info.st_dev;
    file->inode = info.st_ino;
    note_file(config, file->path);
    why = read_bytes(fd, &text);
    list_push_back(&config->open_files, &file->link);
    if (!why)
        read_text(config, file, buffer_bytes(&text));
    list_remove(&file->link);
    buffer_free(&text);
    return why;
}

static void read_path(struct config *config, const char *origin, const char *path, bool must_exist)
{
    struct open_file file = {.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && !must_exist)
        return;
    const char *why = fd < 0 ? strerror(errno) : read_open(config, fd, &file);
    if (fd >= 0)
        close(fd);
    if (why)
        config_fault(config, origin, "the configuration in %s cannot be read: %s", path, why);
}

void config_read(struct config *config, const char *path, bool must_exist)
{
    read_path(config, path, path, must_exist);
}

/* ---- a folder ---- */

static int is_conf(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

void config_read_folder(struct config *config, const char *path)
{
    char file[4096];
    struct dirent **entries;
    int count = scandir(path, &entries, is_conf, by_name);
    if (count < 0 && errno != ENOENT)
        config_fault(config, path, "the configuration in %s cannot be read: %s", path,
                     strerror(errno));
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        read_path(config, file, file, false);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}
