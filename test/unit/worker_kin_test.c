/* worker_kin_test.c: frames that pass because one like them did (kin.h) must end as they would if each were checked. The same traffic, honest and
 * lying, comes twice: to a host whose network somebody watches, where each frame is looked at, and to one that nobody watches. What is written, all
 * counters and all letters must be equal.
 */
#include "worker_super.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "node/guard.h"
#include "node/layout.h"
#include "proto/ethertype.h"
#include "tap/mirror.h"

#define ACTS_MAX  5000
#define TRAFFIC   160 /* acts */
#define PLAIN_MAX 1800
#ifdef __SANITIZE_ADDRESS__ /* each round has beds of fresh memory, which are dear then */
#define ROUNDS 60u
#else
#define ROUNDS 200u
#endif

enum what {
	SAY,
	SPOIL,  /* said, but a bit of it turns on the way */
	REPEAT, /* the last datagram comes again */
	RIGHTS, /* something changes: len says what */
	TURN,
};
struct act {
	enum what what;
	unsigned from;
	size_t len;
	uint8_t plain[PLAIN_MAX];
};
static struct act acts[ACTS_MAX];
static unsigned n_acts;

static struct mirrors *watchers;

/* ---- traffic ---------------------------------------------------------------------------------------------------- */

static struct act *act(enum what what, size_t len)
{
	assert_true(n_acts < ACTS_MAX && len <= PLAIN_MAX);
	acts[n_acts] = (struct act){.what = what, .len = len};
	return &acts[n_acts++];
}

static void say(unsigned from, uint8_t type, uint8_t flags, const uint8_t *body, size_t len)
{
	struct act *a = act(SAY, INNER_HEADER + len);
	a->from = from;
	a->plain[0] = type;
	a->plain[1] = flags;
	le16_to(a->plain + 2, (uint16_t)chan_of(1));
	memcpy(a->plain + INNER_HEADER, body, len);
}

/* How the segments of one stream are told. */
struct stream {
	struct recipe all;
	uint32_t size;
	unsigned from;
	bool partial, hinted, macs;
	bool bundled;
	bool other; /* by the second network */
	uint16_t id;
	uint8_t bundle[PLAIN_MAX];
	size_t bundle_len;
	unsigned records;
};

static void stream_make(uint64_t *seed, struct stream *s)
{
	static const uint16_t sizes[] = {20, 46, 100, 300, 1000, 1300};
	*s = (struct stream){.size = sizes[dice(seed) % 6], .from = dice(seed) % 8 ? 0 : 2, .id = (uint16_t)dice(seed)};
	s->all = plain_recipe(dice(seed) % 3 == 0, dice(seed) % 3 == 0, 0);
	s->all.flags = (uint8_t)(dice(seed) % 4 ? 0x18 : dice(seed) % 2 ? 0x90 : 0x11);
	s->all.vlans = dice(seed) % 6 ? 0 : (uint8_t)(1 + dice(seed) % 2);
	s->all.tcp_extra = dice(seed) % 3 ? 12 : (uint8_t)(4 * (dice(seed) % 11));
	s->all.ip_extra = dice(seed) % 8 ? 0 : 8;
	s->all.id = (uint16_t)(dice(seed) % 2 ? dice(seed) : 0xfff0);
	s->all.bytes = s->size * (1 + dice(seed) % 62) - dice(seed) % 2;
	s->partial = dice(seed) % 4;
	s->hinted = s->partial && dice(seed) % 4;
	s->macs = dice(seed) % 12 == 0;
	s->bundled = s->size <= 300 && dice(seed) % 3 == 0;
	s->hinted = s->hinted && !s->bundled;
	s->other = dice(seed) % 6 == 0;
}

/* What was said last is said by the other network. */
static void net_choose(const struct stream *s)
{
	if (s->other)
		le16_to(acts[n_acts - 1].plain + 2, (uint16_t)(chan_of(1) + 1));
}

static void bundle_say(struct stream *s)
{
	if (s->records) {
		say(s->from, INNER_BUNDLE, 0, s->bundle, s->bundle_len);
		net_choose(s);
	}
	s->records = 0;
	s->bundle_len = 0;
}

