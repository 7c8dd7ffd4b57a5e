#include "jobs/plan/plan_stages.h"

#include "base/clock.h"
#include "base/random.h"
#include "jobs/attribution/attribution.h"
#include "jobs/scaling/scaling.h"
#include "jobs/scores/score_list.h"
#include "jobs/stages.h"
#include "jobs/study/original.h"
#include "jobs/study/outcome.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearned.h"
#include "jobs/unlearning/unlearning.h"
#include "nn/bench.h"
#include "nn/presets/presets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the stages of a job are made from. */
typedef struct making {
    const lo_preview *preview;
    const lo_job *job;
    const lo_dataset *data;
    const lo_design *design;
    const lo_plan_probe *probe;
    lo_plan *plan;
} making;

static lo_plan_stage *add_stage(const making *m, lo_stage number, const char *name)
{
    lo_plan_stage *s = &m->plan->stage[m->plan->stages++];
    *s = (lo_plan_stage){.number = number,
                         .name = name,
                         .team = 1,
                         .cores = lo_job_int(m->job, "train.threads"),
                         .record_seconds = -1};
    return s;
}

/* More kinds than there is room for become one, of their mean. */
static void add_tasks(lo_plan_stage *s, int64_t count, double seconds, double relative_spread)
{
    if (count <= 0) {
        return;
    }
    if (s->kinds == LO_PLAN_KINDS) {
        const lo_cost_tasks *last = &s->kind[--s->kinds];
        const double all = (double)(count + last->count);
        seconds = (seconds * (double)count + last->seconds * (double)last->count) / all;
        count += last->count;
        s->tasks -= last->count;
    }
    s->kind[s->kinds++] =
        (lo_cost_tasks){.count = count, .seconds = seconds, .spread = seconds * relative_spread};
    s->tasks += count;
}

/* Trainings on everything, with what their records and files take. */
static void plan_originals(const making *m)
{
    if (!lo_job_has(m->job, "originals")) {
        return;
    }
    const lo_plan_probe *p = m->probe;
    const int64_t n = m->data->train.count, epochs = lo_job_int(m->job, "train.epochs");
    const int64_t seeds = lo_job_int(m->job, "originals.seeds");
    const double files = (double)(1 + lo_job_length(m->job, "originals.checkpoints"));
    const double weights = (double)p->parameters * sizeof(float);
    const double record = (double)lo_original_size(n, epochs, lo_originals_logged(m->job));
    lo_plan_stage *s = add_stage(m, LO_STAGE_ORIGINALS, "originals");
    s->team = lo_plan_team(m->job);
    s->cores = lo_plan_cores(m->job);
    s->record_bytes = record;
    add_tasks(s, seeds,
              (double)n * (double)epochs / p->train_rate + (double)m->data->test.count / p->evaluate_rate +
                  lo_cost_published(&p->machine, files * weights, (int64_t)files),
              p->train_spread);
    s->published_bytes = (double)seeds * record;
    s->disk_bytes = (double)seeds * (2 * record + files * weights);
    m->plan->record_memory = fmax(m->plan->record_memory, record);
    (void)snprintf(s->what, sizeof(s->what), " models=%lld", (long long)seeds);
}

static void plan_ensemble(const making *m)
{
    const lo_design *design = m->design;
    if (design->models <= 0) {
        return;
    }
    const lo_plan_probe *p = m->probe;
    const int64_t n = m->data->train.count, n_test = m->data->test.count;
    /* Without a ratio: all examples but one, or but a group. */
    const double members = (double)n * (design->ratio > 0 ? design->ratio : 1);
    const double record = (double)lo_outcome_size(n, n_test);
    const double seconds = design->kind == LO_DESIGN_IMPORTED
                               ? 0
                               : members * (double)lo_job_int(m->job, "train.epochs") / p->train_rate +
                                     (double)(n + n_test) / p->evaluate_rate;
    const double kept = fmin((double)lo_job_int(m->job, "ensemble.keep_models"), (double)design->models) *
                        (double)p->parameters * sizeof(float);
    lo_plan_stage *s = add_stage(m, LO_STAGE_ENSEMBLE, "ensemble");
    s->team = lo_plan_team(m->job);
    s->cores = lo_plan_cores(m->job);
    s->record_bytes = seconds > 0 ? record : 0;
    add_tasks(s, design->models, seconds, p->train_spread);
    s->published_bytes = record * (double)design->models;
    s->disk_bytes = 2 * record * (double)design->models + kept;
    (void)snprintf(s->what, sizeof(s->what), " models=%lld", (long long)design->models);
}

