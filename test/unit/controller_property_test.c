/* Ten thousand edits in whatever order, with turns undone in the middle and restarts: after each turn what stands in memory is what the
 * database says, the tallies are what can be counted, who holds an address has its lease, who lost its approval is revoked, and a
 * new member gets the address that a walk over all leases finds. SEED=n in the environment repeats one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "test/unit/controller_bed.h"

#define PEOPLE   14
#define NETWORKS 3
#define EDITS    10000

static struct controller *c;
static struct secret self;
static uint64_t nwid[NETWORKS], now = 1000, random_state;
static char dir[64];
static struct admin_error e;
static struct identity people[PEOPLE];
static struct { /* what was known of somebody after the last turn */
	uint64_t serial, lost_at;
	bool approved;
} before[NETWORKS][PEOPLE];
static uint64_t versions[NETWORKS];
static unsigned done[16], refused, undone, restarted;

static unsigned any(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static uint64_t wall(void)
{
	return 1700000000 + now / 1000;
}

static void opened(void)
{
	struct controller_port port = {.send = bed_send};
	const char *why = "";
	if (controller_open(&c, dir, &self, &port, now, wall(), &why))
		fail_msg("%s", why);
	controller_limits_set(c, &(struct controller_limits){.members = 10, .pending = 5, .joins = JOINS_MOST});
}

/* ---- what must be so ------------------------------------------------------------------ */

struct seen {
	unsigned n, count[MEMBER_STATES], ips;
	struct member_record rows[PEOPLE];
};

static void seen_take(void *self_, const struct member_record *m)
{
	struct seen *s = self_;
	assert_true(s->n < PEOPLE && m->state < MEMBER_STATES);
	s->rows[s->n++] = *m;
	s->count[m->state]++;
	s->ips += m->n_ips;
}

static const struct member_record *of(const struct seen *s, const struct identity *who)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!memcmp(s->rows[i].identity.key_hash, who->key_hash, KEY_HASH_BYTES))
			return &s->rows[i];
	return NULL;
}

static void directory_agrees(const struct publication *p, const struct seen *s)
{
	struct directory_entry entries[PEOPLE];
	assert_true(p->directory.n <= PEOPLE);
	if (!p->directory.loaded)
		return; /* the next edition reads all */
	assert_int_equal(p->directory.n_touched, 0);
	assert_int_equal(directory_shard(&p->directory, -1, entries), s->count[MEMBER_APPROVED]);
	for (unsigned i = 0, k = 0; i < s->n; i++) { /* both ascend by address */
		const struct member_record *m = &s->rows[i];
		assert_int_equal(directory_has(&p->directory, m->identity.key_hash), m->state == MEMBER_APPROVED);
		if (m->state != MEMBER_APPROVED)
			continue;
		const struct directory_entry *d = &entries[k++];
		assert_true(d->address == m->address && d->n_ips == m->n_ips && d->flags == policy_flags(m->flags_on, m->flags_off));
		for (unsigned j = 0; j < m->n_ips; j++)
			assert_true(!memcmp(d->ips[j].ip, m->ips[j].ip, 4) && d->ips[j].bits == m->ips[j].bits);
	}
}

static void leases_agree(uint64_t network, const struct seen *s, const struct network_record *n)
{
	struct lease *leases = NULL;
	size_t n_leases = 0;
	unsigned held = 0;
	uint32_t counted = 0;
	assert_int_equal(store_leases(c->store, network, &leases, &n_leases), 0);
	for (size_t i = 0; i < n_leases; i++)
		held += leases[i].member != 0;
	free(leases);
	assert_int_equal(held, s->ips);
	assert_int_equal(store_lease_count(c->store, network, &counted), 0);
	assert_int_equal(counted, held);
	for (unsigned i = 0; i < s->n; i++) {
		const struct member_record *m = &s->rows[i];
		assert_true(m->state != MEMBER_APPROVED || !member_served(n, m) || m->n_ips); /* who is to have one has one */
		for (unsigned k = 0; k < m->n_ips; k++) {
			assert_true(policy_pool_host(&n->pool, m->ips[k].ip) && m->ips[k].bits == n->pool.bits);
			assert_true(!k || memcmp(m->ips[k - 1].ip, m->ips[k].ip, 4) < 0);
		}
	}
}

