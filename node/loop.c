/* loop.c: one node on one libuv loop.
 *
 * libuv's iteration is the control turn: timers and pending callbacks change state, prepare settles it (the owner's settle, then
 * node_turn), the loop sleeps until the one timer or a descriptor, whose callbacks change state again and are settled by the next
 * prepare before anything sleeps. What arises inside a turn and wants the owner's settling (a request that node_turn gave to the
 * controller) asks for one more turn by loop_kick(), which makes the timer due at once.
 * Everything that may wait is elsewhere: saves are written by libuv's thread pool, one job at a time; proof of work by work.c.
 * The end goes backwards: threads first, then the node (which still saves), the files, and last the handles, whose closing takes
 * turns of the loop.
 */
#include "node/loop_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/beacon_io.h"
#include "node/files.h"
#include "node/group.h"
#include "node/listen.h"
#include "node/mapping.h"
#include "node/stream.h"
#include "node/thread.h"
#include "node/udp.h"
#include "node/work.h"
#include "node/worker.h"
#include "proto/base/clock.h"
#include "proto/base/heap.h"
#include "proto/base/log.h"
#include "proto/seal.h"
#include "tap/netlink.h"

#define EPOCH_FILE       "epoch"
#define EPOCH_FIRST_MAX  0xBFFFFFFFu /* PROTOCOL.md: a clock that ran away leaves 2^30 starts */
#define WRITES_PER_JOB   32          /* then the pool's thread is anybody's again */
#define RESULTS_PER_CALL WORK_MAX
#define HOSTS_QUIET_MS   100 /* addresses come in bunches; one reading for all of them */
#define WHY_ROOM         240

uint64_t loop_now(void)
{
	return clock_us() / 1000;
}

struct node *loop_node(struct loop *loop)
{
	return loop->node;
}

/* ---- the turn --------------------------------------------------------------------------------------------------- */

static void timer_due(uv_timer_t *timer)
{
	(void)timer; /* prepare does the rest */
}

static void timer_arm(struct loop *loop, uint64_t at)
{
	uint64_t now = loop_now();
	if (at == NEVER) {
		uv_timer_stop(&loop->timer);
		return;
	}
	/* libuv counts from its cached time, which may be older than this turn; without this the timer would be early. */
	uv_update_time(loop->uv);
	uv_timer_start(&loop->timer, timer_due, at > now ? at - now : 0, 0);
}

