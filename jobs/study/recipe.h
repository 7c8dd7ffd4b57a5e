/* The trainer of a job's recipe. */
#ifndef LEAVEOUT_JOBS_RECIPE_H
#define LEAVEOUT_JOBS_RECIPE_H

#include "base/job.h"
#include "base/status.h"
#include "nn/training.h"
#include "unlearn/pupil.h"

/* Model, recipe and, with train.from, the weights that trainings start from. Errors as lo_trainer_create and
 * lo_trainer_start_from; LO_USAGE when that file is no longer the one of which the job has the digest. The
 * caller destroys it; data must outlive it. */
lo_status lo_job_trainer(const lo_job *job, const lo_dataset *data, lo_trainer **out, lo_error *err);

/* The same for a member of a team of ranks, which may be NULL and must outlive it, with the job's threads. */
lo_status lo_job_trainer_team(const lo_job *job, const lo_dataset *data, const lo_team *ranks,
                              lo_trainer **out, lo_error *err);

/* The same, alone, with a recipe that is not quite the job's; batches are not cut. */
lo_status lo_job_trainer_of(const lo_job *job, const lo_recipe *recipe, const lo_dataset *data,
                            lo_trainer **out, lo_error *err);

/* A pupil of the same model, recipe and start, of a team of ranks (NULL: alone) with the job's threads: it
 * retrains as the trainer.
 * Errors as lo_pupil_create and lo_job_trainer; the caller destroys it. */
lo_status lo_job_pupil(const lo_job *job, const lo_dataset *data, const lo_team *ranks, lo_pupil **out,
                       lo_error *err);

#endif
