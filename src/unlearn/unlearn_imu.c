/* Influence-guided ascent on the forget set: examples weigh by their influence on it. Nothing else is read.
 */
#include "unlearn/common.h"
#include "unlearn/imu.h"

#include "nn/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("10"),
    LO_SET_BATCH("256"),
    LO_SET_PACE("sgd", "0.01", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    LO_SET_MODE("train"),
    {.name = "weights",
     .type = LO_SETTING_CHOICE,
     .fallback = "head",
     .choices = "head all",
     .help = "what influence goes through, and is trained"},
    {.name = "refresh",
     .type = LO_SETTING_CHOICE,
     .fallback = "once",
     .choices = "once epoch batch",
     .help = "when influences are computed; batch: of the batch's examples on each other"},
    {.name = "damping",
     .type = LO_SETTING_REAL,
     .fallback = "0.01",
     .low = 1e-12,
     .high = 1e6,
     .help = "added to the diagonal Fisher information"},
    {.name = "top",
     .type = LO_SETTING_REAL,
     .fallback = "0.1",
     .low = 0,
     .high = 1,
     .help = "share of the examples of negative influence, the strongest, that are used"},
    {.name = "quantile",
     .type = LO_SETTING_REAL,
     .fallback = "0.93",
     .low = 0,
     .high = 1,
     .help = "at which the examples' weights are cut off"},
    {.name = "l1",
     .type = LO_SETTING_REAL,
     .fallback = "0.2",
     .low = 0,
     .high = 1e6,
     .help = "times the sum of the absolute values of what is trained"},
};

/* A run under way. */
typedef struct course {
    lo_pupil *pupil;
    const lo_request *request;
    const lo_item *settings;
    bool closed;       /* in closed form */
    double *weight;    /* [train.count] */
    double *influence; /* [forget_count] */
    double *size;      /* [forget_count]: room */
    uint32_t *kept;    /* [forget_count]: ascending */
    int64_t kept_count;
} course;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of values in order, between two of them by proportion, as torch.quantile has it. */
static double quantile(const double *value, int64_t count, double q)
{
    const double at = q * (double)(count - 1);
    const int64_t below = (int64_t)floor(at), above = below + 1 < count ? below + 1 : below;
    return value[below] + (at - (double)below) * (value[above] - value[below]);
}

/* The influence that is needed to be used: that of the last of the strongest. */
static double find_cut(course *c, int64_t negative)
{
    const double share = lo_item_real(c->settings, "top") * (double)negative;
    int64_t used = (int64_t)floor(share);
    used = used < 1 ? 1 : used;
    return c->size[negative - used];
}

/* From the influences of rows[count] to who is used and by which weight. Where no influence is negative all
 * are, alike. */
static void weigh(course *c, const uint32_t *rows, int64_t count)
{
    int64_t negative = 0;
    for (int64_t i = 0; i < count; i++) {
        if (c->influence[i] < 0) {
            c->size[negative++] = -c->influence[i];
        }
    }
    qsort(c->size, (size_t)negative, sizeof(*c->size), ascending);
    const double cut = negative > 0 ? find_cut(c, negative) : 0;
    int64_t first = 0;
    while (first < negative && c->size[first] < cut) {
        first++;
    }
    for (int64_t i = first; i < negative; i++) {
        c->size[i] = sqrt(c->size[i]);
    }
    const double most =
        negative > 0 ? quantile(c->size + first, negative - first, lo_item_real(c->settings, "quantile")) : 1;
    c->kept_count = 0;
    for (int64_t i = 0; i < count; i++) {
        const bool used = negative == 0 || -c->influence[i] >= cut;
        c->weight[rows[i]] = negative == 0 ? 1 : used ? fmin(sqrt(-c->influence[i]), most) : 0;
        c->kept[c->kept_count] = rows[i];
        c->kept_count += used ? 1 : 0;
    }
}

static lo_status refresh(course *c, const uint32_t *rows, int64_t count, lo_error *err)
{
    const lo_members members = {.rows = rows, .count = count};
    const double damping = lo_item_real(c->settings, "damping");
    LO_TRY(c->closed ? lo_imu_head_influence(c->pupil, &members, damping, c->influence, err)
                     : lo_imu_influence(c->pupil, &members, damping, c->influence, err));
    weigh(c, rows, count);
    return LO_OK;
}

/* - sum w CE / sum w of the batch. */
static double weighted_ascent(void *self, lo_batch *batch)
{
    const course *c = self;
    double sum = 0, loss = 0;
    (void)lo_loss_mean(NULL, batch);
    for (size_t i = 0; i < batch->count; i++) {
        sum += c->weight[batch->row[i]];
    }
    for (size_t i = 0; i < batch->count; i++) {
        const float *z = batch->logits + i * batch->step;
        const double share = sum > 0 ? c->weight[batch->row[i]] / sum : 0;
        const float margin = lo_logit_margin(z, batch->classes, batch->label[i]);
        loss -= share * (double)lo_example_loss(z, batch->classes, batch->label[i], batch->smoothing, margin);
        for (size_t k = 0; k < batch->step; k++) {
            batch->slope[i * batch->step + k] *= (float)(-share * (double)batch->count);
        }
    }
    return loss;
}

