/* leaveout plan: what a job will take, from a short training of one model here. */
#include "base/clock.h"
#include "jobs/attribution.h"
#include "jobs/attribution_network.h"
#include "jobs/commands.h"
#include "jobs/original.h"
#include "jobs/outcome.h"
#include "jobs/preview.h"
#include "jobs/score_list.h"
#include "jobs/stages.h"
#include "jobs/study.h"
#include "jobs/unlearned.h"
#include "jobs/unlearning.h"
#include "jobs/until.h"
#include "score/subset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct probe {
    double train_rate, evaluate_rate; /* examples a second, one team, most often one rank */
    double prepare_seconds;           /* of the data set, one rank */
    double contrast_rate;             /* test x train pairs a second for all models, one rank */
    size_t trainer_bytes;
    int64_t parameters;
} probe;

/* The ranks that train one model together, and the cores. */
static int64_t team_of(const lo_job *job)
{
    return lo_job_int(job, "train.team");
}

static int64_t cores_of(const lo_job *job)
{
    return team_of(job) * lo_job_int(job, "train.threads");
}

/* Examples a second of one epoch over more and more examples, then over all of them (or as many as time
 * allows) again and again. The first time over so many is for the memory to get warm; what comes after
 * counts, all together. */
static lo_status time_epochs(lo_trainer *net, const uint32_t *members, int64_t n, double *rate, lo_error *err)
{
    enum { LEAST = 512 };
    const double enough = 1.2, largest = 0.4; /* seconds of all, of one */
    const double begun = lo_clock_monotonic();
    double examples = 0;
    double seconds = 0;
    for (int64_t used = n < LEAST ? n : LEAST, before = 0;;) {
        lo_training training;
        const double start = lo_clock_monotonic();
        LO_TRY(lo_trainer_run(net, 0, members, used, NULL, &training, err));
        const double now = lo_clock_monotonic();
        if (used == before) {
            examples += (double)used;
            seconds += now - start;
        }
        before = used;
        *rate = seconds > 0 ? examples / seconds : (double)used / (now - start);
        if (now - begun > enough) {
            return LO_OK;
        }
        used = now - start > largest ? used : used > n / 2 ? n : used * 2;
    }
}

/* What a training and its evaluation take here, of one epoch on a network of the job. */
static lo_status probe_training(const lo_job *job, const lo_dataset *data, probe *p, lo_error *err)
{
    lo_trainer *net = NULL;
    const lo_model_spec model = lo_study_model_spec(job);
    lo_recipe recipe = lo_study_recipe(job);
    recipe.epochs = 1;
    uint32_t *members = calloc((size_t)data->train.count, sizeof(*members));
    lo_status status = members != NULL ? lo_trainer_create(&model, &recipe, data, &net, err)
                                       : lo_fail(err, LO_INTERNAL, "no memory for the probe");
    for (int64_t i = 0; members != NULL && i < data->train.count; i++) {
        members[i] = (uint32_t)i;
    }
    if (status == LO_OK) {
        status = time_epochs(net, members, data->train.count, &p->train_rate, err);
    }
    lo_examples some = data->train;
    some.count = some.count < 4096 ? some.count : 4096;
    for (int round = 0; round < 2 && status == LO_OK; round++) { /* the first touches the memory */
        const double start = lo_clock_monotonic();
        status = lo_trainer_evaluate(net, &some, NULL, NULL, NULL, err);
        p->evaluate_rate = (double)some.count / (lo_clock_monotonic() - start);
        p->trainer_bytes = lo_trainer_memory(net);
        p->parameters = lo_trainer_parameters(net);
    }
    /* A team's members share each batch evenly; what they need to meet is left out. */
    p->train_rate *= (double)cores_of(job);
    p->evaluate_rate *= (double)cores_of(job);
    lo_trainer_destroy(&net);
    free(members);
    return status;
}

