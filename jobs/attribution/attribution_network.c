#include "jobs/attribution/attribution_network.h"

#include "jobs/study/kept.h"
#include "jobs/study/original.h"
#include "mpi/agree.h"
#include "mpi/sum.h"
#include "nn/trainer.h"
#include "nn/weights.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

/* What the last layer is given, or the layer of this name. */
static lo_status find_value(const lo_network *network, const char *name, int *value, lo_error *err)
{
    if (strcmp(name, "auto") == 0) {
        *value = network->layer[network->layer_count - 1]->value[0];
        return LO_OK;
    }
    const lo_status status = lo_network_value(network, name, value, err);
    return status == LO_OK ? status : lo_fail_prefix(err, status, "attribution.layer");
}

static lo_status open_features(const lo_job *job, lo_attribution *a, const lo_network *network, lo_error *err)
{
    lo_attribution_network *n = a->network;
    LO_TRY(find_value(network, lo_job_text(job, "attribution.layer"), &n->value, err));
    const int64_t size = (int64_t)lo_shape_size(lo_network_shape_of(network, n->value));
    a->train.size = size;
    a->target.size = size;
    n->memory += 4.0 * (double)size * (double)(a->train.count + a->target.count);
    return LO_OK;
}

lo_status lo_attribution_network_open(const lo_job *job, const lo_dataset *data, lo_attribution *a,
                                      lo_error *err)
{
    enum { GRADIENTS = 256 << 20 }; /* what lo_per_example_each_vector takes at most, but for one vector */
    if (a->model == LO_ATTRIBUTION_LINEAR) {
        return LO_OK;
    }
    const lo_model_spec model = lo_study_model_spec(job);
    lo_recipe recipe = lo_study_recipe(job);
    lo_attribution_network *n = calloc(1, sizeof(*n));
    a->network = n;
    if (n == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a network");
    }
    recipe.precision = LO_F32;
    n->ridge = recipe.optimizer == LO_OPTIMIZER_SGD ? recipe.weight_decay : 0;
    LO_TRY(lo_trainer_create(&model, &recipe, data, &n->trainer, err));
    lo_network *network = lo_trainer_network(n->trainer);
    n->memory = (double)lo_trainer_memory(n->trainer);
    if (a->model == LO_ATTRIBUTION_FEATURES) {
        return open_features(job, a, network, err);
    }
    n->rows = (lo_network_rows){.classes = data->classes, .smoothing = recipe.label_smoothing};
    LO_TRY(lo_per_example_create(network, data, NULL, 0, &n->rows.per_example, err));
    a->parameters = (int64_t)lo_per_example_size(n->rows.per_example);
    const double vectors = 4 * (double)a->parameters;
    n->memory += fmax(vectors, fmin(GRADIENTS, vectors * (double)network->capacity));
    return LO_OK;
}

void lo_attribution_network_close(lo_attribution *a)
{
    lo_attribution_network *n = a->network;
    if (n != NULL) {
        lo_per_example_destroy(&n->rows.per_example);
        lo_trainer_destroy(&n->trainer);
        free(n->train);
        free(n->target);
        free(n);
    }
    a->network = NULL;
}

/* ---- weights ---- */

static lo_status load_weights(const lo_attribution *a, lo_error *err)
{
    const lo_job *job = a->study->job;
    const int64_t seed = lo_job_int(job, "attribution.original");
    char path[PATH_MAX];
    lo_original_path(a->study->run.study, seed, 0, path, sizeof(path));
    LO_TRY(lo_check_weights(path, lo_job_digest(job, LO_KEYS_ORIGINALS), err));
    lo_network *network = lo_trainer_network(a->network->trainer);
    LO_TRY(lo_weights_load(network, path, err));
    for (size_t i = 0; i < network->weight_size; i++) {
        if (!isfinite(network->weights[i])) {
            return lo_fail(err, LO_DATA,
                           "%s: has weights that are not finite: this original diverged; choose "
                           "another by attribution.original",
                           path);
        }
    }
    return LO_OK;
}

/* ---- features ---- */

/* Each rank computes its part; then every rank has all. An example's features do not depend on the others. */
static lo_status compute_features(const lo_attribution *a, const lo_examples *examples, int64_t count,
                                  int64_t size, float **out, lo_error *err)
{
    const lo_run *run = &a->study->run;
    const lo_attribution_network *n = a->network;
    lo_per_example *per = NULL;
    int64_t first;
    int64_t own;
    lo_shard(count, 1, run->rank, run->ranks, &first, &own);
    *out = calloc((size_t)(count * size) + 1, sizeof(**out));
    lo_status status = *out != NULL
                           ? LO_OK
                           : lo_fail(err, LO_INTERNAL, "no memory for %lld features of %lld examples",
                                     (long long)size, (long long)count);
    if (status == LO_OK) {
        status = lo_per_example_create(lo_trainer_network(n->trainer), &a->study->data, NULL, 0, &per, err);
    }
    if (status == LO_OK) {
        const lo_example_list list = {.examples = examples, .first = first, .count = own};
        status = lo_per_example_features(per, &list, n->value, *out + first * size, a->tick, err);
    }
    lo_per_example_destroy(&per);
    LO_TRY(lo_agree(run->comm, status, err));
    for (int r = 0; r < run->ranks; r++) {
        enum { PIECE = 1 << 26 };
        lo_shard(count, 1, r, run->ranks, &first, &own);
        for (int64_t at = 0; at < own * size; at += PIECE) {
            const int64_t now = own * size - at < PIECE ? own * size - at : PIECE;
            MPI_Bcast(*out + first * size + at, (int)now, MPI_FLOAT, r, run->comm);
        }
    }
    return LO_OK;
}

