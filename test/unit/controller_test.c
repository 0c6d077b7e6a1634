/* The controller as a member and an admin see it: requests in by controller_request(), letters out by the port, real SQLite
 * files in a folder of their own. Identities are made up (the controller never checks work), the signing key is real. A kill
 * is simulated by copying the files of a running controller and opening the copy. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/controller.h"
#include "controller/policy.h"
#include "proto/base/heap.h"
#include "test/unit/controller_bed.h"

#define SENT_MAX 8192

struct sent {
	uint8_t to[KEY_HASH_BYTES];
	struct message m;
	uint8_t body[BODY_MAX];
};

struct world {
	char dir[64];
	struct controller *c;
	struct secret self;
	struct sent *sent;
	unsigned n_sent;
	uint64_t now, wall;
};

static bool port_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct world *w = self;
	assert_true(w->n_sent < SENT_MAX);
	assert_true(m->len <= BODY_MAX);
	struct sent *s = &w->sent[w->n_sent++];
	memcpy(s->to, key_hash, KEY_HASH_BYTES);
	s->m = *m;
	if (m->len)
		memcpy(s->body, m->body, m->len);
	s->m.body = s->body;
	return true;
}

static int world_open(struct world *w, const char **why)
{
	struct controller_port port = {.self = w, .send = port_send};
	return controller_open(&w->c, w->dir, &w->self, &port, w->now, w->wall, why);
}

static struct world *world_new(void)
{
	static const uint8_t seed[32] = {7};
	struct world *w = calloc(1, sizeof(*w));
	const char *why = "";
	assert_non_null(w);
	w->sent = calloc(SENT_MAX, sizeof(*w->sent));
	assert_non_null(w->sent);
	snprintf(w->dir, sizeof(w->dir), "/tmp/farlan-controller-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	memset(w->self.self.x, 9, 32);
	crypto_sign_seed_keypair(w->self.self.ed, w->self.ed, seed);
	identity_hash(&w->self.self);
	w->self.self.address = 0xfe00000001; /* the top bit of a network id set: it must survive SQLite's signed numbers */
	w->now = 1000;
	w->wall = 1700000000;
	assert_int_equal(world_open(w, &why), 0);
	return w;
}

static void folder_empty(const char *dir)
{
	char path[400];
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			unlink(path);
		}
	closedir(d);
}

static void world_free(struct world *w)
{
	controller_close(w->c);
	folder_empty(w->dir);
	rmdir(w->dir);
	free(w->sent);
	free(w);
}

static void file_copy(const char *from_dir, const char *to_dir, const char *name)
{
	char path[200];
	uint8_t buf[65536];
	size_t n;
	snprintf(path, sizeof(path), "%s/%s", from_dir, name);
	FILE *from = fopen(path, "rb");
	snprintf(path, sizeof(path), "%s/%s", to_dir, name);
	if (!from) {
		unlink(path);
		return;
	}
	FILE *to = fopen(path, "wb");
	assert_non_null(to);
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0)
		assert_int_equal(fwrite(buf, 1, n, to), n);
	fclose(from);
	assert_int_equal(fclose(to), 0);
}

static void database_copy(const char *from, const char *to)
{
	file_copy(from, to, "controller.db");
	file_copy(from, to, "controller.db-wal");
}

/* What kill -9 leaves behind: the files as they are, without a clean close. */
static void world_kill(struct world *w)
{
	char kept[] = "/tmp/farlan-killed-XXXXXX";
	const char *why = "";
	assert_non_null(mkdtemp(kept));
	database_copy(w->dir, kept);
	file_copy(w->dir, kept, "head.bak");
	controller_close(w->c);
	folder_empty(w->dir);
	database_copy(kept, w->dir);
	file_copy(kept, w->dir, "head.bak");
	folder_empty(kept);
	rmdir(kept);
	assert_int_equal(world_open(w, &why), 0);
	w->n_sent = 0;
}

static uint64_t settle(struct world *w, uint64_t after_ms)
{
	w->now += after_ms;
	w->wall += after_ms / 1000;
	return controller_settle(w->c, w->now, w->wall);
}

static uint64_t network_new(struct world *w, const char *name, uint8_t bits)
{
	struct network_settings s = {.set = SET_NET_NAME};
	struct admin_error e;
	uint64_t nwid = 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	if (bits) {
		s.set |= SET_NET_POOL;
		s.pool = (struct prefix){.family = 4, .bits = bits, .ip = {10, 20, 0, 0}};
	}
	assert_int_equal(controller_network_create(w->c, &s, &nwid, &e), ADMIN_OK);
	assert_int_equal(nwid >> 24, w->self.self.address);
	assert_int_not_equal(nwid & 0xffffff, 0);
	return nwid;
}

static void ask(struct world *w, const struct identity *who, uint8_t op, const uint8_t *body, size_t len)
{
	struct message m = {.req = 77, .op = op, .body = body, .len = len};
	struct endpoint from = {.family = 4, .port = 4000, .ip = {192, 0, 2, 1}};
	controller_request(w->c, who, &from, &m, w->now, w->wall);
}

static uint64_t typed; /* the number of the joins that are sent: how often somebody typed one */

static void join_send(struct world *w, const struct identity *who, uint64_t nwid)
{
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = nwid, .identity = *who, .asked = typed};
	snprintf(req.hostname, sizeof(req.hostname), "host-%x", (unsigned)(who->address & 0xffff));
	snprintf(req.os, sizeof(req.os), "Linux");
	snprintf(req.version, sizeof(req.version), "0.1.0");
	size_t len = body_join_req_encode(&req, body, sizeof(body));
	assert_true(len > 0);
	ask(w, who, OP_JOIN_REQ, body, len);
}

/* The last letter of that op to him, or NULL. */
static const struct sent *letter_to(const struct world *w, const struct identity *who, uint8_t op)
{
	for (unsigned i = w->n_sent; i-- > 0;)
		if (!memcmp(w->sent[i].to, who->key_hash, KEY_HASH_BYTES) && w->sent[i].m.op == op)
			return &w->sent[i];
	return NULL;
}

