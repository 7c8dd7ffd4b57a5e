/* leaveout plan: what a job will take on any number of ranks, from a short training of one model here, or
 * from what a study has seen. */
#include "jobs/attribution/attribution.h"
#include "jobs/commands.h"
#include "jobs/ensemble/until.h"
#include "jobs/plan/plan_probe.h"
#include "jobs/plan/plan_stages.h"
#include "jobs/plan/plan_study.h"
#include "jobs/plan/preview.h"
#include "mpi/agree.h"
#include "mpi/run.h"
#include "score/stopping.h"

#include <hdf5.h>
#include <limits.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_COUNTS = 64 };
static const int64_t most_ranks = 1 << 24;

/* A plan under work. */
typedef struct planning {
    const lo_command_line *line;
    int64_t ranks[MOST_COUNTS]; /* [counts], ascending */
    int counts;
    bool weak;         /* models grow with ranks */
    const char *study; /* or NULL */
    lo_preview preview;
    lo_plan_probe probe;
    lo_plan plan;
    lo_plan_seen *seen; /* [seen_count]; owned */
    int seen_count;
} planning;

static double megabytes(double bytes)
{
    return bytes / 1e6;
}

static double percent_off(double predicted, double measured)
{
    return measured > 0 ? 100 * (predicted / measured - 1) : NAN;
}

/* ---- the command line ---- */

static lo_status add_count(planning *p, int64_t ranks, lo_error *err)
{
    if (p->counts == MOST_COUNTS) {
        return lo_fail(err, LO_USAGE, "--ranks: more than %d numbers", MOST_COUNTS);
    }
    if (p->counts > 0 && ranks <= p->ranks[p->counts - 1]) {
        return lo_fail(err, LO_USAGE, "--ranks: found %lld after %lld; allowed are ascending numbers",
                       (long long)ranks, (long long)p->ranks[p->counts - 1]);
    }
    p->ranks[p->counts++] = ranks;
    return LO_OK;
}

/* "8", "1,2,4", "1:1024" (doubled from one to the other), and such with commas between. */
static lo_status read_ranks(planning *p, lo_error *err)
{
    const char *text = lo_option_value(p->line, "ranks");
    const char *at = text != NULL ? text : "1";
    for (;; at++) {
        char *end;
        const long long first = strtoll(at, &end, 10);
        long long last = first;
        if (*end == ':' && end != at) {
            at = end + 1;
            last = strtoll(at, &end, 10);
        }
        if (end == at || (*end != '\0' && *end != ',') || first < 1 || last < first || last > most_ranks) {
            return lo_fail(
                err, LO_USAGE,
                "--ranks: found '%s'; allowed: numbers from 1 to %lld with commas between, A:B for "
                "A, 2 A, 4 A up to B",
                text, (long long)most_ranks);
        }
        for (long long ranks = first; ranks < last; ranks *= 2) {
            LO_TRY(add_count(p, ranks, err));
        }
        LO_TRY(add_count(p, last, err));
        if (*end == '\0') {
            return LO_OK;
        }
        at = end;
    }
}

/* The job file, or that of the study. */
static lo_status open_preview(planning *p, lo_error *err)
{
    char job[PATH_MAX];
    lo_command_line line = *p->line;
    if (line.operand_count == 0) {
        if (p->study == NULL) {
            return lo_fail(err, LO_USAGE,
                           "plan: neither a job nor --study DIR, a study that has one, is given");
        }
        (void)snprintf(job, sizeof(job), "%s/job.yaml", p->study);
        line.operand[line.operand_count++] = job;
    }
    LO_TRY(lo_preview_open(&line, &p->preview, err));
    const int64_t team = lo_plan_team(p->preview.job);
    for (int i = 0; i < p->counts; i++) {
        if (p->ranks[i] % team != 0) {
            return lo_fail(err, LO_USAGE, "plan: --ranks: %lld ranks cannot form teams of %lld (train.team)",
                           (long long)p->ranks[i], (long long)team);
        }
    }
    return LO_OK;
}

/* ---- what is said ---- */

