/* Workers as threads at a bridge that copies for others, while control changes everything they look things up in and frees what was there: the
 * sanitizers are the judges. */
#include "worker_bed.h"

#include "node/audience.h"
#include "node/encap.h"
#include "node/loopguard.h"
#include "node/owners.h"
#include "proto/seal.h"

#define AT     1 /* the bridge */
#define ROUNDS 1500
#define STEP   2 /* ms of a round */

static _Atomic uint64_t clock_ms;
static _Atomic bool over;
static struct tap nic;

static int up(void **state)
{
	(void)state;
	bed_make(false);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_init(&nic.in[i], false);
		queue_init(&nic.out[i], false);
	}
	return 0;
}

static int down(void **state)
{
	(void)state;
	struct port *port = bed.host[AT].port;
	free((void *)(uintptr_t)atomic_load(&port->audiences));
	free((void *)(uintptr_t)atomic_load(&port->owners));
	const struct roster *r = atomic_load(&port->roster);
	for (unsigned i = 0; i < r->n; i++)
		if (r->member[i] < bed.host[AT].member || r->member[i] >= bed.host[AT].member + HOSTS)
			free(r->member[i]);
	bed_free();
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_fini(&nic.in[i]);
		queue_fini(&nic.out[i]);
	}
	return 0;
}

static void *work(void *arg)
{
	while (!atomic_load(&over))
		worker_turn(arg, bed.now_us + atomic_load(&clock_ms) * 1000);
	while (worker_turn(arg, bed.now_us + atomic_load(&clock_ms) * 1000))
		;
	return NULL;
}

/* ---- what they work on ------------------------------------------------------------------------------------------ */

