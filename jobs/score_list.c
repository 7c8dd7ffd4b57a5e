#include "jobs/score_list.h"

#include "jobs/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lo_status add(lo_score_list *list, const lo_score *score, lo_error *err)
{
    lo_listed_score *l = &list->listed[list->count++];
    *l =
        (lo_listed_score){.score = score, .orientation = score->orientation, .settings = strdup(score->name)};
    (void)snprintf(l->name, sizeof(l->name), "%s", score->name);
    return l->settings != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the list of scores");
}

lo_status lo_score_list_read(const lo_job *job, lo_score_list *out, lo_error *err)
{
    const bool unasked = lo_job_length(job, "scores") == 0;
    *out = (lo_score_list){.listed = calloc((size_t)lo_score_count() + 1, sizeof(*out->listed))};
    if (out->listed == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the list of scores");
    }
    for (int later = 0; later < 2; later++) {
        for (int i = 0; i < lo_score_count(); i++) {
            const lo_score *score = lo_score_at(i);
            const bool wanted = unasked ? lo_job_has(job, "ensemble") && score->needs == LO_FROM_COUNTS
                                        : lo_job_lists(job, "scores", score->name);
            if (wanted && ((score->needs & LO_FROM_SCORES) != 0) == (later != 0)) {
                LO_TRY(add(out, score, err));
            }
        }
    }
    return LO_OK;
}

void lo_score_list_destroy(lo_score_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->listed[i].settings);
    }
    free(list->listed);
    list->listed = NULL;
    list->count = 0;
}

unsigned lo_score_list_needs(const lo_score_list *list)
{
    unsigned needs = 0;
    for (int i = 0; i < list->count; i++) {
        needs |= list->listed[i].score->needs;
    }
    return needs;
}

/* ---- does the job have it?
 * ----------------------------------------------------------------------------------------------------------
 */

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
    const lo_score_input input = {.data = data,
                                  .n = data->train.count,
                                  .count = data->train.count,
                                  .item = l->item,
                                  .model = &model,
                                  .recipe = &recipe,
                                  .epochs = recipe.epochs};
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

/* ---- what a file holds
 * ----------------------------------------------------------------------------------------------------------
 */

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
