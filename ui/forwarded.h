/* forwarded.h: who asks behind a reverse proxy: what X-Forwarded-For and X-Forwarded-Proto say, when a trusted proxy says it.
 *
 * Pure. Untrusted text: anybody can write these headers, and a proxy appends to what was there.
 */
#ifndef FARLAN_UI_FORWARDED_H
#define FARLAN_UI_FORWARDED_H

#include "proto/prefix.h"
#include "ui/api.h"

#define TRUSTED_MAX 16

struct trusted {                       /* proxies */
	const struct prefix *prefixes; /* borrowed */
	unsigned n;
};

/* Makes request->peer the right-most address that is no trusted proxy, and request->secure what the nearest proxy says, if the
 * request comes from a trusted proxy by TCP; else nothing is looked at. */
void forwarded_apply(const struct trusted *, struct request *);

#endif
