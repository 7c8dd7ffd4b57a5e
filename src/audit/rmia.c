#include "audit/rmia.h"

#include "audit/roc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums of the label's probabilities over models without the example, and how many those are. */
typedef struct means {
    double *sum;
    int64_t *count;
} means;

static double probability(float phi)
{
    return 1 / (1 + exp(-(double)phi));
}

static void means_free(means *m)
{
    free(m->sum);
    free(m->count);
}

/* The sums run over models in the order of their values, so that the models' order changes no bit. */
static lo_status means_of(const lo_references *examples, means *m, const lo_tick *tick, lo_error *err)
{
    const size_t room = (size_t)examples->n + 1;
    m->sum = calloc(room, sizeof(*m->sum));
    m->count = calloc(room, sizeof(*m->count));
    double *p = malloc(((size_t)examples->models + 1) * sizeof(*p));
    if (m->sum == NULL || m->count == NULL || p == NULL) {
        free(p);
        return lo_fail(err, LO_INTERNAL, "no memory for probabilities of %lld examples",
                       (long long)examples->n);
    }
    lo_status status = LO_OK;
    for (int64_t i = 0; i < examples->n && status == LO_OK; i++) {
        status = lo_tick_call(tick);
        int64_t count = 0;
        for (int64_t k = 0; k < examples->models; k++) {
            const float phi = lo_margin_of(examples, k, i);
            if (!isnan(phi) && !lo_trained_on(examples, k, i)) {
                p[count++] = probability(phi);
            }
        }
        lo_sort_reals(p, count);
        for (int64_t k = 0; k < count; k++) {
            m->sum[i] += p[k];
        }
        m->count[i] = count;
    }
    free(p);
    return status;
}

/* ratio(x) for a target whose own probability, where it is one of the references without x, is in the sum. */
static double ratio(const means *m, int64_t i, float phi, bool counted, double a)
{
    const double p = probability(phi);
    const int64_t others = m->count[i] - (counted ? 1 : 0);
    if (others < 1 || isnan(phi)) {
        return NAN;
    }
    const double mean = fmax(0, m->sum[i] - (counted ? p : 0)) / (double)others;
    return p / (((1 + a) * mean + 1 - a) / 2);
}

/* How many of sorted [n] are smaller than x. */
static int64_t below(const double *sorted, int64_t n, double x)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

typedef struct attack {
    const lo_references *examples, *population;
    means of_examples, of_population;
    double *sorted; /* [population->n] ratios */
} attack;

static void attack_free(attack *k)
{
    means_free(&k->of_examples);
    means_free(&k->of_population);
    free(k->sorted);
}

static lo_status attack_begin(const lo_references *examples, const lo_references *population, attack *k,
                              const lo_tick *tick, lo_error *err)
{
    *k = (attack){.examples = examples, .population = population};
    if (population->n < 1) {
        return lo_fail(err, LO_USAGE,
                       "rmia needs a population: examples that no model was trained on (test data)");
    }
    k->sorted = malloc((size_t)population->n * sizeof(*k->sorted));
    if (k->sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a population of %lld", (long long)population->n);
    }
    lo_references nobody = *population;
    nobody.mask = NULL;
    LO_TRY(means_of(examples, &k->of_examples, tick, err));
    return means_of(&nobody, &k->of_population, tick, err);
}

/* Target `row` of the references, or (row < 0) another one. score is written every `stride` floats. */
static lo_status run(attack *k, const lo_rmia *options, int64_t row, const float *phi,
                     const float *population_phi, float *score, int64_t stride, const lo_tick *tick)
{
    int64_t z = 0;
    for (int64_t i = 0; i < k->population->n; i++) {
        const double r = ratio(&k->of_population, i, population_phi[i], row >= 0, options->a);
        if (!isnan(r)) {
            k->sorted[z++] = r;
        }
    }
    lo_sort_reals(k->sorted, z);
    lo_status status = lo_tick_call(tick);
    for (int64_t i = 0; i < k->examples->n && status == LO_OK; i++) {
        const bool counted = row >= 0 && !lo_trained_on(k->examples, row, i);
        const double r = ratio(&k->of_examples, i, phi[i], counted, options->a);
        score[i * stride] =
            isnan(r) || z == 0 ? NAN : (float)below(k->sorted, z, r / options->gamma) / (float)z;
        status = i % 1024 == 0 ? lo_tick_call(tick) : LO_OK;
    }
    return status;
}

lo_status lo_rmia_scores(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, float *score, const lo_tick *tick, lo_error *err)
{
    attack k;
    lo_status status = attack_begin(examples, population, &k, tick, err);
    for (int64_t m = 0; m < examples->models && status == LO_OK; m++) {
        status = run(&k, options, m, examples->phi + m * examples->stride,
                     population->phi + m * population->stride, score + m, examples->models, tick);
    }
    attack_free(&k);
    return status;
}

lo_status lo_rmia_target(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, const float *phi, const float *population_phi, float *score,
                         const lo_tick *tick, lo_error *err)
{
    attack k;
    lo_status status = attack_begin(examples, population, &k, tick, err);
    if (status == LO_OK) {
        status = run(&k, options, -1, phi, population_phi, score, 1, tick);
    }
    attack_free(&k);
    return status;
}

static lo_status auc_of(const lo_references *examples, int64_t row, const float *score, double *in,
                        double *out, double *auc, lo_error *err)
{
    int64_t members = 0, others = 0;
    for (int64_t i = 0; i < examples->n; i++) {
        if (lo_trained_on(examples, row, i)) {
            in[members++] = (double)score[i];
        } else {
            out[others++] = (double)score[i];
        }
    }
    lo_roc roc;
    LO_TRY(lo_roc_make(in, members, out, others, &roc, err));
    *auc = roc.auc.value;
    return LO_OK;
}

lo_status lo_rmia_tune(const lo_references *examples, const lo_references *population, double gamma,
                       int64_t row, double *a, double *auc, const lo_tick *tick, lo_error *err)
{
    attack k;
    const size_t n = (size_t)examples->n + 1;
    float *score = malloc(n * sizeof(*score));
    double *in = malloc(2 * n * sizeof(*in)), best = NAN;
    lo_status status = attack_begin(examples, population, &k, tick, err);
    if (status == LO_OK && (score == NULL || in == NULL)) {
        status =
            lo_fail(err, LO_INTERNAL, "no memory for the scores of %lld examples", (long long)examples->n);
    }
    for (int step = 0; step <= 10 && status == LO_OK; step++) {
        const lo_rmia options = {step / 10.0, gamma};
        double here = NAN;
        status = run(&k, &options, row, examples->phi + row * examples->stride,
                     population->phi + row * population->stride, score, 1, tick);
        if (status == LO_OK) {
            status = auc_of(examples, row, score, in, in + n, &here, err);
        }
        if (status == LO_OK && (isnan(best) || here > best)) {
            best = here;
            *a = options.a;
        }
    }
    if (status == LO_OK && isnan(best)) {
        status = lo_fail(err, LO_DATA,
                         "rmia cannot be tuned on a model that was trained on all examples, or on none");
    }
    if (auc != NULL) {
        *auc = best;
    }
    free(score);
    free(in);
    attack_free(&k);
    return status;
}
