/* backup_report.h: what a backup holds and what restoring it would do, as the API and the command line say it.
 */
#ifndef FARLAN_UI_BACKUP_REPORT_H
#define FARLAN_UI_BACKUP_REPORT_H

#include <jansson.h>

#include "controller/backup.h"

/* farlan.restore/1 */
json_t *backup_report(const struct backup_facts *, const struct backup_stand *);

#endif
