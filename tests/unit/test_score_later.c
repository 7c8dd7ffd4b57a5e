/* Scores from trained networks, trainings of their own and a few models, each against a direct computation,
 * on examples of which some have a planted wrong label; and by shards, as ranks compute them. */
#include "unit/nn_data.h"

#include "base/items.h"
#include "nn/trainer.h"
#include "score/combine.h"
#include "score/rank.h"
#include "score/scores.h"
#include "score/screening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRAIN = 180, HELD = 60, CLASSES = 3, WRONG = 18, MODELS = 24 };

static const lo_model_spec model = {.preset = "mlp", .hidden = {48, 24}, .hidden_count = 2};
static const lo_recipe recipe = {.epochs = 60,
                                 .batch = 16,
                                 .optimizer = LO_OPTIMIZER_SGD,
                                 .lr = 0.02,
                                 .momentum = 0.9,
                                 .schedule = LO_SCHEDULE_CONSTANT,
                                 .seed = 5};

/* A study in memory: data, one original, an ensemble, results of tasks. */
static struct {
    nn_data *data;
    lo_dataset set;
    uint8_t wrong[TRAIN];
    char original[64];
    lo_trainer *trainer;
    uint8_t in[MODELS][TRAIN], correct[MODELS][TRAIN];
    float margin[MODELS][TRAIN];
    float *result; /* [tasks, TRAIN, columns] */
    int columns;
    const char *gathered_by;
    float *gathered;
    const float *score[3];
    int orientation[3];
} s;

static void ok(lo_status status, const lo_error *err)
{
    if (status != LO_OK) {
        fail_msg("%s", err->text);
    }
}

/* ---- what the functions of an input do ---- */

static lo_status load(void *self, int64_t epochs, lo_error *err)
{
    (void)self;
    assert_int_equal(epochs, 0);
    LO_TRY(lo_trainer_start_from(s.trainer, s.original, err));
    return LO_OK;
}

static lo_status outcome(void *self, int64_t row, lo_model_outcome *out, lo_error *err)
{
    (void)err;
    const lo_score_input *input = self;
    *out = (lo_model_outcome){s.in[row] + input->first, s.correct[row] + input->first,
                              s.margin[row] + input->first};
    return LO_OK;
}

/* A shard's rows were put in place by a run over all examples before. */
static lo_status gather(void *self, lo_status status, const float *mine, int64_t width, float *all,
                        lo_error *err)
{
    (void)err;
    const lo_score_input *input = self;
    if (status == LO_OK && input->count == input->n) {
        free(s.gathered);
        s.gathered = malloc((size_t)(TRAIN * width) * sizeof(float));
        memcpy(s.gathered, mine, (size_t)(TRAIN * width) * sizeof(float));
    }
    if (status == LO_OK) {
        memcpy(all, s.gathered, (size_t)(TRAIN * width) * sizeof(float));
        assert_memory_equal(mine, all + input->first * width, (size_t)(input->count * width) * sizeof(float));
    }
    return status;
}

static lo_status result(void *self, int64_t task, const float **values, lo_error *err)
{
    (void)self;
    (void)err;
    *values = s.result + task * TRAIN * s.columns;
    return LO_OK;
}

static lo_status make_trainer(void *self, const lo_recipe *of, const lo_dataset *data, lo_trainer **out,
                              lo_error *err)
{
    (void)self;
    return lo_trainer_create(&model, of, data, out, err);
}

static void weights(void *self, int64_t seed, int64_t epochs, char *path, size_t size)
{
    (void)self;
    assert_true(seed == 0 && epochs == 0);
    (void)snprintf(path, size, "%s", s.original);
}

static lo_status other_score(void *self, const char *name, const float **value, int *orientation,
                             lo_error *err)
{
    (void)self;
    (void)err;
    const int which = name[0] - 'a';
    *value = s.score[which];
    *orientation = s.orientation[which];
    return LO_OK;
}

static void no_warning(void *self, const char *text)
{
    (void)self;
    (void)text;
}

static lo_checkpoint nowhere = {.warn = no_warning};

static const int64_t only_original[] = {0};

static lo_score_input input_of(const lo_item *item, int64_t first, int64_t count)
{
    return (lo_score_input){.data = &s.set,
                            .n = TRAIN,
                            .first = first,
                            .count = count,
                            .item = item,
                            .model = &model,
                            .recipe = &recipe,
                            .models = MODELS,
                            .outcome = outcome,
                            .network = lo_trainer_network(s.trainer),
                            .load = load,
                            .gather = gather,
                            .score = other_score,
                            .result = result,
                            .trainer = make_trainer,
                            .weights = weights,
                            .originals = 1,
                            .original = only_original,
                            .saving = &nowhere};
}

/* ---- the study ---- */

static void plant(void)
{
    s.data = nn_data_create((lo_shape){1, 6, 6}, CLASSES, TRAIN, HELD);
    s.set = s.data->dataset;
    s.set.validation = s.set.test;
    for (int i = 0; i < WRONG; i++) {
        const int at = (i * 97 + 11) % TRAIN;
        assert_false(s.wrong[at]);
        s.wrong[at] = 1;
        s.data->label[0][at] = (s.data->label[0][at] + 1 + i % 2) % CLASSES;
    }
}

