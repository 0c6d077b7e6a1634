/* worker_bed.h: hosts with workers in one process, joined by a fake wire and fake devices, sessions made by hand.
 *
 * The bed defines udp_* and tap_* themselves, so the real ones are not linked. What a host sends waits at its receiver's
 * worker until it takes a turn; a test may look at it, change it, double it. One worker is driven by one thread; the
 * queues have a lock, so that several may run at once.
 */
#ifndef WORKER_BED_H
#define WORKER_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/fdb.h"
#include "node/session.h"
#include "node/udp.h"
#include "node/view.h"
#include "node/worker.h"
#include "tap/tap.h"

#define HOSTS       5
#define RELAY       4 /* a host that is no member */
#define BED_WORKERS 4
#define BED_QUEUE   512
#define NWID        0x1234567890abcdefu
#define PORT_BASE   7000

struct item {
	uint32_t len;
	uint32_t head; /* of a frame written: bytes before its tails */
	struct endpoint from;
	struct offload offload;
	uint8_t bytes[SUPERFRAME_MAX];
};

struct queue {
	pthread_mutex_t lock;
	struct item *item; /* made with the first put */
	unsigned n;
	int fd; /* readable while there is something; -1 = nobody polls */
};

struct udp {
	struct endpoint self;
	struct queue in[BED_WORKERS];
	uint8_t *lent[BED_WORKERS][BATCH_MAX]; /* handed out by the last udp_recv */
	bool refuse;
};

struct tap {
	struct queue in[BED_WORKERS], out[BED_WORKERS];
	bool refuse;
	_Atomic bool gone;
	unsigned offloads;    /* TAP_*: 0, complete frames only, unless a test sets it */
	_Atomic uint64_t kin; /* frames written with the number (kin.h) of the one before, by all queues */
};

struct host {
	uint64_t address;
	struct udp udp;
	struct tap tap;
	struct guestbook book;
	struct index *index;
	struct worker *worker[BED_WORKERS];
	struct port *port;
	struct remote remote[HOSTS];
	struct member member[HOSTS];
	struct session *session[HOSTS];
	struct circuit *circuit; /* to the relay; at the relay: made in circuits() */
	int wake_fd;
};

struct bed {
	struct host host[HOSTS];
	struct circuit *leg[2]; /* at the relay, towards hosts 0 and 1 */
	uint64_t now_us;
};

static struct bed bed;

/* ---- fakes ------------------------------------------------------------------------------------------------------ */

static void queue_init(struct queue *q, bool polled)
{
	pthread_mutex_init(&q->lock, NULL);
	q->item = NULL;
	q->n = 0;
	q->fd = polled ? eventfd(0, EFD_NONBLOCK) : -1;
}

static void queue_fini(struct queue *q)
{
	pthread_mutex_destroy(&q->lock);
	free(q->item);
	if (q->fd >= 0)
		close(q->fd);
}

/* Under the lock: the next free item, with len bytes to be filled. */
static struct item *queue_item(struct queue *q, uint32_t len)
{
	if (!q->item)
		q->item = malloc(BED_QUEUE * sizeof(q->item[0]));
	assert_true(q->item && q->n < BED_QUEUE && len <= sizeof(q->item[0].bytes));
	struct item *it = &q->item[q->n++];
	it->len = len;
	it->from = (struct endpoint){0};
	it->offload = (struct offload){0};
	return it;
}

static void queue_wake(struct queue *q)
{
	uint64_t one = 1;
	if (q->fd >= 0)
		assert_int_equal(write(q->fd, &one, 8), 8);
}

static void queue_put(struct queue *q, const void *bytes, uint32_t len, const struct endpoint *from)
{
	pthread_mutex_lock(&q->lock);
	struct item *it = queue_item(q, len);
	if (from)
		it->from = *from;
	memcpy(it->bytes, bytes, len);
	queue_wake(q);
	pthread_mutex_unlock(&q->lock);
}

