/* Deletion by example localization: the channels that matter most to the forget set begin afresh, and they
 * alone (with the head) are trained on, on the retain set. */
#include "unlearn/common.h"
#include "unlearn/locate.h"

#include <stdlib.h>
#include <string.h>

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("30"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "0.015", "0"),
    LO_SET_RATE("cosine", "0.01"),
    {.name = "share",
     .type = LO_SETTING_REAL,
     .fallback = "0.3",
     .low = 0,
     .high = 1,
     .help = "of the weights, that is reset at most"},
    {.name = "criterion",
     .type = LO_SETTING_CHOICE,
     .fallback = "weighted_grad",
     .choices = "weighted_grad grad weight salun random shallowest deepest greedy",
     .help = "how the weights are chosen; salun: grad of single weights"},
    {.name = "granularity",
     .type = LO_SETTING_CHOICE,
     .fallback = "channel",
     .choices = "channel param",
     .help = "whole output channels, or single weights"},
    {.name = "h_rule",
     .type = LO_SETTING_CHOICE,
     .fallback = "rows",
     .choices = "rows row_length row",
     .help = "a channel's score is the mean of its h largest: a tenth of the rows, or of the row; or all"},
    {.name = "over",
     .type = LO_SETTING_CHOICE,
     .fallback = "forget",
     .choices = "forget all",
     .help = "whose gradients choose the weights; all: forget and retain set"},
    {.name = "cut_last",
     .type = LO_SETTING_BOOL,
     .fallback = "false",
     .help = "the channel that does not fit any more is cut, as by the public code"},
    {.name = "flips",
     .type = LO_SETTING_INT,
     .fallback = "20",
     .low = 1,
     .high = 1e6,
     .help = "greedy: channels, of linear layers weights, of an example at most"},
};

/* The paper's ImageNet-100 and SVHN; the table is its CIFAR-10. */
static const lo_default for_resnet50[] = {{"epochs", "100"}, {"lr", "0.1"}};
static const lo_default for_vit[] = {{"lr", "0.05"}, {"h_rule", "row"}};
static const lo_suited suited[] = {{"resnet50", for_resnet50, LO_COUNT(for_resnet50)},
                                   {"vit", for_vit, LO_COUNT(for_vit)}};

static lo_locate localization(const lo_item *settings)
{
    static const struct {
        const char *name;
        lo_criterion criterion;
    } names[] = {{"weighted_grad", LO_BY_WEIGHTED_GRADIENT},
                 {"grad", LO_BY_GRADIENT},
                 {"salun", LO_BY_GRADIENT},
                 {"weight", LO_BY_WEIGHT},
                 {"random", LO_BY_CHANCE},
                 {"shallowest", LO_BY_DEPTH},
                 {"deepest", LO_BY_HEIGHT},
                 {"greedy", LO_BY_FLIPPING}};
    const char *name = lo_item_text(settings, "criterion"), *rule = lo_item_text(settings, "h_rule");
    lo_locate locate = {.share = lo_item_real(settings, "share"),
                        .cut_last = lo_item_bool(settings, "cut_last"),
                        .flips = lo_item_int(settings, "flips"),
                        .h = strcmp(rule, "rows") == 0  ? LO_H_OF_ROWS
                             : strcmp(rule, "row") == 0 ? LO_H_ROW
                                                        : LO_H_OF_LENGTH};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        locate.criterion = strcmp(names[i].name, name) == 0 ? names[i].criterion : locate.criterion;
    }
    locate.channels =
        strcmp(name, "salun") != 0 && strcmp(lo_item_text(settings, "granularity"), "channel") == 0;
    return locate;
}

/* Which weights are reset: chosen [lo_pupil_size]. */
static lo_status locate(lo_pupil *pupil, const lo_request *request, const lo_item *settings, uint8_t *chosen,
                        lo_error *err)
{
    lo_locate what = localization(settings);
    uint32_t *both = NULL;
    what.members = lo_members_forget(request);
    if (strcmp(lo_item_text(settings, "over"), "all") == 0) {
        both = lo_unlearn_both(request);
        if (both == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for a list of all examples");
        }
        what.members = (lo_members){.rows = both, .count = request->forget_count + request->retain_count};
    }
    const lo_status status = lo_locate_weights(pupil, &what, request, chosen, err);
    free(both);
    return status;
}

/* Of the head all is trained, but only what was chosen is reset. */
static lo_status reset(lo_pupil *pupil, const lo_request *request, const lo_item *settings, uint8_t *chosen,
                       lo_error *err)
{
    const size_t head = lo_pupil_head(pupil);
    LO_TRY(locate(pupil, request, settings, chosen, err));
    LO_TRY(lo_pupil_reset(pupil, chosen, lo_pupil_key(pupil, LO_USE_WEIGHTS), err));
    memset(chosen + head, 1, lo_pupil_size(pupil) - head);
    return lo_pupil_train_only(pupil, chosen, err);
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    lo_feed *feed = NULL;
    lo_status status = LO_OK;
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    uint8_t *chosen = calloc(lo_pupil_size(pupil) + 1, 1);
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a mask");
    }
    LO_TRY_GOTO(status, reset(pupil, request, settings, chosen, err), done);
    LO_TRY_GOTO(status, lo_feed_retain(pupil, request, 0, &feed, err), done);
    status = lo_unlearn_epochs(pupil, settings, feed, lo_loss_mean, NULL, err);

done:
    lo_feed_close(&feed);
    free(chosen);
    return status;
}

/* By flipping, each of the forget set's examples takes up to `flips` + 1 batches, of which it is one. */
static void add_flips(lo_unlearn_work *work, const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const int64_t given = lo_item_int(settings, "batch"), batch = given > 0 ? given : sizes->batch;
    const int64_t room = batch > LO_SMALLEST_ROOM ? batch : LO_SMALLEST_ROOM;
    const int64_t times = sizes->forget * (lo_item_int(settings, "flips") + 1);
    lo_work_train(work, LO_SET_FORGET, (double)times);
    lo_work_train(work, LO_SET_RETAIN, lo_work_cycled(sizes, room - 1, sizes->retain, times));
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const lo_locate how = localization(settings);
    lo_unlearn_work work = lo_work_retain_epochs(sizes, settings);
    work.drawn = 1;
    if (how.criterion == LO_BY_FLIPPING) {
        add_flips(&work, sizes, settings);
    }
    if (how.criterion == LO_BY_GRADIENT || how.criterion == LO_BY_WEIGHTED_GRADIENT) {
        lo_work_sum(&work, LO_SET_FORGET, (double)sizes->forget);
        lo_work_sum(&work, LO_SET_RETAIN,
                    strcmp(lo_item_text(settings, "over"), "all") == 0 ? (double)sizes->retain : 0);
    }
    return work;
}

const lo_unlearn_method lo_unlearn_del = {
    .name = "del",
    .description = "resets the channels that matter most to the forget set and trains them on the retain set",
    .source = "Torkzadehmahani et al., TMLR 2025, arXiv 2412.02432",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .suited = suited,
    .suited_count = LO_COUNT(suited),
    .work = foresee,
    .run = run};
