/* audit.h5: what it is made from, and how it is written. */
#ifndef LEAVEOUT_JOBS_AUDIT_FILE_H
#define LEAVEOUT_JOBS_AUDIT_FILE_H

#include "jobs/audit/audit_work.h"

/* Collective. Is it there, made from just this? */
bool lo_audit_is_there(const lo_audit *a, const char *path);

/* Collective; every rank has all rows. Errors: LO_IO, LO_INTERNAL. */
lo_status lo_audit_publish(const lo_audit *a, const char *path, lo_error *err);

#endif
