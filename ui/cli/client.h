/* client.h: requests to a daemon's unix socket. One connection, one request at a time; everything may block.
 */
#ifndef FARLAN_UI_CLI_CLIENT_H
#define FARLAN_UI_CLI_CLIENT_H

#include <jansson.h>

#include "ui/cli/verb.h"

struct client; /* opaque */

/* Finds the daemon the verb asks for. 0, or an exit code with the complaint printed. */
int client_open(struct client **ret, const struct call *);
int client_open_at(struct client **ret, const struct home *); /* that daemon, whatever the verb asks for */
void client_close(struct client *);
enum home_kind client_kind(const struct client *);
void client_patient(struct client *); /* answers may wait for something to happen: half a minute and not ten seconds */
/* Is there a daemon of that kind at this home, as far as its socket tells? Says nothing. */
bool client_there(const struct call *, enum home_kind);

/* Takes body (NULL = none). 0 with the answered object, which the caller drops (NULL when the answer has none), or an exit
 * code with the daemon's problem printed. ret may be NULL. */
int client_ask(struct client *, const char *method, const char *path, json_t *body, json_t **ret);
/* Opens, asks once and closes. *ret is NULL on failure. */
int client_once(const struct call *, const char *method, const char *path, json_t *body, json_t **ret);
/* The same, for a verb that only shows what is answered: a program is given it here, as output_json() says, and *ret is NULL; for people it
 * is left in *ret. */
int client_shown(const struct call *, const char *method, const char *path, json_t *body, const char *member, const char *schema,
                 json_t **ret);
/* As client_ask() with POST, or with body NULL with GET, but what is answered are bytes, written to fd as they come. Waits as long as they do come. */
int client_fetch(struct client *, const char *path, json_t *body, int fd);

#endif
