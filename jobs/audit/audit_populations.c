#include "jobs/audit/audit_populations.h"

#include "audit/equal_numbers.h"
#include "audit/forgetting_quality.h"
#include "audit/klom.h"
#include "jobs/audit/audit_u_lira.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Margins of a population on a forget set. */
typedef struct population_margins {
    float *phi; /* [models, forget_count] */
    int64_t models;
} population_margins;

/* The models of a group that there are; of oracles every second one, from `odd` on. */
static lo_status gather_group(lo_audit *a, int64_t first, int odd, population_margins *out, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[first].set];
    int64_t seen = 0;
    out->models = 0;
    out->phi = malloc((size_t)(a->in.rows * set->forget_count) * sizeof(*out->phi) + 1);
    if (out->phi == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t r = first; r < a->in.rows; r++) {
        const lo_audit_row *row = &a->in.row[r];
        if (!lo_audit_same_group(row, &a->in.row[first]) || row->output < 0 ||
            (odd >= 0 && seen++ % 2 != odd)) {
            continue;
        }
        lo_audit_model m;
        const lo_status status = lo_audit_load(&a->in, row, &m, err);
        if (status == LO_OK) {
            lo_audit_fill_margins(&m, LO_AUDIT_TRAIN, set->forget, set->forget_count,
                                  out->phi + out->models++ * set->forget_count);
        }
        lo_audit_unload(&m);
        LO_TRY(status);
    }
    return LO_OK;
}

/* A figure that depends on how many models there are, and its ceiling, from as many on all sides. */
static lo_status by_equal_numbers(lo_audit *a, int64_t r, const lo_two_populations *populations, int number,
                                  lo_error *err)
{
    lo_equal_numbers found;
    lo_audit_figure *cell = lo_audit_cell(a, r, number);
    if (!a->wanted[number]) {
        return LO_OK;
    }
    LO_TRY(lo_compare_equal_numbers(populations, &found, &a->tick, err));
    *cell = lo_audit_found(found.figure, 2 * found.models);
    cell->ceiling = found.ceiling;
    cell->apart = found.apart;
    return LO_OK;
}

/* u: no models for the row of an oracle. */
static lo_status compare_populations(lo_audit *a, int64_t r, const population_margins *u,
                                     const population_margins *o, int64_t f, lo_error *err)
{
    enum { SAMPLE = 64 }; /* an example's epsilon takes a fraction of a millisecond, again and again */
    lo_two_populations p = {.unlearned = u->phi,
                            .seeds = u->models,
                            .oracle = o->phi,
                            .oracles = o->models,
                            .examples = f,
                            .figure = lo_klom_high,
                            .most = INFINITY};
    LO_TRY(by_equal_numbers(a, r, &p, LO_AUDIT_KLOM, err));
    p.figure = lo_forgetting_mean;
    p.most = 1;
    p.sample = SAMPLE;
    return by_equal_numbers(a, r, &p, LO_AUDIT_QUALITY, err);
}

static lo_status compare_by_u_lira(lo_audit *a, int64_t r, const population_margins *u,
                                   const population_margins *o, lo_error *err)
{
    const lo_population in = {u->phi, u->models}, never = {o->phi, o->models};
    return a->wanted[LO_AUDIT_U_LIRA] ? lo_audit_u_lira(a, r, &in, &never, err) : LO_OK;
}

lo_status lo_audit_population(lo_audit *a, int64_t r, lo_error *err)
{
    enum { FEWEST = 3 };
    const lo_audit_row *row = &a->in.row[r];
    int64_t oracle = -1;
    for (int64_t k = 0; k < a->in.rows && oracle < 0; k++) {
        oracle = a->in.row[k].oracle && a->in.row[k].set == row->set ? k : -1;
    }
    int reason = row->original ? LO_AUDIT_NO_SCORE : oracle < 0 ? LO_AUDIT_NO_ORACLE : LO_AUDIT_FOUND;
    population_margins u = {0}, o = {0};
    lo_status status = LO_OK;
    if (reason == LO_AUDIT_FOUND) {
        status = gather_group(a, r, row->oracle ? 0 : -1, &u, err);
    }
    if (reason == LO_AUDIT_FOUND && status == LO_OK) {
        status = gather_group(a, oracle, row->oracle ? 1 : -1, &o, err);
    }
    if (status == LO_OK && reason == LO_AUDIT_FOUND && (u.models < FEWEST || o.models < FEWEST)) {
        reason = row->oracle ? LO_AUDIT_FEW_HALVES : LO_AUDIT_FEW_MODELS;
    }
    for (int k = LO_AUDIT_U_LIRA; k <= LO_AUDIT_QUALITY; k++) {
        *lo_audit_cell(a, r, k) = lo_audit_missing(reason);
    }
    if (status == LO_OK && reason == LO_AUDIT_FOUND) {
        status = compare_by_u_lira(a, r, &u, &o, err);
    }
    if (status == LO_OK && reason == LO_AUDIT_FOUND && row->oracle) { /* all against all, no others */
        free(o.phi);
        o.phi = NULL;
        u.models = 0;
        status = gather_group(a, r, -1, &o, err);
    }
    if (status == LO_OK && reason == LO_AUDIT_FOUND) {
        status = compare_populations(a, r, &u, &o, a->in.set[row->set].forget_count, err);
    }
    free(u.phi);
    free(o.phi);
    return status;
}
