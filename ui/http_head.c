/* http_head.c: what the head of a request says, as handlers see it: borrowed from libmicrohttpd for as long as the request lasts.
 */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "ui/http_parts.h"

const char *head_line(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result argument_note(void *self, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *request = self;
	(void)kind;
	if (request->n_query < QUERY_ARGUMENTS_MAX)
		request->query[request->n_query] = (struct query_argument){.name = name, .value = value ? value : ""};
	request->n_query++; /* one too many is told by the number */
	return request->n_query > QUERY_ARGUMENTS_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result forwarded_note(void *self, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *request = self;
	(void)kind;
	if (!strcasecmp(name, "X-Forwarded-Proto"))
		request->forwarded_proto = value;
	if (strcasecmp(name, "X-Forwarded-For") != 0)
		return MHD_YES;
	if (request->n_forwarded_for == FORWARDED_MAX) { /* those further away are asked last, if at all */
		memmove(request->forwarded_for, request->forwarded_for + 1,
		        sizeof(request->forwarded_for) - sizeof(request->forwarded_for[0]));
		request->n_forwarded_for--;
	}
	request->forwarded_for[request->n_forwarded_for++] = value ? value : "";
	return MHD_YES;
}

void request_fill(struct request *request, struct MHD_Connection *connection)
{
	const struct client *client = client_of(connection);
	request->host = head_line(connection, "Host");
	request->origin = head_line(connection, "Origin");
	request->fetch_site = head_line(connection, "Sec-Fetch-Site");
	request->cookie = head_line(connection, "Cookie");
	request->accept = head_line(connection, "Accept");
	request->accept_encoding = head_line(connection, "Accept-Encoding");
	request->content_type = head_line(connection, "Content-Type");
	request->if_match = head_line(connection, "If-Match");
	request->if_none_match = head_line(connection, "If-None-Match");
	request->authorization = head_line(connection, "Authorization");
	request->last_event_id = head_line(connection, "Last-Event-ID");
	request->passphrase = head_line(connection, "Farlan-Passphrase");
	request->zt1_auth = head_line(connection, "X-ZT1-Auth");
	request->uid = UINT_MAX;
	if (client) {
		memcpy(request->peer, client->peer, sizeof(request->peer));
		request->uid = client->uid;
	}
	MHD_get_connection_values(connection, MHD_HEADER_KIND, forwarded_note, request);
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, argument_note, request);
}
