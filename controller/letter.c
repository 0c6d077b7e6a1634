/* Theory of operation: what a turn wants to say waits here until the turn is on disk. Most letters are finished bytes; a
 * JOIN_RES is only named and made when it leaves, because its MEMBERCONF must carry the HEAD and the row as committed. A
 * conditional letter tells of something the turn writes: without the commit it becomes TRY_LATER. */
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

static struct letter *letter_add(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES])
{
	if (c->n_letters >= LETTERS_MAX)
		return NULL;
	if (c->n_letters == c->letters_room) {
		unsigned room = c->letters_room ? c->letters_room * 2 : 64;
		struct letter *more = realloc(c->letters, room * sizeof(*more));
		if (!more)
			return NULL;
		c->letters = more;
		c->letters_room = room;
	}
	struct letter *l = &c->letters[c->n_letters++];
	*l = (struct letter){0};
	memcpy(l->key_hash, key_hash, KEY_HASH_BYTES);
	return l;
}

bool letter_plain(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t req, uint8_t op, uint8_t status,
                  const uint8_t *body, size_t len)
{
	uint8_t *copy = len ? malloc(len) : NULL;
	struct letter *l = len && !copy ? NULL : letter_add(c, key_hash);
	if (!l) {
		free(copy);
		return false;
	}
	if (len)
		memcpy(copy, body, len);
	l->req = req;
	l->op = op;
	l->status = status;
	l->body = copy;
	l->len = len;
	return true;
}

bool letter_join(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t req, uint64_t nwid, enum join_status answer,
                 bool conditional)
{
	struct letter *l = letter_add(c, key_hash);
	if (!l)
		return false;
	l->req = req;
	l->op = OP_JOIN_REQ | OP_REPLY;
	l->status = STATUS_OK;
	l->join = true;
	l->answer = (uint8_t)answer;
	l->nwid = nwid;
	l->conditional = conditional;
	return true;
}

void letters_settle(struct controller *c, bool committed)
{
	for (unsigned i = 0; i < c->n_letters; i++) {
		struct letter *l = &c->letters[i];
		if (l->conditional && !committed)
			l->answer = JOIN_TRY_LATER;
		l->conditional = false;
	}
}

/* What the admin said of it; who has no row learns nothing. */
static void reason(struct controller *c, const struct letter *l, struct body_join_res *res)
{
	struct member_record m;
	if (!publication_find(c, l->nwid) || store_member_get(c->store, l->nwid, l->key_hash, &m))
		return;
	if (m.state == MEMBER_DENIED || m.state == MEMBER_REVOKED || m.state == MEMBER_BANNED)
		memcpy(res->reason, m.reason, sizeof(res->reason));
}

static size_t join_res(struct controller *c, const struct letter *l, uint8_t *out, size_t room)
{
	uint8_t conf[BODY_MAX];
	struct body_join_res res = {.nwid = l->nwid, .status = l->answer};
	if (l->answer == JOIN_OK) {
		struct member_record m;
		struct publication *p = publication_find(c, l->nwid);
		if (!p || store_member_get(c->store, l->nwid, l->key_hash, &m) || m.state != MEMBER_APPROVED) {
			res.status = JOIN_DENIED; /* revoked or deleted later in the same turn */
		} else {
			res.memberconf = conf;
			res.memberconf_len = publication_memberconf(c, p, &m, conf, sizeof(conf));
			if (!res.memberconf_len)
				res = (struct body_join_res){.nwid = l->nwid, .status = JOIN_TRY_LATER};
		}
	}
	if (res.status == JOIN_DENIED)
		reason(c, l, &res);
	return body_join_res_encode(&res, out, room);
}

void letters_send(struct controller *c)
{
	uint8_t body[BODY_MAX];
	for (unsigned i = 0; i < c->n_letters; i++) {
		struct letter *l = &c->letters[i];
		struct message m = {.req = l->req, .op = l->op, .status = l->status, .body = l->body, .len = l->len};
		if (l->join) {
			m.body = body;
			m.len = join_res(c, l, body, sizeof(body));
		}
		if (!l->join || m.len)
			c->port.send(c->port.self, l->key_hash, &m);
		free(l->body);
	}
	c->n_letters = 0;
}
