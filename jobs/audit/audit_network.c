#include "jobs/audit/audit_network.h"

#include "audit/entanglement.h"
#include "audit/relearn.h"
#include "base/random.h"
#include "jobs/study/recipe.h"
#include "score/probe.h"
#include "unlearn/pupil.h"

#include <stdlib.h>
#include <string.h>

struct lo_audit_network {
    const lo_audit_input *input;
    const lo_tick *tick;
    lo_pupil *pupil;
    int embedding;    /* the value that the last layer takes */
    float *fresh;     /* [n, classes] */
    float *forgotten; /* fresh logits of a forget set, one after the other */
    uint32_t *sample; /* [LO_RELEARN_EXAMPLES] */
};

static lo_status no_memory(lo_error *err)
{
    return lo_fail(err, LO_INTERNAL, "no memory for a network of the audit");
}

/* Value 0, the input, where there is but one layer. */
static lo_status find_embedding(lo_audit_network *a, lo_error *err)
{
    const lo_network *network = lo_pupil_network(a->pupil);
    int *values = malloc(((size_t)network->layer_count + 1) * sizeof(*values));
    if (values == NULL) {
        return no_memory(err);
    }
    const int count = lo_probe_values(network, values);
    a->embedding = count > 0 ? values[count - 1] : 0;
    free(values);
    return LO_OK;
}

lo_status lo_audit_network_open(const lo_audit_input *input, const lo_tick *tick, lo_audit_network **out,
                                lo_error *err)
{
    const lo_study *study = input->study;
    const lo_model_spec spec = lo_study_model_spec(study->job);
    const lo_recipe recipe = lo_study_recipe(study->job);
    const size_t n = (size_t)study->data.train.count, logits = n * (size_t)study->data.classes;
    lo_audit_network *a = calloc(1, sizeof(*a));
    *out = a;
    if (a == NULL) {
        return no_memory(err);
    }
    a->input = input;
    a->tick = tick;
    a->fresh = malloc((logits + 1) * sizeof(*a->fresh));
    a->forgotten = malloc((logits + 1) * sizeof(*a->forgotten));
    a->sample = malloc(LO_RELEARN_EXAMPLES * sizeof(*a->sample));
    if (a->fresh == NULL || a->forgotten == NULL || a->sample == NULL) {
        return no_memory(err);
    }
    LO_TRY(lo_pupil_create(&spec, &recipe, &study->data, &a->pupil, err));
    return find_embedding(a, err);
}

void lo_audit_network_close(lo_audit_network **network)
{
    lo_audit_network *a = *network;
    if (a != NULL) {
        lo_pupil_destroy(&a->pupil);
        free(a->fresh);
        free(a->forgotten);
        free(a->sample);
        free(a);
        *network = NULL;
    }
}

/* The audit is no method: its random numbers are those of a run that there is not. */
static lo_request request_of(const lo_audit_network *a, int set)
{
    const lo_study *study = a->input->study;
    const lo_audit_set *s = &a->input->set[set];
    return (lo_request){.dataset = &study->data,
                        .name = s->name,
                        .forget = s->forget,
                        .forget_count = s->forget_count,
                        .retain = s->retain,
                        .retain_count = s->retain_count,
                        .whole_class = s->whole_class,
                        .seed = (uint64_t)lo_job_int(study->job, "seed"),
                        .run = UINT64_MAX};
}

lo_status lo_audit_fresh(lo_audit_network *a, int set, lo_logits *out, lo_error *err)
{
    const lo_request request = request_of(a, set);
    const lo_members members = lo_members_forget(&request);
    const lo_examples *train = &request.dataset->train;
    const size_t classes = (size_t)request.dataset->classes;
    LO_TRY(lo_pupil_begin(a->pupil, &request, 0, a->tick, err));
    LO_TRY(lo_pupil_renew(a->pupil, lo_pupil_key(a->pupil, LO_USE_TEACHER)));
    LO_TRY(lo_pupil_outputs(a->pupil, &members, -1, a->forgotten, NULL, err));
    memset(a->fresh, 0, (size_t)train->count * classes * sizeof(*a->fresh));
    for (int64_t i = 0; i < request.forget_count; i++) {
        memcpy(a->fresh + request.forget[i] * classes, a->forgotten + (size_t)i * classes,
               classes * sizeof(*a->fresh));
    }
    *out = (lo_logits){a->fresh, train->label, train->count, request.dataset->classes};
    return LO_OK;
}

