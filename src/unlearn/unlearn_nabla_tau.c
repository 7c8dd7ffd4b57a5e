/* Ascent on the forget set while its loss is below that of unseen data, and descent on the retain set. */
#include "unlearn/common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    {.name = "epochs",
     .type = LO_SETTING_INT,
     .fallback = "0",
     .low = 0,
     .high = 1e6,
     .help = "passes over the forget set; 0: as many batches of the retain set as three passes over it"},
    LO_SET_BATCH("0"),
    LO_SET_PACE("adamw", "1.0e-3", "0.01"),
    LO_SET_MODE("eval"),
    {.name = "end",
     .type = LO_SETTING_REAL,
     .fallback = "0.1",
     .low = 0,
     .high = 1,
     .help = "lr falls in a straight line, epoch by epoch, towards this share of it"},
    {.name = "alpha",
     .type = LO_SETTING_TEXT,
     .fallback = "auto",
     .help =
         "weight of the forget term at the start, from 0 to 1; auto: 5/3 of the forget set's share of the "
         "data, at most 1"},
    {.name = "alpha_decay",
     .type = LO_SETTING_CHOICE,
     .fallback = "epoch",
     .choices = "epoch step none",
     .help = "how it falls to 0 over the run"},
    {.name = "tau",
     .type = LO_SETTING_TEXT,
     .fallback = "auto",
     .help = "the loss to be reached, from 0 to 1000; auto: that of the validation set"},
    {.name = "tau_refresh",
     .type = LO_SETTING_INT,
     .fallback = "5",
     .low = 1,
     .high = 1e6,
     .help = "epochs after which it is measured again"},
    {.name = "gate",
     .type = LO_SETTING_CHOICE,
     .fallback = "relu_sq",
     .choices = "relu_sq sq",
     .help = "sq: the loss is drawn to tau from above too"},
    {.name = "views",
     .type = LO_SETTING_BOOL,
     .fallback = "true",
     .help = "augmented views, of the batches and of what tau is measured on"},
};

/* A run under way. */
typedef struct course {
    lo_pupil *pupil;
    const lo_request *request;
    const lo_item *settings;
    lo_feed *forget, *retain;
    uint32_t *unseen; /* of the validation set, what tau is measured on */
    int64_t unseen_count;
    bool emptied; /* nothing is retained of any class of the forget set */
    int64_t epochs;
    double alpha, tau;
} course;

/* alpha relu(tau - l)^2 of the whole batch's mean loss l. */
static double gated_loss(void *self, lo_batch *batch)
{
    const course *c = self;
    const double gap = c->tau - lo_loss_mean(NULL, batch);
    const bool open = gap > 0 || strcmp(lo_item_text(c->settings, "gate"), "sq") == 0;
    if (isnan(gap)) {
        return gap;
    }
    batch->flat = !open || c->alpha == 0;
    const float pull = batch->flat ? 0 : (float)(-2 * c->alpha * gap);
    for (size_t i = 0; i < batch->count * batch->step; i++) {
        batch->slope[i] *= pull;
    }
    return open ? c->alpha * gap * gap : 0;
}

static void mark_classes(const lo_request *request, const uint32_t *rows, int64_t count, bool *known)
{
    for (int64_t i = 0; i < count; i++) {
        known[request->dataset->train.label[rows[i]]] = true;
    }
}

/* What tau is measured on: validation examples of the classes that are retained. Of the others, to be
 * forgotten now or forgotten before in a sequence of requests, what the model says is what is to change, or
 * has changed: tau would rise with what is forgotten. */
static lo_status find_unseen(course *c, lo_error *err)
{
    const lo_request *request = c->request;
    const lo_examples *validation = &request->dataset->validation;
    bool *known = calloc((size_t)request->dataset->classes + 1, sizeof(*known));
    c->unseen = calloc((size_t)validation->count + 1, sizeof(*c->unseen));
    if (known == NULL || c->unseen == NULL) {
        free(known);
        return lo_fail(err, LO_INTERNAL, "no memory for a list of validation examples");
    }
    mark_classes(request, request->retain, request->retain_count, known);
    c->emptied = true;
    for (int64_t i = 0; i < request->forget_count; i++) {
        c->emptied = c->emptied && !known[request->dataset->train.label[request->forget[i]]];
    }
    for (int64_t i = 0; i < validation->count; i++) {
        if (known[validation->label[i]]) {
            c->unseen[c->unseen_count++] = (uint32_t)i;
        }
    }
    free(known);
    return LO_OK;
}

/* The mean loss of unseen examples, in the same views as the batches; where nothing is retained of the
 * classes to be forgotten, at least log C, the loss of a guess. */
static lo_status measure_tau(course *c, int64_t epoch, lo_error *err)
{
    const lo_members members = {.validation = true, .rows = c->unseen, .count = c->unseen_count};
    lo_measure measure = {0};
    if (!lo_unlearn_is_auto(c->settings, "tau")) {
        c->tau = lo_unlearn_number(c->settings, "tau", 0);
        return LO_OK;
    }
    if (c->unseen_count > 0) {
        LO_TRY(lo_pupil_measure(c->pupil, &members, lo_item_bool(c->settings, "views"),
                                lo_pupil_key(c->pupil, LO_USE_VALIDATION), epoch, &measure, err));
    }
    const double guess = log((double)c->request->dataset->classes);
    c->tau = c->emptied || c->unseen_count == 0 ? fmax(measure.loss, guess) : measure.loss;
    return LO_OK;
}

