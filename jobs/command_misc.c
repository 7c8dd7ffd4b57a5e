/* leaveout check, methods, bench, help, version: commands that touch no study. */
#include "audit/metrics.h"
#include "base/job.h"
#include "jobs/attribution/attribution.h"
#include "jobs/commands.h"
#include "jobs/plan/preview.h"
#include "jobs/study/formats.h"
#include "jobs/study/recipe.h"
#include "jobs/study/study.h"
#include "jobs/unlearning/unlearning.h"
#include "nn/bench.h"
#include "score/scores.h"
#include "unlearn/methods.h"

#include <hdf5.h>
#include <libsvm/svm.h>
#include <mpi.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include <zlib.h>

#include <jpeglib.h> /* needs FILE */

/* What the reader has passed over, if anything. */
static void print_remark(const lo_read_remark *remark)
{
    if (remark->hidden + remark->other + remark->unreadable > 0) {
        (void)printf("ignored hidden=%lld other=%lld unreadable=%lld%s%s\n", (long long)remark->hidden,
                     (long long)remark->other, (long long)remark->unreadable,
                     remark->named[0] != '\0' ? ": " : "", remark->named);
    }
}

lo_status lo_command_check(const lo_command_line *line, lo_error *err)
{
    lo_preview p;
    lo_trainer *net = NULL;
    lo_status status = lo_preview_open(line, &p, err);
    if (status == LO_OK) {
        status = lo_job_trainer(p.job, &p.data, &net, err);
    }
    lo_unlearning_estimate unlearning = {0};
    if (status == LO_OK && lo_job_has(p.job, "unlearning")) {
        status = lo_unlearning_foresee(p.job, &p.data, &unlearning, err);
    }
    if (status == LO_OK) {
        (void)printf(
            "ok train=%lld validation=%lld test=%lld classes=%d shape=%dx%dx%d parameters=%lld models=%lld",
            (long long)p.data.train.count, (long long)p.data.validation.count, (long long)p.data.test.count,
            p.data.classes, p.data.shape.channels, p.data.shape.height, p.data.shape.width,
            (long long)lo_trainer_parameters(net), (long long)p.design.models);
        if (lo_job_has(p.job, "originals")) {
            (void)printf(" originals=%lld", (long long)lo_job_int(p.job, "originals.seeds"));
        }
        (void)printf("\n");
        if (unlearning.oracles + unlearning.runs > 0) {
            (void)printf("unlearning oracles=%lld runs=%lld", (long long)unlearning.oracles,
                         (long long)unlearning.runs);
            if (unlearning.matched > 0) {
                (void)printf(" matched=%lld", (long long)unlearning.matched);
            }
            (void)printf("\n");
        }
        print_remark(&p.remark);
        char overlap[1024] = "";
        status = lo_study_overlap(p.job, &p.data, overlap, sizeof(overlap), err);
        if (overlap[0] != '\0') {
            (void)fprintf(stderr, "leaveout: warning: %s\n", overlap);
        }
    }
    lo_trainer_destroy(&net);
    lo_preview_close(&p);
    return status;
}

/* Where it has others for some preset: "defaults del vit {lr: 0.05, h_rule: row}". */
static void print_suited(const lo_unlearn_method *method)
{
    for (int i = 0; i < method->suited_count; i++) {
        const lo_suited *s = &method->suited[i];
        (void)printf("defaults %s %s {", method->name, s->preset);
        for (int d = 0; d < s->count; d++) {
            (void)printf("%s%s: %s", d > 0 ? ", " : "", s->defaults[d].name, s->defaults[d].value);
        }
        (void)printf("}\n");
    }
}

lo_status lo_command_methods(const lo_command_line *line, lo_error *err)
{
    (void)line;
    (void)err;
    for (int i = 0; i < lo_preset_count(); i++) {
        (void)printf("preset %s %s\n", lo_preset_at(i)->name, lo_preset_at(i)->description);
    }
    for (int i = 0; i < lo_format_count(); i++) {
        (void)printf("reader %s %s\n", lo_format_at(i)->name, lo_format_at(i)->description);
    }
    for (int i = 0; i < lo_score_count(); i++) {
        (void)printf("score %s %s\n", lo_score_at(i)->name, lo_score_at(i)->description);
    }
    for (int i = 0; i < lo_attribution_count(); i++) {
        (void)printf("attribution %s %s\n", lo_attribution_at(i)->name, lo_attribution_at(i)->description);
    }
    for (int i = 0; i < lo_unlearn_method_count(); i++) {
        (void)printf("unlearning %s %s\n", lo_unlearn_method_at(i)->name,
                     lo_unlearn_method_at(i)->description);
        print_suited(lo_unlearn_method_at(i));
    }
    for (int i = 0; i < lo_metric_count(); i++) {
        (void)printf("audit %s %s\n", lo_metric_at(i)->name, lo_metric_at(i)->description);
    }
    return LO_OK;
}

