/* A student that disobeys its teacher, the original, on the forget set and obeys it on the retain set; and
 * SCRUB+R, which goes back to the epoch whose forget error is that of unseen data. */
#include "unlearn/common.h"
#include "unlearn/distil.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("3"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "5.0e-4", "5.0e-4"),
    {.name = "max_epochs",
     .type = LO_SETTING_INT,
     .fallback = "2",
     .low = 0,
     .high = 1e6,
     .help = "the first so many begin with a pass over the forget set"},
    {.name = "batch_forget",
     .type = LO_SETTING_INT,
     .fallback = "0",
     .low = 0,
     .high = 1e6,
     .help = "examples of its batches; 0: batch"},
    {.name = "gamma",
     .type = LO_SETTING_REAL,
     .fallback = "0.99",
     .low = 0,
     .high = 1e6,
     .help = "weight of the retain set's cross-entropy"},
    {.name = "alpha",
     .type = LO_SETTING_REAL,
     .fallback = "0.001",
     .low = 0,
     .high = 1e6,
     .help = "weight of its divergence from the teacher"},
    {.name = "temperature",
     .type = LO_SETTING_REAL,
     .fallback = "4",
     .low = 1e-3,
     .high = 1e3,
     .help = "of both softmax"},
    {.name = "decay_epochs",
     .type = LO_SETTING_INTS,
     .fallback = "[]",
     .low = 1,
     .high = 1e6,
     .help = "after which lr is multiplied"},
    {.name = "decay", .type = LO_SETTING_REAL, .fallback = "0.1", .low = 0, .high = 1, .help = "by this"},
    {.name = "rewind",
     .type = LO_SETTING_BOOL,
     .fallback = "false",
     .help = "go back to the epoch whose forget error is nearest to the last one's on validation examples of "
             "its classes (SCRUB+R)"},
};

typedef struct course {
    lo_pupil *pupil;
    const lo_request *request;
    const lo_item *settings;
    lo_feed *forget, *retain;
    float *kept;   /* [epochs, weights and statistics]; NULL without rewind */
    double *error; /* [epochs]: on the forget set */
} course;

/* - T^2 KL, the batch's mean. */
static double disobey(void *self, lo_batch *batch)
{
    const course *c = self;
    const double T = lo_item_real(c->settings, "temperature"), weight = -1 / (double)batch->count;
    double loss = 0;
    lo_clear_slope(batch);
    for (size_t n = 0; n < batch->count; n++) {
        loss += lo_distil(batch, n, batch->teacher[LO_TEACHER_NOW] + n * batch->step, T, weight);
    }
    return loss;
}

/* gamma CE + alpha T^2 KL. */
static double obey(void *self, lo_batch *batch)
{
    const course *c = self;
    const double T = lo_item_real(c->settings, "temperature");
    const double weight = lo_item_real(c->settings, "alpha") / (double)batch->count;
    double gamma = lo_item_real(c->settings, "gamma"), loss = lo_loss_mean(&gamma, batch);
    for (size_t n = 0; n < batch->count && weight > 0; n++) {
        loss += lo_distil(batch, n, batch->teacher[LO_TEACHER_NOW] + n * batch->step, T, weight);
    }
    return loss;
}

static double rate(const lo_item *settings, int64_t epoch)
{
    double lr = lo_item_real(settings, "lr");
    for (int64_t i = 0; i < lo_item_length(settings, "decay_epochs"); i++) {
        lr *= epoch >= lo_item_int_at(settings, "decay_epochs", i) ? lo_item_real(settings, "decay") : 1;
    }
    return lr;
}

static size_t kept_size(const course *c)
{
    const lo_network *network = lo_pupil_network(c->pupil);
    return network->weight_size + network->statistic_size;
}

