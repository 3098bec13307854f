/* The clients of a script over real sockets, to a broker that runs somewhere.
 *
 * A script is written for a broker that has done everything a line asks for when the next line
 * comes. A broker behind sockets is asked: before a line concerns another channel than the last
 * one, each channel that has sent something gets a channel.flow, which asks for what is so already,
 * and its answer is awaited and taken out of what the script sees. Where that would disturb (amid a
 * publish, after raw bytes, where the script itself sends channel.flow), there is a time of silence
 * instead. */
#ifndef LEVERET_TESTS_SCRIPT_SOCKETS_H
#define LEVERET_TESTS_SCRIPT_SOCKETS_H

#include "tests/script/world.h"

enum { SOCKET_CHANNELS = 16 };

/* What is known of one channel. */
struct socket_channel {
    bool is_open;
    bool is_asked; /* something was sent since it last answered for it */
    bool is_amid;  /* a publish lacks its content */
    bool has_flow; /* the script sends channel.flow itself */
};

struct socket_client {
    int fd;        /* -1: none */
    bool is_open;  /* connection.open-ok came, and no close since */
    bool is_raw;   /* bytes were sent: nothing is known of its channels */
    bool is_ended; /* the broker has closed the socket */
    struct socket_channel channels[SOCKET_CHANNELS];
};

struct sockets {
    const char *host, *port; /* the caller's */
    int patience_ms;         /* how long what must come may take */
    struct client clients[CLIENTS_MAX];
    struct socket_client sockets[CLIENTS_MAX];
};

void sockets_init(struct sockets *sockets, const char *host, const char *port);
/* Closes all; those that are open say good-bye, so that what they owned is gone. */
void sockets_close(struct sockets *sockets);
/* False: nobody listens there. */
bool sockets_dial(struct sockets *sockets, struct client *client);
void sockets_hang_up(struct sockets *sockets, struct client *client);
/* The client has sent a method of this name, or content ("content"), or raw bytes (""). */
void sockets_note_sent(struct sockets *sockets, struct client *client, uint16_t channel,
                       const char *what);
/* The client has received a method of this name. */
void sockets_note_received(struct sockets *sockets, struct client *client, uint16_t channel,
                           const char *what);
/* Sends what clients have to send, but for those that are corked. */
void sockets_flush(struct sockets *sockets);
/* Waits until the broker has done what was sent on any channel but the given one of `client`
 * (NULL: on any). */
void sockets_sync(struct sockets *sockets, const struct client *client, uint16_t channel);
/* Adds to client->in what comes within so many ms. False: nothing, or the end. */
bool sockets_more(struct sockets *sockets, struct client *client, int wait_ms);
/* The broker closes the socket in time, whatever it says before. */
bool sockets_end(struct sockets *sockets, struct client *client);

#endif