static lo_status fill_features(const float *row, int64_t size, int64_t first, int64_t count, double *out,
                               int64_t stride)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t f = 0; f < size; f++) {
            out[i * stride + f] = (double)row[(first + i) * size + f];
        }
    }
    return LO_OK;
}

static lo_status fill_train(void *self, int64_t first, int64_t count, double *out, int64_t stride,
                            lo_error *err)
{
    const lo_attribution *a = self;
    (void)err;
    return fill_features(a->network->train, a->train.size, first, count, out, stride);
}

static lo_status fill_target(void *self, int64_t first, int64_t count, double *out, int64_t stride,
                             lo_error *err)
{
    const lo_attribution *a = self;
    (void)err;
    return fill_features(a->network->target, a->target.size, first, count, out, stride);
}

lo_status lo_attribution_network_load(lo_attribution *a, lo_error *err)
{
    lo_attribution_network *n = a->network;
    if (n == NULL) {
        return LO_OK;
    }
    LO_TRY(lo_agree(a->study->run.comm, load_weights(a, err), err));
    if (a->model != LO_ATTRIBUTION_FEATURES) {
        return LO_OK;
    }
    LO_TRY(compute_features(a, a->train_examples, a->train.count, a->train.size, &n->train, err));
    LO_TRY(compute_features(a, a->target_examples, a->target.count, a->target.size, &n->target, err));
    a->train.fill = fill_train;
    a->train.self = a;
    a->target.fill = fill_target;
    a->target.self = a;
    return LO_OK;
}

/* ---- the objective's gradient ---- */

/* Adds the ridge's to the mean loss's. */
static lo_status add_ridge(const lo_attribution_network *n, double *gradient, lo_error *err)
{
    const lo_network *network = lo_trainer_network(n->trainer);
    const lo_per_example *per = n->rows.per_example;
    for (int i = 0; i < lo_per_example_parameters(per); i++) {
        const lo_parameter *parameter = lo_per_example_parameter(per, i);
        const size_t count = parameter->out * parameter->in * parameter->taps;
        float *values = calloc(count + 1, sizeof(*values));
        if (values == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the weights of %s", parameter->name);
        }
        lo_network_get(network, parameter, LO_VALUES, values);
        for (size_t k = 0; k < count; k++) {
            gradient[lo_per_example_start(per, i) + k] += n->ridge * (double)values[k];
        }
        free(values);
    }
    return LO_OK;
}

lo_status lo_attribution_network_slope(const lo_attribution *a, double *norm, lo_error *err)
{
    const lo_attribution_network *n = a->network;
    MPI_Comm comm = a->study->run.comm;
    const int64_t examples = a->train.count;
    const size_t size = lo_per_example_size(n->rows.per_example);
    const int64_t blocks = (examples + LO_SUM_BLOCK - 1) / LO_SUM_BLOCK;
    const lo_output loss = {.kind = LO_OUTPUT_LOSS, .smoothing = n->rows.smoothing};
    lo_pairwise *sum = NULL;
    int64_t first = 0;
    int64_t count = 0;
    double *gradient = calloc(size + 1, sizeof(*gradient));
    lo_status status =
        gradient != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a gradient of %zu numbers", size);
    if (status == LO_OK) {
        status = lo_sum_create(comm, size, blocks, &sum, &first, &count, err);
    }
    LO_TRY_GOTO(status, lo_agree(comm, status, err), done);
    const int64_t from = first * LO_SUM_BLOCK;
    const int64_t end = (first + count) * LO_SUM_BLOCK < examples ? (first + count) * LO_SUM_BLOCK : examples;
    const lo_example_list list = {.examples = a->train_examples, .first = from, .count = end - from};
    if (count > 0) {
        status = lo_per_example_sums(n->rows.per_example, &list, &loss, LO_TERM_GRADIENT, sum, a->tick, err);
    }
    LO_TRY_GOTO(status, lo_sum(comm, sum, status, gradient, err), done);
    double square = 0;
    for (size_t i = 0; i < size; i++) {
        gradient[i] /= (double)examples;
    }
    LO_TRY_GOTO(status, lo_agree(comm, add_ridge(n, gradient, err), err), done);
    for (size_t i = 0; i < size; i++) {
        square += gradient[i] * gradient[i];
    }
    *norm = sqrt(square);
done:
    lo_pairwise_destroy(&sum);
    free(gradient);
    return status;
}
