/* Methods of stage attribution: models whose versions without an example, or without a group, can be
 * computed. A new method is one file that defines an lo_attribution_type, and one line in the list of
 * attribution.c.
 *
 * Training examples are sharded over ranks in slabs of equal width; each rank leaves out its own, in blocks,
 * and says what the models without them give on every target. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_H
#define LEAVEOUT_JOBS_ATTRIBUTION_H

#include "attribute/effect.h"
#include "attribute/features.h"
#include "attribute/left_out.h"
#include "attribute/sums.h"
#include "base/tick.h"
#include "jobs/attribution/attribution_work.h"
#include "jobs/study/study.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_ATTRIBUTION_BLOCK = LO_ATTRIBUTE_GRAIN }; /* examples that are left out at a time, one by one */

struct lo_softmax_fitted;
struct lo_attribution_network;

/* Whose examples are left out: a linear model (or kernel) of the scaled inputs, the same of a layer's
 * features, or a whole network. */
typedef enum lo_attribution_model {
    LO_ATTRIBUTION_LINEAR,
    LO_ATTRIBUTION_FEATURES,
    LO_ATTRIBUTION_NETWORK
} lo_attribution_model;

/* What the methods are given. */
typedef struct lo_attribution {
    lo_study *study;
    lo_features train, target; /* target.count 0: there are none */
    const lo_examples *train_examples, *target_examples;
    int64_t width, first, count; /* of slabs; this rank's training examples */
    int32_t classes;
    double penalty, tolerance, gamma, damping;
    bool spectrum;
    bool keep; /* what another damping needs */
    bool rbf;
    int64_t groups;
    lo_left_out *group;  /* [groups] */
    int64_t *member;     /* of all groups, one behind the other */
    lo_inputs inputs[2]; /* of training examples, of targets */
    double memory;       /* bytes a rank may take */
    const lo_tick *tick;
    const lo_reduction *reduction;            /* over the ranks */
    struct lo_softmax_fitted *softmax_fitted; /* shared by the methods that need it */
    lo_attribution_model model;
    int64_t parameters;                     /* of the network; 0: there is none, or its features are meant */
    struct lo_attribution_network *network; /* NULL: LO_ATTRIBUTION_LINEAR */
    bool primal, dual;                      /* which form is asked for; neither: the smaller */
    double room;                            /* bytes that the method at work may take ... */
    double spare;                           /* ... and that it does not need */
} lo_attribution;

/* What a method found out about its own work, the same on all ranks at the end. */
typedef struct lo_attribution_notes {
    double fit_gradient; /* norm of the gradient of the fit to all examples; NaN: it is a closed form */
    double worst;        /* largest norm of a gradient without an example (or a group); NaN: likewise */
    double products;     /* with the Hessian, this rank; summed up for the file */
    int64_t parameters;
} lo_attribution_notes;

/* What a method that says everything at once fills in: see `direct`. */
typedef struct lo_attribution_direct {
    int64_t first, count;   /* this rank's targets */
    lo_effect output;       /* what value is about */
    float *own[LO_EFFECTS]; /* [own examples]: NaN where the method cannot say */
    float *value;           /* [count, n] */
    double damping;         /* what was used */
    double ridge;           /* of the objective whose curvature it is */
    const char *form;       /* "primal" or "dual" */
    int64_t size;           /* rows of the matrix */
    int64_t spectrum;       /* eigenvalues; 0: none */
    double *eigenvalue;     /* [spectrum], ascending, on every rank; malloc'ed, the caller frees it */
} lo_attribution_direct;

