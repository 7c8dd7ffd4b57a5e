#include "audit/rmia.h"

#include "audit/interval.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

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

struct lo_rmia_attack {
    lo_references examples, population;
    means of_examples, of_population;
    double *sorted; /* [population.n] ratios */
};

void lo_rmia_destroy(lo_rmia_attack **attack)
{
    if (*attack != NULL) {
        means_free(&(*attack)->of_examples);
        means_free(&(*attack)->of_population);
        free((*attack)->sorted);
        free(*attack);
        *attack = NULL;
    }
}

lo_status lo_rmia_create(const lo_references *examples, const lo_references *population, lo_rmia_attack **out,
                         const lo_tick *tick, lo_error *err)
{
    *out = NULL;
    if (population->n < 1) {
        return lo_fail(err, LO_USAGE,
                       "rmia needs a population: examples that no model was trained on (test data)");
    }
    lo_rmia_attack *k = calloc(1, sizeof(*k));
    double *sorted = malloc((size_t)population->n * sizeof(*sorted));
    if (k == NULL || sorted == NULL) {
        free(k);
        free(sorted);
        return lo_fail(err, LO_INTERNAL, "no memory for a population of %lld", (long long)population->n);
    }
    *k = (lo_rmia_attack){.examples = *examples, .population = *population, .sorted = sorted};
    k->population.mask = NULL;
    lo_status status = means_of(&k->examples, &k->of_examples, tick, err);
    if (status == LO_OK) {
        status = means_of(&k->population, &k->of_population, tick, err);
    }
    *out = k;
    if (status != LO_OK) {
        lo_rmia_destroy(out);
    }
    return status;
}

/* Target `row` of the references, or (row < 0) another one. */
static lo_status run(lo_rmia_attack *k, const lo_rmia *options, int64_t row, const float *phi,
                     const float *population_phi, float *score, int64_t stride, const lo_tick *tick)
{
    int64_t z = 0;
    for (int64_t i = 0; i < k->population.n; i++) {
        const double r = ratio(&k->of_population, i, population_phi[i], row >= 0, options->a);
        if (!isnan(r)) {
            k->sorted[z++] = r;
        }
    }
    lo_sort_reals(k->sorted, z);
    lo_status status = lo_tick_call(tick);
    for (int64_t i = 0; i < k->examples.n && status == LO_OK; i++) {
        const bool counted = row >= 0 && !lo_trained_on(&k->examples, row, i);
        const double r = ratio(&k->of_examples, i, phi[i], counted, options->a);
        score[i * stride] =
            isnan(r) || z == 0 ? NAN : (float)below(k->sorted, z, r / options->gamma) / (float)z;
        status = i % 1024 == 0 ? lo_tick_call(tick) : LO_OK;
    }
    return status;
}

lo_status lo_rmia_reference(lo_rmia_attack *attack, const lo_rmia *options, int64_t row, float *score,
                            int64_t stride, const lo_tick *tick)
{
    const lo_references *x = &attack->examples, *z = &attack->population;
    return run(attack, options, row, x->phi + row * x->stride, z->phi + row * z->stride, score, stride, tick);
}

lo_status lo_rmia_target(lo_rmia_attack *attack, const lo_rmia *options, const float *phi,
                         const float *population_phi, float *score, const lo_tick *tick)
{
    return run(attack, options, -1, phi, population_phi, score, 1, tick);
}

lo_status lo_rmia_scores(const lo_references *examples, const lo_references *population,
                         const lo_rmia *options, float *score, const lo_tick *tick, lo_error *err)
{
    lo_rmia_attack *attack;
    LO_TRY(lo_rmia_create(examples, population, &attack, tick, err));
    lo_status status = LO_OK;
    for (int64_t m = 0; m < examples->models && status == LO_OK; m++) {
        status = lo_rmia_reference(attack, options, m, score + m, examples->models, tick);
    }
    lo_rmia_destroy(&attack);
    return status;
}
