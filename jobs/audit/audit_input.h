/* What the audit of unlearning reads: the rows of evaluation.h5 (a model on a forget set), outputs of models,
 * forget sets, and the margins of the ensemble's models on them. */
#ifndef LEAVEOUT_JOBS_AUDIT_INPUT_H
#define LEAVEOUT_JOBS_AUDIT_INPUT_H

#include "audit/logits.h"
#include "audit/references.h"
#include "base/status.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/study.h"
#include "mpi/h5file.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_AUDIT_TRAIN, LO_AUDIT_VALIDATION, LO_AUDIT_TEST, LO_AUDIT_PARTS };

/* A row: a model, and the forget set that it is looked at for. */
typedef struct lo_audit_row {
    char kind[32], method[LO_H5_TEXT_SIZE + 1], setting[LO_H5_TEXT_SIZE + 1], forget_set[LO_H5_TEXT_SIZE + 1];
    char model[LO_H5_TEXT_SIZE + 1];
    int64_t seed;
    bool oracle, original;
    int64_t output; /* its row in outputs.h5; -1: there is no model, or it diverged */
    int set;        /* number of its forget set */
} lo_audit_row;

typedef struct lo_audit_set {
    char name[LO_H5_TEXT_SIZE + 1];
    uint32_t *forget, *retain; /* positions in the training set */
    uint32_t *other, *unseen;  /* in the test and in the validation set: of the classes of the forget set */
    int64_t forget_count, retain_count, other_count, unseen_count;
    uint32_t *alike, *other_alike; /* of retain and other those of classes that forget and retain set have */
    int64_t alike_count, other_alike_count;
    bool whole_class;
} lo_audit_set;

typedef struct lo_audit_input {
    const lo_study *study;
    lo_h5_reader outputs;
    lo_audit_row *row;
    int64_t rows;
    lo_audit_row
        *matched; /* [matched_count]: oracles that forgot another set, which are in no row; by oracle */
    int64_t matched_count;
    lo_audit_set *set;
    int sets;
    char state[32]; /* of outputs.h5: what it was made from */
    bool has_ensemble;
    lo_ensemble_file ensemble;
    float *margin[2]; /* of the ensemble's models: [rows, n] on training and test examples; NULL */
    lo_columns mask;
} lo_audit_input;

/* Local. Opens the study's files; ensemble: also the ensemble's margins, if it has any. Errors: LO_IO,
 * LO_DATA; LO_INTERNAL without memory. Close it in any case. */
lo_status lo_audit_open(const lo_study *study, bool ensemble, lo_audit_input *out, lo_error *err);
void lo_audit_close(lo_audit_input *input);

/* A model's logits. */
typedef struct lo_audit_model {
    float *value[LO_AUDIT_PARTS]; /* owned */
    lo_logits logits[LO_AUDIT_PARTS];
} lo_audit_model;

lo_status lo_audit_load(const lo_audit_input *input, const lo_audit_row *row, lo_audit_model *out,
                        lo_error *err);
void lo_audit_unload(lo_audit_model *model);

#endif
