/* Theory of operation: numbers into slots. A difference is spread by telescoping: each slot gets the floor of what came until its end less
 * the floor of what came until its begin, so that no rounding is ever lost or made up. A round trip is kept as a tally of buckets that
 * grow by an eighth of an octave: tallies of many reports and many members add up, and their median can still be told. */
#include "controller/traffic_parts.h"

#define FIRST_OCTAVE 4 /* 2^4 us */

const struct traffic_ring traffic_rings[TRAFFIC_RANGES] = {
    [TRAFFIC_HOUR] = {"1h", 60, 60, 0},
    [TRAFFIC_DAY] = {"24h", 600, 144, 60},
    [TRAFFIC_MONTH] = {"30d", 7200, 360, 60 + 144},
};

uint64_t spread_piece(uint64_t total, uint64_t from, uint64_t to, uint64_t a, uint64_t b)
{
	if (from >= to) /* no time at all: it is where it ends */
		return from >= a && from < b ? total : 0;
	a = a < from ? from : a > to ? to : a;
	b = b < from ? from : b > to ? to : b;
	unsigned __int128 t = total, span = to - from;
	return b <= a ? 0 : (uint64_t)(t * (b - from) / span - t * (a - from) / span);
}

/* 2^(i/16) in 1/65536: the even ones are where a bucket begins, the odd ones its middle. */
static const uint32_t sixteenth[16] = {65536, 68438, 71468,  74632,  77936,  81386,  84990,  88752,
                                       92682, 96785, 101070, 105545, 110218, 115098, 120194, 125515};

unsigned rtt_bucket(uint32_t us)
{
	if (us < 1u << FIRST_OCTAVE)
		return 0;
	unsigned octave = 31u - (unsigned)__builtin_clz(us), i = 7;
	uint64_t mantissa = ((uint64_t)us << 16) >> octave;
	while (i && mantissa < sixteenth[2 * i])
		i--;
	unsigned bucket = 1 + (octave - FIRST_OCTAVE) * 8 + i;
	return bucket < RTT_BUCKETS ? bucket : RTT_BUCKETS - 1;
}

uint32_t rtt_of(unsigned bucket)
{
	if (!bucket)
		return 1u << (FIRST_OCTAVE - 1);
	bucket--;
	return (uint32_t)((((uint64_t)sixteenth[2 * (bucket % 8) + 1] << (FIRST_OCTAVE + bucket / 8)) + 32768) >> 16);
}

uint32_t rtt_median(const struct tallies *t)
{
	uint64_t n = 0, seen = 0;
	for (unsigned i = 0; i < RTT_BUCKETS; i++)
		n += t->of[i];
	for (unsigned i = 0; i < RTT_BUCKETS; i++) {
		seen += t->of[i];
		if (n && seen * 2 >= n)
			return rtt_of(i);
	}
	return 0;
}