static void train(uint64_t seed, const uint8_t *in)
{
    uint32_t members[TRAIN];
    int64_t count = 0;
    lo_training training;
    lo_error err;
    for (uint32_t i = 0; i < TRAIN; i++) {
        if (in == NULL || in[i]) {
            members[count++] = i;
        }
    }
    ok(lo_trainer_run(s.trainer, seed, members, count, NULL, &training, &err), &err);
    assert_true(training.accuracy > 0.99);
}

static int set_up(void **state)
{
    (void)state;
    lo_error err;
    plant();
    ok(lo_trainer_create(&model, &recipe, &s.set, &s.trainer, &err), &err);
    (void)snprintf(s.original, sizeof(s.original), "later-%d.safetensors", (int)getpid());
    for (int m = 0; m < MODELS; m++) {
        uint8_t bits[TRAIN / 8 + 1];
        const lo_permutation half =
            lo_permutation_make(lo_random_make(1, LO_FOR_MEMBERSHIP), (uint64_t)m / 2, TRAIN);
        for (int i = 0; i < TRAIN; i++) {
            s.in[m][i] = (lo_permutation_at(&half, (uint64_t)i) < TRAIN / 2) == (m % 2 == 0);
        }
        train((uint64_t)m + 1, s.in[m]);
        ok(lo_trainer_evaluate(s.trainer, &s.set.train, NULL, bits, s.margin[m], &err), &err);
        for (int i = 0; i < TRAIN; i++) {
            s.correct[m][i] = bits[i / 8] >> (i % 8) & 1;
        }
    }
    train(0, NULL);
    ok(lo_trainer_save(s.trainer, s.original, NULL, 0, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lo_trainer_destroy(&s.trainer);
    nn_data_destroy(s.data);
    free(s.result);
    free(s.gathered);
    return remove(s.original);
}

/* ---- computing a score ---- */

typedef struct list {
    lo_items *items;
    const lo_score *score;
    const lo_item *item;
} list;

static list listed(const char *text)
{
    list l;
    lo_error err;
    ok(lo_items_parse(text, "job.yaml", "scores", &l.items, &err), &err);
    lo_item *item = lo_items_at(l.items, 0);
    l.score = lo_score_find(lo_item_name(item));
    assert_non_null(l.score);
    ok(lo_item_accept(item, l.score->setting, l.score->settings, &err), &err);
    l.item = item;
    const lo_score_input input = input_of(item, 0, TRAIN);
    ok(l.score->check != NULL ? l.score->check(&input, &err) : LO_OK, &err);
    return l;
}

static void run_tasks(const list *l)
{
    lo_error err;
    lo_score_input input = input_of(l->item, 0, TRAIN);
    const int64_t tasks = l->score->tasks(&input);
    s.columns = l->score->columns;
    free(s.result);
    s.result = calloc((size_t)(tasks * TRAIN * s.columns), sizeof(float));
    input.self = &input;
    for (int64_t t = 0; t < tasks; t++) {
        ok(l->score->task(&input, t, s.result + t * TRAIN * s.columns, &err), &err);
    }
}

/* The values of all examples, the same from three shards. */
static void compute(const list *l, float *value)
{
    static const int64_t edges[] = {0, 1, 70, TRAIN};
    lo_estimate all[TRAIN], some[TRAIN];
    lo_error err;
    if (l->score->tasks != NULL) {
        run_tasks(l);
    }
    lo_score_input input = input_of(l->item, 0, TRAIN);
    input.self = &input;
    ok(l->score->compute(&input, all, &err), &err);
    for (int r = 0; r < 3; r++) {
        lo_score_input shard = input_of(l->item, edges[r], edges[r + 1] - edges[r]);
        shard.self = &shard;
        ok(l->score->compute(&shard, some + edges[r], &err), &err);
    }
    for (int i = 0; i < TRAIN; i++) {
        value[i] = all[i].value;
        assert_memory_equal(&some[i].value, &all[i].value, sizeof(float));
    }
}

static double auc_of_wrong(const lo_score *score, const float *value)
{
    double turned[TRAIN];
    lo_agreement a;
    for (int i = 0; i < TRAIN; i++) {
        turned[i] = score->orientation * (double)value[i];
    }
    assert_int_equal(lo_auc(turned, s.wrong, TRAIN, &a, NULL), LO_OK);
    return a.value;
}

static void check_orientation(const list *l, const float *value, double least)
{
    const double area = auc_of_wrong(l->score, value);
    print_message("%s: wrong labels have an area of %.3f\n", l->score->name, area);
    assert_true(area > least);
}

/* ---- from the weights ---- */

static void test_final_loss(void **state)
{
    (void)state;
    lo_error err;
    float value[TRAIN], logits[TRAIN * CLASSES];
    list l = listed("[final_loss]");
    compute(&l, value);
    ok(lo_trainer_logits(s.trainer, &s.set.train, NULL, logits, &err), &err);
    for (int i = 0; i < TRAIN; i++) {
        long double sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            sum += expl((long double)logits[i * CLASSES + c] -
                        (long double)logits[i * CLASSES + s.set.train.label[i]]);
        }
        assert_true(fabsl((long double)value[i] - logl(sum)) < 1e-6L * logl(sum) + 1e-12L && value[i] > 0);
    }
    check_orientation(&l, value, 0.8);
    lo_items_destroy(&l.items);
}

/* What layer `layer` (0: the input) makes of all examples, by arithmetic on the file's weights. */
static size_t activations(int layer, double *x)
{
    const lo_network *network = lo_trainer_network(s.trainer);
    size_t width = 36;
    for (int i = 0; i < TRAIN; i++) {
        for (size_t p = 0; p < width; p++) {
            const float pixel = (float)s.set.train.pixel[(size_t)i * width + p];
            x[(size_t)i * 48 + p] = (double)(pixel * s.set.scale[0] + s.set.shift[0]);
        }
    }
    for (int k = 1; k <= layer; k++) {
        char name[32];
        static float w[48 * 48], b[48];
        (void)snprintf(name, sizeof(name), "linear%d.weight", k);
        const lo_parameter *weight = lo_network_find(network, name);
        lo_network_get(network, weight, LO_VALUES, w);
        (void)snprintf(name, sizeof(name), "linear%d.bias", k);
        lo_network_get(network, lo_network_find(network, name), LO_VALUES, b);
        for (int i = 0; i < TRAIN; i++) {
            double y[48];
            for (size_t o = 0; o < weight->out; o++) {
                y[o] = (double)b[o];
                for (size_t p = 0; p < width; p++) {
                    y[o] += (double)w[o * width + p] * x[(size_t)i * 48 + p];
                }
                y[o] = k < 3 ? fmax(0, y[o]) : y[o];
            }
            memcpy(x + (size_t)i * 48, y, weight->out * sizeof(*y));
        }
        width = weight->out;
    }
    return width;
}

static void nearest_directly(const double *x, size_t width, int of, int k, int *nearest)
{
    double distance[TRAIN];
    for (int i = 0; i < TRAIN; i++) {
        distance[i] = i == of ? INFINITY : 0;
        for (size_t p = 0; p < width && i != of; p++) {
            distance[i] += pow(x[(size_t)i * 48 + p] - x[(size_t)of * 48 + p], 2);
        }
    }
    for (int n = 0; n < k; n++) {
        nearest[n] = 0;
        for (int i = 1; i < TRAIN; i++) {
            nearest[n] = distance[i] < distance[nearest[n]] ? i : nearest[n];
        }
        distance[nearest[n]] = INFINITY;
    }
}

static void check_disagreement(const char *text, int layer, double least)
{
    static double x[TRAIN * 48];
    float value[TRAIN];
    list l = listed(text);
    compute(&l, value);
    const size_t width = activations(layer, x);
    for (int i = 0; i < TRAIN; i++) {
        int nearest[7], others = 0;
        nearest_directly(x, width, i, 7, nearest);
        for (int k = 0; k < 7; k++) {
            others += s.set.train.label[nearest[k]] != s.set.train.label[i];
        }
        assert_true(fabs((double)value[i] - others / 7.0) < 1e-6);
    }
    check_orientation(&l, value, least);
    lo_items_destroy(&l.items);
}

/* The last hidden layer of a network that fits wrong labels has them among those of their wrong class. */
static void test_knn_disagreement(void **state)
{
    (void)state;
    check_disagreement("[{name: knn_disagreement, k: 7}]", 2, 0.5);
    check_disagreement("[{name: knn_disagreement, k: 7, value: linear1}]", 1, 0.8);
    check_disagreement("[{name: knn_disagreement, k: 7, value: input}]", 0, 0.8);
}

static int vote_directly(const int *nearest, int k)
{
    int votes[CLASSES] = {0}, best = 0;
    for (int n = 0; n < k; n++) {
        best = ++votes[s.set.train.label[nearest[n]]] > best ? votes[s.set.train.label[nearest[n]]] : best;
    }
    for (int n = 0;; n++) {
        if (votes[s.set.train.label[nearest[n]]] == best) {
            return s.set.train.label[nearest[n]];
        }
    }
}

/* probes: the layers after which there are some, -1 ends */
static void check_depth(const char *text, const int *probes, double least)
{
    static double x[TRAIN * 48];
    float value[TRAIN];
    int depth[TRAIN] = {0};
    list l = listed(text);
    const int k = (int)lo_item_int(l.item, "k");
    compute(&l, value);
    for (int p = 0; probes[p] >= 0; p++) {
        const size_t width = activations(probes[p], x);
        for (int i = 0; i < TRAIN; i++) {
            int nearest[40];
            nearest_directly(x, width, i, k, nearest);
            /* the original fits everything, so its prediction is the label */
            depth[i] = vote_directly(nearest, k) != s.set.train.label[i] ? p + 1 : depth[i];
        }
    }
    for (int i = 0; i < TRAIN; i++) {
        assert_true(value[i] == (float)depth[i]);
    }
    check_orientation(&l, value, least);
    lo_items_destroy(&l.items);
}

static void test_prediction_depth(void **state)
{
    (void)state;
    check_depth("[prediction_depth]", (const int[]){1, 2, -1}, 0.8);
    check_depth("[{name: prediction_depth, k: 4, values: [input, linear2, logits]}]",
                (const int[]){0, 2, 3, -1}, 0.7);
}

/* ---- what plans foresee ---- */

static const lo_kernels *real;
static int64_t converted; /* examples that were read */

static void count_convert(const uint8_t *in, size_t count, float scale, float shift, float *out)
{
    real->convert(in, count, scale, shift, out);
    converted++;
}

/* The score's work, and how many examples it has read; forward: passes forward alone. */
static lo_score_work foresee(const char *text, bool forward)
{
    list l = listed(text);
    lo_network *network = lo_trainer_network(s.trainer);
    lo_score_input input = input_of(l.item, 0, TRAIN);
    lo_estimate out[TRAIN];
    lo_error err = {""};
    real = network->kernels;
    lo_kernels counting = *real;
    counting.convert = count_convert;
    converted = 0;
    const lo_score_work work = l.score->work(&input);
    assert_int_equal(converted, 0);
    network->kernels = &counting;
    ok(l.score->compute(&input, out, &err), &err);
    network->kernels = real;
    assert_true(!forward || work.evaluated + work.everywhere == (double)converted);
    assert_true(!forward || work.trained == 0);
    lo_items_destroy(&l.items);
    return work;
}

/* As many examples as are read. Operations are at least those of the products of all features. */
static void test_foreseen(void **state)
{
    (void)state;
    const double pairs = (double)TRAIN * TRAIN;
    assert_true(foresee("[final_loss]", true).evaluated == TRAIN);
    lo_score_work work = foresee("[{name: knn_disagreement, k: 7}]", true);
    assert_true(work.everywhere == TRAIN && work.operations > 2 * 24 * pairs);
    work = foresee("[{name: knn_disagreement, k: 7, value: input}]", true);
    assert_true(work.operations > 2 * 36 * pairs);
    work = foresee("[{name: prediction_depth, k: 4, values: [input, linear2, logits]}]", true);
    assert_true(work.everywhere == 3 * TRAIN && work.operations > 2 * (36 + 24 + 3) * pairs);
    work = foresee("[prediction_depth]", true);
    assert_true(work.everywhere == 2 * TRAIN && work.operations > 2 * (48 + 24) * pairs);
    /* Forward, and all slopes: 4 operations a weight, the input's 36 values padded to 48; of training 6, but
     * for 4 of the first layer's. */
    const double first = 36 * 48, weights = first + 48 * 24 + 24 * 3;
    const double share = (4 * weights + 2 * first / 3) / (6 * weights - 2 * first);
    work = foresee("[{name: loss_sensitivity, over: end}]", false);
    assert_true(converted == TRAIN && fabs(work.trained / TRAIN / share - 1) < 1e-12);
    work = foresee("[{name: loss_curvature, over: end, directions: 3}]", false);
    assert_true(converted == 4 * TRAIN && fabs(work.trained / TRAIN / share / 4 - 1) < 1e-12);
    work = foresee("[{name: loss_curvature, over: end, direction: sign}]", false);
    assert_true(converted == 2 * TRAIN && fabs(work.trained / TRAIN / share / 2 - 1) < 1e-12);
}

static void test_depth_needs_a_layer(void **state)
{
    (void)state;
    lo_error err;
    list l = listed("[{name: prediction_depth, values: [conv7]}]");
    lo_score_input input = input_of(l.item, 0, TRAIN);
    lo_estimate out[TRAIN];
    assert_int_equal(l.score->compute(&input, out, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "conv7"));
    lo_items_destroy(&l.items);
}

/* ---- trainings of their own ---- */

/* A fine-tuned copy, step by step with the same order, and the divergence by its definition. */
static void test_holdout_retraining(void **state)
{
    (void)state;
    lo_error err;
    float value[TRAIN], before[TRAIN * CLASSES], after[TRAIN * CLASSES];
    list l = listed("[{name: holdout_retraining, epochs: 6, lr: 0.01, batch: 20, patience: 0}]");
    compute(&l, value);
    lo_recipe tuning = recipe;
    tuning.epochs = 6;
    tuning.lr = 0.01;
    tuning.batch = 20;
    tuning.weight_decay = 5e-4;
    lo_dataset held = s.set;
    held.train = s.set.validation;
    lo_trainer *trainer = NULL;
    uint32_t members[HELD];
    for (uint32_t i = 0; i < HELD; i++) {
        members[i] = i;
    }
    lo_training training;
    ok(lo_trainer_create(&model, &tuning, &held, &trainer, &err), &err);
    ok(lo_trainer_start_from(trainer, s.original, &err), &err);
    ok(lo_trainer_run(trainer, 0, members, HELD, NULL, &training, &err), &err);
    ok(lo_trainer_logits(trainer, &s.set.train, NULL, after, &err), &err);
    ok(lo_trainer_start_from(trainer, s.original, &err), &err);
    ok(lo_trainer_logits(trainer, &s.set.train, NULL, before, &err), &err);
    lo_trainer_destroy(&trainer);
    for (int i = 0; i < TRAIN; i++) {
        long double p = 0, q = 0, sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            p += expl((long double)before[i * CLASSES + c]);
            q += expl((long double)after[i * CLASSES + c]);
        }
        for (int c = 0; c < CLASSES; c++) {
            const long double a = expl((long double)before[i * CLASSES + c]) / p,
                              b = expl((long double)after[i * CLASSES + c]) / q;
            sum += (a * logl(a / b) + b * logl(b / a)) / 2;
        }
        assert_true(fabsl((long double)value[i] - sum) < 1e-5L * sum + 1e-9L);
    }
    check_orientation(&l, value, 0.8);
    lo_items_destroy(&l.items);
}

