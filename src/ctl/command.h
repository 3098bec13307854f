/* One run of the program: what was written on the command line, and the broker that it is about.
 *
 * A template is a text in which {1} stands for the first argument, {vhost}, {node} and {NAME} for
 * those of the command, or an option's value; {NAME=TEXT} is TEXT without that option, and {{ a
 * brace.
 */
#ifndef LEVERET_CTL_COMMAND_H
#define LEVERET_CTL_COMMAND_H

#include "ctl/client.h"
#include "ctl/verb.h"
#include "definitions/json_writer.h"

enum format { FORMAT_TABLE, FORMAT_TSV, FORMAT_JSON, FORMAT_JSON_LINES, FORMAT_CSV, FORMAT_PRETTY };

enum { ARGUMENTS_MAX = 4096, OPTIONS_MAX = 64 };

struct command {
    enum tool tool;
    const struct verb *verb;
    int count; /* the command line, without the program's name */
    char **words;
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    struct {
        const char *name; /* `size` bytes; "" and a value of NULL: --no-NAME */
        size_t size;
        const char *value; /* NULL: it has none */
    } options[OPTIONS_MAX];
    size_t option_count;
    enum format format;
    bool has_format;  /* it was asked for */
    bool is_terminal; /* is stdout one? */
    struct client client;
    char node[512]; /* what the broker calls itself; empty: nobody has asked */
    char other[512]; /* the broker to which that one is to bring what is asked; empty: itself is meant */
    bool is_stopped; /* by stop_app; known when `node` is */
};

/* Reads the command line; else the code to end with, after saying why. */
int command_read(struct command *command, int count, char **words);
/* The same of the beginning of a line, for completion: arguments and options as far as they make
 * sense, a verb if there is one (else NULL), and the way to the broker that is meant. *option: the one
 * whose value comes next; or NULL. */
int command_read_begun(struct command *command, const char *const *words, size_t count,
                       const char **option);
/* Finds the broker's address, banner and function, and runs the verb. */
int command_run(struct command *command);
/* There is no verb of that name: says so, and returns the code. */
int command_unknown(struct command *command, const char *name);
void command_close(struct command *command);

bool command_is_ours(const struct command *command); /* not under RabbitMQ's names */
/* The value of an option; "" for one without value, NULL: it is not there. */
const char *command_option(const struct command *command, const char *name);
bool command_has(const struct command *command, const char *name);
/* An argument, or NULL. */
const char *command_argument(const struct command *command, size_t number);
const char *command_vhost(const struct command *command);
/* What the broker calls itself; NULL: it does not answer, which was said. */
const char *command_node(struct command *command);

/* A template. `for_path`: what stands for something is encoded for a path. False: the broker does
 * not answer. */
bool command_expand(struct command *command, const char *template, bool for_path,
                    struct buffer *out);

/* ---- the broker's API ---- */

/* "METHOD /path", a template; `body` without bytes: none. 0, or the code to end with because there
 * is no answer, which was said. The caller frees the reply's body. With --dry-run nothing that
 * changes something is sent: the reply's status is 0. */
int command_call(struct command *command, const char *request, struct bytes body,
                 struct reply *reply);
/* The same with X-Reason. */
int command_call_with(struct command *command, const char *request, struct bytes body,
                      const char *reason, struct reply *reply);
/* The same of what changes nothing, or says so itself: --dry-run does not matter. */
int command_ask(struct command *command, const char *request, struct bytes body,
                struct reply *reply);
/* What comes now has as long as the command has had at its beginning. */
void command_renew(struct command *command);
/* Says what is wrong with an answer that is not 2xx, and returns the code to end with. */
int command_refused(struct command *command, const struct reply *reply);

static inline bool reply_is_good(const struct reply *reply)
{
    return reply->status == 0 || (reply->status >= 200 && reply->status < 300);
}

/* The reason of an answer that is an error; its status if it has none. */
void reply_reason(const struct reply *reply, char *reason, size_t size);

#endif
