/* Stage scaling: every score against memorization, and what it costs. The reference is the memorization of
 * the ensemble without the models that few_models looks at, so that no score shares its noise. Ranks share
 * the resamples of the bootstrap; each has all scores in memory. */
#include "base/clock.h"
#include "base/file.h"
#include "jobs/study/outcome.h"
#include "jobs/scaling/scaling.h"
#include "jobs/stages.h"
#include "mpi/agree.h"
#include "score/pairs.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LEAST_MODELS = 4 /* of a reference: halves of two */
};
static const double level = 0.95;

static lo_status no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory to compare scores");
}

/* ---- the section ---- */

static lo_status check_name(const lo_score_list *list, const char *name, lo_error *err)
{
    char names[LO_SCORE_NAMES_SIZE] = "all";
    char buffer[80];
    for (int i = 0; i < list->count; i++) {
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof(names) - used, " %s", list->listed[i].name);
        if (strcmp(list->listed[i].name, name) == 0) {
            return lo_scaling_is_reference(&list->listed[i])
                       ? lo_fail(err, LO_USAGE,
                                 "scaling.scores: %s is what the others are compared with; leave it out, or "
                                 "list memorization by probability under another name",
                                 name)
                       : LO_OK;
        }
    }
    const char *nearest = lo_nearest(name, names, buffer, sizeof(buffer));
    return strcmp(name, "all") == 0
               ? LO_OK
               : lo_fail(err, LO_USAGE, "scaling.scores: found '%.80s'%s%s%s; allowed: %s", name,
                         nearest != NULL ? " (nearest: " : "", nearest != NULL ? nearest : "",
                         nearest != NULL ? ")" : "", names);
}

static lo_status check_models(const lo_job *job, const lo_score_list *list, lo_error *err)
{
    const int64_t planned = lo_study_planned(job);
    const int64_t held_back = lo_scaling_most_models(list);
    return planned - held_back >= LEAST_MODELS ? LO_OK
                                               : lo_fail(err, LO_USAGE,
                                                         "scaling: of the ensemble's %lld models %lld are "
                                                         "left beside those of few_models, too few for a "
                                                         "reference; set ensemble.models to %lld or more",
                                                         (long long)planned, (long long)(planned - held_back),
                                                         (long long)(held_back + LEAST_MODELS));
}

lo_status lo_scaling_check(const lo_job *job, lo_error *err)
{
    if (!lo_job_has(job, "scaling")) {
        return LO_OK;
    }
    if (!lo_job_has(job, "ensemble")) {
        return lo_fail(
            err, LO_USAGE,
            "scaling: scores are compared with the memorization of an ensemble, and there is none; set "
            "the section ensemble");
    }
    lo_score_list list;
    lo_status status = lo_score_list_read(job, &list, err);
    for (int64_t i = 0; i < lo_job_length(job, "scaling.scores") && status == LO_OK; i++) {
        status = check_name(&list, lo_job_text_at(job, "scaling.scores", i), err);
    }
    if (status == LO_OK) {
        status = check_models(job, &list, err);
    }
    lo_score_list_destroy(&list);
    return status;
}

/* ---- opening ---- */

static void close_all(lo_scaling *s)
{
    lo_comparison_destroy(&s->comparison);
    lo_columns_destroy(&s->mask);
    lo_columns_destroy(&s->correct);
    lo_h5_close(&s->scores);
    lo_score_source_close(&s->source);
    lo_score_list_destroy(&s->list);
    free(s->use);
    free(s->row);
    free(s->estimate);
    free(s->low);
    free(s->high);
    free(s->spread);
    free(s->each);
    free(s->replicate);
    free(s->budget);
}

static lo_status read_budgets(lo_scaling *s, lo_error *err)
{
    const lo_job *job = s->study->job;
    s->budgets = (int)lo_job_length(job, "scaling.budgets");
    s->budget = calloc((size_t)s->budgets + 1, sizeof(*s->budget));
    for (int b = 0; b < s->budgets && s->budget != NULL; b++) {
        s->budget[b].trainings = lo_job_real_at(job, "scaling.budgets", b);
    }
    return s->budget != NULL ? LO_OK : no_memory(err);
}

