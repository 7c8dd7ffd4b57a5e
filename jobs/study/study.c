#include "jobs/study/study.h"

#include "base/clock.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/json.h"
#include "data/twins.h"
#include "jobs/ensemble/until.h"
#include "jobs/scaling/scaling.h"
#include "jobs/scores/score_list.h"
#include "jobs/study/formats.h"
#include "jobs/unlearning/unlearning.h"
#include "mpi/agree.h"
#include "mpi/prepare.h"
#include "nn/kernels/kernels.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_LINE "# leaveout study, format "
enum { JOB_LIMIT = 64 << 20 };

/* ---- the job ---- */

lo_status lo_study_read_job(const char *directory, lo_job **out, lo_error *err)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t size;
    *out = NULL;
    (void)snprintf(path, sizeof(path), "%s/job.yaml", directory);
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return lo_fail(err, LO_USAGE, "%s: there is no study here (no job.yaml)", directory);
    }
    LO_TRY(lo_file_read(path, JOB_LIMIT, &text, &size, err));
    int format = 0;
    lo_status status = LO_OK;
    if (sscanf(text, FORMAT_LINE "%d", &format) != 1) {
        status = lo_fail(err, LO_DATA, "%s:1: expected '%s%d'; this is not the job of a study", path,
                         FORMAT_LINE, LO_STUDY_FORMAT);
    } else if (format > LO_STUDY_FORMAT) {
        status = lo_fail(err, LO_DATA,
                         "%s: the study has format %d, made by a newer leaveout; this one reads up to %d",
                         directory, format, LO_STUDY_FORMAT);
    } else {
        status = lo_job_parse(text, path, NULL, 0, out, err);
    }
    free(text);
    return status;
}

static lo_status write_job(const char *directory, const lo_job *job, lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/job.yaml", directory);
    char *text = lo_job_effective(job);
    lo_file file = {0};
    lo_status status =
        text != NULL ? lo_file_begin(path, &file, err) : lo_fail(err, LO_INTERNAL, "no memory for the job");
    if (status == LO_OK) {
        (void)fprintf(file.stream, FORMAT_LINE "%d\n%s", LO_STUDY_FORMAT, text);
        status = lo_file_end(&file, LO_OK, err);
    }
    free(text);
    return status;
}

lo_status lo_study_resolve_job(const lo_study_options *options, lo_precision best, lo_job **out,
                               lo_error *err)
{
    const int count = options->override_count;
    LO_TRY(lo_job_read(options->job_file, options->overrides, count, out, err));
    if (strcmp(lo_job_text(*out, "train.precision"), "auto") != 0) {
        return LO_OK;
    }
    /* Resolved once, when the study is made: what auto means may change with the machine and the version. */
    char resolved[64];
    const char *precision = lo_precision_name(best);
    lo_job *study = NULL;
    if (options->directory != NULL && lo_study_read_job(options->directory, &study, NULL) == LO_OK) {
        precision = lo_job_text(study, "train.precision");
    }
    (void)snprintf(resolved, sizeof(resolved), "train.precision=%s", precision);
    lo_job_destroy(&study);
    lo_job_destroy(out);
    const char **overrides = calloc((size_t)count + 1, sizeof(*overrides));
    if (overrides == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the job's overrides");
    }
    for (int i = 0; i < count; i++) {
        overrides[i] = options->overrides[i];
    }
    overrides[count] = resolved;
    const lo_status status = lo_job_read(options->job_file, overrides, count + 1, out, err);
    free(overrides);
    return status;
}

lo_status lo_study_check_settings(const lo_job *job, lo_error *err)
{
    return lo_job_has(job, "unlearning") ? lo_unlearning_check_settings(job, err) : LO_OK;
}

/* What only some formats ask; keys that do not apply have their first choice or nothing. */
static lo_read_options read_options(const lo_job *job)
{
    const char *layout = lo_job_text(job, "data.layout");
    const char *header = lo_job_text(job, "data.header");
    const int64_t sides = lo_job_length(job, "data.resize");
    return (lo_read_options){.layout = strcmp(layout, "nchw") == 0   ? LO_CHANNELS_FIRST
                                       : strcmp(layout, "nhwc") == 0 ? LO_CHANNELS_LAST
                                                                     : LO_LAYOUT_AUTO,
                             .header = strcmp(header, "present") == 0  ? LO_HEADER_PRESENT
                                       : strcmp(header, "absent") == 0 ? LO_HEADER_ABSENT
                                                                       : LO_HEADER_AUTO,
                             .label_column = lo_job_text(job, "data.label_column"),
                             .first_index = (int32_t)lo_job_int(job, "data.first_index"),
                             .resize_height = sides > 0 ? (int32_t)lo_job_int_at(job, "data.resize", 0) : 0,
                             .resize_width = sides > 1 ? (int32_t)lo_job_int_at(job, "data.resize", 1) : 0,
                             .max_unreadable = lo_job_int(job, "data.max_unreadable")};
}