static struct body_join_res join_answer(const struct world *w, const struct identity *who)
{
	struct body_join_res res;
	const struct sent *s = letter_to(w, who, OP_JOIN_REQ | OP_REPLY);
	assert_non_null(s);
	assert_int_equal(s->m.status, STATUS_OK);
	assert_true(body_join_res_parse(s->m.body, s->m.len, &res));
	return res;
}

static enum join_status join(struct world *w, const struct identity *who, uint64_t nwid)
{
	w->n_sent = 0;
	join_send(w, who, nwid);
	assert_int_equal(w->n_sent, 0); /* nothing leaves before the end of the turn */
	settle(w, 1);
	struct body_join_res res = join_answer(w, who);
	assert_int_equal(res.nwid, nwid);
	return (enum join_status)res.status;
}

struct papers {
	struct cred cred;
	struct head head;
	uint8_t gate[32];
};

static struct papers papers_of(const struct world *w, const struct identity *who)
{
	struct papers p;
	struct memberconf conf;
	struct body_join_res res = join_answer(w, who);
	assert_int_equal(res.status, JOIN_OK);
	assert_true(memberconf_parse(res.memberconf, res.memberconf_len, &conf));
	assert_true(cred_open(conf.cred, conf.cred_len, w->self.self.ed, &p.cred));
	assert_true(head_open(conf.head, conf.head_len, w->self.self.ed, &p.head));
	memcpy(p.gate, conf.gate, 32);
	return p;
}

static struct head pushed_head(const struct world *w, const struct identity *who)
{
	struct body_head body;
	struct head h;
	const struct sent *s = letter_to(w, who, OP_HEAD);
	assert_non_null(s);
	assert_true(body_head_parse(s->m.body, s->m.len, &body));
	assert_true(head_open(body.head, body.head_len, w->self.self.ed, &h));
	return h;
}

static enum status blob_piece(struct world *w, const struct identity *who, uint64_t nwid, const uint8_t hash[32], uint32_t off,
                              struct body_blob *ret)
{
	uint8_t body[BODY_MAX];
	struct body_get_blob want = {.nwid = nwid, .off = off};
	memcpy(want.hash, hash, 32);
	w->n_sent = 0;
	ask(w, who, OP_GET_BLOB, body, body_get_blob_encode(&want, body, sizeof(body)));
	settle(w, 0);
	const struct sent *s = letter_to(w, who, OP_GET_BLOB | OP_REPLY);
	assert_non_null(s);
	if (s->m.status == STATUS_OK)
		assert_true(body_blob_parse(s->m.body, s->m.len, ret));
	return (enum status)s->m.status;
}

/* Fetches a whole blob in pieces and proves its hash. malloced. */
static uint8_t *blob_get(struct world *w, const struct identity *who, uint64_t nwid, const uint8_t hash[32], size_t *ret_len)
{
	struct body_blob piece = {0};
	uint8_t *all = NULL, proof[32];
	size_t at = 0;
	do {
		assert_int_equal(blob_piece(w, who, nwid, hash, (uint32_t)at, &piece), STATUS_OK);
		assert_true(piece.total <= SECTION_MAX && piece.piece_len > 0 && piece.off == at);
		all = realloc(all, piece.total);
		memcpy(all + at, piece.piece, piece.piece_len);
		at += piece.piece_len;
	} while (at < piece.total);
	blob_hash(all, at, proof);
	assert_memory_equal(proof, hash, 32);
	*ret_len = at;
	return all;
}

static struct member_row row_of(struct world *w, uint64_t nwid, const struct identity *who)
{
	struct member_row row;
	struct admin_error e;
	assert_int_equal(controller_member_get(w->c, nwid, who->address, &row, &e), ADMIN_OK);
	return row;
}

static void approve(struct world *w, uint64_t nwid, const struct identity *who)
{
	struct admin_error e;
	assert_int_equal(controller_member_approve(w->c, nwid, who->address, NULL, &e), ADMIN_OK);
}

static void member_new(struct world *w, uint64_t nwid, const struct identity *who)
{
	controller_online(w->c, who->key_hash, true, w->now, w->wall);
	assert_int_equal(join(w, who, nwid), JOIN_PENDING);
	approve(w, nwid, who);
	settle(w, 300);
}

struct entries {
	struct directory_entry list[MEMBERS_MAX];
	unsigned n;
};

static void entry_keep(void *self, const struct directory_entry *d)
{
	struct entries *e = self;
	assert_true(e->n < MEMBERS_MAX);
	e->list[e->n++] = *d;
}

static void directory_get(struct world *w, const struct identity *who, uint64_t nwid, const struct head *h, struct entries *ret)
{
	struct manifest m;
	size_t len;
	uint8_t *blob = blob_get(w, who, nwid, h->cfg_root, &len);
	assert_true(manifest_parse(blob, len, &m));
	free(blob);
	ret->n = 0;
	for (unsigned i = 0; i < m.n; i++)
		if (m.section[i].id == SECTION_MEMBERS || m.section[i].id - (unsigned)SECTION_MEMBERS_SHARD < SHARDS) {
			blob = blob_get(w, who, nwid, m.section[i].hash, &len);
			assert_int_equal(len, m.section[i].len);
			assert_true(section_members_walk(blob, len, entry_keep, ret));
			free(blob);
		}
}

struct revoked {
	struct revocation list[16];
	unsigned n;
};

static void revocation_keep(void *self, const struct revocation *v)
{
	struct revoked *r = self;
	assert_true(r->n < 16);
	r->list[r->n++] = *v;
}

static void revlist_get(struct world *w, const struct identity *who, uint64_t nwid, const struct head *h, struct revoked *ret)
{
	size_t len;
	uint8_t *blob = blob_get(w, who, nwid, h->rev_hash, &len);
	ret->n = 0;
	assert_true(revlist_walk(blob, len, revocation_keep, ret));
	assert_int_equal(revlist_count(blob, len), ret->n);
	free(blob);
}

/* ---- life of a member ----------------------------------------------------------------------------------------- */

