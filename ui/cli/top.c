/* top.c: what this machine's networks carry now, peer by peer, until somebody has seen enough.
 *
 * Each second (--interval) the daemon is asked once, by one request, and only while this runs: an idle node is woken no more often than its own
 * clock does. On a terminal a picture is drawn over the last one; without one it takes --once, a table of one interval, or -o json|jsonl, samples
 * for programs. A daemon that goes away is no reason to end: the picture stays, says what is wrong, and goes on when it is back.
 */
#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"
#include "ui/cli/top.h"

#define INTERVAL_MAX_S 3600
#define COUNT_MAX      1000000

struct watch {
	struct client *client;
	struct top top;
	json_t *names;
	unsigned interval_ms;
	long count; /* samples still to be shown; 0 = without end */
};

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int sample(struct watch *w)
{
	json_t *answer = NULL;
	int code = client_ask(w->client, "GET", "/v1/sample", NULL, &answer);
	if (code == 0 && !answer)
		code = complain(EXIT_FAILED, "farland answered nothing");
	if (code == 0)
		top_take(&w->top, answer, w->names);
	return code;
}

static bool has_network(const struct top *t, const char *id)
{
	for (unsigned i = 0; i < t->n_nets; i++)
		if (!strcmp(t->net[i].id, id))
			return true;
	return false;
}

/* ---- for programs, and one table ---- */

static const struct column peer_columns[] = {
    {"PEER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"LINK", "link", CELL_TEXT},
    {"RTT", "rtt_us", CELL_RTT},
    {"LOSS", "loss", CELL_TEXT},
    {"RX b/s", "rx_bps", CELL_TEXT},
    {"TX b/s", "tx_bps", CELL_TEXT},
    {"RX f/s", "rx_fps", CELL_TEXT},
    {"TX f/s", "tx_fps", CELL_TEXT},
    {"ENDPOINT", "via", CELL_TEXT},
    {0},
};
static const struct column net_columns[] = {
    {"NETWORK", "id", CELL_TEXT},          {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},         {"DEV", "dev", CELL_TEXT},
    {"RX b/s", "rx_bps", CELL_TEXT},       {"TX b/s", "tx_bps", CELL_TEXT},
    {"RX f/s", "rx_fps", CELL_TEXT},       {"TX f/s", "tx_fps", CELL_TEXT},
    {"DROPS/s", "drops_per_s", CELL_TEXT}, {0},
};

/* Rates as people read them. */
static void dress(json_t *list)
{
	static const char *const names[] = {"rx_bps", "tx_bps", "rx_fps", "tx_fps", "drops_per_s"};
	char buf[16];
	json_t *o;
	size_t i;
	json_array_foreach(list, i, o)
	{
		const json_t *loss = json_object_get(o, "loss");
		for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			const json_t *v = json_object_get(o, names[k]);
			if (v)
				json_object_set_new(o, names[k], json_string(top_rate_text(json_is_real(v), json_real_value(v), buf)));
		}
		if (json_is_real(loss)) {
			snprintf(buf, sizeof(buf), "%.0f%%", json_real_value(loss) * 100);
			json_object_set_new(o, "loss", json_string(buf));
		}
	}
}

static int tell(const struct call *call, const struct top *t)
{
	json_t *o = top_json(t), *nets = json_object_get(o, "networks"), *peers = json_object_get(o, "peers");
	int code = EXIT_OK;
	if (call->format != FORMAT_TABLE) {
		output_object(o, call->format == FORMAT_JSON);
		fflush(stdout);
	} else {
		dress(nets);
		dress(peers);
		code = output_table(nets, net_columns);
		printf("\n");
		if (code == 0)
			code = output_table(peers, peer_columns);
	}
	if (ferror(stdout))
		code = EXIT_FAILED;
	json_decref(o);
	return code;
}

