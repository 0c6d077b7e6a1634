/* worker_fuzz.c: one worker between a member that seals anything and a device that gives anything.
 *
 * The input is a row of acts: a plaintext from the member, a frame with its offload from the device, a turn. Plaintexts are sealed here,
 * so they come past the AEAD to what believes their flags, bundles and pieces; some are mended first (a channel, MACs, sums), or hardly
 * one would. What is written must be what its offload says, read by a parser of its own; what dies is counted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

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
#define ACT        8 /* bytes: what, its length (LE), offload or mending */

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
static struct tap tap;
static struct guestbook book;
static struct worker *worker;
static struct remote remote;
static struct member member;
static struct port port;
static struct session *own, *peer;
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

unsigned udp_recv(struct udp *u, unsigned number, struct packet *p, unsigned n)
{
	(void)number;
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

/* What the worker sealed must open, and goes back as the member's own, for our channel. */
static void reflect(struct udp *u, const struct packet *sent)
{
	static uint8_t copy[DATAGRAM_MAX];
	struct packet p = {.data = copy, .len = sent->len, .room = sent->len, .idx = le32_at(sent->data)};
	memcpy(copy, sent->data, sent->len);
	p.pn = seal_unmask(&peer->rx, copy, p.len);
	open_batch(&peer->rx, &p, 1);
	require(p.verdict == DROP_NONE && p.len >= INNER_HEADER);
	if (u->spoil && sent->len % 5 == 0)
		p.data[u->spoil % p.len] ^= (uint8_t)(1u << sent->len % 8);
	le16_to(p.data + 2, CHAN);
	from_member(p.data, p.len, 0);
}

void udp_send(struct udp *u, unsigned number, struct packet *p, unsigned n)
{
	(void)number;
	require(n >= 1 && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		require(p[i].verdict != DROP_NONE || (p[i].len > DATA_OVERHEAD && p[i].len <= way.datagram));
		if (p[i].verdict == DROP_NONE && u->reflect && u->n < BATCH_MAX)
			reflect(u, &p[i]);
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
		require(!p[i].tails == !o->gso);
		require(!o->csum || t->offloads & TAP_CSUM);
		require(!o->gso || t->offloads & (o->gso == GSO_UDP ? TAP_USO : TAP_TSO));
		require(!offload_lie(flat, len, p[i].len, o));
		require(len >= 14 && (!memcmp(flat, port.mac, 6) || flat[0] & 1) && !memcmp(flat + 6, member.mac, 6));
		t->frames++;
		t->segments += 1u + p[i].tails;
	}
}

static struct session *session_of(bool ours)
{
	struct session_keys k;
	memset(k.send, ours ? 1 : 2, 32);
	memset(k.receive, ours ? 2 : 1, 32);
	memset(k.exporter, 3, 32);
	struct session *s = session_new(CLASS_DATA, ours, SUITE_CHACHA20_POLY1305, &k, ours ? 0x100 : 0x200, ours ? 0x200 : 0x100, 4, 4,
	                                ours ? &remote : NULL, 1, now_us / 1000);
	require(s);
	s->reject_ms = UINT64_MAX;
	atomic_store(&s->confirmed, true);
	return s;
}

static void once(void)
{
	if (worker)
		return;
	struct roster *roster = calloc(1, sizeof(*roster) + sizeof(roster->member[0]));
	struct view *v = calloc(1, sizeof(*v));
	require(seal_setup() == 0 && roster && v);
	own = session_of(true);
	peer = session_of(false);
	own->peer_caps = CAP_SEG | CAP_BUNDLE;
	port = (struct port){.nwid = NWID, .chan = CHAN, .address = OWN};
	mac_derive(NWID, OWN, port.mac);
	atomic_store(&port.tap, &tap);
	atomic_store(&port.mtu, 9000);
	atomic_store(&port.open, true);
	require((port.fdb = fdb_new()));
	member.remote = &remote;
	member.address = remote.address = PEER;
	mac_derive(NWID, PEER, member.mac);
	atomic_store(&member.tx_chan, 8);
	atomic_store(&member.rx_open, true);
	atomic_store(&remote.member[CHAN - 1], &member);
	atomic_store(&remote.session, own);
	atomic_store(&remote.way, &way);
	roster->member[roster->n++] = &member;
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

static void turns(void)
{
	while (udp.n || tap.n)
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
	if (how)
		mend_plain(b->at + DATA_HEADER, len, how);
	struct packet p = {.data = b->at, .len = (uint32_t)(DATA_HEADER + len), .room = b->len};
	seal_batch(&peer->tx, peer->peer_idx | how >> 6, pn, &p, 1);
	require(p.len == b->len);
}

static void from_device(const uint8_t *frame, size_t len, const uint8_t *act)
{
	/* A short input may be a long frame: its bytes over and over. */
	size_t bytes = act[0] & 0x10 ? len * (1u + act[7]) : len;
	struct bytes *b = &tap.in[tap.n++];
	if (bytes > SUPERFRAME_MAX)
		bytes = SUPERFRAME_MAX;
	*b = (struct bytes){.at = malloc(bytes ? bytes : 1), .len = (uint32_t)bytes};
	require(b->at);
	for (size_t i = 0; i < bytes; i++)
		b->at[i] = frame[i % len];
	struct offload o = {.gso = act[3] & 3, .csum = act[3] & 4 || act[3] & 3, .size = le16_at(act + 4), .csum_start = act[6]};
	o.csum_offset = act[3] & 8 ? 16 : 6;
	if (act[0] & 0x20 && bytes >= 14) {
		memcpy(b->at, act[0] & 0x40 ? (const uint8_t *)"\1\0\x5e\0\0\5" : member.mac, 6);
		memcpy(b->at + 6, port.mac, 6);
		mend(b->at, bytes, &o, o.csum);
	}
	if (o.gso && o.size < 16) /* 65 535 of one byte each are for another test */
		o.size = (uint16_t)(o.size + 16);
	b->offload = o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned may[] = {TAP_ALL, TAP_CSUM | TAP_TSO, TAP_CSUM, 0};
	static const uint16_t ways[] = {1472, 1232, 300, 8972};
	once();
	if (size < 1)
		return 0;
	tap.offloads = may[data[0] & 3];
	way.datagram = ways[data[0] >> 2 & 3];
	own->peer_caps = data[0] >> 4 & 1 ? 0 : CAP_SEG | CAP_BUNDLE;
	atomic_store(&member.rx_open, (data[0] & 0x60) != 0x60);
	udp.reflect = data[0] & 0x80;
	udp.spoil = data[0] & 0x40 ? (uint8_t)size : 0;
	now_us += 1000000; /* pieces that wait from input to input would make it unrepeatable */
	worker_turn(worker, now_us);
	for (data++, size--; size >= ACT;) {
		const uint8_t *act = data;
		size_t len = le16_at(act + 1);
		data += ACT;
		size -= ACT;
		len = len < size ? len : size;
		if ((act[0] & 3) == 3 || udp.n == BATCH_MAX || tap.n == BATCH_MAX)
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
