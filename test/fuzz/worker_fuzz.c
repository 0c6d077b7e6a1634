/* worker_fuzz.c: one worker between a member that seals anything and a device that gives anything.
 *
 * The input is a row of acts: a plaintext from the member, a frame with its offload from the device, a turn. Plaintexts are sealed here,
 * so they come past the AEAD to what believes their flags, bundles and pieces; some are mended first (a channel, MACs, sums), or hardly
 * one would. What is written must be what its offload says, read by a parser of its own; what dies is counted.
 * The second byte makes us or the member a bridge or a replicator, gives us an interface beside the device, lists of a group, a port that is shut, a
 * loop to suspect. A second member only listens: what it or the first is sent must open, and a copy must name whose frame it is.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "node/audience.h"
#include "node/encap.h"
#include "node/fdb.h"
#include "node/layout.h"
#include "node/session.h"
#include "node/udp.h"
#include "node/view.h"
#include "node/worker.h"
#include "tap/tap.h"
#include "test/unit/offload_lie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())
#define NWID       0x1122334455667788u
#define CHAN       5
#define OWN        0x1100000001u
#define PEER       0x1100000002u
#define THIRD      0x1100000003u
#define ACT        8 /* bytes: what, its length (LE), offload or mending */

enum {
	WE_BRIDGE = 1,
	IT_BRIDGE = 2,
	WE_COPY = 4,
	IT_COPIES = 8,
	TWO_DEVICES = 16, /* a bridge's */
	LISTS = 32,
	SHUT = 64,
	SUSPECT = 128,
};

struct bytes {
	uint8_t *at;
	uint32_t len;
	struct offload offload;
};
struct udp {
	struct bytes in[BATCH_MAX], lent[BATCH_MAX];
	unsigned n;
	bool reflect; /* the member says what it is told */
	uint8_t spoil;
};
struct tap {
	struct bytes in[BATCH_MAX];
	unsigned n, offloads;
	uint64_t frames, segments; /* written */
};

static struct udp udp;
static struct tap tap, nic;
static unsigned mode;
static struct guestbook book;
static struct worker *worker;
static struct remote remote, remote3;
static struct member member, third;
static struct audiences *lists;
static struct port port;
static struct session *own, *peer, *own3, *peer3;
static struct way way = {.to = {.family = 4, .port = 9, .ip = {10, 0, 0, 9}}, .datagram = 1472};
static uint64_t now_us = 1000000000;

/* ---- around the worker ------------------------------------------------------------------------------------------ */

unsigned udp_sockets(const struct udp *u)
{
	(void)u;
	return 0;
}

int udp_fd(const struct udp *u, unsigned socket, unsigned number)
{
	(void)u, (void)socket, (void)number;
	return -1;
}

unsigned udp_recv(struct udp *u, unsigned number, uint32_t *look, struct packet *p, unsigned n)
{
	(void)number;
	*look = 0;
	require(n == BATCH_MAX);
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		free(u->lent[i].at);
		u->lent[i].at = NULL;
	}
	for (unsigned i = 0; i < u->n; i++) {
		u->lent[i] = u->in[i];
		p[i] = (struct packet){.data = u->in[i].at, .len = u->in[i].len, .room = u->in[i].len, .from = way.to};
	}
	n = u->n;
	u->n = 0;
	return n;
}

static void from_member(const uint8_t *plain, size_t len, uint8_t how);

static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 5};

