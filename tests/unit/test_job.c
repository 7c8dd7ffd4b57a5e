/* The job file: errors by line and key, values, overrides, the effective job, digests, differences. */
#include "base/file.h"
#include "base/items.h"
#include "base/job.h"
#include "base/random.h"
#include "base/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA  "data: {format: idx, path: /d}\n"
#define MODEL "model: {preset: mlp}\n"

/* Lines 1 to 10; what the tests add comes after. */
static const char base[] = "seed: 7\n"
                           "data:\n"
                           "  format: idx\n"
                           "  path: /d\n"
                           "model:\n"
                           "  preset: mlp\n"
                           "ensemble:\n"
                           "  models: 20\n"
                           "scores: [memorization]\n"
                           "influence: {}\n";

/* A path of the checkout: FIXTURES is its tests/fixtures, which a checkout without fixtures lacks. */
static const char *source_path(const char *name, char *path, size_t size)
{
    const size_t length = strlen(FIXTURES) - strlen("/tests/fixtures");
    (void)snprintf(path, size, "%.*s/%s", (int)length, FIXTURES, name);
    return path;
}

/* Is a score of this name in the list? */
static bool lists_score(const lo_job *job, const char *name)
{
    lo_items *items = NULL;
    bool found = false;
    assert_int_equal(lo_items_read(job, "scores", &items, NULL), LO_OK);
    for (int64_t i = 0; i < lo_items_count(items); i++) {
        found = found || strcmp(lo_item_name(lo_items_at(items, i)), name) == 0;
    }
    lo_items_destroy(&items);
    return found;
}

static lo_job *parse_with(const char *text, const char *const *overrides, int count)
{
    lo_job *job = NULL;
    lo_error err = {0};
    if (lo_job_parse(text, "job.yaml", overrides, count, &job, &err) != LO_OK) {
        fail_msg("%s", err.text);
    }
    assert_non_null(job);
    return job;
}

static lo_job *parse(const char *text)
{
    return parse_with(text, NULL, 0);
}

static lo_job *parse_set(const char *text, const char *override)
{
    return parse_with(text, &override, 1);
}

/* Fails to parse, with exactly this beginning of the error, and all the parts of it. */
static void expect_error(const char *text, const char *override, const char *start, const char *part)
{
    lo_job *job = (lo_job *)&job;
    lo_error err = {0};
    const lo_status status = lo_job_parse(text, "job.yaml", &override, override != NULL, &job, &err);
    if (status != LO_USAGE || strncmp(err.text, start, strlen(start)) != 0 ||
        strstr(err.text, part) == NULL) {
        fail_msg("status %d for\n%s\nwith %s:\n  %s\nexpected\n  %s ... %s", status, text,
                 override != NULL ? override : "no override", err.text, start, part);
    }
    assert_null(job);
}

/* ---- errors ---- */

typedef struct error_case {
    const char *text;
    const char *start;
    const char *part;
} error_case;