static lo_status train_epoch(course *c, int64_t epoch, double start, lo_error *err)
{
    const char *decay = lo_item_text(c->settings, "alpha_decay");
    const int64_t batches = lo_feed_batches(c->forget);
    const double lr = lo_item_real(c->settings, "lr"), end = lo_item_real(c->settings, "end");
    const double rate = lr * (1 + (end - 1) * (double)epoch / (double)c->epochs);
    lo_batch batch;
    for (int64_t b = 0; lo_feed_next(c->forget, &batch); b++) {
        const double steps = strcmp(decay, "step") == 0 ? (double)b / (double)batches : 0;
        const double past = strcmp(decay, "none") == 0 ? 0 : (double)epoch + steps;
        c->alpha = start * (1 - past / (double)c->epochs);
        double keep = 1 - c->alpha;
        LO_TRY(lo_pupil_learn(c->pupil, &batch, gated_loss, c, err));
        lo_feed_cycle(c->retain, &batch);
        LO_TRY(lo_pupil_learn(c->pupil, &batch, lo_loss_mean, &keep, err));
        LO_TRY(lo_pupil_step(c->pupil, rate));
    }
    return LO_OK;
}

static lo_status train(course *c, lo_error *err)
{
    const lo_request *request = c->request;
    const double share =
        (double)request->forget_count / (double)(request->forget_count + request->retain_count);
    const double start = lo_unlearn_number(c->settings, "alpha", fmin(1, 5.0 / 3.0 * share));
    const lo_kept tau = {.data = &c->tau, .size = sizeof(c->tau)};
    int64_t e = 0;
    lo_pupil_keep(c->pupil, &tau, 1);
    LO_TRY(lo_pupil_resume(c->pupil, &e));
    lo_feed_skip(c->forget, e);
    lo_feed_skip_batches(c->retain, e * lo_feed_batches(c->forget));
    for (; e < c->epochs && !lo_pupil_diverged(c->pupil); e++) {
        LO_TRY(lo_pupil_save(c->pupil, e, c->epochs));
        if (e % lo_item_int(c->settings, "tau_refresh") == 0) {
            LO_TRY(measure_tau(c, e, err));
        }
        LO_TRY(train_epoch(c, e, start, err));
    }
    return LO_OK;
}

static int64_t epochs_of(const lo_item *settings, int64_t forget_batches, int64_t retain_batches)
{
    const int64_t given = lo_item_int(settings, "epochs");
    const int64_t matched = 6 * retain_batches / (2 * forget_batches);
    return given > 0 ? given : matched > 0 ? matched : 1;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_status status = LO_OK;
    course c = {.pupil = pupil, .request = request, .settings = settings};
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    lo_pupil_set_training(pupil, strcmp(lo_item_text(settings, "mode"), "train") == 0);
    lo_pupil_set_views(pupil, lo_item_bool(settings, "views"));
    LO_TRY_GOTO(status, lo_feed_forget(pupil, request, 0, NULL, &c.forget, err), done);
    LO_TRY_GOTO(status, lo_feed_retain(pupil, request, 0, &c.retain, err), done);
    LO_TRY_GOTO(status, find_unseen(&c, err), done);
    c.epochs = epochs_of(settings, lo_feed_batches(c.forget), lo_feed_batches(c.retain));
    status = train(&c, err);

done:
    lo_feed_close(&c.forget);
    lo_feed_close(&c.retain);
    free(c.unseen);
    return status;
}

/* Is there a validation example of a class that the request has? */
static bool has_unseen(const lo_request *request)
{
    const lo_examples *validation = &request->dataset->validation;
    bool found = false;
    for (int64_t i = 0; i < validation->count && !found; i++) {
        found = lo_unlearn_has_label(request, request->retain, request->retain_count, validation->label[i]) ||
                lo_unlearn_has_label(request, request->forget, request->forget_count, validation->label[i]);
    }
    return found;
}

static const char *inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                char *why, size_t size)
{
    (void)pupil;
    (void)why;
    (void)size;
    if (lo_unlearn_is_auto(settings, "tau") && !request->whole_class && !has_unseen(request)) {
        return "tau is the loss of validation examples of the request's classes, of which there are none "
               "(data.validation)";
    }
    return NULL;
}

static lo_status check(const lo_request *request, const lo_item *settings, lo_error *err)
{
    (void)request;
    LO_TRY(lo_unlearn_check_number(settings, "alpha", 0, 1, err));
    return lo_unlearn_check_number(settings, "tau", 0, 1e3, err);
}

static unsigned reads_with(const lo_item *settings)
{
    return LO_READS_FORGET | LO_READS_RETAIN |
           (lo_unlearn_is_auto(settings, "tau") ? LO_READS_VALIDATION : 0);
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t batch = lo_item_int(settings, "batch"), refresh = lo_item_int(settings, "tau_refresh");
    const int64_t batches = lo_work_batches(sizes, batch, sizes->forget);
    const int64_t epochs = epochs_of(settings, batches, lo_work_batches(sizes, batch, sizes->retain));
    lo_unlearn_work work = {.trained = 0};
    lo_work_train(&work, LO_SET_FORGET, (double)(epochs * sizes->forget)); /* while the gate is open */
    lo_work_train(&work, LO_SET_RETAIN, lo_work_cycled(sizes, batch, sizes->retain, epochs * batches));
    if (lo_unlearn_is_auto(settings, "tau")) { /* and all classes are known */
        lo_work_evaluate(&work, LO_SET_VALIDATION,
                         (double)((epochs + refresh - 1) / refresh * sizes->validation));
    }
    return work;
}

const lo_unlearn_method lo_unlearn_nabla_tau = {
    .name = "nabla_tau",
    .description = "ascent on the forget set up to the loss of unseen data, with descent on the retain set",
    .source = "Trippa et al., 2024, arXiv 2403.14339",
    .reads = LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION,
    .reads_with = reads_with,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .check = check,
    .inapplicable = inapplicable,
    .work = foresee,
    .run = run};
