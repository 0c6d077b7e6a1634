/* config_test.c: the blobs behind a HEAD and MEMBERCONF: fixed vectors, cuts and flips, order,
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ethertype.h"
#include "proto/body.h"
#include "proto/cred.h"
#include "test/unit/documents.h"

static uint8_t key_hash[32];

static void assert_blob(const uint8_t *blob, size_t len, const char *hex, const char *hash)
{
	uint8_t h[32];
	assert_int_equal(len, strlen(hex) / 2);
	assert_hex(blob, hex);
	blob_hash(blob, len, h);
	assert_hex(h, hash);
}

struct seen {
	unsigned n;
	struct directory_entry entry[4];
	struct revocation revocation[4];
};

static void see_entry(void *self, const struct directory_entry *e)
{
	struct seen *s = self;
	if (s->n < 4)
		s->entry[s->n] = *e;
	s->n++;
}

static void see_revocation(void *self, const struct revocation *r)
{
	struct seen *s = self;
	if (s->n < 4)
		s->revocation[s->n] = *r;
	s->n++;
}

static void vectors_revlist(void **state)
{
	(void)state;
	struct revocation list[2] = {{.min_serial = 12}, {.min_serial = 1001}};
	uint8_t out[256];
	for (unsigned i = 0; i < 32; i++)
		list[0].key_hash[i] = (uint8_t)i;
	memcpy(list[1].key_hash, key_hash, 32);
	size_t len = revlist_encode(list, 2, out, sizeof(out));
	assert_blob(out, len, REVLIST_HEX, REVLIST_HASH);
	assert_int_equal(revlist_encode(list, 2, out, len - 1), 0);
	assert_int_equal(revlist_count(out, len), 2);
	struct seen seen = {0};
	assert_true(revlist_walk(out, len, see_revocation, &seen));
	assert_int_equal(seen.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_memory_equal(seen.revocation[i].key_hash, list[i].key_hash, 32);
		assert_int_equal(seen.revocation[i].min_serial, list[i].min_serial);
	}
	assert_int_equal(revlist_encode(list, 0, out, sizeof(out)), 1);
	assert_int_equal(revlist_count(out, 1), 0);
	/* unsorted, twice the same */
	struct revocation swapped[2] = {list[1], list[0]}, twice[2] = {list[0], list[0]};
	assert_int_equal(revlist_encode(swapped, 2, out, sizeof(out)), 0);
	assert_int_equal(revlist_encode(twice, 2, out, sizeof(out)), 0);
	len = unhex(out, sizeof(out), REVLIST_HEX);
	memcpy(out + 4, key_hash, 32);
	seen.n = 0;
	assert_int_equal(revlist_count(out, len), -1);
	assert_false(revlist_walk(out, len, see_revocation, &seen));
	assert_int_equal(seen.n, 0);
}

static struct section_base base_sample(void)
{
	return (struct section_base){
	    .name = "office", .mtu = 2800, .mcast_limit = 32, .max_offline = 2592000, .storm_frames = 1000, .mcast_kbit = 50000};
}

static unsigned routes_sample(struct route r[3])
{
	memset(r, 0, 3 * sizeof(*r));
	r[0].target = (struct prefix){4, 24, {10, 147, 20, 0}};
	r[1] = (struct route){.target = {4, 24, {192, 168, 7, 0}}, .via_set = true, .via = {10, 147, 20, 5}, .metric = 100};
	r[2] = (struct route){.target = {6, 48, {0x20, 1, 0x0d, 0xb8, 0, 1}}, .via_set = true, .metric = 1024};
	ula_derive(NWID, ADDRESS, r[2].via);
	return 3;
}

static void members_sample(struct directory_entry m[2])
{
	memset(m, 0, 2 * sizeof(*m));
	m[0] = (struct directory_entry){.address = 0x0a1b2c3d4e, .ips = {{4, 24, {10, 147, 20, 6}}}, .n_ips = 1};
	for (unsigned i = 0; i < 32; i++)
		m[0].key_hash[i] = (uint8_t)i;
	m[1] = (struct directory_entry){.address = ADDRESS, .n_ips = 2, .flags = 9};
	memcpy(m[1].key_hash, key_hash, 32);
	m[1].ips[0] = (struct prefix){4, 24, {10, 147, 20, 5}};
	m[1].ips[1] = (struct prefix){.family = 6, .bits = 64};
	ula_derive(NWID, ADDRESS, m[1].ips[1].ip);
}

