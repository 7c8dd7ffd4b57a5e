/* Stage report: manifest.json and report.html from what the study holds. Rank 0 alone. */
#include "base/clock.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/json.h"
#include "jobs/attribution/attribution_shown.h"
#include "jobs/audit/audit_shown.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/outcome.h"
#include "jobs/scaling/scaling_shown.h"
#include "jobs/scores/score_list.h"
#include "jobs/stages.h"
#include "jobs/unlearning/unlearning_shown.h"
#include "mpi/agree.h"
#include "mpi/h5file.h"
#include "report/report.h"
#include "score/rank.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_TESTS = 12, SHOWN_TRAIN = 8, MAX_SCORES = 64, TEXT = 512 };

/* Everything that the lo_report points to. */
typedef struct material {
    lo_study *study;
    lo_report report;
    lo_ledger ledger, originals; /* which have read the same journals */
    lo_report_original *original;
    double *curves; /* [originals, 2, epochs] */
    lo_report_unlearned *unlearned;
    lo_report_attempt *attempt;
    char (*attempt_text)[6][TEXT]; /* start, hosts, processor, job, ended, spare */
    lo_report_score score[MAX_SCORES];
    char score_names[LO_SCORE_NAMES_SIZE];
    char score_description[MAX_SCORES][TEXT];
    void *score_field[MAX_SCORES][4];
    float *test_accuracy, *seconds;
    const char **class_name;
    char *job;
    int64_t *influence_test, *influence_index;
    float *influence_value, *influence_error;
} material;

static void material_free(material *m)
{
    lo_attribution_shown_free(&m->report.attribution);
    free(m->unlearned);
    lo_scaling_shown_free(&m->report.scaling);
    lo_audit_shown_free(&m->report.audit);
    lo_ledger_destroy(&m->ledger);
    lo_ledger_destroy(&m->originals);
    free(m->original);
    free(m->curves);
    for (int s = 0; s < MAX_SCORES; s++) {
        for (int f = 0; f < 4; f++) {
            free(m->score_field[s][f]);
        }
    }
    free(m->attempt);
    free(m->attempt_text);
    free(m->test_accuracy);
    free(m->seconds);
    free(m->class_name);
    free(m->job);
    free(m->influence_test);
    free(m->influence_index);
    free(m->influence_value);
    free(m->influence_error);
}

/* ---- attempts ---- */

static int find_attempt(const material *m, int number)
{
    for (int i = 0; i < m->report.attempt_count; i++) {
        if (m->attempt[i].number == number) {
            return i;
        }
    }
    return -1;
}

/* Appends a word to a comma-separated list that does not hold it yet. */
static void add_word(char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) {
            return;
        }
    }
    const size_t used = strlen(list);
    (void)snprintf(list + used, TEXT - used, "%s%s", used > 0 ? "," : "", word);
}

static bool attempt_lives(const lo_study *study, int number)
{
    lo_attempt *list = NULL;
    int count = 0;
    bool lives = false;
    if (lo_attempt_list(study->run.study, &study->run.attempt, &list, &count, NULL) == LO_OK) {
        for (int i = 0; i < count; i++) {
            lives = lives || (list[i].number == number && list[i].live);
        }
    }
    free(list);
    return lives;
}

/* What a journal says about originals, which the ensemble's ledger does not count. */
static const lo_journal_file *originals_of(const material *m, const lo_journal_file *source)
{
    for (int i = 0; i < m->originals.sources; i++) {
        if (strcmp(m->originals.source[i].name, source->name) == 0) {
            return &m->originals.source[i];
        }
    }
    static const lo_journal_file none = {0};
    return &none;
}

