/* password.h: passwords as what is kept of them: argon2id with its own salt and parameters in one string.
 *
 * Any thread, but each of these costs PASSWORD_MEMORY and about 100 ms: never on the control thread, and never many at once.
 */
#ifndef FARLAN_PROTO_PASSWORD_H
#define FARLAN_PROTO_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MIN    8
#define PASSWORD_MAX    1024 /* bytes; whoever sends more means no good */
#define PASSWORD_ROOM   128  /* of the kept string, its NUL counted */
#define PASSWORD_MEMORY (64u << 20)
#define PASSWORD_PASSES 3

/* 0, -EINVAL (length) or -ENOMEM. ret is untouched on failure. */
int password_hash(const char *password, size_t len, char ret[PASSWORD_ROOM]);
/* kept NULL or "": nobody has it; then the answer is false after the same time as for a wrong password. */
bool password_verify(const char *kept, const char *password, size_t len);
/* Was it kept with less than today's costs? Costs nothing itself. */
bool password_old(const char *kept);

#endif