/* The reference's models: those in use but for the last ones. */
static lo_status choose_models(lo_scaling *s, lo_error *err)
{
    const lo_ensemble_file *e = &s->source.ensemble;
    const size_t bytes = lo_bit_bytes(e->planned);
    s->use = calloc(bytes + 1, 1);
    if (s->use == NULL) {
        return no_memory(err);
    }
    memcpy(s->use, e->use, bytes);
    int64_t left = s->held_back;
    for (int64_t r = e->rows - 1; r >= 0 && left > 0; r--) {
        const int64_t m = e->model[r];
        left -= s->use[m / 8] >> (m % 8) & 1;
        s->use[m / 8] &= (uint8_t) ~(1U << m % 8);
    }
    s->models = lo_count_bits(s->use, e->planned);
    return LO_OK;
}

static lo_status open_all(lo_study *study, lo_scaling *s, lo_error *err)
{
    char path[PATH_MAX];
    *s = (lo_scaling){.study = study,
                      .scores = {.id = -1},
                      .n = study->data.train.count,
                      .group = lo_job_int(study->job, "scaling.group"),
                      .resamples = lo_job_int(study->job, "scaling.resamples"),
                      .splits = lo_job_int(study->job, "scaling.splits")};
    if (s->group == 0) {
        s->group = s->n / 15 > 0 ? s->n / 15 : 1;
    }
    (void)snprintf(path, sizeof(path), "%s/scores.h5", study->run.study);
    LO_TRY(lo_score_source_open(study, &s->source, err));
    s->source.first = 0; /* every rank looks at all examples */
    s->source.count = s->n;
    LO_TRY(lo_h5_open(path, &s->scores, err));
    LO_TRY(lo_score_list_read(study->job, &s->list, err));
    LO_TRY(lo_scaling_choose_rows(s, err));
    LO_TRY(read_budgets(s, err));
    return choose_models(s, err);
}

/* ---- the reference ---- */

/* An lo_half_score: memorization from some of the models. */
static lo_status memorization(void *self, const uint8_t *use, double *score, lo_error *err)
{
    const lo_scaling *s = self;
    const size_t room = (size_t)s->n + 1;
    const bool paired = lo_design_pairs(&s->study->design, s->source.ensemble.planned, 0, NULL, NULL) > 0;
    lo_counts *counts = calloc(room, sizeof(*counts));
    lo_pairs *pairs = calloc(room, sizeof(*pairs));
    lo_estimate *out = calloc(room, sizeof(*out));
    lo_status status = counts != NULL && pairs != NULL && out != NULL ? LO_OK : no_memory(err);
    if (status == LO_OK) {
        lo_count(&s->mask, &s->correct, use, counts);
        if (paired) {
            lo_pairs_count(&s->study->design, &s->mask, &s->correct, use, pairs);
        }
        const lo_score_input input = {.n = s->n,
                                      .count = s->n,
                                      .counts = counts,
                                      .pairs = paired ? pairs : NULL,
                                      .tick = &s->source.tick};
        status = lo_score_find("memorization")->compute(&input, out, err);
    }
    for (int64_t i = 0; i < s->n && status == LO_OK; i++) {
        score[i] = (double)out[i].value;
    }
    free(counts);
    free(pairs);
    free(out);
    return status;
}

static lo_status find_reliability(lo_scaling *s, lo_error *err)
{
    const lo_design *design = &s->study->design;
    const bool paired = lo_design_pairs(design, s->source.ensemble.planned, 0, NULL, NULL) > 0;
    const lo_halving halving = {.seed = (uint64_t)lo_job_int(s->study->job, "seed"),
                                .splits = s->splits,
                                .models = s->source.ensemble.planned,
                                .unit = paired ? design->block : 1,
                                .n = s->n,
                                .use = s->use,
                                .score = memorization,
                                .self = s};
    return lo_split_half(&halving, &s->reliability, &s->source.tick, err);
}

/* ---- comparing ---- */

/* noisy [n]: was the label replaced? Of the models of the reference, how well they fit what they have seen:
 * memorization is low for what is not learned. */
