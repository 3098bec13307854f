/* What the program ends with; the numbers are those of sysexits.h, as rabbitmqctl has them. */
#ifndef LEVERET_CTL_EXIT_H
#define LEVERET_CTL_EXIT_H

enum {
    EXIT_GOOD = 0,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_NO_USER = 67,
    EXIT_UNAVAILABLE = 69,
    EXIT_SOFTWARE = 70,
    EXIT_TIMEOUT = 75,
};

#endif
