/* top_draw.c: one picture of farlan top, as lines of text that fit the screen.
 *
 * Columns are taken in the order of their worth as long as the width allows; what is left over is the sparkline's. Each line is cut at the width by what its
 * characters occupy, since a name may be of any script; what has no width of its own, or none that is known here, becomes '?'.
 * The picture is written over the last one from the upper left corner, each line clears its rest: so it does not flicker.
 */
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "ui/cli/top.h"

#define LINE_MAX_BYTES 8192
#define SPARK_LEAST    12
#define NETS_SHOWN     3

/* ---- text of a width ---- */

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	unsigned width, room; /* cells used, cells there are */
};

static void put_bytes(struct line *l, const char *bytes, size_t n, unsigned cells)
{
	if (l->width + cells > l->room || l->len + n >= sizeof(l->text))
		return;
	memcpy(l->text + l->len, bytes, n);
	l->len += n;
	l->width += cells;
}

/* Escape sequences: no width. */
static void put_style(struct line *l, const struct top_view *v, const char *sgr)
{
	if (v->colour)
		put_bytes(l, sgr, strlen(sgr), 0);
}

/* At most so many cells; returns how many it took. */
static unsigned put_text(struct line *l, const char *text, unsigned most)
{
	mbstate_t state = {0};
	unsigned used = 0;
	while (*text) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, strlen(text), &state);
		bool bad = n == (size_t)-1 || n == (size_t)-2 || n == 0;
		int cells = bad ? -1 : wcwidth(c);
		if (bad) {
			memset(&state, 0, sizeof(state));
			n = 1;
			while ((text[n] & 0xc0) == 0x80)
				n++;
		}
		unsigned need = cells > 0 ? (unsigned)cells : 1;
		if (used + need > most)
			break;
		if (cells > 0)
			put_bytes(l, text, n, need);
		else
			put_bytes(l, "?", 1, 1);
		used += need;
		text += n;
	}
	return used;
}

static void put_blank(struct line *l, unsigned n)
{
	while (n--)
		put_bytes(l, " ", 1, 1);
}

static void put_cell(struct line *l, const char *text, unsigned width, bool right)
{
	struct line trial = {.room = width};
	unsigned used = put_text(&trial, text, width);
	if (right)
		put_blank(l, width - used);
	put_text(l, text, width);
	if (!right)
		put_blank(l, width - used);
}

