/* route.c: who gets a frame of this node's device, or why nobody does.
 *
 * In order: is the frame one this node may send; is it to be answered here; who gets it: the derived MAC of a member, a learned MAC behind
 * a bridge, or many. A member that cannot be sent to now is left to control by a letter, one per frame.
 */
#include <string.h>

#include "node/cut.h"
#include "node/encap.h"
#include "node/fdb.h"
#include "node/worker_parts.h"

#define UNKNOWN_STEP_MS  20 /* 50 per second */
#define UNKNOWN_BURST_MS 1000

/* A superframe as complete frames, each routed anew. */
static enum drop route_segments(struct worker *w, const struct errand *job)
{
	struct cut cut;
	if (!cut_begin(&cut, job->frame, job->len, &job->offload, FRAG_FRAME_MAX, false) || cut_length(&cut, 0) > FRAG_FRAME_MAX)
		return DROP_OFFLOAD;
	w->tx_frames--; /* the whole is not one of them */
	w->tx_bytes -= job->len;
	for (uint32_t i = 0; i < cut.n; i++) {
		struct packet p = {.data = w->segment, .len = (uint32_t)cut_length(&cut, i)};
		cut_segment(&cut, i, p.data, &p.offload);
		route_packet(w, job->port, &p);
		worker_count_batch(w, &p, 1);
	}
	return DROP_NONE;
}

static struct letter *letter_of(struct worker *w, struct errand *job, enum letter_kind kind)
{
	offload_complete(job->frame, job->len, &job->offload);
	struct letter *l = worker_letter(w, kind);
	if (!l)
		return NULL;
	l->chan = (uint16_t)job->port->chan;
	l->len = (uint32_t)job->len;
	memcpy(l->data, job->frame, job->len);
	return l;
}

static enum drop to_one(struct worker *w, struct errand *job, struct member *m)
{
	if (outbound_send(w, job, m))
		return DROP_NONE;
	if (job->offload.gso)
		return route_segments(w, job);
	struct letter *l = letter_of(w, job, LETTER_FRAME_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->address = m->address;
	worker_post(w, l);
	return DROP_NONE;
}

/* Everybody, or the bridges only. DROP_NO_MEMBER: there was nobody. */
static enum drop to_many(struct worker *w, struct errand *job, bool bridges)
{
	uint8_t slots[sizeof(((struct letter *)0)->slots)] = {0}; /* whom it could not be sent to */
	bool missing = false;
	unsigned n = 0;
	if (job->offload.gso)
		return route_segments(w, job);
	for (uint32_t i = 0; i < job->roster->n; i++) {
		struct member *m = job->roster->member[i];
		if (m->address == job->port->address || (bridges && !(atomic_load(&m->flags) & MEMBER_BRIDGE)))
			continue;
		n++;
		if (outbound_send(w, job, m) || i >= sizeof(slots) * 8)
			continue;
		missing = true;
		slots[i / 8] |= (uint8_t)(1u << i % 8);
	}
	if (!missing)
		return n || !bridges ? DROP_NONE : DROP_NO_MEMBER;
	struct letter *l = letter_of(w, job, LETTER_FLOOD_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->generation = job->roster->generation;
	memcpy(l->slots, slots, sizeof(l->slots));
	worker_post(w, l);
	return DROP_NONE;
}

/* One bucket for all workers: the time of the next turn moves on by a step each, and may lag by the burst. */
static bool unknown_allowed(struct port *port, uint64_t now)
{
	uint64_t next = atomic_load(&port->unknown_ms), after;
	do {
		if (next > now + UNKNOWN_BURST_MS - UNKNOWN_STEP_MS)
			return false;
		after = (next > now ? next : now) + UNKNOWN_STEP_MS;
	} while (!atomic_compare_exchange_weak(&port->unknown_ms, &next, after));
	return true;
}

/* mac_derive without its hash: own MAC and own address give the network's mask. */
static bool derived_address(const struct port *port, const uint8_t mac[6], uint64_t *ret)
{
	if (mac[0] != port->mac[0])
		return false;
	uint64_t address = 0;
	for (unsigned i = 1; i < 6; i++)
		address = address << 8 | (uint64_t)(mac[i] ^ port->mac[i]);
	*ret = address ^ port->address;
	return true;
}

static struct member *member_of(struct worker *w, const struct errand *job)
{
	uint64_t address;
	struct member *m = NULL;
	if (derived_address(job->port, job->frame, &address))
		m = roster_find(job->roster, address);
	if (!m && fdb_lookup(job->port->fdb, frame_vlan(job->frame, job->len), job->frame, w->now_ms, false, &address))
		m = roster_find(job->roster, address);
	return m;
}

/* A datagram of ours, led into the device by a bridge or a route: sent on, each would make the next, larger one. */
static bool nested(const struct view *v, const struct packet *p)
{
	unsigned udp = 0, ip = 0, type = (unsigned)p->data[12] << 8 | p->data[13];
	if (type == 0x0800 && p->len >= 42 && p->data[23] == 17) {
		udp = 14 + (p->data[14] & 15u) * 4;
		ip = 26;
	} else if (type == 0x86dd && p->len >= 62 && p->data[20] == 17) {
		udp = 54;
		ip = 22;
	}
	if (!udp || udp + 2 > p->len)
		return false;
	unsigned port = (unsigned)p->data[udp] << 8 | p->data[udp + 1];
	for (unsigned i = 0; i < v->n_own; i++)
		if (v->own[i].port == port && v->own[i].family == (ip == 26 ? 4 : 6) &&
		    !memcmp(v->own[i].ip, p->data + ip, ip == 26 ? 4 : 16))
			return true;
	return false;
}

static enum drop route_frame(struct worker *w, struct port *port, const struct packet *p)
{
	struct errand job = {.port = port, .roster = atomic_load(&port->roster), .frame = p->data, .len = p->len, .offload = p->offload};
	bool bridge = atomic_load(&port->own_flags) & MEMBER_BRIDGE;
	if (!atomic_load(&port->open))
		return DROP_CHAN;
	if (job.len < 14)
		return DROP_FRAME_SHORT;
	if (job.len > FRAG_FRAME_MAX && !job.offload.gso)
		return DROP_FRAME_LONG;
	if (job.frame[6] & 1 || (!bridge && memcmp(job.frame + 6, port->mac, 6)))
		return DROP_SOURCE_MAC;
	if (nested(w->view, p))
		return DROP_NESTED;
	bool link_local = frame_link_local(job.frame);
	if (link_local && !bridge)
		return DROP_LINK_LOCAL;
	if (!job.roster)
		return DROP_NO_MEMBER;
	/* A conversation keeps to one lane, thus to one worker, at both ends: the kernel gives the answer to a frame to the queue that
	 * frames of this flow were last written to. A lane by worker would make the two directions chase each other from worker to worker,
	 * with one wake-up more per frame and side. */
	job.flow = flow_of_frame(job.frame, job.len);
	if (job.frame[0] & 1)
		return to_many(w, &job, link_local);
	struct member *m = member_of(w, &job);
	if (m)
		return m->address == port->address ? DROP_NO_MEMBER : to_one(w, &job, m);
	if (!job.offload.gso && !unknown_allowed(port, w->now_ms)) /* a superframe's segments come by themselves */
		return DROP_UNKNOWN_RATE;
	return to_many(w, &job, true);
}

void route_packet(struct worker *w, struct port *port, struct packet *p)
{
	p->verdict = route_frame(w, port, p);
	if (p->verdict == DROP_NONE) {
		w->tx_frames++;
		w->tx_bytes += p->len;
	}
}