typedef struct lo_attribution_type {
    const char *name;        /* as in the job file: "ridge_loo" */
    const char *description; /* one line */
    const char *source;      /* publication */
    bool logits;             /* class values are logits; else values fitted to one-hot labels */
    bool certificate;        /* leave and leave_groups give gradient norms */
    bool networks;           /* treats whole networks too */

    /* Collective: of a method whose values are sums of products rather than models: the values of this rank's
     * targets, and of its examples. A group's value is the sum of its examples'. NULL: what follows bytes is
     * there instead. */
    lo_status (*direct)(lo_attribution *a, lo_attribution_direct *out, lo_attribution_notes *notes,
                        lo_error *err);

    /* Local: bytes that the largest rank takes when there are `ranks`, without the values. */
    double (*bytes)(const lo_attribution *a, int ranks);

    /* Local: adds what the method does, given a's room for it (0: all it asks for). */
    void (*work)(const lo_attribution *a, lo_attribution_work *sum);

    /* Collective: fits the model to all training examples. *self goes to what follows; end releases it, after
     * an error too. */
    lo_status (*begin)(lo_attribution *a, void **self, lo_attribution_notes *notes, lo_error *err);
    void (*end)(void *self);

    /* The rest is local. Class values that the model fitted to all examples gives for targets: out [count,
     * classes]. */
    lo_status (*say_full)(void *self, int64_t first, int64_t count, double *out, lo_error *err);

    /* Leaves out, each alone, the training examples [first, first + count) of this rank's slab, or the groups
     * of these numbers; what follows is about these models. gradient [count] takes the certificates. */
    lo_status (*leave)(void *self, int64_t first, int64_t count, double *gradient, lo_error *err);
    lo_status (*leave_groups)(void *self, int64_t first, int64_t count, double *gradient, lo_error *err);

    /* Class values on the examples left out: with them, and without; out [count, classes]. Not of groups. */
    lo_status (*say_own)(void *self, double *with, double *without, lo_error *err);

    /* Class values for targets: out [count, models, classes]. full [count, classes] is what say_full gives.
     */
    lo_status (*say)(void *self, int64_t first, int64_t count, const double *full, double *out,
                     lo_error *err);
} lo_attribution_type;

int lo_attribution_count(void);
const lo_attribution_type *lo_attribution_at(int i);
const lo_attribution_type *lo_attribution_find(const char *name); /* NULL: none has it */

extern const lo_attribution_type lo_attribution_ridge, lo_attribution_kernel_ridge, lo_attribution_alo,
    lo_attribution_certified, lo_attribution_ggn, lo_attribution_hessian;

/* Digest of what attribution.h5 depends on: its keys and its methods. */
uint64_t lo_attribution_digest(const lo_job *job);

/* Collective. Softmax regression on all examples, fitted once for all methods. What it points to is a's. */
typedef struct lo_softmax_fit_view {
    const struct lo_softmax *model;
    const double *theta;       /* [parameters] */
    const double *target_rows; /* [targets, d] */
    double gradient;           /* norm of the objective's gradient */
} lo_softmax_fit_view;
lo_status lo_softmax_fitted(lo_attribution *a, lo_softmax_fit_view *out, lo_error *err);

/* Collective, after that: its Hessian [parameters, parameters], on every rank, a's too: to be used at once,
 * as the next method spoils it. */
lo_status lo_softmax_fitted_hessian(lo_attribution *a, double **hessian, lo_error *err);

/* Adds the fit, if sum has none, and the Hessian's inverse, if it has none, or the Hessian. */
void lo_softmax_work(const lo_attribution *a, bool inverse, lo_attribution_work *sum);

/* Releases what the methods share. */
void lo_softmax_fitted_destroy(struct lo_softmax_fitted **fitted);

/* What a job's section says of its data: all of *out but what a run adds (study, slab, memory, tick,
 * reduction). *out must stay where it is, and the data open; a network is open, without weights.
 * lo_attribution_undescribe in any case. Errors: LO_USAGE for targets or groups that do not go with the data;
 * those of lo_attribution_check and lo_attribution_network_open. */
lo_status lo_attribution_describe(const lo_job *job, const lo_dataset *data, lo_attribution *out,
                                  lo_error *err);
void lo_attribution_undescribe(lo_attribution *a);

/* Local: bytes that each of so many ranks on this node may take: what the job says, or their part of the
 * node's memory (or the control group's). */
double lo_attribution_memory(const lo_job *job, int neighbours);

/* Bytes of attribution.h5, some facts left out; top: the strongest of each row alone, 0: all. */
double lo_attribution_file_bytes(const lo_attribution *a, int64_t methods, int64_t top);

/* What can be seen of a job's section without its data. Errors: LO_USAGE for a method that does not treat
 * whole networks, an original that there will not be. */
lo_status lo_attribution_check(const lo_job *job, lo_error *err);

/* What the model of a job is called: "linear", ...; and its number. */
lo_attribution_model lo_attribution_model_of(const lo_job *job);

/* Local: the slab of `rank` when `total` things, in blocks of LO_ATTRIBUTE_GRAIN, are cut into slabs of equal
 * width (but for the last ones). Returns the width. */
int64_t lo_attribution_slab(int64_t total, int rank, int ranks, int64_t *first, int64_t *count);

/* malloc'ed zeros, NULL without memory: at least one. */
double *lo_attribution_numbers(int64_t count);

#endif
