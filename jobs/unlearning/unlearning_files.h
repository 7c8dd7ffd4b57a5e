/* The files of stage unlearning: forget.h5, outputs.h5, evaluation.h5, and the list of its tasks. */
#ifndef LEAVEOUT_JOBS_UNLEARNING_FILES_H
#define LEAVEOUT_JOBS_UNLEARNING_FILES_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearning.h"
#include "mpi/h5file.h"
#include "mpi/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* Collective. forget.h5, unless it is there with these sets, and unlearning.tasks, by which the study's
 * readers (lo_read_tasks) know the tasks without the data. */
lo_status lo_publish_forget(lo_study *study, const lo_unlearning *u, lo_error *err);

/* A task as that list has it. */
typedef struct lo_listed_task {
    uint64_t digest;
    char kind[16], name[128]; /* "oracle", "random10-2": oracles/random10-2.safetensors */
} lo_listed_task;

/* The tasks of a study's stage, malloc'ed; none where it has not begun. The caller frees them. Errors: LO_IO,
 * LO_DATA where the file is not such a list. */
lo_status lo_read_tasks(const char *directory, lo_listed_task **tasks, int64_t *count, lo_error *err);

/* Rank 0, or no ranks at all: are the weights of a finished task there and sound, if it has any? Errors: as
 * lo_check_weights. */
lo_status lo_check_listed(const char *directory, const lo_job *job, const lo_listed_task *task,
                          const lo_entry *entry, lo_error *err);

/* Creates the ledger of these tasks and reads it. Errors: as lo_ledger_create, lo_ledger_read. */
lo_status lo_read_listed(const char *directory, const lo_listed_task *tasks, int64_t count, lo_ledger *out,
                         lo_error *err);

/* Collective. outputs.h5 and evaluation.h5 from what the journals hold, unless they are there with that, and
 * a table on standard output. */
lo_status lo_publish_unlearning(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);

/* The settings of a run as text, whole. method, setting, model: its columns in /run of evaluation.h5, of
 * which setting may be cut at LO_H5_TEXT_SIZE - 1. Errors: LO_DATA where the file does not have them. */
lo_status lo_read_setting(const lo_h5_reader *evaluation, const char *method, const char *setting,
                          const char *model, char *out, size_t size, lo_error *err);

#endif
