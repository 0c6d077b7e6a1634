/* config.c: what HEAD binds by hash (REVLIST, the manifest and its sections), and MEMBERCONF.
 *
 * None of these is signed. A blob is believed because its hash stands in a signed HEAD or in a
 * manifest whose hash does; MEMBERCONF because it came inside the session with the controller, and
 * what it carries is signed itself. Lists are sorted and without duplicates, so that one state has
 * one blob and one hash. The element maxima are larger than that of a control body but still follow
 * from named maxima; bytes are bounded by SECTION_MAX before the walk. A walk with a callback reads
 * the whole blob twice: first to judge, then to call, so a bad blob calls nobody.
 */
#include "proto/body.h"
#include "proto/cred.h"
#include "proto/document.h"
#include "proto/ethertype.h"

#define MEMBERS_ELEMENTS_MAX (1 + MEMBERS_MAX * (5 + CRED_IPS_MAX))
#define REVLIST_ELEMENTS_MAX (1 + REVLIST_MAX * 3)
#define MEMBERCONF_MAX       2048 /* bytes; leaves room for keys of later versions */

static size_t section_room(size_t room)
{
	return room < SECTION_MAX ? room : SECTION_MAX;
}

static bool section_open(struct document *d, const uint8_t *blob, size_t len, size_t max_elements)
{
	return len <= SECTION_MAX && document_open(d, blob, len, max_elements);
}

void blob_hash(const uint8_t *blob, size_t len, uint8_t ret[32])
{
	hash256(ret, "fln1 blob", blob, len);
}

size_t revlist_encode(const struct revocation *list, size_t n, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, section_room(room));
	if (n > REVLIST_MAX)
		return 0;
	pack_array(&w, n);
	for (size_t i = 0; i < n && !w.bad; i++) {
		if (i && memcmp(list[i - 1].key_hash, list[i].key_hash, KEY_HASH_BYTES) >= 0)
			w.bad = true;
		pack_array(&w, 2);
		pack_bin(&w, list[i].key_hash, KEY_HASH_BYTES);
		pack_uint(&w, list[i].min_serial);
	}
	return pack_end(&w);
}

static void revocation_read(struct document *d, const struct value *v, struct revocation *ret)
{
	*ret = (struct revocation){0};
	if (document_count(d, v, 2) != 2) {
		d->bad = true;
		return;
	}
	document_copy(d, document_at(d, v, 0), ret->key_hash, KEY_HASH_BYTES);
	ret->min_serial = document_uint(d, document_at(d, v, 1), UINT64_MAX);
}

static long revlist_judge(struct document *d)
{
	struct revocation now, last = {0};
	unsigned n = document_count(d, d->root, REVLIST_MAX);
	for (unsigned i = 0; i < n && !d->bad; i++) {
		revocation_read(d, document_at(d, d->root, i), &now);
		if (i && memcmp(last.key_hash, now.key_hash, KEY_HASH_BYTES) >= 0)
			d->bad = true;
		last = now;
	}
	return d->bad ? -1 : (long)n;
}

bool revlist_walk(const uint8_t *blob, size_t len, void (*each)(void *self, const struct revocation *), void *self)
{
	struct document d;
	if (!section_open(&d, blob, len, REVLIST_ELEMENTS_MAX))
		return false;
	long n = revlist_judge(&d);
	for (long i = 0; i < n; i++) {
		struct revocation now;
		revocation_read(&d, document_at(&d, d.root, (unsigned)i), &now);
		each(self, &now);
	}
	return document_close(&d);
}

long revlist_count(const uint8_t *blob, size_t len)
{
	struct document d;
	if (!section_open(&d, blob, len, REVLIST_ELEMENTS_MAX))
		return -1;
	long n = revlist_judge(&d);
	document_close(&d);
	return n;
}

size_t manifest_encode(const struct manifest *m, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room < MANIFEST_MAX ? room : MANIFEST_MAX);
	size_t sum = 0;
	if (m->n > SECTIONS_MAX)
		return 0;
	pack_map(&w, m->n);
	for (unsigned i = 0; i < m->n; i++) {
		sum += m->section[i].len;
		if ((i && m->section[i].id <= m->section[i - 1].id) || m->section[i].len > SECTION_MAX || sum > CONFIG_MAX)
			return 0;
		pack_uint(&w, m->section[i].id);
		pack_array(&w, 2);
		pack_bin(&w, m->section[i].hash, sizeof m->section[i].hash);
		pack_uint(&w, m->section[i].len);
	}
	return pack_end(&w);
}

