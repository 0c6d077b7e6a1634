/* farlan: the command line. argv to a verb, the verb's function to an exit code.
 *
 * It holds nothing open and nothing secret: state lives in the daemons. Ctrl-C ends it at once with 130 (capture, which has
 * a file to finish, takes the signal itself). Output that cannot be written is a failure, else a full disk would look
 * like an empty answer.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/seal.h"
#include "ui/cli/verb.h"

static void interrupted(int signal_number)
{
	(void)signal_number;
	_exit(EXIT_INTERRUPTED);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = interrupted};
	struct call call;
	setlocale(LC_ALL, "");
	sigaction(SIGINT, &action, NULL);
	if (seal_setup() < 0)
		return complain(EXIT_FAILED, "libsodium does not start");
	int code = verb_parse(&call, argc, argv);
	if (code < 0)
		code = call.verb->run(&call);
	if ((fflush(stdout) == EOF || ferror(stdout)) && code == EXIT_OK)
		code = complain(EXIT_FAILED, "standard output cannot be written");
	return code;
}
