/* Theory of operation: round-robin tables of what members carried. */
#include "controller/query.h"

const char store_schema_traffic[] = "";