/* Each text stands alone. */
static const error_case whole_cases[] = {
    {"", "job.yaml:1: found nothing", "allowed: a map of the keys seed, "},
    {"# only a comment\n", "job.yaml:1: found nothing", "map"},
    {"---\n...\n", "job.yaml:", "found nothing"},
    {"[1, 2]\n", "job.yaml:1: found a list", "allowed: a map"},
    {"\n\nhello\n", "job.yaml:3: found 'hello'", "allowed: a map"},
    {"seed: 1\n---\nseed: 2\n", "job.yaml:2: found a second YAML document", "allowed: one"},
    {"seed: &a 1\n", "job.yaml:1: found the anchor '&a'", "not allowed"},
    {"data: &a\n  format: idx\n", "job.yaml:1: found the anchor '&a'", "not allowed"},
    {"seed: 1\nisa: *a\n", "job.yaml:2: found the alias '*a'", "not allowed"},
    {"seed: 1\n*a : 2\n", "job.yaml:2: found an alias as a key", "allowed: a name"},
    {"seed: !!int 1\n", "job.yaml:1: found the tag '", "not allowed"},
    {"? [a, b]\n: 1\n", "job.yaml:1: found a list or map as a key", "allowed: a name"},
    {"seed: 1\n\tisa: auto\n", "job.yaml:2:1: not YAML: ", "spaces, not tabs"},
    {"seed: 1\ndata:\n\tformat: idx\n", "job.yaml:3:1: not YAML: found character that cannot start any token",
     "spaces, not tabs"},
    {"seed: 1\ndata:\n    format: idx\n  path: /d\n", "job.yaml:4:3: not YAML: ", "block"},
    {"seed: [1, 2\nisa: auto\n", "job.yaml:2:4: not YAML: ", "flow sequence"},
    {"seed: \"abc\n", "job.yaml:2:1: not YAML: ", "quoted scalar"},
    {"seed: 1\nis\xff: 2\n", "job.yaml:2: not YAML: ", "UTF-8"},
    {"seed: 1\nis\x01: 2\n", "job.yaml:2: not YAML: ", "control characters"},
    {"seed: 1\ndata:\n  path: \"a\\0b\"\n", "job.yaml:3: found a text with a NUL byte", "not allowed"},
    {"seed: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "job.yaml:1: found nesting deeper than 16", ""},
    {"seed: 1\nisa: auto\nseed: 1\n", "job.yaml:3: seed: found twice, first on line 1", "allowed once"},
    {"train:\n  epochs: 1\n\n  epochs: 2\n", "job.yaml:4: epochs: found twice, first on line 2",
     "allowed once"},
    {MODEL, "job.yaml: data: is missing", "allowed: a map of keys"},
    {DATA, "job.yaml: model: is missing", "allowed: a map of keys"},
    {"seed: 3\ndata:\n  format: idx\n" MODEL, "job.yaml:2: data.path: is missing", "allowed: a text"},
    {"data: {path: /d}\n" MODEL, "job.yaml:1: data.format: is missing", "one of: idx"},
    {DATA "model: {}\n", "job.yaml:2: model.preset: is missing",
     "one of: linear mlp cnn resnet9 resnet18 resnet50 vgg16_bn vit layers"},
    {DATA "model:\n", "job.yaml:2: model: found nothing", "allowed: a map"},
    {DATA "model: mlp\n", "job.yaml:2: model: found 'mlp'", "allowed: a map"},
    {DATA "model: [mlp]\n", "job.yaml:2: model: found a list", "allowed: a map"},
    {DATA "model: {preset: {name: mlp}}\n", "job.yaml:2: model.preset: found a map", "one of"},
    {DATA "model: {preset: mpl}\n", "job.yaml:2: model.preset: found 'mpl' (nearest: mlp)", "linear mlp cnn"},
    {DATA "model: {preset: lenet}\n",
     "job.yaml:2: model.preset: found 'lenet'; allowed: one of: linear mlp cnn", ""},
    {DATA "model:\n  preset: cnn\n  hidden: [5]\n", "job.yaml:4: model.hidden: found with model.preset: cnn",
     "allowed only with model.preset: mlp"},
    {DATA MODEL "train:\n  augment: [flip]\n  crop: 3\n",
     "job.yaml:5: train.crop: found with train.augment: [flip]", "allowed only with train.augment: crop"},
    {DATA MODEL "train: {augment: [flip, alternating_flip]}\n", "job.yaml:3: train.augment: found flip and",
     ""},
    {DATA MODEL "train:\n  schedule: {name: step}\n", "job.yaml:4: train.schedule.milestones: is missing",
     "each 1 to 100000, 1 to 16 of them"},
    {DATA MODEL "train: {schedule: {name: step, milestones: [4, 4]}}\n",
     "job.yaml:3: train.schedule.milestones: found 4 twice", "once"},
    {DATA MODEL "train: {schedule: {peak: 0.4}}\n",
     "job.yaml:3: train.schedule.peak: found with train.schedule.name: cosine", "one_cycle"},
    {DATA MODEL "train: {optimizer: {name: adam}}\n",
     "job.yaml:3: train.optimizer.name: found 'adam' (nearest: adamw)", "one of: sgd adamw"},
    {DATA MODEL "train: {optimizer: {name: adamw, momentum: 0.9}}\n",
     "job.yaml:3: train.optimizer.momentum: found with train.optimizer.name: adamw", "sgd"},
    {DATA MODEL "train: {optimizer: {beta1: 0.9}}\n",
     "job.yaml:3: train.optimizer.beta1: found with train.optimizer.name: sgd", "adamw"},
    {DATA MODEL "train: {optimizer: {name: adamw, epsilon: 0}}\n",
     "job.yaml:3: train.optimizer.epsilon: found '0'", "1e-30 to 1"},
    {DATA "model: {preset: mlp,\n  width: 5}\n", "job.yaml:3: model.width: found with model.preset: mlp",
     "allowed only with model.preset: cnn"},
    {DATA MODEL "ensemble: {}\n", "job.yaml:3: ensemble.models: is missing", "a whole number, at least 1"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n", "job.yaml:3: ensemble.examples: is missing",
     "a list of whole numbers, each at least 0"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  models: 3\n  examples: [1]\n",
     "job.yaml:5: ensemble.models: found with ensemble.design: leave_one_out", "allowed only with"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  ratio: 0.5\n  examples: [1]\n",
     "job.yaml:5: ensemble.ratio: found with ensemble.design: leave_one_out", "random balanced"},
    {DATA MODEL "ensemble:\n  models: 3\n  examples: [1]\n",
     "job.yaml:5: ensemble.examples: found with ensemble.design: balanced", "allowed only with"},
    {DATA MODEL "ensemble:\n  design: random\n  models: 3\n  seeds: 2\n",
     "job.yaml:6: ensemble.seeds: found with ensemble.design: random", "leave_one_out"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: [4, 9,\n    4]\n",
     "job.yaml:5: ensemble.examples: found 4 twice", "each number once"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: [4,\n    -9]\n",
     "job.yaml:6: ensemble.examples: found '-9'", "at least 0"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: []\n",
     "job.yaml:5: ensemble.examples: found a list of 0", "at least 1"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: 12\n",
     "job.yaml:5: ensemble.examples: found '12'", "a list of whole numbers"},
    {DATA MODEL "ensemble:\n  design: leave_group_out\n", "job.yaml:3: ensemble.groups: is missing",
     "at least 1 of them"},
    {DATA MODEL "ensemble:\n  design: complementary\n  models: 4\n  ratio: 0.5\n",
     "job.yaml:6: ensemble.ratio: found with ensemble.design: complementary", "random balanced bernoulli"},
    {DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: [1]\n  until: {}\n",
     "job.yaml:6: ensemble.until: found with ensemble.design: leave_one_out", "complementary"},
    {DATA MODEL "ensemble:\n  models: 9\n  until: {error: 0.1}\n",
     "job.yaml:5: ensemble.until.error: unknown key", "standard_error, over, first"},
    {DATA MODEL "ensemble: {design: leave_group_out, groups: [0]}\ninfluence: {}\n",
     "job.yaml:4: influence: found with ensemble.design: leave_group_out", "with the other designs"},
    {DATA MODEL "\ninfluence: {}\n", "job.yaml:4: influence: found without an ensemble", "ensemble"},
    {DATA MODEL "a: 1\n", "job.yaml:3: a: unknown key; allowed here: seed, reproducible, isa, data, model",
     ""},
    {DATA "modell: {preset: mlp}\n", "job.yaml:2: modell: unknown key; the nearest is model;",
     "allowed here"},
    {DATA MODEL "epochs: 5\n", "job.yaml:3: epochs: unknown key; the nearest is train.epochs;",
     "allowed here: seed,"},
    {DATA MODEL "lr: 5\n", "job.yaml:3: lr: unknown key; the nearest is train.optimizer.lr;",
     "allowed here: seed,"},
    {DATA MODEL "train:\n  batch: 1\n  Epohcs: 5\n",
     "job.yaml:5: train.Epohcs: unknown key; the nearest is train.epochs;",
     "allowed here: epochs, batch, optimizer, schedule, precision"},
    {DATA MODEL "train: {schedule: {nam: cosine}}\n",
     "job.yaml:3: train.schedule.nam: unknown key; the nearest is train.schedule.name;",
     "allowed here: name"},
    {DATA MODEL "train: {lr: 5}\n", "job.yaml:3: train.lr: unknown key; the nearest is train.optimizer.lr;",
     "epochs"},
    {DATA MODEL "train.epochs: 5\n", "job.yaml:3: train.epochs: found as one name", "train: {epochs: 10}"},
    {DATA MODEL "train: {optimizer.lr: 5}\n", "job.yaml:3: train.optimizer.lr: unknown key", "epochs"},
};

static void each_error_names_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(whole_cases) / sizeof(whole_cases[0]); i++) {
        expect_error(whole_cases[i].text, NULL, whole_cases[i].start, whole_cases[i].part);
    }
}

/* A key's path, a value that it does not allow, what was found, what is allowed. Given once in the file, once
 * by --set. */
typedef struct value_case {
    const char *section;
    const char *key;
    const char *bad;
    const char *found;
    const char *allowed;
} value_case;