static void add_score(const making *m, const lo_listed_score *listed, lo_plan_stage *s)
{
    const lo_score *score = listed->score;
    const lo_model_spec model = lo_study_model_spec(m->job);
    const lo_recipe recipe = lo_study_recipe(m->job);
    const lo_score_input input = lo_score_foresee(m->job, m->data, listed, &model, &recipe);
    if (score->work == NULL) {
        return;
    }
    const lo_score_work work = score->work(&input);
    const double cores = (double)lo_plan_cores(m->job); /* here ranks are alone, in one thread */
    const double product_share = 0.5; /* of the peak, that products of small matrices reach */
    const double seconds =
        cores * (work.trained / m->probe->train_rate + work.evaluated / m->probe->evaluate_rate) +
        (work.operations > 0 ? work.operations / (product_share * 1e9 * lo_bench_peak(LO_F32)) : 0);
    const int64_t tasks = score->tasks != NULL ? score->tasks(&input) : 0;
    if (score->tasks == NULL) {
        s->pass_seconds += seconds * (double)input.originals;
        s->alone_seconds += cores * work.everywhere / m->probe->evaluate_rate * (double)input.originals;
    } else if (tasks > 0) {
        add_tasks(s, tasks, seconds / (double)tasks, m->probe->train_spread);
    }
}

/* Scores: what each passes through the network, on the ranks together or task by task. */
static lo_status plan_scores(const making *m, lo_error *err)
{
    const double n = (double)m->data->train.count;
    lo_score_list list;
    lo_status status = lo_score_list_read(m->job, &list, err);
    if (status == LO_OK && list.count > 0) {
        lo_plan_stage *s = add_stage(m, LO_STAGE_SCORES, "scores");
        s->cores = 1;
        for (int i = 0; i < list.count; i++) {
            add_score(m, &list.listed[i], s);
        }
        s->pass_items = m->data->train.count;
        s->pass_bytes = n * sizeof(float) * list.count;
        s->alone_seconds = 0.1 + n * (double)((m->design->models + 63) / 64) * 8 / 1e9;
        s->disk_bytes = n * (16 * list.count + 32);
    }
    lo_score_list_destroy(&list);
    return status;
}

/* How many sets of values the study of scores compares: see lo_scaling_choose_rows. */
static int64_t compared_sets(const lo_job *job, const lo_score_list *list)
{
    const int64_t seeds = lo_job_has(job, "originals") ? lo_job_int(job, "originals.seeds") : 1;
    const int64_t held_back = lo_scaling_most_models(list);
    int64_t sets = 0;
    for (int i = 0; i < list->count; i++) {
        const lo_listed_score *l = &list->listed[i];
        const bool mean = seeds > 1 && (l->score->needs & LO_FROM_ORIGINALS) != 0 && l->score->tasks == NULL;
        sets += !lo_scaling_is_reference(l);
        sets += mean ? seeds : 0;
        sets += l->score->models != NULL ? held_back / l->score->models(l->item) - 1 : 0;
    }
    return sets;
}

/* Seconds of all statistics of one set of n values and one resample: of random numbers, as many as take no
 * time, and in proportion. */
