/* invite.c: a network joined by an invitation.
 *
 * The link's roots serve this node as if they stood in its configuration, at each start, until the network is left. Its key is kept with the
 * network's state for as long as it may be needed: it goes with each JOIN_REQ as a signature over the session's exporter, so that
 * request belongs to its session, and it is forgotten, in memory and in the file, as soon as the controller lets us in.
 */
#include "node/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

static bool pin_fits(const uint8_t pin[17], const struct identity *controller)
{
	return !memcmp(pin, controller->key_hash, 16) && !((pin[16] ^ controller->key_hash[16]) & 0xc0);
}

int node_join_link(struct node *node, const struct invite_link *link, const char *dev, uint64_t now)
{
	struct net *net = net_find(node, link->nwid);
	if (net && net->pinned && !pin_fits(link->pin, &net->controller))
		return -EPERM;
	struct invitation *v = calloc(1, sizeof *v);
	int error = v ? node_join(node, link->nwid, link->pin, dev, now) : -ENOMEM;
	if (error) {
		free(v);
		return error;
	}
	net = net_find(node, link->nwid);
	v->key_set = true;
	v->key = link->key;
	v->n_roots = link->n_roots;
	memcpy(v->root, link->roots, sizeof v->root);
	invite_free(net);
	net->invitation = v;
	roots_bring(node, v->root, v->n_roots);
	roots_sweep(node); /* another invitation of this network may have stood here */
	net_save_soon(net);
	return 0;
}

bool invite_prove(const struct net *net, const struct session *s, struct body_join_req *b)
{
	const struct invitation *v = net->invitation;
	if (!v || !v->key_set)
		return false;
	b->invite = v->key.id;
	invite_sign(v->key.seed, s->exporter, net->nwid, net->node->config.self.self.key_hash, b->proof);
	return true;
}

void invite_admitted(struct net *net)
{
	struct invitation *v = net->invitation;
	if (!v || !v->key_set)
		return;
	v->key_set = false;
	wipe(&v->key, sizeof v->key);
	net_save_soon(net);
}

/* ---- in the network's file: u8 key set, key 40, u8 n, n times u16 length and the root's line --------------------------- */

size_t invite_encode(const struct net *net, uint8_t *out, size_t room)
{
	const struct invitation *v = net->invitation;
	struct writer w = writer_over(out, room);
	char text[ROOT_LINE_MAX];
	if (!v)
		return 0;
	put_u8(&w, v->key_set);
	put_be64(&w, v->key.id);
	put_bytes(&w, v->key.seed, sizeof v->key.seed);
	put_u8(&w, (uint8_t)v->n_roots);
	for (unsigned i = 0; i < v->n_roots; i++) {
		size_t len = root_line_format(&v->root[i], text, sizeof text);
		put_be16(&w, (uint16_t)len);
		put_bytes(&w, text, len);
	}
	wipe(text, sizeof text);
	return w.bad ? 0 : writer_len(&w);
}

void invite_decode(struct net *net, struct reader *r)
{
	struct invitation *v = calloc(1, sizeof *v);
	char text[ROOT_LINE_MAX];
	size_t at;
	const char *why;
	if (!v)
		return;
	v->key_set = get_u8(r);
	v->key.id = get_be64(r);
	get_copy(r, v->key.seed, sizeof v->key.seed);
	unsigned n = get_u8(r);
	for (unsigned i = 0; i < n && i < INVITE_ROOTS_MAX && !r->bad; i++) {
		size_t len = get_be16(r);
		if (len >= sizeof text)
			break;
		get_copy(r, text, len);
		text[len] = 0;
		v->n_roots += !r->bad && root_line_parse(text, &v->root[v->n_roots], &at, &why);
	}
	wipe(text, sizeof text);
	invite_free(net);
	net->invitation = v;
	roots_bring(net->node, v->root, v->n_roots);
}

void invite_free(struct net *net)
{
	if (net->invitation)
		wipe(net->invitation, sizeof *net->invitation);
	free(net->invitation);
	net->invitation = NULL;
}
