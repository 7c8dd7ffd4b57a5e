/* The numbers that audit.h5 can have, and why one is missing. */
#ifndef LEAVEOUT_JOBS_AUDIT_NUMBERS_H
#define LEAVEOUT_JOBS_AUDIT_NUMBERS_H

#include <stdbool.h>

/* A group of the file each, in the order in which exports, receipts and the report have them. */
enum {
    LO_AUDIT_TOW_MIA,
    LO_AUDIT_AVG_GAP,
    LO_AUDIT_AUS,
    LO_AUDIT_DELTA_FORGET,
    LO_AUDIT_DELTA_RETAIN,
    LO_AUDIT_DELTA_VALIDATION,
    LO_AUDIT_DELTA_TEST,
    LO_AUDIT_DISAGREEMENT,
    LO_AUDIT_ACTIVATION,
    LO_AUDIT_ACTIVATION_L1,
    LO_AUDIT_JS,
    LO_AUDIT_SVC, /* on the confidence */
    LO_AUDIT_SVC_MATCHED,
    LO_AUDIT_SVC_CORRECT,
    LO_AUDIT_SVC_ENTROPY,
    LO_AUDIT_SVC_MODIFIED_ENTROPY,
    LO_AUDIT_SVC_LOSS,
    LO_AUDIT_SVC_MARGIN,
    LO_AUDIT_LOSS,
    LO_AUDIT_ENTROPY,
    LO_AUDIT_POPULATION,
    LO_AUDIT_LIRA,
    LO_AUDIT_LIRA_RATE,
    LO_AUDIT_LIRA_RATE_1000,
    LO_AUDIT_LIRA_EPSILON,
    LO_AUDIT_RMIA,
    LO_AUDIT_RMIA_RATE,
    LO_AUDIT_RMIA_RATE_1000,
    LO_AUDIT_RMIA_EPSILON,
    LO_AUDIT_U_LIRA,
    LO_AUDIT_U_LIRA_POOLED,
    LO_AUDIT_U_LIRA_RATE,
    LO_AUDIT_U_LIRA_RATE_1000,
    LO_AUDIT_U_LIRA_EXAMPLE_RATE,
    LO_AUDIT_U_LIRA_EXAMPLE_RATE_1000,
    LO_AUDIT_KLOM,
    LO_AUDIT_QUALITY,
    LO_AUDIT_WEIGHTS,
    LO_AUDIT_ZRF,
    LO_AUDIT_RELEARN,
    LO_AUDIT_ANAMNESIS,
    LO_AUDIT_ENTANGLEMENT,
    LO_AUDIT_NUMBERS
};

typedef struct lo_audit_number {
    const char *name, *metric; /* of the group, and of the job's audit.metrics */
    const char *description;
    const char *best;    /* NULL: the metric's */
    const char *feature; /* that audit.mia_features is to list for it; NULL: needs none */
    bool fitted;         /* to how many examples is told for each row */
} lo_audit_number;

const lo_audit_number *lo_audit_number_at(int i);

/* What of it is best: "1", "the oracles'". */
const char *lo_audit_best(const lo_audit_number *number);

/* Attacks with a ROC curve in the file. */
enum { LO_AUDIT_CURVE_LIRA, LO_AUDIT_CURVE_RMIA, LO_AUDIT_CURVES };
int lo_audit_curve_number(int curve);

/* Numbers of each group of a forget set (audit_groups.h). */
enum { LO_BY_FORGET_ACCURACY, LO_BY_TOW, LO_BY_SVC, LO_BY_DISAGREEMENT, LO_BY_NUMBERS };
const lo_audit_number *lo_audit_by_number_at(int i);

/* Why there is no number. */
enum {
    LO_AUDIT_FOUND,
    LO_AUDIT_NO_MODEL,
    LO_AUDIT_NO_ORACLE,
    LO_AUDIT_NO_ORIGINAL,
    LO_AUDIT_NO_SCORE,
    LO_AUDIT_FEW_OTHERS,
    LO_AUDIT_FEW_REFERENCES,
    LO_AUDIT_FEW_MODELS,
    LO_AUDIT_FEW_HALVES,
    LO_AUDIT_NOT_KEPT,
    LO_AUDIT_NO_WEIGHTS,
    LO_AUDIT_NO_RELEARNING,
    LO_AUDIT_NOT_ASKED,
    LO_AUDIT_GIVEN_UP,
    LO_AUDIT_NO_GROUPS,
    LO_AUDIT_FEW_SCORES,
    LO_AUDIT_NO_VALIDATION,
    LO_AUDIT_NO_MATCH,
    LO_AUDIT_REASONS
};

/* What models that never saw the forget set u_lira rests on: oracles as they are, or made to forget another
 * set.
 */
enum { LO_AUDIT_AGAINST_NONE, LO_AUDIT_AGAINST_ORACLES, LO_AUDIT_AGAINST_MATCHED };

/* "" for LO_AUDIT_FOUND, else what is missing and would be needed. */
const char *lo_audit_reason(int reason);

#endif
