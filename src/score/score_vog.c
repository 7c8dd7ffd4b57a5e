#include "score/gradients.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_vog;

/* The logit of the label is differentiated. */
static void label_slope(void *self, int64_t number, const float *logits, int32_t classes, int32_t label,
                        float *slope)
{
    (void)self;
    (void)number;
    (void)logits;
    memset(slope, 0, (size_t)classes * sizeof(*slope));
    slope[label] = 1;
}

/* Moments over the points of each value of the gradients of some examples, Welford's. */
typedef struct moments {
    int64_t room; /* examples */
    double *mean, *spread;
    float *gradients;
} moments;

static void add_gradients(moments *m, int64_t at, size_t values, int points)
{
    double *mean = m->mean + at;
    double *spread = m->spread + at;
    for (size_t k = 0; k < values; k++) {
        const double away = (double)m->gradients[k] - mean[k];
        mean[k] += away / points;
        spread[k] += away * ((double)m->gradients[k] - mean[k]);
    }
}

/* The mean over an input's values of their standard deviations over the points. */
static float variance_of(const moments *m, int64_t example, size_t size, int points)
{
    double sum = 0;
    for (size_t k = 0; k < size; k++) {
        sum += sqrt(m->spread[(size_t)example * size + k] / points);
    }
    return (float)(sum / (double)size);
}

/* Of the shard's examples at .. at + count - 1: all points one after the other. */
static lo_status compute_some(const lo_score_input *input, const lo_input_gradients *g, const int64_t *point,
                              int points, moments *m, int64_t at, int64_t count, float *value, lo_error *err)
{
    const lo_output label = {.kind = LO_OUTPUT_OTHER, .slope = label_slope};
    memset(m->mean, 0, (size_t)count * g->size * sizeof(*m->mean));
    memset(m->spread, 0, (size_t)count * g->size * sizeof(*m->spread));
    for (int p = 0; p < points; p++) {
        LO_TRY(input->load(input->self, point[p], err));
        for (int64_t b = 0; b < count; b += LO_GRADIENT_BLOCK) {
            const int64_t now = count - b < LO_GRADIENT_BLOCK ? count - b : LO_GRADIENT_BLOCK;
            LO_TRY(lo_input_gradients_at_own(g, input->first + at + b, now, &label, m->gradients, err));
            add_gradients(m, b * (int64_t)g->size, (size_t)now * g->size, p + 1);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        value[at + i] = variance_of(m, i, g->size, points);
    }
    return LO_OK;
}

static lo_status compute_own(const lo_score_input *input, float *value, lo_error *err)
{
    enum { MOST_BYTES = 256 << 20 };
    lo_input_gradients g = {0};
    lo_status status = lo_input_gradients_create(input, &g, err);
    const int64_t fit = (int64_t)(MOST_BYTES / (2 * sizeof(double)) / g.size);
    moments m = {.room = fit < LO_GRADIENT_BLOCK ? LO_GRADIENT_BLOCK
                         : fit < input->count    ? fit
                                                 : input->count};
    int64_t *point = calloc((size_t)input->checkpoints + 1, sizeof(*point));
    m.mean = malloc((size_t)m.room * g.size * sizeof(double) + 1);
    m.spread = malloc((size_t)m.room * g.size * sizeof(double) + 1);
    m.gradients = malloc(LO_GRADIENT_BLOCK * g.size * sizeof(float));
    if (status == LO_OK && (point == NULL || m.mean == NULL || m.spread == NULL || m.gradients == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for vog");
    }
    const int points = status == LO_OK ? lo_score_points(input, true, point) : 0;
    for (int64_t at = 0; at < input->count && status == LO_OK; at += m.room) {
        const int64_t left = input->count - at;
        status = compute_some(input, &g, point, points, &m, at, left < m.room ? left : m.room, value, err);
    }
    free(point);
    free(m.mean);
    free(m.spread);
    free(m.gradients);
    lo_input_gradients_destroy(&g);
    return status;
}

/* In place of each value how many standard deviations it is from the mean of its class. */
static void normalize(const lo_score_input *input, const float *all, lo_estimate *out)
{
    const int32_t *label = input->data->train.label;
    for (int32_t c = 0; c < input->data->classes; c++) {
        double count = 0;
        double mean = 0;
        double spread = 0;
        for (int64_t i = 0; i < input->n; i++) {
            if (label[i] == c) {
                const double away = (double)all[i] - mean;
                mean += away / ++count;
                spread += away * ((double)all[i] - mean);
            }
        }
        const double deviation = count > 0 ? sqrt(spread / count) : 0;
        for (int64_t k = 0; k < input->count; k++) {
            if (label[input->first + k] == c) {
                out[k].value =
                    (float)(deviation > 0 ? ((double)all[input->first + k] - mean) / deviation : 0);
            }
        }
    }
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    float *own = calloc((size_t)input->count + 1, sizeof(*own));
    float *all = calloc((size_t)input->n + 1, sizeof(*all));
    lo_status status = own != NULL && all != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for vog");
    if (status == LO_OK) {
        status = compute_own(input, own, err);
    }
    status = input->gather(input->self, status, own, 1, all, err);
    if (status == LO_OK) {
        normalize(input, all, out);
    }
    for (int64_t k = 0; k < input->count && status == LO_OK && !lo_item_bool(input->item, "normalize"); k++) {
        out[k].value = own[k];
    }
    free(own);
    free(all);
    return status;
}

static const lo_setting settings[] = {
    {"normalize", LO_SETTING_BOOL, "true", 0, 0, NULL,
     "Count from the mean of the class, in its standard deviations."},
};

static lo_score_work work(const lo_score_input *input)
{
    lo_score_work work = {0};
    lo_input_gradients_add_work(input, input->checkpoints + 1, 0, &work);
    return work;
}

const lo_score lo_score_vog = {
    .name = "vog",
    .description = "variance of gradients: how the gradient of the label's logit in the input varies over "
                   "checkpoints",
    .orientation = 1,
    .source = "Agarwal, D'souza and Hooker 2022, arXiv 2008.11600",
    .needs = LO_FROM_WEIGHTS | LO_FROM_CHECKPOINTS,
    .setting = settings,
    .settings = 1,
    .compute = compute,
    .work = work,
};
