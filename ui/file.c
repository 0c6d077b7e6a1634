/* file.c: reading a file into the caller's room, and replacing one.
 *
 * What people name in a config may be anything: a folder, a FIFO that nobody writes to, a file that grows. None of them may hold the start of a
 * daemon or be taken for half a file, so the opening does not wait and a full buffer is an error: one byte of it stays free in every good case.
 */
#include "ui/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 1200

long file_read(const char *path, void *buf, size_t room, mode_t *ret_mode)
{
	struct stat st = {0};
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	long rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	while (rc == 0 && len < room) {
		ssize_t n = read(fd, (uint8_t *)buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (rc == 0 && ret_mode)
		*ret_mode = st.st_mode;
	return rc < 0 ? rc : len == room ? -EFBIG : (long)len;
}

int file_write(const char *path, const void *bytes, size_t len, mode_t mode)
{
	char fresh[PATH_ROOM + sizeof(".new")];
	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
		return -ENAMETOOLONG;
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), error = 0;
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, bytes, len);
	if (n != (ssize_t)len)
		error = n < 0 ? -errno : -ENOSPC;
	else if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && rename(fresh, path) < 0)
		error = -errno;
	if (error)
		unlink(fresh);
	return error;
}
