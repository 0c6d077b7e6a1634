/* deliver.c: frames that came out of their packets, to this node's devices.
 *
 * 1 unwrap  in place where they can be
 * 2 check   hard checks, MACs behind bridges, what the network allows; a frame with a note is another member's, or ours to copy
 * 3 write   per port: what was one superframe, or could have been, is joined again, then tap_write on this worker's queue
 *
 * Of what is alike (kin.h) only the first takes the steps 1 and 2. What passes waits in up[] for the end of the batch. Frames there have
 * verdicts of their own, since a bundle brings several.
 */
#include <string.h>

#include "node/audience.h"
#include "node/encap.h"
#include "node/fdb.h"
#include "node/loopguard.h"
#include "node/police.h"
#include "node/worker_parts.h"
#include "tap/mirror.h"
#include "tap/tap.h"

enum { ALONE, BUNDLED }; /* w->kin */
#define KIN_REST                                                                                                                           \
	8 /* of as many likely beginnings one, while none is kin: many flows of frames equally long cost a sixteenth more, not a sixth */

#define IN_FRONT 16 /* what an unwrapped frame may need in front of its inner header, and more */

/* ---- 3 write ---------------------------------------------------------------------------------------------------- */

static void tally(struct worker *w, const struct member *m, uint64_t frames, uint64_t bytes)
{
	struct traffic *t = m ? atomic_load(&m->traffic) : NULL;
	if (t && frames)
		traffic_in(&t[w->number], frames, bytes);
}

/* What the device took, for the port and for those it came by, most often one. */
static void count_in(struct worker *w, struct port *port, const struct packet *p, unsigned n)
{
	uint64_t frames = 0, bytes = 0, frames_before = 0, bytes_before = 0;
	const struct member *by = n ? p->session : NULL;
	for (unsigned i = 0; i < n; i++) {
		if (p[i].session != by) {
			tally(w, by, frames - frames_before, bytes - bytes_before);
			by = p[i].session;
			frames_before = frames;
			bytes_before = bytes;
		}
		if (p[i].verdict != DROP_NONE)
			continue;
		frames++;
		bytes += p[i].len + p[i].tails * (p[i].len - p[i].offload.size); /* tails left their headers behind, as long as its own */
	}
	tally(w, by, frames - frames_before, bytes - bytes_before);
	traffic_in(&port->count[w->number].carried, frames, bytes);
}

static void write_device(struct worker *w, struct port *port, struct tap *tap, struct packet *p, unsigned n, bool join)
{
	if (!n)
		return;
	if (!tap) { /* taken away within this turn */
		worker_count_port(w, port, DROP_TAP_WRITE, n);
		return;
	}
	unsigned may = tap_offloads(tap);
	for (unsigned i = 0; i < n && !(may & TAP_CSUM); i++)
		offload_complete(p[i].data, p[i].len, &p[i].offload);
	if (join)
		join_batch(p, n, may);
	tap_write(tap, w->number, p, n);
	w->look_port[0] |= 1ull << (port->chan - 1); /* what the host answers at once lies there by now */
	count_in(w, port, p, n);
	worker_count_frames(w, port, p, n);
}

/* For whom on our side: what is not the host's own is its interface's if there is one, and what is for many is for both. */
enum aim { AIM_HOST, AIM_NIC, AIM_BOTH };

static enum aim aim_of(const struct port *port, const struct packet *p)
{
	return p->data[0] & 1 ? AIM_BOTH : !memcmp(p->data, port->mac, 6) ? AIM_HOST : AIM_NIC;
}

static unsigned pick(struct worker *w, struct port *port, unsigned first, enum aim aim)
{
	unsigned n = 0;
	for (unsigned i = first; i < w->n_up; i++)
		if (w->up[i].port == port && aim_of(port, &w->up[i]) == aim)
			w->port_up[n++] = w->up[i];
	return n;
}

