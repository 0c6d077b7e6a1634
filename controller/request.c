/* Theory of operation: one handler per request of a member. A handler reads rows, lets policy_decide() judge where there is
 * something to judge, writes rows into the turn's transaction and queues a letter; it never signs and never sends. Whatever
 * a stranger asks about a network gets the answer it would get if the network did not exist. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/hook.h"
#include "controller/state.h"

struct asking {
	struct controller *c;
	const struct identity *from;
	const struct message *m;
	struct presence *who; /* NULL = table full */
};

static void reply(const struct asking *a, enum status status, const uint8_t *body, size_t len)
{
	letter_plain(a->c, a->from->key_hash, a->m->req, (uint8_t)(a->m->op | OP_REPLY), (uint8_t)status, body, len);
}

/* ---- JOIN_REQ ----------------------------------------------------------------------- */

struct join {
	struct body_join_req req;
	struct network_record network;
	struct member_record member;        /* valid if rows.member */
	struct preapproval_row preapproval; /* valid if awaited */
	bool awaited;                       /* it lets in (rows.preapproved), or says what is reserved */
	struct invite_row invite;           /* valid if invited: a use of it is taken */
	bool invited;
	struct publication *publication;
	struct policy_rows rows;
};

/* Who is let in or kept out whatever its row says. */
static int join_door(const struct asking *a, struct join *j)
{
	struct controller *c = a->c;
	struct ban ban;
	uint64_t asked = 0;
	int r = store_ban_get(c->store, a->from->key_hash, &ban);
	j->rows.banned = !r;
	if (r && r != -ENOENT)
		return r;
	r = store_preapproval_get(c->store, j->req.nwid, a->from->address, &j->preapproval);
	j->awaited = !r;
	j->rows.preapproved = j->awaited && !j->preapproval.reserve;
	if (r && r != -ENOENT)
		return r;
	if (j->rows.member)
		return 0;
	r = store_departed_get(c->store, j->req.nwid, a->from->key_hash, &asked);
	j->rows.departed = !r && asked == j->req.asked && !j->awaited; /* whoever is waited for may come back */
	return r == -ENOENT ? 0 : r;
}

static int join_rows(const struct asking *a, struct join *j)
{
	struct controller *c = a->c;
	struct member_record other;
	unsigned n;
	j->rows = (struct policy_rows){.trusted = c->trusted,
	                               .allowance = a->who ? a->who->allowance : 0,
	                               .members_max = c->limits.members,
	                               .pending_max = c->limits.pending,
	                               .joins = c->limits.joins};
	j->publication = publication_find(c, j->req.nwid);
	if (!j->publication)
		return 0;
	int r = store_network_get(c->store, j->req.nwid, &j->network);
	if (r)
		return r;
	j->rows.network = true;
	j->rows.network_flags = j->network.flags;
	j->rows.member = !store_member_get(c->store, j->req.nwid, a->from->key_hash, &j->member);
	if (j->rows.member) {
		j->rows.state = j->member.state;
		if (j->member.state == MEMBER_APPROVED)
			return 0; /* a renewal: nothing else matters */
	}
	if (!store_member_address(c->store, j->req.nwid, a->from->address, &other, &n))
		j->rows.collision = n > 1 || memcmp(other.identity.key_hash, a->from->key_hash, KEY_HASH_BYTES);
	r = join_door(a, j);
	if (!r)
		r = store_network_count(c->store, j->req.nwid, MEMBER_PENDING, &j->rows.pending);
	if (!r)
		r = store_network_count(c->store, j->req.nwid, MEMBER_APPROVED, &j->rows.approved);
	if (!r)
		r = store_revocation_count(c->store, j->req.nwid, &j->rows.revocations);
	return r;
}

static void describe(const struct controller *c, const struct join *j, struct member_record *m)
{
	memcpy(m->hostname, j->req.hostname, sizeof(m->hostname));
	memcpy(m->os, j->req.os, sizeof(m->os));
	memcpy(m->version, j->req.version, sizeof(m->version));
	m->last_seen_wall_s = c->wall_s;
	m->seen = network_time(c);
	m->asked = j->req.asked;
}

/* A new row; whoever was deleted once and asks anew is as new as anybody. */
static int join_insert(const struct asking *a, struct join *j)
{
	struct controller *c = a->c;
	uint64_t asked;
	int r = store_member_insert(c->store, &j->member);
	if (!r && !store_departed_get(c->store, j->req.nwid, a->from->key_hash, &asked))
		r = store_departed_delete(c->store, j->req.nwid, a->from->key_hash);
	c->ends_known = false;
	return r;
}

/* It waits, with what is reserved for it. */
static int join_wait(const struct asking *a, struct join *j)
{
	struct controller *c = a->c;
	int r = join_insert(a, j);
	if (r || !j->awaited)
		return r;
	struct member_record was = j->member;
	preapproval_grant(c, &j->network, &j->preapproval, &j->member);
	r = member_write(c, j->publication, &was, &j->member);
	return r ? r : preapproval_spent(c, &j->preapproval);
}

