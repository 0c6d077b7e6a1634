/* The controller as a member and an admin see it: requests in by controller_request(), letters out by the port, real SQLite
 * files in a folder of their own. Identities are made up (the controller never checks work), the signing key is real. A kill
 * is simulated by copying the files of a running controller and opening the copy. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/controller.h"
#include "controller/policy.h"
#include "proto/base/heap.h"

#define SENT_MAX 4096

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

static struct identity person(unsigned n)
{
	struct identity who = {.address = 0x1000000000 + n};
	memset(who.x, (int)(n & 0xff), 32);
	memset(who.ed, (int)(n >> 8 & 0xff), 32);
	who.ed[0] = 0x55;
	identity_hash(&who);
	return who;
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

static void join_send(struct world *w, const struct identity *who, uint64_t nwid)
{
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = nwid, .identity = *who};
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
		if (m.section[i].id == SECTION_MEMBERS) {
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
	struct revoked revs;
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

	/* revocation: the HEAD leaves in the same turn and its REVLIST kills the credential */
	w->n_sent = 0;
	assert_int_equal(controller_member_revoke(w->c, nwid, ann.address, &e), ADMIN_OK);
	settle(w, 1);
	assert_int_equal(join_answer(w, &ann).status, JOIN_DENIED);
	h = pushed_head(w, &bob);
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

	/* deleted: gone, and back only as a new pending row without an address */
	assert_int_equal(controller_member_delete(w->c, nwid, ann.address, &e), ADMIN_OK);
	settle(w, 300);
	assert_int_equal(controller_member_delete(w->c, nwid, ann.address, &e), ADMIN_NOT_FOUND);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifecycle),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
