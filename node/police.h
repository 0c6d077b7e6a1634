/* police.h: everything a frame must pass because of what the network allows: EtherTypes, switches, storm limits, guards; and who is to blame when it does not.
 *
 * Any worker, and control for frames that waited. Only what comes to pass here is limited twice, at both ends: the sender's end spares everybody
 * the work, the receiver's end holds when the sender does not.
 */
#ifndef FARLAN_NODE_POLICE_H
#define FARLAN_NODE_POLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/drop.h"

struct member;
struct port;

/* May frames of that EtherType be in the network at all? Of a frame of our own device it is asked first, before anything answers it. */
enum drop police_type(const struct port *, const uint8_t *frame);
/* A frame of our own device, at least 14 bytes, its source MAC and its type judged. unknown: a unicast that is about to be flooded. */
enum drop police_out(struct port *, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us);
/* A frame of a member, its source MAC judged; its type is looked at here. unknown: a unicast to neither us nor anything known behind us. Does not blame. */
enum drop police_in(const struct port *, struct member *from, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us);
/* Counts what a member is the cause of; other reasons are left out. */
void police_blame(struct member *, enum drop);
/* Whose doing it is. Of a copy, what an honest replicator would have refused is the replicator's, not that of the member it names (NULL: nobody). */
struct member *police_guilty(struct member *sender, struct member *origin, enum drop);

#endif
