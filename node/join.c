/* join.c: the frames of a batch into as few writes as possible.
 *
 * A run is a head and the frames that go on where it ended, byte for byte what the kernel makes when it cuts the whole again. Each flow
 * (addresses and ports) has at most one open run. A frame of the flow that does not fit closes it, be it a pure ACK, a gap or
 * another TTL, and so nothing overtakes anything within a flow; a frame that has no layout closes all runs, since a fragment
 * tells no ports. Between flows the order may change: a run stands where its head came.
 * follows() compares a frame with the head of a run and needs no layout of its own: what decides where headers are is among
 * the bytes that must be equal. So the frames of one superframe are parsed once, its head's.
 * Checksums come last, being the dear part; the head's own are looked at when the first frame follows it.
 */
#include "node/join.h"

#include <assert.h>
#include <string.h>

#include "tap/tap.h"

#define RUNS_MAX     8
#define IP_TOTAL_MAX 65535
#define UDP_RUN_MAX  64 /* UDP_MAX_SEGMENTS of kernels before 6.9 */
#define TCP_RUN_MAX  (TAP_TAILS_MAX + 1)
#define TCP_LAST     (TCP_FIN | TCP_PSH) /* what only the last may have */

struct run {
	struct layout layout; /* of the head, and but for the end of all */
	uint32_t size;        /* payload of the head and of all but the last */
	uint32_t total;       /* bytes of the whole's IP packet */
	uint16_t count;       /* packets; 0: free */
	uint8_t head, last;   /* packets */
	uint8_t flags;        /* TCP_LAST as the last packet has them */
	bool proven;          /* the head's checksums are right */
	uint8_t kin;          /* of the last that was compared in full; 0: none */
};

struct join {
	struct packet *p;
	struct run run[RUNS_MAX];
	uint64_t flow[RUNS_MAX];
	unsigned n_runs;        /* slots ever used */
	struct run *fresh;      /* the one fed last, NULL at first */
	bool moved;             /* a tail came from further behind */
	uint8_t next[JOIN_MAX]; /* in its run; 0: none, for packet 0 is always a head */
	bool tail[JOIN_MAX];
};
static_assert(JOIN_MAX <= 256, "packets are counted in bytes");

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static uint64_t load64(const uint8_t *at)
{
	uint64_t v;
	memcpy(&v, at, 8);
	return v;
}

/* Equal for frames of one flow. That others may have the same costs them a run cut short and no more. */
static uint64_t flow_of(const uint8_t *frame, const struct layout *l)
{
	const uint8_t *ip = frame + l->l3;
	uint32_t ports;
	memcpy(&ports, frame + l->l4, 4);
	uint64_t k = ports * 0x9e3779b97f4a7c15u + l->protocol;
	if (l->version == 4)
		return k ^ load64(ip + 12);
	for (int i = 8; i < 40; i += 8)
		k = (k ^ load64(ip + i)) * 0xff51afd7ed558ccdu;
	return k;
}

static bool ip4_follows(const uint8_t *head, const uint8_t *ip, size_t header, size_t bytes, unsigned k)
{
	return !memcmp(head, ip, 2) && be16_at(ip + 2) == bytes && be16_at(ip + 4) == (uint16_t)(be16_at(head + 4) + k) &&
	       !memcmp(head + 6, ip + 6, 4) && !memcmp(head + 12, ip + 12, 8) && (header == 20 || !memcmp(head + 20, ip + 20, header - 20));
}

static bool ip6_follows(const uint8_t *head, const uint8_t *ip, size_t header, size_t bytes)
{
	return !memcmp(head, ip, 4) && be16_at(ip + 4) + 40u == bytes && !memcmp(head + 6, ip + 6, 2) && !memcmp(head + 8, ip + 8, 32) &&
	       (header == 40 || !memcmp(head + 40, ip + 40, header - 40));
}

static bool tcp_follows(const uint8_t *head, const uint8_t *tcp, size_t header, uint32_t at)
{
	return !memcmp(head, tcp, 4) && be32_at(tcp + 4) == be32_at(head + 4) + at && !memcmp(head + 8, tcp + 8, 5) &&
	       (tcp[TCP_FLAGS] & ~TCP_LAST) == (head[TCP_FLAGS] & ~TCP_CWR) && !memcmp(head + 14, tcp + 14, 2) &&
	       !memcmp(head + 18, tcp + 18, 2) && (header == 20 || !memcmp(head + 20, tcp + 20, header - 20));
}

/* A right sum can be written as 0 or as 0xffff. The kernel writes one of them, and cuts nothing else. */
static bool ip_sum_right(const uint8_t *frame, const struct layout *l)
{
	return l->version == 6 || (word_at(frame + l->l3 + 10) != 0xffff && layout_ip_csum_good(frame, l));
}

static __attribute__((noinline)) bool l4_complete_right(const struct packet *p, struct layout l)
{
	l.end = p->len;
	return layout_csum_good(p->data, &l) && (l.protocol == IP_UDP || word_at(p->data + l.l4 + 16) != 0xffff);
}