void loop_kick(struct loop *loop)
{
	loop->kicked = true;
	uv_timer_start(&loop->timer, timer_due, 0, 0);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void turn(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	uint64_t now_us = clock_us(), now = now_us / 1000, next = NEVER;
	loop->kicked = false;
	if (loop->hosts_ms <= now) {
		loop->hosts_ms = NEVER;
		node_hosts_changed(loop->node, loop->rerouted, now);
		node_groups_changed(loop->node, now); /* a device of ours may be promiscuous now, or the port of a bridge */
		loop->rerouted = false;
		mapping_kick(loop->mapping);
	}
	if (loop->settle)
		next = loop->settle(loop->self, now);
	next = earlier(next, node_turn(loop->node, now_us));
	next = earlier(next, loop->hosts_ms);
	timer_arm(loop, loop->kicked ? now : next);
}

/* ---- what wakes it ---------------------------------------------------------------------------------------------- */

/* Drained before the mail is read (in prepare), so a letter posted meanwhile wakes again. */
static void workers_woke(uv_poll_t *poll, int status, int events)
{
	const struct loop *loop = poll->data;
	uint64_t count;
	(void)events;
	if (status == 0 && read(loop->wake_fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
}

static void hosts_moved(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	(void)events;
	unsigned changed = netlink_changed(loop->netlink);
	/* The kernel had more to tell than the socket holds: an error to poll, which stops then, and no more to us than "everything changed". */
	if (status < 0 && changed)
		status = uv_poll_start(poll, UV_READABLE, hosts_moved);
	if (status < 0) {
		log_warning("addresses of this host are read at intervals only: %s", uv_strerror(status));
		uv_poll_stop(poll);
	}
	loop->rerouted = loop->rerouted || (changed & NETLINK_ROUTES);
	if (changed & NETLINK_GROUPS) /* at once: somebody may send to the new one in a moment */
		node_groups_changed(loop->node, loop_now());
	if (changed & (NETLINK_HOSTS | NETLINK_ROUTES) && loop->hosts_ms == NEVER)
		loop->hosts_ms = loop_now() + HOSTS_QUIET_MS;
}

/* On the work thread, or the streams'; uv_async_send is the one call of libuv for other threads. */
void loop_notify(void *self)
{
	struct loop *loop = self;
	uv_async_send(&loop->work_done);
}

static void work_done(uv_async_t *async)
{
	struct loop *loop = async->data;
	struct identity identity;
	bool good;
	for (unsigned i = 0; loop->node && i < RESULTS_PER_CALL && work_result(loop->work, &identity, &good); i++)
		node_work_done(loop->node, &identity, good, loop_now());
	loop_streams_ended(loop);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void write_start(struct loop *);

static void write_some(uv_work_t *job)
{
	const struct loop *loop = job->data;
	for (unsigned i = 0; i < WRITES_PER_JOB && files_write(loop->files); i++)
		;
}

static void write_done(uv_work_t *job, int status)
{
	struct loop *loop = job->data;
	assert(status == 0); /* we never cancel it */
	loop->writing = false;
	write_start(loop);
}

static void write_start(struct loop *loop)
{
	if (loop->writing || !files_waiting(loop->files))
		return;
	loop->job.data = loop;
	loop->writing = uv_queue_work(loop->uv, &loop->job, write_some, write_done) == 0;
}

static int port_save(void *self, const char *name, const void *bytes, size_t len, bool urgent)
{
	struct loop *loop = self;
	int error = files_save(loop->files, name, bytes, len, urgent);
	write_start(loop);
	return error;
}

static long port_load(void *self, const char *name, void *buf, size_t room)
{
	struct loop *loop = self;
	return files_load(loop->files, name, buf, room);
}

static void port_remove(void *self, const char *name)
{
	struct loop *loop = self;
	files_remove(loop->files, name);
	write_start(loop);
}

static void port_list(void *self, const char *folder, void (*each)(void *, const char *name), void *each_self)
{
	struct loop *loop = self;
	files_list(loop->files, folder, each, each_self);
}

/* The number of this start: it grows with every one, so that others tell our INITs from those of an earlier life. */
static uint32_t epoch_next(struct files *files)
{
	uint64_t wall = (uint64_t)time(NULL);
	uint32_t stored, epoch = wall < EPOCH_FIRST_MAX ? (uint32_t)wall : EPOCH_FIRST_MAX;
	if (files_number_load(files, EPOCH_FILE, &stored) && stored < UINT32_MAX)
		epoch = stored + 1;
	/* Better a start with an epoch that comes twice, which RETRY heals (T26), than none because of a full disk. */
	if (files_number_save(files, EPOCH_FILE, epoch))
		log_warning("epoch %u is not on disk; after the next start others may need a round trip more to believe us", epoch);
	return epoch;
}

/* ---- the node's other ports ------------------------------------------------------------------------------------- */

static bool port_work(void *self, const struct identity *claimed)
{
	struct loop *loop = self;
	return loop->work && work_submit(loop->work, claimed);
}

static void port_changed(void *self)
{
	const struct loop *loop = self;
	if (loop->changed && loop->node)
		loop->changed(loop->self);
}

/* Requests come out of node_turn, after this turn's settle: one more turn commits and answers them. */
static void port_request(void *self, const struct identity *from, const struct endpoint *physical, const struct message *message,
                         uint64_t now)
{
	struct loop *loop = self;
	loop->port.request(loop->port.self, from, physical, message, now);
	loop->kicked = true;
}

static void port_online(void *self, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now)
{
	struct loop *loop = self;
	loop->port.online(loop->port.self, key_hash, online, now);
	loop->kicked = true;
}

/* Kicked as well: who shows it hears of it at the turn's end. */
static void port_path(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us, uint64_t now)
{
	struct loop *loop = self;
	loop->port.path(loop->port.self, key_hash, physical, rtt_us, now);
	loop->kicked = true;
}

static bool port_knows(void *self, const uint8_t key_hash[KEY_HASH_BYTES])
{
	const struct loop *loop = self;
	return loop->port.knows(loop->port.self, key_hash);
}

/* The node asks what is plugged in by looking for NULL, so each is NULL when the owner's is. */
static struct message_port port_wrapped(struct loop *loop)
{
	return (struct message_port){
	    .self = loop,
	    .request = loop->port.request ? port_request : NULL,
	    .online = loop->port.online ? port_online : NULL,
	    .knows = loop->port.knows ? port_knows : NULL,
	    .path = loop->port.path ? port_path : NULL,
	};
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* After uv_X_init of a handle that is part of struct loop. */
void loop_handle_made(struct loop *loop, void *handle)
{
	((uv_handle_t *)handle)->data = loop;
	loop->handles++;
}

static void handle_closed(uv_handle_t *handle)
{
	struct loop *loop = handle->data;
	loop->handles--;
}

static void handle_close(void *handle)
{
	uv_handle_t *h = handle;
	if (h->data && !uv_is_closing(h))
		uv_close(h, handle_closed);
}

static void *worker_body(void *self)
{
	worker_run(self, false);
	return NULL;
}

static void *worker_body_kept(void *self)
{
	worker_run(self, true);
	return NULL;
}

static int workers_start(struct loop *loop, unsigned workers, bool keep_core)
{
	for (unsigned i = 0; i < workers; i++) {
		char name[16];
		snprintf(name, sizeof(name), "worker-%u", (uint8_t)i);
		loop->worker[i] = node_worker(loop->node, i);
		int error = thread_start(&loop->thread[i], name, keep_core ? worker_body_kept : worker_body, loop->worker[i]);
		if (error)
			return error;
		loop->n_workers++;
	}
	return 0;
}

static void workers_stop(struct loop *loop)
{
	for (unsigned i = 0; i < loop->n_workers; i++)
		worker_stop(loop->worker[i]);
	for (unsigned i = 0; i < loop->n_workers; i++)
		pthread_join(loop->thread[i], NULL);
	loop->n_workers = 0;
}

/* What the node needs while it is made: timer and async. */
static int handles_make(struct loop *loop)
{
	int error = uv_timer_init(loop->uv, &loop->timer);
	if (error)
		return error;
	loop_handle_made(loop, &loop->timer);
	error = uv_prepare_init(loop->uv, &loop->prepare);
	if (error)
		return error;
	loop_handle_made(loop, &loop->prepare);
	error = uv_async_init(loop->uv, &loop->work_done, work_done);
	if (error)
		return error;
	loop_handle_made(loop, &loop->work_done);
	return work_new(&loop->work, loop_notify, loop);
}

int loop_poll_make(struct loop *loop, uv_poll_t *poll, int fd, uv_poll_cb done)
{
	int error = uv_poll_init(loop->uv, poll, fd);
	if (error)
		return error;
	loop_handle_made(loop, poll);
	return uv_poll_start(poll, UV_READABLE, done);
}

/* A help only: the node looks at its addresses from time to time anyway. */
static void monitor_start(struct loop *loop)
{
	int error = netlink_open(&loop->netlink);
	if (!error)
		error = loop_poll_make(loop, &loop->monitor, netlink_monitor_fd(loop->netlink), hosts_moved);
	if (error)
		log_notice("changes of this host's addresses are seen late: no netlink (%s)", strerror(-error));
}

static int node_start(struct loop *loop, const struct loop_config *config, const char **why)
{
	struct node_port port = {.self = loop,
	                         .save = port_save,
	                         .load = port_load,
	                         .remove = port_remove,
	                         .list = port_list,
	                         .work = port_work,
	                         .changed = port_changed};
	struct node_config node = config->node;
	struct node *made = NULL;
	static char reason[WHY_ROOM]; /* *why lives on in it */

	node.epoch = epoch_next(loop->files);
	node.port = port_wrapped(loop);
	*why = reason;
	int error = listen_open(&loop->udp, loop->files, config->listen, config->n_listen, config->default_port, node.workers, node.bound,
	                        &node.n_bound, node.root ? &node.alt_port : NULL, reason, sizeof(reason));
	if (error)
		goto out;
	if (node.no_offload)
		udp_without(loop->udp, true, true);
	loop_beacons_start(loop, node.joins && !config->no_lan, &port);
	*why = "the node's handles and threads cannot be made; look at the limits of descriptors, threads and memory";
	error = handles_make(loop);
	if (error)
		goto out;
	loop_names_start(loop, &port);
	loop_streams_start(loop, config, &port);
	error = node_new(&made, &node, &port, loop->udp, loop_now());
	if (error)
		goto out;
	loop->node = made;
	loop->wake_fd = node_wake_fd(made);
	error = loop_poll_make(loop, &loop->wake, loop->wake_fd, workers_woke);
	if (!error)
		error = workers_start(loop, node.workers, !node.no_affinity);
	if (!error)
		error = uv_prepare_start(&loop->prepare, turn);
	if (!error && config->mapping)
		loop_mapping_start(loop, node.bound, node.n_bound);
out:
	secret_fini(&node.self);
	return error;
}

int loop_new(struct loop **ret, struct uv_loop_s *uv, const struct loop_config *config, const char **ret_why)
{
	if (seal_setup() < 0) {
		*ret_why = "no random numbers from this kernel";
		return -ENOSYS;
	}
	if (config->node.workers < 1 || config->node.workers > WORKERS_MAX) {
		*ret_why = "the number of workers must be 1 to 16";
		return -EINVAL;
	}
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop) {
		*ret_why = "no memory for the node";
		return -ENOMEM;
	}
	loop->uv = uv;
	loop->hosts_ms = NEVER;
	loop->names_fd = -1;
	loop->settle = config->settle;
	loop->changed = config->changed;
	loop->self = config->self;
	loop->port = config->node.port;
	*ret_why = "the state folder cannot be opened; make it and give it to this user";
	int error = files_open(&loop->files, config->home);
	if (!error)
		error = node_start(loop, config, ret_why);
	if (error) {
		loop_free(loop);
		return error;
	}
	monitor_start(loop);
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	handle_close(&loop->prepare);
	handle_close(&loop->timer);
	handle_close(&loop->wake); /* before its descriptor goes with the node */
	handle_close(&loop->monitor);
	handle_close(&loop->beacons);
	handle_close(&loop->names);
	workers_stop(loop);
	work_free(loop->work);
	loop->work = NULL;
	streams_free(loop->streams);
	loop->streams = NULL;
	mapping_free(loop->mapping);
	loop->mapping = NULL;
	handle_close(&loop->work_done);
	handle_close(&loop->mapping_moved);
	struct node *node = loop->node;
	loop->node = NULL;
	node_free(node);
	udp_close(loop->udp);
	/* Other handles of this loop may get a callback here; they know nothing of us. */
	while (loop->handles || loop->writing)
		uv_run(loop->uv, UV_RUN_ONCE);
	netlink_close(loop->netlink);
	beacon_io_close(loop->beacon);
	loop_names_end(loop);
	files_free(loop->files);
	free(loop);
}
