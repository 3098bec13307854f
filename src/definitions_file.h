/* The file of --definitions, or a folder of such files. */
#ifndef LEVERET_DEFINITIONS_FILE_H
#define LEVERET_DEFINITIONS_FILE_H

#include "broker/broker.h"

/* Reads the file, or those of the folder whose names end with .json, sorted, and makes what they define; what is wrong or left out is logged. False: `why` says
 * what to do, and neither the broker nor its store may be used any more (store_abandon). */
bool definitions_load(const char *path, struct broker *broker, char *why, size_t why_size);

#endif