lo_data_spec lo_study_data_spec(const lo_job *job)
{
    return (lo_data_spec){.reader = lo_format_find(lo_job_text(job, "data.format")),
                          .read = read_options(job),
                          .raw = !lo_job_bool(job, "data.standardize"),
                          .coarse = strcmp(lo_job_text(job, "data.labels"), "coarse") == 0,
                          .path = lo_job_text(job, "data.path"),
                          .train_limit = lo_job_int(job, "data.train_limit"),
                          .test_limit = lo_job_int(job, "data.test_limit"),
                          .validation = lo_job_real(job, "data.validation"),
                          .label_noise = lo_job_real(job, "data.label_noise"),
                          .seed = (uint64_t)lo_job_int(job, "seed"),
                          .digest = lo_job_digest(job, LO_KEYS_DATA)};
}

lo_model_spec lo_study_model_spec(const lo_job *job)
{
    lo_model_spec spec = {.preset = lo_job_text(job, "model.preset"),
                          .width = (int32_t)lo_job_int(job, "model.width"),
                          .depth = (int32_t)lo_job_int(job, "model.depth"),
                          .heads = (int32_t)lo_job_int(job, "model.heads"),
                          .patch = (int32_t)lo_job_int(job, "model.patch")};
    spec.layers = lo_job_layers(job, "model.layers", &spec.layers_file);
    const int64_t hidden = lo_job_length(job, "model.hidden");
    for (int64_t i = 0; i < hidden && i < LO_MAX_HIDDEN; i++) {
        spec.hidden[spec.hidden_count++] = (int32_t)lo_job_int_at(job, "model.hidden", i);
    }
    return spec;
}

lo_recipe lo_study_recipe(const lo_job *job)
{
    lo_recipe recipe = {.epochs = (int32_t)lo_job_int(job, "train.epochs"),
                        .batch = (int32_t)lo_job_int(job, "train.batch"),
                        .optimizer = lo_optimizer_named(lo_job_text(job, "train.optimizer.name")),
                        .lr = lo_job_real(job, "train.optimizer.lr"),
                        .weight_decay = lo_job_real(job, "train.optimizer.weight_decay"),
                        .momentum = lo_job_real(job, "train.optimizer.momentum"),
                        .nesterov = lo_job_bool(job, "train.optimizer.nesterov"),
                        .beta1 = lo_job_real(job, "train.optimizer.beta1"),
                        .beta2 = lo_job_real(job, "train.optimizer.beta2"),
                        .epsilon = lo_job_real(job, "train.optimizer.epsilon"),
                        .label_smoothing = lo_job_real(job, "train.label_smoothing"),
                        .clip_norm = lo_job_real(job, "train.clip_norm"),
                        .schedule = lo_schedule_named(lo_job_text(job, "train.schedule.name")),
                        .warmup_epochs = lo_job_real(job, "train.schedule.warmup_epochs"),
                        .gamma = lo_job_real(job, "train.schedule.gamma"),
                        .peak = lo_job_real(job, "train.schedule.peak"),
                        .seed = (uint64_t)lo_job_int(job, "seed"),
                        .precision = lo_precision_named(lo_job_text(job, "train.precision")),
                        .slices = (int32_t)lo_job_int(job, "train.slices")};
    recipe.augment.flip = lo_job_lists(job, "train.augment", "flip")               ? LO_FLIP_RANDOM
                          : lo_job_lists(job, "train.augment", "alternating_flip") ? LO_FLIP_ALTERNATING
                                                                                   : LO_FLIP_NONE;
    if (lo_job_lists(job, "train.augment", "crop")) {
        recipe.augment.crop = (int32_t)lo_job_int(job, "train.crop");
    }
    if (lo_job_lists(job, "train.augment", "cutout")) {
        recipe.augment.cutout = (int32_t)lo_job_int(job, "train.cutout");
    }
    const int64_t milestones = lo_job_length(job, "train.schedule.milestones");
    for (int64_t i = 0; i < milestones && i < LO_MAX_MILESTONES; i++) {
        recipe.milestones[recipe.milestone_count++] =
            (int32_t)lo_job_int_at(job, "train.schedule.milestones", i);
    }
    return recipe;
}

/* Position of a source number among the training examples in use, which are in its order; -1 when it is not
 * there. */
