/* report.html: one self-contained page that a newcomer understands. Knows nothing of MPI or HDF5: it is given
 * arrays. */
#ifndef LEAVEOUT_REPORT_REPORT_H
#define LEAVEOUT_REPORT_REPORT_H

#include "base/status.h"
#include "data/dataset.h"
#include "report/audit.h"
#include "report/scaling.h"
#include "report/unlearning.h"

#include <stdbool.h>
#include <stdint.h>

/* One score of the training examples; arrays [n] or NULL. */
typedef struct lo_report_score {
    const char *name; /* "memorization" */
    const char *description;
    const float *value, *standard_error, *low, *high;
    int orientation;     /* +1: larger is more memorized; -1 */
    double cost, shared; /* core-seconds: its own, and of trainings that it shares with others */
    double agreement;    /* Spearman's correlation with memorization; NaN: there is none */
    bool plain;          /* a line of the tables, without figures: of such there may be dozens */
} lo_report_score;

/* One line of "what was run, where, and what it cost". */
typedef struct lo_report_attempt {
    int number;
    const char *start; /* ISO 8601 */
    double seconds;    /* wall */
    int ranks;
    const char *hosts;     /* "n1,n2" */
    const char *processor; /* lo_processor_type */
    const char *job;       /* Slurm job id or "" */
    const char *ended;     /* "complete", "stopped: SIGUSR1", "died", "running" */
    int64_t models;        /* of the ensemble and originals, trained in it */
    double core_seconds;   /* its wall time times its cores; not below what its tasks took */
    int64_t tasks;         /* of all stages */
    double cores;
} lo_report_attempt;

/* What a stage took, over all attempts. */
typedef struct lo_report_stage {
    const char *name;
    int64_t tasks;
    double task_core_seconds; /* of its tasks */
    double core_seconds; /* the time in the stage times the cores, waiting included; NaN: not on record */
} lo_report_stage;

/* A model trained on the whole training set. */
typedef struct lo_report_original {
    int64_t seed;
    double test_accuracy, seconds;
    bool diverged;
    const double *loss, *accuracy; /* [epochs], of the training; NaN after it diverged */
} lo_report_original;

/* A method of attribution, in a line. */
typedef struct lo_report_method {
    const char *name, *description;
    int64_t parameters;
    double penalty, core_seconds;
    double damping;
    char form[16];           /* of the matrix: "primal", "dual"; "": there is none */
    int64_t rows;            /* of the matrix */
    double fit_gradient;     /* norm of the gradient of the fit to all examples; NaN: a closed form */
    double largest_gradient; /* of the models without one; NaN: no certificates */
} lo_report_method;

/* What attribution found: its methods, and of the last of them the training examples that do most to
 * themselves and to some targets. */
typedef struct lo_report_attribution {
    int methods; /* 0: none */
    lo_report_method *method;
    char output[32];            /* "margin" */
    char model[16];             /* "linear", "features", "network" */
    char features[80];          /* of which layer, with features */
    int64_t original;           /* its seed, but for linear */
    int64_t own, *own_index;    /* [own]: position in data->train, -1 for none; the largest first */
    float *own_value;           /* [own] */
    const lo_examples *targets; /* whose positions target has */
    const char *targets_are;    /* "test" */
    int64_t rows, *target;      /* [rows] */
    int64_t k, *index;    /* [rows, 2, k]: those that raise the output most, then those that lower it most */
    float *value;         /* [rows, 2, k] */
    int64_t eigenvalues;  /* of the curvature; 0: not stored */
    double *eigenvalue;   /* [eigenvalues], ascending */
    double damping;       /* what was added to them */
    char spectrum_of[32]; /* the method whose they are */
} lo_report_attribution;

typedef struct lo_report {
    const char *study;   /* its directory's name */
    const char *version; /* of leaveout */
    const lo_dataset *data;
    const char *const *class_name; /* [classes] or NULL: numbers */
    const char *job_yaml;          /* the effective job's text */
    const char *design;            /* "balanced", ... */
    double ratio;

    int64_t models_planned, models_done, models_diverged, models_given_up;
    const float *test_accuracy; /* [models_done], 0 .. 1; NaN where the model diverged */
    const float *seconds;       /* [models_done] */
    /* Accuracy in sample, over the models that trained on the example, and out of sample over those that did
     * not; clean: label == label_true; relabelled: label noise. NaN where there are none. */
    double in_sample_clean, in_sample_relabelled, out_of_sample_clean, out_of_sample_relabelled;
    int64_t relabelled; /* examples */
    double label_noise;
    int64_t in_min, in_max, out_min, out_max; /* models an example was in and out of */

    int score_count;
    const lo_report_score *score;

    /* The strongest training examples of some test examples. */
    int64_t influence_rows; /* 0: none */
    int64_t influence_k;
    const int64_t *influence_test;  /* [rows]: position in data->test */
    const int64_t *influence_index; /* [rows, k]: position in data->train, -1 for none */
    const float *influence_value;   /* [rows, k], strongest first */
    const float *influence_error;   /* [rows, k] standard errors */

    lo_report_attribution attribution;
    lo_report_scaling scaling;

    int64_t unlearned_count; /* 0: none */
    const lo_report_unlearned *unlearned;

    lo_report_privacy privacy;
    lo_report_audit audit;

    int64_t originals_planned; /* 0: the job has none */
    int64_t original_count, epochs;
    const lo_report_original *original;

    int attempt_count;
    const lo_report_attempt *attempt;
    int stage_count;
    const lo_report_stage *stage;
    int64_t processor_types; /* different processors among the records; above 1 the page says so */
} lo_report;

/* Writes the page to `file` whole (file.part, synced, renamed). Figures are SVG by gnuplot, embedded; without
 * gnuplot the page says which package draws them. Errors: LO_IO, LO_INTERNAL. */
lo_status lo_report_write(const lo_report *report, const char *file, lo_error *err);

#endif
