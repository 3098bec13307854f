/* Nothing of a header is kept but its fixed part and its addresses: what follows these in version 2 (up to 64
 * KiB of whatever the proxy knows besides) is counted and passed over.
 *
 * A byte that no header has at its place ends it at once, so that a client that was meant for another port
 * hears so before it has said all. */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char line_begin[] = "PROXY ";
static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    FIXED_BYTES = 16, /* of version 2: the signature, what is meant, and how much follows */
    V4_BYTES = 12,
    V6_BYTES = 36,
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
    FAMILY_NONE = 0x00,
    FAMILY_V4 = 0x11,
    FAMILY_V6 = 0x21,
    FAMILY_UNIX = 0x31,
};

bool proxy_is_trusted(const struct proxy_trust *trust, const struct address *peer)
{
    for (size_t i = 0; i < trust->count; i++)
        if (address_is_within(peer, &trust->at[i]))
            return true;
    return trust->count == 0;
}

static enum proxy_state wrong(struct proxy_header *header, const char *fault)
{
    header->fault = fault;
    return PROXY_WRONG;
}

/* ---- version 1 ---- */

/* Takes a word off the front of a line, and the space behind it. NULL: there is none. */
static const char *take_word(char **line)
{
    char *word = *line, *end = word + strcspn(word, " ");
    if (end == word)
        return NULL;
    *line = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool read_port(const char *text, in_port_t *port)
{
    size_t size = strspn(text, "0123456789");
    unsigned long number = size && size < 6 && !text[size] ? strtoul(text, NULL, 10) : 65536;
    *port = htons((in_port_t)number);
    return number <= 65535;
}

static bool read_address(bool is_v6, const char *host, const char *port, struct address *address)
{
    *address = (struct address){0};
    address->any.sa_family = is_v6 ? AF_INET6 : AF_INET;
    if (is_v6)
        return inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1 &&
               read_port(port, &address->v6.sin6_port);
    return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1 &&
           read_port(port, &address->v4.sin_port);
}

/* The line without its end. */
static enum proxy_state read_line(struct proxy_header *header, char *line)
{
    line += sizeof(line_begin) - 1;
    const char *family = take_word(&line);
    bool is_v6 = family && strcmp(family, "TCP6") == 0;
    if (family && strcmp(family, "UNKNOWN") == 0)
        return PROXY_DONE;
    if (!family || (!is_v6 && strcmp(family, "TCP4") != 0))
        return wrong(header, "it is neither of TCP4 nor of TCP6");
    const char *source = take_word(&line), *destination = take_word(&line);
    const char *source_port = take_word(&line), *destination_port = take_word(&line);
    if (!destination_port || *line || !read_address(is_v6, source, source_port, &header->source) ||
        !read_address(is_v6, destination, destination_port, &header->destination))
        return wrong(header, "its addresses make no sense");
    header->names_peer = true;
    return PROXY_DONE;
}

/* One byte of it. */
static enum proxy_state take_line_byte(struct proxy_header *header, uint8_t byte)
{
    size_t at = header->used;
    bool is_begin = at < sizeof(line_begin) - 1;
    bool ends = at && header->bytes[at - 1] == '\r';
    if ((is_begin && byte != (uint8_t)line_begin[at]) || ends != (byte == '\n') || byte == '\0')
        return wrong(header, "it is no line");
    header->bytes[header->used++] = byte;
    if (ends) {
        header->bytes[header->used - 2] = '\0';
        return read_line(header, (char *)header->bytes);
    }
    return header->used < PROXY_LINE_MAX ? PROXY_READING : wrong(header, "its line is too long");
}

/* ---- version 2 ---- */

static size_t rest_of(const struct proxy_header *header)
{
    return (size_t)header->bytes[14] << 8 | header->bytes[15];
}

/* How many of the bytes behind the fixed part are addresses that are looked at. */
static size_t addresses_of(const struct proxy_header *header)
{
    if (header->bytes[12] != COMMAND_PROXY)
        return 0;
    return header->bytes[13] == FAMILY_V4 ? V4_BYTES : header->bytes[13] == FAMILY_V6 ? V6_BYTES : 0;
}

/* The fixed part is there. */
static enum proxy_state check_fixed(struct proxy_header *header)
{
    uint8_t command = header->bytes[12], family = header->bytes[13];
    if (command >> 4 != 2)
        return wrong(header, "it has another version");
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return wrong(header, "it has an unknown command");
    if (command == COMMAND_PROXY && family != FAMILY_NONE && family != FAMILY_V4 &&
        family != FAMILY_V6 && family != FAMILY_UNIX)
        return wrong(header, "it is of no connection");
    if (rest_of(header) < addresses_of(header))
        return wrong(header, "its addresses are missing");
    header->left = rest_of(header) - addresses_of(header);
    return PROXY_READING;
}

static void read_addresses(struct proxy_header *header)
{
    const uint8_t *at = header->bytes + FIXED_BYTES;
    struct address *source = &header->source, *destination = &header->destination;
    bool is_v6 = header->bytes[13] == FAMILY_V6;
    source->any.sa_family = destination->any.sa_family = is_v6 ? AF_INET6 : AF_INET;
    if (is_v6) {
        memcpy(&source->v6.sin6_addr, at, 16);
        memcpy(&destination->v6.sin6_addr, at + 16, 16);
        memcpy(&source->v6.sin6_port, at + 32, 2);
        memcpy(&destination->v6.sin6_port, at + 34, 2);
    } else {
        memcpy(&source->v4.sin_addr, at, 4);
        memcpy(&destination->v4.sin_addr, at + 4, 4);
        memcpy(&source->v4.sin_port, at + 8, 2);
        memcpy(&destination->v4.sin_port, at + 10, 2);
    }
    header->names_peer = true;
}

static enum proxy_state take_binary_byte(struct proxy_header *header, uint8_t byte)
{
    if (header->used < sizeof(signature) && byte != signature[header->used])
        return wrong(header, "its signature is another one");
    header->bytes[header->used++] = byte;
    if (header->used == FIXED_BYTES && check_fixed(header) == PROXY_WRONG)
        return PROXY_WRONG;
    if (header->used < FIXED_BYTES || header->used < FIXED_BYTES + addresses_of(header))
        return PROXY_READING;
    if (addresses_of(header))
        read_addresses(header);
    return header->left ? PROXY_READING : PROXY_DONE;
}

/* ---- both ---- */

static enum proxy_state take_byte(struct proxy_header *header, uint8_t byte)
{
    if (header->used == 0 && byte != (uint8_t)line_begin[0] && byte != signature[0])
        return wrong(header, "there is none");
    bool is_line = (header->used ? header->bytes[0] : byte) == (uint8_t)line_begin[0];
    return is_line ? take_line_byte(header, byte) : take_binary_byte(header, byte);
}

enum proxy_state proxy_take(struct proxy_header *header, struct bytes bytes, size_t *taken)
{
    enum proxy_state state = PROXY_READING;
    *taken = 0;
    while (*taken < bytes.size && state == PROXY_READING) {
        if (header->left && header->used >= FIXED_BYTES + addresses_of(header)) {
            size_t rest = bytes.size - *taken;
            size_t size = rest < header->left ? rest : header->left;
            *taken += size;
            header->left -= size;
            state = header->left ? PROXY_READING : PROXY_DONE;
        } else {
            state = take_byte(header, bytes.data[(*taken)++]);
        }
    }
    return state;
}
