/* The store is replaced in two steps, and the file `image-takes` says which of them is to be done, so that a
 * start that comes to an end in the middle is followed by one that goes on:
 *
 *     remove    the files of the store go
 *     move      those of the image take their places, and the folder of the image goes
 */
#include "image_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "folder.h"
#include "store/store.h"

#define TAKES "image-takes"

enum { FILE_SIZE_MAX_BITS = 48 };

/* ---- which files ---- */

void image_files_free(struct image_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        mem_free(files->files[i].name);
    mem_free(files->files);
    *files = (struct image_files){0};
}

static void add(struct image_files *files, const char *name, size_t size, uint64_t bytes)
{
    files->files = mem_grow(files->files, &files->capacity, files->count + 1, sizeof(*files->files));
    struct image_file *file = &files->files[files->count++];
    file->name = mem_alloc(size + 1);
    memcpy(file->name, name, size);
    file->name[size] = '\0';
    file->size = bytes;
    files->bytes += bytes;
}

/* Files that LevelDB needs, and no others. */
static bool is_of_index(const char *name)
{
    size_t size = strlen(name);
    if (strcmp(name, "CURRENT") == 0)
        return true;
    if (strncmp(name, "MANIFEST-", 9) == 0)
        return size > 9 && strspn(name + 9, "0123456789") == size - 9;
    size_t digits = strspn(name, "0123456789");
    return digits && (strcmp(name + digits, ".log") == 0 || strcmp(name + digits, ".ldb") == 0 ||
                      strcmp(name + digits, ".sst") == 0);
}

static bool is_of_image(const char *name)
{
    bool is_index = strncmp(name, "index/", 6) == 0;
    return is_index ? is_of_index(name + 6) : folder_has_store_file(name) && !strchr(name, '/');
}

static int find_in(struct image_files *files, const char *folder, const char *front)
{
    char name[300];
    struct stat status;
    int error = 0;
    char *path = folder_join(folder, front);
    DIR *entries = opendir(path);
    const struct dirent *entry;
    mem_free(path);
    if (!entries)
        return errno;
    while (!error && (entry = readdir(entries))) {
        snprintf(name, sizeof(name), "%s%s", front, entry->d_name);
        if (!is_of_image(name))
            continue;
        if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            error = errno;
        else if (S_ISREG(status.st_mode))
            add(files, name, strlen(name), (uint64_t)status.st_size);
    }
    closedir(entries);
    return error;
}

int image_files_find(struct image_files *files, const char *folder)
{
    int error = find_in(files, folder, "");
    return error ? error : find_in(files, folder, "index/");
}

void image_files_write(struct buffer *out, const struct image_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        size_t size = strlen(files->files[i].name);
        buffer_add_u64(out, files->files[i].size);
        buffer_add_u8(out, (uint8_t)size);
        buffer_add(out, files->files[i].name, size);
    }
}

bool image_files_read(struct image_files *files, struct bytes bytes)
{
    struct cursor cursor = cursor_of(bytes);
    while (!cursor.bad && cursor_left(&cursor)) {
        uint64_t size = cursor_u64(&cursor);
        struct bytes name = cursor_bytes(&cursor, cursor_u8(&cursor));
        if (cursor.bad || size >> FILE_SIZE_MAX_BITS || bytes_have_nul(name) || files->count == IMAGE_FILES_MAX)
            return false;
        add(files, (const char *)name.data, name.size, size);
        if (!is_of_image(files->files[files->count - 1].name))
            return false;
    }
    return !cursor.bad && files->count > 0;
}

/* ---- folders ---- */

void image_folder_drop(const char *folder)
{
    folder_drop_copy(folder);
    rmdir(folder);
}

int image_folder_make(const char *folder)
{
    image_folder_drop(folder);
    int error = folder_make(folder, false);
    if (error)
        return error;
    char *index = folder_join(folder, "index");
    struct disk *disk = disk_posix_new(folder);
    error = disk ? store_copy_begin(disk, STORE_OF_RESTORE) : errno;
    if (!error)
        error = folder_make(index, false);
    disk_posix_free(disk);
    mem_free(index);
    return error;
}

/* ---- taking over ---- */

/* "": nothing is. */
static int read_step(const char *data_dir, char *step, size_t size)
{
    char *path = folder_join(data_dir, TAKES);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = fd < 0 && errno != ENOENT ? errno : 0;
    ssize_t got = fd < 0 ? 0 : read(fd, step, size - 1);
    step[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return error;
}

static int move_one(const char *from, const char *to, const char *name)
{
    char *source = folder_join(from, name);
    char *target = folder_join(to, name);
    int error = rename(source, target) == 0 || errno == ENOENT ? 0 : errno;
    mem_free(source);
    mem_free(target);
    return error;
}

/* Those that were moved before are not there any more. */
static int move_all(const char *from, const char *to)
{
    struct image_files files = {0};
    char *index = folder_join(to, "index");
    int error = image_files_find(&files, from);
    if (error == ENOENT)
        error = 0;
    if (!error)
        error = folder_make(index, false);
    for (size_t i = 0; i < files.count && !error; i++)
        error = move_one(from, to, files.files[i].name);
    if (!error)
        error = folder_sync(index);
    if (!error)
        error = folder_sync(to);
    image_files_free(&files);
    mem_free(index);
    return error;
}

int image_take(const char *data_dir)
{
    return folder_write(data_dir, TAKES, "remove\n");
}

int image_take_over(const char *data_dir, bool *was_taken)
{
    char step[16];
    int error = read_step(data_dir, step, sizeof(step));
    *was_taken = step[0] != '\0';
    if (error || !*was_taken)
        return error;
    char *from = folder_join(data_dir, IMAGE_COMES);
    char *mark = folder_join(data_dir, TAKES);
    if (strcmp(step, "remove\n") == 0) {
        folder_empty_copy(data_dir);
        error = folder_sync(data_dir);
        if (!error)
            error = folder_write(data_dir, TAKES, "move\n");
    }
    if (!error)
        error = move_all(from, data_dir);
    if (!error) {
        image_folder_drop(from);
        error = unlink(mark) == 0 ? folder_sync(data_dir) : errno;
    }
    mem_free(from);
    mem_free(mark);
    return error;
}