/* What attribution takes: it refuses by itself what does not fit. */
static lo_status print_attribution(const lo_job *job, const lo_dataset *data, int64_t ranks, lo_error *err)
{
    lo_attribution a;
    const lo_status status = lo_attribution_describe(job, data, &a, err);
    const double values = (double)a.target.count * (double)a.train.count * sizeof(float);
    for (int i = 0; i < lo_attribution_count() && status == LO_OK; i++) {
        const lo_attribution_type *type = lo_attribution_at(i);
        if (lo_job_lists(job, "attribution.methods", type->name)) {
            (void)printf("stage=attribution method=%s memory_mb_per_rank=%.1f\n", type->name,
                         megabytes(type->bytes(&a, (int)ranks) + values / (double)ranks));
        }
    }
    lo_attribution_undescribe(&a);
    return status;
}

/* With ensemble.until, fewer models: at most as many as leave the least certain of examples an error that is
 * small enough. */
static void plan_until(const lo_job *job, lo_design *design, bool print)
{
    lo_until_rule rule;
    if (lo_until_of(job, &rule)) {
        const int64_t allowed = design->models;
        const int64_t least = lo_stopping_next(design, rule.first, 0);
        design->models = lo_stopping_bound(design, rule.first, rule.target);
        if (print) {
            (void)printf(
                "until=%g over=%s models_at_least=%lld models_at_most=%lld allowed=%lld: what follows is "
                "for the most\n",
                rule.target, lo_over_name(rule.over), (long long)least, (long long)design->models,
                (long long)allowed);
        }
    }
}

static void print_probe(const planning *p)
{
    const lo_plan_probe *b = &p->probe;
    const lo_cost_machine *m = &b->machine;
    (void)printf("probe: preset=%s parameters=%lld train_examples_per_s=%.0f evaluate_examples_per_s=%.0f "
                 "ranks=%d\n",
                 lo_job_text(p->preview.job, "model.preset"), (long long)b->parameters, b->train_rate,
                 b->evaluate_rate, b->ranks);
    (void)printf("machine: files=%s sync_ms=%.2f write_mb_per_s=%.0f messages=%s message_us=%.1f "
                 "serve_us=%.1f reduce_mb_per_s=%.0f claim_ms=%.2f\n",
                 b->files ? "measured" : "assumed", 1e3 * m->sync_seconds, megabytes(m->write_rate),
                 b->messages ? "measured" : "assumed", 1e6 * m->message_seconds, 1e6 * m->serve_seconds,
                 megabytes(m->reduce_rate), 1e3 * m->claim_seconds);
    if (!b->files) {
        (void)printf(
            "note: files are not measured: --study DIR says on which file system the study will be\n");
    }
    if (!b->messages) {
        (void)printf(
            "note: messages are not measured, nor what ranks take from each other: plan under mpirun "
            "does both\n");
    }
}

/* All of a job: the stages one after the other, and what every run begins and ends with. */
typedef struct whole {
    double wall, core, disk;
    double files; /* seconds of wall */
} whole;

static void print_stage(const lo_plan_stage *s, const lo_plan_cost *cost)
{
    const bool models = s->number == LO_STAGE_ORIGINALS || s->number == LO_STAGE_ENSEMBLE;
    (void)printf("stage=%s%s", s->name, s->what);
    if (models) {
        (void)printf(" seconds_per_model=%.2f", s->kind[0].seconds);
    }
    (void)printf(" wall_s=%.2f core_hours=%.4f disk_mb=%.1f", cost->wall, cost->core / 3600,
                 megabytes(s->disk_bytes));
    if (s->published_bytes > 0) {
        (void)printf(" published_s=%.2f", cost->published);
    }
    (void)printf("\n");
}

static lo_status add_up(const planning *p, const lo_plan *plan, int64_t ranks, bool print, whole *out,
                        lo_error *err)
{
    *out = (whole){.wall = plan->start_seconds, .disk = plan->cache_bytes + plan->other_bytes};
    for (int i = 0; i < plan->stages; i++) {
        const lo_plan_stage *s = &plan->stage[i];
        lo_plan_cost cost;
        LO_TRY(lo_plan_cost_of(s, &p->probe.machine, ranks, &cost, err));
        out->wall += cost.wall + cost.published;
        out->core += cost.core;
        out->files += cost.files;
        out->disk += s->disk_bytes;
        if (print) {
            print_stage(s, &cost);
        }
    }
    return LO_OK;
}

