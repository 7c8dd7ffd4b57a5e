#include "jobs/audit/audit_shown.h"

#include "base/file.h"
#include "jobs/audit/audit_numbers.h"
#include "jobs/audit/choices_shown.h"
#include "jobs/audit/privacy.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lo_status open_if_there(const char *study, const char *name, lo_h5_reader *reader, bool *there,
                               lo_error *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", study, name);
    *there = access(path, F_OK) == 0;
    return *there ? lo_h5_open(path, reader, err) : LO_OK;
}

/* ---- privacy.h5 ---- */

static lo_status read_bounded(const lo_h5_reader *reader, const char *group, const char *name,
                              lo_bounded *out, lo_error *err)
{
    char text[64];
    LO_TRY(lo_h5_get_real(reader, group, name, &out->value, err));
    (void)snprintf(text, sizeof(text), "%s_low", name);
    LO_TRY(lo_h5_get_real(reader, group, text, &out->low, err));
    (void)snprintf(text, sizeof(text), "%s_high", name);
    return lo_h5_get_real(reader, group, text, &out->high, err);
}

static lo_status read_real(const lo_h5_reader *reader, const char *path, int64_t count, double *out,
                           lo_error *err)
{
    int64_t rows, items;
    LO_TRY(lo_h5_sizes(reader, path, &rows, &items, err));
    return rows == count ? lo_h5_read(reader, path, LO_H5_F64, 0, count, out, err)
                         : lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file,
                                   path, (long long)rows, (long long)count);
}

static lo_status read_attack(const lo_h5_reader *reader, const char *name, lo_report_attack *out,
                             lo_error *err)
{
    char group[64], path[64];
    float *auc = NULL;
    int64_t n = 0;
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    (void)snprintf(group, sizeof(group), "/%s", name);
    LO_TRY(lo_h5_get_text(reader, group, "description", out->description, sizeof(out->description), err));
    LO_TRY(lo_h5_get_int(reader, group, "targets", &out->targets, err));
    LO_TRY(read_bounded(reader, group, "auc", &out->auc, err));
    LO_TRY(read_bounded(reader, group, "tpr_at_0.01", &out->rate[0], err));
    LO_TRY(read_bounded(reader, group, "tpr_at_0.001", &out->rate[1], err));
    LO_TRY(lo_h5_get_real(reader, group, "pooled_accuracy", &out->accuracy, err));
    LO_TRY(lo_h5_get_real(reader, group, "agreement_with_memorization", &out->agreement, err));
    (void)snprintf(path, sizeof(path), "/%s/roc", name);
    LO_TRY(read_real(reader, path, LO_REPORT_ROC, out->roc, err));
    (void)snprintf(path, sizeof(path), "/%s/auc", name);
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_F32, (void **)&auc, &n, NULL, err));
    for (int64_t i = 0; i < n; i++) {
        out->above[0] += auc[i] > 0.6F ? 1.0 / (double)n : 0;
        out->above[1] += auc[i] > 0.9F ? 1.0 / (double)n : 0;
    }
    free(auc);
    return LO_OK;
}

lo_status lo_privacy_show(const char *study, lo_report_privacy *privacy, lo_error *err)
{
    static const char *const names[LO_REPORT_ATTACKS] = {"lira", "lira_offline", "rmia"};
    lo_h5_reader reader;
    bool there;
    *privacy = (lo_report_privacy){0};
    LO_TRY(open_if_there(study, "privacy.h5", &reader, &there, err));
    if (!there) {
        return LO_OK;
    }
    lo_status status = read_real(&reader, "/false_positive_rate", LO_REPORT_ROC, privacy->rate, err);
    for (int a = 0; a < LO_REPORT_ATTACKS && status == LO_OK; a++) {
        if (lo_h5_has(&reader, names[a])) {
            status = read_attack(&reader, names[a], &privacy->attack[privacy->attacks++], err);
        }
    }
    lo_h5_close(&reader);
    return status;
}

/* ---- audit.h5 ---- */

/* Columns of the file, whole. */
enum { METHOD, SET, SETTING, KIND, GROUP_TEXTS, MODEL = GROUP_TEXTS, TEXTS };
static const char *const texts[TEXTS] = {"/run/method", "/run/forget_set", "/run/setting", "/run/kind",
                                         "/run/model"};