static lo_status train_epoch(course *c, lo_feed *feed, double lr, lo_error *err)
{
    const bool each = strcmp(lo_item_text(c->settings, "refresh"), "batch") == 0;
    lo_batch batch;
    while (lo_feed_next(feed, &batch)) {
        LO_TRY(each ? refresh(c, batch.row, (int64_t)batch.count, err) : LO_OK);
        LO_TRY(lo_pupil_learn(c->pupil, &batch, weighted_ascent, c, err));
        lo_pupil_add_l1(c->pupil, lo_item_real(c->settings, "l1"));
        LO_TRY(lo_pupil_step(c->pupil, lr));
    }
    return LO_OK;
}

static lo_status train(course *c, lo_error *err)
{
    const lo_request *request = c->request;
    const char *when = lo_item_text(c->settings, "refresh");
    const bool each = strcmp(when, "batch") == 0, again = strcmp(when, "epoch") == 0;
    const int64_t epochs = lo_item_int(c->settings, "epochs");
    const lo_kept weights[] = {
        {.data = c->weight, .size = (size_t)request->dataset->train.count * sizeof(*c->weight)},
        {.data = c->kept, .size = (size_t)request->forget_count * sizeof(*c->kept)},
        {.data = &c->kept_count, .size = sizeof(c->kept_count)}};
    int64_t e = 0;
    lo_pupil_keep(c->pupil, weights, LO_COUNT(weights));
    LO_TRY(lo_pupil_resume(c->pupil, &e));
    for (; e < epochs && !lo_pupil_diverged(c->pupil); e++) {
        lo_feed *feed = NULL;
        LO_TRY(lo_pupil_save(c->pupil, e, epochs));
        if (!each && (e == 0 || again)) {
            LO_TRY(refresh(c, request->forget, request->forget_count, err));
        }
        const lo_feed_spec spec = {.rows = each ? request->forget : c->kept,
                                   .count = each ? request->forget_count : c->kept_count,
                                   .key = lo_pupil_key(c->pupil, LO_USE_FORGET),
                                   .epoch = e};
        LO_TRY(lo_feed_open(c->pupil, &spec, &feed, err));
        const lo_status status = train_epoch(c, feed, lo_unlearn_rate(c->settings, e), err);
        lo_feed_close(&feed);
        LO_TRY(status);
    }
    return LO_OK;
}

static lo_status train_head_only(lo_pupil *pupil, lo_error *err)
{
    const size_t size = lo_pupil_size(pupil), head = lo_pupil_head(pupil);
    uint8_t *chosen = calloc(size + 1, 1);
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a mask");
    }
    memset(chosen + head, 1, size - head);
    const lo_status status = lo_pupil_train_only(pupil, chosen, err);
    free(chosen);
    return status;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const bool head = strcmp(lo_item_text(settings, "weights"), "head") == 0;
    const size_t examples = (size_t)request->dataset->train.count, count = (size_t)request->forget_count;
    lo_status status = LO_OK;
    course c = {.pupil = pupil, .request = request, .settings = settings};
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    lo_pupil_set_training(pupil, strcmp(lo_item_text(settings, "mode"), "train") == 0);
    LO_TRY(head ? train_head_only(pupil, err) : LO_OK);
    c.closed = head && lo_imu_has_closed_form(pupil);
    c.weight = calloc(examples + 1, sizeof(*c.weight));
    c.influence = calloc(2 * count + 1, sizeof(*c.influence));
    c.kept = calloc(count + 1, sizeof(*c.kept));
    if (c.weight == NULL || c.influence == NULL || c.kept == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the weights of %zu examples", count);
        goto done;
    }
    c.size = c.influence + count;
    status = train(&c, err);

done:
    free(c.weight);
    free(c.influence);
    free(c.kept);
    return status;
}

/* As if every influence were negative. A pass through the head alone is one forward. */
static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const bool head = strcmp(lo_item_text(settings, "weights"), "head") == 0;
    const char *when = lo_item_text(settings, "refresh");
    const bool each = strcmp(when, "batch") == 0;
    const double epochs = (double)lo_item_int(settings, "epochs"), forget = (double)sizes->forget;
    const double kept = fmax(1, floor(lo_item_real(settings, "top") * forget));
    const double times = strcmp(when, "once") == 0 ? 1 : epochs;
    lo_unlearn_work work = {.trained = 0};
    if (head) {
        lo_work_evaluate(&work, LO_SET_FORGET, times * forget + epochs * (each ? forget : kept));
    } else {
        lo_work_sum(&work, LO_SET_FORGET, times * 3 * forget);
        lo_work_train(&work, LO_SET_FORGET, epochs * (each ? forget : kept));
    }
    return work;
}

const lo_unlearn_method lo_unlearn_imu = {
    .name = "imu",
    .description = "ascent on the forget set alone, weighted by influences, in the head or everywhere",
    .source = "Influence-guided machine unlearning, 2025, arXiv 2508.01620",
    .reads = LO_READS_FORGET,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
