/* invite.c: the link of an invitation and the proof by its key.
 *
 * A link is read by people's mail programs before it is read by us: they cut lines, fold letters, add a full stop. So it ends with a
 * check over all before it, and what is refused names what most likely happened. A root stands in it as bytes, a third shorter than
 * its line, for each character makes the code on the screen finer; but it is judged as a line, by the one parser of those. What was
 * read is written again and must be the same text: there is one spelling of each link, so nothing can hide in it.
 * The proof is a signature over what is unique to the session and to who asks: worth nothing to a controller that is not the
 * real one, to a listener, or to the next one who would use it.
 */
#include "proto/invite.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/base/cursor.h"
#include "proto/random.h"

#define VERSION     "v1/"
#define KEY_BYTES   40
#define KEY_CHARS   54
#define CHECK_BYTES 4
#define CHECK_CHARS 6
#define CHECK_PART  (3 + CHECK_CHARS) /* "&c=" */
#define LONG_NWID   (NWID_TEXT - 1 + 27)
#define ROOT_BYTES  1200 /* identity, four of the longest names, gate, pin */
#define BASE64      sodium_base64_VARIANT_URLSAFE_NO_PADDING

enum root_flag { ROOT_GATE = 1, ROOT_PIN = 2, ROOT_TLS = 4, ROOT_FLAGS = 7 };

/* ---- the key ------------------------------------------------------------------------------------------------------- */

void invite_draw(struct invite_key *ret)
{
	do
		random_bytes(&ret->id, sizeof ret->id);
	while (!ret->id);
	random_bytes(ret->seed, sizeof ret->seed);
}

void invite_public(const uint8_t seed[32], uint8_t ret[32])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	crypto_sign_seed_keypair(ret, secret, seed);
	sodium_memzero(secret, sizeof secret);
}

#define STATEMENT_BYTES (1 + 9 + 32 + 8 + 32)

static void statement(uint8_t ret[STATEMENT_BYTES], const uint8_t exporter[32], uint64_t nwid, const uint8_t key_hash[32])
{
	struct writer w = writer_over(ret, STATEMENT_BYTES);
	put_u8(&w, 9);
	put_bytes(&w, "fln1 join", 9);
	put_bytes(&w, exporter, 32);
	put_be(&w, nwid, 8);
	put_bytes(&w, key_hash, 32);
}

void invite_sign(const uint8_t seed[32], const uint8_t exporter[32], uint64_t nwid, const uint8_t key_hash[32],
                 uint8_t ret[INVITE_PROOF_BYTES])
{
	uint8_t public[32], secret[crypto_sign_SECRETKEYBYTES], m[STATEMENT_BYTES];
	crypto_sign_seed_keypair(public, secret, seed);
	statement(m, exporter, nwid, key_hash);
	crypto_sign_detached(ret, NULL, m, sizeof m, secret);
	sodium_memzero(secret, sizeof secret);
}

bool invite_verify(const uint8_t public[32], const uint8_t exporter[32], uint64_t nwid, const uint8_t key_hash[32],
                   const uint8_t proof[INVITE_PROOF_BYTES])
{
	uint8_t m[STATEMENT_BYTES];
	statement(m, exporter, nwid, key_hash);
	return !crypto_sign_verify_detached(proof, m, sizeof m, public);
}

void invite_id_format(uint64_t id, char ret[INVITE_ID_TEXT])
{
	snprintf(ret, INVITE_ID_TEXT, "%016llx", (unsigned long long)id);
}

bool invite_id_parse(const char *text, uint64_t *ret)
{
	uint64_t id = 0;
	if (strnlen(text, INVITE_ID_TEXT) != INVITE_ID_TEXT - 1)
		return false;
	for (const char *p = text; *p; p++) {
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
			return false;
		id = id << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	}
	if (!id)
		return false;
	*ret = id;
	return true;
}

/* ---- roots as bytes ------------------------------------------------------------------------------------------------ */

static void host_put(struct writer *w, const struct root_line *r, unsigned i)
{
	if (i < r->n_endpoints) {
		const struct endpoint *e = &r->endpoints[i];
		put_u8(w, e->family);
		put_bytes(w, e->ip, e->family == 4 ? 4 : 16);
		put_be(w, e->port, 2);
		return;
	}
	const struct root_name *name = &r->names[i - r->n_endpoints];
	put_u8(w, 0);
	put_u8(w, (uint8_t)strlen(name->host));
	put_bytes(w, name->host, strlen(name->host));
	put_be(w, name->port, 2);
}