static const value_case value_cases[] = {
    {"train", "epochs", "1e3", "'1e3', not written in digits alone", "a whole number, 1 to 100000"},
    {"train", "epochs", "1_000", "'1_000', not written in digits alone", "a whole number, 1 to 100000"},
    {"train", "epochs", "10.0", "'10.0', not written in digits alone", "a whole number, 1 to 100000"},
    {"train", "epochs", "010", "'010', not written in digits alone", "a whole number"},
    {"train", "epochs", "0x10", "'0x10'", "a whole number"},
    {"train", "epochs", "12abc", "'12abc'", "a whole number"},
    {"train", "epochs", "\"12\"", "the quoted text '12'", "a whole number"},
    {"train", "epochs", "true", "'true'", "a whole number"},
    {"train", "epochs", "0", "'0'", "1 to 100000"},
    {"train", "epochs", "-3", "'-3'", "1 to 100000"},
    {"train", "epochs", "100001", "'100001'", "1 to 100000"},
    {"train", "epochs", "9223372036854775808", "'9223372036854775808', beyond 64 bits", "a whole number"},
    {"train", "epochs", "[1]", "a list", "a whole number"},
    {"train", "epochs", "{a: 1}", "a map", "a whole number"},
    {"train", "epochs", "", "nothing", "a whole number"},
    {"data", "train_limit", "-1", "'-1'", "a whole number, at least 0"},
    {"data", "validation", "1", "'1'", "a number, at least 0 and below 1"},
    {"data", "validation", "-0.1", "'-0.1'", "a number, at least 0 and below 1"},
    {"data", "validation", ".nan", "'.nan'", "a number"},
    {"data", "validation", "nan", "'nan'", "a number"},
    {"data", "validation", ".inf", "'.inf'", "a number"},
    {"data", "validation", "inf", "'inf'", "a number"},
    {"data", "validation", "0x1p-3", "'0x1p-3'", "a number"},
    {"data", "validation", "0.1x", "'0.1x'", "a number"},
    {"data", "validation", ".", "'.'", "a number"},
    {"data", "validation", "1e", "'1e'", "a number"},
    {"data", "validation", "'0.1'", "the quoted text '0.1'", "a number"},
    {"data", "validation", "1e999", "'1e999', too large", "a number"},
    {"data", "validation", "[0.1]", "a list", "a number"},
    {"data", "path", "[a]", "a list", "a text"},
    {"data", "path", "''", "an empty text", "a text"},
    {"data", "path", "", "nothing", "a text"},
    {"data", "class_names", "cat", "'cat'", "a list of texts"},
    {"data", "class_names", "[a, [b]]", "a list", "a list of texts"},
    {"data", "class_names", "[a, null]", "nothing", "a list of texts"},
    {"model", "hidden", "512", "'512'", "a list of whole numbers, each 1 to 65536, 1 to 16 of them"},
    {"model", "hidden", "[]", "a list of 0", "1 to 16 of them"},
    {"model", "hidden", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "a list of 17", "1 to 16 of them"},
    {"model", "hidden", "[5, 0]", "'0'", "1 to 65536"},
    {"model", "hidden", "[5, a]", "'a'", "1 to 65536"},
    {"model", "hidden", "[65537]", "'65537'", "1 to 65536"},
    {"ensemble", "ratio", "0", "'0'", "a number, above 0 and below 1"},
    {"ensemble", "ratio", "1", "'1'", "a number, above 0 and below 1"},
    {"ensemble", "models", "0", "'0'", "a whole number, at least 1"},
    {"ensemble", "design", "leave-one-out", "'leave-one-out' (nearest: leave_one_out)",
     "random balanced complementary bernoulli leave_one_out leave_group_out imported"},
    {"influence", "errors", "yes", "'yes'", "true or false"},
    {"influence", "errors", "1", "'1'", "true or false"},
    {"influence", "errors", "'true'", "the quoted text 'true'", "true or false"},
    {"influence", "top", "-1", "'-1'", "a whole number, at least 0"},
    {"attribution", "methods", "[alo, shapley]", "'shapley'",
     "ridge_loo kernel_ridge_loo alo certified_loo ggn hessian"},
    {"attribution", "targets", "tests", "'tests' (nearest: test)", "test train none"},
    {"attribution", "penalty", "-1", "'-1'", "a number, at least 0"},
    {"attribution", "groups", "[-2]", "'-2'", "a list of whole numbers, each at least -1"},
    {"", "seed", "-1", "'-1'", "a whole number, at least 0"},
    {"train", "optimizer", "adam", "'adam'", "a map of keys"},
    {"train", "label_smoothing", "1", "'1'", "a number, at least 0 and below 1"},
    {"", "isa", "sse", "'sse'", "one of: auto portable avx2 avx512 amx"},
};

static void each_bad_value_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
        const value_case *c = &value_cases[i];
        char path[64];
        char text[256];
        char start[512];
        char override[256];
        const bool top = c->section[0] == '\0';
        (void)snprintf(path, sizeof(path), "%s%s%s", c->section, top ? "" : ".", c->key);
        if (top) {
            (void)snprintf(text, sizeof(text), "\n\n%s: %s\n", c->key, c->bad);
        } else {
            (void)snprintf(text, sizeof(text), "\n%s:\n  %s: %s\n", c->section, c->key, c->bad);
        }
        (void)snprintf(start, sizeof(start), "job.yaml:3: %s: found %s; allowed: ", path, c->found);
        expect_error(text, NULL, start, c->allowed);

        (void)snprintf(override, sizeof(override), "%s=%s", path, c->bad);
        (void)snprintf(start, sizeof(start), "--set %s: %s: found %s; allowed: ", override, path, c->found);
        expect_error(base, override, start, c->allowed);
    }
}

static void bad_overrides_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *override, *start, *part;
    } cases[] = {
        {"train.epochs", "--set train.epochs: found no KEY=VALUE", "train.epochs=20"},
        {"=5", "--set =5: found no KEY=VALUE", ""},
        {"epochs=5", "--set epochs=5: epochs: unknown key; the nearest is train.epochs;",
         "allowed here: seed,"},
        {"train.epoch=5", "--set train.epoch=5: train.epoch: unknown key; the nearest is train.epochs;",
         "batch"},
        {"train.optimizer.lrr=5",
         "--set train.optimizer.lrr=5: train.optimizer.lrr: unknown key; the nearest is "
         "train.optimizer.lr; allowed here: name, lr,",
         ""},
        {"train.epochs.x=5", "--set train.epochs.x=5: train.epochs.x: unknown key", "epochs"},
        {"train={epoch: 5}", "--set train={epoch: 5}: train.epoch: unknown key; the nearest is train.epochs",
         ""},
        {"train={batch: x}", "--set train={batch: x}: train.batch: found 'x'", "1 to 65536"},
        {"train.slices=6", "--set train.slices=6: train.slices: found 6; allowed: a power of two", ""},
        {"train.slices=512", "--set train.slices=512: train.slices: found '512'", "1 to 256"},
        {"train={slices: 8, batch: 100}", "--set train={slices: 8, batch: 100}: train.slices: found 8",
         "what divides train.batch, 100"},
        {"train.team=2", "--set train.team=2: train.team: found 2; allowed: what divides train.slices, 1",
         ""},
        {"train={slices: 8, team: 4, threads: 4}",
         "--set train={slices: 8, team: 4, threads: 4}: train.threads: found 4",
         "what divides train.slices over train.team, 8 / 4"},
        {"train=5", "--set train=5: train: found '5'", "allowed: a map"},
        {"train.epochs=[1", "--set train.epochs=[1: not YAML: ", "flow sequence"},
        {"data=null", "job.yaml: data: is missing", ""},
        {"ensemble=~", "job.yaml:10: influence: found without an ensemble", ""},
        {"ensemble.seeds=4", "--set ensemble.seeds=4: ensemble.seeds: found with ensemble.design: balanced",
         ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_error(base, cases[i].override, cases[i].start, cases[i].part);
    }
}

static void a_file_that_cannot_be_read_is_an_io_error(void **state)
{
    (void)state;
    lo_job *job = NULL;
    lo_error err = {0};
    assert_int_equal(lo_job_read("no/such/job.yaml", NULL, 0, &job, &err), LO_IO);
    assert_non_null(strstr(err.text, "no/such/job.yaml"));
    assert_null(job);
}

/* ---- values ---- */

static void defaults_are_filled_in(void **state)
{
    (void)state;
    lo_job *job = parse(DATA MODEL);
    assert_int_equal(lo_job_int(job, "seed"), 1);
    assert_string_equal(lo_job_text(job, "data.path"), "/d");
    assert_int_equal(lo_job_length(job, "data.class_names"), 0);
    assert_int_equal(lo_job_length(job, "model.hidden"), 1);
    assert_int_equal(lo_job_int_at(job, "model.hidden", 0), 512);
    assert_true(lo_job_real(job, "train.optimizer.weight_decay") == 0.0005);
    assert_string_equal(lo_job_text(job, "train.schedule.name"), "cosine");
    assert_true(lo_job_has(job, "data") && lo_job_has(job, "model") && lo_job_has(job, "train"));
    assert_false(lo_job_has(job, "ensemble") || lo_job_has(job, "scores") || lo_job_has(job, "influence"));
    assert_int_equal(lo_job_int(job, "ensemble.models"), 0);
    lo_job_destroy(&job);
    assert_null(job);
}

