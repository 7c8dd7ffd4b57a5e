/* How fast methods of unlearning take their steps, beside plain training:
 *
 *     bench_unlearning PRESET CHANNELS SIDE [EXAMPLES [BATCH [ROUNDS [PRECISION]]]]   (1280 128 5 f32)
 *
 * on made-up images, of which a tenth is to be forgotten. Prints for training, and for each method with one
 * epoch, images that went through the network (forward and backward, or forward alone) a second and their
 * ratio to training's; medians of rounds that take turns, in the thread's own time. foreseen: the seconds
 * that leaveout plan makes of the method's work and the rates of training and evaluation, over those it took.
 */
#include "base/random.h"
#include "nn/trainer.h"
#include "unlearn/methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLASSES = 10, MOST_ROUNDS = 99, TRAIN_EPOCHS = 5 }; /* fresh weights are drawn once for so many */

/* What is timed after training. Those that are training with another loss come first. */
static const char *const texts[] = {"{name: finetune, epochs: 1}",
                                    "{name: neggrad, epochs: 10}",
                                    "{name: neggrad_plus, epochs: 1}",
                                    "{name: random_label, epochs: 1}",
                                    "{name: amnesiac, epochs: 1}",
                                    "{name: l1_sparse, epochs: 1}",
                                    "{name: salun, epochs: 10}",
                                    "{name: del, epochs: 10}",
                                    "{name: nabla_tau, epochs: 5, tau: 9}",
                                    "{name: scrub, epochs: 1}",
                                    "{name: bad_teacher, epochs: 1}",
                                    "{name: imu, epochs: 10}",
                                    "{name: ssd}",
                                    "{name: influence, iterations: 3, examples: 256, tolerance: 0}"};
enum { METHODS = sizeof(texts) / sizeof(texts[0]) };

typedef struct bench {
    lo_dataset data;
    lo_recipe recipe;
    float scale[3], shift[3];
    uint8_t *pixel;
    int32_t *label;
    uint32_t *all, *forget, *retain;
    lo_request request;
    lo_trainer *trainer;
    lo_pupil *pupil;
    float *start;
} bench;

static void fail(const char *text)
{
    (void)fprintf(stderr, "bench_unlearning: %s\n", text);
    exit(1);
}

static void must(lo_status status, const lo_error *err)
{
    if (status != LO_OK) {
        fail(err->text);
    }
}

static void *room(size_t count, size_t size)
{
    void *data = calloc(count + 1, size);
    if (data == NULL) {
        fail("no memory");
    }
    return data;
}

