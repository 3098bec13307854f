/* Rows on stdout: as a table, aligned on a terminal and with tabs else; as JSON, CSV, or in a
 * frame.
 */
#ifndef LEVERET_CTL_FORMAT_H
#define LEVERET_CTL_FORMAT_H

#include "ctl/rows.h"

/* False: there is no such format. */
bool format_read(const char *name, enum format *format);
void format_rows(const struct command *command, const struct rows *rows);

#endif
