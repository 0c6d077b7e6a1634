/* Theory of operation: a join is answered from a few facts. What a stranger may learn decides the order: an unknown network, a
 * denied key and a revoked key get the same DENIED, and the limit for strangers strikes all three alike, so the answers tell
 * nobody which networks exist. Who has a row that is pending or approved is not limited: it costs no row and little work.
 * Addresses are picked by walking the sorted leases once, for however many: the gaps are the answer. */
#include "controller/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

bool policy_spend(uint64_t *allowance, uint32_t joins, uint64_t now_ms)
{
	uint64_t at = *allowance > now_ms ? *allowance : now_ms, interval = joins ? 60000 / joins + 1 : JOIN_INTERVAL_MS;
	if (at - now_ms > (JOIN_BURST - 1) * interval)
		return false;
	*allowance = at + interval;
	return true;
}

const char *policy_full(uint32_t members_max, uint32_t approved, uint32_t revocations)
{
	if (approved >= MEMBERS_MAX || (members_max && approved >= members_max))
		return "the network has as many approved members as it may have";
	/* whoever is approved must remain revocable, so its entry is counted beforehand */
	if (approved + revocations >= REVOCATIONS_MAX)
		return "too many revocations of the last days are still in force; try again when the oldest have run out";
	return NULL;
}

struct policy_decision policy_decide(const struct policy_rows *rows, const struct policy_request *request, uint64_t now_ms)
{
	struct policy_decision d = {.answer = JOIN_DENIED, .action = POLICY_NOTHING, .allowance = rows->allowance};
	bool known = rows->network && rows->member && !rows->collision && (rows->state == MEMBER_APPROVED || rows->state == MEMBER_PENDING);
	if (!request->honest)
		return d;
	if (!known && !policy_spend(&d.allowance, rows->joins, now_ms)) {
		d.answer = JOIN_TRY_LATER;
		return d;
	}
	if (!rows->network || rows->banned)
		return d;
	if (rows->collision) {
		d.answer = JOIN_COLLISION;
		return d;
	}
	bool open = (rows->network_flags & NETWORK_PUBLIC || rows->preapproved) &&
	            !policy_full(rows->members_max, rows->approved, rows->revocations);
	uint32_t pending_max = rows->pending_max ? rows->pending_max : PENDING_MAX;
	if (rows->member) {
		switch (rows->state) {
		case MEMBER_APPROVED: d.answer = rows->trusted ? JOIN_OK : JOIN_TRY_LATER; return d;
		case MEMBER_PENDING: break;
		case MEMBER_DENIED:
		case MEMBER_REVOKED:
		case MEMBER_BANNED:
		case MEMBER_STATES: return d;
		}
	} else if (rows->departed && !rows->preapproved) {
		return d;
	}
	if (!rows->trusted) {
		d.answer = JOIN_TRY_LATER;
	} else if (open) {
		d.answer = JOIN_OK;
		d.action = POLICY_ADMIT;
	} else {
		d.answer = JOIN_PENDING;
		if (!rows->member)
			d.action = rows->pending >= pending_max ? POLICY_EVICT_PEND : POLICY_PEND;
	}
	return d;
}

/* ---- rights ------------------------------------------------------------------------- */

uint32_t policy_flags(uint32_t on, uint32_t off)
{
	if (on & MEMBER_BRIDGE)
		on |= MEMBER_DHCP_SERVER | MEMBER_ROUTER;
	return on & ~off;
}

void policy_flags_set(uint32_t *on, uint32_t *off, uint32_t set_on, uint32_t set_off)
{
	*on = (*on & ~set_off) | set_on;
	*off = (*off & ~set_on) | set_off;
}

bool policy_takes(const struct prefix *had, unsigned n_had, uint32_t had_flags, const struct prefix *has, unsigned n_has,
                  uint32_t has_flags)
{
	for (unsigned i = 0; i < n_had; i++) {
		bool kept = false;
		for (unsigned j = 0; j < n_has && !kept; j++)
			kept = had[i].family == has[j].family && had[i].bits == has[j].bits && !memcmp(had[i].ip, has[j].ip, 16);
		if (!kept)
			return true;
	}
	return (had_flags & ~has_flags) != 0;
}

bool policy_text(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return n >= 1 && n <= max;
}

bool policy_name(const char *name)
{
	return policy_text(name, NAME_MAX_BYTES);
}

const char *policy_route_check(const struct route *r, const struct prefix *pool, const struct prefix *ula)
{
	if ((r->target.family != 4 && r->target.family != 6) || !prefix_is_net(&r->target))
		return "a route leads to a network such as 192.168.7.0/24, without bits set behind its length";
	if (!r->via_set)
		return NULL;
	const struct prefix *home = r->target.family == 4 ? pool : ula;
	struct prefix via = {.family = r->target.family, .bits = r->target.family == 4 ? 32 : 128};
	memcpy(via.ip, r->via, via.bits / 8);
	if (home->family != via.family || !prefix_within(&via, home))
		return "a route goes by way of a member's address in this network: one of the pool, or of the network's IPv6";
	return NULL;
}

/* ---- addresses ---------------------------------------------------------------------- */

