/* traffic.h: what members carried, minute by minute for an hour, in tens of minutes for a day, in twos of hours for a month.
 *
 * Members tell their counters (REPORT); kept is what was added between two reports, spread evenly over the time between. Slots
 * are of the wall clock, for people. Control thread only.
 */
#ifndef FARLAN_CONTROLLER_TRAFFIC_H
#define FARLAN_CONTROLLER_TRAFFIC_H

#include "controller/controller.h"

enum traffic_range { TRAFFIC_HOUR, TRAFFIC_DAY, TRAFFIC_MONTH, TRAFFIC_RANGES };
struct traffic_ring {
	const char *name;     /* "1h" ... */
	uint32_t step, slots; /* s */
	uint32_t first;       /* of its cells */
};
extern const struct traffic_ring traffic_rings[TRAFFIC_RANGES];
#define TRAFFIC_SLOTS_MAX 360
#define TRAFFIC_CELLS     (60 + 144 + 360) /* of a member, and of a network */

#define TRAFFIC_REASON_ROOM 33 /* with its 0 */
#define TRAFFIC_REASONS_MAX 12 /* shown: then the rest is one */
#define TRAFFIC_MEMBERS_MAX 20 /* shown: those with the most bytes */

struct traffic_count { /* as the member sees its own port: rx was given to it, tx came from it and left */
	uint64_t rx_bytes, rx_frames, tx_bytes, tx_frames;
};

struct traffic_view {
	uint64_t start; /* wall seconds at which the first slot begins; the last is the one of now */
	struct traffic_slot {
		bool told; /* else nobody reported */
		struct traffic_count count;
		uint64_t drops;
		uint32_t rtt_us; /* median; 0 = none known */
	} slot[TRAFFIC_SLOTS_MAX];
	struct traffic_count total;
	uint64_t drops;
	unsigned n_reasons;
	struct traffic_reason { /* the largest first */
		char name[TRAFFIC_REASON_ROOM];
		uint64_t total, slot[TRAFFIC_SLOTS_MAX];
	} reason[TRAFFIC_REASONS_MAX];
	/* of a network only */
	unsigned reporting; /* members in the newest slot that is over */
	unsigned n_members;
	struct traffic_member {
		uint64_t address;
		char name[NAME_MAX_BYTES + 1];
		struct traffic_count count;
	} member[TRAFFIC_MEMBERS_MAX];
};

/* member 0: of the network. */
enum admin_status controller_traffic(struct controller *, uint64_t nwid, uint64_t member, enum traffic_range, struct traffic_view *ret,
                                     struct admin_error *);

/* All that the members of a network ever told (written down already, so it never goes back): false: nothing yet. */
bool controller_traffic_total(struct controller *, uint64_t nwid, struct traffic_count *ret, uint64_t *ret_drops);

struct traffic_figures {                      /* since the start */
	uint64_t reports, clamped, restarted; /* with counters; more than any port can carry; counters that went back within a run */
	uint64_t lost;                        /* reports there was no room for */
	uint64_t written, failed;             /* transactions */
};
void controller_traffic_figures(const struct controller *, struct traffic_figures *ret);

#endif
