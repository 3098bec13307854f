/* What RabbitMQ's own files and variables say, as far as it can be meant here. */
#ifndef LEVERET_OPTIONS_RABBITMQ_H
#define LEVERET_OPTIONS_RABBITMQ_H

#include "config/config.h"

/* The files that variables name, or, with `folder` (NULL: they are not asked for), those that lie
 * there. */
void rabbitmq_read_files(struct config *config, const char *folder);
/* The variables that are not simply a key: config_read_variables has read those. */
void rabbitmq_read_variables(struct config *config);

#endif
