/* passphrase.c: the first line of something, without its newline. The terminal's echo comes back whatever happens in between, a signal
 * included: it is put back before the default action of the signal runs. */
#include "ui/cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "proto/vault.h"

static struct termios usual;
static volatile sig_atomic_t terminal = -1;

static void interrupted(int number)
{
	if (terminal >= 0)
		tcsetattr(terminal, TCSANOW, &usual);
	signal(number, SIG_DFL);
	raise(number);
}

/* A byte at a time: what stands behind the line is left for who reads on. */
static int line_read(int fd, char ret[PASSPHRASE_ROOM])
{
	size_t n = 0;
	char c;
	for (;;) {
		ssize_t k = read(fd, &c, 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0 || c == '\n')
			break;
		if (n == PASSPHRASE_ROOM - 1)
			return -EMSGSIZE;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return 0;
}

static int ask(int tty, const char *prompt, char ret[PASSPHRASE_ROOM])
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct termios quiet;
	if (dprintf(tty, "%s", prompt) < 0 || tcgetattr(tty, &usual))
		return -errno;
	quiet = usual;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	terminal = tty;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], interrupted);
	int r = tcsetattr(tty, TCSAFLUSH, &quiet) ? -errno : line_read(tty, ret);
	tcsetattr(tty, TCSAFLUSH, &usual);
	terminal = -1;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], SIG_DFL);
	dprintf(tty, "\n");
	return r;
}

static int from_terminal(int tty, const char *prompt, const char *once_more, char ret[PASSPHRASE_ROOM], bool *ret_differ)
{
	char again[PASSPHRASE_ROOM];
	int r = ask(tty, prompt, ret);
	*ret_differ = false;
	if (r || !once_more)
		return r;
	r = ask(tty, once_more, again);
	*ret_differ = !r && strcmp(ret, again) != 0;
	explicit_bzero(again, sizeof(again));
	return r;
}

int secret_take(const char *file, const char *what, const char *prompt, const char *again, size_t least, size_t most,
                char ret[PASSPHRASE_ROOM])
{
	bool differ = false, standard = file && !strcmp(file, "-");
	int r, tty = file ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int fd = file && !standard ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	ret[0] = '\0';
	if (fd < 0)
		return complain(errno == EACCES ? EXIT_PERMISSION : EXIT_FAILED, "%s: %s", file, strerror(errno));
	r = tty >= 0 ? from_terminal(tty, prompt, again, ret, &differ) : line_read(fd, ret);
	if (tty >= 0)
		close(tty);
	if (fd != STDIN_FILENO)
		close(fd);
	size_t len = strlen(ret);
	if (!r && !differ && len >= least && len <= most)
		return 0;
	explicit_bzero(ret, PASSPHRASE_ROOM);
	if (r && r != -EMSGSIZE)
		return complain(EXIT_FAILED, "the %s cannot be read: %s", what, strerror(-r));
	if (differ)
		return complain(EXIT_USAGE, "the two are not the same");
	return complain(EXIT_USAGE, "a %s has %zu to %zu bytes%s%s%s", what, least, most,
	                len || file ? "" : "; without a terminal it is read from standard input or --", len || file ? "" : what,
	                len || file ? "" : "-file");
}

int passphrase_take(const struct call *call, bool is_new, char ret[PASSPHRASE_ROOM])
{
	return secret_take(options_value(&call->options, "passphrase-file"), "passphrase",
	                   is_new ? "a passphrase for the backup: " : "the backup's passphrase: ", is_new ? "once more: " : NULL,
	                   VAULT_PASS_MIN, VAULT_PASS_MAX, ret);
}