bool manifest_parse(const uint8_t *blob, size_t len, struct manifest *ret)
{
	struct document d;
	struct manifest m = {0};
	size_t sum = 0;
	if (len > MANIFEST_MAX || !section_open(&d, blob, len, BODY_ELEMENTS_MAX))
		return false;
	m.n = document_pairs(&d, d.root, SECTIONS_MAX);
	for (unsigned i = 0; i < m.n; i++) {
		uint64_t id = 0;
		const struct value *v = document_pair(&d, d.root, i, &id);
		if (id > UINT8_MAX || document_count(&d, v, 2) != 2)
			d.bad = true;
		m.section[i].id = (uint8_t)id;
		document_copy(&d, document_at(&d, v, 0), m.section[i].hash, sizeof m.section[i].hash);
		m.section[i].len = (uint32_t)document_uint(&d, document_at(&d, v, 1), SECTION_MAX);
		sum += m.section[i].len;
	}
	if (!document_close(&d) || sum > CONFIG_MAX)
		return false;
	*ret = m;
	return true;
}

static bool mtu_valid(uint64_t mtu)
{
	return mtu >= MTU_MIN && mtu <= MTU_MAX;
}

size_t section_base_encode(const struct section_base *b, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, section_room(room));
	if (!mtu_valid(b->mtu))
		return 0;
	/* A default is left out, so that a network nobody touched has the bytes it always had. */
	pack_map(&w, 5u + (b->storm_frames != STORM_FRAMES_DEFAULT) + (b->mcast_kbit != MCAST_KBIT_DEFAULT) + (b->ethertypes.n != 0));
	pack_uint(&w, 0);
	pack_text(&w, b->name);
	pack_uint(&w, 1);
	pack_uint(&w, b->mtu);
	pack_uint(&w, 2);
	pack_uint(&w, b->mcast_limit);
	pack_uint(&w, 3);
	pack_uint(&w, b->flags);
	pack_uint(&w, 4);
	pack_uint(&w, b->max_offline);
	if (b->storm_frames != STORM_FRAMES_DEFAULT) {
		pack_uint(&w, 5);
		pack_uint(&w, b->storm_frames);
	}
	if (b->mcast_kbit != MCAST_KBIT_DEFAULT) {
		pack_uint(&w, 6);
		pack_uint(&w, b->mcast_kbit);
	}
	if (b->ethertypes.n) {
		pack_uint(&w, 7);
		pack_array(&w, b->ethertypes.n);
	}
	for (unsigned i = 0; i < b->ethertypes.n; i++)
		pack_uint(&w, b->ethertypes.type[i]);
	return pack_end(&w);
}

/* Ascending is what adding at the end means; an empty list would be a network in which nothing passes, and nobody can say that. */
static void ethertypes_read(struct document *d, const struct value *list, struct ethertypes *ret)
{
	unsigned n = document_count(d, list, ETHERTYPES_MAX);
	for (unsigned i = 0; i < n && !d->bad; i++) {
		uint16_t type = (uint16_t)document_uint(d, document_at(d, list, i), UINT16_MAX);
		if (d->bad || (i && type <= ret->type[i - 1]) || !ethertypes_add(ret, type))
			d->bad = true;
	}
	if (!n)
		d->bad = true;
}