/* Host and interface are two devices of one network. What is for both is written twice, so it is not joined: that changes headers. */
static void write_both(struct worker *w, struct port *port, struct tap *tap, struct tap *nic, unsigned first)
{
	struct packet *p = w->port_up;
	bool shut = atomic_load_explicit(&port->blocked, memory_order_relaxed);
	write_device(w, port, tap, p, pick(w, port, first, AIM_HOST), true);
	unsigned n = pick(w, port, first, AIM_NIC);
	if (shut)
		worker_count_port(w, port, DROP_BLOCKED, n);
	else
		write_device(w, port, nic, p, n, true);
	n = pick(w, port, first, AIM_BOTH);
	write_device(w, port, tap, p, n, false);
	for (unsigned i = 0; i < n; i++) /* what the one refused the other may take */
		p[i].verdict = DROP_NONE;
	if (!shut) {
		tap_write(nic, w->number, p, n);
		worker_count_frames(w, port, p, n);
	}
	for (unsigned i = first; i < w->n_up; i++)
		if (w->up[i].port == port)
			w->up[i].port = NULL;
}

static void write_port(struct worker *w, struct port *port, unsigned first)
{
	struct tap *tap = atomic_load(&port->tap), *nic = atomic_load(&port->nic);
	unsigned n = first;
	if (nic) {
		write_both(w, port, tap, nic, first);
		return;
	}
	while (n < w->n_up && w->up[n].port == port)
		n++;
	if (n == w->n_up) { /* most often all are of one port: they stay where they are */
		w->n_up = first;
		write_device(w, port, tap, &w->up[first], n - first, true);
		return;
	}
	n = 0;
	for (unsigned i = first; i < w->n_up; i++)
		if (w->up[i].port == port) {
			w->port_up[n++] = w->up[i];
			w->up[i].port = NULL;
		}
	write_device(w, port, tap, w->port_up, n, true);
}

void deliver_end(struct worker *w)
{
	for (unsigned i = 0; i < w->n_up; i++)
		if (w->up[i].port)
			write_port(w, w->up[i].port, i);
	w->n_up = 0;
	w->up_used = 0;
	w->kin[ALONE].session = w->kin[BUNDLED].session = NULL;
	w->kins = 0;
}

/* ---- 2 check ---------------------------------------------------------------------------------------------------- */

/* Another member's own MAC: no honest bridge passes that on (route.c). */
static bool feigned(const struct port *port, const struct member *m, const uint8_t mac[6])
{
	uint64_t address;
	const struct roster *roster = atomic_load(&port->roster);
	return memcmp(mac, m->mac, 6) != 0 && port_address(port, mac, &address) && roster && roster_find(roster, address);
}

/* The last checks, which need this node's own tables: what the loop guard shut, and where a bridge's MACs were last seen. */
static enum drop source_check(struct worker *w, struct port *port, const struct member *m, const struct packet *p)
{
	const uint8_t *mac = p->data + 6;
	if (atomic_load_explicit(&port->blocked, memory_order_relaxed) && !atomic_load(&port->nic))
		return DROP_BLOCKED;
	if (p->data[0] & 1 && loopguard_frame(p->data, p->len)) /* probes are for one LAN */
		return DROP_LOOP;
	if (loopguard_echo(w, port, p->data, p->len) != DROP_NONE)
		return DROP_LOOP;
	if (!memcmp(mac, m->mac, 6) || !(atomic_load(&m->flags) & MEMBER_BRIDGE))
		return DROP_NONE;
	return source_see(w, port, m->address, p->data, p->len);
}

/* A unicast to neither us nor anything known here: its sender flooded it. */
static bool unknown_here(struct worker *w, const struct port *port, const struct packet *p)
{
	uint64_t address;
	if (p->data[0] & 1 || !memcmp(p->data, port->mac, 6))
		return false;
	return !fdb_lookup(port->fdb, frame_vlan(p->data, p->len), p->data, w->now_ms, &address) || address != port->address;
}

/* Memory for a frame that cannot be unwrapped where it arrived, and a place in up[] as well: a write after this would give the memory away. */
static uint8_t *up_room(struct worker *w, size_t bytes)
{
	if (w->up_used + bytes > UP_SLAB || w->n_up == JOIN_MAX)
		deliver_end(w);
	uint8_t *room = w->up_slab + w->up_used;
	w->up_used += (uint32_t)((bytes + 15) & ~15u);
	return room;
}

