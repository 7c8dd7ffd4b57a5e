/* leaveout import: models trained elsewhere, on GPUs say, as an ensemble. What they were trained on and right
 * on, arrays of numpy, becomes journal records, from which everything else is made as if they had been
 * trained here. */
#include "data/npy_file.h"
#include "jobs/commands.h"
#include "jobs/study/outcome.h"
#include "jobs/study/study.h"
#include "mpi/agree.h"
#include "mpi/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MASKS, TRAIN_CORRECT, TEST_CORRECT, TRAIN_MARGIN, TEST_MARGIN, ARRAYS };
static const struct {
    const char *option;
    bool required, test, floats;
} arrays[ARRAYS] = {
    [MASKS] = {"masks", true, false, false},
    [TRAIN_CORRECT] = {"train-correct", true, false, false},
    [TEST_CORRECT] = {"test-correct", true, true, false},
    [TRAIN_MARGIN] = {"train-margin", false, false, true},
    [TEST_MARGIN] = {"test-margin", false, true, true},
};

static const char *at(const lo_npy_file *f, int64_t element)
{
    return (const char *)f->map + f->data + (size_t)element * (size_t)f->size;
}

/* ---- what is brought ---- */

static lo_status open_array(const char *path, const char *option, bool floats, int64_t rows, int64_t columns,
                            lo_npy_file *out, lo_error *err)
{
    LO_TRY(lo_npy_file_open(path, out, err));
    const bool fits = floats ? out->kind == 'f' : out->kind == 'b' || (out->kind == 'u' && out->size == 1);
    if (!fits) {
        return lo_fail(err, LO_DATA, "--%s: %s: found elements of type %c%d; allowed are %s", option, path,
                       out->kind, out->size, floats ? "f4 and f8" : "b1 and u1");
    }
    const lo_array *a = &out->array;
    if (a->dimensions != 2 || a->dimension[0] != rows || a->dimension[1] != columns) {
        return lo_fail(
            err, LO_DATA,
            "--%s: %s: found %lld x %lld (of %d dimensions); expected are %lld models (ensemble.models) x "
            "%lld examples of the data in use",
            option, path, (long long)a->dimension[0], (long long)(a->dimensions > 1 ? a->dimension[1] : 1),
            a->dimensions, (long long)rows, (long long)columns);
    }
    return LO_OK;
}

static lo_status check_labels(const char *path, const lo_examples *train, lo_error *err)
{
    lo_npy_file f = {0};
    lo_status status = lo_npy_file_open(path, &f, err);
    if (status == LO_OK && (f.array.dimensions != 1 || f.array.dimension[0] != train->count ||
                            (f.kind != 'i' && f.kind != 'u'))) {
        status = lo_fail(err, LO_DATA,
                         "--labels: %s: found %lld elements of type %c%d; expected are %lld whole numbers",
                         path, (long long)f.array.dimension[0], f.kind, f.size, (long long)train->count);
    }
    for (int64_t i = 0; i < train->count && status == LO_OK; i++) {
        int64_t label = 0; /* little-endian: the low bytes, and labels are not negative */
        memcpy(&label, at(&f, i), (size_t)f.size);
        if (label != train->label[i]) {
            status =
                lo_fail(err, LO_DATA,
                        "--labels: %s: found label %lld at %lld; the data has %d (number %lld in its "
                        "source)",
                        path, (long long)label, (long long)i, train->label[i], (long long)train->index[i]);
        }
    }
    lo_npy_file_close(&f);
    return status;
}

/* Row `row` as packed bits; *count of ones. */
static lo_status pack(const lo_npy_file *f, int64_t row, int64_t columns, uint8_t *bits, int64_t *count,
                      lo_error *err)
{
    const char *values = at(f, row * columns);
    *count = 0;
    memset(bits, 0, lo_bit_bytes(columns));
    for (int64_t i = 0; i < columns; i++) {
        if (values[i] != 0 && values[i] != 1) {
            return lo_fail(err, LO_DATA, "%s: found %d at [%lld, %lld]; allowed are 0 and 1", f->path,
                           (uint8_t)values[i], (long long)row, (long long)i);
        }
        bits[i / 8] = (uint8_t)(bits[i / 8] | (unsigned)values[i] << i % 8);
        *count += values[i];
    }
    return LO_OK;
}

static void take_margins(const lo_npy_file *f, int64_t row, int64_t columns, float *margin)
{
    for (int64_t i = 0; i < columns; i++) {
        double wide = (double)NAN;
        if (f->map != NULL && f->size == sizeof(float)) {
            memcpy(&margin[i], at(f, row * columns + i), sizeof(float));
            continue;
        }
        if (f->map != NULL) {
            memcpy(&wide, at(f, row * columns + i), sizeof(wide));
        }
        margin[i] = (float)wide;
    }
}

/* ---- records ---- */

