#include "base/random.h"
#include "score/gradients.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_loss_curvature;

/* What the score is made of, at one point of a training. */
typedef struct stepping {
    const lo_score_input *input;
    lo_input_gradients g;
    lo_output loss;
    bool sign; /* one direction, the sign of the gradient; else random signs */
    int64_t directions;
    double step;
    lo_random random;
    float *base, *moved, *x; /* [LO_GRADIENT_BLOCK, size] */
} stepping;

/* z = h (sign(g) + 1e-7) / (|sign(g)| + 1e-7) (Zhao and Triantafillou's code). */
static void add_sign(const stepping *w, const float *gradient, float *x)
{
    const double tiny = 1e-7;
    double square = 0;
    for (size_t k = 0; k < w->g.size; k++) {
        square += gradient[k] != 0 ? 1 : 0;
    }
    const double scale = w->step / (sqrt(square) + tiny);
    for (size_t k = 0; k < w->g.size; k++) {
        const double sign = gradient[k] > 0 ? 1 : gradient[k] < 0 ? -1 : 0;
        x[k] += (float)(scale * (sign + tiny));
    }
}

/* v of independent signs: bit k of the example's stream for this direction (Garg, Ravikumar and Roy). */
static void add_random(const stepping *w, int64_t example, int64_t direction, float *x)
{
    uint32_t bits[4] = {0};
    const uint64_t stream = (uint64_t)example * (uint64_t)w->directions + (uint64_t)direction;
    for (size_t k = 0; k < w->g.size; k++) {
        if (k % 128 == 0) {
            lo_random_u32x4(w->random, stream, k / 128, bits);
        }
        x[k] += (float)((bits[k % 128 / 32] >> (k % 32) & 1) != 0 ? w->step : -w->step);
    }
}

/* Adds |gradient at the moved inputs - gradient| of a block, over its directions, times `weight`. */
static lo_status add_block(stepping *w, int64_t first, int64_t count, double weight, double *sum,
                           lo_error *err)
{
    const size_t size = w->g.size;
    LO_TRY(lo_input_gradients_at_own(&w->g, first, count, &w->loss, w->base, err));
    for (int64_t d = 0; d < w->directions; d++) {
        for (int64_t i = 0; i < count; i++) {
            float *x = w->x + (size_t)i * size;
            lo_input_of(&w->g, first + i, x);
            if (w->sign) {
                add_sign(w, w->base + (size_t)i * size, x);
            } else {
                add_random(w, first + i, d, x);
            }
        }
        LO_TRY(lo_input_gradients_at(&w->g, first, count, w->x, &w->loss, w->moved, err));
        for (int64_t i = 0; i < count; i++) {
            double square = 0;
            for (size_t k = 0; k < size; k++) {
                const double change =
                    (double)w->moved[(size_t)i * size + k] - (double)w->base[(size_t)i * size + k];
                square += change * change;
            }
            sum[i] += weight / (double)w->directions * sqrt(square);
        }
    }
    return LO_OK;
}

static lo_status open_work(const lo_score_input *input, stepping *w, lo_error *err)
{
    const double step = lo_item_real(input->item, "step");
    *w = (stepping){.input = input,
                    .loss = lo_score_loss(input),
                    .sign = strcmp(lo_item_text(input->item, "direction"), "sign") == 0,
                    .random = lo_random_make(input->recipe->seed, LO_FOR_CURVATURE)};
    w->directions = w->sign ? 1 : lo_item_int(input->item, "directions");
    w->step = step > 0 ? step : w->sign ? 0.01 : 0.001;
    LO_TRY(lo_input_gradients_create(input, &w->g, err));
    const size_t room = LO_GRADIENT_BLOCK * w->g.size + 1;
    w->base = malloc(room * sizeof(float));
    w->moved = malloc(room * sizeof(float));
    w->x = malloc(room * sizeof(float));
    return w->base != NULL && w->moved != NULL && w->x != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory for loss_curvature");
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    stepping w;
    lo_status status = open_work(input, &w, err);
    int64_t *point = calloc((size_t)input->checkpoints + 1, sizeof(*point));
    double *sum = calloc((size_t)input->count + 1, sizeof(*sum));
    if (status == LO_OK && (point == NULL || sum == NULL)) {
        status = lo_fail(err, LO_INTERNAL, "no memory for loss_curvature");
    }
    const bool checkpoints = strcmp(lo_item_text(input->item, "over"), "checkpoints") == 0;
    const int points = status == LO_OK ? lo_score_points(input, checkpoints, point) : 0;
    for (int p = 0; p < points && status == LO_OK; p++) {
        status = input->load(input->self, point[p], err);
        for (int64_t at = 0; at < input->count && status == LO_OK; at += LO_GRADIENT_BLOCK) {
            const int64_t left = input->count - at;
            status = add_block(&w, input->first + at, left < LO_GRADIENT_BLOCK ? left : LO_GRADIENT_BLOCK,
                               1.0 / points, sum + at, err);
        }
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i].value = (float)sum[i];
    }
    free(point);
    free(sum);
    free(w.base);
    free(w.moved);
    free(w.x);
    lo_input_gradients_destroy(&w.g);
    return status;
}

static const lo_setting settings[] = {
    {"over", LO_SETTING_CHOICE, "checkpoints", 0, 0, "checkpoints end",
     "At which weights: the mean over originals.checkpoints and the end, or the end alone."},
    {"direction", LO_SETTING_CHOICE, "random", 0, 0, "random sign",
     "Where inputs are moved to: random signs, or the sign of the gradient."},
    {"directions", LO_SETTING_INT, "5", 1, 1000, NULL, "How many random directions."},
    {"step", LO_SETTING_REAL, "0", 0, 1e6, NULL,
     "How far: of each value for random signs (0: 0.001), of the whole input for sign (0: 0.01)."},
};

static lo_score_work work(const lo_score_input *input)
{
    const bool checkpoints = strcmp(lo_item_text(input->item, "over"), "checkpoints") == 0;
    const double points = checkpoints ? input->checkpoints + 1 : 1;
    const bool sign = strcmp(lo_item_text(input->item, "direction"), "sign") == 0;
    const double moved = points * (sign ? 1 : (double)lo_item_int(input->item, "directions"));
    lo_score_work work = {0};
    lo_input_gradients_add_work(input, points + moved, moved, &work);
    return work;
}

const lo_score lo_score_loss_curvature = {
    .name = "loss_curvature",
    .description = "how much the loss's gradient in the input changes a step away",
    .orientation = 1,
    .source = "Garg, Ravikumar and Roy 2024, ICML; sign: Zhao and Triantafillou 2024, arXiv 2410.16516",
    .needs = LO_FROM_WEIGHTS,
    .setting = settings,
    .settings = sizeof(settings) / sizeof(settings[0]),
    .compute = compute,
    .work = work,
    .check = lo_score_check_over,
};
