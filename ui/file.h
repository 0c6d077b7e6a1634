/* file.h: a whole file at once, as configuration is read and small secrets are written.
 */
#ifndef FARLAN_UI_FILE_H
#define FARLAN_UI_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* The length, or -errno: -EFBIG unless it is shorter than room, -EISDIR for a folder. ret_mode may be NULL. */
long file_read(const char *path, void *buf, size_t room, mode_t *ret_mode);

/* The file is under its name only when all of it is on disk, and then with that mode; before that it is as it was. Takes a path of up to
 * 1200 bytes. 0 or -errno. */
int file_write(const char *path, const void *bytes, size_t len, mode_t mode);

#endif