/* The list is under key 7, ascending, 1 to 16, and absent where all pass. */
static void base_ethertypes(struct section_base b)
{
	uint8_t out[512], plain[512];
	struct section_base b2;
	size_t bare = section_base_encode(&b, plain, sizeof(plain));
	static const uint16_t types[] = {0x86dd, 0x0800, ETHERTYPE_LLC, 0x0806, 0x0800};
	for (size_t i = 0; i < LENGTH(types); i++)
		assert_true(ethertypes_add(&b.ethertypes, types[i]));
	assert_true(b.ethertypes.n == 4 && !ethertypes_add(&b.ethertypes, 0x05ff) && !ethertypes_add(&b.ethertypes, 1));
	size_t len = section_base_encode(&b, out, sizeof(out));
	assert_int_equal(len, bare + 2 + 1 + 3 + 3 + 3);
	static const uint8_t tail[] = {7, 0x94, 0, 0xcd, 8, 0, 0xcd, 8, 6, 0xcd, 0x86, 0xdd};
	assert_memory_equal(out + bare, tail, sizeof(tail));
	assert_true(section_base_parse(out, len, &b2));
	assert_memory_equal(&b2.ethertypes, &b.ethertypes, sizeof(b.ethertypes));
	assert_true(section_base_parse(plain, bare, &b2) && !b2.ethertypes.n);
	out[len - 4] = 0; /* 0x0800 twice */
	assert_false(section_base_parse(out, len, &b2));
	out[len - 4] = 6;
	out[len - 2] = 5; /* 0x05dd is a length */
	assert_false(section_base_parse(out, len, &b2));
	out[bare + 1] = 0x90; /* none: a network in which nothing passes */
	assert_false(section_base_parse(out, bare + 2, &b2));
	for (unsigned i = 0; b.ethertypes.n < ETHERTYPES_MAX; i++)
		assert_true(ethertypes_add(&b.ethertypes, (uint16_t)(0x9000 + i)));
	assert_false(ethertypes_add(&b.ethertypes, 0x9fff));
	assert_true(ethertypes_add(&b.ethertypes, 0x9000)); /* it is there already */
	len = section_base_encode(&b, out, sizeof(out));
	assert_true(section_base_parse(out, len, &b2) && b2.ethertypes.n == 16);
	uint16_t type = 77;
	assert_true(ethertype_parse("ipv6", &type) && type == 0x86dd && ethertype_parse("0x88CC", &type) && type == 0x88cc);
	assert_true(ethertype_parse("2048", &type) && type == 0x0800 && ethertype_parse("llc", &type) && !type);
	static const char *const bad[] = {"", "0x", "ip", "1535", "65536", "0x10000", "-1", " 2048", "2048 ", "08000000", "IPV4"};
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_true(!ethertype_parse(bad[i], &type) && !type);
}

