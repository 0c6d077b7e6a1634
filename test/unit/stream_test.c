/* stream_test: the text in front of a stream and the WebSocket in it, cut anywhere, and what must not pass. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/stream_upgrade.h"
#include "node/stream_websocket.h"
#include "proto/wire.h"

/* ---- upgrade ----------------------------------------------------------------------------------------------------- */

static void fill(uint8_t *bytes, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
}

static void test_accept(void **state)
{
	char accept[UPGRADE_ACCEPT];
	(void)state;
	assert_true(upgrade_accept("dGhlIHNhbXBsZSBub25jZQ==", accept)); /* RFC 6455, 1.3 */
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(upgrade_accept("", accept));
	assert_false(upgrade_accept("dGhlIHNhbXBsZSBub25jZQ", accept));
}

static void test_request(void **state)
{
	static const size_t lens[] = {INIT_MIN, INIT_MIN + 1, INIT_MIN + 2, 500, INIT_MAX - 1, INIT_MAX};
	const uint8_t nonce[UPGRADE_NONCE] = "the sample nonce";
	uint8_t init[INIT_MAX], back[INIT_MAX];
	char text[UPGRADE_REQUEST_MAX], accept[UPGRADE_ACCEPT], path[2048];
	(void)state;
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		fill(init, lens[i], i);
		size_t n = upgrade_request("root.example", nonce, init, lens[i], accept, text, sizeof(text));
		assert_true(n > 0 && n == strlen(text));
		assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
		assert_non_null(strstr(text, "\r\nHost: root.example\r\n"));
		assert_string_equal(text + n - 4, "\r\n\r\n");
		assert_int_equal(sscanf(text, "GET %2047s HTTP/1.1\r\n", path), 1);
		assert_int_equal(strcspn(path, "+="), strlen(path)); /* only what a path may have */
		assert_int_equal(upgrade_path(path, back, sizeof(back)), lens[i]);
		assert_memory_equal(back, init, lens[i]);
		/* Too little room: nothing rather than half of it. */
		assert_int_equal(upgrade_request("root.example", nonce, init, lens[i], accept, text, n), 0);
	}
	assert_int_equal(upgrade_request("x", nonce, init, INIT_MAX + 1, accept, text, sizeof(text)), 0);
	size_t n = upgrade_connect("root.example:443", text, sizeof(text));
	assert_int_equal(n, strlen(text));
	assert_string_equal(text, "CONNECT root.example:443 HTTP/1.1\r\nHost: root.example:443\r\n\r\n");
}

static void test_path(void **state)
{
	uint8_t back[INIT_MAX];
	char path[4096];
	(void)state;
	memset(path, 'A', sizeof(path));
	path[0] = '/';
	for (size_t len = 0; len + 1 < sizeof(path); len++) {
		path[1 + len] = '\0';
		size_t bytes = len * 3 / 4, n = upgrade_path(path, back, sizeof(back));
		bool whole = len % 4 != 1 && bytes >= INIT_MIN && bytes <= INIT_MAX;
		assert_int_equal(n, whole ? bytes : 0);
		path[1 + len] = 'A';
	}
	path[1 + 400] = '\0';
	assert_int_equal(upgrade_path(path, back, sizeof(back)), 300);
	assert_int_equal(upgrade_path(path, back, 299), 0);
	path[0] = 'A';
	assert_int_equal(upgrade_path(path, back, sizeof(back)), 0);
	path[0] = '/';
	for (const char *bad = "+/=?%.\x80 "; *bad; bad++) {
		path[200] = *bad;
		assert_int_equal(upgrade_path(path, back, sizeof(back)), 0);
	}
	assert_int_equal(upgrade_path("", back, sizeof(back)), 0);
	assert_int_equal(upgrade_path("/", back, sizeof(back)), 0);
}

