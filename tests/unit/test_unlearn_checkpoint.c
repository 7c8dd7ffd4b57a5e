/* Methods that are interrupted between two epochs, or two parts of a request: each goes on, from everywhere,
 * with the bits that it has uninterrupted, counts what it was shown once, and does nothing twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checkpoint.h"

#include "unlearn_data.h"

enum { EPOCHS = 4 };

/* Asks for a stop at question number `stop_at` (from 1; 0: never). */
typedef struct asker {
    int asked, stop_at, saved, warned;
    double first_share;
} asker;

static lo_save ask(void *self, double share)
{
    asker *a = self;
    a->first_share = a->asked++ == 0 ? share : a->first_share;
    return a->asked == a->stop_at ? LO_SAVE_AND_STOP : LO_SAVE_NOTHING;
}

static void saved(void *self, double share)
{
    (void)share;
    ((asker *)self)->saved++;
}

static void warned(void *self, const char *text)
{
    (void)text;
    ((asker *)self)->warned++;
}

static lo_checkpoint checkpoint_of(asker *a)
{
    lo_checkpoint checkpoint = {.digest = 11, .ask = ask, .saved = saved, .warn = warned, .self = a};
    (void)snprintf(checkpoint.file, sizeof(checkpoint.file), "unlearn-%d.ckpt", (int)getpid());
    return checkpoint;
}

static lo_status count(void *self)
{
    ++*(int64_t *)self;
    return LO_OK;
}

/* *ticks: how often the method's loops have called theirs, which is how much they did. */
static lo_status run_counted(unlearn_data *u, const lo_request *request, const char *text,
                             lo_checkpoint *checkpoint, int64_t *ticks)
{
    lo_item *item = NULL;
    lo_error err = {""};
    const lo_tick tick = {count, ticks};
    const lo_unlearn_method *method = unlearn_method(u, text, &item);
    *ticks = 0;
    unlearn_reload(u);
    lo_pupil_permit(u->pupil, lo_unlearn_reads(method, item));
    lo_pupil_checkpoint(u->pupil, checkpoint);
    return method->run(u->pupil, request, item, &tick, &err);
}

static lo_status run_saved(unlearn_data *u, const lo_request *request, const char *text,
                           lo_checkpoint *checkpoint)
{
    int64_t ticks;
    return run_counted(u, request, text, checkpoint, &ticks);
}

static void account(const unlearn_data *u, int64_t shown[LO_SETS])
{
    for (int s = 0; s < LO_SETS; s++) {
        shown[s] = lo_pupil_shown(u->pupil, (lo_set)s);
    }
}

/* What a method leaves when nobody stops it. */
typedef struct outcome {
    float *weights;
    int64_t shown[LO_SETS], ticks;
    int asked;
} outcome;

static outcome undisturbed(unlearn_data *u, const char *text)
{
    outcome whole;
    asker a = {0};
    lo_checkpoint checkpoint = checkpoint_of(&a);
    assert_int_equal(run_counted(u, &u->request, text, &checkpoint, &whole.ticks), LO_OK);
    whole.weights = unlearn_weights(u);
    whole.asked = a.asked;
    account(u, whole.shown);
    assert_int_equal(a.saved, 0);
    return whole;
}

/* Stopped at question number `stop`, and gone on with. What is between leaves nothing behind: another method
 * runs. What precedes the epochs is done twice, as masks are; `exact`: there is nothing of the kind. */
