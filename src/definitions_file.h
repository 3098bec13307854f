/* The file of --definitions, or a folder of such files. */
#ifndef LEVERET_DEFINITIONS_FILE_H
#define LEVERET_DEFINITIONS_FILE_H

#include "broker/broker.h"

/* Reads the file, or those of the folder whose names end with .json, sorted, and makes what they define; what is wrong or left out is logged. False: `why` says
 * what to do, and neither the broker nor its store may be used any more (store_abandon). */
bool definitions_load(const char *path, struct broker *broker, char *why, size_t why_size);

/* The same, but if they are as they were when this made them last, nothing is made: then what was deleted since stays
 * away. Their digest is a global parameter, imported_definition_hash_value. */
bool definitions_load_if_changed(const char *path, struct broker *broker, char *why, size_t why_size);

#endif