static lo_status measure_comparison(int64_t n, double *seconds, lo_error *err)
{
    enum { MOST = 20000, TIMES = 3 };
    const int64_t count = n < MOST ? n : MOST;
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    double *values = calloc(2 * (size_t)count + 1, sizeof(*values));
    uint8_t *noisy = calloc((size_t)count + 1, 1);
    double out[LO_COMPARED_COUNT];
    lo_comparison c = {0};
    for (int64_t i = 0; i < 2 * count && values != NULL; i++) {
        values[i] = (double)lo_random_unit(random, 0, (uint64_t)i);
    }
    const double *score[] = {values};
    lo_status status =
        values != NULL && noisy != NULL
            ? lo_comparison_create(score, 1, values + count, noisy, count, count / 15 + 1, NULL, &c, err)
            : lo_fail(err, LO_INTERNAL, "no memory to measure the study of scores");
    const double start = lo_clock_monotonic();
    for (int t = 0; t < TIMES && status == LO_OK; t++) {
        status = lo_comparison_compute(&c, NULL, out, err);
    }
    *seconds = (lo_clock_monotonic() - start) / TIMES * (double)n / (double)count;
    lo_comparison_destroy(&c);
    free(values);
    free(noisy);
    return status;
}

/* The study of scores: the resamples, and what is left out in turn for their acceleration, by one rank. */
static lo_status plan_scaling(const making *m, lo_error *err)
{
    lo_score_list list;
    double seconds = 0;
    if (!lo_job_has(m->job, "scaling")) {
        return LO_OK;
    }
    lo_status status = lo_score_list_read(m->job, &list, err);
    if (status == LO_OK) {
        status = measure_comparison(m->data->train.count, &seconds, err);
    }
    if (status == LO_OK) {
        const double sets = (double)compared_sets(m->job, &list);
        lo_plan_stage *s = add_stage(m, (lo_stage)0, "scaling");
        s->cores = 1;
        s->pass_items = lo_job_int(m->job, "scaling.resamples");
        s->pass_seconds = sets * seconds * (double)s->pass_items;
        s->alone_seconds = 0.1 + sets * seconds * LO_SCALING_BLOCKS;
    }
    lo_score_list_destroy(&list);
    return status;
}

static void plan_influence(const making *m)
{
    const bool errors = lo_job_has(m->job, "influence") && lo_job_bool(m->job, "influence.errors");
    m->plan->influence = lo_job_has(m->job, "influence");
    m->plan->errors = errors;
    if (!m->plan->influence || m->probe->contrast_rate <= 0) {
        return;
    }
    const int64_t top = lo_job_int(m->job, "influence.top");
    const double n = (double)m->data->train.count, n_test = (double)m->data->test.count;
    const double bytes = top > 0 ? n_test * (double)top * (errors ? 16 : 12) : n_test * n * (errors ? 8 : 4);
    lo_plan_stage *s = add_stage(m, (lo_stage)0, "influence");
    s->cores = 1;
    /* Measured with the preview's models; it goes by words of 64 of them. */
    const int64_t words = (m->design->models + 63) / 64, measured = (m->preview->design.models + 63) / 64;
    s->pass_seconds = n * n_test / m->probe->contrast_rate * (double)words / (double)measured;
    s->pass_items = m->data->test.count;
    s->written_bytes = bytes;
    s->disk_bytes = bytes;
    s->reported_bytes = bytes / (errors ? 2 : 1);
}

/* Models without an example, without training any: passes through the network of an original, and dense
 * matrices.
 */
static lo_status plan_attribution(const making *m, lo_error *err)
{
    lo_attribution a;
    lo_attribution_work work = {0};
    if (!lo_job_has(m->job, "attribution")) {
        return LO_OK;
    }
    const int64_t methods = lo_job_length(m->job, "attribution.methods");
    const lo_status status = lo_attribution_describe(m->job, m->data, &a, err);
    if (status == LO_OK) {
        const double cores = (double)lo_plan_cores(m->job); /* here ranks are alone, in one thread */
        lo_attribution_speed speed = m->probe->algebra;
        speed.seconds[LO_WORK_FORWARDS] = cores / m->probe->evaluate_rate;
        speed.seconds[LO_WORK_GRADIENTS] = cores / m->probe->train_rate;
        a.room = lo_attribution_memory(m->job, 1);
        lo_work_add_opening(&a, &work);
        for (int64_t i = 0; i < methods; i++) {
            lo_work_add_method(&a, lo_attribution_find(lo_job_text_at(m->job, "attribution.methods", i)),
                               &work);
        }
        lo_plan_stage *s = add_stage(m, (lo_stage)0, "attribution");
        s->cores = 1;
        s->pass_items = (a.train.count + LO_ATTRIBUTION_BLOCK - 1) / LO_ATTRIBUTION_BLOCK;
        s->pass_seconds = lo_work_seconds(work.shared, &speed);
        s->pass_bytes = work.bytes;
        s->alone_seconds = lo_work_seconds(work.alone, &speed);
        s->written_bytes =
            lo_attribution_file_bytes(&a, methods, lo_job_int(m->job, "attribution.top")) + work.kept_bytes;
        s->disk_bytes = s->written_bytes;
        (void)snprintf(s->what, sizeof(s->what), " methods=%lld", (long long)methods);
    }
    lo_attribution_undescribe(&a);
    return status;
}

