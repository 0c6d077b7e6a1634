/* loopguard.h: two bridges of one network on one LAN make a ring; the loop guard finds them and shuts one of the two ports.
 *
 * Each member with the bridge right says a probe on its LAN every two seconds, and at once when something looks like a loop. Whoever hears
 * another bridge of the same network there, with a smaller key_hash than its own, blocks its port until that one was silent for six
 * seconds: nothing passes between its device and the wire then but probes. Both say so in their status. A probe of our own that comes back
 * is a ring inside the LAN, which is said and left to it.
 */
#ifndef FARLAN_NODE_LOOPGUARD_H
#define FARLAN_NODE_LOOPGUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/drop.h"
#include "proto/base/heap.h"
#include "proto/ident.h"

#define LOOP_PROBE_MS   2000
#define LOOP_HURRY_MS   100 /* at the least between two probes */
#define LOOP_SILENCE_MS 6000
#define LOOP_RIVALS_MAX 8 /* other bridges on one LAN; more are as good as these */
#define LOOP_ETHERTYPE  0x88b6
#define LOOP_FRAME      60
#define LOOP_TEXT       160

struct letter;
struct net;
struct node;
struct port;
struct worker;

/* ---- any thread: what a worker does ----------------------------------------------------------------------------- */

/* Is it a probe, whoever sent it? Those stay between bridge and LAN: they go to the loop guard or nowhere. Behind a tag, too. */
static inline bool loopguard_frame(const uint8_t *frame, size_t len)
{
	static const uint8_t group[6] = {0x03, 0x46, 0x4c, 0x4e, 0x31, 0x00};
	size_t at = len >= 18 && frame[12] == 0x81 && !frame[13] ? 16 : 12;
	return len >= 14 && frame[at] == LOOP_ETHERTYPE >> 8 && frame[at + 1] == (LOOP_ETHERTYPE & 0xff) &&
	       !memcmp(frame, group, sizeof group);
}

void loopguard_heard(struct worker *, struct port *, const uint8_t *frame, size_t len); /* a probe from the device */
/* What a loop would do was seen: a MAC that moved or flaps, or a member's derived MAC as a source on our LAN. */
void loopguard_suspect(struct worker *, struct port *);
/* While that is fresh, a flooded frame that was here a moment ago, from the device or from the wire, goes no further: DROP_LOOP. Until the control
 * thread has had its turn and shut a port, nothing else opens the loop. */
enum drop loopguard_echo(struct worker *, struct port *, const uint8_t *frame, size_t len);

/* ---- the state of one network's guard; pure --------------------------------------------------------------------- */

struct loop_rival {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t address, heard_ms;
};

struct loopguard {
	struct loop_rival rival[LOOP_RIVALS_MAX];
	unsigned n;
	uint64_t self_ms;   /* our own was heard; 0 = not of late */
	uint64_t probed_ms; /* last sent */
	uint64_t probe_ms;  /* the next one; NEVER = none */
	bool blocked;
	struct timer timer;
};

enum loop_news {
	LOOP_SAME,
	LOOP_FOUND,   /* another bridge, or a ring inside the LAN */
	LOOP_GONE,    /* one of them is gone */
	LOOP_BLOCK,   /* found, and ours is the port to shut */
	LOOP_UNBLOCK, /* gone, and the port opens */
};

/* A probe of key_hash was heard. Found: ours follows at once, so that both know. */
enum loop_news loop_hear(struct loopguard *, const uint8_t own[KEY_HASH_BYTES], const uint8_t key_hash[KEY_HASH_BYTES], uint64_t address,
                         uint64_t now_ms);
/* Who was silent for too long is gone: one at a time, so call until LOOP_SAME. ret_address: who; 0 = our own ring. */
enum loop_news loop_silence(struct loopguard *, const uint8_t own[KEY_HASH_BYTES], uint64_t now_ms, uint64_t *ret_address);
void loop_hurry(struct loopguard *, uint64_t now_ms); /* a probe as soon as one may be sent */
uint64_t loop_deadline(const struct loopguard *);     /* the earlier of next probe and next silence; NEVER = none */

/* ---- control ---------------------------------------------------------------------------------------------------- */

void loopguard_start(struct net *);   /* a new net */
void loopguard_changed(struct net *); /* device, own flags: are we a bridge now? */
void loopguard_stop(struct net *);
void loopguard_letter(struct node *, const struct letter *); /* LETTER_LOOP */
/* Another member shut or opened its port: what was learned is forgotten, as a switch does on a topology change. */
void loopguard_topology(struct net *);
/* What to tell people, or "". */
void loopguard_text(const struct net *, char buf[LOOP_TEXT]);

#endif
