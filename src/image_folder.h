/* Images of a store as folders within the data folder: what is to be sent to another broker of a cluster,
 * and what has come, and is to take the store's place. Files and names alone. */
#ifndef LEVERET_IMAGE_FOLDER_H
#define LEVERET_IMAGE_FOLDER_H

#include "base/buffer.h"
#include "base/bytes.h"

/* Within the data folder. */
#define IMAGE_LEAVES "image-leaves"
#define IMAGE_COMES "image-comes"

enum { IMAGE_FILES_MAX = 1 << 20 };

/* One file; `name` is relative to the image, and has "index/" in front where it is of the index. */
struct image_file {
    char *name;
    uint64_t size;
};

struct image_files {
    struct image_file *files;
    size_t count, capacity;
    uint64_t bytes; /* of all of them */
};

void image_files_free(struct image_files *files);
/* The files of the image in `folder`, which nobody writes to. 0 or an errno value. */
int image_files_find(struct image_files *files, const char *folder);
/* For who is to get it, and back. False: they are not those of an image. */
void image_files_write(struct buffer *out, const struct image_files *files);
bool image_files_read(struct image_files *files, struct bytes bytes);

/* Removes the folder with an image, or what there is of one; harmless where there is none. */
void image_folder_drop(const char *folder);
/* An empty one, marked as unfinished; 0 or an errno value. */
int image_folder_make(const char *folder);

/* From the next start on the store is what has come: what is durable when it returns 0, and else an errno
 * value. Nothing is changed until then. */
int image_take(const char *data_dir);
/* At a start, behind the lock: does so, if it was said. It goes on where a crash has ended it. 0 or an errno
 * value; *was_taken: it has been done. */
int image_take_over(const char *data_dir, bool *was_taken);

#endif