/* Who waited longest unseen makes room. */
static int join_evict(const struct asking *a, struct join *j)
{
	uint64_t gone = 0;
	int r = store_member_evict(a->c->store, j->req.nwid, network_time(a->c), &gone);
	if (r)
		return r;
	if (gone)
		change_note(a->c, CHANGE_MEMBER, j->req.nwid, gone, true);
	return join_wait(a, j);
}

/* A public network, or the admin has said so beforehand: the row is approved as it is made. Where the pool is exhausted it waits, and
 * what let it in does so again. */
static int join_admit(const struct asking *a, struct join *j)
{
	struct member_record was = j->member;
	int r = 0;
	if (!j->rows.member) {
		r = join_insert(a, j);
		was = j->member;
	}
	j->member.state = MEMBER_APPROVED;
	if (!r && j->awaited)
		preapproval_grant(a->c, &j->network, &j->preapproval, &j->member);
	if (!r && j->invited)
		invite_grant(&j->invite, &j->member);
	if (!r)
		r = member_admit(a->c, j->publication, &j->network, &was, &j->member);
	if (!r && j->awaited)
		r = preapproval_spent(a->c, &j->preapproval);
	if (j->invited)
		return r ? (invite_unspend(a->c, &j->invite), r) : invite_spent(a->c, &j->invite, j->member.address);
	return r ? r : audit_note(a->c, "member.admit", j->req.nwid, j->member.address, NULL);
}

/* Whoever joins acts for itself, from where its packets come. */
static void join_actor(const struct asking *a)
{
	struct actor *actor = &a->c->actor;
	*actor = (struct actor){0};
	snprintf(actor->name, sizeof(actor->name), "member:%010llx", (unsigned long long)a->from->address);
	if (a->who && a->who->physical.family)
		endpoint_format(&a->who->physical, actor->from, sizeof(actor->from));
}

/* Somebody new waits; who is told of it need not look. */
static int join_pend(const struct asking *a, struct join *j, enum policy_action action)
{
	join_actor(a);
	int r = action == POLICY_EVICT_PEND ? join_evict(a, j) : join_wait(a, j);
	return r ? r : hook_note(a->c, "member.pending", j->req.nwid, a->from->address, &j->member, NULL);
}

static int join_act(const struct asking *a, struct join *j, enum policy_action action)
{
	struct controller *c = a->c;
	bool known = j->rows.member;
	if (!known) {
		j->member = (struct member_record){.nwid = j->req.nwid,
		                                   .address = a->from->address,
		                                   .identity = *a->from,
		                                   .state = MEMBER_PENDING,
		                                   .auto_ip = true,
		                                   .first_seen_wall_s = c->wall_s};
	}
	bool news = !known || strcmp(j->member.hostname, j->req.hostname) || strcmp(j->member.os, j->req.os) ||
	            strcmp(j->member.version, j->req.version) || j->member.asked != j->req.asked ||
	            c->wall_s >= j->member.last_seen_wall_s + SEEN_EVERY_S;
	describe(c, j, &j->member);
	if (action != POLICY_NOTHING || news) {
		change_note(c, CHANGE_MEMBER, j->req.nwid, a->from->address, false);
		if (action != POLICY_NOTHING)
			change_note(c, CHANGE_NETWORK, j->req.nwid, 0, false);
	}
	switch (action) {
	case POLICY_EVICT_PEND:
	case POLICY_PEND: return join_pend(a, j, action);
	case POLICY_ADMIT: join_actor(a); return join_admit(a, j);
	case POLICY_NOTHING: break;
	}
	/* what it says of itself, but not at the pace it says it: a row costs a transaction */
	if (!news || !a->who || (a->who->wrote && c->now_ms < a->who->wrote + JOIN_INTERVAL_MS))
		return 0;
	a->who->wrote = c->now_ms;
	store_member_said(c->store, &j->member);
	c->ends_known = c->ends_known && j->member.state != MEMBER_PENDING;
	return 0;
}

/* A proof counts for who would have to wait otherwise, and for what comes with it in a network that is open to all. The one who waits
 * already is not limited elsewhere, and a proof costs us a verification. */
static void join_proof(const struct asking *a, struct join *j, struct policy_decision *d)
{
	struct controller *c = a->c;
	if (!j->req.invite || !c->trusted || (d->answer != JOIN_PENDING && d->action != POLICY_ADMIT) ||
	    policy_full(c->limits.members, j->rows.approved, j->rows.revocations) ||
	    (j->rows.member && !policy_spend(&d->allowance, c->limits.joins, c->now_ms)))
		return;
	j->invited = invite_spend(c, &j->req, a->from->key_hash, a->m->exporter, &j->invite);
	if (j->invited)
		*d = (struct policy_decision){.answer = JOIN_OK, .action = POLICY_ADMIT, .allowance = d->allowance};
}

