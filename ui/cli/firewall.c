/* firewall.c: nft -j list ruleset, and what its input chains say of a UDP port.
 *
 * nft is started without a shell, with its path left to execvp and its complaints thrown away. Its answer is bounded; what is longer is not
 * looked at.
 */
#include "ui/cli/firewall.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RULESET_MAX (4 * 1024 * 1024)

static const char *text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static bool has_port(const json_t *right, uint16_t port)
{
	const json_t *range = json_object_get(right, "range"), *set = json_object_get(right, "set"), *one;
	size_t i;
	if (json_is_integer(right))
		return json_integer_value(right) == port;
	if (range)
		return json_integer_value(json_array_get(range, 0)) <= port && port <= json_integer_value(json_array_get(range, 1));
	json_array_foreach(set, i, one)
	{
		const json_t *in = json_object_get(one, "range");
		if (json_is_integer(one)
		        ? json_integer_value(one) == port
		        : in && json_integer_value(json_array_get(in, 0)) <= port && port <= json_integer_value(json_array_get(in, 1)))
			return true;
	}
	return false;
}

/* A rule that names UDP's destination port (or none at all) and accepts. */
static bool rule_accepts(const json_t *rule, uint16_t port)
{
	const json_t *expression;
	bool accepts = false, fits = true;
	size_t i;
	json_array_foreach(json_object_get(rule, "expr"), i, expression)
	{
		const json_t *match = json_object_get(expression, "match");
		const json_t *payload = json_object_get(json_object_get(match, "left"), "payload");
		if (json_object_get(expression, "accept"))
			accepts = true;
		if (!match)
			continue;
		const char *protocol = text(payload, "protocol");
		bool ours = (!strcmp(protocol, "udp") || !strcmp(protocol, "th")) && !strcmp(text(payload, "field"), "dport");
		fits = fits && ours && !strcmp(text(match, "op"), "==") && has_port(json_object_get(match, "right"), port);
	}
	return accepts && fits;
}

static bool same_chain(const json_t *rule, const json_t *chain)
{
	return !strcmp(text(rule, "family"), text(chain, "family")) && !strcmp(text(rule, "table"), text(chain, "table")) &&
	       !strcmp(text(rule, "chain"), text(chain, "name"));
}

static bool chain_accepts(const json_t *all, const json_t *chain, uint16_t port)
{
	const json_t *one;
	size_t i;
	json_array_foreach(all, i, one)
	{
		const json_t *rule = json_object_get(one, "rule");
		if (rule && same_chain(rule, chain) && rule_accepts(rule, port))
			return true;
	}
	return false;
}

json_t *firewall_judge(const json_t *ruleset, uint16_t port)
{
	const json_t *all = json_object_get(ruleset, "nftables"), *one;
	bool drops = false, accepted = true;
	size_t i;
	json_array_foreach(all, i, one)
	{
		const json_t *chain = json_object_get(one, "chain");
		if (!chain || strcmp(text(chain, "hook"), "input") != 0 || strcmp(text(chain, "type"), "filter") != 0 ||
		    strcmp(text(chain, "policy"), "drop") != 0)
			continue;
		drops = true;
		accepted = accepted && chain_accepts(all, chain, port);
	}
	return json_pack("{s:b, s:s, s:b}", "checked", 1, "policy", drops ? "drop" : "accept", "accepted", accepted);
}

static json_t *unchecked(const char *why)
{
	return json_pack("{s:b, s:s}", "checked", 0, "why", why);
}

/* All that nft prints, or NULL. *ret_status: its exit status, -1 when it could not be started. */
static char *nft_read(size_t *ret_len, int *ret_status)
{
	char *const argv[] = {(char[]){"nft"}, (char[]){"-j"}, (char[]){"list"}, (char[]){"ruleset"}, NULL};
	posix_spawn_file_actions_t actions;
	char *bytes = malloc(RULESET_MAX);
	size_t len = 0;
	pid_t pid;
	int fd[2];
	*ret_status = -1;
	if (!bytes || pipe2(fd, O_CLOEXEC) < 0) {
		free(bytes);
		return NULL;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
	int error = posix_spawnp(&pid, "nft", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[1]);
	for (ssize_t n = 1; !error && n != 0 && len < RULESET_MAX;) {
		n = read(fd[0], bytes + len, RULESET_MAX - len);
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd[0]); /* who prints more gets SIGPIPE */
	if (!error)
		waitpid(pid, ret_status, 0);
	*ret_len = len;
	return bytes;
}

json_t *firewall_look(uint16_t port)
{
	size_t len = 0;
	int status;
	if (geteuid() != 0)
		return unchecked("only root may read the rules");
	char *bytes = nft_read(&len, &status);
	if (!bytes || status != 0 || len == RULESET_MAX) {
		free(bytes);
		return unchecked(status < 0 ? "there is no nft" : "nft did not tell its rules");
	}
	json_t *ruleset = json_loadb(bytes, len, 0, NULL);
	free(bytes);
	json_t *verdict = ruleset ? firewall_judge(ruleset, port) : unchecked("nft's answer is not understood");
	json_decref(ruleset);
	return verdict;
}