/* The thread's own seconds. */
static double own_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void make_data(bench *b, int channels, int side, int64_t count)
{
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    const size_t size = (size_t)channels * (size_t)side * (size_t)side;
    b->pixel = room((size_t)count * size, 1);
    b->label = room((size_t)count, sizeof(int32_t));
    b->all = room(3 * (size_t)count, sizeof(uint32_t));
    b->forget = b->all + count;
    b->retain = b->forget + count;
    b->request = (lo_request){
        .dataset = &b->data, .name = "tenth", .forget = b->forget, .retain = b->retain, .seed = 1, .run = 1};
    for (size_t i = 0; i < (size_t)count * size; i++) {
        b->pixel[i] = (uint8_t)lo_random_u64(random, 0, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        b->all[i] = i;
        b->label[i] = (int32_t)lo_random_below(random, 1, i, CLASSES);
        *(i % 10 == 0 ? &b->forget[b->request.forget_count++] : &b->retain[b->request.retain_count++]) = i;
    }
    for (int c = 0; c < 3; c++) {
        b->scale[c] = 1.0F / 64;
        b->shift[c] = -2;
    }
    b->data = (lo_dataset){
        .shape = {channels, side, side}, .classes = CLASSES, .scale = b->scale, .shift = b->shift};
    b->data.train = (lo_examples){.count = count, .pixel = b->pixel, .label = b->label};
    b->data.validation = (lo_examples){.count = count / 10, .pixel = b->pixel, .label = b->label};
}

static double train(bench *b)
{
    lo_error err = {""};
    lo_training training;
    const double start = own_time();
    must(lo_trainer_run(b->trainer, 1, b->all, b->data.train.count, NULL, &training, &err), &err);
    return (double)(TRAIN_EPOCHS * b->data.train.count) / (own_time() - start);
}

static double evaluate(bench *b)
{
    lo_error err = {""};
    const double start = own_time();
    must(lo_trainer_evaluate(b->trainer, &b->data.train, NULL, NULL, NULL, &err), &err);
    return (double)b->data.train.count / (own_time() - start);
}

static int64_t shown(const bench *b)
{
    return lo_pupil_shown(b->pupil, LO_SET_FORGET) + lo_pupil_shown(b->pupil, LO_SET_RETAIN) +
           lo_pupil_shown(b->pupil, LO_SET_VALIDATION);
}

/* Images a second; the method's work, and seconds. */
static double unlearn(bench *b, const char *text, lo_unlearn_work *work, double *seconds)
{
    const lo_unlearn_sizes sizes = {.forget = b->request.forget_count,
                                    .retain = b->request.retain_count,
                                    .validation = b->data.validation.count,
                                    .batch = b->recipe.batch,
                                    .epochs = b->recipe.epochs};
    char list[256];
    lo_items *items = NULL;
    lo_error err = {""};
    (void)snprintf(list, sizeof(list), "[%s]", text);
    must(lo_items_parse(list, NULL, "methods", &items, &err), &err);
    lo_item *item = lo_items_at(items, 0);
    const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
    must(lo_item_accept(item, method->settings, method->setting_count, &err), &err);
    *work = method->work(&sizes, item);
    must(lo_pupil_begin(b->pupil, &b->request, 0, NULL, &err), &err);
    lo_pupil_set_weights(b->pupil, b->start);
    const int64_t before = shown(b);
    const double start = own_time();
    must(method->run(b->pupil, &b->request, item, NULL, &err), &err);
    *seconds = own_time() - start;
    lo_items_destroy(&items);
    return (double)(shown(b) - before) / *seconds;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    bench b = {0};
    lo_error err = {""};
    static double rate[METHODS + 2][MOST_ROUNDS];
    static double took[METHODS][MOST_ROUNDS];
    lo_unlearn_work work[METHODS];
    if (argc < 4) {
        fail("PRESET CHANNELS SIDE [EXAMPLES [BATCH [ROUNDS [PRECISION]]]]");
    }
    const int64_t examples = argc > 4 ? atoll(argv[4]) : 1280;
    const int rounds = argc > 6 && atoi(argv[6]) < MOST_ROUNDS ? atoi(argv[6]) : 5;
    const lo_model_spec model = {.preset = argv[1]};
    make_data(&b, atoi(argv[2]), atoi(argv[3]), examples);
    b.recipe = (lo_recipe){.epochs = TRAIN_EPOCHS,
                           .batch = argc > 5 ? atoi(argv[5]) : 128,
                           .lr = 0.01,
                           .momentum = 0.9,
                           .weight_decay = 5e-4,
                           .beta1 = 0.9,
                           .beta2 = 0.999,
                           .epsilon = 1e-8,
                           .precision = lo_precision_named(argc > 7 ? argv[7] : "f32"),
                           .seed = 1};
    must(lo_trainer_create(&model, &b.recipe, &b.data, &b.trainer, &err), &err);
    must(lo_pupil_create(&model, &b.recipe, &b.data, &b.pupil, &err), &err);
    b.start = room(lo_pupil_size(b.pupil), sizeof(float));
    must(lo_pupil_renew(b.pupil, 1), &err);
    lo_pupil_weights(b.pupil, b.start);
    for (int round = 0; round < rounds; round++) {
        rate[METHODS][round] = train(&b);
        rate[METHODS + 1][round] = evaluate(&b);
        for (int m = 0; m < METHODS; m++) {
            rate[m][round] = unlearn(&b, texts[m], &work[m], &took[m][round]);
        }
    }
    for (int m = 0; m < METHODS + 2; m++) {
        qsort(rate[m], (size_t)rounds, sizeof(double), ascending);
    }
    const double plain = rate[METHODS][rounds / 2];
    (void)printf("train images_per_s=%.0f ratio=1.00\n", plain);
    const lo_work_rates rates =
        lo_work_rates_of(lo_pupil_network(b.pupil), plain, rate[METHODS + 1][rounds / 2]);
    (void)printf("evaluate images_per_s=%.0f ratio=%.2f\n", rates.evaluated, rates.evaluated / plain);
    for (int m = 0; m < METHODS; m++) {
        const char *name = texts[m] + 7;
        const double median = rate[m][rounds / 2];
        qsort(took[m], (size_t)rounds, sizeof(double), ascending);
        (void)printf("%.*s images_per_s=%.0f ratio=%.2f foreseen=%.2f\n", (int)strcspn(name, ",}"), name,
                     median, median / plain, lo_unlearn_seconds(&work[m], &rates) / took[m][rounds / 2]);
    }
    lo_trainer_destroy(&b.trainer);
    lo_pupil_destroy(&b.pupil);
    free(b.pixel);
    free(b.label);
    free(b.all);
    free(b.start);
    return 0;
}