static void values_are_read(void **state)
{
    (void)state;
    lo_job *job = parse("seed: 9223372036854775807\n"
                        "data:\n"
                        "  format: 'idx'\n"
                        "  path: \"/d \\\"x\\\" \\u00e9\"\n"
                        "  validation: 1e-1\n"
                        "  label_noise: .5\n"
                        "  class_names:\n"
                        "    - Ankle boot\n"
                        "    - 7\n"
                        "    - 'null'\n"
                        "model: {preset: mlp, hidden: [65536, 1]}\n"
                        "train: {optimizer: {lr: 2, momentum: -0.0, weight_decay: +3.}}\n"
                        "ensemble: {models: 1000000, design: random, ratio: 0.25}\n"
                        "scores:\n"
                        "  - cscore\n"
                        "  - memorization\n"
                        "influence: {errors: false}\n");
    assert_true(lo_job_int(job, "seed") == INT64_MAX);
    assert_string_equal(lo_job_text(job, "data.path"), "/d \"x\" \xc3\xa9");
    assert_true(lo_job_real(job, "data.validation") == 0.1);
    assert_true(lo_job_real(job, "data.label_noise") == 0.5);
    assert_int_equal(lo_job_length(job, "data.class_names"), 3);
    assert_string_equal(lo_job_text_at(job, "data.class_names", 0), "Ankle boot");
    assert_string_equal(lo_job_text_at(job, "data.class_names", 1), "7");
    assert_string_equal(lo_job_text_at(job, "data.class_names", 2), "null");
    assert_int_equal(lo_job_int_at(job, "model.hidden", 0), 65536);
    assert_int_equal(lo_job_int_at(job, "model.hidden", 1), 1);
    assert_true(lo_job_real(job, "train.optimizer.lr") == 2.0);
    assert_false(signbit(lo_job_real(job, "train.optimizer.momentum")));
    assert_true(lo_job_real(job, "train.optimizer.weight_decay") == 3.0);
    assert_int_equal(lo_job_int(job, "ensemble.models"), 1000000);
    assert_true(lists_score(job, "cscore") && lists_score(job, "memorization"));
    assert_false(lists_score(job, "c"));
    assert_true(lo_job_has(job, "influence"));
    assert_false(lo_job_bool(job, "influence.errors"));
    lo_job_destroy(&job);

    job = parse_set(DATA MODEL "ensemble: {models: 3}\n", "scores=cscore");
    assert_int_equal(lo_job_length(job, "scores"), 1);
    assert_true(lists_score(job, "cscore"));
    lo_job_destroy(&job);
}

static void overrides_win(void **state)
{
    (void)state;
    static const char *const overrides[] = {
        "train.epochs=5",         "train.epochs=6",
        "model.hidden=[256,128]", "train.optimizer={lr: 1, momentum: 0}",
        "train.optimizer.lr=2",   "ensemble.models=40",
        "influence=null",         "data.path=/a=b",
        "scores=[cscore]",
    };
    lo_job *job = parse_with(base, overrides, sizeof(overrides) / sizeof(overrides[0]));
    assert_int_equal(lo_job_int(job, "train.epochs"), 6);
    assert_int_equal(lo_job_length(job, "model.hidden"), 2);
    assert_int_equal(lo_job_int_at(job, "model.hidden", 1), 128);
    assert_true(lo_job_real(job, "train.optimizer.lr") == 2.0);
    assert_true(lo_job_real(job, "train.optimizer.momentum") == 0.0);
    assert_true(lo_job_real(job, "train.optimizer.weight_decay") == 0.0005);
    assert_int_equal(lo_job_int(job, "ensemble.models"), 40);
    assert_int_equal(lo_job_int(job, "seed"), 7);
    assert_string_equal(lo_job_text(job, "data.path"), "/a=b");
    assert_false(lo_job_has(job, "influence"));
    assert_true(lists_score(job, "cscore"));
    assert_false(lists_score(job, "memorization"));
    lo_job_destroy(&job);

    /* A section that the file lacks. */
    job = parse_set(DATA MODEL, "ensemble.models=12");
    assert_true(lo_job_has(job, "ensemble"));
    lo_job_destroy(&job);
    job = parse_set(DATA MODEL, "ensemble={models: 12, ratio: 0.5}");
    assert_true(lo_job_real(job, "ensemble.ratio") == 0.5);
    lo_job_destroy(&job);

    /* null takes everything in a section out. */
    static const char *const section[] = {"ensemble.ratio=0.5", "ensemble=null", "ensemble.models=3"};
    job = parse_with(base, section, 3);
    assert_true(lo_job_real(job, "ensemble.ratio") == 0.7);
    assert_int_equal(lo_job_int(job, "ensemble.models"), 3);
    lo_job_destroy(&job);

    /* null takes a key out: the default is back, and a preset can be changed. */
    static const char *const preset[] = {"model.hidden=null", "model.preset=cnn"};
    job = parse_with(DATA "model: {preset: mlp, hidden: [3]}\n", preset, 2);
    assert_string_equal(lo_job_text(job, "model.preset"), "cnn");
    assert_int_equal(lo_job_int(job, "model.width"), 32);
    lo_job_destroy(&job);
}

/* ---- numbers from a file ---- */

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[256];
    lo_error err = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(lo_file_write(path, text, strlen(text), &err), LO_OK);
}