static void test_lifecycle(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2), eve = person(3);
	struct admin_error e;
	struct entries dir;
	uint64_t nwid = network_new(w, "home", 24);
	settle(w, 1);

	assert_false(controller_knows(w->c, ann.key_hash));
	controller_online(w->c, ann.key_hash, true, w->now, w->wall);
	assert_int_equal(join(w, &ann, nwid), JOIN_PENDING);
	assert_int_equal(join(w, &ann, nwid), JOIN_PENDING); /* asking again is no offence */
	assert_true(controller_knows(w->c, ann.key_hash));
	assert_string_equal(member_state_name(row_of(w, nwid, &ann).state), "pending");

	/* approval: pushed at the end of the same turn, nobody asks */
	w->n_sent = 0;
	approve(w, nwid, &ann);
	assert_int_equal(w->n_sent, 0);
	settle(w, 1);
	assert_int_equal(letter_to(w, &ann, OP_JOIN_REQ | OP_REPLY)->m.req, 0);
	struct papers first = papers_of(w, &ann);
	assert_int_equal(cred_check(&first.cred, nwid, ann.key_hash, ann.address, 0, first.head.issued_at), CRED_OK);
	assert_int_equal(first.cred.n_ips, 1);
	assert_memory_equal(first.cred.ips[0].ip, ((uint8_t[]){10, 20, 0, 1}), 4);
	assert_int_equal(first.cred.ips[0].bits, 24);
	assert_string_equal(first.cred.name, "host-1");

	member_new(w, nwid, &bob);
	struct head h = pushed_head(w, &ann); /* everybody online hears of him */
	assert_true(h.version > first.head.version);
	directory_get(w, &ann, nwid, &h, &dir);
	assert_int_equal(dir.n, 2);
	assert_memory_equal(dir.list[1].key_hash, bob.key_hash, KEY_HASH_BYTES);
	assert_memory_equal(dir.list[1].ips[0].ip, ((uint8_t[]){10, 20, 0, 2}), 4);

	/* renewal: same serial, later time */
	settle(w, 50000);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers second = papers_of(w, &ann);
	assert_int_equal(second.cred.serial, first.cred.serial);
	assert_true(second.cred.issued_at >= first.cred.issued_at + 50);
	assert_memory_equal(second.gate, first.gate, 32);

	/* strangers get nothing */
	struct body_blob piece;
	assert_int_equal(blob_piece(w, &eve, nwid, h.cfg_root, 0, &piece), STATUS_NOT_FOUND);
	assert_int_equal(blob_piece(w, &ann, nwid ^ 1, h.cfg_root, 0, &piece), STATUS_NOT_FOUND);
	assert_int_equal(blob_piece(w, &ann, nwid, eve.key_hash, 0, &piece), STATUS_NOT_FOUND);
	assert_int_equal(blob_piece(w, &ann, nwid, h.cfg_root, 100000, &piece), STATUS_NOT_FOUND);
	assert_int_equal(controller_member_approve(w->c, nwid, eve.address, NULL, &e), ADMIN_NOT_FOUND);

	world_free(w);
}

static void test_revocation(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2), eve = person(3);
	struct admin_error e;
	struct entries dir;
	struct revoked revs;
	struct body_blob piece;
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	member_new(w, nwid, &bob);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers second = papers_of(w, &ann);
	settle(w, 300); /* quiet */

	/* the HEAD leaves in the same turn and its REVLIST kills the credential */
	w->n_sent = 0;
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, NULL, &e), ADMIN_OK);
	settle(w, 1);
	assert_int_equal(join_answer(w, &ann).status, JOIN_DENIED);
	struct head h = pushed_head(w, &bob);
	assert_null(letter_to(w, &ann, OP_HEAD));
	assert_true(h.rev_epoch > second.head.rev_epoch);
	revlist_get(w, &bob, nwid, &h, &revs);
	assert_int_equal(revs.n, 1);
	assert_memory_equal(revs.list[0].key_hash, ann.key_hash, KEY_HASH_BYTES);
	assert_int_equal(cred_check(&second.cred, nwid, ann.key_hash, ann.address, revs.list[0].min_serial, h.issued_at), CRED_REVOKED);
	directory_get(w, &bob, nwid, &h, &dir);
	assert_int_equal(dir.n, 1);
	assert_int_equal(blob_piece(w, &ann, nwid, h.cfg_root, 0, &piece), STATUS_NOT_FOUND);
	assert_int_equal(join(w, &ann, nwid), JOIN_DENIED);
	assert_int_equal(join(w, &eve, nwid ^ 1), JOIN_DENIED); /* an unknown network looks the same */

	/* deleted: gone, and back only when somebody types the join again, as a new pending row without an address */
	assert_int_equal(controller_member_delete(w->c, nwid, ann.address, &e), ADMIN_OK);
	settle(w, 300);
	assert_int_equal(controller_member_delete(w->c, nwid, ann.address, &e), ADMIN_NOT_FOUND);
	assert_int_equal(join(w, &ann, nwid), JOIN_DENIED);
	typed++;
	assert_int_equal(join(w, &ann, nwid), JOIN_PENDING);
	assert_int_equal(row_of(w, nwid, &ann).n_ips, 0);
	approve(w, nwid, &ann);
	settle(w, 300);
	struct papers third = papers_of(w, &ann);
	h = pushed_head(w, &bob);
	revlist_get(w, &bob, nwid, &h, &revs);
	assert_int_equal(revs.n, 1);
	assert_true(third.cred.serial >= revs.list[0].min_serial);
	assert_true(second.cred.serial < revs.list[0].min_serial);
	assert_memory_equal(third.cred.ips[0].ip, ((uint8_t[]){10, 20, 0, 3}), 4); /* not the one just freed */
	world_free(w);
}

/* ---- what survives a kill ------------------------------------------------------------------------------------- */

