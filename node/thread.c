/* thread.c: starting threads.
 *
 * A new thread inherits the mask of its maker, so the mask is set around the making: there is no moment in which a signal could
 * be taken by it and break a system call whose caller does not expect that.
 */
#include "node/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const char *name, void *(*body)(void *), void *self)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(ret, NULL, body, self);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_setname_np(*ret, name); /* for top and gdb; nothing hangs on it */
	return -error;
}
