#include "score/combine.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_hybrid;

static const lo_setting settings[] = {
    {"of", LO_SETTING_TEXTS, NULL, 0, 0, NULL, "the scores that it is made of, names as in scores"},
    {"combine", LO_SETTING_CHOICE, "rank", 0, 0, "rank regression",
     "the average of their ranks; or a regression of `target` on them, cross-fitted"},
    {"target", LO_SETTING_TEXT, "", 0, 0, NULL, "regression: a score, few_models say"},
    {"folds", LO_SETTING_INT, "5", 2, 1000, NULL, "regression: folds"},
    {"penalty", LO_SETTING_REAL, "0.001", 0, 1e6, NULL, "regression: of the standardized features"},
    {"own", LO_SETTING_REAL, "0", 0, 1, NULL,
     "regression: weight of the example's own target beside the prediction for it"},
};

static bool is_regression(const lo_item *item)
{
    return lo_item_text(item, "combine")[1] == 'e';
}

static const char *uses(const lo_item *item, int number)
{
    const int64_t of = lo_item_length(item, "of");
    if (number < of) {
        return lo_item_text_at(item, "of", number);
    }
    const char *target = lo_item_text(item, "target");
    return number == of && is_regression(item) && target[0] != '\0' ? target : NULL;
}

/* A score of all examples, turned so that large means more memorized. */
static lo_status take(const lo_score_input *input, const char *name, double *to, lo_error *err)
{
    const float *value = NULL;
    int orientation = 1;
    LO_TRY(input->score(input->self, name, &value, &orientation, err));
    for (int64_t i = 0; i < input->n; i++) {
        to[i] = orientation * (double)value[i];
    }
    return LO_OK;
}

static lo_status average_ranks(const lo_score_input *input, double *room, lo_estimate *out, lo_error *err)
{
    const int64_t n = input->n, of = lo_item_length(input->item, "of");
    double *rank = room + n;
    for (int64_t i = 0; i < input->count; i++) {
        out[i].value = 0;
    }
    for (int64_t s = 0; s < of; s++) {
        LO_TRY(take(input, lo_item_text_at(input->item, "of", s), room, err));
        LO_TRY(lo_rank_share(room, n, rank, err));
        for (int64_t i = 0; i < input->count; i++) {
            out[i].value += (float)(rank[input->first + i] / (double)of);
        }
    }
    return LO_OK;
}

/* Features are the ranks and their squares: a relation may bend. */
static lo_status regress(const lo_score_input *input, double *room, lo_estimate *out, lo_error *err)
{
    const int64_t n = input->n, of = lo_item_length(input->item, "of");
    const double own = lo_item_real(input->item, "own");
    double *target = room + 2 * of * n, *predicted = target + n;
    for (int64_t s = 0; s < of; s++) {
        double *rank = room + 2 * s * n, *square = rank + n;
        LO_TRY(take(input, lo_item_text_at(input->item, "of", s), target, err));
        LO_TRY(lo_rank_share(target, n, rank, err));
        for (int64_t i = 0; i < n; i++) {
            square[i] = rank[i] * rank[i];
        }
    }
    LO_TRY(take(input, lo_item_text(input->item, "target"), target, err));
    const lo_cross_fit fit = {.seed = input->recipe->seed,
                              .n = n,
                              .features = 2 * of,
                              .folds = lo_item_int(input->item, "folds"),
                              .feature = room,
                              .target = target,
                              .penalty = lo_item_real(input->item, "penalty")};
    LO_TRY(lo_cross_predict(&fit, predicted, input->tick, err));
    for (int64_t i = 0; i < input->count; i++) {
        const int64_t at = input->first + i;
        out[i].value = (float)(own > 0 ? own * target[at] + (1 - own) * predicted[at] : predicted[at]);
    }
    return LO_OK;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const size_t rows = 2 * (size_t)lo_item_length(input->item, "of") + 2;
    double *room = calloc(rows * (size_t)input->n + 1, sizeof(*room));
    if (room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu scores of %lld examples", rows,
                       (long long)input->n);
    }
    const lo_status status =
        is_regression(input->item) ? regress(input, room, out, err) : average_ranks(input, room, out, err);
    free(room);
    return status;
}

static lo_status check(const lo_score_input *input, lo_error *err)
{
    if (lo_item_length(input->item, "of") == 0) {
        return lo_item_fail(input->item, err, "of: a list of one score at least");
    }
    if (is_regression(input->item) && lo_item_text(input->item, "target")[0] == '\0') {
        return lo_item_fail(input->item, err, "a regression takes a target; set target, to few_models say");
    }
    return LO_OK;
}

const lo_score lo_score_hybrid = {
    .name = "hybrid",
    .description = "other scores put together: average of their ranks, or a cross-fitted regression",
    .orientation = 1,
    .source = "this program",
    .needs = LO_FROM_SCORES,
    .setting = settings,
    .settings = 6,
    .compute = compute,
    .check = check,
    .uses = uses,
};
