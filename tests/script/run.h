/* A script while it runs: the broker that it talks to, its variables, and what it sends and
 * expects. A line that does not hold leaves its reason in `fault`, and is the last. */
#ifndef LEVERET_TESTS_SCRIPT_RUN_H
#define LEVERET_TESTS_SCRIPT_RUN_H

#include "tests/script/sockets.h"
#include "tests/script/world.h"

enum {
    VARIABLES_MAX = 16,
    NAME_SIZE = 32,
    VALUE_SIZE = 300,
    LINE_SIZE = 8192,
    RETRY_MS = 20,
    POLICIES_MAX = 8,
};

struct variable {
    char name[NAME_SIZE];
    char value[VALUE_SIZE];
};

/* One that the script has set, and not taken away. */
struct policy_left {
    bool is_operator;
    char name[NAME_SIZE]; /* "": none */
};

struct run {
    bool is_remote;
    bool is_oracle;         /* that is RabbitMQ, and */
    bool may_differ;        /* does something else from here on */
    struct world world;     /* the broker in memory, or */
    struct sockets sockets; /* those to the remote one */
    const char *control;    /* RabbitMQ's command-line tool, as a command; NULL: there is none */
    struct policy_left policies[POLICIES_MAX]; /* of RabbitMQ */
    struct variable variables[VARIABLES_MAX];
    size_t variable_count;
    int looks;                                /* for what is expected at the moment */
    char fault[2048];                         /* why the line did not hold; "": it did */
    char sent[LINE_SIZE], content[LINE_SIZE]; /* the last method and content, to be sent again */
};

void run_fault(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the broker: in memory, or behind sockets ---- */

struct client *run_client_of(struct run *run, int number);
/* Lets the broker do what was sent to it. */
void run_settle(struct run *run);
/* Waits for more of what the broker sends. In memory it has said everything. */
bool run_more(struct run *run, struct client *client);
void run_dial(struct run *run, struct client *client, bool is_loopback);
void run_hang_up(struct run *run, struct client *client);
/* Has the broker closed the connection? */
bool run_has_ended(struct run *run, struct client *client);

/* ---- words and variables ---- */

/* The next word, cut out of the line; "" at its end. */
char *run_word(char **line);
/* Copies a text with known variables replaced; an unknown one becomes `*`, and `wanted` (unless
 * NULL) says for which field it stands. */
void run_expand(const struct run *run, const char *from, char *to, size_t size,
                struct variable *wanted);
/* Reads a body: a word, a text in quotes, or size:N; and moves on. The caller frees it. */
void run_read_body(char **line, struct buffer *body);

/* ---- sending ---- */

void run_send_method(struct run *run, struct client *client, uint16_t channel, const char *text);
void run_send_content(struct run *run, struct client *client, uint16_t channel, char *line);
void run_send_bytes(struct run *run, struct client *client, char *line);

/* ---- expecting: what comes next is taken, or is a fault ---- */

void expect_method(struct run *run, struct client *client, uint16_t channel, const char *text);
void expect_content(struct run *run, struct client *client, uint16_t channel, char *line);
void expect_nothing(struct run *run, struct client *client);
void expect_note(struct run *run, struct client *client, uint16_t channel, const char *text);
void expect_heartbeat(struct run *run, struct client *client);

#endif
