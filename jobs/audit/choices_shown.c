#include "jobs/audit/choices_shown.h"

#include "jobs/unlearning/unlearning_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTING = 1024 };

typedef struct runs {
    int64_t rows;
    char *method, *set, *setting, *model; /* [rows, LO_H5_TEXT_SIZE] */
    char *score;                          /* likewise; NULL: no forget set has groups */
    int64_t *seed;
    double *tow;
    double *group_tow; /* [rows, 3]; NULL */
    int64_t *choice;   /* of each row; -1: none */
} runs;

static void runs_free(runs *r)
{
    free(r->method);
    free(r->set);
    free(r->setting);
    free(r->model);
    free(r->score);
    free(r->seed);
    free(r->tow);
    free(r->group_tow);
    free(r->choice);
}

/* Of the groups, if the file has any, of these rows and with ToW. */
static lo_status read_groups(const lo_h5_reader *audit, runs *r, lo_error *err)
{
    enum { GROUPS = LO_REPORT_PARTS - LO_REPORT_LOW };
    int64_t rows = 0, items = 0;
    if (!lo_h5_has(audit, "/by_group/tow")) {
        return LO_OK;
    }
    LO_TRY(lo_h5_read_all(audit, "/by_group/score", LO_H5_CHARS, (void **)&r->score, NULL, NULL, err));
    LO_TRY(
        lo_h5_read_all(audit, "/by_group/tow/value", LO_H5_F64, (void **)&r->group_tow, &rows, &items, err));
    return rows == r->rows && items == GROUPS
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: /by_group/tow is %lld x %lld; %lld x %d is expected", audit->file,
                         (long long)rows, (long long)items, (long long)r->rows, GROUPS);
}

static lo_status runs_read(const lo_h5_reader *e, runs *r, lo_error *err)
{
    const struct {
        const char *path;
        lo_h5_type type;
        void **data;
    } columns[] = {{"/run/method", LO_H5_CHARS, (void **)&r->method},
                   {"/run/forget_set", LO_H5_CHARS, (void **)&r->set},
                   {"/run/setting", LO_H5_CHARS, (void **)&r->setting},
                   {"/run/model", LO_H5_CHARS, (void **)&r->model},
                   {"/run/seed", LO_H5_I64, (void **)&r->seed},
                   {"/tow/value", LO_H5_F64, (void **)&r->tow}};
    r->rows = -1;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        int64_t rows = 0;
        LO_TRY(lo_h5_read_all(e, columns[i].path, columns[i].type, columns[i].data, &rows, NULL, err));
        if (r->rows >= 0 && rows != r->rows) {
            return lo_fail(err, LO_DATA, "%s: %s has %lld rows; %lld are expected", e->file, columns[i].path,
                           (long long)rows, (long long)r->rows);
        }
        r->rows = rows;
    }
    r->choice = malloc(((size_t)r->rows + 1) * sizeof(*r->choice));
    return r->choice != NULL ? LO_OK
                             : lo_fail(err, LO_INTERNAL, "no memory for %lld runs", (long long)r->rows);
}

/* Takes ", KEY: VALUE" out of a method's settings, as lo_item_canonical writes them: value gets VALUE. */
static void take_out(char *text, const char *key, char *value, size_t size)
{
    char find[32];
    (void)snprintf(find, sizeof(find), ", %s: ", key);
    char *at = strstr(text, find);
    if (at == NULL) {
        return;
    }
    char *begin = at + strlen(find), *end = begin + strcspn(begin, ",}");
    (void)snprintf(value, size, "%.*s", (int)(end - begin), begin);
    memmove(at, end, strlen(end) + 1);
}

/* "{name: rum, inner: ...}" without its name and braces. */
static void strip(char *text, char *out, size_t size)
{
    static const char head[] = "{name: rum";
    char *from = strncmp(text, head, strlen(head)) == 0 ? text + strlen(head) : text;
    from += strspn(from, ", ");
    const size_t length = strlen(from);
    (void)snprintf(out, size, "%.*s", (int)(length > 0 && from[length - 1] == '}' ? length - 1 : length),
                   from);
}

static const char *text_at(const char *column, int64_t row, char text[LO_H5_TEXT_SIZE + 1])
{
    (void)snprintf(text, LO_H5_TEXT_SIZE + 1, "%.*s", LO_H5_TEXT_SIZE, column + row * LO_H5_TEXT_SIZE);
    return text;
}

static lo_status choice_of(const lo_h5_reader *e, const runs *r, int64_t row, lo_report_choice *c,
                           lo_error *err)
{
    char text[SETTING], method[LO_H5_TEXT_SIZE + 1], set[LO_H5_TEXT_SIZE + 1], setting[LO_H5_TEXT_SIZE + 1],
        model[LO_H5_TEXT_SIZE + 1];
    *c = (lo_report_choice){.control = "none"};
    (void)snprintf(c->forget_set, sizeof(c->forget_set), "%.*s", (int)sizeof(c->forget_set) - 1,
                   text_at(r->set, row, set));
    LO_TRY(lo_read_setting(e, text_at(r->method, row, method), text_at(r->setting, row, setting),
                           text_at(r->model, row, model), text, sizeof(text), err));
    take_out(text, "by", c->by, sizeof(c->by));
    take_out(text, "control", c->control, sizeof(c->control));
    strip(text, c->rest, sizeof(c->rest));
    if (r->score != NULL) {
        (void)snprintf(c->score, sizeof(c->score), "%.*s", (int)sizeof(c->score) - 1,
                       text_at(r->score, row, set));
    }
    return LO_OK;
}

