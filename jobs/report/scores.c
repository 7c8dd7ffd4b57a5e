#include "jobs/report/material.h"

#include "mpi/h5file.h"
#include "score/rank.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = LO_MATERIAL_TEXT, MAX_SCORES = LO_MATERIAL_SCORES };

static double share_of(const int32_t *hit, const int32_t *of, const lo_examples *train, bool relabelled)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < train->count; i++) {
        if (of[i] > 0 && (train->label[i] != train->label_true[i]) == relabelled) {
            sum += (double)hit[i] / of[i];
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

/* Accuracy in and out of sample from the counts beside the scores. */
static lo_status gather_counts(lo_material *m, const lo_h5_reader *reader, lo_error *err)
{
    static const char *const names[4] = {"/models/in", "/models/in_correct", "/models/out",
                                         "/models/out_correct"};
    const lo_examples *train = &m->study->data.train;
    int32_t *count[4] = {NULL, NULL, NULL, NULL};
    lo_report *r = &m->report;
    lo_status status = LO_OK;
    for (int c = 0; c < 4 && status == LO_OK; c++) {
        int64_t rows = 0;
        status = lo_h5_read_all(reader, names[c], LO_H5_I32, (void **)&count[c], &rows, NULL, err);
        if (status == LO_OK && rows != train->count) {
            status = lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, names[c],
                             (long long)rows, (long long)train->count);
        }
    }
    if (status == LO_OK) {
        r->in_sample_clean = share_of(count[1], count[0], train, false);
        r->in_sample_relabelled = share_of(count[1], count[0], train, true);
        r->out_of_sample_clean = share_of(count[3], count[2], train, false);
        r->out_of_sample_relabelled = share_of(count[3], count[2], train, true);
        r->in_min = r->out_min = INT64_MAX;
        for (int64_t i = 0; i < train->count; i++) {
            r->in_min = count[0][i] < r->in_min ? count[0][i] : r->in_min;
            r->in_max = count[0][i] > r->in_max ? count[0][i] : r->in_max;
            r->out_min = count[2][i] < r->out_min ? count[2][i] : r->out_min;
            r->out_max = count[2][i] > r->out_max ? count[2][i] : r->out_max;
        }
    }
    for (int c = 0; c < 4; c++) {
        free(count[c]);
    }
    return status;
}

/* One score: its values, what else it has, and what it cost. */
static lo_status gather_score(lo_material *m, const lo_h5_reader *reader, const char *name, lo_error *err)
{
    static const char *const fields[4] = {"value", "standard_error", "low", "high"};
    const int s = m->report.score_count++;
    char path[128];
    int64_t orientation = 1;
    lo_report_score *score = &m->score[s];
    for (int f = 0; f < 4; f++) {
        (void)snprintf(path, sizeof(path), "/%s/%s", name, fields[f]);
        if (f == 0 || lo_h5_has(reader, path)) {
            int64_t rows = 0;
            LO_TRY(lo_h5_read_all(reader, path, LO_H5_F32, &m->score_field[s][f], &rows, NULL, err));
            if (rows != m->study->data.train.count) {
                return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, path,
                               (long long)rows, (long long)m->study->data.train.count);
            }
        }
    }
    (void)snprintf(path, sizeof(path), "/%s", name);
    LO_TRY(lo_h5_get_int(reader, path, "orientation", &orientation, err));
    LO_TRY(lo_h5_get_text(reader, path, "description", m->score_description[s], TEXT, err));
    *score = (lo_report_score){.name = name,
                               .description = m->score_description[s],
                               .value = m->score_field[s][0],
                               .standard_error = m->score_field[s][1],
                               .low = m->score_field[s][2],
                               .high = m->score_field[s][3],
                               .orientation = orientation < 0 ? -1 : 1,
                               .agreement = (double)NAN,
                               .plain = m->score_field[s][2] == NULL};
    LO_TRY(lo_h5_get_real(reader, path, "cost_core_seconds", &score->cost, err));
    return lo_h5_get_real(reader, path, "shared_training_core_seconds", &score->shared, err);
}

/* Spearman's correlation of every score with memorization, where there is that. */
static lo_status compare_scores(lo_material *m, lo_error *err)
{
    const int64_t n = m->study->data.train.count;
    const float *reference = NULL;
    for (int s = 0; s < m->report.score_count; s++) {
        reference = strcmp(m->score[s].name, "memorization") == 0 ? m->score[s].value : reference;
    }
    if (reference == NULL) {
        return LO_OK;
    }
    double *pair = calloc(2 * (size_t)n + 1, sizeof(*pair));
    lo_status status = pair != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to compare scores");
    for (int s = 0; s < m->report.score_count && status == LO_OK; s++) {
        lo_agreement agreement;
        for (int64_t i = 0; i < n; i++) {
            pair[i] = (double)reference[i];
            pair[n + i] = (double)m->score[s].value[i];
        }
        status = lo_spearman(pair, pair + n, n, &agreement, err);
        m->score[s].agreement = status == LO_OK ? agreement.value : (double)NAN;
    }
    free(pair);
    return status;
}

lo_status lo_gather_scores(lo_material *m, lo_error *err)
{
    char path[PATH_MAX];
    char *rest = NULL;
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/scores.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &reader, err));
    lo_status status = lo_h5_has(&reader, "/models/in") ? gather_counts(m, &reader, err) : LO_OK;
    if (status == LO_OK) {
        status = lo_score_names(&reader, m->score_names, err);
    }
    for (char *name = strtok_r(m->score_names, " ", &rest);
         name != NULL && status == LO_OK && m->report.score_count < MAX_SCORES;
         name = strtok_r(NULL, " ", &rest)) {
        status = gather_score(m, &reader, name, err);
    }
    lo_h5_close(&reader);
    m->report.score = m->score;
    return status == LO_OK ? compare_scores(m, err) : status;
}
