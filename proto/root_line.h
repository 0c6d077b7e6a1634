/* root_line.h: how a root is named in a config file: who it is, where it listens, and the gate of a private one.
 *
 * "fln1:<address>:<key>@IP:PORT[,IP:PORT]...[#gate=<base64url 32>]", IPv6 in brackets. Pure; any thread. A line with a
 * gate is a secret: it opens the root to whoever reads it.
 */
#ifndef FARLAN_PROTO_ROOT_LINE_H
#define FARLAN_PROTO_ROOT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/endpoint.h"
#include "proto/ident.h"

#define ROOT_ENDPOINTS_MAX 4
#define ROOT_LINE_MAX      512

struct root_line {
	struct identity identity;
	struct endpoint endpoints[ROOT_ENDPOINTS_MAX];
	unsigned n_endpoints;
	uint8_t gate[32]; /* zero = public gate_0 */
};

/* *ret_at = offset of what is wrong and *ret_why = a sentence with the mend, when false; then *ret is untouched. The
 * claimed address is not verified by its work. */
bool root_line_parse(const char *text, struct root_line *ret, size_t *ret_at, const char **ret_why);
/* Returns the length, or 0 when it does not fit (ROOT_LINE_MAX always does). */
size_t root_line_format(const struct root_line *, char *buf, size_t room);

#endif
