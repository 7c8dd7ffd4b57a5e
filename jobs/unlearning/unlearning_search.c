#include "jobs/unlearning/unlearning_search.h"

#include "base/file.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_COMBINATIONS = 10000 };

/* The type of a list of values of this type; false: a setting that is not searched. */
static bool list_of(lo_setting_type type, lo_setting_type *list)
{
    switch (type) {
    case LO_SETTING_INT:
        *list = LO_SETTING_INTS;
        return true;
    case LO_SETTING_REAL:
        *list = LO_SETTING_REALS;
        return true;
    case LO_SETTING_BOOL:
    case LO_SETTING_TEXT:
    case LO_SETTING_CHOICE:
        *list = LO_SETTING_TEXTS;
        return true;
    case LO_SETTING_INTS:
    case LO_SETTING_REALS:
    case LO_SETTING_TEXTS:
    case LO_SETTING_ITEMS:
        break;
    }
    return false;
}

/* The method's settings, each a list; *count of them. NULL without memory. */
static lo_setting *make_lists(const lo_unlearn_method *method, int *count)
{
    lo_setting *lists = calloc((size_t)method->setting_count + 1, sizeof(*lists));
    *count = 0;
    for (int i = 0; lists != NULL && i < method->setting_count; i++) {
        const lo_setting *s = &method->settings[i];
        lo_setting_type type;
        if (list_of(s->type, &type)) {
            lists[(*count)++] = (lo_setting){.name = s->name,
                                             .type = type,
                                             .fallback = "[]",
                                             .low = s->low,
                                             .high = s->high,
                                             .help = s->help};
        }
    }
    return lists;
}

/* Value i of a list as YAML. */
static void show_value(const lo_item *spec, const lo_setting *list, int64_t i, char *text, size_t size)
{
    if (list->type == LO_SETTING_INTS) {
        (void)snprintf(text, size, "%lld", (long long)lo_item_int_at(spec, list->name, i));
    } else if (list->type == LO_SETTING_REALS) {
        (void)snprintf(text, size, "%.17g", lo_item_real_at(spec, list->name, i));
    } else {
        (void)snprintf(text, size, "%s", lo_item_text_at(spec, list->name, i));
    }
}

/* Combination `number` as a chain of changes of base; the first listed setting changes fastest. */
static lo_status make_variant(const lo_item *spec, const lo_item *base, int lists, int64_t number,
                              lo_variants *v, lo_error *err)
{
    const lo_item *at = base;
    for (int s = 0; s < lists; s++) {
        const lo_setting *list = &v->lists[s];
        const int64_t length = lo_item_length(spec, list->name);
        char value[256];
        if (length == 0) {
            continue;
        }
        show_value(spec, list, number % length, value, sizeof(value));
        number /= length;
        LO_TRY(lo_item_with(at, list->name, value, &v->copy[v->copies], err));
        at = v->copy[v->copies++];
    }
    v->item[v->count++] = v->copy[v->copies - 1];
    return LO_OK;
}

lo_status lo_variants_make(const lo_job *job, lo_item *spec, const lo_unlearn_method *method,
                           const lo_item *base, lo_variants *out, lo_error *err)
{
    const int64_t trials = lo_job_int(job, "unlearning.trials");
    int lists = 0;
    int64_t combinations = 1;
    *out = (lo_variants){.lists = make_lists(method, &lists)};
    if (out->lists == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a search");
    }
    LO_TRY(lo_item_accept(spec, out->lists, lists, err));
    for (int s = 0; s < lists && combinations <= MOST_COMBINATIONS; s++) {
        const int64_t length = lo_item_length(spec, out->lists[s].name);
        combinations *= length > 0 ? length : 1;
    }
    if (combinations < 2 || combinations > MOST_COMBINATIONS) {
        return lo_item_fail(spec, err, "%s; allowed: settings with lists of values, 2 to %d combinations",
                            combinations < 2 ? "nothing to be searched" : "too many combinations",
                            MOST_COMBINATIONS);
    }
    const int64_t count = trials > 0 && trials < combinations ? trials : combinations;
    const lo_random random = lo_random_make((uint64_t)lo_job_int(job, "seed"), LO_FOR_FORGET);
    const lo_permutation drawn =
        lo_permutation_make(random, lo_digest(LO_DIGEST_START, method->name), (uint64_t)combinations);
    out->item = calloc((size_t)count, sizeof(*out->item));
    out->copy = calloc((size_t)count * (size_t)lists, sizeof(*out->copy));
    if (out->item == NULL || out->copy == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a search");
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t number = count < combinations ? (int64_t)lo_permutation_at(&drawn, (uint64_t)i) : i;
        LO_TRY(make_variant(spec, base, lists, number, out, err));
    }
    return LO_OK;
}

void lo_variants_close(lo_variants *variants)
{
    while (variants->copies > 0) { /* the last first: each leans on the one before */
        lo_item_free(&variants->copy[--variants->copies]);
    }
    free(variants->copy);
    free(variants->item);
    free(variants->lists);
    *variants = (lo_variants){0};
}