/* Keeps the epoch's network and its error on the forget set. */
static lo_status keep(course *c, int64_t epoch, lo_error *err)
{
    const lo_network *network = lo_pupil_network(c->pupil);
    const lo_members forget = lo_members_forget(c->request);
    lo_measure measure;
    float *to = c->kept + (size_t)epoch * kept_size(c);
    memcpy(to, network->weights, network->weight_size * sizeof(float));
    memcpy(to + network->weight_size, network->statistics, network->statistic_size * sizeof(float));
    LO_TRY(lo_pupil_measure(c->pupil, &forget, false, 0, 0, &measure, err));
    c->error[epoch] = 1 - (double)measure.correct / (double)measure.count;
    return LO_OK;
}

/* Validation examples of the forget set's classes: rows [validation.count]. */
static int64_t find_alike(const lo_request *request, bool *class, uint32_t *rows)
{
    const lo_examples *validation = &request->dataset->validation;
    int64_t count = 0;
    for (int64_t i = 0; i < request->forget_count; i++) {
        class[request->dataset->train.label[request->forget[i]]] = true;
    }
    for (int64_t i = 0; i < validation->count; i++) {
        rows[count] = (uint32_t)i;
        count += class[validation->label[i]] ? 1 : 0;
    }
    return count;
}

/* The error of the last epoch on unseen examples of the same classes; NaN where there are none. */
static lo_status unseen_error(const course *c, double *error, lo_error *err)
{
    const lo_dataset *dataset = c->request->dataset;
    lo_status status = LO_OK;
    lo_measure measure;
    bool *class = calloc((size_t)dataset->classes + 1, sizeof(*class));
    uint32_t *rows = calloc((size_t)dataset->validation.count + 1, sizeof(*rows));
    *error = (double)NAN;
    if (class == NULL || rows == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a list of validation examples");
        goto done;
    }
    const lo_members alike = {.validation = true, .rows = rows, .count = find_alike(c->request, class, rows)};
    if (alike.count > 0) {
        LO_TRY_GOTO(status, lo_pupil_measure(c->pupil, &alike, false, 0, 0, &measure, err), done);
        *error = 1 - (double)measure.correct / (double)measure.count;
    }

done:
    free(class);
    free(rows);
    return status;
}

/* Back to the epoch nearest to the reference, of two equally near the later. */
static lo_status rewind_to(course *c, lo_error *err)
{
    lo_network *network = lo_pupil_network(c->pupil);
    const int64_t epochs = lo_item_int(c->settings, "epochs");
    int64_t best = epochs - 1;
    double reference;
    LO_TRY(unseen_error(c, &reference, err));
    for (int64_t e = epochs - 2; e >= 0; e--) {
        best = fabs(c->error[e] - reference) < fabs(c->error[best] - reference) ? e : best;
    }
    const float *from = c->kept + (size_t)best * kept_size(c);
    memcpy(network->weights, from, network->weight_size * sizeof(float));
    memcpy(network->statistics, from + network->weight_size, network->statistic_size * sizeof(float));
    return LO_OK;
}

