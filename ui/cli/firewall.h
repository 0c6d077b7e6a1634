/* firewall.h: a hint whether this host's own nftables let our UDP in. A hint: jumps, sets by name and other tools' rules are not followed.
 */
#ifndef FARLAN_UI_CLI_FIREWALL_H
#define FARLAN_UI_CLI_FIREWALL_H

#include <jansson.h>
#include <stdint.h>

/* {"checked": false, "why": "..."} or {"checked": true, "policy": "drop"|"accept", "accepted": bool}. accepted: some rule of a dropping
 * input chain takes UDP to that port. Runs nft, which only root may. */
json_t *firewall_look(uint16_t port);
/* The same of a ruleset as nft -j prints it. */
json_t *firewall_judge(const json_t *ruleset, uint16_t port);

#endif
