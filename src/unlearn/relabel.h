/* Training with wrong labels of the forget set: random_label, amnesiac, salun. */
#ifndef LEAVEOUT_UNLEARN_RELABEL_H
#define LEAVEOUT_UNLEARN_RELABEL_H

#include "unlearn/common.h"

typedef struct lo_relabel {
    bool mixed;  /* forget and retain set in the same batches; else a pass over each, epoch by epoch */
    bool wrong;  /* never the true label; else all classes are as likely */
    bool once;   /* labels are drawn once; else anew in every epoch */
    bool retain; /* the retain set is trained on too */
    double stop; /* ends after the first epoch with no higher accuracy on the forget set (its true labels,
                  * before the epoch's steps on it); not with `mixed`; 0: never */
} lo_relabel;

/* The settings that say so, with defaults. */
#define LO_SET_RELABEL(passes_, wrong_, draw_)                                                               \
    {.name = "passes",                                                                                       \
     .type = LO_SETTING_CHOICE,                                                                              \
     .fallback = (passes_),                                                                                  \
     .choices = "separate mixed",                                                                            \
     .help = "an epoch is a pass over the forget set, then one over the retain set, or one over both"},      \
        {.name = "wrong_only",                                                                               \
         .type = LO_SETTING_BOOL,                                                                            \
         .fallback = (wrong_),                                                                               \
         .help = "labels drawn are never the true one"},                                                     \
    {                                                                                                        \
        .name = "draw", .type = LO_SETTING_CHOICE, .fallback = (draw_), .choices = "epoch once",             \
        .help = "how often labels are drawn"                                                                 \
    }

/* That of these settings; retain is true, stop 0. */
lo_relabel lo_relabel_of(const lo_item *settings);

/* Epochs by the settings' rate, of a pupil that has begun. */
lo_status lo_relabel_train(lo_pupil *pupil, const lo_request *request, const lo_item *settings,
                           const lo_relabel *relabel, lo_error *err);

/* For methods' work: `epochs` passes over both sets. */
lo_unlearn_work lo_relabel_work(const lo_unlearn_sizes *sizes, const lo_item *settings);

/* For methods' inapplicable: with one class there is no other label. */
const char *lo_relabel_inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                    char *why, size_t size);

#endif
