/* fallback.h: a root's TLS port: HTTPS by libmicrohttpd on a thread of its own, from which nodes' upgrades become streams.
 *
 * Whoever does not knock with an INIT that passes the root's gate gets the 404 page of a web server that has nothing to show, whatever he asks
 * for. The control thread opens and closes; what one client can cost is bounded: connections in all and from one address, header bytes,
 * and the time until its request is there.
 */
#ifndef FARLAN_UI_FALLBACK_H
#define FARLAN_UI_FALLBACK_H

#include <stdint.h>

#include "node/stream.h"
#include "ui/certificate.h"

#define FALLBACK_PER_ADDRESS 64 /* connections: a site behind one NAT, not all of an attacker's */
#define FALLBACK_DEADLINE_MS 15000
#define FALLBACK_WHY         512

struct fallback_server;

struct fallback_config {
	struct endpoint at;         /* family 0: all addresses, with that port */
	const uint8_t *key_hash;    /* of this root */
	const uint8_t *gate_secret; /* zero: public */
	const struct certificate *certificate;
	struct streams *streams; /* until fallback_close() */
	uint32_t deadline_ms;    /* 0 = FALLBACK_DEADLINE_MS; tests take less */
};

/* 0 or -errno with a sentence in why. */
int fallback_open(struct fallback_server **ret, const struct fallback_config *, char why[FALLBACK_WHY]);
/* No stream is made any more; then the streams end (loop_free), then the server. */
void fallback_close(struct fallback_server *);
void fallback_free(struct fallback_server *);
uint16_t fallback_port(const struct fallback_server *);

#endif
