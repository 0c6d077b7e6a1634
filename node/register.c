/* register.c: a root's services beside circuits: registration, WHOIS, who is told of a restart, who is named twice.
 *
 * A root learns addresses, public places and who calls whom; it vouches for nothing but which identity it saw first with an address. What it
 * says of a clone is a hint for people: nothing else comes of it.
 */
#include "node/relay.h"

#include <string.h>

#define CALL_LIFE_MS 120000
#define WHOIS_MS     100 /* 10/s */
#define WHOIS_BURST  50

/* ---- who is told of a restart ---------------------------------------------------------------------------------------- */

void relay_call_note(struct node *node, const struct peer *caller, const uint8_t called[KEY_HASH_BYTES])
{
	struct relay_service *r = node->relay;
	struct call *slot = NULL;
	for (unsigned i = 0; i < CALLS_MAX && !slot; i++)
		if (!memcmp(r->call[i].caller, caller->identity.key_hash, KEY_HASH_BYTES) &&
		    !memcmp(r->call[i].called, called, KEY_HASH_BYTES))
			slot = &r->call[i];
	if (!slot)
		slot = &r->call[r->call_at++ % CALLS_MAX];
	slot->at_ms = node->now;
	memcpy(slot->caller, caller->identity.key_hash, KEY_HASH_BYTES);
	memcpy(slot->called, called, KEY_HASH_BYTES);
}

static void restart_tell(struct peer *peer)
{
	struct node *node = peer->node;
	struct body_peer_restart b;
	uint8_t body[64];
	memcpy(b.key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	size_t n = body_peer_restart_encode(&b, body, sizeof body);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		struct call *call = &node->relay->call[i];
		if (!call->at_ms || memcmp(call->called, b.key_hash, KEY_HASH_BYTES))
			continue;
		struct peer *caller = node->now - call->at_ms < CALL_LIFE_MS ? peer_find(node, call->caller) : NULL;
		call->at_ms = 0;
		if (caller && peer_up(caller, CLASS_CTRL))
			request_send(caller, CLASS_CTRL, OP_PEER_RESTART, body, n, NULL, 0, NULL);
	}
}

/* ---- two machines with one identity --------------------------------------------------------------------------------- */

/* A run that comes back after another one has begun is no restart: two machines are running with the same secret. Returns where the other one is
 * (family 0: no such thing). A new run ends the sessions of those before it: of one that is over nothing comes any more, and a clone, whose epoch
 * may be the same, comes back at once, is seen and told. */
static struct endpoint instance_note(struct peer *peer, const struct session *s, uint64_t id, const struct endpoint *at)
{
	struct instance *list = peer->instance;
	struct endpoint other = {0};
	unsigned i = 0;
	while (i < INSTANCES_MAX && list[i].id && list[i].id != id)
		i++;
	if (i && i < INSTANCES_MAX && list[i].id == id) {
		other = list[0].at;
		if (!peer->clone_seen_ms)
			log_warning("%010llx registers from two machines: one identity may not run twice",
			            (unsigned long long)peer->identity.address);
		peer->clone_at = other;
		peer->clone_seen_ms = peer->node->now;
	}
	bool fresh = list[0].id && list[0].id != id;
	if (i == INSTANCES_MAX)
		i--;
	memmove(list + 1, list, i * sizeof *list);
	list[0] = (struct instance){.id = id, .at = *at};
	if (fresh && peer->current[CLASS_CTRL] == s)
		peer_retire_session(peer, &peer->previous[CLASS_CTRL]);
	return other;
}

/* ---- registration and WHOIS --------------------------------------------------------------------------------------- */

void relay_register(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len, const struct letter *l)
{
	struct body_register b;
	uint8_t out[256];
	if (!body_register_parse(body, len, &b) || s->class != CLASS_CTRL || !peer->work) {
		request_reply(peer, s->class, req, OP_REGISTER, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct peer *holder = peer_find_address(peer->node, peer->identity.address);
	if (holder != peer) {
		struct body_identity other = {.identity = holder->identity};
		size_t n = body_identity_encode(&other, out, sizeof out);
		request_reply(peer, s->class, req, OP_REGISTER, STATUS_COLLISION, out, n);
		return;
	}
	peer->registered = true;
	contacts_register(peer, &b);
	if (peer->registered_epoch != b.epoch) {
		peer->registered_epoch = b.epoch;
		restart_tell(peer);
	}
	state_peers_changed(peer->node);
	struct body_observed seen = {.observed = l->from, .alt_port = peer->node->config.alt_port};
	if (b.instance)
		seen.clone = instance_note(peer, s, b.instance, &l->from);
	size_t n = body_observed_encode(&seen, out, sizeof out);
	request_reply(peer, s->class, req, OP_REGISTER, STATUS_OK, out, n);
}

/* A member answers for those of a network in common: whoever asks knows the key_hash and takes nothing that does not fit it. */
void relay_whois(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_whois b;
	if (!body_whois_parse(body, len, &b)) {
		request_reply(peer, s->class, req, OP_WHOIS, STATUS_MALFORMED, NULL, 0);
		return;
	}
	if (!relay_bucket(&relay_bucket_of(peer)->whois_ms, node->now, WHOIS_MS, WHOIS_BURST)) {
		node_drop(node, DROP_CTRL_RATE);
		request_reply(peer, s->class, req, OP_WHOIS, STATUS_TRY_LATER, NULL, 0);
		return;
	}
	bool root = node->config.root;
	struct peer *found = root ? peer_find_address(node, b.address) : relay_member(peer, b.address);
	struct body_identity who = {0};
	if (found) {
		found->useful = true;
		who.identity = found->identity;
		who.identity.address = b.address;
	} else if (root && b.address == node->config.self.self.address) {
		who.identity = node->config.self.self;
	} else if (root) {
		contacts_identity(node, b.address, &who.identity); /* registered at another root of our set */
	}
	uint8_t out[256];
	size_t n = who.identity.address ? body_identity_encode(&who, out, sizeof out) : 0;
	request_reply(peer, s->class, req, OP_WHOIS, n ? STATUS_OK : STATUS_NOT_FOUND, out, n);
}