static size_t root_put(const struct root_line *r, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room);
	unsigned flags =
	    (sodium_is_zero(r->gate, 32) ? 0u : ROOT_GATE) | (r->pin_set ? ROOT_PIN : 0u) | (r->tls_port != ROOT_TLS_PORT ? ROOT_TLS : 0u);
	unsigned hosts = r->n_endpoints + r->n_names;
	put_bytes(&w, r->identity.x, 32);
	put_bytes(&w, r->identity.ed, 32);
	put_be(&w, r->identity.address, 5);
	put_u8(&w, (uint8_t)(hosts << 4 | flags));
	for (unsigned i = 0; i < hosts; i++)
		host_put(&w, r, i);
	if (flags & ROOT_TLS)
		put_be(&w, r->tls_port, 2);
	if (flags & ROOT_GATE)
		put_bytes(&w, r->gate, 32);
	if (flags & ROOT_PIN)
		put_bytes(&w, r->pin, 32);
	return w.bad || !hosts || hosts > ROOT_ENDPOINTS_MAX ? 0 : writer_len(&w);
}

static void host_get(struct reader *r, struct root_line *line)
{
	uint8_t kind = get_u8(r);
	if (kind == 4 || kind == 6) {
		struct endpoint *e = &line->endpoints[line->n_endpoints++];
		*e = (struct endpoint){.family = kind};
		get_copy(r, e->ip, kind == 4 ? 4 : 16);
		e->port = (uint16_t)get_be(r, 2);
		return;
	}
	struct root_name *name = &line->names[line->n_names++];
	uint8_t len = get_u8(r);
	if (kind || len > ROOT_HOST_MAX) {
		r->bad = true;
		return;
	}
	get_copy(r, name->host, len);
	name->host[len] = 0;
	name->port = (uint16_t)get_be(r, 2);
}

/* What it says may still be nonsense: the text of the line is the judge. */
static bool root_get(const uint8_t *bytes, size_t len, struct root_line *ret)
{
	struct reader r = reader_over(bytes, len);
	struct root_line line = {.tls_port = ROOT_TLS_PORT};
	char text[ROOT_LINE_MAX];
	size_t at;
	const char *why;
	get_copy(&r, line.identity.x, 32);
	get_copy(&r, line.identity.ed, 32);
	line.identity.address = get_be(&r, 5);
	unsigned head = get_u8(&r), hosts = head >> 4, flags = head & 15;
	if (r.bad || !hosts || hosts > ROOT_ENDPOINTS_MAX || flags & ~(unsigned)ROOT_FLAGS)
		return false;
	for (unsigned i = 0; i < hosts && !r.bad; i++)
		host_get(&r, &line);
	if (flags & ROOT_TLS)
		line.tls_port = (uint16_t)get_be(&r, 2);
	if (flags & ROOT_GATE)
		get_copy(&r, line.gate, 32);
	line.pin_set = flags & ROOT_PIN;
	if (line.pin_set)
		get_copy(&r, line.pin, 32);
	bool good = !r.bad && !reader_left(&r) && root_line_format(&line, text, sizeof text) && root_line_parse(text, ret, &at, &why);
	sodium_memzero(text, sizeof text);
	sodium_memzero(&line, sizeof line);
	return good;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static void text_put(struct writer *w, const char *text)
{
	put_bytes(w, text, strlen(text));
}

static void base64_put(struct writer *w, const uint8_t *bytes, size_t n)
{
	char text[ROOT_BYTES * 4 / 3 + 4];
	sodium_bin2base64(text, sizeof text, bytes, n, BASE64);
	text_put(w, text);
	sodium_memzero(text, sizeof text);
}

static void check_of(const char *text, size_t len, uint8_t ret[CHECK_BYTES])
{
	uint8_t hash[32];
	hash256(hash, "fln1 link", text, len);
	memcpy(ret, hash, CHECK_BYTES);
}

size_t invite_link_format(const struct invite_link *link, char *buf, size_t room)
{
	char text[INVITE_LINK_MAX], id[LONG_NWID + 1];
	uint8_t bytes[ROOT_BYTES], key_hash[KEY_HASH_BYTES] = {0};
	struct writer w = writer_over(text, sizeof text - 1), key = writer_over(bytes, KEY_BYTES);
	memcpy(key_hash, link->pin, sizeof link->pin);
	nwid_format_long(link->nwid, key_hash, id);
	text_put(&w, INVITE_SCHEME VERSION);
	text_put(&w, id);
	text_put(&w, "?k=");
	put_be(&key, link->key.id, 8);
	put_bytes(&key, link->key.seed, 32);
	base64_put(&w, bytes, KEY_BYTES);
	for (unsigned i = 0; i < link->n_roots; i++) {
		size_t n = root_put(&link->roots[i], bytes, sizeof bytes);
		if (!n)
			w.bad = true;
		text_put(&w, "&r=");
		base64_put(&w, bytes, n);
	}
	check_of(text, writer_len(&w), bytes);
	text_put(&w, "&c=");
	base64_put(&w, bytes, CHECK_BYTES);
	size_t len = w.bad || link->n_roots > INVITE_ROOTS_MAX || writer_len(&w) >= room ? 0 : writer_len(&w);
	if (len) {
		text[len] = 0;
		memcpy(buf, text, len + 1);
	}
	sodium_memzero(text, sizeof text);
	sodium_memzero(bytes, sizeof bytes);
	return len;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct refusal {
	size_t at;
	const char *why;
};

static bool refuse(struct refusal *r, size_t at, const char *why)
{
	*r = (struct refusal){at, why};
	return false;
}

static bool link_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(":/?&=-_", c));
}