static void vectors_sections(void **state)
{
	(void)state;
	uint8_t out[512];
	struct section_base b = base_sample(), b2;
	size_t len = section_base_encode(&b, out, sizeof(out));
	assert_blob(out, len, BASE_HEX, BASE_HASH);
	assert_true(section_base_parse(out, len, &b2));
	assert_string_equal(b.name, b2.name);
	assert_int_equal(b.mtu, b2.mtu);
	assert_int_equal(b.mcast_limit, b2.mcast_limit);
	assert_int_equal(b.flags, b2.flags);
	assert_int_equal(b.max_offline, b2.max_offline);
	assert_int_equal(b2.storm_frames, 1000); /* absent: the defaults */
	assert_int_equal(b2.mcast_kbit, 50000);
	static const uint32_t limits[][2] = {{0, 50000}, {1000, 0}, {7, 1}, {UINT32_MAX, UINT32_MAX}, {1000, 50000}};
	for (size_t i = 0; i < LENGTH(limits); i++) {
		struct section_base limited = b;
		limited.storm_frames = limits[i][0];
		limited.mcast_kbit = limits[i][1];
		len = section_base_encode(&limited, out, sizeof(out));
		assert_true(section_base_parse(out, len, &b2));
		assert_int_equal(b2.storm_frames, limits[i][0]);
		assert_int_equal(b2.mcast_kbit, limits[i][1]);
	}
	base_ethertypes(b);
	static const struct {
		uint16_t mtu;
		bool ok;
	} mtus[] = {{1279, 0}, {1280, 1}, {9000, 1}, {9001, 0}, {0, 0}};
	for (size_t i = 0; i < LENGTH(mtus); i++) {
		b.mtu = mtus[i].mtu;
		assert_int_equal(section_base_encode(&b, out, sizeof(out)) != 0, mtus[i].ok);
		len = unhex(out, sizeof(out), BASE_HEX);
		out[11] = (uint8_t)(mtus[i].mtu >> 8);
		out[12] = (uint8_t)mtus[i].mtu;
		assert_int_equal(section_base_parse(out, len, &b2), mtus[i].ok);
	}

	struct route r[3], r2[ROUTES_MAX];
	unsigned n = routes_sample(r), n2 = 0;
	len = section_routes_encode(r, n, out, sizeof(out));
	assert_blob(out, len, ROUTES_HEX, ROUTES_HASH);
	assert_true(section_routes_parse(out, len, r2, &n2));
	assert_int_equal(n2, n);
	for (unsigned i = 0; i < n; i++) {
		assert_memory_equal(&r[i].target, &r2[i].target, sizeof(r[i].target));
		assert_int_equal(r[i].via_set, r2[i].via_set);
		assert_memory_equal(r[i].via, r2[i].via, 16);
		assert_int_equal(r[i].metric, r2[i].metric);
	}

	struct directory_entry m[2];
	members_sample(m);
	len = section_members_encode(m, 2, out, sizeof(out));
	assert_blob(out, len, MEMBERS_HEX, MEMBERS_HASH);
	assert_int_equal(section_members_count(out, len), 2);
	struct seen seen = {0};
	assert_true(section_members_walk(out, len, see_entry, &seen));
	assert_int_equal(seen.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(seen.entry[i].address, m[i].address);
		assert_memory_equal(seen.entry[i].key_hash, m[i].key_hash, 32);
		assert_int_equal(seen.entry[i].n_ips, m[i].n_ips);
		assert_memory_equal(seen.entry[i].ips, m[i].ips, sizeof(m[i].ips));
		assert_int_equal(seen.entry[i].flags, m[i].flags);
	}
	struct directory_entry swapped[2] = {m[1], m[0]}, twice[2] = {m[0], m[0]};
	assert_int_equal(section_members_encode(swapped, 2, out, sizeof(out)), 0);
	assert_int_equal(section_members_encode(twice, 2, out, sizeof(out)), 0);
	/* the same from somebody else: the first entry's address made equal to the second's, then
	 * larger */
	len = unhex(out, sizeof(out), MEMBERS_HEX);
	unhex(out + 6, 5, "c5057629d7");
	assert_int_equal(section_members_count(out, len), 2);
	unhex(out + 6, 5, "c5057629d8");
	assert_int_equal(section_members_count(out, len), -1);
	unhex(out + 6, 5, "c5057629d9");
	assert_int_equal(section_members_count(out, len), -1);
}

static void vectors_manifest(void **state)
{
	(void)state;
	static const struct {
		uint8_t id;
		const char *hex, *hash;
	} parts[] = {
	    {SECTION_BASE, BASE_HEX, BASE_HASH}, {SECTION_ROUTES, ROUTES_HEX, ROUTES_HASH}, {SECTION_MEMBERS, MEMBERS_HEX, MEMBERS_HASH}};
	struct manifest m = {.n = 3}, m2;
	uint8_t out[1024];
	for (unsigned i = 0; i < 3; i++) {
		m.section[i].id = parts[i].id;
		m.section[i].len = (uint32_t)strlen(parts[i].hex) / 2;
		unhex(m.section[i].hash, 32, parts[i].hash);
	}
	size_t len = manifest_encode(&m, out, sizeof(out));
	assert_blob(out, len, MANIFEST_HEX, MANIFEST_HASH);
	assert_true(manifest_parse(out, len, &m2));
	assert_int_equal(m2.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(m2.section[i].id, m.section[i].id);
		assert_int_equal(m2.section[i].len, m.section[i].len);
		assert_memory_equal(m2.section[i].hash, m.section[i].hash, 32);
	}
	/* the sum: CONFIG_MAX, a byte more is refused, both ways */
	m = (struct manifest){.n = 3};
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t lens[] = {SECTION_MAX, CONFIG_MAX - SECTION_MAX, 0};
		m.section[i].id = (uint8_t)(i + 1);
		m.section[i].len = lens[i];
	}
	len = manifest_encode(&m, out, sizeof(out));
	assert_int_not_equal(len, 0);
	assert_true(manifest_parse(out, len, &m2));
	out[len - 1] = 1;
	assert_false(manifest_parse(out, len, &m2));
	m.section[2].len = 1;
	assert_int_equal(manifest_encode(&m, out, sizeof(out)), 0);
	m.section[2].len = 0;
	m.section[2].id = 2;
	assert_int_equal(manifest_encode(&m, out, sizeof(out)), 0);
	m = (struct manifest){.n = 1, .section = {{.id = 1, .len = SECTION_MAX + 1}}};
	assert_int_equal(manifest_encode(&m, out, sizeof(out)), 0);
}