static void test_kill(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	uint64_t nwid = network_new(w, "home", 24), version = 0, serial = 0, time = 0;
	member_new(w, nwid, &ann);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(join(w, &ann, nwid), JOIN_OK);
		struct papers p = papers_of(w, &ann);
		assert_true(p.head.version > version);
		assert_true(p.head.issued_at >= time && p.cred.issued_at >= time);
		version = p.head.version;
		time = p.cred.issued_at;
		/* an edit: its serial is above all given before, even those of blocks lost by kills */
		struct member_settings s = {.set = SET_MEMBER_NAME};
		struct admin_error e;
		snprintf(s.name, sizeof(s.name), "ann %u", i);
		assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_OK);
		settle(w, 400);
		p = papers_of(w, &ann);
		assert_true(p.cred.serial > serial);
		assert_true(p.head.version > version);
		assert_string_equal(p.cred.name, s.name);
		version = p.head.version;
		serial = p.cred.serial;
		world_kill(w);
		controller_online(w->c, ann.key_hash, true, w->now, w->wall);
	}
	member_new(w, nwid, &bob);
	assert_true(papers_of(w, &bob).cred.serial > serial);
	assert_int_equal(row_of(w, nwid, &ann).state, MEMBER_APPROVED);
	world_free(w);
}

/* Network time counts running seconds whatever the wall says, costs at most 60 s per restart, and a controller that was
 * off ages nothing. */
static void test_time(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	uint64_t start = papers_of(w, &ann).cred.issued_at, running = 0;
	for (unsigned i = 0; i < 300; i++) { /* settled at its own deadlines or every 20 s */
		settle(w, 20000);
		running += 20;
		w->wall += i == 50 ? 80ull * 365 * 86400 : 0;
		w->wall -= i == 230 ? 80ull * 365 * 86400 : 0;
	}
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers p = papers_of(w, &ann);
	assert_in_range(p.cred.issued_at, start + running - 2, start + running + 2);
	assert_true(p.head.issued_at + 3600 >= p.cred.issued_at); /* the hourly HEADs came */
	assert_true(p.head.issued_at > start);

	uint64_t before = p.cred.issued_at, version = p.head.version;
	const unsigned kills = 10;
	for (unsigned i = 0; i < kills; i++) {
		w->now += 1000;
		world_kill(w);
		w->now += 3ull * 86400 * 1000; /* a weekend of the monotonic clock between two runs is not its time */
		const char *why = "";
		controller_close(w->c);
		w->now += 86400000;
		assert_int_equal(world_open(w, &why), 0);
		for (unsigned k = 0; k < 3; k++)
			settle(w, 20000);
		assert_int_equal(join(w, &ann, nwid), JOIN_OK);
		p = papers_of(w, &ann);
		assert_true(p.head.version > version);
		version = p.head.version;
		assert_int_equal(cred_check(&p.cred, nwid, ann.key_hash, ann.address, 0, p.head.issued_at), CRED_OK);
	}
	/* two starts per round, 60 s each, and the minute it ran */
	assert_true(p.cred.issued_at >= before + kills * 60);
	assert_true(p.cred.issued_at <= before + kills * (60 + 2 * 61));
	world_free(w);
}

static void test_restored(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	struct admin_error e;
	struct network_settings s = {.set = SET_NET_NAME, .name = "other"};
	char backup[] = "/tmp/farlan-backup-XXXXXX", path[100], accepted[120];
	const char *why = "";
	uint64_t nwid = network_new(w, "home", 24), other;
	member_new(w, nwid, &ann);
	controller_close(w->c);
	assert_non_null(mkdtemp(backup));
	database_copy(w->dir, backup);
	assert_int_equal(world_open(w, &why), 0);
	assert_string_equal(controller_health(w->c), "ok");
	member_new(w, nwid, &bob);
	assert_int_equal(join(w, &bob, nwid), JOIN_OK);
	struct papers p = papers_of(w, &bob);
	controller_close(w->c);

	database_copy(backup, w->dir);
	folder_empty(backup);
	rmdir(backup);
	assert_int_equal(world_open(w, &why), 0);
	assert_non_null(strstr(controller_health(w->c), "head.bak"));
	controller_online(w->c, ann.key_hash, true, w->now, w->wall);
	settle(w, 100);
	assert_int_equal(join(w, &ann, nwid), JOIN_TRY_LATER);
	assert_null(letter_to(w, &ann, OP_HEAD));
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_UNAVAILABLE);
	assert_non_null(strstr(e.detail, "head.bak"));
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, NULL, &e), ADMIN_UNAVAILABLE);
	settle(w, 3600000);
	assert_null(letter_to(w, &ann, OP_HEAD));
	controller_close(w->c);

	/* still refused at the next start: refusing wrote nothing */
	assert_int_equal(world_open(w, &why), 0);
	assert_string_not_equal(controller_health(w->c), "ok");
	controller_close(w->c);

	snprintf(path, sizeof(path), "%s/head.bak", w->dir);
	snprintf(accepted, sizeof(accepted), "%s/head.bak.accepted", w->dir);
	assert_int_equal(rename(path, accepted), 0);
	assert_int_equal(world_open(w, &why), 0);
	assert_string_equal(controller_health(w->c), "ok");
	assert_int_equal(access(accepted, F_OK), -1);
	controller_online(w->c, ann.key_hash, true, w->now, w->wall);
	settle(w, 100);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers q = papers_of(w, &ann);
	assert_true(q.head.version > p.head.version && q.head.rev_epoch >= p.head.rev_epoch && q.head.issued_at >= p.head.issued_at);
	assert_int_equal(join(w, &bob, nwid), JOIN_PENDING); /* the backup does not know him */
	approve(w, nwid, &bob);
	settle(w, 300);
	controller_online(w->c, bob.key_hash, true, w->now, w->wall);
	assert_int_equal(join(w, &bob, nwid), JOIN_OK);
	assert_true(papers_of(w, &bob).cred.serial > p.cred.serial);
	world_free(w);
}

/* A deleted network is no sign of an older database, and a damaged head.bak no reason to stop. */
static void test_watermark(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct admin_error e;
	const char *why = "";
	char path[100];
	uint64_t gone = network_new(w, "gone", 24), stays = network_new(w, "stays", 0);
	settle(w, 300);
	snprintf(path, sizeof(path), "%s/head.bak", w->dir);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(controller_network_delete(w->c, gone, &e), ADMIN_OK);
	world_kill(w);
	assert_string_equal(controller_health(w->c), "ok");
	struct network_row row;
	assert_int_equal(controller_network_get(w->c, gone, &row, &e), ADMIN_NOT_FOUND);
	assert_int_equal(controller_network_get(w->c, stays, &row, &e), ADMIN_OK);
	settle(w, 300);
	controller_close(w->c);
	FILE *f = fopen(path, "wb");
	fputs("farlan-watermark 1 revision 9999999 ceil", f);
	fclose(f);
	assert_int_equal(world_open(w, &why), 0);
	assert_string_equal(controller_health(w->c), "ok");
	settle(w, 300);
	assert_int_equal(controller_network_get(w->c, stays, &row, &e), ADMIN_OK);
	assert_true(row.version > 0);
	world_free(w);
}

