/* frames.c: numbered Ethernet frames: each says who sent it and is checked byte for byte and once only where it arrives. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/loopguard.h"
#include "test/sim/sim.h"

#define FRAME_MIN     60
#define FRAME_LONGEST 1414 /* of the default MTU */
#define HEADER        20

static size_t frame_write(const struct sim *sim, size_t number, uint8_t out[FRAME_LONGEST])
{
	const struct frame *f = &sim->frame[number];
	struct writer w = writer_over(out, FRAME_LONGEST);
	uint8_t mac[6];
	memcpy(mac, f->group, sizeof mac);
	if (f->to >= 0)
		mac_derive(sim->nwid, sim->host[f->to]->secret->self.address, mac);
	put_bytes(&w, mac, 6);
	mac_derive(sim->nwid, sim->host[f->from]->secret->self.address, mac);
	put_bytes(&w, mac, 6);
	put_be16(&w, 0x88b5);
	put_le32(&w, (uint32_t)number);
	put_le16(&w, f->len);
	for (size_t i = HEADER; i < f->len; i++)
		put_u8(&w, (uint8_t)(number * 31 + i));
	assert(!w.bad && writer_len(&w) == f->len);
	return f->len;
}

static size_t send_to(struct host *from, const struct host *to, const uint8_t group[6], size_t len)
{
	struct sim *sim = from->sim;
	assert(len >= FRAME_MIN && len <= FRAME_LONGEST);
	if (sim->n_frames == sim->room_frames) {
		sim->room_frames = sim->room_frames ? sim->room_frames * 2 : 256;
		sim->frame = realloc(sim->frame, sim->room_frames * sizeof *sim->frame);
		assert(sim->frame);
	}
	size_t number = sim->n_frames++;
	sim->frame[number] =
	    (struct frame){.at = sim->now, .from = (uint16_t)from->number, .len = (uint16_t)len, .to = to ? (int)to->number : -1};
	memcpy(sim->frame[number].group, group, 6);
	if (!from->tap) /* as an application whose interface is away */
		return number;
	struct datagram *d = calloc(1, sizeof *d + FRAME_LONGEST);
	assert(d);
	d->len = (uint32_t)frame_write(sim, number, d->bytes);
	unsigned q = (unsigned)(number % from->tap->queues);
	*from->tap->last[q] = d;
	from->tap->last[q] = &d->next;
	host_turn(from);
	return number;
}

size_t frame_send(struct host *from, struct host *to, size_t len)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	return send_to(from, to, everybody, len);
}

size_t frame_send_group(struct host *from, const uint8_t group[6], size_t len)
{
	return send_to(from, NULL, group, len);
}

void frame_arrived(struct host *h, const uint8_t *bytes, size_t len)
{
	struct sim *sim = h->sim;
	uint8_t want[FRAME_LONGEST];
	size_t number = len >= FRAME_MIN ? le32_at(bytes + 14) : SIZE_MAX;
	if (loopguard_frame(bytes, len)) /* a bridge's own, for its LAN */
		return;
	if (number >= sim->n_frames) {
		sim_fail(sim, "host %u got a frame that nobody sent", h->number);
		return;
	}
	struct frame *f = &sim->frame[number];
	uint64_t bit = UINT64_C(1) << h->number % 64, *got = &f->got[h->number / 64];
	if (frame_write(sim, number, want) != len || memcmp(want, bytes, len))
		sim_fail(sim, "frame %zu arrived changed at host %u", number, h->number);
	if ((f->to >= 0 && f->to != (int)h->number) || f->from == h->number)
		sim_fail(sim, "frame %zu from %u to %d arrived at host %u", number, f->from, f->to, h->number);
	if (*got & bit) {
		sim->duplicated++;
		sim_fail(sim, "frame %zu from %u to %d arrived twice at host %u", number, f->from, f->to, h->number);
	}
	*got |= bit;
	sim->delivered++;
}

bool frame_got(struct sim *sim, size_t number, const struct host *h)
{
	return sim->frame[number].got[h->number / 64] >> h->number % 64 & 1;
}

uint64_t frames_got(struct sim *sim, size_t first, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = first; i < first + n; i++)
		for (unsigned k = 0; k < (SIM_ALL + 63) / 64; k++)
			sum += (uint64_t)__builtin_popcountll(sim->frame[i].got[k]);
	return sum;
}

uint64_t frames_due(struct sim *sim, size_t first, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = first; i < first + n; i++)
		sum += sim->frame[i].to >= 0 ? 1 : world_members(sim) - 1;
	return sum;
}

struct awaited {
	size_t number;
	const struct host *at;
};

static bool awaited_came(struct sim *sim, void *self)
{
	const struct awaited *a = self;
	return frame_got(sim, a->number, a->at);
}

bool frame_passes(struct host *from, struct host *to, uint64_t within)
{
	struct awaited a = {.number = frame_send(from, to, 100), .at = to};
	return sim_run_until(from->sim, within, awaited_came, &a);
}
