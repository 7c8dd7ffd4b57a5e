#include "jobs/unlearning/forget_items.h"

#include "base/file.h"
#include "jobs/scores/score_by_name.h"
#include "unlearn/matched.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const lo_setting lo_forget_settings[] = {
    {.name = "select",
     .type = LO_SETTING_CHOICE,
     .fallback = NULL,
     .choices = "random class subclass top middle bottom mix file labels",
     .help = "how the examples are chosen"},
    {.name = "share",
     .type = LO_SETTING_REAL,
     .fallback = "0",
     .low = 0,
     .high = 0.5,
     .help = "how many, as a share of those that can be chosen; or size"},
    {.name = "size", .type = LO_SETTING_INT, .fallback = "0", .low = 0, .high = 1e15, .help = "how many"},
    {.name = "classes",
     .type = LO_SETTING_INTS,
     .fallback = "[]",
     .low = 0,
     .high = 2e9,
     .help = "class, subclass, labels: which, from 0"},
    {.name = "by",
     .type = LO_SETTING_TEXT,
     .fallback = "",
     .help = "top, middle, bottom, mix: the score: a name of `scores`, attribution/METHOD, or FILE.npy"},
    {.name = "middle",
     .type = LO_SETTING_CHOICE,
     .fallback = "median",
     .choices = "median rank",
     .help = "middle, mix: nearest to the median score, or in the middle of the order"},
    {.name = "at",
     .type = LO_SETTING_REAL,
     .fallback = "0.5",
     .low = 0,
     .high = 1,
     .help = "middle: rank: where the middle is, as a share of the examples in order of score"},
    {.name = "numbers",
     .type = LO_SETTING_INTS,
     .fallback = "[]",
     .low = 0,
     .high = 1e15,
     .help = "file: which, by their numbers in the source files"},
    {.name = "file", .type = LO_SETTING_TEXT, .fallback = "", .help = "file: those numbers, one a line"},
    {.name = "draw",
     .type = LO_SETTING_INT,
     .fallback = "0",
     .low = 0,
     .high = 1e15,
     .help = "random, labels: another number, another sample"},
};
const int lo_forget_setting_count = (int)(sizeof(lo_forget_settings) / sizeof(lo_forget_settings[0]));

/* Which settings each selection takes. */
static const char *const taken[LO_SELECTIONS] = {
    [LO_SELECT_RANDOM] = " share size draw ",
    [LO_SELECT_CLASS] = " classes ",
    [LO_SELECT_SUBCLASS] = " classes ",
    [LO_SELECT_TOP] = " share size by ",
    [LO_SELECT_MIDDLE] = " share size by middle at ",
    [LO_SELECT_BOTTOM] = " share size by ",
    [LO_SELECT_MIX] = " share size by middle at ",
    [LO_SELECT_FILE] = " numbers file ",
    [LO_SELECT_LABELS] = " share size classes draw ",
};

static lo_status check_settings(const lo_item *item, lo_select select, lo_error *err)
{
    for (int i = 1; i < lo_forget_setting_count; i++) {
        char word[32];
        const char *name = lo_forget_settings[i].name;
        (void)snprintf(word, sizeof(word), " %s ", name);
        if (lo_item_given(item, name) && strstr(taken[select], word) == NULL) {
            return lo_item_fail(item, err, "%s: does not apply to select: %s; allowed there:%s", name,
                                lo_select_name(select), taken[select]);
        }
    }
    if (lo_item_given(item, "at") && strcmp(lo_item_text(item, "middle"), "rank") != 0) {
        return lo_item_fail(item, err, "at: the position of the middle is for middle: rank");
    }
    const bool sized = lo_item_int(item, "size") > 0, shared = lo_item_real(item, "share") > 0;
    const bool may = strstr(taken[select], " size ") != NULL;
    if (may && sized && shared) {
        return lo_item_fail(item, err, "share and size are both given; allowed: one of them");
    }
    if (may && !sized && !shared &&
        (select != LO_SELECT_LABELS || lo_item_given(item, "share") || lo_item_given(item, "size"))) {
        return lo_item_fail(item, err, "would be empty: share or size says how many, above 0");
    }
    if (lo_select_by_score(select) && lo_item_text(item, "by")[0] == '\0') {
        return lo_item_fail(item, err, "select: %s goes by a score; `by: NAME` says which",
                            lo_select_name(select));
    }
    if (strstr(taken[select], " classes ") != NULL && lo_item_length(item, "classes") == 0) {
        return lo_item_fail(item, err, "select: %s needs `classes`, a list of their numbers from 0",
                            lo_select_name(select));
    }
    const bool listed = lo_item_length(item, "numbers") > 0, filed = lo_item_text(item, "file")[0] != '\0';
    return select != LO_SELECT_FILE || listed != filed
               ? LO_OK
               : lo_item_fail(item, err, "select: file needs `file` or `numbers`%s",
                              listed ? ", not both" : "");
}

