/* worker.h: one worker: its sockets, queues, slab, mail and counters. It never allocates after worker_new and never waits
 * inside a turn.
 *
 * worker_new and worker_free belong to control while no thread runs the worker. worker_turn is called by its thread (or by the
 * simulator): read up to 64 per source, do step one to all, step two to all, write all.
 */
#ifndef FARLAN_NODE_WORKER_H
#define FARLAN_NODE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/mail.h"
#include "node/view.h"
#include "proto/base/batch.h"

struct udp;

struct worker *worker_new(unsigned number, struct guestbook *, struct udp *, int control_wake_fd);
void worker_free(struct worker *);
/* One turn at now (monotonic microseconds) that looks at everything. Returns how many packets it moved. Is in the guest book meanwhile. */
unsigned worker_turn(struct worker *, uint64_t now_us);
/* Thread body: turns and epoll until worker_stop() was called. keep_core: while it is busy it stays on one (affinity.h). */
void worker_run(struct worker *, bool keep_core);
void worker_stop(struct worker *);                      /* any thread */
void worker_wake(struct worker *);                      /* any thread: look at the view again (a new device) */
struct mail *worker_mail(struct worker *);              /* control reads */
uint64_t worker_drop(const struct worker *, enum drop); /* any thread */

#endif
