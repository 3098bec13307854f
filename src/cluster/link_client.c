/* See link_client.h. */
#include "cluster/link_client.h"

#include <stdio.h>

#include "amqp/wire.h"
#include "base/utf8.h"

enum { IS_TLS = 0x40, ITEM_HEADER = 4, TEXT_BYTES = 1024 };

/* ---- items ---- */

struct item {
    uint8_t what, index;
    struct bytes text;
};

/* Takes the first one off. False: there is none that is whole. */
static bool take_item(struct reader *reader, struct item *item)
{
    item->what = reader_u8(reader);
    item->index = reader_u8(reader);
    size_t size = reader_u16(reader);
    item->text = reader_bytes(reader, size);
    return !reader->bad;
}

static bool is_item_well(const struct item *item)
{
    bool is_name = item->what <= PEER_OTHER_NAME && item->index < LINK_CLIENT_NAMES;
    bool is_tls = item->what >= IS_TLS && item->what <= IS_TLS + PEER_CERT_VALIDITY && item->index == 0;
    return (is_name || is_tls) && item->text.size && item->text.size < TEXT_BYTES &&
           utf8_is_valid(item->text) && !bytes_have_nul(item->text);
}

bool link_client_is_known_well(struct bytes known)
{
    struct reader reader = reader_of(known);
    struct item item;
    while (reader_left(&reader))
        if (!take_item(&reader, &item) || !is_item_well(&item))
            return false;
    return known.size <= LINK_CLIENT_KNOWN_BYTES;
}

/* Writes the text of the one that is wanted. False: it is not there, or does not fit. */
static bool find(struct bytes known, uint8_t what, size_t index, char *text, size_t size)
{
    struct reader reader = reader_of(known);
    struct item item;
    while (reader_left(&reader) && take_item(&reader, &item)) {
        if (item.what != what || item.index != index)
            continue;
        if (item.text.size >= size)
            return false;
        memcpy(text, item.text.data, item.text.size);
        text[item.text.size] = '\0';
        return true;
    }
    return false;
}

/* What has no room is left out, and so is what is no text: nobody is known by that. */
static void add(struct buffer *known, uint8_t what, uint8_t index, const char *text)
{
    uint8_t header[ITEM_HEADER];
    const struct item item = {what, index, bytes_str(text)};
    if (!is_item_well(&item) || known->size + ITEM_HEADER + item.text.size > LINK_CLIENT_KNOWN_BYTES)
        return;
    put_u16(put_u8(put_u8(header, what), index), (uint16_t)item.text.size);
    buffer_add(known, header, sizeof(header));
    buffer_add(known, text, item.text.size);
}

/* ---- what is known here ---- */

static bool add_name(const struct conversation *conversation, enum peer_name which, uint8_t index,
                     struct buffer *known)
{
    char text[TEXT_BYTES];
    if (conversation_peer_name(conversation, which, index, text, sizeof(text)) != PEER_NAMED)
        return false;
    add(known, (uint8_t)which, index, text);
    return true;
}

static void add_tls(const struct conversation *conversation, enum peer_tls which, struct buffer *known)
{
    char text[TEXT_BYTES];
    if (conversation_peer_tls(conversation, which, text, sizeof(text)))
        add(known, (uint8_t)(IS_TLS + which), 0, text);
}

/* Where a path is cut may be in the middle of a character. */
static void make_fit(char *text)
{
    if (utf8_is_valid(bytes_str(text)))
        return;
    for (; *text; text++)
        if ((uint8_t)*text >= 0x80)
            *text = '?';
}

void link_client_write(struct link_relay *relay, struct peer *peer,
                       const struct conversation *conversation, struct buffer *known)
{
    char text[TEXT_BYTES];
    make_fit(peer->name);
    make_fit(peer->local);
    relay->flags = (uint8_t)((peer->is_tls ? LINK_CLIENT_TLS : 0) |
                             (peer->is_loopback ? LINK_CLIENT_LOOPBACK : 0) |
                             (peer->is_unix ? LINK_CLIENT_UNIX : 0) |
                             (peer->is_resumed ? LINK_CLIENT_RESUMED : 0));
    relay->uid = peer->uid;
    relay->gid = peer->gid;
    relay->pid = (uint32_t)peer->pid;
    relay->peer = bytes_str(peer->name);
    relay->local = bytes_str(peer->local);
    relay->named = (uint8_t)conversation_peer_name(conversation, PEER_DISTINGUISHED_NAME, 0, text,
                                                   sizeof(text));
    for (int which = PEER_TLS_PROTOCOL; which <= PEER_CERT_VALIDITY; which++)
        add_tls(conversation, (enum peer_tls)which, known);
    for (int which = PEER_DISTINGUISHED_NAME; which <= PEER_OTHER_NAME; which++)
        for (uint8_t i = 0; i < LINK_CLIENT_NAMES; i++)
            if (!add_name(conversation, (enum peer_name)which, i, known) || which <= PEER_COMMON_NAME)
                break;
    relay->known = buffer_bytes(known);
}

/* ---- what was said ---- */

void link_client_read(const struct link_relay *relay, struct peer *peer)
{
    *peer = (struct peer){.is_relayed = true,
                          .is_tls = relay->flags & LINK_CLIENT_TLS,
                          .is_loopback = (relay->flags & LINK_CLIENT_LOOPBACK) != 0,
                          .is_resumed = (relay->flags & LINK_CLIENT_RESUMED) != 0,
                          .is_unix = (relay->flags & LINK_CLIENT_UNIX) != 0,
                          .uid = relay->uid,
                          .gid = relay->gid,
                          .pid = (pid_t)relay->pid};
    snprintf(peer->name, sizeof(peer->name), "%.*s", BYTES_ARG(relay->peer));
    snprintf(peer->local, sizeof(peer->local), "%.*s", BYTES_ARG(relay->local));
}

enum peer_named link_client_name(struct bytes known, enum peer_named named, enum peer_name which,
                                 size_t index, char *text, size_t size)
{
    if (named == PEER_UNPROVEN || named == PEER_NO_CERTIFICATE)
        return named;
    size_t at = which <= PEER_COMMON_NAME ? 0 : index; /* of these there is one */
    return find(known, (uint8_t)which, at, text, size) ? PEER_NAMED : PEER_NAMELESS;
}

bool link_client_tls(struct bytes known, enum peer_tls which, char *text, size_t size)
{
    return find(known, (uint8_t)(IS_TLS + which), 0, text, size);
}
