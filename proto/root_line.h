/* root_line.h: how a root is named in a config file: who it is, where it listens, and the gate of a private one.
 *
 * "fln1:<address>:<key>@HOST:PORT[,HOST:PORT]...[#key=value[&key=value]...]". HOST is an IPv4 address, an IPv6 address in
 * brackets or a DNS name; numeric ones come first when a line is written. Keys: gate=<base64url 32>, tls=PORT|none (where the
 * root takes TLS streams; 443 unless told), pin=<base64url SHA-256 of the certificate's SubjectPublicKeyInfo>. Pure; any
 * thread; names are never looked up here. A line with a gate is a secret: it opens the root to whoever reads it.
 */
#ifndef FARLAN_PROTO_ROOT_LINE_H
#define FARLAN_PROTO_ROOT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/endpoint.h"
#include "proto/ident.h"

#define ROOT_ENDPOINTS_MAX 4   /* addresses and names together */
#define ROOT_HOST_MAX      253 /* RFC 1035, 2.3.4: 255 bytes on the wire */
#define ROOT_TLS_PORT      443
#define ROOT_LINE_MAX      1536 /* identity, four of the longest names, all keys */

struct root_name {
	char host[ROOT_HOST_MAX + 1]; /* lower case, no dot at the end */
	uint16_t port;
};

struct root_line {
	struct identity identity;
	struct endpoint endpoints[ROOT_ENDPOINTS_MAX];
	unsigned n_endpoints;
	struct root_name names[ROOT_ENDPOINTS_MAX];
	unsigned n_names;  /* n_endpoints + n_names: 1..ROOT_ENDPOINTS_MAX */
	uint8_t gate[32];  /* zero = public gate_0 */
	uint16_t tls_port; /* 0 = takes no streams */
	bool pin_set;
	uint8_t pin[32];
};

/* *ret_at = offset of what is wrong and *ret_why = a sentence with the mend, when false; then *ret is untouched. The
 * claimed address is not verified by its work. */
bool root_line_parse(const char *text, struct root_line *ret, size_t *ret_at, const char **ret_why);
/* Returns the length, or 0 when it does not fit (ROOT_LINE_MAX always does). */
size_t root_line_format(const struct root_line *, char *buf, size_t room);
/* "name.example:9993": a DNS name of letters, digits, '-' and '_' that no one could mean as a number, and a port 1..65535. */
bool root_name_parse(const char *text, struct root_name *ret);

#endif