static void examples_may_stand_in_a_file(void **state)
{
    (void)state;
    char directory[] = "test_job_XXXXXX";
    assert_non_null(mkdtemp(directory));
    char file[128];
    char list[128];
    char start[512];
    lo_error err = {0};
    lo_job *job = NULL;
    (void)snprintf(file, sizeof(file), "%s/job.yaml", directory);
    (void)snprintf(list, sizeof(list), "%s/list.txt", directory);
    static const char text[] = DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: list.txt\n";
    write_file(directory, "job.yaml", text);

    assert_int_equal(lo_job_read(file, NULL, 0, &job, &err), LO_IO);
    (void)snprintf(start, sizeof(start), "%s:5: ensemble.examples: %s: cannot open", file, list);
    assert_memory_equal(err.text, start, strlen(start));

    write_file(directory, "list.txt", "# numbers\n12\n\n  7   # the second\r\n1000000000000\n");
    assert_int_equal(lo_job_read(file, NULL, 0, &job, &err), LO_OK);
    assert_int_equal(lo_job_length(job, "ensemble.examples"), 3);
    assert_int_equal(lo_job_int_at(job, "ensemble.examples", 0), 12);
    assert_int_equal(lo_job_int_at(job, "ensemble.examples", 1), 7);
    assert_true(lo_job_int_at(job, "ensemble.examples", 2) == 1000000000000);

    /* The numbers, not the name, are what counts and what the effective job says. */
    lo_job *same =
        parse(DATA MODEL "ensemble:\n  design: leave_one_out\n  examples: [12, 7, 1000000000000]\n");
    assert_true(lo_job_digest(job, LO_KEYS_ENSEMBLE) == lo_job_digest(same, LO_KEYS_ENSEMBLE));
    char *a = lo_job_effective(job);
    char *b = lo_job_effective(same);
    assert_string_equal(a, b);
    assert_non_null(strstr(a, "  examples: [12, 7, 1000000000000]"));
    free(a);
    free(b);
    lo_job_destroy(&same);
    lo_job_destroy(&job);

    static const struct {
        const char *content, *where;
    } bad[] = {
        {"1\n2\n# c\n3x\n", ":4: ensemble.examples: found '3x'"},
        {"1 2\n", ":1: ensemble.examples: found '1 2'"},
        {"1\n-2\n", ":2: ensemble.examples: found '-2'"},
        {"1\n99999999999999999999", ":2: ensemble.examples: found '99999999999999999999', beyond 64 bits"},
        {"# nothing\n", ": ensemble.examples: found a list of 0"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(directory, "list.txt", bad[i].content);
        assert_int_equal(lo_job_read(file, NULL, 0, &job, &err), LO_USAGE);
        (void)snprintf(start, sizeof(start), "%s%s", list, bad[i].where);
        assert_true(strlen(err.text) >= strlen(start));
        err.text[strlen(start)] = '\0';
        assert_string_equal(err.text, start);
    }
    (void)unlink(list);
    (void)unlink(file);
    (void)rmdir(directory);
}

/* ---- the effective job ---- */

static void expect_equal(const lo_job *a, const lo_job *b)
{
    char text[1024] = "";
    for (int group = 0; group < LO_KEY_GROUPS; group++) {
        assert_true(lo_job_digest(a, (lo_key_group)group) == lo_job_digest(b, (lo_key_group)group));
        assert_int_equal(lo_job_differences(a, b, (lo_key_group)group, text, sizeof(text)), 0);
    }
    assert_string_equal(text, "");
}

static void the_effective_job_reads_back(void **state)
{
    (void)state;
    static const char *const jobs[] = {
        base,
        DATA MODEL,
        DATA "model: {preset: cnn, width: 7}\nscores: []\n",
        DATA MODEL "train: {optimizer: {name: adamw, beta1: 0.5, epsilon: 1e-6}}\n",
        DATA MODEL "train: {optimizer: {nesterov: true}}\n",
        DATA MODEL "train: {schedule: {name: step, milestones: [7, 2], warmup_epochs: 0.5}}\n",
        DATA MODEL "train: {schedule: {name: one_cycle, peak: 0.25}}\n",
        DATA "model: {preset: linear}\nensemble: {design: leave_one_out, examples: [3, 1, 2], seeds: 9}\n",
        DATA MODEL "ensemble: {design: leave_group_out, groups: [0, -1, 4], seeds: 2}\n",
        DATA MODEL "ensemble: {models: 50, until: {standard_error: 0.1, over: p90}}\n",
        "seed: 9223372036854775807\n"
        "data:\n"
        "  format: idx\n"
        "  path: 'a: b # c ''d'' \"e\" \\ \xc3\xa9 \xf0\x9f\x98\x80'\n"
        "  validation: 0.1\n"
        "  label_noise: 0.30000000000000004\n"
        "  class_names: ['', '~', 'null', 'yes', '1', '-', ' x ', \"a\\nb\\tc\\e\\N\\L\\P\\_\\uFEFF\", "
        "T-shirt/top, '[x]']\n"
        "model: {preset: mlp, hidden: [1, 2, 3]}\n"
        "train: {optimizer: {lr: 4.9e-324, weight_decay: 1.7976931348623157e308, momentum: "
        "0.99999999999999989}}\n"
        "ensemble: {models: 5, ratio: 1e-9}\n"
        "influence: {top: 10, errors: false}\n"
        "scores: [cscore, memorization]\n"
        "isa: avx2\n"
        "reproducible: strict\n",
    };
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        lo_job *job = parse(jobs[i]);
        char *text = lo_job_effective(job);
        lo_job *again = parse(text);
        char *twice = lo_job_effective(again);
        assert_string_equal(text, twice);
        assert_null(strstr(text, "\xe2\x80\xa8")); /* U+2028, a line break to YAML, is escaped */
        expect_equal(job, again);
        assert_int_equal(lo_job_has(job, "ensemble"), lo_job_has(again, "ensemble"));
        assert_int_equal(lo_job_has(job, "scores"), lo_job_has(again, "scores"));
        assert_int_equal(lo_job_has(job, "influence"), lo_job_has(again, "influence"));
        assert_int_equal(lo_job_length(job, "data.class_names"), lo_job_length(again, "data.class_names"));
        for (int64_t k = 0; k < lo_job_length(job, "data.class_names"); k++) {
            assert_string_equal(lo_job_text_at(job, "data.class_names", k),
                                lo_job_text_at(again, "data.class_names", k));
        }
        assert_string_equal(lo_job_text(job, "data.path"), lo_job_text(again, "data.path"));
        assert_true(lo_job_real(job, "train.optimizer.lr") == lo_job_real(again, "train.optimizer.lr"));
        assert_true(lo_job_real(job, "data.label_noise") == lo_job_real(again, "data.label_noise"));
        free(text);
        free(twice);
        lo_job_destroy(&job);
        lo_job_destroy(&again);
    }
}

/* Every key that applies, none that does not, with its help. */
static void the_effective_job_writes_everything_out(void **state)
{
    (void)state;
    static const char *const sections[] = {"originals={}",  "attribution={}", "ensemble.until={}",
                                           "unlearning={}", "audit={}",       "scaling={}"};
    lo_job *job = parse_with(base, sections, 6);
    char *text = lo_job_effective(job);
    lo_node root = {0};
    lo_error err = {0};
    assert_int_equal(lo_tree_parse(text, strlen(text), "effective", true, &root, &err), LO_OK);
    assert_int_equal(root.count, 14);
    assert_non_null(strstr(text, "\ntrain:"));
    assert_non_null(strstr(text, "\n    weight_decay: 0.0005 "));
    assert_non_null(strstr(text, "\n  hidden: [512] "));
    assert_null(strstr(text, "width:"));
    assert_null(strstr(text, "examples:"));
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        if (key->only == NULL) {
            assert_non_null(strstr(text, key->help));
        }
    }
    lo_tree_free(&root);
    free(text);
    lo_job_destroy(&job);
}

/* ---- digests ---- */

/* A change of each key, and the digests that it must change: Data, Recipe, Ensemble, Scores, Influence;
 * Originals, Attribution, and those with the recipe's. Where a key applies only with another's value, needs
 * gives that one, or says which job to take. */
