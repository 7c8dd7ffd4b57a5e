/* Methods of machine unlearning: what turns an original into a model that should be as if it had never seen
 * the forget set. One file each, unlearn_NAME.c, and one line in the list of methods.c. Which steps they take
 * of the network: pupil.h. */
#ifndef LEAVEOUT_UNLEARN_METHODS_H
#define LEAVEOUT_UNLEARN_METHODS_H

#include "base/items.h"
#include "base/status.h"
#include "base/tick.h"
#include "unlearn/pupil.h"
#include "unlearn/request.h"
#include "unlearn/work.h"

#include <stdbool.h>
#include <stddef.h>

/* Defaults for networks of one preset, where the authors give other settings than the table's. */
typedef struct lo_suited {
    const char *preset;
    const lo_default *defaults; /* [count] */
    int count;
} lo_suited;

typedef struct lo_unlearn_method lo_unlearn_method;
struct lo_unlearn_method {
    const char *name;        /* as in the job file: "neggrad_plus" */
    const char *description; /* one line */
    const char *source;      /* publication */
    unsigned reads;          /* LO_READS_...; a run that reads another set is refused by the pupil */
    unsigned (*reads_with)(const lo_item *settings); /* NULL: reads; else which of them with these settings */
    bool afresh;      /* starts where trainings do, not from the original (retrain) */
    bool needs_score; /* request->score */
    const lo_setting *settings;
    int setting_count;
    const lo_suited *suited; /* [suited_count]; other presets have the table's defaults */
    int suited_count;
    /* NULL, or what lo_request_check says beside its own: LO_USAGE for what is wrong whatever the network. */
    lo_status (*check)(const lo_request *request, const lo_item *settings, lo_error *err);
    /* NULL, or why it cannot treat this request or this network: text of one line, static or in `why`. */
    const char *(*inapplicable)(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                char *why, size_t size);
    /* What a run takes, for leaveout plan. */
    lo_unlearn_work (*work)(const lo_unlearn_sizes *sizes, const lo_item *settings);
    /* Changes the pupil's network. settings were accepted. Every random number is keyed by (request->seed,
     * request->run), so the result's bits depend on nothing else on one processor type, nor on how many ranks
     * or threads share the pupil's batches. Errors: what tick returned. A network that becomes NaN or
     * infinite is LO_OK and lo_pupil_diverged. */
    lo_status (*run)(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err);
};

int lo_unlearn_method_count(void);
const lo_unlearn_method *lo_unlearn_method_at(int i);
/* NULL for a name that no method has. */
const lo_unlearn_method *lo_unlearn_method_find(const char *name);

/* Takes an item's settings (lo_item_accept) with the method's defaults for networks of a preset (NULL: of
 * none). Errors: LO_USAGE, as there. */
lo_status lo_unlearn_accept(const lo_unlearn_method *method, const char *preset, lo_item *item,
                            lo_error *err);

/* Which sets it reads with these settings, which were accepted. */
unsigned lo_unlearn_reads(const lo_unlearn_method *method, const lo_item *settings);

/* Says whether a method may run: LO_USAGE, before anything is trained, for an empty forget set, one larger
 * than the retain set where the method reads that, positions out of range or twice, a score that is needed
 * and missing, and what the method's own check finds. settings were accepted. */
lo_status lo_request_check(const lo_request *request, const lo_unlearn_method *method,
                           const lo_item *settings, lo_error *err);

#endif