/* Whose frame it is: the session's own peer, or the member that a replicator names. */
static enum drop origin_of(const struct port *port, struct member *m, const struct noted *noted, struct member **ret)
{
	if (!noted->origin) {
		*ret = m;
		return DROP_NONE;
	}
	const struct roster *roster = atomic_load(&port->roster);
	struct member *origin = roster ? roster_find(roster, noted->origin) : NULL;
	if (!(atomic_load(&m->flags) & MEMBER_REPLICATOR) || !origin || origin->address == port->address)
		return DROP_REPLICATE;
	*ret = origin;
	return DROP_NONE;
}

/* Everything a frame must pass before it is the device's. One to be copied goes to others first, whatever our own LAN is like. */
static enum drop check(struct worker *w, struct port *port, struct member *from, const struct packet *up, const struct noted *noted)
{
	enum drop verdict = admit_frame(port, from, up->data, up->len);
	if (verdict == DROP_NONE && feigned(port, from, up->data + 6))
		verdict = DROP_SOURCE_MAC;
	if (verdict == DROP_NONE && (noted->origin || noted->replicate) && !(up->data[0] & 1))
		verdict = DROP_REPLICATE;
	if (verdict == DROP_NONE && noted->replicate && !(atomic_load(&port->own_flags) & MEMBER_REPLICATOR))
		verdict = DROP_REPLICATE;
	if (verdict == DROP_NONE && !noted->replicate)
		verdict = source_check(w, port, from, up);
	if (verdict == DROP_NONE)
		verdict = police_in(port, from, up->data, up->len, unknown_here(w, port, up), w->now_us);
	return verdict;
}

/* Is a frame that was copied for others ours as well? */
static bool replica_ours(const struct port *port, const struct noted *noted, const struct packet *up)
{
	return stretch_holds(noted->from, noted->to, port->address) && audience_own(atomic_load(&port->audiences), up->data);
}

static enum drop deliver_arrived(struct worker *w, struct arrived *a, struct port *port, struct member *m, uint8_t *out)
{
	if (w->n_up == JOIN_MAX)
		deliver_end(w);
	struct packet *up = &w->up[w->n_up];
	struct noted noted;
	struct member *from = m;
	up->verdict = DROP_NONE; /* the rest is decap_frame's, or nobody's */
	up->port = port;
	up->session = m;
	enum drop verdict = decap_note(a, &noted);
	if (verdict == DROP_NONE)
		verdict = origin_of(port, m, &noted, &from);
	if (verdict == DROP_NONE)
		verdict = decap_frame(a, from->mac, port->mac, out, up);
	if (verdict == DROP_NONE) {
		verdict = check(w, port, from, up, &noted);
		bool ours = true;
		if (verdict == DROP_NONE && noted.replicate) {
			route_replica(w, port, from, up, noted.from, noted.to);
			ours = replica_ours(port, &noted, up);
			verdict = ours ? source_check(w, port, from, up) : DROP_NONE;
		}
		struct mirrors *mirrors = atomic_load_explicit(&port->mirrors, memory_order_acquire);
		if (mirrors)
			mirrors_copy(mirrors, MIRROR_IN, verdict, up->data, up->len);
		w->n_up += verdict == DROP_NONE && ours;
	}
	if (verdict != DROP_NONE)
		police_blame(police_guilty(m, from, verdict), verdict);
	return verdict;
}

/* ---- 1 unwrap --------------------------------------------------------------------------------------------------- */

/* The worker counts a packet that died at the end of its batch, as all others. true: dealt with. */
static bool dead(const struct worker *w, struct port *port, const struct packet *p)
{
	if (p->verdict != DROP_NONE)
		own_add(&port->count[w->number].drop[p->verdict], 1);
	return true;
}

/* A frame that has to pass as the one before it did. All that the checks of such a frame depend on beside its header is control's: the member's rights
 * and ours, the network's switches, its MTU. Those are as they were when the first of its kin was looked at, in this batch; what is changed
 * meanwhile counts from the next one on, as it does for frames that wait in up[]. Its MACs are ours and the member's own, so neither the
 * loop guard, nor the table of MACs, nor a meter is asked. Who watches the network sees each frame checked. */
static bool deliver_kin(struct worker *w, struct packet *p, const struct session *s)
{
	struct kin *k = &w->kin[ALONE];
	if (w->n_up == JOIN_MAX || !kin_take(k, s, p->data, p->len, kin_place(k, p->data), &w->up[w->n_up]))
		return false;
	k->useful = true;
	w->n_up++;
	return true;
}