static lo_status print_stages(const planning *p, lo_error *err)
{
    const double much = 0.2;
    const int64_t ranks = p->ranks[p->counts - 1];
    const lo_design *design = &p->preview.design;
    const double memory = lo_plan_memory(&p->plan, &p->preview, design, &p->probe, ranks);
    whole all;
    LO_TRY(add_up(p, &p->plan, ranks, true, &all, err));
    (void)printf("memory_per_rank_mb=%.0f shared_per_node_mb=%.0f\n", megabytes(memory),
                 megabytes(p->plan.cache_bytes));
    (void)printf("total ranks=%lld wall_s=%.2f files_s=%.2f core_hours=%.3f disk_mb=%.1f\n", (long long)ranks,
                 all.wall, all.files, all.core / 3600, megabytes(all.disk));
    if (all.files > much * all.wall) {
        (void)printf(
            "note: %.0f %% of that is the writing of files, of which the rate varies more than that of "
            "training\n",
            100 * all.files / all.wall);
    }
    const int64_t teams = ranks / lo_plan_team(p->preview.job);
    if (design->models % teams != 0) {
        const char *who = teams < ranks ? "teams" : "ranks";
        (void)printf("hint: %lld models on %lld %s leave %lld %s idle in the last round\n",
                     (long long)design->models, (long long)teams, who,
                     (long long)(teams - design->models % teams), who);
    }
    return LO_OK;
}

/* Strong scaling: the same job on more and more ranks. Efficiency: against the first number of them. */
static lo_status print_strong(const planning *p, lo_error *err)
{
    double first[LO_PLAN_STAGES + 1];
    for (int i = 0; i < p->counts; i++) {
        const int64_t ranks = p->ranks[i];
        const double grown = (double)ranks / (double)p->ranks[0];
        for (int s = 0; s <= p->plan.stages; s++) {
            const bool is_all = s == p->plan.stages;
            double wall;
            if (is_all) {
                whole all;
                LO_TRY(add_up(p, &p->plan, ranks, false, &all, err));
                wall = all.wall;
            } else {
                lo_plan_cost cost;
                LO_TRY(lo_plan_cost_of(&p->plan.stage[s], &p->probe.machine, ranks, &cost, err));
                wall = cost.wall + cost.published;
            }
            first[s] = i == 0 ? wall : first[s];
            (void)printf("strong ranks=%lld stage=%s wall_s=%.2f speedup=%.2f efficiency=%.3f\n",
                         (long long)ranks, is_all ? "all" : p->plan.stage[s].name, wall, first[s] / wall,
                         first[s] / wall / grown);
        }
    }
    return LO_OK;
}

/* Weak scaling: models grow with ranks, so that nothing would change if nothing got in the way. */
static lo_status print_weak(const planning *p, lo_error *err)
{
    double first[2] = {0};
    for (int i = 0; i < p->counts; i++) {
        lo_plan plan;
        whole all;
        double ensemble = 0;
        lo_design design = p->preview.design;
        design.models = design.models * p->ranks[i] / p->ranks[0];
        LO_TRY(lo_plan_stages(&p->preview, &design, &p->probe, &plan, err));
        LO_TRY(add_up(p, &plan, p->ranks[i], false, &all, err));
        for (int s = 0; s < plan.stages; s++) {
            if (plan.stage[s].number == LO_STAGE_ENSEMBLE) {
                lo_plan_cost cost;
                LO_TRY(lo_plan_cost_of(&plan.stage[s], &p->probe.machine, p->ranks[i], &cost, err));
                ensemble = cost.wall + cost.published;
            }
        }
        first[0] = i == 0 ? ensemble : first[0];
        first[1] = i == 0 ? all.wall : first[1];
        (void)printf("weak ranks=%lld models=%lld stage=ensemble wall_s=%.2f efficiency=%.3f\n",
                     (long long)p->ranks[i], (long long)design.models, ensemble, first[0] / ensemble);
        (void)printf("weak ranks=%lld models=%lld stage=all wall_s=%.2f efficiency=%.3f\n",
                     (long long)p->ranks[i], (long long)design.models, all.wall, first[1] / all.wall);
    }
    return LO_OK;
}