/* Of all methods' runs, by a team. Its cores share batches; what is summed over single examples each rank
 * computes itself, in one thread. */
static lo_status run_seconds(const making *m, const lo_unlearn_work *work, double *seconds, lo_error *err)
{
    const double cores = (double)lo_plan_cores(m->job);
    const lo_model_spec model = lo_study_model_spec(m->job);
    const lo_unlearn_work shared = {.trained = work->trained, .evaluated = work->evaluated};
    const lo_unlearn_work own = {.summed = work->summed, .products = work->products, .drawn = work->drawn};
    lo_network *network = NULL;
    LO_TRY(lo_network_build(&model, m->data->shape, m->data->classes, &network, err));
    const lo_work_rates one =
        lo_work_rates_of(network, m->probe->train_rate / cores, m->probe->evaluate_rate / cores);
    *seconds = lo_unlearn_seconds(&shared, &one) / cores + lo_unlearn_seconds(&own, &one);
    lo_network_destroy(&network);
    return LO_OK;
}

static lo_status add_runs(const making *m, lo_plan_stage *s, int64_t count, const lo_unlearn_work *work,
                          double evaluated, lo_error *err)
{
    double seconds = 0;
    if (count > 0) {
        LO_TRY(run_seconds(m, work, &seconds, err));
        add_tasks(s, count, seconds / (double)count + evaluated, m->probe->train_spread);
    }
    return LO_OK;
}

/* Oracles, and originals that are made to forget. */
static lo_status plan_unlearning(const making *m, lo_error *err)
{
    const lo_plan_probe *p = m->probe;
    if (!lo_job_has(m->job, "unlearning")) {
        return LO_OK;
    }
    lo_unlearning_estimate e;
    LO_TRY(lo_unlearning_foresee(m->job, m->data, &e, err));
    const lo_unlearned model = lo_unlearned_make(m->data);
    const lo_examples *parts[] = {&m->data->train, &m->data->validation, &m->data->test};
    const double kept_models = (double)(e.oracles + e.runs), record = (double)lo_unlearned_size(&model);
    double evaluated = 0;
    for (int i = 0; i < 3; i++) {
        evaluated += (double)parts[i]->count / p->evaluate_rate;
    }
    lo_plan_stage *s = add_stage(m, LO_STAGE_UNLEARNING, "unlearning");
    s->team = lo_plan_team(m->job);
    s->cores = lo_plan_cores(m->job);
    s->record_bytes = record;
    if (e.oracles > 0) {
        add_tasks(s, e.oracles, e.oracle_examples / p->train_rate / (double)e.oracles + evaluated,
                  p->train_spread);
    }
    LO_TRY(add_runs(m, s, e.runs, &e.run_work, evaluated, err));
    LO_TRY(add_runs(m, s, e.matched, &e.matched_work, evaluated, err));
    add_tasks(s, e.originals, evaluated, p->train_spread);
    const double kept = lo_job_bool(m->job, "unlearning.keep_models") ? kept_models : 0;
    s->published_bytes = (kept_models + (double)(e.matched + e.originals)) * record;
    s->disk_bytes = 2 * s->published_bytes + kept * (double)p->parameters * sizeof(float);
    /* A second network and a record. */
    m->plan->record_memory = fmax(m->plan->record_memory, record + (double)p->trainer_bytes);
    char matched[32] = "";
    if (e.matched > 0) {
        (void)snprintf(matched, sizeof(matched), " matched=%lld", (long long)e.matched);
    }
    (void)snprintf(s->what, sizeof(s->what), " oracles=%lld runs=%lld%s", (long long)e.oracles,
                   (long long)e.runs, matched);
    return LO_OK;
}