static void join_request(const struct asking *a)
{
	struct controller *c = a->c;
	struct join j = {0};
	if (!body_join_req_parse(a->m->body, a->m->len, &j.req)) {
		reply(a, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct policy_request request = {
	    .honest = !memcmp(j.req.identity.x, a->from->x, 32) && !memcmp(j.req.identity.ed, a->from->ed, 32) &&
	              j.req.identity.address == a->from->address,
	};
	if (!a->who || join_rows(a, &j)) {
		letter_join(c, a->from->key_hash, a->m->req, j.req.nwid, JOIN_TRY_LATER, false);
		return;
	}
	struct policy_decision d = policy_decide(&j.rows, &request, c->now_ms);
	join_proof(a, &j, &d);
	a->who->allowance = d.allowance;
	a->who->asked = j.req.asked;
	a->who->asked_nwid = j.req.nwid;
	push_asked(c, a->from->key_hash, j.req.nwid);
	enum join_status answer = d.answer;
	bool lives = answer == JOIN_OK || answer == JOIN_PENDING;
	if (c->trusted && lives && join_act(a, &j, d.action))
		answer = JOIN_TRY_LATER;
	letter_join(c, a->from->key_hash, a->m->req, j.req.nwid, answer, d.action != POLICY_NOTHING);
}

/* ---- the rest ----------------------------------------------------------------------- */

static void get_blob(const struct asking *a)
{
	struct body_get_blob want;
	uint8_t body[BODY_MAX];
	if (!body_get_blob_parse(a->m->body, a->m->len, &want)) {
		reply(a, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct publication *p = publication_find(a->c, want.nwid);
	const struct blob *b = p && member_approved(a->c, want.nwid, a->from->key_hash) ? publication_blob(p, want.hash) : NULL;
	if (!b || want.off >= b->len) {
		reply(a, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	size_t left = b->len - want.off;
	struct body_blob piece = {.off = want.off,
	                          .total = (uint32_t)b->len,
	                          .piece = b->bytes + want.off,
	                          .piece_len = left < BLOB_PIECE_MAX ? left : BLOB_PIECE_MAX};
	memcpy(piece.hash, want.hash, 32);
	reply(a, STATUS_OK, body, body_blob_encode(&piece, body, sizeof(body)));
}

static void head_request(const struct asking *a)
{
	struct body_head held;
	uint8_t body[BODY_MAX];
	if (!body_head_parse(a->m->body, a->m->len, &held)) {
		reply(a, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct publication *p = publication_find(a->c, held.nwid);
	if (!p || !p->head_len || !member_approved(a->c, held.nwid, a->from->key_hash)) {
		reply(a, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	struct body_head head = {.nwid = p->nwid, .head = p->head, .head_len = p->head_len};
	reply(a, STATUS_OK, body, body_head_encode(&head, body, sizeof(body)));
}

static void leave(const struct asking *a)
{
	struct body_leave l;
	struct member_record m;
	if (!body_leave_parse(a->m->body, a->m->len, &l)) {
		reply(a, STATUS_MALFORMED, NULL, 0);
		return;
	}
	/* It stays a member: who left may come back, who must not is the admin's to say. */
	if (a->c->trusted && !store_member_get(a->c->store, l.nwid, a->from->key_hash, &m) &&
	    a->c->wall_s >= m.last_seen_wall_s + SEEN_EVERY_S)
		store_member_seen(a->c->store, m.id, a->c->wall_s);
	reply(a, STATUS_OK, NULL, 0);
}

static void acknowledge(const struct asking *a)
{
	struct body_ack ack;
	bool good = body_ack_parse(a->m->body, a->m->len, &ack);
	if (good)
		push_acknowledged(a->c, a->from->key_hash, &ack);
	if (good && a->who) {
		a->who->acknowledged = ack.version;
		a->who->acknowledged_nwid = ack.nwid;
	}
	reply(a, good ? STATUS_OK : STATUS_MALFORMED, NULL, 0);
}

static void sub(const struct asking *a)
{
	reply(a, groups_sub(a->c, a->from, a->m->body, a->m->len), NULL, 0);
}

static void gather(const struct asking *a)
{
	uint8_t body[BODY_MAX];
	size_t len = 0;
	enum status status = groups_gather(a->c, a->from, a->m->body, a->m->len, body, sizeof(body), &len);
	reply(a, status, body, len);
}

void controller_request(struct controller *c, const struct identity *from, const struct endpoint *physical, const struct message *m,
                        uint64_t now_ms, uint64_t wall_s)
{
	clock_advance(c, now_ms, wall_s);
	if (m->op & OP_REPLY)
		return; /* nothing of ours waits for an answer */
	struct asking a = {.c = c, .from = from, .m = m, .who = presence_note(c, from->key_hash)};
	if (a.who && physical)
		a.who->physical = *physical;
	if (a.who)
		presence_heard(c, a.who, m->op);
	switch (m->op) {
	case OP_JOIN_REQ: join_request(&a); break;
	case OP_GET_BLOB: get_blob(&a); break;
	case OP_HEAD: head_request(&a); break;
	case OP_ACK: acknowledge(&a); break;
	case OP_LEAVE: leave(&a); break;
	case OP_SUB: sub(&a); break;
	case OP_GATHER: gather(&a); break;
	case OP_REPORT: reply(&a, report_take(c, from, m->body, m->len), NULL, 0); break;
	default: reply(&a, STATUS_UNKNOWN_OP, NULL, 0);
	}
}
