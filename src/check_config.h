/* leveretd --check-config: what a start would find of a configuration, as far as that can be known
 * without binding an address and without opening the store. */
#ifndef LEVERET_CHECK_CONFIG_H
#define LEVERET_CHECK_CONFIG_H

#include "options.h"

/* Adds what it finds to the remarks of `config`: what a start by this user would refuse as faults. Reads
 * files of certificates and of definitions, looks names of listeners up, and makes what is defined in a
 * temporary folder, which is gone afterwards. Nothing else is written. */
void check_config_look(const struct options *options, struct config *config);

#endif
