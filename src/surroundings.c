#include "surroundings.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "machine.h"

enum { COUNTED_MAX = 1000 }; /* with more sockets than these descriptors are not counted one by one */

static struct surroundings *surroundings_of(const struct api_surroundings *base)
{
    return (struct surroundings *)(void *)base;
}

/* "127.0.0.1" and 5672 of "127.0.0.1:5672", and "::" of "[::]:5672". */
static void split(const char *text, struct api_listener *out)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    if (size >= 2 && text[0] == '[') {
        text++;
        size -= 2;
    }
    snprintf(out->address, sizeof(out->address), "%.*s", (int)size, text);
    out->port = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static const char *protocol_of(const struct surroundings *surroundings,
                               const struct listener *listener)
{
    const char *name = (*listener->service)->ops->name; /* NULL: that of clients */
    bool is_api = listener->service == surroundings->api;
    if (name && strcmp(name, "cluster") == 0)
        return "clustering";
    if (listener->service == surroundings->metrics)
        return listener->tls ? "https/prometheus" : "http/prometheus";
    if (listener->service == surroundings->web)
        return listener->tls ? "https/web-amqp" : "http/web-amqp";
    if (listener->tls)
        return is_api ? "https" : "amqp/ssl";
    return is_api ? "http" : "amqp";
}

/* Paths of this machine are nothing that others could find. */
static size_t tell_listeners(const struct api_surroundings *base, struct api_listener *out)
{
    const struct surroundings *surroundings = surroundings_of(base);
    char text[ADDRESS_TEXT_BYTES];
    size_t count = 0;
    list_for_each(at, &surroundings->loop->listeners.all)
    {
        const struct listener *listener = list_entry(at, struct listener, link);
        if (listener->address.any.sa_family == AF_UNIX || count == API_LISTENERS_MAX)
            continue;
        struct api_listener *one = &out[count++];
        *one = (struct api_listener){.protocol = protocol_of(surroundings, listener),
                                     .is_suspended = listener->fd < 0};
        address_write(&listener->address, text);
        split(text, one);
        if (listener->tls) {
            one->ends_ms = tls_context_ends_ms(listener->tls);
            one->certificate = tls_context_options(listener->tls)->certificate;
            one->revoked_ends_ms = tls_context_revoked_ends_ms(listener->tls);
            one->revoked = tls_context_options(listener->tls)->revoked;
            one->names = tls_context_names(listener->tls);
        }
    }
    return count;
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 3 ? count - 3 : 0; /* without ".", ".." and the folder itself */
}

/* Those that keep nothing, or not as a disk does. */
static const char *file_system_of(const char *folder)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } kinds[] = {{TMPFS_MAGIC, "tmpfs"},
                 {RAMFS_MAGIC, "ramfs"},
                 {OVERLAYFS_SUPER_MAGIC, "overlay"},
                 {NFS_SUPER_MAGIC, "nfs"}};
    struct statfs found;
    if (statfs(folder, &found) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((unsigned long)found.f_type == kinds[i].magic)
            return kinds[i].name;
    return NULL;
}

static void look(const struct api_surroundings *base, struct api_machine *out)
{
    struct surroundings *surroundings = surroundings_of(base);
    const struct sockets *sockets = &surroundings->loop->sockets;
    uint64_t total;
    size_t all = sockets->count <= COUNTED_MAX ? count_descriptors() : 0;
    if (all > sockets->count)
        surroundings->other_files = all - sockets->count;
    out->memory_used = machine_memory_used();
    out->files_used = sockets->count + surroundings->other_files;
    out->files_max = machine_descriptors();
    out->sockets_used = sockets_conversations(sockets);
    out->sockets_max = sockets->max;
    out->threads_used = machine_threads();
    out->threads_max = machine_threads_max();
    out->switches = machine_switches();
    out->processors = machine_processors();
    out->process = (unsigned)getpid();
    out->file_system = file_system_of(base->data_dir);
    if (surroundings->disk->ops->free_space(surroundings->disk, &out->disk_free, &total) != 0)
        out->disk_free = 0;
}

static void rotate_logs(const struct api_surroundings *base)
{
    logs_reopen(surroundings_of(base)->logs);
}

static void name_logs(struct surroundings *surroundings)
{
    const struct log_outlet *outlets = surroundings->logs->outlets;
    size_t count = 0;
    if (outlets[LOGS_FILE].writer)
        surroundings->log_files[count++] = surroundings->logs->file.path;
    if (outlets[LOGS_CONSOLE].writer)
        surroundings->log_files[count] = "<stderr>";
    surroundings->base.log_files = surroundings->log_files;
}

void surroundings_init(struct surroundings *surroundings)
{
    name_logs(surroundings);
    surroundings->base.rotate_logs = rotate_logs;
    surroundings->base.listeners = tell_listeners;
    surroundings->base.look = look;
}
