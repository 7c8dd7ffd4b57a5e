/* Trainings that are interrupted and go on: wherever that happens, in whatever recipe, every bit is that of
 * the undisturbed training; and no file that is damaged or another training's is ever gone on from. */
#include "nn/kernels/kernels.h"
#include "nn/trainer.h"

#include "nn_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRAIN = 61, TEST = 40, MEMBERS = 56, BATCH = 16, EPOCHS = 3, DIGEST = 77 };
enum { BATCHES = (MEMBERS + BATCH - 1) / BATCH, STEPS = BATCHES * EPOCHS };

static char folder[64]; /* in memory where that can be had: hundreds of files are synced */

typedef struct variant {
    const char *preset;
    lo_recipe recipe;
} variant;

#define COMMON .epochs = EPOCHS, .batch = BATCH, .lr = 0.05, .seed = 3
static const variant variants[] = {
    {"mlp", {COMMON, .momentum = 0.9, .weight_decay = 5e-4, .schedule = LO_SCHEDULE_COSINE}},
    {"linear", {COMMON, .momentum = 0.9, .nesterov = true, .warmup_epochs = 0.7}},
    {"mlp",
     {COMMON, .optimizer = LO_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8,
      .weight_decay = 0.01, .clip_norm = 0.5}},
    {"cnn",
     {COMMON, .momentum = 0.9, .schedule = LO_SCHEDULE_ONE_CYCLE, .peak = 0.3, .label_smoothing = 0.1}},
    {"cnn",
     {COMMON, .optimizer = LO_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8,
      .schedule = LO_SCHEDULE_STEP, .milestones = {1}, .milestone_count = 1, .gamma = 0.1,
      .precision = LO_BF16}},
    {"layers", /* with dropout */
     {COMMON, .momentum = 0.9, .augment = {.flip = LO_FLIP_RANDOM, .crop = 2, .cutout = 3}}},
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* What a training leaves behind: all that must not depend on interruptions. */
typedef struct trace {
    lo_training training;
    float margin[TEST];
    uint8_t correct[(TEST + 7) / 8];
    double loss[EPOCHS], accuracy[EPOCHS];
    float example[LO_LOG_QUANTITIES][EPOCHS * MEMBERS];
    uint8_t right[EPOCHS * MEMBERS];
    double kept[EPOCHS]; /* gathered by after_epoch */
    size_t floats;
    float *weights; /* and statistics */
} trace;

/* Who runs the training: when it is saved or stopped, and what it says. */
typedef struct host {
    lo_checkpoint checkpoint;
    int asked, saves, warnings;
    int at;        /* the ask that is answered by ... */
    lo_save wish;  /* ... this */
    bool always;   /* or all of them */
    double share;  /* the last one */
    int kill_tick; /* this call of tick after the first save fails; 0: none */
    int ticks;
    char text[2048];
} host;

static lo_save ask(void *self, double share)
{
    host *h = self;
    assert_true(share > h->share && share <= 1);
    h->share = share;
    h->asked++;
    return h->always || h->asked == h->at ? h->wish : LO_SAVE_NOTHING;
}

static void saved(void *self, double share)
{
    host *h = self;
    assert_true(share == h->share);
    h->saves++;
}

static void warn(void *self, const char *text)
{
    host *h = self;
    h->warnings++;
    (void)snprintf(h->text, sizeof(h->text), "%s", text);
}

static lo_status tick_of(void *self)
{
    host *h = self;
    h->ticks += h->saves > 0;
    return h->kill_tick > 0 && h->ticks >= h->kill_tick ? LO_STOPPED : LO_OK;
}

static host make_host(const char *name)
{
    host h = {.checkpoint = {.digest = DIGEST, .ask = ask, .saved = saved, .warn = warn}};
    (void)snprintf(h.checkpoint.file, sizeof(h.checkpoint.file), "%s/%s", folder, name);
    return h;
}

/* One training to come: which one, and in whose hands. */
typedef struct scene {
    const variant *how;
    const nn_data *data;
    uint64_t model_seed;
    int64_t left_out;   /* this many members fewer */
    bool log, examples; /* what is logged */
    const char *start;  /* weights to start from */
} scene;

static uint32_t members[MEMBERS];

typedef struct watcher {
    lo_trainer *trainer;
    trace *to;
} watcher;

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    const watcher *w = self;
    (void)err;
    const lo_network *network = lo_trainer_network(w->trainer);
    w->to->kept[epochs - 1] =
        (epochs > 1 ? w->to->kept[epochs - 2] : 0) + (double)network->weights[0] + (double)epochs;
    return LO_OK;
}

