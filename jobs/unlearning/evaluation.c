#include "jobs/unlearning/evaluation.h"

#include "audit/tow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *description;
} metrics[LO_EVAL_METRICS] = {
    [LO_EVAL_UNLEARNING_ACCURACY] = {"unlearning_accuracy", "UA: 1 - accuracy on the forget set"},
    [LO_EVAL_FORGET_ACCURACY] = {"forget_accuracy", "accuracy on the forget set"},
    [LO_EVAL_RETAIN_ACCURACY] = {"retain_accuracy", "RA: accuracy on the training examples that are kept"},
    [LO_EVAL_VALIDATION_ACCURACY] = {"validation_accuracy", "accuracy on the validation set"},
    [LO_EVAL_TEST_ACCURACY] = {"test_accuracy", "TA: accuracy on the test set"},
    [LO_EVAL_ORIGINAL_FORGET_ACCURACY] = {"original_forget_accuracy",
                                          "accuracy on the forget set of the original that it began with"},
    [LO_EVAL_TOW] = {"tow", "ToW: product over forget, retain and test set of 1 - |accuracy - an oracle's|"},
    [LO_EVAL_TIME_RATIO] = {"time_ratio", "seconds, as a share of an oracle's training"},
    [LO_EVAL_RUN_TIME_EFFICIENCY] = {"run_time_efficiency", "RTE: an oracle's training over its seconds"},
    [LO_EVAL_CRITERION] = {"criterion", "what a search chooses settings by, see unlearning.criterion"},
};

const char *lo_eval_name(lo_eval_metric metric)
{
    return metrics[metric].name;
}

const char *lo_eval_description(lo_eval_metric metric)
{
    return metrics[metric].description;
}

const char *lo_eval_method(const lo_unlearning *u, const lo_eval_row *row)
{
    return row->task->kind == LO_MODEL_UNLEARNED ? u->unlearner[row->task->unlearner].method->name
                                                 : lo_model_kind_name(row->task->kind);
}

const char *lo_eval_setting(const lo_unlearning *u, const lo_eval_row *row)
{
    const lo_unlearner *l = row->task->unlearner >= 0 ? &u->unlearner[row->task->unlearner] : NULL;
    return l != NULL && l->suffix[0] != '\0' ? l->canonical : "";
}

/* Everything about one forget set. */
typedef struct view {
    const lo_unlearning *u;
    const lo_measured *measured;
    int forgotten;
    int64_t *oracle; /* [oracles]: tasks of those that are finished */
    int64_t oracles;
    double *scratch; /* [oracles squared] */
} view;

static lo_hits hits_of(const view *v, int64_t task, int on)
{
    return v->measured[task].hits[v->forgotten * LO_ON + on];
}

static lo_accuracies accuracies_of(const view *v, int64_t task)
{
    return (lo_accuracies){.forget = lo_accuracy(hits_of(v, task, LO_ON_FORGET)),
                           .retain = lo_accuracy(hits_of(v, task, LO_ON_RETAIN)),
                           .validation = lo_accuracy(hits_of(v, task, LO_ON_VALIDATION)),
                           .test = lo_accuracy(hits_of(v, task, LO_ON_TEST))};
}

