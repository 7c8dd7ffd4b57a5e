/* What many methods have in common: settings, and loops over epochs. */
#ifndef LEAVEOUT_UNLEARN_COMMON_H
#define LEAVEOUT_UNLEARN_COMMON_H

#include "unlearn/methods.h"

/* Lines of tables of settings. Defaults are texts of YAML. */
#define LO_SET_EPOCHS(value)                                                                                 \
    {                                                                                                        \
        .name = "epochs", .type = LO_SETTING_INT, .fallback = (value), .low = 1, .high = 1e6,                \
        .help = "passes"                                                                                     \
    }
#define LO_SET_BATCH(value)                                                                                  \
    {                                                                                                        \
        .name = "batch", .type = LO_SETTING_INT, .fallback = (value), .low = 0, .high = 1e6,                 \
        .help = "examples of a batch; 0: train.batch"                                                        \
    }
/* Any optimizer that steps can be taken with. */
#define LO_SET_PACE(optimizer_, lr_, weight_decay_)                                                          \
    {.name = "optimizer",                                                                                    \
     .type = LO_SETTING_CHOICE,                                                                              \
     .fallback = (optimizer_),                                                                               \
     .choices = "sgd adamw",                                                                                 \
     .help = "of the steps; betas and epsilon of adamw are train.optimizer's"},                              \
        {.name = "lr",                                                                                       \
         .type = LO_SETTING_REAL,                                                                            \
         .fallback = (lr_),                                                                                  \
         .low = 0,                                                                                           \
         .high = 1e6,                                                                                        \
         .help = "learning rate"},                                                                           \
        {.name = "momentum",                                                                                 \
         .type = LO_SETTING_REAL,                                                                            \
         .fallback = "0.9",                                                                                  \
         .low = 0,                                                                                           \
         .high = 1,                                                                                          \
         .help = "of sgd"},                                                                                  \
        {.name = "weight_decay",                                                                             \
         .type = LO_SETTING_REAL,                                                                            \
         .fallback = (weight_decay_),                                                                        \
         .low = 0,                                                                                           \
         .high = 1e3,                                                                                        \
         .help = "per step, times lr"},                                                                      \
    {                                                                                                        \
        .name = "clip_norm", .type = LO_SETTING_REAL, .fallback = "0", .low = 0, .high = 1e6,                \
        .help = "norm at which gradients are clipped; 0: none"                                               \
    }
/* How lr changes from epoch to epoch. */
#define LO_SET_RATE(schedule_, floor_)                                                                       \
    {.name = "schedule",                                                                                     \
     .type = LO_SETTING_CHOICE,                                                                              \
     .fallback = (schedule_),                                                                                \
     .choices = "constant cosine",                                                                           \
     .help = "of lr, from epoch to epoch"},                                                                  \
    {                                                                                                        \
        .name = "floor", .type = LO_SETTING_REAL, .fallback = (floor_), .low = 0, .high = 1,                 \
        .help = "cosine: where it ends, as a share of lr"                                                    \
    }
#define LO_SET_MODE(value)                                                                                   \
    {                                                                                                        \
        .name = "mode", .type = LO_SETTING_CHOICE, .fallback = (value), .choices = "eval train",             \
        .help = "of batch normalization and dropout during the steps"                                        \
    }

#define LO_COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* The pupil takes up the request with the settings batch, and those of LO_SET_PACE. */
lo_status lo_unlearn_begin(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                           const lo_tick *tick, lo_error *err);

/* The same with room for batches of another size. */
lo_status lo_unlearn_begin_with(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                                int64_t batch, const lo_tick *tick, lo_error *err);

/* A number that a setting of type LO_SETTING_TEXT has, or `automatic` where it is "auto". */
double lo_unlearn_number(const lo_item *settings, const char *name, double automatic);
bool lo_unlearn_is_auto(const lo_item *settings, const char *name);

/* Is it auto or a number from low to high? Errors: LO_USAGE. */
lo_status lo_unlearn_check_number(const lo_item *settings, const char *name, double low, double high,
                                  lo_error *err);

/* lr of an epoch, from 0, by LO_SET_PACE, LO_SET_EPOCHS and LO_SET_RATE. */
double lo_unlearn_rate(const lo_item *settings, int64_t epoch);

/* Has one of these training examples this label? */
bool lo_unlearn_has_label(const lo_request *request, const uint32_t *rows, int64_t count, int32_t label);

/* Feeds of the request's sets. */
lo_status lo_feed_forget(lo_pupil *pupil, const lo_request *request, int64_t batch, const int32_t *label,
                         lo_feed **out, lo_error *err);
lo_status lo_feed_retain(lo_pupil *pupil, const lo_request *request, int64_t batch, lo_feed **out,
                         lo_error *err);

/* Forget and retain set as one list that ascends: malloc'ed [forget_count + retain_count]; NULL without
 * memory. */
uint32_t *lo_unlearn_both(const lo_request *request);

/* `epochs` epochs of a feed with a loss, by the settings' rate. */
lo_status lo_unlearn_epochs(lo_pupil *pupil, const lo_item *settings, lo_feed *feed, lo_batch_loss *loss,
                            void *self, lo_error *err);

#endif