const char *top_rate_text(bool rated, double v, char buf[16])
{
	static const char units[] = "KMGTPE";
	int unit = -1;
	if (!rated) {
		snprintf(buf, 16, "-");
		return buf;
	}
	while (v >= 999.5 && unit < 5) {
		v /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, 16, "%.0f", v);
	else
		snprintf(buf, 16, v < 9.995 ? "%.2f%c" : v < 99.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
	return buf;
}

/* ---- columns ---- */

enum column_id {
	COLUMN_PEER,
	COLUMN_RX,
	COLUMN_TX,
	COLUMN_LINK,
	COLUMN_RTT,
	COLUMN_RX_FRAMES,
	COLUMN_TX_FRAMES,
	COLUMN_LOSS,
	COLUMN_ADDRESS,
	COLUMN_VIA,
	COLUMN_SPARK,
	COLUMNS
};

static const struct {
	const char *title;
	unsigned width;
	bool right;
	unsigned place; /* from the left */
} columns[COLUMNS] = {
    [COLUMN_PEER] = {"PEER", 14, false, 0},
    [COLUMN_ADDRESS] = {"ADDRESS", 10, false, 1},
    [COLUMN_LINK] = {"LINK", 6, false, 2},
    [COLUMN_RTT] = {"RTT ms", 6, true, 3},
    [COLUMN_LOSS] = {"LOSS", 4, true, 4},
    [COLUMN_RX] = {"RX b/s", 6, true, 5},
    [COLUMN_TX] = {"TX b/s", 6, true, 6},
    [COLUMN_RX_FRAMES] = {"RX f/s", 6, true, 7},
    [COLUMN_TX_FRAMES] = {"TX f/s", 6, true, 8},
    [COLUMN_VIA] = {"ENDPOINT", 22, false, 9},
    [COLUMN_SPARK] = {"LAST MINUTE", SPARK_LEAST, false, 10},
};

/* How wide each is on this screen, 0 = not shown. */
static void choose(unsigned width, unsigned ret[COLUMNS])
{
	unsigned used = 0;
	memset(ret, 0, COLUMNS * sizeof(*ret));
	for (unsigned c = 0; c < COLUMNS; c++) {
		unsigned need = columns[c].width + (used > 0);
		if (used + need > width)
			break; /* not the next smaller one: what stands where should depend on the width alone */
		ret[c] = columns[c].width;
		used += need;
	}
	if (ret[COLUMN_SPARK] && used < width) {
		unsigned more = width - used;
		ret[COLUMN_SPARK] += more < TOP_PAST - SPARK_LEAST ? more : TOP_PAST - SPARK_LEAST;
	}
}

static void spark_put(struct line *l, const struct top_peer *p, unsigned width, bool utf8)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char ascii[] = " .:-=+*#@";
	unsigned n = p->n_past < width ? p->n_past : width;
	const double *past = p->past + p->n_past - n;
	double most = 0;
	for (unsigned i = 0; i < n; i++)
		most = past[i] > most ? past[i] : most;
	put_blank(l, width - n);
	for (unsigned i = 0; i < n; i++) {
		unsigned level = past[i] > 0 ? 1 + (unsigned)(past[i] / most * 7.001) : 0;
		level = level < 8 ? level : 8;
		put_bytes(l, utf8 ? blocks[level] : &ascii[level], utf8 ? strlen(blocks[level]) : 1, 1);
	}
}

static const char *cell_of(const struct top_peer *p, enum column_id c, bool address_shown, char buf[16])
{
	switch (c) {
	case COLUMN_PEER: return *p->name ? p->name : address_shown ? "-" : p->address;
	case COLUMN_ADDRESS: return p->address;
	case COLUMN_LINK: return *p->link ? p->link : "-";
	case COLUMN_VIA: return *p->via ? p->via : "-";
	case COLUMN_RX: return top_rate_text(p->rated, p->rates.rx_bits, buf);
	case COLUMN_TX: return top_rate_text(p->rated, p->rates.tx_bits, buf);
	case COLUMN_RX_FRAMES: return top_rate_text(p->rated, p->rates.rx_frames, buf);
	case COLUMN_TX_FRAMES: return top_rate_text(p->rated, p->rates.tx_frames, buf);
	case COLUMN_RTT:
		if (!p->rtt_us)
			return "-";
		snprintf(buf, 16, "%.*f", p->rtt_us < 10000 ? 2 : p->rtt_us < 100000 ? 1 : 0, p->rtt_us / 1000.0);
		return buf;
	case COLUMN_LOSS:
		if (p->loss < 0)
			return "-";
		snprintf(buf, 16, "%.0f%%", p->loss * 100);
		return buf;
	case COLUMN_SPARK:
	case COLUMNS: break;
	}
	return "";
}

static void row_put(struct line *l, const struct top_peer *p, const unsigned width[COLUMNS], const struct top_view *v)
{
	char buf[16];
	for (unsigned place = 0; place < COLUMNS; place++)
		for (unsigned c = 0; c < COLUMNS; c++) {
			if (columns[c].place != place || !width[c])
				continue;
			if (place)
				put_blank(l, 1);
			if (!p) {
				put_cell(l, columns[c].title, width[c], columns[c].right);
			} else if (c == COLUMN_SPARK) {
				spark_put(l, p, width[c], v->utf8);
			} else {
				bool relayed = c == COLUMN_LINK && strcmp(p->link, "direct") != 0;
				put_style(l, v, relayed ? "\033[33m" : c == COLUMN_LINK ? "\033[32m" : "");
				put_cell(l, cell_of(p, c, width[COLUMN_ADDRESS] > 0, buf), width[c], columns[c].right);
				put_style(l, v, c == COLUMN_LINK ? "\033[0m" : "");
			}
		}
}