static int64_t position_of(const lo_examples *examples, int64_t number)
{
    int64_t low = 0;
    int64_t high = examples->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (examples->index[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < examples->count && examples->index[low] == number ? low : -1;
}

/* leave_one_out: the positions of the examples that are named. */
static lo_status read_left(const lo_job *job, const lo_dataset *data, int64_t *left, lo_error *err)
{
    const int64_t count = lo_job_length(job, "ensemble.examples");
    for (int64_t i = 0; i < count; i++) {
        const int64_t number = lo_job_int_at(job, "ensemble.examples", i);
        left[i] = position_of(&data->train, number);
        if (left[i] < 0) {
            return lo_fail(err, LO_USAGE,
                           "ensemble.examples: example %lld is not among the %lld training examples in use "
                           "(numbers %lld to "
                           "%lld, after limit and validation)",
                           (long long)number, (long long)data->train.count, (long long)data->train.index[0],
                           (long long)data->train.index[data->train.count - 1]);
        }
    }
    return LO_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The groups that the job names, ascending, each once; malloc'ed, the caller frees it. NULL: no memory. */
static int64_t *list_groups(const lo_job *job, int64_t *groups)
{
    const int64_t listed = lo_job_length(job, "ensemble.groups");
    int64_t *group = calloc((size_t)listed + 1, sizeof(*group));
    int64_t count = 0;
    for (int64_t i = 0; group != NULL && i < listed; i++) {
        group[count] = lo_job_int_at(job, "ensemble.groups", i);
        count += group[count] >= 0;
    }
    *groups = 0;
    if (group == NULL) {
        return NULL;
    }
    qsort(group, (size_t)count, sizeof(*group), compare_numbers);
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || group[i] != group[*groups - 1]) {
            group[(*groups)++] = group[i];
        }
    }
    return group;
}

/* leave_group_out: the group of each training example in use, as its place among the groups that are named.
 */
static lo_status read_groups(const lo_job *job, const lo_examples *train, const int64_t *name, int64_t groups,
                             int64_t *group, lo_error *err)
{
    const int64_t listed = lo_job_length(job, "ensemble.groups");
    int64_t *members = calloc((size_t)groups + 1, sizeof(*members));
    lo_status status =
        members != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %lld groups", (long long)groups);
    for (int64_t i = 0; i < train->count && status == LO_OK; i++) {
        const int64_t number = train->index[i];
        if (number >= listed) {
            status =
                lo_fail(err, LO_USAGE,
                        "ensemble.groups: found %lld numbers; needed is one for each training example of "
                        "the source files, and example %lld is in use",
                        (long long)listed, (long long)number);
            break;
        }
        const int64_t own = lo_job_int_at(job, "ensemble.groups", number);
        const int64_t *found = bsearch(&own, name, (size_t)groups, sizeof(*name), compare_numbers);
        group[i] = found != NULL ? found - name : -1;
        if (found != NULL) {
            members[group[i]]++;
        }
    }
    for (int64_t g = 0; g < groups && status == LO_OK; g++) {
        if (members[g] == 0) {
            status = lo_fail(err, LO_USAGE,
                             "ensemble.groups: group %lld has none of the %lld training examples in use "
                             "(after limit and validation); allowed are groups with some: give its examples "
                             "-1",
                             (long long)name[g], (long long)train->count);
        }
    }
    free(members);
    return status;
}

static lo_status make_leave_group_out(const lo_job *job, const lo_dataset *data, lo_design *design,
                                      int64_t *group, lo_error *err)
{
    int64_t groups;
    int64_t *name = list_groups(job, &groups);
    lo_status status = name != NULL ? read_groups(job, &data->train, name, groups, group, err)
                                    : lo_fail(err, LO_INTERNAL, "no memory for the list of groups");
    free(name);
    return status != LO_OK ? status
                           : lo_design_leave_group_out(data->train.count, group, groups,
                                                       lo_job_int(job, "ensemble.seeds"), design, err);
}

int64_t lo_study_planned(const lo_job *job)
{
    if (!lo_job_has(job, "ensemble")) {
        return 0;
    }
    const char *name = lo_job_text(job, "ensemble.design");
    if (strcmp(name, "leave_one_out") == 0) {
        return (lo_job_length(job, "ensemble.examples") + 1) * lo_job_int(job, "ensemble.seeds");
    }
    if (strcmp(name, "leave_group_out") == 0) {
        int64_t groups;
        free(list_groups(job, &groups));
        return (groups + 1) * lo_job_int(job, "ensemble.seeds");
    }
    return lo_job_int(job, "ensemble.models");
}

lo_status lo_study_design(const lo_job *job, const lo_dataset *data, lo_design *design, int64_t **left,
                          lo_error *err)
{
    *left = NULL;
    const char *name = lo_job_text(job, "ensemble.design");
    const bool one = strcmp(name, "leave_one_out") == 0;
    if (strcmp(name, "imported") == 0) {
        *design = lo_design_imported(data->train.count, lo_job_int(job, "ensemble.models"));
        return LO_OK;
    }
    if (!one && strcmp(name, "leave_group_out") != 0) {
        return lo_design_subsets(name, data->train.count, lo_job_int(job, "ensemble.models"),
                                 lo_job_real(job, "ensemble.ratio"), (uint64_t)lo_job_int(job, "seed"),
                                 design, err);
    }
    const int64_t count = one ? lo_job_length(job, "ensemble.examples") : data->train.count;
    *left = calloc((size_t)count + 1, sizeof(**left));
    if (*left == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)count);
    }
    if (!one) {
        return make_leave_group_out(job, data, design, *left, err);
    }
    LO_TRY(read_left(job, data, *left, err));
    return lo_design_leave_one_out(data->train.count, *left, count, lo_job_int(job, "ensemble.seeds"), design,
                                   err);
}

