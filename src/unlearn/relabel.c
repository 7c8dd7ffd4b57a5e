#include "unlearn/relabel.h"

#include "nn/loss.h"

#include <stdlib.h>
#include <string.h>

lo_relabel lo_relabel_of(const lo_item *settings)
{
    return (lo_relabel){.mixed = strcmp(lo_item_text(settings, "passes"), "mixed") == 0,
                        .wrong = lo_item_bool(settings, "wrong_only"),
                        .once = strcmp(lo_item_text(settings, "draw"), "once") == 0,
                        .retain = true};
}

const char *lo_relabel_inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                    char *why, size_t size)
{
    (void)pupil;
    (void)settings;
    (void)why;
    (void)size;
    return request->dataset->classes < 2 ? "the data have one class: there is no other label" : NULL;
}

/* Training under way. */
typedef struct course {
    lo_pupil *pupil;
    const lo_request *request;
    const lo_relabel *how;
    int32_t *label;          /* [train.count]: those of the forget set are drawn */
    uint32_t *both;          /* mixed: both sets */
    lo_feed *forget, *other; /* mixed: `other` is both */
    int64_t correct;         /* on the forget set's true labels */
} course;

static void draw_labels(course *c, int64_t epoch)
{
    const lo_dataset *dataset = c->request->dataset;
    const uint64_t classes = (uint64_t)dataset->classes;
    for (int64_t i = 0; i < c->request->forget_count; i++) {
        const uint32_t row = c->request->forget[i];
        const int32_t truth = dataset->train.label[row];
        const int32_t drawn = (int32_t)lo_pupil_draw(c->pupil, LO_USE_LABELS, (uint64_t)epoch, row,
                                                     c->how->wrong ? classes - 1 : classes);
        c->label[row] = drawn + (c->how->wrong && drawn >= truth ? 1 : 0);
    }
}

/* The loss of the labels drawn; counts the predictions that are still the true labels. */
static double drawn_loss(void *self, lo_batch *batch)
{
    course *c = self;
    const double loss = lo_loss_mean(NULL, batch);
    for (size_t i = 0; i < batch->count; i++) {
        const int32_t truth = c->request->dataset->train.label[batch->row[i]];
        c->correct += lo_is_correct(batch->logits + i * batch->step, batch->classes, truth) ? 1 : 0;
    }
    return loss;
}

static lo_status open_feeds(course *c, lo_error *err)
{
    const lo_request *request = c->request;
    const size_t examples = (size_t)request->dataset->train.count;
    c->label = malloc((examples + 1) * sizeof(*c->label));
    c->both = c->how->mixed ? lo_unlearn_both(request) : NULL;
    if (c->label == NULL || (c->how->mixed && c->both == NULL)) {
        return lo_fail(err, LO_INTERNAL, "no memory for the labels of %zu examples", examples);
    }
    memcpy(c->label, request->dataset->train.label, examples * sizeof(*c->label));
    if (c->how->mixed) {
        const lo_feed_spec spec = {.rows = c->both,
                                   .count = request->forget_count + request->retain_count,
                                   .key = lo_pupil_key(c->pupil, LO_USE_BOTH),
                                   .label = c->label};
        return lo_feed_open(c->pupil, &spec, &c->other, err);
    }
    LO_TRY(lo_feed_forget(c->pupil, request, 0, c->label, &c->forget, err));
    return c->how->retain ? lo_feed_retain(c->pupil, request, 0, &c->other, err) : LO_OK;
}

static void skip(lo_feed *feed, int64_t epochs)
{
    if (feed != NULL) {
        lo_feed_skip(feed, epochs);
    }
}

static lo_status train(course *c, const lo_item *settings, lo_error *err)
{
    const double all = (double)c->request->forget_count;
    const int64_t epochs = lo_item_int(settings, "epochs");
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(c->pupil, &e));
    skip(c->forget, e);
    skip(c->other, e);
    draw_labels(c, 0);
    for (; e < epochs; e++) {
        const double lr = lo_unlearn_rate(settings, e);
        LO_TRY(lo_pupil_save(c->pupil, e, epochs));
        if (!c->how->once) {
            draw_labels(c, e);
        }
        c->correct = 0;
        if (c->forget != NULL) {
            LO_TRY(lo_pupil_epoch(c->pupil, c->forget, drawn_loss, c, lr, NULL, err));
        }
        if (c->other != NULL) {
            LO_TRY(lo_pupil_epoch(c->pupil, c->other, lo_loss_mean, NULL, lr, NULL, err));
        }
        if (c->forget != NULL && c->how->stop > 0 && (double)c->correct <= c->how->stop * all) {
            break;
        }
    }
    return LO_OK;
}

lo_status lo_relabel_train(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                           const lo_relabel *relabel, lo_error *err)
{
    course c = {.pupil = pupil, .request = request, .how = relabel};
    lo_status status = open_feeds(&c, err);
    if (status == LO_OK) {
        status = train(&c, settings, err);
    }
    lo_feed_close(&c.forget);
    lo_feed_close(&c.other);
    free(c.label);
    free(c.both);
    return status;
}

lo_unlearn_work lo_relabel_work(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    lo_unlearn_work work = lo_work_retain_epochs(sizes, settings);
    lo_work_train(&work, LO_SET_FORGET, (double)(lo_item_int(settings, "epochs") * sizes->forget));
    return work;
}
