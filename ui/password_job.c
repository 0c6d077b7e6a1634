/* password_job.c: the only caller of argon2id for accounts.
 *
 * libuv has four threads for everything that takes long; two of them may be in here at a time, so that memory stays below
 * 2 x 64 MiB and a backup is not held up by people who guess.
 */
#include "ui/password_job.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"
#include "ui/work.h"

#define AT_ONCE 2

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static unsigned inside;

static void work(struct password_job *job)
{
	if (job->verify)
		job->good = password_verify(job->kept, job->given, strlen(job->given));
	if (job->hash && (!job->verify || job->good))
		job->error = password_hash(job->fresh, strlen(job->fresh), job->made);
	else if (job->good && password_old(job->kept) && password_hash(job->given, strlen(job->given), job->made))
		job->made[0] = '\0';
}

static void run(void *self)
{
	pthread_mutex_lock(&mutex);
	while (inside == AT_ONCE)
		pthread_cond_wait(&left, &mutex);
	inside++;
	pthread_mutex_unlock(&mutex);
	work(self);
	pthread_mutex_lock(&mutex);
	inside--;
	pthread_cond_signal(&left);
	pthread_mutex_unlock(&mutex);
}

static void job_free(void *self)
{
	struct password_job *job = self;
	job->access->passwords--;
	wipe(job, sizeof(*job));
	free(job);
}

static void busy(struct reply *reply)
{
	struct problem problem;
	problem_set(&problem, 503, "busy", "other passwords are being looked at; try again in a moment");
	reply_problem(reply, &problem);
	reply->retry_after = 2;
}

bool password_job_room(const struct access *access, enum throttle_class who, struct reply *reply)
{
	static const unsigned room[] = {
	    [THROTTLE_REST] = PASSWORDS_MAX / 3, [THROTTLE_WAITS] = PASSWORDS_MAX * 2 / 3, [THROTTLE_FRIEND] = PASSWORDS_MAX};
	if (access->passwords < room[who])
		return true;
	busy(reply);
	return false;
}

void password_job_start(const struct request *request, struct reply *reply, struct access *access, const struct password_job *job)
{
	struct password_job *copy = access->passwords < PASSWORDS_MAX ? malloc(sizeof(*copy)) : NULL;
	if (!copy) {
		busy(reply);
		return;
	}
	*copy = *job;
	copy->access = access;
	access->passwords++;
	work_start(request, reply, copy, run, job_free);
}