/* Who has lost its approval since, or its serial, is revoked from the serial it had on. */
static void revocations_agree(unsigned network, const struct seen *s)
{
	struct revocation *list = NULL;
	size_t n = 0;
	uint32_t counted = 0;
	assert_int_equal(store_revocations(c->store, nwid[network], &list, &n), 0);
	assert_int_equal(store_revocation_count(c->store, nwid[network], &counted), 0);
	assert_int_equal(counted, n);
	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct member_record *m = of(s, &people[i]);
		bool approved = m && m->state == MEMBER_APPROVED, revoked = false;
		if (before[network][i].approved && !approved)
			before[network][i].lost_at = network_time(c);
		for (size_t k = 0; k < n; k++)
			if (!memcmp(list[k].key_hash, people[i].key_hash, KEY_HASH_BYTES)) {
				revoked = revoked || list[k].min_serial > before[network][i].serial;
				assert_true(!approved || m->serial >= list[k].min_serial); /* what it holds now is good */
			}
		if (!approved && before[network][i].lost_at && network_time(c) + 2 < before[network][i].lost_at + HARD_TTL_S)
			assert_true(revoked);
		if (approved) {
			assert_true(m->serial >= before[network][i].serial);
			before[network][i].serial = m->serial;
		}
		before[network][i].approved = approved;
	}
	free(list);
}

static void all_agrees(void)
{
	for (unsigned i = 0; i < NETWORKS; i++) {
		struct seen s = {0};
		struct network_record n;
		struct publication *p = publication_find(c, nwid[i]);
		assert_non_null(p);
		assert_int_equal(store_network_get(c->store, nwid[i], &n), 0);
		assert_int_equal(store_member_each(c->store, nwid[i], seen_take, &s), 0);
		for (unsigned state = 0; state < MEMBER_STATES; state++) {
			uint32_t counted = 77;
			assert_int_equal(store_network_count(c->store, nwid[i], (enum member_state)state, &counted), 0);
			assert_int_equal(counted, s.count[state]);
		}
		for (unsigned k = 0; k < s.n; k++) {
			struct ban ban;
			bool banned = !store_ban_get(c->store, s.rows[k].identity.key_hash, &ban);
			assert_int_equal(s.rows[k].state == MEMBER_BANNED, banned);
		}
		directory_agrees(p, &s);
		leases_agree(nwid[i], &s, &n);
		revocations_agree(i, &s);
		assert_true(p->version == n.version && p->rev_epoch == n.rev_epoch && p->serial_next <= n.serials);
		assert_true(p->signed_version <= p->version && p->signed_version >= versions[i]);
		versions[i] = p->signed_version;
	}
}

static void turn(uint64_t ms)
{
	now += ms;
	controller_settle(c, now, wall());
	all_agrees();
}

/* ---- what happens ----------------------------------------------------------------------- */

static void join(unsigned network, const struct identity *who)
{
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = nwid[network], .identity = *who, .os = "o", .version = "v", .asked = any(3)};
	snprintf(req.hostname, sizeof(req.hostname), "host-%u", any(3));
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	if (any(4))
		controller_online(c, who->key_hash, true, now, wall());
	controller_request(c, who, NULL, &m, now, wall());
}

static struct member_settings settings(unsigned network)
{
	struct member_settings s = {.set = any(512) & (SET_MEMBER_NAME | SET_MEMBER_FLAGS | SET_MEMBER_EXPIRES | SET_MEMBER_EPHEMERAL),
	                            .auto_ip = any(4),
	                            .flags_on = any(2) ? MEMBER_ROUTER : 0,
	                            .expires_s = any(2) ? any(5000) : 0,
	                            .ephemeral_s = any(2) ? 10 + any(3000) : 0};
	struct network_record n;
	snprintf(s.name, sizeof(s.name), "name-%u", any(4));
	if (s.flags_on == 0)
		s.flags_off = MEMBER_ROUTER;
	if (!any(4))
		s.set |= SET_MEMBER_AUTO_IP;
	if (!any(3) && !store_network_get(c->store, nwid[network], &n)) {
		s.set |= SET_MEMBER_IPS;
		s.n_ips = any(4);
		for (unsigned i = 0; i < s.n_ips; i++) {
			s.ips[i] = n.pool;
			s.ips[i].bits = any(8) ? 0 : n.pool.bits;
			s.ips[i].ip[3] = (uint8_t)(n.pool.ip[3] + any(17));
		}
	}
	return s;
}

