/* Theory of operation: invitations: keys that admit who proves to hold one. */
#include "controller/query.h"

const char store_schema_invites[] = "";
