/* event_api.c: a ring of changes and those who read along.
 *
 * A change says where to look, not what is there; so it is small, holds no secret, and one that was missed is made good by looking
 * at everything ("reset"). Each has a number; with the epoch, which is drawn at start, it is the event's id, and who comes back
 * with the id of the last one he saw goes on behind it. Streams without news are suspended by http.c and woken by a change or for
 * a heartbeat, which also finds out that nobody listens any more.
 *
 * How members do (CHANGE_LIVE) changes all the time: it is collected and told once a second, each member once. An account that
 * changes ends all streams by TCP, and so does time: their browsers come again at once, with their id, and are judged anew.
 */
#include "ui/event_api.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define LIVE_SLOTS    1024 /* a power of two */
#define LIVE_NETWORKS 32
#define EVENT_ROOM    256 /* of one event's text, at most */

struct events {
	uint64_t (*clock)(void);
	uint64_t epoch, seq; /* seq: of the newest; 0 = none yet */
	struct change ring[EVENTS_KEPT];
	struct live {
		bool set;
		uint64_t nwid, address;
	} live[LIVE_SLOTS];
	unsigned n_live;
	uint64_t live_told; /* ms */
	bool news;
	unsigned n_streams;
	unsigned accounts; /* how often accounts changed */
};

struct stream {
	struct events *events;
	uint64_t next; /* the first that was not told yet */
	uint64_t told; /* ms: when anything was said last */
	uint64_t until;
	unsigned accounts;
	bool hello, lines, local;
};

struct events *events_new(uint64_t (*clock)(void))
{
	struct events *events = calloc(1, sizeof(*events));
	if (!events)
		return NULL;
	events->clock = clock;
	random_bytes(&events->epoch, sizeof(events->epoch));
	return events;
}

void events_free(struct events *events)
{
	assert(!events || !events->n_streams);
	free(events);
}

unsigned events_streams(const struct events *events)
{
	return events->n_streams;
}

/* ---- in ---- */

static void tell(struct events *events, const struct change *change)
{
	events->ring[++events->seq % EVENTS_KEPT] = *change;
	events->news = true;
}

static void live_note(struct events *events, const struct change *change)
{
	uint64_t hash = (change->nwid * 0x9e3779b97f4a7c15u) ^ (change->address * 0xc2b2ae3d27d4eb4fu);
	if (events->n_live > LIVE_SLOTS / 2) /* they are told as networks long since; those not in it belong to these, or the next time */
		return;
	for (uint64_t at = hash >> 40;; at++) {
		struct live *live = &events->live[at % LIVE_SLOTS];
		if (live->set && (live->nwid != change->nwid || live->address != change->address))
			continue;
		events->n_live += !live->set;
		*live = (struct live){true, change->nwid, change->address};
		return;
	}
}

void events_note(struct events *events, const struct change *change)
{
	if (change->kind == CHANGE_LIVE) {
		live_note(events, change);
		return;
	}
	events->accounts += change->kind == CHANGE_ACCOUNT;
	tell(events, change);
}

/* Too many to name: their networks, and if those are too many, all. */
static void live_networks(struct events *events)
{
	uint64_t nwid[LIVE_NETWORKS] = {0};
	unsigned n = 0;
	for (unsigned i = 0; i < LIVE_SLOTS && n <= LIVE_NETWORKS; i++) {
		unsigned k = 0;
		while (events->live[i].set && k < n && nwid[k] != events->live[i].nwid)
			k++;
		if (!events->live[i].set || k < n)
			continue;
		if (n < LIVE_NETWORKS)
			nwid[n] = events->live[i].nwid;
		n++;
	}
	/* a table that was full may have left a network out */
	bool all = n > LIVE_NETWORKS || events->n_live > LIVE_SLOTS / 2;
	for (unsigned k = 0; k < (all ? 1 : n); k++)
		tell(events, &(struct change){.kind = CHANGE_LIVE, .nwid = all ? 0 : nwid[k]});
}

bool events_turn(struct events *events, uint64_t *ret_next)
{
	uint64_t now = events->clock();
	*ret_next = UINT64_MAX;
	if (events->n_live && events->live_told && now < events->live_told + EVENT_LIVE_MS) {
		*ret_next = events->live_told + EVENT_LIVE_MS;
	} else if (events->n_live) {
		if (events->n_live > EVENT_LIVE_MAX)
			live_networks(events);
		for (unsigned i = 0; i < LIVE_SLOTS && events->n_live <= EVENT_LIVE_MAX; i++)
			if (events->live[i].set)
				tell(events, &(struct change){
						 .kind = CHANGE_LIVE, .nwid = events->live[i].nwid, .address = events->live[i].address});
		memset(events->live, 0, sizeof(events->live));
		events->n_live = 0;
		events->live_told = now;
	}
	bool news = events->news;
	events->news = false;
	return news;
}

/* ---- out ---- */

