/* names.c: asks the controller for its networks and their members.
 *
 * A member of two networks that gave it two names goes by the one of the first. Two members of one name are nobody.
 */
#include "ui/cli/names.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define PATH_ROOM 64

static void names_of(struct client *client, const char *nwid, json_t *names)
{
	char path[PATH_ROOM];
	json_t *list = NULL, *one;
	size_t i;
	snprintf(path, sizeof(path), "/v1/networks/%s/members", nwid);
	if (client_ask(client, "GET", path, NULL, &list) == 0)
		json_array_foreach(json_object_get(list, "members"), i, one)
		{
			const char *address = field(one, "address");
			if (*field(one, "name") && *address && !json_object_get(names, address))
				json_object_set(names, address, json_object_get(one, "name"));
		}
	json_decref(list);
}

json_t *names_known(const struct call *call)
{
	static const struct verb verb = {.service = SERVICE_CONTROLLER};
	struct call asking = *call;
	struct client *client;
	json_t *names = NULL, *list = NULL, *one;
	size_t i;
	asking.verb = &verb;
	if (!client_there(&asking, HOME_CONTROLLER) || client_open(&client, &asking))
		return NULL;
	if (client_ask(client, "GET", "/v1/networks", NULL, &list) == 0)
		names = json_object();
	json_array_foreach(json_object_get(list, "networks"), i, one)
	{
		char nwid[NWID_TEXT];
		if (word_nwid(field(one, "id"), nwid, NULL) == 0)
			names_of(client, nwid, names);
	}
	json_decref(list);
	client_close(client);
	return names;
}

int names_find(const json_t *names, const char *word, char ret_address[ADDRESS_TEXT])
{
	char shown[128];
	unsigned found = 0;
	const char *address;
	json_t *name;
	log_text(shown, sizeof(shown), word, strlen(word));
	json_object_foreach((json_t *)names, address, name)
	{
		if (strcmp(json_string_value(name), word) != 0 || strlen(address) >= ADDRESS_TEXT)
			continue;
		snprintf(ret_address, ADDRESS_TEXT, "%s", address);
		found++;
	}
	if (found == 1)
		return 0;
	if (found)
		return complain(EXIT_CONFLICT, "%u members are called \"%s\"; give the address, see farlan peers", found, shown);
	return complain(EXIT_NOT_FOUND, "nobody here is known as \"%s\"; give an address, an overlay IP or a MAC%s", shown,
	                names ? "" : " (names are known where the network's controller runs)");
}
