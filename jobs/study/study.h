/* A study under work: the directory, the job it belongs to, the prepared data, the attempt. What every stage
 * is given. */
#ifndef LEAVEOUT_JOBS_STUDY_H
#define LEAVEOUT_JOBS_STUDY_H

#include "base/job.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/design.h"
#include "mpi/ledger.h"
#include "mpi/run.h"
#include "mpi/team.h"
#include "nn/training.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_STUDY_FORMAT = 1, LO_MAX_PROCESSOR = 128 };

typedef struct lo_study {
    lo_run run;
    lo_job *job;        /* the effective job, the same on all ranks */
    lo_rank_team *team; /* with which this rank trains models; NULL: alone */
    lo_dataset data;
    bool has_ensemble;
    lo_design design;
    struct lo_until *until;       /* owned; NULL: ensemble.until is not given, or not looked at yet */
    int64_t part_first, part_end; /* only these models (run --models); part_end 0: all */
    int64_t *left; /* owned: positions that leave_one_out leaves out, or groups of leave_group_out */
    int64_t given_up;
    bool accepted; /* this job is the study's, so what becomes of the run is the study's state */
    bool left_to_others;
    bool news;    /* something was computed or published in this run */
    double begun; /* monotonic */
} lo_study;

typedef struct lo_study_options {
    const char *job_file;
    const char *directory;
    const char *const *overrides;
    int override_count;
    bool join;
    int64_t part_first, part_end; /* only these models of the ensemble; part_end 0: all */
    bool reading;                 /* for a command that trains nothing: any processor will do */
} lo_study_options;

/* Collective over MPI_COMM_WORLD. Reads the job, makes the study or finds it, announces the attempt, prepares
 * the data. A study made by another job is refused (LO_USAGE) with the keys that differ, if it has results;
 * one that somebody works on is refused with LO_STOPPED unless it is joined. Close it in any case. */
lo_status lo_study_open(const lo_study_options *options, lo_study *out, lo_error *err);

/* Of a job that unlearns or audits: what examples of the training set the test and validation set have too,
 * as a sentence with the first of them; "" where there are none, or the job does neither. Local; reads all
 * data. Errors: LO_INTERNAL without memory. */
lo_status lo_study_overlap(const lo_job *job, const lo_dataset *data, char *out, size_t size, lo_error *err);

/* Is this the rank that writes down what its team has done? One alone is. */
bool lo_study_leads(const lo_study *study);

/* Collective. Ends the attempt with a reason for status.json and the journals, and releases everything. */
void lo_study_close(lo_study *study, lo_status status, const lo_error *err);

/* Collective. Only one attempt publishes at a time: waits for the others, rank 0 beating its heart. Errors:
 * LO_STOPPED when one is stopped meanwhile, LO_IO. */
lo_status lo_study_lock(lo_study *study, lo_error *err);
void lo_study_unlock(lo_study *study);

/* What follows serves readers too, which open no attempt: */

/* Reads DIR/job.yaml. Errors: LO_USAGE when the directory holds no study, LO_DATA when its format is newer.
 * The caller destroys the job. */
lo_status lo_study_read_job(const char *directory, lo_job **out, lo_error *err);

/* The data section of a job, for lo_dataset_prepare; points into the job. */
lo_data_spec lo_study_data_spec(const lo_job *job);

/* Model and recipe of a job. preset points into the job. */
lo_model_spec lo_study_model_spec(const lo_job *job);
lo_recipe lo_study_recipe(const lo_job *job);

/* The ensemble's design over the prepared data. *left (owned by the caller) takes the positions for
 * leave_one_out, the group of every example for leave_group_out. Errors: LO_USAGE, also for an example number
 * that is not in the training set in use, and a group without an example there. */
lo_status lo_study_design(const lo_job *job, const lo_dataset *data, lo_design *design, int64_t **left,
                          lo_error *err);

/* Models of the job's ensemble, as the design has them, without looking at the data; 0 without an ensemble.
 */
int64_t lo_study_planned(const lo_job *job);

/* Are the classes named all, if any is? Errors: LO_USAGE. */
lo_status lo_study_check_names(const lo_job *job, int32_t classes, lo_error *err);

/* DIR/cache/DIGEST.dat */
void lo_study_cache_path(const char *directory, const lo_job *job, char *path, size_t size);

/* What can be said of a job before its data are read, beside what reading it says: the stages' own lists.
 * Errors: LO_USAGE, LO_IO. */
lo_status lo_study_check_settings(const lo_job *job, lo_error *err);

/* A job file with precision auto resolved: to the study's precision if there is one, else to `best`. */
lo_status lo_study_resolve_job(const lo_study_options *options, lo_precision best, lo_job **out,
                               lo_error *err);

#endif
