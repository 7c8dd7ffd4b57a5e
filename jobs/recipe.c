#include "jobs/recipe.h"

#include "base/file.h"
#include "jobs/study.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static lo_status start_from(lo_trainer *trainer, const lo_job *job, lo_error *err)
{
    const char *file = lo_job_text(job, "train.from");
    const char *expected = lo_job_text(job, "train.from_digest");
    char found[32];
    uint64_t digest;
    lo_status status = lo_file_digest(file, &digest, err);
    if (status == LO_OK) {
        (void)snprintf(found, sizeof(found), "%016" PRIx64, digest);
        status = strcmp(found, expected) == 0
                     ? lo_trainer_start_from(trainer, file, err)
                     : lo_fail(err, LO_USAGE, "%s has changed: its digest is %s, the job's is %s", file,
                               found, expected);
    }
    return status == LO_OK ? LO_OK : lo_fail_prefix(err, status, "train.from");
}

static lo_status create(const lo_job *job, const lo_recipe *recipe, const lo_dataset *data,
                        const lo_team *ranks, int threads, lo_trainer **out, lo_error *err)
{
    const lo_model_spec model = lo_study_model_spec(job);
    LO_TRY(lo_trainer_create_team(&model, recipe, data, ranks, threads, out, err));
    if (strcmp(lo_job_text(job, "train.from"), "none") == 0) {
        return LO_OK;
    }
    const lo_status status = start_from(*out, job, err);
    if (status != LO_OK) {
        lo_trainer_destroy(out);
    }
    return status;
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
