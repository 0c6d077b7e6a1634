/* loopguard_worker.c: the loop guard's ears in the workers: a few letters a second, however much a loop makes of anything.
 *
 * Probes have a bucket of their own: in a storm every frame is a suspicion, and the one probe that ends it must find room.
 */
#include "node/loopguard.h"
#include "node/meter.h"
#include "node/worker_parts.h"

#define PROBE_US      20000 /* heard: 50/s, 16 at once */
#define PROBE_BURST   (16 * PROBE_US)
#define SUSPECT_US    100000 /* 10/s */
#define SUSPECT_BURST SUSPECT_US

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
	if (!(atomic_load_explicit(&port->own_flags, memory_order_relaxed) & MEMBER_BRIDGE) ||
	    !meter_take(&port->suspect_us, w->now_us, SUSPECT_US, SUSPECT_BURST))
		return;
	struct letter *l = worker_letter(w, LETTER_LOOP);
	if (!l)
		return;
	l->chan = (uint16_t)port->chan;
	worker_post(w, l);
}
