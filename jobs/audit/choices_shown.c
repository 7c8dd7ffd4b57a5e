#include "jobs/audit/choices_shown.h"

#include "jobs/unlearning/unlearning_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct runs {
    int64_t rows;
    char *method, *set, *setting, *model; /* [rows, LO_H5_TEXT_SIZE] */
    int64_t *seed;
    double *tow;
    int64_t *choice; /* of each row; -1: none */
} runs;

static void runs_free(runs *r)
{
    free(r->method);
    free(r->set);
    free(r->setting);
    free(r->model);
    free(r->seed);
    free(r->tow);
    free(r->choice);
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

static void text_at(const char *column, int64_t row, char out[LO_H5_TEXT_SIZE + 1])
{
    (void)snprintf(out, LO_H5_TEXT_SIZE + 1, "%.*s", LO_H5_TEXT_SIZE, column + row * LO_H5_TEXT_SIZE);
}

static lo_status choice_of(const runs *r, const lo_h5_reader *e, int64_t row, lo_report_choice *c,
                           lo_error *err)
{
    char method[LO_H5_TEXT_SIZE + 1], setting[LO_H5_TEXT_SIZE + 1], model[LO_H5_TEXT_SIZE + 1], text[1024];
    *c = (lo_report_choice){.control = "none"};
    (void)snprintf(c->forget_set, sizeof(c->forget_set), "%.*s", (int)sizeof(c->forget_set) - 1,
                   r->set + row * LO_H5_TEXT_SIZE);
    text_at(r->method, row, method);
    text_at(r->setting, row, setting);
    text_at(r->model, row, model);
    LO_TRY(lo_read_setting(e, method, setting, model, text, sizeof(text), err));
    take_out(text, "by", c->by, sizeof(c->by));
    take_out(text, "control", c->control, sizeof(c->control));
    strip(text, c->rest, sizeof(c->rest));
    return LO_OK;
}

static bool same_frame(const lo_report_choice *a, const lo_report_choice *b)
{
    return strcmp(a->forget_set, b->forget_set) == 0 && strcmp(a->rest, b->rest) == 0;
}

static lo_status collect(runs *r, const lo_h5_reader *e, lo_report_choice *choices, int64_t *count,
                         lo_error *err)
{
    for (int64_t row = 0; row < r->rows; row++) {
        r->choice[row] = -1;
        if (strncmp(r->method + row * LO_H5_TEXT_SIZE, "rum", LO_H5_TEXT_SIZE) != 0 || isnan(r->tow[row])) {
            continue;
        }
        lo_report_choice c;
        LO_TRY(choice_of(r, e, row, &c, err));
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

/* Means over seeds, of one choice and of its pairs with the reference. room [3, rows]. */
static void sum_up(const runs *r, int64_t reference, int64_t k, double *room, lo_report_choice *c)
{
    double *all = room, *own = room + r->rows, *its = own + r->rows;
    for (int64_t a = 0; a < r->rows; a++) {
        if (r->choice[a] != k) {
            continue;
        }
        all[c->seeds++] = r->tow[a];
        for (int64_t b = 0; b < r->rows && reference >= 0; b++) {
            if (r->choice[b] == reference && r->seed[b] == r->seed[a]) {
                own[c->pairs] = r->tow[a];
                its[c->pairs++] = r->tow[b];
            }
        }
    }
    c->reference = reference == k;
    c->tow = lo_student_mean(all, c->seeds);
    c->less = lo_student_difference(own, its, c->pairs);
}

lo_status lo_choices_show(const lo_h5_reader *evaluation, lo_report_choice **choices, int64_t *count,
                          lo_error *err)
{
    runs r = {0};
    double *room = NULL;
    *choices = NULL;
    *count = 0;
    lo_status status = runs_read(evaluation, &r, err);
    if (status == LO_OK) {
        *choices = calloc((size_t)r.rows + 1, sizeof(**choices));
        room = malloc((3 * (size_t)r.rows + 1) * sizeof(*room));
        status = *choices != NULL && room != NULL
                     ? LO_OK
                     : lo_fail(err, LO_INTERNAL, "no memory for %lld runs", (long long)r.rows);
    }
    if (status == LO_OK) {
        status = collect(&r, evaluation, *choices, count, err);
    }
    for (int64_t k = 0; k < *count && status == LO_OK; k++) {
        sum_up(&r, reference_of(*choices, *count, k), k, room, &(*choices)[k]);
    }
    free(room);
    runs_free(&r);
    return status;
}