lo_status lo_audit_entanglement(lo_audit_network *a, const char *file, int set, double *score, lo_error *err)
{
    const lo_request request = request_of(a, set);
    const lo_members sets[2] = {lo_members_forget(&request), lo_members_retain(&request)};
    const int64_t forget = request.forget_count, all = forget + request.retain_count;
    const size_t size = lo_shape_size(lo_network_shape_of(lo_pupil_network(a->pupil), a->embedding));
    float *values = malloc(((size_t)all * size + 1) * sizeof(*values));
    uint32_t *rows = malloc(((size_t)all + 1) * sizeof(*rows));
    lo_status status = values != NULL && rows != NULL ? LO_OK : no_memory(err);
    if (status != LO_OK) {
        goto done;
    }
    for (int64_t i = 0; i < all; i++) {
        rows[i] = (uint32_t)i;
    }
    LO_TRY_GOTO(status, lo_pupil_load(a->pupil, file, err), done);
    LO_TRY_GOTO(status, lo_pupil_begin(a->pupil, &request, 0, a->tick, err), done);
    for (int s = 0; s < 2; s++) {
        float *to = values + (s == 0 ? 0 : (size_t)forget * size);
        LO_TRY_GOTO(status, lo_pupil_outputs(a->pupil, &sets[s], a->embedding, NULL, to, err), done);
    }
    status = lo_entanglement(values, (int64_t)size, rows, forget, rows + forget, all - forget, score, err);

done:
    free(values);
    free(rows);
    return status;
}

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Which examples are learned again: ascending. */
static lo_members draw(lo_audit_network *a, const lo_request *request)
{
    enum { RELEARN_STREAM = 0x72656c };
    const int64_t count =
        request->forget_count < LO_RELEARN_EXAMPLES ? request->forget_count : LO_RELEARN_EXAMPLES;
    const lo_permutation order = lo_permutation_make(lo_random_make(request->seed, LO_FOR_AUDIT),
                                                     RELEARN_STREAM, (uint64_t)request->forget_count);
    for (int64_t i = 0; i < count; i++) {
        a->sample[i] = request->forget[lo_permutation_at(&order, (uint64_t)i)];
    }
    qsort(a->sample, (size_t)count, sizeof(*a->sample), compare);
    return (lo_members){.rows = a->sample, .count = count};
}

/* Epoch after epoch until the loss is the target; what the pupil diverges to is never there. */
static lo_status learn_again(lo_audit_network *a, const lo_members *members, double target, int64_t *epochs,
                             lo_error *err)
{
    lo_pupil *pupil = a->pupil;
    const lo_feed_spec spec = {
        .rows = members->rows, .count = members->count, .key = lo_pupil_key(pupil, LO_USE_FORGET)};
    lo_feed *feed = NULL;
    lo_measure now = {0};
    LO_TRY(lo_feed_open(pupil, &spec, &feed, err));
    lo_status status = lo_pupil_measure(pupil, members, false, 0, 0, &now, err);
    *epochs = 0;
    while (status == LO_OK && *epochs <= LO_RELEARN_EPOCHS &&
           lo_relearn_epochs(&now.loss, 1, target, LO_RELEARN_TOLERANCE) < 0) {
        if (++*epochs > LO_RELEARN_EPOCHS) {
            break;
        }
        status = lo_pupil_epoch(pupil, feed, lo_loss_mean, NULL, LO_RELEARN_LR, NULL, err);
        if (status == LO_OK) {
            status = lo_pupil_measure(pupil, members, false, 0, 0, &now, err);
        }
    }
    lo_feed_close(&feed);
    return status;
}

lo_status lo_audit_relearn(lo_audit_network *a, const char *original, const char *file, int set,
                           int64_t *epochs, lo_error *err)
{
    const lo_request request = request_of(a, set);
    const lo_members members = draw(a, &request);
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD,
                          .lr = LO_RELEARN_LR,
                          .momentum = LO_RELEARN_MOMENTUM,
                          .weight_decay = 0};
    lo_measure target;
    LO_TRY(lo_pupil_load(a->pupil, original, err));
    LO_TRY(lo_pupil_begin(a->pupil, &request, LO_RELEARN_BATCH, a->tick, err));
    LO_TRY(lo_pupil_measure(a->pupil, &members, false, 0, 0, &target, err));
    LO_TRY(lo_pupil_load(a->pupil, file, err));
    LO_TRY(lo_pupil_begin(a->pupil, &request, LO_RELEARN_BATCH, a->tick, err));
    lo_pupil_set_views(a->pupil, false);
    LO_TRY(lo_pupil_pace(a->pupil, &pace, err));
    return learn_again(a, &members, target.loss, epochs, err);
}
