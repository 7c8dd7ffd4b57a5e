/* Nabla-tau: what tau is measured on, how alpha falls, step by step, and what it keeps of the retain set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unlearn_data.h"

#include <math.h>

static float *weights_after(unlearn_data *u, const char *settings, double tau)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   tau > 0 ? "{name: nabla_tau, %s, tau: %.17g}" : "{name: nabla_tau, %s}", settings, tau);
    unlearn_run(u, text);
    return unlearn_weights(u);
}

static void compare_bits(const unlearn_data *u, const float *a, const float *b, bool equal)
{
    assert_int_equal(memcmp(a, b, unlearn_weights_size(u)) == 0, equal);
}

/* With augmentation tau is the validation set's loss in views of the run's key, and not that of the examples
 * as they are; without views it is that. */
static void test_tau_of_views(void **state)
{
    (void)state;
    static const char *const views = "epochs: 5, alpha: 0.5", *const plain =
                                                                  "epochs: 5, alpha: 0.5, views: false";
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u = unlearn_open(NULL, &augment);
    const lo_members unseen = lo_members_validation(&u->request);
    lo_measure viewed, bare, other;
    lo_error err = {""};
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
    const uint64_t key = lo_pupil_key(u->pupil, LO_USE_VALIDATION);
    unlearn_check(lo_pupil_measure(u->pupil, &unseen, true, key, 0, &viewed, &err), &err);
    unlearn_check(lo_pupil_measure(u->pupil, &unseen, true, key, 1, &other, &err), &err);
    unlearn_check(lo_pupil_measure(u->pupil, &unseen, false, 0, 0, &bare, &err), &err);
    assert_true(fabs(viewed.loss - bare.loss) > 1e-3 && fabs(viewed.loss - other.loss) > 1e-3);
    float *run = weights_after(u, views, 0), *same = weights_after(u, views, viewed.loss),
          *differs = weights_after(u, views, bare.loss), *later = weights_after(u, views, other.loss);
    compare_bits(u, run, same, true);
    compare_bits(u, run, differs, false);
    compare_bits(u, run, later, false);
    float *without = weights_after(u, plain, 0), *as_they_are = weights_after(u, plain, bare.loss);
    compare_bits(u, without, as_they_are, true);
    compare_bits(u, without, run, false);
    /* Nor are the batches viewed: a pupil whose recipe does not augment does the same. */
    unlearn_data *never = unlearn_open(NULL, NULL);
    unlearn_check(lo_pupil_load(never->pupil, u->original, &err), &err);
    unlearn_run_on(never, &never->request, "{name: nabla_tau, epochs: 5, alpha: 0.5}");
    float *unviewed = unlearn_weights(never);
    compare_bits(u, without, unviewed, true);
    unlearn_close(never);
    free(unviewed);
    free(run);
    free(same);
    free(differs);
    free(later);
    free(without);
    free(as_they_are);
    unlearn_close(u);
}

enum { EPOCHS = 4, BATCH = 4 };

typedef enum decay { BY_EPOCH, BY_STEP, NEVER } decay;

/* With a tau of almost 0 no batch of the forget set has a say: steps on the retain set, 1 - alpha times its
 * loss, where alpha begins at `start`, and at rates from lr in a straight line towards `end` of it. */
static float *direct_steps(unlearn_data *u, double start, decay how, double lr, double end)
{
    lo_error err = {""};
    lo_feed *feed = NULL;
    lo_batch batch;
    const lo_pace pace = {.optimizer = LO_OPTIMIZER_SGD, .lr = lr};
    const int steps = (int)((u->request.forget_count + BATCH - 1) / BATCH), all = EPOCHS * steps;
    unlearn_reload(u);
    unlearn_check(lo_pupil_begin(u->pupil, &u->request, BATCH, NULL, &err), &err);
    unlearn_check(lo_pupil_pace(u->pupil, &pace, &err), &err);
    lo_pupil_set_training(u->pupil, false);
    const lo_feed_spec spec = {.rows = u->request.retain,
                               .count = u->request.retain_count,
                               .key = lo_pupil_key(u->pupil, LO_USE_RETAIN)};
    unlearn_check(lo_feed_open(u->pupil, &spec, &feed, &err), &err);
    for (int i = 0; i < all; i++) {
        const int epoch = i / steps;
        const double left = how == NEVER     ? 1
                            : how == BY_STEP ? (double)(all - i) / all
                                             : (double)(EPOCHS - epoch) / EPOCHS;
        double share = 1 - start * left;
        lo_feed_cycle(feed, &batch);
        unlearn_check(lo_pupil_learn(u->pupil, &batch, lo_loss_mean, &share, &err), &err);
        assert_int_equal(lo_pupil_step(u->pupil, lr + (end - lr) * epoch / EPOCHS), LO_OK);
    }
    lo_feed_close(&feed);
    return unlearn_weights(u);
}

