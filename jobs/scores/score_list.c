#include "jobs/scores/score_list.h"

#include "jobs/study/study.h"
#include "score/external.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A setting that every score has. */
static const lo_setting as = {
    "as", LO_SETTING_TEXT, "", 0, 0, NULL, "Its name in the study, if not its own."};

static bool is_good_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return name[0] != '\0' && strlen(name) < sizeof(((lo_listed_score *)NULL)->name) &&
           name[strspn(name, allowed)] == '\0' && strcmp(name, "models") != 0 && strcmp(name, "train") != 0;
}

/* The settings of a score, and the one that all have. */
static lo_status accept(lo_listed_score *l, lo_error *err)
{
    const lo_score *score = l->score;
    l->table = calloc((size_t)score->settings + 1, sizeof(*l->table));
    if (l->table == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the settings of scores");
    }
    for (int s = 0; s < score->settings; s++) {
        l->table[s] = score->setting[s];
    }
    l->table[score->settings] = as;
    return lo_item_accept(l->item, l->table, score->settings + 1, err);
}

/* What is no score by its name is one of a file, if it has that. */
static lo_status name_external(lo_listed_score *l, lo_error *err)
{
    const char *name = lo_item_name(l->item);
    if (!lo_item_given(l->item, "file")) {
        char known[LO_SCORE_NAMES_SIZE] = "";
        char buffer[64];
        for (int i = 0; i < lo_score_count(); i++) {
            const size_t used = strlen(known);
            (void)snprintf(known + used, sizeof(known) - used, "%s%s", used > 0 ? " " : "",
                           lo_score_at(i)->name);
        }
        const char *nearest = lo_nearest(name, known, buffer, sizeof(buffer));
        return lo_item_fail(
            l->item, err, "unknown score%s%s; allowed: %s, and any other name with the setting file",
            nearest != NULL ? "; the nearest is " : "", nearest != NULL ? nearest : "", known);
    }
    l->orientation = strcmp(lo_item_text(l->item, "orientation"), "small") == 0 ? -1 : 1;
    return LO_OK;
}

static lo_status take_item(lo_score_list *list, lo_item *item, lo_error *err)
{
    lo_listed_score *l = &list->listed[list->count++];
    const lo_score *known = lo_score_find(lo_item_name(item));
    *l = (lo_listed_score){.score = known != NULL ? known : &lo_score_external, .item = item};
    LO_TRY(accept(l, err));
    l->orientation = l->score->orientation;
    if (known == NULL) {
        LO_TRY(name_external(l, err));
    }
    const char *name = lo_item_given(item, "as") ? lo_item_text(item, "as") : lo_item_name(item);
    if (!is_good_name(name)) {
        return lo_item_fail(
            item, err, "a score cannot be called '%s'; allowed: up to 63 letters, digits, - and _", name);
    }
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    for (int i = 0; i + 1 < list->count; i++) {
        if (strcmp(list->listed[i].name, name) == 0) {
            return lo_item_fail(
                item, err, "two scores called %s; give one of them another name by the setting as", name);
        }
    }
    l->settings = lo_item_canonical(item);
    return l->settings != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the list of scores");
}