/* What is sent opens at its receiver and names whose it is. */
static uint8_t *opened(const struct packet *sent, bool *ret_first, uint32_t *ret_len)
{
	static uint8_t copy[DATAGRAM_MAX];
	struct arrived arrived[BUNDLE_MAX];
	struct noted noted;
	struct packet p = {.data = copy, .len = sent->len, .room = sent->len, .idx = le32_at(sent->data)};
	unsigned n = 0;
	*ret_first = (p.idx & IDX_MASK) == own->peer_idx;
	require(*ret_first || (p.idx & IDX_MASK) == own3->peer_idx);
	struct session *at = *ret_first ? peer : peer3;
	memcpy(copy, sent->data, sent->len);
	p.pn = seal_unmask(&at->rx, copy, p.len);
	open_batch(&at->rx, &p, 1);
	require(p.verdict == DROP_NONE && p.len >= INNER_HEADER);
	if (p.data[0] != INNER_FRAG) {
		require(decap_split(p.data, p.len, arrived, &n) == DROP_NONE && n);
		require(decap_note(&arrived[0], &noted) == DROP_NONE);
		require(!noted.replicate || (*ret_first && mode & IT_COPIES && mode & LISTS));
		require(!noted.origin || (mode & WE_COPY && noted.origin == (*ret_first ? THIRD : PEER)));
	}
	*ret_len = p.len;
	return p.data;
}

/* It goes back as the member's own, for our channel. */
static void reflect(struct udp *u, uint8_t *plain, uint32_t len)
{
	if (u->spoil && len % 5 == 0)
		plain[u->spoil % len] ^= (uint8_t)(1u << len % 8);
	le16_to(plain + 2, CHAN);
	from_member(plain, len, 0);
}

void udp_send(struct udp *u, unsigned number, struct packet *p, unsigned n)
{
	(void)number;
	require(n >= 1 && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		require(p[i].verdict != DROP_NONE || (p[i].len > DATA_OVERHEAD && p[i].len <= way.datagram));
		bool first;
		uint32_t len;
		uint8_t *plain = p[i].verdict == DROP_NONE ? opened(&p[i], &first, &len) : NULL;
		if (plain && first && u->reflect && u->n < BATCH_MAX)
			reflect(u, plain, len);
		if (p[i].len % 64 == 7)
			p[i].verdict = DROP_SEND;
	}
}

int tap_fd(const struct tap *t, unsigned queue)
{
	(void)t, (void)queue;
	return -1;
}

unsigned tap_offloads(const struct tap *t)
{
	return t->offloads;
}

int tap_read(struct tap *t, unsigned queue, struct slab *slab, struct packet *p, unsigned n)
{
	unsigned got = 0;
	(void)queue;
	for (; got < t->n && got < n && slab->room >= TAP_SLAB_MIN; got++) {
		const struct bytes *b = &t->in[got];
		uint32_t room = (b->len + 15) & ~15u;
		memcpy(slab->at, b->at, b->len);
		p[got] = (struct packet){.data = slab->at, .len = b->len, .room = b->len, .offload = b->offload};
		slab->at += room;
		slab->room -= room;
		free(b->at);
	}
	t->n -= got;
	memmove(t->in, t->in + got, t->n * sizeof(t->in[0]));
	return (int)got;
}

void tap_write(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	static uint8_t flat[2 * SUPERFRAME_MAX];
	(void)queue;
	for (unsigned i = 0, next; i < n; i = next) {
		const struct offload *o = &p[i].offload;
		size_t len = 0;
		next = i + 1 + p[i].tails;
		require(next <= n && p[i].tails <= TAP_TAILS_MAX && p[i].verdict == DROP_NONE);
		for (unsigned k = i; k < next; k++) {
			require(len + p[k].len <= sizeof(flat));
			memcpy(flat + len, p[k].data, p[k].len);
			len += p[k].len;
		}
		/* From one device to the other it stays as it is. */
		bool two = atomic_load(&port.nic);
		require(!p[i].tails == !o->gso || (two && !p[i].tails));
		require(!o->csum || t->offloads & TAP_CSUM);
		require(!o->gso || t->offloads & (o->gso == GSO_UDP ? TAP_USO : TAP_TSO));
		require(two || !offload_lie(flat, len, p[i].len, o));
		require(len >= 14 && !(flat[6] & 1) && (t == &nic || memcmp(flat + 6, port.mac, 6) != 0));
		require(mode & WE_BRIDGE || !memcmp(flat, port.mac, 6) || flat[0] & 1);
		require(two || mode & IT_BRIDGE || !memcmp(flat + 6, member.mac, 6) ||
		        (mode & IT_COPIES && !memcmp(flat + 6, third.mac, 6)));
		require(!(mode & SHUT) || (two && t == &tap));
		t->frames++;
		t->segments += 1u + p[i].tails;
	}
}

