#include "broker/name.h"

#include <stdio.h>

struct bytes name_strip(struct bytes name, char *room)
{
    if (name.size == 0 || name.size > NAME_MAX_SIZE ||
        (!memchr(name.data, '\r', name.size) && !memchr(name.data, '\n', name.size)))
        return name;
    size_t size = 0;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] != '\r' && name.data[i] != '\n')
            room[size++] = (char)name.data[i];
    return bytes_of(room, size);
}

const char *resource_text(char text[RESOURCE_MAX], const char *kind, struct bytes name,
                          const struct vhost *vhost)
{
    snprintf(text, RESOURCE_MAX, "%s '%.*s' in vhost '%s'", kind, BYTES_ARG(name), vhost->name);
    return text;
}
