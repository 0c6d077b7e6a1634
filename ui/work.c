/* work.c: one job per request, on libuv's threads.
 *
 * The request's slot and the job know each other until one of them ends: a job that is done wakes its request, and a request that
 * ends takes a finished job with it or leaves a running one to itself. A running job cannot be stopped; so there are few, and the
 * loop runs until the last of them is through.
 */
#include "ui/work.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

struct work {
	uv_work_t uv;
	struct works *works;
	struct work_slot *slot; /* NULL: nobody waits any more */
	bool done;
	void *job;
	void (*run)(void *job), (*free_job)(void *job);
};

static void work_free(struct work *work)
{
	work->free_job(work->job);
	free(work);
}

static void thread_run(uv_work_t *uv)
{
	struct work *work = uv->data;
	work->run(work->job);
}

static void thread_ended(uv_work_t *uv, int status)
{
	struct work *work = uv->data;
	struct works *works = work->works;
	(void)status; /* never cancelled */
	work->done = true;
	works->running--;
	if (work->slot)
		work->slot->wake(work->slot->self);
	else
		work_free(work);
	if (works->ended)
		works->ended(works->self);
}

static void busy(struct reply *reply)
{
	struct problem problem;
	problem_set(&problem, 503, "busy", "the controller has as much to work on as it takes at once; try again in a moment");
	reply_problem(reply, &problem);
	reply->retry_after = 2;
}

void work_start(const struct request *request, struct reply *reply, void *job, void (*run)(void *job), void (*free_job)(void *job))
{
	struct work_slot *slot = request->work;
	struct works *works = slot ? slot->works : NULL;
	struct work *work = slot && (!works || works->running < WORKS_MAX) ? calloc(1, sizeof(*work)) : NULL;
	if (!work) {
		free_job(job);
		busy(reply);
		return;
	}
	assert(!slot->work);
	*work = (struct work){.uv.data = work, .works = works, .slot = slot, .job = job, .run = run, .free_job = free_job};
	reply->wait = true;
	slot->work = work;
	if (!works) {
		run(job);
		work->done = true;
		return;
	}
	works->running++;
	int error = uv_queue_work(works->loop, &work->uv, thread_run, thread_ended);
	assert(error == 0); /* only without a function to run */
}

void *work_done(const struct request *request)
{
	const struct work *work = request->work ? request->work->work : NULL;
	return work && work->done ? work->job : NULL;
}

bool work_running(const struct work_slot *slot)
{
	return slot->work && !slot->work->done;
}

void work_drop(struct work_slot *slot)
{
	struct work *work = slot->work;
	slot->work = NULL;
	if (work && work->done)
		work_free(work);
	else if (work)
		work->slot = NULL;
}
