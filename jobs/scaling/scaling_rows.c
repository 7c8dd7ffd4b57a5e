/* Which rows the study of scores has, the sets of values that they are made of, and what is seen by looking
 * at these directly. */
#include "jobs/study/outcome.h"
#include "jobs/scaling/scaling.h"
#include "score/screening.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lo_status no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory to compare scores");
}

/* ---- rows ---- */

bool lo_scaling_is_reference(const lo_listed_score *l)
{
    return strcmp(l->score->name, "memorization") == 0 &&
           strcmp(lo_item_text(l->item, "by"), "correctness") == 0;
}

int64_t lo_scaling_most_models(const lo_score_list *list)
{
    int64_t most = 0;
    for (int i = 0; i < list->count; i++) {
        const lo_listed_score *l = &list->listed[i];
        const int64_t models = l->score->models != NULL ? l->score->models(l->item) : 0;
        most = models > most ? models : most;
    }
    return most;
}

static bool is_wanted(const lo_job *job, const lo_listed_score *l)
{
    const int64_t count = lo_job_length(job, "scaling.scores");
    if (lo_scaling_is_reference(l)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const char *name = lo_job_text_at(job, "scaling.scores", i);
        if (strcmp(name, "all") == 0 || strcmp(name, l->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has(const lo_scaling *s, const lo_listed_score *l, const char *dataset)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/%s/%s", l->name, dataset);
    return lo_h5_has(&s->scores, path);
}

static void add_row(lo_scaling *s, const lo_listed_score *l, int columns, const char *suffix)
{
    lo_scaling_row *row = &s->row[s->rows++];
    *row = (lo_scaling_row){.listed = l, .first = s->columns, .columns = columns};
    (void)snprintf(row->name, sizeof(row->name), "%s%s", l->name, suffix);
    s->columns += columns;
}

lo_status lo_scaling_choose_rows(lo_scaling *s, lo_error *err)
{
    s->held_back = lo_scaling_most_models(&s->list);
    s->row = calloc(2 * (size_t)s->list.count + 1, sizeof(*s->row));
    if (s->row == NULL) {
        return no_memory(err);
    }
    for (int i = 0; i < s->list.count; i++) {
        const lo_listed_score *l = &s->list.listed[i];
        if (!is_wanted(s->study->job, l) || !has(s, l, "value")) {
            continue;
        }
        const int64_t few = l->score->models != NULL ? l->score->models(l->item) : s->held_back;
        add_row(s, l, few > 0 && l->score->models != NULL ? (int)(s->held_back / few) : 1, "");
        if (has(s, l, "originals")) {
            add_row(s, l, (int)s->source.originals, " (one original)");
            s->row[s->rows - 1].each_original = true;
        }
    }
    return LO_OK;
}

/* ---- their values ---- */

static lo_status read_score(const lo_scaling *s, const lo_listed_score *l, float *room, double *to,
                            lo_error *err)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/%s/value", l->name);
    LO_TRY(lo_h5_read(&s->scores, path, LO_H5_F32, 0, s->n, room, err));
    for (int64_t i = 0; i < s->n; i++) {
        to[i] = l->orientation * (double)room[i];
    }
    return LO_OK;
}

/* to [originals, n] */
static lo_status read_originals(const lo_scaling *s, const lo_listed_score *l, double *to, lo_error *err)
{
    char path[128];
    float *each = NULL;
    int64_t rows = 0;
    int64_t originals = 0;
    (void)snprintf(path, sizeof(path), "/%s/originals", l->name);
    LO_TRY(lo_h5_read_all(&s->scores, path, LO_H5_F32, (void **)&each, &rows, &originals, err));
    lo_status status = rows == s->n && originals == s->source.originals
                           ? LO_OK
                           : lo_fail(err, LO_DATA, "%s: %s has %lld rows of %lld; %lld of %lld are expected",
                                     s->scores.file, path, (long long)rows, (long long)originals,
                                     (long long)s->n, (long long)s->source.originals);
    for (int64_t i = 0; i < s->n && status == LO_OK; i++) {
        for (int64_t o = 0; o < originals; o++) {
            to[o * s->n + i] = l->orientation * (double)each[i * originals + o];
        }
    }
    free(each);
    return status;
}

/* Every rank has all examples. */
static lo_status gather_nothing(void *self, lo_status status, const float *mine, int64_t width, float *all,
                                lo_error *err)
{
    const lo_score_source *source = self;
    (void)err;
    if (status == LO_OK) {
        memcpy(all, mine, (size_t)(source->n * width) * sizeof(*all));
    }
    return status;
}

/* The same estimate from other models: group g of so many from the end of those held back; to [n]. */
static lo_status other_models(lo_scaling *s, const lo_listed_score *l, int64_t group, double *to,
                              lo_error *err)
{
    lo_estimate *out = calloc((size_t)s->n + 1, sizeof(*out));
    if (out == NULL) {
        return no_memory(err);
    }
    for (int64_t i = 0; i < s->n; i++) {
        out[i].value = (float)NAN;
    }
    lo_score_input input = lo_score_source_input(&s->source, l->score->needs);
    input.item = l->item;
    input.gather = gather_nothing;
    input.models -= group * l->score->models(l->item);
    const lo_status status = l->score->compute(&input, out, err);
    for (int64_t i = 0; i < s->n && status == LO_OK; i++) {
        to[i] = l->orientation * (double)out[i].value;
    }
    free(out);
    return status;
}

lo_status lo_scaling_values(lo_scaling *s, double *values, lo_error *err)
{
    float *room = calloc((size_t)s->n + 1, sizeof(*room));
    lo_status status =
        room != NULL ? lo_score_source_prepare(&s->source, LO_FROM_OUTCOMES, err) : no_memory(err);
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        const lo_scaling_row *row = &s->row[r];
        double *to = values + row->first * s->n;
        status = row->each_original ? read_originals(s, row->listed, to, err)
                                    : read_score(s, row->listed, room, to, err);
        for (int c = 1; c < row->columns && !row->each_original && status == LO_OK; c++) {
            status = other_models(s, row->listed, c, to + c * s->n, err);
        }
    }
    free(room);
    return status;
}

/* ---- how wrong ---- */

/* Does a score say by how much models part, as the reference does, and not only who is before whom? */
static bool is_on_the_scale(const lo_listed_score *l)
{
    const char *name = l->score->name;
    if (strcmp(name, "few_models") == 0 || strcmp(name, "memorization") == 0) {
        return strcmp(lo_item_text(l->item, "by"), "margin") != 0;
    }
    return strcmp(name, "screening") == 0;
}

static double root_mean_square(const double *value, const double *reference, int64_t n)
{
    double sum = 0;
    double count = 0;
    for (int64_t i = 0; i < n; i++) {
        const double away = value[i] - reference[i];
        sum += isnan(away) ? 0 : away * away;
        count += !isnan(away);
    }
    return count > 0 ? sqrt(sum / count) : (double)NAN;
}

/* Of the examples above a threshold, the share that was not chosen. */
static double missed(const lo_scaling *s, const double *reference, const uint8_t *chosen, double threshold)
{
    double above = 0;
    double lost = 0;
    for (int64_t i = 0; i < s->n; i++) {
        above += reference[i] > threshold;
        lost += reference[i] > threshold && !chosen[i];
    }
    return above > 0 ? lost / above : (double)NAN;
}

/* What screening never looks at cannot be found by it. */
static lo_status find_missed(lo_scaling *s, lo_scaling_row *row, const double *reference, float *room,
                             uint8_t *chosen, lo_error *err)
{
    const lo_item *item = row->listed->item;
    const int64_t candidates = lo_screening_count(item, s->n);
    char path[128];
    int64_t orientation = 1;
    (void)snprintf(path, sizeof(path), "/%s", lo_item_text(item, "by"));
    LO_TRY(lo_h5_get_int(&s->scores, path, "orientation", &orientation, err));
    (void)snprintf(path, sizeof(path), "/%s/value", lo_item_text(item, "by"));
    LO_TRY(lo_h5_read(&s->scores, path, LO_H5_F32, 0, s->n, room, err));
    LO_TRY(lo_screening_choose(room, (int)orientation, s->n, candidates, chosen, err));
    row->missed_quarter = missed(s, reference, chosen, 0.25);
    row->missed_half = missed(s, reference, chosen, 0.5);
    row->saving = (double)s->n / (double)candidates;
    return LO_OK;
}

lo_status lo_scaling_look(lo_scaling *s, const double *values, const double *reference, lo_error *err)
{
    float *room = calloc((size_t)s->n + 1, sizeof(*room));
    uint8_t *chosen = calloc((size_t)s->n + 1, 1);
    lo_status status = room != NULL && chosen != NULL ? LO_OK : no_memory(err);
    for (int r = 0; r < s->rows && status == LO_OK; r++) {
        lo_scaling_row *row = &s->row[r];
        row->missed_quarter = row->missed_half = row->saving = row->rmse = NAN;
        if (is_on_the_scale(row->listed)) {
            row->rmse = 0;
            for (int c = 0; c < row->columns; c++) {
                row->rmse +=
                    root_mean_square(values + (row->first + c) * s->n, reference, s->n) / row->columns;
            }
        }
        if (strcmp(row->listed->score->name, "screening") == 0) {
            status = find_missed(s, row, reference, room, chosen, err);
        }
    }
    free(room);
    free(chosen);
    return status;
}
