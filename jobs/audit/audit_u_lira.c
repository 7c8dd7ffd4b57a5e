#include "jobs/audit/audit_u_lira.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *lo_audit_against(int64_t reference)
{
    static const char *const names[] = {[LO_AUDIT_AGAINST_NONE] = "",
                                        [LO_AUDIT_AGAINST_ORACLES] = "oracles",
                                        [LO_AUDIT_AGAINST_MATCHED] = "matched"};
    return names[reference];
}

static bool has_nan(const float *phi, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (isnan(phi[i])) {
            return true;
        }
    }
    return false;
}

/* Margins of the matched models of a row's group, in the order of their oracles, but those that diverged:
 * *phi
 * [*models, forget_count], the caller's to free. */
static lo_status gather_matched(const lo_audit *a, int64_t r, float **phi, int64_t *models, lo_error *err)
{
    const lo_audit_set *set = &a->in.set[a->in.row[r].set];
    *models = 0;
    *phi = malloc((size_t)(a->in.matched_count * set->forget_count) * sizeof(**phi) + 1);
    if (*phi == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t k = 0; k < a->in.matched_count; k++) {
        const lo_audit_row *row = &a->in.matched[k];
        if (!lo_audit_is_matched(row, &a->in.row[r])) {
            continue;
        }
        float *own = *phi + *models * set->forget_count;
        lo_audit_model m;
        const lo_status status = lo_audit_load(&a->in, row, &m, err);
        if (status == LO_OK) {
            lo_audit_fill_margins(&m, LO_AUDIT_TRAIN, set->forget, set->forget_count, own);
            *models += !has_nan(own, set->forget_count);
        }
        lo_audit_unload(&m);
        LO_TRY(status);
    }
    return LO_OK;
}

/* The figures of a comparison, LO_AUDIT_U_LIRA first. */
enum { FIGURES = LO_AUDIT_U_LIRA_EXAMPLE_RATE_1000 - LO_AUDIT_U_LIRA + 1 };

static void list_figures(const lo_u_lira *u, lo_bounded figure[FIGURES])
{
    const lo_bounded list[FIGURES] = {u->example_auc,    u->auc, u->rate[0], u->rate[1], u->example_rate[0],
                                      u->example_rate[1]};
    memcpy(figure, list, sizeof(list));
}

static void set_figures(lo_audit *a, int64_t r, const lo_u_lira *found, int reference,
                        const lo_bounded ceiling[FIGURES])
{
    lo_bounded figure[FIGURES];
    list_figures(found, figure);
    for (int k = 0; k < FIGURES; k++) {
        lo_audit_figure *cell = lo_audit_cell(a, r, LO_AUDIT_U_LIRA + k);
        *cell = isnan(figure[k].value) ? lo_audit_missing(LO_AUDIT_FEW_SCORES)
                                       : lo_audit_found(figure[k], 2 * found->models);
        cell->reference = reference;
        cell->ceiling = ceiling[k];
    }
}

/* Every second matched model against the others. NaN where there are too few. */
static lo_status find_ceiling(const lo_audit *a, const float *phi, int64_t models, int64_t n,
                              lo_bounded ceiling[FIGURES], lo_error *err)
{
    const int64_t half = models / 2;
    for (int k = 0; k < FIGURES; k++) {
        ceiling[k] = lo_unbounded_nan();
    }
    if (half < LO_U_LIRA_FEWEST) {
        return LO_OK;
    }
    float *room = malloc((size_t)(2 * half * n) * sizeof(*room) + 1);
    if (room == NULL) {
        return lo_audit_no_memory(err);
    }
    for (int64_t m = 0; m < 2 * half; m++) {
        memcpy(room + (m % 2 * half + m / 2) * n, phi + m * n, (size_t)n * sizeof(*room));
    }
    const lo_population even = {room, half}, odd = {room + half * n, half};
    lo_u_lira found;
    const lo_status status = lo_u_lira_make(&even, &odd, n, &found, NULL, &a->tick, err);
    if (status == LO_OK) {
        list_figures(&found, ceiling);
    }
    free(room);
    return status;
}

lo_status lo_audit_u_lira(lo_audit *a, int64_t r, const lo_population *in, const lo_population *never,
                          lo_error *err)
{
    const int64_t n = a->in.set[a->in.row[r].set].forget_count;
    float *phi = NULL;
    int64_t models = 0;
    lo_u_lira found;
    lo_bounded ceiling[FIGURES];
    lo_status status = gather_matched(a, r, &phi, &models, err);
    const bool matched = models >= LO_U_LIRA_FEWEST;
    const lo_population others = {phi, models};
    if (status == LO_OK) {
        status = find_ceiling(a, phi, models, n, ceiling, err);
    }
    if (status == LO_OK) {
        status = lo_u_lira_make(in, matched ? &others : never, n, &found, NULL, &a->tick, err);
        if (status == LO_OK) {
            set_figures(a, r, &found, matched ? LO_AUDIT_AGAINST_MATCHED : LO_AUDIT_AGAINST_ORACLES, ceiling);
        } else if (status ==
                   LO_DATA) { /* of those that diverged too few are left: the figures stay missing */
            err->text[0] = '\0';
            status = LO_OK;
        }
    }
    free(phi);
    return status;
}
