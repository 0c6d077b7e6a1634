/* rows.c: pages of rows as pieces of text.
 *
 * The first page is read at once: it tells whether the list can be read at all, and most lists are no longer than that. The rest is
 * read when the client has taken what there was. The text of one page is kept until it is handed out, so a reply costs a page of
 * memory whatever its length.
 */
#include "ui/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ui/json.h"

struct rows {
	struct rows_source source;
	char *text; /* owned: what is to go out, from at */
	size_t len, at, room;
	bool any;   /* a row has gone out: the next needs a comma */
	bool whole; /* the tail is in text */
	bool broken;
};

static void put(struct rows *rows, const char *bytes, size_t len)
{
	if (rows->len + len > rows->room) {
		size_t room = 2 * rows->room + len + 4096;
		char *text = realloc(rows->text, room);
		if (!text) {
			rows->broken = true;
			return;
		}
		rows->text = text;
		rows->room = room;
	}
	memcpy(rows->text + rows->len, bytes, len);
	rows->len += len;
}

static int dumped(const char *bytes, size_t len, void *self)
{
	put(self, bytes, len);
	return 0;
}

/* Takes the object; from its second byte on, to its end. */
static void put_tail(struct rows *rows)
{
	json_t *o = json_object();
	if (rows->source.tail)
		rows->source.tail(rows->source.self, o);
	put(rows, json_object_size(o) ? "]," : "]", json_object_size(o) ? 2 : 1);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text)
		put(rows, text + 1, strlen(text) - 1);
	else
		rows->broken = true;
	free(text);
	rows->whole = true;
}

/* false: the source is broken. */
static bool page_next(struct rows *rows)
{
	json_t *array = json_array();
	int more = rows->source.page(rows->source.self, array);
	for (size_t i = 0; i < json_array_size(array); i++, rows->any = true) {
		if (rows->any)
			put(rows, ",", 1);
		if (json_dump_callback(json_array_get(array, i), dumped, rows, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) < 0)
			rows->broken = true;
	}
	json_decref(array);
	if (more < 0)
		rows->broken = true;
	if (!more)
		put_tail(rows);
	return !rows->broken;
}

static ssize_t rows_more(void *self, char *buf, size_t room)
{
	struct rows *rows = self;
	while (rows->at == rows->len && !rows->whole) { /* a source may give an empty page, not for ever */
		rows->at = rows->len = 0;
		if (!page_next(rows))
			return -2;
	}
	size_t n = rows->len - rows->at < room ? rows->len - rows->at : room;
	if (!n)
		return -1;
	memcpy(buf, rows->text + rows->at, n);
	rows->at += n;
	return (ssize_t)n;
}

static void rows_end(void *self)
{
	struct rows *rows = self;
	if (rows->source.end)
		rows->source.end(rows->source.self);
	free(rows->text);
	free(rows);
}

bool reply_rows(struct reply *reply, const char *schema, const char *plural, const struct rows_source *source)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	if (!rows) {
		if (source->end)
			source->end(source->self);
		return false;
	}
	rows->source = *source;
	put(rows, "{", 1);
	if (schema) {
		put(rows, "\"schema\":\"", 10);
		put(rows, schema, strlen(schema));
		put(rows, "\",", 2);
	}
	put(rows, "\"", 1);
	put(rows, plural, strlen(plural));
	put(rows, "\":[", 3);
	if (!page_next(rows)) {
		rows_end(rows);
		return false;
	}
	reply_fini(reply);
	reply->status = 200;
	reply->type = "application/json";
	if (rows->whole) {
		reply->body = rows->text;
		reply->body_len = rows->len;
		reply->owned = true;
		rows->text = NULL;
		rows_end(rows);
		return true;
	}
	reply->more = rows_more;
	reply->end = rows_end;
	reply->stream = rows;
	return true;
}

bool reply_gather(struct reply *reply)
{
	char piece[4096], *text = NULL;
	size_t len = 0;
	ssize_t n = -1;
	while (reply->more && (n = reply->more(reply->stream, piece, sizeof(piece))) > 0) {
		char *grown = realloc(text, len + (size_t)n);
		assert(grown); /* tests only */
		text = grown;
		memcpy(text + len, piece, (size_t)n);
		len += (size_t)n;
	}
	if (!reply->more)
		return true;
	reply_fini(reply);
	reply->body = text;
	reply->body_len = len;
	reply->owned = true;
	return n == -1;
}