static bool audits(const making *m, const char *metric)
{
    return lo_job_length(m->job, "audit.metrics") == 0 || lo_job_lists(m->job, "audit.metrics", metric);
}

/* The audit of one model on one forget set, by one rank: what takes long of it. */
static double audit_seconds(const making *m)
{
    /* A support-vector machine of 20,000 points takes 9 s, and the square of its points; relearning took
     * 1 to 13 epochs in the example jobs: docs/unlearning.md. */
    const double svc_seconds = 9, svc_points = 20000, relearn_epochs = 8, relearn_most = 500, share = 0.1;
    const double n = (double)m->data->train.count, tests = (double)m->data->test.count;
    const double cores = (double)lo_plan_cores(m->job); /* here ranks are alone, in one thread */
    const double points = 2 * fmin((double)lo_job_int(m->job, "audit.sample"), tests) / svc_points;
    /* A machine for each feature, and on the confidence one with matched classes; ToW and the gap take one.
     */
    const int64_t features = audits(m, "mia_svc") ? lo_job_length(m->job, "audit.mia_features") + 1 : 0;
    const int64_t least = audits(m, "tow_mia") || audits(m, "avg_gap") ? 1 : 0;
    const double machines = (double)(features > least ? features : least);
    const double again = relearn_epochs * fmin(relearn_most, share * n);
    double seconds = 0.01 + machines * svc_seconds * points * points;
    seconds += audits(m, "entanglement") ? cores * n / m->probe->evaluate_rate : 0;
    seconds +=
        audits(m, "relearn") ? cores * again * (1 / m->probe->train_rate + 1 / m->probe->evaluate_rate) : 0;
    return seconds;
}

/* Rows of audit.h5, and attacks on the ensemble's own models. */
static lo_status plan_audit(const making *m, lo_error *err)
{
    if (!lo_job_has(m->job, "audit")) {
        return LO_OK;
    }
    const double attack = 1.3 / (200.0 * 10000); /* seconds of a model and example: docs/methods.md */
    const double outcomes = (double)m->design->models * (double)m->data->train.count;
    const int attacks = (audits(m, "lira") ? 2 : 0) + (audits(m, "rmia") ? 1 : 0);
    lo_unlearning_estimate e = {0};
    LO_TRY(lo_job_has(m->job, "unlearning") ? lo_unlearning_foresee(m->job, m->data, &e, err) : LO_OK);
    const int64_t oracles = lo_job_has(m->job, "unlearning") ? lo_job_int(m->job, "unlearning.oracles") : 0;
    const int64_t sets = oracles > 0 && e.oracles > oracles ? e.oracles / oracles : 1;
    const int64_t rows = e.oracles + e.runs + e.originals * sets;
    lo_plan_stage *s = add_stage(m, (lo_stage)0, "audit");
    s->cores = 1;
    s->pass_seconds = (double)rows * audit_seconds(m) + attack * attacks * outcomes;
    s->pass_items = rows > 0 ? rows : m->data->train.count;
    s->written_bytes = s->disk_bytes = (double)rows * 8192 + 16 * (double)m->data->train.count;
    (void)snprintf(s->what, sizeof(s->what), " rows=%lld attacks=%d", (long long)rows,
                   m->design->models > 0 ? attacks : 0);
    return LO_OK;
}

