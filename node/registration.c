/* registration.c: our side of being known to roots: REGISTER, and what a root answers: where it sees us, who else has our address or our
 * identity.
 *
 * A root's word alone is nothing: of a collision the other identity must prove itself by its work, a clone is only told to people.
 */
#include "node/control.h"

#define CLONE_LOG_MS (3600 * 1000)

void circuit_collision(struct node *node, const struct identity *other)
{
	char text[IDENTITY_TEXT_MAX];
	if (other->address != node->config.self.self.address || !bytes_equal(node->collision.key_hash, other->key_hash, KEY_HASH_BYTES))
		return;
	node->collision = (struct identity){0};
	identity_format(other, text);
	log_error("another identity has our address and was first at a root: %s; this node goes on with the paths it has, but strangers "
	          "will not find it there: give it a new identity",
	          text);
	node_warn(
	    node, "collision",
	    "another identity has this node's address and was first at a root, so strangers do not find this node there; stop farland, "
	    "move identity.secret away and start it: it makes a new one");
}

/* A root may be wrong or lie; all that comes of it is a word to people. */
static void clone_seen(struct node *node, const struct endpoint *at)
{
	char text[ENDPOINT_TEXT_MAX];
	if (!node->clone.ms || node->now - node->clone.logged_ms >= CLONE_LOG_MS) {
		endpoint_format(at, text, sizeof text);
		log_error("another machine at %s runs with this node's identity: frames go now to the one, now to the other. Stop one of "
		          "them, remove "
		          "its identity.secret and start it: it makes a new one, which then joins its networks anew",
		          text);
		event_add(node, EVENT_IDENTITY_CLONE, NULL, text);
		node->clone.logged_ms = node->now;
	}
	node->clone.at = *at;
	node->clone.ms = node->now;
	node_changed(node);
}

static void register_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct node *node = root->node;
	struct body_observed b;
	struct body_identity other;
	(void)r;
	if (!reply) { /* a node that no root has registered cannot be called: asked for as long as the session stands */
		if (peer_up(root, CLASS_CTRL))
			circuit_root_up(root);
		return;
	}
	if (reply && reply->status == STATUS_COLLISION && body_identity_parse(reply->body, reply->len, &other)) {
		/* A root's word alone is nothing: the other identity must carry our address. */
		node->collision = other.identity;
		if (!node->port.work(node->port.self, &other.identity))
			log_warning("a root says that our address belongs to another identity; too busy to check it now");
		return;
	}
	if (reply->status != STATUS_OK || !body_observed_parse(reply->body, reply->len, &b))
		return;
	if (root->best >= 0)
		nat_seen(root, &root->path[root->best].to, &b.observed);
	root->alt_port = b.alt_port;
	root->sight.measured_ms = 0;
	nat_measure(root);
	if (b.clone.family)
		clone_seen(node, &b.clone);
	net_root_up(node);
	initiator_root_up(node);
	node_changed(node);
}

void circuit_root_up(struct peer *root)
{
	struct body_register b = {.epoch = root->node->config.epoch, .instance = root->node->instance};
	federation_introduce(root, &b);
	uint8_t body[BODY_MAX];
	size_t n = body_register_encode(&b, body, sizeof body);
	request_send(root, CLASS_CTRL, OP_REGISTER, body, n, register_done, 0, NULL);
}