/* Numbers are shown where the file has them. */
enum { SHOWN = LO_AUDIT_NUMBERS, FORGETTING = SHOWN, UTILITY, TIME, COLUMNS };

/* Numbers that all seeds of a method have together: the same in each of their rows, with an interval of its
 * own. */
static bool is_of_all_seeds(int column)
{
    return column >= LO_AUDIT_U_LIRA && column <= LO_AUDIT_QUALITY;
}

_Static_assert((int)LO_ROC_POINTS == (int)LO_REPORT_ROC && (int)LO_AUDIT_CURVES == (int)LO_REPORT_CURVES,
               "curves of the file are those of the report");
_Static_assert((int)LO_BY_NUMBERS <= (int)LO_REPORT_BY && (int)LO_AUDIT_NUMBERS <= (int)LO_REPORT_NUMBERS,
               "the report has room for all numbers");

static bool depends_on_numbers(int column)
{
    return column == LO_AUDIT_KLOM || column == LO_AUDIT_QUALITY;
}

typedef struct table {
    int64_t rows;
    char *text[TEXTS];
    int64_t *seed;
    char *against;           /* what u_lira rests on; NULL: the file has no u_lira, or does not say */
    int64_t *rests;          /* on how many models */
    double *column[COLUMNS]; /* NULL: not there */
    double *low[SHOWN], *high[SHOWN];             /* of numbers that all seeds have together */
    double *apart_low[SHOWN], *apart_high[SHOWN]; /* of the difference from the oracles */
    double *ceiling[SHOWN];                       /* of numbers that depend on how many models there are */
    int64_t *models[SHOWN];                       /* and on how many, of both sides */
    char *score;                                  /* [rows]: of groups; NULL: there are none */
    int64_t *examples;                            /* [rows, LO_REPORT_GROUPS] */
    double *mean_score;                           /* likewise */
    double *by_group[LO_REPORT_BY], *by_low[LO_REPORT_BY],
        *by_high[LO_REPORT_BY];  /* likewise; NULL: not there */
    float *roc[LO_AUDIT_CURVES]; /* [rows, LO_REPORT_ROC]; NULL: not there */
} table;

static void table_free(table *t)
{
    free(t->against);
    free(t->rests);
    for (int i = 0; i < TEXTS; i++) {
        free(t->text[i]);
    }
    for (int i = 0; i < COLUMNS; i++) {
        free(t->column[i]);
    }
    for (int i = 0; i < SHOWN; i++) {
        free(t->low[i]);
        free(t->high[i]);
        free(t->apart_low[i]);
        free(t->apart_high[i]);
        free(t->ceiling[i]);
        free(t->models[i]);
    }
    for (int i = 0; i < LO_REPORT_BY; i++) {
        free(t->by_group[i]);
        free(t->by_low[i]);
        free(t->by_high[i]);
    }
    for (int k = 0; k < LO_AUDIT_CURVES; k++) {
        free(t->roc[k]);
    }
    free(t->score);
    free(t->examples);
    free(t->mean_score);
    free(t->seed);
}

static lo_status read_field(const lo_h5_reader *reader, const char *name, const char *field, int64_t rows,
                            double **out, lo_error *err)
{
    char path[96];
    int64_t found = 0;
    (void)snprintf(path, sizeof(path), "/%s/%s", name, field);
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_F64, (void **)out, &found, NULL, err));
    return found == rows ? LO_OK
                         : lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", reader->file,
                                   path, (long long)found, (long long)rows);
}

static lo_status read_of_groups(const lo_h5_reader *reader, const char *path, lo_h5_type type, int64_t rows,
                                void **out, lo_error *err)
{
    int64_t found = 0, items = 0;
    LO_TRY(lo_h5_read_all(reader, path, type, out, &found, &items, err));
    return found == rows && items == LO_REPORT_GROUPS
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; %lld x %d is expected", reader->file, path,
                         (long long)found, (long long)items, (long long)rows, LO_REPORT_GROUPS);
}