/* A manifest with every section it may have, one more, and one byte too many. */
static void manifest_full(void **state)
{
	(void)state;
	static struct manifest m, m2;
	static uint8_t out[MANIFEST_MAX + 64];
	m.n = SECTIONS_MAX;
	for (unsigned i = 0; i < SECTIONS_MAX; i++) {
		m.section[i].id = (uint8_t)(i < 8 ? i : SECTION_MEMBERS_SHARD + (i - 8));
		m.section[i].len = CONFIG_MAX / SECTIONS_MAX;
		memset(m.section[i].hash, (int)i, 32);
	}
	size_t len = manifest_encode(&m, out, sizeof(out));
	assert_in_range(len, 1, MANIFEST_MAX);
	assert_true(manifest_parse(out, len, &m2));
	assert_int_equal(m2.n, SECTIONS_MAX);
	assert_memory_equal(&m, &m2, sizeof(m));
	assert_int_equal(manifest_encode(&m, out, len - 1), 0);
	assert_int_equal(m.section[SECTIONS_MAX - 1].id, SECTION_REVOKED_SHARD + SHARDS - 1);
	m.n = SECTIONS_MAX + 1;
	assert_int_equal(manifest_encode(&m, out, sizeof(out)), 0);
	/* one section more, as somebody else would write it */
	static const uint8_t more[] = {0xcc, 0xc0, 0x92, 0xc4, 0x20};
	memcpy(out + len, more, sizeof(more));
	memset(out + len + sizeof(more), 0, 33);
	out[1] = 0, out[2] = SECTIONS_MAX + 1;
	assert_true(document_walk(out, len + 38, 8, 4096));
	assert_false(manifest_parse(out, len + 38, &m2));
}

static void vectors_memberconf(void **state)
{
	(void)state;
	uint8_t cred[CRED_ENVELOPE_MAX], head[HEAD_ENVELOPE_MAX], out[2048];
	struct memberconf m = {.cred = cred, .head = head}, m2;
	m.cred_len = unhex(cred, sizeof(cred), CRED_HEX);
	m.head_len = unhex(head, sizeof(head), HEAD_HEX);
	for (unsigned i = 0; i < 32; i++)
		m.gate[i] = (uint8_t)(0x40 + i);
	size_t len = memberconf_encode(&m, out, sizeof(out));
	assert_int_equal(len, strlen(MEMBERCONF_HEX) / 2);
	assert_hex(out, MEMBERCONF_HEX);
	assert_true(memberconf_parse(out, len, &m2));
	assert_int_equal(m2.cred_len, m.cred_len);
	assert_memory_equal(m2.cred, cred, m.cred_len);
	assert_true(m2.cred >= out && m2.cred < out + len);
	assert_int_equal(m2.head_len, m.head_len);
	assert_memory_equal(m2.head, head, m.head_len);
	assert_memory_equal(m2.gate, m.gate, 32);
	m.cred_len = CRED_ENVELOPE_MAX + 1;
	assert_int_equal(memberconf_encode(&m, out, sizeof(out)), 0);
	m.cred_len = 0;
	assert_int_equal(memberconf_encode(&m, out, sizeof(out)), 0);
}

static bool try_revlist(const uint8_t *bytes, size_t len)
{
	struct seen seen = {0};
	bool ok = revlist_walk(bytes, len, see_revocation, &seen);
	assert_int_equal(revlist_count(bytes, len), ok ? (long)seen.n : -1);
	return ok;
}

static bool try_base(const uint8_t *bytes, size_t len)
{
	return section_base_parse(bytes, len, &(struct section_base){0});
}

static bool try_routes(const uint8_t *bytes, size_t len)
{
	struct route r[ROUTES_MAX];
	unsigned n;
	return section_routes_parse(bytes, len, r, &n);
}

static bool try_members(const uint8_t *bytes, size_t len)
{
	struct seen seen = {0};
	bool ok = section_members_walk(bytes, len, see_entry, &seen);
	assert_int_equal(section_members_count(bytes, len), ok ? (long)seen.n : -1);
	return ok;
}