/* The mean over the oracles but `self` of their accuracy, or seconds; NaN without one. */
static double mean_of_oracles(const view *v, int64_t self, int on)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t o = 0; o < v->oracles; o++) {
        if (v->oracle[o] != self) {
            sum += on < LO_ON ? lo_accuracy(hits_of(v, v->oracle[o], on)) : v->measured[v->oracle[o]].seconds;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

/* Bounds of something that is a share. */
static lo_bounded cut(lo_bounded b)
{
    return (lo_bounded){b.value, isnan(b.low) ? b.low : fmax(b.low, 0),
                        isnan(b.high) ? b.high : fmin(b.high, 1)};
}

static lo_bounded tow_of(const view *v, int64_t task)
{
    const lo_accuracies own = accuracies_of(v, task);
    int64_t count = 0;
    for (int64_t o = 0; o < v->oracles; o++) {
        if (v->oracle[o] != task) {
            v->scratch[count++] = lo_tow(own, accuracies_of(v, v->oracle[o]));
        }
    }
    return cut(lo_student_mean(v->scratch, count));
}

/* What models that never saw the forget set have against each other. */
static double tow_ceiling(const view *v)
{
    int64_t count = 0;
    for (int64_t a = 0; a < v->oracles; a++) {
        for (int64_t b = 0; b < a; b++) {
            v->scratch[count++] = lo_tow(accuracies_of(v, v->oracle[a]), accuracies_of(v, v->oracle[b]));
        }
    }
    return lo_student_mean(v->scratch, count).value;
}

/* Of the original of the same seed; of an oracle, which has none, the mean over originals. */
static lo_bounded original_of(const view *v, const lo_unlearning_task *t)
{
    lo_hits sum = {0};
    for (int64_t i = 0; i < v->u->tasks; i++) {
        const lo_unlearning_task *o = &v->u->task[i];
        if (o->kind == LO_MODEL_ORIGINAL && v->measured[i].done != 0 &&
            (t->kind == LO_MODEL_ORACLE || o->seed == t->seed)) {
            const lo_hits hits = hits_of(v, i, LO_ON_FORGET);
            sum.right += hits.right;
            sum.examples += hits.examples;
        }
    }
    return lo_share(sum.right, sum.examples);
}

/* unlearning.criterion: oracle_gap. */
static double oracle_gap(const view *v, int64_t task)
{
    const int held = v->u->data->validation.count > 0 ? LO_ON_VALIDATION : LO_ON_TEST;
    const int on[3] = {LO_ON_FORGET, LO_ON_RETAIN, held};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        sum += fabs(lo_accuracy(hits_of(v, task, on[i])) - mean_of_oracles(v, task, on[i]));
    }
    return sum / 3;
}

/* unlearning.criterion: validation_loss. Of an oracle, which has no original, NaN. */
static double loss_match(const view *v, int64_t task)
{
    const lo_unlearning_task *t = &v->u->task[task];
    const int64_t original = lo_unlearning_find(v->u, LO_MODEL_ORIGINAL, -1, -1, t->seed);
    if (t->kind == LO_MODEL_ORACLE || original < 0 || v->measured[original].done == 0) {
        return (double)NAN;
    }
    const double *own = v->measured[task].loss + v->forgotten * LO_LOSSES;
    const double *before = v->measured[original].loss + v->forgotten * LO_LOSSES;
    const bool all_gone = isnan(own[LO_LOSS_FORGET]) && isnan(before[LO_LOSS_FORGET]);
    const double apart = all_gone ? 0 : fabs(own[LO_LOSS_FORGET] - own[LO_LOSS_UNSEEN]);
    return own[LO_LOSS_GONE] + apart + fabs(own[LO_LOSS_UNSEEN] - before[LO_LOSS_UNSEEN]);
}

/* Mean over seeds of the criterion of one method's settings, among `count` rows; NaN where there is none. */
static double mean_criterion(const lo_eval_row *rows, int64_t count, int unlearner)
{
    double sum = 0;
    int64_t found = 0;
    for (int64_t r = 0; r < count; r++) {
        if (rows[r].task->unlearner == unlearner && rows[r].measured->applies != 0) {
            sum += rows[r].value[LO_EVAL_CRITERION].value;
            found++;
        }
    }
    return found > 0 ? sum / (double)found : (double)NAN;
}

/* Marks what a search finds best, among the rows of one forget set. */
static void choose(const lo_unlearning *u, lo_eval_row *rows, int64_t count)
{
    for (int64_t r = 0; r < count; r++) {
        const int own = rows[r].task->unlearner;
        const int rivals = own >= 0 ? u->unlearner[own].rivals : -1;
        const double mine = mean_criterion(rows, count, own);
        rows[r].chosen = rivals < 0 || !isnan(mine);
        for (int m = 0; rivals >= 0 && m < u->unlearner_count; m++) {
            if (u->unlearner[m].rivals == rivals && m != own) {
                const double other = mean_criterion(rows, count, m);
                /* Of equal ones the first. */
                rows[r].chosen = rows[r].chosen && !(other < mine || (other == mine && m < own));
            }
        }
    }
}

static void evaluate_row(const view *v, int64_t task, lo_eval_row *row)
{
    static const struct {
        lo_eval_metric metric;
        int on;
    } shares[] = {{LO_EVAL_FORGET_ACCURACY, LO_ON_FORGET},
                  {LO_EVAL_RETAIN_ACCURACY, LO_ON_RETAIN},
                  {LO_EVAL_VALIDATION_ACCURACY, LO_ON_VALIDATION},
                  {LO_EVAL_TEST_ACCURACY, LO_ON_TEST}};
    *row =
        (lo_eval_row){.task = &v->u->task[task], .measured = &v->measured[task], .forgotten = v->forgotten};
    for (int m = 0; m < LO_EVAL_METRICS; m++) {
        row->value[m] = lo_unbounded_nan();
        row->ceiling[m] = (double)NAN;
    }
    const double retraining = mean_of_oracles(v, -1, LO_ON);
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        row->ceiling[shares[s].metric] = mean_of_oracles(v, task, shares[s].on);
    }
    row->ceiling[LO_EVAL_UNLEARNING_ACCURACY] = 1 - row->ceiling[LO_EVAL_FORGET_ACCURACY];
    row->ceiling[LO_EVAL_TOW] = tow_ceiling(v);
    row->ceiling[LO_EVAL_TIME_RATIO] = row->ceiling[LO_EVAL_RUN_TIME_EFFICIENCY] = 1;
    row->value[LO_EVAL_ORIGINAL_FORGET_ACCURACY] = original_of(v, row->task);
    if (row->measured->applies == 0) {
        return;
    }
    for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
        const lo_hits hits = hits_of(v, task, shares[s].on);
        row->value[shares[s].metric] = lo_share(hits.right, hits.examples);
    }
    const lo_bounded forget = row->value[LO_EVAL_FORGET_ACCURACY];
    row->value[LO_EVAL_UNLEARNING_ACCURACY] = (lo_bounded){1 - forget.value, 1 - forget.high, 1 - forget.low};
    row->value[LO_EVAL_TOW] = tow_of(v, task);
    const bool by_gap = strcmp(lo_job_text(v->u->job, "unlearning.criterion"), "oracle_gap") == 0;
    row->value[LO_EVAL_CRITERION].value = by_gap ? oracle_gap(v, task) : loss_match(v, task);
    if (row->task->kind != LO_MODEL_ORIGINAL) {
        row->value[LO_EVAL_TIME_RATIO].value = row->measured->seconds / retraining;
        row->value[LO_EVAL_RUN_TIME_EFFICIENCY].value =
            row->measured->seconds > 0 ? retraining / row->measured->seconds : (double)NAN;
    }
}

