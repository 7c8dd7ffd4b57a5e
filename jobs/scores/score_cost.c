#include "jobs/scores/score_cost.h"

#include "jobs/study/outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int find_listed(const lo_score_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->listed[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Marks a score and all that it is made of. */
static void mark(const lo_score_list *list, int at, uint8_t *marked)
{
    const lo_listed_score *l = &list->listed[at];
    marked[at] = 1;
    for (int u = 0; l->score->uses != NULL && l->score->uses(l->item, u) != NULL; u++) {
        const int used = find_listed(list, l->score->uses(l->item, u));
        if (used >= 0 && !marked[used]) {
            mark(list, used, marked);
        }
    }
}

double lo_score_training(const lo_score_source *source)
{
    double sum[2] = {0, 0}; /* whole numbers: models with an example, models */
    if (!source->has_ensemble) {
        return (double)NAN;
    }
    for (int64_t i = 0; i < source->count; i++) {
        sum[0] += source->counts[i].in;
        sum[1] += source->counts[i].in + source->counts[i].out;
    }
    MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_DOUBLE, MPI_SUM, source->study->run.comm);
    return source->ensemble.seconds / (double)source->ensemble.rows * (sum[1] / sum[0]);
}

/* Core-seconds of the last `models` models that are in use. */
static lo_status last_models_cost(const lo_score_source *source, int64_t models, double *sum, lo_error *err)
{
    const lo_ensemble_file *e = &source->ensemble;
    double *seconds = NULL;
    int64_t rows = 0;
    *sum = 0;
    if (models == 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read_all(&e->reader, "/seconds", LO_H5_F64, (void **)&seconds, &rows, NULL, err));
    for (int64_t r = rows - 1; r >= 0 && models > 0; r--) {
        if ((e->use[e->model[r] / 8] >> (e->model[r] % 8) & 1) != 0) {
            *sum += seconds[r];
            models--;
        }
    }
    free(seconds);
    return LO_OK;
}

/* Of all originals, what a score with these needs is to answer for. */
static double originals_cost(const lo_score_costs *c, unsigned needs)
{
    const double seconds = c->source->originals_seconds;
    const double plain = c->training * (double)c->source->rows;
    const bool others = c->source->has_gradients && (needs & LO_FROM_INPUT_SQUARES) == 0;
    return others && plain < seconds ? plain : seconds;
}

static void add(const lo_score_costs *c, int at, lo_score_cost *cost)
{
    const lo_listed_score *l = &c->list->listed[at];
    const unsigned needs = l->score->needs;
    const int64_t all = c->source->has_ensemble ? c->source->ensemble.rows - c->source->ensemble.diverged : 0;
    int64_t models = 0;
    cost->own += c->own[at];
    if ((needs & LO_FROM_ORIGINALS) != 0) {
        cost->originals = fmax(cost->originals, c->share[at] * originals_cost(c, needs));
    }
    if ((needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) != 0) {
        models = l->score->models != NULL ? l->score->models(l->item) : all;
    }
    if ((needs & LO_FROM_FILE) != 0) {
        cost->own += lo_item_given(l->item, "cost") ? lo_item_real(l->item, "cost") * c->training : NAN;
        cost->file_of_ensemble = cost->file_of_ensemble || lo_item_bool(l->item, "uses_ensemble");
    }
    cost->models = models > cost->models ? models : cost->models;
}

lo_status lo_score_cost_of(const lo_score_costs *costs, int at, lo_score_cost *out, lo_error *err)
{
    uint8_t *marked = calloc((size_t)costs->list->count + 1, 1);
    *out = (lo_score_cost){0};
    if (marked == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for costs");
    }
    mark(costs->list, at, marked);
    for (int i = 0; i < costs->list->count; i++) {
        if (marked[i]) {
            add(costs, i, out);
        }
    }
    free(marked);
    return last_models_cost(costs->source, out->models, &out->ensemble, err);
}
