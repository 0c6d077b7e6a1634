/* loopguard_worker.c: the loop guard's ears in the workers: a few letters a second, however much a loop makes of anything.
 *
 * Meanwhile they break the ring themselves: in a ring every host seems to move, and once one did, a flooded frame that comes a second time is not
 * passed on. Freezing MACs (fdb.h) is not enough for that: of the two directions in which a frame goes round, one agrees with where its source is.
 * Probes have a bucket of their own: in a storm every frame is a suspicion, and the one probe that ends it must find room.
 */
#include "node/loopguard.h"

#include "node/encap.h"
#include "node/fdb.h"
#include "node/meter.h"
#include "node/worker_parts.h"

#define PROBE_US      20000 /* heard: 50/s, 16 at once */
#define PROBE_BURST   (16 * PROBE_US)
#define SUSPECT_US    100000 /* 10/s */
#define SUSPECT_BURST SUSPECT_US
#define SUSPECT_MS    1000 /* a host that moved honestly says so with a few frames at most; of equal ones the second is spared */
#define ECHO_MS       200  /* longer than a way round, shorter than most that say the same again on purpose */
#define ECHO_BYTES    128  /* of the frame */

void loopguard_heard(struct worker *w, struct port *port, const uint8_t *frame, size_t len)
{
	if (len > LETTER_DATA_MAX || !meter_take(&port->loop_us, w->now_us, PROBE_US, PROBE_BURST))
		return;
	struct letter *l = worker_letter(w, LETTER_LOOP);
	if (!l)
		return;
	l->chan = (uint16_t)port->chan;
	l->len = (uint32_t)len;
	memcpy(l->data, frame, len);
	worker_post(w, l);
}

void loopguard_suspect(struct worker *w, struct port *port)
{
	/* Only a bridge has a LAN to ask. */
	if (!(atomic_load_explicit(&port->own_flags, memory_order_relaxed) & MEMBER_BRIDGE))
		return;
	relaxed_stamp(&port->suspect_ms, w->now_ms + SUSPECT_MS);
	if (!meter_take(&port->suspect_us, w->now_us, SUSPECT_US, SUSPECT_BURST))
		return;
	struct letter *l = worker_letter(w, LETTER_LOOP);
	if (!l)
		return;
	l->chan = (uint16_t)port->chan;
	worker_post(w, l);
}

static uint64_t digest(const uint8_t *frame, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ len, word = 0;
	size_t n = len < ECHO_BYTES ? len : ECHO_BYTES;
	for (size_t i = 0; i < n; i += sizeof word, word = 0) {
		memcpy(&word, frame + i, n - i < sizeof word ? n - i : sizeof word);
		h = (h ^ word) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h;
}

/* Is it one that goes to all bridges? */
static bool flooded(struct worker *w, const struct port *port, const uint8_t *frame, size_t len)
{
	uint64_t address;
	if (frame[0] & 1)
		return true;
	return !port_address(port, frame, &address) && !fdb_lookup(port->fdb, frame_vlan(frame, len), frame, w->now_ms, &address);
}

enum drop loopguard_echo(struct worker *w, struct port *port, const uint8_t *frame, size_t len)
{
	if (w->now_ms >= atomic_load_explicit(&port->suspect_ms, memory_order_relaxed) || !flooded(w, port, frame, len))
		return DROP_NONE;
	uint64_t hash = digest(frame, len) ^ port->nwid;
	unsigned at = hash & (ECHOES - 1);
	if (w->echo[at].hash == hash && w->now_ms < w->echo[at].ms + ECHO_MS) {
		loopguard_suspect(w, port);
		return DROP_LOOP;
	}
	w->echo[at].hash = hash;
	w->echo[at].ms = w->now_ms;
	return DROP_NONE;
}