static void test_refused_database(void **state)
{
	(void)state;
	struct world *w = world_new();
	const char *why = "";
	char path[100];
	controller_close(w->c);
	w->self.self.key_hash[0] ^= 1; /* another identity */
	assert_int_equal(world_open(w, &why), -EPERM);
	assert_non_null(strstr(why, "identity"));
	w->self.self.key_hash[0] ^= 1;
	snprintf(path, sizeof(path), "%s/controller.db", w->dir);
	FILE *f = fopen(path, "r+b");
	for (unsigned i = 0; i < 3000; i++)
		fputc('z', f);
	fclose(f);
	assert_int_equal(world_open(w, &why), -EBADMSG);
	assert_non_null(strstr(why, path));
	folder_empty(w->dir);
	assert_int_equal(world_open(w, &why), 0);
	world_free(w);
}

/* ---- addresses ------------------------------------------------------------------------------------------------ */

static void test_pool(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct admin_error e;
	uint64_t nwid = network_new(w, "small", 29); /* six hosts */
	struct identity p[8];
	for (unsigned i = 0; i < 7; i++) {
		p[i] = person(i + 1);
		assert_int_equal(join(w, &p[i], nwid), JOIN_PENDING);
		if (i < 6) {
			approve(w, nwid, &p[i]);
			assert_int_equal(row_of(w, nwid, &p[i]).ips[0].ip[3], i + 1);
		}
	}
	assert_int_equal(controller_member_approve(w->c, nwid, p[6].address, NULL, &e), ADMIN_CONFLICT);
	assert_non_null(strstr(e.title, "exhausted"));
	assert_int_equal(row_of(w, nwid, &p[6]).state, MEMBER_PENDING);

	/* freed and handed out at once only because nothing else is left */
	assert_int_equal(controller_member_delete(w->c, nwid, p[2].address, &e), ADMIN_OK);
	settle(w, 5000);
	assert_int_equal(controller_member_delete(w->c, nwid, p[0].address, &e), ADMIN_OK);
	settle(w, 5000);
	approve(w, nwid, &p[6]);
	assert_int_equal(row_of(w, nwid, &p[6]).ips[0].ip[3], 3); /* the one freed first */

	/* a fixed address in use names its holder; one that is free is given; outside the pool nothing is */
	struct member_settings s = {.set = SET_MEMBER_IP, .ip = {4, 0, {10, 20, 0, 2}}};
	assert_int_equal(controller_member_set(w->c, nwid, p[6].address, &s, &e), ADMIN_CONFLICT);
	assert_non_null(strstr(e.detail, "1000000002"));
	s.ip.ip[3] = 1;
	uint64_t serial = row_of(w, nwid, &p[6]).serial;
	assert_int_equal(controller_member_set(w->c, nwid, p[6].address, &s, &e), ADMIN_OK);
	assert_int_equal(row_of(w, nwid, &p[6]).ips[0].ip[3], 1);
	assert_int_equal(row_of(w, nwid, &p[6]).n_ips, 1);
	assert_true(row_of(w, nwid, &p[6]).serial > serial);
	const uint8_t bad[] = {0, 7, 8, 200};
	for (unsigned i = 0; i < sizeof(bad); i++) {
		s.ip.ip[3] = bad[i];
		assert_int_equal(controller_member_set(w->c, nwid, p[6].address, &s, &e), ADMIN_INVALID);
	}
	/* a revoked member keeps its address until it is deleted */
	assert_int_equal(controller_member_revoke(w->c, nwid, p[1].address, NULL, &e), ADMIN_OK);
	s.ip.ip[3] = 2;
	assert_int_equal(controller_member_set(w->c, nwid, p[6].address, &s, &e), ADMIN_CONFLICT);
	assert_non_null(strstr(e.detail, "revoked"));
	approve(w, nwid, &p[1]);
	assert_int_equal(row_of(w, nwid, &p[1]).ips[0].ip[3], 2);
	world_free(w);
}

/* The time an address was freed is network time and on disk: a restart does not shorten its rest. */
static void test_rest(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2), eve = person(3);
	struct admin_error e;
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	assert_int_equal(controller_member_delete(w->c, nwid, ann.address, &e), ADMIN_OK);
	world_kill(w);
	member_new(w, nwid, &bob);
	assert_int_equal(row_of(w, nwid, &bob).ips[0].ip[3], 2);
	for (unsigned i = 0; i < 24 * 60 + 2; i++)
		settle(w, 60000);
	member_new(w, nwid, &eve);
	assert_int_equal(row_of(w, nwid, &eve).ips[0].ip[3], 1);
	world_free(w);
}

static void test_renumber(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	struct admin_error e;
	struct network_settings s = {.set = SET_NET_POOL, .pool = {4, 24, {10, 30, 0, 0}}};
	struct revoked revs;
	struct entries dir;
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	member_new(w, nwid, &bob);
	w->n_sent = 0;
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_OK);
	settle(w, 300);
	struct papers p = papers_of(w, &bob); /* pushed */
	assert_memory_equal(p.cred.ips[0].ip, ((uint8_t[]){10, 30, 0, 2}), 4);
	revlist_get(w, &ann, nwid, &p.head, &revs);
	assert_int_equal(revs.n, 2);
	directory_get(w, &ann, nwid, &p.head, &dir);
	assert_memory_equal(dir.list[0].ips[0].ip, ((uint8_t[]){10, 30, 0, 1}), 4);
	s.pool = (struct prefix){4, 16, {10, 30, 0, 0}}; /* wider: same addresses, new prefix */
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_OK);
	assert_int_equal(row_of(w, nwid, &bob).ips[0].ip[3], 2);
	assert_int_equal(row_of(w, nwid, &bob).ips[0].bits, 16);
	struct identity carl = person(3);
	member_new(w, nwid, &carl);
	s.pool = (struct prefix){4, 30, {10, 40, 0, 0}}; /* two hosts for three members */
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_CONFLICT);
	assert_int_equal(row_of(w, nwid, &carl).ips[0].ip[1], 30);
	s.pool = (struct prefix){0};
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_OK);
	assert_int_equal(row_of(w, nwid, &carl).n_ips, 0);
	struct network_row row;
	assert_int_equal(controller_network_get(w->c, nwid, &row, &e), ADMIN_OK);
	assert_int_equal(row.pool.family, 0);
	assert_int_equal(row.members, 3);
	assert_int_equal(row.online, 3);
	world_free(w);
}