/* Times a few rows of the influence contrast with made-up bits. */
static lo_status probe_contrast(int64_t models, int64_t n, bool errors, probe *p, lo_error *err)
{
    enum { ROWS = 32 };
    lo_columns mask = {0};
    lo_columns correct = {0};
    float *value = malloc((size_t)n * ROWS * sizeof(*value));
    float *error = errors ? malloc((size_t)n * ROWS * sizeof(*error)) : NULL;
    lo_status status = value != NULL && (!errors || error != NULL)
                           ? lo_columns_create(models, n, &mask, err)
                           : lo_fail(err, LO_INTERNAL, "no memory for the probe");
    if (status == LO_OK) {
        status = lo_columns_create(models, ROWS, &correct, err);
    }
    for (int64_t w = 0; status == LO_OK && w < (models + 63) / 64 * mask.stride; w++) {
        mask.word[w] = (uint64_t)w * 0x9e3779b97f4a7c15ULL;
    }
    for (int round = 0; round < 2 && status == LO_OK; round++) { /* the first touches the memory */
        const double start = lo_clock_monotonic();
        status = lo_contrast(&mask, &correct, NULL, value, error, NULL);
        p->contrast_rate = (double)n * ROWS / (lo_clock_monotonic() - start);
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(value);
    free(error);
    return status;
}

static double megabytes(double bytes)
{
    return bytes / 1e6;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Examples in the source files, as far as those in use tell: rank 0 chooses among them to prepare the data
 * set. What they are made of is mapped. */
static double source_examples(const lo_examples *examples)
{
    return examples->count > 0 ? (double)(examples->index[examples->count - 1] + 1) : 0;
}

/* The largest a rank becomes, stage by stage; the mapped data set, which ranks of a node share, not counted.
 */
static double memory_per_rank(const lo_design *design, const lo_dataset *data, const probe *p, int64_t ranks,
                              bool influence, bool errors)
{
    /* The program with MPI and HDF5 before anything is computed: 24 to 28 MiB measured on 1 to 4 ranks. */
    const double libraries = 28e6;
    const double publish_at_once = 32e6, publish_models = 64;
    const double n = (double)data->train.count;
    const double record = (double)lo_outcome_size(data->train.count, data->test.count);
    const double models = ceil((double)design->models / (double)ranks);
    const double an_example = 64; /* labels, numbers, random keys: measured 60 */
    const double prepare = an_example * (source_examples(&data->train) + source_examples(&data->test));
    const double train = (double)p->trainer_bytes + record + n * 4;
    const double published = larger(fmin(fmin(models, publish_models) * record, publish_at_once), record);
    const int64_t words = (design->models + 63) / 64;
    const double columns = n * (double)words * 8;
    const double block = (double)lo_influence_block(data->train.count) * n * sizeof(float);
    const double contrast = influence ? columns + block * (errors ? 2 : 1) : 0;
    return libraries + larger(larger(prepare, train), larger(published, contrast));
}

/* Files are written, synced and read again to be verified; a sync takes so long at least. */
static const double written_per_s = 150e6, sync_seconds = 0.004;

/* Trainings on everything, with what their records and files take. */
typedef struct originals_plan {
    int64_t seeds;
    double seconds, wall, core, disk,
        memory; /* of one; of the stage, on the ranks and all; bytes of files; a record */
} originals_plan;

static originals_plan plan_originals(const lo_job *job, const lo_dataset *data, int64_t ranks, const probe *p)
{
    if (!lo_job_has(job, "originals")) {
        return (originals_plan){0};
    }
    const int64_t n = data->train.count, epochs = lo_job_int(job, "train.epochs");
    const double files = (double)(1 + lo_job_length(job, "originals.checkpoints"));
    originals_plan o = {.seeds = lo_job_int(job, "originals.seeds"),
                        .memory = (double)lo_original_size(n, epochs, lo_originals_logged(job))};
    const double weights = (double)p->parameters * sizeof(float);
    o.seconds = (double)n * (double)epochs / p->train_rate + (double)data->test.count / p->evaluate_rate +
                sync_seconds * (1 + files) + (o.memory + files * weights) / written_per_s;
    o.wall = ceil((double)o.seeds / (double)(ranks / team_of(job))) * o.seconds;
    o.core = (double)(o.seeds * cores_of(job)) * o.seconds;
    o.disk = (double)o.seeds * (2 * o.memory + files * weights);
    return o;
}

/* Scores: what each passes through the network, on the ranks together or task by task. */
typedef struct scores_plan {
    int count;
    double wall, core, disk;
} scores_plan;

static void add_score(const lo_job *job, const lo_dataset *data, const lo_listed_score *listed, int64_t ranks,
                      const probe *p, scores_plan *out)
{
    const lo_score *score = listed->score;
    const lo_model_spec model = lo_study_model_spec(job);
    const lo_recipe recipe = lo_study_recipe(job);
    const lo_score_input input = lo_score_foresee(job, data, listed, &model, &recipe);
    if (score->work == NULL) {
        return;
    }
    const lo_score_work work = score->work(&input);
    double seconds = work.trained / p->train_rate + work.evaluated / p->evaluate_rate;
    if (score->tasks != NULL) {
        const double tasks = (double)score->tasks(&input);
        out->wall += tasks > 0 ? ceil(tasks / (double)ranks) * seconds / tasks : 0;
    } else {
        seconds *= (double)input.originals;
        out->wall += seconds / (double)ranks;
    }
    out->core += seconds;
}

static lo_status plan_scores(const lo_job *job, const lo_dataset *data, int64_t ranks, const probe *p,
                             scores_plan *out, lo_error *err)
{
    lo_score_list list;
    lo_status status = lo_score_list_read(job, &list, err);
    *out = (scores_plan){.count = list.count};
    for (int i = 0; i < list.count && status == LO_OK; i++) {
        add_score(job, data, &list.listed[i], ranks, p, out);
    }
    out->disk = (double)data->train.count * (16 * list.count + 32);
    lo_score_list_destroy(&list);
    return status;
}

/* Oracles, and originals that are made to forget. */
typedef struct unlearning_plan {
    lo_unlearning_estimate tasks;
    double wall, core, disk, memory; /* as of originals_plan; memory: a second network and a record */
} unlearning_plan;

static lo_status plan_unlearning(const lo_job *job, const lo_dataset *data, int64_t ranks, const probe *p,
                                 unlearning_plan *out, lo_error *err)
{
    *out = (unlearning_plan){.wall = 0};
    if (!lo_job_has(job, "unlearning")) {
        return LO_OK;
    }
    LO_TRY(lo_unlearning_foresee(job, data, &out->tasks, err));
    const lo_unlearning_estimate *e = &out->tasks;
    const lo_unlearned model = lo_unlearned_make(data);
    const double models = (double)(e->oracles + e->runs), record = (double)lo_unlearned_size(&model);
    const double examples = (double)(data->train.count + data->validation.count + data->test.count);
    const double kept = lo_job_bool(job, "unlearning.keep_models") ? models : 0;
    /* Here ranks are alone, in one thread. */
    out->core = (double)cores_of(job) * ((e->oracle_examples + e->run_examples) / p->train_rate +
                                         (models + (double)e->originals) * examples / p->evaluate_rate);
    out->wall = out->core / fmin((double)ranks, models);
    out->disk = 2 * (models + (double)e->originals) * record + kept * (double)p->parameters * sizeof(float);
    out->memory = record + (double)p->trainer_bytes;
    return LO_OK;
}

static void print_unlearning(const unlearning_plan *u)
{
    if (u->tasks.oracles + u->tasks.runs > 0) {
        (void)printf("stage=unlearning oracles=%lld runs=%lld wall_s=%.0f core_hours=%.3f disk_mb=%.1f\n",
                     (long long)u->tasks.oracles, (long long)u->tasks.runs, u->wall, u->core / 3600,
                     megabytes(u->disk));
    }
}

static void print_plan(const lo_job *job, const lo_dataset *data, const lo_design *design, int64_t ranks,
                       const probe *p, const unlearning_plan *unlearning, const scores_plan *scores)
{
    const int64_t n = data->train.count;
    const int64_t n_test = data->test.count;
    const bool subsets = design->ratio > 0; /* else all examples but one, or but a group */
    const double members = (double)n * (subsets ? design->ratio : 1);
    const double record = (double)lo_outcome_size(n, n_test);
    const double model_seconds = design->kind == LO_DESIGN_IMPORTED
                                     ? 0
                                     : members * (double)lo_job_int(job, "train.epochs") / p->train_rate +
                                           (double)(n + n_test) / p->evaluate_rate + sync_seconds +
                                           record / written_per_s;
    const int64_t teams = ranks / team_of(job);
    const double rounds = ceil((double)design->models / (double)teams);
    const double wall = rounds * model_seconds;
    const double core = (double)(design->models * cores_of(job)) * model_seconds;
    const bool influence = lo_job_has(job, "influence");
    const bool errors = influence && lo_job_bool(job, "influence.errors");
    const int64_t top = influence ? lo_job_int(job, "influence.top") : 0;
    const int64_t words = (design->models + 63) / 64;
    const double columns = (double)n * (double)words * 8;
    const double influence_bytes = !influence ? 0
                                   : top > 0  ? (double)n_test * (double)top * (errors ? 16 : 12)
                                              : (double)n_test * (double)n * (errors ? 8 : 4);
    const double page = 0.4e6; /* report.html, a few hundred pictures of 28 x 28 */
    /* The programs start, the ensemble is published, the report reads all influence: seconds. */
    const double start = 0.7, read_per_s = 500e6;
    const double begin_and_end = start + p->prepare_seconds +
                                 2 * record * (double)design->models / written_per_s +
                                 influence_bytes / (errors ? 2 : 1) / read_per_s;
    const double contrast_core =
        influence && p->contrast_rate > 0 ? (double)n * (double)n_test / p->contrast_rate : 0;
    const double contrast = contrast_core / (double)ranks + influence_bytes / written_per_s;
    const double cache = (double)data->map_size;
    const bool ensemble = design->models > 0;
    const originals_plan originals = plan_originals(job, data, ranks, p);
    const double kept = fmin((double)lo_job_int(job, "ensemble.keep_models"), (double)design->models) *
                        (double)p->parameters * sizeof(float);
    const double memory = memory_per_rank(design, data, p, ranks, influence, errors) +
                          fmax(originals.memory, unlearning->memory);
    const double journal = record * (double)design->models;
    (void)printf("probe: preset=%s parameters=%lld train_examples_per_s=%.0f evaluate_examples_per_s=%.0f\n",
                 lo_job_text(job, "model.preset"), (long long)p->parameters, p->train_rate, p->evaluate_rate);
    if (originals.seeds > 0) {
        (void)printf(
            "stage=originals models=%lld seconds_per_model=%.2f wall_s=%.1f core_hours=%.3f disk_mb=%.1f\n",
            (long long)originals.seeds, originals.seconds, originals.wall, originals.core / 3600,
            megabytes(originals.disk));
    }
    if (ensemble) {
        (void)printf(
            "stage=ensemble models=%lld seconds_per_model=%.2f wall_s=%.1f core_hours=%.3f disk_mb=%.1f\n",
            (long long)design->models, model_seconds, wall, core / 3600, megabytes(2 * journal + kept));
    }
    if (scores->count > 0) {
        (void)printf("stage=scores wall_s=%.1f core_hours=%.4f disk_mb=%.1f\n",
                     0.1 + columns / 1e9 + scores->wall, scores->core / 3600, megabytes(scores->disk));
    }
    if (influence) {
        (void)printf("stage=influence wall_s=%.1f core_hours=%.4f disk_mb=%.1f\n", contrast,
                     contrast_core / 3600, megabytes(influence_bytes));
    }
    print_unlearning(unlearning);
    (void)printf("memory_per_rank_mb=%.0f shared_per_node_mb=%.0f\n", megabytes(memory), megabytes(cache));
    (void)printf("total ranks=%lld wall_s=%.1f core_hours=%.3f disk_mb=%.1f\n", (long long)ranks,
                 wall + originals.wall + scores->wall + unlearning->wall + contrast + begin_and_end,
                 (core + originals.core + scores->core + unlearning->core + contrast_core) / 3600,
                 megabytes(2 * journal + kept + originals.disk + unlearning->disk + influence_bytes +
                           scores->disk + cache + page));
    if (design->models % teams != 0) {
        const char *who = teams < ranks ? "teams" : "ranks";
        (void)printf("hint: %lld models on %lld %s leave %lld %s idle in the last round\n",
                     (long long)design->models, (long long)teams, who,
                     (long long)(teams - design->models % teams), who);
    }
}

/* What attribution takes: it refuses by itself what does not fit. */
static lo_status print_attribution(const lo_job *job, const lo_dataset *data, int64_t ranks, lo_error *err)
{
    const char *targets = lo_job_text(job, "attribution.targets");
    const char *form = lo_job_text(job, "attribution.form");
    lo_inputs inputs;
    lo_attribution a = {.train = lo_features_of_inputs(&inputs, data, &data->train),
                        .target = {.count = strcmp(targets, "none") == 0    ? 0
                                            : strcmp(targets, "train") == 0 ? data->train.count
                                                                            : data->test.count},
                        .classes = data->classes,
                        .spectrum = lo_job_bool(job, "attribution.spectrum"),
                        .keep = lo_job_bool(job, "attribution.keep"),
                        .model = lo_attribution_model_of(job),
                        .primal = strcmp(form, "primal") == 0,
                        .dual = strcmp(form, "dual") == 0};
    a.target.size = a.train.size;
    const double values = (double)a.target.count * (double)a.train.count * sizeof(float);
    const lo_status status = lo_attribution_network_open(job, data, &a, err);
    for (int i = 0; i < lo_attribution_count() && status == LO_OK; i++) {
        const lo_attribution_type *type = lo_attribution_at(i);
        if (lo_job_lists(job, "attribution.methods", type->name) &&
            (a.model != LO_ATTRIBUTION_NETWORK || type->networks)) {
            (void)printf("stage=attribution method=%s memory_mb_per_rank=%.1f\n", type->name,
                         megabytes(type->bytes(&a, (int)ranks) + values / (double)ranks));
        }
    }
    lo_attribution_network_close(&a);
    return status;
}

/* With ensemble.until, fewer models: at most as many as leave the least certain of examples an error that is
 * small enough. */
static void plan_until(const lo_job *job, lo_design *design)
{
    lo_until_rule rule;
    if (lo_until_of(job, &rule)) {
        const int64_t allowed = design->models;
        const int64_t least = lo_stopping_next(design, rule.first, 0);
        design->models = lo_stopping_bound(design, rule.first, rule.target);
        (void)printf(
            "until=%g over=%s models_at_least=%lld models_at_most=%lld allowed=%lld: what follows is "
            "for the most\n",
            rule.target, lo_over_name(rule.over), (long long)least, (long long)design->models,
            (long long)allowed);
    }
}

lo_status lo_command_plan(const lo_command_line *line, lo_error *err)
{
    int64_t ranks;
    lo_preview v;
    probe p = {0};
    unlearning_plan unlearning;
    scores_plan scores;
    LO_TRY(lo_option_int(line, "ranks", 1, 1 << 24, 1, &ranks, err));
    lo_status status = lo_preview_open(line, &v, err);
    if (status == LO_OK && ranks % team_of(v.job) != 0) {
        status = lo_fail(err, LO_USAGE, "plan: --ranks: %lld ranks cannot form teams of %lld (train.team)",
                         (long long)ranks, (long long)team_of(v.job));
    }
    if (status == LO_OK && lo_job_has(v.job, "attribution")) {
        status = print_attribution(v.job, &v.data, ranks, err);
    }
    if (status == LO_OK && !lo_job_has(v.job, "ensemble") && !lo_job_has(v.job, "originals") &&
        !lo_job_has(v.job, "scores")) {
        (void)printf("the job has no stage that trains anything (no ensemble or originals section)\n");
    } else if (status == LO_OK) {
        plan_until(v.job, &v.design);
        p.prepare_seconds = v.prepare_seconds;
        status = probe_training(v.job, &v.data, &p, err);
        if (status == LO_OK && lo_job_has(v.job, "influence") && v.data.test.count > 0) {
            status = probe_contrast(v.design.models, v.data.train.count,
                                    lo_job_bool(v.job, "influence.errors"), &p, err);
        }
        if (status == LO_OK) {
            status = plan_unlearning(v.job, &v.data, ranks, &p, &unlearning, err);
        }
        if (status == LO_OK) {
            status = plan_scores(v.job, &v.data, ranks, &p, &scores, err);
        }
        if (status == LO_OK) {
            print_plan(v.job, &v.data, &v.design, ranks, &p, &unlearning, &scores);
        }
    }
    lo_preview_close(&v);
    return status;
}