static bool try_manifest(const uint8_t *bytes, size_t len)
{
	return manifest_parse(bytes, len, &(struct manifest){0});
}

static bool try_memberconf(const uint8_t *bytes, size_t len)
{
	return memberconf_parse(bytes, len, &(struct memberconf){0});
}

static void cuts_and_flips(void **state)
{
	(void)state;
	document_abuse(REVLIST_HEX, try_revlist, false);
	document_abuse(BASE_HEX, try_base, false);
	document_abuse(ROUTES_HEX, try_routes, false);
	document_abuse(MEMBERS_HEX, try_members, false);
	document_abuse(MANIFEST_HEX, try_manifest, false);
	document_abuse(MEMBERCONF_HEX, try_memberconf, false);
}

static struct directory_entry members[MEMBERS_MAX + 1];
static uint8_t blob[2 * SECTION_MAX];

static void members_fill(unsigned n_ips, bool v6)
{
	memset(members, 0, sizeof(members));
	for (unsigned i = 0; i <= MEMBERS_MAX; i++) {
		members[i].address = 0xc500000000 + i;
		memset(members[i].key_hash, (int)(i % 256), 32);
		members[i].n_ips = n_ips;
		for (unsigned k = 0; k < n_ips; k++)
			members[i].ips[k] = v6 ? (struct prefix){6, 64, {0xfd, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)k}}
			                       : (struct prefix){4, 24, {10, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)k}};
		members[i].flags = UINT32_MAX;
	}
}

static void members_limits(void **state)
{
	(void)state;
	struct seen seen = {0};
	/* a full directory with 1 v4 and with 8 v4 each: all within a section */
	static const struct {
		unsigned n_ips;
		bool v6;
		size_t len;
	} cases[] = {{1, false, MEMBERS_MAX * 57 + 3}, {8, false, MEMBERS_MAX * 106 + 3}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		members_fill(cases[i].n_ips, cases[i].v6);
		size_t len = section_members_encode(members, MEMBERS_MAX, blob, sizeof(blob));
		assert_int_equal(len, cases[i].len);
		assert_in_range(len, 1, SECTION_MAX);
		assert_int_equal(section_members_count(blob, len), MEMBERS_MAX);
		seen.n = 0;
		assert_true(section_members_walk(blob, len, see_entry, &seen));
		assert_int_equal(seen.n, MEMBERS_MAX);
		assert_memory_equal(seen.entry[3].ips, members[3].ips, sizeof(members[3].ips));
		assert_int_equal(section_members_encode(members, MEMBERS_MAX, blob, len - 1), 0);
	}
	assert_int_equal(section_members_encode(members, MEMBERS_MAX + 1, blob, sizeof(blob)), 0);
	/* with 8 v6 each they are more than a section takes, as the controller gives none of them */
	members_fill(8, true);
	assert_int_equal(section_members_encode(members, MEMBERS_MAX, blob, sizeof(blob)), 0);
	assert_int_not_equal(section_members_encode(members, MEMBERS_MAX / 2, blob, sizeof(blob)), 0);
	/* one more that somebody else encoded */
	members_fill(1, false);
	size_t len = section_members_encode(members, MEMBERS_MAX, blob, sizeof(blob));
	size_t one = section_members_encode(members + MEMBERS_MAX, 1, blob + len, sizeof(blob) - len) - 1;
	memmove(blob + len, blob + len + 1, one);
	blob[1] = (MEMBERS_MAX + 1) >> 8;
	blob[2] = (MEMBERS_MAX + 1) & 0xff;
	assert_true(document_walk(blob, len + one, BODY_DEPTH_MAX, 1000000));
	assert_int_equal(section_members_count(blob, len + one), -1);
	seen.n = 0;
	assert_false(section_members_walk(blob, len + one, see_entry, &seen));
	assert_int_equal(seen.n, 0);
	members[5].n_ips = CRED_IPS_MAX + 1;
	assert_int_equal(section_members_encode(members, MEMBERS_MAX, blob, sizeof(blob)), 0);
}

