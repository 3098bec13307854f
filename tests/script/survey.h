/* What a script will need, told from its lines before it runs. */
#ifndef LEVERET_TESTS_SCRIPT_SURVEY_H
#define LEVERET_TESTS_SCRIPT_SURVEY_H

#include <stdbool.h>
#include <stdio.h>

enum { SURVEY_NAMES = 64, SURVEY_NAME_SIZE = 600, SURVEY_LINE_SIZE = 8192 };

/* A queue or an exchange that it declares, as it is written there. */
struct survey_name {
    bool is_queue;
    char name[SURVEY_NAME_SIZE];
};

struct survey {
    char memory[100];  /* the word or the reason why it runs in memory alone; "": it does not */
    char plugin[60];   /* RabbitMQ's, without which it cannot run there; "": none */
    bool has_policies; /* it needs memory, or RabbitMQ's command-line tool */
    bool is_marked;    /* it says where RabbitMQ differs */
    struct survey_name names[SURVEY_NAMES];
    size_t name_count;
};

/* Reads the whole file, and goes back to its begin. */
void survey(FILE *file, struct survey *survey);

#endif