static struct session *session_of(bool ours, struct remote *of, uint32_t more)
{
	struct session_keys k;
	memset(k.send, ours ? 1 : 2, 32);
	memset(k.receive, ours ? 2 : 1, 32);
	memset(k.exporter, 3, 32);
	struct session *s = session_new(CLASS_DATA, ours, SUITE_CHACHA20_POLY1305, &k, more + (ours ? 0x100 : 0x200),
	                                more + (ours ? 0x200 : 0x100), 4, 4, of, 1, now_us / 1000);
	require(s);
	s->reject_ms = UINT64_MAX;
	atomic_store(&s->confirmed, true);
	return s;
}

static void member_make(struct member *m, struct remote *of, struct session *s, uint64_t address)
{
	m->remote = of;
	m->address = of->address = address;
	mac_derive(NWID, address, m->mac);
	atomic_store(&m->tx_chan, 8);
	atomic_store(&m->rx_open, true);
	atomic_store(&of->member[CHAN - 1], m);
	atomic_store(&of->session, s);
	atomic_store(&of->way, &way);
}

static void lists_make(void)
{
	require((lists = audiences_new(1, 5)));
	struct member **list = audiences_add(lists, group, 2, true, 0);
	list[0] = &member;
	list[1] = &third;
	require(audiences_takers(lists, 0, false));
	audiences_unknown(lists, 1)[0] = &third;
	lists->n_replicators = 1;
	lists->replicator[0] = &member;
}

static void once(void)
{
	if (worker)
		return;
	struct roster *roster = calloc(1, sizeof(*roster) + 2 * sizeof(roster->member[0]));
	struct view *v = calloc(1, sizeof(*v));
	require(seal_setup() == 0 && roster && v);
	own = session_of(true, &remote, 0);
	peer = session_of(false, NULL, 0);
	own3 = session_of(true, &remote3, 0x400);
	peer3 = session_of(false, NULL, 0x400);
	port = (struct port){.nwid = NWID, .chan = CHAN, .address = OWN};
	mac_derive(NWID, OWN, port.mac);
	atomic_store(&port.tap, &tap);
	atomic_store(&port.mtu, 9000);
	atomic_store(&port.open, true);
	require((port.fdb = fdb_new()));
	member_make(&member, &remote, own, PEER);
	member_make(&third, &remote3, own3, THIRD);
	lists_make();
	roster->member[roster->n++] = &member;
	roster->member[roster->n++] = &third;
	atomic_store(&port.roster, roster);
	require((v->index = index_new(16)) && index_put(v->index, &own->named));
	v->ports_generation = 1;
	v->ports[CHAN - 1] = &port;
	guestbook_init(&book, 1);
	guestbook_publish(&book, v);
	require((worker = worker_new(0, &book, &udp, eventfd(0, EFD_NONBLOCK))));
}

/* ---- acts ------------------------------------------------------------------------------------------------------- */

/* Sums and lengths that its parser would believe, by the code under test: what is proven of the frame does not come from here. */
static void mend(uint8_t *frame, size_t len, struct offload *o, bool partial)
{
	struct layout l;
	if (len < 54)
		return;
	bool v6 = frame[14] & 0x20;
	memcpy(frame + 12, v6 ? "\x86\xdd" : "\x08\0", 2);
	frame[14] = v6 ? 0x60 : 0x45;
	size_t l4 = v6 ? 54 : 34;
	uint8_t *protocol = frame + (v6 ? 20 : 23);
	*protocol = *protocol & 1 ? IP_TCP : IP_UDP;
	be16_to(frame + (v6 ? 18 : 16), (uint32_t)(len - (v6 ? 54 : 14)));
	if (!v6)
		frame[20] &= 0x40, frame[21] = 0;
	if (len < l4 + 20)
		return;
	if (*protocol == IP_UDP)
		be16_to(frame + l4 + 4, (uint32_t)(len - l4));
	else
		frame[l4 + 12] = 0x50;
	if (!layout_of(frame, len, &l))
		return;
	layout_ip_csum(frame, &l);
	word_to(frame + l4 + layout_csum_offset(&l), layout_pseudo(frame, &l, l.end - l.l4));
	if (partial) {
		o->csum = true;
		o->csum_start = l.l4;
		o->csum_offset = layout_csum_offset(&l);
	} else {
		layout_complete(frame, &l);
	}
	if (o->gso)
		o->gso = (uint8_t)(l.protocol == IP_UDP ? GSO_UDP : v6 ? GSO_TCP6 : GSO_TCP4);
}