static double apart(const unlearn_data *u, const float *a, const float *b)
{
    double sum = 0;
    for (size_t i = 0; i < lo_pupil_network(u->pupil)->weight_size; i++) {
        sum += pow((double)a[i] - (double)b[i], 2);
    }
    return sqrt(sum);
}

/* By default 5/3 of the share that is forgotten, falling epoch by epoch. */
static void test_alpha(void **state)
{
    (void)state;
    static const char *const text[] = {"", ", alpha_decay: step", ", alpha_decay: none"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    const double f = (double)u->request.forget_count, r = (double)u->request.retain_count;
    float *got[3];
    for (int how = BY_EPOCH; how <= NEVER; how++) {
        char settings[160];
        (void)snprintf(settings, sizeof(settings),
                       "epochs: %d, batch: %d, optimizer: sgd, momentum: 0, weight_decay: 0, lr: 0.02%s",
                       EPOCHS, BATCH, text[how]);
        float *expected = direct_steps(u, 5 * f / (3 * (f + r)), (decay)how, 0.02, 0.002);
        got[how] = weights_after(u, settings, 1e-9);
        const double moved = apart(u, got[how], lo_pupil_original(u->pupil));
        if (!(moved > 0 && apart(u, got[how], expected) < 1e-5 * moved)) {
            fail_msg("%s: moved by %g, %g off", settings, moved, apart(u, got[how], expected));
        }
        for (int other = 0; other < how; other++) {
            assert_true(apart(u, got[how], got[other]) > 1e-3 * moved);
        }
        free(expected);
    }
    free(got[0]);
    free(got[1]);
    free(got[2]);
    unlearn_close(u);
}

/* Forgets the examples whose number is among the first `percent` of a permutation of a hundred, all of which
 * have another label; and an original that has learnt these by heart. */
static void learn_wrong_labels(unlearn_data *u, uint64_t percent)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    lo_training training;
    lo_recipe recipe = u->recipe;
    uint32_t all[UNLEARN_TRAIN];
    recipe.epochs = 40;
    u->request.forget_count = u->request.retain_count = 0;
    for (uint32_t i = 0; i < UNLEARN_TRAIN; i++) {
        all[i] = i;
        if (i * UINT64_C(37) % 100 < percent) {
            u->forget[u->request.forget_count++] = i;
            u->data->label[0][i] = (u->data->label[0][i] + 1) % UNLEARN_CLASSES;
        } else {
            u->retain[u->request.retain_count++] = i;
        }
    }
    unlearn_check(lo_trainer_create(&u->model, &recipe, &u->data->dataset, &trainer, &err), &err);
    unlearn_check(lo_trainer_run(trainer, 1, all, UNLEARN_TRAIN, NULL, &training, &err), &err);
    unlearn_check(lo_trainer_save(trainer, u->original, NULL, 0, &err), &err);
    lo_trainer_destroy(&trainer);
    unlearn_reload(u);
}

static lo_measure measure(unlearn_data *u, lo_members members)
{
    lo_error err = {""};
    lo_measure out;
    lo_pupil_permit(u->pupil, LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION);
    unlearn_check(lo_pupil_measure(u->pupil, &members, false, 0, 0, &out, &err), &err);
    return out;
}

/* With 15 and with 30 % to forget, and alpha 0.25 and 0.5: the loss rises towards that of unseen data, and
 * what is retained stays known. */
static void test_keeps_what_is_retained(void **state)
{
    (void)state;
    static const uint64_t percent[] = {15, 30};
    for (int i = 0; i < 2; i++) {
        unlearn_data *u = unlearn_open(NULL, NULL);
        lo_error err = {""};
        learn_wrong_labels(u, percent[i]);
        const lo_members forget = lo_members_forget(&u->request), retain = lo_members_retain(&u->request);
        unlearn_check(lo_pupil_begin(u->pupil, &u->request, 0, NULL, &err), &err);
        const lo_measure learnt = measure(u, forget), known = measure(u, retain),
                         unseen = measure(u, lo_members_validation(&u->request));
        unlearn_run(u, "{name: nabla_tau, batch: 8}");
        const lo_measure after = measure(u, forget), kept = measure(u, retain);
        assert_true(learnt.loss < 0.05 && unseen.loss > 0.4);
        if (!(after.loss > 0.4 * unseen.loss && after.loss < 2 * unseen.loss)) {
            fail_msg("a forget loss of %g, that of unseen examples was %g", after.loss, unseen.loss);
        }
        assert_true(after.correct < learnt.correct);
        if (!(known.correct == known.count && kept.correct >= kept.count - 2)) {
            fail_msg("%d of %d retained examples right, before %d", (int)kept.correct, (int)kept.count,
                     (int)known.correct);
        }
        unlearn_close(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tau_of_views),
        cmocka_unit_test(test_alpha),
        cmocka_unit_test(test_keeps_what_is_retained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