/* Under the lock: the first n are gone. */
static void queue_shift(struct queue *q, unsigned n)
{
	uint64_t ignored;
	for (unsigned i = n; i < q->n; i++)
		memcpy(&q->item[i - n], &q->item[i], offsetof(struct item, bytes) + q->item[i].len);
	q->n -= n;
	if (!q->n && q->fd >= 0 && read(q->fd, &ignored, 8) != 8)
		ignored = 0; /* was empty already */
}

unsigned udp_sockets(const struct udp *u)
{
	(void)u;
	return 1;
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	(void)socket;
	return u->in[worker].fd;
}

/* Each in memory of its own, so that a sanitizer sees what reads beyond one, or later than it may. */
static void udp_lent_free(struct udp *u, unsigned worker)
{
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		free(u->lent[worker][i]);
		u->lent[worker][i] = NULL;
	}
}

unsigned udp_recv(struct udp *u, unsigned worker, uint32_t *look, struct packet *p, unsigned n)
{
	struct queue *q = &u->in[worker];
	udp_lent_free(u, worker);
	pthread_mutex_lock(&q->lock);
	if (n > q->n)
		n = q->n;
	for (unsigned i = 0; i < n; i++) {
		const struct item *it = &q->item[i];
		p[i].data = u->lent[worker][i] = malloc(it->len ? it->len : 1);
		assert_non_null(p[i].data);
		memcpy(p[i].data, it->bytes, it->len);
		p[i].len = p[i].room = it->len;
		p[i].from = it->from;
		p[i].socket = 1;
		p[i].verdict = DROP_NONE;
	}
	queue_shift(q, n);
	if (!q->n)
		*look = 0;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	(void)worker;
	assert_true(n >= 1 && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		unsigned to = p[i].from.port - PORT_BASE;
		if (p[i].verdict != DROP_NONE)
			continue;
		if (u->refuse || to >= HOSTS)
			p[i].verdict = DROP_SEND;
		else
			queue_put(&bed.host[to].udp.in[0], p[i].data, p[i].len, &u->self);
	}
}

int tap_fd(const struct tap *t, unsigned queue)
{
	return t->in[queue].fd;
}

unsigned tap_offloads(const struct tap *t)
{
	return t->offloads;
}

int tap_read(struct tap *t, unsigned queue, struct slab *slab, struct packet *p, unsigned n)
{
	struct queue *q = &t->in[queue];
	unsigned got = 0;
	if (t->gone)
		return -19;
	pthread_mutex_lock(&q->lock);
	for (; got < n && got < q->n && slab->room >= TAP_SLAB_MIN; got++) {
		const struct item *it = &q->item[got];
		uint8_t *data = slab->at + -(uintptr_t)slab->at % 16;
		memcpy(data, it->bytes, it->len);
		p[got] = (struct packet){.data = data, .len = it->len, .room = it->len, .offload = it->offload};
		slab->room -= (uint32_t)(data + it->len - slab->at);
		slab->at = data + it->len;
	}
	queue_shift(q, got);
	pthread_mutex_unlock(&q->lock);
	return (int)got;
}

static void tap_take(struct queue *q, const struct packet *p, unsigned tails)
{
	uint32_t len = 0;
	for (unsigned k = 0; k <= tails; k++)
		len += p[k].len;
	pthread_mutex_lock(&q->lock);
	struct item *it = queue_item(q, len);
	it->offload = p->offload;
	it->head = p->len;
	len = 0;
	for (unsigned k = 0; k <= tails; len += p[k++].len)
		memcpy(it->bytes + len, p[k].data, p[k].len);
	queue_wake(q);
	pthread_mutex_unlock(&q->lock);
}

void tap_write(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	for (unsigned i = 0, next; i < n; i = next) {
		const struct offload *o = &p[i].offload;
		next = i + 1 + p[i].tails;
		assert_true(next <= n && p[i].tails <= TAP_TAILS_MAX);
		if (p[i].verdict != DROP_NONE)
			continue;
		assert_true(!o->csum || (t->offloads & TAP_CSUM));
		assert_true(!o->gso || (o->csum && (t->offloads & (o->gso == GSO_UDP ? TAP_USO : TAP_TSO))));
		for (unsigned k = i ? i : 1; k < next; k++)
			t->kin += p[k].kin && p[k].kin == p[k - 1].kin;
		for (unsigned k = i; t->refuse && k < next; k++)
			p[k].verdict = DROP_TAP_WRITE;
		if (!t->refuse)
			tap_take(&t->out[queue], &p[i], p[i].tails);
	}
}

