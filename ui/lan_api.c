/* lan_api.c: learned MACs and multicast groups as JSON.
 *
 * Learned MACs come in the order of a hash table, which is none: they are sorted, so that two looks can be compared. A full table of 16 384 takes
 * some ten milliseconds of the control thread; frames do not wait for it.
 */
#include "ui/lan_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/fdb.h"
#include "node/group.h"
#include "ui/json.h"
#include "ui/settings.h"
#include "ui/sight_api.h"

static json_t *mac_json(const uint8_t mac[6])
{
	char text[18];
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return json_string(text);
}

/* What one answer is made of: rows of one network or of all. */
struct look {
	struct node_api *api;
	json_t *rows;
	char nwid[NWID_TEXT]; /* of the network looked at */
	int (*one)(struct look *, uint64_t nwid);
};

static void each_network(void *self, const struct net_view *view)
{
	struct look *look = self;
	nwid_format(view->nwid, look->nwid);
	look->one(look, view->nwid);
}

static void look_at(struct look *look, const struct request *request, struct reply *reply, const char *schema, const char *member)
{
	struct problem problem;
	uint64_t nwid;
	char dev[16];
	bool pinned;
	uint8_t pin[17];
	int error = 0;
	look->rows = json_array();
	if (!request->arg[0]) {
		node_networks(look->api->node, each_network, look);
	} else if (!settings_join(request->arg[0], NULL, 0, &nwid, dev, &pinned, pin, &problem)) {
		error = -EINVAL;
	} else {
		nwid_format(nwid, look->nwid);
		error = look->one(look, nwid);
		if (error) {
			problem_set(&problem, 404, "not joined", "this node is not in network %.44s", request->arg[0]);
			snprintf(problem.command, sizeof(problem.command), "farlan networks");
		}
	}
	if (error) {
		json_decref(look->rows);
		reply_problem(reply, &problem);
		return;
	}
	json_t *o = json_schema(schema);
	json_object_set_new(o, member, look->rows);
	reply_json(reply, 200, o);
}

/* ---- learned MACs ----------------------------------------------------------------------------------------------- */

struct learned {
	struct fdb_entry *entry;
	size_t n, room;
};

/* Without memory for more the rest is left out. */
static void learned_take(void *self, const struct fdb_entry *e)
{
	struct learned *l = self;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct fdb_entry *more = realloc(l->entry, room * sizeof(*more));
		if (!more)
			return;
		l->entry = more;
		l->room = room;
	}
	l->entry[l->n++] = *e;
}

static int learned_order(const void *one, const void *other)
{
	const struct fdb_entry *a = one, *b = other;
	return a->vlan != b->vlan ? (a->vlan < b->vlan ? -1 : 1) : memcmp(a->mac, b->mac, sizeof(a->mac));
}

static int fdb_rows(struct look *look, uint64_t nwid)
{
	struct learned l = {.n = 0};
	int error = node_fdb(look->api->node, nwid, look->api->now, learned_take, &l);
	if (l.n)
		qsort(l.entry, l.n, sizeof(*l.entry), learned_order);
	for (size_t i = 0; i < l.n; i++) {
		json_t *o = json_object();
		json_object_set_new(o, "network", json_string(look->nwid));
		json_object_set_new(o, "vlan", json_integer(l.entry[i].vlan));
		json_object_set_new(o, "mac", mac_json(l.entry[i].mac));
		json_object_set_new(o, "address", sight_address(l.entry[i].address));
		json_object_set_new(o, "here", json_boolean(l.entry[i].address == node_identity(look->api->node)->address));
		json_object_set_new(o, "age_ms", json_count(l.entry[i].age_ms));
		json_object_set_new(o, "frozen", json_boolean(l.entry[i].frozen));
		json_array_append_new(look->rows, o);
	}
	free(l.entry);
	return error;
}

void lan_fdb_get(void *self, const struct request *request, struct reply *reply)
{
	struct look look = {.api = self, .one = fdb_rows};
	look_at(&look, request, reply, "farlan.fdb/1", "entries");
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

static void group_row(void *self, const struct groups_view *v)
{
	struct look *look = self;
	json_t *o = json_object(), *groups = json_array();
	for (uint32_t i = 0; i < v->n; i++)
		json_array_append_new(groups, mac_json(v->group[i]));
	json_object_set_new(o, "network", json_string(look->nwid));
	json_object_set_new(o, "address", sight_address(v->address));
	json_object_set_new(o, "here", json_boolean(v->own));
	json_object_set_new(o, "known", json_boolean(v->known));
	json_object_set_new(o, "all", json_boolean(v->all));
	json_object_set_new(o, "blocked", json_boolean(v->blocked));
	json_object_set_new(o, "groups", groups);
	json_array_append_new(look->rows, o);
}

static int group_rows(struct look *look, uint64_t nwid)
{
	return node_groups(look->api->node, nwid, group_row, look);
}

void lan_groups_get(void *self, const struct request *request, struct reply *reply)
{
	struct look look = {.api = self, .one = group_rows};
	look_at(&look, request, reply, "farlan.groups/1", "members");
}
