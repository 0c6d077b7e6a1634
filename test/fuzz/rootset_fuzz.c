/* rootset_fuzz.c: root sets, their files, contact records and the messages that carry them. A fuzzer finds no signature, so the
 * bytes are also taken as the body of an unsigned envelope. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/cursor.h"
#include "proto/body.h"
#include "proto/contact.h"
#include "proto/rootset.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_set(const uint8_t *bytes, size_t len)
{
	static struct rootset_document d, second;
	static uint8_t again[ROOTSET_BYTES_MAX];
	if (!rootset_parse(bytes, len, &d))
		return;
	assert(d.n_roots <= ROOTSET_ROOTS_MAX && d.n_keys && d.n_keys <= ROOTSET_KEYS_MAX && d.threshold && d.threshold <= d.n_keys);
	assert(rootset_signed(bytes, len, &d) <= d.n_keys);
	/* what is read can be written, but for unknown keys is the same, and is then read alike */
	size_t n = rootset_draft(&d, again, sizeof(again));
	assert(n && rootset_parse(again, n, &second) && second.seq == d.seq && second.n_roots == d.n_roots);
	struct rootset *set = rootset_new();
	enum rootset_verdict v = rootset_take(set, bytes, len);
	assert(v != ROOTSET_TAKEN || rootset_signed(bytes, len, &d) >= d.threshold);
	rootset_free(set);
}

static void try_body(const uint8_t *body, size_t len)
{
	static uint8_t envelope[ROOTSET_BYTES_MAX];
	struct writer w = writer_over(envelope, sizeof(envelope));
	put_be(&w, len < 256 ? 0x9306c4 : 0x9306c5, 3);
	put_be(&w, len, len < 256 ? 1 : 2);
	put_bytes(&w, body, len);
	put_u8(&w, 0x90);
	if (!w.bad && len < 65536)
		try_set(envelope, writer_len(&w));
}

static void try_file(const uint8_t *bytes, size_t len)
{
	static char again[ROOTSET_FILE_MAX];
	struct rootset_file f;
	enum rootset_verdict why;
	unsigned at;
	if (!rootset_file_parse((const char *)bytes, len, &f))
		return;
	assert(f.n && f.n <= ROOTSET_CHAIN_MAX + 1 && rootset_file_format(&f, again, sizeof(again)));
	rootset_free(rootset_from_file(&f, &why, &at));
	rootset_file_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct identity who = {.ed = {0x76, 0xa8}};
	struct contact c;
	struct body_locate locate;
	struct body_located located;
	struct body_rootset rootset;
	struct body_rootset_piece piece;
	struct body_sync sync;
	struct body_sync_result result;
	uint8_t again[BODY_MAX];
	try_set(bytes, len);
	try_body(bytes, len);
	try_file(bytes, len);
	(void)contact_open(bytes, len, &who, &c);
	if (contact_parse(bytes, len, &c))
		assert(c.n_homes <= CONTACT_HOMES_MAX);
	if (body_locate_parse(bytes, len, &locate))
		assert(body_locate_encode(&locate, again, sizeof(again)));
	if (body_located_parse(bytes, len, &located))
		assert(body_located_encode(&located, again, sizeof(again)));
	if (body_rootset_parse(bytes, len, &rootset))
		assert(body_rootset_encode(&rootset, again, sizeof(again)));
	if (body_rootset_piece_parse(bytes, len, &piece))
		assert(body_rootset_piece_encode(&piece, again, sizeof(again)));
	if (body_sync_parse(bytes, len, &sync))
		assert(sync.n <= SYNC_RECORDS_MAX && body_sync_encode(&sync, again, sizeof(again)));
	if (body_sync_result_parse(bytes, len, &result))
		assert(body_sync_result_encode(&result, again, sizeof(again)));
	return 0;
}
