/* stream_upgrade.c: requests are written whole, answers are looked at anew with every byte that came, since they are short and come once.
 *
 * Of an answer only the status and Sec-WebSocket-Accept matter. The latter proves nothing of who answers; it keeps a cache or a portal
 * that says yes to everything from being taken for the other end. FLN1 inside proves the rest.
 */
#include "node/stream_upgrade.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/ident.h"
#include "proto/wire.h"

#define GUID       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
#define SHA1_BYTES 20
#define KEY_TEXT   24 /* base64 of the nonce */
#define INIT_TEXT  ((INIT_MAX * 4 + 2) / 3)

/* Base64 with padding; false without memory or room. */
static bool base64(const uint8_t *bytes, size_t len, char *ret, size_t room)
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)bytes, (unsigned)len}, out = {NULL, 0};
	if (gnutls_base64_encode2(&in, &out) < 0)
		return false;
	bool fits = out.size < room;
	if (fits) {
		memcpy(ret, out.data, out.size);
		ret[out.size] = '\0';
	}
	gnutls_free(out.data);
	return fits;
}

bool upgrade_accept(const char *key, char ret[UPGRADE_ACCEPT])
{
	char text[KEY_TEXT + sizeof(GUID)];
	uint8_t sha1[SHA1_BYTES];
	if (strlen(key) != KEY_TEXT)
		return false;
	int n = snprintf(text, sizeof(text), "%s" GUID, key);
	return gnutls_hash_fast(GNUTLS_DIG_SHA1, text, (size_t)n, sha1) == 0 && base64(sha1, sizeof(sha1), ret, UPGRADE_ACCEPT);
}

size_t upgrade_path(const char *path, uint8_t *ret, size_t room)
{
	size_t len = strnlen(path, INIT_TEXT + 2);
	if (len < 2 || path[0] != '/' || len > INIT_TEXT + 1)
		return 0;
	size_t bytes = (len - 1) * 3 / 4;
	if (bytes < INIT_MIN || bytes > INIT_MAX || bytes > room || !base64_parse(path + 1, len - 1, ret, bytes))
		return 0;
	return bytes;
}

