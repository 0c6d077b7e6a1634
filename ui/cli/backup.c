/* backup.c: backup, restore, and the word that a restored older database is to be trusted.
 *
 * A backup comes from the running controller. A restore needs none: it works on the folder of one that is stopped, whose lock it holds
 * while it does, and everything is read and judged beside that folder before anything in it changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/backup.h"
#include "proto/seal.h"
#include "ui/backup_report.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/passphrase.h"

/* ---- backup ---- */

static int made(const char *temporary, const char *path, int fd)
{
	if (fsync(fd) || rename(temporary, path))
		return complain(EXIT_FAILED, "%s cannot be written: %s", path, strerror(errno));
	return 0;
}

static int backup_to(struct call *call, struct client *client, int fd)
{
	char passphrase[PASSPHRASE_ROOM];
	int code = passphrase_take(call, true, passphrase);
	if (code)
		return code;
	json_t *body = json_object();
	code = json_object_set_new(body, "passphrase", json_string(passphrase)) ? complain(EXIT_USAGE, "a passphrase is UTF-8 text") : 0;
	explicit_bzero(passphrase, sizeof(passphrase));
	if (code) {
		json_decref(body);
		return code;
	}
	return client_fetch(client, "/v1/backup", body, fd);
}

int run_backup(struct call *call)
{
	struct client *client;
	const char *path = call->words[0];
	char temporary[4096];
	struct stat st;
	bool standard = !strcmp(path, "-");
	int fd = STDOUT_FILENO, code;
	if (standard && isatty(fd))
		return complain(EXIT_USAGE, "a backup is no text; name a file, or send it elsewhere");
	if (!standard && stat(path, &st) == 0 && !options_has(&call->options, "yes"))
		return complain(EXIT_CONFLICT, "%s is there already; give another name, or --yes to replace it", path);
	code = client_open(&client, call);
	if (code)
		return code;
	if (!standard) {
		snprintf(temporary, sizeof(temporary), "%s.%ld.part", path, (long)getpid());
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			code = complain(errno == EACCES ? EXIT_PERMISSION : EXIT_FAILED, "%s: %s", temporary, strerror(errno));
	}
	if (code == 0)
		code = backup_to(call, client, fd);
	if (code == 0 && !standard)
		code = made(temporary, path, fd);
	if (code == 0 && !standard && fstat(fd, &st) == 0)
		printf("%s: %lld bytes. Keep the passphrase apart from it: without it nobody reads the backup.\n", path,
		       (long long)st.st_size);
	if (!standard && fd >= 0) {
		close(fd);
		if (code)
			unlink(temporary);
	}
	client_close(client);
	return code;
}

/* ---- restore ---- */

static int unpack(struct call *call, const char *dir, struct backup_facts *ret)
{
	char passphrase[PASSPHRASE_ROOM], why[BACKUP_WHY] = "";
	const char *path = call->words[0];
	int fd = strcmp(path, "-") != 0 ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (fd < 0)
		return complain(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_PERMISSION, "%s: %s", path, strerror(errno));
	int code = passphrase_take(call, false, passphrase);
	int r = code ? 0 : backup_read(fd, passphrase, strlen(passphrase), dir, ret, why);
	explicit_bzero(passphrase, sizeof(passphrase));
	if (fd != STDIN_FILENO)
		close(fd);
	return code ? code : r ? complain(EXIT_FAILED, "%s: %s", path, why) : 0;
}

static void tell(const struct call *call, const struct home *home, const json_t *report)
{
	static const struct column rows[] = {
	    {"controller", "controller", CELL_TEXT}, {"fingerprint", "fingerprint", CELL_TEXT},
	    {"written", "written_at", CELL_TIME},    {"by version", "written_by", CELL_TEXT},
	    {"networks", "networks", CELL_COUNT},    {"members", "members", CELL_COUNT},
	    {"ceiling", "ceiling", CELL_COUNT},      {0},
	};
	const json_t *stands = json_object_get(report, "stands_there"), *problem;
	size_t i;
	if (call->format != FORMAT_TABLE) {
		output_json(call, report, NULL, NULL);
		return;
	}
	output_lines(report, rows);
	if (json_is_null(stands))
		printf("%-12s nothing\n", "there now");
	else
		printf("%-12s %s: %lld networks, %lld members%s\n", "there now", home->dir,
		       (long long)json_integer_value(json_object_get(stands, "networks")),
		       (long long)json_integer_value(json_object_get(stands, "members")),
		       json_is_true(json_object_get(stands, "newer")) ? "; changed after the backup" : "");
	json_array_foreach(json_object_get(report, "problems"), i, problem)
	{
		printf("%-12s %s\n", "beware", json_string_value(problem));
	}
}

