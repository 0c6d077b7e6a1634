/* backup_api.c: a backup made while it runs, a backup looked at, and the word that an older database is to be trusted.
 *
 * Argon2id, the copy of the database and the encryption run off the thread, into a file without a name in the home folder; what is
 * sent is read from it piece by piece. A restore happens on a stopped controller (`farlan restore`); here one only learns what it
 * would do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/audit.h"
#include "controller/watermark.h"
#include "proto/random.h"
#include "proto/vault.h"
#include "ui/backup_report.h"
#include "ui/controller_routes.h"
#include "ui/work.h"

struct backup_job {
	const struct home *home; /* outlives all requests */
	char passphrase[VAULT_PASS_MAX + 1];
	size_t len;
	uint64_t wall_s;
	int fd, error; /* fd: the backup, or what was uploaded; -1 */
	char why[BACKUP_WHY];
	struct backup_facts facts;
	struct backup_stand stand;
	bool makes;
};

/* One at a time makes a backup: the copy of the database has one name. Control thread. */
static bool making;

static void job_free(void *self)
{
	struct backup_job *job = self;
	if (job->makes)
		making = false;
	if (job->fd >= 0)
		close(job->fd);
	wipe(job, sizeof(*job));
	free(job);
}

static struct backup_job *job_new(const struct controller_api *api)
{
	struct backup_job *job = calloc(1, sizeof(*job));
	if (job)
		*job = (struct backup_job){.home = api->home, .fd = -1, .wall_s = (uint64_t)time(NULL)};
	return job;
}

static void not_done(struct reply *reply, const struct backup_job *job, const char *title)
{
	struct problem problem;
	bool theirs =
	    job->error == -EBADMSG || job->error == -EINVAL || job->error == -EPROTO || job->error == -E2BIG || job->error == -EPERM;
	problem_set(&problem, theirs ? 400 : job->error == -ENOSPC ? 507 : 503, title, "%s", job->why);
	reply_problem(reply, &problem);
}

/* ---- making one ---- */

static void backup_run(void *self)
{
	struct backup_job *job = self;
	struct backup_source source = {
	    .dir = job->home->dir, .config = job->home->config, .version = FARLAN_VERSION, .wall_s = job->wall_s};
	job->fd = open(job->home->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (job->fd < 0) {
		job->error = -errno;
		snprintf(job->why, sizeof(job->why), "no file can be made in %.300s: %s", job->home->dir, strerror(errno));
		return;
	}
	job->error = backup_write(&source, job->passphrase, job->len, job->fd, job->why);
}

struct sending {
	int fd;
	off_t at;
};

static ssize_t send_more(void *self, char *buf, size_t room)
{
	struct sending *s = self;
	ssize_t n = pread(s->fd, buf, room, s->at);
	if (n > 0)
		s->at += n;
	return n > 0 ? n : n == 0 ? -1 : -2;
}

static void send_end(void *self)
{
	struct sending *s = self;
	close(s->fd);
	free(s);
}

static void backup_send(const struct controller_api *api, struct backup_job *job, struct reply *reply)
{
	char address[ADDRESS_TEXT], day[16];
	time_t at = (time_t)job->wall_s;
	struct tm tm;
	if (job->error) {
		not_done(reply, job, "no backup");
		return;
	}
	struct sending *s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->fd = job->fd;
	job->fd = -1;
	address_format(api->self->address, address);
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&at, &tm));
	snprintf(reply->disposition, sizeof(reply->disposition), "attachment; filename=\"farlan-%s-%s.backup\"", address, day);
	reply->status = 200;
	reply->type = "application/octet-stream";
	reply->more = send_more;
	reply->end = send_end;
	reply->stream = s;
}

static bool passphrase_take(const struct request *request, struct reply *reply, struct backup_job *job)
{
	static const char *const names[] = {"passphrase", NULL};
	struct problem problem;
	bool set = false;
	json_t *body = json_body(request->body, request->body_len, names, &problem);
	bool good = body && json_take_text(body, "passphrase", VAULT_PASS_MIN, job->passphrase, sizeof(job->passphrase), &set, &problem);
	if (good && !set) {
		problem_set(&problem, 400, "no passphrase", "\"passphrase\" must be given: the backup holds the controller's identity");
		problem_error(&problem, '/', "passphrase", "must be given");
	}
	json_decref(body);
	job->len = strlen(job->passphrase);
	if (!good || !set)
		reply_problem(reply, &problem);
	return good && set;
}

