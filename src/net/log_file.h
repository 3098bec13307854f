/* A file that lines of the log are appended to. It may be opened again when somebody has moved it,
 * and moves itself when it has grown: NAME becomes NAME.0, that NAME.1, and so on. Calls may block,
 * as disks do; all are one thread's. */
#ifndef LEVERET_NET_LOG_FILE_H
#define LEVERET_NET_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_file {
    const char *path;
    uint64_t bytes_max; /* it is moved before it has more; 0: never */
    uint32_t moved_max; /* how many that were moved are kept */
    int fd;
    uint64_t bytes;
};

/* Opens the file, which is made, for its owner and group alone, if it is not there: its folder has
 * to be. `path` stays the caller's. 0 or an errno value. */
int log_file_open(struct log_file *file, const char *path, uint64_t bytes_max, uint32_t moved_max);
void log_file_close(struct log_file *file);
/* Opens what is at its path now. 0; or an errno value, and it stays as it is. */
int log_file_reopen(struct log_file *file);
/* So many bytes come next: moves it if they would be too many. 0 or an errno value. */
int log_file_make_room(struct log_file *file, size_t size);

#endif