static void record_say(struct stream *s, uint8_t type, uint8_t flags, const uint8_t *body, size_t len)
{
	if (s->records == 16 || s->bundle_len + 4 + len > PLAIN_MAX - INNER_HEADER)
		bundle_say(s);
	uint8_t *at = s->bundle + s->bundle_len;
	le16_to(at, (uint16_t)len);
	at[2] = type;
	at[3] = flags;
	memcpy(at + 4, body, len);
	s->bundle_len += 4 + len;
	s->records++;
}

/* What a member may do to a segment. The numbers of those that follow are not touched. */
static void recipe_twist(uint64_t *seed, struct recipe *r)
{
	switch (dice(seed) % 16) {
	case 0: r->ttl--; break;
	case 1: r->flow ^= 1; break;
	case 2: r->flags ^= (uint8_t)(1u << dice(seed) % 8); break;
	case 3: r->window++; break;
	case 4: r->tos ^= 3; break;
	case 5: r->seq++; break;
	case 6: r->id++; break;
	case 7: r->tcp_extra ^= 4; break;
	case 8: r->vlans ^= 1; break;
	case 9: r->ip_extra ^= 8; break;
	case 10: r->v6 ^= 1; break;
	case 11: r->udp ^= 1; break;
	case 12: r->ack++; break;
	case 13: r->bytes -= r->bytes > 1; break;
	case 14: r->df ^= 1; break;
	default: r->urgent++; break;
	}
}

/* ... and to the frame that it made of it. */
static size_t frame_twist(uint64_t *seed, const struct recipe *r, uint8_t *frame, size_t len)
{
	size_t l3 = recipe_l3(r), l4 = recipe_l4(r), bit = 1u << dice(seed) % 8;
	switch (dice(seed) % 12) {
	case 0: frame[l3 + 6] ^= 0x20; break;          /* more fragments */
	case 1: frame[l3 + 7] ^= (uint8_t)bit; break;  /* an offset */
	case 2: frame[l3 + 3] ^= (uint8_t)bit; break;  /* its length */
	case 3: frame[l3 + 10] ^= (uint8_t)bit; break; /* its sum */
	case 4: frame[l3 + 9] ^= (uint8_t)bit; break;  /* protocol */
	case 5: frame[l3 + 15] ^= (uint8_t)bit; break; /* source */
	case 6: frame[13] ^= (uint8_t)bit; break;      /* EtherType */
	case 7: frame[l4 + (r->udp ? 6 : 16)] ^= (uint8_t)bit; break;
	case 8: frame[l4 + 3] ^= (uint8_t)bit; break;      /* a port */
	case 9: memset(frame + len, 0, 6); return len + 6; /* behind the packet's end */
	case 10: memset(frame + l3 + 10, 0xff, 2); break;
	default: frame[dice(seed) % len] ^= (uint8_t)bit; break;
	}
	return len;
}

static void segment_say(uint64_t *seed, struct stream *s, unsigned i, unsigned n, bool twisted)
{
	struct recipe r = recipe_segment(&s->all, s->size, i);
	uint8_t body[PLAIN_MAX], flags = (uint8_t)((s->partial ? FRAME_CSUM : 0) | (s->hinted ? FRAME_SEG : 0));
	unsigned kind = twisted ? 1 + dice(seed) % 3 : 0;
	r.payload = payload + i * s->size % 60000;
	if (kind == 1)
		recipe_twist(seed, &r);
	size_t len = recipe_between(&r, s->partial, s->from, 1, other), at = 0;
	if (kind == 2)
		len = frame_twist(seed, &r, other, len);
	uint8_t field[8];
	le16_to(field, (uint16_t)recipe_l4(&r));
	le16_to(field + 2, r.udp ? 6 : 16);
	le16_to(field + 4, s->id);
	field[6] = (uint8_t)i;
	field[7] = (uint8_t)n;
	if (kind == 3) {
		field[dice(seed) % 8] ^= (uint8_t)(1u << dice(seed) % 8);
		flags ^= (uint8_t)(dice(seed) % 4 ? 0 : 1u << dice(seed) % 3);
	}
	if (flags & FRAME_CSUM)
		memcpy(body, field, 4), at = 4;
	if (flags & FRAME_SEG)
		memcpy(body + at, field + 4, 4), at += 4;
	size_t skip = s->macs ? 0 : 12;
	memcpy(body + at, other + skip, len - skip);
	if (s->bundled)
		record_say(s, s->macs ? INNER_EFRAME : INNER_FRAME, flags, body, at + len - skip);
	else
		say(s->from, s->macs ? INNER_EFRAME : INNER_FRAME, flags, body, at + len - skip), net_choose(s);
}

