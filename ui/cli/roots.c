/* roots.c: root sets on the command line: keys, drafts, signatures. No daemon is asked.
 *
 * A file holds the documents of a set, oldest first. What changes a set writes a draft behind them, or goes on with the draft
 * that stands there; a signature turns it into a document once there are enough of them. So a set with several keys passes
 * from one keeper to the next as one file, and what a daemon takes is the same file. A change takes the signatures off a
 * draft: they were for something else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/output.h"
#include "ui/set_file.h"

struct work {
	const char *path;
	struct rootset_file file;
	struct rootset *chain;             /* the signed ones */
	struct rootset_document *document; /* the draft, or what one would begin as */
	bool draft;
};

static void work_fini(struct work *w)
{
	rootset_file_fini(&w->file);
	rootset_free(w->chain);
	free(w->document);
}

/* 0, or an exit code with the complaint printed. Only the last document may lack signatures. */
static int work_open(struct work *w, const char *path)
{
	char why[SET_FILE_WHY];
	*w = (struct work){.path = path};
	int rc = set_file_read(path, &w->file, why);
	if (rc)
		return complain(rc == -ENOENT ? EXIT_NOT_FOUND : home_exit(rc), "%s", why);
	w->chain = rootset_new();
	w->document = calloc(1, sizeof(*w->document));
	if (!w->chain || !w->document)
		return complain(EXIT_FAILED, "out of memory");
	for (unsigned i = 0; i < w->file.n; i++) {
		const struct rootset_link *l = &w->file.document[i];
		enum rootset_verdict v = rootset_take(w->chain, l->bytes, l->len);
		if (v == ROOTSET_TAKEN)
			continue;
		w->draft = v == ROOTSET_UNSIGNED && i + 1 == w->file.n && rootset_parse(l->bytes, l->len, w->document);
		if (!w->draft)
			return complain(EXIT_REFUSED, "document %u of the file: %s", i + 1, rootset_verdict_text(v));
	}
	if (!w->draft) {
		*w->document = w->chain->now;
		w->document->seq++;
	}
	return 0;
}

static int save(struct work *w, bool fresh)
{
	char why[SET_FILE_WHY];
	int rc = set_file_write(w->path, &w->file, fresh, why);
	return rc ? complain(rc == -EEXIST ? EXIT_CONFLICT : home_exit(rc), "%s", why) : EXIT_OK;
}

/* In place of the draft, or behind the last document. */
static int document_put(struct work *w, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len);
	if (!copy)
		return complain(EXIT_FAILED, "out of memory");
	memcpy(copy, bytes, len);
	if (w->draft)
		free(w->file.document[--w->file.n].bytes);
	if (w->file.n > ROOTSET_CHAIN_MAX) {
		free(copy);
		return complain(EXIT_FAILED, "the keys of this set changed %d times; begin a new one", ROOTSET_CHAIN_MAX - 1);
	}
	w->file.document[w->file.n++] = (struct rootset_link){.bytes = copy, .len = len};
	w->draft = true;
	return EXIT_OK;
}

static int draft_save(struct work *w, bool fresh)
{
	uint8_t bytes[ROOTSET_BYTES_MAX];
	if (!w->chain || !w->chain->n)
		rootset_id(w->document, w->document->id); /* the first: its keys name the set */
	size_t len = rootset_draft(w->document, bytes, sizeof(bytes));
	if (!len)
		return complain(EXIT_USAGE,
		                "this makes no root set: the threshold is 1 to the number of keys, no key and no root stands twice, "
		                "and all of it has at most %d bytes",
		                ROOTSET_BYTES_MAX);
	int code = document_put(w, bytes, len);
	if (code == EXIT_OK)
		code = save(w, fresh);
	if (code == EXIT_OK)
		fprintf(stderr,
		        "farlan: document %" PRIu64 " is a draft with %u roots; it needs the signatures of %u keys: farlan root-set sign\n",
		        w->document->seq, w->document->n_roots, w->chain && w->chain->n ? w->chain->now.threshold : w->document->threshold);
	return code;
}

/* ---- words ---------------------------------------------------------------------------------------------------------------- */

