/* Methods that are interrupted between two epochs: each goes on, from every epoch, with the bits that it has
 * uninterrupted, and counts what it was shown once. */
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

static lo_status run_saved(unlearn_data *u, const lo_request *request, const char *text,
                           lo_checkpoint *checkpoint)
{
    lo_item *item = NULL;
    lo_error err = {""};
    const lo_unlearn_method *method = unlearn_method(u, text, &item);
    unlearn_reload(u);
    lo_pupil_permit(u->pupil, lo_unlearn_reads(method, item));
    lo_pupil_checkpoint(u->pupil, checkpoint);
    return method->run(u->pupil, request, item, NULL, &err);
}

static void account(const unlearn_data *u, int64_t shown[LO_SETS])
{
    for (int s = 0; s < LO_SETS; s++) {
        shown[s] = lo_pupil_shown(u->pupil, (lo_set)s);
    }
}

/* What is between the parts leaves nothing behind: another method runs. */
static void check_epochs(unlearn_data *u, const char *text)
{
    int64_t expected[LO_SETS], found[LO_SETS];
    unlearn_run(u, text);
    float *whole = unlearn_weights(u);
    account(u, expected);
    for (int stop = 1; stop < EPOCHS; stop++) {
        asker first = {.stop_at = stop}, second = {0};
        lo_checkpoint before = checkpoint_of(&first), after = checkpoint_of(&second);
        assert_int_equal(run_saved(u, &u->request, text, &before), LO_STOPPED);
        assert_int_equal(first.saved, 1);
        float *part = unlearn_weights(u);
        assert_int_not_equal(memcmp(whole, part, unlearn_weights_size(u)), 0);
        free(part);
        unlearn_run(u, "{name: finetune, epochs: 1, optimizer: adamw}");
        assert_int_equal(run_saved(u, &u->request, text, &after), LO_OK);
        float *rest = unlearn_weights(u);
        account(u, found);
        if (memcmp(whole, rest, unlearn_weights_size(u)) != 0) {
            fail_msg("%s: stopped after epoch %d, it ends with other bits", text, stop);
        }
        assert_memory_equal(expected, found, sizeof(expected));
        assert_true(after.seconds > 0);
        /* It did not begin again: the first question is that of the epoch it was stopped after. */
        assert_int_equal(second.asked, EPOCHS - stop);
        assert_true(second.first_share == (double)stop / EPOCHS);
        free(rest);
        lo_checkpoint_remove(&after);
    }
    free(whole);
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
        check_epochs(u, texts[i]);
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

/* What is not the whole request, keeps earlier weights, or is no epochs at all is never saved. */
static void test_not_saved(void **state)
{
    static const char *const texts[] = {
        "{name: rum, inner: [none, {name: finetune, epochs: 2}, {name: del, epochs: 2}]}",
        "{name: scrub, epochs: 3, rewind: true, lr: 0.01}", "ssd"};
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_not_saved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
