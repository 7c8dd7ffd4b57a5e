#include "jobs/plan/preview.h"

#include "base/clock.h"
#include "jobs/attribution/attribution.h"
#include "jobs/scaling/scaling.h"
#include "jobs/scores/score_list.h"
#include "jobs/study/study.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* In a directory of its own: nobody else can put a link in the file's place. */
static lo_status open_data(lo_preview *p, lo_error *err)
{
    char directory[PATH_MAX];
    char file[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    lo_data_spec spec = lo_study_data_spec(p->job);
    spec.read.remark = &p->remark;
    (void)snprintf(directory, sizeof(directory), "%.3000s/leaveout-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot make a temporary directory (TMPDIR)", directory);
    }
    (void)snprintf(file, sizeof(file), "%s/data.dat", directory);
    const double start = lo_clock_monotonic();
    lo_status status = lo_dataset_prepare(&spec, file, err);
    p->prepare_seconds = lo_clock_monotonic() - start;
    if (status == LO_OK) {
        status = lo_dataset_open(file, spec.digest, &p->data, err);
    }
    (void)unlink(file); /* the mapping lives on */
    (void)rmdir(directory);
    return status;
}

lo_status lo_preview_open(const lo_command_line *line, lo_preview *out, lo_error *err)
{
    const char *overrides[LO_MAX_SETTINGS];
    const lo_study_options options = {.job_file = line->operand[0],
                                      .overrides = overrides,
                                      .override_count = lo_option_values(line, "set", overrides)};
    *out = (lo_preview){0};
    LO_TRY(lo_study_resolve_job(&options, lo_bf16_pays() ? LO_BF16 : LO_F32, &out->job, err));
    LO_TRY(lo_study_check_settings(out->job, err));
    LO_TRY(open_data(out, err));
    LO_TRY(lo_study_check_names(out->job, out->data.classes, err));
    LO_TRY(lo_score_list_check(out->job, &out->data, err));
    LO_TRY(lo_scaling_check(out->job, err));
    LO_TRY(lo_attribution_check(out->job, err));
    return lo_job_has(out->job, "ensemble")
               ? lo_study_design(out->job, &out->data, &out->design, &out->left, err)
               : LO_OK;
}

void lo_preview_close(lo_preview *preview)
{
    free(preview->left);
    lo_dataset_close(&preview->data);
    lo_job_destroy(&preview->job);
    preview->left = NULL;
}