static void mend_plain(uint8_t *plain, size_t len, uint8_t how)
{
	if (len < INNER_HEADER)
		return;
	le16_to(plain + 2, how & 1 ? CHAN : le16_at(plain + 2) % 8);
	if (how & 2)
		plain[0] = 1 + (plain[0] & 3);
	uint8_t frame[2048], flags = plain[1] & FRAME_FLAGS;
	size_t at = INNER_HEADER + (flags & FRAME_CSUM ? 4u : 0) + (flags & FRAME_SEG ? 4u : 0);
	if (plain[0] == INNER_EFRAME && len >= at + 12 && how & 4)
		memcpy(plain + at + 6, member.mac, 6);
	if (plain[0] != INNER_FRAME || !(how & 4) || len < at || len - at + 12 > sizeof(frame))
		return;
	struct offload o = {0};
	size_t bytes = len - at + 12;
	memcpy(frame, port.mac, 6);
	memcpy(frame + 6, member.mac, 6);
	memcpy(frame + 12, plain + at, len - at);
	mend(frame, bytes, &o, flags & FRAME_CSUM);
	memcpy(plain + at, frame + 12, len - at);
	if (o.csum) {
		le16_to(plain + INNER_HEADER, o.csum_start);
		le16_to(plain + INNER_HEADER + 2, o.csum_offset);
	}
}

/* A frame for others, or one that is of others. */
static void mend_note(uint8_t *plain, size_t len, uint8_t how)
{
	struct note note = note_replicated(THIRD);
	if (len < INNER_HEADER + 10u + 12)
		return;
	if (how & 8)
		note = note_replicate(le16_at(plain + 4) * PEER, how & 16 ? le16_at(plain + 4) * PEER : THIRD);
	plain[0] = INNER_EFRAME;
	plain[1] = note.flag;
	le16_to(plain + 2, CHAN);
	memcpy(plain + INNER_HEADER, note.bytes, note.len);
	memcpy(plain + INNER_HEADER + note.len, how & 32 ? group : (const uint8_t *)"\xff\xff\xff\xff\xff\xff", 6);
	memcpy(plain + INNER_HEADER + note.len + 6, how & 8 ? member.mac : third.mac, 6);
}

static void turns(void)
{
	while (udp.n || tap.n || nic.n)
		worker_turn(worker, now_us);
	for (struct letter *l; (l = mail_take(worker_mail(worker)));)
		mail_done(worker_mail(worker), l);
}

static void from_member(const uint8_t *plain, size_t len, uint8_t how)
{
	uint64_t pn;
	struct bytes *b = &udp.in[udp.n++];
	*b = (struct bytes){.at = malloc(DATA_HEADER + len + DATA_TAG), .len = (uint32_t)(DATA_HEADER + len + DATA_TAG)};
	require(b->at && session_take(peer, how >> 6, 1, &pn));
	memcpy(b->at + DATA_HEADER, plain, len);
	if (how & 24)
		mend_note(b->at + DATA_HEADER, len, how);
	else if (how)
		mend_plain(b->at + DATA_HEADER, len, how);
	struct packet p = {.data = b->at, .len = (uint32_t)(DATA_HEADER + len), .room = b->len};
	seal_batch(&peer->tx, peer->peer_idx | how >> 6, pn, &p, 1);
	require(p.len == b->len);
}

