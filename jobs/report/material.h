/* What a study's report is made of: read from its files, one kind of result a file here. Rank 0 alone. */
#ifndef LEAVEOUT_JOBS_REPORT_MATERIAL_H
#define LEAVEOUT_JOBS_REPORT_MATERIAL_H

#include "base/status.h"
#include "jobs/scores/score_list.h"
#include "jobs/study/study.h"
#include "mpi/ledger.h"
#include "report/report.h"

#include <stdint.h>

enum { LO_MATERIAL_SCORES = 64, LO_MATERIAL_TEXT = 512 };

/* Everything that the lo_report points to. */
typedef struct lo_material {
    lo_study *study;
    lo_report report;
    lo_ledger ledger; /* of the ensemble, and of what all stages took */
    lo_report_stage stage[LO_STAGES];
    lo_report_original *original;
    double *curves; /* [originals, 2, epochs] */
    lo_report_unlearned *unlearned;
    lo_report_attempt *attempt;
    char (*attempt_text)[6][LO_MATERIAL_TEXT]; /* start, hosts, processor, job, ended, spare */
    lo_report_score score[LO_MATERIAL_SCORES];
    char score_names[LO_SCORE_NAMES_SIZE];
    char score_description[LO_MATERIAL_SCORES][LO_MATERIAL_TEXT];
    void *score_field[LO_MATERIAL_SCORES][4];
    float *test_accuracy, *seconds;
    const char **class_name;
    char *job;
    int64_t *influence_test, *influence_index;
    float *influence_value, *influence_error;
} lo_material;

/* Each fills in its part of m->report, and leaves it empty where the study has nothing of the kind. Errors:
 * LO_IO, LO_DATA for files that do not hold what they should, LO_INTERNAL without memory. What they have
 * allocated belongs to m either way. */
lo_status lo_gather_attempts(lo_material *m, lo_error *err);
lo_status lo_gather_ensemble(lo_material *m, lo_error *err);
lo_status lo_gather_originals(lo_material *m, lo_error *err);
lo_status lo_gather_scores(lo_material *m, lo_error *err);
lo_status lo_gather_influence(lo_material *m, lo_error *err);

/* manifest.json: versions, processor types, hosts, attempts, usage. */
lo_status lo_write_manifest(const lo_material *m, lo_error *err);

#endif
