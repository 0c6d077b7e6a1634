/* storm.c: buckets over struct meter's idea: the time at which a bucket would be full again.
 *
 * Broadcast and unknown unicast count by the frame, since that is what they cost everybody who gets them; multicast counts by its bits, since a
 * video stream to a group is work somebody wants. A storm spends one bucket and leaves the other. In nanoseconds: at a million a second a
 * microsecond would be a frame.
 */
#include "node/storm.h"

#include "node/meter.h"

#define NS           UINT64_C(1000000000)
#define BURST_FRAMES 2        /* seconds of the rate */
#define BURST_NS     (NS / 4) /* of multicast */
#define LONGEST      9040     /* a frame of the largest MTU with its tags: the slowest rate lets one pass */

static bool flood(struct storm *s, uint32_t rate, uint64_t now_us)
{
	return meter_take(&s->flood_ns, now_us * 1000, NS / rate, BURST_FRAMES * NS);
}

static bool multicast(struct storm *s, uint32_t kbit, size_t len, uint64_t now_us)
{
	uint64_t byte_ns8 = 8 * NS / 1000, most = LONGEST * byte_ns8 / kbit;
	uint64_t cost = (len > STORM_FRAME_LEAST ? len : STORM_FRAME_LEAST) * byte_ns8 / kbit;
	if (cost > most) /* a superframe on its way to be cut */
		most = cost;
	return meter_take(&s->multicast_ns, now_us * 1000, cost, most > BURST_NS ? most : BURST_NS);
}

static bool is_broadcast(const uint8_t *mac)
{
	return (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xff;
}

enum drop storm_take(struct storm *s, struct storm_limit limit, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us)
{
	if (!(frame[0] & 1) && !unknown)
		return DROP_NONE;
	if (unknown || is_broadcast(frame))
		return limit.frames && !flood(s, limit.frames, now_us) ? DROP_STORM : DROP_NONE;
	return limit.mcast_kbit && !multicast(s, limit.mcast_kbit, len, now_us) ? DROP_STORM_MULTICAST : DROP_NONE;
}
