/* body_test.c: the frame and every body: there and back, cut anywhere, any bit flipped. Copies are
 * allocated to the byte, so that the address sanitizer sees a read beyond the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/body.h"
#include "proto/document.h"
#include "test/unit/hex.h"

#define NWID      0xc5057629d8000001ull
#define ADDRESS   0xc5057629d8ull
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t filler[2048]; /* set up by main: 1, 2, 3 … */

static struct identity identity_sample(void)
{
	struct identity id = {.address = ADDRESS};
	memcpy(id.x, filler + 10, 32);
	memcpy(id.ed, filler + 50, 32);
	identity_hash(&id);
	return id;
}

static struct endpoint v4_sample(void)
{
	return (struct endpoint){.family = 4, .port = 51820, .ip = {192, 0, 2, 1}};
}

static struct endpoint v6_sample(void)
{
	return (struct endpoint){.family = 6, .port = 9993, .ip = {0x20, 1, 0x0d, 0xb8, [15] = 7}};
}

/* One parser behind one shape. A refusal must leave the output alone; what was read must also be
 * writable, and be the same when read again. */
#define X(name)                                                                                                                            \
	static bool try_##name(const uint8_t *bytes, size_t len)                                                                           \
	{                                                                                                                                  \
		struct body_##name out, clean;                                                                                             \
		uint8_t again[BODY_MAX], third[BODY_MAX];                                                                                  \
		memset(&out, 0xa5, sizeof(out));                                                                                           \
		memset(&clean, 0xa5, sizeof(clean));                                                                                       \
		if (!body_##name##_parse(bytes, len, &out)) {                                                                              \
			assert_memory_equal(&out, &clean, sizeof(out));                                                                    \
			return false;                                                                                                      \
		}                                                                                                                          \
		size_t n = body_##name##_encode(&out, again, sizeof(again));                                                               \
		assert_in_range(n, 1, len);                                                                                                \
		assert_true(body_##name##_parse(again, n, &clean));                                                                        \
		assert_int_equal(body_##name##_encode(&clean, third, sizeof(third)), n);                                                   \
		assert_memory_equal(again, third, n);                                                                                      \
		return true;                                                                                                               \
	}
BODY_LIST(X)
#undef X

static bool try_message(const uint8_t *bytes, size_t len)
{
	struct message m;
	uint8_t again[BODY_MAX];
	if (!message_parse(bytes, len, &m))
		return false;
	assert_int_equal(message_encode(&m, again, sizeof(again)), len);
	assert_memory_equal(again, bytes, len);
	return true;
}

static bool on_copy(bool (*try)(const uint8_t *, size_t), const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	bool ok = try(copy, len);
	free(copy);
	return ok;
}

/* Returns how many flips were accepted. */
static unsigned abuse(bool (*try)(const uint8_t *, size_t), const uint8_t *bytes, size_t len)
{
	uint8_t changed[BODY_MAX + 1];
	unsigned accepted = 0;
	assert_true(on_copy(try, bytes, len));
	for (size_t n = 0; n < len; n++)
		assert_false(on_copy(try, bytes, n));
	memcpy(changed, bytes, len);
	changed[len] = 0;
	assert_false(on_copy(try, changed, len + 1));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		accepted += on_copy(try, changed, len);
		changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return accepted;
}

/* Encodes in, in exactly the room it needs and not in one byte less; parses into out; abuses the
 * bytes. */
#define TRIP(name, in, out)                                                                                                                \
	uint8_t bytes[BODY_MAX];                                                                                                           \
	size_t len = body_##name##_encode(&(in), bytes, sizeof(bytes));                                                                    \
	assert_int_not_equal(len, 0);                                                                                                      \
	assert_int_equal(body_##name##_encode(&(in), bytes, len), len);                                                                    \
	assert_int_equal(body_##name##_encode(&(in), (uint8_t[BODY_MAX]){0}, len - 1), 0);                                                 \
	struct body_##name out;                                                                                                            \
	assert_true(body_##name##_parse(bytes, len, &out));                                                                                \
	abuse(try_##name, bytes, len)

#define SAME(field)       assert_int_equal(in.field, out.field)
#define SAME_BYTES(field) assert_memory_equal(&in.field, &out.field, sizeof(in.field))
#define BORROWED(field)                                                                                                                    \
	do {                                                                                                                               \
		assert_int_equal(in.field##_len, out.field##_len);                                                                         \
		assert_memory_equal(in.field, out.field, in.field##_len);                                                                  \
		assert_true(out.field >= bytes && out.field + out.field##_len <= bytes + len);                                             \
	} while (0)

static void assert_identity(const struct identity *a, const struct identity *b)
{
	assert_int_equal(a->address, b->address);
	assert_memory_equal(a->x, b->x, 32);
	assert_memory_equal(a->ed, b->ed, 32);
	assert_memory_equal(a->key_hash, b->key_hash, KEY_HASH_BYTES);
}

static void message_frames(void **state)
{
	(void)state;
	static const uint8_t body[] = {0x81, 0x00, 0x05};
	static const struct {
		struct message m;
		const char *hex;
	} cases[] = {
	    {{.req = 1, .op = OP_ACK, .body = body, .len = 3}, "930129810005"},
	    {{.req = 0xffffffff, .op = OP_OBSERVED}, "93ceffffffff1d80"},
	    {{.req = 0, .op = OP_JOIN_REQ | OP_REPLY, .status = 0, .body = body, .len = 3}, "9300cca89200810005"},
	    {{.req = 300, .op = OP_HEAD | OP_REPLY, .status = STATUS_DENIED}, "93cd012ccc839103"},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		uint8_t out[64];
		const struct message *in = &cases[i].m;
		size_t len = message_encode(in, out, sizeof(out));
		assert_int_equal(len, strlen(cases[i].hex) / 2);
		assert_hex(out, cases[i].hex);
		struct message m;
		assert_true(message_parse(out, len, &m));
		assert_int_equal(m.req, in->req);
		assert_int_equal(m.op, in->op);
		assert_int_equal(m.status, in->status);
		if (in->len) {
			assert_int_equal(m.len, in->len);
			assert_memory_equal(m.body, in->body, m.len);
		}
		abuse(try_message, out, len);
		assert_int_equal(message_encode(in, out, len - 1), 0);
	}
	static const char *bad[] = {
	    "9200",
	    "9401298000",
	    "92012980",
	    "930129",
	    "9301298080",
	    "93ff2980",
	    "930140",
	    "93cf00000001000000002980",
	    "93cd00012980",
	    "9301cd010080",
	    "9301cca880",
	    "9301cca890",
	    "9301cca893008000",
	    "9301cca891810000",
	    "9301cca891ff",
	    "9301cca892cd010080",
	    "9301a080",
	    "93a02980",
	    "83002980",
	    "930129c0",
	    "93012991c0",
	    "9301cca89200c0",
	};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		uint8_t bytes[64];
		struct message m;
		if (message_parse(bytes, unhex(bytes, sizeof(bytes), bad[i]), &m))
			fail_msg("accepted: %s", bad[i]);
	}
	/* what a peer would refuse is not sent: two values, none, a cut one */
	uint8_t out[64];
	assert_int_equal(message_encode(&(struct message){.op = OP_ACK, .body = (uint8_t[]){0x80, 0x80}, .len = 2}, out, 64), 0);
	assert_int_equal(message_encode(&(struct message){.op = OP_ACK, .body = (uint8_t[]){0x81}, .len = 1}, out, 64), 0);
}

static void message_sizes(void **state)
{
	(void)state;
	static uint8_t body[BODY_MAX] = {0x81, 0x00, 0xc5}, out[BODY_MAX + 64];
	for (size_t len = BODY_MAX - 20; len <= BODY_MAX; len++) {
		body[3] = (uint8_t)((len - 5) >> 8);
		body[4] = (uint8_t)(len - 5);
		struct message in = {.req = 7, .op = 9, .body = body, .len = len}, back;
		size_t n = message_encode(&in, out, sizeof(out));
		assert_int_equal(n, len + 3 <= BODY_MAX ? len + 3 : 0);
		if (n)
			assert_true(message_parse(out, n, &back));
	}
	/* one byte too many, and well-formed */
	out[0] = 0x93, out[1] = 7, out[2] = 9;
	size_t len = BODY_MAX - 2;
	body[3] = (uint8_t)((len - 5) >> 8);
	body[4] = (uint8_t)(len - 5);
	memcpy(out + 3, body, len);
	struct message back;
	assert_true(document_walk(out, len + 3, BODY_DEPTH_MAX, BODY_ELEMENTS_MAX));
	assert_false(message_parse(out, len + 3, &back));
}

static void net_bodies(void **state)
{
	(void)state;
	{
		struct body_net_open in = {
		    .nwid = NWID, .chan = 65535, .cred = filler, .cred_len = 214, .head = filler + 9, .head_len = 166};
		TRIP(net_open, in, out);
		SAME(nwid), SAME(chan);
		BORROWED(cred);
		BORROWED(head);
	}
	{
		struct body_net_open in = {.nwid = NWID, .chan = 1, .cred = filler, .cred_len = CRED_ENVELOPE_MAX};
		TRIP(net_open, in, out);
		assert_null(out.head);
		in.cred_len++;
		assert_int_equal(body_net_open_encode(&in, bytes, sizeof(bytes)), 0);
		in.cred_len = 0;
		assert_int_equal(body_net_open_encode(&in, bytes, sizeof(bytes)), 0);
	}
	{
		struct body_net_close in = {.nwid = NWID, .chan = 513};
		TRIP(net_close, in, out);
		SAME(nwid), SAME(chan);
		in.nwid = 0xc505762900000000; /* no network */
		assert_int_equal(body_net_close_encode(&in, bytes, sizeof(bytes)), 0);
	}
	{
		struct body_head in = {.nwid = NWID, .head = filler, .head_len = HEAD_ENVELOPE_MAX};
		TRIP(head, in, out);
		SAME(nwid);
		BORROWED(head);
	}
	{
		struct body_cred in = {.nwid = NWID, .cred = filler, .cred_len = 300};
		TRIP(cred, in, out);
		SAME(nwid);
		BORROWED(cred);
	}
}

static void blob_bodies(void **state)
{
	(void)state;
	{
		struct body_get_blob in = {.nwid = NWID, .off = 261000};
		memcpy(in.hash, filler, 32);
		TRIP(get_blob, in, out);
		SAME(nwid), SAME(off);
		SAME_BYTES(hash);
	}
	{
		struct body_blob in = {.off = SECTION_MAX - 1000, .total = SECTION_MAX, .piece = filler, .piece_len = 1000};
		memcpy(in.hash, filler + 1, 32);
		TRIP(blob, in, out);
		SAME(off), SAME(total);
		SAME_BYTES(hash);
		BORROWED(piece);
		struct message m = {.req = UINT32_MAX, .op = OP_GET_BLOB | OP_REPLY, .body = bytes, .len = len};
		uint8_t whole[BODY_MAX];
		assert_int_not_equal(message_encode(&m, whole, sizeof(whole)), 0);
		struct body_blob bad[] = {in, in, in, in, in};
		bad[0].off++, bad[1].total++, bad[2].piece_len++, bad[3].piece_len = 0, bad[4].off = UINT32_MAX;
		for (size_t i = 0; i < LENGTH(bad); i++)
			assert_int_equal(body_blob_encode(&bad[i], bytes, sizeof(bytes)), 0);
	}
}

static void path_bodies(void **state)
{
	(void)state;
	struct body_cands in = {.gen = 70000, .n = CANDIDATES_MAX};
	for (unsigned i = 0; i < in.n; i++) {
		in.endpoints[i] = i % 2 ? v4_sample() : v6_sample();
		in.endpoints[i].port = (uint16_t)(1000 + i);
	}
	TRIP(cands, in, out);
	SAME(gen), SAME(n);
	for (unsigned i = 0; i < in.n; i++)
		assert_true(endpoint_equal(&in.endpoints[i], &out.endpoints[i]));
	/* one more: 24 becomes 25 */
	struct writer w = writer_over(bytes, sizeof(bytes));
	pack_map(&w, 2);
	pack_uint(&w, 0), pack_uint(&w, 1), pack_uint(&w, 1);
	pack_array(&w, CANDIDATES_MAX + 1);
	for (unsigned i = 0; i <= CANDIDATES_MAX; i++)
		pack_endpoint(&w, &in.endpoints[0]);
	assert_true(document_walk(bytes, pack_end(&w), BODY_DEPTH_MAX, BODY_ELEMENTS_MAX));
	assert_false(try_cands(bytes, pack_end(&w)));
	struct {
		struct body_cands b;
		struct endpoint more;
	} long_list = {.b = in, .more = in.endpoints[0]};
	long_list.b.n++;
	assert_int_equal(body_cands_encode(&long_list.b, bytes, sizeof(bytes)), 0);
	in.endpoints[3].family = 0;
	assert_int_equal(body_cands_encode(&in, bytes, sizeof(bytes)), 0);
	in.n = 0;
	assert_int_not_equal(body_cands_encode(&in, bytes, sizeof(bytes)), 0);
}

static bool takes_spray(uint64_t side, uint64_t start, uint64_t count, uint64_t step, bool endpoint)
{
	uint8_t bytes[BODY_MAX];
	const struct endpoint at = v4_sample();
	struct writer w = writer_over(bytes, sizeof(bytes));
	pack_map(&w, endpoint ? 6 : 5);
	pack_uint(&w, 0), pack_uint(&w, side);
	pack_uint(&w, 1), pack_uint(&w, start);
	pack_uint(&w, 2), pack_uint(&w, count);
	pack_uint(&w, 3), pack_uint(&w, 100);
	if (endpoint)
		pack_uint(&w, 4), pack_endpoint(&w, &at);
	pack_uint(&w, 5), pack_uint(&w, step);
	return try_spray(bytes, pack_end(&w));
}

static void spray_bodies(void **state)
{
	(void)state;
	struct body_spray in = {.side = SPRAY_EASY, .start = UINT32_MAX, .count = 1024, .rate = 100, .endpoint = v4_sample()};
	{
		TRIP(spray, in, out);
		SAME(side), SAME(start), SAME(count), SAME(rate), SAME(step);
		assert_true(endpoint_equal(&in.endpoint, &out.endpoint));
	}
	in.side = SPRAY_HARD;
	in.step = UINT16_MAX; /* downwards */
	{
		TRIP(spray, in, out);
		SAME(side), SAME(step);
	}
	assert_true(takes_spray(1, 7, 256, 3, true));
	assert_false(takes_spray(2, 7, 256, 3, true));
	assert_false(takes_spray(1, 1ull << 32, 256, 3, true));
	assert_false(takes_spray(1, 7, 65536, 3, true));
	assert_false(takes_spray(1, 7, 256, 65536, true));
	assert_false(takes_spray(1, 7, 256, 3, false));
	uint8_t bytes[BODY_MAX];
	in.side = 2;
	assert_int_equal(body_spray_encode(&in, bytes, sizeof(bytes)), 0);
	in.side = SPRAY_HARD;
	in.endpoint.family = 0;
	assert_int_equal(body_spray_encode(&in, bytes, sizeof(bytes)), 0);
}

static void root_bodies(void **state)
{
	(void)state;
	{
		struct body_whois in = {.address = ADDRESS};
		TRIP(whois, in, out);
		SAME(address);
		in.address = 0x10000000000;
		assert_int_equal(body_whois_encode(&in, bytes, sizeof(bytes)), 0);
		len = unhex(bytes, sizeof(bytes), "8100cf0000010000000000");
		assert_true(document_walk(bytes, len, 1, 3));
		assert_false(try_whois(bytes, len));
	}
	{
		struct body_identity in = {.identity = identity_sample()};
		TRIP(identity, in, out);
		assert_identity(&in.identity, &out.identity);
	}
	{
		struct body_register in = {.epoch = 0xfffffffe, .flags = 0x8001};
		TRIP(register, in, out);
		SAME(epoch), SAME(flags), SAME(instance);
		assert_null(out.contact);
	}
	{
		struct body_register in = {.epoch = 1, .instance = UINT64_MAX - 5};
		TRIP(register, in, out);
		SAME(epoch), SAME(flags), SAME(instance);
		assert_null(out.contact);
	}
	{
		struct body_register in = {.epoch = 1, .instance = 1, .contact = filler, .contact_len = 100};
		TRIP(register, in, out);
		SAME(instance);
		BORROWED(contact);
	}
	{
		struct body_register in = {.epoch = 7, .contact = filler, .contact_len = CONTACT_ENVELOPE_MAX};
		TRIP(register, in, out);
		BORROWED(contact);
		in.contact_len++;
		assert_int_equal(body_register_encode(&in, bytes, sizeof(bytes)), 0);
	}
	{
		struct body_observed in = {.observed = v6_sample()};
		TRIP(observed, in, out);
		assert_true(endpoint_equal(&in.observed, &out.observed));
	}
	{
		struct body_observed in = {.observed = {.family = 0}};
		TRIP(observed, in, out);
		assert_int_equal(len, 1);
		assert_int_equal(out.observed.family, 0);
	}
	{ /* a stream's far end is nowhere to send a datagram to */
		struct body_observed in = {.observed = v6_sample(), .clone = v6_sample()};
		in.observed.family |= ENDPOINT_STREAM;
		in.clone.family |= ENDPOINT_STREAM;
		TRIP(observed, in, out);
		assert_int_equal(len, 1);
		assert_int_equal(out.observed.family, 0);
	}
	{
		struct body_observed in = {.clone = v6_sample(), .alt_port = 65535};
		TRIP(observed, in, out);
		assert_int_equal(out.observed.family, 0);
		assert_true(endpoint_equal(&in.clone, &out.clone));
		SAME(alt_port);
	}
	{
		struct body_observed in = {.observed = v6_sample(), .clone = v6_sample(), .alt_port = 1};
		TRIP(observed, in, out);
		assert_true(endpoint_equal(&in.observed, &out.observed) && endpoint_equal(&in.clone, &out.clone));
		SAME(alt_port);
		/* a port of more than 16 bits, a number for an endpoint */
		static const uint8_t wide[] = {0x81, 2, 0xce, 0, 1, 0, 0}, number[] = {0x81, 1, 7};
		struct body_observed kept = out;
		assert_false(body_observed_parse(wide, sizeof wide, &out));
		assert_false(body_observed_parse(number, sizeof number, &out));
		assert_memory_equal(&out, &kept, sizeof out);
	}
	{
		struct body_peer_restart in = {0};
		memcpy(in.key_hash, filler + 3, 32);
		TRIP(peer_restart, in, out);
		SAME_BYTES(key_hash);
	}
	{
		struct body_unreach in = {.idx = 0x11223340, .relay_idx = 0x55667780};
		TRIP(unreach, in, out);
		SAME(idx);
	}
	{
		struct body_idx in = {.idx = 0xcafe0010};
		TRIP(idx, in, out);
		SAME(idx);
	}
}

static void circuit_bodies(void **state)
{
	(void)state;
	uint8_t whole[BODY_MAX];
	{
		struct body_connect in = {.address = ADDRESS,
		                          .key_hash_set = true,
		                          .rx_idx = 0xfffffff0,
		                          .first = filler,
		                          .first_len = INIT_SEND_MAX,
		                          .share_observed = true};
		memcpy(in.key_hash, filler + 5, 32);
		TRIP(connect, in, out);
		SAME(address), SAME(key_hash_set), SAME(rx_idx), SAME(share_observed);
		SAME_BYTES(key_hash);
		BORROWED(first);
		struct message m = {.req = UINT32_MAX, .op = OP_CONNECT, .body = bytes, .len = len};
		assert_int_not_equal(message_encode(&m, whole, sizeof(whole)), 0);
		in.first_len++;
		assert_int_equal(body_connect_encode(&in, bytes, sizeof(bytes)), 0);
	}
	{
		struct body_connect in = {.address = 1, .rx_idx = 16, .first = filler, .first_len = INIT_MIN};
		TRIP(connect, in, out);
		assert_false(out.key_hash_set);
		assert_false(out.share_observed);
	}
	{ /* the largest message there is */
		struct body_incoming in = {
		    .source = identity_sample(), .idx = 0xfffffff0, .observed = v6_sample(), .first = filler, .first_len = INIT_SEND_MAX};
		in.source.address = ADDRESS_MAX;
		TRIP(incoming, in, out);
		SAME(idx);
		assert_identity(&in.source, &out.source);
		assert_true(endpoint_equal(&in.observed, &out.observed));
		BORROWED(first);
		struct message m = {.req = UINT32_MAX, .op = OP_INCOMING, .body = bytes, .len = len};
		assert_in_range(message_encode(&m, whole, sizeof(whole)), INIT_SEND_MAX, BODY_MAX);
	}
	{
		struct body_incoming in = {.source = identity_sample(), .idx = 32, .first = filler, .first_len = INIT_MIN};
		TRIP(incoming, in, out);
		assert_int_equal(out.observed.family, 0);
	}
	{
		struct body_incoming in = {
		    .source = identity_sample(), .idx = 32, .observed = v6_sample(), .first = filler, .first_len = INIT_MIN};
		in.observed.family |= ENDPOINT_STREAM;
		TRIP(incoming, in, out);
		assert_int_equal(out.observed.family, 0);
		SAME(idx);
	}
	{
		struct body_accept in = {.idx = 0xfffffff0, .rx_idx = 0x12345670, .first = filler + 7, .first_len = RETRY_BYTES};
		TRIP(accept, in, out);
		SAME(idx), SAME(rx_idx);
		BORROWED(first);
	}
}

static void controller_bodies(void **state)
{
	(void)state;
	{
		struct body_join_req in = {.nwid = NWID,
		                           .identity = identity_sample(),
		                           .hostname = "b\xc3\xbcro-1",
		                           .os = "Linux 6.1",
		                           .version = "0.1.0",
		                           .have_version = 1ull << 40};
		TRIP(join_req, in, out);
		SAME(nwid), SAME(have_version);
		assert_int_equal(out.asked, 0); /* as an older node sends it */
		size_t before = len;
		in.asked = UINT64_MAX;
		len = body_join_req_encode(&in, bytes, sizeof(bytes));
		assert_true(body_join_req_parse(bytes, len, &out));
		SAME(asked);
		assert_int_equal(len, before + 10);
		in.asked = 0;
		in.invite = 0x0123456789abcdef;
		memset(in.proof, 0x77, sizeof(in.proof));
		len = body_join_req_encode(&in, bytes, sizeof(bytes));
		assert_true(body_join_req_parse(bytes, len, &out));
		SAME(invite);
		assert_memory_equal(in.proof, out.proof, sizeof(in.proof));
		assert_int_equal(len, before + 1 + 2 + 72);
		in.invite = 0;
		assert_identity(&in.identity, &out.identity);
		assert_string_equal(in.hostname, out.hostname);
		assert_string_equal(in.os, out.os);
		assert_string_equal(in.version, out.version);
		in.hostname[0] = 0; /* nothing to say is a valid text */
		len = body_join_req_encode(&in, bytes, sizeof(bytes));
		assert_true(body_join_req_parse(bytes, len, &out));
		assert_string_equal(out.hostname, "");
		memset(in.os, 'x', NAME_MAX_BYTES);
		assert_int_not_equal(body_join_req_encode(&in, bytes, sizeof(bytes)), 0);
		memset(in.os, 'x', sizeof(in.os)); /* not terminated */
		assert_int_equal(body_join_req_encode(&in, bytes, sizeof(bytes)), 0);
		strcpy(in.os, "\x1b[31m");
		assert_int_equal(body_join_req_encode(&in, bytes, sizeof(bytes)), 0);
	}
	{
		struct body_join_res in = {
		    .nwid = NWID, .status = JOIN_OK, .memberconf = filler, .memberconf_len = CRED_ENVELOPE_MAX + HEAD_ENVELOPE_MAX + 44};
		TRIP(join_res, in, out);
		SAME(nwid), SAME(status);
		BORROWED(memberconf);
		uint8_t whole[BODY_MAX];
		struct message m = {.req = UINT32_MAX, .op = OP_JOIN_REQ | OP_REPLY, .body = bytes, .len = len};
		assert_int_not_equal(message_encode(&m, whole, sizeof(whole)), 0);
	}
	{
		struct body_join_res in = {.nwid = NWID, .status = JOIN_PENDING};
		TRIP(join_res, in, out);
		SAME(status);
		assert_null(out.memberconf);
	}
	{
		struct body_ack in = {.nwid = NWID, .version = 300};
		TRIP(ack, in, out);
		SAME(nwid), SAME(version);
	}
	{
		struct body_leave in = {.nwid = NWID};
		TRIP(leave, in, out);
		SAME(nwid);
	}
}

/* Keys of later versions are skipped whatever they hold; a known key with the wrong type is not. */
static void unknown_keys(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		bool ok;
	} cases[] = {
	    {"8100cfc5057629d8000001", true},
	    {"8200cfc5057629d800000105a161", true},
	    {"8200cfc5057629d8000001cd0123810093ff02c3", true},
	    {"8200cfc5057629d800000105c0", false},
	    {"8200cfc5057629d800000105ca00000000", false},
	    {"8205a16100cfc5057629d8000001", false},
	    {"8200cfc5057629d800000100cfc5057629d8000001", false},
	    {"8100a161", false},
	    {"8100c408c5057629d8000001", false},
	    {"8101cfc5057629d8000001", false},
	    {"80", false},
	    {"91cfc5057629d8000001", false},
	    {"cfc5057629d8000001", false},
	    {"8100cfc505762900000000", false},
	    {"8100ff", false},
	};
	uint8_t bytes[64];
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct body_leave out;
		if (body_leave_parse(bytes, unhex(bytes, sizeof(bytes), cases[i].hex), &out) != cases[i].ok)
			fail_msg("%s", cases[i].hex);
	}
	/* a body whose fields may all be absent is still a map */
	assert_false(try_observed((uint8_t[]){0x90}, 1));
	assert_false(try_observed((uint8_t[]){0x00}, 1));
}

static struct body_located located_sample(unsigned n)
{
	struct body_located b = {
	    .identity = identity_sample(), .contact = filler + n, .contact_len = 158, .age_s = 0xfffffff0u + n, .left_s = 0x10000};
	b.identity.x[0] ^= (uint8_t)n;
	identity_hash(&b.identity);
	return b;
}

static void rootset_bodies(void **state)
{
	(void)state;
	{
		struct body_locate in = {.address = ADDRESS};
		TRIP(locate, in, out);
		SAME(address), SAME(key_hash_set);
		in.key_hash_set = true;
		memcpy(in.key_hash, filler, KEY_HASH_BYTES);
		len = body_locate_encode(&in, bytes, sizeof(bytes));
		assert_true(body_locate_parse(bytes, len, &out));
		SAME(key_hash_set);
		SAME_BYTES(key_hash);
		abuse(try_locate, bytes, len);
	}
	{
		struct body_located in = located_sample(1);
		TRIP(located, in, out);
		assert_identity(&in.identity, &out.identity);
		BORROWED(contact);
		SAME(age_s), SAME(left_s);
	}
	{
		struct body_rootset in = {.have_seq = UINT64_MAX, .off = 8000};
		memcpy(in.id, filler, sizeof(in.id));
		TRIP(rootset, in, out);
		SAME_BYTES(id);
		SAME(have_seq), SAME(off);
	}
	{
		struct body_rootset_piece in = {.seq = 5, .off = 1000, .total = 2000, .piece = filler, .piece_len = ROOTSET_PIECE_MAX};
		TRIP(rootset_piece, in, out);
		SAME(seq), SAME(off), SAME(total);
		BORROWED(piece);
		in.off = 1001; /* beyond its own total */
		assert_int_equal(body_rootset_piece_encode(&in, bytes, sizeof(bytes)), 0);
		in.off = 0, in.total = ROOTSET_PIECE_MAX * 9;
		assert_int_equal(body_rootset_piece_encode(&in, bytes, sizeof(bytes)), 0);
		in = (struct body_rootset_piece){.seq = 5};
		len = body_rootset_piece_encode(&in, bytes, sizeof(bytes));
		assert_true(body_rootset_piece_parse(bytes, len, &out) && !out.total && !out.piece);
	}
}

static void sync_bodies(void **state)
{
	(void)state;
	{
		struct body_sync in = {.n = SYNC_RECORDS_MAX};
		for (unsigned i = 0; i < in.n; i++)
			in.record[i] = located_sample(i);
		TRIP(sync, in, out);
		SAME(n);
		for (unsigned i = 0; i < in.n; i++) {
			assert_identity(&in.record[i].identity, &out.record[i].identity);
			BORROWED(record[i].contact);
			SAME(record[i].age_s);
		}
		uint8_t whole[BODY_MAX];
		struct message m = {.req = UINT32_MAX, .op = OP_SYNC, .body = bytes, .len = len};
		assert_int_not_equal(message_encode(&m, whole, sizeof(whole)), 0); /* four of the longest fit */
		in.digest_set = true;                                              /* either, or */
		assert_int_equal(body_sync_encode(&in, bytes, sizeof(bytes)), 0);
		assert_false(try_sync((uint8_t[]){0x80}, 1));
	}
	{
		struct body_sync in = {.digest_set = true};
		for (unsigned i = 0; i < SYNC_BUCKETS; i++)
			in.digest[i] = 0x0123456789abcdefull * i;
		TRIP(sync, in, out);
		SAME(digest_set);
		SAME_BYTES(digest);
		assert_int_equal(out.n, 0);
	}
	{
		struct body_sync_result in = {.differ = {1, 2, 3}};
		TRIP(sync_result, in, out);
		SAME_BYTES(differ);
	}
}

static struct body_sub sub_sample(unsigned n)
{
	struct body_sub b = {.nwid = NWID, .seq = UINT64_MAX, .flags = SUB_FLAGS, .n = n};
	for (unsigned i = 0; i < n; i++)
		memcpy(b.group[i], (uint8_t[6]){0x33, 0x33, (uint8_t)i, 1, 2, 3}, 6);
	return b;
}

static void sub_bodies(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= SUB_GROUPS_MAX; n += n == 2 ? SUB_GROUPS_MAX - 2 : 1) {
		struct body_sub in = sub_sample(n);
		TRIP(sub, in, out);
		SAME(nwid), SAME(seq), SAME(flags), SAME(n), SAME_BYTES(group);
		assert_int_equal(body_sub_encode(&in, bytes, sizeof(bytes)), len);
		if (n < 2)
			continue;
		memcpy(in.group[1], in.group[0], 6); /* each once, ascending */
		assert_int_equal(body_sub_encode(&in, bytes, sizeof(bytes)), 0);
		in = sub_sample(n);
		in.group[0][0] = 0x32; /* no group */
		assert_int_equal(body_sub_encode(&in, bytes, sizeof(bytes)), 0);
		in = sub_sample(n);
		in.flags = 4;
		assert_int_equal(body_sub_encode(&in, bytes, sizeof(bytes)), 0);
	}
	struct body_sub some = sub_sample(2), heard;
	uint8_t raw[BODY_MAX];
	size_t n = body_sub_encode(&some, raw, sizeof(raw));
	assert_memory_equal(raw + n - 14, "\xc4\x0c\x33\x33\x00", 5);
	raw[n - 12 + 2] = 2; /* the first group behind the second */
	assert_false(try_sub(raw, n));
	raw[n - 12 + 2] = 0;
	raw[n - 15 - 1] = 7; /* a flag of later */
	assert_true(body_sub_parse(raw, n, &heard));
	assert_int_equal(heard.flags, SUB_FLAGS);
	some.n = SUB_GROUPS_MAX + 1;
	assert_int_equal(body_sub_encode(&some, raw, sizeof(raw)), 0);
}

static void gather_bodies(void **state)
{
	(void)state;
	const uint8_t mdns[6] = {1, 0, 0x5e, 0, 0, 0xfb};
	{
		struct body_gather asked = {.nwid = NWID, .after = ADDRESS};
		memcpy(asked.group, mdns, 6);
		TRIP(gather, asked, heard);
		assert_true(heard.nwid == NWID && heard.after == ADDRESS && !memcmp(heard.group, mdns, 6));
		asked.after = 0;
		size_t shorter = body_gather_encode(&asked, bytes, sizeof(bytes));
		assert_true(shorter && shorter < len && body_gather_parse(bytes, shorter, &heard) && !heard.after);
		asked.group[0] = 2;
		assert_int_equal(body_gather_encode(&asked, bytes, sizeof(bytes)), 0);
	}
	struct body_gathered found = {.more = true, .n = GATHERED_MAX};
	uint8_t raw[BODY_MAX];
	for (unsigned i = 0; i < GATHERED_MAX; i++)
		found.address[i] = ADDRESS_MAX - GATHERED_MAX + i;
	{
		TRIP(gathered, found, heard);
		assert_true(heard.more && heard.n == GATHERED_MAX);
		assert_memory_equal(heard.address, found.address, sizeof(found.address));
	}
	found.address[9] = found.address[8];
	assert_int_equal(body_gathered_encode(&found, raw, sizeof(raw)), 0);
	found = (struct body_gathered){.more = true}; /* whoever asks on would ask the same again */
	assert_int_equal(body_gathered_encode(&found, raw, sizeof(raw)), 0);
	assert_false(try_gathered((const uint8_t[]){0x82, 0, 1, 1, 0x90}, 5));
	assert_true(try_gathered((const uint8_t[]){0x82, 0, 0, 1, 0x90}, 5));
	assert_true(try_gathered((const uint8_t[]){0x82, 0, 0, 1, 0x92, 5, 6}, 7));
	assert_false(try_gathered((const uint8_t[]){0x82, 0, 0, 1, 0x92, 6, 6}, 7));
	assert_false(try_gathered((const uint8_t[]){0x82, 0, 2, 1, 0x91, 6}, 6));
}

static void report_bodies(void **state)
{
	(void)state;
	static struct body_report full = {.nwid = 0xfe00000001aaaaaa, .seq = 5ull << 32 | 9, .n = REPORT_LINKS_MAX};
	uint8_t raw[BODY_MAX];
	for (unsigned i = 0; i < REPORT_LINKS_MAX; i++)
		full.link[i] = (struct report_link){.address = i + 1, .kind = LINK_RELAY, .rtt_us = 1000 * i, .age_s = i};
	size_t len = body_report_encode(&full, raw, sizeof(raw));
	assert_in_range(len, 64 * 12, BODY_MAX);
	assert_true(on_copy(try_report, raw, len));
	for (size_t cut = 0; cut < len; cut++)
		assert_false(on_copy(try_report, raw, cut));
	full.link[9].address = full.link[8].address; /* each once */
	assert_int_equal(body_report_encode(&full, raw, sizeof(raw)), 0);
	struct body_report none = {.nwid = 1, .seq = 1};
	len = body_report_encode(&none, raw, sizeof(raw));
	assert_true(on_copy(try_report, raw, len));
}

/* What the widest of all takes: the counters stay, links go, the longest unheard first. */
static void report_counters(void **state)
{
	static struct body_report full, out;
	uint8_t raw[BODY_MAX], whole[BODY_MAX];
	(void)state;
	full = (struct body_report){.nwid = UINT64_MAX, .seq = UINT64_MAX, .n = REPORT_LINKS_MAX, .counted = true};
	full.count.rx_bytes = full.count.rx_frames = full.count.tx_bytes = full.count.tx_frames = UINT64_MAX;
	for (unsigned i = 0; i < REPORT_LINKS_MAX; i++)
		full.link[i] = (struct report_link){.address = 0xffffff0000 + i, .rtt_us = 1, .age_s = i % 2 ? 500 - i : 3};
	size_t len = body_report_encode(&full, raw, sizeof(raw));
	assert_true(body_report_parse(raw, len, &out) && out.n == REPORT_LINKS_MAX && out.counted && !out.n_drops);
	for (full.n_drops = 0; full.n_drops < REPORT_DROPS_MAX; full.n_drops++) {
		struct report_drop *d = &full.drop[full.n_drops];
		d->count = UINT64_MAX - full.n_drops;
		snprintf(d->name, sizeof(d->name), "reason-%02u-%.*s", full.n_drops, 13, "abcdefghijklmnopqrst");
	}
	len = body_report_encode(&full, raw, sizeof(raw));
	struct message m = {.req = UINT32_MAX, .op = OP_REPORT, .body = raw, .len = len};
	assert_in_range(message_encode(&m, whole, sizeof(whole)), BODY_MAX - 12, BODY_MAX);
	assert_true(on_copy(try_report, raw, len));
	assert_true(body_report_parse(raw, len, &out));
	assert_true(out.counted && out.n_drops == REPORT_DROPS_MAX && out.count.tx_frames == UINT64_MAX);
	assert_string_equal(out.drop[23].name, "reason-23-abcdefghijklm");
	assert_true(out.drop[23].count == UINT64_MAX - 23);
	assert_in_range(out.n, 16, REPORT_LINKS_MAX - 16); /* 33 were not heard for more than 3 s */
	for (unsigned i = 0; i < out.n; i++)
		assert_true(out.link[i].age_s == 3);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(on_copy(try_report, raw, cut));
	for (unsigned bad = 0; bad < 6; bad++) {
		struct body_report b = full;
		switch (bad) {
		case 0: b.counted = false; break;
		case 1: b.drop[3].count = 0; break;
		case 2: snprintf(b.drop[3].name, sizeof(b.drop[3].name), "%s", "Upper"); break;
		case 3: b.drop[3].name[0] = 0; break;
		case 4: memcpy(b.drop[3].name, b.drop[2].name, sizeof(b.drop[3].name)); break;
		default: b.n_drops = REPORT_DROPS_MAX + 1;
		}
		assert_int_equal(body_report_encode(&b, raw, sizeof(raw)), 0);
	}
}

/* Bytes that another may send: {0: 1, 1: 1, 3: [..], 4: [..]}. */
static void report_vectors(void **state)
{
#define V(bytes) bytes, sizeof(bytes) - 1
	static const struct {
		const char *bytes;
		size_t len;
		bool good;
	} v[] = {
	    {V("\x83\0\1\1\1\3\x94\1\2\3\xcd\1\0"), true},
	    {V("\x83\0\1\1\1\3\x93\1\2\3"), false},
	    {V("\x83\0\1\1\1\3\x95\1\2\3\4\5"), false},
	    {V("\x83\0\1\1\1\3\x94\1\2\3\xff"), false},
	    {V("\x83\0\1\1\1\3\7"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x92\xa3loop\5"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x92\xa4loop\5"), true},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x92\xa4loop\0"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x91\xa4loop"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x94\xa1-\1\xa1-\1"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x92\xa1 \1"), false},
	    {V("\x84\0\1\1\1\3\x94\1\2\3\4\4\x90"), false},
	    {V("\x83\0\1\1\1\4\x92\xa4loop\5"), false},
	};
#undef V
	(void)state;
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct body_report b = {.nwid = 77};
		if (body_report_parse((const uint8_t *)v[i].bytes, v[i].len, &b) != v[i].good || (b.nwid == 77) == v[i].good)
			fail_msg("vector %u", i);
	}
	struct body_report b;
	assert_true(body_report_parse((const uint8_t *)v[0].bytes, v[0].len, &b));
	assert_true(b.counted && b.count.rx_bytes == 1 && b.count.rx_frames == 2 && b.count.tx_bytes == 3 && b.count.tx_frames == 256);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (uint8_t)(i % 251 + 1);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(message_frames),  cmocka_unit_test(message_sizes),  cmocka_unit_test(net_bodies),
	    cmocka_unit_test(blob_bodies),     cmocka_unit_test(path_bodies),    cmocka_unit_test(spray_bodies),
	    cmocka_unit_test(root_bodies),     cmocka_unit_test(circuit_bodies), cmocka_unit_test(controller_bodies),
	    cmocka_unit_test(unknown_keys),    cmocka_unit_test(rootset_bodies), cmocka_unit_test(sync_bodies),
	    cmocka_unit_test(sub_bodies),      cmocka_unit_test(gather_bodies),  cmocka_unit_test(report_bodies),
	    cmocka_unit_test(report_counters), cmocka_unit_test(report_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
