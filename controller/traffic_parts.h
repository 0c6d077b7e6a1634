/* traffic_parts.h: what traffic*.c and their tests share: one member's counters in memory, and how differences become slots.
 */
#ifndef FARLAN_CONTROLLER_TRAFFIC_PARTS_H
#define FARLAN_CONTROLLER_TRAFFIC_PARTS_H

#include "controller/state.h"
#include "controller/store_traffic.h"
#include "controller/traffic.h"

#define REASON_OTHER 0 /* its number: those that have none of their own */
#define REASONS_MAX  256
#define NAMES_MAX    32 /* different reasons of one member; later ones are "other" */
#define SPREAD_MAX_S 3600

size_t tallies_pack(const struct tallies *, uint8_t out[TALLIES_ROOM]);
void tallies_unpack(const uint8_t *bytes, size_t len, struct tallies *ret); /* whatever the bytes are */

/* Round trips fall into buckets of an eighth of an octave, 16 us to 16 s; what they stand for is their middle, 4.4 % off at most. */
#define RTT_BUCKETS 161
unsigned rtt_bucket(uint32_t us);
uint32_t rtt_of(unsigned bucket);
uint32_t rtt_median(const struct tallies *); /* 0 = none */

/* What of total lies in [a, b) when it is spread evenly over [from, to); pieces that touch add up to the whole. */
uint64_t spread_piece(uint64_t total, uint64_t from, uint64_t to, uint64_t a, uint64_t b);

struct carried { /* by one member in one network */
	uint8_t key_hash[KEY_HASH_BYTES];
	bool known;                /* it told something ever; else the next three lines are not set */
	uint64_t epoch;            /* of its run */
	struct traffic_count last; /* as told last */
	uint64_t at_s;             /* wall; and */
	uint64_t heard_ms;         /* when; 0 = before this start of ours */
	uint64_t rx_bps, tx_bps;
	bool dirty; /* below is what is not written yet */
	struct traffic_count more;
	uint64_t from_s; /* it was carried in from_s .. at_s */
	uint32_t rtt_us; /* 0 = not known */
	unsigned n_drops;
	struct carried_drop {
		uint8_t reason;
		uint64_t last, more;
	} drop[NAMES_MAX + 1];
};

struct traffic { /* of one network */
	unsigned n, room;
	struct carried **list; /* owned, ascending key_hash */
	unsigned n_reasons, n_saved;
	char (*reason)[TRAFFIC_REASON_ROOM]; /* owned, REASONS_MAX of them; 0 is "other" */
	struct traffic_count total, writing; /* as written; as it will be then */
	uint64_t drops, drops_writing;       /* likewise */
	bool any;                            /* something was written, ever */
	bool fresh;                          /* since those who watch were told: */
	uint64_t told_ms;
};

void count_add(struct traffic_count *to, const struct traffic_count *more);
struct traffic *traffic_open(struct controller *, struct publication *); /* NULL: it cannot be read now */

#endif