static lo_status gather_attempts(material *m, lo_error *err)
{
    const lo_ledger *ledger = &m->ledger;
    const size_t room = (size_t)ledger->sources + 1;
    m->attempt = calloc(room, sizeof(*m->attempt));
    m->attempt_text = calloc(room, sizeof(*m->attempt_text));
    char(*processors)[LO_MAX_PROCESSOR] = calloc(room, sizeof(*processors));
    if (m->attempt == NULL || m->attempt_text == NULL || processors == NULL) {
        free(processors);
        return lo_fail(err, LO_INTERNAL, "no memory for the list of attempts");
    }
    for (int i = 0; i < ledger->sources; i++) {
        const lo_journal_file *source = &ledger->source[i];
        const lo_journal_file *originals = originals_of(m, source);
        char value[TEXT];
        int a = find_attempt(m, source->attempt);
        if (a < 0) {
            a = m->report.attempt_count++;
            m->attempt[a].number = source->attempt;
            lo_clock_iso(lo_field_real(source->text, "start"), m->attempt_text[a][0], TEXT);
            m->attempt[a].ranks = (int)lo_field_int(source->text, "ranks");
            lo_field(source->text, "processor", m->attempt_text[a][2], TEXT);
            lo_field(source->text, "job", m->attempt_text[a][3], TEXT);
            (void)snprintf(m->attempt_text[a][4], TEXT, "%s",
                           source->attempt == m->study->run.attempt.number ? "wrote this report"
                           : attempt_lives(m->study, source->attempt)      ? "running"
                                                                           : "died");
        }
        lo_report_attempt *attempt = &m->attempt[a];
        lo_field(source->text, "host", value, sizeof(value));
        add_word(m->attempt_text[a][1], value);
        attempt->seconds = fmax(attempt->seconds, source->last - lo_field_real(source->text, "start"));
        attempt->models += source->done + originals->done;
        attempt->core_seconds += fmax(1, lo_field_real(source->text, "cores")) * /* older ones have none */
                                 (source->done_seconds + originals->done_seconds);
        if (source->ended) {
            (void)snprintf(m->attempt_text[a][4], TEXT, "%s", source->reason);
        }
        if (source->done + originals->done > 0) {
            int64_t p = 0;
            lo_field(source->text, "processor", value, sizeof(value));
            while (p < m->report.processor_types && strcmp(processors[p], value) != 0) {
                p++;
            }
            if (p == m->report.processor_types) {
                (void)snprintf(processors[m->report.processor_types++], sizeof(*processors), "%.*s",
                               LO_MAX_PROCESSOR - 1, value);
            }
        }
    }
    for (int a = 0; a < m->report.attempt_count; a++) {
        m->attempt[a].start = m->attempt_text[a][0];
        m->attempt[a].hosts = m->attempt_text[a][1];
        m->attempt[a].processor = m->attempt_text[a][2];
        m->attempt[a].job = m->attempt_text[a][3];
        m->attempt[a].ended = m->attempt_text[a][4];
    }
    m->report.attempt = m->attempt;
    free(processors);
    return LO_OK;
}

/* ---- results ---- */

static lo_status read_floats(const lo_h5_reader *reader, const char *path, float **out, int64_t *rows,
                             lo_error *err)
{
    double *wide = NULL;
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_F64, (void **)&wide, rows, NULL, err));
    *out = calloc((size_t)*rows + 1, sizeof(**out));
    for (int64_t i = 0; *out != NULL && i < *rows; i++) {
        (*out)[i] = (float)wide[i];
    }
    free(wide);
    return *out != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %s", path);
}