static lo_status record_model(lo_study *s, const lo_npy_file *files, int64_t model, char *payload,
                              lo_outcome *o, lo_error *err)
{
    int64_t right = 0;
    o->seed = (uint64_t)model;
    o->loss = (double)NAN;
    LO_TRY(pack(&files[MASKS], model, o->n_train, o->mask, &o->members, err));
    LO_TRY(pack(&files[TRAIN_CORRECT], model, o->n_train, o->train_correct, &right, err));
    LO_TRY(pack(&files[TEST_CORRECT], model, o->n_test, o->test_correct, &right, err));
    take_margins(&files[TRAIN_MARGIN], model, o->n_train, o->train_margin);
    take_margins(&files[TEST_MARGIN], model, o->n_test, o->test_margin);
    o->test_accuracy = o->n_test > 0 ? (double)right / (double)o->n_test : (double)NAN;
    lo_outcome_seal(o, payload);
    lo_record record = {.kind = LO_RECORD_DONE,
                        .stage = LO_STAGE_ENSEMBLE,
                        .task = (uint64_t)model,
                        .digest = lo_job_digest(s->job, LO_KEYS_ENSEMBLE),
                        .value = o->test_accuracy};
    return lo_run_record(&s->run, &record, payload, lo_outcome_size(o->n_train, o->n_test), true, err);
}

static lo_status record_models(lo_study *s, const lo_npy_file *files, lo_error *err)
{
    lo_ledger ledger = {0};
    lo_outcome o = {.n_train = s->data.train.count, .n_test = s->data.test.count, .processor = "imported"};
    char *payload = calloc(1, lo_outcome_size(o.n_train, o.n_test));
    lo_status status =
        payload != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the outcomes of a model");
    LO_TRY_GOTO(status, status, done);
    lo_outcome_map(&o, payload);
    LO_TRY_GOTO(status,
                lo_ledger_create(s->run.study, LO_STAGE_ENSEMBLE, lo_job_digest(s->job, LO_KEYS_ENSEMBLE),
                                 s->design.models, &ledger, err),
                done);
    LO_TRY_GOTO(status, lo_ledger_read(&ledger, err), done);
    for (int64_t k = 0; k < s->design.models && status == LO_OK; k++) {
        if (ledger.entry[k].file < 0) {
            status = record_model(s, files, k, payload, &o, err);
        }
    }
    lo_run_say(&s->run, "event=imported models=%lld were_there=%lld", (long long)s->design.models,
               (long long)ledger.done);
done:
    lo_ledger_destroy(&ledger);
    free(payload);
    return status;
}

/* Rank 0: all arrays are looked at before anything is recorded. */
static lo_status import(lo_study *s, const lo_command_line *line, lo_error *err)
{
    lo_status status = LO_OK;
    const char *labels = lo_option_value(line, "labels");
    lo_npy_file *files = calloc(ARRAYS, sizeof(*files));
    if (files == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for an import");
    }
    for (int a = 0; a < ARRAYS && status == LO_OK; a++) {
        const char *path = lo_option_value(line, arrays[a].option);
        if (path != NULL) {
            status = open_array(path, arrays[a].option, arrays[a].floats, s->design.models,
                                arrays[a].test ? s->data.test.count : s->data.train.count, &files[a], err);
        }
    }
    if (status == LO_OK && labels != NULL) {
        status = check_labels(labels, &s->data.train, err);
    }
    if (status == LO_OK) {
        status = record_models(s, files, err);
    }
    for (int a = 0; a < ARRAYS; a++) {
        lo_npy_file_close(&files[a]);
    }
    free(files);
    return status;
}

static lo_status import_and_publish(lo_study *study, const void *self, lo_error *err)
{
    lo_status status = LO_OK;
    if (study->design.kind != LO_DESIGN_IMPORTED) {
        status = lo_fail(err, LO_USAGE, "import: the job's ensemble.design is '%s'; allowed is imported",
                         study->has_ensemble ? lo_job_text(study->job, "ensemble.design") : "none");
    } else if (study->run.rank == 0) {
        status = import(study, self, err);
    }
    LO_TRY(lo_agree(study->run.comm, status, err));
    return lo_publish_all(study, err);
}

lo_status lo_command_import(const lo_command_line *line, lo_error *err)
{
    const char *overrides[LO_MAX_SETTINGS];
    const lo_study_options options = {.job_file = line->operand[0],
                                      .directory = lo_option_value(line, "study"),
                                      .overrides = overrides,
                                      .override_count = lo_option_values(line, "set", overrides)};
    if (options.directory == NULL) {
        return lo_fail(err, LO_USAGE, "import: --study DIR says where the results go");
    }
    for (int a = 0; a < ARRAYS; a++) {
        if (arrays[a].required && lo_option_value(line, arrays[a].option) == NULL) {
            return lo_fail(err, LO_USAGE, "import: --%s FILE is missing", arrays[a].option);
        }
    }
    return lo_with_study(&options, import_and_publish, line, err);
}
