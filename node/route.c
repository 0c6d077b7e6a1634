/* route.c: who gets a frame of this node's device, or why nobody does.
 *
 * In order: is the frame one this node may send; is it to be answered here; who gets it: the derived MAC of a member, a learned MAC behind
 * a bridge, or many. A member that cannot be sent to now is left to control by a letter, one per frame.
 */
#include <string.h>

#include "node/audience.h"
#include "node/cut.h"
#include "node/encap.h"
#include "node/fdb.h"
#include "node/loopguard.h"
#include "node/neighbour.h"
#include "node/police.h"
#include "node/snoop.h"
#include "node/worker_parts.h"
#include "tap/mirror.h"
#include "tap/tap.h"

#define GATHER_TELL_MS 20
#define GROUPS_TELL_MS 20 /* at most so often is control told that memberships changed */

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
		route_packet(w, job->port, &p, job->nic);
		worker_count_frames(w, job->port, &p, 1);
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

/* ---- many ------------------------------------------------------------------------------------------------------- */

/* Whom a frame could not be sent to, by place in the roster. */
struct missing {
	uint32_t n; /* more than are named: see struct letter */
	uint64_t from, to;
	uint16_t place[LETTER_PLACES];
};

static void missing_begin(struct missing *m, uint64_t from, uint64_t to)
{
	m->n = 0;
	m->from = from;
	m->to = to;
}

static void copy_to(struct worker *w, struct errand *job, const struct member *m, struct missing *missing)
{
	if (m->address == job->port->address || m->address == job->origin || outbound_send(w, job, m))
		return;
	uint32_t at = roster_place(job->roster, m->address);
	if (at == job->roster->n)
		return;
	if (missing->n < LETTER_PLACES)
		missing->place[missing->n] = (uint16_t)at;
	missing->n++;
}

