/* Theory of operation: a list is sixteen numbers at most and is walked. What stands behind a frame's source MAC is its EtherType, and
 * that of the outermost tag where it is tagged: nobody looks behind a tag, since what a list allows must be what a reader of the first
 * fourteen bytes sees. Below 0x0600 it is a length, and the frame is LLC, whatever length it has. */
#include "proto/ethertype.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	uint16_t type;
	const char *name;
} names[] = {
    {ETHERTYPE_LLC, "llc"}, {0x0800, "ipv4"},  {0x0806, "arp"},      {0x0842, "wol"},  {0x8035, "rarp"},     {0x809b, "appletalk"},
    {0x80f3, "aarp"},       {0x8100, "vlan"},  {0x8137, "ipx"},      {0x86dd, "ipv6"}, {0x8847, "mpls"},     {0x8863, "pppoe-discovery"},
    {0x8864, "pppoe"},      {0x888e, "eapol"}, {0x8892, "profinet"}, {0x88a2, "aoe"},  {0x88a4, "ethercat"}, {0x88a8, "qinq"},
    {0x88b8, "goose"},      {0x88cc, "lldp"},  {0x88e5, "macsec"},   {0x88f7, "ptp"},  {0x8906, "fcoe"}};

bool ethertypes_add(struct ethertypes *e, uint16_t type)
{
	unsigned at = 0;
	if (type != ETHERTYPE_LLC && type < ETHERTYPE_MIN)
		return false;
	while (at < e->n && e->type[at] < type)
		at++;
	if (at < e->n && e->type[at] == type)
		return true;
	if (e->n == ETHERTYPES_MAX)
		return false;
	memmove(&e->type[at + 1], &e->type[at], (e->n++ - at) * sizeof(e->type[0]));
	e->type[at] = type;
	return true;
}

bool ethertypes_pass(const struct ethertypes *e, uint16_t field)
{
	uint16_t type = field < ETHERTYPE_MIN ? (uint16_t)ETHERTYPE_LLC : field;
	for (unsigned i = 0; i < e->n; i++)
		if (e->type[i] == type)
			return true;
	return !e->n;
}

const char *ethertype_name(uint16_t type)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return NULL;
}

bool ethertype_parse(const char *text, uint16_t *ret)
{
	char *end;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].name, text)) {
			*ret = names[i].type;
			return true;
		}
	bool hex = !strncmp(text, "0x", 2);
	const char *digits = hex ? text + 2 : text;
	if (!*digits || strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits) || strlen(digits) > 5)
		return false;
	unsigned long n = strtoul(digits, &end, hex ? 16 : 10);
	if (n > UINT16_MAX || (n != ETHERTYPE_LLC && n < ETHERTYPE_MIN))
		return false;
	*ret = (uint16_t)n;
	return true;
}