void backup_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct backup_job *job = work_done(request);
	if (job) {
		backup_send(api, job, reply);
		return;
	}
	if (making) {
		struct problem problem;
		problem_set(&problem, 503, "busy", "another backup is being made; try again in a moment");
		reply_problem(reply, &problem);
		reply->retry_after = 5;
		return;
	}
	job = job_new(api);
	if (!job)
		return;
	if (!passphrase_take(request, reply, job)) {
		job_free(job);
		return;
	}
	/* noted before: so the backup tells of itself, and one that was made is never without its entry */
	enum admin_status status =
	    controller_trusted(api->controller) ? controller_act(api->controller, "backup.write", NULL, &error) : ADMIN_OK;
	if (status) {
		job_free(job);
		admin_problem(reply, status, &error);
		return;
	}
	making = job->makes = true;
	work_start(request, reply, job, backup_run, job_free);
}

/* ---- looking at one ---- */

static void look_run(void *self)
{
	struct backup_job *job = self;
	char dir[HOME_PATH_MAX + 32];
	snprintf(dir, sizeof(dir), "%s/" BACKUP_LOOK, job->home->dir);
	if (!mkdtemp(dir)) {
		job->error = -errno;
		snprintf(job->why, sizeof(job->why), "no folder can be made in %.300s: %s", job->home->dir, strerror(errno));
		return;
	}
	job->error = lseek(job->fd, 0, SEEK_SET) < 0 ? -errno : backup_read(job->fd, job->passphrase, job->len, dir, &job->facts, job->why);
	backup_remove(dir);
	if (!job->error)
		backup_compare(job->home->dir, true, &job->facts, &job->stand);
}

/* The passphrase of the header: UTF-8, percent-encoded, since a header holds no other bytes for sure. */
static bool header_take(const struct request *request, struct reply *reply, struct backup_job *job)
{
	struct problem problem;
	const char *at = request->passphrase ? request->passphrase : "";
	for (; *at && job->len < VAULT_PASS_MAX; at++) {
		char two[3] = {0};
		if (*at == '%' && strspn(at + 1, "0123456789abcdefABCDEF") >= 2) {
			memcpy(two, at + 1, 2);
			at += 2;
		}
		job->passphrase[job->len++] = *two ? (char)strtoul(two, NULL, 16) : *at;
	}
	if (job->len >= VAULT_PASS_MIN && !*at)
		return true;
	problem_set(&problem, 400, "no passphrase", "the header Farlan-Passphrase must hold the backup's passphrase, %d to %d bytes",
	            VAULT_PASS_MIN, VAULT_PASS_MAX);
	reply_problem(reply, &problem);
	return false;
}

void restore_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct problem problem;
	const char *dry = request_query(request, "dry_run");
	struct backup_job *job = work_done(request);
	if (job) {
		if (job->error)
			not_done(reply, job, "not a backup to restore");
		else
			reply_json(reply, 200, backup_report(&job->facts, &job->stand));
		return;
	}
	if (!dry || strcmp(dry, "true") != 0) {
		problem_set(&problem, 409, "not while it runs", "a backup is restored on a stopped controller; here it is only looked at");
		snprintf(problem.hint, sizeof(problem.hint), "ask with ?dry_run=true what it would do");
		snprintf(problem.command, sizeof(problem.command), "farlan restore FILE");
		reply_problem(reply, &problem);
		return;
	}
	if (!request->body_fd) {
		problem_set(&problem, 415, "no backup", "the body must be the backup, as application/octet-stream");
		reply_problem(reply, &problem);
		return;
	}
	job = job_new(api);
	if (!job)
		return;
	if (!header_take(request, reply, job)) {
		job_free(job);
		return;
	}
	job->fd = fcntl(request->body_fd, F_DUPFD_CLOEXEC, 3); /* the request may end before the job does */
	work_start(request, reply, job, look_run, job_free);
}

/* ---- trust ---- */

void trust_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	if (!body_none(request, reply))
		return;
	bool was = controller_trusted(api->controller);
	enum admin_status status = controller_trust(api->controller, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	json_t *o = json_schema("farlan.trust/1");
	json_object_set_new(o, "trusted", json_true());
	json_object_set_new(o, "changed", json_boolean(!was));
	reply_json(reply, 200, o);
}