/* After which epoch the loss of fine-tuning has not fallen for `patience` epochs, from a log of all. */
static int64_t stops_after(double lr, int64_t patience, int32_t epochs)
{
    double loss[64], accuracy[64];
    lo_error err;
    lo_recipe tuning = recipe;
    tuning.epochs = epochs;
    tuning.lr = lr;
    tuning.batch = 20;
    tuning.weight_decay = 5e-4;
    lo_dataset held = s.set;
    held.train = s.set.validation;
    lo_trainer *trainer = NULL;
    lo_training training;
    lo_training_log log = {.loss = loss, .accuracy = accuracy};
    const lo_observer observer = {.log = &log};
    uint32_t members[HELD];
    for (uint32_t i = 0; i < HELD; i++) {
        members[i] = i;
    }
    ok(lo_trainer_create(&model, &tuning, &held, &trainer, &err), &err);
    ok(lo_trainer_start_from(trainer, s.original, &err), &err);
    lo_trainer_observe(trainer, &observer);
    ok(lo_trainer_run(trainer, 0, members, HELD, NULL, &training, &err), &err);
    lo_trainer_destroy(&trainer);
    double least = INFINITY;
    int64_t since = 0;
    for (int64_t e = 0; e < epochs; e++) {
        since = loss[e] < least ? 0 : since + 1;
        least = fmin(least, loss[e]);
        if (since == patience) {
            return e + 1;
        }
    }
    return epochs;
}

