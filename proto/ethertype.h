/* ethertype.h: lists of EtherTypes, and what people call them. Pure; any thread. */
#ifndef FARLAN_PROTO_ETHERTYPE_H
#define FARLAN_PROTO_ETHERTYPE_H

#include "proto/cred.h"

/* false: not one (0 = LLC, or from 0x0600 on), or no room; one that is there already is no mistake. */
bool ethertypes_add(struct ethertypes *, uint16_t type);
/* field: the two bytes behind a frame's source MAC, whatever they are. */
bool ethertypes_pass(const struct ethertypes *, uint16_t field);

const char *ethertype_name(uint16_t type);             /* NULL: it has none here */
bool ethertype_parse(const char *text, uint16_t *ret); /* a name, 0x86dd or 34525 */

#endif
