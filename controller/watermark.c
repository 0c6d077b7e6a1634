/* Theory of operation: head.bak remembers, outside the database, how far its counters had come: the revision of the database,
 * the ceiling of network time, and per network the HEAD version, serial block and rev_epoch. It is written (temporary file,
 * fsync, rename, fsync of the folder) before a HEAD with those counters is signed. A database that is behind the file has
 * been restored from a backup: signing from it could repeat a version or a serial with other contents, so it is refused until
 * the operator says so, by `farlan controller trust` or by renaming head.bak to head.bak.accepted before a start; then all counters
 * jump. By how much must not depend on how old the backup is, or on a file that knows only what this machine signed: 2^32 versions
 * are 34 years of four a second. Every member gets a new serial with it, since one that was approved anew after the backup holds a
 * larger one than its row has.
 * A network of the file that the database lacks was deleted, since the database's revision is not behind.
 * A file that does not parse proves nothing and is replaced. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/store_backup.h"
#include "controller/watermark.h"
#include "proto/base/log.h"

#define LINE_BYTES 128
#define JUMP       (UINT64_C(1) << 32) /* above the file's counters and the database's */

struct mark {
	uint64_t nwid, version, serials, rev_epoch;
};

struct watermark {
	uint64_t revision, ceiling;
	struct mark marks[NETWORKS_MAX];
	unsigned n;
};

static void path_of(const struct controller *c, const char *name, char *buf, size_t room)
{
	snprintf(buf, room, "%s/%s", c->dir, name);
}