bool section_base_parse(const uint8_t *blob, size_t len, struct section_base *ret)
{
	struct document d;
	struct section_base b = {.storm_frames = STORM_FRAMES_DEFAULT, .mcast_kbit = MCAST_KBIT_DEFAULT};
	if (!section_open(&d, blob, len, BODY_ELEMENTS_MAX))
		return false;
	document_text(&d, document_field(&d, 0), b.name, sizeof b.name);
	b.mtu = (uint16_t)document_uint(&d, document_field(&d, 1), MTU_MAX);
	b.mcast_limit = (uint32_t)document_uint(&d, document_field(&d, 2), UINT32_MAX);
	b.flags = (uint32_t)document_uint(&d, document_field(&d, 3), UINT32_MAX);
	b.max_offline = (uint32_t)document_uint(&d, document_field(&d, 4), UINT32_MAX);
	if (document_field(&d, 5))
		b.storm_frames = (uint32_t)document_uint(&d, document_field(&d, 5), UINT32_MAX);
	if (document_field(&d, 6))
		b.mcast_kbit = (uint32_t)document_uint(&d, document_field(&d, 6), UINT32_MAX);
	if (document_field(&d, 7))
		ethertypes_read(&d, document_field(&d, 7), &b.ethertypes);
	if (!document_close(&d) || !mtu_valid(b.mtu))
		return false;
	*ret = b;
	return true;
}

static size_t ip_bytes(const struct prefix *p)
{
	return p->family == 4 ? 4 : 16;
}

size_t section_routes_encode(const struct route *routes, unsigned n, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, section_room(room));
	if (n > ROUTES_MAX)
		return 0;
	pack_array(&w, n);
	for (unsigned i = 0; i < n; i++) {
		pack_map(&w, routes[i].via_set ? 3 : 2);
		pack_uint(&w, 0);
		pack_prefix(&w, &routes[i].target);
		if (routes[i].via_set) {
			pack_uint(&w, 1);
			pack_bin(&w, routes[i].via, ip_bytes(&routes[i].target));
		}
		pack_uint(&w, 2);
		pack_uint(&w, routes[i].metric);
	}
	return pack_end(&w);
}

bool section_routes_parse(const uint8_t *blob, size_t len, struct route ret[ROUTES_MAX], unsigned *ret_n)
{
	struct document d;
	struct route routes[ROUTES_MAX] = {0};
	if (!section_open(&d, blob, len, BODY_ELEMENTS_MAX))
		return false;
	unsigned n = document_count(&d, d.root, ROUTES_MAX);
	for (unsigned i = 0; i < n; i++) {
		const struct value *v = document_at(&d, d.root, i);
		document_prefix(&d, document_find(&d, v, 0), &routes[i].target);
		const struct value *via = document_find(&d, v, 1);
		routes[i].via_set = via != NULL;
		if (via)
			document_copy(&d, via, routes[i].via, ip_bytes(&routes[i].target));
		routes[i].metric = (uint32_t)document_uint(&d, document_find(&d, v, 2), UINT32_MAX);
	}
	if (!document_close(&d))
		return false;
	memcpy(ret, routes, n * sizeof *ret);
	*ret_n = n;
	return true;
}

/* What is asked of a resolver and shown on terminals: letters that mean nothing to either. */
static bool domain_valid(const char *domain)
{
	size_t label = 0;
	for (const char *p = domain; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' || (*p == '-' && label);
		if (*p == '.' ? !label || p[-1] == '-' || !p[1] : !letter)
			return false;
		label = *p == '.' ? 0 : label + 1;
	}
	return !label || domain[strlen(domain) - 1] != '-';
}

size_t section_dns_encode(const struct section_dns *s, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, section_room(room));
	if (s->n_servers > DNS_SERVERS_MAX || !domain_valid(s->domain))
		return 0;
	pack_map(&w, 2);
	pack_uint(&w, 0);
	pack_text(&w, s->domain);
	pack_uint(&w, 1);
	pack_array(&w, s->n_servers);
	for (unsigned i = 0; i < s->n_servers; i++)
		pack_prefix(&w, &s->servers[i]);
	return pack_end(&w);
}

bool section_dns_parse(const uint8_t *blob, size_t len, struct section_dns *ret)
{
	struct document d;
	struct section_dns s = {0};
	if (!section_open(&d, blob, len, BODY_ELEMENTS_MAX))
		return false;
	document_text(&d, document_field(&d, 0), s.domain, sizeof s.domain);
	const struct value *servers = document_field(&d, 1);
	s.n_servers = document_count(&d, servers, DNS_SERVERS_MAX);
	for (unsigned i = 0; i < s.n_servers; i++) {
		document_prefix(&d, document_at(&d, servers, i), &s.servers[i]);
		if (s.servers[i].bits != 8 * ip_bytes(&s.servers[i]))
			d.bad = true;
	}
	if (!document_close(&d) || !domain_valid(s.domain))
		return false;
	*ret = s;
	return true;
}

