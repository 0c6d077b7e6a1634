/* credential_fuzz.c: signed documents and the blobs behind them. A fuzzer finds no signature, so
 * the bytes are also taken as the body of an envelope with any signature and parsed without looking
 * at it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/cursor.h"
#include "proto/cred.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void count_revocation(void *self, const struct revocation *r)
{
	(void)r;
	++*(long *)self;
}

static void count_entry(void *self, const struct directory_entry *e)
{
	assert(e->n_ips <= CRED_IPS_MAX && e->address);
	++*(long *)self;
}

static void try_cred(const uint8_t *bytes, size_t len)
{
	static const uint8_t secret[64] = {1};
	struct cred c;
	uint8_t again[CRED_ENVELOPE_MAX];
	if (!cred_parse(bytes, len, &c))
		return;
	assert(c.n_ips <= CRED_IPS_MAX && c.n_macs <= CRED_MACS_MAX && c.n_tags <= CRED_TAGS_MAX);
	assert(memchr(c.name, 0, sizeof(c.name)));
	size_t n = cred_sign(&c, secret, again, sizeof(again));
	assert(n && n <= len && cred_parse(again, n, &c));
}

static void try_envelope(const uint8_t *body, size_t len)
{
	uint8_t envelope[CRED_ENVELOPE_MAX];
	struct writer w = writer_over(envelope, sizeof(envelope));
	put_be(&w, len < 256 ? 0x9401c4 : 0x9401c5, 3);
	put_be(&w, len, len < 256 ? 1 : 2);
	put_bytes(&w, body, len);
	put_be(&w, 0xc440, 2);
	uint8_t *sig = put_room(&w, 64);
	if (sig)
		memset(sig, 0, 64);
	put_u8(&w, 0xc0);
	if (!w.bad)
		try_cred(envelope, writer_len(&w));
}

static void try_blobs(const uint8_t *bytes, size_t len)
{
	struct manifest m;
	struct section_base base;
	struct route routes[ROUTES_MAX];
	struct memberconf conf;
	struct section_dns dns;
	uint8_t again[MANIFEST_MAX]; /* the longest of them */
	unsigned n_routes;
	long n = 0;
	bool ok = revlist_walk(bytes, len, count_revocation, &n);
	assert(revlist_count(bytes, len) == (ok ? n : -1));
	n = 0;
	ok = section_members_walk(bytes, len, count_entry, &n);
	assert(section_members_count(bytes, len) == (ok ? n : -1));
	if (manifest_parse(bytes, len, &m)) /* no unknown keys in a manifest: one form */
		assert(manifest_encode(&m, again, sizeof(again)) == len && !memcmp(again, bytes, len));
	if (section_base_parse(bytes, len, &base))
		assert(section_base_encode(&base, again, sizeof(again)));
	if (section_routes_parse(bytes, len, routes, &n_routes))
		assert(n_routes <= ROUTES_MAX && section_routes_encode(routes, n_routes, again, sizeof(again)));
	if (section_dns_parse(bytes, len, &dns))
		assert(section_dns_encode(&dns, again, sizeof(again)));
	if (memberconf_parse(bytes, len, &conf))
		assert(memberconf_encode(&conf, again, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t signer[32] = {0x76, 0xa8};
	struct cred c;
	struct head h;
	(void)cred_open(bytes, len, signer, &c);
	(void)head_open(bytes, len, signer, &h);
	try_cred(bytes, len);
	try_envelope(bytes, len);
	try_blobs(bytes, len);
	return 0;
}
