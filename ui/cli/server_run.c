/* server_run.c: starting and stopping the two daemons of `farlan server`, by systemd or by hand.
 *
 * By hand a daemon gets a session of its own and a log file beside its home; whether it runs is asked of the lock that it holds itself, which
 * dies with it, so there is no pid file that could lie. "It answers" means its socket takes connections: a daemon listens there
 * last. A daemon that does not come up has said why in its log; its last lines are shown instead of a guess.
 */
#include "ui/cli/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US     50000
#define START_TRIES 1200 /* a minute: a new identity is seconds of work, more on a small machine */
#define STOP_TRIES  300
#define LOG_TAIL    1200

static const char *unit_of(const struct home *home)
{
	return home->kind == HOME_NODE ? "farlan-root.service" : "farlan-controller.service";
}

/* The exit status, or -1. quiet: nothing of what it says is shown. */
static int run(const char *const *argv, bool quiet)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = -1;
	if (posix_spawn_file_actions_init(&actions))
		return -1;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (quiet)
			posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
	/* in a shell's way: data goes to standard output, and this is none */
	if (!quiet)
		posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char **)argv, environ) == 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	posix_spawn_file_actions_destroy(&actions);
	return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- is it there? ------------------------------------------------------------------------------------------------ */

bool daemon_runs(const struct home *home, long *ret_pid)
{
	char path[HOME_PATH_MAX + 8], text[64] = "";
	snprintf(path, sizeof(path), "%s/lock", home->dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	ssize_t n = held ? pread(fd, text, sizeof(text) - 1, 0) : 0;
	close(fd);
	const char *space = n > 0 ? strchr(text, ' ') : NULL;
	*ret_pid = space ? strtol(space + 1, NULL, 10) : 0;
	return held;
}

bool daemon_answers(const struct home *home)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int folder = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[108];
	bool answers = fd >= 0 && home_socket_name(home, name, &folder) == 0;
	if (answers) {
		memcpy(to.sun_path, name, sizeof(to.sun_path));
		answers = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	}
	if (folder >= 0)
		close(folder);
	if (fd >= 0)
		close(fd);
	return answers;
}

/* ---- why it is not ------------------------------------------------------------------------------------------------ */

static void log_name(const struct home *home, char buf[HOME_PATH_MAX + 8])
{
	snprintf(buf, HOME_PATH_MAX + 8, "%s.log", home->dir);
}

static void log_tail(const struct server *s, const struct home *home)
{
	char path[HOME_PATH_MAX + 8], text[LOG_TAIL + 1];
	fflush(stderr);
	if (s->systemd) {
		run((const char *const[]){"journalctl", "-q", "-n", "6", "-o", "cat", "--no-pager", "-u", unit_of(home), NULL}, false);
		return;
	}
	log_name(home, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n = fd >= 0 ? pread(fd, text, LOG_TAIL, end > LOG_TAIL ? end - LOG_TAIL : 0) : 0;
	text[n > 0 ? n : 0] = '\0';
	const char *from = n == LOG_TAIL && strchr(text, '\n') ? strchr(text, '\n') + 1 : text;
	fputs(from, stderr);
	if (fd >= 0)
		close(fd);
}

static int not_up(const struct server *s, const struct home *home)
{
	complain(EXIT_FAILED, "%s does not start; it says:", home_program(home->kind));
	log_tail(s, home);
	return EXIT_FAILED;
}

/* ---- by hand ------------------------------------------------------------------------------------------------------- */

/* The daemon's program: beside this one, as built, or in the sbin beside this one's bin, as installed; else by PATH. */
static void program_find(enum home_kind kind, char ret[HOME_PATH_MAX])
{
	static const char *const places[] = {"", "../sbin/"};
	char self[HOME_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	for (unsigned i = 0; slash && i < 2; i++) {
		slash[1] = '\0';
		if (snprintf(ret, HOME_PATH_MAX, "%s%s%s", self, places[i], home_program(kind)) < HOME_PATH_MAX && access(ret, X_OK) == 0)
			return;
	}
	snprintf(ret, HOME_PATH_MAX, "%s", home_program(kind));
}

static int spawn(const struct home *home, pid_t *ret_pid)
{
	char program[HOME_PATH_MAX], log[HOME_PATH_MAX + 8];
	char *const argv[] = {(char *)home_program(home->kind), "--home", (char *)home->dir, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int error = ENOMEM;
	program_find(home->kind, program);
	log_name(home, log);
	if (posix_spawn_file_actions_init(&actions))
		return -error;
	if (posix_spawnattr_init(&attr) == 0) {
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
		error = posix_spawnp(ret_pid, program, &actions, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

static bool ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) != 0;
}

static int hand_start(const struct server *s, const struct home *home)
{
	pid_t pid;
	int error = spawn(home, &pid);
	if (error)
		return complain(EXIT_FAILED, "%s cannot be run: %s", home_program(home->kind), strerror(-error));
	for (unsigned i = 0; i < START_TRIES; i++) {
		if (daemon_answers(home))
			return 0;
		if (ended(pid))
			break;
		usleep(POLL_US);
	}
	return not_up(s, home);
}

static int hand_stop(const struct home *home)
{
	long pid = 0;
	if (!daemon_runs(home, &pid))
		return 0;
	if (pid <= 1 || kill((pid_t)pid, SIGTERM) < 0)
		return complain(errno == EPERM ? EXIT_PERMISSION : EXIT_FAILED, "cannot stop %s (pid %ld): %s", home_program(home->kind),
		                pid, strerror(errno));
	for (unsigned i = 0; i < STOP_TRIES && daemon_runs(home, &pid); i++)
		usleep(POLL_US);
	if (!daemon_runs(home, &pid))
		return 0;
	return complain(EXIT_FAILED, "%s (pid %ld) does not stop; see its log, or end it by hand: kill -9 %ld", home_program(home->kind),
	                pid, pid);
}

/* ---- by systemd ---------------------------------------------------------------------------------------------------- */

static int unit_start(const struct server *s, const struct home *home, bool changed)
{
	const char *unit = unit_of(home);
	if (run((const char *const[]){"systemctl", "enable", "--quiet", unit, NULL}, false) != 0)
		return complain(EXIT_FAILED, "there is no unit %s: install Farlan with its units (make install), or give --home DIR", unit);
	if (run((const char *const[]){"systemctl", changed ? "restart" : "start", unit, NULL}, false) != 0)
		return not_up(s, home);
	for (unsigned i = 0; i < START_TRIES; i++) {
		if (daemon_answers(home))
			return 0;
		if (i % 20 == 19 && run((const char *const[]){"systemctl", "is-failed", "--quiet", unit, NULL}, true) == 0)
			break;
		usleep(POLL_US);
	}
	return not_up(s, home);
}

int daemon_start(const struct server *s, const struct home *home, bool changed)
{
	if (s->systemd)
		return unit_start(s, home, changed);
	int code = changed ? hand_stop(home) : 0;
	if (code || daemon_answers(home))
		return code;
	return hand_start(s, home);
}

int daemon_stop(const struct server *s, const struct home *home, bool for_good)
{
	if (!s->systemd)
		return hand_stop(home);
	const char *unit = unit_of(home);
	long pid;
	/* a unit that was never installed is as good as stopped: what counts is the daemon */
	run((const char *const[]){"systemctl", "stop", unit, NULL}, true);
	if (for_good)
		run((const char *const[]){"systemctl", "disable", "--quiet", unit, NULL}, true);
	return daemon_runs(home, &pid) ? complain(EXIT_FAILED, "%s cannot be stopped; see: systemctl status %s", unit, unit) : 0;
}