static bool agreed(const struct call *call)
{
	char answer[8] = "";
	if (options_has(&call->options, "yes"))
		return true;
	FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty)
		return false;
	fprintf(tty, "put the backup in its place? [y/N] ");
	fflush(tty);
	bool yes = fgets(answer, sizeof(answer), tty) && (answer[0] == 'y' || answer[0] == 'Y');
	fclose(tty);
	return yes;
}

static int put_there(const struct call *call, struct home *home, const char *dir, const struct backup_facts *facts,
                     const struct backup_stand *stand)
{
	char kept[HOME_PATH_MAX + 64], why[BACKUP_WHY];
	int r = backup_place(dir, home->dir, facts, (uint64_t)time(NULL), kept, sizeof(kept), why);
	if (r)
		return complain(home_exit(r), "%s", why);
	if (call->format != FORMAT_TABLE)
		return 0;
	printf("restored to %s\n", home->dir);
	if (*kept)
		printf("what stood there is kept in %s\n", kept);
	if (!home->given)
		printf("its config is %s/farlan-controller.conf; the one in force is %s\n", home->dir, home->config);
	if (stand->signed_more)
		printf("it will not sign until you say: farlan%s%s controller trust\n", home->given ? " --home " : "",
		       home->given ? home->dir : "");
	printf("this controller must not run anywhere else any more\n");
	return 0;
}

static int restore(struct call *call, struct home *home, const char *dir)
{
	struct backup_facts facts;
	struct backup_stand stand;
	int code = unpack(call, dir, &facts);
	if (code)
		return code;
	backup_compare(home->dir, home->lock < 0, &facts, &stand);
	json_t *report = backup_report(&facts, &stand);
	tell(call, home, report);
	json_decref(report);
	if (options_has(&call->options, "dry-run"))
		return 0;
	if (stand.there && !agreed(call))
		return complain(EXIT_CONFLICT, "nothing was changed: a controller stands there; --yes puts the backup in its place");
	return put_there(call, home, dir, &facts, &stand);
}

int run_restore(struct call *call)
{
	struct home home;
	char dir[HOME_PATH_MAX + 16], why[HOME_WHY];
	struct stat st;
	bool dry = options_has(&call->options, "dry-run");
	if (seal_setup() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	umask(077);
	int code = call_home(call, HOME_CONTROLLER, &home);
	if (code)
		return code;
	/* The report needs no lock; whoever only wants to know need not stop anything. */
	if (!dry && stat(home.dir, &st) == 0) {
		int r = home_lock(&home, why);
		if (r)
			return complain(r == -EBUSY ? EXIT_CONFLICT : home_exit(r), "%s", why);
	}
	snprintf(dir, sizeof(dir), "%s.new-XXXXXX", home.dir);
	if (!mkdtemp(dir)) {
		code = complain(errno == EACCES ? EXIT_PERMISSION : EXIT_FAILED, "no folder can be made beside %s: %s", home.dir,
		                strerror(errno));
	} else {
		code = restore(call, &home, dir);
		backup_remove(dir);
	}
	if (home.lock >= 0)
		close(home.lock);
	return code;
}

/* ---- trust ---- */

int run_controller_trust(struct call *call)
{
	struct client *client;
	json_t *answer = NULL;
	int code = client_open(&client, call);
	if (code)
		return code;
	code = client_ask(client, "POST", "/v1/trust", NULL, &answer);
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE)
		output_json(call, answer, NULL, NULL);
	else if (code == 0)
		printf(json_is_true(json_object_get(answer, "changed"))
		           ? "the database is trusted; it signs again, beyond whatever was signed before\n"
		           : "the database is trusted already\n");
	json_decref(answer);
	return code;
}