/* ---- rights --------------------------------------------------------------------------------------------------- */

static void test_rights(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct admin_error e;
	struct revoked revs;
	uint64_t nwid = network_new(w, "home", 0);
	struct network_settings wide = {.set = SET_NET_MTU, .mtu = BRIDGE_MTU_MIN};
	assert_int_equal(controller_network_set(w->c, nwid, &wide, &e), ADMIN_OK);
	member_new(w, nwid, &ann);
	struct papers p = papers_of(w, &ann);
	assert_int_equal(p.cred.n_ips, 0);
	assert_int_equal(p.cred.flags, 0);

	struct member_settings s = {.set = SET_MEMBER_FLAGS, .flags_on = MEMBER_BRIDGE};
	w->n_sent = 0;
	assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_OK);
	settle(w, 300);
	struct papers q = papers_of(w, &ann);
	assert_int_equal(q.cred.flags, MEMBER_BRIDGE | MEMBER_DHCP_SERVER | MEMBER_ROUTER);
	assert_true(q.cred.serial > p.cred.serial);
	revlist_get(w, &ann, nwid, &q.head, &revs);
	assert_int_equal(revs.n, 0); /* giving takes nothing away */

	s = (struct member_settings){.set = SET_MEMBER_FLAGS, .flags_off = MEMBER_ROUTER};
	assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_OK);
	settle(w, 300);
	p = papers_of(w, &ann);
	assert_int_equal(p.cred.flags, MEMBER_BRIDGE | MEMBER_DHCP_SERVER);
	revlist_get(w, &ann, nwid, &p.head, &revs);
	assert_int_equal(revs.n, 1);
	assert_int_equal(revs.list[0].min_serial, p.cred.serial);
	assert_true(q.cred.serial < p.cred.serial);

	s = (struct member_settings){.set = SET_MEMBER_FLAGS, .flags_on = MEMBER_FLAGS + 1};
	assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_INVALID);
	s = (struct member_settings){.set = SET_MEMBER_FLAGS, .flags_on = MEMBER_RELAY, .flags_off = MEMBER_RELAY};
	assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_INVALID);
	s = (struct member_settings){.set = SET_MEMBER_IP, .ip = {4, 24, {10, 0, 0, 1}}};
	assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_INVALID); /* no pool */
	world_free(w);
}

/* The REVLIST entry stands while a credential of before could still be valid, and not much longer. */
static void test_revocation_ends(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	struct admin_error e;
	struct revoked revs = {0};
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	member_new(w, nwid, &bob);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers old = papers_of(w, &ann);
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, NULL, &e), ADMIN_OK);
	for (unsigned hour = 0; hour < 24 * 7 + 3; hour++) {
		for (unsigned i = 0; i < 120; i++) /* deadlines are kept: a late settle would cost time */
			settle(w, 30000);
		w->n_sent = 0;
		assert_int_equal(join(w, &bob, nwid), JOIN_OK);
		struct head h = papers_of(w, &bob).head;
		revlist_get(w, &bob, nwid, &h, &revs);
		uint64_t floor = revs.n ? revs.list[0].min_serial : 0;
		assert_int_not_equal(cred_check(&old.cred, nwid, ann.key_hash, ann.address, floor, h.issued_at), CRED_OK);
		if (hour < 24 * 7 - 1)
			assert_int_equal(revs.n, 1);
	}
	assert_int_equal(revs.n, 0);
	world_free(w);
}

/* ---- requests ------------------------------------------------------------------------------------------------- */

static void test_requests(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), liar = person(2), twin = person(3);
	uint8_t body[BODY_MAX];
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	w->n_sent = 0;
	ask(w, &ann, OP_WHOIS, (const uint8_t *)"\x80", 1);
	ask(w, &ann, 200, NULL, 0); /* looks like a reply: no answer to an answer */
	ask(w, &ann, OP_JOIN_REQ, (const uint8_t *)"\xc1", 1);
	ask(w, &ann, OP_GET_BLOB, NULL, 0);
	ask(w, &ann, OP_HEAD, (const uint8_t *)"\x90", 1);
	ask(w, &ann, OP_LEAVE, (const uint8_t *)"\xa0", 1);
	ask(w, &ann, OP_ACK, (const uint8_t *)"\x00", 1);
	ask(w, &ann, OP_LEAVE, body, body_leave_encode(&(struct body_leave){.nwid = nwid}, body, sizeof(body)));
	ask(w, &ann, OP_ACK, body, body_ack_encode(&(struct body_ack){.nwid = nwid, .version = 1}, body, sizeof(body)));
	settle(w, 1);
	assert_int_equal(w->n_sent, 8);
	assert_int_equal(w->sent[0].m.op, OP_WHOIS | OP_REPLY);
	assert_int_equal(w->sent[0].m.status, STATUS_UNKNOWN_OP);
	for (unsigned i = 1; i < 6; i++)
		assert_int_equal(w->sent[i].m.status, STATUS_MALFORMED);
	assert_int_equal(w->sent[6].m.status, STATUS_OK);
	assert_int_equal(w->sent[7].m.status, STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(w->sent[i].m.req, 77);
	assert_int_equal(row_of(w, nwid, &ann).state, MEMBER_APPROVED); /* who leaves may come back */

	/* an identity in the request that is not the session's */
	struct body_join_req req = {.nwid = nwid, .identity = ann};
	size_t len = body_join_req_encode(&req, body, sizeof(body));
	w->n_sent = 0;
	ask(w, &liar, OP_JOIN_REQ, body, len);
	settle(w, 1);
	assert_int_equal(join_answer(w, &liar).status, JOIN_DENIED);
	assert_false(controller_knows(w->c, liar.key_hash));

	for (unsigned i = 0; i < 2; i++) { /* half of it is not enough */
		req.identity = liar;
		(i ? req.identity.ed : req.identity.x)[31] ^= 1;
		len = body_join_req_encode(&req, body, sizeof(body));
		w->n_sent = 0;
		ask(w, &liar, OP_JOIN_REQ, body, len);
		settle(w, 1);
		assert_int_equal(join_answer(w, &liar).status, JOIN_DENIED);
		assert_false(controller_knows(w->c, liar.key_hash));
	}

	/* another key with the address of a member */
	twin.address = ann.address;
	assert_int_equal(join(w, &twin, nwid), JOIN_COLLISION);
	assert_false(controller_knows(w->c, twin.key_hash));

	/* HEAD on request: for members alone */
	struct head held = {.nwid = nwid, .version = 1};
	uint8_t envelope[HEAD_ENVELOPE_MAX];
	size_t env_len = head_sign(&held, w->self.ed, envelope, sizeof(envelope));
	struct body_head bh = {.nwid = nwid, .head = envelope, .head_len = env_len};
	len = body_head_encode(&bh, body, sizeof(body));
	w->n_sent = 0;
	ask(w, &ann, OP_HEAD, body, len);
	ask(w, &liar, OP_HEAD, body, len);
	settle(w, 1);
	assert_int_equal(letter_to(w, &ann, OP_HEAD | OP_REPLY)->m.status, STATUS_OK);
	assert_int_equal(letter_to(w, &liar, OP_HEAD | OP_REPLY)->m.status, STATUS_NOT_FOUND);
	world_free(w);
}