static lo_status train(course *c, lo_error *err)
{
    const int64_t epochs = lo_item_int(c->settings, "epochs"), most = lo_item_int(c->settings, "max_epochs");
    const lo_kept rewind[] = {{c->kept, kept_size(c) * sizeof(*c->kept), true},
                              {c->error, sizeof(*c->error), true}};
    int64_t e = 0;
    lo_pupil_keep(c->pupil, rewind, c->kept != NULL ? LO_COUNT(rewind) : 0);
    LO_TRY(lo_pupil_resume(c->pupil, &e));
    lo_feed_skip(c->retain, e);
    lo_feed_skip(c->forget, e < most ? e : most);
    for (; e < epochs; e++) {
        const double lr = rate(c->settings, e);
        LO_TRY(lo_pupil_save(c->pupil, e, epochs));
        if (e < most) {
            LO_TRY(lo_pupil_epoch(c->pupil, c->forget, disobey, c, lr, NULL, err));
        }
        LO_TRY(lo_pupil_epoch(c->pupil, c->retain, obey, c, lr, NULL, err));
        LO_TRY(c->kept != NULL ? keep(c, e, err) : LO_OK);
    }
    return c->kept != NULL && !lo_pupil_diverged(c->pupil) ? rewind_to(c, err) : LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const size_t epochs = (size_t)lo_item_int(settings, "epochs");
    const int64_t given = lo_item_int(settings, "batch"), other = lo_item_int(settings, "batch_forget");
    const int64_t batch = given > 0 ? given : lo_pupil_recipe(pupil)->batch;
    const int64_t batch_forget = other > 0 ? other : batch;
    lo_status status = LO_OK;
    course c = {.pupil = pupil, .request = request, .settings = settings};
    LO_TRY(lo_unlearn_begin_with(pupil, request, settings, batch_forget > batch ? batch_forget : batch, tick,
                                 err));
    LO_TRY_GOTO(status, lo_pupil_teach(pupil, LO_TEACHER_NOW, err), done);
    LO_TRY_GOTO(status, lo_feed_forget(pupil, request, batch_forget, NULL, &c.forget, err), done);
    LO_TRY_GOTO(status, lo_feed_retain(pupil, request, batch, &c.retain, err), done);
    if (lo_item_bool(settings, "rewind")) {
        c.kept = malloc(epochs * kept_size(&c) * sizeof(*c.kept) + 1);
        c.error = calloc(epochs, sizeof(*c.error));
        if (c.kept == NULL || c.error == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the weights of %zu epochs", epochs);
            goto done;
        }
    }
    status = train(&c, err);

done:
    lo_feed_close(&c.forget);
    lo_feed_close(&c.retain);
    free(c.kept);
    free(c.error);
    return status;
}

/* Is there a validation example of the forget set's classes? */
static bool has_alike(const lo_request *request)
{
    const lo_examples *validation = &request->dataset->validation;
    bool found = false;
    for (int64_t i = 0; i < validation->count && !found; i++) {
        found = lo_unlearn_has_label(request, request->forget, request->forget_count, validation->label[i]);
    }
    return found;
}

static const char *inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                char *why, size_t size)
{
    (void)pupil;
    (void)why;
    (void)size;
    return lo_item_bool(settings, "rewind") && !has_alike(request)
               ? "rewind compares with validation examples of the forget set's classes, of which there are "
                 "none "
                 "(data.validation)"
               : NULL;
}

static unsigned reads_with(const lo_item *settings)
{
    return LO_READS_FORGET | LO_READS_RETAIN | (lo_item_bool(settings, "rewind") ? LO_READS_VALIDATION : 0);
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t epochs = lo_item_int(settings, "epochs"), most = lo_item_int(settings, "max_epochs");
    const double forget = (double)((epochs < most ? epochs : most) * sizes->forget);
    const double retain = (double)(epochs * sizes->retain);
    lo_unlearn_work work = {.trained = 0};
    lo_work_train(&work, LO_SET_FORGET, forget);
    lo_work_train(&work, LO_SET_RETAIN, retain);
    lo_work_evaluate(&work, LO_SET_FORGET, forget); /* by the teacher */
    lo_work_evaluate(&work, LO_SET_RETAIN, retain);
    if (lo_item_bool(settings, "rewind")) {
        lo_work_evaluate(&work, LO_SET_FORGET, (double)(epochs * sizes->forget));
        lo_work_evaluate(&work, LO_SET_VALIDATION, (double)sizes->validation); /* if all classes are there */
    }
    return work;
}

const lo_unlearn_method lo_unlearn_scrub = {
    .name = "scrub",
    .description = "away from the original's outputs on the forget set, towards them on the retain set",
    .source = "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    .reads = LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION,
    .reads_with = reads_with,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .inapplicable = inapplicable,
    .work = foresee,
    .run = run};