static lo_status precision_option(const lo_command_line *line, lo_precision *out, lo_error *err)
{
    const char *name = lo_option_value(line, "precision");
    const bool best = name != NULL && strcmp(name, "auto") == 0;
    if (name != NULL && !best && strcmp(name, "f32") != 0 && strcmp(name, "bf16") != 0) {
        return lo_fail(err, LO_USAGE, "bench: --precision: found '%s'; allowed are f32, bf16, auto", name);
    }
    *out = best ? (lo_bf16_pays() ? LO_BF16 : LO_F32) : lo_precision_named(name != NULL ? name : "f32");
    return LO_OK;
}

lo_status lo_command_bench(const lo_command_line *line, lo_error *err)
{
    const char *preset = lo_option_value(line, "preset");
    lo_precision precision = LO_F32;
    int64_t batch;
    int64_t seconds;
    if (strcmp(line->operand[0], "train") != 0) {
        return lo_fail(err, LO_USAGE, "bench: found '%s'; allowed is train", line->operand[0]);
    }
    LO_TRY(precision_option(line, &precision, err));
    LO_TRY(lo_option_int(line, "batch", 1, 65536, 128, &batch, err));
    LO_TRY(lo_option_int(line, "seconds", 1, 3600, 3, &seconds, err));
    bool found = false;
    for (int i = 0; i < lo_preset_count(); i++) {
        if (preset != NULL && strcmp(preset, lo_preset_at(i)->name) != 0) {
            continue;
        }
        const lo_shape shape = lo_preset_at(i)->shape;
        if (shape.channels == 0 && preset == NULL) {
            continue;
        }
        const lo_model_spec model = {.preset = lo_preset_at(i)->name};
        lo_bench b;
        found = true;
        LO_TRY(lo_bench_train(&model, shape, precision, (int)batch, (double)seconds, &b, err));
        (void)printf("preset=%s precision=%s batch=%lld images_per_s=%.0f gflops=%.1f share_of_peak=%.3f\n",
                     lo_preset_at(i)->name, lo_precision_name(precision), (long long)batch, b.images_per_s,
                     b.gflops, b.share_of_peak);
        (void)fflush(stdout);
    }
    return found
               ? LO_OK
               : lo_fail(err, LO_USAGE, "bench: --preset: found '%s'; `leaveout methods` lists them", preset);
}

lo_status lo_command_help(const lo_command_line *line, lo_error *err)
{
    if (strcmp(line->operand[0], "keys") == 0) {
        lo_keys_print(stdout);
        return LO_OK;
    }
    for (const lo_command *c = lo_commands; c->name != NULL; c++) {
        if (strcmp(c->name, line->operand[0]) == 0) {
            lo_options_help(c);
            return LO_OK;
        }
    }
    return lo_fail(err, LO_USAGE, "help: found '%s'; allowed are keys and the names of commands",
                   line->operand[0]);
}

static lo_status version(const lo_command_line *line, lo_error *err)
{
    (void)line;
    (void)err;
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    unsigned major;
    unsigned minor;
    unsigned release;
    (void)MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, ",\n")] = '\0';
    (void)H5get_libversion(&major, &minor, &release);
    (void)printf("leaveout %s\n%s\nHDF5 %u.%u.%u\nzlib %s\nlibpng %s\n", LEAVEOUT_VERSION, mpi, major, minor,
                 release, zlibVersion(), png_get_libpng_ver(NULL));
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    /* libjpeg says at run time what it is to nobody; this is what the program was built with. */
    const int jpeg = LIBJPEG_TURBO_VERSION_NUMBER;
    (void)printf("libjpeg-turbo %d.%d.%d\n", jpeg / 1000000, jpeg / 1000 % 1000, jpeg % 1000);
#endif
    (void)printf("libsvm %d.%02d\nlibyaml %s\nprocessor %s\n", libsvm_version / 100, libsvm_version % 100,
                 yaml_get_version_string(), lo_processor_type());
    return LO_OK;
}

#define SET_OPTION                                                                                           \
    {                                                                                                        \
        "set", "KEY=VALUE", "override a key of the job file; may be repeated"                                \
    }
#define END                                                                                                  \
    {                                                                                                        \
        NULL, NULL, NULL                                                                                     \
    }

