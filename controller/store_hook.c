/* Theory of operation: webhooks and their outbox. */
#include "controller/query.h"

const char store_schema_hooks[] = "";
