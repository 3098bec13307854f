/* A whole broker in memory: server, model and store over a disk, a key-value store and workers that do
 * what they are told, and a clock that stands until it is moved. */
#ifndef LEVERET_TESTS_SCRIPT_WORLD_H
#define LEVERET_TESTS_SCRIPT_WORLD_H

#include "base/buffer.h"
#include "session/server.h"
#include "base/worker.h"

enum { CLIENTS_MAX = 8 };

/* The other end of a connection. */
struct client {
    struct conversation *connection; /* NULL: none, or it has ended */
    struct buffer out;             /* what the broker has not read yet */
    struct buffer in;              /* what the broker has sent and nobody has looked at */
    bool is_deaf;                  /* takes nothing from its socket */
    bool is_corked;                /* sends nothing yet: `out` grows */
    bool is_relayed, is_resumed;   /* another broker speaks for it, or has served it, too */
};

/* Takes bytes out of the middle of what the broker has sent. */
static inline void client_cut(struct client *client, size_t at, size_t size)
{
    memmove(client->in.data + at, client->in.data + at + size, client->in.size - at - size);
    client->in.size -= size;
}

struct world {
    struct message_pool pool;
    struct random random;
    struct log log;
    bool is_verbose;
    struct buffer logged; /* lines since somebody last asked */
    struct disk *disk;
    struct kv *kv;
    struct worker *syncer, *indexer, *reader, *checker;
    struct store *store;
    struct broker broker;
    struct server_options options;
    struct store_options store_options;
    struct server *server;
    struct service *service; /* of the server */
    bool is_syncer_held;
    bool is_reader_held;
    bool is_checker_held;
    int turns_max; /* that one world_settle does; 0: until nothing happens any more */
    uint64_t now_ms;
    struct client clients[CLIENTS_MAX];
};

/* `verbose`: the log goes to standard output. */
void world_new(struct world *world, bool verbose);
void world_free(struct world *world);
/* Stops and starts the broker; all connections are gone. `crash`: what was not synced is lost. */
void world_restart(struct world *world, bool crash);
/* Did the log have a line that holds this text, since this was last asked? */
bool world_has_logged(struct world *world, const char *text);
/* A new connection for the client. */
void world_dial(struct world *world, struct client *client, bool is_loopback);
/* Adds the frame of a method that a text stands for (see amqp/text.h), or ends the test program. */
void world_add_method(struct buffer *out, uint16_t channel, const char *text);
/* A new connection that greets, logs in as guest, and opens `/` and channel 1; it understands
 * basic.cancel from the broker. */
void world_log_in(struct world *world, struct client *client);
/* The client's socket is gone. */
void world_hang_up(struct client *client);
/* Lets everything happen that can happen without the clock moving. */
void world_settle(struct world *world);
/* Moves the clock, in steps of at most 100 ms. */
void world_advance(struct world *world, uint64_t ms);

#endif