static lo_status read_groups(const lo_h5_reader *audit, table *t, lo_error *err)
{
    char path[96];
    if (!lo_h5_has(audit, "/by_group")) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read_all(audit, "/by_group/score", LO_H5_CHARS, (void **)&t->score, NULL, NULL, err));
    LO_TRY(read_of_groups(audit, "/by_group/examples", LO_H5_I64, t->rows, (void **)&t->examples, err));
    LO_TRY(read_of_groups(audit, "/by_group/mean_score", LO_H5_F64, t->rows, (void **)&t->mean_score, err));
    for (int k = 0; k < LO_BY_NUMBERS; k++) {
        const struct {
            const char *field;
            double **out;
        } fields[] = {
            {"value", &t->by_group[k]}, {"apart_low", &t->by_low[k]}, {"apart_high", &t->by_high[k]}};
        for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
            (void)snprintf(path, sizeof(path), "/by_group/%s/%s", lo_audit_by_number_at(k)->name,
                           fields[f].field);
            if (lo_h5_has(audit, path)) {
                LO_TRY(read_of_groups(audit, path, LO_H5_F64, t->rows, (void **)fields[f].out, err));
            }
        }
    }
    return LO_OK;
}

static lo_status read_curves(const lo_h5_reader *audit, table *t, lo_error *err)
{
    for (int k = 0; k < LO_AUDIT_CURVES; k++) {
        char path[64];
        int64_t found = 0, items = 0;
        (void)snprintf(path, sizeof(path), "/%s/roc", lo_audit_number_at(lo_audit_curve_number(k))->name);
        if (!lo_h5_has(audit, path)) {
            continue;
        }
        LO_TRY(lo_h5_read_all(audit, path, LO_H5_F32, (void **)&t->roc[k], &found, &items, err));
        if (found != t->rows || items != LO_REPORT_ROC) {
            return lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; %lld x %d is expected", audit->file, path,
                           (long long)found, (long long)items, (long long)t->rows, LO_REPORT_ROC);
        }
    }
    return LO_OK;
}

static lo_status read_table(const lo_h5_reader *audit, const lo_h5_reader *evaluation, table *t,
                            lo_error *err)
{
    char path[96];
    static const char *const more[] = {"unlearning_accuracy", "test_accuracy", "time_ratio"};
    for (int i = 0; i < TEXTS; i++) {
        LO_TRY(lo_h5_read_all(audit, texts[i], LO_H5_CHARS, (void **)&t->text[i], &t->rows, NULL, err));
    }
    LO_TRY(lo_h5_read_all(audit, "/run/seed", LO_H5_I64, (void **)&t->seed, NULL, NULL, err));
    for (int i = 0; i < COLUMNS; i++) {
        const lo_h5_reader *from = i < SHOWN ? audit : evaluation;
        const char *name = i < SHOWN ? lo_audit_number_at(i)->name : more[i - SHOWN];
        if (!lo_h5_has(from, name)) {
            continue;
        }
        LO_TRY(read_field(from, name, "value", t->rows, &t->column[i], err));
        if (is_of_all_seeds(i)) {
            LO_TRY(read_field(from, name, "low", t->rows, &t->low[i], err));
            LO_TRY(read_field(from, name, "high", t->rows, &t->high[i], err));
        }
        if (depends_on_numbers(i)) {
            (void)snprintf(path, sizeof(path), "/%s/models", name);
            LO_TRY(read_field(from, name, "ceiling", t->rows, &t->ceiling[i], err));
            LO_TRY(lo_h5_read_all(from, path, LO_H5_I64, (void **)&t->models[i], NULL, NULL, err));
        }
        (void)snprintf(path, sizeof(path), "/%s/apart_low", name);
        if (i < SHOWN && lo_h5_has(from, path)) { /* a file of before has none: it cannot be told */
            LO_TRY(read_field(from, name, "apart_low", t->rows, &t->apart_low[i], err));
            LO_TRY(read_field(from, name, "apart_high", t->rows, &t->apart_high[i], err));
        }
    }
    if (lo_h5_has(audit, "/u_lira/reference")) {
        LO_TRY(
            lo_h5_read_all(audit, "/u_lira/reference", LO_H5_CHARS, (void **)&t->against, NULL, NULL, err));
        LO_TRY(lo_h5_read_all(audit, "/u_lira/models", LO_H5_I64, (void **)&t->rests, NULL, NULL, err));
    }
    LO_TRY(read_curves(audit, t, err));
    return read_groups(audit, t, err);
}

static const char *text_at(const table *t, int which, int64_t row)
{
    return t->text[which] + row * LO_H5_TEXT_SIZE;
}