/* What comes between. */
static void stranger_say(uint64_t *seed)
{
	uint8_t body[400];
	size_t len = 14 + dice(seed) % 200;
	unsigned from = dice(seed) % 4 ? 0 : 2;
	switch (dice(seed) % 9) {
	case 0: /* ARP */
		len = frame_make(whole, from, dice(seed) % 2 ? 1 : HOSTS, 42);
		memcpy(whole + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
		say(from, INNER_EFRAME, 0, whole, len);
		break;
	case 1: /* a MAC that is neither's */
		frame_make(whole, from, 1, len);
		whole[dice(seed) % 12] ^= 2;
		say(from, INNER_EFRAME, 0, whole, len);
		break;
	case 2: frame_make(whole, from, 1, len), say(from, INNER_FRAME, 0, whole + 12, len - 12); break;
	case 3: say(from, INNER_PAD, 0, whole, 30); break;
	case 4: say(from, INNER_CTRL, 0, whole, 30); break;
	case 5: /* two in one */
		frame_make(whole, from, 1, 60);
		for (unsigned k = 0; k < 2; k++) {
			le16_to(body + k * 52, 48);
			body[k * 52 + 2] = INNER_FRAME;
			body[k * 52 + 3] = 0;
			memcpy(body + k * 52 + 4, whole + 12, 48);
		}
		say(from, INNER_BUNDLE, 0, body, 104);
		break;
	case 6: act(REPEAT, 0); break;
	case 7: /* another channel */
		frame_make(whole, from, 1, len);
		say(from, INNER_FRAME, 0, whole + 12, len - 12);
		acts[n_acts - 1].plain[2] ^= 1;
		break;
	default: act(RIGHTS, dice(seed) % 16); break;
	}
}

static void datagram_spoil(void)
{
	if (n_acts && acts[n_acts - 1].what == SAY)
		acts[n_acts - 1].what = SPOIL;
}

static void traffic_make(uint64_t *seed)
{
	struct stream s[2];
	unsigned liar = dice(seed) % 3 ? 10 : 100000, one = dice(seed) % 4, twins = dice(seed) % 3;
	n_acts = 0;
	while (n_acts < TRAFFIC - 60) {
		unsigned n[2], at[2] = {0, 0};
		for (unsigned k = 0; k < 2; k++) {
			stream_make(seed, &s[k]);
			if (k && !twins) {
				s[1] = s[0];
				s[1].other = !s[0].other;
			}
			n[k] = (s[k].all.bytes + s[k].size - 1) / s[k].size;
		}
		while (at[0] < n[0] && n_acts < TRAFFIC) {
			unsigned k = !one && at[1] < n[1] && dice(seed) % 2;
			segment_say(seed, &s[k], at[k], n[k], dice(seed) % liar == 0);
			at[k]++;
			if (dice(seed) % liar == 0)
				stranger_say(seed);
			if (dice(seed) % (2 * liar) == 0 && at[k] + 1 < n[k])
				at[k]++; /* lost, */
			if (dice(seed) % (2 * liar) == 0 && at[k] > 1)
				at[k] -= 2; /* in another order, doubled */
			if (dice(seed) % (3 * liar) == 0)
				datagram_spoil();
			if (dice(seed) % 12 == 0)
				bundle_say(&s[k]);
			if (dice(seed) % 40 == 0)
				act(TURN, 0);
		}
		bundle_say(&s[0]);
		bundle_say(&s[1]);
	}
	act(TURN, 0);
}

/* ---- what became of it ------------------------------------------------------------------------------------------ */

struct outcome {
	uint64_t written, bytes, letters, kin;
	uint64_t drop[DROP_COUNT], port_drop[DROP_COUNT], blame[HOSTS][BLAME_COUNT];
	uint64_t failed[HOSTS], rx_bytes[HOSTS];
	struct carried port, by[HOSTS];
};

static void mix(uint64_t *hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++)
		*hash = (*hash ^ at[i]) * 0x100000001b3u;
}

