/* traffic_api.c: what a network or one of its members carried, slot by slot, as columns: charts take them as they are. A slot that nobody
 * told anything of is null, which is not the same as nothing carried.
 */
#include <stdlib.h>
#include <string.h>

#include "controller/traffic.h"
#include "ui/argument.h"
#include "ui/controller_routes.h"

json_t *traffic_rate_json(bool known, uint64_t rx_bps, uint64_t tx_bps)
{
	if (!known)
		return json_null();
	json_t *o = json_object();
	json_object_set_new(o, "rx_bps", json_count(rx_bps));
	json_object_set_new(o, "tx_bps", json_count(tx_bps));
	return o;
}

static bool range_of(const struct request *request, struct reply *reply, enum traffic_range *ret)
{
	const char *names[TRAFFIC_RANGES + 1] = {NULL};
	unsigned range = TRAFFIC_HOUR;
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++)
		names[i] = traffic_rings[i].name;
	if (!argument_word(request, reply, "range", names, "1h, 24h or 30d", &range))
		return false;
	*ret = (enum traffic_range)range;
	return true;
}

/* ---- columns ---- */

struct columns {
	json_t *rx_bytes, *tx_bytes, *rx_frames, *tx_frames, *rtt, *drops;
};

static void column_put(json_t *column, bool told, uint64_t value)
{
	json_array_append_new(column, told ? json_count(value) : json_null());
}

static void slots_json(json_t *o, const struct traffic_view *v, unsigned slots)
{
	struct columns k = {json_array(), json_array(), json_array(), json_array(), json_array(), json_array()};
	for (unsigned i = 0; i < slots; i++) {
		const struct traffic_slot *s = &v->slot[i];
		column_put(k.rx_bytes, s->told, s->count.rx_bytes);
		column_put(k.tx_bytes, s->told, s->count.tx_bytes);
		column_put(k.rx_frames, s->told, s->count.rx_frames);
		column_put(k.tx_frames, s->told, s->count.tx_frames);
		column_put(k.rtt, s->told && s->rtt_us, s->rtt_us);
		column_put(k.drops, s->told, s->drops);
	}
	json_object_set_new(o, "rx_bytes", k.rx_bytes);
	json_object_set_new(o, "tx_bytes", k.tx_bytes);
	json_object_set_new(o, "rx_frames", k.rx_frames);
	json_object_set_new(o, "tx_frames", k.tx_frames);
	json_object_set_new(o, "rtt_us", k.rtt);
	json_object_set_new(o, "drops", k.drops);
}

static json_t *reasons_json(const struct traffic_view *v, unsigned slots)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < v->n_reasons; i++) {
		json_t *o = json_object(), *column = json_array();
		for (unsigned k = 0; k < slots; k++)
			column_put(column, v->slot[k].told, v->reason[i].slot[k]);
		json_object_set_new(o, "reason", json_text(v->reason[i].name));
		json_object_set_new(o, "total", json_count(v->reason[i].total));
		json_object_set_new(o, "slots", column);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *total_json(const struct traffic_view *v)
{
	json_t *o = json_object();
	json_object_set_new(o, "rx_bytes", json_count(v->total.rx_bytes));
	json_object_set_new(o, "tx_bytes", json_count(v->total.tx_bytes));
	json_object_set_new(o, "rx_frames", json_count(v->total.rx_frames));
	json_object_set_new(o, "tx_frames", json_count(v->total.tx_frames));
	json_object_set_new(o, "drops", json_count(v->drops));
	return o;
}

static json_t *members_json(const struct traffic_view *v)
{
	char address[ADDRESS_TEXT];
	json_t *list = json_array();
	for (unsigned i = 0; i < v->n_members; i++) {
		const struct traffic_member *m = &v->member[i];
		json_t *o = json_object();
		address_format(m->address, address);
		json_object_set_new(o, "address", json_string(address));
		json_object_set_new(o, "name", json_text(m->name));
		json_object_set_new(o, "rx_bytes", json_count(m->count.rx_bytes));
		json_object_set_new(o, "tx_bytes", json_count(m->count.tx_bytes));
		json_array_append_new(list, o);
	}
	return list;
}

/* ---- routes ---- */

static json_t *view_json(uint64_t nwid, uint64_t member, enum traffic_range range, const struct traffic_view *v)
{
	const struct traffic_ring *ring = &traffic_rings[range];
	char id[NWID_TEXT], address[ADDRESS_TEXT];
	json_t *o = json_schema("farlan.traffic/1");
	nwid_format(nwid, id);
	address_format(member, address);
	json_object_set_new(o, "network", json_string(id));
	json_object_set_new(o, "member", member ? json_string(address) : json_null());
	json_object_set_new(o, "range", json_string(ring->name));
	json_object_set_new(o, "step", json_integer(ring->step));
	json_object_set_new(o, "start", json_count(v->start));
	json_object_set_new(o, "slots", json_integer(ring->slots));
	json_object_set_new(o, "unfinished", json_true()); /* the last slot is that of now */
	slots_json(o, v, ring->slots);
	json_object_set_new(o, "drop_reasons", reasons_json(v, ring->slots));
	json_object_set_new(o, "totals", total_json(v));
	if (!member) {
		json_object_set_new(o, "reporting", json_integer(v->reporting));
		json_object_set_new(o, "members", members_json(v));
	}
	return o;
}

static void traffic_answer(struct controller_api *api, const struct request *request, struct reply *reply, uint64_t nwid, uint64_t member)
{
	struct admin_error error = {0};
	enum traffic_range range;
	if (!range_of(request, reply, &range))
		return;
	struct traffic_view *v = malloc(sizeof(*v));
	enum admin_status status = v ? controller_traffic(api->controller, nwid, member, range, v, &error) : ADMIN_UNAVAILABLE;
	if (status == ADMIN_OK)
		reply_json(reply, 200, view_json(nwid, member, range, v));
	else
		admin_problem(reply, status, &error);
	free(v);
}

void network_traffic_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (network_of(request, reply, &nwid))
		traffic_answer(self, request, reply, nwid, 0);
}

void member_traffic_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid, member;
	if (member_of(request, reply, &nwid, &member))
		traffic_answer(self, request, reply, nwid, member);
}