size_t upgrade_request(const char *host, const uint8_t nonce[UPGRADE_NONCE], const uint8_t *init, size_t len,
                       char ret_accept[UPGRADE_ACCEPT], char *out, size_t room)
{
	char path[INIT_TEXT + 4], key[KEY_TEXT + 1];
	if (len > INIT_MAX || !base64(init, len, path, sizeof(path)) || !base64(nonce, UPGRADE_NONCE, key, sizeof(key)) ||
	    !upgrade_accept(key, ret_accept))
		return 0;
	for (char *p = path; *p; p++) {
		if (*p == '=')
			*p = '\0'; /* the last character then, or the one after it is padding too */
		else if (*p == '+')
			*p = '-';
		else if (*p == '/')
			*p = '_';
		if (!*p)
			break;
	}
	int n = snprintf(out, room,
	                 "GET /%s HTTP/1.1\r\n"
	                 "Host: %s\r\n"
	                 "Connection: Upgrade\r\n"
	                 "Upgrade: websocket\r\n"
	                 "Sec-WebSocket-Version: 13\r\n"
	                 "Sec-WebSocket-Key: %s\r\n\r\n",
	                 path, host, key);
	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

size_t upgrade_connect(const char *authority, char *out, size_t room)
{
	int n = snprintf(out, room, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority);
	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

size_t upgrade_welcome(const char *accept, char *out, size_t room)
{
	int n = snprintf(out, room,
	                 "HTTP/1.1 101 Switching Protocols\r\n"
	                 "Upgrade: websocket\r\n"
	                 "Connection: Upgrade\r\n"
	                 "Sec-WebSocket-Accept: %s\r\n\r\n",
	                 accept);
	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* "HTTP/1.x NNN", or 0. */
static unsigned status_of(const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' || (len > 12 && line[12] != ' '))
		return 0;
	unsigned status = 0;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(line[i] - '0');
	}
	return status;
}

/* The value of a header line of that name (with its colon) without the blanks around it, or NULL. */
static const char *value_of(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t at = strlen(name);
	if (len < at || strncasecmp(line, name, at) != 0)
		return NULL;
	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	while (len > at && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*ret_len = len - at;
	return line + at;
}

static bool says(const char *line, size_t len, const char *name, const char *wanted)
{
	size_t n = 0;
	const char *value = value_of(line, len, name, &n);
	return value && n == strlen(wanted) && strncasecmp(value, wanted, n) == 0;
}

static bool says_accept(const char *line, size_t len, const char *accept)
{
	size_t n = 0;
	const char *value = value_of(line, len, "Sec-WebSocket-Accept:", &n);
	return value && n == strlen(accept) && memcmp(value, accept, n) == 0;
}

/* "Connection: keep-alive, Upgrade" */
static bool lists_upgrade(const char *line, size_t len)
{
	static const char word[] = "upgrade";
	size_t n = 0, w = sizeof(word) - 1;
	const char *value = value_of(line, len, "Connection:", &n);
	for (size_t i = 0; value && i + w <= n; i++)
		if (strncasecmp(value + i, word, w) == 0)
			return true;
	return false;
}

/* The line at from without its end; NULL when its end has not come. */
static const char *line_end(const char *from, const char *end, const char **ret_next)
{
	const char *lf = memchr(from, '\n', (size_t)(end - from));
	if (!lf)
		return NULL;
	*ret_next = lf + 1;
	return lf > from && lf[-1] == '\r' ? lf - 1 : lf;
}

long upgrade_answer(const char *bytes, size_t len, unsigned status, const char *accept)
{
	static const char begin[] = "HTTP/1.";
	const char *at = bytes, *end = bytes + len, *next = NULL, *stop;
	unsigned got = 0;
	bool accepted = !accept;

	if (memcmp(bytes, begin, len < sizeof(begin) - 1 ? len : sizeof(begin) - 1) != 0)
		return -EBADMSG;
	for (; (stop = line_end(at, end, &next)); at = next) {
		size_t n = (size_t)(stop - at);
		if (at == bytes) {
			got = status_of(at, n);
			if (!got)
				return -EBADMSG;
		} else if (n == 0) {
			return got == status && accepted ? (long)(next - bytes) : -EACCES;
		} else if (accept && says_accept(at, n, accept)) {
			accepted = true;
		}
	}
	return len < UPGRADE_ANSWER_MAX ? 0 : -EBADMSG;
}

/* What a request says so far; an upgrade has all of it. */
struct request {
	bool websocket, connection, version;
	char key[KEY_TEXT + 1];
};

/* "METHOD /path HTTP/1.x" */
static bool request_line(const char *line, size_t len, struct upgrade_asked *asked)
{
	char path[INIT_TEXT + 2];
	const char *space = memchr(line, ' ', len), *last = space ? memrchr(line, ' ', len) : NULL;
	size_t method = space ? (size_t)(space - line) : 0, n = last && last > space ? (size_t)(last - space - 1) : 0;
	if (!method || method > 20 || !n || space[1] != '/' || (size_t)(line + len - last) != 9 || memcmp(last, " HTTP/1.", 8) != 0)
		return false;
	for (size_t i = 0; i < method; i++)
		if (line[i] < 'A' || line[i] > 'Z')
			return false;
	asked->head = method == 4 && memcmp(line, "HEAD", 4) == 0;
	if (method == 3 && memcmp(line, "GET", 3) == 0 && n < sizeof(path)) {
		memcpy(path, space + 1, n);
		path[n] = '\0';
		asked->init_len = upgrade_path(path, asked->init, sizeof(asked->init));
	}
	return true;
}

static void request_header(const char *line, size_t len, struct request *r)
{
	size_t n = 0;
	const char *key = value_of(line, len, "Sec-WebSocket-Key:", &n);
	if (key && n == KEY_TEXT)
		memcpy(r->key, key, n);
	r->websocket = r->websocket || says(line, len, "Upgrade:", "websocket");
	r->connection = r->connection || lists_upgrade(line, len);
	r->version = r->version || says(line, len, "Sec-WebSocket-Version:", "13");
}

long upgrade_read(const char *bytes, size_t len, struct upgrade_asked *ret)
{
	struct upgrade_asked asked = {0};
	struct request r = {0};
	const char *at = bytes, *end = bytes + len, *next = NULL, *stop;
	_Static_assert(sizeof(asked.init) == INIT_MAX, "the header says it by number");
	for (; (stop = line_end(at, end, &next)); at = next) {
		size_t n = (size_t)(stop - at);
		if (at == bytes && !request_line(at, n, &asked))
			return -EBADMSG;
		if (at != bytes && n == 0) {
			if (!r.websocket || !r.connection || !r.version || !upgrade_accept(r.key, asked.accept))
				asked.init_len = 0;
			*ret = asked;
			return (long)(next - bytes);
		}
		if (at != bytes)
			request_header(at, n, &r);
	}
	return len < UPGRADE_REQUEST_MAX ? 0 : -EBADMSG;
}