static void gather_writes(struct outcome *o, struct tap *t)
{
	struct queue *q = &t->out[0];
	for (unsigned i = 0; i < q->n; i++) {
		const struct item *it = &q->item[i];
		const struct offload *f = &it->offload;
		uint32_t numbers[] = {it->len, it->head, f->gso, f->csum, f->ecn, f->size, f->csum_start, f->csum_offset};
		const char *lie = offload_lie(it->bytes, it->len, it->head, f);
		if (lie)
			fail_msg("written frame is not what its offload says: %s", lie);
		o->written++;
		mix(&o->bytes, numbers, sizeof(numbers));
		mix(&o->bytes, it->bytes, it->len);
	}
	q->n = 0;
}

static void gather_letters(struct outcome *o)
{
	for (struct letter *l; (l = mail_take(worker_mail(bed.host[1].worker[0])));) {
		uint64_t numbers[] = {l->kind, l->idx, l->len, l->size, l->time_us};
		mix(&o->letters, numbers, sizeof(numbers));
		mix(&o->letters, l->data, l->len);
		letter_done(1, l);
	}
}

static void gather_counters(struct outcome *o)
{
	struct host *h = &bed.host[1];
	for (unsigned i = 0; i < DROP_COUNT; i++)
		o->drop[i] = worker_drop(h->worker[0], (enum drop)i);
	port_drops(h->port, o->port_drop);
	o->port = port_carried(h->port);
	for (unsigned k = 0; k < RELAY; k++) {
		if (k == 1)
			continue;
		for (unsigned i = 0; i < BLAME_COUNT; i++)
			o->blame[k][i] = atomic_load(&h->member[k].blame[i]);
		o->by[k] = traffic_sum(atomic_load(&h->member[k].traffic), BED_WORKERS);
		o->failed[k] = atomic_load(&h->session[k]->opens_failed);
		o->rx_bytes[k] = atomic_load(&h->session[k]->foot[0].rx_bytes);
	}
	o->kin = h->tap.kin + bed.host[2].tap.kin + bed.host[3].tap.kin;
}

/* ---- playing ---------------------------------------------------------------------------------------------------- */

static struct owned owns = {.n = 2, .ip = {{.family = 4, .ip = {10, 1, 2, 3}}}};
static struct ethertypes no_ip4 = {0};

static void toggle(_Atomic uint32_t *flags, uint32_t bit)
{
	atomic_store(flags, atomic_load(flags) ^ bit);
}

static void rights_change(size_t what)
{
	struct port *port = bed.host[1].port;
	struct member *m = &bed.host[1].member[0];
	switch (what) {
	case 0: atomic_store(&m->rx_open, !atomic_load(&m->rx_open)); break;
	case 1: toggle(&m->flags, MEMBER_BRIDGE); break;
	case 2: toggle(&port->own_flags, MEMBER_BRIDGE); break;
	case 3:
	case 4: toggle(&port->network_flags, NETWORK_IP_GUARD); break;
	case 5: atomic_store(&m->owned, atomic_load(&m->owned) ? NULL : &owns); break;
	case 6: atomic_store(&port->mtu, atomic_load(&port->mtu) == 9000 ? 600 : 9000); break;
	case 7: atomic_store(&port->ethertypes, atomic_load(&port->ethertypes) ? NULL : &no_ip4); break;
	case 8: atomic_store(&port->open, !atomic_load(&port->open)); break;
	case 9: atomic_store(&port->blocked, !atomic_load(&port->blocked)); break;
	case 10: toggle(&port->network_flags, NETWORK_NO_DHCP_GUARD | NETWORK_NO_RA_GUARD); break;
	case 11: atomic_store(&port->suspect_ms, bed.now_us / 1000 + 500); break;
	case 12: atomic_store(&port->nic, atomic_load(&port->nic) ? NULL : &bed.host[3].tap); break;
	case 13: bed.host[1].tap.offloads = bed.host[1].tap.offloads == TAP_ALL ? TAP_CSUM | TAP_USO : TAP_ALL; break;
	case 14: bed.host[1].tap.refuse = !bed.host[1].tap.refuse; break;
	default: way_set(1, 0, NULL, 1400 + (uint16_t)(bed.now_us % 7)), bed.now_us += 50000; break;
	}
}

