/* wire.h: the one door for datagrams, and the layouts of what stands outside the encryption (PROTOCOL.md, Demultiplexing).
 *
 * Structs have alignment 1 and are laid over received bytes; multi-byte fields are byte arrays read with the cursor's
 * helpers or le32_at(). No state, any thread.
 */
#ifndef FARLAN_PROTO_WIRE_H
#define FARLAN_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DATA_HEADER     12
#define DATA_TAG        16
#define INNER_HEADER    4
#define DATA_OVERHEAD   (DATA_HEADER + INNER_HEADER + DATA_TAG) /* 32 */
#define LEG_HEADER      16
#define INIT_MIN        216
#define INIT_MAX        1232 /* accepted */
#define INIT_SEND_MAX   1024 /* as sent: fits INCOMING and a leg */
#define RESP_MIN        120
#define RETRY_BYTES     68
#define DATAGRAM_BASE   1232 /* UDP payload every path is assumed to carry */
#define DATAGRAM_MAX    9000
#define DATAGRAM_STREAM 1452 /* of a path by a TLS stream, whatever lies below it */
#define LANE_MASK       15u
#define LANES_MAX       16
#define IDX_MASK        0xfffffff0u /* idx with lane 0 */

#define SUITE_AES256_GCM        1
#define SUITE_CHACHA20_POLY1305 2

#define CAP_GCM         (1u << 0)
#define CAP_CHACHA      (1u << 1)
#define CAP_LANES_SHIFT 2 /* 4 bits: receive lanes - 1 */
#define CAP_SEG         (1u << 6)
#define CAP_BUNDLE      (1u << 7)
#define CAP_RELAY       (1u << 8)
#define CAP_CTRL_CLASS  (1u << 9)
#define CAP_REPLICATE   (1u << 10)

/* Inner types (first byte of the decrypted body). */
enum inner_type {
	INNER_PAD = 0x00,
	INNER_FRAME = 0x01,
	INNER_EFRAME = 0x02,
	INNER_FRAG = 0x03,
	INNER_BUNDLE = 0x04,
	INNER_CTRL = 0x10,
	INNER_PROBE = 0x11,
	INNER_PROBE_ACK = 0x12,
	INNER_CLOSE = 0x7f,
};

/* Flags of FRAME and EFRAME; each puts 4 bytes in front of the body, in this order, both LE: csum_start u16, csum_offset u16
 * (counted in the frame with its Ethernet header); superframe id u16, i u8, n u8. */
#define FRAME_CSUM  1u
#define FRAME_SEG   2u
#define FRAME_FLAGS (FRAME_CSUM | FRAME_SEG)
/* Of an EFRAME, alone: addresses in front of the body, u40 LE each. REPLICATED: the member it is from. REPLICATE: from, to (not included) of
 * those it is for. */
#define FRAME_REPLICATED 4u
#define FRAME_REPLICATE  8u
#define FRAME_NOTE_MAX   10

/* BUNDLE: up to 16 records {len u16 (of the body), type u8, flags u8, body}, FRAMEs and EFRAMEs of the channel in the inner header. */
#define BUNDLE_RECORD 4
#define BUNDLE_MAX    16

struct data_header {
	uint8_t idx[4];
	uint8_t pn_masked[8];
};
_Static_assert(sizeof(struct data_header) == DATA_HEADER, "DATA header");

struct inner_header {
	uint8_t type, flags;
	uint8_t chan[2]; /* LE */
};
_Static_assert(sizeof(struct inner_header) == INNER_HEADER, "inner header");

struct leg_header {
	uint8_t idx[4];
	uint8_t wire_seq[4];
	uint8_t tag[8];
};
_Static_assert(sizeof(struct leg_header) == LEG_HEADER, "leg header");

struct frag_header {         /* after the inner header */
	uint8_t frame_id[4]; /* lane << 28 | counter */
	uint8_t i, n;
	uint8_t total[2];
};
_Static_assert(sizeof(struct frag_header) == 8, "frag header");
#define FRAG_PIECES_MAX 16
#define FRAG_FRAME_MAX  9216 /* inner header and body of one reassembled FRAME or EFRAME */

/* PROBE: token u64, t_us u32, flags u16, path_id u16, padding; datagram >= 96 bytes.
 * PROBE_ACK: token u64, t_us echo u32, hold_us u32, received size u16, reserved u16, observed endpoint 20. */
#define PROBE_BODY         16
#define PROBE_STANDBY      1u /* in its flags: what I send goes another way; says nothing of a move */
#define PROBE_MEASURE      2u /* answer and make nothing of where it came from */
#define PROBE_ACK_BODY     40
#define PROBE_DATAGRAM_MIN 96

/* What an index names at the receiver. Sessions, pending handshakes and circuits share one index space. */
enum index_kind { INDEX_NONE, INDEX_SESSION, INDEX_PENDING, INDEX_CIRCUIT };

enum wire_kind { WIRE_DROP_SHORT, WIRE_DROP_INDEX, WIRE_DROP_LENGTH, WIRE_DATA, WIRE_LEG, WIRE_RESP, WIRE_RETRY, WIRE_INIT };

/* What a datagram of len bytes is, given what the 28 bits of its first word name here. Total: every input has exactly
 * one answer. WIRE_INIT means only "length of an INIT": hint and mac1 are checked by gate_check(). */
enum wire_kind wire_classify(enum index_kind named, size_t len);

/* One load or store each: compilers make nothing of the kind out of loops over bytes. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire's order is the machine's");
static inline uint16_t le16_at(const void *at)
{
	uint16_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void le16_to(void *at, uint16_t v)
{
	memcpy(at, &v, sizeof(v));
}

static inline uint32_t le32_at(const void *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void le32_to(void *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static inline uint64_t le64_at(const void *at)
{
	uint64_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void le64_to(void *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

#include "proto/base/cursor.h"
struct endpoint;
/* The 20-byte observed address: u8 family, u8 0, u16 LE port, 16 bytes ip. get sets r->bad for another family than 0, 4, 6. */
void put_endpoint(struct writer *, const struct endpoint *);
void get_endpoint(struct reader *, struct endpoint *ret);

#endif
