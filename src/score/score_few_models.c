#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_few_models;

static const lo_setting settings[] = {
    {"models", LO_SETTING_INT, "8", 1, 1000000, NULL, "how many models, the last of the ensemble"},
    {"by", LO_SETTING_CHOICE, "correctness", 0, 0, "correctness probability margin",
     "what of a model is averaged: right or not, the label's probability, its margin phi"},
};

enum { IN, OUT, ARMS };

typedef struct arms {
    double sum[ARMS];
    int64_t count[ARMS];
} arms;

static double said(const char *by, bool correct, double phi)
{
    if (by[0] == 'c') {
        return correct;
    }
    return by[0] == 'm' ? phi : phi < 0 ? exp(phi) / (1 + exp(phi)) : 1 / (1 + exp(-phi));
}

static void add_model(const lo_score_input *input, const char *by, const lo_model_outcome *outcome, arms *a)
{
    for (int64_t i = 0; i < input->count; i++) {
        const double phi = outcome->margin != NULL ? (double)outcome->margin[i] : (double)NAN;
        const double value = said(by, outcome->correct[i] != 0, phi);
        const int arm = outcome->in[i] != 0 ? IN : OUT;
        if (!isnan(value)) {
            a[i].sum[arm] += value;
            a[i].count[arm]++;
        }
    }
}

/* The mean of an arm over all examples that have it. */
static double mean_of(const float *all, int64_t n, int arm)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(all[i * ARMS + arm])) {
            sum += (double)all[i * ARMS + arm];
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

static lo_status check(const lo_score_input *input, lo_error *err)
{
    const int64_t models = lo_item_int(input->item, "models");
    return models <= input->models ? LO_OK
                                   : lo_item_fail(input->item, err,
                                                  "the ensemble has %lld models that can be used; set "
                                                  "ensemble.models to %lld or more",
                                                  (long long)input->models, (long long)models);
}

static lo_status add_models(const lo_score_input *input, arms *a, lo_error *err)
{
    const int64_t models = lo_item_int(input->item, "models");
    for (int64_t m = input->models - models; m < input->models; m++) {
        lo_model_outcome outcome;
        LO_TRY(input->outcome(input->self, m, &outcome, err));
        add_model(input, lo_item_text(input->item, "by"), &outcome, a);
        LO_TRY(lo_tick_call(input->tick));
    }
    return LO_OK;
}

static int64_t models_of(const lo_item *item)
{
    return lo_item_int(item, "models");
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    if (input->models < lo_item_int(input->item, "models")) {
        return LO_OK; /* an ensemble that is not finished, or of which models diverged, cannot say: NaN */
    }
    arms *a = calloc((size_t)input->count + 1, sizeof(*a));
    float *mine = calloc((size_t)input->count * ARMS + 1, sizeof(*mine));
    float *all = calloc((size_t)input->n * ARMS + 1, sizeof(*all));
    lo_status status = a != NULL && mine != NULL && all != NULL
                           ? add_models(input, a, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)input->n);
    for (int64_t i = 0; i < input->count * ARMS && status == LO_OK; i++) {
        const arms *of = &a[i / ARMS];
        const int64_t count = of->count[i % ARMS];
        mine[i] = count > 0 ? (float)(of->sum[i % ARMS] / (double)count) : (float)NAN;
    }
    status = input->gather(input->self, status, mine, ARMS, all, err);
    if (status == LO_OK) {
        const double mean[ARMS] = {mean_of(all, input->n, IN), mean_of(all, input->n, OUT)};
        for (int64_t i = 0; i < input->count; i++) {
            const double in = isnan(mine[i * ARMS + IN]) ? mean[IN] : (double)mine[i * ARMS + IN];
            const double without = isnan(mine[i * ARMS + OUT]) ? mean[OUT] : (double)mine[i * ARMS + OUT];
            out[i].value = (float)(in - without);
        }
    }
    free(a);
    free(mine);
    free(all);
    return status;
}

const lo_score lo_score_few_models = {
    .name = "few_models",
    .description = "memorization from a few models of the ensemble",
    .orientation = 1,
    .source = "Feldman and Zhang 2020, arXiv 2008.03703, with few models",
    .needs = LO_FROM_OUTCOMES,
    .setting = settings,
    .settings = 2,
    .compute = compute,
    .check = check,
    .models = models_of,
};