/* That frame passed. Will others do as it did? Those of a superframe, and where two were equally long. */
static void kin_found(struct worker *w, unsigned which, const struct session *s, const struct port *port, uint32_t len, struct packet *up)
{
	struct kin *k = &w->kin[which];
	bool likely = up->segment.n ? up->segment.i + 1 < up->segment.n : len == k->last_len;
	k->last_len = len;
	if (!likely || atomic_load_explicit(&port->mirrors, memory_order_relaxed) || w->kins == UINT8_MAX)
		return;
	if (!up->segment.n && !k->useful && k->rest++ % KIN_REST)
		return;
	if (kin_begin(k, s, (uint16_t)port->chan, which == BUNDLED, len, w->kins + 1, up)) {
		w->kins++;
		k->useful = false;
	}
}

/* One of a bundle. */
static void deliver_record(struct worker *w, struct arrived *a, struct session *s, struct port *port, struct member *m)
{
	struct kin *k = &w->kin[BUNDLED];
	const uint8_t *record = a->body - BUNDLE_RECORD;
	uint32_t len = (uint32_t)a->len + BUNDLE_RECORD;
	bool may = a->type == INNER_FRAME && a->len >= KIN_BYTES;
	uint8_t *room = up_room(w, a->len + 12);
	unsigned before = w->n_up;
	if (may && k->chan == port->chan && kin_take(k, s, record, len, room, &w->up[before])) {
		k->useful = true;
		w->n_up++;
		return;
	}
	enum drop verdict = deliver_arrived(w, a, port, m, room);
	if (verdict != DROP_NONE)
		worker_count_port(w, port, verdict, 1);
	else if (may && w->n_up == before + 1)
		kin_found(w, BUNDLED, s, port, len, &w->up[before]);
}

static bool deliver_each(struct worker *w, struct packet *p, struct session *s)
{
	struct arrived arrived[BUNDLE_MAX];
	unsigned n, chan = le16_at(p->data + 2), before = w->n_up;
	if (chan < 1 || chan > NETWORKS_MAX || !s->remote) {
		p->verdict = DROP_CHAN;
		return true;
	}
	struct port *port = w->view->ports[chan - 1];
	struct member *m = atomic_load(&s->remote->member[chan - 1]);
	if (!port || !m || !atomic_load(&s->confirmed) || !atomic_load(&m->rx_open) || !atomic_load(&port->open))
		return false;
	p->verdict = decap_split(p->data, p->len, arrived, &n);
	if (p->verdict != DROP_NONE)
		return dead(w, port, p);
	if (p->data[0] != INNER_BUNDLE) {
		/* Its own bytes need not move: what it lacks in front is never longer than what the datagram has there. */
		struct carriage c = {.implied = p->data[0] == INNER_FRAME, .flags = p->data[1] & FRAME_FLAGS};
		p->verdict = deliver_arrived(w, &arrived[0], port, m, p->data + encap_offset(c));
		if (c.implied && w->n_up == before + 1)
			kin_found(w, ALONE, s, port, p->len, &w->up[before]);
		return dead(w, port, p);
	}
	for (unsigned i = 0; i < n; i++)
		deliver_record(w, &arrived[i], s, port, m);
	return true;
}

/* Plain FRAME, EFRAME or BUNDLE at p->data -> frames for the port, a letter, or a verdict. */
bool deliver_frames(struct worker *w, struct packet *p, struct session *s)
{
	return deliver_kin(w, p, s) || deliver_each(w, p, s);
}

/* The frame that a piece completes is put together behind those that wait. */
bool deliver_piece(struct worker *w, struct packet *p, struct session *s)
{
	uint8_t *room = up_room(w, IN_FRONT + FRAG_FRAME_MAX);
	uint32_t unused = w->up_used - IN_FRONT - FRAG_FRAME_MAX;
	size_t len;
	bool displaced;
	p->verdict = reassembly_add(w->reassembly, s->named.idx, p->data, p->len, w->now_ms, room + IN_FRONT, &len, &displaced);
	worker_count(w, DROP_FRAG_LIMIT, displaced);
	if (p->verdict != DROP_NONE || !len) {
		w->up_used = unused;
		return true;
	}
	p->data = room + IN_FRONT;
	p->len = (uint32_t)len;
	return deliver_frames(w, p, s);
}
