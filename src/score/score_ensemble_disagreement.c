#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_ensemble_disagreement;

static const lo_setting settings[] = {
    {"by", LO_SETTING_CHOICE, "probability", 0, 0, "correctness probability margin",
     "what of the models is compared"},
};

/* Of one example: what the models' probabilities, margins or outcomes add up to. */
typedef struct sums {
    double first, second;
    int64_t count;
} sums;

/* Entropy of a yes with probability sigma(phi), in nats: log(1 + e^-|phi|) + |phi| sigma(-|phi|). */
static double entropy_of_margin(double phi)
{
    const double z = fabs(phi), e = exp(-z);
    return log1p(e) + (e > 0 ? z * e / (1 + e) : 0);
}

static double entropy(double p)
{
    return p > 0 && p < 1 ? -p * log(p) - (1 - p) * log1p(-p) : 0;
}

static void add_probability(sums *s, double phi)
{
    s->first += phi < 0 ? exp(phi) / (1 + exp(phi)) : 1 / (1 + exp(-phi));
    s->second += entropy_of_margin(phi);
}

static void add_margin(sums *s, double phi)
{
    const double before = phi - s->first;
    s->first += before / (double)s->count;
    s->second += before * (phi - s->first); /* Welford 1962 */
}

static void add(sums *s, const char *by, bool correct, float phi)
{
    if (by[0] != 'c' && isnan(phi)) {
        return;
    }
    s->count++;
    if (by[0] == 'c') {
        s->first += correct;
    } else if (by[0] == 'p') {
        add_probability(s, (double)phi);
    } else {
        add_margin(s, (double)phi);
    }
}

static double conclude(const sums *s, const char *by)
{
    const double count = (double)s->count;
    if (s->count < 2) {
        return (double)NAN;
    }
    if (by[0] == 'c') {
        return 2 * s->first * (count - s->first) / (count * (count - 1));
    }
    if (by[0] == 'p') {
        return fmax(0, entropy(s->first / count) - s->second / count);
    }
    return sqrt(s->second / (count - 1));
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const char *by = lo_item_text(input->item, "by");
    sums *s = calloc((size_t)input->count + 1, sizeof(*s));
    lo_status status =
        s != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)input->count);
    for (int64_t m = 0; m < input->models && status == LO_OK; m++) {
        lo_model_outcome outcome;
        status = input->outcome(input->self, m, &outcome, err);
        for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
            add(&s[i], by, outcome.correct[i] != 0, outcome.margin != NULL ? outcome.margin[i] : (float)NAN);
        }
        status = status == LO_OK ? lo_tick_call(input->tick) : status;
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i].value = (float)conclude(&s[i], by);
    }
    free(s);
    return status;
}

const lo_score lo_score_ensemble_disagreement = {
    .name = "ensemble_disagreement",
    .description = "how much the models of the ensemble, with the example and without, disagree about it",
    .orientation = 1,
    .source = "Carlini, Erlingsson and Papernot 2019, arXiv 1910.13427 (agr)",
    .needs = LO_FROM_OUTCOMES,
    .setting = settings,
    .settings = 1,
    .compute = compute,
};