/* With patience it ends where the log of a training that went on says, and not before or after. */
static void test_patience(void **state)
{
    (void)state;
    enum { EPOCHS = 40 };
    float value[TRAIN], shorter[TRAIN], longer[TRAIN];
    char text[160];
    const int64_t stop = stops_after(0.3, 2, EPOCHS);
    print_message("patience ends after %d epochs\n", (int)stop);
    assert_true(stop > 3 && stop < EPOCHS);
    list l = listed("[{name: holdout_retraining, epochs: 40, lr: 0.3, batch: 20, patience: 2}]");
    compute(&l, value);
    (void)snprintf(text, sizeof(text),
                   "[{name: holdout_retraining, epochs: %d, lr: 0.3, batch: 20, patience: 0}]", (int)stop);
    list same = listed(text);
    compute(&same, shorter);
    list on = listed("[{name: holdout_retraining, epochs: 40, lr: 0.3, batch: 20, patience: 0}]");
    compute(&on, longer);
    assert_memory_equal(value, shorter, sizeof(value));
    assert_true(memcmp(value, longer, sizeof(value)) != 0);
    lo_items_destroy(&l.items);
    lo_items_destroy(&same.items);
    lo_items_destroy(&on.items);
}

/* Of the job's recipe nothing but the precision is taken over that would bend the fine-tuning. */
static void test_fine_tuning_has_its_own_recipe(void **state)
{
    (void)state;
    lo_error err;
    float plain[TRAIN], bent[TRAIN];
    list l = listed("[{name: holdout_retraining, epochs: 4, lr: 0.01, batch: 20, patience: 0}]");
    lo_score_input input = input_of(l.item, 0, TRAIN);
    ok(l.score->task(&input, 0, plain, &err), &err);
    lo_recipe other = recipe;
    other.optimizer = LO_OPTIMIZER_ADAMW;
    other.nesterov = true;
    other.label_smoothing = 0.2;
    other.clip_norm = 0.01;
    other.schedule = LO_SCHEDULE_COSINE;
    other.warmup_epochs = 2;
    other.lr = 7;
    other.momentum = 0.1;
    other.weight_decay = 0.3;
    other.batch = 3;
    other.epochs = 99;
    other.augment.crop = 1;
    other.augment.flip = LO_FLIP_RANDOM;
    input.recipe = &other;
    ok(l.score->task(&input, 0, bent, &err), &err);
    assert_memory_equal(plain, bent, sizeof(plain));
    lo_items_destroy(&l.items);
}