/* "fln1-set-key:..." or the file of a secret one. */
static int key_word(const char *word, uint8_t ret_ed[32])
{
	uint8_t secret[64];
	char why[SET_FILE_WHY];
	if (rootset_key_parse(word, ret_ed))
		return 0;
	if (set_key_read(word, secret, why))
		return complain(EXIT_USAGE, "--key takes fln1-set-key:... or the file of a key: %s", why);
	memcpy(ret_ed, secret + 32, 32);
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

static int number(const struct call *call, const char *name, unsigned most, unsigned *ret)
{
	const char *text = options_value(&call->options, name);
	char *end = NULL;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;
	if (text && (strspn(text, "0123456789") != strlen(text) || !*text || n > most))
		return complain(EXIT_USAGE, "--%s takes a number up to %u", name, most);
	if (text)
		*ret = (unsigned)n;
	return 0;
}

static int keys_given(const struct call *call, struct rootset_document *d)
{
	unsigned n = 0;
	for (unsigned i = 0; i < call->options.n_given; i++) {
		if (strcmp(call->options.given[i].option->name, "key") != 0)
			continue;
		if (n == ROOTSET_KEYS_MAX)
			return complain(EXIT_USAGE, "a set has at most %d keys", ROOTSET_KEYS_MAX);
		int code = key_word(call->options.given[i].value, d->key[n++]);
		if (code)
			return code;
	}
	if (n)
		d->n_keys = n;
	if (!d->n_keys)
		return complain(EXIT_USAGE, "a set needs keys that sign it: --key; farlan root-set new-key makes one");
	return number(call, "threshold", ROOTSET_KEYS_MAX, &d->threshold);
}

/* The gate belongs to the set, not to a root. */
static int root_given(struct work *w, const char *word, const char *region, unsigned weight)
{
	struct rootset_document *d = w->document;
	static const uint8_t open[32];
	struct root_line line;
	const char *why;
	size_t at;
	if (!root_line_parse(word, &line, &at, &why))
		return complain(EXIT_USAGE, "the root's line, character %zu: %s", at + 1, why);
	if (!d->n_roots)
		memcpy(w->file.gate, line.gate, sizeof(line.gate));
	if (memcmp(w->file.gate, line.gate, sizeof(line.gate)) != 0)
		return complain(EXIT_USAGE, "all roots of a set have one gate: this one's %s",
		                memcmp(line.gate, open, 32) ? "is another" : "is missing");
	unsigned i = 0;
	while (i < d->n_roots && memcmp(d->root[i].line.identity.key_hash, line.identity.key_hash, KEY_HASH_BYTES) != 0)
		i++;
	if (i == ROOTSET_ROOTS_MAX)
		return complain(EXIT_USAGE, "a set has at most %d roots", ROOTSET_ROOTS_MAX);
	if (strlen(region) > ROOTSET_REGION_MAX)
		return complain(EXIT_USAGE, "a region's name has at most %d bytes", ROOTSET_REGION_MAX);
	memset(line.gate, 0, sizeof(line.gate));
	d->root[i] = (struct rootset_root){.line = line, .weight = (uint8_t)weight};
	memcpy(d->root[i].region, region, strlen(region));
	d->n_roots += i == d->n_roots;
	return 0;
}

/* ---- verbs ---------------------------------------------------------------------------------------------------------------- */

int run_root_set_new_key(struct call *call)
{
	uint8_t secret[64];
	char why[SET_FILE_WHY], text[ROOTSET_KEY_TEXT];
	rootset_key_new(secret);
	int rc = set_key_write(call->words[0], secret, why);
	rootset_key_format(secret + 32, text);
	explicit_bzero(secret, sizeof(secret));
	if (rc)
		return complain(rc == -EEXIST ? EXIT_CONFLICT : home_exit(rc), "%s", why);
	printf("%s\n", text);
	return EXIT_OK;
}

int run_root_set_create(struct call *call)
{
	struct work w = {.path = call->words[0], .document = calloc(1, sizeof(*w.document))};
	if (!w.document)
		return complain(EXIT_FAILED, "out of memory");
	w.document->seq = w.document->threshold = 1;
	int code = keys_given(call, w.document);
	for (unsigned i = 0; code == 0 && i < call->options.n_given; i++)
		if (!strcmp(call->options.given[i].option->name, "root"))
			code = root_given(&w, call->options.given[i].value, "", ROOTSET_WEIGHT);
	if (code == 0)
		code = draft_save(&w, true);
	work_fini(&w);
	return code;
}

int run_root_set_add(struct call *call)
{
	const char *region = options_value(&call->options, "region");
	unsigned weight = ROOTSET_WEIGHT;
	struct work w;
	int code = work_open(&w, call->words[0]);
	if (code == 0)
		code = number(call, "weight", UINT8_MAX, &weight);
	if (code == 0)
		code = root_given(&w, call->words[1], region ? region : "", weight);
	if (code == 0)
		code = draft_save(&w, false);
	work_fini(&w);
	return code;
}

int run_root_set_remove(struct call *call)
{
	struct work w;
	uint64_t address = 0;
	int code = work_open(&w, call->words[0]);
	struct rootset_document *d = w.document;
	if (code == 0 && !address_parse(call->words[1], &address))
		code = complain(EXIT_USAGE, "a root is told by its address, ten hex digits");
	for (unsigned i = 0; code == 0; i++) {
		if (i == d->n_roots)
			code = complain(EXIT_NOT_FOUND, "the set has no root %s", call->words[1]);
		else if (d->root[i].line.identity.address == address)
			break;
	}
	if (code == 0) {
		unsigned i = 0, n = 0;
		for (; i < d->n_roots; i++)
			if (d->root[i].line.identity.address != address)
				d->root[n++] = d->root[i];
		d->n_roots = n;
		code = draft_save(&w, false);
	}
	work_fini(&w);
	return code;
}

int run_root_set_keys(struct call *call)
{
	struct work w;
	int code = work_open(&w, call->words[0]);
	if (code == 0)
		code = keys_given(call, w.document);
	if (code == 0)
		code = draft_save(&w, false);
	work_fini(&w);
	return code;
}

/* Whole as soon as enough have signed; then what only led there is left out. */
static int sign(struct work *w, const char *path)
{
	uint8_t secret[64], bytes[ROOTSET_BYTES_MAX];
	char why[SET_FILE_WHY];
	int rc = set_key_read(path, secret, why);
	if (rc)
		return complain(home_exit(rc), "%s", why);
	const struct rootset_link *l = &w->file.document[w->file.n - 1];
	const struct rootset_document *signers = w->chain->n ? &w->chain->now : w->document;
	size_t len = rootset_sign(l->bytes, l->len, signers, secret, bytes, sizeof(bytes));
	explicit_bzero(secret, sizeof(secret));
	if (!len)
		return complain(EXIT_REFUSED, "this is none of the keys that may sign document %" PRIu64, w->document->seq);
	return document_put(w, bytes, len);
}

int run_root_set_sign(struct call *call)
{
	struct work w;
	unsigned keys = 0;
	int code = work_open(&w, call->words[0]);
	if (code == 0 && !w.draft)
		code = complain(EXIT_CONFLICT, "document %" PRIu64 " has the signatures it needs", w.chain->now.seq);
	if (code == 0 && !w.document->n_roots)
		code = complain(EXIT_CONFLICT, "the set has no roots yet: farlan root-set add");
	for (unsigned i = 0; code == 0 && i < call->options.n_given; i++)
		if (!strcmp(call->options.given[i].option->name, "key")) {
			code = sign(&w, call->options.given[i].value);
			keys++;
		}
	if (code == 0 && !keys)
		code = complain(EXIT_USAGE, "which key signs? --key FILE");
	if (code)
		goto out;
	const struct rootset_link *l = &w.file.document[w.file.n - 1];
	const struct rootset_document *signers = w.chain->n ? &w.chain->now : w.document;
	unsigned have = rootset_signed(l->bytes, l->len, signers), need = signers->threshold;
	if (rootset_take(w.chain, l->bytes, l->len) == ROOTSET_TAKEN) {
		struct rootset_file compact = rootset_to_file(w.chain);
		char why[SET_FILE_WHY];
		memcpy(compact.gate, w.file.gate, sizeof(compact.gate));
		int rc = set_file_write(w.path, &compact, false, why);
		explicit_bzero(compact.gate, sizeof(compact.gate));
		code = rc ? complain(home_exit(rc), "%s", why) : EXIT_OK;
	} else {
		code = save(&w, false);
	}
	if (code == EXIT_OK)
		printf("document %" PRIu64 ": %u of %u signatures%s\n", w.document->seq, have, need, have < need ? "" : ", complete");
out:
	work_fini(&w);
	return code;
}

/* ---- what it says ------------------------------------------------------------------------------------------------------------ */

static json_t *root_json(const struct rootset_root *r)
{
	char text[ROOT_LINE_MAX], address[ADDRESS_TEXT];
	root_line_format(&r->line, text, sizeof(text));
	address_format(r->line.identity.address, address);
	return json_pack("{s:s, s:s, s:i, s:s}", "address", address, "region", r->region, "weight", r->weight, "line", text);
}

static json_t *set_json(const struct work *w)
{
	const struct rootset_link *l = &w->file.document[w->file.n - 1];
	const struct rootset_document *d = w->draft ? w->document : &w->chain->now;
	static const uint8_t open[32];
	char id[2 * ROOTSET_ID_BYTES + 1], key[ROOTSET_KEY_TEXT];
	json_t *keys = json_array(), *roots = json_array();
	for (unsigned i = 0; i < ROOTSET_ID_BYTES; i++)
		snprintf(id + 2 * i, 3, "%02x", d->id[i]);
	for (unsigned i = 0; i < d->n_keys; i++) {
		rootset_key_format(d->key[i], key);
		json_array_append_new(keys, json_string(key));
	}
	for (unsigned i = 0; i < d->n_roots; i++)
		json_array_append_new(roots, root_json(&d->root[i]));
	const struct rootset_document *signers = w->draft && w->chain->n ? &w->chain->now : d;
	json_t *whole = json_pack("{s:s, s:s, s:I, s:b, s:b, s:i, s:o, s:o}", "schema", "farlan.root-set/1", "id", id, "seq",
	                          (json_int_t)d->seq, "complete", !w->draft, "private", memcmp(w->file.gate, open, 32) != 0, "threshold",
	                          (int)d->threshold, "keys", keys, "roots", roots);
	if (w->draft)
		json_object_set_new(
		    whole, "signatures",
		    json_pack("{s:i, s:i}", "have", (int)rootset_signed(l->bytes, l->len, signers), "need", (int)signers->threshold));
	return whole;
}

int run_root_set_show(struct call *call)
{
	static const struct column columns[] = {{"ADDRESS", "address", CELL_TEXT},
	                                        {"REGION", "region", CELL_TEXT},
	                                        {"WEIGHT", "weight", CELL_COUNT},
	                                        {"LINE", "line", CELL_TEXT},
	                                        {0}};
	struct work w;
	int code = work_open(&w, call->words[0]);
	if (code)
		goto out;
	json_t *whole = set_json(&w), *key;
	size_t i;
	if (call->format != FORMAT_TABLE) {
		code = output_json(call, whole, NULL, "farlan.root-set/1");
	} else {
		const json_t *signatures = json_object_get(whole, "signatures");
		printf("set %s, document %" PRIu64 "%s: ", field(whole, "id"), w.draft ? w.document->seq : w.chain->now.seq,
		       json_is_true(json_object_get(whole, "private")) ? ", private" : "");
		if (signatures)
			printf("a draft, %d of %d signatures\n", (int)json_integer_value(json_object_get(signatures, "have")),
			       (int)json_integer_value(json_object_get(signatures, "need")));
		else
			printf("complete\n");
		printf("the next one is signed by %d of:\n", (int)json_integer_value(json_object_get(whole, "threshold")));
		json_array_foreach(json_object_get(whole, "keys"), i, key)
		{
			printf("  %s\n", json_string_value(key));
		}
		code = output_table(json_object_get(whole, "roots"), columns);
	}
	json_decref(whole);
out:
	work_fini(&w);
	return code;
}

/* As a daemon would read it. */
int run_root_set_verify(struct call *call)
{
	char why[SET_FILE_WHY];
	uint8_t gate[32];
	struct rootset *set = NULL;
	int rc = set_file_load(call->words[0], &set, gate, why);
	explicit_bzero(gate, sizeof(gate));
	if (rc)
		return complain(rc == -EINVAL ? EXIT_REFUSED : rc == -ENOENT ? EXIT_NOT_FOUND : home_exit(rc), "%s", why);
	printf("document %" PRIu64 " with %u roots is signed as it must be\n", set->now.seq, set->now.n_roots);
	rootset_free(set);
	return EXIT_OK;
}
