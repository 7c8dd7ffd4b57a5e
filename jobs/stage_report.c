/* Stage report: manifest.json and report.html from what the study holds. Rank 0 alone. */
#include "base/clock.h"
#include "jobs/attribution/attribution_shown.h"
#include "jobs/audit/audit_shown.h"
#include "jobs/report/material.h"
#include "jobs/scaling/scaling_shown.h"
#include "jobs/stages.h"
#include "jobs/unlearning/unlearning_shown.h"
#include "mpi/agree.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void material_free(lo_material *m)
{
    lo_attribution_shown_free(&m->report.attribution);
    free(m->unlearned);
    lo_scaling_shown_free(&m->report.scaling);
    lo_audit_shown_free(&m->report.audit);
    lo_ledger_destroy(&m->ledger);
    free(m->original);
    free(m->curves);
    for (int s = 0; s < LO_MATERIAL_SCORES; s++) {
        for (int f = 0; f < 4; f++) {
            free(m->score_field[s][f]);
        }
    }
    free(m->attempt);
    free(m->attempt_text);
    free(m->test_accuracy);
    free(m->seconds);
    free(m->class_name);
    free(m->job);
    free(m->influence_test);
    free(m->influence_index);
    free(m->influence_value);
    free(m->influence_error);
}

static lo_status gather(lo_material *m, lo_error *err)
{
    lo_study *s = m->study;
    lo_report *r = &m->report;
    const char *slash = strrchr(s->run.study, '/');
    *r = (lo_report){.study = slash != NULL && slash[1] != '\0' ? slash + 1 : s->run.study,
                     .version = LEAVEOUT_VERSION,
                     .data = &s->data,
                     .design = s->has_ensemble ? lo_job_text(s->job, "ensemble.design") : "none",
                     .ratio = s->has_ensemble ? lo_job_real(s->job, "ensemble.ratio") : 0,
                     .label_noise = lo_job_real(s->job, "data.label_noise"),
                     .in_sample_clean = NAN,
                     .in_sample_relabelled = NAN,
                     .out_of_sample_clean = NAN,
                     .out_of_sample_relabelled = NAN};
    for (int64_t i = 0; i < s->data.train.count; i++) {
        r->relabelled += s->data.train.label[i] != s->data.train.label_true[i];
    }
    m->job = lo_job_effective(s->job);
    r->job_yaml = m->job;
    const int64_t names = lo_job_length(s->job, "data.class_names");
    const bool named = names >= s->data.classes;
    m->class_name = calloc((size_t)s->data.classes + 1, sizeof(*m->class_name));
    if (m->job == NULL || m->class_name == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the report");
    }
    if (named || s->data.class_name != NULL) {
        for (int c = 0; c < s->data.classes; c++) {
            m->class_name[c] = named ? lo_job_text_at(s->job, "data.class_names", c) : s->data.class_name[c];
        }
        r->class_name = m->class_name;
    }
    const uint64_t digest = lo_job_digest(s->job, LO_KEYS_ENSEMBLE);
    LO_TRY(lo_ledger_create(s->run.study, LO_STAGE_ENSEMBLE, digest, s->has_ensemble ? s->design.models : 0,
                            &m->ledger, err));
    LO_TRY(lo_ledger_read(&m->ledger, err));
    for (int64_t t = 0; t < m->ledger.tasks; t++) {
        r->models_given_up += m->ledger.entry[t].given_up && m->ledger.entry[t].file < 0;
    }
    r->originals_planned = lo_job_has(s->job, "originals") ? lo_job_int(s->job, "originals.seeds") : 0;
    LO_TRY(lo_gather_attempts(m, err));
    if (r->originals_planned > 0) {
        LO_TRY(lo_gather_originals(m, err));
    }
    if (s->has_ensemble) {
        LO_TRY(lo_gather_ensemble(m, err));
        LO_TRY(lo_gather_influence(m, err));
    }
    LO_TRY(lo_privacy_show(s->run.study, &r->privacy, err));
    LO_TRY(lo_audit_show(s->run.study, &r->audit, err));
    LO_TRY(lo_gather_scores(m, err));
    LO_TRY(lo_scaling_show(s, &r->scaling, err));
    LO_TRY(lo_attribution_show(s, &r->attribution, err));
    const lo_status status = lo_unlearning_show(s->run.study, &m->unlearned, &r->unlearned_count, err);
    r->unlearned = m->unlearned;
    return status;
}

/* The answer in one line, for those who do not open the report at once. */
static void say_summary(const lo_material *m)
{
    const lo_report *r = &m->report;
    const float *memorization = NULL;
    const float *low = NULL;
    double accuracy = 0;
    int64_t rated = 0;
    int64_t above = 0;
    int64_t surely = 0;
    for (int s = 0; s < r->score_count; s++) {
        if (strcmp(r->score[s].name, "memorization") == 0) {
            memorization = r->score[s].value;
            low = r->score[s].low;
        }
    }
    if (r->models_done == 0 || memorization == NULL) {
        return;
    }
    for (int64_t k = 0; k < r->models_done; k++) {
        if (!isnan(r->test_accuracy[k])) {
            accuracy += r->test_accuracy[k];
            rated++;
        }
    }
    accuracy = rated > 0 ? accuracy / (double)rated : (double)NAN;
    for (int64_t i = 0; i < r->data->train.count; i++) {
        above += memorization[i] > 0.25F;
        surely += low[i] > 0.25F;
    }
    char relabelled[48] = "";
    if (r->relabelled > 0) {
        (void)snprintf(relabelled, sizeof(relabelled), " in_sample_relabelled=%.4f", r->in_sample_relabelled);
    }
    lo_run_say(&m->study->run,
               "event=summary models=%lld diverged=%lld test_accuracy=%.4f in_sample_clean=%.4f%s "
               "memorized_above_0.25=%lld "
               "of_these_interval_above_0.25=%lld of=%lld",
               (long long)r->models_done, (long long)r->models_diverged, accuracy, r->in_sample_clean,
               relabelled, (long long)above, (long long)surely, (long long)r->data->train.count);
    if (r->models_diverged == r->models_done) {
        lo_run_say(&m->study->run,
                   "event=note text=\"every model diverged, so nothing has a score; a smaller "
                   "learning rate usually helps\"");
    }
    if (r->in_sample_clean < 0.95 || (r->relabelled > 0 && r->in_sample_relabelled < 0.95)) {
        lo_run_say(
            &m->study->run,
            "event=note text=\"the models do not fit what they were trained on: memorization cannot be "
            "read there; train longer or larger\"");
    }
}

lo_status lo_stage_report(lo_study *study, lo_error *err)
{
    lo_run *run = &study->run;
    lo_status status = LO_OK;
    if (run->rank == 0) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/report.html", run->study);
        if (study->news || access(path, F_OK) != 0) {
            const double start = lo_clock_monotonic();
            lo_material m = {.study = study};
            status = gather(&m, err);
            if (status == LO_OK) {
                status = lo_write_manifest(&m, err);
            }
            if (status == LO_OK) {
                status = lo_report_write(&m.report, path, err);
            }
            if (status == LO_OK) {
                say_summary(&m);
            }
            material_free(&m);
            if (status == LO_OK) {
                lo_run_say(run, "event=published file=report.html seconds=%.2f",
                           lo_clock_monotonic() - start);
            }
        }
    }
    return lo_agree(run->comm, status, err);
}
