#include "score/pareto.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static bool beats(double cost_a, double value_a, double cost_b, double value_b, double slack)
{
    return cost_a <= (1 + slack) * cost_b && value_a >= value_b && (cost_a < cost_b || value_a > value_b);
}

void lo_pareto(const double *cost, const double *value, int64_t count, double slack, uint8_t *front)
{
    for (int64_t i = 0; i < count; i++) {
        front[i] = !isnan(cost[i]) && !isnan(value[i]);
        for (int64_t k = 0; k < count && front[i]; k++) {
            front[i] = !beats(cost[k], value[k], cost[i], value[i], slack);
        }
    }
}

lo_status lo_pareto_share(const double *cost, const double *replicate, int64_t count, int64_t resamples,
                          double slack, double *share, lo_error *err)
{
    double *value = calloc((size_t)count + 1, sizeof(*value));
    uint8_t *front = calloc((size_t)count + 1, 1);
    if (value == NULL || front == NULL) {
        free(value);
        free(front);
        return lo_fail(err, LO_INTERNAL, "no memory to compare %lld scores", (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        share[i] = 0;
    }
    for (int64_t r = 0; r < resamples; r++) {
        for (int64_t i = 0; i < count; i++) {
            value[i] = replicate[i * resamples + r];
        }
        lo_pareto(cost, value, count, slack, front);
        for (int64_t i = 0; i < count; i++) {
            share[i] += front[i] / (double)resamples;
        }
    }
    free(value);
    free(front);
    return LO_OK;
}

double lo_curve_at(const double *cost, const double *value, int64_t count, double at)
{
    for (int64_t i = 0; i < count; i++) {
        if (cost[i] == at) {
            return value[i];
        }
        if (i > 0 && cost[i - 1] < at && at < cost[i]) {
            const double part = log(at / cost[i - 1]) / log(cost[i] / cost[i - 1]);
            return value[i - 1] + part * (value[i] - value[i - 1]);
        }
    }
    return (double)NAN;
}

double lo_curve_reach(const double *cost, const double *value, int64_t count, double target)
{
    for (int64_t i = 0; i < count; i++) {
        if (value[i] == target) {
            return cost[i];
        }
        if (value[i] > target) {
            if (i == 0 || isnan(value[i - 1])) {
                return (double)NAN;
            }
            const double part = (target - value[i - 1]) / (value[i] - value[i - 1]);
            return cost[i - 1] * pow(cost[i] / cost[i - 1], part);
        }
    }
    return (double)NAN;
}
