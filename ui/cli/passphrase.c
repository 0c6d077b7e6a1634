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

static int from_terminal(int tty, bool is_new, char ret[PASSPHRASE_ROOM], bool *ret_differ)
{
	char again[PASSPHRASE_ROOM];
	int r = ask(tty, is_new ? "a passphrase for the backup: " : "the backup's passphrase: ", ret);
	*ret_differ = false;
	if (r || !is_new)
		return r;
	r = ask(tty, "once more: ", again);
	*ret_differ = !r && strcmp(ret, again) != 0;
	explicit_bzero(again, sizeof(again));
	return r;
}

int passphrase_take(const struct call *call, bool is_new, char ret[PASSPHRASE_ROOM])
{
	const char *file = options_value(&call->options, "passphrase-file");
	bool differ = false, standard = file && !strcmp(file, "-");
	int r, tty = file ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int fd = file && !standard ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	ret[0] = '\0';
	if (fd < 0)
		return complain(errno == EACCES ? EXIT_PERMISSION : EXIT_FAILED, "%s: %s", file, strerror(errno));
	r = tty >= 0 ? from_terminal(tty, is_new, ret, &differ) : line_read(fd, ret);
	if (tty >= 0)
		close(tty);
	if (fd != STDIN_FILENO)
		close(fd);
	size_t len = strlen(ret);
	if (!r && !differ && len >= VAULT_PASS_MIN && len <= VAULT_PASS_MAX)
		return 0;
	explicit_bzero(ret, PASSPHRASE_ROOM);
	if (r && r != -EMSGSIZE)
		return complain(EXIT_FAILED, "the passphrase cannot be read: %s", strerror(-r));
	if (differ)
		return complain(EXIT_USAGE, "the two are not the same");
	return complain(EXIT_USAGE, "a passphrase has %d to %d bytes%s", VAULT_PASS_MIN, VAULT_PASS_MAX,
	                len || file ? "" : "; without a terminal it is read from standard input or --passphrase-file");
}
