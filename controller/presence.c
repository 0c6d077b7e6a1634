/* Theory of operation: one small record per key that was heard of lately: is its session up, where from, how many joins it may
 * still send. A fixed hash table with chains; key_hash is uniformly distributed, so its first bytes are the hash. When
 * the table is full, what is offline and owes nothing is swept. */
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

static unsigned bucket(const uint8_t key_hash[KEY_HASH_BYTES])
{
	return ((unsigned)key_hash[0] | (unsigned)key_hash[1] << 8) % PRESENCE_BUCKETS;
}

struct presence *presence_find(const struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES])
{
	for (struct presence *p = c->presences[bucket(key_hash)]; p; p = p->next)
		if (!memcmp(p->key_hash, key_hash, KEY_HASH_BYTES))
			return p;
	return NULL;
}

static void sweep(struct controller *c)
{
	for (unsigned i = 0; i < PRESENCE_BUCKETS; i++)
		for (struct presence **at = &c->presences[i]; *at;) {
			struct presence *p = *at;
			if (p->online || p->silent || p->allowance > c->now_ms) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			free(p);
			c->n_presences--;
		}
}

struct presence *presence_note(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct presence *p = presence_find(c, key_hash);
	if (p)
		return p;
	if (c->n_presences >= PRESENCES_MAX)
		sweep(c);
	if (c->n_presences >= PRESENCES_MAX || !(p = calloc(1, sizeof(*p))))
		return NULL;
	memcpy(p->key_hash, key_hash, KEY_HASH_BYTES);
	p->next = c->presences[bucket(key_hash)];
	c->presences[bucket(key_hash)] = p;
	c->n_presences++;
	return p;
}

void presence_heard(struct controller *c, struct presence *p, uint8_t op)
{
	p->heard = c->now_ms;
	p->reports = p->reports || op == OP_REPORT;
	if (!p->silent)
		return;
	p->silent = false;
	controller_online(c, p->key_hash, true, c->now_ms, c->wall_s);
}

void presences_silent(struct controller *c)
{
	if (c->now_ms < c->silent_next)
		return;
	c->silent_next = c->now_ms + SILENT_EVERY_MS;
	for (unsigned i = 0; i < PRESENCE_BUCKETS; i++)
		for (struct presence *p = c->presences[i]; p; p = p->next) {
			if (!p->online || !p->reports || c->now_ms - p->heard < SILENT_MS)
				continue;
			controller_online(c, p->key_hash, false, c->now_ms, c->wall_s);
			p->silent = true;
		}
}

void presences_free(struct controller *c)
{
	for (unsigned i = 0; i < PRESENCE_BUCKETS; i++)
		for (struct presence *p = c->presences[i], *next; p; p = next) {
			next = p->next;
			free(p);
		}
}