/* ---- what a study has seen ---- */

/* All tasks of a stage that a study has seen. */
static lo_plan_seen seen_of(const planning *p, lo_stage stage)
{
    lo_plan_seen all = {.stage = stage};
    for (int i = 0; i < p->seen_count; i++) {
        const lo_plan_seen *s = &p->seen[i];
        if (s->stage == stage) {
            all.tasks += s->tasks;
            all.sum += s->sum;
            all.squares += s->squares;
            all.farmed += s->farmed;
            all.record_seconds += s->record_seconds;
        }
    }
    return all;
}

static lo_cost_tasks tasks_like(const lo_plan_seen *seen, int64_t count)
{
    const double n = (double)seen->tasks, mean = seen->sum / n;
    const double variance = n > 1 ? (seen->squares - n * mean * mean) / (n - 1) : 0;
    return (lo_cost_tasks){.count = count, .seconds = mean, .spread = sqrt(fmax(0, variance))};
}

/* So many tasks as the plan has them on average. */
static lo_cost_tasks tasks_planned(const lo_plan_stage *stage, int64_t count)
{
    lo_cost_tasks mean = {.count = count};
    for (int k = 0; k < stage->kinds; k++) {
        const double share = (double)stage->kind[k].count / (double)stage->tasks;
        mean.seconds += share * stage->kind[k].seconds;
        mean.spread += share * stage->kind[k].spread;
    }
    return mean;
}

/* What the farm alone takes for tasks that are alike. */
static lo_status farm_wall(const planning *p, const lo_plan_stage *like, lo_cost_tasks tasks, int64_t ranks,
                           double *wall, lo_error *err)
{
    lo_plan_cost cost;
    const lo_plan_stage stage = {.kind = {tasks},
                                 .kinds = 1,
                                 .tasks = tasks.count,
                                 .team = like->team,
                                 .cores = like->cores,
                                 .record_bytes = like->record_bytes,
                                 .record_seconds = like->record_seconds};
    LO_TRY(lo_plan_cost_of(&stage, &p->probe.machine, ranks, &cost, err));
    *wall = cost.wall;
    return LO_OK;
}

/* Beside each attempt's farm: what the plan says with the study's task times, and with the probe's. */
static lo_status check_attempts(const planning *p, const lo_plan_stage *probed, const lo_plan_stage *measured,
                                lo_error *err)
{
    const lo_plan_seen all = seen_of(p, probed->number);
    for (int i = 0; i < p->seen_count; i++) {
        const lo_plan_seen *s = &p->seen[i];
        double by_study;
        double by_probe;
        if (s->stage != probed->number || s->farmed == 0 || s->ranks < probed->team) {
            continue;
        }
        LO_TRY(farm_wall(p, measured, tasks_like(&all, s->farmed), s->ranks, &by_study, err));
        LO_TRY(farm_wall(p, probed, tasks_planned(probed, s->farmed), s->ranks, &by_probe, err));
        (void)printf("checked attempt=%d stage=%s ranks=%lld tasks=%lld wall_s=%.3f predicted_s=%.3f "
                     "error_percent=%.1f probe_s=%.3f probe_error_percent=%.1f\n",
                     s->attempt, probed->name, (long long)s->ranks, (long long)s->farmed, s->farm_seconds,
                     by_study, percent_off(by_study, s->farm_seconds), by_probe,
                     percent_off(by_probe, s->farm_seconds));
    }
    return LO_OK;
}

