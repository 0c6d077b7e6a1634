/* http_reply.c: a reply as libmicrohttpd wants it: its head, and a body that is there or comes in pieces.
 *
 * A body in pieces is asked for by MHD whenever the piece before has left, a few KiB each, once in a turn; so a long one holds up
 * nobody, and one that nobody reads costs a buffer. Every piece renews the connection's deadline: who takes none for that long is
 * cut. A stream that has nothing yet leaves its connection suspended, like an answer that waits.
 */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/log.h"
#include "ui/http_parts.h"

#define PIECE_BYTES (32 * 1024) /* for HTTP/1.0; else MHD's memory of the connection bounds it */

struct stream {
	ssize_t (*more)(void *self, char *buf, size_t room);
	void (*end)(void *self);
	void *self;
	unsigned beat_ms;
	struct exchange *exchange; /* outlives every call of more */
};

static ssize_t stream_more(void *self, uint64_t at, char *buf, size_t room)
{
	struct stream *stream = self;
	struct exchange *exchange = stream->exchange;
	struct http *http = exchange->http;
	struct client *client = client_of(exchange->connection);
	(void)at;
	ssize_t n = stream->more(stream->self, buf, room);
	assert(n <= (ssize_t)room);
	if (n == 0)
		exchange_suspend(exchange, stream->beat_ms ? uv_now(http->loop) + stream->beat_ms : UINT64_MAX);
	else if (client)
		client->deadline = deadline_after(http);
	return n > 0 ? n : n == 0 ? 0 : n == -1 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_end(void *self)
{
	struct stream *stream = self;
	if (stream->end)
		stream->end(stream->self);
	free(stream);
}

/* NULL: out of memory, what the reply owns is gone. */
static struct MHD_Response *response_make(struct exchange *exchange, struct reply *reply)
{
	struct MHD_Response *response = NULL;
	if (!reply->more) {
		response = MHD_create_response_from_buffer(reply->body_len, reply->body,
		                                           reply->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
		if (!response)
			reply_fini(reply);
		return response;
	}
	struct stream *stream = exchange ? malloc(sizeof(*stream)) : NULL;
	if (stream) {
		*stream = (struct stream){reply->more, reply->end, reply->stream, reply->stream_beat_ms, exchange};
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, stream_more, stream, stream_end);
	}
	if (!response) {
		free(stream);
		reply_fini(reply);
	}
	return response;
}

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_warning("http: header %s was refused", name);
}

static void head_add(struct MHD_Response *response, const struct reply *reply)
{
	header_add(response, "Content-Security-Policy",
	           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	           "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'");
	header_add(response, "X-Content-Type-Options", "nosniff");
	header_add(response, "Referrer-Policy", "no-referrer");
	header_add(response, "Cross-Origin-Resource-Policy", "same-origin");
	header_add(response, "Cross-Origin-Opener-Policy", "same-origin");
	header_add(response, "Cache-Control", reply->cacheable ? "no-cache" : "no-store");
	if (reply->type)
		header_add(response, "Content-Type", reply->type);
	if (reply->encoding) {
		header_add(response, "Content-Encoding", reply->encoding);
		header_add(response, "Vary", "Accept-Encoding");
	}
	if (reply->etag[0])
		header_add(response, "ETag", reply->etag);
	if (reply->cookie[0])
		header_add(response, "Set-Cookie", reply->cookie);
	if (reply->allow[0])
		header_add(response, "Allow", reply->allow);
	if (reply->link[0])
		header_add(response, "Link", reply->link);
	if (reply->disposition[0])
		header_add(response, "Content-Disposition", reply->disposition);
	if (reply->status == 401)
		header_add(response, "WWW-Authenticate", "Bearer realm=\"farlan\""); /* browsers ask nobody for that one */
	if (reply->retry_after) {
		char seconds[16];
		snprintf(seconds, sizeof(seconds), "%u", reply->retry_after);
		header_add(response, "Retry-After", seconds);
	}
}

enum MHD_Result reply_send(struct MHD_Connection *connection, struct http *http, struct exchange *exchange, struct reply *reply)
{
	struct client *client = client_of(connection);
	if (!reply->status) {
		struct problem problem;
		problem_set(&problem, 500, "no answer", "this request was not answered; that is a bug");
		reply_problem(reply, &problem);
	}
	unsigned status = reply->status;
	if (exchange)
		exchange->connection = connection;
	struct MHD_Response *response = response_make(exchange, reply);
	if (!response)
		return MHD_NO;
	head_add(response, reply);
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response); /* the queue holds its own reference, and with it the owned body or the stream */
	if (exchange)
		exchange->sent = true;
	if (client)
		client->deadline = deadline_after(http);
	if (status < HTTP_STATUS_END)
		http->answers[status]++;
	return result;
}