/* ---- building --------------------------------------------------------------------------------------------------- */

static struct endpoint endpoint_of(unsigned host)
{
	return (struct endpoint){.family = 4, .port = (uint16_t)(PORT_BASE + host), .ip = {10, 0, 0, (uint8_t)host}};
}

/* Our chan at host h: another number at each, as in life. */
static unsigned chan_of(unsigned h)
{
	return 3 + h * 5;
}

static uint32_t idx_of(unsigned at, unsigned peer)
{
	return (0x10000 + at * 0x100 + peer) << 4;
}

static void way_set(unsigned at, unsigned peer, struct circuit *circuit, uint16_t datagram)
{
	struct way *way = calloc(1, sizeof(*way));
	*way = (struct way){.to = endpoint_of(peer), .circuit = circuit, .datagram = datagram};
	const struct way *old = atomic_exchange(&bed.host[at].remote[peer].way, way);
	free((void *)(uintptr_t)old);
}

static void way_clear(unsigned at, unsigned peer)
{
	const struct way *old = atomic_exchange(&bed.host[at].remote[peer].way, NULL);
	free((void *)(uintptr_t)old);
}

static struct session *session_between(unsigned at, unsigned peer, enum session_class class)
{
	struct session_keys k;
	memset(k.send, (int)(at * 16 + peer + class * 100), 32);
	memset(k.receive, (int)(peer * 16 + at + class * 100), 32);
	memset(k.exporter, 9, 32);
	uint32_t more = class == CLASS_CTRL ? 0x8000 << 4 : 0;
	return session_new(class, at < peer, SUITE_CHACHA20_POLY1305, &k, idx_of(at, peer) + more, idx_of(peer, at) + more, 4, 4,
	                   &bed.host[at].remote[peer], BED_WORKERS, bed.now_us / 1000);
}

static void host_make(unsigned h, bool polled)
{
	struct host *host = &bed.host[h];
	host->address = 0x1100000000 + h * 7;
	host->udp.self = endpoint_of(h);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_init(&host->udp.in[i], polled);
		queue_init(&host->tap.in[i], polled);
		queue_init(&host->tap.out[i], false);
	}
	host->wake_fd = eventfd(0, EFD_NONBLOCK);
	host->index = index_new(64);
	guestbook_init(&host->book, BED_WORKERS);
	for (unsigned i = 0; i < BED_WORKERS; i++)
		assert_non_null(host->worker[i] = worker_new(i, &host->book, &host->udp, host->wake_fd));
	if (h == RELAY)
		return;
	struct port *port = host->port = calloc(1, sizeof(*port));
	port->nwid = NWID;
	port->chan = chan_of(h);
	port->tap = &host->tap;
	port->address = host->address;
	mac_derive(NWID, host->address, port->mac);
	atomic_store(&port->mtu, 1500);
	atomic_store(&port->open, true);
	port->fdb = fdb_new();
}

static void hosts_join(unsigned at)
{
	struct host *host = &bed.host[at];
	struct roster *r = calloc(1, sizeof(*r) + HOSTS * sizeof(r->member[0]));
	r->generation = 11;
	for (unsigned peer = 0; peer < HOSTS; peer++) {
		struct remote *remote = &host->remote[peer];
		struct member *m = &host->member[peer];
		remote->address = bed.host[peer].address;
		if (peer == at)
			continue;
		way_set(at, peer, NULL, 1232);
		if (peer == RELAY || at == RELAY)
			continue;
		host->session[peer] = session_between(at, peer, CLASS_DATA);
		assert_true(index_put(host->index, &host->session[peer]->named));
		atomic_store(&host->session[peer]->confirmed, true);
		atomic_store(&remote->session, host->session[peer]);
		m->remote = remote;
		m->address = remote->address;
		mac_derive(NWID, m->address, m->mac);
		m->slot = r->n;
		atomic_store(&m->tx_chan, (uint16_t)chan_of(peer));
		atomic_store(&m->traffic, traffic_new(BED_WORKERS + 1));
		atomic_store(&m->rx_open, true);
		atomic_store(&remote->member[chan_of(at) - 1], m);
		r->member[r->n++] = m;
	}
	if (host->port)
		atomic_store(&host->port->roster, r);
	else
		free(r);
}