/* ---- the picture ---- */

static void line_end(FILE *out, struct line *l, unsigned *left, const struct top_view *v)
{
	if (*left) {
		fwrite(l->text, 1, l->len, out);
		fputs(v->colour ? "\033[0m\033[K" : "\033[K", out);
		if (--*left)
			fputs("\r\n", out);
	}
	l->len = 0;
	l->width = 0;
}

static void net_put(struct line *l, const struct top_net *n, const struct top_view *v)
{
	char text[512], rx[16], tx[16], rf[16], tf[16], drops[16];
	put_style(l, v, "\033[1m");
	put_text(l, *n->name ? n->name : n->id, 20);
	put_style(l, v, "\033[0m");
	snprintf(text, sizeof(text), " %s %s", n->state, v->width >= 100 ? n->id : "");
	put_text(l, text, 40);
	snprintf(text, sizeof(text), "  rx %s tx %s b/s", top_rate_text(n->rated, n->minute.rx_bits, rx),
	         top_rate_text(n->rated, n->minute.tx_bits, tx));
	put_text(l, text, 60);
	snprintf(text, sizeof(text), "  rx %s tx %s f/s", top_rate_text(n->rated, n->minute.rx_frames, rf),
	         top_rate_text(n->rated, n->minute.tx_frames, tf));
	put_text(l, text, 60);
	uint64_t all = n->n_past ? n->past[n->n_past - 1].count.drops : 0;
	snprintf(text, sizeof(text), "  drops %s/s, %llu in all%s%s", top_rate_text(n->rated, n->minute.drops, drops),
	         (unsigned long long)all, *n->reasons ? ": " : "", n->reasons);
	put_style(l, v, n->rated && n->minute.drops > 0 ? "\033[31m" : "");
	put_text(l, text, l->room);
}

static void head_put(FILE *out, struct line *l, const struct top *t, const struct top_view *v, unsigned *left)
{
	char text[256];
	unsigned shown = 0, more = 0;
	snprintf(text, sizeof(text), "farlan top %s  %u peers by %s%s%s", t->address, t->n_peers, top_order_name(v->order),
	         v->reverse ? ", reversed" : "", v->paused ? "  PAUSED" : "");
	put_text(l, text, v->width);
	line_end(out, l, left, v);
	for (unsigned i = 0; i < t->n_nets; i++) {
		if (*t->only && strcmp(t->only, t->net[i].id) != 0)
			continue;
		if (shown == NETS_SHOWN || *left < 8) {
			more++;
			continue;
		}
		shown++;
		net_put(l, &t->net[i], v);
		line_end(out, l, left, v);
	}
	if (!more && shown)
		return;
	snprintf(text, sizeof(text), more ? "and %u networks more; n shows one" : "in no network", more);
	put_text(l, text, v->width);
	line_end(out, l, left, v);
}

void top_draw(FILE *out, const struct top *t, const struct top_view *v)
{
	struct line l = {.room = v->width};
	unsigned left = v->height, width[COLUMNS];
	if (!v->height || !v->width)
		return;
	choose(v->width, width);
	fputs("\033[H", out);
	head_put(out, &l, t, v, &left);
	put_style(&l, v, "\033[7m");
	row_put(&l, NULL, width, v);
	put_blank(&l, v->width - l.width);
	line_end(out, &l, &left, v);
	unsigned first = v->first < t->n_peers ? v->first : 0;
	for (unsigned i = first; i < t->n_peers && left > 1; i++) {
		row_put(&l, &t->peer[i], width, v);
		line_end(out, &l, &left, v);
	}
	while (left > 1)
		line_end(out, &l, &left, v);
	put_style(&l, v, v->trouble ? "\033[31m" : "");
	put_text(&l, v->trouble ? v->trouble : "q quit  p pause  n network  t/i/o total rx tx  l rtt  e name  a address  r reverse",
	         v->width);
	line_end(out, &l, &left, v);
}