static double share_of(const int32_t *hit, const int32_t *of, const lo_examples *train, bool relabelled)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < train->count; i++) {
        if (of[i] > 0 && (train->label[i] != train->label_true[i]) == relabelled) {
            sum += (double)hit[i] / of[i];
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

/* Accuracy in and out of sample from the counts beside the scores. */
static lo_status gather_counts(material *m, const lo_h5_reader *reader, lo_error *err)
{
    static const char *const names[4] = {"/models/in", "/models/in_correct", "/models/out",
                                         "/models/out_correct"};
    const lo_examples *train = &m->study->data.train;
    int32_t *count[4] = {NULL, NULL, NULL, NULL};
    lo_report *r = &m->report;
    lo_status status = LO_OK;
    for (int c = 0; c < 4 && status == LO_OK; c++) {
        int64_t rows = 0;
        status = lo_h5_read_all(reader, names[c], LO_H5_I32, (void **)&count[c], &rows, NULL, err);
        if (status == LO_OK && rows != train->count) {
            status = lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, names[c],
                             (long long)rows, (long long)train->count);
        }
    }
    if (status == LO_OK) {
        r->in_sample_clean = share_of(count[1], count[0], train, false);
        r->in_sample_relabelled = share_of(count[1], count[0], train, true);
        r->out_of_sample_clean = share_of(count[3], count[2], train, false);
        r->out_of_sample_relabelled = share_of(count[3], count[2], train, true);
        r->in_min = r->out_min = INT64_MAX;
        for (int64_t i = 0; i < train->count; i++) {
            r->in_min = count[0][i] < r->in_min ? count[0][i] : r->in_min;
            r->in_max = count[0][i] > r->in_max ? count[0][i] : r->in_max;
            r->out_min = count[2][i] < r->out_min ? count[2][i] : r->out_min;
            r->out_max = count[2][i] > r->out_max ? count[2][i] : r->out_max;
        }
    }
    for (int c = 0; c < 4; c++) {
        free(count[c]);
    }
    return status;
}

/* One score: its values, what else it has, and what it cost. */
static lo_status gather_score(material *m, const lo_h5_reader *reader, const char *name, lo_error *err)
{
    static const char *const fields[4] = {"value", "standard_error", "low", "high"};
    const int s = m->report.score_count++;
    char path[128];
    int64_t orientation = 1;
    lo_report_score *score = &m->score[s];
    for (int f = 0; f < 4; f++) {
        (void)snprintf(path, sizeof(path), "/%s/%s", name, fields[f]);
        if (f == 0 || lo_h5_has(reader, path)) {
            int64_t rows = 0;
            LO_TRY(lo_h5_read_all(reader, path, LO_H5_F32, &m->score_field[s][f], &rows, NULL, err));
            if (rows != m->study->data.train.count) {
                return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file, path,
                               (long long)rows, (long long)m->study->data.train.count);
            }
        }
    }
    (void)snprintf(path, sizeof(path), "/%s", name);
    LO_TRY(lo_h5_get_int(reader, path, "orientation", &orientation, err));
    LO_TRY(lo_h5_get_text(reader, path, "description", m->score_description[s], TEXT, err));
    *score = (lo_report_score){.name = name,
                               .description = m->score_description[s],
                               .value = m->score_field[s][0],
                               .standard_error = m->score_field[s][1],
                               .low = m->score_field[s][2],
                               .high = m->score_field[s][3],
                               .orientation = orientation < 0 ? -1 : 1,
                               .agreement = (double)NAN,
                               .plain = m->score_field[s][2] == NULL};
    LO_TRY(lo_h5_get_real(reader, path, "cost_core_seconds", &score->cost, err));
    return lo_h5_get_real(reader, path, "shared_training_core_seconds", &score->shared, err);
}

/* Spearman's correlation of every score with memorization, where there is that. */
static lo_status compare_scores(material *m, lo_error *err)
{
    const int64_t n = m->study->data.train.count;
    const float *reference = NULL;
    for (int s = 0; s < m->report.score_count; s++) {
        reference = strcmp(m->score[s].name, "memorization") == 0 ? m->score[s].value : reference;
    }
    if (reference == NULL) {
        return LO_OK;
    }
    double *pair = calloc(2 * (size_t)n + 1, sizeof(*pair));
    lo_status status = pair != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to compare scores");
    for (int s = 0; s < m->report.score_count && status == LO_OK; s++) {
        lo_agreement agreement;
        for (int64_t i = 0; i < n; i++) {
            pair[i] = (double)reference[i];
            pair[n + i] = (double)m->score[s].value[i];
        }
        status = lo_spearman(pair, pair + n, n, &agreement, err);
        m->score[s].agreement = status == LO_OK ? agreement.value : (double)NAN;
    }
    free(pair);
    return status;
}

