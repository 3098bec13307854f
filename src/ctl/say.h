/* What the program says: results on stdout, errors on stderr. Under RabbitMQ's names the texts
 * stand as RabbitMQ's tools have them, banners on stdout among them. */
#ifndef LEVERET_CTL_SAY_H
#define LEVERET_CTL_SAY_H

#include "ctl/command.h"
#include "ctl/exit.h"

/* Says what went wrong; returns the code. A printf format. */
int say_fail(struct command *command, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, with nothing in front of the text. */
int say_plain(struct command *command, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What is wrong with the command line, and how it should be. Returns EXIT_USAGE. */
int say_usage(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The broker was stopped, and a tool of RabbitMQ's is to be used; returns EXIT_USAGE. */
int say_stopped(struct command *command);
/* The result of a verb that has one line; returns 0. */
int say_result(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The answer to a question, which is the same in words; returns 0. */
int say_truth(struct command *command, bool is_so, const char *words);
/* What was done is done; returns 0. */
int say_done(struct command *command);
/* There is no answer from the broker; returns the code. */
int say_unreachable(struct command *command);
/* The verb's banner, where there is to be one. False: the broker does not answer. */
bool say_banner(struct command *command);
/* A banner that the verb's row does not have, as it depends on the arguments. */
void say_note(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What the broker says beside that something is done: on stderr. */
void say_remark(const struct command *command, struct bytes text);
/* Is there somebody to be asked, who has not said --yes, and a command that would do something? Not
 * under RabbitMQ's names. */
bool say_asks(const struct command *command);
/* Asks; true without asking if not. */
bool say_confirm(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A heading of RabbitMQ's, which is bold there, also in a pipe. */
void say_heading(const struct command *command, const char *text);

#endif
