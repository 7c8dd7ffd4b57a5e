/* The tasks of the audit: what one rank does in one go, and the record of it in the journal. A row of the
 * file is a task, and so is what all seeds of a method have together. */
#ifndef LEAVEOUT_JOBS_AUDIT_TASKS_H
#define LEAVEOUT_JOBS_AUDIT_TASKS_H

#include "jobs/audit/audit_work.h"
#include "mpi/farm.h"
#include "mpi/ledger.h"

/* Collective. a->task, each with a digest of all that its result depends on: models by the digests of their
 * own tasks, so that a study that grows by a method does the tasks of that one alone. Errors: LO_IO, LO_DATA,
 * LO_INTERNAL. */
lo_status lo_audit_list_tasks(lo_audit *a, lo_error *err);

/* The `open` and `run` of lo_farmed, self being the lo_audit. */
lo_status lo_audit_open_tasks(void *self, lo_error *err);
lo_status lo_audit_run_task(void *self, int64_t task, const lo_tick *tick, lo_result *result, lo_error *err);

/* Collective. What the journals hold of the tasks, on every rank: a->done, a->audited, a->together, a->layer.
 * Errors: LO_IO, LO_DATA for a record that is not sound. */
lo_status lo_audit_collect(lo_audit *a, lo_error *err);

#endif
