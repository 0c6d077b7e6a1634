/* top.h: the inside of farlan top, for top*.c only: what a node carries now, made of differences of its counters.
 *
 * struct top is the model: top_take() is given the answers to GET /v1/sample one after the other. Names and addresses in it are escaped
 * and may go to a terminal. top_screen.c is the terminal: it is given back as it was whatever ends the program.
 */
#ifndef FARLAN_UI_CLI_TOP_H
#define FARLAN_UI_CLI_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/ident.h"

#define TOP_PAST      60    /* samples that a sparkline remembers, and a minute at the usual interval */
#define TOP_PEERS_MAX 16384 /* more than a node has */
#define TOP_NETS_MAX  64
#define TOP_TEXT      160

struct top_count {
	uint64_t rx_bytes, rx_frames, tx_bytes, tx_frames, drops; /* drops: of networks only */
};
struct top_rates { /* per second */
	double rx_bits, tx_bits, rx_frames, tx_frames, drops;
};

struct top_peer {
	char address[ADDRESS_TEXT], name[TOP_TEXT], link[16], via[TOP_TEXT];
	uint32_t rtt_us; /* 0 = not known */
	double loss;     /* 0..1; below 0 = not known */
	struct top_count count;
	bool rated; /* rates are of two samples */
	struct top_rates rates;
	unsigned n_past;
	double past[TOP_PAST]; /* bits per second both ways, oldest first */
};

struct top_net {
	char id[NWID_TEXT], name[TOP_TEXT], state[32], dev[32];
	char reasons[TOP_TEXT]; /* what is dropped most, since the start */
	bool rated;
	struct top_rates rates, minute; /* minute: over the samples that are kept */
	unsigned n_past;
	struct {
		uint64_t at_ms;
		struct top_count count;
	} past[TOP_PAST + 1]; /* oldest first; the last is this one's */
};

enum top_order { TOP_TOTAL, TOP_RX, TOP_TX, TOP_RTT, TOP_NAME, TOP_ADDRESS, TOP_ORDERS };

struct top {
	char address[ADDRESS_TEXT];
	char only[NWID_TEXT];        /* that network; "" = all */
	uint64_t at_ms, interval_ms; /* interval: since the sample before; 0 = there was none */
	unsigned n_nets, n_peers;    /* peers: those that are members of what is shown, in order */
	struct top_net *net;
	struct top_peer *peer;
	json_t *sample[2]; /* before the last, the last */
};

/* Takes sample. names: address to name, NULL = none. */
void top_take(struct top *, json_t *sample, const json_t *names);
void top_only(struct top *, const char *nwid, const json_t *names); /* "" = all: rates are there at once, the past is not */
void top_sort(struct top *, enum top_order, bool reverse);
const char *top_order_name(enum top_order);
json_t *top_json(const struct top *); /* farlan.top/1 */
void top_fini(struct top *);
/* 12.3M; "-" when there is none. */
const char *top_rate_text(bool rated, double per_second, char buf[16]);

/* What one screen shows. */
struct top_view {
	unsigned width, height, first; /* first: row that is on top */
	enum top_order order;
	bool reverse, paused, colour, utf8;
	const char *trouble; /* a complaint instead of the keys; NULL = none */
};
void top_draw(FILE *, const struct top *, const struct top_view *); /* height lines at most, none wider than width */

struct top_screen; /* one at a time: fatal signals must find it */
/* NULL with *ret_why: there is no terminal to take. From now on what is said on standard error is kept and not shown. */
struct top_screen *top_screen_open(const char **ret_why);
void top_screen_close(struct top_screen *); /* gives it back; NULL is fine */
void top_screen_size(const struct top_screen *, unsigned *ret_width, unsigned *ret_height);
bool top_screen_show(struct top_screen *, const char *text, size_t len); /* false: the terminal is gone */
const char *top_screen_trouble(struct top_screen *,
                               char buf[TOP_TEXT]); /* the newest complaint, escaped; NULL = none since the last call */
/* A key (KEY_* or a character), -signal that came, 0 when ms are over. */
enum { KEY_UP = 256, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME, KEY_GONE };
int top_screen_wait(struct top_screen *, int ms);

#endif
