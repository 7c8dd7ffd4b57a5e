/* The table of the audit's metrics: what each is, which way is better, what it needs. A metric is one file of
 * arithmetic, and one line here. */
#ifndef LEAVEOUT_AUDIT_METRICS_H
#define LEAVEOUT_AUDIT_METRICS_H

/* What a metric needs beside the model that is judged. */
enum {
    LO_NEEDS_ENSEMBLE = 1, /* models trained on parts of the training set: ensemble */
    LO_NEEDS_TEST = 2,     /* test examples */
};

typedef struct lo_metric {
    const char *name;        /* as in the job file: "rmia" */
    const char *description; /* one line */
    const char *best;        /* "1", "0", "the oracle's" */
    unsigned needs;
} lo_metric;

int lo_metric_count(void);
const lo_metric *lo_metric_at(int i);

/* NULL for a name that no metric has. */
const lo_metric *lo_metric_find(const char *name);

#endif