static void test_public(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct admin_error e;
	struct network_settings s = {.set = SET_NET_FLAGS, .flags_on = NETWORK_PUBLIC};
	uint64_t nwid = network_new(w, "square", 24);
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_OK);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers p = papers_of(w, &ann);
	assert_int_equal(cred_check(&p.cred, nwid, ann.key_hash, ann.address, 0, p.head.issued_at), CRED_OK);
	assert_memory_equal(p.cred.ips[0].ip, ((uint8_t[]){10, 20, 0, 1}), 4);
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, NULL, &e), ADMIN_OK);
	assert_int_equal(join(w, &ann, nwid), JOIN_DENIED);
	world_free(w);
}

static void test_settings(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct admin_error e;
	uint64_t nwid = network_new(w, "home", 24), other = 0;
	struct network_settings s = {.set = SET_NET_NAME, .name = "home"};
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_CONFLICT);
	assert_int_equal(other, 0);
	s.name[0] = 0;
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_INVALID);
	s = (struct network_settings){.set = SET_NET_NAME | SET_NET_MTU, .name = "b", .mtu = 1279};
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_INVALID);
	s.mtu = 9001;
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_INVALID);
	s.mtu = 9000;
	assert_int_equal(controller_network_create(w->c, &s, &other, &e), ADMIN_OK);
	struct network_row row;
	assert_int_equal(controller_network_get(w->c, other, &row, &e), ADMIN_OK);
	assert_int_equal(row.mtu, 9000);
	uint64_t revision = row.revision;
	assert_int_equal(controller_network_get(w->c, nwid, &row, &e), ADMIN_OK);
	assert_int_equal(row.mtu, MTU_DEFAULT);
	s = (struct network_settings){.set = SET_NET_NAME, .name = "home"}; /* the other one may not be called so */
	assert_int_equal(controller_network_set(w->c, other, &s, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_network_set(w->c, nwid, &s, &e), ADMIN_OK); /* its own name is no conflict */
	snprintf(s.name, sizeof(s.name), "c");
	assert_int_equal(controller_network_set(w->c, other, &s, &e), ADMIN_OK);
	assert_int_equal(controller_network_get(w->c, other, &row, &e), ADMIN_OK);
	assert_string_equal(row.name, "c");
	assert_true(row.revision > revision);
	assert_int_equal(controller_network_set(w->c, other ^ 1, &s, &e), ADMIN_NOT_FOUND);
	world_free(w);
}

/* ---- crowds --------------------------------------------------------------------------------------------------- */

static void test_coalesce(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct admin_error e;
	uint64_t nwid = network_new(w, "home", 16);
	member_new(w, nwid, &ann);
	settle(w, 1000);
	unsigned heads = 0;
	for (unsigned i = 0; i < 200; i++) { /* 2 s of an edit every 10 ms */
		struct member_settings s = {.set = SET_MEMBER_NAME};
		snprintf(s.name, sizeof(s.name), "ann %u", i);
		assert_int_equal(controller_member_set(w->c, nwid, ann.address, &s, &e), ADMIN_OK);
		w->n_sent = 0;
		uint64_t next = settle(w, 10);
		if (letter_to(w, &ann, OP_HEAD))
			heads++;
		else
			assert_true(next <= w->now + 250);
		if (i == 0)
			assert_int_equal(heads, 1);                        /* the first one at once */
		assert_string_equal(papers_of(w, &ann).cred.name, s.name); /* its own papers every time */
	}
	assert_in_range(heads, 7, 9);
	w->n_sent = 0;
	settle(w, 250); /* the last edit is not forgotten */
	assert_non_null(letter_to(w, &ann, OP_HEAD));
	w->n_sent = 0;
	settle(w, 1000);
	assert_null(letter_to(w, &ann, OP_HEAD));
	world_free(w);
}

#define THOUSAND 1000 /* as many as may be pending at once */

