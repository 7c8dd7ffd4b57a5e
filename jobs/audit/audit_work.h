/* The audit of unlearning under work: its rows and their figures, and the forget set at hand. */
#ifndef LEAVEOUT_JOBS_AUDIT_WORK_H
#define LEAVEOUT_JOBS_AUDIT_WORK_H

#include "audit/accuracy.h"
#include "audit/interval.h"
#include "base/status.h"
#include "base/tick.h"
#include "jobs/audit/audit_groups.h"
#include "jobs/audit/audit_input.h"
#include "jobs/audit/audit_network.h"
#include "jobs/audit/audit_numbers.h"
#include "jobs/audit/audit_weights.h"
#include "jobs/audit/privacy.h"
#include "jobs/study/study.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct lo_audit_figure {
    double value, low, high;
    int64_t models; /* that it rests on, beside the one judged */
    int64_t reason;
    lo_bounded ceiling; /* its own; NaN: the mean over the oracles of what they have */
    lo_bounded apart;   /* from the ceiling, of all seeds of its method together */
    int64_t reference;  /* LO_AUDIT_AGAINST_... */
    int64_t fitted;     /* examples of either kind that an attack was fitted to; 0: it was fitted to none */
} lo_audit_figure;

enum {
    LO_AUDIT_FIGURES = LO_AUDIT_NUMBERS + LO_BY_NUMBERS * LO_AUDIT_GROUPS,
    LO_AUDIT_TOGETHER = LO_AUDIT_QUALITY - LO_AUDIT_U_LIRA + 1 /* numbers that all seeds have together */
};

/* What a row's distance from each oracle is kept of, groups of the forget set last. */
enum {
    LO_AUDIT_OF_DISAGREEMENT,
    LO_AUDIT_OF_ACTIVATION,
    LO_AUDIT_OF_ACTIVATION_L1,
    LO_AUDIT_OF_JS,
    LO_AUDIT_OF_WEIGHTS,
    LO_AUDIT_OF_GROUPS,
    LO_AUDIT_DISTANCES = LO_AUDIT_OF_GROUPS + LO_AUDIT_GROUPS
};

/* What is found of a row: in memory, and in its record in the journal, where weight distances by layer
 * and distances by oracle follow. */
typedef struct lo_audited {
    lo_audit_figure figure[LO_AUDIT_FIGURES]; /* of the whole set, then of groups: lo_audit_by */
    lo_accuracies accuracies;
    lo_hits hits[LO_AUDIT_GROUPS];               /* on each group of the forget set; none without groups */
    float curve[LO_AUDIT_CURVES][LO_ROC_POINTS]; /* members found at lo_roc_point */
} lo_audited;

/* A row, or what all seeds of its method have together, of which it is the first row. */
typedef struct lo_audit_task {
    int64_t row;
    bool together;
} lo_audit_task;

typedef struct lo_audit {
    lo_study *study;
    lo_tick tick; /* of the task under work */
    lo_audit_input in;
    bool wanted[LO_AUDIT_NUMBERS];
    bool wanted_by[LO_BY_NUMBERS]; /* of groups */
    lo_audit_groups *groups;       /* [in.sets] */
    lo_audit_task *task;           /* [tasks] */
    uint64_t *digest;              /* [tasks]: of all that each depends on */
    bool *done;                    /* [tasks]: its record was read */
    int64_t tasks;
    char *payload;             /* of the task under work */
    lo_audited *audited;       /* [rows] */
    lo_audit_figure *together; /* [rows, LO_AUDIT_TOGETHER], at the first row of a group */
    double *layer;             /* [rows, layers]: weight distances, means over oracles */
    int64_t layers;
    double *distance; /* [rows, LO_AUDIT_DISTANCES, most_oracles]: from each oracle of its forget set */
    int64_t most_oracles;
    char (*layer_name)[LO_AUDIT_LAYER];
    /* The forget set at hand: */
    int set;         /* -1: none */
    int64_t *oracle; /* [oracles]: rows */
    lo_audit_model *oracle_model;
    int64_t oracles;
    lo_audit_network *network; /* NULL: no number needs one */
    lo_logits fresh;           /* what a network of random weights says of it */
} lo_audit;

/* The number among the figures of a row that a group's number is. */
static inline int lo_audit_by(int number, int group)
{
    return LO_AUDIT_NUMBERS + number * LO_AUDIT_GROUPS + group;
}

/* A figure of a row. */
lo_audit_figure *lo_audit_cell(const lo_audit *a, int64_t row, int number);

/* All figures and curves of a row are missing. */
void lo_audit_clear(lo_audit *a, int64_t row, int reason);

/* Where the distances of a row from the oracles of its forget set are, [most_oracles], in the order of
 * a->oracle; NaN: there is none. */
double *lo_audit_distances(const lo_audit *a, int64_t row, int distance);

lo_audit_figure lo_audit_missing(int reason);
lo_audit_figure lo_audit_found(lo_bounded value, int64_t models);
lo_status lo_audit_no_memory(lo_error *err);

/* Reads the outputs of a set's oracles, unless they are there. The caller drops them at the end. Errors: as
 * lo_audit_load, lo_audit_fresh. */
lo_status lo_audit_take_set(lo_audit *a, int set, lo_error *err);
void lo_audit_drop_oracles(lo_audit *a);

/* The first row of the group of r: the models of one method with its settings on one forget set. */
int64_t lo_audit_group_of(const lo_audit *a, int64_t r);
bool lo_audit_same_group(const lo_audit_row *a, const lo_audit_row *b);

/* Is this a matched model of the method and forget set of a row? */
bool lo_audit_is_matched(const lo_audit_row *matched, const lo_audit_row *row);

/* out [count]: margins of rows of a part. */
void lo_audit_fill_margins(const lo_audit_model *m, int part, const uint32_t *rows, int64_t count,
                           float *out);

/* Where a row's weights are; are they kept? */
bool lo_audit_weights_of(const lo_audit *a, int64_t r, char path[PATH_MAX]);

/* What a row is compared with: of a run the original that it began with, of an oracle that of the same seed,
 * in turn where there are more oracles. */
void lo_audit_original_of(const lo_audit *a, int64_t r, char path[PATH_MAX]);

/* Has any forget set groups? */
bool lo_audit_has_groups(const lo_audit *a);

#endif