static void from_device(const uint8_t *frame, size_t len, const uint8_t *act)
{
	/* A short input may be a long frame: its bytes over and over. */
	size_t bytes = act[0] & 0x10 ? len * (1u + act[7]) : len;
	struct tap *t = act[0] & 0x80 && atomic_load(&port.nic) ? &nic : &tap;
	struct bytes *b = &t->in[t->n++];
	if (bytes > SUPERFRAME_MAX)
		bytes = SUPERFRAME_MAX;
	*b = (struct bytes){.at = malloc(bytes ? bytes : 1), .len = (uint32_t)bytes};
	require(b->at);
	for (size_t i = 0; i < bytes; i++)
		b->at[i] = frame[i % len];
	struct offload o = {.gso = act[3] & 3, .csum = act[3] & 4 || act[3] & 3, .size = le16_at(act + 4), .csum_start = act[6]};
	o.csum_offset = act[3] & 8 ? 16 : 6;
	if (act[0] & 0x20 && bytes >= 14) {
		memcpy(b->at, act[0] & 0x40 ? group : member.mac, 6);
		memcpy(b->at + 6, port.mac, 6);
		mend(b->at, bytes, &o, o.csum);
	}
	if (o.gso && o.size < 16) /* 65 535 of one byte each are for another test */
		o.size = (uint16_t)(o.size + 16);
	/* What no device says: tap/vnet.c is in front of it. */
	if (o.csum && (o.csum_start < 14 || (uint32_t)o.csum_start + o.csum_offset + 2u > bytes || (o.gso && o.csum_start + 20u > bytes)))
		o = (struct offload){0};
	b->offload = o;
}

static void mode_set(unsigned to)
{
	if (!(to & WE_BRIDGE))
		to &= ~(unsigned)(TWO_DEVICES | SHUT | SUSPECT);
	mode = to;
	atomic_store(&port.own_flags, (to & WE_BRIDGE ? MEMBER_BRIDGE : 0) | (to & WE_COPY ? MEMBER_REPLICATOR : 0));
	atomic_store(&member.flags, (to & IT_BRIDGE ? MEMBER_BRIDGE : 0) | (to & IT_COPIES ? MEMBER_REPLICATOR : 0));
	lists->n_replicators = to & IT_COPIES ? 1 : 0;
	atomic_store(&port.audiences, to & LISTS ? lists : NULL);
	atomic_store(&port.mcast_limit, 1);
	atomic_store(&port.nic, to & TWO_DEVICES ? &nic : NULL);
	atomic_store(&port.blocked, to & SHUT);
	atomic_store(&port.suspect_ms, to & SUSPECT ? now_us / 1000 + 500 : 0);
	fdb_clear(port.fdb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned may[] = {TAP_ALL, TAP_CSUM | TAP_TSO, TAP_CSUM, 0};
	static const uint16_t ways[] = {1472, 1232, 300, 8972};
	once();
	if (size < 2)
		return 0;
	tap.offloads = may[data[0] & 3];
	nic.offloads = may[data[1] & 3];
	way.datagram = ways[data[0] >> 2 & 3];
	own->peer_caps = own3->peer_caps = data[0] >> 4 & 1 ? CAP_REPLICATE : CAP_REPLICATE | CAP_SEG | CAP_BUNDLE;
	atomic_store(&member.rx_open, (data[0] & 0x60) != 0x60);
	udp.reflect = data[0] & 0x80;
	udp.spoil = data[0] & 0x40 ? (uint8_t)size : 0;
	now_us += 1000000; /* pieces that wait from input to input would make it unrepeatable */
	mode_set(data[1]);
	worker_turn(worker, now_us);
	for (data += 2, size -= 2; size >= ACT;) {
		const uint8_t *act = data;
		size_t len = le16_at(act + 1);
		data += ACT;
		size -= ACT;
		len = len < size ? len : size;
		if ((act[0] & 3) == 3 || udp.n == BATCH_MAX || tap.n == BATCH_MAX || nic.n == BATCH_MAX)
			turns();
		if ((act[0] & 3) < 2 && len >= INNER_HEADER)
			from_member(data, len, act[3]);
		else if ((act[0] & 3) == 2 && len)
			from_device(data, len, act);
		data += len;
		size -= len;
	}
	turns();
	return 0;
}