static void test_thousand(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct admin_error e;
	static struct entries dir;
	uint64_t nwid = network_new(w, "crowd", 16);
	for (unsigned i = 0; i < THOUSAND; i++) {
		struct identity p = person(i);
		controller_online(w->c, p.key_hash, true, w->now, w->wall);
		join_send(w, &p, nwid);
	}
	settle(w, 1); /* one transaction for all of them */
	for (unsigned i = 0; i < THOUSAND; i++) {
		struct identity p = person(i);
		approve(w, nwid, &p);
	}
	w->n_sent = 0;
	for (unsigned i = 0; i < 20; i++)
		settle(w, 125);
	struct identity first = person(0), last = person(THOUSAND - 1);
	struct head h = pushed_head(w, &last);
	assert_int_equal(pushed_head(w, &first).version, h.version);
	unsigned heads = 0;
	for (unsigned i = 0; i < w->n_sent; i++)
		heads += w->sent[i].m.op == OP_HEAD;
	assert_true(heads >= THOUSAND && heads <= 2 * THOUSAND);
	directory_get(w, &last, nwid, &h, &dir);
	assert_int_equal(dir.n, THOUSAND);
	for (unsigned i = 0; i < dir.n; i++) /* nobody shares an address */
		for (unsigned k = i + 1; k < dir.n; k++)
			assert_memory_not_equal(dir.list[i].ips[0].ip, dir.list[k].ips[0].ip, 4);

	/* the last of the list hears of edits however often the others' HEADs change meanwhile */
	settle(w, 1000);
	w->n_sent = 0;
	/* (the first edition named all, and is given the time in which a thousand can read it) */
	for (unsigned i = 0; i < 60 && !letter_to(w, &last, OP_HEAD); i++) {
		struct member_settings s = {.set = SET_MEMBER_NAME};
		w->n_sent = 0;
		snprintf(s.name, sizeof(s.name), "busy %u", i);
		assert_int_equal(controller_member_set(w->c, nwid, first.address, &s, &e), ADMIN_OK);
		settle(w, 125);
	}
	assert_true(pushed_head(w, &last).version > h.version);

	settle(w, 1000);
	settle(w, 1000);
	settle(w, 1000);
	settle(w, 1000);
	assert_int_equal(controller_member_revoke(w->c, nwid, first.address, NULL, &e), ADMIN_OK);
	w->n_sent = 0;
	settle(w, 300); /* the revocation goes out at 2000 per second */
	for (unsigned i = 0; i < 5; i++)
		settle(w, 125);
	heads = 0;
	for (unsigned i = 0; i < w->n_sent; i++)
		heads += w->sent[i].m.op == OP_HEAD;
	assert_int_equal(heads, THOUSAND - 1);
	world_free(w);
}

static void count_row(void *self, const struct member_row *row)
{
	unsigned *n = self;
	assert_int_equal(row->state, MEMBER_PENDING);
	++*n;
}

static void test_queue(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct admin_error e;
	uint64_t nwid = network_new(w, "home", 24);
	for (unsigned i = 0; i < PENDING_MAX + 5; i++) {
		struct identity p = person(i);
		w->wall++;
		join_send(w, &p, nwid);
	}
	settle(w, 1);
	unsigned n = 0;
	assert_int_equal(controller_member_each(w->c, nwid, count_row, &n, &e), ADMIN_OK);
	assert_int_equal(n, PENDING_MAX);
	struct identity first = person(0), last = person(PENDING_MAX + 4);
	assert_false(controller_knows(w->c, first.key_hash));
	assert_true(controller_knows(w->c, last.key_hash));
	world_free(w);
}

/* ---- a disk that is full -------------------------------------------------------------------------------------- */

static void test_disk_full(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	struct admin_error e;
	struct rlimit was, none;
	struct network_row before, after;
	uint64_t nwid = network_new(w, "home", 24);
	member_new(w, nwid, &ann);
	settle(w, 20000);
	settle(w, 20000);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	struct papers p = papers_of(w, &ann);
	assert_int_equal(controller_network_get(w->c, nwid, &before, &e), ADMIN_OK);

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	none.rlim_cur = 0; /* no file may grow or be written */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	enum join_status stranger = join(w, &bob, nwid);
	enum admin_status edit = controller_member_revoke(w->c, nwid, ann.address, NULL, &e);
	uint64_t head_seen = 0, last = 0, backwards = 0;
	for (unsigned i = 0; i < 400; i++) { /* beyond the ceiling and the hour */
		w->n_sent = 0;
		settle(w, 20000);
		head_seen += letter_to(w, &ann, OP_HEAD) != NULL;
		join_send(w, &ann, nwid);
		settle(w, 0);
		uint64_t at = papers_of(w, &ann).cred.issued_at;
		backwards += at < last;
		last = at;
	}
	bool complained = strcmp(controller_health(w->c), "ok") != 0;
	enum join_status renewal = join(w, &ann, nwid);
	struct papers q = papers_of(w, &ann);
	last = q.cred.issued_at;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);

	assert_int_equal(stranger, JOIN_TRY_LATER);
	assert_int_equal(edit, ADMIN_UNAVAILABLE);
	assert_true(complained);
	assert_int_equal(head_seen, 0);
	assert_int_equal(backwards, 0);
	assert_int_equal(renewal, JOIN_OK); /* running networks go on */
	assert_int_equal(q.head.version, p.head.version);
	assert_in_range(last, p.cred.issued_at, p.cred.issued_at + 61); /* time stood at the ceiling */

	/* by itself when there is room again, without a jump in time that would expire anything */
	for (unsigned i = 0; i < 5; i++)
		settle(w, 1000);
	assert_string_equal(controller_health(w->c), "ok");
	assert_int_equal(join(w, &bob, nwid), JOIN_PENDING);
	assert_int_equal(join(w, &ann, nwid), JOIN_OK);
	q = papers_of(w, &ann);
	assert_in_range(q.cred.issued_at, last, last + 10);
	assert_true(q.head.version > p.head.version);
	assert_int_equal(controller_network_get(w->c, nwid, &after, &e), ADMIN_OK);
	assert_true(after.version > before.version);
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, NULL, &e), ADMIN_OK);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lifecycle),
	    cmocka_unit_test(test_revocation),
	    cmocka_unit_test(test_kill),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_restored),
	    cmocka_unit_test(test_watermark),
	    cmocka_unit_test(test_refused_database),
	    cmocka_unit_test(test_pool),
	    cmocka_unit_test(test_rest),
	    cmocka_unit_test(test_renumber),
	    cmocka_unit_test(test_rights),
	    cmocka_unit_test(test_revocation_ends),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_public),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_coalesce),
	    cmocka_unit_test(test_thousand),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_disk_full),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