/* A second network of hosts 0 and 1, whose device is host 2's: that one takes no turns here. */
#define CHAN2 (chan_of(1) + 1)
static struct member member2;
static struct port *port2;

static void network2_make(void)
{
	port2 = calloc(1, sizeof(*port2));
	assert_non_null(port2);
	member2 = (struct member){.remote = &bed.host[1].remote[0], .address = bed.host[0].address};
	port2->nwid = NWID + 1;
	port2->chan = CHAN2;
	port2->address = bed.host[1].address;
	port2->fdb = fdb_new();
	mac_derive(port2->nwid, port2->address, port2->mac);
	mac_derive(port2->nwid, member2.address, member2.mac);
	atomic_store(&port2->tap, &bed.host[2].tap);
	atomic_store(&port2->mtu, 1400);
	atomic_store(&port2->open, true);
	atomic_store(&member2.rx_open, true);
	atomic_store(&bed.host[1].remote[0].member[CHAN2 - 1], &member2);
	struct view *v = (struct view *)(uintptr_t)atomic_load(&bed.host[1].book.view);
	v->ports[CHAN2 - 1] = port2;
}

static void network2_free(struct outcome *o)
{
	struct carried c = port_carried(port2);
	mix(&o->bytes, &c, sizeof(c));
	fdb_free(port2->fdb);
	free(port2);
}

static void datagram_say(const struct act *a)
{
	uint8_t datagram[PLAIN_MAX + 64];
	struct endpoint e = endpoint_of(a->from);
	size_t n = seal_by(bed.host[a->from].session[1], 0, a->plain, a->len, datagram, sizeof(datagram));
	if (a->what == SPOIL)
		datagram[n / 2] ^= 4;
	queue_put(wire_to(1), datagram, (uint32_t)n, &e);
}

static void turn_take(struct outcome *o)
{
	while (wire_to(1)->n) {
		turn(1);
		bed.now_us += 20;
		gather_writes(o, &bed.host[1].tap);
		gather_writes(o, &bed.host[2].tap);
		gather_writes(o, &bed.host[3].tap);
		gather_letters(o);
	}
}

/* Rights change between turns, as control is: a turn that is under way goes by either. */
static void play(struct outcome *o, bool watched)
{
	memset(o, 0, sizeof(*o));
	super_make();
	network2_make();
	atomic_store(&bed.host[1].port->mirrors, watched ? watchers : NULL);
	atomic_store(&port2->mirrors, watched ? watchers : NULL);
	for (unsigned i = 0; i < n_acts; i++) {
		struct queue *q = wire_to(1);
		switch (acts[i].what) {
		case SAY:
		case SPOIL: datagram_say(&acts[i]); break;
		case REPEAT:
			if (q->n)
				queue_put(q, q->item[q->n - 1].bytes, q->item[q->n - 1].len, &q->item[q->n - 1].from);
			break;
		case RIGHTS:
			turn_take(o);
			rights_change(acts[i].len);
			break;
		case TURN: turn_take(o); break;
		}
	}
	turn_take(o);
	gather_counters(o);
	network2_free(o);
	bed_free();
}

static void same_outcome(void **state)
{
	(void)state;
	static struct outcome checked, taken;
	uint64_t seed = 20261122, kin = 0, dropped = 0, written_frames = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		traffic_make(&seed);
		play(&checked, true);
		play(&taken, false);
		assert_int_equal(checked.kin, 0);
		kin += taken.kin;
		taken.kin = 0;
		for (unsigned i = 0; i < DROP_COUNT; i++) {
			if (checked.drop[i] != taken.drop[i])
				fail_msg("round %u: %s %u, as kin %u", round, drop_name((enum drop)i), (unsigned)checked.drop[i],
				         (unsigned)taken.drop[i]);
			dropped += checked.drop[i];
		}
		assert_int_equal(checked.port.rx_frames, taken.port.rx_frames);
		assert_int_equal(checked.port.rx_bytes, taken.port.rx_bytes);
		assert_int_equal(checked.written, taken.written);
		assert_int_equal(checked.bytes, taken.bytes);
		assert_int_equal(checked.letters, taken.letters);
		assert_memory_equal(&checked, &taken, sizeof(checked));
		written_frames += checked.port.rx_frames;
	}
	/* else it was no test of it */
	assert_true(kin > 50 * ROUNDS && dropped > 5 * ROUNDS && written_frames > kin);
}