lo_status lo_study_check_names(const lo_job *job, int32_t classes, lo_error *err)
{
    const int64_t names = lo_job_length(job, "data.class_names");
    return names == 0 || names == classes
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "data.class_names: found %lld names; allowed: %d, one for each class of the data",
                         (long long)names, classes);
}

void lo_study_cache_path(const char *directory, const lo_job *job, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/cache/%016llx.dat", directory,
                   (unsigned long long)lo_job_digest(job, LO_KEYS_DATA));
}

/* ---- opening ---- */

/* Does the study hold anything that was computed? */
static bool has_results(const char *directory)
{
    char path[PATH_MAX];
    static const char *const files[] = {"ensemble.h5", "attribution.h5"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        if (access(path, F_OK) == 0) {
            return true;
        }
    }
    (void)snprintf(path, sizeof(path), "%s/journal", directory);
    DIR *journal = opendir(path);
    bool found = false;
    if (journal != NULL) {
        for (struct dirent *entry = readdir(journal); entry != NULL && !found; entry = readdir(journal)) {
            found = strstr(entry->d_name, ".jnl") != NULL;
        }
        (void)closedir(journal);
    }
    return found;
}

/* A key that may grow must not shrink: what is there would have to be dropped. */
static lo_status check_growth(const char *directory, const lo_job *study, const lo_job *job, lo_error *err)
{
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        char section[64];
        (void)snprintf(section, sizeof(section), "%.*s", (int)strcspn(key->path, "."), key->path);
        if (!key->grows || key->type != LO_KEY_INT || !lo_job_has(study, section)) {
            continue;
        }
        const int64_t before = lo_job_int(study, key->path);
        const int64_t now = lo_job_has(job, section) ? lo_job_int(job, key->path) : 0;
        if (now < before) {
            return lo_fail(err, LO_USAGE,
                           "%s: %s is %lld in the study and %lld in the job: a study can only grow",
                           directory, key->path, (long long)before, (long long)now);
        }
    }
    return LO_OK;
}

/* A rule that asks for fewer models than the study's would drop what is there. */
static lo_status check_until(const char *directory, const lo_job *study, const lo_job *job, lo_error *err)
{
    lo_until_rule before;
    lo_until_rule now;
    const bool had = lo_until_of(study, &before);
    const bool has = lo_until_of(job, &now);
    if (!lo_job_has(study, "ensemble") || !has) {
        return LO_OK;
    }
    if (!had || now.target > before.target || now.over != before.over || now.first != before.first) {
        char was[64] = "no ensemble.until";
        if (had) {
            (void)snprintf(was, sizeof(was), "%g, over %s, first %lld", before.target,
                           lo_over_name(before.over), (long long)before.first);
        }
        return lo_fail(err, LO_USAGE,
                       "%s: ensemble.until.standard_error is %g, over %s, first %lld in the job, and in the "
                       "study %s: a study can only grow, so the error may fall or ensemble.until be left out",
                       directory, now.target, lo_over_name(now.over), (long long)now.first, was);
    }
    return LO_OK;
}

/* Rank 0: holds the job against the study's and writes it down if it is new. */
static lo_status settle_job(const char *directory, lo_job *job, bool alone, lo_error *err)
{
    lo_job *study = NULL;
    const lo_status read = lo_study_read_job(directory, &study, err);
    if (read == LO_USAGE) {
        return write_job(directory, job, err);
    }
    LO_TRY(read);
    lo_status status = LO_OK;
    char text[1500] = "";
    if (has_results(directory)) {
        int differ = 0;
        const bool ensemble = lo_job_has(study, "ensemble") && lo_job_has(job, "ensemble");
        differ +=
            lo_job_differences(study, job, ensemble ? LO_KEYS_ENSEMBLE : LO_KEYS_RECIPE, text, sizeof(text));
        static const struct {
            const char *file, *section;
            lo_key_group group;
        } derived[] = {{"influence.h5", "influence", LO_KEYS_INFLUENCE},
                       {"originals", "originals", LO_KEYS_ORIGINALS},
                       {"attribution.h5", "attribution", LO_KEYS_ATTRIBUTION}};
        for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]) && differ == 0; i++) {
            char file[PATH_MAX];
            (void)snprintf(file, sizeof(file), "%s/%s", directory, derived[i].file);
            if (access(file, F_OK) == 0 && lo_job_has(study, derived[i].section) &&
                lo_job_has(job, derived[i].section)) {
                differ += lo_job_differences(study, job, derived[i].group, text, sizeof(text));
            }
        }
        if (differ > 0) {
            text[strlen(text) - (text[strlen(text) - 1] == '\n')] = '\0';
            status = lo_fail(err, LO_USAGE,
                             "%s: this study was made by another job (give a new --study); it differs in\n%s",
                             directory, text);
        } else {
            status = check_growth(directory, study, job, err);
            status = status == LO_OK ? check_until(directory, study, job, err) : status;
        }
    }
    if (status == LO_OK) {
        char *before = lo_job_effective(study);
        char *now = lo_job_effective(job);
        const bool equal = before != NULL && now != NULL && strcmp(before, now) == 0;
        if (!equal && !alone) {
            status = lo_fail(
                err, LO_STOPPED,
                "%s: somebody works on this study with another effective job; only an equal one can join",
                directory);
        } else if (!equal) {
            status = write_job(directory, job, err);
        }
        free(before);
        free(now);
    }
    lo_job_destroy(&study);
    return status;
}

