/* factor.c: user second-factor, recovery-codes: codes beside a password, set up and taken away from the controller's machine.
 *
 * Who has the machine has the controller: it is the way back for who lost his generator and his sheet of paper. The secret goes to
 * the terminal, also as a code to scan, and counts once a code of it was typed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/passphrase.h"
#include "ui/cli/user.h"
#include "ui/qr.h"

#define CODE_LEAST 6
#define CODE_MOST  32

static void codes_print(const json_t *answer, const char *name)
{
	const json_t *codes = json_object_get(answer, "codes");
	printf("recovery codes of %s, each good once; they are not shown again:\n", name);
	for (size_t i = 0; i < json_array_size(codes); i++) {
		const char *code = json_string_value(json_array_get(codes, i));
		printf("    %s\n", code ? code : "");
	}
}

static void secret_print(const json_t *made)
{
	const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
	bool terminal = isatty(STDOUT_FILENO);
	printf("secret  %s\n%s\n", field(made, "secret"), field(made, "uri"));
	if (terminal)
		qr_print(stdout, field(made, "uri"), !(plain && *plain) && term && strcmp(term, "dumb") != 0);
	fflush(stdout);
}

static int off(struct call *call, const char *path)
{
	char name[CELL_MAX];
	json_t *user = NULL;
	int code = client_shown(call, "DELETE", path, json_object(), NULL, NULL, &user);
	if (user)
		printf("%s has no second factor any more\n", cell_text(user, "name", CELL_TEXT, name));
	json_decref(user);
	return code;
}

static int first_code(struct call *call, const char *path)
{
	char text[PASSPHRASE_ROOM], confirm[USER_PATH_ROOM + 16];
	json_t *answer = NULL;
	int code = secret_take(NULL, "code", "the code that the generator shows now: ", NULL, CODE_LEAST, CODE_MOST, text);
	if (code)
		return code;
	snprintf(confirm, sizeof(confirm), "%s/confirm", path);
	json_t *body = json_pack("{s:s}", "code", text);
	if (!body)
		return complain(EXIT_USAGE, "a code is six digits");
	code = client_shown(call, "POST", confirm, body, NULL, NULL, &answer);
	if (answer)
		codes_print(answer, call->words[0]);
	json_decref(answer);
	return code;
}

int run_user_second_factor(struct call *call)
{
	char path[USER_PATH_ROOM];
	json_t *made = NULL;
	int code = user_path(call, path, "/second-factor");
	if (code || options_has(&call->options, "off"))
		return code ? code : off(call, path);
	code = client_shown(call, "POST", path, json_object(), NULL, NULL, &made);
	if (made)
		secret_print(made);
	json_decref(made);
	return code ? code : first_code(call, path);
}

int run_user_recovery_codes(struct call *call)
{
	char path[USER_PATH_ROOM];
	json_t *answer = NULL;
	int code = user_path(call, path, "/recovery-codes");
	if (code == 0)
		code = client_shown(call, "POST", path, json_object(), NULL, NULL, &answer);
	if (answer)
		codes_print(answer, call->words[0]);
	json_decref(answer);
	return code;
}
