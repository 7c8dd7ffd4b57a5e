#include "jobs/audit/audit_groups.h"

#include "base/items.h"
#include "jobs/scores/score_by_name.h"
#include "unlearn/forget.h"
#include "unlearn/groups.h"
#include "unlearn/methods.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *lo_audit_group_name(int group)
{
    static const char *const names[LO_AUDIT_GROUPS] = {"low", "middle", "high"};
    return names[group];
}

/* ---- by which score ---- */

/* The score that the job's methods split by; "": none does. */
static lo_status score_of_methods(const lo_job *job, char *by, size_t size, lo_error *err)
{
    lo_items *items = NULL;
    by[0] = '\0';
    lo_status status = lo_items_read(job, "unlearning.methods", &items, err);
    for (int64_t i = 0; status == LO_OK && i < lo_items_count(items); i++) {
        lo_item *item = lo_items_at(items, i);
        const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
        if (method == NULL || !method->needs_score) {
            continue;
        }
        status = lo_unlearn_accept(method, lo_job_text(job, "model.preset"), item, err);
        if (status == LO_OK && (by[0] == '\0' || strcmp(lo_item_text(item, "by"), "memorization") == 0)) {
            (void)snprintf(by, size, "%s", lo_item_text(item, "by"));
        }
    }
    lo_items_destroy(&items);
    return status;
}

/* The score that a mix was chosen by; what is there already for another set. */
static lo_status score_of_set(const lo_h5_reader *forget, const char *set, char *by, size_t size,
                              lo_error *err)
{
    char group[LO_H5_TEXT_SIZE + 2], select[64] = "";
    (void)snprintf(group, sizeof(group), "/%s", set);
    LO_TRY(lo_h5_get_text(forget, group, "select", select, sizeof(select), err));
    return lo_select_named(select) == LO_SELECT_MIX ? lo_h5_get_text(forget, group, "by", by, size, err)
                                                    : LO_OK;
}

/* ---- the groups ---- */

static bool all_have_scores(const lo_audit_set *set, const double *score)
{
    for (int64_t i = 0; i < set->forget_count; i++) {
        if (isnan(score[set->forget[i]])) {
            return false;
        }
    }
    return set->forget_count >= LO_AUDIT_GROUPS;
}

static void collect(const lo_audit_set *set, const double *score, const int *group, lo_audit_groups *out)
{
    for (int64_t i = 0; i < set->forget_count; i++) {
        const int g = group[i];
        out->row[g][out->count[g]] = set->forget[i];
        out->place[g][out->count[g]++] = i;
        out->mean[g] += score[set->forget[i]];
    }
    for (int g = 0; g < LO_AUDIT_GROUPS; g++) {
        out->mean[g] /= (double)out->count[g];
    }
}

static lo_status split(const lo_audit_set *set, const double *score, lo_audit_groups *out, lo_error *err)
{
    const size_t count = (size_t)set->forget_count;
    if (!all_have_scores(set, score)) {
        out->by[0] = '\0';
        return LO_OK;
    }
    int *group = calloc(count, sizeof(*group));
    bool room = group != NULL;
    for (int g = 0; g < LO_AUDIT_GROUPS; g++) {
        out->row[g] = calloc(count, sizeof(*out->row[g]));
        out->place[g] = calloc(count, sizeof(*out->place[g]));
        room = room && out->row[g] != NULL && out->place[g] != NULL;
    }
    lo_status status =
        room ? lo_group_scores(score, set->forget, set->forget_count, LO_AUDIT_GROUPS, false, 0.5, group, err)
             : lo_fail(err, LO_INTERNAL, "no memory for groups of %zu examples", count);
    if (status == LO_OK) {
        collect(set, score, group, out);
    }
    free(group);
    return status;
}

static lo_status read_set(const lo_audit_input *in, const lo_h5_reader *forget, const char *by, int s,
                          lo_audit_groups *out, lo_error *err)
{
    double *score = NULL;
    (void)snprintf(out->by, sizeof(out->by), "%s", by);
    LO_TRY(score_of_set(forget, in->set[s].name, out->by, sizeof(out->by), err));
    if (out->by[0] == '\0') {
        return LO_OK;
    }
    LO_TRY(lo_score_named_read(in->study->run.study, out->by, in->study->data.train.count, &score, err));
    const lo_status status = split(&in->set[s], score, out, err);
    free(score);
    return status;
}

lo_status lo_audit_groups_read(const lo_audit_input *in, lo_audit_groups **groups, lo_error *err)
{
    char path[PATH_MAX], by[LO_H5_TEXT_SIZE + 1];
    lo_h5_reader forget;
    *groups = calloc((size_t)in->sets + 1, sizeof(**groups));
    if (*groups == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the groups of %d forget sets", in->sets);
    }
    LO_TRY(score_of_methods(in->study->job, by, sizeof(by), err));
    (void)snprintf(path, sizeof(path), "%s/forget.h5", in->study->run.study);
    LO_TRY(lo_h5_open(path, &forget, err));
    lo_status status = LO_OK;
    for (int s = 0; s < in->sets && status == LO_OK; s++) {
        status = read_set(in, &forget, by, s, &(*groups)[s], err);
    }
    lo_h5_close(&forget);
    return status;
}

void lo_audit_groups_free(lo_audit_groups **groups, int sets)
{
    for (int s = 0; s < sets && *groups != NULL; s++) {
        for (int g = 0; g < LO_AUDIT_GROUPS; g++) {
            free((*groups)[s].row[g]);
            free((*groups)[s].place[g]);
        }
    }
    free(*groups);
    *groups = NULL;
}
