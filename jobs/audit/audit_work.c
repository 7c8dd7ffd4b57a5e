#include "jobs/audit/audit_work.h"

#include "audit/feature.h"
#include "jobs/study/original.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

lo_audit_figure *lo_audit_cell(const lo_audit *a, int64_t row, int number)
{
    return &a->audited[row].figure[number];
}

void lo_audit_clear(lo_audit *a, int64_t row, int reason)
{
    for (int k = 0; k < LO_AUDIT_FIGURES; k++) {
        *lo_audit_cell(a, row, k) = lo_audit_missing(reason);
    }
    for (int k = 0; k < LO_AUDIT_CURVES * LO_ROC_POINTS; k++) {
        a->audited[row].curve[k / LO_ROC_POINTS][k % LO_ROC_POINTS] = NAN;
    }
}

double *lo_audit_distances(const lo_audit *a, int64_t row, int distance)
{
    return a->distance + (row * LO_AUDIT_DISTANCES + distance) * a->most_oracles;
}

lo_audit_figure lo_audit_missing(int reason)
{
    lo_audit_figure figure = lo_audit_found(lo_unbounded_nan(), 0);
    figure.reason = reason;
    return figure;
}

lo_audit_figure lo_audit_found(lo_bounded value, int64_t models)
{
    return (lo_audit_figure){.value = value.value,
                             .low = value.low,
                             .high = value.high,
                             .models = models,
                             .reason = LO_AUDIT_FOUND,
                             .ceiling = lo_unbounded_nan(),
                             .apart = lo_unbounded_nan()};
}

lo_status lo_audit_no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for the audit");
}

/* ---- the forget set at hand ---- */

void lo_audit_drop_oracles(lo_audit *a)
{
    for (int64_t o = 0; o < a->oracles; o++) {
        lo_audit_unload(&a->oracle_model[o]);
    }
    a->oracles = 0;
    a->set = -1;
}

lo_status lo_audit_take_set(lo_audit *a, int set, lo_error *err)
{
    if (a->set == set) {
        return LO_OK;
    }
    lo_audit_drop_oracles(a);
    for (int64_t r = 0; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        if (row->set == set && row->oracle && row->output >= 0) {
            a->oracle[a->oracles] = r;
            const lo_status status = lo_audit_load(&a->in, row, &a->oracle_model[a->oracles], err);
            a->oracles++;
            LO_TRY(status);
        }
    }
    if (a->wanted[LO_AUDIT_ZRF]) {
        LO_TRY(lo_audit_fresh(a->network, set, &a->fresh, err));
    }
    a->set = set;
    return LO_OK;
}

/* ---- its rows ---- */

bool lo_audit_same_group(const lo_audit_row *a, const lo_audit_row *b)
{
    return a->set == b->set && strcmp(a->kind, b->kind) == 0 && strcmp(a->method, b->method) == 0 &&
           strcmp(a->setting, b->setting) == 0;
}

bool lo_audit_is_matched(const lo_audit_row *matched, const lo_audit_row *row)
{
    return matched->set == row->set && strcmp(matched->method, row->method) == 0 &&
           strcmp(matched->setting, row->setting) == 0;
}

int64_t lo_audit_group_of(const lo_audit *a, int64_t r)
{
    int64_t first = 0;
    while (!lo_audit_same_group(&a->in.row[first], &a->in.row[r])) {
        first++;
    }
    return first;
}

void lo_audit_fill_margins(const lo_audit_model *m, int part, const uint32_t *rows, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++) {
        double phi;
        lo_features(&m->logits[part], rows + i, 1, LO_FEATURE_MARGIN, &phi);
        out[i] = (float)phi;
    }
}

bool lo_audit_weights_of(const lo_audit *a, int64_t r, char path[PATH_MAX])
{
    const lo_audit_row *row = &a->in.row[r];
    const char *folder = row->original ? "originals" : row->oracle ? "oracles" : "unlearned";
    (void)snprintf(path, PATH_MAX, "%s/%s/%s.safetensors", a->study->run.study, folder, row->model);
    return row->output >= 0 && access(path, F_OK) == 0;
}

void lo_audit_original_of(const lo_audit *a, int64_t r, char path[PATH_MAX])
{
    const int64_t originals = lo_job_int(a->study->job, "originals.seeds");
    lo_original_path(a->study->run.study, a->in.row[r].seed % originals, 0, path, PATH_MAX);
}

bool lo_audit_has_groups(const lo_audit *a)
{
    for (int s = 0; s < a->in.sets; s++) {
        if (a->groups[s].by[0] != '\0') {
            return true;
        }
    }
    return false;
}
