/* stream_fuzz.c: what comes over TLS before anybody proved anything: requests at a root's port, answers at a node's, WebSocket bytes at both.
 *
 * The first byte chooses the door. Requests and answers are read as they would come, first a part and then all: the part may ask for
 * more or refuse, and what it found whole stays what it is. WebSocket bytes go in at once and in pieces; both must deliver the same.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/stream_upgrade.h"
#include "node/stream_websocket.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

struct sum {
	unsigned n;
	uint64_t bytes;
};

static void take(void *self, uint8_t *datagram, size_t len)
{
	struct sum *s = self;
	require(len <= WEBSOCKET_MESSAGE);
	s->n++;
	for (size_t i = 0; i < len; i++)
		s->bytes = (s->bytes ^ datagram[i]) * 0x100000001b3ull + len;
}

/* What is to be sent is made and thrown away, so that pongs do not pile up. Returns the first error. */
static int websocket(bool client, const uint8_t *bytes, size_t len, size_t piece, struct sum *ret)
{
	struct websocket *w = websocket_new(client, take, ret);
	const uint8_t *out;
	unsigned dropped;
	size_t n;
	int error = 0;
	require(w);
	for (size_t at = 0; at < len && !error; at += piece) {
		error = websocket_in(w, bytes + at, len - at < piece ? len - at : piece);
		while (!error && (n = websocket_out(w, at, &out, &dropped)) > 0)
			websocket_sent(w, n);
	}
	websocket_free(w);
	return error;
}

static void request(const char *text, size_t len, size_t part)
{
	struct upgrade_asked asked = {0}, whole = {0};
	long early = upgrade_read(text, part, &asked), all = upgrade_read(text, len, &whole);
	require(early <= (long)part && all <= (long)len);
	require(early == 0 || early == all);
	if (early > 0)
		require(memcmp(&asked, &whole, sizeof(asked)) == 0);
	if (all > 0 && whole.init_len)
		require(whole.init_len >= INIT_MIN && whole.init_len <= INIT_MAX && strlen(whole.accept) == UPGRADE_ACCEPT - 1);
}

static void answer(const char *text, size_t len, size_t part)
{
	static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
	long early = upgrade_answer(text, part, 101, accept), all = upgrade_answer(text, len, 101, accept);
	require(early <= (long)part && all <= (long)len);
	require(early == 0 || early == all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	size_t len = size - 3, part = len ? (size_t)(data[1] | data[2] << 8) % len : 0;
	/* Copies of the exact length, so that reading past them is seen. */
	char *text = malloc(len + !len);
	require(text);
	memcpy(text, data + 3, len);
	if (data[0] % 4 == 0) {
		request(text, len, part);
	} else if (data[0] % 4 == 1) {
		answer(text, len, part);
	} else {
		struct sum once = {0}, pieces = {0};
		int a = websocket(data[0] & 1, (uint8_t *)text, len, len + !len, &once);
		int b = websocket(data[0] & 1, (uint8_t *)text, len, part + 1, &pieces);
		/* An error is seen when a piece ends or the next one comes, and a flood of pings is one only when nothing is sent in
		 * between; where both go through they brought the same. */
		require(a || b || (once.n == pieces.n && once.bytes == pieces.bytes));
	}
	free(text);
	return 0;
}