static inline void view_show(unsigned h, const struct view_gate *gates, unsigned n)
{
	struct host *host = &bed.host[h];
	struct view *v = calloc(1, sizeof(*v) + n * sizeof(v->gates[0]));
	v->index = host->index;
	v->ports_generation = 1;
	if (host->port)
		v->ports[chan_of(h) - 1] = host->port;
	v->n_own = 2;
	v->own[0] = (struct endpoint){.family = 4, .port = 9993, .ip = {192, 0, 2, 1}};
	v->own[1] = (struct endpoint){.family = 6, .port = 9993, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	v->n_gates = n;
	if (n)
		memcpy(v->gates, gates, n * sizeof(v->gates[0]));
	guestbook_publish(&host->book, v);
	guestbook_reap(&host->book);
}

static void bed_make(bool polled)
{
	memset(&bed, 0, sizeof(bed));
	bed.now_us = 1000000000;
	for (unsigned h = 0; h < HOSTS; h++)
		host_make(h, polled);
	for (unsigned h = 0; h < HOSTS; h++) {
		hosts_join(h);
		view_show(h, NULL, 0);
	}
}

/* Legs from 0 and from 1 to the relay; they use them for each other when `use`. */
static inline void circuits(bool use)
{
	uint8_t exporter[2][32];
	for (unsigned h = 0; h < 2; h++) {
		struct host *host = &bed.host[h], *relay = &bed.host[RELAY];
		uint32_t at_node = idx_of(h, RELAY), at_relay = idx_of(RELAY, h);
		memset(exporter[h], (int)(50 + h), 32);
		struct circuit *near = host->circuit = circuit_new(at_node, &host->remote[RELAY], false);
		struct circuit *far = bed.leg[h] = circuit_new(at_relay, &relay->remote[h], true);
		leg_derive(&near->tx, exporter[h], at_relay, at_node, LEG_TO_RELAY);
		leg_derive(&far->rx, exporter[h], at_relay, at_node, LEG_TO_RELAY);
		leg_derive(&near->rx, exporter[h], at_node, at_relay, LEG_FROM_RELAY);
		leg_derive(&far->tx, exporter[h], at_node, at_relay, LEG_FROM_RELAY);
		near->tx_idx = at_relay;
		far->tx_idx = at_node;
		assert_true(index_put(host->index, &near->named));
		assert_true(index_put(relay->index, &far->named));
		if (use)
			way_set(h, 1 - h, near, 1232 - LEG_HEADER);
	}
	atomic_store(&bed.leg[0]->twin, bed.leg[1]);
	atomic_store(&bed.leg[1]->twin, bed.leg[0]);
}

static void bed_free(void)
{
	for (unsigned h = 0; h < HOSTS; h++) {
		struct host *host = &bed.host[h];
		for (unsigned i = 0; i < BED_WORKERS; i++) {
			worker_free(host->worker[i]);
			queue_fini(&host->udp.in[i]);
			udp_lent_free(&host->udp, i);
			queue_fini(&host->tap.in[i]);
			queue_fini(&host->tap.out[i]);
		}
		guestbook_fini(&host->book);
		for (unsigned peer = 0; peer < HOSTS; peer++) {
			way_clear(h, peer);
			free(atomic_load(&host->member[peer].traffic));
			session_free(host->session[peer]);
		}
		if (host->port) {
			const struct roster *r = atomic_load(&host->port->roster);
			free((void *)(uintptr_t)r);
			fdb_free(host->port->fdb);
			free(host->port);
		}
		circuit_free(host->circuit);
		free(host->index);
		close(host->wake_fd);
	}
	circuit_free(bed.leg[0]);
	circuit_free(bed.leg[1]);
}

/* ---- doing ------------------------------------------------------------------------------------------------------ */

static inline unsigned turn(unsigned h)
{
	return worker_turn(bed.host[h].worker[0], bed.now_us);
}

/* Frame of len bytes from one host's MAC to another's (to >= HOSTS: everybody), ethertype 88b5. */
static size_t frame_make(uint8_t *frame, unsigned from, unsigned to, size_t len)
{
	if (to < HOSTS)
		mac_derive(NWID, bed.host[to].address, frame);
	else
		memset(frame, 0xff, 6);
	mac_derive(NWID, bed.host[from].address, frame + 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (size_t i = 14; i < len; i++)
		frame[i] = (uint8_t)(i * 11 + from + len);
	return len;
}

static void tap_give(unsigned h, const uint8_t *frame, size_t len)
{
	queue_put(&bed.host[h].tap.in[0], frame, (uint32_t)len, NULL);
}

/* A frame that still lacks something, as a device with these offloads gives it. */
static inline void tap_give_offload(unsigned h, const uint8_t *frame, size_t len, const struct offload *offload)
{
	struct queue *q = &bed.host[h].tap.in[0];
	tap_give(h, frame, len);
	q->item[q->n - 1].offload = *offload;
}

static struct queue *wire_to(unsigned h)
{
	return &bed.host[h].udp.in[0];
}

/* The frames written at h, one expected, or none (frame NULL). */
static inline void tap_expect(unsigned h, const uint8_t *frame, size_t len)
{
	struct queue *q = &bed.host[h].tap.out[0];
	assert_int_equal(q->n, frame ? 1 : 0);
	if (frame) {
		assert_int_equal(q->item[0].len, len);
		assert_memory_equal(q->item[0].bytes, frame, len);
	}
	q->n = 0;
}

static inline uint64_t drops(unsigned h)
{
	uint64_t n = 0;
	for (unsigned i = 1; i < DROP_COUNT; i++)
		for (unsigned k = 0; k < BED_WORKERS; k++)
			n += worker_drop(bed.host[h].worker[k], (enum drop)i);
	return n;
}

/* Exactly this counter moved, by one. */
#define expect_drop(h, why, act)                                                                                                           \
	do {                                                                                                                               \
		uint64_t all_before = drops(h), one_before = worker_drop(bed.host[h].worker[0], why);                                      \
		act;                                                                                                                       \
		assert_int_equal(worker_drop(bed.host[h].worker[0], why) - one_before, 1);                                                 \
		assert_int_equal(drops(h) - all_before, 1);                                                                                \
	} while (0)

/* A plaintext sealed as `from` would for `to`, into the wire. */
static size_t seal_by(struct session *s, unsigned lane, const void *plain, size_t len, uint8_t *datagram, size_t room)
{
	uint64_t pn;
	assert_true(session_take(s, lane, 1, &pn));
	memcpy(datagram + DATA_HEADER, plain, len);
	struct packet p = {.data = datagram, .len = (uint32_t)(DATA_HEADER + len), .room = (uint32_t)room};
	seal_batch(&s->tx, s->peer_idx | lane, pn, &p, 1);
	return p.len;
}

static inline void inject(unsigned from, unsigned to, const void *plain, size_t len)
{
	uint8_t datagram[4096];
	struct endpoint e = endpoint_of(from);
	size_t n = seal_by(bed.host[from].session[to], 0, plain, len, datagram, sizeof(datagram));
	queue_put(wire_to(to), datagram, (uint32_t)n, &e);
}

/* The next letter, which must be of this kind; to be given back with letter_done. */
static inline struct letter *letter_expect(unsigned h, enum letter_kind kind)
{
	struct letter *l = mail_take(worker_mail(bed.host[h].worker[0]));
	assert_non_null(l);
	assert_int_equal(l->kind, kind);
	return l;
}

static inline void letter_done(unsigned h, struct letter *l)
{
	mail_done(worker_mail(bed.host[h].worker[0]), l);
}
static inline void letter_none(unsigned h)
{
	assert_null(mail_take(worker_mail(bed.host[h].worker[0])));
}

static inline bool woken(unsigned h)
{
	uint64_t n = 0;
	return read(bed.host[h].wake_fd, &n, 8) == 8 && n == 1; /* once per turn */
}

#endif
