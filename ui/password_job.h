/* password_job.h: argon2id off the control thread: is this password right, what is to be kept of that one.
 *
 * Control thread, but for the work itself (ui/work.h). At most PASSWORDS_MAX jobs, two of them at once: each takes 64 MiB.
 */
#ifndef FARLAN_UI_PASSWORD_JOB_H
#define FARLAN_UI_PASSWORD_JOB_H

#include "controller/factor.h"
#include "proto/password.h"
#include "ui/access.h"

struct password_job {
	struct access *access; /* whose count it is in */
	bool verify, hash;     /* what to do; hash only once the verification was good */
	char user[USER_NAME_MAX + 1];
	char kept[KEPT_MAX]; /* "" = of nobody: verifies nothing, in the same time */
	char given[PASSWORD_MAX + 1], fresh[PASSWORD_MAX + 1];
	char code[CODE_MAX];      /* a second factor's; carried along */
	enum role role;           /* of a new user; likewise */
	bool good;                /* verified */
	int error;                /* of hashing */
	char made[PASSWORD_ROOM]; /* of fresh, or anew of a good password kept too cheaply; "" = none */
};

/* Would one of such a caller be taken now? Strangers leave room for those who are known. false: *reply says no. */
bool password_job_room(const struct access *, enum throttle_class, struct reply *);
/* A copy of *job goes to work; wipe yours. The reply waits, or is a refusal. */
void password_job_start(const struct request *, struct reply *, struct access *, const struct password_job *job);

#endif
