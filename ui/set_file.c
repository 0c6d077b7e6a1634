/* set_file.c: reading and writing them whole.
 *
 * The file of a private set holds its gate and a key's file its secret, so both are made for their owner alone. A set's file
 * is replaced by rename: whoever reads it at that moment has the old or the new one. A key is never overwritten.
 */
#include "ui/set_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/file.h"
#include "ui/home.h"

static int refuse(int error, const char *path, const char *what, char why[SET_FILE_WHY])
{
	char shown[256];
	log_text(shown, sizeof(shown), path, strlen(path));
	if (what)
		snprintf(why, SET_FILE_WHY, "%s: %s", shown, what);
	else
		snprintf(why, SET_FILE_WHY, "%s: %s", shown, strerror(-error));
	return error;
}

/* Into a new file. */
static int put(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = 0;
	if (fd < 0)
		return -errno;
	for (size_t at = 0; rc == 0 && at < len;) {
		ssize_t n = write(fd, text + at, len - at);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	close(fd);
	if (rc < 0)
		unlink(path);
	return rc;
}

int set_file_read(const char *path, struct rootset_file *ret, char why[SET_FILE_WHY])
{
	char *text = malloc(ROOTSET_FILE_MAX + 1);
	long len = text ? file_read(path, text, ROOTSET_FILE_MAX + 1, NULL) : -ENOMEM;
	int rc = 0;
	if (len < 0)
		rc = refuse((int)len, path, NULL, why);
	else if (!rootset_file_parse(text, (size_t)len, ret))
		rc = refuse(-EINVAL, path, "this is no root set, or a torn one; copy it anew", why);
	if (len > 0)
		explicit_bzero(text, (size_t)len);
	free(text);
	return rc;
}

int set_file_write(const char *path, const struct rootset_file *f, bool fresh, char why[SET_FILE_WHY])
{
	char *text = malloc(ROOTSET_FILE_MAX);
	size_t len = text ? rootset_file_format(f, text, ROOTSET_FILE_MAX) : 0;
	int rc = !len ? -ENOMEM : fresh ? put(path, text, len) : file_write(path, text, len, 0600);
	if (len)
		explicit_bzero(text, len);
	free(text);
	return rc ? refuse(rc, path, NULL, why) : 0;
}

int set_file_load(const char *path, struct rootset **ret, uint8_t ret_gate[32], char why[SET_FILE_WHY])
{
	struct rootset_file file;
	enum rootset_verdict verdict;
	unsigned at;
	char what[160];
	int rc = set_file_read(path, &file, why);
	if (rc)
		return rc;
	struct rootset *set = rootset_from_file(&file, &verdict, &at);
	memcpy(ret_gate, file.gate, 32);
	if (!set) {
		snprintf(what, sizeof(what), "document %u of %u is refused: %s%s", at + 1, file.n, rootset_verdict_text(verdict),
		         verdict == ROOTSET_UNSIGNED ? "; farlan root-set show tells who has to sign" : "");
		rc = refuse(-EINVAL, path, what, why);
	}
	rootset_file_fini(&file);
	*ret = set;
	return rc;
}

int set_key_read(const char *path, uint8_t ret_ed_secret[64], char why[SET_FILE_WHY])
{
	char text[ROOTSET_SECRET_TEXT + 1];
	mode_t mode = 0;
	long len = file_read(path, text, sizeof(text), &mode);
	int rc = 0;
	if (len < 0)
		rc = refuse((int)len, path, NULL, why);
	else if (mode & 077)
		rc = refuse(-EPERM, path, "others may read this key: chmod 600", why);
	else if (!rootset_secret_parse(text, (size_t)len, ret_ed_secret))
		rc = refuse(-EINVAL, path, "this is no secret key of a root set, or a torn one", why);
	explicit_bzero(text, sizeof(text));
	return rc;
}

int set_key_write(const char *path, const uint8_t ed_secret[64], char why[SET_FILE_WHY])
{
	char text[ROOTSET_SECRET_TEXT];
	rootset_secret_format(ed_secret, text);
	int rc = put(path, text, strlen(text));
	explicit_bzero(text, sizeof(text));
	return rc ? refuse(rc, path, rc == -EEXIST ? "there is something already; a key is never overwritten" : NULL, why) : 0;
}
