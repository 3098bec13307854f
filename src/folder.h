/* The data folder: found, made, and locked against a second daemon. */
#ifndef LEVERET_FOLDER_H
#define LEVERET_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* The folder to use when no option names one: that of the service manager, or the user's state. The
 * caller frees it with mem_free. NULL: there is no such place. */
char *folder_default(void);
/* Makes the folder, for its owner alone, if it is missing; with `parents` those above it, too. 0 or
 * an errno value. */
int folder_make(const char *path, bool parents);
/* What lies in a folder that exists. FOLDER_EMPTY: nothing, or what a first start leaves that came to
 * nothing. FOLDER_FOREIGN: something else than a store; `name` is of one of the files. */
enum folder_kind { FOLDER_EMPTY, FOLDER_STORE, FOLDER_FOREIGN };
enum folder_kind folder_look(const char *path, char *name, size_t name_size);
/* Is there nothing at all in it? Not, if it cannot be read. */
bool folder_is_empty(const char *path);
/* The text for a folder that cannot be used, with what to do about it, as far as an errno value tells. */
void folder_refuse(const char *path, int reason, char *error, size_t error_size);
/* Takes the lock of the folder for this process: a descriptor that holds it until it is closed, or -1
 * with a text. Without `create`, a folder without a lock file gives -1 and an empty text, and nothing
 * is written. */
int folder_lock(const char *path, bool create, char *error, size_t error_size);
/* Marks, in the file behind a lock, that the folder is in use. Had the last use ended in order? */
bool folder_begin(int lock);
/* It has ended in order. */
void folder_end(int lock);
/* `path`, a slash and `name`; the caller frees it with mem_free. */
char *folder_join(const char *path, const char *name);

#endif
