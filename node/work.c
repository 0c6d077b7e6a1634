/* work.c: proof of work, elsewhere.
 *
 * One ring with three running counters: submitted >= computed >= fetched, none more than WORK_MAX ahead of the last. A slot
 * belongs to control outside computed..submitted-1 and the one at computed to the thread while it computes, so the lock is never
 * held during a computation.
 */
#include "node/work.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "node/thread.h"

struct work {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	void (*notify)(void *self);
	void *self;
	bool stopped;
	unsigned submitted, computed, fetched; /* they wrap; WORK_MAX divides their range */
	struct job {
		struct identity identity;
		bool good;
	} ring[WORK_MAX];
};

static void compute(struct job *job)
{
	uint64_t address = 0;
	struct identity *i = &job->identity;
	job->good = ident_work(i->x, i->ed, &address) && (!i->address || i->address == address);
	if (job->good)
		i->address = address;
}

static void *work_run(void *self)
{
	struct work *w = self;
	pthread_mutex_lock(&w->lock);
	while (!w->stopped) {
		if (w->computed == w->submitted) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		struct job *job = &w->ring[w->computed % WORK_MAX];
		pthread_mutex_unlock(&w->lock);
		compute(job);
		pthread_mutex_lock(&w->lock);
		w->computed++;
		w->notify(w->self);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int work_new(struct work **ret, void (*notify)(void *self), void *self)
{
	struct work *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->notify = notify;
	w->self = self;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	int error = thread_start(&w->thread, "proof-of-work", work_run, w);
	if (error) {
		pthread_cond_destroy(&w->more);
		pthread_mutex_destroy(&w->lock);
		free(w);
		return error;
	}
	*ret = w;
	return 0;
}

void work_free(struct work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopped = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

bool work_submit(struct work *w, const struct identity *claimed)
{
	pthread_mutex_lock(&w->lock);
	bool room = w->submitted - w->fetched < WORK_MAX;
	if (room) {
		w->ring[w->submitted++ % WORK_MAX] = (struct job){.identity = *claimed};
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

bool work_result(struct work *w, struct identity *ret, bool *ret_good)
{
	pthread_mutex_lock(&w->lock);
	bool there = w->fetched != w->computed;
	if (there) {
		const struct job *job = &w->ring[w->fetched++ % WORK_MAX];
		*ret = job->identity;
		*ret_good = job->good;
	}
	pthread_mutex_unlock(&w->lock);
	return there;
}