static lo_status gather_scores(material *m, lo_error *err)
{
    char path[PATH_MAX];
    char *rest = NULL;
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/scores.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &reader, err));
    lo_status status = lo_h5_has(&reader, "/models/in") ? gather_counts(m, &reader, err) : LO_OK;
    if (status == LO_OK) {
        status = lo_score_names(&reader, m->score_names, err);
    }
    for (char *name = strtok_r(m->score_names, " ", &rest);
         name != NULL && status == LO_OK && m->report.score_count < MAX_SCORES;
         name = strtok_r(NULL, " ", &rest)) {
        status = gather_score(m, &reader, name, err);
    }
    lo_h5_close(&reader);
    m->report.score = m->score;
    return status == LO_OK ? compare_scores(m, err) : status;
}

/* The strongest influences on a test example: of a dense row, or as they lie in the file. */
static lo_status read_row(const material *m, const lo_h5_reader *reader, bool dense, bool errors,
                          int64_t test, int64_t k, int64_t items, float *value, float *error, int64_t *index,
                          lo_error *err)
{
    if (!dense) {
        int64_t *all = calloc((size_t)items + 1, sizeof(*all));
        lo_status status =
            all != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a row of influence");
        if (status == LO_OK) {
            status = lo_h5_read(reader, "/top/index", LO_H5_I64, test, 1, all, err);
        }
        if (status == LO_OK) {
            memcpy(index, all, (size_t)k * sizeof(*index));
            status = lo_h5_read(reader, "/top/value", LO_H5_F32, test, 1, value, err);
        }
        free(all);
        return status == LO_OK && errors
                   ? lo_h5_read(reader, "/top/standard_error", LO_H5_F32, test, 1, error, err)
                   : status;
    }
    /* value and error hold the whole row first; the chosen ones then move to the front by way of `top`. */
    float *top = calloc((size_t)k + 1, sizeof(*top));
    lo_status status = top != NULL ? lo_h5_read(reader, "/contrast", LO_H5_F32, test, 1, value, err)
                                   : lo_fail(err, LO_INTERNAL, "no memory for a row of influence");
    if (status == LO_OK && errors) {
        status = lo_h5_read(reader, "/standard_error", LO_H5_F32, test, 1, error, err);
    }
    if (status == LO_OK) {
        lo_strongest(value, 1, m->study->data.train.count, k, index, top);
        memcpy(value, top, (size_t)k * sizeof(*value));
        for (int64_t i = 0; i < k; i++) {
            top[i] = errors && index[i] >= 0 ? error[index[i]] : NAN;
        }
        memcpy(error, top, (size_t)k * sizeof(*error));
    }
    free(top);
    return status;
}

/* Rows worth showing: the test examples whose strongest influence is largest, one a class first, so that a
 * page shows different garments. strength [n_test]. */
static int64_t choose_rows(const lo_dataset *data, const float *strength, int64_t *chosen)
{
    int64_t count = 0;
    uint8_t *taken = calloc((size_t)data->test.count, 1);
    if (taken == NULL) {
        return 0;
    }
    for (int pass = 0; pass < 2 && count < SHOWN_TESTS; pass++) {
        for (int c = 0; c < (pass == 0 ? data->classes : SHOWN_TESTS) && count < SHOWN_TESTS; c++) {
            int64_t best = -1;
            for (int64_t j = 0; j < data->test.count; j++) {
                const bool fits =
                    taken[j] == 0 && (pass == 1 || data->test.label[j] == c) && !isnan(strength[j]);
                if (fits && (best < 0 || strength[j] > strength[best])) {
                    best = j;
                }
            }
            if (best >= 0) {
                taken[best] = 1;
                chosen[count++] = best;
            }
        }
    }
    free(taken);
    return count;
}

static float largest_magnitude(const float *row, int64_t count)
{
    float largest = NAN;
    for (int64_t i = 0; i < count; i++) {
        const float size = fabsf(row[i]);
        if (!isnan(size) && (isnan(largest) || size > largest)) {
            largest = size;
        }
    }
    return largest;
}

