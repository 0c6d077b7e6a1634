/* thread.h: how this program starts its threads: named, with all signals blocked, so that signals meet only the main thread.
 */
#ifndef FARLAN_NODE_THREAD_H
#define FARLAN_NODE_THREAD_H

#include <pthread.h>

/* name: at most 15 characters. 0 or -errno. */
int thread_start(pthread_t *ret, const char *name, void *(*body)(void *), void *self);

#endif