static void list_limits(void **state)
{
	(void)state;
	static struct revocation list[REVLIST_MAX + 1];
	for (unsigned i = 0; i <= REVLIST_MAX; i++) {
		list[i].key_hash[0] = (uint8_t)(i >> 8), list[i].key_hash[1] = (uint8_t)i;
		list[i].min_serial = UINT64_MAX;
	}
	size_t len = revlist_encode(list, REVLIST_MAX, blob, sizeof(blob));
	assert_in_range(len, 1, SECTION_MAX);
	assert_int_equal(revlist_count(blob, len), REVLIST_MAX);
	assert_int_equal(revlist_encode(list, REVLIST_MAX + 1, blob, sizeof(blob)), 0);
	blob[1] = (REVLIST_MAX + 1) >> 8, blob[2] = (REVLIST_MAX + 1) & 0xff;
	size_t one = revlist_encode(list + REVLIST_MAX, 1, blob + len, sizeof(blob) - len) - 1;
	memmove(blob + len, blob + len + 1, one);
	assert_int_equal(revlist_count(blob, len + one), -1);

	static struct route routes[ROUTES_MAX + 1], back[ROUTES_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i <= ROUTES_MAX; i++)
		routes[i] = (struct route){.target = {6, 64, {0xfd, (uint8_t)i}}, .via_set = true, .metric = i};
	len = section_routes_encode(routes, ROUTES_MAX, blob, sizeof(blob));
	assert_true(section_routes_parse(blob, len, back, &n));
	assert_int_equal(n, ROUTES_MAX);
	assert_int_equal(section_routes_encode(routes, ROUTES_MAX + 1, blob, sizeof(blob)), 0);
	/* via of the other family */
	len = unhex(blob, sizeof(blob), "918300c4050a9314001801c410000000000000000000000000000000000200");
	assert_true(document_walk(blob, len, 8, 100));
	assert_false(try_routes(blob, len));
}

/* Five bytes must not reserve gigabytes, wherever they stand. */
static void hungry_counts(void **state)
{
	(void)state;
	static const char *heads[] = {"ddffffffff", "dfffffffff", "dcffff", "deffff", "dd00010000", "c6ffffffff", "dbffffffff"};
	for (size_t i = 0; i < LENGTH(heads); i++) {
		memset(blob, 0x90, sizeof(blob));
		unhex(blob, 5, heads[i]);
		for (unsigned k = 0; k < 2; k++) {
			size_t len = k ? 5 : SECTION_MAX;
			assert_false(try_revlist(blob, len));
			assert_false(try_members(blob, len));
			assert_false(try_manifest(blob, len));
			assert_false(try_base(blob, len));
			assert_false(try_routes(blob, len));
			assert_false(try_memberconf(blob, len));
		}
	}
}

static void test_dns(void **state)
{
	static const char *const bad[] = {".", ".a", "a.", "a..b", "-a", "a-", "a-.b", "A", "a b", "a/b", "\xc3\xa4", "a.-b"};
	struct section_dns s = {.domain = "office_1.l-an", .n_servers = 2}, back = {0}, longest = {0};
	uint8_t out[256];
	(void)state;
	assert_true(prefix_parse("10.1.2.3/32", false, &s.servers[0]));
	assert_true(prefix_parse("fd00::53/128", false, &s.servers[1]));
	size_t len = section_dns_encode(&s, out, sizeof(out));
	assert_true(section_dns_parse(out, len, &back));
	assert_memory_equal(&s, &back, sizeof(s));
	assert_false(section_dns_parse(out, len - 1, &back));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(s.domain, sizeof(s.domain), "%s", bad[i]);
		assert_int_equal(section_dns_encode(&s, out, sizeof(out)), 0);
	}
	memset(longest.domain, 'a', sizeof(longest.domain) - 1);
	longest.n_servers = DNS_SERVERS_MAX;
	for (unsigned i = 0; i < DNS_SERVERS_MAX; i++)
		longest.servers[i] = s.servers[1];
	len = section_dns_encode(&longest, out, sizeof(out));
	assert_true(section_dns_parse(out, len, &back));
	assert_memory_equal(&longest, &back, sizeof(back));
	out[len - 1] = 64; /* a network is no server */
	memset(&back, 7, sizeof(back));
	assert_false(section_dns_parse(out, len, &back));
	assert_int_equal(back.n_servers, 0x07070707);
	longest.n_servers++;
	assert_int_equal(section_dns_encode(&longest, out, sizeof(out)), 0);
}

int main(void)
{
	unhex(key_hash, sizeof(key_hash), KEY_HASH);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dns),         cmocka_unit_test(vectors_revlist), cmocka_unit_test(vectors_sections),
	    cmocka_unit_test(vectors_manifest), cmocka_unit_test(manifest_full),   cmocka_unit_test(vectors_memberconf),
	    cmocka_unit_test(cuts_and_flips),   cmocka_unit_test(members_limits),  cmocka_unit_test(list_limits),
	    cmocka_unit_test(hungry_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