static lo_status gather_influence(material *m, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/influence.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &reader, err));
    const lo_dataset *data = &m->study->data;
    const bool dense = lo_h5_has(&reader, "/contrast");
    const char *values = dense ? "/contrast" : "/top/value";
    const bool errors = lo_h5_has(&reader, dense ? "/standard_error" : "/top/standard_error");
    int64_t rows = 0;
    int64_t items = 0;
    float *strength = NULL;
    float *row = NULL;
    float *error = NULL;
    lo_status status = lo_h5_sizes(&reader, values, &rows, &items, err);
    if (status == LO_OK && (rows != data->test.count || (dense && items != data->train.count))) {
        status = lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; it is not of this study's data", reader.file,
                         values, (long long)rows, (long long)items);
    }
    const int64_t k = items < SHOWN_TRAIN ? items : SHOWN_TRAIN;
    if (status == LO_OK) {
        strength = calloc((size_t)rows + 1, sizeof(*strength));
        row = calloc((size_t)items + 1, sizeof(*row));
        error = calloc((size_t)items + 1, sizeof(*error));
        m->influence_test = calloc(SHOWN_TESTS, sizeof(int64_t));
        m->influence_index = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(int64_t));
        m->influence_value = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(float));
        m->influence_error = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(float));
        if (strength == NULL || row == NULL || error == NULL || m->influence_test == NULL ||
            m->influence_index == NULL || m->influence_value == NULL || m->influence_error == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the influence rows of the report");
        }
    }
    for (int64_t j = 0; j < rows && status == LO_OK; j++) {
        status = lo_h5_read(&reader, values, LO_H5_F32, j, 1, row, err);
        strength[j] = status == LO_OK ? largest_magnitude(row, items) : NAN;
    }
    if (status == LO_OK) {
        m->report.influence_rows = choose_rows(data, strength, m->influence_test);
        m->report.influence_k = k;
    }
    for (int64_t i = 0; i < m->report.influence_rows && status == LO_OK; i++) {
        status = read_row(m, &reader, dense, errors, m->influence_test[i], k, items, row, error,
                          m->influence_index + i * k, err);
        memcpy(m->influence_value + i * k, row, (size_t)k * sizeof(*row));
        memcpy(m->influence_error + i * k, error, (size_t)k * sizeof(*error));
    }
    m->report.influence_test = m->influence_test;
    m->report.influence_index = m->influence_index;
    m->report.influence_value = m->influence_value;
    m->report.influence_error = m->influence_error;
    free(strength);
    free(row);
    free(error);
    lo_h5_close(&reader);
    return status;
}

/* Of an imported ensemble: the share of the training examples that its models were trained on, on average. */
static lo_status mean_share(const lo_ensemble_file *file, double *share, lo_error *err)
{
    const int64_t bytes = (int64_t)lo_bit_bytes(file->n_train);
    uint8_t *row = calloc((size_t)bytes + 1, 1);
    lo_status status = row != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a mask");
    int64_t members = 0;
    for (int64_t r = 0; r < file->rows && status == LO_OK; r++) {
        status = lo_h5_read(&file->reader, "/mask", LO_H5_U8, r, 1, row, err);
        for (int64_t b = 0; b < bytes; b++) {
            members += __builtin_popcount(row[b]);
        }
    }
    free(row);
    *share = (double)members / (double)file->rows / (double)file->n_train;
    return status;
}

static lo_status gather_ensemble(material *m, lo_error *err)
{
    lo_ensemble_file file;
    lo_report *r = &m->report;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", m->study->run.study);
    r->models_planned = m->study->design.models;
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = lo_ensemble_open(m->study->run.study, &file, err);
    if (status == LO_OK) {
        r->models_done = file.rows;
        r->models_diverged = file.diverged;
        int64_t rows;
        if (m->study->design.kind == LO_DESIGN_IMPORTED) {
            status = mean_share(&file, &r->ratio, err);
        }
        status = status != LO_OK ? status
                                 : read_floats(&file.reader, "/test_accuracy", &m->test_accuracy, &rows, err);
        if (status == LO_OK) {
            status = read_floats(&file.reader, "/seconds", &m->seconds, &rows, err);
        }
        /* A diverged model counts in no score, so its accuracy is no part of the mean either. */
        for (int64_t k = 0; status == LO_OK && k < file.rows; k++) {
            const int64_t model = file.model[k];
            if ((file.use[model / 8] >> (model % 8) & 1) == 0) {
                m->test_accuracy[k] = NAN;
            }
        }
        r->test_accuracy = m->test_accuracy;
        r->seconds = m->seconds;
    }
    lo_ensemble_close(&file);
    return status;
}