static const struct {
    const char *path, *other, *changes, *needs;
} changes[] = {
    {"seed", "8", "DRESI", NULL},
    {"reproducible", "strict", "", NULL},
    {"isa", "avx2", "RESI", NULL},
    {"data.format", "cifar10", "DRESI", NULL},
    {"data.path", "/other", "DRESI", NULL},
    {"data.train_limit", "10", "DRESI", NULL},
    {"data.test_limit", "10", "DRESI", NULL},
    {"data.validation", "0.1", "DRESI", NULL},
    {"data.label_noise", "0.1", "DRESI", NULL},
    {"data.class_names", "[a, b]", "", NULL},
    {"data.resize", "[32, 32]", "DRESI", "data.format=image_folder"},
    {"data.max_unreadable", "3", "DRESI", "data.format=image_folder"},
    {"data.standardize", "false", "DRESI", NULL},
    {"data.labels", "coarse", "DRESI", "data.format=cifar100"},
    {"data.layout", "nchw", "DRESI", "data.format=npy"},
    {"data.header", "absent", "DRESI", "data.format=csv"},
    {"data.label_column", "y", "DRESI", "data.format=csv"},
    {"data.first_index", "0", "DRESI", "data.format=svmlight"},
    {"model.preset", "linear", "RESI", NULL},
    {"model.hidden", "[512, 512]", "RESI", NULL},
    {"model.width", "33", "RESI", "model.preset=cnn"},
    {"model.depth", "7", "RESI", "model.preset=vit"},
    {"model.heads", "4", "RESI", "model.preset=vit"},
    {"model.patch", "2", "RESI", "model.preset=vit"},
    {"model.layers", "[flatten, {linear: 5}]", "RESI", "model={preset: layers, layers: [{linear: 5}]}"},
    {"train.epochs", "11", "RESI", NULL},
    {"train.batch", "129", "RESI", NULL},
    {"train.optimizer.name", "adamw", "RESI", NULL},
    {"train.optimizer.lr", "0.06", "RESI", NULL},
    {"train.optimizer.momentum", "0", "RESI", NULL},
    {"train.optimizer.weight_decay", "0", "RESI", NULL},
    {"train.optimizer.nesterov", "true", "RESI", NULL},
    {"train.optimizer.beta1", "0.8", "RESI", "train.optimizer.name=adamw"},
    {"train.optimizer.beta2", "0.99", "RESI", "train.optimizer.name=adamw"},
    {"train.optimizer.epsilon", "1e-7", "RESI", "train.optimizer.name=adamw"},
    {"train.schedule.name", "constant", "RESI", NULL},
    {"train.schedule.warmup_epochs", "0.5", "RESI", NULL},
    {"train.schedule.milestones", "[3, 5]", "RESI", "train.schedule={name: step, milestones: [3]}"},
    {"train.schedule.gamma", "0.2", "RESI", "train.schedule={name: step, milestones: [3]}"},
    {"train.schedule.peak", "0.2", "RESI", "train.schedule.name=one_cycle"},
    {"train.precision", "f32", "RESI", NULL},
    {"train.label_smoothing", "0.1", "RESI", NULL},
    {"train.clip_norm", "1.5", "RESI", NULL},
    {"train.from", "/dev/null", "RESI", NULL}, /* of which the digest is taken */
    {"train.from_digest", "0123456789abcdef", "RESI", "train.from=/dev/null"},
    {"train.augment", "[flip, crop]", "RESI", NULL},
    {"train.crop", "3", "RESI", "train.augment=[crop]"},
    {"train.cutout", "3", "RESI", "train.augment=[cutout]"},
    {"train.checkpoint_minutes", "0.5", "", NULL},
    {"train.slices", "4", "RESI", NULL},
    {"train.team", "2", "", "train.slices=4"},
    {"train.threads", "2", "", "train.slices=4"},
    {"ensemble.design", "random", "ESI", NULL},
    {"ensemble.models", "21", "", NULL},
    {"ensemble.ratio", "0.71", "ESI", NULL},
    {"ensemble.examples", "[1, 3]", "ESI", "leave_one_out"},
    {"ensemble.seeds", "4", "", "leave_one_out"},
    {"scores", "[memorization, cscore]", "", NULL},
    {"influence.top", "5", "I", NULL},
    {"influence.errors", "false", "I", NULL},
    {"ensemble.keep_models", "5", "", NULL},
    {"ensemble.groups", "[0, 0, 1]", "ESI", "leave_group_out"},
    {"ensemble.until.standard_error", "0.04", "", "ensemble.until={}"},
    {"ensemble.until.over", "median", "", "ensemble.until={}"},
    {"ensemble.until.first", "40", "", "ensemble.until={}"},
    {"originals.seeds", "5", "", "originals={}"},
    {"originals.checkpoints", "[1, 2]", "O", "originals={}"},
    {"originals.log", "true", "O", "originals={}"},
    {"attribution.methods", "[alo]", "", "attribution={}"},
    {"attribution.targets", "train", "A", "attribution={}"},
    {"attribution.top", "5", "A", "attribution={}"},
    {"attribution.output", "correct", "A", "attribution={}"},
    {"attribution.penalty", "1e-4", "A", "attribution={}"},
    {"attribution.tolerance", "1e-8", "A", "attribution={}"},
    {"attribution.kernel", "linear", "A", "attribution={}"},
    {"attribution.gamma", "0.1", "A", "attribution={}"},
    {"attribution.groups", "[0, -1, 1]", "A", "attribution={}"},
    {"attribution.memory", "100", "", "attribution={}"},
    {"attribution.damping", "0.1", "P", "attribution={}"},
    {"attribution.spectrum", "true", "A", "attribution={}"},
    {"attribution.model", "network", "A", "attribution={}"},
    {"attribution.original", "1", "A", "attribution={model: network}"},
    {"attribution.layer", "linear1", "A", "attribution={model: features}"},
    {"attribution.form", "dual", "A", "attribution={model: network}"},
    {"attribution.keep", "true", "", "attribution={}"},
    {"unlearning.forget", "[{name: a, select: random, share: 0.1}]", "", "unlearning={}"},
    {"unlearning.methods", "[finetune]", "", "unlearning={}"},
    {"unlearning.sequence", "[a]", "", "unlearning={}"},
    {"unlearning.oracles", "5", "", "unlearning={}"},
    {"unlearning.seeds", "5", "", "unlearning={}"},
    {"unlearning.retain", "false", "", "unlearning={}"},
    {"unlearning.keep_models", "false", "", "unlearning={}"},
    {"unlearning.search", "[{name: finetune, epochs: [1, 2]}]", "", "unlearning={}"},
    {"unlearning.trials", "5", "", "unlearning={}"},
    {"unlearning.criterion", "validation_loss", "", "unlearning={}"},
    {"unlearning.matched", "true", "", "unlearning={}"},
    {"audit.metrics", "[lira]", "", "audit={}"},
    {"audit.sample", "500", "", "audit={}"},
    {"audit.rmia_a", "0.3", "", "audit={}"},
    {"audit.mia_features", "[entropy]", "", "audit={}"},
    {"scaling.scores", "[cscore]", "", "scaling={}"},
    {"scaling.budgets", "[3]", "", "scaling={}"},
    {"scaling.group", "30", "", "scaling={}"},
    {"scaling.resamples", "200", "", "scaling={}"},
    {"scaling.splits", "5", "", "scaling={}"},
};

static const char left_out[] =
    "seed: 7\n" DATA MODEL "ensemble: {design: leave_one_out, examples: [1, 2]}\ninfluence: {}\n";

static const char groups_out[] =
    "seed: 7\n" DATA MODEL "ensemble: {design: leave_group_out, groups: [0, 1, 1]}\nscores: [cscore]\n";

