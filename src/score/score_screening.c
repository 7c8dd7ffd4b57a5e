#include "score/screening.h"

#include "base/random.h"
#include "nn/trainer.h"
#include "score/combine.h"
#include "score/moments.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_screening;

static const lo_setting settings[] = {
    {"by", LO_SETTING_TEXT, NULL, 0, 0, NULL, "the score that picks candidates, its name as in scores"},
    {"share", LO_SETTING_REAL, "0.1", 1e-6, 1, NULL, "of the examples that are candidates"},
    {"models", LO_SETTING_INT, "10", 2, 1000000, NULL,
     "trainings, an even number; half of them without a candidate"},
    {"measure", LO_SETTING_CHOICE, "correctness", 0, 0, "correctness probability",
     "what of a model is compared: right or not, the label's probability"},
};

/* Streams of LO_FOR_SPLIT from here on are this score's; seeds of its models are no other's. */
static const uint64_t OWN = UINT64_C(1) << 41;

/* Below every candidate that is memorized at all, in the order of the score that picked. */
static const double others = 1e-3;

enum { CORRECT, PROBABILITY, COLUMNS };

/* ---- candidates ---- */

int64_t lo_screening_count(const lo_item *item, int64_t n)
{
    const int64_t count = (int64_t)llround(lo_item_real(item, "share") * (double)n);
    return count < 2 ? 2 : count > n ? n : count;
}

typedef struct ranked {
    double value;
    int64_t number;
} ranked;

static int by_value(const void *a, const void *b)
{
    const ranked *p = a;
    const ranked *q = b;
    if (p->value != q->value) {
        return p->value > q->value ? -1 : 1;
    }
    return (p->number > q->number) - (p->number < q->number);
}

lo_status lo_screening_choose(const float *value, int orientation, int64_t n, int64_t count, uint8_t *chosen,
                              lo_error *err)
{
    ranked *all = calloc((size_t)n + 1, sizeof(*all));
    if (all == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to rank %lld examples", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        chosen[i] = 0;
        all[i] = (ranked){isnan(value[i]) ? -INFINITY : orientation * (double)value[i], i};
    }
    qsort(all, (size_t)n, sizeof(*all), by_value);
    for (int64_t i = 0; i < count; i++) {
        chosen[all[i].number] = 1;
    }
    free(all);
    return LO_OK;
}

/* in [n]: is the example in model `number`? Models 2k and 2k + 1 share the candidates out between them. */
static void share_out(const lo_score_input *input, const uint8_t *chosen, int64_t number, uint8_t *in)
{
    const uint64_t count = (uint64_t)lo_screening_count(input->item, input->n);
    const lo_permutation order = lo_permutation_make(lo_random_make(input->recipe->seed, LO_FOR_SPLIT),
                                                     OWN + (uint64_t)number / 2, count);
    uint64_t candidate = 0;
    for (int64_t i = 0; i < input->n; i++) {
        in[i] = !chosen[i] || (lo_permutation_at(&order, candidate++) < count / 2) == (number % 2 == 0);
    }
}

static lo_status choose(const lo_score_input *input, const float **value, int *orientation, uint8_t *chosen,
                        lo_error *err)
{
    LO_TRY(input->score(input->self, lo_item_text(input->item, "by"), value, orientation, err));
    return lo_screening_choose(*value, *orientation, input->n, lo_screening_count(input->item, input->n),
                               chosen, err);
}

/* ---- a training ---- */

static int64_t tasks(const lo_score_input *input)
{
    return lo_item_int(input->item, "models");
}

typedef struct room {
    uint8_t *chosen, *in, *correct;
    uint32_t *members;
    float *margin;
} room;

static void release(room *r)
{
    free(r->chosen);
    free(r->in);
    free(r->correct);
    free(r->members);
    free(r->margin);
}

static lo_status reserve(room *r, int64_t n, lo_error *err)
{
    const size_t size = (size_t)n + 1;
    *r = (room){calloc(size, 1), calloc(size, 1), calloc(size, 1), calloc(size, sizeof(*r->members)),
                calloc(size, sizeof(*r->margin))};
    const bool ok =
        r->chosen != NULL && r->in != NULL && r->correct != NULL && r->members != NULL && r->margin != NULL;
    return ok ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a training on %lld examples", (long long)n);
}

static lo_status train(const lo_score_input *input, int64_t number, const room *r, bool *diverged,
                       lo_error *err)
{
    lo_trainer *trainer = NULL;
    lo_training training = {0};
    int64_t count = 0;
    for (int64_t i = 0; i < input->n; i++) {
        r->members[count] = (uint32_t)i;
        count += r->in[i];
    }
    lo_status status = input->trainer(input->self, input->recipe, input->data, &trainer, err);
    if (status == LO_OK) {
        lo_trainer_checkpoint(trainer, input->saving);
        status = lo_trainer_run(trainer, OWN + (uint64_t)number / 2, r->members, count, input->tick,
                                &training, err);
    }
    if (status == LO_OK) {
        status = lo_trainer_evaluate(trainer, &input->data->train, input->tick, r->correct, r->margin, err);
    }
    lo_trainer_destroy(&trainer);
    *diverged = training.diverged;
    return status;
}

