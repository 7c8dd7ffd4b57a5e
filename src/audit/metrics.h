/* The table of the audit's metrics: what each is, which way is better, what it needs. A metric is one file of
 * arithmetic, and one line here. */
#ifndef LEAVEOUT_AUDIT_METRICS_H
#define LEAVEOUT_AUDIT_METRICS_H

/* What a metric needs beside the model that is judged and its forget, retain and test examples. */
enum {
    LO_NEEDS_ORACLE = 1,     /* models that never saw the forget set */
    LO_NEEDS_ORIGINAL = 2,   /* the model that was made to forget */
    LO_NEEDS_POPULATION = 4, /* several runs of the method, and as many oracles */
    LO_NEEDS_REFERENCES = 8, /* other models whose training sets are known: the ensemble, or oracles */
    LO_NEEDS_MIA = 16        /* mia_svc */
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
