/* rootset.h: signed sets of roots: who they are, where, and who may change that (PROTOCOL.md, Root sets).
 *
 * A set is named by the hash of its first keys and threshold; each later document is signed by enough of the keys that
 * were current before it, and its seq grows. Documents that change keys or threshold are kept for ever, so that a chain
 * of them leads from the first to the newest whoever was away for how long. Pure; heap, so control thread or command
 * line only. Parsers leave outputs untouched on failure.
 */
#ifndef FARLAN_PROTO_ROOTSET_H
#define FARLAN_PROTO_ROOTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/root_line.h"

#define ROOTSET_ROOTS_MAX  16
#define ROOTSET_KEYS_MAX   8
#define ROOTSET_BYTES_MAX  8192 /* an envelope */
#define ROOTSET_CHAIN_MAX  32   /* the first, those that changed keys, the newest */
#define ROOTSET_ID_BYTES   32
#define ROOTSET_REGION_MAX 31
#define ROOTSET_WEIGHT     100 /* of a root that says nothing; 0 = takes no new homes */
#define ROOTSET_FILE_MAX   (ROOTSET_CHAIN_MAX * (ROOTSET_BYTES_MAX / 3 * 4 + 16) + 128)

struct rootset_root {
	struct root_line line; /* no gate: that of a private set travels beside the document */
	char region[ROOTSET_REGION_MAX + 1];
	uint8_t weight;
};

struct rootset_document {
	uint8_t id[ROOTSET_ID_BYTES];
	uint64_t seq; /* 1 ... */
	unsigned threshold, n_keys;
	uint8_t key[ROOTSET_KEYS_MAX][32]; /* Ed25519, all different: who signs the next one */
	unsigned n_roots;
	struct rootset_root root[ROOTSET_ROOTS_MAX]; /* all different */
	uint32_t flags;
};

/* H256 of threshold and keys: the id of a set whose first document has these. */
void rootset_id(const struct rootset_document *, uint8_t ret_id[ROOTSET_ID_BYTES]);
/* An envelope without signatures; its length, or 0 when it does not fit or breaks a rule. */
size_t rootset_draft(const struct rootset_document *, uint8_t *out, size_t room);
/* Reads without looking at signatures. */
bool rootset_parse(const uint8_t *envelope, size_t len, struct rootset_document *ret);
/* Adds a signature by the index of its key among those of signers (its own for the first document, else those of the one before).
 * 0: not one of them, or malformed. A second signature of one key replaces the first. */
size_t rootset_sign(const uint8_t *envelope, size_t len, const struct rootset_document *signers, const uint8_t ed_secret[64], uint8_t *out,
                    size_t room);
/* How many of the signers' keys signed; 0 too if malformed. */
unsigned rootset_signed(const uint8_t *envelope, size_t len, const struct rootset_document *signers);

/* ---- the chain as its holders keep it ---- */

enum rootset_verdict {
	ROOTSET_TAKEN,
	ROOTSET_SAME,     /* the newest one once more */
	ROOTSET_FORM,     /* malformed, or its id is not that of its keys (first document) */
	ROOTSET_FOREIGN,  /* of another set */
	ROOTSET_OLD,      /* seq below the newest: a rollback */
	ROOTSET_CONFLICT, /* seq of the newest, other content */
	ROOTSET_UNSIGNED, /* fewer signatures of the current keys than the threshold; so too a gap over a change of keys */
	ROOTSET_FULL,     /* keys changed ROOTSET_CHAIN_MAX times, or no memory */
};
const char *rootset_verdict_text(enum rootset_verdict);

struct rootset {
	struct rootset_document now;
	unsigned n;
	struct rootset_link {
		uint64_t seq;
		uint8_t *bytes; /* envelope, owned */
		size_t len;
	} link[ROOTSET_CHAIN_MAX]; /* oldest first; all but the last are kept for ever */
};

/* An empty one takes any well-signed first document. */
struct rootset *rootset_new(void);
void rootset_free(struct rootset *);
enum rootset_verdict rootset_take(struct rootset *, const uint8_t *envelope, size_t len);
/* What follows have_seq: the next document that changed keys, else the newest; NULL: nothing newer. */
const struct rootset_link *rootset_after(const struct rootset *, uint64_t have_seq);

/* ---- files: "fln1-root-set", "gate <base64url>"?, one line "document <base64url>" each, oldest first ---- */

struct rootset_file {
	uint8_t gate[32]; /* zero: public */
	unsigned n;
	struct rootset_link document[ROOTSET_CHAIN_MAX + 1]; /* seq unset; the last may still lack signatures */
};
bool rootset_file_parse(const char *text, size_t len, struct rootset_file *ret);
size_t rootset_file_format(const struct rootset_file *, char *buf, size_t room); /* 0: does not fit */
void rootset_file_fini(struct rootset_file *);                                   /* wipes the gate */
/* The chain of all its documents; NULL with the verdict on the first one refused and its index. */
struct rootset *rootset_from_file(const struct rootset_file *, enum rootset_verdict *ret_why, unsigned *ret_at);
struct rootset_file rootset_to_file(const struct rootset *); /* borrows the chain's bytes: not to be given to _fini */

/* ---- keys ---- */

#define ROOTSET_KEY_TEXT    64 /* "fln1-set-key:<43>" and NUL */
#define ROOTSET_SECRET_TEXT 96 /* "fln1-set-secret:<43>:<8 hex>\n" and NUL */
void rootset_key_new(uint8_t ret_ed_secret[64]);
void rootset_key_format(const uint8_t ed[32], char buf[ROOTSET_KEY_TEXT]);
bool rootset_key_parse(const char *text, uint8_t ret_ed[32]);
void rootset_secret_format(const uint8_t ed_secret[64], char buf[ROOTSET_SECRET_TEXT]);
bool rootset_secret_parse(const char *text, size_t len, uint8_t ret_ed_secret[64]);

#endif
