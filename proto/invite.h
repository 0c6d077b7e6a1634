/* invite.h: an invitation: the link people pass on, and the proof that who asks holds the key in it (PROTOCOL.md, Invitations).
 *
 * "farlan://v1/<long network id>?k=<id and seed>&r=<root>[&r=<root>]...&c=<check>": everything a newcomer needs, in one spelling. The
 * controller keeps the public half of the seed alone. Pure; any thread. A link is a secret: whoever holds it may join.
 */
#ifndef FARLAN_PROTO_INVITE_H
#define FARLAN_PROTO_INVITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/root_line.h"

#define INVITE_SCHEME      "farlan://"
#define INVITE_LINK_MAX    2048 /* with its end; a code of so many bytes can still be drawn, but hardly read by a phone */
#define INVITE_ROOTS_MAX   4
#define INVITE_PROOF_BYTES 64
#define INVITE_ID_TEXT     17 /* 16 hex digits and the end */

struct invite_key {
	uint64_t id; /* never 0 */
	uint8_t seed[32];
};

struct invite_link {
	uint64_t nwid;
	uint8_t pin[17]; /* the first 130 bits of the controller's key_hash */
	struct invite_key key;
	struct root_line roots[INVITE_ROOTS_MAX];
	unsigned n_roots; /* may be 0: the newcomer has roots of its own */
};

/* A fresh key. */
void invite_draw(struct invite_key *ret);
void invite_public(const uint8_t seed[32], uint8_t ret[32]);
/* exporter: of the session the request travels on; key_hash: the asker's. */
void invite_sign(const uint8_t seed[32], const uint8_t exporter[32], uint64_t nwid, const uint8_t key_hash[32],
                 uint8_t ret[INVITE_PROOF_BYTES]);
bool invite_verify(const uint8_t public[32], const uint8_t exporter[32], uint64_t nwid, const uint8_t key_hash[32],
                   const uint8_t proof[INVITE_PROOF_BYTES]);

/* The length, or 0: it does not fit into room or INVITE_LINK_MAX, or a root is none. */
size_t invite_link_format(const struct invite_link *, char *buf, size_t room);
/* false: *ret_at = offset of what is wrong, *ret_why = a sentence with the mend, *ret untouched. */
bool invite_link_parse(const char *text, struct invite_link *ret, size_t *ret_at, const char **ret_why);
void invite_link_fini(struct invite_link *); /* wipes key and gates */

void invite_id_format(uint64_t id, char ret[INVITE_ID_TEXT]);
bool invite_id_parse(const char *text, uint64_t *ret);

#endif
