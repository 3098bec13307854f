/* What is unwise about a broker, as a list of findings. */
#ifndef LEVERET_CTL_DOCTOR_H
#define LEVERET_CTL_DOCTOR_H

#include "ctl/command.h"
#include "definitions/json.h"
#include "definitions/json_writer.h"

enum severity { SEVERITY_CRITICAL, SEVERITY_WARNING, SEVERITY_NOTE };

enum finding {
#define FINDING(code, severity, what, why, next) FOUND_##code,
#include "ctl/findings.def"
#undef FINDING
    FINDING_COUNT
};

/* What the API has told, and what was found in it. */
struct doctor {
    struct json *overview, *node, *facts, *vhosts, *exchanges, *bindings, *certificates, *revocations;
    struct json *before, *queues; /* the queues, and a second later */
    struct buffer found;          /* an array of JSON */
    struct json_writer writer;
    enum severity worst; /* beyond the last one: nothing was found */
    char place[600];     /* for {-p} in the next finding's hint */
};

/* Adds a finding, and in which numbers and names it shows. A printf format. */
void doctor_find(struct doctor *doctor, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next finding is about this virtual host; without data: about one of several. */
void doctor_place(struct doctor *doctor, struct bytes vhost);
/* It is about all that there are. */
void doctor_place_all(struct doctor *doctor);

/* Names with commas between them: the first ones, and how many there are. */
enum { NAMES_SHOWN = 5 };
struct names {
    size_t count;
    char text[900];
    struct bytes vhost; /* in which all of them are; without data: in several */
    bool is_placed;     /* names_in was called */
};
void names_add(struct names *names, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The one that comes next is in this virtual host. */
void names_in(struct names *names, struct bytes vhost);

/* doctor_queues.c: what is unwise about queues. */
void doctor_check_queues(struct doctor *doctor);

#endif
