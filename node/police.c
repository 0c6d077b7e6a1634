/* police.c: the order of the checks, cheapest first: a flood must cost next to nothing.
 *
 * A frame above the limit is dropped before it is looked into; unicast skips straight to the guards, which know most frames by their EtherType
 * and protocol. The limits of a member at its receiver are twice those of a sender: its clock and ours, and several of its LANs' frames
 * bunched by the way, must not make an honest one look like a cheat.
 */
#include "node/police.h"

#include <assert.h>

#include "node/encap.h"
#include "node/guard.h"
#include "node/view.h"
#include "node/layout.h"
#include "proto/ethertype.h"

#define RECEIVER 2   /* times the sender's limits */
#define LINK     100 /* frames/s between switches, where multicast is limited: spanning tree of 40 ports says 20 */

static bool switched_off(uint32_t flags, const uint8_t *frame)
{
	if (!(flags & (NETWORK_NO_BROADCAST | NETWORK_NO_MULTICAST)) || !(frame[0] & 1))
		return false;
	/* Spanning tree is the switches' own and stays: without it the network may become a loop. */
	return frame_broadcast(frame) ? flags & NETWORK_NO_BROADCAST : flags & NETWORK_NO_MULTICAST && !frame_link_local(frame);
}

/* Spanning tree and its like, which have a length where others have an EtherType, are the switches' own, as above. */
enum drop police_type(const struct port *port, const uint8_t *frame)
{
	const struct ethertypes *list = atomic_load_explicit(&port->ethertypes, memory_order_relaxed);
	if (!list)
		return DROP_NONE;
	atomic_thread_fence(memory_order_acquire);
	uint16_t type = be16_at(frame + 12);
	return ethertypes_pass(list, type) || (type < ETHERTYPE_MIN && frame_link_local(frame)) ? DROP_NONE : DROP_ETHERTYPE;
}

static uint32_t relaxed(const _Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static enum drop police(const struct port *port, struct storm *storm, uint32_t times, const uint8_t *frame, size_t len, bool unknown,
                        uint64_t now_us)
{
	if (!(frame[0] & 1) && !unknown)
		return DROP_NONE;
	if (switched_off(relaxed(&port->network_flags), frame))
		return DROP_OFF;
	uint32_t frames = relaxed(&port->storm_frames), kbit = relaxed(&port->mcast_kbit), most = UINT32_MAX / times;
	struct storm_limit limit = {(frames < most ? frames : most) * times, (kbit < most ? kbit : most) * times, kbit ? LINK * times : 0};
	return storm_take(storm, limit, frame, len, unknown, now_us);
}

enum drop police_out(struct port *port, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us)
{
	enum drop verdict = police(port, &port->storm, 1, frame, len, unknown, now_us);
	if (verdict != DROP_NONE)
		return verdict;
	struct guard g = {relaxed(&port->network_flags), relaxed(&port->own_flags), atomic_load(&port->owned)};
	return guard_frame(&g, frame, len);
}

enum drop police_in(const struct port *port, struct member *from, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us)
{
	enum drop verdict = police_type(port, frame);
	if (verdict == DROP_NONE)
		verdict = police(port, &from->storm, RECEIVER, frame, len, unknown, now_us);
	if (verdict != DROP_NONE)
		return verdict;
	struct guard g = {relaxed(&port->network_flags), relaxed(&from->flags), atomic_load(&from->owned)};
	return guard_frame(&g, frame, len);
}

/* 0: nobody's fault. */
static const uint8_t place[DROP_COUNT] = {
#define X(name) [DROP_##name] = BLAME_##name + 1,
    BLAME_LIST(X)
#undef X
};

void police_blame(struct member *m, enum drop why)
{
	assert((unsigned)why < DROP_COUNT);
	if (place[why])
		atomic_fetch_add_explicit(&m->blame[place[why] - 1], 1, memory_order_relaxed);
}

struct member *police_guilty(struct member *sender, struct member *origin, enum drop why)
{
	bool much = why == DROP_STORM || why == DROP_STORM_MULTICAST || why == DROP_FLAP || why == DROP_LOOP;
	return much && origin ? origin : sender;
}
