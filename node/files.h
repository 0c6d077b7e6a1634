/* files.h: the state folder: small files that are replaced whole and never torn.
 *
 * A file is written under a temporary name, fsynced and renamed (mode 0600), and its folder is fsynced; nothing is followed that
 * is a symbolic link. A name is one or two parts of [A-Za-z0-9._-] divided by '/', no part begins with '.'. Saves wait in a
 * queue that files_write() empties on any one thread; the saves of one name keep their order and only the newest waits. What
 * waits is seen by files_load() already. Everything else is the control thread. Errors are -errno; a write that fails is logged
 * here, once per name until one succeeds, and the old file stays.
 */
#ifndef FARLAN_NODE_FILES_H
#define FARLAN_NODE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILES_PART_MAX    63 /* characters of one part of a name */
#define FILES_NAME_MAX    (2 * FILES_PART_MAX + 1)
#define FILES_WAITING_MAX 256 /* names that wait; above it a save writes before it returns */
#define FILES_LISTED_MAX  4096

struct files;

int files_open(struct files **ret, const char *home); /* home exists */
void files_free(struct files *);                      /* flushes first; no files_write may run any more */

/* Copies. Urgent: on disk when it returns 0. Else 0 or -EINVAL (name), -ENOMEM: nothing was taken. */
int files_save(struct files *, const char *name, const void *bytes, size_t len, bool urgent);
/* How many bytes; -ENOENT, -EFBIG above room (buf untouched then), -EINVAL (name, or no plain file), -errno. */
long files_load(struct files *, const char *name, void *buf, size_t room);
void files_remove(struct files *, const char *name); /* in its order among the saves */
/* The plain files of a folder ("" = the state folder itself), by their last part. Writes what waits first. each may load, save
 * and remove. */
void files_list(struct files *, const char *folder, void (*each)(void *, const char *name), void *each_self);

bool files_waiting(struct files *);
/* Any thread: writes the oldest that waits; false if nothing waited. Blocks for the disk. */
bool files_write(struct files *);

/* Decimal text and a newline. load: false unless the file holds exactly one number of 32 bits. */
bool files_number_load(struct files *, const char *name, uint32_t *ret);
int files_number_save(struct files *, const char *name, uint32_t value);

#endif