/* Every length of the second training by itself, from the first one's weights in a file. */
static void test_ssft(void **state)
{
    (void)state;
    enum { EPOCHS = 8 };
    lo_error err;
    char half[80];
    float value[TRAIN], last[TRAIN] = {0};
    list l = listed("[{name: ssft, epochs: 8, lr: 0.05}]");
    compute(&l, value);
    (void)snprintf(half, sizeof(half), "%s.half", s.original);
    for (int side = 0; side < 2; side++) {
        uint32_t first[TRAIN], second[TRAIN];
        int64_t firsts = 0, seconds = 0;
        for (uint32_t i = 0; i < TRAIN; i++) {
            if (!isnan(s.result[side * TRAIN + i])) {
                first[firsts++] = i;
            } else {
                second[seconds++] = i;
            }
        }
        assert_int_equal(firsts, TRAIN / 2);
        assert_true(side == 0 || isnan(s.result[first[0]]));
        const uint64_t seed = (UINT64_C(1) << 40) + (uint64_t)side;
        lo_training training;
        lo_trainer *learner = NULL;
        ok(lo_trainer_create(&model, &recipe, &s.set, &learner, &err), &err);
        ok(lo_trainer_run(learner, seed, first, firsts, NULL, &training, &err), &err);
        ok(lo_trainer_save(learner, half, NULL, 0, &err), &err);
        lo_trainer_destroy(&learner);
        for (int epochs = 1; epochs <= EPOCHS; epochs++) {
            uint8_t bits[TRAIN / 8 + 1];
            lo_recipe then = recipe;
            then.epochs = epochs;
            then.lr = 0.05;
            lo_trainer *trainer = NULL;
            ok(lo_trainer_create(&model, &then, &s.set, &trainer, &err), &err);
            ok(lo_trainer_start_from(trainer, half, &err), &err);
            ok(lo_trainer_run(trainer, seed, second, seconds, NULL, &training, &err), &err);
            ok(lo_trainer_evaluate(trainer, &s.set.train, NULL, bits, NULL, &err), &err);
            for (int64_t i = 0; i < firsts; i++) {
                last[first[i]] = bits[first[i] / 8] >> (first[i] % 8) & 1 ? (float)epochs : last[first[i]];
            }
            lo_trainer_destroy(&trainer);
        }
        (void)remove(half);
    }
    for (int i = 0; i < TRAIN; i++) {
        assert_true(value[i] == last[i]);
    }
    check_orientation(&l, value, 0.75);
    lo_items_destroy(&l.items);
}

