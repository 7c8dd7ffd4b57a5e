/* What a job's section `unlearning` asks for: forget sets, methods with their settings, and the tasks that
 * these make. */
#ifndef LEAVEOUT_JOBS_UNLEARNING_H
#define LEAVEOUT_JOBS_UNLEARNING_H

#include "base/items.h"
#include "base/status.h"
#include "jobs/scores/score_list.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearning_search.h"
#include "unlearn/forget.h"
#include "unlearn/methods.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LO_NAME_OF_SET = 80, LO_SUFFIX = 16, LO_NAME_OF_MODEL = 128, LO_UNMATCHED = 160 };

/* A forget set of the job; or, in a sequence of requests, all that is forgotten when a step of it is done:
 * "a+b" after b was forgotten by a model that had forgotten a. */
typedef struct lo_forgotten {
    char name[LO_NAME_OF_SET];
    lo_item *item;      /* of a set of the job; NULL */
    lo_forget_set set;  /* all that is forgotten */
    lo_forget_set step; /* what the last request asks for; the same where there was none before */
    int64_t size;       /* of set; while a score of it is not known, the set being empty, what it will be */
    int64_t step_size;  /* of step, likewise */
    int before;         /* what was forgotten before, -1: nothing */
    int depth;          /* how many requests before */
    uint64_t digest;    /* of the examples' numbers, request by request */
    bool matched;       /* oracles forget another set: unlearning_matched.h */
    char unmatched[LO_UNMATCHED]; /* where the job asks for that: why they do not */
    lo_forget_set
        *other; /* [others]: what each oracle forgets; while a score of the set is not known, NULL */
    int64_t others;
} lo_forgotten;

/* A method with its settings. */
typedef struct lo_unlearner {
    const lo_unlearn_method *method;
    lo_item *item;
    char *canonical; /* its settings as text: lo_item_canonical; owned */
    char
        suffix[LO_SUFFIX]; /* "" with no setting that is not at its default; else "-" and the text's digest */
    double *score;         /* [train.count] what it splits by; NULL: nothing; owned */
    uint64_t score_digest;
    const lo_listed_score *rescore; /* what it splits steps of a sequence by, computed anew; NULL: nothing */
    int rivals; /* the first of those of its method among which a search chooses; -1: it has none */
} lo_unlearner;

typedef enum lo_model_kind {
    LO_MODEL_ORIGINAL,
    LO_MODEL_ORACLE,
    LO_MODEL_UNLEARNED,
    LO_MODEL_MATCHED
} lo_model_kind;
const char *lo_model_kind_name(lo_model_kind kind);

/* A task leaves the outputs of one model: an original, which is there already; an oracle, trained afresh
 * without a forget set; an original that was made to forget; an oracle that was made to forget another set.
 */
typedef struct lo_unlearning_task {
    lo_model_kind kind;
    int forgotten;   /* number of the forget set; -1: an original */
    int unlearner;   /* number of the method; -1 */
    int64_t seed;    /* of a matched model its oracle's */
    uint64_t digest; /* of all that its result depends on */
} lo_unlearning_task;

typedef struct lo_unlearning {
    const lo_job *job;
    const lo_dataset *data;
    lo_items *forget_items, *method_items, *search_items;
    lo_score_list scores; /* the job's, for those that are computed anew */
    lo_variants *search;  /* [searches] */
    int searches;
    lo_forgotten *listed; /* [listed_count]: the sets of the job */
    int listed_count;
    lo_forgotten *forgotten; /* [forgotten_count]: those that are forgotten, a sequence step by step */
    int forgotten_count;
    lo_unlearner *unlearner;
    int unlearner_count;
    int listed_methods; /* the first of them: those of the list, not of a search */
    bool matched;       /* there are matched models */
    int64_t seeds, oracles;
    lo_unlearning_task *task; /* [tasks], longest expected first */
    uint64_t *digest;         /* [tasks] */
    int64_t tasks;
} lo_unlearning;

/* Local. Is the section all right, as far as that can be said before anything is trained? Errors: LO_USAGE
 * for settings that are not, forget sets that cannot be (see lo_forget_select), scores that no stage
 * computes, methods that need what the job does not have, requests that a method refuses. */
lo_status lo_unlearning_check(const lo_job *job, const lo_dataset *data, lo_error *err);

/* Local. What can be said before the data are read: names, settings, scores, sequence, search. Errors: as
 * above. */
lo_status lo_unlearning_check_settings(const lo_job *job, lo_error *err);

/* Collective. The same with scores read from the study's files, and tasks. Close it in any case. */
lo_status lo_unlearning_open(const lo_study *study, lo_unlearning *out, lo_error *err);
void lo_unlearning_close(lo_unlearning *u);

/* What the stage will take, before anything is computed. */
typedef struct lo_unlearning_estimate {
    int64_t oracles, runs, matched, originals; /* tasks */
    double oracle_examples;                    /* that their trainings go through, all together */
    lo_unlearn_work run_work, matched_work;    /* of all runs, of all matched models */
} lo_unlearning_estimate;

/* Local. Errors: as lo_unlearning_check. */
lo_status lo_unlearning_foresee(const lo_job *job, const lo_dataset *data, lo_unlearning_estimate *out,
                                lo_error *err);

/* How many tasks the job makes, from its lists alone. */
int64_t lo_unlearning_planned(const lo_job *job);

/* A digest and the numbers of a set's examples. */
uint64_t lo_unlearning_digest_set(uint64_t digest, const lo_dataset *data, const lo_forget_set *set);

/* "neggrad_plus-random10-0-1f3a9c02", "random10-2", "0": the name of a task's model in its folder. */
void lo_unlearning_name(const lo_unlearning *u, const lo_unlearning_task *task, char *name, size_t size);

/* STUDY/unlearned/NAME.safetensors, STUDY/oracles/..., STUDY/originals/... */
void lo_unlearning_path(const lo_unlearning *u, const char *study, const lo_unlearning_task *task, char *path,
                        size_t size);

/* The number of a task; -1: there is none such. */
int64_t lo_unlearning_find(const lo_unlearning *u, lo_model_kind kind, int forgotten, int unlearner,
                           int64_t seed);

/* What oracles are trained with: apart from the seeds of originals and of the ensemble's models. */
uint64_t lo_oracle_seed(int64_t oracle);

#endif