static lo_status make_directories(const char *directory, lo_error *err)
{
    static const char *const names[] = {"", "/claims", "/journal", "/log", "/cache", "/checkpoints"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", directory, names[i]);
        LO_TRY(lo_file_mkdirs(path, err));
        if (access(path, W_OK) != 0) {
            return lo_fail_errno(err, LO_IO, "%s: cannot write into the study", path);
        }
    }
    return LO_OK;
}

/* Every rank parses rank 0's effective job: one file read, one meaning. */
static lo_status share_job(lo_study *study, lo_error *err)
{
    char *text = NULL;
    size_t size = 0;
    lo_status status = LO_OK;
    if (study->run.rank == 0) {
        text = lo_job_effective(study->job);
        size = text != NULL ? strlen(text) : 0;
        status = text != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the job");
    }
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK) {
        status = lo_broadcast_buffer(study->run.comm, &text, &size, err);
    }
    if (status == LO_OK && study->run.rank != 0) {
        status = lo_job_parse(text, "the job of rank 0", NULL, 0, &study->job, err);
    }
    free(text);
    return lo_agree(study->run.comm, status, err);
}

lo_status lo_study_overlap(const lo_job *job, const lo_dataset *data, char *out, size_t size, lo_error *err)
{
    lo_twins test, validation;
    char pairs[2][256];
    out[0] = '\0';
    if (!lo_job_has(job, "unlearning") && !lo_job_has(job, "audit")) {
        return LO_OK;
    }
    LO_TRY(lo_find_twins(data, &test, &validation, err));
    lo_twins_text(&test, "test", pairs[0], sizeof(pairs[0]));
    lo_twins_text(&validation, "validation", pairs[1], sizeof(pairs[1]));
    if (test.count + validation.count > 0) {
        (void)snprintf(
            out, size,
            "%lld test and %lld validation examples are in the training set too, byte for byte (%s%s%s): "
            "the audit takes them for examples never seen; leave them out of the sources",
            (long long)test.count, (long long)validation.count, pairs[0],
            test.count > 0 && validation.count > 0 ? "; " : "", pairs[1]);
    }
    return LO_OK;
}

/* Says what the reader has passed over. */
static void say_remark(lo_run *run, const lo_read_remark *remark)
{
    if (remark->hidden + remark->other + remark->unreadable > 0) {
        lo_run_say(run, "event=data_ignored hidden=%lld other=%lld unreadable=%lld",
                   (long long)remark->hidden, (long long)remark->other, (long long)remark->unreadable);
    }
    if (remark->unreadable > 0) {
        lo_run_warn(run, "%lld images cannot be read and are left out; the first: %s",
                    (long long)remark->unreadable, remark->named);
    }
}

/* Collective: all ranks prepare the data set together, and rank 0 maps it. */
static lo_status prepare_data(lo_study *study, const char *path, lo_error *err)
{
    lo_read_remark remark = {0};
    lo_data_spec spec = lo_study_data_spec(study->job);
    spec.read.remark = &remark;
    const double start = lo_clock_monotonic();
    LO_TRY(lo_prepare(&study->run, &spec, path, err));
    if (study->run.rank != 0) {
        return LO_OK;
    }
    LO_TRY(lo_dataset_open(path, spec.digest, &study->data, err));
    say_remark(&study->run, &remark);
    lo_run_say(&study->run,
               "event=data_prepared train=%lld validation=%lld test=%lld classes=%d seconds=%.2f",
               (long long)study->data.train.count, (long long)study->data.validation.count,
               (long long)study->data.test.count, study->data.classes, lo_clock_monotonic() - start);
    return LO_OK;
}