/* Whole numbers, one a line; empty lines and those that begin with # are passed over. */
static lo_status parse_numbers(const char *name, char *text, int64_t *number, int64_t *count, lo_error *err)
{
    int line = 0;
    *count = 0;
    for (char *at = text; at != NULL && *at != '\0'; line++) {
        char *end = strchr(at, '\n');
        char *rest = at;
        if (end != NULL) {
            *end = '\0';
        }
        while (isspace((unsigned char)*rest)) {
            rest++;
        }
        if (*rest != '\0' && *rest != '#') {
            char *stop = rest;
            errno = 0;
            number[*count] = strtoll(rest, &stop, 10);
            if (errno != 0 || stop == rest || stop[strspn(stop, " \t\r")] != '\0' || number[*count] < 0) {
                return lo_fail(err, LO_USAGE, "%s:%d: found '%.40s'; allowed: a whole number, at least 0",
                               name, line + 1, rest);
            }
            (*count)++;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return LO_OK;
}

static lo_status read_numbers(const char *name, int64_t **number, int64_t *count, lo_error *err)
{
    enum { LIMIT = 1 << 30 };
    char *text = NULL;
    size_t size;
    LO_TRY(lo_file_read(name, LIMIT, &text, &size, err));
    *number = calloc(size / 2 + 2, sizeof(**number));
    const lo_status status = *number != NULL ? parse_numbers(name, text, *number, count, err)
                                             : lo_fail(err, LO_INTERNAL, "no memory for %s", name);
    free(text);
    return status;
}

static lo_status take_numbers(const lo_item *item, lo_select select, lo_forget_spec *spec, int64_t **number,
                              lo_error *err)
{
    const char *list = select == LO_SELECT_FILE ? "numbers" : "classes";
    if (select == LO_SELECT_FILE && lo_item_text(item, "file")[0] != '\0') {
        LO_TRY(read_numbers(lo_item_text(item, "file"), number, &spec->numbers, err));
    } else {
        spec->numbers = lo_item_length(item, list);
        *number = calloc((size_t)spec->numbers + 1, sizeof(**number));
        if (*number == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for a list of numbers");
        }
        for (int64_t i = 0; i < spec->numbers; i++) {
            (*number)[i] = lo_item_int_at(item, list, i);
        }
    }
    spec->number = *number;
    return LO_OK;
}

/* What an item asks for, and what that was read into. */
typedef struct asked {
    lo_forget_spec spec;
    double *score;
    int64_t *number;
} asked;

static void asked_free(asked *a)
{
    free(a->score);
    free(a->number);
}

/* item: accepted. a->score stays NULL where the score is not known yet. */
static lo_status take_spec(const lo_item *item, const lo_job *job, int64_t n, const char *study, asked *a,
                           lo_error *err)
{
    const lo_select select = lo_select_named(lo_item_text(item, "select"));
    *a = (asked){.spec = {.name = lo_item_name(item),
                          .select = select,
                          .size = lo_item_int(item, "size"),
                          .share = lo_item_real(item, "share"),
                          .by_rank = strcmp(lo_item_text(item, "middle"), "rank") == 0,
                          .at = lo_item_real(item, "at"),
                          .seed = (uint64_t)lo_job_int(job, "seed"),
                          .draw = (uint64_t)lo_item_int(item, "draw")}};
    if (!lo_select_by_score(select)) {
        return take_numbers(item, select, &a->spec, &a->number, err);
    }
    const char *by = lo_item_text(item, "by");
    lo_status status = lo_score_named_check(job, by, err);
    if (status == LO_OK) {
        status = lo_score_named_read(study, by, n, &a->score, err);
    }
    a->spec.score = a->score;
    return status == LO_OK ? status : lo_fail_prefix(err, status, "forget set %s: by", a->spec.name);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static lo_status check_numbers(const lo_item *item, lo_select select, lo_error *err)
{
    lo_forget_spec spec = {0};
    int64_t *number = NULL;
    lo_status status = take_numbers(item, select, &spec, &number, err);
    if (status == LO_OK) {
        qsort(number, (size_t)spec.numbers, sizeof(*number), ascending);
    }
    for (int64_t i = 1; i < spec.numbers && status == LO_OK; i++) {
        if (number[i] == number[i - 1]) {
            status = lo_fail(err, LO_USAGE, "forget set %s: %s %lld is given twice", lo_item_name(item),
                             select == LO_SELECT_FILE ? "example" : "class", (long long)number[i]);
        }
    }
    free(number);
    return status;
}

lo_status lo_forget_item_check(lo_item *item, const lo_job *job, lo_error *err)
{
    LO_TRY(lo_item_accept(item, lo_forget_settings, lo_forget_setting_count, err));
    const lo_select select = lo_select_named(lo_item_text(item, "select"));
    LO_TRY(check_settings(item, select, err));
    if (!lo_select_by_score(select)) {
        return check_numbers(item, select, err);
    }
    const lo_status status = lo_score_named_check(job, lo_item_text(item, "by"), err);
    return status == LO_OK ? LO_OK : lo_fail_prefix(err, status, "forget set %s: by", lo_item_name(item));
}

lo_status lo_forget_item_select(lo_item *item, const lo_job *job, const lo_dataset *data, const char *study,
                                lo_forget_set *out, int64_t *size, lo_error *err)
{
    asked a;
    *out = (lo_forget_set){0};
    *size = 0;
    LO_TRY(lo_item_accept(item, lo_forget_settings, lo_forget_setting_count, err));
    LO_TRY(check_settings(item, lo_select_named(lo_item_text(item, "select")), err));
    lo_status status = take_spec(item, job, data->train.count, study, &a, err);
    if (status == LO_OK && lo_select_by_score(a.spec.select) && a.score == NULL) {
        status = lo_forget_foresee(&a.spec, data->train.count, size, err);
    } else if (status == LO_OK) {
        status = lo_forget_select(&a.spec, data, out, err);
        *size = out->count;
    }
    asked_free(&a);
    return status;
}

lo_status lo_forget_item_matched(const lo_item *item, const lo_job *job, const lo_dataset *data,
                                 const char *study, const lo_forget_set *set, int64_t count,
                                 lo_forget_set *out, char *why, size_t size, lo_error *err)
{
    asked a;
    lo_status status = take_spec(item, job, data->train.count, study, &a, err);
    why[0] = '\0';
    for (int64_t k = 0; k < count && status == LO_OK && why[0] == '\0'; k++) {
        status = lo_matched_select(&a.spec, data, set, k, &out[k], why, size, err);
    }
    asked_free(&a);
    return status;
}
