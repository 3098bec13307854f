#include "broker/name.h"

#include "base/mem.h"

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

static char *append(char *text, const char *more, size_t size)
{
    size = strnlen(more, size < NAME_MAX_SIZE ? size : NAME_MAX_SIZE);
    memcpy(text, more, size);
    return text + size;
}

/* By hand, since it is made for each declaration, in case that something is wrong with it. */
const char *resource_text(char text[RESOURCE_MAX], const char *kind, struct bytes name,
                          const struct vhost *vhost)
{
    static const char begin[] = " '", middle[] = "' in vhost '", end[] = "'";
    char *at = append(text, kind, strlen(kind));
    at = append(at, begin, sizeof(begin) - 1);
    if (name.size)
        at = append(at, (const char *)name.data, name.size);
    at = append(at, middle, sizeof(middle) - 1);
    at = append(at, vhost->name, vhost->name_size);
    memcpy(at, end, sizeof(end));
    return text;
}

char *text_copy(struct bytes text)
{
    char *copy = mem_zalloc(text.size + 1);
    if (text.size)
        memcpy(copy, text.data, text.size);
    return copy;
}
