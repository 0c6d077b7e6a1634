/* file.h: a whole file at once, as configuration is read.
 */
#ifndef FARLAN_UI_FILE_H
#define FARLAN_UI_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* The length, or -errno: -EFBIG unless it is shorter than room, -EISDIR for a folder. ret_mode may be NULL. */
long file_read(const char *path, void *buf, size_t room, mode_t *ret_mode);

#endif
