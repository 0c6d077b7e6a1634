/* ring.h: a bounded single-producer single-consumer ring of fixed-size slots.
 *
 * The producer reserves, fills and publishes; the consumer peeks, reads and releases. Slots are a power of two, made
 * by the consumer's thread before the producer starts, freed after it ended. seq_cst so that TSan understands it.
 */
#ifndef FARLAN_PROTO_BASE_RING_H
#define FARLAN_PROTO_BASE_RING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

struct ring {
	uint8_t *slots;
	uint32_t n;            /* slots, power of two */
	uint32_t size;         /* bytes of a slot */
	_Atomic uint32_t head; /* next to write: producer */
	_Atomic uint32_t tail; /* next to read: consumer */
};

static inline int ring_init(struct ring *r, uint32_t slots, uint32_t size)
{
	r->slots = calloc(slots, size);
	r->n = slots;
	r->size = size;
	atomic_store(&r->head, 0);
	atomic_store(&r->tail, 0);
	return r->slots ? 0 : -ENOMEM;
}

static inline void ring_fini(struct ring *r)
{
	free(r->slots);
	r->slots = NULL;
}

/* How many slots are filled: the producer sees too many at most, never too few. */
static inline uint32_t ring_used(struct ring *r)
{
	return atomic_load(&r->head) - atomic_load(&r->tail);
}

/* The slot to fill next, or NULL when full. Producer only. */
static inline void *ring_reserve(struct ring *r)
{
	uint32_t head = atomic_load(&r->head);
	if (head - atomic_load(&r->tail) >= r->n)
		return NULL;
	return r->slots + (size_t)(head & (r->n - 1)) * r->size;
}

static inline void ring_publish(struct ring *r)
{
	atomic_fetch_add(&r->head, 1);
}

/* The oldest filled slot, or NULL when empty. Consumer only. */
static inline void *ring_peek(struct ring *r)
{
	uint32_t tail = atomic_load(&r->tail);
	if (tail == atomic_load(&r->head))
		return NULL;
	return r->slots + (size_t)(tail & (r->n - 1)) * r->size;
}

static inline void ring_release(struct ring *r)
{
	atomic_fetch_add(&r->tail, 1);
}

#endif
