#include "jobs/study/recipe.h"

#include "base/file.h"
#include "jobs/study/study.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* train.from: the weights that trainings start from; NULL: fresh ones. */
static const char *start_of(const lo_job *job)
{
    const char *file = lo_job_text(job, "train.from");
    return strcmp(file, "none") != 0 ? file : NULL;
}

/* Is the file still the one that the job means? */
static lo_status check_start(const lo_job *job, const char *file, lo_error *err)
{
    const char *expected = lo_job_text(job, "train.from_digest");
    char found[32];
    uint64_t digest;
    LO_TRY(lo_file_digest(file, &digest, err));
    (void)snprintf(found, sizeof(found), "%016" PRIx64, digest);
    return strcmp(found, expected) == 0
               ? LO_OK
               : lo_fail(err, LO_USAGE, "%s has changed: its digest is %s, the job's is %s", file, found,
                         expected);
}

static lo_status create(const lo_job *job, const lo_recipe *recipe, const lo_dataset *data,
                        const lo_team *ranks, int threads, lo_trainer **out, lo_error *err)
{
    const lo_model_spec model = lo_study_model_spec(job);
    LO_TRY(lo_trainer_create_team(&model, recipe, data, ranks, threads, out, err));
    const char *start = start_of(job);
    if (start == NULL) {
        return LO_OK;
    }
    lo_status status = check_start(job, start, err);
    if (status == LO_OK) {
        status = lo_trainer_start_from(*out, start, err);
    }
    if (status != LO_OK) {
        lo_trainer_destroy(out);
        return lo_fail_prefix(err, status, "train.from");
    }
    return LO_OK;
}

lo_status lo_job_trainer(const lo_job *job, const lo_dataset *data, lo_trainer **out, lo_error *err)
{
    const lo_recipe recipe = lo_study_recipe(job);
    return create(job, &recipe, data, NULL, 1, out, err);
}

lo_status lo_job_trainer_team(const lo_job *job, const lo_dataset *data, const lo_team *ranks,
                              lo_trainer **out, lo_error *err)
{
    const lo_recipe recipe = lo_study_recipe(job);
    return create(job, &recipe, data, ranks, (int)lo_job_int(job, "train.threads"), out, err);
}

lo_status lo_job_trainer_of(const lo_job *job, const lo_recipe *recipe, const lo_dataset *data,
                            lo_trainer **out, lo_error *err)
{
    lo_recipe whole = *recipe;
    whole.slices = 1; /* of which its batch need not be a multiple */
    return create(job, &whole, data, NULL, 1, out, err);
}

lo_status lo_job_pupil(const lo_job *job, const lo_dataset *data, const lo_team *ranks, lo_pupil **out,
                       lo_error *err)
{
    const lo_recipe recipe = lo_study_recipe(job);
    const lo_model_spec model = lo_study_model_spec(job);
    const char *start = start_of(job);
    const int threads = (int)lo_job_int(job, "train.threads");
    LO_TRY(lo_pupil_create_team(&model, &recipe, data, ranks, threads, out, err));
    if (start == NULL) {
        return LO_OK;
    }
    lo_status status = check_start(job, start, err);
    if (status == LO_OK) {
        status = lo_pupil_start_from(*out, start, err);
    }
    if (status != LO_OK) {
        lo_pupil_destroy(out);
        return lo_fail_prefix(err, status, "train.from");
    }
    return LO_OK;
}