/* l but for its end; the frame's is the packet's. */
static inline bool l4_sum_right(const struct packet *p, const struct layout *l)
{
	return p->offload.csum || l4_complete_right(p, *l);
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

static bool follows(const struct join *j, struct run *r, const struct packet *p)
{
	const struct layout *l = &r->layout;
	const struct packet *head = &j->p[r->head];
	bool tcp = l->protocol == IP_TCP;
	if (p->len <= l->payload || p->offload.gso != GSO_NONE)
		return false;
	uint32_t bytes = p->len - l->payload;
	if (bytes > r->size || r->total + bytes > IP_TOTAL_MAX || r->count == (tcp ? TCP_RUN_MAX : UDP_RUN_MAX))
		return false;
	if (memcmp(head->data, p->data, l->l3))
		return false;
	const uint8_t *head_ip = head->data + l->l3, *ip = p->data + l->l3, *head_l4 = head->data + l->l4, *l4 = p->data + l->l4;
	size_t header = (size_t)(l->l4 - l->l3), ip_bytes = p->len - l->l3;
	if (l->version == 4 ? !ip4_follows(head_ip, ip, header, ip_bytes, r->count) : !ip6_follows(head_ip, ip, header, ip_bytes))
		return false;
	if (tcp ? !tcp_follows(head_l4, l4, (size_t)(l->payload - l->l4), r->count * r->size)
	        : memcmp(head_l4, l4, 4) || be16_at(l4 + 4) != p->len - l->l4)
		return false;
	if (!ip_sum_right(p->data, l) || !l4_sum_right(p, l))
		return false;
	r->proven = r->proven || (ip_sum_right(head->data, l) && l4_sum_right(head, l));
	return r->proven;
}

/* Of a kin of the head's, all of whose header words but id and sum are the head's, and that one's sum is right: so this one's is right if these two add
 * up to the same (RFC 1624). No more than a whole turn lies between two sums neither of which is written as 0xffff. */
static bool kin_sum_right(const uint8_t *head, const uint8_t *ip)
{
	int32_t d = word_at(ip + 4) + word_at(ip + 10) - word_at(head + 4) - word_at(head + 10);
	return word_at(ip + 10) != 0xffff && (d == 0 || d == 0xffff || d == -0xffff);
}

/* Kin of one that followed: what is left are the numbers that go on and the sums. Lengths are that one's, which was as long as the head or the run would
 * be closed. */
static inline bool kin_follows(const struct join *j, const struct run *r, const struct packet *p)
{
	const struct layout *l = &r->layout;
	const uint8_t *head = j->p[r->head].data, *data = p->data;
	bool tcp = l->protocol == IP_TCP;
	if (r->total + r->size > IP_TOTAL_MAX || r->count == (tcp ? TCP_RUN_MAX : UDP_RUN_MAX))
		return false;
	if (tcp && be32_at(data + l->l4 + 4) != be32_at(head + l->l4 + 4) + r->count * r->size)
		return false;
	if (l->version == 4 &&
	    (be16_at(data + l->l3 + 4) != (uint16_t)(be16_at(head + l->l3 + 4) + r->count) || !kin_sum_right(head + l->l3, data + l->l3)))
		return false;
	return l4_sum_right(p, l);
}

static bool goes_on(const struct join *j, struct run *r, const struct packet *p)
{
	if (p->kin && p->kin == r->kin)
		return kin_follows(j, r, p);
	if (!follows(j, r, p))
		return false;
	r->kin = p->kin;
	return true;
}

/* Makes one frame's headers the whole's. */
static void run_close(struct join *j, struct run *r)
{
	unsigned count = r->count;
	r->count = 0;
	if (count < 2)
		return;
	struct packet *head = &j->p[r->head];
	const struct layout *l = &r->layout;
	uint8_t *ip = head->data + l->l3, *l4 = head->data + l->l4;
	uint32_t bytes = r->total - (uint32_t)(l->l4 - l->l3);
	be16_to(ip + (l->version == 4 ? 2 : 4), l->version == 4 ? r->total : r->total - 40);
	layout_ip_csum(head->data, l);
	struct offload o = {.csum = true, .size = (uint16_t)r->size, .csum_start = l->l4, .csum_offset = layout_csum_offset(l)};
	if (l->protocol == IP_TCP) {
		o.gso = l->version == 4 ? GSO_TCP4 : GSO_TCP6;
		o.ecn = l4[TCP_FLAGS] & TCP_CWR;
		l4[TCP_FLAGS] |= r->flags;
	} else {
		o.gso = GSO_UDP;
		be16_to(l4 + 4, bytes);
	}
	word_to(l4 + o.csum_offset, layout_pseudo(head->data, l, bytes));
	head->offload = o;
	head->tails = (uint8_t)(count - 1);
}

static void run_take(struct join *j, struct run *r, unsigned i)
{
	struct packet *p = &j->p[i];
	uint32_t header = r->layout.payload, bytes = p->len - header;
	if (r->layout.protocol == IP_TCP)
		r->flags = p->data[r->layout.l4 + TCP_FLAGS] & TCP_LAST;
	p->data += header;
	p->len -= header;
	p->room -= header;
	j->next[r->last] = (uint8_t)i;
	j->tail[i] = true;
	j->moved = j->moved || i != r->last + 1u;
	r->last = (uint8_t)i;
	r->total += bytes;
	r->count++;
	j->fresh = r;
	if (bytes < r->size || r->flags)
		run_close(j, r);
}

/* Could it be the first of several? */
static bool may_lead(const struct packet *p, const struct layout *l)
{
	const uint8_t *l4 = p->data + l->l4;
	if (l->end != p->len || l->end == l->payload)
		return false;
	if (l->protocol == IP_UDP)
		return p->offload.csum || word_at(l4 + 6);
	return !(l4[TCP_FLAGS] & (TCP_SYN | TCP_RST | TCP_URG | TCP_LAST));
}

static struct run *run_find(struct join *j, uint64_t flow)
{
	for (unsigned i = 0; i < j->n_runs; i++)
		if (j->flow[i] == flow && j->run[i].count)
			return &j->run[i];
	return NULL;
}

/* A free slot, or that of the run that has waited longest. */
static struct run *run_room(struct join *j)
{
	struct run *oldest = &j->run[0];
	for (unsigned i = 0; i < j->n_runs; i++) {
		if (!j->run[i].count)
			return &j->run[i];
		if (j->run[i].last < oldest->last)
			oldest = &j->run[i];
	}
	if (j->n_runs < RUNS_MAX)
		return &j->run[j->n_runs++];
	run_close(j, oldest);
	return oldest;
}

static void close_all(struct join *j)
{
	for (unsigned i = 0; i < j->n_runs; i++)
		run_close(j, &j->run[i]);
}

/* A hint that names another place saves the look at the run fed last; any other is tried like a frame without. */
static bool worth_a_look(const struct join *j, const struct packet *p)
{
	if (!j->fresh || !j->fresh->count)
		return false;
	struct segment last = j->p[j->fresh->last].segment, own = p->segment;
	return !own.n || (own.id == last.id && own.i == last.i + 1);
}

static void place(struct join *j, unsigned i, unsigned may)
{
	struct packet *p = &j->p[i];
	if (worth_a_look(j, p) && goes_on(j, j->fresh, p)) {
		run_take(j, j->fresh, i);
		return;
	}
	struct layout l;
	if (p->offload.gso != GSO_NONE || !layout_of(p->data, p->len, &l)) {
		close_all(j);
		return;
	}
	if (!(may & (l.protocol == IP_TCP ? TAP_TSO : TAP_USO)))
		return;
	uint64_t flow = flow_of(p->data, &l);
	struct run *r = run_find(j, flow);
	if (r && goes_on(j, r, p)) {
		run_take(j, r, i);
		return;
	}
	if (r)
		run_close(j, r);
	if (!may_lead(p, &l))
		return;
	r = run_room(j);
	*r =
	    (struct run){.layout = l, .size = l.end - l.payload, .total = l.end - l.l3, .count = 1, .head = (uint8_t)i, .last = (uint8_t)i};
	j->flow[r - j->run] = flow;
	j->fresh = r;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

/* Tails behind their heads, in place: each packet of a cycle moves once. */
static void arrange(struct join *j, unsigned n)
{
	uint8_t from[JOIN_MAX];
	unsigned k = 0;
	for (unsigned i = 0; i < n; i++) {
		if (j->tail[i])
			continue;
		from[k++] = (uint8_t)i;
		for (unsigned t = j->next[i]; t; t = j->next[t])
			from[k++] = (uint8_t)t;
	}
	assert(k == n);
	for (unsigned i = 0; i < n; i++) {
		if (from[i] == i)
			continue;
		struct packet first = j->p[i];
		unsigned at = i;
		while (from[at] != i) {
			unsigned source = from[at];
			j->p[at] = j->p[source];
			from[at] = (uint8_t)at;
			at = source;
		}
		j->p[at] = first;
		from[at] = (uint8_t)at;
	}
}

void join_batch(struct packet *p, unsigned n, unsigned may)
{
	assert(n <= JOIN_MAX);
	if (!(may & (TAP_TSO | TAP_USO)) || n < 2)
		return;
	struct join j;
	j.p = p;
	j.n_runs = 0;
	j.fresh = NULL;
	j.moved = false;
	memset(j.next, 0, n);
	memset(j.tail, 0, n * sizeof(j.tail[0]));
	for (unsigned i = 0; i < n; i++)
		if (p[i].verdict == DROP_NONE)
			place(&j, i, may);
	close_all(&j);
	if (j.moved)
		arrange(&j, n);
}