static size_t any_frame(uint8_t *frame, unsigned i)
{
	static const uint8_t question[42] = {[12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, [28] = 10, 9, 8, 1, [38] = 10, 9, 8, 2};
	size_t len = 60 + i % 7 * 200;
	frame_make(frame, i % 3 ? 0 : AT, i % 5 ? HOSTS : AT, len);
	if (i % 4 == 1)
		memcpy(frame, (const uint8_t[]){1, 0, 0x5e, 0, 0, (uint8_t)(i % 8)}, 6);
	if (i % 4 == 2)
		memcpy(frame, (const uint8_t[]){2, 9, 9, 9, 9, (uint8_t)(i / 3 % 16)}, 6);
	memcpy(frame + 6, (const uint8_t[]){2, 9, 9, 9, 9, (uint8_t)(i % 16)}, 6);
	if (i % 11 == 0) {
		memcpy(frame + 12, question + 12, 30);
		memcpy(frame + 22, frame + 6, 6);
		memset(frame, 0xff, 6);
	}
	return len;
}

static bool room(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	bool yes = q->n < BED_QUEUE / 2;
	pthread_mutex_unlock(&q->lock);
	return yes;
}

static void feed(unsigned i)
{
	static uint8_t frame[2048], plain[2100], datagram[2200];
	unsigned from = i % 2 ? 0 : 2, k = i % BED_WORKERS;
	struct queue *wire = &bed.host[AT].udp.in[k];
	struct endpoint e = endpoint_of(from);
	size_t len = any_frame(frame, i), at = INNER_HEADER;
	struct note note = i % 3 == 0 && frame[0] & 1 ? note_replicate(0, 0) : (struct note){0};
	memset(plain, 0, INNER_HEADER);
	plain[0] = INNER_EFRAME;
	plain[1] = note.flag;
	le16_to(plain + 2, (uint16_t)chan_of(AT));
	memcpy(plain + at, note.bytes, note.len);
	at += note.len;
	memcpy(plain + at, frame, len);
	if (room(wire))
		queue_put(wire, datagram, (uint32_t)seal_by(bed.host[from].session[AT], 0, plain, at + len, datagram, sizeof datagram), &e);
	len = any_frame(frame, i + 1);
	struct queue *device = i % 6 ? &bed.host[AT].tap.in[k] : &nic.in[k];
	if (room(device))
		queue_put(device, frame, (uint32_t)len, NULL);
}

/* ---- what control changes --------------------------------------------------------------------------------------- */

static void next_audiences(struct port *port, unsigned i)
{
	const struct roster *r = atomic_load(&port->roster);
	struct audiences *a = audiences_new(8, 64);
	assert_non_null(a);
	for (unsigned g = 0; g < i % 8; g++) {
		struct member **list = audiences_add(a, (const uint8_t[]){1, 0, 0x5e, 0, 0, (uint8_t)g}, r->n, g % 2, 0);
		memcpy(list, r->member, r->n * sizeof *list);
	}
	assert_non_null(audiences_takers(a, 0, i % 3));
	memcpy(audiences_unknown(a, r->n), r->member, r->n * sizeof r->member[0]);
	a->n_replicators = 1;
	a->replicator[0] = r->member[0];
	const struct audiences *old = atomic_exchange(&port->audiences, a);
	if (old)
		guestbook_retire(&bed.host[AT].book, (void *)(uintptr_t)old, free);
}

/* Another struct in the place of one member, as when it left and came back. */
static void next_member(struct port *port, unsigned i)
{
	struct host *h = &bed.host[AT];
	const struct roster *old = atomic_load(&port->roster);
	struct roster *r = malloc(sizeof *r + old->n * sizeof r->member[0]);
	struct member *fresh = calloc(1, sizeof *fresh), *gone = old->member[i % old->n];
	assert_true(r && fresh);
	memcpy(r, old, sizeof *r + old->n * sizeof r->member[0]);
	r->generation++;
	fresh->remote = gone->remote;
	fresh->address = gone->address;
	memcpy(fresh->mac, gone->mac, 6);
	atomic_store(&fresh->flags, MEMBER_BRIDGE | MEMBER_REPLICATOR);
	atomic_store(&fresh->tx_chan, atomic_load(&gone->tx_chan));
	atomic_store(&fresh->rx_open, true);
	r->member[i % old->n] = fresh;
	atomic_store(&gone->remote->member[port->chan - 1], fresh);
	atomic_store(&port->roster, r);
	guestbook_retire(&h->book, (void *)(uintptr_t)old, free);
	next_audiences(port, i); /* as roster.c does: nothing names it when it is retired */
	if (gone < h->member || gone >= h->member + HOSTS)
		guestbook_retire(&h->book, gone, free);
}

static void next_owners(struct port *port, unsigned i)
{
	struct claim claim = {.ip = {.family = 4, .bits = 24, .ip = {10, 9, 8, 2}}, .serial = i};
	memcpy(claim.mac, bed.host[2].port->mac, 6);
	const struct owners *old = atomic_exchange(&port->owners, owners_new(&claim, i % 2));
	if (old)
		guestbook_retire(&bed.host[AT].book, (void *)(uintptr_t)old, free);
}

static unsigned letters(void)
{
	unsigned n = 0;
	for (unsigned k = 0; k < BED_WORKERS; k++)
		for (struct letter *l; (l = mail_take(worker_mail(bed.host[AT].worker[k]))); n++)
			mail_done(worker_mail(bed.host[AT].worker[k]), l);
	return n;
}

static void churn(void **state)
{
	(void)state;
	struct host *h = &bed.host[AT];
	struct port *port = h->port;
	pthread_t t[BED_WORKERS];
	unsigned told = 0;
	h->udp.refuse = h->tap.refuse = nic.refuse = true; /* where it went is for other tests */
	atomic_store(&port->own_flags, MEMBER_BRIDGE | MEMBER_REPLICATOR);
	atomic_store(&port->mcast_limit, 2);
	for (unsigned peer = 0; peer < RELAY; peer++) {
		atomic_store(&h->member[peer].flags, MEMBER_BRIDGE | MEMBER_REPLICATOR);
		if (peer != AT)
			h->session[peer]->peer_caps = CAP_REPLICATE | CAP_BUNDLE;
	}
	for (unsigned k = 0; k < BED_WORKERS; k++)
		pthread_create(&t[k], NULL, work, h->worker[k]);
	for (unsigned i = 0; i < ROUNDS; i++, atomic_fetch_add(&clock_ms, STEP)) {
		for (unsigned k = 0; k < 8; k++)
			feed(i * 8 + k);
		switch (i % 9) {
		case 0: next_member(port, i); break;
		case 1: next_audiences(port, i); break;
		case 2: next_owners(port, i); break;
		case 3: fdb_forget(port->fdb, bed.host[i % 3].address); break;
		case 4: fdb_age(port->fdb, bed.now_us / 1000 + atomic_load(&clock_ms)); break;
		case 5: atomic_store(&port->nic, i % 2 ? &nic : NULL); break;
		case 6: atomic_store(&port->blocked, i % 4 == 0); break;
		case 7: atomic_store(&port->storm_frames, i % 2 ? 500 : 0); break;
		case 8: i % 5 ? (void)0 : fdb_clear(port->fdb); break;
		}
		told += letters();
		guestbook_reap(&h->book);
	}
	atomic_store(&over, true);
	for (unsigned k = 0; k < BED_WORKERS; k++)
		pthread_join(t[k], NULL);
	for (unsigned k = 0; k < BED_WORKERS; k++)
		guestbook_leave(&h->book, k);
	guestbook_reap(&h->book);
	assert_null(h->book.first);
	told += letters();
	/* All of it was reached. */
	assert_true(told && fdb_count(port->fdb) <= 16 + 1);
	static const enum drop reached[] = {DROP_SEND, DROP_TAP_WRITE, DROP_BLOCKED};
	for (unsigned i = 0; i < sizeof reached / sizeof *reached; i++) {
		uint64_t n = 0;
		for (unsigned k = 0; k < BED_WORKERS; k++)
			n += worker_drop(h->worker[k], reached[i]);
		assert_true(n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(churn, up, down)};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
