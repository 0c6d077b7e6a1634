/* store_extra.h: lists that stand in a blob of a network's row, and its text of other programs; for store*.c and network_extra.c.
 *
 * Part of the store: one thread, the turn's transaction.
 */
#ifndef FARLAN_CONTROLLER_STORE_EXTRA_H
#define FARLAN_CONTROLLER_STORE_EXTRA_H

#include "controller/query.h"

#define RANGES_BYTES     (8 * RANGES_MAX)
#define ETHERTYPES_BYTES (2 * ETHERTYPES_MAX)

/* The bytes are borrowed until the query ends. */
void ranges_read(struct query *, int at, struct network_record *);
void ranges_bind(struct query *, int at, const struct network_record *, uint8_t bytes[RANGES_BYTES]);
void ethertypes_read(struct query *, int at, struct network_record *);
void ethertypes_bind(struct query *, int at, const struct network_record *, uint8_t bytes[ETHERTYPES_BYTES]);

int store_extra_set(struct store *, uint64_t nwid, const char *text);       /* "" = no more */
int store_extra_get(struct store *, uint64_t nwid, char *ret, size_t room); /* 0 or -ENOENT */

#endif
