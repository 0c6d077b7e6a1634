/* mail.h: letters from a worker to control: two bounded rings each, authenticated mail and strangers, so that a flood of strangers
 * never starves control messages. Ring full = DROP_MAIL_FULL, counted by the worker.
 *
 * A letter names sessions and circuits by index, never by pointer: they may be gone when it is read.
 */
#ifndef FARLAN_NODE_MAIL_H
#define FARLAN_NODE_MAIL_H

#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/base/ring.h"
#include "proto/cred.h"
#include "proto/wire.h"

enum letter_kind {
	/* strangers' ring */
	LETTER_INIT, /* data = datagram, gate = index into the view's gates (by secret: gate_secret) */
	/* authenticated ring; RESP and RETRY match a pending handshake of ours */
	LETTER_RESP, /* data = datagram, idx = pending */
	LETTER_RETRY,
	LETTER_LEG, /* data = leg packet on a leg of ours whose keys the answer to our CONNECT brings: it may be behind it, on its way to control */
	LETTER_CTRL,  /* data = body after the inner header; idx = session */
	LETTER_PROBE, /* data = body; size = UDP payload bytes of the datagram (leg header not counted) */
	LETTER_PROBE_ACK,
	LETTER_CLOSE,
	LETTER_CONFIRM,   /* first authentic packet of an unconfirmed session, of a type that is not mailed itself */
	LETTER_FRAME_IN,  /* data = inner header and body of a FRAME or EFRAME whose channel is not open yet */
	LETTER_FRAME_OUT, /* data = Ethernet frame; chan = our network, address = member without a session */
	LETTER_FLOOD_OUT, /* data = Ethernet frame; chan; generation, places, from and to: members it could not be sent to */
	LETTER_ROAM,      /* authentic packet, newest of its lane, from another direct address than the way's; idx = session.
	                   * At a relay also a leg packet: idx 0, circuit = our leg, whose far end moved */
	LETTER_LOOP,      /* chan; data = a probe that the device heard, or nothing: the worker saw what a loop would do */
	LETTER_GROUPS,    /* chan: our device sent a membership report, or otherwise may take other groups than it did */
	LETTER_GATHER,    /* chan; data = multicast frame of our device to a group whose audience is not complete; or the 6 bytes of the
	                   * group alone: it is only to be looked after */
	LETTER_REKEY,     /* a lane passed LANE_REKEY: idx = session */
};

#define LETTER_PLACES       128 /* a bit for each of ten thousand would be most of a letter */
#define LETTER_DATA_MAX     9472
#define LETTER_STRANGER_MAX 1280
#define MAIL_LETTERS        256
#define MAIL_STRANGERS      64

struct letter {
	uint8_t kind;
	uint8_t socket; /* it came by */
	uint16_t chan;
	uint32_t idx;        /* session or pending; 0 = none */
	uint32_t circuit;    /* index of our leg it came through; 0 = straight over UDP */
	uint32_t len;        /* of data */
	uint32_t size;       /* received datagram */
	uint32_t generation; /* FLOOD_OUT: of the roster */
	uint64_t address;
	uint64_t origin;  /* FLOOD_OUT: the member whose frame we copy for others; 0 = it is our own */
	uint64_t time_us; /* when the turn began, microseconds */
	struct endpoint from;
	uint8_t gate_secret[32];
	uint64_t ring_from, ring_to;   /* FLOOD_OUT: which stretch of the ring it is for (audience.h); all of it if the same */
	uint32_t places;               /* FLOOD_OUT: how many could not be reached; more than LETTER_PLACES are not all named: */
	uint16_t place[LETTER_PLACES]; /* then whoever cannot be sent to is meant */
	uint8_t data[];
};

struct mail {
	struct ring letters, strangers;
};

int mail_init(struct mail *);
void mail_fini(struct mail *);
/* The slot to fill (fields zeroed but place and data, which are not), or NULL when full. Publish with mail_post(). */
struct letter *mail_begin(struct mail *, enum letter_kind);
/* A LETTER_INIT that came through a circuit: a relay vouched for its rate, so it goes with the authenticated ones. */
struct letter *mail_begin_relayed_init(struct mail *);
void mail_post(struct mail *, const struct letter *);
/* Control: next letter, authenticated ones first; NULL when none. Give back with mail_done() before the next. */
struct letter *mail_take(struct mail *);
void mail_done(struct mail *, const struct letter *);

#endif