static asker check_stop(unlearn_data *u, const char *text, const outcome *whole, int stop, bool exact)
{
    int64_t found[LO_SETS], before_ticks, after_ticks;
    asker first = {.stop_at = stop}, second = {0};
    lo_checkpoint before = checkpoint_of(&first), after = checkpoint_of(&second);
    assert_int_equal(run_counted(u, &u->request, text, &before, &before_ticks), LO_STOPPED);
    assert_int_equal(first.saved, 1);
    unlearn_run(u, "{name: finetune, epochs: 1, optimizer: adamw}");
    assert_int_equal(run_counted(u, &u->request, text, &after, &after_ticks), LO_OK);
    assert_int_equal(second.warned, 0);
    float *rest = unlearn_weights(u);
    account(u, found);
    if (memcmp(whole->weights, rest, unlearn_weights_size(u)) != 0) {
        fail_msg("%s: stopped at question %d, it ends with other bits", text, stop);
    }
    assert_memory_equal(whole->shown, found, sizeof(found));
    assert_true(after.seconds > 0);
    if (exact && before_ticks + after_ticks > whole->ticks + 16) { /* files call it too */
        fail_msg("%s: %lld and %lld ticks in two parts, %lld in one", text, (long long)before_ticks,
                 (long long)after_ticks, (long long)whole->ticks);
    }
    free(rest);
    lo_checkpoint_remove(&after);
    return second;
}

static void check_epochs(unlearn_data *u, const char *text, bool exact)
{
    outcome whole = undisturbed(u, text);
    assert_int_equal(whole.asked, EPOCHS - 1);
    for (int stop = 1; stop < EPOCHS; stop++) {
        const asker second = check_stop(u, text, &whole, stop, exact);
        /* It did not begin again: the first question is that of the epoch it was stopped after. */
        assert_int_equal(second.asked, EPOCHS - stop);
        assert_true(second.first_share == (double)stop / EPOCHS);
    }
    free(whole.weights);
}

static void test_bits(void **state)
{
    static const char *const texts[] = {
        "{name: finetune, epochs: 4}",
        "{name: finetune, epochs: 4, optimizer: adamw, lr: 1.0e-3, schedule: cosine}",
        "{name: neggrad, epochs: 4, mode: eval, stop_accuracy: 0.001}",
        "{name: neggrad_plus, epochs: 4, batch: 10}",
        "{name: random_label, epochs: 4}",
        "{name: random_label, epochs: 4, draw: once}",
        "{name: salun, epochs: 4}",
        "{name: salun, epochs: 4, strict_mask: false, passes: mixed}",
        "{name: amnesiac, epochs: 4}",
        "{name: l1_sparse, epochs: 4, plain_epochs: 1}",
        "{name: scrub, epochs: 4, max_epochs: 2, lr: 0.01}",
        "{name: bad_teacher, epochs: 4, lr: 1.0e-3}",
        "{name: del, epochs: 4}"};
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u = unlearn_open(
        "[{conv: 6}, batch_norm, relu, {max_pool: 2}, {dropout: 0.2}, flatten, {linear: 4}]", &augment);
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_epochs(u, texts[i], false);
    }
    unlearn_close(u);
}

/* Methods that have more than the pupil between two epochs: counters, tau, influences, weights of every
 * epoch, a solver. None of their work is done twice. */
static void test_own_state(void **state)
{
    static const char *const texts[] = {
        "retrain",
        "{name: nabla_tau, epochs: 4, batch: 7, tau_refresh: 3}",
        "{name: nabla_tau, epochs: 4, mode: train, tau_refresh: 1, alpha_decay: step}",
        "{name: scrub, epochs: 4, rewind: true, lr: 0.01}",
        "{name: imu, epochs: 4, l1: 0.001, batch: 5, top: 0.6}",
        "{name: imu, epochs: 4, l1: 0.001, refresh: epoch, batch: 5, top: 0.6}",
        "{name: imu, epochs: 4, l1: 0.001, refresh: batch, batch: 5, top: 0.6}",
        "{name: imu, epochs: 4, l1: 0.0001, weights: all, top: 0.5}",
        "{name: influence, iterations: 4, tolerance: 0, examples: 40}"};
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u = unlearn_open(
        "[{conv: 6}, batch_norm, relu, {max_pool: 2}, {dropout: 0.2}, flatten, {linear: 4}]", &augment);
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_epochs(u, texts[i], true);
    }
    unlearn_close(u);
}