lo_status lo_plan_stages(const lo_preview *preview, const lo_design *design, const lo_plan_probe *probe,
                         lo_plan *out, lo_error *err)
{
    /* The programs start, and the report, with some hundred pictures, reads all influence: seconds. */
    const double start = 0.7, read_per_s = 500e6, page = 0.4e6;
    const making m = {.preview = preview,
                      .job = preview->job,
                      .data = &preview->data,
                      .design = design,
                      .probe = probe,
                      .plan = out};
    *out = (lo_plan){.cache_bytes = (double)preview->data.map_size, .other_bytes = page};
    plan_originals(&m);
    plan_ensemble(&m);
    LO_TRY(plan_scores(&m, err));
    LO_TRY(plan_scaling(&m, err));
    plan_influence(&m);
    LO_TRY(plan_attribution(&m, err));
    LO_TRY(plan_unlearning(&m, err));
    LO_TRY(plan_audit(&m, err));
    out->start_seconds = start + probe->prepare_seconds;
    for (int i = 0; i < out->stages; i++) {
        out->start_seconds += out->stage[i].reported_bytes / read_per_s;
    }
    return LO_OK;
}

lo_status lo_plan_cost_of(const lo_plan_stage *stage, const lo_cost_machine *machine, int64_t ranks,
                          lo_plan_cost *out, lo_error *err)
{
    /* Before and after the tasks rank 0 writes status.json: a file and its directory, synced. */
    const double status_seconds = stage->kinds > 0 ? 4 * machine->sync_seconds : 0;
    lo_cost_machine as_measured = *machine;
    lo_cost_farm farm = {.kind = stage->kind, .kinds = stage->kinds, .record_bytes = stage->record_bytes};
    if (stage->record_seconds >= 0) {
        as_measured.sync_seconds = stage->record_seconds;
        farm.record_bytes = 0;
    }
    lo_cost farmed;
    LO_TRY(lo_cost_farmed(&as_measured, &farm, ranks / stage->team, &farmed, err));
    const lo_cost passed =
        lo_cost_sharded(machine, stage->pass_seconds, stage->pass_items, stage->pass_bytes, ranks);
    *out = (lo_plan_cost){.wall = farmed.wall + status_seconds + passed.wall + stage->alone_seconds,
                          .core = farmed.busy * (double)stage->cores + passed.busy};
    if (stage->written_bytes > 0) {
        out->files = lo_cost_published(machine, stage->written_bytes, 1);
        out->wall += out->files;
    }
    if (stage->published_bytes > 0) {
        out->published = lo_cost_published(machine, stage->published_bytes, 1);
        out->files += out->published;
    }
    return LO_OK;
}

/* ---- memory ---- */

/* Examples in the source files, as far as those in use tell: rank 0 chooses among them to prepare the data
 * set. What they are made of is mapped. */
static double source_examples(const lo_examples *examples)
{
    return examples->count > 0 ? (double)(examples->index[examples->count - 1] + 1) : 0;
}

double lo_plan_memory(const lo_plan *plan, const lo_preview *preview, const lo_design *design,
                      const lo_plan_probe *probe, int64_t ranks)
{
    /* The program with MPI and HDF5 before anything is computed: 24 to 28 MiB measured on 1 to 4 ranks. */
    const double libraries = 28e6;
    const double publish_at_once = 32e6, publish_models = 64;
    const lo_dataset *data = &preview->data;
    const double n = (double)data->train.count;
    const double record = (double)lo_outcome_size(data->train.count, data->test.count);
    const double models = ceil((double)design->models / (double)ranks);
    const double an_example = 64; /* labels, numbers, random keys: measured 60 */
    const double prepare = an_example * (source_examples(&data->train) + source_examples(&data->test));
    const double train = (double)probe->trainer_bytes + record + n * 4;
    const double published = fmax(fmin(fmin(models, publish_models) * record, publish_at_once), record);
    const int64_t words = (design->models + 63) / 64;
    const double columns = n * (double)words * 8;
    const double block = (double)lo_influence_block(data->train.count) * n * sizeof(float);
    const double contrast = plan->influence ? columns + block * (plan->errors ? 2 : 1) : 0;
    return libraries + fmax(fmax(prepare, train), fmax(published, contrast)) + plan->record_memory;
}