static enum drop missing_post(struct worker *w, struct errand *job, const struct missing *missing)
{
	if (!missing->n)
		return DROP_NONE;
	struct letter *l = letter_of(w, job, LETTER_FLOOD_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->generation = job->roster->generation;
	l->origin = job->origin;
	l->ring_from = missing->from;
	l->ring_to = missing->to;
	l->places = missing->n;
	memcpy(l->place, missing->place, (missing->n < LETTER_PLACES ? missing->n : LETTER_PLACES) * sizeof(l->place[0]));
	worker_post(w, l);
	return DROP_NONE;
}

/* Those of a stretch of the ring, by a replicator; when it cannot be sent to, by ourselves. */
static void share_out(struct worker *w, struct errand *job, const struct share *share, struct member *replicator,
                      struct member *const *list, uint32_t n, struct missing *missing)
{
	job->note = note_replicate(share->from, share->to);
	bool gone = outbound_send(w, job, replicator);
	job->note = (struct note){0};
	for (uint32_t i = 0; !gone && i < n; i++)
		if (stretch_holds(share->from, share->to, list[i]->address))
			copy_to(w, job, list[i], missing);
}

/* To all of a list. Beyond the network's limit replicators serve most of them for us; without any, nobody is left out either. */
static enum drop to_list(struct worker *w, struct errand *job, struct member *const *list, uint32_t n)
{
	const struct audiences *all = atomic_load(&job->port->audiences);
	uint32_t limit = atomic_load_explicit(&job->port->mcast_limit, memory_order_relaxed);
	struct shares shares = {.direct = n};
	struct missing missing;
	missing_begin(&missing, 0, 0);
	if (all && all->n_replicators && limit && n > limit && n <= sizeof(w->ring) / sizeof(*w->ring)) {
		for (uint32_t i = 0; i < n; i++)
			w->ring[i] = list[i]->address;
		audience_split(w->ring, n, all->n_replicators, limit, w->copied++, &shares);
	}
	offload_complete(job->frame, job->len, &job->offload);
	for (uint32_t i = 0; i < shares.direct; i++)
		copy_to(w, job, list[(shares.first + i) % n], &missing);
	for (uint32_t i = 0; i < shares.n; i++)
		share_out(w, job, &shares.share[i], all->replicator[shares.share[i].replicator], list, n, &missing);
	return missing_post(w, job, &missing);
}

/* The bridges only: what nobody knows can be nowhere else. DROP_NO_MEMBER: there is none. */
static enum drop to_bridges(struct worker *w, struct errand *job)
{
	struct missing missing;
	unsigned n = 0;
	missing_begin(&missing, 0, 0);
	offload_complete(job->frame, job->len, &job->offload);
	for (uint32_t i = 0; i < job->roster->n; i++) {
		const struct member *m = job->roster->member[i];
		if (m->address == job->port->address || !(atomic_load(&m->flags) & MEMBER_BRIDGE) || atomic_load(&m->blocked))
			continue;
		n++;
		copy_to(w, job, m, &missing);
	}
	return n ? missing_post(w, job, &missing) : DROP_NO_MEMBER;
}

/* A multicast group: who takes it, or control, which has to ask first. Broadcast is one in a network so large that most of those
 * listed are never met: it goes to all who are there, and the list of those who take everything is not that. */
static enum drop to_group(struct worker *w, struct errand *job)
{
	const struct audience *a = audience_find(atomic_load(&job->port->audiences), job->frame);
	audience_used(a, w->now_ms);
	if (a->complete && (a->used_ms || !frame_broadcast(job->frame)))
		return to_list(w, job, a->member, a->n);
	struct letter *l = letter_of(w, job, LETTER_GATHER);
	if (!l)
		return DROP_MAIL_FULL;
	worker_post(w, l);
	return DROP_NONE;
}

static enum drop to_many(struct worker *w, struct errand *job)
{
	if (job->offload.gso)
		return route_segments(w, job);
	if (frame_link_local(job->frame))
		return to_bridges(w, job);
	if (frame_broadcast(job->frame) && job->roster->n <= GROUP_CROWD)
		return to_list(w, job, job->roster->member, job->roster->n);
	return to_group(w, job);
}

/* To those of a list that stand in the stretch we were given. */
static void share_in(struct worker *w, struct errand *job, struct member *const *list, uint32_t n, struct missing *missing)
{
	for (uint32_t i = 0; i < n; i++)
		if (stretch_holds(missing->from, missing->to, list[i]->address))
			copy_to(w, job, list[i], missing);
}

void route_replica(struct worker *w, struct port *port, const struct member *origin, const struct packet *p, uint64_t from, uint64_t to)
{
	struct errand job = {.port = port,
	                     .roster = atomic_load(&port->roster),
	                     .frame = p->data,
	                     .len = p->len,
	                     .offload = p->offload,
	                     .flow = flow_of_frame(p->data, p->len),
	                     .origin = origin->address,
	                     .note = note_replicated(origin->address)};
	struct missing missing;
	if (!job.roster)
		return;
	missing_begin(&missing, from, to);
	/* Those of a group that only its sender asked for are not all known here: then the unknown ones get it too. */
	const struct audiences *all = atomic_load(&port->audiences);
	const struct audience *a = frame_broadcast(p->data) ? NULL : audience_find(all, p->data);
	const struct audience *unknown = a && !a->complete && all ? &all->unknown : NULL;
	if (a)
		share_in(w, &job, a->member, a->n, &missing);
	else
		share_in(w, &job, job.roster->member, job.roster->n, &missing);
	if (unknown)
		share_in(w, &job, unknown->member, unknown->n, &missing);
	if (!a && job.roster->n > GROUP_CROWD) /* whoever is there has a session with its replicators; the rest need not be called */
		missing.n = 0;
	if (missing.n && !inbound_may_tell(w, origin->remote, LETTER_FLOOD_OUT))
		worker_count_port(w, port, DROP_MAIL_RATE, 1);
	else if (missing_post(w, &job, &missing) != DROP_NONE)
		worker_count_port(w, port, DROP_MAIL_FULL, 1);
	struct letter *l = unknown && w->now_ms >= w->gather_told_ms + GATHER_TELL_MS ? worker_letter(w, LETTER_GATHER) : NULL;
	if (!l)
		return;
	w->gather_told_ms = w->now_ms;
	l->chan = (uint16_t)port->chan;
	l->len = 6; /* the group is to be looked after, the frame is on its way */
	memcpy(l->data, p->data, 6);
	worker_post(w, l);
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

/* Behind whom the receiver is. ret_here: on our own side. */
static struct member *member_of(struct worker *w, const struct errand *job, bool *ret_here)
{
	uint64_t address;
	struct member *m = NULL;
	*ret_here = !memcmp(job->frame, job->port->mac, 6);
	if (*ret_here)
		return NULL;
	if (port_address(job->port, job->frame, &address))
		m = roster_find(job->roster, address);
	if (!m && fdb_lookup(job->port->fdb, frame_vlan(job->frame, job->len), job->frame, w->now_ms, &address)) {
		*ret_here = address == job->port->address;
		m = *ret_here ? NULL : roster_find(job->roster, address);
		if (m && atomic_load(&m->blocked)) /* what was behind it is behind another bridge of its LAN, if it is anywhere */
			m = NULL;
	}
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

/* ---- from the device -------------------------------------------------------------------------------------------- */

enum drop source_see(struct worker *w, struct port *port, uint64_t behind, const uint8_t *frame, size_t len)
{
	switch (fdb_see(port->fdb, frame_vlan(frame, len), frame + 6, behind, w->now_ms)) {
	case FDB_FROZEN: loopguard_suspect(w, port); return DROP_FLAP;
	case FDB_MOVED: loopguard_suspect(w, port); break;
	case FDB_KNOWN:
	case FDB_LEARNED:
	case FDB_FULL: break;
	}
	return DROP_NONE;
}

/* What comes from the LAN behind the device and not from the host itself: the loop guard's own frames, what would not be here
 * without a loop, and MACs to learn. */
static enum drop lan_check(struct worker *w, struct errand *job)
{
	struct port *port = job->port;
	const uint8_t *source = job->frame + 6;
	uint64_t address;
	if (loopguard_frame(job->frame, job->len)) {
		loopguard_heard(w, port, job->frame, job->len);
		job->done = true;
		return DROP_NONE;
	}
	/* With an interface in the network it is that one which is shut, the host itself goes on. */
	if (atomic_load_explicit(&port->blocked, memory_order_relaxed) && (job->nic || !atomic_load(&port->nic)))
		return DROP_BLOCKED;
	if (!memcmp(source, port->mac, 6))
		return job->nic ? DROP_LOOP : DROP_NONE;
	if (port_address(port, source, &address) && roster_find(job->roster, address)) {
		loopguard_suspect(w, port);
		return DROP_LOOP;
	}
	if (loopguard_echo(w, port, job->frame, job->len) != DROP_NONE)
		return DROP_LOOP;
	return source_see(w, port, port->address, job->frame, job->len);
}

static void hand_one(struct worker *w, struct port *port, struct tap *tap, uint8_t *frame, size_t len, const struct offload *offload)
{
	struct packet p = {.data = frame, .len = (uint32_t)len, .room = (uint32_t)len, .offload = *offload};
	tap_write(tap, w->number, &p, 1);
	worker_count_frames(w, port, &p, 1);
}

/* The frame to the other device of our own. An interface brings superframes whatever was agreed for the TAP device, so what that one cannot take is
 * made here. */
static void hand_over(struct worker *w, struct tap *tap, struct errand *job)
{
	unsigned may = tap_offloads(tap), need = job->offload.gso == GSO_UDP ? TAP_USO : job->offload.gso ? TAP_TSO : 0;
	bool partial = may & TAP_CSUM;
	struct cut cut;
	if ((need & may) == need && partial) {
		hand_one(w, job->port, tap, job->frame, job->len, &job->offload);
	} else if (!need) {
		offload_complete(job->frame, job->len, &job->offload);
		hand_one(w, job->port, tap, job->frame, job->len, &job->offload);
	} else if (cut_begin(&cut, job->frame, job->len, &job->offload, FRAG_FRAME_MAX, partial) && cut_length(&cut, 0) <= FRAG_FRAME_MAX) {
		for (uint32_t i = 0; i < cut.n; i++) {
			struct offload left;
			cut_segment(&cut, i, w->segment, &left);
			hand_one(w, job->port, tap, w->segment, cut_length(&cut, i), &left);
		}
	} else {
		worker_count_port(w, job->port, DROP_OFFLOAD, 1);
	}
}

/* Between the host's device and its interface in the network: they are two ports of one switch, the rest of the network is the third. The host
 * itself is known to be where it is, and nothing else is behind its device. */
static bool switch_local(struct worker *w, struct errand *job)
{
	struct tap *other = atomic_load(job->nic ? &job->port->tap : &job->port->nic);
	bool own = !memcmp(job->frame, job->port->mac, 6);
	if (!other || (!(job->frame[0] & 1) && job->nic != own))
		return false;
	/* The LAN is reached by the bridge that beat ours; there by us as well, its switches would look for the host behind the port that is shut. */
	if (!job->nic && atomic_load_explicit(&job->port->blocked, memory_order_relaxed))
		return false;
	hand_over(w, other, job);
	return true;
}

/* Is it a question that is answered here? Whoever asks from behind our bridge is nobody the directory knows: its owner hears the question, too, since
 * it tells where the asker is now. */
static bool answered(struct worker *w, struct errand *job)
{
	uint8_t answer[NEIGHBOUR_MAX];
	uint16_t type = be16_at(job->frame + 12);
	uint64_t address;
	if (!(job->frame[0] & 1) || (type != 0x0806 && type != 0x86dd))
		return false;
	size_t len = neighbour_answer(atomic_load(&job->port->owners), job->port->mac, job->frame, job->len, answer);
	struct tap *back = atomic_load(job->nic ? &job->port->nic : &job->port->tap);
	if (!len || !back)
		return false;
	hand_one(w, job->port, back, answer, len, &(struct offload){0});
	traffic_in(&job->port->count[w->number].carried, 1, len);
	struct mirrors *mirrors = atomic_load(&job->port->mirrors);
	if (mirrors)
		mirrors_copy(mirrors, MIRROR_IN, DROP_NONE, answer, len);
	if (!memcmp(job->frame + 6, job->port->mac, 6))
		return true;
	struct member *owner = port_address(job->port, answer + 6, &address) ? roster_find(job->roster, address) : NULL;
	enum drop verdict = owner ? police_out(job->port, job->frame, job->len, false, w->now_us) : DROP_NONE;
	if (owner && verdict == DROP_NONE)
		verdict = to_one(w, job, owner);
	worker_count_port(w, job->port, verdict, verdict != DROP_NONE);
	return true;
}

/* The host joined or left a group: control reads its device's groups at once. */
static void listen_for_groups(struct worker *w, const struct errand *job)
{
	if (!(job->frame[0] & 1) || w->now_ms < w->groups_told_ms + GROUPS_TELL_MS || !snoop_membership(job->frame, job->len))
		return;
	struct letter *l = worker_letter(w, LETTER_GROUPS);
	if (!l)
		return;
	l->chan = (uint16_t)job->port->chan;
	worker_post(w, l);
	w->groups_told_ms = w->now_ms;
}

static enum drop route_known(struct worker *w, struct errand *job)
{
	bool group = job->frame[0] & 1, here = false;
	struct member *m = group ? NULL : member_of(w, job, &here);
	if (job->offload.gso && !m && !here) /* its segments come by themselves */
		return route_segments(w, job);
	bool handed = !m && switch_local(w, job);
	if (here) /* with one device only, the bridge it is in did it */
		return handed ? DROP_NONE : DROP_NO_MEMBER;
	enum drop verdict = police_out(job->port, job->frame, job->len, !group && !m, w->now_us);
	if (verdict != DROP_NONE)
		return verdict;
	return group ? to_many(w, job) : m ? to_one(w, job, m) : to_bridges(w, job);
}

static enum drop route_frame(struct worker *w, struct port *port, const struct packet *p, bool nic)
{
	struct errand job = {
	    .port = port, .roster = atomic_load(&port->roster), .frame = p->data, .len = p->len, .offload = p->offload, .nic = nic};
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
	if (frame_link_local(job.frame) && !bridge)
		return DROP_LINK_LOCAL;
	if (!job.roster)
		return DROP_NO_MEMBER;
	enum drop verdict = bridge ? lan_check(w, &job) : DROP_NONE;
	if (verdict == DROP_NONE && !job.done)
		verdict = police_type(port, job.frame);
	if (verdict != DROP_NONE || job.done)
		return verdict;
	if (!bridge)
		listen_for_groups(w, &job);
	/* A conversation keeps to one lane, thus to one worker, at both ends: the kernel gives the answer to a frame to the queue that
	 * frames of this flow were last written to. A lane by worker would make the two directions chase each other from worker to worker,
	 * with one wake-up more per frame and side. */
	job.flow = flow_of_frame(job.frame, job.len);
	return answered(w, &job) ? DROP_NONE : route_known(w, &job);
}

void route_packet(struct worker *w, struct port *port, struct packet *p, bool nic)
{
	p->verdict = route_frame(w, port, p, nic);
	if (p->verdict == DROP_NONE) {
		w->tx_frames++;
		w->tx_bytes += p->len;
	}
}