static void digests_change_with_their_keys(void **state)
{
    (void)state;
    static const char letters[LO_KEY_GROUPS] = {'-', 'D', 'R', 'E', 'S', 'I', 'O', 'A', 'P', 'U'};
    int seen = 0;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const int k = lo_key_find(changes[i].path);
        assert_true(k >= 0);
        seen++;
        char override[256];
        (void)snprintf(override, sizeof(override), "%s=%s", changes[i].path, changes[i].other);
        const char *needs = changes[i].needs != NULL ? changes[i].needs : "seed=7";
        const bool groups = strcmp(needs, "leave_group_out") == 0;
        const bool leaves_out = groups || strcmp(needs, "leave_one_out") == 0;
        const char *text = groups ? groups_out : leaves_out ? left_out : base;
        const char *set[2] = {leaves_out ? "seed=7" : needs, override};
        lo_job *before = parse_with(text, set, 1);
        lo_job *after = parse_with(text, set, 2);
        for (int group = 0; group < LO_KEY_GROUPS; group++) {
            const bool differ =
                lo_job_digest(before, (lo_key_group)group) != lo_job_digest(after, (lo_key_group)group);
            char lines[1024] = "";
            const int count = lo_job_differences(before, after, (lo_key_group)group, lines, sizeof(lines));
            const bool wanted = strchr(changes[i].changes, letters[group]) != NULL ||
                                ((group == LO_KEYS_ORIGINALS || group == LO_KEYS_ATTRIBUTION) &&
                                 strchr(changes[i].changes, 'R') != NULL) ||
                                (group == LO_KEYS_DAMPING && strpbrk(changes[i].changes, "RA") != NULL) ||
                                (group == LO_KEYS_UNLEARNING && strpbrk(changes[i].changes, "RO") != NULL);
            if (differ != wanted || (count > 0) != differ) {
                fail_msg("%s: digest of group %c %s; %d differences", override, letters[group],
                         differ ? "changed" : "did not change", count);
            }
        }
        lo_job_destroy(&before);
        lo_job_destroy(&after);
    }
    int keys = 0;
    for (int i = 0; i < lo_key_count(); i++) {
        keys += lo_key_at(i)->type != LO_KEY_SECTION;
    }
    assert_int_equal(seen, keys); /* a new key needs its line above */
}

/* Does the key apply in this job? */
static bool applies_in(const lo_job *job, const lo_key *key)
{
    char path[64];
    if (key->only == NULL) {
        return true;
    }
    const size_t length = strcspn(key->only, " ");
    (void)snprintf(path, sizeof(path), "%.*s", (int)length, key->only);
    if (lo_key_at(lo_key_find(path))->type == LO_KEY_NAMES) {
        return lo_job_lists(job, path, key->only + length + 1); /* which is one name */
    }
    return strstr(key->only + length, lo_job_text(job, path)) != NULL;
}

/* What makes old studies readable by versions that know more keys. */
static void a_default_written_out_changes_no_digest(void **state)
{
    (void)state;
    lo_job *plain = parse(base);
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        if (key->type == LO_KEY_SECTION || key->fallback == NULL || strcmp(key->path, "seed") == 0 ||
            strcmp(key->path, "scores") == 0 || !applies_in(plain, key)) {
            continue;
        }
        char override[256];
        (void)snprintf(override, sizeof(override), "%s=%s", key->path, key->fallback);
        lo_job *job = parse_set(base, override);
        expect_equal(plain, job);
        lo_job_destroy(&job);
    }
    lo_job_destroy(&plain);
}

static void equal_numbers_are_equal(void **state)
{
    (void)state;
    static const char *const forms[] = {"0.0125", "1.25e-2", "1.25E-02", "0.01250", "+.0125", "125e-4"};
    lo_job *first = NULL;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char override[64];
        (void)snprintf(override, sizeof(override), "train.optimizer.lr=%s", forms[i]);
        lo_job *job = parse_set(base, override);
        if (first == NULL) {
            first = job;
            continue;
        }
        expect_equal(first, job);
        lo_job_destroy(&job);
    }
    lo_job_destroy(&first);
}

/* FNV-1a, 64 bits, of the texts in the comments, computed in Python:
 *   d = 0xcbf29ce484222325
 *   for b in text.encode(): d = (d ^ b) * 0x100000001b3 % 2**64
 * These numbers stand in studies: they must not change, ever. */
static void digests_are_those_of_other_versions(void **state)
{
    (void)state;
    lo_job *job = parse_set(base, "train.optimizer.lr=1e-5");
    /* "seed=7\ndata.format=idx\ndata.path=/d\n" */
    assert_true(lo_job_digest(job, LO_KEYS_DATA) == 0x87546528c1ccbe38ULL);
    /* and "model.preset=mlp\ntrain.optimizer.lr=1.0e-05\n" */
    assert_true(lo_job_digest(job, LO_KEYS_RECIPE) == 0xa4dcc1f59a991728ULL);
    assert_true(lo_job_digest(job, LO_KEYS_ENSEMBLE) == 0xa4dcc1f59a991728ULL);
    lo_job_destroy(&job);
    job = parse_set(base, "data={path: 'a b', label_noise: 0.05}");
    /* "seed=7\ndata.format=idx\ndata.path=\"a b\"\ndata.label_noise=0.05\n" */
    assert_true(lo_job_digest(job, LO_KEYS_DATA) == 0xefeb6db76cbf28bfULL);
    lo_job_destroy(&job);
}

static void differences_are_told(void **state)
{
    (void)state;
    lo_job *study = parse(base);
    static const char *const overrides[] = {"data.path=a b",      "train.epochs=20",    "model.hidden=[1, 2]",
                                            "ensemble.models=99", "ensemble.ratio=0.5", "influence.top=3"};
    lo_job *job = parse_with(base, overrides, 6);
    char text[512] = "Changed:\n";
    assert_int_equal(lo_job_differences(study, job, LO_KEYS_DATA, text, sizeof(text)), 1);
    assert_string_equal(text, "Changed:\ndata.path: /d in the study, \"a b\" in the job\n");
    text[0] = '\0';
    assert_int_equal(lo_job_differences(study, job, LO_KEYS_SCORES, text, sizeof(text)), 4);
    assert_string_equal(text, "data.path: /d in the study, \"a b\" in the job\n"
                              "model.hidden: [512] in the study, [1, 2] in the job\n"
                              "train.epochs: 10 in the study, 20 in the job\n"
                              "ensemble.ratio: 0.7 in the study, 0.5 in the job\n");
    text[0] = '\0';
    assert_int_equal(lo_job_differences(study, job, LO_KEYS_INFLUENCE, text, sizeof(text)), 5);
    char small[16] = "";
    assert_int_equal(lo_job_differences(study, job, LO_KEYS_SCORES, small, sizeof(small)), 4);
    assert_true(strlen(small) < sizeof(small));
    lo_job_destroy(&job);

    /* A stage that the job does without is no change; another preset is one, its widths are not. */
    job = parse(DATA "model: {preset: cnn}\nseed: 7\n");
    text[0] = '\0';
    assert_int_equal(lo_job_differences(study, job, LO_KEYS_INFLUENCE, text, sizeof(text)), 1);
    assert_string_equal(text, "model.preset: mlp in the study, cnn in the job\n");
    lo_job_destroy(&job);
    lo_job_destroy(&study);
}

/* ---- the table, nearest words ---- */

static void the_table_is_sound(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    lo_keys_print(stream);
    assert_int_equal(fclose(stream), 0);
    char current[256] = "";
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        assert_int_equal(lo_key_find(key->path), i);
        assert_non_null(key->help);
        assert_int_equal(key->help[strlen(key->help) - 1], '.');
        assert_null(strchr(key->help, '\n'));
        assert_non_null(strstr(text, key->path));
        assert_non_null(strstr(text, key->help));
        assert_true((key->choices != NULL) == (key->type == LO_KEY_CHOICE || key->type == LO_KEY_NAMES));
        /* The section of each key is open: no gap, section first. */
        const char *dot = strrchr(key->path, '.');
        const size_t length = dot != NULL ? (size_t)(dot - key->path) : 0;
        assert_true(strncmp(current, key->path, length) == 0 &&
                    (length == 0 || current[length] == '\0' || current[length] == '.'));
        if (key->type == LO_KEY_SECTION) {
            (void)snprintf(current, sizeof(current), "%s", key->path);
        }
        if (key->only != NULL) {
            char decider[64];
            (void)snprintf(decider, sizeof(decider), "%.*s", (int)strcspn(key->only, " "), key->only);
            assert_true(lo_key_find(decider) >= 0);
            const lo_key_type type = lo_key_at(lo_key_find(decider))->type;
            assert_true(type == LO_KEY_CHOICE || type == LO_KEY_NAMES);
        }
    }
    assert_int_equal(lo_key_find("train."), -1);
    free(text);
}

