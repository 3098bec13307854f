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
 * nothing. FOLDER_FOREIGN: something else than a store; `name` is of one of the files.
 * FOLDER_UNFINISHED: a copy of a store whose making came to an end in the middle. */
enum folder_kind { FOLDER_EMPTY, FOLDER_STORE, FOLDER_FOREIGN, FOLDER_UNFINISHED };
enum folder_kind folder_look(const char *path, char *name, size_t name_size);
/* The text for one of the last kind, with what to do about it. */
void folder_refuse_unfinished(const char *path, char *error, size_t error_size);
/* Has the next broker that starts there begin with an empty store, durably. 0 or an errno value. */
int folder_mark_reset(const char *path);
/* Does so, if it was marked: what there was of a store is removed. *was_marked says whether. Whoever is interrupted
 * begins again. 0 or an errno value. */
int folder_begin_anew(const char *path, bool *was_marked);
/* May a broker begin there: is what lies in it a store, or nothing, or marked as above? Else `error` says what to do. */
bool folder_is_fit(const char *path, char *error, size_t error_size);
/* Is there nothing at all in it, but what a file system puts there itself? Not, if it cannot be
 * read. */
bool folder_is_empty(const char *path);
/* Is a file of that name a part of a store, beside its index? */
bool folder_has_store_file(const char *name);
/* Is nothing in it but what is left of a restore that was not finished, also of one that had hardly
 * begun? A folder without anything is not meant. */
bool folder_is_left_over(const char *path);
/* A small file in it: all of the text is there, durably, or, with an errno value, what was there before. */
int folder_write(const char *path, const char *name, const char *text);
/* Removes what there is of a copy that was not finished, but for what says so, and the lock. */
void folder_empty_copy(const char *path);
/* The same, with these; what says so goes last. */
void folder_drop_copy(const char *path);
/* Makes durable what is in the folder, by name, and what the folder is called. 0 or an errno value.
 */
int folder_sync(const char *path);
int folder_sync_name(const char *path);
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
