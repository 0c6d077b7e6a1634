/* Theory of operation: the chain of what was done. */
#include "controller/query.h"

const char store_schema_audits[] = "";