static lo_status look_at_labels(lo_scaling *s, uint8_t *noisy, lo_error *err)
{
    const lo_examples *train = &s->study->data.train;
    lo_counts *counts = calloc((size_t)s->n + 1, sizeof(*counts));
    if (counts == NULL) {
        return no_memory(err);
    }
    for (int64_t i = 0; i < s->n; i++) {
        noisy[i] = train->label[i] != train->label_true[i];
        s->noisy += noisy[i];
    }
    lo_count(&s->mask, &s->correct, s->use, counts);
    s->in_accuracy = lo_in_accuracy(counts, s->n, NULL);
    s->in_accuracy_replaced = lo_in_accuracy(counts, s->n, noisy);
    free(counts);
    return LO_OK;
}

/* values [columns + 1, n]: the sets of values, then the reference. */
static lo_status compare_all(lo_scaling *s, double *values, const double **score, uint8_t *noisy,
                             lo_error *err)
{
    double *reference = values + s->columns * s->n;
    for (int c = 0; c < s->columns; c++) {
        score[c] = values + c * s->n;
    }
    LO_TRY(lo_ensemble_columns(&s->source.ensemble, "/mask", 0, s->n, &s->mask, err));
    LO_TRY(lo_ensemble_columns(&s->source.ensemble, "/train/correct", 0, s->n, &s->correct, err));
    LO_TRY(look_at_labels(s, noisy, err));
    LO_TRY(memorization(s, s->use, reference, err));
    LO_TRY(lo_scaling_values(s, values, err));
    LO_TRY(lo_scaling_look(s, values, reference, err));
    return lo_comparison_create(score, s->columns, reference, noisy, s->n, s->group, &s->source.tick,
                                &s->comparison, err);
}

static lo_status prepare(lo_scaling *s, lo_error *err)
{
    double *values = calloc((size_t)(s->columns + 1) * (size_t)s->n + 1, sizeof(*values));
    const double **score = calloc((size_t)s->columns + 1, sizeof(*score));
    uint8_t *noisy = calloc((size_t)s->n + 1, 1);
    s->each = calloc((size_t)s->columns * LO_COMPARED_COUNT + 1, sizeof(*s->each));
    lo_status status = values != NULL && score != NULL && noisy != NULL && s->each != NULL
                           ? compare_all(s, values, score, noisy, err)
                           : no_memory(err);
    free(values);
    free(score);
    free(noisy);
    return status == LO_OK ? find_reliability(s, err) : status;
}

/* An lo_statistics: the rows', means over those of their sets of values; value [rows, LO_COMPARED_COUNT]. */
static lo_status compute_rows(void *self, const int32_t *weight, double *value, lo_error *err)
{
    lo_scaling *s = self;
    LO_TRY(lo_comparison_compute(&s->comparison, weight, s->each, err));
    for (int r = 0; r < s->rows; r++) {
        const lo_scaling_row *row = &s->row[r];
        for (int k = 0; k < LO_COMPARED_COUNT; k++) {
            double sum = 0;
            for (int c = row->first; c < row->first + row->columns; c++) {
                sum += s->each[c * LO_COMPARED_COUNT + k];
            }
            value[r * LO_COMPARED_COUNT + k] = sum / row->columns;
        }
    }
    return LO_OK;
}

/* After compute_rows: the standard deviation of the sets' statistics. */
static void find_spread(lo_scaling *s)
{
    for (int r = 0; r < s->rows; r++) {
        const lo_scaling_row *row = &s->row[r];
        for (int k = 0; k < LO_COMPARED_COUNT; k++) {
            double squares = 0;
            for (int c = row->first; c < row->first + row->columns; c++) {
                const double away =
                    s->each[c * LO_COMPARED_COUNT + k] - s->estimate[r * LO_COMPARED_COUNT + k];
                squares += away * away;
            }
            s->spread[r * LO_COMPARED_COUNT + k] =
                row->columns > 1 ? sqrt(squares / (row->columns - 1)) : (double)NAN;
        }
    }
}

static lo_bootstrap bootstrap_of(lo_scaling *s)
{
    return (lo_bootstrap){.seed = (uint64_t)lo_job_int(s->study->job, "seed"),
                          .n = s->n,
                          .resamples = s->resamples,
                          .statistics = (int64_t)s->rows * LO_COMPARED_COUNT,
                          .compute = compute_rows,
                          .self = s};
}