/* Groups one after the other, with methods of epochs, of none, and nothing at all in them. */
static void test_parts(void **state)
{
    static const struct {
        const char *text;
        int questions;
        bool exact;
    } runs[] = {
        {"{name: rum, inner: [{name: finetune, epochs: 3}, {name: neggrad, epochs: 2}, {name: finetune, "
         "epochs: 2}]}",
         2 + 1 + 1 + 2, true},
        {"{name: rum, control: reversed, inner: [{name: nabla_tau, epochs: 3, tau_refresh: 2}, ssd, {name: "
         "finetune, "
         "epochs: 2, optimizer: adamw}]}",
         1 + 2 + 2, true},
        {"{name: rum, inner: [none, {name: scrub, epochs: 3, rewind: true, lr: 0.01}, {name: salun, epochs: "
         "3}]}",
         2 + 2 + 2, false},
        {"{name: rum, control: shuffled, groups: 2, inner: [{name: del, epochs: 2}]}", 1 + 1 + 1, false},
        {"{name: rum, groups: 1, inner: [{name: finetune, epochs: 4}]}", 3, true}};
    const lo_augment augment = {.flip = LO_FLIP_RANDOM, .crop = 1};
    unlearn_data *u = unlearn_open(
        "[{conv: 6}, batch_norm, relu, {max_pool: 2}, {dropout: 0.2}, flatten, {linear: 4}]", &augment);
    (void)state;
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        outcome whole = undisturbed(u, runs[i].text);
        assert_int_equal(whole.asked, runs[i].questions);
        double share = 0;
        for (int stop = 1; stop <= whole.asked; stop++) {
            const asker second = check_stop(u, runs[i].text, &whole, stop, runs[i].exact);
            /* Within a part the question is asked again. */
            assert_in_range(second.asked, whole.asked - stop, whole.asked - stop + 1);
            assert_true(second.asked == 0 || (second.first_share >= share && second.first_share < 1));
            share = second.first_share;
        }
        free(whole.weights);
    }
    unlearn_close(u);
}

/* A file that does not fit, or is damaged, is complained of, and the method begins again. */
static void test_refused(void **state)
{
    static const char text[] = "{name: finetune, epochs: 4}",
                      other[] = "{name: finetune, epochs: 4, optimizer: adamw}";
    unlearn_data *u = unlearn_open(NULL, NULL);
    (void)state;
    unlearn_run(u, text);
    float *whole = unlearn_weights(u);
    for (int kind = 0; kind < 3; kind++) {
        asker first = {.stop_at = 2}, second = {0};
        lo_checkpoint before = checkpoint_of(&first), after = checkpoint_of(&second);
        assert_int_equal(run_saved(u, &u->request, kind == 0 ? other : text, &before), LO_STOPPED);
        after.digest += kind == 1; /* another task's */
        if (kind == 2) {
            FILE *file = fopen(after.file, "r+b");
            assert_non_null(file);
            (void)fseek(file, 300, SEEK_SET);
            (void)fputc(fgetc(file) + 1, file);
            (void)fclose(file);
        }
        assert_int_equal(run_saved(u, &u->request, text, &after), LO_OK);
        assert_int_equal(second.warned, 1);
        assert_int_equal(second.asked, EPOCHS - 1);
        assert_true(after.seconds == 0);
        float *rest = unlearn_weights(u);
        assert_memory_equal(whole, rest, unlearn_weights_size(u));
        free(rest);
        lo_checkpoint_remove(&after);
    }
    free(whole);
    unlearn_close(u);
}

/* What has no epochs is never saved. */
static void test_not_saved(void **state)
{
    static const char *const texts[] = {"ssd", "{name: ssd, importance: batch}"};
    unlearn_data *u = unlearn_open(NULL, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        asker a = {.stop_at = 1};
        lo_checkpoint checkpoint = checkpoint_of(&a);
        assert_int_equal(run_saved(u, &u->request, texts[i], &checkpoint), LO_OK);
        assert_int_equal(a.asked, 0);
    }
    unlearn_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_own_state),
                                       cmocka_unit_test(test_parts), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_not_saved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