static void sleep_until(uint64_t at)
{
	struct timespec t = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* The first sample is what the next one is compared with, so nothing is told of it. */
static int watch_lines(const struct call *call, struct watch *w)
{
	uint64_t next = now_ms();
	int code = EXIT_OK;
	for (long told = 0; code == 0 && (!w->count || told < w->count); told++) {
		next += w->interval_ms;
		sleep_until(next);
		code = sample(w);
		top_sort(&w->top, TOP_TOTAL, false);
		if (code == 0)
			code = tell(call, &w->top);
	}
	return code;
}

/* ---- on a terminal ---- */

struct look {
	struct watch *w;
	struct top_screen *screen;
	struct top_view view;
	char trouble[TOP_TEXT];
	bool over;
	int code;
};

static void draw(struct look *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return;
	unsigned rows = l->w->top.n_peers;
	top_screen_size(l->screen, &l->view.width, &l->view.height);
	l->view.first = l->view.first < rows ? l->view.first : rows ? rows - 1 : 0;
	top_sort(&l->w->top, l->view.order, l->view.reverse);
	top_draw(out, &l->w->top, &l->view);
	if (fclose(out) == 0 && !top_screen_show(l->screen, text, len)) {
		l->over = true;
		l->code = EXIT_FAILED;
	}
	free(text);
}

/* All, then each network in turn, then all again. */
static void next_network(struct look *l)
{
	struct top *t = &l->w->top;
	char next[NWID_TEXT] = "";
	unsigned at = 0;
	while (*t->only && at < t->n_nets && strcmp(t->net[at].id, t->only) != 0)
		at++;
	at = *t->only ? at + 1 : 0;
	if (at < t->n_nets)
		memcpy(next, t->net[at].id, sizeof(next));
	top_only(t, next, l->w->names);
	l->view.first = 0;
}

static void scroll(struct look *l, int by)
{
	unsigned rows = l->w->top.n_peers, to = l->view.first;
	if (by < 0)
		to = to > (unsigned)-by ? to - (unsigned)-by : 0;
	else
		to = to + (unsigned)by < rows ? to + (unsigned)by : rows ? rows - 1 : 0;
	l->view.first = to;
}

static void key(struct look *l, int k)
{
	static const struct {
		int key;
		enum top_order order;
	} orders[] = {{'t', TOP_TOTAL}, {'i', TOP_RX}, {'o', TOP_TX}, {'l', TOP_RTT}, {'e', TOP_NAME}, {'a', TOP_ADDRESS}};
	int page = l->view.height > 8 ? (int)l->view.height - 6 : 2;
	for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (orders[i].key == k)
			l->view.order = orders[i].order;
	switch (k) {
	case 'q':
	case 'Q':
	case 3: l->over = true; break; /* ^C where the terminal makes no signal of it */
	case 'p':
	case ' ': l->view.paused = !l->view.paused; break;
	case 'n': next_network(l); break;
	case 'r': l->view.reverse = !l->view.reverse; break;
	case KEY_UP:
	case 'k': scroll(l, -1); break;
	case KEY_DOWN:
	case 'j': scroll(l, 1); break;
	case KEY_PAGE_UP: scroll(l, -page); break;
	case KEY_PAGE_DOWN: scroll(l, page); break;
	case KEY_HOME: l->view.first = 0; break;
	case KEY_GONE:
		l->over = true;
		l->code = EXIT_FAILED;
		break;
	default: break;
	}
}

static void came(struct look *l, int what)
{
	if (what > 0)
		key(l, what);
	else if (what == -SIGINT || what == -SIGTERM || what == -SIGHUP || what == -SIGQUIT || what == -SIGPIPE) {
		l->over = true;
		l->code = what == -SIGINT ? EXIT_INTERRUPTED : 128 - what;
	}
}

static void ask(struct look *l)
{
	int code = sample(l->w);
	const char *said = top_screen_trouble(l->screen, l->trouble);
	if (code && !said)
		snprintf(l->trouble, sizeof(l->trouble), "no answer");
	l->view.trouble = code ? l->trouble : NULL;
	if (code == 0 && l->w->count && --l->w->count == 0)
		l->over = true;
}

static void look_on(struct look *l)
{
	uint64_t next = now_ms() + l->w->interval_ms;
	draw(l);
	while (!l->over) {
		uint64_t now = now_ms();
		int what = top_screen_wait(l->screen, now < next ? (int)(next - now) : 0);
		came(l, what);
		now = now_ms();
		if (now >= next && !l->over) {
			next = next + l->w->interval_ms > now ? next + l->w->interval_ms : now + l->w->interval_ms;
			if (!l->view.paused)
				ask(l);
			draw(l);
		} else if (what && !l->over) {
			draw(l);
		}
	}
}

static int watch_screen(struct watch *w)
{
	const char *why, *no_colour = getenv("NO_COLOR");
	struct look l = {.w = w, .view = {.colour = !no_colour || !*no_colour, .utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8")}};
	l.screen = top_screen_open(&why);
	if (!l.screen)
		return complain(EXIT_USAGE, "%s; farlan top --once prints one table, -o jsonl a line for each sample", why);
	look_on(&l);
	top_screen_close(l.screen);
	return l.code;
}

/* ---- the verb ---- */

static bool number_read(const char *text, long most, long *ret)
{
	char *end;
	if (!text)
		return true;
	errno = 0;
	*ret = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *ret >= 1 && *ret <= most;
}

static int words_read(const struct call *call, struct watch *w)
{
	long interval = 1;
	bool once = options_has(&call->options, "once");
	if (!number_read(options_value(&call->options, "interval"), INTERVAL_MAX_S, &interval))
		return complain(EXIT_USAGE, "--interval takes seconds, 1 to %d", INTERVAL_MAX_S);
	w->count = once || call->format == FORMAT_JSON;
	if (!number_read(options_value(&call->options, "count"), COUNT_MAX, &w->count))
		return complain(EXIT_USAGE, "--count takes a number of samples, 1 to %d", COUNT_MAX);
	w->interval_ms = (unsigned)interval * 1000;
	return call->n_words ? word_nwid(call->words[0], w->top.only, NULL) : 0;
}

int run_top(struct call *call)
{
	struct watch w = {0};
	bool lines = call->format != FORMAT_TABLE || options_has(&call->options, "once");
	int code = words_read(call, &w);
	if (code == 0)
		code = client_open(&w.client, call);
	if (code)
		return code;
	w.names = names_known(call);
	code = sample(&w);
	if (code == 0 && *w.top.only && !has_network(&w.top, w.top.only))
		code = complain(EXIT_NOT_FOUND, "this node is not in network %s; see farlan networks", w.top.only);
	if (code == 0)
		code = lines ? watch_lines(call, &w) : watch_screen(&w);
	json_decref(w.names);
	top_fini(&w.top);
	client_close(w.client);
	return code;
}