/* The manual repeats the table of keys; it may not lag behind. */
static void the_manual_has_every_key(void **state)
{
    (void)state;
    char path[4096];
    char *text = NULL;
    size_t size = 0;
    lo_error err = {0};
    assert_int_equal(
        lo_file_read(source_path("docs/job-file.md", path, sizeof(path)), 1 << 20, &text, &size, &err),
        LO_OK);
    for (int i = 0; i < lo_key_count(); i++) {
        const lo_key *key = lo_key_at(i);
        char allowed[512];
        char start[640];
        (void)snprintf(start, sizeof(start), "\n| `%s` | %s", key->path,
                       lo_key_allowed(key, allowed, sizeof(allowed)));
        if (strstr(text, start) == NULL || strstr(text, key->help) == NULL) {
            fail_msg("docs/job-file.md lacks or misstates %s", key->path);
        }
    }
    free(text);
}

static void the_nearest_word_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *word, *words, *nearest;
    } cases[] = {
        {"epohcs", "epochs batch", "epochs"}, /* two neighbours swapped */
        {"epoch", "epochs batch", "epochs"},
        {"BATCH", "epochs batch", "batch"},
        {"memorisation", " cscore  memorization ", "memorization"},
        {"mpl", "linear mlp cnn", "mlp"},
        {"x", "linear mlp cnn", NULL},
        {"", "linear mlp cnn", NULL},
        {"abcdef", "", NULL},
    };
    char buffer[32];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *found = lo_nearest(cases[i].word, cases[i].words, buffer, sizeof(buffer));
        if (cases[i].nearest == NULL) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found, cases[i].nearest);
        }
    }
    assert_null(lo_nearest("epochs", "epochs", buffer, 6)); /* no room */
    assert_int_equal(lo_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(lo_edit_distance("", "abc"), 3);
    assert_int_equal(lo_edit_distance("ca", "abc"), 3); /* no edit of what was swapped */
    assert_int_equal(lo_edit_distance("abcd", "badc"), 2);
    assert_int_equal(lo_edit_distance("same", "SAME"), 0);
}

/* ---- fuzz ---- */

static const char seed_job[] =
    "# a job\n"
    "seed: 3\n"
    "data: {format: idx, path: '/d', train_limit: 10, class_names: [a, \"b\\n\", c d]}\n"
    "model:\n"
    "  preset: mlp\n"
    "  hidden: [512, 256]\n"
    "train:\n"
    "  epochs: 10\n"
    "  optimizer: {name: sgd, lr: 5.0e-2}\n"
    "ensemble:\n"
    "  models: 20\n"
    "  ratio: 0.7\n"
    "scores:\n"
    "  - memorization\n"
    "  - cscore\n"
    "influence: {top: 5, errors: true}\n";

static uint64_t pick(int round, uint64_t draw, uint64_t n)
{
    return lo_random_below(lo_random_make(11, LO_FOR_TEST), (uint64_t)round, draw, n);
}

/* Some bytes changed, removed, doubled or replaced by pieces that mean something in YAML. */
static void mutate(int round, char *text, size_t room)
{
    static const char *const pieces[] = {"\n",
                                         ":",
                                         ": ",
                                         "- ",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "&a ",
                                         "*a",
                                         "\t",
                                         "\"",
                                         "'",
                                         "#",
                                         "!!x ",
                                         "---\n",
                                         "...\n",
                                         "%YAML",
                                         "1e999",
                                         "-1",
                                         "\xff",
                                         "\x01",
                                         "~",
                                         "|\n",
                                         ">\n",
                                         "? ",
                                         ", ",
                                         "0x1",
                                         "models",
                                         "\\",
                                         "\xe2\x80\xa8",
                                         "  ",
                                         "data:\n",
                                         "seed: 1\n",
                                         "<<: ",
                                         "null",
                                         ".nan",
                                         "99999999999999999999"};
    const uint64_t edits = 1 + pick(round, 0, 4);
    for (uint64_t e = 0; e < edits; e++) {
        const size_t length = strlen(text);
        const size_t at = pick(round, 10 * e + 1, length + 1);
        const size_t cut =
            pick(round, 10 * e + 2, 3) == 0 ? pick(round, 10 * e + 3, length - at + 1) % 40 : 0;
        const char *piece = pieces[pick(round, 10 * e + 4, sizeof(pieces) / sizeof(pieces[0]))];
        const size_t added = pick(round, 10 * e + 5, 4) == 0 ? 0 : strlen(piece);
        if (length - cut + added < room) {
            memmove(text + at + added, text + at + cut, length - at - cut + 1);
            memcpy(text + at, piece, added);
        }
    }
}

static void mutated_jobs_are_read_or_refused(void **state)
{
    (void)state;
    int read = 0;
    int refused = 0;
    for (int round = 0; round < 3000; round++) {
        char text[2048];
        (void)snprintf(text, sizeof(text), "%s", seed_job);
        mutate(round, text, sizeof(text));
        const char *override = strchr(text, 'e');
        lo_job *job = NULL;
        lo_error err = {0};
        const lo_status status =
            lo_job_parse(text, "job.yaml", &override, round % 7 == 0 && override != NULL, &job, &err);
        if (status == LO_OK) {
            read++;
            char *effective = lo_job_effective(job);
            lo_job *again = parse(effective);
            expect_equal(job, again);
            free(effective);
            lo_job_destroy(&again);
        } else {
            refused++;
            assert_true(status == LO_USAGE || status == LO_IO);
            assert_null(job);
            assert_true(strncmp(err.text, "job.yaml", 8) == 0 || strncmp(err.text, "--set ", 6) == 0);
        }
        lo_job_destroy(&job);
    }
    /* The mutations are neither all harmless nor all fatal. */
    assert_true(read > 100 && refused > 1000);
}

/* ---- the examples ---- */

static void the_example_jobs_are_valid(void **state)
{
    (void)state;
    char path[4096];
    glob_t files = {0};
    assert_int_equal(glob(source_path("jobs/examples/*.yaml", path, sizeof(path)), 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 6);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        lo_job *job = NULL;
        lo_error err = {0};
        if (lo_job_read(files.gl_pathv[i], NULL, 0, &job, &err) != LO_OK) {
            fail_msg("%s", err.text);
        }
        assert_true(lo_job_has(job, "ensemble") || lo_job_has(job, "originals") ||
                    lo_job_has(job, "attribution"));
        lo_job_destroy(&job);
    }
    globfree(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_names_its_line),
        cmocka_unit_test(each_bad_value_is_named),
        cmocka_unit_test(bad_overrides_are_named),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_io_error),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(overrides_win),
        cmocka_unit_test(examples_may_stand_in_a_file),
        cmocka_unit_test(the_effective_job_reads_back),
        cmocka_unit_test(the_effective_job_writes_everything_out),
        cmocka_unit_test(digests_change_with_their_keys),
        cmocka_unit_test(a_default_written_out_changes_no_digest),
        cmocka_unit_test(equal_numbers_are_equal),
        cmocka_unit_test(digests_are_those_of_other_versions),
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(the_manual_has_every_key),
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(mutated_jobs_are_read_or_refused),
        cmocka_unit_test(the_example_jobs_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
