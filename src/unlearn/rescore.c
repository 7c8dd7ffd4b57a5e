#include "unlearn/rescore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which scores ---- */

static bool has_setting(const lo_score *score, const char *name)
{
    int i = 0;
    while (i < score->settings && strcmp(score->setting[i].name, name) != 0) {
        i++;
    }
    return i < score->settings;
}

static bool is_of_one_model(const lo_score *score)
{
    return score->needs == LO_FROM_WEIGHTS && score->tasks == NULL;
}

lo_status lo_rescore_check(const lo_score *score, const lo_item *settings, lo_error *err)
{
    char names[512] = "";
    for (int i = 0; i < lo_score_count(); i++) {
        const size_t used = strlen(names);
        if (is_of_one_model(lo_score_at(i))) {
            (void)snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : "",
                           lo_score_at(i)->name);
        }
    }
    if (!is_of_one_model(score)) {
        return lo_fail(err, LO_USAGE,
                       "score %s cannot be computed anew of a model that has forgotten: it is made of %s; "
                       "allowed: %s",
                       score->name,
                       score->tasks != NULL                                        ? "trainings of its own"
                       : (score->needs & (LO_FROM_LOG | LO_FROM_CHECKPOINTS)) != 0 ? "a training's history"
                       : (score->needs & (LO_FROM_COUNTS | LO_FROM_OUTCOMES)) != 0 ? "the ensemble's models"
                                                                                   : "other scores or a file",
                       names);
    }
    return has_setting(score, "over") && strcmp(lo_item_text(settings, "over"), "end") != 0
               ? lo_fail(err, LO_USAGE,
                         "score %s is the mean over checkpoints of a training, of which a model that has "
                         "forgotten has none; list it with over: end",
                         score->name)
               : LO_OK;
}

/* ---- the examples that are looked at, as a data set ---- */

typedef struct view {
    lo_dataset data;
    int64_t count;  /* examples: the forget set, and after it whoever else counts */
    uint32_t *row;  /* [count] */
    uint8_t *pixel; /* [count, size], or NULL; as feature */
    float *feature;
    int32_t *label; /* [count] */
} view;

static void close_view(view *v)
{
    free(v->row);
    free(v->pixel);
    free(v->feature);
    free(v->label);
}

static void fill_view(view *v, const lo_examples *from, size_t size)
{
    for (int64_t i = 0; i < v->count; i++) {
        const size_t row = v->row[i];
        v->label[i] = from->label[row];
        if (v->pixel != NULL) {
            memcpy(v->pixel + (size_t)i * size, from->pixel + row * size, size);
        } else {
            memcpy(v->feature + (size_t)i * size, from->feature + row * size, size * sizeof(float));
        }
    }
    v->data.train = (lo_examples){.count = v->count,
                                  .pixel = v->pixel,
                                  .feature = v->feature,
                                  .label = v->label,
                                  .label_true = v->label};
}

static lo_status open_view(const lo_request *request, bool among, view *v, lo_error *err)
{
    const lo_examples *train = &request->dataset->train;
    const int64_t forget = request->forget_count, others = among ? request->retain_count : 0;
    const size_t size = lo_shape_size(request->dataset->shape), count = (size_t)(forget + others);
    *v = (view){.data = *request->dataset, .count = forget + others};
    v->row = calloc(count + 1, sizeof(*v->row));
    v->label = calloc(count + 1, sizeof(*v->label));
    v->pixel = train->pixel != NULL ? malloc(count * size + 1) : NULL;
    v->feature = train->pixel == NULL ? malloc(count * size * sizeof(float) + 1) : NULL;
    if (v->row == NULL || v->label == NULL || (v->pixel == NULL && v->feature == NULL)) {
        return lo_fail(err, LO_INTERNAL, "no memory for a copy of %zu examples", count);
    }
    memcpy(v->row, request->forget, (size_t)forget * sizeof(*v->row));
    memcpy(v->row + forget, request->retain, (size_t)others * sizeof(*v->row));
    fill_view(v, train, size);
    return LO_OK;
}

/* ---- the score ---- */

/* The network has the weights already. */
static lo_status stay(void *self, int64_t epochs, lo_error *err)
{
    (void)self;
    (void)epochs;
    (void)err;
    return LO_OK;
}

static lo_status compute(lo_pupil *pupil, const lo_request *request, const view *v, lo_estimate *estimate,
                         lo_error *err)
{
    const lo_recipe *recipe = lo_pupil_recipe(pupil);
    const lo_score_input input = {.data = &v->data,
                                  .n = v->count,
                                  .count = request->forget_count,
                                  .item = request->rescore_settings,
                                  .recipe = recipe,
                                  .tick = lo_pupil_tick(pupil),
                                  .epochs = recipe->epochs,
                                  .network = lo_pupil_network(pupil),
                                  .load = stay};
    for (int64_t i = 0; i < request->forget_count; i++) {
        estimate[i] = (lo_estimate){NAN, NAN, NAN, NAN};
    }
    return request->rescore->compute(&input, estimate, err);
}

static lo_status read_members(lo_pupil *pupil, const lo_request *request, bool among, lo_error *err)
{
    const lo_members forget = lo_members_forget(request), retain = lo_members_retain(request);
    LO_TRY(lo_pupil_read(pupil, &forget, err));
    return among ? lo_pupil_read(pupil, &retain, err) : LO_OK;
}

lo_status lo_rescore(lo_pupil *pupil, const lo_request *request, const lo_tick *tick, double *value,
                     lo_error *err)
{
    const bool among = request->rescore->among;
    lo_status status = LO_OK;
    view v;
    LO_TRY(lo_pupil_begin_f32(pupil, request, 0, tick, err));
    LO_TRY(read_members(pupil, request, among, err));
    lo_estimate *estimate = calloc((size_t)request->forget_count + 1, sizeof(*estimate));
    LO_TRY_GOTO(status, open_view(request, among, &v, err), done);
    if (estimate == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for a score");
        goto done;
    }
    LO_TRY_GOTO(status, lo_pupil_agree(pupil, compute(pupil, request, &v, estimate, err)), done);
    for (int64_t i = 0; i < request->forget_count; i++) {
        const double anew = (double)request->rescore->orientation * (double)estimate[i].value;
        value[request->forget[i]] = isnan(anew) ? 0 : anew;
    }

done:
    close_view(&v);
    free(estimate);
    return status;
}
