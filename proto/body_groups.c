/* body_groups.c: bodies of the messages by which members know who takes which multicast group: SUB, GATHER.
 *
 * Groups travel as one bin of 6 bytes each, ascending and each once, so that 128 of them fit one message and whoever reads may search. A list
 * without order is refused, not sorted: the sender is not ours then. Whether a member may say or ask this is judged by node/group.c and
 * controller/groups.c.
 */
#include "proto/body_parts.h"

static bool ascending(const uint8_t (*group)[6], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(group[i][0] & 1) || (i && memcmp(group[i - 1], group[i], 6) >= 0))
			return false;
	return true;
}

size_t body_sub_encode(const struct body_sub *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (b->n > SUB_GROUPS_MAX || !ascending(b->group, b->n) || b->flags & ~SUB_FLAGS)
		return 0;
	pack_map(&w, b->n ? 4 : 3);
	field_nwid(&w, 0, b->nwid);
	field_uint(&w, 1, b->seq);
	field_uint(&w, 2, b->flags);
	if (b->n) {
		pack_uint(&w, 3);
		pack_bin(&w, b->group, b->n * sizeof(b->group[0]));
	}
	return pack_end(&w);
}

bool body_sub_parse(const uint8_t *bytes, size_t len, struct body_sub *ret)
{
	struct document d;
	struct body_sub b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	b.seq = document_uint(&d, document_field(&d, 1), UINT64_MAX);
	b.flags = (uint32_t)document_uint(&d, document_field(&d, 2), UINT32_MAX) & SUB_FLAGS;
	const struct value *list = document_field(&d, 3);
	size_t n = 0;
	const uint8_t *groups = list ? document_bin(&d, list, sizeof(b.group), &n) : NULL;
	if (groups)
		memcpy(b.group, groups, n);
	b.n = (uint32_t)(n / sizeof(b.group[0]));
	bool good = n % sizeof(b.group[0]) == 0 && ascending(b.group, b.n);
	if (!document_close(&d) || !good)
		return false;
	*ret = b;
	return true;
}

size_t body_gather_encode(const struct body_gather *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (!(b->group[0] & 1))
		return 0;
	pack_map(&w, b->after ? 3 : 2);
	field_nwid(&w, 0, b->nwid);
	pack_uint(&w, 1);
	pack_bin(&w, b->group, sizeof(b->group));
	if (b->after) {
		pack_uint(&w, 2);
		pack_address(&w, b->after);
	}
	return pack_end(&w);
}

bool body_gather_parse(const uint8_t *bytes, size_t len, struct body_gather *ret)
{
	struct document d;
	struct body_gather b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	document_copy(&d, document_field(&d, 1), b.group, sizeof(b.group));
	if (document_field(&d, 2))
		b.after = document_address(&d, document_field(&d, 2));
	if (!document_close(&d) || !(b.group[0] & 1))
		return false;
	*ret = b;
	return true;
}

size_t body_gathered_encode(const struct body_gathered *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (b->n > GATHERED_MAX || (b->more && !b->n))
		return 0;
	pack_map(&w, 2);
	field_uint(&w, 0, b->more);
	pack_uint(&w, 1);
	pack_array(&w, b->n);
	for (unsigned i = 0; i < b->n; i++) {
		if (i && b->address[i - 1] >= b->address[i])
			return 0;
		pack_address(&w, b->address[i]);
	}
	return pack_end(&w);
}

bool body_gathered_parse(const uint8_t *bytes, size_t len, struct body_gathered *ret)
{
	struct document d;
	struct body_gathered b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.more = document_uint(&d, document_field(&d, 0), 1);
	const struct value *list = document_field(&d, 1);
	b.n = document_count(&d, list, GATHERED_MAX);
	bool good = b.n || !b.more; /* or whoever asks on would ask the same again */
	for (unsigned i = 0; i < b.n; i++) {
		b.address[i] = document_address(&d, document_at(&d, list, i));
		good = good && (!i || b.address[i - 1] < b.address[i]);
	}
	if (!document_close(&d) || !good)
		return false;
	*ret = b;
	return true;
}