/* 0, -ENOENT, or -EBADMSG. */
static int watermark_read(const char *path, struct watermark *ret)
{
	char line[LINE_BYTES];
	bool ended = false, good = true;
	struct stat st;
	/* What is no plain file (a FIFO would hold the start up) proves as little as one that does not parse. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	FILE *f = !fstat(fd, &st) && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
	if (!f) {
		close(fd);
		return -EBADMSG;
	}
	*ret = (struct watermark){0};
	good = fgets(line, sizeof(line), f) &&
	       sscanf(line, "farlan-watermark 1 revision %" SCNu64 " ceiling %" SCNu64, &ret->revision, &ret->ceiling) == 2;
	while (good && !ended && fgets(line, sizeof(line), f)) {
		struct mark m;
		if (!strcmp(line, "end\n"))
			ended = true;
		else if (ret->n < NETWORKS_MAX && sscanf(line, "%" SCNx64 " version %" SCNu64 " serials %" SCNu64 " rev_epoch %" SCNu64,
		                                         &m.nwid, &m.version, &m.serials, &m.rev_epoch) == 4)
			ret->marks[ret->n++] = m;
		else
			good = false;
	}
	fclose(f);
	return good && ended ? 0 : -EBADMSG;
}

static int file_replace(const char *dir, const char *temporary, const char *path, const char *bytes, size_t n)
{
	int r = 0, folder = -1;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; !r && done < n;) {
		ssize_t k = write(fd, bytes + done, n - done);
		if (k < 0 && errno != EINTR)
			r = -errno;
		done += k > 0 ? (size_t)k : 0;
	}
	if (!r && fsync(fd))
		r = -errno;
	if (close(fd) && !r)
		r = -errno;
	if (!r && rename(temporary, path))
		r = -errno;
	if (r) {
		unlink(temporary);
		return r;
	}
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	r = fsync(folder) ? -errno : 0;
	close(folder);
	return r;
}

int watermark_write(struct controller *c)
{
	char path[4096], temporary[4096];
	uint64_t ceiling, revision;
	if (!c->dir)
		return 0;
	size_t room = (c->n_publications + 2) * (size_t)LINE_BYTES, at;
	char *text = malloc(room);
	int r = text ? store_ceiling(c->store, &ceiling, &revision) : -ENOMEM;
	if (!r) {
		at = (size_t)snprintf(text, room, "farlan-watermark 1 revision %" PRIu64 " ceiling %" PRIu64 "\n", revision, ceiling);
		for (unsigned i = 0; i < c->n_publications; i++) {
			const struct publication *p = c->publications[i];
			at += (size_t)snprintf(text + at, room - at,
			                       "%016" PRIx64 " version %" PRIu64 " serials %" PRIu64 " rev_epoch %" PRIu64 "\n", p->nwid,
			                       p->version, p->serials, p->rev_epoch);
		}
		at += (size_t)snprintf(text + at, room - at, "end\n");
		path_of(c, "head.bak", path, sizeof(path));
		path_of(c, "head.bak.new", temporary, sizeof(temporary));
		r = file_replace(c->dir, temporary, path, text, at);
	}
	free(text);
	if (r && !c->retry_at) {
		log_error("controller: head.bak cannot be written, nothing new is signed: %s", strerror(-r));
		snprintf(c->health, sizeof(c->health), "head.bak cannot be written (%s), so nothing new is signed; make room on its disk",
		         strerror(-r));
	}
	return r;
}

static bool behind(const struct controller *c, const struct watermark *w, uint64_t revision)
{
	if (revision < w->revision || c->ceiling < w->ceiling)
		return true;
	for (unsigned i = 0; i < w->n; i++) {
		const struct publication *p = publication_find(c, w->marks[i].nwid);
		if (p && (p->version < w->marks[i].version || p->serials < w->marks[i].serials || p->rev_epoch < w->marks[i].rev_epoch))
			return true;
	}
	return false;
}

static const struct mark *mark_of(const struct watermark *w, uint64_t nwid)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->marks[i].nwid == nwid)
			return &w->marks[i];
	return NULL;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* One network, in the transaction. */
static int jump_network(struct controller *c, const struct watermark *w, const struct publication *p)
{
	static const struct mark none;
	const struct mark *m = mark_of(w, p->nwid);
	uint64_t serials;
	if (!m)
		m = &none;
	int r = store_member_reserial(c->store, p->nwid, larger(p->serials, m->serials) + JUMP, &serials);
	return r ? r
	         : store_network_counters(c->store, p->nwid, larger(p->version, m->version) + JUMP,
	                                  larger(p->rev_epoch, m->rev_epoch) + JUMP, serials);
}

/* The operator accepted the older database: everything continues far above the file. */
static int jump(struct controller *c, const struct watermark *w)
{
	struct audit_detail detail = {0};
	struct network_record n;
	uint64_t ceiling = larger(w->ceiling, c->ceiling) + CEILING_S;
	audit_detail_count(&detail, "revision_signed", w->revision);
	int r = store_ceiling_set(c->store, ceiling);
	for (unsigned i = 0; !r && i < c->n_publications; i++)
		r = jump_network(c, w, c->publications[i]);
	if (!r)
		r = audit_note(c, "controller.trust", 0, 0, audit_detail_end(&detail));
	if (!r)
		r = store_commit(c->store);
	if (r) {
		store_rollback(c->store);
		return r;
	}
	c->ceiling = c->time_base = ceiling;
	c->time_start_ms = c->now_ms;
	for (unsigned i = 0; !r && i < c->n_publications; i++) {
		struct publication *p = c->publications[i];
		r = store_network_get(c->store, p->nwid, &n);
		p->version = p->signed_version = n.version;
		p->rev_epoch = n.rev_epoch;
		p->serial_next = p->serials = n.serials;
		p->stale = true;
	}
	return r ? r : watermark_write(c);
}

bool controller_trusted(const struct controller *c)
{
	return c->trusted;
}

enum admin_status controller_trust(struct controller *c, struct admin_error *error)
{
	char path[4096];
	struct watermark *w = malloc(sizeof(*w));
	int r = w ? 0 : -ENOMEM;
	if (!r && !c->trusted) {
		path_of(c, "head.bak", path, sizeof(path));
		r = watermark_read(path, w);
		if (r == -ENOENT || r == -EBADMSG) /* somebody took it away meanwhile: then all there is to jump from is the database */
			*w = (struct watermark){0};
		r = jump(c, w);
		if (!r) {
			c->trusted = true;
			c->invites_due = 0;
			c->left_lost = true; /* and who left before was not written down */
			snprintf(c->health, sizeof(c->health), "ok");
			log_notice(
			    "controller: the older database is trusted from now on; all counters went on far above those of head.bak");
		}
	}
	free(w);
	if (!r)
		return ADMIN_OK;
	admin_error_set(error, "The database could not be taken over", "Look at the disk of the controller's home, then try again.",
	                "The counters of head.bak cannot be taken over: %s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

int watermark_revision(const char *path, uint64_t *ret)
{
	struct watermark *w = malloc(sizeof(*w));
	int r = w ? watermark_read(path, w) : -ENOMEM;
	if (!r)
		*ret = w->revision;
	free(w);
	return r;
}

int watermark_check(struct controller *c, const char **ret_why)
{
	static char why[256];
	char path[4096];
	uint64_t ceiling, revision;
	struct watermark *w = c->dir ? malloc(sizeof(*w)) : NULL;
	int r = 0;
	if (!c->dir)
		return 0;
	if (!w || store_ceiling(c->store, &ceiling, &revision)) {
		free(w);
		return -ENOMEM;
	}
	path_of(c, "head.bak.accepted", path, sizeof(path));
	if (watermark_read(path, w) == 0) {
		r = jump(c, w);
		if (!r)
			unlink(path);
		*ret_why = "the counters of head.bak.accepted cannot be taken over; check the space on the disk";
		free(w);
		return r;
	}
	path_of(c, "head.bak", path, sizeof(path));
	r = watermark_read(path, w);
	if (r == -EBADMSG)
		log_warning("controller: head.bak is damaged and will be written anew");
	if (!r && behind(c, w, revision)) {
		snprintf(why, sizeof(why),
		         "controller.db is older than head.bak (a restored backup?), so nothing is signed; put the newest "
		         "database back, or go on with this one: farlan controller trust");
		*ret_why = why;
		c->trusted = false;
	}
	free(w);
	return 0;
}
