/* user.c: page, user list, add, passwd, role, delete: who gets in at the page.
 *
 * A password is read from the terminal without echo, twice, or from standard input or a file; never from the command line,
 * which every process of the machine can read.
 */
#include <stdio.h>
#include <string.h>

#include "proto/password.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/passphrase.h"
#include "ui/cli/user.h"

static const struct column columns[] = {{"NAME", "name", CELL_TEXT},
                                        {"ROLE", "role", CELL_TEXT},
                                        {"SECOND FACTOR", "second_factor", CELL_YES_NO},
                                        {"CREATED", "created", CELL_TIME},
                                        {"LAST LOGIN", "last_login", CELL_TIME},
                                        {0}};

/* "3f9a..." in pairs, as browsers show it. */
static void print_told(const json_t *link, const char *name, const char *title)
{
	const char *hex = field(link, name);
	if (!*hex)
		return;
	fprintf(stderr, "  %s ", title);
	for (size_t i = 0; hex[i] && hex[i + 1]; i += 2)
		fprintf(stderr, "%s%.2s", i ? ":" : "", hex + i);
	fprintf(stderr, "\n");
}

int run_page(struct call *call)
{
	json_t *link;
	char url[CELL_MAX];
	int code = client_shown(call, "POST", "/v1/page-link", json_object(), NULL, NULL, &link);
	if (link) { /* the link alone on standard output, for scripts */
		print_told(link, "certificate", "certificate sha256");
		print_told(link, "pin", "key (for --pin)    ");
		printf("%s\n", cell_text(link, "url", CELL_TEXT, url));
	}
	json_decref(link);
	return code;
}

/* A name that may stand in a path; what names there are the controller says. */
int user_path(const struct call *call, char *path, const char *behind)
{
	const char *name = call->words[0];
	if (!*name || strlen(name) > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(name))
		return complain(EXIT_USAGE, "a user's name is 1 to 32 of a-z, 0-9, dot, underscore and hyphen");
	snprintf(path, USER_PATH_ROOM, "/v1/users/%s%s", name, behind);
	return 0;
}

static int password_field(struct call *call, json_t *body)
{
	char password[PASSPHRASE_ROOM];
	int code = secret_take(options_value(&call->options, "password-file"), "password",
	                       "the new password: ", "once more: ", PASSWORD_MIN, PASSWORD_MAX, password);
	if (code == 0 && json_object_set_new(body, "password", json_string(password)))
		code = complain(EXIT_USAGE, "a password is UTF-8 text");
	explicit_bzero(password, sizeof(password));
	return code;
}

int run_user_list(struct call *call)
{
	struct client *client;
	json_t *answer = NULL;
	int code = client_open(&client, call);
	if (code)
		return code;
	code = client_ask(client, "GET", "/v1/users", NULL, &answer);
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, answer, "users", "farlan.user/1");
	else if (code == 0 && !json_array_size(json_object_get(answer, "users")))
		printf("no users; next: farlan user add NAME\n");
	else if (code == 0)
		code = output_table(json_object_get(answer, "users"), columns);
	json_decref(answer);
	return code;
}

static int send_password(struct call *call, const char *method, const char *path, json_t *body, const char *told)
{
	json_t *user = NULL;
	char name[CELL_MAX];
	int code = password_field(call, body);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_shown(call, method, path, body, NULL, NULL, &user);
	if (user)
		printf("%s %s\n", told, cell_text(user, "name", CELL_TEXT, name));
	json_decref(user);
	return code;
}

int run_user_add(struct call *call)
{
	char path[USER_PATH_ROOM];
	const char *role = options_value(&call->options, "role");
	int code = user_path(call, path, "");
	if (code)
		return code;
	json_t *body = json_pack("{s:s}", "name", call->words[0]);
	if (role && json_object_set_new(body, "role", json_string(role))) {
		json_decref(body);
		return complain(EXIT_USAGE, "--role takes read, approve or admin");
	}
	return send_password(call, "POST", "/v1/users", body, "added user");
}

int run_user_passwd(struct call *call)
{
	char path[USER_PATH_ROOM];
	int code = user_path(call, path, "");
	return code ? code : send_password(call, "PATCH", path, json_object(), "changed the password of");
}

int run_user_role(struct call *call)
{
	char path[USER_PATH_ROOM], name[CELL_MAX], role[CELL_MAX];
	json_t *user = NULL, *body = json_pack("{s:s}", "role", call->words[1]);
	int code = body ? user_path(call, path, "") : complain(EXIT_USAGE, "a role is read, approve or admin");
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_shown(call, "PATCH", path, body, NULL, NULL, &user);
	if (user)
		printf("%s has the role %s\n", cell_text(user, "name", CELL_TEXT, name), cell_text(user, "role", CELL_TEXT, role));
	json_decref(user);
	return code;
}

int run_user_delete(struct call *call)
{
	char path[USER_PATH_ROOM], name[CELL_MAX];
	json_t *user = NULL;
	int code = user_path(call, path, "");
	if (code == 0)
		code = client_shown(call, "DELETE", path, NULL, NULL, NULL, &user);
	if (user)
		printf("deleted user %s\n", cell_text(user, "name", CELL_TEXT, name));
	json_decref(user);
	return code;
}