size_t section_members_encode(const struct directory_entry *list, size_t n, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, section_room(room));
	if (n > MEMBERS_MAX)
		return 0;
	pack_array(&w, n);
	for (size_t i = 0; i < n && !w.bad; i++) {
		if (list[i].n_ips > CRED_IPS_MAX || (i && list[i].address <= list[i - 1].address))
			return 0;
		pack_array(&w, 4);
		pack_address(&w, list[i].address);
		pack_bin(&w, list[i].key_hash, KEY_HASH_BYTES);
		pack_array(&w, list[i].n_ips);
		for (unsigned k = 0; k < list[i].n_ips; k++)
			pack_prefix(&w, &list[i].ips[k]);
		pack_uint(&w, list[i].flags);
	}
	return pack_end(&w);
}

static void entry_read(struct document *d, const struct value *v, struct directory_entry *ret)
{
	*ret = (struct directory_entry){0};
	if (document_count(d, v, 4) != 4) {
		d->bad = true;
		return;
	}
	ret->address = document_address(d, document_at(d, v, 0));
	document_copy(d, document_at(d, v, 1), ret->key_hash, KEY_HASH_BYTES);
	const struct value *ips = document_at(d, v, 2);
	ret->n_ips = document_count(d, ips, CRED_IPS_MAX);
	for (unsigned k = 0; k < ret->n_ips; k++)
		document_prefix(d, document_at(d, ips, k), &ret->ips[k]);
	ret->flags = (uint32_t)document_uint(d, document_at(d, v, 3), UINT32_MAX);
}

static long members_judge(struct document *d)
{
	struct directory_entry now;
	uint64_t last = 0;
	unsigned n = document_count(d, d->root, MEMBERS_MAX);
	for (unsigned i = 0; i < n && !d->bad; i++) {
		entry_read(d, document_at(d, d->root, i), &now);
		if (now.address <= last)
			d->bad = true;
		last = now.address;
	}
	return d->bad ? -1 : (long)n;
}

long section_members_count(const uint8_t *blob, size_t len)
{
	struct document d;
	if (!section_open(&d, blob, len, MEMBERS_ELEMENTS_MAX))
		return -1;
	long n = members_judge(&d);
	document_close(&d);
	return n;
}

bool section_members_walk(const uint8_t *blob, size_t len, void (*each)(void *self, const struct directory_entry *), void *self)
{
	struct document d;
	if (!section_open(&d, blob, len, MEMBERS_ELEMENTS_MAX))
		return false;
	long n = members_judge(&d);
	for (long i = 0; i < n; i++) {
		struct directory_entry now;
		entry_read(&d, document_at(&d, d.root, (unsigned)i), &now);
		each(self, &now);
	}
	return document_close(&d);
}

size_t memberconf_encode(const struct memberconf *m, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room < MEMBERCONF_MAX ? room : MEMBERCONF_MAX);
	if (!m->cred_len || m->cred_len > CRED_ENVELOPE_MAX || !m->head_len || m->head_len > HEAD_ENVELOPE_MAX)
		return 0;
	pack_map(&w, 3);
	pack_uint(&w, 0);
	pack_bin(&w, m->cred, m->cred_len);
	pack_uint(&w, 1);
	pack_bin(&w, m->head, m->head_len);
	pack_uint(&w, 2);
	pack_bin(&w, m->gate, sizeof m->gate);
	return pack_end(&w);
}

bool memberconf_parse(const uint8_t *bytes, size_t len, struct memberconf *ret)
{
	struct document d;
	struct memberconf m = {0};
	if (len > MEMBERCONF_MAX || !document_open(&d, bytes, len, BODY_ELEMENTS_MAX))
		return false;
	m.cred = document_bin(&d, document_field(&d, 0), CRED_ENVELOPE_MAX, &m.cred_len);
	m.head = document_bin(&d, document_field(&d, 1), HEAD_ENVELOPE_MAX, &m.head_len);
	document_copy(&d, document_field(&d, 2), m.gate, sizeof m.gate);
	if (!document_close(&d))
		return false;
	*ret = m;
	return true;
}