/* Prepares the data set unless the cache holds it, and maps it. */
static lo_status open_data(lo_study *study, lo_error *err)
{
    enum { TRIES = 60 };
    char path[PATH_MAX];
    lo_study_cache_path(study->run.study, study->job, path, sizeof(path));
    const uint64_t digest = lo_job_digest(study->job, LO_KEYS_DATA);
    int ready = 0;
    if (study->run.rank == 0) {
        /* Absent, or damaged: it can always be made again. */
        ready = access(path, F_OK) == 0 && lo_dataset_open(path, digest, &study->data, NULL) == LO_OK;
    }
    MPI_Bcast(&ready, 1, MPI_INT, 0, study->run.comm);
    lo_status status = ready != 0 ? LO_OK : prepare_data(study, path, err);
    status = lo_agree(study->run.comm, status, err);
    if (status == LO_OK && study->run.rank != 0) {
        /* A network file system may show the new file a little later on other hosts. */
        for (int i = 0; i < TRIES; i++) {
            status = lo_dataset_open(path, digest, &study->data, err);
            if (status != LO_IO) {
                break;
            }
            (void)usleep(500000);
        }
    }
    return lo_agree(study->run.comm, status, err);
}

/* Refuses or remarks another processor type than the study's records name. */
static lo_status check_processor(lo_study *study, lo_error *err)
{
    lo_run *run = &study->run;
    char mine[LO_MAX_PROCESSOR];
    (void)snprintf(mine, sizeof(mine), "%s", lo_processor_type());
    char first[LO_MAX_PROCESSOR];
    memcpy(first, mine, sizeof(first));
    lo_status status = LO_OK;
    const bool strict = strcmp(lo_job_text(study->job, "reproducible"), "strict") == 0;
    for (int stage = LO_STAGE_ENSEMBLE; run->rank == 0 && status == LO_OK && stage <= LO_STAGE_SCORES;
         stage++) {
        lo_ledger ledger;
        status = lo_ledger_create(run->study, (lo_stage)stage, 0, 0, &ledger, err);
        if (status == LO_OK) {
            status = lo_ledger_read(&ledger, err);
        }
        for (int i = 0; status == LO_OK && i < ledger.sources; i++) {
            if (ledger.source[i].done > 0) {
                lo_field(ledger.source[i].text, "processor", first, sizeof(first));
                break;
            }
        }
        lo_ledger_destroy(&ledger);
    }
    status = lo_agree(run->comm, status, err);
    if (status != LO_OK) {
        return status;
    }
    MPI_Bcast(first, sizeof(first), MPI_CHAR, 0, run->comm);
    int other = strcmp(first, mine) != 0;
    if (other && strict) {
        status = lo_fail(err, LO_USAGE,
                         "%s: reproducible: strict, and the study's models are made on '%s', but rank %d "
                         "runs on '%s' (isa: pins "
                         "the kernels)",
                         run->study, first, run->rank, mine);
    }
    status = lo_agree(run->comm, status, err);
    MPI_Allreduce(MPI_IN_PLACE, &other, 1, MPI_INT, MPI_SUM, run->comm);
    if (status == LO_OK && other > 0) {
        lo_run_warn(run,
                    "%d of %d ranks run on another processor type than '%s': bits may differ between types; "
                    "records name "
                    "theirs",
                    other, run->ranks, first);
    }
    return status;
}

/* Collective. The best level of the kernels that every rank has and no environment forbids: a level has those
 * below it. */
static lo_status pin_common_level(const lo_run *run, lo_error *err)
{
    LO_TRY(lo_agree(run->comm, lo_kernels_check(err), err));
    const int count = lo_kernels_count(LO_F32);
    int from_below = 0; /* the chosen level's place */
    while (from_below < count && lo_kernels_at(LO_F32, count - 1 - from_below) != lo_kernels_chosen(LO_F32)) {
        from_below++;
    }
    MPI_Allreduce(MPI_IN_PLACE, &from_below, 1, MPI_INT, MPI_MIN, run->comm);
    return lo_agree(run->comm, lo_kernels_pin(lo_kernels_at(LO_F32, count - 1 - from_below)->name, err), err);
}

/* Collective. Pins the job's instruction set on every rank, and finds the precision that pays on all of them
 * with it. */
static lo_status pin_kernels(const lo_run *run, const lo_study_options *options, lo_precision *best,
                             lo_error *err)
{
    char isa[32] = "";
    lo_status status = LO_OK;
    if (run->rank == 0) {
        lo_job *job = NULL;
        status = lo_job_read(options->job_file, options->overrides, options->override_count, &job, err);
        if (status == LO_OK) {
            (void)snprintf(isa, sizeof(isa), "%s", lo_job_text(job, "isa"));
        }
        lo_job_destroy(&job);
    }
    LO_TRY(lo_agree(run->comm, status, err));
    MPI_Bcast(isa, sizeof(isa), MPI_CHAR, 0, run->comm);
    LO_TRY(lo_agree(run->comm, lo_kernels_pin(isa, err), err));
    if (strcmp(isa, "auto") == 0) {
        LO_TRY(pin_common_level(run, err));
    }
    int pays = lo_bf16_pays();
    MPI_Allreduce(MPI_IN_PLACE, &pays, 1, MPI_INT, MPI_MIN, run->comm);
    *best = pays ? LO_BF16 : LO_F32;
    return LO_OK;
}