/* mine [statistics, count] of every rank, to rank 0: s->replicate [statistics, resamples]. */
static void collect(lo_scaling *s, const double *mine, double *all)
{
    const lo_run *run = &s->study->run;
    const int64_t statistics = (int64_t)s->rows * LO_COMPARED_COUNT;
    for (int rank = 0; rank < run->ranks; rank++) {
        int64_t first;
        int64_t count;
        lo_shard(s->resamples, 1, rank, run->ranks, &first, &count);
        const int64_t size = statistics * count;
        if (run->rank == rank && rank != 0) {
            MPI_Send(mine, (int)size, MPI_DOUBLE, 0, 0, run->comm);
        }
        if (run->rank == 0) {
            if (rank != 0) {
                MPI_Recv(all, (int)size, MPI_DOUBLE, rank, 0, run->comm, MPI_STATUS_IGNORE);
            }
            const double *from = rank == 0 ? mine : all;
            for (int64_t k = 0; k < statistics; k++) {
                memcpy(s->replicate + k * s->resamples + first, from + k * count,
                       (size_t)count * sizeof(*from));
            }
        }
    }
}

static lo_status resample(lo_scaling *s, lo_error *err)
{
    const lo_run *run = &s->study->run;
    const lo_bootstrap bootstrap = bootstrap_of(s);
    const size_t size = (size_t)(bootstrap.statistics * s->resamples) + 1;
    int64_t first;
    int64_t count;
    lo_shard(s->resamples, 1, run->rank, run->ranks, &first, &count);
    double *mine = calloc((size_t)(bootstrap.statistics * (count + 1)) + 1, sizeof(*mine));
    double *room = calloc(run->rank == 0 ? size : 1, sizeof(*room));
    s->replicate = calloc(run->rank == 0 ? size : 1, sizeof(*s->replicate));
    lo_status status = mine != NULL && room != NULL && s->replicate != NULL ? LO_OK : no_memory(err);
    if (status == LO_OK) {
        status = lo_bootstrap_replicates(&bootstrap, first, count, mine, &s->source.tick, err);
    }
    status = lo_agree(run->comm, status, err);
    if (status == LO_OK) {
        collect(s, mine, room);
    }
    free(mine);
    free(room);
    return status;
}

/* Rank 0: estimates, and BCa's intervals; percentiles where BCa has none. */
static lo_status conclude(lo_scaling *s, double *acceleration, double *sorted, lo_error *err)
{
    const lo_bootstrap bootstrap = bootstrap_of(s);
    const int64_t blocks = s->n < LO_SCALING_BLOCKS ? s->n : LO_SCALING_BLOCKS;
    LO_TRY(compute_rows(s, NULL, s->estimate, err));
    find_spread(s);
    LO_TRY(lo_bootstrap_acceleration(&bootstrap, blocks, acceleration, &s->source.tick, err));
    for (int64_t k = 0; k < bootstrap.statistics; k++) {
        memcpy(sorted, s->replicate + k * s->resamples, (size_t)s->resamples * sizeof(*sorted));
        lo_interval i = lo_interval_bca(sorted, s->resamples, s->estimate[k], acceleration[k], level);
        if (isnan(i.low)) {
            i = lo_interval_percentile(sorted, s->resamples, level);
        }
        s->low[k] = isnan(s->estimate[k]) ? NAN : i.low;
        s->high[k] = isnan(s->estimate[k]) ? NAN : i.high;
    }
    return lo_scaling_weigh(s, err);
}

static lo_status conclude_on_rank_0(lo_scaling *s, lo_error *err)
{
    const size_t room = (size_t)s->rows * LO_COMPARED_COUNT + 1;
    double *acceleration = calloc(room, sizeof(*acceleration));
    double *sorted = calloc((size_t)s->resamples + 1, sizeof(*sorted));
    s->estimate = calloc(room, sizeof(double));
    s->low = calloc(room, sizeof(double));
    s->high = calloc(room, sizeof(double));
    s->spread = calloc(room, sizeof(double));
    lo_status status = acceleration != NULL && sorted != NULL && s->estimate != NULL && s->low != NULL &&
                               s->high != NULL && s->spread != NULL
                           ? LO_OK
                           : no_memory(err);
    if (status == LO_OK && s->study->run.rank == 0) {
        status = conclude(s, acceleration, sorted, err);
    }
    free(acceleration);
    free(sorted);
    return status;
}

