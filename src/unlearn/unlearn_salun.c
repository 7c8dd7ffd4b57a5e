/* Saliency unlearning: random labels, but only the weights with the largest gradient of the forget set's loss
 * are trained. */
#include "unlearn/locate.h"
#include "unlearn/relabel.h"

#include <stdlib.h>

static const lo_setting settings_of[] = {
    LO_SET_EPOCHS("10"),
    LO_SET_BATCH("0"),
    LO_SET_PACE("sgd", "0.013", "5.0e-4"),
    LO_SET_RATE("constant", "0.01"),
    LO_SET_RELABEL("separate", "false", "epoch"),
    {.name = "share",
     .type = LO_SETTING_REAL,
     .fallback = "0.5",
     .low = 0,
     .high = 1,
     .help = "of the weights, that is trained"},
    {.name = "strict_mask",
     .type = LO_SETTING_BOOL,
     .fallback = "true",
     .help =
         "the others keep their bits; false: momentum and weight decay move them, as in the paper's code"}};

static lo_status mask(lo_pupil *pupil, const lo_request *request, const lo_item *settings, lo_error *err)
{
    const lo_locate locate = {.criterion = LO_BY_GRADIENT,
                              .share = lo_item_real(settings, "share"),
                              .members = lo_members_forget(request)};
    uint8_t *chosen = calloc(lo_pupil_size(pupil) + 1, 1);
    if (chosen == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a mask");
    }
    lo_status status = lo_locate_weights(pupil, &locate, request, chosen, err);
    if (status == LO_OK) {
        status = lo_item_bool(settings, "strict_mask") ? lo_pupil_train_only(pupil, chosen, err)
                                                       : lo_pupil_mask_gradients(pupil, chosen, err);
    }
    free(chosen);
    return status;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const lo_relabel relabel = lo_relabel_of(settings);
    LO_TRY(lo_unlearn_begin(pupil, request, settings, tick, err));
    LO_TRY(mask(pupil, request, settings, err));
    return lo_relabel_train(pupil, request, settings, &relabel, err);
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    lo_unlearn_work work = lo_relabel_work(sizes, settings);
    lo_work_sum(&work, LO_SET_FORGET, (double)sizes->forget);
    return work;
}

const lo_unlearn_method lo_unlearn_salun = {
    .name = "salun",
    .description = "random labels, trained into the weights with the largest gradients of the forget set",
    .source = "Fan et al., ICLR 2024, arXiv 2310.12508",
    .reads = LO_READS_FORGET | LO_READS_RETAIN,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .inapplicable = lo_relabel_inapplicable,
    .work = foresee,
    .run = run};