/* Candidates by counting who is above; each pair of models trained here, with and without them. */
static void test_screening(void **state)
{
    (void)state;
    enum { COUNT = 45, PAIRS = 4 };
    lo_error err;
    float loss[TRAIN], value[TRAIN];
    double direct[TRAIN] = {0};
    uint8_t chosen[TRAIN], expected[TRAIN], bits[TRAIN / 8 + 1];
    list f = listed("[final_loss]");
    compute(&f, loss);
    for (int i = 0; i < TRAIN; i++) {
        loss[i] = -loss[i];
    }
    loss[8] = loss[9];
    loss[17] = NAN;
    for (int i = 0; i < TRAIN; i++) {
        int above = 0;
        for (int k = 0; k < TRAIN; k++) {
            above += loss[k] < loss[i] || (loss[k] == loss[i] && k < i);
        }
        expected[i] = !isnan(loss[i]) && above < COUNT;
    }
    ok(lo_screening_choose(loss, -1, TRAIN, COUNT, chosen, &err), &err);
    assert_memory_equal(chosen, expected, TRAIN);

    s.score[0] = loss;
    s.orientation[0] = -1;
    list l = listed("[{name: screening, by: a, share: 0.25, models: 8}]");
    assert_int_equal(lo_screening_count(l.item, TRAIN), COUNT);
    compute(&l, value);
    lo_trainer *trainer = NULL;
    ok(lo_trainer_create(&model, &recipe, &s.set, &trainer, &err), &err);
    for (uint64_t m = 0; m < 2 * PAIRS; m++) {
        const uint64_t pair = (UINT64_C(1) << 41) + m / 2;
        const lo_permutation order =
            lo_permutation_make(lo_random_make(recipe.seed, LO_FOR_SPLIT), pair, COUNT);
        uint32_t members[TRAIN];
        uint64_t candidate = 0;
        int64_t count = 0;
        bool in[TRAIN];
        for (uint32_t i = 0; i < TRAIN; i++) {
            const bool low = chosen[i] && lo_permutation_at(&order, candidate) < COUNT / 2;
            candidate += chosen[i];
            in[i] = !chosen[i] || low == (m % 2 == 0);
            members[count] = i;
            count += in[i];
        }
        assert_true(count == TRAIN - COUNT / 2 || count == TRAIN - COUNT + COUNT / 2);
        lo_training training;
        ok(lo_trainer_run(trainer, pair, members, count, NULL, &training, &err), &err);
        ok(lo_trainer_evaluate(trainer, &s.set.train, NULL, bits, NULL, &err), &err);
        for (int i = 0; i < TRAIN; i++) {
            const double right = bits[i / 8] >> (i % 8) & 1;
            direct[i] += (in[i] ? right : -right) / PAIRS;
        }
    }
    lo_trainer_destroy(&trainer);
    for (int i = 0; i < TRAIN; i++) {
        if (chosen[i]) {
            assert_true(fabs((double)value[i] - direct[i]) < 1e-6);
        } else {
            assert_true(i == 17 ? isnan(value[i]) : value[i] < 0 && value[i] > -0.0011F);
        }
    }
    assert_string_equal(l.score->uses(l.item, 0), "a");
    assert_null(l.score->uses(l.item, 1));
    check_orientation(&l, value, 0.9);
    lo_items_destroy(&f.items);
    lo_items_destroy(&l.items);
}

/* A pair of which a model diverged is passed over; without any pair a candidate has no value. */
static void test_screening_without_what_diverged(void **state)
{
    (void)state;
    lo_error err;
    float loss[TRAIN], values[2 * TRAIN], whole[TRAIN], without[TRAIN], alone[TRAIN];
    uint8_t chosen[TRAIN];
    list f = listed("[final_loss]");
    compute(&f, loss);
    s.score[0] = loss;
    s.orientation[0] = 1;
    ok(lo_screening_choose(loss, 1, TRAIN, TRAIN / 4, chosen, &err), &err);

    lo_recipe wild = recipe;
    wild.lr = 1e9;
    list two = listed("[{name: screening, by: a, share: 0.25, models: 2}]");
    lo_score_input input = input_of(two.item, 0, TRAIN);
    input.recipe = &wild;
    ok(two.score->task(&input, 1, values, &err), &err);
    for (int i = 0; i < 2 * TRAIN; i++) {
        assert_true(isnan(values[i]));
    }
    list four = listed("[{name: screening, by: a, share: 0.25, models: 4}]");
    compute(&two, alone); /* of the first pair */
    compute(&four, whole);
    memcpy(s.result + 3 * TRAIN * 2, values, sizeof(values));
    input = input_of(four.item, 0, TRAIN);
    lo_estimate out[TRAIN];
    ok(four.score->compute(&input, out, &err), &err);
    bool moved = false;
    for (int i = 0; i < TRAIN; i++) {
        without[i] = out[i].value;
        assert_true(without[i] == alone[i]);
        moved = moved || without[i] != whole[i];
    }
    assert_true(moved);
    memcpy(s.result, values, sizeof(values));
    ok(four.score->compute(&input, out, &err), &err);
    for (int i = 0; i < TRAIN; i++) {
        assert_true(chosen[i] ? isnan(out[i].value) : out[i].value == without[i]);
    }
    lo_items_destroy(&f.items);
    lo_items_destroy(&two.items);
    lo_items_destroy(&four.items);
}