/* run --models A:B asks for models that the ensemble has, and that are trained here. */
static lo_status check_part(const lo_study *study, lo_error *err)
{
    if (study->part_end == 0) {
        return LO_OK;
    }
    if (!study->has_ensemble || study->design.kind == LO_DESIGN_IMPORTED) {
        return lo_fail(err, LO_USAGE, "--models: the job trains no ensemble");
    }
    return study->part_end <= study->design.models
               ? LO_OK
               : lo_fail(err, LO_USAGE, "--models: found %lld:%lld; the ensemble has the models 0:%lld",
                         (long long)study->part_first, (long long)study->part_end,
                         (long long)study->design.models);
}

/* Collective. The ranks that train one model together; job and ranks must fit. */
static lo_status form_teams(lo_study *study, lo_error *err)
{
    const lo_job *job = study->job;
    const bool trains =
        lo_job_has(job, "originals") ||
        (lo_job_has(job, "ensemble") && strcmp(lo_job_text(job, "ensemble.design"), "imported") != 0);
    if (!trains) {
        return LO_OK;
    }
    cpu_set_t mine;
    const int threads = (int)lo_job_int(job, "train.threads");
    study->run.threads = threads;
    study->run.task_cores = threads * (int)lo_job_int(job, "train.team");
    int cpus = sched_getaffinity(0, sizeof(mine), &mine) == 0 ? CPU_COUNT(&mine) : threads;
    MPI_Allreduce(MPI_IN_PLACE, &cpus, 1, MPI_INT, MPI_MIN, study->run.comm);
    if (cpus < threads) {
        lo_run_warn(&study->run,
                    "train.threads: %d threads a rank, and ranks are bound to %d processors: they take turns "
                    "(mpirun --bind-to none or --map-by slot:PE=%d, srun --cpus-per-task=%d)",
                    threads, cpus, threads, threads);
    }
    const lo_status status =
        lo_rank_team_create(study->run.comm, (int)lo_job_int(job, "train.team"), &study->team, err);
    return status == LO_OK ? LO_OK : lo_fail_prefix(err, status, "train.team");
}

bool lo_study_leads(const lo_study *study)
{
    return lo_team_leads(lo_rank_team_view(study->team));
}

lo_status lo_study_open(const lo_study_options *options, lo_study *out, lo_error *err)
{
    enum { LONGEST = 3000 };
    *out = (lo_study){
        .begun = lo_clock_monotonic(), .part_first = options->part_first, .part_end = options->part_end};
    lo_run *run = &out->run;
    lo_run_init(run, options->directory);
    lo_status status = LO_OK;
    if (options->directory[0] == '\0') {
        status = lo_fail(err, LO_USAGE, "--study: found ''; allowed is the path of a directory");
    } else if (strlen(options->directory) > LONGEST) {
        status = lo_fail(err, LO_USAGE, "--study: a path of %zu characters; %d are allowed",
                         strlen(options->directory), LONGEST);
    }
    LO_TRY(status); /* the same on all ranks */
    lo_precision best = LO_F32;
    LO_TRY(pin_kernels(run, options, &best, err));
    if (run->rank == 0) {
        status = lo_study_resolve_job(options, best, &out->job, err);
        if (status == LO_OK && !options->reading) {
            status = lo_study_check_settings(out->job, err);
        }
        if (status == LO_OK) {
            status = make_directories(options->directory, err);
        }
    }
    LO_TRY(lo_agree(run->comm, status, err));
    LO_TRY(lo_run_begin(run, options->join, err));
    int alone = 1;
    if (run->rank == 0) {
        lo_attempt *list = NULL;
        int count = 0;
        status = lo_attempt_list(run->study, &run->attempt, &list, &count, err);
        for (int i = 0; status == LO_OK && i < count; i++) {
            alone = alone && (list[i].number == run->attempt.number || !list[i].live);
        }
        free(list);
        if (status == LO_OK) {
            status = settle_job(options->directory, out->job, alone != 0, err);
        }
        if (status == LO_OK && alone != 0) {
            /* A halt that nobody was there to obey asked for nothing. */
            char path[PATH_MAX];
            (void)snprintf(path, sizeof(path), "%s/halt", run->study);
            (void)unlink(path);
        }
    }
    LO_TRY(lo_agree(run->comm, status, err));
    out->accepted = true;
    LO_TRY(share_job(out, err));
    LO_TRY(options->reading ? LO_OK : form_teams(out, err));
    run->processor = lo_processor_type();
    if (!options->reading) {
        LO_TRY(check_processor(out, err));
    }
    lo_run_say(run, "event=begin version=%s study=%s attempt=%d ranks=%d host=%s job=%s processor=\"%s\"",
               LEAVEOUT_VERSION, run->study, run->attempt.number, run->ranks, run->attempt.host,
               run->attempt.job[0] != '\0' ? run->attempt.job : "none", run->processor);
    LO_TRY(open_data(out, err));
    if (!options->reading) {
        LO_TRY(lo_agree(run->comm, lo_study_check_names(out->job, out->data.classes, err), err));
        LO_TRY(lo_agree(run->comm, lo_score_list_check(out->job, &out->data, err), err));
        LO_TRY(lo_agree(run->comm, lo_scaling_check(out->job, err), err));
    }
    out->has_ensemble = lo_job_has(out->job, "ensemble");
    if (out->has_ensemble) {
        LO_TRY(
            lo_agree(run->comm, lo_study_design(out->job, &out->data, &out->design, &out->left, err), err));
    }
    return lo_agree(out->run.comm, check_part(out, err), err);
}

