/* stream_upgrade.h: the few lines of HTTP/1.1 in front of a stream: CONNECT to a proxy, the WebSocket upgrade (RFC 6455, 4), their answers.
 *
 * Pure text; any thread. The path of an upgrade request is the base64url of an INIT, which is how a root tells its own from all others:
 * who has no business there gets what any web server says to a path it does not have.
 */
#ifndef FARLAN_NODE_STREAM_UPGRADE_H
#define FARLAN_NODE_STREAM_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPGRADE_REQUEST_MAX 4096 /* the longest INIT, the longest host, and what stands around them */
#define UPGRADE_ANSWER_MAX  8192 /* header bytes that are read before the other side is given up */
#define UPGRADE_ACCEPT      29   /* base64 of a SHA-1 and NUL */
#define UPGRADE_NONCE       16

/* host: as in a URL, IPv6 in brackets, with ":port" unless that is 443. Returns the length, 0 when it does not fit. ret_accept: what the
 * answer must say. */
size_t upgrade_request(const char *host, const uint8_t nonce[UPGRADE_NONCE], const uint8_t *init, size_t len,
                       char ret_accept[UPGRADE_ACCEPT], char *out, size_t room);
/* The other end of it: the header of a request so far. Its length with the blank line, 0 while it is not complete, -EBADMSG for what is no HTTP/1 or
 * longer than UPGRADE_REQUEST_MAX. */
struct upgrade_asked {
	bool head;                   /* wants no body in the answer */
	size_t init_len;             /* > 0: a WebSocket upgrade whose path has an INIT's length */
	uint8_t init[1232];          /* INIT_MAX */
	char accept[UPGRADE_ACCEPT]; /* then: what the answer must say */
};
long upgrade_read(const char *bytes, size_t len, struct upgrade_asked *ret);
/* The answer to it. */
size_t upgrade_welcome(const char *accept, char *out, size_t room);
/* "CONNECT host:port"; authority always with its port. */
size_t upgrade_connect(const char *authority, char *out, size_t room);
/* The answer's header so far: its length with the blank line, 0 while it is not complete, -EBADMSG for what is no HTTP or too long, -EACCES
 * for another status than wanted, or one without the accept (may be NULL) that was asked for. */
long upgrade_answer(const char *bytes, size_t len, unsigned status, const char *accept);
/* Sec-WebSocket-Accept of a Sec-WebSocket-Key; false when that is none. */
bool upgrade_accept(const char *key, char ret[UPGRADE_ACCEPT]);
/* "/<base64url>" -> the bytes of what has an INIT's length; 0 for anything else. room >= INIT_MAX. */
size_t upgrade_path(const char *path, uint8_t *ret, size_t room);

#endif