/* A training that diverged says nothing of any example: NaN. */
static lo_status task(const lo_score_input *input, int64_t number, float *values, lo_error *err)
{
    room r;
    const float *value = NULL;
    int orientation;
    bool diverged = false;
    lo_status status = reserve(&r, input->n, err);
    if (status == LO_OK) {
        status = choose(input, &value, &orientation, r.chosen, err);
    }
    if (status == LO_OK) {
        share_out(input, r.chosen, number, r.in);
        status = train(input, number, &r, &diverged, err);
    }
    for (int64_t i = 0; i < input->n && status == LO_OK; i++) {
        const float correct = (float)(r.correct[i / 8] >> (i % 8) & 1);
        const float probability = (float)lo_measure_of(LO_MEASURE_PROBABILITY, r.margin[i]);
        values[i * COLUMNS + CORRECT] = diverged ? (float)NAN : correct;
        values[i * COLUMNS + PROBABILITY] = diverged ? (float)NAN : probability;
    }
    release(&r);
    return status;
}

/* ---- the score ---- */

/* difference [count]: of each candidate, the model of a pair with it less the one without. */
static lo_status compare_pair(const lo_score_input *input, const room *r, int64_t pair, double *difference,
                              bool *diverged, lo_error *err)
{
    const int column = lo_item_text(input->item, "measure")[0] == 'c' ? CORRECT : PROBABILITY;
    *diverged = false;
    for (int64_t m = 2 * pair; m < 2 * pair + 2; m++) {
        const float *values = NULL;
        LO_TRY(input->result(input->self, m, &values, err));
        share_out(input, r->chosen, m, r->in);
        *diverged = *diverged || isnan(values[CORRECT]); /* of the first example, as of all */
        for (int64_t i = 0; i < input->count; i++) {
            const double value = (double)values[(input->first + i) * COLUMNS + column];
            difference[i] = (m % 2 == 0 ? 0 : difference[i]) + (r->in[input->first + i] ? value : -value);
        }
    }
    return LO_OK;
}

/* mean [count]: of each candidate, over the pairs of which no model diverged; NaN without such a pair.
 * difference [count] is room. */
static lo_status mean_of_pairs(const lo_score_input *input, const room *r, double *mean, double *difference,
                               lo_error *err)
{
    int64_t pairs = 0;
    for (int64_t pair = 0; pair < tasks(input) / 2; pair++) {
        bool diverged = false;
        LO_TRY(compare_pair(input, r, pair, difference, &diverged, err));
        for (int64_t i = 0; i < input->count && !diverged; i++) {
            mean[i] += difference[i];
        }
        pairs += !diverged;
    }
    for (int64_t i = 0; i < input->count; i++) {
        mean[i] = pairs > 0 ? mean[i] / (double)pairs : (double)NAN;
    }
    return LO_OK;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    room r;
    const float *value = NULL;
    int orientation = 1;
    const size_t size = (size_t)input->n + 1;
    double *oriented = calloc(size, sizeof(*oriented));
    double *rank = calloc(size, sizeof(*rank));
    double *mean = calloc(size, sizeof(*mean));
    lo_status status = reserve(&r, input->n, err);
    if (status == LO_OK && (oriented == NULL || rank == NULL || mean == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)input->n);
    }
    if (status == LO_OK) {
        status = choose(input, &value, &orientation, r.chosen, err);
    }
    for (int64_t i = 0; i < input->n && status == LO_OK; i++) {
        oriented[i] = orientation * (double)value[i];
    }
    if (status == LO_OK) {
        status = lo_rank_share(oriented, input->n, rank, err);
    }
    if (status == LO_OK) {
        status = mean_of_pairs(input, &r, mean, oriented, err);
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        const int64_t at = input->first + i;
        out[i].value = (float)(r.chosen[at] ? mean[i] : others * (rank[at] - 1));
    }
    release(&r);
    free(oriented);
    free(rank);
    free(mean);
    return status;
}

static const char *uses(const lo_item *item, int number)
{
    return number == 0 ? lo_item_text(item, "by") : NULL;
}

static lo_status check(const lo_score_input *input, lo_error *err)
{
    if (lo_item_int(input->item, "models") % 2 != 0) {
        return lo_item_fail(input->item, err,
                            "models: found %lld; an even number is allowed: they come in pairs",
                            (long long)lo_item_int(input->item, "models"));
    }
    return LO_OK;
}

static lo_score_work work(const lo_score_input *input)
{
    const double models = (double)tasks(input) * (double)input->n; /* a few examples less each */
    return (lo_score_work){.trained = models * (double)input->recipe->epochs, .evaluated = models};
}

const lo_score lo_score_screening = {
    .name = "screening",
    .description =
        "memorization of the examples that another score picks, from trainings that leave out only these",
    .orientation = 1,
    .source = "after the accuracy-per-batch screening of an ICLR 2025 submission on identifying memorization",
    .needs = LO_FROM_SCORES,
    .setting = settings,
    .settings = 4,
    .compute = compute,
    .check = check,
    .tasks = tasks,
    .task = task,
    .work = work,
    .columns = COLUMNS,
    .saves = true,
    .uses = uses,
};
