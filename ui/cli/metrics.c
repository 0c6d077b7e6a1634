/* metrics.c: what a daemon counts, as Prometheus reads it. A node has no TCP port of its own for that: what collects text from files takes it.
 */
#include <unistd.h>

#include "ui/cli/client.h"

int run_metrics(struct call *call)
{
	struct client *client;
	int code = client_open(&client, call);
	if (code)
		return code;
	code = client_fetch(client, "/metrics", NULL, STDOUT_FILENO);
	client_close(client);
	return code;
}
