/* A student of two teachers: the original on retained examples, a network that has learnt nothing on the
 * forget set. */
#include "unlearn/common.h"
#include "unlearn/distil.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {LO_SET_EPOCHS("1"),
                                         LO_SET_BATCH("0"),
                                         LO_SET_PACE("adamw", "1.0e-4", "0"),
                                         LO_SET_RATE("constant", "0.01"),
                                         {.name = "share",
                                          .type = LO_SETTING_REAL,
                                          .fallback = "0.3",
                                          .low = 0,
                                          .high = 1,
                                          .help = "of the retain set, drawn once, that is shown"},
                                         {.name = "temperature",
                                          .type = LO_SETTING_REAL,
                                          .fallback = "1",
                                          .low = 1e-3,
                                          .high = 1e3,
                                          .help = "of all softmax"},
                                         {.name = "reduction",
                                          .type = LO_SETTING_CHOICE,
                                          .fallback = "examples",
                                          .choices = "examples elements",
                                          .help =
                                              "the divergence's mean over examples, or, as the public code "
                                              "has it, over examples and classes"}};

typedef struct course {
    const lo_item *settings;
    const bool *forgotten; /* [train.count] */
} course;

/* T^2 KL from the teacher that the example has; without T^2, as the public code has it. */
static double follow(void *self, lo_batch *batch)
{
    const course *c = self;
    const double T = lo_item_real(c->settings, "temperature");
    const bool elements = strcmp(lo_item_text(c->settings, "reduction"), "elements") == 0;
    const double weight = 1 / (T * T * (double)batch->count * (elements ? batch->classes : 1));
    double loss = 0;
    lo_clear_slope(batch);
    for (size_t n = 0; n < batch->count; n++) {
        const lo_teacher teacher = c->forgotten[batch->row[n]] ? LO_TEACHER_FRESH : LO_TEACHER_NOW;
        loss += lo_distil(batch, n, batch->teacher[teacher] + n * batch->step, T, weight);
    }
    return loss;
}

/* The forget set and a share of the retain set, ascending: rows [forget_count + retain_count]; marks the
 * former. Returns how many. */
static int64_t choose(const lo_pupil *pupil, const lo_request *request, double share, uint32_t *rows,
                      bool *forgotten)
{
    const lo_random random = lo_random_make(lo_pupil_key(pupil, LO_USE_CHOICE), LO_FOR_UNLEARNING);
    const uint64_t shown = (uint64_t)floor(share * (double)request->retain_count);
    int64_t count = 0, f = 0;
    const lo_permutation permutation =
        lo_permutation_make(random, 0, request->retain_count > 0 ? (uint64_t)request->retain_count : 1);
    for (int64_t r = 0; r <= request->retain_count; r++) {
        const bool end = r == request->retain_count;
        while (f < request->forget_count && (end || request->forget[f] < request->retain[r])) {
            forgotten[request->forget[f]] = true;
            rows[count++] = request->forget[f++];
        }
        if (!end && lo_permutation_at(&permutation, (uint64_t)r) < shown) {
            rows[count++] = request->retain[r];
        }
    }
    return count;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    lo_status status = LO_OK;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    uint32_t *rows = calloc((size_t)(request->forget_count + request->retain_count) + 1, sizeof(*rows));
    bool *forgotten = calloc((size_t)request->dataset->train.count + 1, sizeof(*forgotten));
    if (rows == NULL || forgotten == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a list of examples");
        goto done;
    }
    course c = {settings, forgotten};
    const lo_feed_spec spec = {.rows = rows,
                               .count =
                                   choose(pupil, request, lo_item_real(settings, "share"), rows, forgotten),
                               .key = lo_pupil_key(pupil, LO_USE_BOTH)};
    LO_TRY_GOTO(status, lo_pupil_teach(pupil, LO_TEACHER_NOW, err), done);
    LO_TRY_GOTO(status, lo_pupil_teach(pupil, LO_TEACHER_FRESH, err), done);
    LO_TRY_GOTO(status, lo_feed_open(pupil, &spec, &feed, err), done);
    status = lo_unlearn_epochs(pupil, settings, feed, follow, &c, err);

done:
    lo_feed_close(&feed);
    free(rows);
    free(forgotten);
    return status;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const double epochs = (double)lo_item_int(settings, "epochs");
    const double forget = epochs * (double)sizes->forget;
    const double retain = epochs * floor(lo_item_real(settings, "share") * (double)sizes->retain);
    lo_unlearn_work work = {.drawn = 1};
    lo_work_train(&work, LO_SET_FORGET, forget);
    lo_work_train(&work, LO_SET_RETAIN, retain);
    lo_work_evaluate(&work, LO_SET_FORGET, 2 * forget); /* by both teachers */
    lo_work_evaluate(&work, LO_SET_RETAIN, 2 * retain);
    return work;
}

const lo_unlearn_method lo_unlearn_bad_teacher = {
    .name = "bad_teacher",
    .description = "learns from a network that knows nothing on the forget set, from the original elsewhere",
    .source = "Chundawat et al., AAAI 2023, arXiv 2205.08096",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .work = foresee,
    .run = run};