static lo_status gather_originals(material *m, lo_error *err)
{
    lo_report *r = &m->report;
    char path[PATH_MAX];
    lo_h5_reader reader;
    int64_t *seed = NULL;
    double *accuracy = NULL, *seconds = NULL;
    uint8_t *diverged = NULL;
    (void)snprintf(path, sizeof(path), "%s/training.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = lo_h5_open(path, &reader, err);
    LO_TRY_GOTO(status, status, done);
    LO_TRY_GOTO(status, lo_h5_get_int(&reader, "/", "epochs", &r->epochs, err), done);
    LO_TRY_GOTO(status,
                lo_h5_read_all(&reader, "/seed", LO_H5_I64, (void **)&seed, &r->original_count, NULL, err),
                done);
    LO_TRY_GOTO(status,
                lo_h5_read_all(&reader, "/test_accuracy", LO_H5_F64, (void **)&accuracy, NULL, NULL, err),
                done);
    LO_TRY_GOTO(status, lo_h5_read_all(&reader, "/seconds", LO_H5_F64, (void **)&seconds, NULL, NULL, err),
                done);
    LO_TRY_GOTO(status, lo_h5_read_all(&reader, "/diverged", LO_H5_U8, (void **)&diverged, NULL, NULL, err),
                done);
    m->original = calloc((size_t)r->original_count + 1, sizeof(*m->original));
    m->curves = calloc((size_t)(r->original_count * 2 * r->epochs) + 1, sizeof(*m->curves));
    if (m->original == NULL || m->curves == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the originals' curves");
        goto done;
    }
    r->original = m->original;
    for (int64_t i = 0; i < r->original_count; i++) {
        double *curve = m->curves + i * 2 * r->epochs;
        m->original[i] = (lo_report_original){.seed = seed[i],
                                              .test_accuracy = accuracy[i],
                                              .seconds = seconds[i],
                                              .diverged = diverged[i] != 0,
                                              .loss = curve,
                                              .accuracy = curve + r->epochs};
        (void)snprintf(path, sizeof(path), "/%lld/epoch/loss", (long long)seed[i]);
        LO_TRY_GOTO(status, lo_h5_read(&reader, path, LO_H5_F64, 0, r->epochs, curve, err), done);
        (void)snprintf(path, sizeof(path), "/%lld/epoch/accuracy", (long long)seed[i]);
        LO_TRY_GOTO(status, lo_h5_read(&reader, path, LO_H5_F64, 0, r->epochs, curve + r->epochs, err), done);
    }
done:
    lo_h5_close(&reader);
    free(seed);
    free(accuracy);
    free(seconds);
    free(diverged);
    return status;
}

static lo_status gather(material *m, lo_error *err)
{
    lo_study *s = m->study;
    lo_report *r = &m->report;
    const char *slash = strrchr(s->run.study, '/');
    *r = (lo_report){.study = slash != NULL && slash[1] != '\0' ? slash + 1 : s->run.study,
                     .version = LEAVEOUT_VERSION,
                     .data = &s->data,
                     .design = s->has_ensemble ? lo_job_text(s->job, "ensemble.design") : "none",
                     .ratio = s->has_ensemble ? lo_job_real(s->job, "ensemble.ratio") : 0,
                     .label_noise = lo_job_real(s->job, "data.label_noise"),
                     .in_sample_clean = NAN,
                     .in_sample_relabelled = NAN,
                     .out_of_sample_clean = NAN,
                     .out_of_sample_relabelled = NAN};
    for (int64_t i = 0; i < s->data.train.count; i++) {
        r->relabelled += s->data.train.label[i] != s->data.train.label_true[i];
    }
    m->job = lo_job_effective(s->job);
    r->job_yaml = m->job;
    const int64_t names = lo_job_length(s->job, "data.class_names");
    const bool named = names >= s->data.classes;
    m->class_name = calloc((size_t)s->data.classes + 1, sizeof(*m->class_name));
    if (m->job == NULL || m->class_name == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the report");
    }
    if (named || s->data.class_name != NULL) {
        for (int c = 0; c < s->data.classes; c++) {
            m->class_name[c] = named ? lo_job_text_at(s->job, "data.class_names", c) : s->data.class_name[c];
        }
        r->class_name = m->class_name;
    }
    const uint64_t digest = lo_job_digest(s->job, LO_KEYS_ENSEMBLE);
    LO_TRY(lo_ledger_create(s->run.study, LO_STAGE_ENSEMBLE, digest, s->has_ensemble ? s->design.models : 0,
                            &m->ledger, err));
    LO_TRY(lo_ledger_read(&m->ledger, err));
    for (int64_t t = 0; t < m->ledger.tasks; t++) {
        r->models_given_up += m->ledger.entry[t].given_up && m->ledger.entry[t].file < 0;
    }
    r->originals_planned = lo_job_has(s->job, "originals") ? lo_job_int(s->job, "originals.seeds") : 0;
    LO_TRY(lo_ledger_create(s->run.study, LO_STAGE_ORIGINALS, lo_job_digest(s->job, LO_KEYS_ORIGINALS),
                            r->originals_planned, &m->originals, err));
    LO_TRY(lo_ledger_read(&m->originals, err));
    LO_TRY(gather_attempts(m, err));
    if (r->originals_planned > 0) {
        LO_TRY(gather_originals(m, err));
    }
    if (s->has_ensemble) {
        LO_TRY(gather_ensemble(m, err));
        LO_TRY(gather_influence(m, err));
    }
    LO_TRY(lo_privacy_show(s->run.study, &r->privacy, err));
    LO_TRY(lo_audit_show(s->run.study, &r->audit, err));
    LO_TRY(gather_scores(m, err));
    LO_TRY(lo_scaling_show(s, &r->scaling, err));
    LO_TRY(lo_attribution_show(s, &r->attribution, err));
    const lo_status status = lo_unlearning_show(s->run.study, &m->unlearned, &r->unlearned_count, err);
    r->unlearned = m->unlearned;
    return status;
}

/* manifest.json: versions, processor types, hosts, attempts, usage. */
static lo_status write_manifest(const material *m, lo_error *err)
{
    char path[PATH_MAX];
    lo_file file = {0};
    const lo_report *r = &m->report;
    (void)snprintf(path, sizeof(path), "%s/manifest.json", m->study->run.study);
    LO_TRY(lo_file_begin(path, &file, err));
    lo_json json = lo_json_begin(file.stream);
    double core_seconds = 0;
    lo_json_object(&json, NULL);
    lo_json_int(&json, "format", LO_STUDY_FORMAT);
    lo_json_text(&json, "version", LEAVEOUT_VERSION);
    lo_json_text(&json, "processor", m->study->run.processor);
    lo_json_int(&json, "processor_types", r->processor_types);
    lo_json_object(&json, "digests");
    for (int g = LO_KEYS_DATA; g < LO_KEY_GROUPS; g++) {
        static const char *const names[] = {"none",    "data",      "recipe",    "ensemble",
                                            "scores",  "influence", "originals", "attribution",
                                            "damping", "unlearning"};
        char digest[32];
        (void)snprintf(digest, sizeof(digest), "%016llx",
                       (unsigned long long)lo_job_digest(m->study->job, (lo_key_group)g));
        lo_json_text(&json, names[g], digest);
    }
    lo_json_end(&json);
    lo_json_array(&json, "attempts");
    for (int a = 0; a < r->attempt_count; a++) {
        const lo_report_attempt *attempt = &r->attempt[a];
        core_seconds += attempt->core_seconds;
        lo_json_object(&json, NULL);
        lo_json_int(&json, "number", attempt->number);
        lo_json_text(&json, "start", attempt->start);
        lo_json_real(&json, "seconds", attempt->seconds);
        lo_json_int(&json, "ranks", attempt->ranks);
        lo_json_text(&json, "hosts", attempt->hosts);
        lo_json_text(&json, "processor", attempt->processor);
        lo_json_text(&json, "job", attempt->job);
        lo_json_text(&json, "ended", attempt->ended);
        lo_json_int(&json, "models", attempt->models);
        lo_json_real(&json, "core_seconds", attempt->core_seconds);
        lo_json_end(&json);
    }
    lo_json_end(&json);
    lo_json_object(&json, "usage");
    lo_json_real(&json, "training_core_seconds", core_seconds);
    lo_json_int(&json, "models", r->models_done);
    lo_json_int(&json, "models_planned", r->models_planned);
    lo_json_int(&json, "models_diverged", r->models_diverged);
    lo_json_int(&json, "models_given_up", r->models_given_up);
    lo_json_int(&json, "originals", r->original_count);
    lo_json_int(&json, "originals_planned", r->originals_planned);
    lo_json_end(&json);
    lo_json_end(&json);
    (void)fputc('\n', file.stream);
    return lo_file_end(&file, LO_OK, err);
}

/* The answer in one line, for those who do not open the report at once. */
static void say_summary(const material *m)
{
    const lo_report *r = &m->report;
    const float *memorization = NULL;
    const float *low = NULL;
    double accuracy = 0;
    int64_t rated = 0;
    int64_t above = 0;
    int64_t surely = 0;
    for (int s = 0; s < r->score_count; s++) {
        if (strcmp(r->score[s].name, "memorization") == 0) {
            memorization = r->score[s].value;
            low = r->score[s].low;
        }
    }
    if (r->models_done == 0 || memorization == NULL) {
        return;
    }
    for (int64_t k = 0; k < r->models_done; k++) {
        if (!isnan(r->test_accuracy[k])) {
            accuracy += r->test_accuracy[k];
            rated++;
        }
    }
    accuracy = rated > 0 ? accuracy / (double)rated : (double)NAN;
    for (int64_t i = 0; i < r->data->train.count; i++) {
        above += memorization[i] > 0.25F;
        surely += low[i] > 0.25F;
    }
    char relabelled[48] = "";
    if (r->relabelled > 0) {
        (void)snprintf(relabelled, sizeof(relabelled), " in_sample_relabelled=%.4f", r->in_sample_relabelled);
    }
    lo_run_say(&m->study->run,
               "event=summary models=%lld diverged=%lld test_accuracy=%.4f in_sample_clean=%.4f%s "
               "memorized_above_0.25=%lld "
               "of_these_interval_above_0.25=%lld of=%lld",
               (long long)r->models_done, (long long)r->models_diverged, accuracy, r->in_sample_clean,
               relabelled, (long long)above, (long long)surely, (long long)r->data->train.count);
    if (r->models_diverged == r->models_done) {
        lo_run_say(&m->study->run,
                   "event=note text=\"every model diverged, so nothing has a score; a smaller "
                   "learning rate usually helps\"");
    }
    if (r->in_sample_clean < 0.95 || (r->relabelled > 0 && r->in_sample_relabelled < 0.95)) {
        lo_run_say(
            &m->study->run,
            "event=note text=\"the models do not fit what they were trained on: memorization cannot be "
            "read there; train longer or larger\"");
    }
}

lo_status lo_stage_report(lo_study *study, lo_error *err)
{
    lo_run *run = &study->run;
    lo_status status = LO_OK;
    if (run->rank == 0) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/report.html", run->study);
        if (study->news || access(path, F_OK) != 0) {
            const double start = lo_clock_monotonic();
            material m = {.study = study};
            status = gather(&m, err);
            if (status == LO_OK) {
                status = write_manifest(&m, err);
            }
            if (status == LO_OK) {
                status = lo_report_write(&m.report, path, err);
            }
            if (status == LO_OK) {
                say_summary(&m);
            }
            material_free(&m);
            if (status == LO_OK) {
                lo_run_say(run, "event=published file=report.html seconds=%.2f",
                           lo_clock_monotonic() - start);
            }
        }
    }
    return lo_agree(run->comm, status, err);
}
