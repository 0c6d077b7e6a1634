/* Theory of operation: users, tokens and what signs them in. */
#include "controller/query.h"

const char store_schema_accounts[] = "";
