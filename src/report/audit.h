/* The report's sections on the audit: the privacy of the ensemble's models, and unlearned models beside
 * oracles. */
#ifndef LEAVEOUT_REPORT_AUDIT_H
#define LEAVEOUT_REPORT_AUDIT_H

#include "audit/apart.h"
#include "audit/interval.h"
#include "report/choices.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    LO_REPORT_RATES = 2,
    LO_REPORT_ATTACKS = 3,
    LO_REPORT_ROC = 101,
    LO_REPORT_NUMBERS = 64,
    LO_REPORT_CURVES = 2, /* of unlearned models: lira, rmia */
    LO_REPORT_GROUPS = 3, /* of a forget set: low, middle, high */
    LO_REPORT_BY = 4
};

/* A membership attack on the ensemble's models. */
typedef struct lo_report_attack {
    char name[32], description[128];
    int64_t targets;
    lo_bounded auc,
        rate[LO_REPORT_RATES]; /* means over targets; found at 1 % and 0.1 % false positives, NaN: too few */
    double accuracy;           /* best balanced one, of all scores */
    double agreement;          /* Spearman's, of vulnerability and memorization */
    double roc[LO_REPORT_ROC];
    double above[2]; /* share of the examples whose vulnerability, an AUC, is above 0.6 and 0.9 */
} lo_report_attack;

typedef struct lo_report_privacy {
    int attacks; /* 0: none */
    lo_report_attack attack[LO_REPORT_ATTACKS];
    double rate[LO_REPORT_ROC]; /* false positives of the curves */
} lo_report_privacy;

/* A number of the audit: a column. */
typedef struct lo_report_number {
    char name[32], description[384], best[64], refused[256];
} lo_report_number;

/* The models of one method on one forget set. */
typedef struct lo_report_audited {
    char forget_set[128], method[128], setting[128];
    char label[160]; /* in figures, where methods of one name are to be told apart */
    bool oracle;
    int64_t seeds;
    char against[16]; /* what u_lira compares them with: "matched", "oracles"; "": nothing */
    int64_t rests;    /* on how many models, of both sides, it rests */
    lo_bounded value[LO_REPORT_NUMBERS]; /* means over seeds, Student's intervals */
    lo_told told[LO_REPORT_NUMBERS];     /* of the difference from the oracles */
    int64_t sides[LO_REPORT_NUMBERS]; /* models a side, of what depends on how many there are; 0: of others */
    double ceiling[LO_REPORT_NUMBERS];           /* of as many, where there are sides */
    lo_bounded forgetting, utility;              /* UA and test accuracy */
    double time;                                 /* as a share of an oracle's training; NaN */
    double roc[LO_REPORT_CURVES][LO_REPORT_ROC]; /* members found, means over seeds; NaN: too few others */
    char score[128]; /* that the groups of its forget set go by; "": it has none */
    int64_t examples[LO_REPORT_GROUPS];
    double mean_score[LO_REPORT_GROUPS];
    lo_bounded by_group[LO_REPORT_BY][LO_REPORT_GROUPS];
    lo_told group_told[LO_REPORT_BY][LO_REPORT_GROUPS];
} lo_report_audited;

/* The receipt of a run: its file's name and content. */
typedef struct lo_report_receipt {
    char name[160];
    char *text; /* owned */
} lo_report_receipt;

enum { LO_REPORT_RECEIPTS = 24 };

typedef struct lo_report_audit {
    int64_t test_in_train, validation_in_train; /* examples that the training set has too */
    int receipts;                               /* shown, of all_receipts */
    int64_t all_receipts;
    lo_report_receipt receipt[LO_REPORT_RECEIPTS];
    int numbers; /* columns */
    lo_report_number number[LO_REPORT_NUMBERS];
    int by_numbers; /* of groups */
    lo_report_number by_number[LO_REPORT_BY];
    double rate[LO_REPORT_ROC];          /* false positives of the curves */
    const char *curve[LO_REPORT_CURVES]; /* the attack, static; NULL: there is no curve of it */
    int64_t rows;                        /* 0: none; those of one forget set stand together */
    lo_report_audited *row;
    int64_t choices; /* of groups of rum */
    lo_report_choice *choice;
} lo_report_audit;

/* Write the sections; nothing where there is nothing. */
void lo_report_write_privacy(FILE *out, const lo_report_privacy *privacy);
void lo_report_write_audit(FILE *out, const lo_report_audit *audit);

/* What stands before a number: of one whose difference from the oracles is noise, or cannot be told. */
const char *lo_report_mark(lo_told told, double value);

#endif
