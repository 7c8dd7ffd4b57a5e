#include "score/comparison.h"

#include <stdlib.h>

static const struct {
    const char *name, *help;
} table[LO_COMPARED_COUNT] = {
#define LO_COMPARED_ROW(name, text, help) [LO_COMPARED_##name] = {text, help},
    LO_COMPARED_LIST(LO_COMPARED_ROW)
#undef LO_COMPARED_ROW
};

const char *lo_compared_name(lo_compared statistic)
{
    return table[statistic].name;
}

const char *lo_compared_help(lo_compared statistic)
{
    return table[statistic].help;
}

void lo_comparison_destroy(lo_comparison *comparison)
{
    for (int s = 0; s < comparison->scores; s++) {
        if (comparison->reference != NULL) {
            lo_pairing_destroy(&comparison->reference[s]);
        }
        if (comparison->noise != NULL) {
            lo_pairing_destroy(&comparison->noise[s]);
        }
    }
    free(comparison->reference);
    free(comparison->noise);
    *comparison = (lo_comparison){0};
}

lo_status lo_comparison_create(const double *const *score, int scores, const double *reference,
                               const uint8_t *noisy, int64_t n, int64_t group, const lo_tick *tick,
                               lo_comparison *out, lo_error *err)
{
    double *replaced = calloc((size_t)n + 1, sizeof(*replaced));
    *out = (lo_comparison){.scores = scores,
                           .n = n,
                           .group = group,
                           .reference = calloc((size_t)scores + 1, sizeof(*out->reference)),
                           .noise = calloc((size_t)scores + 1, sizeof(*out->noise)),
                           .tick = tick};
    lo_status status = replaced != NULL && out->reference != NULL && out->noise != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory to compare %d scores", scores);
    for (int64_t i = 0; i < n && status == LO_OK; i++) {
        replaced[i] = noisy[i] != 0;
    }
    for (int s = 0; s < scores && status == LO_OK; s++) {
        status = lo_pairing_create(score[s], reference, n, &out->reference[s], err);
        if (status == LO_OK) {
            status = lo_pairing_create(score[s], replaced, n, &out->noise[s], err);
        }
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    free(replaced);
    if (status != LO_OK) {
        lo_comparison_destroy(out);
    }
    return status;
}

static void compare(const lo_comparison *c, int number, const int32_t *weight, double *v)
{
    static const double middle = 0.5; /* half memorized */
    lo_pairing *p = &c->reference[number];
    const int64_t k = c->group;
    const lo_group top = {LO_GROUP_TOP, k, 0}, bottom = {LO_GROUP_BOTTOM, k, 0};
    const lo_group half = {LO_GROUP_NEAR_VALUE, k, middle}, median = {LO_GROUP_NEAR_MEDIAN, k, 0};
    const lo_group rank = {LO_GROUP_AT_QUANTILE, k, lo_paired_quantile(p, LO_SIDE_Y, middle, weight)};
    const lo_overlap found[] = {
        lo_paired_overlap(p, top, top, weight), lo_paired_overlap(p, median, half, weight),
        lo_paired_overlap(p, rank, half, weight), lo_paired_overlap(p, bottom, bottom, weight)};
    for (int g = 0; g < 4; g++) {
        v[LO_COMPARED_TOP + g] = found[g].share;
        v[LO_COMPARED_TOP_MEAN + g] = found[g].mean;
    }
    v[LO_COMPARED_SPEARMAN] = lo_paired_spearman(p, weight);
    v[LO_COMPARED_SOMERS] = lo_paired_somers(p, weight);
    v[LO_COMPARED_PEARSON] = lo_paired_pearson(p, weight);
    v[LO_COMPARED_AUC_QUARTER] = lo_paired_auc(p, 0.25, weight);
    v[LO_COMPARED_AUC_HALF] = lo_paired_auc(p, 0.5, weight);
    v[LO_COMPARED_NOISE_AUC] = lo_paired_auc(&c->noise[number], 0.5, weight);
    v[LO_COMPARED_NOISE_PRECISION] = lo_paired_precision(&c->noise[number], 0.5, weight);
}

lo_status lo_comparison_compute(void *self, const int32_t *weight, double *value, lo_error *err)
{
    (void)err;
    const lo_comparison *c = self;
    for (int s = 0; s < c->scores; s++) {
        compare(c, s, weight, value + (int64_t)s * LO_COMPARED_COUNT);
        LO_TRY(lo_tick_call(c->tick));
    }
    return LO_OK;
}
