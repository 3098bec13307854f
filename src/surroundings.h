/* What the API asks about the process and its machine. */
#ifndef LEVERET_SURROUNDINGS_H
#define LEVERET_SURROUNDINGS_H

#include "api/api.h"
#include "net/logs.h"
#include "net/loop.h"

struct surroundings {
    struct api_surroundings base;
    const struct loop *loop;
    struct disk *disk;
    struct logs *logs;
    const char *log_files[LOGS_OUTLETS + 1];
    struct service *const *amqp, *const *api, *const *metrics, *const *web; /* what listeners are for */
    size_t other_files; /* descriptors beside sockets, as far as they were counted last */
};

/* What is passed must outlive it, and so must the texts. */
void surroundings_init(struct surroundings *surroundings);

#endif
