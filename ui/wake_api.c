/* wake_api.c: a wake-up from its JSON to the node, and what became of it.
 *
 * Nobody learns here whether the machine woke: a magic packet is answered by nothing. What can be said is by way of whom it went, and of whom we have
 * no session yet; everything that keeps it from going at all is a problem with its mend.
 */
#include "ui/wake_api.h"

#include <stdio.h>

#include "node/wake.h"
#include "ui/json.h"
#include "ui/sight_api.h"

#define WHO_ROOM 64

struct wish {
	char who[WHO_ROOM], via[WHO_ROOM], network[WHO_ROOM];
	bool via_set, network_set;
	uint64_t nwid;
};

static bool wish_read(const struct request *request, struct wish *w, struct problem *problem)
{
	static const char *const names[] = {"who", "network", "via", NULL};
	bool pin, set = false, good = false;
	uint8_t bits[17];
	json_t *o = json_body(request->body, request->body_len, names, problem);
	if (!o)
		return false;
	if (!json_take_text(o, "who", 1, w->who, sizeof(w->who), &set, problem) ||
	    !json_take_text(o, "via", 1, w->via, sizeof(w->via), &w->via_set, problem) ||
	    !json_take_text(o, "network", 1, w->network, sizeof(w->network), &w->network_set, problem))
		goto out;
	if (!set)
		problem_set(problem, 400, "who missing", "\"who\" is needed: a MAC, or a member");
	else if (w->network_set && !nwid_parse(w->network, &w->nwid, &pin, bits))
		problem_set(problem, 400, "not a network id", "\"network\" must be a network id of 16 hex digits");
	else
		good = true;
out:
	json_decref(o);
	return good;
}

static json_t *done_json(const struct wake_view *v)
{
	json_t *o = json_schema("farlan.wake/1"), *macs = json_array(), *bridges = json_array();
	for (unsigned i = 0; i < v->n_macs; i++) {
		char text[18];
		const uint8_t *m = v->mac[i];
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
		json_array_append_new(macs, json_string(text));
	}
	for (unsigned i = 0; i < v->n_bridges; i++) {
		char nwid[NWID_TEXT];
		json_t *b = json_object();
		nwid_format(v->bridge[i].nwid, nwid);
		json_object_set_new(b, "network", json_string(nwid));
		json_object_set_new(b, "address", sight_address(v->bridge[i].address));
		json_object_set_new(b, "up", json_boolean(v->bridge[i].up));
		json_array_append_new(bridges, b);
	}
	json_object_set_new(o, "macs", macs);
	json_object_set_new(o, "bridges", bridges);
	return o;
}

static void refuse(const struct wish *w, enum wake_verdict verdict, struct problem *p)
{
	switch (verdict) {
	case WAKE_NETWORK:
		problem_set(p, 404, "not joined",
		            w->network_set ? "this node is not in network %.44s, or it is not up" : "no network is up", w->network);
		snprintf(p->command, sizeof(p->command), "farlan networks");
		break;
	case WAKE_NOBODY:
		problem_set(p, 404, "no such machine", "\"%.63s\" is neither a MAC nor a member of this node's networks", w->who);
		snprintf(p->hint, sizeof(p->hint), "give the MAC of its network card");
		break;
	case WAKE_SEVERAL:
		problem_set(p, 409, "ambiguous member", "several members go by \"%.63s\"", w->via_set ? w->via : w->who);
		snprintf(p->hint, sizeof(p->hint), "name it by its address; farlan peers lists whom this node talks to");
		break;
	case WAKE_MAC: problem_set(p, 400, "not a machine's MAC", "\"%.63s\" is the MAC of a group or of nobody", w->who); break;
	case WAKE_DERIVED:
		problem_set(p, 409, "nothing to wake it by",
		            "only the overlay device of \"%.63s\" is known, and that sleeps with its machine", w->who);
		snprintf(p->hint, sizeof(p->hint), "give the MAC of its network card, as its box or its firmware tells it");
		break;
	case WAKE_VIA:
		problem_set(p, 404, "no such bridge", "\"%.63s\" is no member that may bridge", w->via);
		snprintf(p->command, sizeof(p->command), "farlan member set NWID MEMBER --bridge on");
		break;
	case WAKE_OFF:
		problem_set(p, 409, "broadcast is off", "magic packets are broadcasts, and those are switched off in that network");
		break;
	default: /* WAKE_ALONE */
		problem_set(p, 409, "no bridge", "no other member bridges a LAN%s", w->network_set ? " to that network" : "");
		snprintf(p->hint, sizeof(p->hint), "a member that is awake in the machine's LAN must bridge it");
		snprintf(p->command, sizeof(p->command), "farlan member set NWID MEMBER --bridge on");
		break;
	}
}

void wake_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem = {0};
	struct wish w = {0};
	struct wake_view view;
	if (!wish_read(request, &w, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum wake_verdict verdict = node_wake(api->node, w.who, w.nwid, w.via_set ? w.via : NULL, api->now, &view);
	if (verdict == WAKE_OK) {
		reply_json(reply, 200, done_json(&view));
		return;
	}
	refuse(&w, verdict, &problem);
	reply_problem(reply, &problem);
}
