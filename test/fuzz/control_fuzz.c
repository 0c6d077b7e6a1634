/* control_fuzz.c: a control message as it comes out of a session, then its body under every op.
 * What is read must be writable again, within the limits of a message. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The body's own op is not asked: every parser must survive every body. */
#define X(name)                                                                                                                            \
	static void try_##name(const uint8_t *bytes, size_t len)                                                                           \
	{                                                                                                                                  \
		struct body_##name body;                                                                                                   \
		uint8_t again[BODY_MAX];                                                                                                   \
		if (!body_##name##_parse(bytes, len, &body))                                                                               \
			return;                                                                                                            \
		size_t n = body_##name##_encode(&body, again, sizeof(again));                                                              \
		assert(n &&n <= len);                                                                                                      \
		assert(body_##name##_parse(again, n, &body));                                                                              \
	}
BODY_LIST(X)
#undef X

static void try_all(const uint8_t *bytes, size_t len)
{
#define X(name) try_##name(bytes, len);
	BODY_LIST(X)
#undef X
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct message m;
	if (message_parse(bytes, len, &m)) {
		uint8_t again[BODY_MAX];
		assert(message_encode(&m, again, sizeof(again)) == len); /* one form only */
		assert(!memcmp(again, bytes, len));
		if (m.len)
			try_all(m.body, m.len);
	}
	try_all(bytes, len); /* without the frame, so that the fuzzer finds bodies sooner */
	return 0;
}
