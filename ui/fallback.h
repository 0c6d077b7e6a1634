/* fallback.h: a root's TLS port: a small HTTPS server on a thread of its own, from which nodes' upgrades become streams.
 *
 * Whoever does not knock with an INIT that passes the root's gate gets the 404 page of a web server that has nothing to show, whatever he asks
 * for. The control thread opens and closes. What one visitor can cost is bounded: their number in all and from one address, the bytes
 * of a request, and the time until it is there and answered.
 */
#ifndef FARLAN_UI_FALLBACK_H
#define FARLAN_UI_FALLBACK_H

#include <stdint.h>

#include "node/stream.h"
#include "ui/certificate.h"

#define FALLBACK_VISITORS    1024 /* who have not become streams; one more ends the one that has been there longest */
#define FALLBACK_PER_ADDRESS 64   /* of them, from one IPv4 address or IPv6 /64 */
#define FALLBACK_DEADLINE_MS 15000
#define FALLBACK_WHY         512

struct fallback_server;

struct fallback_config {
	struct endpoint at;         /* family 0: all addresses, with that port */
	const uint8_t *key_hash;    /* of this root */
	const uint8_t *gate_secret; /* zero: public */
	const struct certificate *certificate;
	struct streams *streams; /* until fallback_free() */
	uint32_t deadline_ms;    /* 0 = FALLBACK_DEADLINE_MS; tests take less */
};

/* 0 or -errno with a sentence in why. */
int fallback_open(struct fallback_server **ret, const struct fallback_config *, char why[FALLBACK_WHY]);
void fallback_free(struct fallback_server *); /* what became a stream stays one */
uint16_t fallback_port(const struct fallback_server *);

#endif
