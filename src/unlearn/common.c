#include "unlearn/common.h"

#include <stdlib.h>
#include <string.h>

lo_status lo_unlearn_begin_with(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                                int64_t batch, const lo_tick *tick, lo_error *err)
{
    const lo_pace pace = {.optimizer = lo_optimizer_named(lo_item_text(settings, "optimizer")),
                          .lr = lo_item_real(settings, "lr"),
                          .momentum = lo_item_real(settings, "momentum"),
                          .weight_decay = lo_item_real(settings, "weight_decay"),
                          .clip_norm = lo_item_real(settings, "clip_norm")};
    LO_TRY(lo_pupil_begin(pupil, request, batch, tick, err));
    return lo_pupil_pace(pupil, &pace, err);
}

lo_status lo_unlearn_begin(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                           const lo_tick *tick, lo_error *err)
{
    return lo_unlearn_begin_with(pupil, request, settings, lo_item_int(settings, "batch"), tick, err);
}

double lo_unlearn_rate(const lo_item *settings, int64_t epoch)
{
    const double lr = lo_item_real(settings, "lr");
    if (strcmp(lo_item_text(settings, "schedule"), "constant") == 0) {
        return lr;
    }
    return lo_cosine_rate(lr, lr * lo_item_real(settings, "floor"), epoch, lo_item_int(settings, "epochs"));
}

lo_status lo_feed_forget(lo_pupil *pupil, const lo_request *request, int64_t batch, const int32_t *label,
                         lo_feed **out, lo_error *err)
{
    const lo_feed_spec spec = {.rows = request->forget,
                               .count = request->forget_count,
                               .batch = batch,
                               .key = lo_pupil_key(pupil, LO_USE_FORGET),
                               .label = label};
    return lo_feed_open(pupil, &spec, out, err);
}

lo_status lo_feed_retain(lo_pupil *pupil, const lo_request *request, int64_t batch, lo_feed **out,
                         lo_error *err)
{
    const lo_feed_spec spec = {.rows = request->retain,
                               .count = request->retain_count,
                               .batch = batch,
                               .key = lo_pupil_key(pupil, LO_USE_RETAIN)};
    return lo_feed_open(pupil, &spec, out, err);
}

bool lo_unlearn_has_label(const lo_request *request, const uint32_t *rows, int64_t count, int32_t label)
{
    int64_t i = 0;
    while (i < count && request->dataset->train.label[rows[i]] != label) {
        i++;
    }
    return i < count;
}

uint32_t *lo_unlearn_both(const lo_request *request)
{
    const int64_t forget = request->forget_count, retain = request->retain_count;
    uint32_t *both = malloc((size_t)(forget + retain) * sizeof(*both) + 1);
    for (int64_t f = 0, r = 0; both != NULL && f + r < forget + retain;) {
        const bool first = r == retain || (f < forget && request->forget[f] < request->retain[r]);
        both[f + r] = first ? request->forget[f] : request->retain[r];
        f += first ? 1 : 0;
        r += first ? 0 : 1;
    }
    return both;
}

lo_status lo_unlearn_epochs(lo_pupil *pupil, const lo_item *settings, lo_feed *feed, lo_batch_loss *loss,
                            void *self, lo_error *err)
{
    const int64_t epochs = lo_item_int(settings, "epochs");
    int64_t e = 0;
    LO_TRY(lo_pupil_resume(pupil, &e));
    lo_feed_skip(feed, e);
    for (; e < epochs; e++) {
        LO_TRY(lo_pupil_save(pupil, e, epochs));
        LO_TRY(lo_pupil_epoch(pupil, feed, loss, self, lo_unlearn_rate(settings, e), NULL, err));
    }
    return LO_OK;
}

bool lo_unlearn_is_auto(const lo_item *settings, const char *name)
{
    return strcmp(lo_item_text(settings, name), "auto") == 0;
}

double lo_unlearn_number(const lo_item *settings, const char *name, double automatic)
{
    return lo_unlearn_is_auto(settings, name) ? automatic : strtod(lo_item_text(settings, name), NULL);
}

lo_status lo_unlearn_check_number(const lo_item *settings, const char *name, double low, double high,
                                  lo_error *err)
{
    const char *text = lo_item_text(settings, name);
    char *end = NULL;
    const double value = strtod(text, &end);
    const bool number = end != text && *end == '\0' && value >= low && value <= high;
    return number || lo_unlearn_is_auto(settings, name)
               ? LO_OK
               : lo_item_fail(settings, err, "%s: found '%s'; allowed: auto, or a number from %g to %g", name,
                              text, low, high);
}