/* Adds the finished tasks of a kind and method that are about this set, by seed. */
static void add_rows(const view *v, lo_model_kind kind, int unlearner, int64_t seeds, lo_eval_row *rows,
                     int64_t *count)
{
    for (int64_t s = 0; s < seeds; s++) {
        const int about = kind == LO_MODEL_ORIGINAL ? -1 : v->forgotten;
        const int64_t task = lo_unlearning_find(v->u, kind, about, unlearner, s);
        if (task >= 0 && v->measured[task].done != 0) {
            evaluate_row(v, task, &rows[(*count)++]);
        }
    }
}

lo_status lo_evaluate(const lo_unlearning *u, const lo_measured *measured, lo_eval_row **rows, int64_t *count,
                      lo_error *err)
{
    const size_t most =
        (size_t)u->forgotten_count * (size_t)(u->oracles + u->seeds * (u->unlearner_count + 1));
    const size_t oracles = (size_t)u->oracles + 1;
    view v = {.u = u,
              .measured = measured,
              .oracle = calloc(oracles, sizeof(*v.oracle)),
              .scratch = calloc(oracles * oracles, sizeof(*v.scratch))};
    *count = 0;
    *rows = calloc(most + 1, sizeof(**rows));
    lo_status status = LO_OK;
    if (*rows == NULL || v.oracle == NULL || v.scratch == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %zu rows of the evaluation", most);
    }
    for (int f = 0; f < u->forgotten_count && status == LO_OK; f++) {
        v.forgotten = f;
        v.oracles = 0;
        for (int64_t s = 0; s < u->oracles; s++) {
            const int64_t task = lo_unlearning_find(u, LO_MODEL_ORACLE, f, -1, s);
            if (measured[task].done != 0) {
                v.oracle[v.oracles++] = task;
            }
        }
        const int64_t first = *count;
        add_rows(&v, LO_MODEL_ORIGINAL, -1, u->seeds, *rows, count);
        add_rows(&v, LO_MODEL_ORACLE, -1, u->oracles, *rows, count);
        for (int m = 0; m < u->unlearner_count; m++) {
            add_rows(&v, LO_MODEL_UNLEARNED, m, u->seeds, *rows, count);
        }
        choose(u, *rows + first, *count - first);
    }
    free(v.oracle);
    free(v.scratch);
    return status;
}
