/* Theory of operation: what a network and its members have beyond the first design: ranges of the pool, EtherTypes, what other programs keep here. */
#include "controller/query.h"

const char store_schema_extras[] = "";