lo_status lo_study_lock(lo_study *study, lo_error *err)
{
    lo_status status = LO_OK;
    lo_run *run = &study->run;
    bool taken = false;
    while (run->rank == 0 && status == LO_OK && !taken) {
        status = lo_lease_take(run->study, "publish", 0, &run->attempt, &taken, err);
        lo_run_watch(run);
        if (status == LO_OK && !taken && run->stopping) {
            status = lo_fail(err, LO_STOPPED, "stopped while another attempt published");
        } else if (status == LO_OK && !taken) {
            (void)usleep(200000);
        }
    }
    return lo_agree(run->comm, status, err);
}

void lo_study_unlock(lo_study *study)
{
    if (study->run.rank == 0) {
        lo_lease_release(study->run.study, "publish", 0, &study->run.attempt);
    }
}

/* For the batch script: this job was stopped by the scheduler's signal, or its time was up, and wants to be
 * queued again. A stop without a reason was a refusal: another attempt works on the study. */
static void note_requeue(const lo_run *run)
{
    char path[PATH_MAX];
    if (run->attempt.job[0] == '\0' || run->stop_reason[0] == '\0' ||
        strncmp(run->stop_reason, "asked", 5) == 0) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/log/requeue.log", run->study);
    FILE *stream = fopen(path, "a");
    if (stream != NULL) {
        (void)fprintf(stream, "job=%s restart=%d code=%d done=%lld saved=%lld reason=\"%s\"\n",
                      run->attempt.job, run->attempt.restart, LO_STOPPED, (long long)run->finished,
                      (long long)run->saved, run->stop_reason);
        (void)fclose(stream);
    }
}

/* status.json as it stays when nobody works on the study any more. */
static void write_last_status(const lo_run *run, const char *reason)
{
    char path[PATH_MAX];
    lo_file file;
    (void)snprintf(path, sizeof(path), "%s/status.json", run->study);
    if (lo_file_begin(path, &file, NULL) != LO_OK) {
        return; /* the log and the journal say it too */
    }
    lo_json json = lo_json_begin(file.stream);
    lo_json_object(&json, NULL);
    lo_json_text(&json, "state", reason);
    lo_json_int(&json, "attempt", run->attempt.number);
    lo_json_text(&json, "job", run->attempt.job);
    lo_json_text(&json, "host", run->attempt.host);
    lo_json_int(&json, "ranks", run->ranks);
    lo_json_real(&json, "updated", lo_clock_wall());
    lo_json_end(&json);
    (void)fputc('\n', file.stream);
    (void)lo_file_end(&file, LO_OK, NULL);
}

void lo_study_close(lo_study *study, lo_status status, const lo_error *err)
{
    lo_run *run = &study->run;
    lo_rank_team_destroy(&study->team);
    if (run->begun || run->rank != 0) {
        char reason[96];
        if (status == LO_STOPPED) {
            (void)snprintf(reason, sizeof(reason), "stopped: %s", run->stop_reason);
        } else {
            (void)snprintf(reason, sizeof(reason), "%s", status == LO_OK ? "complete" : "failed");
        }
        if (run->rank == 0) {
            if (status == LO_STOPPED) {
                note_requeue(run);
            }
            if (study->accepted && !study->left_to_others) {
                write_last_status(run, reason);
            }
            lo_run_say(run, "event=end status=%d reason=\"%s\" seconds=%.1f", (int)status, reason,
                       lo_clock_monotonic() - study->begun);
            if (status != LO_OK && run->log != NULL && err != NULL) {
                (void)fprintf(run->log, "%s\n", err->text);
            }
        }
        lo_run_end(run, reason);
    } else {
        lo_run_end(run, "refused");
    }
    lo_job_destroy(&study->job);
    lo_dataset_close(&study->data);
    lo_until_destroy(&study->until);
    free(study->left);
    study->left = NULL;
}