/* The address it gets is the one that a look at all leases and reservations would find. */
static enum admin_status approve_plain(unsigned network, const struct identity *who)
{
	struct network_record n;
	struct member_record m;
	struct lease *leases = NULL;
	size_t n_leases = 0;
	uint8_t ip[1][4];
	assert_int_equal(store_network_get(c->store, nwid[network], &n), 0);
	assert_int_equal(pool_held(c, nwid[network], &leases, &n_leases), 0);
	struct stretch s[RANGES_MAX];
	int found = policy_addresses(s, policy_stretches(&n.pool, n.ranges, n.n_ranges, s), leases, n_leases, network_time(c), ip, 1);
	free(leases);
	bool holds = !store_member_get(c->store, nwid[network], who->key_hash, &m) && m.n_ips;
	enum admin_status status = controller_member_approve(c, nwid[network], who->address, NULL, &e);
	if (status || holds)
		return status;
	assert_int_equal(store_member_get(c->store, nwid[network], who->key_hash, &m), 0);
	if (!member_served(&n, &m)) {
		assert_int_equal(m.n_ips, 0);
		return status;
	}
	assert_int_equal(found, 0);
	assert_memory_equal(m.ips[0].ip, ip[0], 4);
	return status;
}

static void batch_ignore(void *self_, uint64_t member, enum admin_status status, const struct admin_error *error)
{
	(void)self_, (void)member, (void)status, (void)error;
}

static enum admin_status many(unsigned network)
{
	static const enum batch_action actions[] = {BATCH_APPROVE, BATCH_DENY, BATCH_REVOKE, BATCH_BAN, BATCH_DELETE, BATCH_TAG};
	uint64_t members[6];
	struct member_batch b = {.action = actions[any(20) ? any(6) : 3], .members = members, .n = 1 + any(6)};
	for (unsigned i = 0; i < b.n; i++)
		members[i] = any(10) ? people[any(PEOPLE)].address : 0x42; /* some twice, some nobody */
	snprintf(b.tags.tag[0], sizeof(b.tags.tag[0]), "t%u", any(5));
	b.tags.n = 1;
	return controller_member_batch(c, nwid[network], &b, batch_ignore, NULL, &e);
}

static enum admin_status pool(unsigned network)
{
	static const struct prefix pools[] = {{4, 28, {10, 7, 7, 0}}, {4, 28, {10, 7, 7, 16}}, {4, 29, {10, 7, 7, 0}},
	                                      {4, 24, {10, 7, 7, 0}}, {4, 16, {10, 7, 0, 0}},  {0}};
	struct network_settings s = {.set = SET_NET_POOL, .pool = pools[any(6)]};
	return controller_network_set(c, nwid[network], &s, &e);
}

/* Ranges in the pool, partly in it, beside it, two that overlap, or none; and networks that give nothing for a while. */
static enum admin_status ranges(unsigned network)
{
	static const struct range some[] = {{{10, 7, 7, 4}, {10, 7, 7, 12}},  {{10, 7, 7, 9}, {10, 7, 7, 40}},
	                                    {{10, 7, 6, 200}, {10, 7, 7, 3}}, {{10, 9, 0, 1}, {10, 9, 0, 200}},
	                                    {{10, 7, 7, 0}, {10, 7, 7, 255}}, {{10, 7, 7, 20}, {10, 7, 7, 20}}};
	struct network_settings s = {.set = SET_NET_RANGES | SET_NET_AUTO_ASSIGN, .n_ranges = any(4), .auto_assign = any(4)};
	for (unsigned i = 0; i < s.n_ranges; i++)
		s.ranges[i] = some[any(6)];
	return controller_network_set(c, nwid[network], &s, &e);
}

