/* passphrase.h: a passphrase from the terminal, a file or standard input; never from the command line, where others can read it.
 */
#ifndef FARLAN_UI_CLI_PASSPHRASE_H
#define FARLAN_UI_CLI_PASSPHRASE_H

#include "ui/cli/verb.h"

#define PASSPHRASE_ROOM 1026

/* --passphrase-file FILE (- = standard input), else the terminal without echo, twice when it is a new one; without a terminal the first
 * line of standard input. The caller wipes. 0 or an exit code with the complaint printed. */
/* The same of anything secret: file NULL = the terminal after that prompt (again: and after that one, the same), else standard input. */
int secret_take(const char *file, const char *what, const char *prompt, const char *again, size_t least, size_t most,
                char ret[PASSPHRASE_ROOM]);
int passphrase_take(const struct call *, bool is_new, char ret[PASSPHRASE_ROOM]);

#endif