static uint32_t ip_number(const uint8_t ip[4])
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

static uint32_t host_mask(const struct prefix *pool)
{
	return UINT32_MAX >> pool->bits;
}

const char *policy_pool_check(const struct prefix *pool)
{
	if (pool->family != 4)
		return "the pool must be an IPv4 network such as 10.20.0.0/16";
	if (pool->bits < POOL_BITS_MIN || pool->bits > POOL_BITS_MAX)
		return "the pool's prefix must be between /8 and /30";
	if (ip_number(pool->ip) & host_mask(pool))
		return "the pool's address has host bits set; write the network address, such as 10.20.0.0/16";
	if (pool->ip[0] == 0 || pool->ip[0] == 127 || pool->ip[0] >= 224)
		return "the pool must be of ordinary unicast addresses, such as 10.20.0.0/16";
	return NULL;
}

bool policy_pool_host(const struct prefix *pool, const uint8_t ip[4])
{
	uint32_t mask = host_mask(pool), host = ip_number(ip) & mask;
	return pool->family == 4 && (ip_number(ip) & ~mask) == ip_number(pool->ip) && host != 0 && host != mask;
}

static void ip_write(uint32_t number, uint8_t ret[4])
{
	for (unsigned i = 0; i < 4; i++)
		ret[i] = (uint8_t)(number >> (24 - 8 * i));
}

static bool rests(const struct lease *l, uint64_t now)
{
	return !l->member && l->freed + ADDRESS_REST_S > now;
}

static int rest_order(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;
	if (x->freed != y->freed)
		return x->freed < y->freed ? -1 : 1;
	return memcmp(x->ip, y->ip, 4);
}

static bool given(const struct stretch *s, unsigned n, uint32_t ip)
{
	for (unsigned i = 0; i < n; i++)
		if (ip >= s[i].first && ip <= s[i].last)
			return true;
	return false;
}

/* Those freed longest ago first. Returns how many; -ENOMEM. */
static ssize_t rested(const struct stretch *s, unsigned n_stretches, const struct lease *leases, size_t n, uint64_t now, uint8_t (*ret)[4],
                      size_t want)
{
	struct lease *resting = malloc((n + 1) * sizeof(*resting));
	size_t found = 0;
	if (!resting)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (rests(&leases[i], now) && given(s, n_stretches, ip_number(leases[i].ip)))
			resting[found++] = leases[i];
	qsort(resting, found, sizeof(*resting), rest_order);
	for (size_t i = 0; i < found && i < want; i++)
		memcpy(ret[i], resting[i].ip, 4);
	free(resting);
	return (ssize_t)(found < want ? found : want);
}

const char *policy_range_check(const struct range *r)
{
	if (ip_number(r->first) > ip_number(r->last))
		return "a range begins with the lower address, like 10.20.1.10 to 10.20.1.99";
	if (r->first[0] == 0 || r->last[0] >= 224)
		return "a range is of ordinary unicast addresses, like 10.20.1.10 to 10.20.1.99";
	return NULL;
}

unsigned policy_stretches(const struct prefix *pool, const struct range *ranges, unsigned n, struct stretch ret[RANGES_MAX])
{
	unsigned have = 0, merged = 0;
	if (pool->family != 4)
		return 0;
	const struct stretch hosts = {ip_number(pool->ip) + 1, ip_number(pool->ip) + host_mask(pool) - 1};
	for (unsigned i = 0; i < n && i < RANGES_MAX; i++) {
		struct stretch s = {ip_number(ranges[i].first), ip_number(ranges[i].last)};
		s.first = s.first < hosts.first ? hosts.first : s.first;
		s.last = s.last > hosts.last ? hosts.last : s.last;
		if (s.first > s.last)
			continue;
		unsigned at = have++;
		for (; at && ret[at - 1].first > s.first; at--)
			ret[at] = ret[at - 1];
		ret[at] = s;
	}
	if (!n)
		ret[have++] = hosts;
	for (unsigned i = 0; i < have; i++) { /* what overlaps becomes one, so that nothing is counted twice */
		struct stretch *last = merged ? &ret[merged - 1] : NULL;
		if (last && ret[i].first <= last->last)
			last->last = ret[i].last > last->last ? ret[i].last : last->last;
		else
			ret[merged++] = ret[i];
	}
	return merged;
}

int policy_addresses(const struct stretch *s, unsigned n_stretches, const struct lease *leases, size_t n, uint64_t now, uint8_t (*ret)[4],
                     size_t want)
{
	size_t got = 0, i = 0;
	for (unsigned k = 0; k < n_stretches; k++)
		for (uint64_t next = s[k].first; got < want && next <= s[k].last; next++) {
			while (i < n && (ip_number(leases[i].ip) < next || (!leases[i].member && !rests(&leases[i], now))))
				i++; /* below, or as good as never used */
			if (i == n || ip_number(leases[i].ip) != next)
				ip_write((uint32_t)next, ret[got++]);
		}
	ssize_t more = got < want ? rested(s, n_stretches, leases, n, now, ret + got, want - got) : 0;
	if (more < 0)
		return (int)more;
	return got + (size_t)more == want ? 0 : -EADDRNOTAVAIL;
}