/* Trains in a trainer of its own. */
static lo_status play(const scene *s, host *h, trace *to)
{
    lo_error err = {{0}};
    lo_trainer *trainer = NULL;
    const lo_model_spec model = {.preset = s->how->preset,
                                 .hidden = {20},
                                 .hidden_count = 1,
                                 .width = 4,
                                 .layers = "[flatten, {linear: 20}, relu, {dropout: 0.3}, {linear: 5}]",
                                 .layers_file = "test"};
    if (lo_trainer_create(&model, &s->how->recipe, &s->data->dataset, &trainer, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    if (s->start != NULL) {
        assert_int_equal(lo_trainer_start_from(trainer, s->start, &err), LO_OK);
    }
    memset(to, 0, sizeof(*to));
    lo_training_log log = {.loss = to->loss, .accuracy = to->accuracy};
    if (s->examples) {
        for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
            log.example[q] = to->example[q];
        }
        log.correct = to->right;
    }
    watcher w = {trainer, to};
    const lo_observer observer = {.log = s->log ? &log : NULL,
                                  .after_epoch = after_epoch,
                                  .self = &w,
                                  .kept = to->kept,
                                  .kept_size = sizeof(to->kept)};
    lo_trainer_observe(trainer, &observer);
    lo_tick tick = {tick_of, h};
    if (h != NULL) {
        h->share = 0;
        h->checkpoint.self = h;
        lo_trainer_checkpoint(trainer, &h->checkpoint);
    }
    const lo_status status = lo_trainer_run(trainer, s->model_seed, members, MEMBERS - s->left_out,
                                            h != NULL ? &tick : NULL, &to->training, &err);
    if (status == LO_OK) {
        const lo_network *network = lo_trainer_network(trainer);
        assert_int_equal(
            lo_trainer_evaluate(trainer, &s->data->dataset.test, NULL, to->correct, to->margin, &err), LO_OK);
        to->floats = network->weight_size + network->statistic_size;
        to->weights = malloc(to->floats * sizeof(float));
        assert_non_null(to->weights);
        memcpy(to->weights, network->weights, network->weight_size * sizeof(float));
        memcpy(to->weights + network->weight_size, network->statistics,
               network->statistic_size * sizeof(float));
    }
    lo_trainer_destroy(&trainer);
    return status;
}

static void check_equal(const trace *expected, trace *found)
{
    assert_int_equal(expected->floats, found->floats);
    assert_memory_equal(expected->weights, found->weights, found->floats * sizeof(float));
    free(found->weights);
    trace a = *expected, b = *found;
    a.weights = b.weights = NULL;
    a.training.seconds = b.training.seconds = 0;
    assert_memory_equal(&a, &b, sizeof(a));
}

static void check_gone(host *h)
{
    lo_checkpoint_remove(&h->checkpoint);
    assert_int_not_equal(access(h->checkpoint.file, F_OK), 0);
}

static trace undisturbed(const scene *s)
{
    trace t;
    assert_int_equal(play(s, NULL, &t), LO_OK);
    assert_false(t.training.diverged);
    return t;
}

static scene scene_of(const nn_data *data, int v)
{
    return (scene){.how = &variants[v], .data = data, .model_seed = 5, .log = true, .examples = true};
}

/* Stopped after any batch and gone on with in another trainer. */
static void test_stop_anywhere(void **state)
{
    for (int v = 0; v < VARIANTS; v++) {
        const scene s = scene_of(*state, v);
        trace expected = undisturbed(&s);
        for (int at = 1; at <= STEPS; at++) {
            trace t;
            host h = make_host("anywhere");
            h.at = at;
            h.wish = LO_SAVE_AND_STOP;
            assert_int_equal(play(&s, &h, &t), LO_STOPPED);
            assert_true(fabs(h.share - (double)at / STEPS) < 1e-12);
            assert_true(h.checkpoint.there && h.saves == 1);
            const double first = t.training.seconds;
            h.at = 0;
            assert_int_equal(play(&s, &h, &t), LO_OK);
            assert_int_equal(h.asked, STEPS);
            assert_true(h.checkpoint.seconds > 0 && h.checkpoint.seconds <= first);
            assert_true(t.training.seconds > h.checkpoint.seconds);
            check_equal(&expected, &t);
            check_gone(&h);
            assert_int_equal(h.warnings, 0);
        }
        free(expected.weights);
    }
}

/* One batch at a time; saved after each without a stop; killed in the middle of batches. */
static void test_stop_everywhere(void **state)
{
    for (int v = 0; v < VARIANTS; v++) {
        const scene s = scene_of(*state, v);
        trace expected = undisturbed(&s), t;
        host h = make_host("everywhere");
        h.always = true;
        h.wish = LO_SAVE_AND_STOP;
        for (int part = 1; part <= STEPS; part++) {
            assert_int_equal(play(&s, &h, &t), LO_STOPPED);
            assert_int_equal(h.asked, part);
        }
        assert_int_equal(play(&s, &h, &t), LO_OK); /* nothing but the end was left */
        assert_int_equal(h.asked, STEPS);
        check_equal(&expected, &t);
        check_gone(&h);

        h.wish = LO_SAVE_AND_GO_ON;
        assert_int_equal(play(&s, &h, &t), LO_OK);
        assert_int_equal(h.saves, 2 * STEPS);
        check_equal(&expected, &t);
        check_gone(&h);

        for (int at = 1; at < STEPS; at += 3) {
            h = make_host("everywhere");
            h.at = at;
            h.wish = LO_SAVE_AND_GO_ON;
            h.kill_tick = 7;
            assert_int_equal(play(&s, &h, &t), LO_STOPPED);
            assert_int_equal(h.saves, 1);
            h.kill_tick = h.at = 0;
            assert_int_equal(play(&s, &h, &t), LO_OK);
            check_equal(&expected, &t);
            check_gone(&h);
        }
        assert_int_equal(h.warnings, 0);
        free(expected.weights);
    }
}

/* A tick that ends the work while the file is written leaves the former one. */
static void test_stopped_while_saving(void **state)
{
    const scene s = scene_of(*state, 0);
    trace expected = undisturbed(&s), t;
    host h = make_host("saving");
    h.always = true;
    h.wish = LO_SAVE_AND_GO_ON;
    for (int kill = 1; kill < 60; kill++) {
        h.kill_tick = kill;
        h.ticks = 0;
        h.asked = h.saves = 0;
        assert_int_equal(play(&s, &h, &t), LO_STOPPED);
        h.kill_tick = 0;
        assert_int_equal(play(&s, &h, &t), LO_OK);
        check_equal(&expected, &t);
        check_gone(&h);
    }
    assert_int_equal(h.warnings, 0);
    free(expected.weights);
}

/* Plays on with a file that must not be used: said once, and everything as if it were not there. */
static void check_refused(const scene *s, host *h, const trace *expected, const char *why)
{
    trace t;
    h->at = h->warnings = h->asked = 0;
    assert_int_equal(play(s, h, &t), LO_OK);
    assert_int_equal(h->warnings, 1);
    if (strstr(h->text, why) == NULL || strstr(h->text, "the training begins again") == NULL) {
        fail_msg("'%s' is not in '%s'", why, h->text);
    }
    assert_int_equal(h->asked, STEPS);
    assert_true(h->checkpoint.there && h->checkpoint.seconds == 0);
    check_equal(expected, &t);
}

static void write_bytes(const char *file, const char *data, size_t size)
{
    FILE *stream = fopen(file, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static void test_damaged(void **state)
{
    const scene s = scene_of(*state, 3);
    trace expected = undisturbed(&s), t;
    lo_error err;
    host h = make_host("damaged");
    char *data = NULL;
    size_t size = 0;
    h.at = STEPS / 2;
    h.wish = LO_SAVE_AND_STOP;
    assert_int_equal(play(&s, &h, &t), LO_STOPPED);
    assert_int_equal(lo_file_read(h.checkpoint.file, 1 << 24, &data, &size, &err), LO_OK);
    for (size_t at = 0; at < size; at += at < 40 ? 3 : size / 9) {
        data[at] = (char)(data[at] ^ 4);
        write_bytes(h.checkpoint.file, data, size);
        data[at] = (char)(data[at] ^ 4);
        check_refused(&s, &h, &expected, h.checkpoint.file);
    }
    for (size_t length = 0; length < size; length += length < 48 ? 13 : size / 5) {
        write_bytes(h.checkpoint.file, data, length);
        check_refused(&s, &h, &expected, "is cut short");
    }
    char *longer = calloc(1, size + 1);
    assert_non_null(longer);
    memcpy(longer, data, size);
    write_bytes(h.checkpoint.file, longer, size + 1);
    check_refused(&s, &h, &expected, "its checksum does not hold");
    free(longer);
    check_gone(&h);

    assert_int_equal(mkdir(h.checkpoint.file, 0777), 0); /* no file at all */
    check_refused(&s, &h, &expected, h.checkpoint.file);
    assert_int_equal(rmdir(h.checkpoint.file), 0);

    write_bytes(h.checkpoint.file, data, size); /* the sound one is taken */
    h.warnings = h.asked = 0;
    assert_int_equal(play(&s, &h, &t), LO_OK);
    assert_int_equal(h.asked, STEPS - STEPS / 2);
    assert_int_equal(h.warnings, 0);
    check_equal(&expected, &t);
    check_gone(&h);
    free(data);
    free(expected.weights);
}

static void test_of_another_training(void **state)
{
    trace t;
    lo_error err;
    char start[64];
    scene s = scene_of(*state, 0);
    s.examples = false;
    host h = make_host("foreign");
    h.at = 5;
    h.wish = LO_SAVE_AND_STOP;

    (void)snprintf(start, sizeof(start), "%s/start", folder);
    lo_trainer *trainer = NULL;
    const lo_model_spec model = {.preset = "mlp", .hidden = {20}, .hidden_count = 1};
    assert_int_equal(lo_trainer_create(&model, &s.how->recipe, &s.data->dataset, &trainer, &err), LO_OK);
    assert_int_equal(lo_trainer_save(trainer, start, NULL, 0, &err), LO_OK);
    lo_trainer_destroy(&trainer);

    variant changed[4] = {variants[0], variants[0], variants[2], variants[0]};
    changed[0].recipe.seed = 4;
    changed[1].recipe.epochs = EPOCHS - 1;
    changed[3].preset = "linear";
    scene other[9];
    for (int i = 0; i < 9; i++) {
        other[i] = s;
    }
    for (int i = 0; i < 4; i++) {
        other[i].how = &changed[i];
    }
    other[4].model_seed = 6;
    other[5].left_out = 1;
    other[6].examples = true;
    other[7].log = false;
    other[8].start = start;
    for (int i = 0; i < 9; i++) {
        trace expected = undisturbed(&other[i]);
        h.at = 5;
        h.asked = h.warnings = 0;
        assert_int_equal(play(&s, &h, &t), LO_STOPPED);
        h.at = 0;
        assert_int_equal(play(&other[i], &h, &t), LO_OK);
        assert_int_equal(h.warnings, 1);
        assert_non_null(strstr(h.text, "is of another training; the training begins again"));
        check_equal(&expected, &t);
        free(expected.weights);
        check_gone(&h);
    }

    /* Another member in place of one: as many of them, and all else the same. */
    trace whole = undisturbed(&s);
    members[MEMBERS - 1]++;
    trace expected = undisturbed(&s);
    members[MEMBERS - 1]--;
    h.at = 5;
    h.asked = 0;
    assert_int_equal(play(&s, &h, &t), LO_STOPPED);
    members[MEMBERS - 1]++;
    check_refused(&s, &h, &expected, "is of another training");
    members[MEMBERS - 1]--;
    free(expected.weights);

    /* Of other keys, and of another processor type. */
    check_gone(&h);
    h.at = 5;
    h.asked = 0;
    assert_int_equal(play(&s, &h, &t), LO_STOPPED);
    h.checkpoint.digest = DIGEST + 1;
    check_refused(&s, &h, &whole, "is of another job: its digest is 000000000000004d, not 000000000000004e");
    h.checkpoint.digest = DIGEST;
    const char *first = lo_kernels_at(LO_F32, 0)->name;
    const char *last = lo_kernels_at(LO_F32, lo_kernels_count(LO_F32) - 1)->name;
    if (strcmp(first, last) != 0) {
        assert_int_equal(lo_kernels_pin(first, &err), LO_OK);
        expected = undisturbed(&s);
        assert_int_equal(lo_kernels_pin(last, &err), LO_OK);
        h.at = 5;
        h.asked = 0;
        check_gone(&h);
        assert_int_equal(play(&s, &h, &t), LO_STOPPED);
        assert_int_equal(lo_kernels_pin(first, &err), LO_OK);
        check_refused(&s, &h, &expected, "was made on processor '");
        assert_int_equal(lo_kernels_pin("auto", &err), LO_OK);
        free(expected.weights);
    }
    check_gone(&h);
    free(whole.weights);
    (void)unlink(start);
}

/* A disk on which nothing can be written: said once, and the training goes on; a stop is a stop all the same.
 */
static void test_cannot_be_written(void **state)
{
    const scene s = scene_of(*state, 0);
    trace expected = undisturbed(&s), t;
    host h = make_host("no/such/folder");
    h.always = true;
    h.wish = LO_SAVE_AND_GO_ON;
    assert_int_equal(play(&s, &h, &t), LO_OK);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.text, "the training goes on without a checkpoint"));
    assert_int_equal(h.saves, 0);
    assert_false(h.checkpoint.there);
    check_equal(&expected, &t);
    h.wish = LO_SAVE_AND_STOP;
    assert_int_equal(play(&s, &h, &t), LO_STOPPED);
    assert_int_equal(h.warnings, 1);
    assert_int_equal(h.asked, STEPS + 1);
    free(expected.weights);
}

/* A training that diverges after it went on does so as it would have. */
static void test_diverges(void **state)
{
    variant wild = variants[0];
    wild.recipe.lr = 1e30;
    wild.recipe.schedule = LO_SCHEDULE_CONSTANT;
    scene s = scene_of(*state, 0);
    s.how = &wild;
    trace expected, t;
    assert_int_equal(play(&s, NULL, &expected), LO_OK);
    assert_true(expected.training.diverged);
    host h = make_host("wild");
    h.at = 1;
    h.wish = LO_SAVE_AND_STOP;
    assert_int_equal(play(&s, &h, &t), LO_STOPPED);
    assert_int_equal(play(&s, &h, &t), LO_OK);
    assert_true(t.training.diverged);
    check_equal(&expected, &t);
    check_gone(&h);
    free(expected.weights);
}

static int begin(void **state)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        members[i] = i + (i > 20) + (i > 40);
    }
    *state = nn_data_create((lo_shape){1, 10, 11}, 5, TRAIN, TEST);
    (void)snprintf(folder, sizeof(folder), "%scheckpoint-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm/leaveout-" : "");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
    nn_data_destroy(*state);
    return rmdir(folder); /* nothing was left in it, temporary files included */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_anywhere),
        cmocka_unit_test(test_stop_everywhere),
        cmocka_unit_test(test_stopped_while_saving),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_of_another_training),
        cmocka_unit_test(test_cannot_be_written),
        cmocka_unit_test(test_diverges),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
