/* Why a connection ends, and the one line of the log that says so. The first to know the reason
 * decides; what follows from it changes nothing. */
#ifndef LEVERET_SESSION_ENDING_H
#define LEVERET_SESSION_ENDING_H

#include <stdint.h>

struct connection;

enum ending_kind {
    ENDING_NONE,
    ENDING_CLOSED,   /* one of the two has said goodbye */
    ENDING_LOGGED,   /* for a reason that has its own line in the log */
    ENDING_SILENCE,  /* the client said nothing for too long */
    ENDING_VANISHED, /* its socket has ended, without goodbye */
};

struct ending {
    enum ending_kind kind;
    const char *reason; /* a literal, or lasts as long */
    uint64_t began_ms;
    uint64_t received_bytes, sent_bytes;
    uint64_t received_pieces, sent_pieces; /* times that some were read and written */
};

/* Notes why the connection ends, if that was not known. */
void ending_set(struct connection *connection, enum ending_kind kind, const char *reason);
/* Logs it, when the connection goes. */
void ending_log(const struct connection *connection);

#endif
