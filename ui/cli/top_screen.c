/* top_screen.c: the terminal of farlan top: taken, written to, asked for keys and signals, and given back as it was.
 *
 * Signals are blocked and read from a descriptor together with the keys, so that nothing is done inside a handler. Only the fatal ones have a
 * handler, which puts the terminal right and lets the signal do its work. Standard error goes to a file in memory meanwhile: a complaint
 * in the middle of the picture would be lost and spoil it; the newest one stands in the picture's last line instead.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/cli/top.h"

#define TAKE           "\033[?1049h\033[?25l\033[?7l\033[2J" /* a screen of its own, no cursor, no wrapping */
#define GIVE           "\033[0m\033[?7h\033[?25h\033[?1049l"
#define SIZE_MAX_CELLS 1000

struct top_screen {
	struct termios before;
	sigset_t mask_before;
	int signals, complaints, stderr_before;
	off_t seen; /* of the complaints */
	unsigned n_keys;
	unsigned char key[64]; /* read and not looked at yet */
};

/* ---- what a signal that kills leaves behind ---- */

static struct termios fatal_termios;
static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define FATAL (sizeof(fatal) / sizeof(fatal[0]))

/* Only what a handler may call. */
static void fatal_restore(int signal)
{
	if (write(STDOUT_FILENO, GIVE, sizeof(GIVE) - 1) < 0)
		errno = 0; /* nothing can be done about it */
	tcsetattr(STDIN_FILENO, TCSANOW, &fatal_termios);
	raise(signal); /* SA_RESETHAND: now it does what it does */
}

static void fatal_handle(bool on)
{
	struct sigaction action = {.sa_flags = (int)SA_RESETHAND | SA_NODEFER};
	action.sa_handler = on ? fatal_restore : SIG_DFL;
	for (unsigned i = 0; i < FATAL; i++)
		sigaction(fatal[i], &action, NULL);
}

/* ---- taking and giving back ---- */

static bool say(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, 100);
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool take(struct top_screen *s)
{
	struct termios raw = s->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN); /* ISIG stays: ^C and ^Z are signals as everywhere */
	raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 && say(TAKE, sizeof(TAKE) - 1);
}

static void give(const struct top_screen *s)
{
	say(GIVE, sizeof(GIVE) - 1);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
}

static int signals_open(sigset_t *ret_before)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT, SIGPIPE};
	sigset_t set;
	sigemptyset(&set);
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, ret_before) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct top_screen *top_screen_open(const char **ret_why)
{
	const char *term = getenv("TERM");
	struct top_screen *s = calloc(1, sizeof(*s));
	*ret_why = "out of memory";
	if (!s)
		return NULL;
	*ret_why = "there is no terminal to draw on";
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb") ||
	    tcgetattr(STDIN_FILENO, &s->before) < 0)
		goto fail;
	*ret_why = "no descriptors left";
	s->complaints = memfd_create("complaints", MFD_CLOEXEC);
	s->stderr_before = dup(STDERR_FILENO);
	s->signals = signals_open(&s->mask_before);
	if (s->complaints < 0 || s->stderr_before < 0 || s->signals < 0) /* the caller ends: what is open ends with it */
		goto fail;
	fatal_termios = s->before;
	fatal_handle(true);
	fflush(stderr);
	dup2(s->complaints, STDERR_FILENO);
	*ret_why = "the terminal does not take what is written";
	if (take(s))
		return s;
	top_screen_close(s);
	return NULL;
fail:
	free(s);
	return NULL;
}

void top_screen_close(struct top_screen *s)
{
	if (!s)
		return;
	give(s);
	fatal_handle(false);
	fflush(stderr);
	dup2(s->stderr_before, STDERR_FILENO);
	close(s->stderr_before);
	close(s->complaints);
	close(s->signals);
	sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
	free(s);
}

/* ---- the picture ---- */

void top_screen_size(const struct top_screen *s, unsigned *ret_width, unsigned *ret_height)
{
	struct winsize size = {0};
	(void)s;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row;
	*ret_width = known ? size.ws_col : 80;
	*ret_height = known ? size.ws_row : 24;
	*ret_width = *ret_width < SIZE_MAX_CELLS ? *ret_width : SIZE_MAX_CELLS;
	*ret_height = *ret_height < SIZE_MAX_CELLS ? *ret_height : SIZE_MAX_CELLS;
}

bool top_screen_show(struct top_screen *s, const char *text, size_t len)
{
	(void)s;
	return say(text, len);
}

const char *top_screen_trouble(struct top_screen *s, char buf[TOP_TEXT])
{
	static const char name[] = "farlan: ";
	char bytes[1024];
	fflush(stderr);
	off_t end = lseek(s->complaints, 0, SEEK_END), from = end - (off_t)sizeof(bytes);
	from = from > s->seen ? from : s->seen;
	ssize_t n = end > s->seen ? pread(s->complaints, bytes, (size_t)(end - from), from) : 0;
	s->seen = 0;
	if (ftruncate(s->complaints, 0) < 0)
		s->seen = end;
	lseek(s->complaints, s->seen, SEEK_SET);
	if (n <= 0)
		return NULL;
	const char *line = bytes, *stop = memchr(bytes, '\n', (size_t)n);
	size_t len = stop ? (size_t)(stop - bytes) : (size_t)n;
	if (len > sizeof(name) - 1 && !memcmp(line, name, sizeof(name) - 1)) {
		line += sizeof(name) - 1;
		len -= sizeof(name) - 1;
	}
	return log_text(buf, TOP_TEXT, line, len);
}

/* ---- keys and signals ---- */

/* A key at the front of what was read. ESC [ A and ESC O A are cursor up; what is not known is eaten. */
static int key_take(struct top_screen *s)
{
	static const struct {
		const char *bytes;
		int key;
	} known[] = {{"[A", KEY_UP},       {"OA", KEY_UP},         {"[B", KEY_DOWN}, {"OB", KEY_DOWN},
	             {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[H", KEY_HOME}, {"[1~", KEY_HOME}};
	int key = s->key[0];
	unsigned used = 1;
	if (key == 27 && s->n_keys > 1) {
		key = 0;
		used = s->n_keys;
		for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			size_t len = strlen(known[i].bytes);
			if (s->n_keys > len && !memcmp(s->key + 1, known[i].bytes, len)) {
				key = known[i].key;
				used = (unsigned)len + 1;
			}
		}
	}
	s->n_keys -= used;
	memmove(s->key, s->key + used, s->n_keys);
	return key;
}

/* ^Z: the shell gets its terminal as it was, and this one takes it again when it is continued. */
static void pause_here(struct top_screen *s)
{
	give(s);
	raise(SIGSTOP);
	tcgetattr(STDIN_FILENO, &s->before);
	take(s);
}

static int signal_take(struct top_screen *s)
{
	struct signalfd_siginfo info;
	if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (info.ssi_signo == SIGTSTP)
		pause_here(s);
	return -(int)info.ssi_signo;
}

int top_screen_wait(struct top_screen *s, int ms)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = s->signals, .events = POLLIN}};
	if (s->n_keys)
		return key_take(s);
	if (poll(fds, 2, ms) <= 0)
		return 0;
	if (fds[1].revents)
		return signal_take(s);
	ssize_t n = read(STDIN_FILENO, s->key, sizeof(s->key));
	if (n <= 0) /* ready, and nothing there: the other end hung up */
		return KEY_GONE;
	s->n_keys = (unsigned)n;
	return key_take(s);
}