/* ---- one by one ------------------------------------------------------------------------------------------------- */

/* Each bit of a kin's plaintext wrong in turn, between two that are well. */
static void each_bit(void **state)
{
	(void)state;
	static struct outcome checked, taken;
	uint64_t seed = 5, kin = 0;
	for (unsigned k = 0; k < 8; k++) {
		struct stream s = {.size = 60, .partial = k != 5, .hinted = k<4, .bundled = k> 5, .id = 9};
		s.all = plain_recipe(k & 1, k & 2, 5 * 60);
		s.all.tcp_extra = 12;
		s.all.vlans = k == 3;
		n_acts = 0;
		for (unsigned bit = 0; bit < 8u * (4 + 8 + 82 - 12); bit++) {
			for (unsigned i = 0; i < 5; i++)
				segment_say(&seed, &s, i, 5, false);
			size_t third = INNER_HEADER + 2 * s.bundle_len / 5;
			bundle_say(&s);
			acts[s.bundled ? n_acts - 1 : n_acts - 3].plain[(s.bundled ? third : 0) + bit / 8] ^= (uint8_t)(1u << bit % 8);
			act(TURN, 0);
		}
		play(&checked, true);
		play(&taken, false);
		kin += taken.kin;
		taken.kin = 0;
		assert_memory_equal(&checked, &taken, sizeof(checked));
	}
	assert_true(kin > 8 * 600 * 2);
}

/* A right header sum of 0 that is written as the other zero: the kernel would not write it so, whatever place in the run it has. */
static void sum_of_ones(void **state)
{
	(void)state;
	static struct outcome checked, taken;
	for (unsigned odd = 0; odd < 6; odd++) {
		struct stream s = {.size = 200, .partial = true, .hinted = true, .id = 9, .all = plain_recipe(false, false, 5 * 200)};
		struct recipe r = recipe_segment(&s.all, s.size, odd);
		uint64_t seed = 1;
		recipe_frame(&r, true, whole);
		s.all.id = (uint16_t)(fold16((uint32_t)r.id + be16_at(whole + 24)) - odd); /* what was its sum goes into the id */
		n_acts = 0;
		for (unsigned i = 0; i < 5; i++)
			segment_say(&seed, &s, i, 5, false);
		if (odd < 5) {
			uint8_t *sum = acts[odd].plain + INNER_HEADER + 8 + 2 + 10;
			assert_int_equal(be16_at(sum), 0);
			memset(sum, 0xff, 2);
		}
		act(TURN, 0);
		play(&checked, true);
		play(&taken, false);
		assert_true(taken.kin > 0);
		assert_int_equal(taken.written == 1, odd == 5);
		taken.kin = 0;
		assert_memory_equal(&checked, &taken, sizeof(checked));
	}
}

static int setup(void **state)
{
	(void)state;
	static int fd;
	char name[MIRROR_NAME_MAX];
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	snprintf(name, sizeof(name), "%skin-%d", MIRROR_NAME, (int)getpid());
	memcpy(here.sun_path + 1, name, strlen(name));
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_true(fd >= 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0);
	assert_int_equal(mirrors_next(NULL, name, &watchers), 0);
	owns.ip[1].family = 6;
	for (unsigned i = 8; i < 24; i++)
		owns.ip[1].ip[i - 8] = (uint8_t)(i * 11);
	assert_true(ethertypes_add(&no_ip4, 0x86dd) && ethertypes_add(&no_ip4, 0x0806));
	*state = &fd;
	return 0;
}

static int teardown(void **state)
{
	mirrors_free(watchers);
	close(*(int *)*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_outcome),
	    cmocka_unit_test(each_bit),
	    cmocka_unit_test(sum_of_ones),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, setup, teardown);
}