static bool same_frame(const lo_report_choice *a, const lo_report_choice *b)
{
    return strcmp(a->forget_set, b->forget_set) == 0 && strcmp(a->rest, b->rest) == 0;
}

static lo_status collect(const lo_h5_reader *e, runs *r, lo_report_choice *choices, int64_t *count,
                         lo_error *err)
{
    for (int64_t row = 0; row < r->rows; row++) {
        r->choice[row] = -1;
        if (strncmp(r->method + row * LO_H5_TEXT_SIZE, "rum", LO_H5_TEXT_SIZE) != 0 || isnan(r->tow[row])) {
            continue;
        }
        lo_report_choice c;
        LO_TRY(choice_of(e, r, row, &c, err));
        int64_t k = 0;
        while (k < *count && !(same_frame(&choices[k], &c) && strcmp(choices[k].by, c.by) == 0 &&
                               strcmp(choices[k].control, c.control) == 0)) {
            k++;
        }
        if (k == *count) {
            choices[(*count)++] = c;
        }
        r->choice[row] = k;
    }
    return LO_OK;
}

/* The number of the choice that k is compared with; -1: none. */
static int64_t reference_of(const lo_report_choice *choices, int64_t count, int64_t k)
{
    int64_t first = -1;
    for (int64_t i = 0; i < count; i++) {
        if (same_frame(&choices[i], &choices[k]) && strcmp(choices[i].control, "none") == 0) {
            if (strcmp(choices[i].by, "memorization") == 0) {
                return i;
            }
            first = first < 0 ? i : first;
        }
    }
    return first;
}

static double tow_at(const runs *r, int64_t row, int part)
{
    return part == LO_REPORT_OVER_ALL ? r->tow[row]
           : r->group_tow != NULL
               ? r->group_tow[row * (LO_REPORT_PARTS - LO_REPORT_LOW) + part - LO_REPORT_LOW]
               : (double)NAN;
}

/* Means over seeds of one part, of one choice and of its pairs with the reference. room [3, rows]. */
static void sum_up(const runs *r, int64_t reference, int64_t k, int part, double *room, lo_report_choice *c)
{
    double *all = room, *own = room + r->rows, *its = own + r->rows;
    c->seeds = c->pairs = 0;
    for (int64_t a = 0; a < r->rows; a++) {
        if (r->choice[a] != k) {
            continue;
        }
        all[c->seeds++] = tow_at(r, a, part);
        for (int64_t b = 0; b < r->rows && reference >= 0; b++) {
            if (r->choice[b] == reference && r->seed[b] == r->seed[a]) {
                own[c->pairs] = tow_at(r, a, part);
                its[c->pairs++] = tow_at(r, b, part);
            }
        }
    }
    c->reference = reference == k;
    c->tow[part] = lo_student_mean(all, c->seeds);
    c->tow[part].low =
        isnan(c->tow[part].low) ? c->tow[part].low : fmax(c->tow[part].low, 0); /* as a share */
    c->tow[part].high = isnan(c->tow[part].high) ? c->tow[part].high : fmin(c->tow[part].high, 1);
    c->less[part] = lo_student_difference(own, its, c->pairs);
}

lo_status lo_choices_show(const lo_h5_reader *evaluation, const lo_h5_reader *audit,
                          lo_report_choice **choices, int64_t *count, lo_error *err)
{
    runs r = {0};
    double *room = NULL;
    *choices = NULL;
    *count = 0;
    lo_status status = runs_read(evaluation, &r, err);
    if (status == LO_OK) {
        status = read_groups(audit, &r, err);
    }
    if (status == LO_OK) {
        *choices = calloc((size_t)r.rows + 1, sizeof(**choices));
        room = malloc((3 * (size_t)r.rows + 1) * sizeof(*room));
        status = *choices != NULL && room != NULL
                     ? LO_OK
                     : lo_fail(err, LO_INTERNAL, "no memory for %lld runs", (long long)r.rows);
    }
    if (status == LO_OK) {
        status = collect(evaluation, &r, *choices, count, err);
    }
    for (int64_t k = 0; k < *count && status == LO_OK; k++) {
        for (int part = 0; part < LO_REPORT_PARTS; part++) {
            sum_up(&r, reference_of(*choices, *count, k), k, part, room, &(*choices)[k]);
        }
    }
    free(room);
    runs_free(&r);
    return status;
}

void lo_choice_label(const lo_h5_reader *evaluation, const char *method, const char *setting,
                     const char *model, char *label, size_t size)
{
    char text[SETTING], by[64] = "", control[32] = "none";
    if (lo_read_setting(evaluation, method, setting, model, text, sizeof(text), NULL) != LO_OK) {
        (void)snprintf(text, sizeof(text), "%s", setting);
    }
    take_out(text, "by", by, sizeof(by));
    take_out(text, "control", control, sizeof(control));
    if (strcmp(control, "vanilla") == 0) {
        (void)snprintf(label, size, "%s vanilla", method);
    } else if (by[0] != '\0') {
        const bool plain = strcmp(control, "none") == 0;
        (void)snprintf(label, size, "%s by %s%s%s", method, by, plain ? "" : ", ", plain ? "" : control);
    } else {
        (void)snprintf(label, size, "%s", method);
    }
}