/* Task times and records of the study take the place of the probe's. */
static lo_status learn_from_study(planning *p, lo_error *err)
{
    for (int i = 0; i < p->plan.stages; i++) {
        lo_plan_stage *stage = &p->plan.stage[i];
        const lo_plan_stage probed = *stage;
        const lo_plan_seen seen = seen_of(p, stage->number);
        if (stage->tasks == 0 || seen.tasks == 0) {
            continue;
        }
        const double was = tasks_planned(&probed, 1).seconds;
        const lo_cost_tasks now = tasks_like(&seen, stage->tasks);
        stage->kind[0] = now;
        stage->kinds = 1;
        stage->record_seconds = seen.farmed > 0 ? seen.record_seconds / (double)seen.farmed : -1;
        (void)printf("measured stage=%s tasks=%lld seconds_per_task=%.4f spread=%.4f record_s=%.5f "
                     "probe_seconds_per_task=%.4f probe_error_percent=%.1f\n",
                     stage->name, (long long)seen.tasks, now.seconds, now.spread,
                     fmax(0, stage->record_seconds), was, percent_off(was, now.seconds));
        LO_TRY(check_attempts(p, &probed, stage, err));
    }
    return LO_OK;
}

/* ---- the command ---- */

/* Rank 0: all that is printed. */
static lo_status print_plan(planning *p, lo_error *err)
{
    print_probe(p);
    LO_TRY(lo_plan_stages(&p->preview, &p->preview.design, &p->probe, &p->plan, err));
    if (p->study != NULL) {
        LO_TRY(lo_plan_study_read(p->study, p->preview.job, &p->seen, &p->seen_count, err));
        LO_TRY(learn_from_study(p, err));
    }
    LO_TRY(print_stages(p, err));
    if (p->counts > 1) {
        LO_TRY(print_strong(p, err));
    }
    return p->weak ? print_weak(p, err) : LO_OK;
}

/* Where the study is or will be: its directory, or the nearest one above that is there. */
static const char *place_of(const char *study, char *path, size_t size)
{
    struct stat st;
    (void)snprintf(path, size, "%s", study);
    while (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return ".";
        }
        if (slash == path) {
            return "/";
        }
        *slash = '\0';
    }
    return path;
}

static bool has_work(const lo_job *job)
{
    return lo_job_has(job, "attribution") || lo_job_has(job, "ensemble") || lo_job_has(job, "originals") ||
           lo_job_has(job, "scores");
}

/* Collective over all ranks of the run. */
static lo_status make_plan(planning *p, int rank, lo_error *err)
{
    char place[PATH_MAX];
    LO_TRY(lo_agree(MPI_COMM_WORLD, open_preview(p, err), err));
    const lo_job *job = p->preview.job;
    lo_status status = LO_OK;
    if (rank == 0 && lo_job_has(job, "attribution")) {
        status = print_attribution(job, &p->preview.data, p->ranks[p->counts - 1], err);
    }
    LO_TRY(lo_agree(MPI_COMM_WORLD, status, err));
    if (!has_work(job)) {
        if (rank == 0) {
            (void)printf("the job has no stage that takes long (no ensemble, originals, scores or "
                         "attribution section)\n");
        }
        return LO_OK;
    }
    plan_until(job, &p->preview.design, rank == 0);
    LO_TRY(lo_plan_measure(MPI_COMM_WORLD, &p->preview,
                           p->study != NULL ? place_of(p->study, place, sizeof(place)) : NULL, &p->probe,
                           err));
    return lo_agree(MPI_COMM_WORLD, rank == 0 ? print_plan(p, err) : LO_OK, err);
}

lo_status lo_command_plan(const lo_command_line *line, lo_error *err)
{
    planning p = {
        .line = line, .study = lo_option_value(line, "study"), .weak = lo_option_value(line, "weak") != NULL};
    int rank;
    int given; /* of a rank's threads (train.threads) the first alone calls MPI */
    LO_TRY(read_ranks(&p, err));
    lo_run_environment();
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS) {
        return lo_fail(err, LO_INTERNAL, "MPI cannot be initialized");
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const lo_status status = make_plan(&p, rank, err);
    lo_preview_close(&p.preview);
    free(p.seen);
    (void)H5close();
    /* One voice. */
    if (rank == 0 && status != LO_OK) {
        (void)fprintf(stderr, "leaveout: %s\n", err->text);
    }
    err->text[0] = '\0';
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return status;
}
