/* zt1_object.c: the objects that a node and a controller tell alike: itself, and whom it talks to.
 *
 * Every key is there in every answer, since programs reach through them without looking; what has no meaning here has the value that
 * says so. Versions are our own: the API is theirs, the software is not. -1 for a latency is how they tell "relayed, or not known".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ui/zt1.h"

uint64_t zt1_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void zt1_version(const char *text, int ret[3])
{
	int n[3] = {-1, -1, -1};
	for (unsigned i = 0; i < 3; i++) {
		size_t len = strspn(text, "0123456789");
		if (!len || len > 6)
			break;
		n[i] = atoi(text);
		text += len;
		if (*text != '.')
			break;
		text++;
	}
	if (n[0] >= 0)
		for (unsigned i = 1; i < 3; i++)
			n[i] = n[i] < 0 ? 0 : n[i];
	memcpy(ret, n, sizeof(n));
}

static void version_set(json_t *o, const char *text)
{
	int n[3];
	zt1_version(text, n);
	json_object_set_new(o, "version", json_text(text));
	json_object_set_new(o, "versionMajor", json_integer(n[0]));
	json_object_set_new(o, "versionMinor", json_integer(n[1]));
	json_object_set_new(o, "versionRev", json_integer(n[2]));
}

/* Their form of an address with a port, IPv6 too. */
static json_t *slashed_json(const struct endpoint *at)
{
	char text[64], port[8];
	uint8_t family = at->family & 0xf; /* without ENDPOINT_STREAM */
	struct prefix host = {.family = family, .bits = family == 4 ? 32 : 128};
	memcpy(host.ip, at->ip, sizeof(host.ip));
	prefix_format(&host, text, sizeof(text));
	text[strcspn(text, "/")] = '\0';
	snprintf(port, sizeof(port), "/%u", at->port);
	strncat(text, port, sizeof(text) - strlen(text) - 1);
	return json_string(text);
}

static json_t *settings_json(const struct zt1 *zt1, const struct zt1_status *s)
{
	char text[64];
	json_t *o = json_object(), *listening = json_array(), *surface = json_array(), *from = json_array();
	for (unsigned i = 0; i < 2; i++) {
		const struct endpoint *at = i ? &zt1->at_v6 : &zt1->at;
		if (at->family)
			json_array_append_new(listening, slashed_json(at));
	}
	for (unsigned i = 0; i < s->n_surface; i++)
		json_array_append_new(surface, slashed_json(&s->surface[i]));
	json_array_append_new(from, json_string("127.0.0.0/8"));
	json_array_append_new(from, json_string("::1/128"));
	for (unsigned i = 0; i < zt1->n_allow; i++) {
		prefix_format(&zt1->allow[i], text, sizeof(text));
		json_array_append_new(from, json_string(text));
	}
	json_object_set_new(o, "primaryPort", json_integer(s->port));
	json_object_set_new(o, "secondaryPort", json_integer(0));
	json_object_set_new(o, "tertiaryPort", json_integer(0));
	json_object_set_new(o, "portMappingEnabled", json_false());
	json_object_set_new(o, "allowTcpFallbackRelay", json_true());
	json_object_set_new(o, "forceTcpRelay", json_false());
	json_object_set_new(o, "listeningOn", listening);
	json_object_set_new(o, "surfaceAddresses", surface);
	json_object_set_new(o, "allowManagementFrom", from);
	json_object_set_new(o, "softwareUpdate", json_string("disable"));
	json_object_set_new(o, "softwareUpdateChannel", json_string("release"));
	return o;
}

json_t *zt1_status_json(const struct zt1 *zt1, const struct zt1_status *s)
{
	char address[ADDRESS_TEXT], identity[IDENTITY_TEXT_MAX];
	json_t *o = json_object(), *config = json_object();
	address_format(s->self->address, address);
	identity_format(s->self, identity);
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "publicIdentity", json_string(identity));
	json_object_set_new(o, "online", json_boolean(s->online));
	json_object_set_new(o, "tcpFallbackActive", json_boolean(s->fallback));
	version_set(o, FARLAN_VERSION);
	json_object_set_new(o, "versionBuild", json_integer(0));
	json_object_set_new(o, "clock", json_count(zt1_wall_ms()));
	json_object_set_new(o, "planetWorldId", json_integer(0));
	json_object_set_new(o, "planetWorldTimestamp", json_integer(0));
	json_object_set_new(config, "settings", settings_json(zt1, s));
	json_object_set_new(o, "config", config);
	return o;
}

json_t *zt1_health_json(bool online)
{
	json_t *o = json_object();
	json_object_set_new(o, "online", json_boolean(online));
	version_set(o, FARLAN_VERSION);
	json_object_set_new(o, "versionBuild", json_integer(0));
	json_object_set_new(o, "clock", json_count(zt1_wall_ms()));
	return o;
}

static json_t *path_json(const struct zt1_peer *p)
{
	json_t *o = json_object();
	json_object_set_new(o, "address", slashed_json(&p->path));
	json_object_set_new(o, "active", json_true());
	json_object_set_new(o, "expired", json_false());
	json_object_set_new(o, "preferred", json_true());
	json_object_set_new(o, "lastSend", json_count(p->seen_ms));
	json_object_set_new(o, "lastReceive", json_count(p->seen_ms));
	json_object_set_new(o, "trustedPathId", json_integer(0));
	json_object_set_new(o, "localSocket", json_integer(0));
	json_object_set_new(o, "localPort", json_integer(0));
	return o;
}

json_t *zt1_peer_json(const struct zt1_peer *p)
{
	char address[ADDRESS_TEXT];
	json_t *o = json_object(), *paths = json_array();
	json_int_t ms = p->rtt_us && p->direct ? (json_int_t)((p->rtt_us + 999) / 1000) : -1;
	address_format(p->address, address);
	if ((p->direct || p->stream) && (p->path.family))
		json_array_append_new(paths, path_json(p));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "latency", json_integer(ms));
	version_set(o, p->version);
	json_object_set_new(o, "role", json_string(p->root ? "PLANET" : "LEAF"));
	json_object_set_new(o, "isBonded", json_false());
	json_object_set_new(o, "tunneled", json_boolean(p->stream));
	json_object_set_new(o, "paths", paths);
	return o;
}