static const lo_option none[] = {END};
static const lo_option run_options[] = {
    {"study", "DIR", "the study's directory (required)"},
    {"models", "A:B", "train models A to B-1 of the ensemble only, and do nothing else (for merge)"},
    SET_OPTION,
    {"join", NULL, "work beside a run that is already on this study"},
    END};
static const lo_option merge_options[] = {{"into", "DIR", "the merged study's directory (required)"}, END};
static const lo_option import_options[] = {
    {"study", "DIR", "the study's directory (required)"},
    {"masks", "FILE", "npy [models, training examples], bool or 0 and 1: trained on it? (required)"},
    {"train-correct", "FILE", "the same shape: right on it? (required)"},
    {"test-correct", "FILE", "npy [models, test examples] (required)"},
    {"train-margin", "FILE", "npy of floats: logit margins on the training examples"},
    {"test-margin", "FILE", "the same on the test examples"},
    {"labels", "FILE", "npy [training examples]: compared with the data's"},
    SET_OPTION,
    END};
static const lo_option set_options[] = {SET_OPTION, END};
static const lo_option plan_options[] = {
    {"ranks", "N[,N...]", "ranks that will share the work (1); several (A:B doubles) make a table"},
    {"study", "DIR", "measure its file system; where it has run, take its task times and check against them"},
    {"weak", NULL, "with several numbers of ranks: let the ensemble's models grow with them"},
    SET_OPTION,
    END};
static const lo_option submit_options[] = {
    {"study", "DIR", "the study's directory (required)"},
    {"nodes", "N", "nodes (1)"},
    {"ntasks-per-node", "N", "ranks on each node (1)"},
    {"time", "T", "time limit, as sbatch takes it"},
    {"array", "RANGE", "a job array whose tasks share the study"},
    {"join", NULL, "work beside a run that is already on this study"},
    {"dry-run", NULL, "print the batch script and the command, submit nothing"},
    SET_OPTION,
    END};
static const lo_option status_options[] = {{"json", NULL, "for programs"}, END};
static const lo_option export_options[] = {
    {"format", "csv|npy", "csv (default) or npy"},
    {"out", "PATH", "file for csv, directory for npy (default: DIR/export)"},
    {"top", "K",
     "influence, attribution as csv: the K strongest per test example (influence: 10, or all that were "
     "kept)"},
    END};
static const lo_option bench_options[] = {{"preset", "NAME", "one preset (default: all)"},
                                          {"precision", "P", "f32 (default), bf16, or auto: the faster one"},
                                          {"batch", "N", "examples in a batch (128)"},
                                          {"seconds", "S", "whole seconds for each (3)"},
                                          END};

const lo_command lo_commands[] = {
    {"run", "JOB --study DIR", "run the job's stages; a study that exists is resumed", run_options, 1, 1,
     lo_command_run},
    {"import", "JOB --study DIR", "take masks and outcomes of models trained elsewhere", import_options, 1, 1,
     lo_command_import},
    {"merge", "DIR ... --into DIR", "studies of one job, computed apart, as one study", merge_options, 1,
     LO_MAX_OPERANDS, lo_command_merge},
    {"check", "JOB", "read the job and its data, say what is wrong", set_options, 1, 1, lo_command_check},
    {"plan", "[JOB] --ranks N", "predict time, memory and disk from a short probe", plan_options, 0, 1,
     lo_command_plan},
    {"submit", "JOB --study DIR", "write the batch script and sbatch it", submit_options, 1, 1,
     lo_command_submit},
    {"status", "DIR", "what is done, what is left, who works on it", status_options, 1, 1, lo_command_status},
    {"stop", "DIR", "let running tasks finish or save themselves, then end", none, 1, 1, lo_command_stop},
    {"report", "DIR", "publish what is done and write report.html again", none, 1, 1, lo_command_report},
    {"export", "DIR scores|influence|attribution|models|scaling|evaluation|audit|audit_groups|privacy",
     "results as csv or npy", export_options, 2, 2, lo_command_export},
    {"methods", "", "every preset, reader, score, attribution and unlearning method and metric", none, 0, 0,
     lo_command_methods},
    {"verify", "DIR", "checksums and completeness of a study, or whether a receipt holds", none, 1, 1,
     lo_command_verify},
    {"compact", "DIR", "drop journal payloads that ensemble.h5 holds", none, 1, 1, lo_command_compact},
    {"bench", "train", "training throughput here", bench_options, 1, 1, lo_command_bench},
    {"help", "keys|COMMAND", "the keys of job files, or a command's options", none, 1, 1, lo_command_help},
    {"version", "", "versions of leaveout and its libraries", none, 0, 0, version},
    {NULL, NULL, NULL, NULL, 0, 0, NULL}};
