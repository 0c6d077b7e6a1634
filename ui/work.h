/* work.h: what takes long, on a thread of libuv's pool while its request waits: a hash of a password, a backup, a check of the database.
 *
 * Handlers call this on the control thread. run() has the job to itself and touches nothing else: neither controller nor store nor
 * anything that another request may change. A handler is asked twice:
 *
 *	struct job *job = work_done(request);
 *	if (!job) {
 *		... judge the request, make the job ...
 *		work_start(request, reply, job, job_run, job_free);
 *		return;
 *	}
 *	... answer by what the job found; it is freed when the request ends ...
 */
#ifndef FARLAN_UI_WORK_H
#define FARLAN_UI_WORK_H

#include "ui/api.h"

#define WORKS_MAX 8 /* at once, running or in libuv's queue; more are answered with 503 */

struct uv_loop_s;
struct work;

/* Takes job. It is freed by free_job(), on the control thread: when the request ends, or when run() has returned if nobody waits
 * for it any more. */
void work_start(const struct request *, struct reply *, void *job, void (*run)(void *job), void (*free_job)(void *job));
/* The job of this request, once it is done; NULL = none was started. Borrowed. */
void *work_done(const struct request *);

/* ---- for who serves requests ---- */

struct works { /* one per loop; must outlive its jobs */
	struct uv_loop_s *loop;
	unsigned running;
	void (*ended)(void *self); /* after each job; may be NULL */
	void *self;
};

struct work_slot { /* of one request; zeroed = works is NULL: jobs run at once, on this thread (tests) */
	struct works *works;
	struct work *work;
	void (*wake)(void *self); /* the job is done: ask the request again */
	void *self;
};

bool work_running(const struct work_slot *);
void work_drop(struct work_slot *); /* the request ends */

#endif