/* ---- from the ensemble ---- */

static double probability(float phi)
{
    return 1 / (1 + exp(-(double)phi));
}

static double entropy_directly(double p)
{
    return p <= 0 || p >= 1 ? 0 : -p * log(p) - (1 - p) * log(1 - p);
}

/* Pairs of models that differ; the entropy of the mean less the mean entropy; a standard deviation. */
static void test_ensemble_disagreement(void **state)
{
    (void)state;
    float differ[TRAIN], spread[TRAIN], deviation[TRAIN];
    list c = listed("[{name: ensemble_disagreement, by: correctness}]");
    list p = listed("[ensemble_disagreement]");
    list m = listed("[{name: ensemble_disagreement, by: margin}]");
    compute(&c, differ);
    compute(&p, spread);
    compute(&m, deviation);
    for (int i = 0; i < TRAIN; i++) {
        double pairs = 0, mean = 0, entropy = 0, level = 0, squares = 0;
        for (int a = 0; a < MODELS; a++) {
            for (int b = 0; b < a; b++) {
                pairs += s.correct[a][i] != s.correct[b][i];
            }
            mean += probability(s.margin[a][i]) / MODELS;
            entropy += entropy_directly(probability(s.margin[a][i])) / MODELS;
            level += (double)s.margin[a][i] / MODELS;
        }
        for (int a = 0; a < MODELS; a++) {
            squares += pow((double)s.margin[a][i] - level, 2) / (MODELS - 1);
        }
        assert_true(fabs((double)differ[i] - pairs / (MODELS * (MODELS - 1) / 2.0)) < 1e-6);
        assert_true(fabs((double)spread[i] - fmax(0, entropy_directly(mean) - entropy)) < 1e-6);
        assert_true(fabs((double)deviation[i] - sqrt(squares)) < 1e-5 * sqrt(squares));
    }
    check_orientation(&c, differ, 0.8);
    check_orientation(&p, spread, 0.8);
    check_orientation(&m, deviation, 0.8);
    lo_items_destroy(&c.items);
    lo_items_destroy(&p.items);
    lo_items_destroy(&m.items);
}

static double said(const char *by, int model_number, int i)
{
    return by[0] == 'c'   ? s.correct[model_number][i]
           : by[0] == 'p' ? probability(s.margin[model_number][i])
                          : (double)s.margin[model_number][i];
}

static void check_few(int models, const char *by, double least)
{
    char text[96];
    float value[TRAIN];
    double arm[2][TRAIN], mean[2] = {0};
    int has[2] = {0};
    (void)snprintf(text, sizeof(text), "[{name: few_models, models: %d, by: %s}]", models, by);
    list l = listed(text);
    compute(&l, value);
    for (int i = 0; i < TRAIN; i++) {
        for (int a = 0; a < 2; a++) {
            double sum = 0, count = 0;
            for (int m = MODELS - models; m < MODELS; m++) {
                if (s.in[m][i] == a) {
                    sum += said(by, m, i);
                    count++;
                }
            }
            arm[a][i] = sum / count;
            has[a] += count > 0;
            mean[a] += count > 0 ? sum / count : 0;
        }
    }
    for (int i = 0; i < TRAIN; i++) {
        const double in = isnan(arm[1][i]) ? mean[1] / has[1] : arm[1][i];
        const double out = isnan(arm[0][i]) ? mean[0] / has[0] : arm[0][i];
        assert_true(fabs((double)value[i] - (in - out)) < 1e-5 * (1 + fabs(in - out)));
    }
    check_orientation(&l, value, least);
    lo_items_destroy(&l.items);
}

static void test_few_models(void **state)
{
    (void)state;
    check_few(3, "correctness", 0.7); /* some examples are in all three, or in none */
    check_few(8, "correctness", 0.8);
    check_few(8, "probability", 0.8);
    check_few(MODELS, "margin", 0.8);
    list l = listed("[{name: few_models, models: 24}]");
    lo_error err;
    lo_estimate out[TRAIN];
    lo_score_input input = input_of(l.item, 0, TRAIN);
    input.self = &input;
    input.models = 23; /* one diverged */
    assert_int_equal(l.score->check(&input, &err), LO_USAGE);
    assert_non_null(strstr(err.text, "ensemble.models"));
    out[5].value = NAN; /* as it is before */
    assert_int_equal(l.score->compute(&input, out, &err), LO_OK);
    assert_true(isnan(out[5].value));
    lo_items_destroy(&l.items);
}