#define KNOCK(path)                                                                                                                        \
	"GET " path " HTTP/1.1\r\nHost: x\r\nconnection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"       \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void test_asked(void **state)
{
	char text[UPGRADE_REQUEST_MAX + 1], accept[UPGRADE_ACCEPT];
	uint8_t init[INIT_MAX];
	struct upgrade_asked asked;
	(void)state;
	/* What a node writes a root reads, every prefix of it wants more, and what stands behind is not looked at. */
	fill(init, sizeof(init), 1);
	size_t n = upgrade_request("x", (const uint8_t *)"the sample nonce", init, sizeof(init), accept, text, sizeof(text));
	assert_true(n > 0);
	for (size_t len = 0; len < n; len++)
		assert_int_equal(upgrade_read(text, len, &asked), 0);
	assert_int_equal(upgrade_read(text, n, &asked), n);
	assert_int_equal(asked.init_len, sizeof(init));
	assert_memory_equal(asked.init, init, sizeof(init));
	assert_string_equal(asked.accept, accept);
	text[n] = '\xff';
	assert_int_equal(upgrade_read(text, n + 1, &asked), n);
	/* Without any one of its headers it is somebody else's. */
	static const char *const headers[] = {"Connection: U", "Upgrade: w", "Sec-WebSocket-V", "Sec-WebSocket-K"};
	for (unsigned i = 0; i < 4; i++) {
		char *at = strstr(text, headers[i]), kept = *at;
		*at = 'X';
		assert_int_equal(upgrade_read(text, n, &asked), n);
		assert_int_equal(asked.init_len, 0);
		*at = kept;
	}
	memcpy(text, "PUT", 3);
	assert_int_equal(upgrade_read(text, n, &asked), n);
	assert_int_equal(asked.init_len, 0);
	static const struct {
		const char *text;
		bool good, head;
	} cases[] = {
	    {"GET / HTTP/1.1\r\n\r\n", true, false},
	    {"GET / HTTP/1.0\n\n", true, false},
	    {"HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n", true, true},
	    {"DELETE /a b HTTP/1.1\r\n\r\n", true, false},
	    {KNOCK("/"), true, false},
	    {KNOCK("/short"), true, false},
	    {"GET / HTTP/2.0\r\n\r\n", false, false},
	    {"GET /\r\n\r\n", false, false},
	    {"get / HTTP/1.1\r\n\r\n", false, false},
	    {"GET  HTTP/1.1\r\n\r\n", false, false},
	    {"GET x HTTP/1.1\r\n\r\n", false, false},
	    {" / HTTP/1.1\r\n\r\n", false, false},
	    {"\r\n\r\n", false, false},
	    {"\x16\x03\x01\n\n", false, false},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long len = upgrade_read(cases[i].text, strlen(cases[i].text), &asked);
		assert_int_equal(len, cases[i].good ? (long)strlen(cases[i].text) : -EBADMSG);
		if (cases[i].good)
			assert_true(!asked.init_len && asked.head == cases[i].head);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(upgrade_read(text, UPGRADE_REQUEST_MAX - 1, &asked), 0);
	assert_int_equal(upgrade_read(text, UPGRADE_REQUEST_MAX, &asked), -EBADMSG);
	assert_true(upgrade_welcome(accept, text, sizeof(text)) > 0);
	assert_int_equal(upgrade_answer(text, strlen(text), 101, accept), strlen(text));
}

static void test_answer(void **state)
{
	static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
	static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nDate: today\r\nUpgrade: websocket\r\n"
				   "sec-websocket-ACCEPT:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  \r\n\r\n";
	static char long_answer[UPGRADE_ANSWER_MAX + 1];
	(void)state;
	/* Every prefix wants more; what stands behind does not matter. */
	for (size_t len = 0; len < sizeof(good) - 1; len++)
		assert_int_equal(upgrade_answer(good, len, 101, accept), 0);
	assert_int_equal(upgrade_answer(good, sizeof(good) - 1, 101, accept), sizeof(good) - 1);
	assert_int_equal(upgrade_answer(good, sizeof(good), 101, accept), sizeof(good) - 1);
	assert_int_equal(upgrade_answer(good, sizeof(good) - 1, 101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="), -EACCES);
	assert_int_equal(upgrade_answer(good, sizeof(good) - 1, 200, NULL), -EACCES);
	static const struct {
		const char *text;
		unsigned status;
		long result;
	} cases[] = {
	    {"HTTP/1.0 200 OK\r\n\r\n", 200, 19},
	    {"HTTP/1.1 200\r\n\r\n", 200, 16},
	    {"HTTP/1.1 200 OK\n\n", 200, 17},
	    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 101, -EACCES},
	    {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 200, -EACCES},
	    {"HTTP/2 200\r\n\r\n", 200, -EBADMSG},
	    {"HTTP/1.1 2x0 OK\r\n\r\n", 200, -EBADMSG},
	    {"HTTP/1.1 20\r\n\r\n", 200, -EBADMSG},
	    {"HTTP/1.1 2000\r\n\r\n", 200, -EBADMSG},
	    {"HTTP/1.1200 OK\r\n\r\n", 200, -EBADMSG},
	    {"\r\n\r\n", 200, -EBADMSG},
	    {"SSH-2.0-OpenSSH\r\n", 200, -EBADMSG},
	    {"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: \r\n\r\n", 101, 42},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(upgrade_answer(cases[i].text, strlen(cases[i].text), cases[i].status, NULL), cases[i].result);
	assert_int_equal(upgrade_answer("HTTP/1.1 101 x\r\nX: y\r\n\r\n", 24, 101, accept), -EACCES);
	memset(long_answer, 'x', sizeof(long_answer));
	memcpy(long_answer, "HTTP/1.1 101 x\r\n", 16);
	assert_int_equal(upgrade_answer(long_answer, UPGRADE_ANSWER_MAX - 1, 101, accept), 0);
	assert_int_equal(upgrade_answer(long_answer, UPGRADE_ANSWER_MAX, 101, accept), -EBADMSG);
}

/* ---- WebSocket ---------------------------------------------------------------------------------------------------- */

struct sink {
	unsigned n;
	size_t len[512];
	uint8_t last[WEBSOCKET_MESSAGE];
};

static void take(void *self, uint8_t *datagram, size_t len)
{
	struct sink *s = self;
	assert_true(s->n < 512 && len <= WEBSOCKET_MESSAGE);
	assert_int_equal((uintptr_t)datagram % 16, 0);
	s->len[s->n++] = len;
	memcpy(s->last, datagram, len);
	memset(datagram, 0, len); /* it may be changed */
}

/* All that from has to say goes to to, n bytes at a time. */
static int carry(struct websocket *from, struct websocket *to, size_t n)
{
	const uint8_t *bytes;
	unsigned dropped;
	size_t len;
	int error = 0;
	while (!error && (len = websocket_out(from, 0, &bytes, &dropped)) > 0) {
		len = len < n ? len : n;
		error = websocket_in(to, bytes, len);
		websocket_sent(from, len);
	}
	return error;
}

static void test_cut_anywhere(void **state)
{
	static const size_t cuts[] = {1, 2, 3, 7, 100, 1000, 5000, WEBSOCKET_OUT};
	static const size_t lens[] = {1, 2, 124, 125, 126, 127, 1000, 1452, WEBSOCKET_MESSAGE};
	uint8_t bytes[WEBSOCKET_MESSAGE];
	(void)state;
	for (unsigned c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
		struct sink up = {0}, down = {0};
		struct websocket *client = websocket_new(true, take, &down), *server = websocket_new(false, take, &up);
		for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			fill(bytes, lens[i], i);
			assert_int_equal(websocket_queue(client, bytes, lens[i], 0), 0);
			assert_int_equal(websocket_queue(server, bytes, lens[i], 0), 0);
			assert_true(websocket_waiting(client));
			assert_int_equal(carry(client, server, cuts[c]), 0);
			assert_int_equal(carry(server, client, cuts[c]), 0);
			assert_false(websocket_waiting(client));
			assert_int_equal(up.n, i + 1);
			assert_int_equal(down.n, i + 1);
			assert_int_equal(up.len[i], lens[i]);
			assert_memory_equal(up.last, bytes, lens[i]);
			assert_memory_equal(down.last, bytes, lens[i]);
		}
		/* A ping is answered and delivers nothing. */
		assert_int_equal(websocket_ping(client), 0);
		assert_int_equal(carry(client, server, cuts[c]), 0);
		assert_true(websocket_waiting(server));
		assert_int_equal(carry(server, client, cuts[c]), 0);
		assert_int_equal(up.n, sizeof(lens) / sizeof(lens[0]));
		websocket_free(client);
		websocket_free(server);
	}
}

/* The bytes at once, and one by one, into a fresh server. */
static int result_of(const uint8_t *bytes, size_t len, unsigned delivered)
{
	int results[2] = {0, 0};
	for (int each = 0; each < 2; each++) {
		struct sink s = {0};
		struct websocket *w = websocket_new(false, take, &s);
		for (size_t at = 0; at < len && !results[each]; at += each ? 1 : len)
			results[each] = websocket_in(w, bytes + at, each ? 1 : len);
		assert_int_equal(s.n, delivered);
		websocket_free(w);
	}
	assert_int_equal(results[0], results[1]);
	return results[0];
}

#define MASK                   0, 0, 0, 0
#define RESULT(delivered, ...) result_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), delivered)

static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(RESULT(1, 0x82, 0x81, MASK, 7), 0);
	assert_int_equal(RESULT(0, 0x82, 0x01, 7), -EPROTO);                   /* a client must mask */
	assert_int_equal(RESULT(0, 0xc2, 0x81, MASK, 7), -EPROTO);             /* a reserved bit */
	assert_int_equal(RESULT(0, 0x83, 0x81, MASK, 7), -EPROTO);             /* a reserved opcode */
	assert_int_equal(RESULT(0, 0x81, 0x81, MASK, 'x'), -EPROTO);           /* text */
	assert_int_equal(RESULT(0, 0x80, 0x81, MASK, 7), -EPROTO);             /* goes on with nothing */
	assert_int_equal(RESULT(0, 0x09, 0x80, MASK), -EPROTO);                /* a ping in pieces */
	assert_int_equal(RESULT(0, 0x89, 0xfe, 0, 126, MASK), -EPROTO);        /* a ping too long */
	assert_int_equal(RESULT(0, 0x82, 0xfe, 0x08, 0x01, MASK, 1), -EPROTO); /* 2049 bytes */
	assert_int_equal(RESULT(0, 0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, MASK, 1), -EPROTO);
	assert_int_equal(RESULT(0, 0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, MASK), -EPROTO);
	assert_int_equal(RESULT(0, 0x82, 0xfe, 0, 1, MASK, 7), -EPROTO);                 /* a length written too long */
	assert_int_equal(RESULT(1, 0x02, 0x81, MASK, 7, 0x80, 0x81, MASK, 8), 0);        /* in two pieces: one datagram */
	assert_int_equal(RESULT(0, 0x02, 0x81, MASK, 7, 0x02, 0x81, MASK, 8), -EPROTO);  /* begun twice */
	assert_int_equal(RESULT(1, 0x82, 0x81, MASK, 7, 0x88, 0x80, MASK), -ECONNRESET); /* close */
	assert_int_equal(RESULT(0, 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'), -EPROTO);
	/* To a client everything is unmasked. */
	struct sink s = {0};
	struct websocket *client = websocket_new(true, take, &s);
	assert_int_equal(websocket_in(client, (const uint8_t[]){0x82, 1, 7}, 3), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(websocket_in(client, (const uint8_t[]){0x82, 0x81, MASK, 7}, 7), -EPROTO);
	websocket_free(client);
}

/* Pieces add up: no message grows past the limit by being sent in many. */
static void test_pieces(void **state)
{
	struct sink s = {0};
	struct websocket *w = websocket_new(false, take, &s);
	uint8_t piece[6 + 100] = {0x02, 0x80 | 100};
	int error = 0;
	unsigned sent = 0;
	(void)state;
	for (; sent < 1000 && !error; sent++) {
		error = websocket_in(w, piece, sizeof(piece));
		piece[0] = 0;
	}
	assert_int_equal(error, -EPROTO);
	assert_in_range(sent, 1, WEBSOCKET_MESSAGE / 100 + 2);
	assert_int_equal(s.n, 0);
	websocket_free(w);
}

/* Who pings and never reads is let go before the pongs owed become many. */
static void test_pings(void **state)
{
	struct sink s = {0};
	struct websocket *w = websocket_new(false, take, &s);
	const uint8_t ping[] = {0x89, 0x80, MASK};
	int error = 0;
	unsigned sent = 0;
	(void)state;
	for (; sent < 1000 && !error; sent++)
		error = websocket_in(w, ping, sizeof(ping));
	assert_int_equal(error, -EPROTO);
	assert_in_range(sent, 8, 64);
	websocket_free(w);
}

static void test_queue(void **state)
{
	struct sink s = {0};
	struct websocket *client = websocket_new(true, take, &s), *server = websocket_new(false, take, &s);
	uint8_t bytes[WEBSOCKET_MESSAGE + 1] = {0};
	(void)state;
	assert_int_equal(websocket_queue(client, bytes, sizeof(bytes), 0), 1); /* too long */
	assert_int_equal(websocket_queue(client, bytes, 0, 0), 1);
	assert_false(websocket_waiting(client));
	/* The oldest go. */
	for (unsigned i = 0; i < WEBSOCKET_QUEUE + 10; i++) {
		bytes[0] = (uint8_t)i;
		assert_int_equal(websocket_queue(client, bytes, 100 + i, 0), i < WEBSOCKET_QUEUE ? 0 : 1);
	}
	assert_int_equal(carry(client, server, 5000), 0);
	assert_int_equal(s.n, WEBSOCKET_QUEUE);
	assert_int_equal(s.len[0], 110);
	assert_int_equal(s.last[0], WEBSOCKET_QUEUE + 9);
	websocket_free(client);
	websocket_free(server);
}

/* A link of one datagram per 10 ms under a load of two: a queue that drops only when it is full would stand at its 64 for ever; CoDel finds
 * the rate at which it need not. A bunch alone costs nothing. */
static void test_codel(void **state)
{
	struct sink s = {0};
	struct websocket *w = websocket_new(false, take, &s);
	const uint8_t *bytes;
	uint8_t datagram[1400] = {0};
	unsigned dropped, early = 0, late = 0, full = 0;
	size_t owed = 0, len;
	(void)state;
	for (uint64_t now = 0; now < 40000; now += 5) {
		unsigned pushed = websocket_queue(w, datagram, sizeof(datagram), now);
		full += now >= 20000 ? pushed : 0;
		if (now % 10 == 0)
			owed += sizeof(datagram) + 4;
		while (owed && (len = websocket_out(w, now, &bytes, &dropped)) > 0) {
			len = len < owed ? len : owed;
			websocket_sent(w, len);
			owed -= len;
			early += now < 200 ? dropped : 0;
			late += now >= 20000 ? dropped : 0;
		}
	}
	assert_int_equal(early, 0);
	assert_in_range(late, 1000, 2500); /* of 4000 that came */
	assert_in_range(full, 0, late / 20);
	websocket_free(w);

	w = websocket_new(false, take, &s);
	for (unsigned i = 0; i < WEBSOCKET_QUEUE; i++)
		assert_int_equal(websocket_queue(w, datagram, sizeof(datagram), 0), 0);
	for (uint64_t now = 0; websocket_waiting(w); now += 3) { /* gone in 192 ms, less than an interval */
		len = websocket_out(w, now, &bytes, &dropped);
		assert_int_equal(dropped, 0);
		websocket_sent(w, len < 1404 ? len : 1404);
	}
	websocket_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accept),  cmocka_unit_test(test_request), cmocka_unit_test(test_path),
	    cmocka_unit_test(test_asked),   cmocka_unit_test(test_answer),  cmocka_unit_test(test_cut_anywhere),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_pieces),  cmocka_unit_test(test_pings),
	    cmocka_unit_test(test_queue),   cmocka_unit_test(test_codel),
	};
	alarm(60);
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