static bool any_upper(const char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			return true;
	return false;
}

/* Is it a whole link at all? Says what became of one on its way. */
static bool whole(const char *text, struct refusal *r)
{
	size_t len = strnlen(text, INVITE_LINK_MAX), front = strlen(INVITE_SCHEME), at;
	uint8_t want[CHECK_BYTES], is[CHECK_BYTES];
	if (strncasecmp(text, INVITE_SCHEME, front) != 0)
		return refuse(r, 0, "an invitation begins with farlan://; copy it anew from there");
	if (len == INVITE_LINK_MAX)
		return refuse(r, len - 1, "it is longer than any invitation; was something pasted twice?");
	for (at = 0; at < len && link_byte(text[at]); at++)
		;
	if (at < len)
		return refuse(r, at, "this character is in no invitation; copy the link anew, without what stands around it");
	if (!any_upper(text))
		return refuse(r, front, "its capital letters became small ones on the way, so it means nothing any more; copy it anew");
	if (strncmp(text, INVITE_SCHEME, front) != 0)
		return refuse(r, 0, "letters of it were changed on the way: it begins with farlan://; copy it anew");
	if (strncmp(text + front, VERSION, strlen(VERSION)) != 0)
		return refuse(r, front, "it is of another version of Farlan; install the version of who invites");
	if (len < front + CHECK_PART || strncmp(text + len - CHECK_PART, "&c=", 3) != 0)
		return refuse(r, len, "its end is missing; copy the whole link, it ends with &c= and six characters");
	check_of(text, len - CHECK_PART, want);
	if (!base64_parse(text + len - CHECK_CHARS, CHECK_CHARS, is, CHECK_BYTES) || !bytes_equal(want, is, CHECK_BYTES))
		return refuse(r, len - CHECK_CHARS, "a part of it was changed or lost on the way; copy it anew");
	return true;
}

/* One "k=" or "r=", by its order. */
static bool part_parse(const char *part, size_t len, unsigned i, struct invite_link *link)
{
	uint8_t bytes[ROOT_BYTES];
	bool good = false;
	if (len < 2 || part[1] != '=' || part[0] != (i ? 'r' : 'k'))
		return false;
	part += 2;
	len -= 2;
	if (!i && len == KEY_CHARS && base64_parse(part, len, bytes, KEY_BYTES)) {
		struct reader r = reader_over(bytes, KEY_BYTES);
		link->key.id = get_be(&r, 8);
		get_copy(&r, link->key.seed, sizeof link->key.seed);
		good = link->key.id != 0;
	} else if (i && i <= INVITE_ROOTS_MAX && len * 3 / 4 <= sizeof bytes) {
		good = base64_parse(part, len, bytes, len * 3 / 4) && root_get(bytes, len * 3 / 4, &link->roots[link->n_roots]);
		link->n_roots += good;
	}
	sodium_memzero(bytes, sizeof bytes);
	return good;
}

static bool parts_parse(const char *text, struct invite_link *link, struct refusal *r)
{
	static const char damaged[] = "its check is right but this part is none that is known; ask for a new invitation";
	size_t front = strlen(INVITE_SCHEME VERSION), end = strlen(text) - CHECK_PART, at = front + strcspn(text + front, "?");
	char id[LONG_NWID + 1];
	bool pin;
	if (at - front != LONG_NWID || at >= end)
		return refuse(r, front, damaged);
	memcpy(id, text + front, LONG_NWID);
	id[LONG_NWID] = 0;
	if (!nwid_parse(id, &link->nwid, &pin, link->pin) || !pin)
		return refuse(r, front, damaged);
	for (unsigned i = 0; at < end; i++) {
		size_t len = strcspn(text + at + 1, "&");
		if (!part_parse(text + at + 1, len, i, link))
			return refuse(r, at + 1, damaged);
		at += 1 + len;
	}
	return true;
}

bool invite_link_parse(const char *text, struct invite_link *ret, size_t *ret_at, const char **ret_why)
{
	struct invite_link link = {0};
	struct refusal r = {0};
	char again[INVITE_LINK_MAX];
	bool good = whole(text, &r) && parts_parse(text, &link, &r);
	if (good && (!invite_link_format(&link, again, sizeof again) || strcmp(text, again) != 0))
		good = refuse(&r, strlen(INVITE_SCHEME), "it is not written as an invitation is; ask for a new one");
	sodium_memzero(again, sizeof again);
	if (good) {
		*ret = link;
	} else {
		*ret_at = r.at;
		*ret_why = r.why;
	}
	invite_link_fini(&link);
	return good;
}

void invite_link_fini(struct invite_link *link)
{
	sodium_memzero(link, sizeof *link);
}