static bool same_group(const table *t, int64_t a, int64_t b)
{
    for (int i = 0; i < GROUP_TEXTS; i++) {
        if (strncmp(text_at(t, i, a), text_at(t, i, b), LO_H5_TEXT_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_oracle(const table *t, int64_t row)
{
    return strncmp(text_at(t, KIND, row), "oracle", LO_H5_TEXT_SIZE) == 0;
}

/* A value of every row: value[row * step]; NULL: not there. */
typedef struct series {
    const double *value;
    int step;
} series;

/* The mean over a group's seeds. room [rows]. */
static lo_bounded over_seeds(const table *t, series s, int64_t first, double *room)
{
    int64_t count = 0;
    for (int64_t r = first; r < t->rows && s.value != NULL; r++) {
        const double value = s.value[r * s.step];
        if (same_group(t, first, r) && !isnan(value)) {
            room[count++] = value;
        }
    }
    return lo_student_mean(room, count);
}

/* Of a group: the first of its rows that has a model has what all have. */
static lo_told tell(const table *t, const double *low, const double *high, int step, int64_t first)
{
    lo_told told = LO_TOLD_NOTHING;
    for (int64_t r = first; r < t->rows && told == LO_TOLD_NOTHING && low != NULL && high != NULL; r++) {
        if (same_group(t, first, r)) {
            told = lo_tell((lo_bounded){(double)NAN, low[r * step], high[r * step]});
        }
    }
    return told;
}

static void copy_text(char *out, size_t size, const table *t, int which, int64_t row)
{
    (void)snprintf(out, size, "%.*s", LO_H5_TEXT_SIZE, text_at(t, which, row));
}

/* Bounds of something that is a share. */
static lo_bounded cut(lo_bounded b)
{
    return (lo_bounded){b.value, isnan(b.low) ? b.low : fmax(b.low, 0),
                        isnan(b.high) ? b.high : fmin(b.high, 1)};
}

/* The groups of its forget set. */
static void make_groups(const table *t, const int *by, int by_numbers, int64_t first, double *room,
                        lo_report_audited *out)
{
    if (t->score == NULL) {
        return;
    }
    (void)snprintf(out->score, sizeof(out->score), "%.*s", (int)sizeof(out->score) - 1,
                   t->score + first * LO_H5_TEXT_SIZE);
    for (int g = 0; g < LO_REPORT_GROUPS; g++) {
        out->examples[g] = t->examples[first * LO_REPORT_GROUPS + g];
        out->mean_score[g] = t->mean_score[first * LO_REPORT_GROUPS + g];
        for (int n = 0; n < by_numbers; n++) {
            const int k = by[n];
            const bool known = t->by_low[k] != NULL && t->by_high[k] != NULL;
            out->by_group[n][g] =
                cut(over_seeds(t, (series){t->by_group[k] + g, LO_REPORT_GROUPS}, first, room));
            out->group_told[n][g] =
                known ? tell(t, t->by_low[k] + g, t->by_high[k] + g, LO_REPORT_GROUPS, first)
                      : LO_TOLD_NOTHING;
        }
    }
}

/* Means over the seeds that have one. */
static void make_curves(const table *t, int64_t first, lo_report_audited *out)
{
    for (int i = 0; i < LO_AUDIT_CURVES * LO_REPORT_ROC; i++) {
        const int k = i / LO_REPORT_ROC, point = i % LO_REPORT_ROC;
        double sum = 0;
        int64_t count = 0;
        for (int64_t r = first; r < t->rows && t->roc[k] != NULL; r++) {
            const float found = t->roc[k][r * LO_REPORT_ROC + point];
            if (same_group(t, first, r) && !isnan(found)) {
                sum += (double)found;
                count++;
            }
        }
        out->roc[k][point] = count > 0 ? sum / (double)count : (double)NAN;
    }
}

static void make_row(const table *t, const int *column, int numbers, int64_t first, double *room,
                     lo_report_audited *out)
{
    copy_text(out->forget_set, sizeof(out->forget_set), t, SET, first);
    copy_text(out->method, sizeof(out->method), t, METHOD, first);
    copy_text(out->setting, sizeof(out->setting), t, SETTING, first);
    out->oracle = is_oracle(t, first);
    for (int64_t r = first; r < t->rows; r++) {
        out->seeds += same_group(t, first, r);
    }
    for (int n = 0; n < numbers; n++) {
        const int c = column[n];
        out->value[n] = over_seeds(t, (series){t->column[c], 1}, first, room);
        out->told[n] = tell(t, t->apart_low[c], t->apart_high[c], 1, first);
        if (is_of_all_seeds(c)) {
            out->value[n] = (lo_bounded){t->column[c][first], t->low[c][first], t->high[c][first]};
        }
        if (depends_on_numbers(c) && !isnan(t->column[c][first])) {
            out->sides[n] = t->models[c][first] / 2;
            out->ceiling[n] = t->ceiling[c][first];
        }
    }
    if (t->against != NULL) {
        (void)snprintf(out->against, sizeof(out->against), "%.*s", LO_H5_TEXT_SIZE,
                       t->against + first * LO_H5_TEXT_SIZE);
        out->rests = t->rests[first];
    }
    out->forgetting = over_seeds(t, (series){t->column[FORGETTING], 1}, first, room);
    out->utility = over_seeds(t, (series){t->column[UTILITY], 1}, first, room);
    out->time = over_seeds(t, (series){t->column[TIME], 1}, first, room).value;
}

static lo_status describe(const lo_h5_reader *reader, const char *folder, const char *name,
                          lo_report_number *out, lo_error *err)
{
    char group[96];
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    (void)snprintf(group, sizeof(group), "%s/%s", folder, name);
    char text[512] = "";
    LO_TRY(lo_h5_get_text(reader, group, "description", text, sizeof(text), err));
    (void)snprintf(out->description, sizeof(out->description), "%s", text);
    LO_TRY(lo_h5_get_text(reader, group, "best", out->best, sizeof(out->best), err));
    return lo_h5_get_text(reader, group, "refused", out->refused, sizeof(out->refused), err);
}

static void label(const lo_h5_reader *evaluation, const table *t, int64_t row, lo_report_audited *out)
{
    char setting[LO_H5_TEXT_SIZE + 1], model[LO_H5_TEXT_SIZE + 1];
    copy_text(setting, sizeof(setting), t, SETTING, row);
    copy_text(model, sizeof(model), t, MODEL, row);
    lo_choice_label(evaluation, out->method, setting, model, out->label, sizeof(out->label));
}

static lo_status make_rows(const lo_h5_reader *audit, const lo_h5_reader *evaluation, const table *t,
                           lo_report_audit *out, lo_error *err)
{
    int column[LO_REPORT_NUMBERS], by[LO_REPORT_BY];
    for (int i = 0; i < SHOWN; i++) {
        if (t->column[i] != NULL) {
            column[out->numbers] = i;
            LO_TRY(describe(audit, "", lo_audit_number_at(i)->name, &out->number[out->numbers++], err));
        }
    }
    for (int i = 0; i < LO_BY_NUMBERS; i++) {
        if (t->by_group[i] != NULL) {
            by[out->by_numbers] = i;
            LO_TRY(describe(audit, "/by_group", lo_audit_by_number_at(i)->name,
                            &out->by_number[out->by_numbers++], err));
        }
    }
    for (int k = 0; k < LO_AUDIT_CURVES; k++) {
        out->curve[k] = t->roc[k] != NULL ? lo_audit_number_at(lo_audit_curve_number(k))->name : NULL;
    }
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        out->rate[i] = lo_roc_point(i);
    }
    double *room = malloc((size_t)t->rows * sizeof(*room) + 1);
    out->row = calloc((size_t)t->rows + 1, sizeof(*out->row));
    lo_status status = room != NULL && out->row != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for the audit's rows");
    for (int64_t r = 0; r < t->rows && status == LO_OK; r++) {
        int64_t first = 0;
        while (!same_group(t, first, r)) {
            first++;
        }
        if (first == r) {
            lo_report_audited *row = &out->row[out->rows++];
            make_row(t, column, out->numbers, r, room, row);
            make_groups(t, by, out->by_numbers, r, room, row);
            make_curves(t, r, row);
            label(evaluation, t, r, row);
        }
    }
    free(room);
    return status;
}

/* One receipt of each method on each forget set, where there are any. */
static lo_status read_receipts(const char *study, const table *t, lo_report_audit *out, lo_error *err)
{
    enum { LIMIT = 1 << 22 };
    for (int64_t r = 0; r < t->rows; r++) {
        char path[PATH_MAX], model[LO_H5_TEXT_SIZE + 1];
        size_t size;
        copy_text(model, sizeof(model), t, MODEL, r);
        (void)snprintf(path, sizeof(path), "%s/receipts/%s.json", study, model);
        if (strncmp(text_at(t, KIND, r), "unlearned", LO_H5_TEXT_SIZE) != 0 || access(path, F_OK) != 0) {
            continue;
        }
        out->all_receipts++;
        if ((r > 0 && same_group(t, r - 1, r)) || out->receipts == LO_REPORT_RECEIPTS) {
            continue;
        }
        lo_report_receipt *receipt = &out->receipt[out->receipts];
        (void)snprintf(receipt->name, sizeof(receipt->name), "%s.json", model);
        LO_TRY(lo_file_read(path, LIMIT, &receipt->text, &size, err));
        out->receipts++;
    }
    return LO_OK;
}

void lo_audit_shown_free(lo_report_audit *audit)
{
    free(audit->row);
    free(audit->choice);
    for (int i = 0; i < audit->receipts; i++) {
        free(audit->receipt[i].text);
    }
}

/* Is the audit of these runs? While models are added it is that of those that there were before. */
static bool is_of(const lo_h5_reader *audit, const lo_h5_reader *evaluation)
{
    char audited[64] = "", evaluated[64] = "";
    (void)lo_h5_get_text(audit, "/", "outputs", audited, sizeof(audited), NULL);
    (void)lo_h5_get_text(evaluation, "/", "state", evaluated, sizeof(evaluated), NULL);
    return strcmp(audited, evaluated) == 0;
}

/* rmia: what its a is, and which one tells the ensemble's own models best. */
static void note_a(const char *study, const lo_h5_reader *audit, lo_report_audit *out)
{
    lo_h5_reader privacy;
    bool there = false;
    double own = NAN, tuned = NAN;
    for (int n = 0; n < out->numbers; n++) {
        lo_report_number *number = &out->number[n];
        const size_t used = strlen(number->description);
        if (strcmp(number->name, "rmia") != 0 || lo_h5_get_real(audit, "/rmia", "a", &own, NULL) != LO_OK) {
            continue;
        }
        if (open_if_there(study, "privacy.h5", &privacy, &there, NULL) == LO_OK && there) {
            (void)lo_h5_get_real(&privacy, "/rmia", "a", &tuned, NULL);
            lo_h5_close(&privacy);
        }
        const size_t room = sizeof(number->description) - used;
        if (isnan(tuned)) {
            (void)snprintf(number->description + used, room, "; a = %g (audit.rmia_a)", own);
        } else {
            (void)snprintf(number->description + used, room,
                           "; a = %g (audit.rmia_a); the ensemble's own models are told best with a = %g",
                           own, tuned);
        }
    }
}

lo_status lo_audit_show(const char *study, lo_report_audit *audit, lo_error *err)
{
    lo_h5_reader reader, evaluation;
    bool there, evaluated = false;
    table t = {0};
    *audit = (lo_report_audit){0};
    LO_TRY(open_if_there(study, "audit.h5", &reader, &there, err));
    if (!there) {
        return LO_OK;
    }
    lo_status status = open_if_there(study, "evaluation.h5", &evaluation, &evaluated, err);
    const bool opened = status == LO_OK && evaluated;
    if (opened && is_of(&reader, &evaluation)) {
        status = read_table(&reader, &evaluation, &t, err);
        if (status == LO_OK) {
            status = make_rows(&reader, &evaluation, &t, audit, err);
            note_a(study, &reader, audit);
            (void)lo_h5_get_int(&reader, "/", "test_in_train", &audit->test_in_train,
                                NULL); /* 0 in old files */
            (void)lo_h5_get_int(&reader, "/", "validation_in_train", &audit->validation_in_train, NULL);
        }
        if (status == LO_OK) {
            status = read_receipts(study, &t, audit, err);
        }
        if (status == LO_OK && lo_h5_has(&evaluation, "/tow")) {
            status = lo_choices_show(&evaluation, &reader, &audit->choice, &audit->choices, err);
        }
    }
    if (opened) {
        lo_h5_close(&evaluation);
    }
    table_free(&t);
    lo_h5_close(&reader);
    return status;
}