/* Does a score wait for one that stands at `from` or later? */
static bool waits(const lo_score_list *list, int at, int from)
{
    const lo_listed_score *l = &list->listed[at];
    for (int u = 0; l->score->uses != NULL && l->score->uses(l->item, u) != NULL; u++) {
        const char *name = l->score->uses(l->item, u);
        for (int i = from; i < list->count; i++) {
            if (strcmp(list->listed[i].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Scores that are made of others come after the rest and after those; else the order stays. */
static lo_status put_users_last(lo_score_list *list, lo_error *err)
{
    for (int place = 0; place < list->count; place++) {
        int next = -1;
        for (int later = 0; later < 2 && next < 0; later++) {
            for (int i = place; i < list->count && next < 0; i++) {
                const bool user = (list->listed[i].score->needs & LO_FROM_SCORES) != 0;
                next = user == (later != 0) && !waits(list, i, place) ? i : -1;
            }
        }
        if (next < 0) {
            return lo_item_fail(list->listed[place].item, err,
                                "it is made of scores that are made of it, or of itself");
        }
        const lo_listed_score moved = list->listed[next];
        memmove(&list->listed[place + 1], &list->listed[place], (size_t)(next - place) * sizeof(moved));
        list->listed[place] = moved;
    }
    return LO_OK;
}

/* What the report wants of an ensemble without being asked. */
static const char *unasked_of(const lo_job *job)
{
    return lo_job_has(job, "ensemble") ? "[memorization, cscore]" : "[]";
}

lo_status lo_score_list_read(const lo_job *job, lo_score_list *out, lo_error *err)
{
    *out = (lo_score_list){0};
    LO_TRY(lo_job_length(job, "scores") > 0
               ? lo_items_read(job, "scores", &out->items, err)
               : lo_items_parse(unasked_of(job), NULL, "scores", &out->items, err));
    out->listed = calloc((size_t)lo_items_count(out->items) + 1, sizeof(*out->listed));
    if (out->listed == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the list of scores");
    }
    for (int64_t i = 0; i < lo_items_count(out->items); i++) {
        LO_TRY(take_item(out, lo_items_at(out->items, i), err));
    }
    return put_users_last(out, err);
}

void lo_score_list_destroy(lo_score_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->listed[i].settings);
        free(list->listed[i].table);
    }
    free(list->listed);
    list->listed = NULL;
    list->count = 0;
    lo_items_destroy(&list->items);
}

unsigned lo_score_list_needs(const lo_score_list *list)
{
    unsigned needs = 0;
    for (int i = 0; i < list->count; i++) {
        needs |= list->listed[i].score->needs;
    }
    return needs;
}

/* ---- does the job have it? ---- */

static lo_status lacks(const char *score, const char *what, const char *remedy, lo_error *err)
{
    return lo_fail(err, LO_USAGE, "scores: %s needs %s; set %s", score, what, remedy);
}

static lo_status check_sections(const lo_job *job, const lo_listed_score *l, lo_error *err)
{
    const unsigned needs = l->score->needs;
    if ((needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) != 0 && !lo_job_has(job, "ensemble")) {
        return lacks(l->name, "an ensemble, from which it is computed", "the section ensemble", err);
    }
    if ((needs & LO_FROM_ORIGINALS) != 0 && !lo_job_has(job, "originals")) {
        return lacks(l->name, "originals, from which it is computed",
                     "the section originals: originals: {} has its defaults", err);
    }
    if ((needs & LO_FROM_LOG) != 0 && strcmp(lo_job_text(job, "originals.log"), "false") == 0) {
        return lacks(l->name, "the log of the originals", "originals.log to auto", err);
    }
    if ((needs & LO_FROM_CHECKPOINTS) != 0 && lo_job_length(job, "originals.checkpoints") == 0) {
        return lacks(l->name, "weights of the originals from within their training",
                     "originals.checkpoints, [1, 2, 4, 8] say", err);
    }
    return LO_OK;
}

static lo_status check_uses(const lo_score_list *list, const lo_listed_score *l, lo_error *err)
{
    for (int u = 0; l->score->uses != NULL && l->score->uses(l->item, u) != NULL; u++) {
        const char *name = l->score->uses(l->item, u);
        bool found = false;
        for (int i = 0; i < list->count; i++) {
            found = found || (&list->listed[i] != l && strcmp(list->listed[i].name, name) == 0);
        }
        if (!found) {
            return lo_fail(err, LO_USAGE, "scores: %s is made from %s, which is not listed; add it to scores",
                           l->name, name);
        }
    }
    return LO_OK;
}

lo_score_input lo_score_foresee(const lo_job *job, const lo_dataset *data, const lo_listed_score *listed,
                                const lo_model_spec *model, const lo_recipe *recipe)
{
    const bool originals = lo_job_has(job, "originals");
    return (lo_score_input){.data = data,
                            .n = data->train.count,
                            .count = data->train.count,
                            .item = listed->item,
                            .model = model,
                            .recipe = recipe,
                            .epochs = recipe->epochs,
                            .checkpoints = originals ? (int)lo_job_length(job, "originals.checkpoints") : 0,
                            .originals = originals ? lo_job_int(job, "originals.seeds") : 0};
}

static lo_status check_data(const lo_job *job, const lo_dataset *data, const lo_listed_score *l,
                            lo_error *err)
{
    if ((l->score->needs & LO_FROM_VALIDATION) != 0 && data->validation.count == 0) {
        return lacks(l->name, "examples that nothing was trained on, and there are none",
                     "data.validation, to 0.1 say", err);
    }
    if (l->score->check == NULL) {
        return LO_OK;
    }
    const lo_model_spec model = lo_study_model_spec(job);
    const lo_recipe recipe = lo_study_recipe(job);
    lo_design design = {0};
    int64_t *left = NULL;
    if (lo_job_has(job, "ensemble")) {
        const lo_status status = lo_study_design(job, data, &design, &left, err);
        free(left);
        LO_TRY(status);
    }
    lo_score_input input = lo_score_foresee(job, data, l, &model, &recipe);
    input.models = design.models;
    return l->score->check(&input, err);
}

lo_status lo_score_list_check(const lo_job *job, const lo_dataset *data, lo_error *err)
{
    lo_score_list list;
    lo_status status = lo_score_list_read(job, &list, err);
    for (int i = 0; i < list.count && status == LO_OK; i++) {
        const lo_listed_score *l = &list.listed[i];
        status = check_sections(job, l, err);
        if (status == LO_OK) {
            status = check_uses(&list, l, err);
        }
        if (status == LO_OK && data != NULL) {
            status = check_data(job, data, l, err);
        }
    }
    lo_score_list_destroy(&list);
    return status;
}

/* ---- what a file holds ---- */

lo_status lo_score_names(const lo_h5_reader *reader, char names[LO_SCORE_NAMES_SIZE], lo_error *err)
{
    if (lo_h5_get_text(reader, "/", "scores", names, LO_SCORE_NAMES_SIZE, NULL) == LO_OK) {
        return LO_OK;
    }
    names[0] = '\0';
    for (int i = 0; i < lo_score_count(); i++) {
        char path[128];
        const size_t used = strlen(names);
        (void)snprintf(path, sizeof(path), "/%s", lo_score_at(i)->name);
        if (lo_h5_has(reader, path)) {
            (void)snprintf(names + used, LO_SCORE_NAMES_SIZE - used, "%s%s", used > 0 ? " " : "",
                           lo_score_at(i)->name);
        }
    }
    return names[0] != '\0' ? LO_OK : lo_fail(err, LO_DATA, "%s: holds no scores", reader->file);
}