/* ---- hybrids ---- */

/* Ridge regression of y on a share of ranks and its square, from the examples of other folds: the normal
 * equations of two features by Cramer's rule. */
static double regressed_directly(const double *share, const float *y, int at)
{
    const int64_t out = lo_fold_of(recipe.seed, TRAIN, 5, at);
    double count = 0, mean[2] = {0}, level = 0, c[2][2] = {{0}}, r[2] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < TRAIN; i++) {
            if (lo_fold_of(recipe.seed, TRAIN, 5, i) == out) {
                continue;
            }
            const double x[2] = {share[i] - mean[0] / count, share[i] * share[i] - mean[1] / count};
            for (int f = 0; f < 2; f++) {
                mean[f] += pass == 0 ? (f == 0 ? share[i] : share[i] * share[i]) : 0;
                r[f] += pass == 1 ? x[f] * ((double)y[i] - level / count) : 0;
                for (int g = 0; g < 2; g++) {
                    c[f][g] += pass == 1 ? x[f] * x[g] : 0;
                }
            }
            level += pass == 0 ? (double)y[i] : 0;
            count += pass == 0;
        }
    }
    const double sd[2] = {sqrt(c[0][0] / count), sqrt(c[1][1] / count)};
    const double a = 1 + 0.001, b = c[0][1] / count / sd[0] / sd[1];
    const double p = r[0] / count / sd[0], q = r[1] / count / sd[1], determinant = a * a - b * b;
    const double w[2] = {(a * p - b * q) / determinant, (a * q - b * p) / determinant};
    return level / count + w[0] * (share[at] - mean[0] / count) / sd[0] +
           w[1] * (share[at] * share[at] - mean[1] / count) / sd[1];
}

static void test_hybrid(void **state)
{
    (void)state;
    float loss[TRAIN], few[TRAIN], value[TRAIN], mixed[TRAIN];
    double share[TRAIN];
    list l = listed("[final_loss]"), f = listed("[{name: few_models, models: 6}]");
    compute(&l, loss);
    compute(&f, few);
    for (int i = 0; i < TRAIN; i++) {
        loss[i] = -loss[i];
    }
    s.score[0] = loss;
    s.orientation[0] = -1;
    s.score[1] = few;
    s.orientation[1] = 1;
    list h = listed("[{name: hybrid, of: [a, b]}]");
    compute(&h, value);
    for (int i = 0; i < TRAIN; i++) {
        double rank = 0;
        for (int k = 0; k < TRAIN; k++) {
            rank += loss[k] > loss[i] ? 1 : loss[k] == loss[i] ? 0.5 : 0;
            share[i] = rank;
        }
        share[i] /= TRAIN;
        for (int k = 0; k < TRAIN; k++) {
            rank += few[k] < few[i] ? 1 : few[k] == few[i] ? 0.5 : 0;
        }
        assert_true(fabs((double)value[i] - rank / 2 / TRAIN) < 1e-6);
    }
    check_orientation(&h, value, 0.8);
    assert_string_equal(h.score->uses(h.item, 1), "b");
    assert_null(h.score->uses(h.item, 2));

    list r = listed("[{name: hybrid, of: [a], combine: regression, target: b}]");
    list o = listed("[{name: hybrid, of: [a], combine: regression, target: b, own: 0.25}]");
    compute(&r, value);
    compute(&o, mixed);
    assert_string_equal(r.score->uses(r.item, 1), "b");
    for (int i = 0; i < TRAIN; i++) {
        assert_true(fabs((double)value[i] - regressed_directly(share, few, i)) < 1e-6);
        assert_true(fabs((double)mixed[i] - (0.25 * (double)few[i] + 0.75 * (double)value[i])) < 1e-6);
    }
    check_orientation(&r, value, 0.75);
    lo_items_destroy(&l.items);
    lo_items_destroy(&f.items);
    lo_items_destroy(&h.items);
    lo_items_destroy(&r.items);
    lo_items_destroy(&o.items);
}

static void test_hybrid_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {"[{name: hybrid, of: []}]",
                                        "[{name: hybrid, of: [a], combine: regression}]"};
    for (int t = 0; t < 2; t++) {
        lo_items *items;
        lo_error err;
        ok(lo_items_parse(texts[t], "job.yaml", "scores", &items, &err), &err);
        const lo_score *score = lo_score_find("hybrid");
        ok(lo_item_accept(lo_items_at(items, 0), score->setting, score->settings, &err), &err);
        const lo_score_input input = input_of(lo_items_at(items, 0), 0, TRAIN);
        assert_int_equal(score->check(&input, &err), LO_USAGE);
        lo_items_destroy(&items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_final_loss),
        cmocka_unit_test(test_knn_disagreement),
        cmocka_unit_test(test_prediction_depth),
        cmocka_unit_test(test_depth_needs_a_layer),
        cmocka_unit_test(test_foreseen),
        cmocka_unit_test(test_holdout_retraining),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_fine_tuning_has_its_own_recipe),
        cmocka_unit_test(test_ensemble_disagreement),
        cmocka_unit_test(test_few_models),
        cmocka_unit_test(test_hybrid),
        cmocka_unit_test(test_screening),
        cmocka_unit_test(test_screening_without_what_diverged),
        cmocka_unit_test(test_hybrid_refuses),
        cmocka_unit_test(test_ssft),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
