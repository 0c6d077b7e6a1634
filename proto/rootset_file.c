/* rootset_file.c: root sets and the keys that sign them as text, for people to copy.
 *
 * A file has one document per line in base64url, the first one first; a daemon reads its chain from there, and the
 * command line appends a draft that gathers signatures. The gate of a private set stands beside the documents and under no
 * signature: it opens the roots to whoever has the file, and changes without them. A key's secret ends with a check, so that
 * a torn copy is not taken for another key.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rootset.h"

#define TITLE      "fln1-root-set"
#define GATE       "gate "
#define DOCUMENT   "document "
#define KEY        "fln1-set-key:"
#define SECRET     "fln1-set-secret:"
#define KEY_TEXT   43 /* base64url of 32 bytes without padding */
#define CHECK_TEXT 8

static void base64_put(const uint8_t *bytes, size_t n, char *to, size_t room)
{
	sodium_bin2base64(to, room, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ---- files ---- */

void rootset_file_fini(struct rootset_file *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->document[i].bytes);
	sodium_memzero(f, sizeof *f);
}

static bool document_line(struct rootset_file *f, const char *text, size_t len)
{
	size_t n = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
	if (f->n == ROOTSET_CHAIN_MAX + 1 || len % 4 == 1 || !n || n > ROOTSET_BYTES_MAX)
		return false;
	uint8_t *bytes = malloc(n);
	if (!bytes || !base64_parse(text, len, bytes, n)) {
		free(bytes);
		return false;
	}
	f->document[f->n++] = (struct rootset_link){.bytes = bytes, .len = n};
	return true;
}

static bool line_take(struct rootset_file *f, const char *line, size_t len, unsigned number)
{
	if (number == 0)
		return len == strlen(TITLE) && !memcmp(line, TITLE, len);
	if (len > strlen(DOCUMENT) && !memcmp(line, DOCUMENT, strlen(DOCUMENT)))
		return document_line(f, line + strlen(DOCUMENT), len - strlen(DOCUMENT));
	if (number == 1 && len == strlen(GATE) + KEY_TEXT && !memcmp(line, GATE, strlen(GATE)))
		return base64_parse(line + strlen(GATE), KEY_TEXT, f->gate, sizeof f->gate) && !sodium_is_zero(f->gate, sizeof f->gate);
	return false;
}

bool rootset_file_parse(const char *text, size_t len, struct rootset_file *ret)
{
	struct rootset_file f = {0};
	bool ok = len <= ROOTSET_FILE_MAX;
	unsigned number = 0;
	for (size_t at = 0; ok && at < len;) {
		const char *line = text + at, *end = memchr(line, '\n', len - at);
		size_t n = end ? (size_t)(end - line) : len - at;
		at += n + 1;
		if (n && line[n - 1] == '\r')
			n--;
		ok = !n || line_take(&f, line, n, number);
		number += n != 0;
	}
	ok = ok && f.n;
	if (ok)
		*ret = f;
	else
		rootset_file_fini(&f);
	sodium_memzero(f.gate, sizeof f.gate);
	return ok;
}

size_t rootset_file_format(const struct rootset_file *f, char *buf, size_t room)
{
	size_t need = strlen(TITLE) + 1 + strlen(GATE) + KEY_TEXT + 1 + 1;
	for (unsigned i = 0; i < f->n; i++)
		need += strlen(DOCUMENT) + sodium_base64_ENCODED_LEN(f->document[i].len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	if (need > room)
		return 0;
	char *at = stpcpy(buf, TITLE "\n");
	if (!sodium_is_zero(f->gate, sizeof f->gate)) {
		at = stpcpy(at, GATE);
		base64_put(f->gate, sizeof f->gate, at, KEY_TEXT + 1);
		at = stpcpy(at + KEY_TEXT, "\n");
	}
	for (unsigned i = 0; i < f->n; i++) {
		at = stpcpy(at, DOCUMENT);
		base64_put(f->document[i].bytes, f->document[i].len, at, room - (size_t)(at - buf));
		at = stpcpy(at + strlen(at), "\n");
	}
	return (size_t)(at - buf);
}

struct rootset *rootset_from_file(const struct rootset_file *f, enum rootset_verdict *ret_why, unsigned *ret_at)
{
	struct rootset *set = rootset_new();
	*ret_why = ROOTSET_FULL;
	*ret_at = 0;
	for (unsigned i = 0; set && i < f->n; i++) {
		*ret_at = i;
		*ret_why = rootset_take(set, f->document[i].bytes, f->document[i].len);
		if (*ret_why != ROOTSET_TAKEN) {
			rootset_free(set);
			return NULL;
		}
	}
	return set;
}

struct rootset_file rootset_to_file(const struct rootset *set)
{
	struct rootset_file f = {.n = set->n};
	memcpy(f.document, set->link, set->n * sizeof set->link[0]);
	return f;
}

/* ---- keys ---- */

void rootset_key_new(uint8_t ret_ed_secret[64])
{
	uint8_t ed[32];
	crypto_sign_keypair(ed, ret_ed_secret);
}

void rootset_key_format(const uint8_t ed[32], char buf[ROOTSET_KEY_TEXT])
{
	char *at = stpcpy(buf, KEY);
	base64_put(ed, 32, at, KEY_TEXT + 1);
}

bool rootset_key_parse(const char *text, uint8_t ret_ed[32])
{
	uint8_t ed[32];
	size_t n = strlen(KEY);
	if (strncmp(text, KEY, n) != 0 || strlen(text + n) != KEY_TEXT || !base64_parse(text + n, KEY_TEXT, ed, 32))
		return false;
	memcpy(ret_ed, ed, 32);
	return true;
}

static void secret_check(const uint8_t ed[32], char buf[CHECK_TEXT + 1])
{
	uint8_t hash[32];
	hash256(hash, "fln1 set secret", ed, 32);
	sodium_bin2hex(buf, CHECK_TEXT + 1, hash, CHECK_TEXT / 2);
}

void rootset_secret_format(const uint8_t ed_secret[64], char buf[ROOTSET_SECRET_TEXT])
{
	char *at = stpcpy(buf, SECRET);
	base64_put(ed_secret, 32, at, KEY_TEXT + 1);
	at += KEY_TEXT;
	*at++ = ':';
	secret_check(ed_secret + 32, at);
	stpcpy(at + CHECK_TEXT, "\n");
}

bool rootset_secret_parse(const char *text, size_t len, uint8_t ret_ed_secret[64])
{
	uint8_t seed[32], ed[32], secret[64];
	char check[CHECK_TEXT + 1];
	size_t n = strlen(SECRET);
	bool ok = false;
	if (len && text[len - 1] == '\n')
		len--;
	if (len != n + KEY_TEXT + 1 + CHECK_TEXT || memcmp(text, SECRET, n) != 0 || text[n + KEY_TEXT] != ':' ||
	    !base64_parse(text + n, KEY_TEXT, seed, 32))
		goto out;
	crypto_sign_seed_keypair(ed, secret, seed);
	secret_check(ed, check);
	ok = !memcmp(check, text + n + KEY_TEXT + 1, CHECK_TEXT);
	if (ok)
		memcpy(ret_ed_secret, secret, sizeof secret);
out:
	sodium_memzero(seed, sizeof seed);
	sodium_memzero(secret, sizeof secret);
	return ok;
}
