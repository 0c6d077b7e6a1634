/* zt1_controller.h: the controller's side of ZeroTier One's HTTP API over our own model.
 *
 * Control thread only. What it shows is derived from what is enforced, and what cannot be enforced is refused with 400 and a reason.
 */
#ifndef FARLAN_UI_ZT1_CONTROLLER_H
#define FARLAN_UI_ZT1_CONTROLLER_H

#include "ui/controller_api.h"
#include "ui/zt1.h"

struct zt1_api {
	struct controller_api *api;
	struct zt1 *door;
	struct node *node; /* its roots; NULL = none (tests) */
};

/* A request that zt1_admit() let in; the actor is set by the caller. */
void zt1_controller_serve(struct zt1_api *, const struct request *, struct reply *);

/* ---- shared by its files */

#define ZT1_REASON 320 /* a sentence for who sent the body */

void zt1_failed(struct reply *, enum admin_status, const struct admin_error *);
/* The ids of the path; false: answered. */
bool zt1_network_of(const struct request *, struct reply *, uint64_t *ret);
bool zt1_member_of(const struct request *, struct reply *, uint64_t *ret_nwid, uint64_t *ret);
/* false, with "NAME SHOULD" in why. */
bool zt1_wrong(char why[ZT1_REASON], const char *name, const char *should);
/* Nothing in it: null, "", [], {}, false, 0, or lists of those. */
bool zt1_hollow(const json_t *);
/* The named field asks for what this controller does not have. */
bool zt1_lacking(const json_t *body, const char *const *names, char why[ZT1_REASON]);

/* zt1_network.c */
void zt1_networks_get(void *self, const struct request *, struct reply *);
void zt1_networks_all(void *self, const struct request *, struct reply *);
void zt1_network_create(void *self, const struct request *, struct reply *);
void zt1_network_get(void *self, const struct request *, struct reply *);
void zt1_network_post(void *self, const struct request *, struct reply *);
void zt1_network_delete(void *self, const struct request *, struct reply *);

/* zt1_layout.c: our one pool, routes and ranges, and their routes and ipAssignmentPools. Reads what the body has of those into the
 * settings, and sets the bits of what becomes another. */
json_t *zt1_routes_json(const struct network_row *);
json_t *zt1_pools_json(const struct network_row *);
bool zt1_layout_read(const json_t *body, const struct network_row *now, struct network_settings *, char why[ZT1_REASON]);
/* After that: are addresses given, if v4AssignMode wishes so? waits: they would be if there were a range. */
void zt1_assign_read(bool wished, const struct network_row *now, struct network_settings *, bool *ret_waits);

/* zt1_rules.c: of their rules we enforce what says which EtherTypes pass. */
json_t *zt1_rules_json(const struct ethertypes *);
bool zt1_rules_read(const json_t *rules, struct ethertypes *ret, char why[ZT1_REASON]);

/* zt1_member.c */
void zt1_members_get(void *self, const struct request *, struct reply *);
void zt1_members_all(void *self, const struct request *, struct reply *);
void zt1_member_get(void *self, const struct request *, struct reply *);
void zt1_member_post(void *self, const struct request *, struct reply *);
void zt1_member_delete(void *self, const struct request *, struct reply *);

/* zt1_peer.c */
void zt1_status_get(void *self, const struct request *, struct reply *);
void zt1_health_get(void *self, const struct request *, struct reply *);
void zt1_controller_get(void *self, const struct request *, struct reply *);
void zt1_peers_get(void *self, const struct request *, struct reply *);
void zt1_peer_get(void *self, const struct request *, struct reply *);

#endif