/* ---- the stage ---- */

/* All that the file depends on. */
static uint64_t digest_of(const lo_scaling *s, lo_error *err, lo_status *status)
{
    char text[128];
    uint64_t d =
        lo_digest(LO_DIGEST_START, "scaling 2"); /* what is computed, and written, has changed once */
    *status = lo_h5_get_text(&s->scores, "/", "digest", text, sizeof(text), err);
    d = lo_digest(lo_digest(d, text), s->source.ensemble.identity);
    (void)snprintf(text, sizeof(text), "%lld %lld %lld %lld", (long long)s->group, (long long)s->resamples,
                   (long long)s->splits, (long long)s->source.rows);
    d = lo_digest(d, text);
    for (int r = 0; r < s->rows; r++) {
        d = lo_digest(d, s->row[r].name);
    }
    for (int b = 0; b < s->budgets; b++) {
        (void)snprintf(text, sizeof(text), "%.17g", s->budget[b].trainings);
        d = lo_digest(d, text);
    }
    return d;
}

/* Rank 0 looks: is the file there, of this digest? */
static bool is_up_to_date(const lo_scaling *s, const char *path, uint64_t digest)
{
    lo_h5_reader old = {.id = -1};
    char found[32] = "";
    char wanted[32];
    int datasets;
    (void)snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)digest);
    bool same = s->study->run.rank == 0 && access(path, F_OK) == 0 && lo_h5_open(path, &old, NULL) == LO_OK &&
                lo_h5_get_text(&old, "/", "digest", found, sizeof(found), NULL) == LO_OK &&
                strcmp(found, wanted) == 0 && lo_h5_verify(&old, &datasets, NULL) == LO_OK;
    lo_h5_close(&old);
    MPI_Bcast(&same, 1, MPI_C_BOOL, 0, s->study->run.comm);
    return same;
}

static lo_status make(lo_scaling *s, const char *path, uint64_t digest, lo_error *err)
{
    const lo_run *run = &s->study->run;
    const double start = lo_clock_monotonic();
    lo_h5 h5 = {.id = -1};
    LO_TRY(lo_agree(run->comm, prepare(s, err), err));
    LO_TRY(lo_agree(run->comm, lo_scaling_costs(s, err), err));
    LO_TRY(resample(s, err));
    LO_TRY(lo_agree(run->comm, conclude_on_rank_0(s, err), err));
    LO_TRY(lo_h5_create(run->comm, path, 1 << 20, &h5, err));
    LO_TRY(lo_h5_commit(&h5, lo_scaling_write(s, digest, &h5, err), err));
    s->study->news = true;
    lo_run_say(&s->study->run, "event=published file=scaling.h5 scores=%d seconds=%.2f", s->rows,
               lo_clock_monotonic() - start);
    return LO_OK;
}

/* Are the scores there? Rank 0 looks. */
static bool has_scores(const lo_study *study)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/scores.h5", study->run.study);
    bool there = study->has_ensemble && study->run.rank == 0 && access(path, F_OK) == 0;
    if (there) {
        (void)snprintf(path, sizeof(path), "%s/ensemble.h5", study->run.study);
        there = access(path, F_OK) == 0;
    }
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

lo_status lo_stage_scaling(lo_study *study, lo_error *err)
{
    char path[PATH_MAX];
    uint64_t digest = 0;
    lo_scaling s;
    if (!lo_job_has(study->job, "scaling") || !has_scores(study)) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "%s/scaling.h5", study->run.study);
    LO_TRY(lo_study_lock(study, err));
    lo_status status = open_all(study, &s, err);
    if (status == LO_OK) {
        digest = digest_of(&s, err, &status);
    }
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK && s.models < LEAST_MODELS) {
        lo_run_say(
            &study->run,
            "event=note stage=scaling text=\"%lld models are left beside the %lld of few_models, too few to "
            "compare scores with\"",
            (long long)s.models, (long long)s.held_back);
    } else if (status == LO_OK && s.rows > 0 && !is_up_to_date(&s, path, digest)) {
        status = make(&s, path, digest, err);
    }
    close_all(&s);
    lo_study_unlock(study);
    return status;
}
