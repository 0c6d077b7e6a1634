/* storm.c: buckets over struct meter's idea: the time at which a bucket would be full again.
 *
 * Broadcast and unknown unicast count by the frame, since that is what they cost everybody who gets them; multicast counts by its bits, since a
 * video stream to a group is work somebody wants. A storm spends one bucket and leaves the others; that of what switches say to each other most of all, or
 * spanning tree would take the storm for a cable that was pulled, and open the loop that makes it. In nanoseconds: at a million a second a
 * microsecond would be a frame.
 */
#include "node/storm.h"

#include "node/encap.h"
#include "node/meter.h"

#define NS           UINT64_C(1000000000)
#define BURST_FRAMES 2        /* seconds of the rate */
#define BURST_NS     (NS / 4) /* of multicast */
#define LONGEST      9040     /* a frame of the largest MTU with its tags: the slowest rate lets one pass */

static bool frames(_Atomic uint64_t *bucket, uint32_t rate, uint64_t now_us)
{
	return meter_take(bucket, now_us * 1000, NS / rate, BURST_FRAMES * NS);
}

static bool multicast(struct storm *s, uint32_t kbit, size_t len, uint64_t now_us)
{
	uint64_t byte_ns8 = 8 * NS / 1000, most = LONGEST * byte_ns8 / kbit;
	uint64_t cost = (len > STORM_FRAME_LEAST ? len : STORM_FRAME_LEAST) * byte_ns8 / kbit;
	if (cost > most) /* a superframe on its way to be cut */
		most = cost;
	return meter_take(&s->multicast_ns, now_us * 1000, cost, most > BURST_NS ? most : BURST_NS);
}

enum drop storm_take(struct storm *s, struct storm_limit limit, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us)
{
	if (!(frame[0] & 1) && !unknown)
		return DROP_NONE;
	if (unknown || frame_broadcast(frame))
		return limit.frames && !frames(&s->flood_ns, limit.frames, now_us) ? DROP_STORM : DROP_NONE;
	if (frame_link_local(frame))
		return limit.link && !frames(&s->link_ns, limit.link, now_us) ? DROP_STORM_MULTICAST : DROP_NONE;
	return limit.mcast_kbit && !multicast(s, limit.mcast_kbit, len, now_us) ? DROP_STORM_MULTICAST : DROP_NONE;
}