static enum admin_status act(unsigned what, unsigned network, const struct identity *who)
{
	struct member_settings s = settings(network);
	uint64_t id = nwid[network], a = who->address;
	switch (what) {
	case 0:
	case 1:
	case 2: join(network, who); return ADMIN_OK;
	case 3: return approve_plain(network, who);
	case 4: return controller_member_approve(c, id, a, &s, &e);
	case 5: return controller_member_set(c, id, a, &s, &e);
	case 6: return any(2) ? controller_member_deny(c, id, a, NULL, &e) : controller_member_revoke(c, id, a, "r", &e);
	case 7: return any(3) ? ADMIN_OK : controller_member_ban(c, id, a, NULL, &e);
	case 8: return controller_member_unban(c, id, a, &e);
	case 9: return controller_member_delete(c, id, a, &e);
	case 10: return many(network);
	case 11: return any(3) ? ADMIN_OK : any(2) ? pool(network) : ranges(network);
	case 12: return any(2) ? controller_preapprove(c, id, a, &s, &e) : controller_reserve(c, id, a, &s, &e);
	case 13: return controller_preapproval_delete(c, id, a, &e);
	case 14: controller_online(c, who->key_hash, any(2), now, wall()); return ADMIN_OK;
	default: return ADMIN_OK;
	}
}

static void restart(void)
{
	controller_close(c);
	now += 1000;
	opened();
	restarted++;
}

static void test_whatever(void **state)
{
	const char *seed = getenv("SEED");
	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	(void)state;
	for (unsigned i = 0; i < EDITS; i++) {
		unsigned what = any(16);
		enum admin_status status = act(what, any(NETWORKS), &people[any(PEOPLE)]);
		done[what] += !status;
		refused += status != 0;
		assert_int_not_equal(status, ADMIN_UNAVAILABLE);
		if (!any(25) && store_changed(c->store)) {
			turn_abort(c, -ENOSPC);
			undone++;
		}
		if (any(3))
			turn(any(20) ? 50 + any(3000) : any(5) ? 60000 : 3600000ull);
		if (!any(400))
			restart();
		if (!any(1200)) /* a week and more, an hour at a time: addresses have rested, requests are forgotten */
			for (unsigned k = 0; k < 200; k++)
				turn(3600000);
	}
	print_message("refused %u, undone %u, restarts %u\n", refused, undone, restarted);
	for (unsigned i = 0; i < 15; i++)
		assert_true(done[i] > 5); /* each was tried with effect */
	assert_true(undone > 20 && restarted > 5);
}

static int setup(void **state)
{
	static const uint8_t seed[32] = {7};
	(void)state;
	/* in memory where there is such a place: ten thousand commits wait for a disk ten times as long as they work */
	snprintf(dir, sizeof(dir), "%s/farlan-property-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return -1;
	memset(self.self.x, 9, 32);
	crypto_sign_seed_keypair(self.self.ed, self.ed, seed);
	identity_hash(&self.self);
	self.self.address = 0xfe00000001;
	opened();
	for (unsigned i = 0; i < PEOPLE; i++) {
		people[i].address = 0x1000000000 + i;
		memset(people[i].x, (int)(i + 1), 32);
		memset(people[i].ed, 0x55, 32);
		identity_hash(&people[i]);
	}
	for (unsigned i = 0; i < NETWORKS; i++) {
		struct network_settings s = {.set = SET_NET_NAME | SET_NET_POOL | SET_NET_FLAGS,
		                             .pool = {.family = 4, .bits = 28, .ip = {10, 7, 7, 0}},
		                             .flags_on = i == 2 ? NETWORK_PUBLIC : 0};
		snprintf(s.name, sizeof(s.name), "net-%u", i);
		if (controller_network_create(c, &s, &nwid[i], &e))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"controller.db", "controller.db-wal", "controller.db-shm", "head.bak"};
	char path[128];
	(void)state;
	controller_close(c);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_whatever, setup, teardown)};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