/* "event: change" and its fields, or the same as a line. data: the text of an object, never empty. */
static size_t event_put(const struct stream *stream, const char *event, uint64_t seq, const char *data, char *buf, size_t room)
{
	uint64_t epoch = stream->events->epoch;
	int n = stream->lines
	            ? snprintf(buf, room, "{\"event\":\"%s\",\"id\":\"%016" PRIx64 "-%" PRIu64 "\",%s\n", event, epoch, seq, data + 1)
	            : snprintf(buf, room, "event: %s\nid: %016" PRIx64 "-%" PRIu64 "\ndata: %s\n\n", event, epoch, seq, data);
	assert(n > 0 && (size_t)n < room);
	return (size_t)n;
}

static size_t change_put(const struct stream *stream, uint64_t seq, char *buf, size_t room)
{
	static const char *const kinds[] = {
	    [CHANGE_NETWORK] = "network", [CHANGE_MEMBER] = "member",   [CHANGE_LIVE] = "live",       [CHANGE_INVITE] = "invite",
	    [CHANGE_AUDIT] = "audit",     [CHANGE_ACCOUNT] = "account", [CHANGE_TRAFFIC] = "traffic", [CHANGE_WEBHOOK] = "webhook"};
	const struct change *change = &stream->events->ring[seq % EVENTS_KEPT];
	char network[24] = "null", address[24] = "null", data[128];
	if (change->nwid)
		snprintf(network, sizeof(network), "\"%016" PRIx64 "\"", change->nwid);
	if (change->address)
		snprintf(address, sizeof(address), "\"%010" PRIx64 "\"", change->address);
	snprintf(data, sizeof(data), "{\"kind\":\"%s\",\"network\":%s,\"address\":%s,\"gone\":%s}", kinds[change->kind], network, address,
	         change->gone ? "true" : "false");
	return event_put(stream, "change", seq, data, buf, room);
}

static bool behind(const struct events *events, uint64_t next)
{
	return next + EVENTS_KEPT <= events->seq;
}

static ssize_t stream_more(void *self, char *buf, size_t room)
{
	struct stream *stream = self;
	const struct events *events = stream->events;
	uint64_t now = events->clock();
	char data[128];
	size_t len = 0;

	if (!stream->hello) {
		snprintf(data, sizeof(data), "{\"version\":\"%s\",\"epoch\":\"%016" PRIx64 "\",\"seq\":%" PRIu64 "}", FARLAN_VERSION,
		         events->epoch, events->seq);
		/* its id is what was told before: a stream that breaks off at once loses nothing */
		len += event_put(stream, "hello", stream->next ? stream->next - 1 : events->seq, data, buf, room);
		stream->hello = true;
	}
	if (!stream->next || behind(events, stream->next)) {
		stream->next = events->seq + 1;
		snprintf(data, sizeof(data), "{\"seq\":%" PRIu64 "}", events->seq);
		len += event_put(stream, "reset", events->seq, data, buf + len, room - len);
	}
	while (stream->next <= events->seq && room - len >= EVENT_ROOM)
		len += change_put(stream, stream->next++, buf + len, room - len);
	if (!len && !stream->local && (now >= stream->until || stream->accounts != events->accounts))
		return -1;
	if (!len && now >= stream->told + EVENT_BEAT_MS)
		len = (size_t)snprintf(buf, room, stream->lines ? "{\"event\":\"heartbeat\"}\n" : ": hb\n\n");
	if (len)
		stream->told = now;
	return (ssize_t)len;
}

static void stream_end(void *self)
{
	struct stream *stream = self;
	stream->events->n_streams--;
	free(stream);
}

/* What comes behind the id, or 0: it is not of this run, or too old. */
static uint64_t resume(const struct events *events, const char *id)
{
	char *end;
	if (strspn(id, "0123456789abcdef") != 16 || id[16] != '-' || id[17] < '0' || id[17] > '9')
		return 0;
	uint64_t epoch = strtoull(id, &end, 16), seq = strtoull(end + 1, &end, 10);
	bool good = !*end && epoch == events->epoch && seq <= events->seq && !behind(events, seq + 1);
	return good ? seq + 1 : 0;
}

void events_stream(struct events *events, const struct request *request, struct reply *reply)
{
	const char *id = request->last_event_id ? request->last_event_id : request_query(request, "since");
	struct stream *stream = events->n_streams < EVENT_STREAMS_MAX ? malloc(sizeof(*stream)) : NULL;
	if (!stream) {
		struct problem problem;
		problem_set(&problem, 503, "too many listen", "%u streams of events are open already", events->n_streams);
		reply_problem(reply, &problem);
		reply->retry_after = 5;
		return;
	}
	*stream = (struct stream){.events = events,
	                          .next = id ? resume(events, id) : events->seq + 1,
	                          .told = events->clock(),
	                          .until = events->clock() + EVENT_STREAM_MS,
	                          .accounts = events->accounts,
	                          .lines = request->accept && strstr(request->accept, "application/x-ndjson"),
	                          .local = request->local};
	events->n_streams++;
	reply->status = 200;
	reply->type = stream->lines ? "application/x-ndjson" : "text/event-stream";
	reply->more = stream_more;
	reply->end = stream_end;
	reply->stream = stream;
	reply->stream_beat_ms = EVENT_BEAT_MS;
}
