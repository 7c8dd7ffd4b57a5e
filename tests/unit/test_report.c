/* The HTML report: well-formed, escaped, whole, with the right numbers, from complete and from very
 * incomplete studies; its order statistics against brute force; its pictures against libpng's reader. */
#include "base/file.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/picture.h"
#include "report/report.h"
#include "report/summary.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/leaveout-report-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

/* ---- a made-up study ---- */

enum { N = 64, TEST = 6, MODELS = 4, K = 3 };

struct study {
    uint8_t *pixel;
    int32_t label[N], label_true[N], test_label[TEST];
    int64_t index[N], test_index[TEST];
    float scale[3], shift[3];
    lo_dataset data;
    float value[N], error[N], low[N], high[N], cscore[N];
    float accuracy[MODELS], seconds[MODELS];
    int64_t influence_test[2], influence_index[2 * K];
    float influence_value[2 * K], influence_error[2 * K];
    lo_report_score score[2];
    lo_report_attempt attempt[2];
    lo_report_stage stage[2];
    lo_report report;
};

static const char *const names[] = {"<b>&\"'", "plain"};

/* Two classes by parity; the first 8 examples are relabelled and memorized; numbers below are counted by
 * hand: value = 0.9 for 0..7, 0.4 for 8..11, 0 for the rest; so 12 above 0.25, 8 above 0.5, low above 0.25
 * for 8. */
static void fill(struct study *s, lo_shape shape)
{
    *s = (struct study){.pixel = malloc((N + TEST) * lo_shape_size(shape))};
    for (size_t i = 0; i < (N + TEST) * lo_shape_size(shape); i++) {
        s->pixel[i] = (uint8_t)(i * 37 % 251);
    }
    for (int i = 0; i < N; i++) {
        s->label[i] = i % 2;
        s->label_true[i] = i < 8 ? 1 - i % 2 : i % 2;
        s->index[i] = 1000 + 3 * i;
        s->value[i] = i < 8 ? 0.9F : i < 12 ? 0.4F : 0;
        s->error[i] = i < 12 ? 0.125F : 0.06F;
        s->low[i] = s->value[i] - 0.2F;
        s->high[i] = s->value[i] + 0.05F;
        s->cscore[i] = 1 - s->value[i];
    }
    for (int i = 0; i < TEST; i++) {
        s->test_label[i] = i % 2;
        s->test_index[i] = 70 + i;
    }
    for (int m = 0; m < MODELS; m++) {
        s->accuracy[m] = 0.8F + 0.02F * (float)m; /* mean 83.0 % */
        s->seconds[m] = 10;
    }
    for (int c = 0; c < 2 * K; c++) {
        s->influence_index[c] = c == 5 ? -1 : 7 * c;
        s->influence_value[c] = c == 5 ? NAN : c % 2 == 0 ? 0.5F : -0.25F;
        s->influence_error[c] = 0.1F;
    }
    s->influence_test[1] = 5;
    s->data = (lo_dataset){
        .shape = shape,
        .classes = 2,
        .scale = s->scale,
        .shift = s->shift,
        .train = {N, s->pixel, s->label, s->label_true, s->index},
        .test = {TEST, s->pixel + N * lo_shape_size(shape), s->test_label, s->test_label, s->test_index}};
    s->score[0] = (lo_report_score){
        "memorization", "in <minus> out", s->value, s->error, s->low, s->high, 1, 0, 0, 0, false};
    s->score[1] = (lo_report_score){"cscore", NULL, s->cscore, NULL, NULL, NULL, -1, 0, 0, 0, false};
    s->attempt[0] = (lo_report_attempt){.number = 1,
                                        .start = "2026-11-21T09:12:01Z",
                                        .seconds = 600,
                                        .ranks = 2,
                                        .hosts = "n1,<n2>",
                                        .processor = "zen4",
                                        .job = "4711",
                                        .ended = "stopped: SIGUSR1",
                                        .models = 3,
                                        .tasks = 3,
                                        .cores = 2,
                                        .core_seconds = 1080};
    s->attempt[1] = (lo_report_attempt){.number = 2,
                                        .start = "2026-11-21T10:00:00Z",
                                        .seconds = 60,
                                        .ranks = 1,
                                        .hosts = "n1",
                                        .processor = "zen4",
                                        .job = "",
                                        .ended = "complete",
                                        .models = 1,
                                        .tasks = 1,
                                        .cores = 1,
                                        .core_seconds = 720};
    s->stage[0] = (lo_report_stage){"ensemble", 4, 900, 1080};
    s->stage[1] = (lo_report_stage){"audit", 0, 0, 360};
    s->report = (lo_report){.study = "made & up",
                            .version = "1.2.3",
                            .data = &s->data,
                            .class_name = names,
                            .job_yaml = "seed: 1 # </pre><script>alert(1)</script>\n",
                            .design = "balanced",
                            .ratio = 0.7,
                            .models_planned = MODELS,
                            .models_done = MODELS,
                            .test_accuracy = s->accuracy,
                            .seconds = s->seconds,
                            .in_sample_clean = 0.999,
                            .in_sample_relabelled = 0.99,
                            .out_of_sample_clean = 0.8,
                            .out_of_sample_relabelled = 0.09,
                            .relabelled = 8,
                            .label_noise = 0.125,
                            .in_min = 28,
                            .in_max = 28,
                            .out_min = 12,
                            .out_max = 12,
                            .score_count = 2,
                            .score = s->score,
                            .influence_rows = 2,
                            .influence_k = K,
                            .influence_test = s->influence_test,
                            .influence_index = s->influence_index,
                            .influence_value = s->influence_value,
                            .influence_error = s->influence_error,
                            .attempt_count = 2,
                            .attempt = s->attempt,
                            .stage_count = 2,
                            .stage = s->stage,
                            .processor_types = 1};
}

/* ---- reading pages ---- */

/* Is every tag closed, in order; every attribute quoted; every < and & in text an escape? The page is written
 * as XML that is also HTML, so no list of void elements is needed. Names the first trouble. */
static const char *trouble(const char *text)
{
    static char message[256];
    char open[64][32];
    int depth = 0;
    const char *c = strncmp(text, "<!DOCTYPE html>", 15) == 0 ? text + 15 : NULL;
    if (c == NULL) {
        return "no doctype";
    }
    while (*c != '\0') {
        if (*c == '&') {
            const size_t length = strcspn(c, "; <\n");
            if (c[length] != ';' || length > 8) {
                snprintf(message, sizeof(message), "a bare & at: %.40s", c);
                return message;
            }
            c += length;
        } else if (*c == '<') {
            const int closing = c[1] == '/';
            char name[32] = "";
            const char *start = c;
            c += 1 + closing;
            const size_t length = strspn(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
            if (length == 0 || length >= sizeof(name)) {
                snprintf(message, sizeof(message), "no tag at: %.40s", start);
                return message;
            }
            memcpy(name, c, length);
            for (c += length; *c != '>' && *c != '\0'; c++) {
                if (*c == '"' || *c == '\'') {
                    const char *end = strchr(c + 1, *c);
                    if (end == NULL || memchr(c, '<', (size_t)(end - c)) != NULL) {
                        snprintf(message, sizeof(message), "a bad attribute at: %.40s", start);
                        return message;
                    }
                    c = end;
                }
            }
            if (closing) {
                if (depth == 0 || strcmp(open[depth - 1], name) != 0) {
                    snprintf(message, sizeof(message), "</%s> closes <%s>", name,
                             depth > 0 ? open[depth - 1] : "");
                    return message;
                }
                depth--;
            } else if (c[-1] != '/') {
                if (depth == 64) {
                    return "too deep";
                }
                strcpy(open[depth++], name);
            }
        }
        c += *c != '\0';
    }
    if (depth > 0) {
        snprintf(message, sizeof(message), "<%s> is never closed", open[depth - 1]);
        return message;
    }
    return NULL;
}

static void test_checker_finds_trouble(void **state)
{
    (void)state;
    assert_null(trouble("<!DOCTYPE html><a b=\"c\"><br/>&lt;</a>"));
    assert_non_null(trouble("<!DOCTYPE html><a><b></a></b>"));
    assert_non_null(trouble("<!DOCTYPE html><a>"));
    assert_non_null(trouble("<!DOCTYPE html><a>x & y</a>"));
    assert_non_null(trouble("<!DOCTYPE html><a>x < y</a>"));
    assert_non_null(trouble("<!DOCTYPE html><a b='<c>'></a>"));
}

static int count_files(void)
{
    int count = 0;
    DIR *dir = opendir(directory);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

/* Every link of the page leads to one section. */
static void check_contents(const char *text)
{
    for (const char *c = text; (c = strstr(c, "href=\"#")) != NULL;) {
        char id[64];
        c += 7;
        snprintf(id, sizeof(id), " id=\"%.*s\"", (int)strcspn(c, "\""), c);
        const char *found = strstr(text, id);
        assert_non_null(found);
        assert_null(strstr(found + 1, id));
    }
}

/* Writes the report, checks what must hold of every page, and returns its text, which the caller frees. */
static char *write_and_read(const struct study *s)
{
    char file[256];
    char *text = NULL;
    size_t size = 0;
    lo_error err = {""};
    snprintf(file, sizeof(file), "%s/report.html", directory);
    const lo_status status = lo_report_write(&s->report, file, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(status, LO_OK);
    assert_int_equal(count_files(), 1); /* no .part beside it */
    assert_int_equal(lo_file_read(file, 64 << 20, &text, &size, &err), LO_OK);
    unlink(file);
    assert_int_equal(strlen(text), size);
    const char *wrong = trouble(text);
    assert_string_equal(wrong == NULL ? "" : wrong, "");
    assert_non_null(strstr(text, "</html>"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<link"));
    assert_null(strstr(text, "src=\"http"));
    assert_null(strstr(text, "href=\"http"));
    assert_null(strstr(text, "url("));
    assert_null(strstr(text, "xlink:href=")); /* what a figure refers to is defined nowhere */
    check_contents(text);
    assert_null(strstr(text, ">nan"));
    assert_null(strstr(text, "-nan"));
    return text;
}

#define assert_has(text, what)   assert_non_null(strstr((text), (what)))
#define assert_lacks(text, what) assert_null(strstr((text), (what)))

static int occurrences(const char *text, const char *what)
{
    int count = 0;
    for (const char *c = text; (c = strstr(c, what)) != NULL; c += strlen(what)) {
        count++;
    }
    return count;
}

static bool gnuplot_is_there(void)
{
    return system("gnuplot --version > /dev/null 2>&1") == 0;
}

/* ---- pages ---- */

static void test_complete_study(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 8, 6});
    char *text = write_and_read(&s);
    assert_has(text, "What the models memorized: made &amp; up");
    assert_has(text, "4 models were trained, each on its own 70\u00a0% of 64 training examples of 2 classes");
    assert_has(text, "They are right on <b>83.0\u00a0%</b> of 6 test examples");
    assert_has(text, "<b>12</b> of 64 examples (18.8\u00a0%) are memorized above 0.25 and <b>8</b> "
                     "(12.5\u00a0%) above 0.5");
    assert_has(text, "For 8 the whole 95&#160;% interval lies above 0.25");
    assert_has(text, "standard error of a value is 0.060, and 0.125 among those above 0.25");
    assert_has(text, "every example was in 28 models and left out by 12.");
    assert_lacks(text, "class=\"warning\"");
    /* relabelled: in 99 %, out 9 %, so memorized 0.900 on average */
    assert_has(
        text,
        "<th scope=\"row\">relabelled</th><td>8</td><td>99.0\u00a0%</td><td>9.0\u00a0%</td><td>0.900</td>");
    /* all 8 relabelled examples rank above all others, by both scores */
    assert_has(text, "<th scope=\"row\">memorization</th><td>1.0000</td><td>–</td><td>100.0\u00a0%</td>");
    assert_has(text, "<th scope=\"row\">cscore</th><td>1.0000</td><td>–</td><td>100.0\u00a0%</td>");
    assert_has(text, "<b>0.500 core-hours</b>");
    assert_has(text, "stopped: SIGUSR1");
    assert_has(text, "n1,&lt;n2&gt;; zen4; Slurm job 4711</td>");
    /* What stages took, and the rest of half an hour. */
    assert_has(text, "<th scope=\"row\">ensemble</th><td>4</td><td>0.250</td><td>0.300</td>");
    assert_has(text, "<th scope=\"row\">audit</th><td>&#8211;</td><td>&#8211;</td><td>0.100</td>");
    assert_has(text, "<th scope=\"row\">all else</th><td>&#8211;</td><td>&#8211;</td><td>0.100</td>");
    assert_has(text, "Core-hours<br/>of its tasks");
    assert_has(text, "<nav><a href=\"#meaning\">What memorization means</a> &#183; <a href=\"#accuracy\">");
    assert_has(text, "Agresti");
    assert_lacks(text, "What makes unlearning hard");
    /* influence: signs and colours */
    assert_int_equal(occurrences(text, "<li class=\"helps\">"), 3);
    assert_int_equal(occurrences(text, "<li class=\"harms\">"), 2);
    assert_has(text, "<b>+0.50 ± 0.10</b>");
    assert_has(text, "<b>−0.25 ± 0.10</b>");
    assert_int_equal(occurrences(text, "<svg"), gnuplot_is_there() ? 6 : 0);
    assert_int_equal(occurrences(text, "</svg>"), occurrences(text, "<svg"));
    assert_lacks(text, "gnuplot_canvas");
    free(text);
    free(s.pixel);
}

static void test_user_text_is_escaped(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    s.report.study = "x' onload='y\x01\xff\xed\xa0\x80";
    s.score[1].name = "mine'; set output \"/tmp/x\"\n`id`<i>";
    char *text = write_and_read(&s);
    assert_has(text, "&lt;b&gt;&amp;&quot;&#39;");
    assert_lacks(text, "<b>&\"");
    assert_has(text, "in &lt;minus&gt; out");
    assert_has(text, "&lt;/pre&gt;&lt;script&gt;");
    assert_has(text, "n1,&lt;n2&gt;");
    assert_has(text, "x&#39; onload=&#39;y\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
    assert_int_equal(occurrences(text, "<svg"), gnuplot_is_there() ? 6 : 0);
    free(text);
    free(s.pixel);
}

static void test_galleries_are_ordered_and_ties_told(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    s.value[60] = -0.5F;
    char *text = write_and_read(&s);
    const char *class_even = strstr(text, "<h3>&lt;b&gt;");
    assert_non_null(class_even);
    const char *least = strstr(class_even, "Least memorized");
    const char *next_class = strstr(class_even, "<h3>plain");
    assert_true(least != NULL && next_class != NULL && least < next_class);
    /* Most: 0, 2, 4, 6 (relabelled, 0.9), then 8, 10 (0.4), then ties at 0 by source number. */
    const char *c = class_even;
    const char *const order[] = {"#1000<", "#1006<", "#1012<", "#1018<",
                                 "#1024<", "#1030<", "#1036<", "#1042<"};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        c = strstr(c, order[i]);
        assert_true(c != NULL && c < least);
    }
    assert_has(class_even, "truly plain");
    /* Least: 60 alone, then the ties. */
    c = strstr(least, "#1180<");
    assert_true(c != NULL && c < strstr(least, "#1036<"));
    assert_memory_equal(least, "Least memorized</p>",
                        19); /* one example is the minimum: nothing ties there */
    /* The other class has 26 examples at 0. */
    assert_has(next_class, "Least memorized (26 tie at 0.00; the lowest numbers are shown)");
    free(text);
    free(s.pixel);
}

static void test_without_gnuplot(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    char *kept = strdup(getenv("PATH"));
    setenv("PATH", "", 1);
    char *text = write_and_read(&s);
    assert_lacks(text, "<svg");
    assert_int_equal(
        occurrences(text, "Figures are drawn by gnuplot (Debian: gnuplot-nox), which was not found."), 6);
    free(text);

    /* One that fails, one that ends well but draws nothing, one whose SVG breaks off. */
    const char *const scripts[] = {"#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n",
                                   "#!/bin/sh\necho '<svg><g>'\n"};
    char bin[64] = "/tmp/leaveout-bin-XXXXXX";
    char program[100];
    lo_error err;
    assert_non_null(mkdtemp(bin));
    snprintf(program, sizeof(program), "%s/gnuplot", bin);
    setenv("PATH", bin, 1);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        assert_int_equal(lo_file_write(program, scripts[i], strlen(scripts[i]), &err), LO_OK);
        assert_int_equal(chmod(program, 0700), 0);
        text = write_and_read(&s);
        assert_lacks(text, "<svg");
        assert_int_equal(occurrences(text, "which failed on this one"), 6);
        free(text);
    }
    unlink(program);
    rmdir(bin);
    setenv("PATH", kept, 1);
    free(kept);
    free(s.pixel);
}

static void test_zero_models(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    lo_report empty = {.study = "new",
                       .version = "1",
                       .data = &s.data,
                       .design = "balanced",
                       .ratio = 0.7,
                       .models_planned = 200,
                       .in_sample_clean = NAN,
                       .in_sample_relabelled = NAN,
                       .out_of_sample_clean = NAN,
                       .out_of_sample_relabelled = NAN};
    s.report = empty;
    char *text = write_and_read(&s);
    assert_has(text, "No model has been trained yet, of 200 planned");
    assert_has(text, "The study is partial: 0 of 200 models are done");
    assert_has(text, "No attempt is on record");
    assert_lacks(text, "<svg");
    assert_lacks(text, "<img");
    free(text);
    free(s.pixel);
}

static void test_warnings(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    s.report.in_sample_clean = 0.941;
    s.report.in_sample_relabelled = 0.612;
    s.report.models_planned = 10;
    s.report.models_diverged = 1;
    s.report.models_given_up = 2;
    s.report.out_min = 3;
    s.report.processor_types = 2;
    char *text = write_and_read(&s);
    assert_has(text, "right on only 94.1\u00a0% of the clean examples");
    assert_has(text, "right on only 61.2\u00a0% of the relabelled examples");
    assert_has(text, "cannot be read where the recipe does not fit its data");
    assert_has(text, "4 of 10 models are done");
    assert_has(text, "1 model diverged");
    assert_has(text, "2 models were given up");
    assert_has(text, "left out by only 3 models");
    assert_has(text, "2 types of processor");
    assert_has(text, "left out by 3 to 12.");
    free(text);

    /* Leave-one-out: most examples are never left out, by design; the seeds are what counts. */
    s.report.design = "leave_one_out";
    s.report.out_min = 0;
    s.report.out_max = 10;
    text = write_and_read(&s);
    assert_lacks(text, "left out by only");
    assert_has(text, "has a twin");
    free(text);
    free(s.pixel);
}

/* An example that every model was trained on has an accuracy in sample and no memorization: the table's mean
 * is that of the values, not the difference of its two accuracies. */
static void test_mean_memorization_is_of_the_values(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    for (int i = 0; i < N; i++) {
        s.value[i] = i < N / 2 ? NAN : -0.25F;
        s.label[i] = s.label_true[i];
    }
    s.report.relabelled = 0;
    s.report.in_sample_clean = 0.99;
    s.report.out_of_sample_clean = 0.50;
    char *text = write_and_read(&s);
    assert_has(text, "<td>99.0\u00a0%</td><td>50.0\u00a0%</td><td>−0.250</td>");
    assert_has(text, "the wider end of Newcombe");
    free(text);

    s.report.design = "leave_one_out";
    text = write_and_read(&s);
    assert_has(text, "Bonett and Price 2012");
    assert_has(text, "on all or all but one of 64 training examples of 2 classes");
    assert_lacks(text, "the wider end of Newcombe");
    free(text);

    s.report.design = "none";
    s.report.models_planned = s.report.models_done = 0;
    s.report.score_count = 0;
    text = write_and_read(&s);
    assert_has(text, "asks for no ensemble");
    assert_lacks(text, "left out by");
    free(text);
    free(s.pixel);
}

static void test_missing_parts(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    s.report.class_name = NULL;
    s.report.seconds = NULL;
    s.report.influence_error = NULL;
    s.score[0].low = s.score[0].high = s.score[0].standard_error = NULL;
    for (int i = 0; i < N; i++) {
        s.value[i] = i < 4 ? NAN : s.value[i];
        s.cscore[i] = NAN;
    }
    char *text = write_and_read(&s);
    assert_has(text, "<b>8</b> of 60 examples");
    assert_has(text, "For the other 4 examples nothing can be said");
    assert_has(text, "<h3>class 1</h3>");
    assert_has(text, "No example has a value.");
    assert_lacks(text, "whole 95&#160;% interval lies");
    free(text);

    for (int i = 0; i < N; i++) {
        s.value[i] = NAN;
        s.label[i] = s.label_true[i] = 0;
    }
    s.data.classes = 1;
    s.report.relabelled = 0;
    s.report.influence_rows = 0;
    text = write_and_read(&s);
    assert_has(text, "of 1 class.");
    assert_has(text, "No example has a memorization score");
    assert_lacks(text, "wrong labels");
    assert_lacks(text, "decide a test example");
    free(text);

    s.report.score_count = 1;
    s.score[0].value = NULL;
    text = write_and_read(&s);
    assert_has(text, "has no memorization scores");
    assert_lacks(text, "Scores of the training examples");
    free(text);

    s.data.train.count = s.data.test.count = 0;
    s.score[0].value = s.value;
    text = write_and_read(&s);
    free(text);
    free(s.pixel);
}

static void test_unlearning(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    const lo_report_mean none = {NAN, NAN, NAN};
    lo_report_unlearned rows[3] = {{.forget_set = "random10",
                                    .method = "oracle",
                                    .forget_count = 5,
                                    .seeds = 3,
                                    .applies = true,
                                    .unlearning = {0.052, 0.04, 0.064},
                                    .retain = {1, NAN, NAN},
                                    .test = {0.94, 0.9, 0.98},
                                    .tow = {0.97, 0.96, 0.98},
                                    .tow_ceiling = 0.97,
                                    .original = 0.998,
                                    .seconds = 20,
                                    .time_ratio = 1},
                                   {.forget_set = "random10",
                                    .method = "scrub",
                                    .setting = "{name: scrub, epochs: <3>}",
                                    .forget_count = 5,
                                    .seeds = 3,
                                    .diverged = 1,
                                    .searched = true,
                                    .chosen = true,
                                    .applies = true,
                                    .unlearning = {0.01, NAN, NAN},
                                    .retain = {0.999, NAN, NAN},
                                    .test = {0.93, NAN, NAN},
                                    .tow = {0.95, NAN, NAN},
                                    .tow_ceiling = 0.97,
                                    .original = 0.998,
                                    .seconds = 1.5,
                                    .time_ratio = 0.075},
                                   {.forget_set = "three",
                                    .method = "imu",
                                    .forget_count = 4,
                                    .seeds = 3,
                                    .reason = "no <head>",
                                    .unlearning = none,
                                    .retain = none,
                                    .test = none,
                                    .tow = none,
                                    .tow_ceiling = NAN,
                                    .original = 1}};
    s.report.unlearned = rows;
    s.report.unlearned_count = 3;
    char *text = write_and_read(&s);
    assert_has(text, "<h2>Unlearning</h2>");
    assert_has(text, "Forget set <code>random10</code>");
    assert_has(text, "<p>5 training examples, on which originals are right 99.8");
    assert_has(text, "ToW of one oracle against another is 0.970");
    assert_has(text, "<span class=\"soft\">4.0 to 6.4</span></td><td>100.0");
    assert_has(text, "<td class=\"left long\">epochs: &lt;3&gt; <b>best</b>");
    assert_has(text, "0.075");
    assert_has(text, "(1 diverged)");
    assert_has(text, "not applicable: no &lt;head&gt;");
    /* Of both sets together, the best in bold; figures of those that have more than one ToW. */
    const char *all = strstr(text, "Every method on every forget set");
    assert_non_null(all);
    assert_has(all, "<th scope=\"col\"><code>random10</code></th><th scope=\"col\"><code>three</code></th>");
    assert_has(all,
               "<code>oracle</code></td><td>0.970<br/><span class=\"soft\">0.960 to 0.980</span></td><td>");
    assert_has(all, "<code>scrub</code></td><td class=\"best\">0.950</td><td>&#8211;</td></tr>");
    assert_has(all, "<code>imu</code></td><td>&#8211;</td><td>&#8211;</td></tr>");
    assert_int_equal(occurrences(text, "aria-label=\"ToW of each method\""), 1);
    assert_has(text, "<code>random10</code>: closest to the oracles is <code>scrub</code>, ToW <b>0.950</b>");
    assert_has(text, "one oracle against another has 0.970.</li>");
    assert_has(text, "What makes unlearning hard");
    free(text);
    /* Without an ensemble nothing is said of memorization. */
    s.attempt[0].core_seconds = 5;
    s.attempt[1].core_seconds = 0.25;
    s.report.models_planned = s.report.models_done = s.report.relabelled = 0;
    s.report.score_count = 0;
    text = write_and_read(&s);
    assert_has(text, "<h1>What the models forgot: made &amp; up</h1>");
    assert_has(text, "<b>3</b><span>models made to forget</span>");
    assert_has(text, "<b>5.25 core-seconds</b>");
    assert_has(text, "<td>0.250</td><td class=\"left long\">complete</td>");
    assert_lacks(text, "models trained</span>");
    assert_lacks(text, "Agresti");
    free(text);
    s.report.unlearned_count = 0;
    text = write_and_read(&s);
    assert_lacks(text, "Unlearning</h2>");
    free(text);
    free(s.pixel);
}

/* Short names tell runs of one method apart, in figures and over all sets; settings are in the sets' tables.
 */
static void test_short_names(void **state)
{
    (void)state;
    enum { SETS = 2, RUNS = 4 };
    static const char *const labels[RUNS] = {"rum by 100% [x]", "rum vanilla", "same", "same"};
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    static lo_report_unlearned rows[SETS * RUNS];
    for (int i = 0; i < SETS * RUNS; i++) {
        rows[i] = (lo_report_unlearned){.forget_count = 300,
                                        .seeds = 3,
                                        .applies = true,
                                        .method = "rum",
                                        .tow = {0.5 + 0.1 * (i % RUNS), NAN, NAN},
                                        .tow_ceiling = NAN};
        snprintf(rows[i].forget_set, sizeof(rows[i].forget_set), "set_%d", i / RUNS);
        snprintf(rows[i].label, sizeof(rows[i].label), "%s", labels[i % RUNS]);
        snprintf(rows[i].setting, sizeof(rows[i].setting), "{name: rum, with: %d}", i % RUNS);
    }
    s.report.unlearned = rows;
    s.report.unlearned_count = SETS * RUNS;
    char *text = write_and_read(&s);
    const char *all = strstr(text, "Every method on every forget set"), *set = strstr(text, "<h3>Forget set");
    assert_true(all != NULL && set != NULL && all < set);
    const char *name = strstr(all, "<code>rum by 100% [x]</code></td>");
    assert_true(name != NULL && name < set);
    assert_true(strstr(all, "with: 0") > set && strstr(all, "with: 1") > set);
    assert_true(strstr(all, "with: 2") < set && strstr(all, "with: 3") < set); /* names do not tell */
    if (gnuplot_is_there()) {
        assert_has(set, "<text>rum by 100% [x]</text>");
        assert_has(set, "<text>same, with: 3</text>");
    }
    free(text);
    free(s.pixel);
}

/* 16 methods, 5 forget sets: a page stays a page. */
static void test_many_methods(void **state)
{
    (void)state;
    enum { SETS = 5, METHODS = 16 };
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    lo_report_unlearned *rows = calloc((size_t)SETS * METHODS, sizeof(*rows));
    for (int i = 0; i < SETS * METHODS; i++) {
        const double tow = 0.5 + 0.4 * (i * 7 % 16) / 16;
        rows[i] = (lo_report_unlearned){.forget_count = 300,
                                        .seeds = 10,
                                        .applies = true,
                                        .unlearning = {0.1, 0.09, 0.11},
                                        .retain = {0.99, 0.98, 1},
                                        .test = {0.9, 0.89, 0.91},
                                        .tow = {tow, tow - 0.02, tow + 0.02},
                                        .tow_ceiling = 0.95,
                                        .original = 0.99,
                                        .seconds = 10,
                                        .time_ratio = 0.1};
        snprintf(rows[i].forget_set, sizeof(rows[i].forget_set), "set_%d", i / METHODS);
        snprintf(rows[i].method, sizeof(rows[i].method), "method_%d'; x=`id`", i % METHODS);
        snprintf(rows[i].setting, sizeof(rows[i].setting), "{name: method, epochs: %d}", i % METHODS);
    }
    s.report.unlearned = rows;
    s.report.unlearned_count = SETS * METHODS;
    char *text = write_and_read(&s);
    assert_int_equal(occurrences(text, "class=\"best\""), SETS);
    assert_int_equal(occurrences(text, "aria-label=\"ToW of each method\""), SETS);
    assert_true(strlen(text) < 400000);
    if (gnuplot_is_there()) {
        assert_lacks(text, "which failed on this one");
        assert_has(text, "<path d='M-1,0 a1,1 0 1,0 2,0 a1,1 0 1,0 -2,0 z' fill='currentColor'");
    }
    free(text);
    free(rows);
    free(s.pixel);
}

/* Two seeds: mean 0.81, standard error 0.01, Student's quantile 12.706. */
static void test_originals(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    const double loss[3] = {0.5, 0.25, 0.125};
    const double accuracy[3] = {0.5, 0.75, 1};
    const lo_report_original originals[3] = {
        {.seed = 0, .test_accuracy = 0.80, .seconds = 2, .loss = loss, .accuracy = accuracy},
        {.seed = 1, .test_accuracy = 0.1, .seconds = 9, .diverged = true, .loss = loss, .accuracy = accuracy},
        {.seed = 2, .test_accuracy = 0.82, .seconds = 4, .loss = loss, .accuracy = accuracy}};
    s.report.originals_planned = s.report.original_count = s.report.epochs = 3;
    s.report.original = originals;
    char *text = write_and_read(&s);
    assert_has(text, "<h2>Originals</h2>");
    assert_has(text, "mean</th><td>81.00&#160;%<br/><span class=\"soft\">68.29 to 93.71</span></td>");
    assert_has(text, "<td>3.00 s</td>");
    assert_has(text, "<td>1</td><td>–</td>");
    free(text);
    s.report.original_count = 1;
    text = write_and_read(&s);
    assert_lacks(text, "mean</th>");
    free(text);
    free(s.pixel);
}

static void test_attribution(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    lo_report_method methods[2] = {
        {.name = "ridge_loo",
         .description = "least <squares>",
         .parameters = 850,
         .penalty = 1e-3,
         .core_seconds = 2.5,
         .fit_gradient = NAN,
         .largest_gradient = NAN},
        {.name = "certified_loo",
         .description = "refits",
         .parameters = 765,
         .penalty = 1e-3,
         .core_seconds = 70,
         .fit_gradient = 2e-13,
         .largest_gradient = 9e-10},
    };
    int64_t own_index[2] = {3, -1};
    float own_value[2] = {1.25F, NAN};
    int64_t target = 5;
    int64_t index[4] = {0, 7, 2, -1};
    float value[4] = {0.75F, 0.5F, -0.25F, NAN};
    s.report.attribution = (lo_report_attribution){.methods = 2,
                                                   .method = methods,
                                                   .output = "margin",
                                                   .own = 2,
                                                   .own_index = own_index,
                                                   .own_value = own_value,
                                                   .targets = &s.data.test,
                                                   .targets_are = "test",
                                                   .rows = 1,
                                                   .target = &target,
                                                   .k = 2,
                                                   .index = index,
                                                   .value = value};
    char *text = write_and_read(&s);
    assert_has(text, "Models without one example");
    assert_has(text, "least &lt;squares&gt;");
    assert_has(text, "<td>closed form</td>");
    assert_has(text, "<td>9.0e-10</td>");
    assert_has(text, "Of <code>certified_loo</code>");
    assert_has(text, "<b>+1.25</b>");
    assert_has(text, "<b>+0.75</b>");
    assert_has(text, "<b>\u22120.25</b>");
    assert_lacks(text, "eigenvalues of");
    free(text);
    double eigenvalue[9] = {-1e-18, 1e-3, 1e-3, 1e-3, 0.5, 1, 2, 3, 40};
    s.report.attribution.eigenvalues = 9;
    s.report.attribution.eigenvalue = eigenvalue;
    (void)snprintf(s.report.attribution.spectrum_of, sizeof(s.report.attribution.spectrum_of), "ggn");
    text = write_and_read(&s);
    assert_has(text,
               "The 9 eigenvalues of <code>ggn</code>'s curvature, penalty included, from 40 down to -1e-18");
    assert_lacks(text, "by their size"); /* what is rounding is not negative */
    free(text);
    eigenvalue[0] = -0.25;
    (void)snprintf(s.report.attribution.model, sizeof(s.report.attribution.model), "network");
    (void)snprintf(methods[1].form, sizeof(methods[1].form), "dual");
    methods[1].rows = 1170;
    s.report.attribution.original = 4;
    text = write_and_read(&s);
    assert_has(text, "1 is negative: these by their size");
    assert_has(text, "the network of original 4");
    assert_has(text, "<td>1,170 (dual)</td>");
    assert_has(text, "What memorization means");
    free(text);
    /* Without an ensemble nothing is said of memorization. */
    s.report.models_planned = 0;
    s.report.models_done = 0;
    s.report.score_count = 0;
    text = write_and_read(&s);
    assert_lacks(text, "What memorization means");
    assert_lacks(text, "What the models memorized");
    assert_has(text, "What the training examples do");
    free(text);
    s.report.models_planned = 6;
    s.report.attribution.methods = 0;
    text = write_and_read(&s);
    assert_lacks(text, "Models without one example");
    free(text);
    free(s.pixel);
}

static void test_study_of_scores(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 3, 3});
    lo_report_compared row[] = {
        {.name = "cheap & <plain>",
         .trainings = 1,
         .own = 0.01,
         .originals = 2,
         .somers = 0.75,
         .spread = NAN,
         .rmse = NAN,
         .saving = 4,
         .missed = 0.25,
         .spearman = 0.625,
         .low = 0.7,
         .high = 0.8,
         .corrected = 0.79,
         .front = true,
         .difference = -0.125,
         .difference_low = -0.25,
         .difference_high = 0.063},
        {.name = "dear",
         .trainings = 8,
         .own = 0,
         .somers = 0.875,
         .spread = 0.03125,
         .saving = NAN,
         .spearman = 0.875,
         .low = 0.85,
         .high = 0.9,
         .corrected = 0.92,
         .front = true,
         .difference = NAN,
         .noise = NAN},
        {.name = "everything",
         .trainings = 50,
         .somers = 0.99,
         .saving = NAN,
         .later_front = true,
         .spearman = 0.99,
         .low = NAN,
         .high = NAN,
         .in_reference = true,
         .difference = NAN},
        {.name = "undefined",
         .trainings = 2,
         .somers = NAN,
         .saving = NAN,
         .spearman = NAN,
         .low = NAN,
         .high = NAN,
         .corrected = NAN,
         .difference = NAN},
    };
    lo_report_budget budget[] = {{2, 0.75, NAN, "cheap & <plain>"}, {0.5, NAN, NAN, ""}};
    s.report.scaling = (lo_report_scaling){.rows = 4,
                                           .budgets = 2,
                                           .row = row,
                                           .budget = budget,
                                           .ceiling = 0.95,
                                           .reliability = 0.904,
                                           .tied = 0.75,
                                           .in_accuracy = 0.999,
                                           .in_accuracy_replaced = 0.9,
                                           .training = 45,
                                           .models = 50,
                                           .held_back = 8,
                                           .group = 4,
                                           .resamples = 1000};
    char *text = write_and_read(&s);
    assert_has(text, "What a score costs");
    assert_has(text, "cheap &amp; &lt;plain&gt; ●</th><td>1.00</td><td>0.750</td><td>0.700 "
                     "to 0.800</td><td>–</td><td>0.625</td>");
    assert_has(text, "−0.125 (−0.250 to +0.063)");
    assert_has(text, "everything ○ *</th>");
    assert_has(text, "cheap &amp; &lt;plain&gt; ●</th><td>0.010</td><td>2</td><td>0.790</td>");
    assert_has(text, "reliability of 0.904");
    assert_has(text, "75.0 % of its examples share");
    assert_has(text, "correlation above 0.950, an upper bound");
    assert_has(text, "90.0 % of the replaced labels");
    assert_has(text, "Below 95");
    assert_has(text, "<td>0.031</td>");
    assert_has(text, "as often as 4.0 times as many models");
    assert_has(text, "never looks at 25.0 % of");
    assert_has(text, "<td class=\"left\">none</td>");
    free(text);
    s.report.scaling.in_accuracy_replaced = NAN;
    text = write_and_read(&s);
    assert_lacks(text, "Below 95");
    assert_lacks(text, "of the replaced labels among");
    free(text);
    s.report.scaling = (lo_report_scaling){0};
    text = write_and_read(&s);
    assert_lacks(text, "What a score costs");
    free(text);
    free(s.pixel);
}

static void test_strange_values(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){1, 4, 4});
    for (int i = 0; i < N; i++) {
        s.cscore[i] = i % 3 == 0 ? INFINITY : i % 3 == 1 ? -INFINITY : 1e30F;
        s.value[i] = 0.25F; /* all equal: exactly at the limit is not above it */
    }
    char *text = write_and_read(&s);
    assert_has(text, "<b>0</b> of 64 examples");
    assert_has(text, "Most memorized (32 tie at 0.25");
    assert_has(text, "<td>0.5000</td>");
    assert_has(text, "∞");
    free(text);
    free(s.pixel);
}

static void test_many_classes_and_large_pictures(void **state)
{
    (void)state;
    struct study s;
    fill(&s, (lo_shape){3, 224, 200});
    for (int i = 0; i < N; i++) {
        s.label[i] = s.label_true[i] = i < 60 ? i / 3 : 900 + i; /* 20 classes of 3, and others far behind */
    }
    s.data.classes = 1000;
    s.report.class_name = NULL;
    s.report.relabelled = 0;
    char *text = write_and_read(&s);
    assert_has(text, "The first 20 of 1000 classes are shown");
    assert_has(text, "<h3>class 19</h3>");
    assert_lacks(text, "<h3>class 960</h3>");
    assert_true(strlen(text) < 3000000);
    free(text);
    free(s.pixel);

    fill(&s, (lo_shape){1, 1, 30}); /* rows of a table, no pictures */
    text = write_and_read(&s);
    assert_has(text, "These examples are not pictures");
    assert_lacks(text, "<img");
    assert_has(text, "#1000<");
    free(text);
    free(s.pixel);
}

static void test_where_nothing_can_be_written(void **state)
{
    (void)state;
    struct study s;
    lo_error err = {""};
    fill(&s, (lo_shape){1, 4, 4});
    assert_int_equal(lo_report_write(&s.report, "/tmp/no/such/folder/report.html", &err), LO_IO);
    assert_non_null(strstr(err.text, "/tmp/no/such/folder/report.html"));
    free(s.pixel);
}

/* xmllint, where it is there, is a second judge of the checker and of the page. */
static void test_xmllint_agrees(void **state)
{
    (void)state;
    if (system("xmllint --version > /dev/null 2>&1") != 0) {
        printf("skipped: no xmllint to read the page\n");
        return;
    }
    struct study s;
    lo_error err = {""};
    char file[256];
    char command[400];
    fill(&s, (lo_shape){3, 5, 7});
    s.report.study = "\x01\xff\xef\xbf\xbf & <";
    snprintf(file, sizeof(file), "%s/page.html", directory);
    assert_int_equal(lo_report_write(&s.report, file, &err), LO_OK);
    snprintf(command, sizeof(command), "xmllint --noout %s", file);
    assert_int_equal(system(command), 0);
    unlink(file);
    free(s.pixel);
}

/* ---- parts ---- */

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(lo_number_count(0).text, "0");
    assert_string_equal(lo_number_count(999).text, "999");
    assert_string_equal(lo_number_count(1000).text, "1,000");
    assert_string_equal(lo_number_count(-1234567).text, "−1,234,567");
    assert_string_equal(lo_number_count(INT64_MIN).text, "−9,223,372,036,854,775,808");
    assert_string_equal(lo_number_real(-0.001, 2).text, "0.00");
    assert_string_equal(lo_number_real(-0.005001, 2).text, "−0.01");
    assert_string_equal(lo_number_real(NAN, 2).text, "–");
    assert_string_equal(lo_number_real(1e300, 2).text, "1.00e+300");
    assert_string_equal(lo_number_signed(0.5, 1).text, "+0.5");
    assert_string_equal(lo_number_signed(-INFINITY, 1).text, "−∞");
    assert_string_equal(lo_number_percent(0.8837, 1).text, "88.4\u00a0%");
    assert_string_equal(lo_number_duration(0.25).text, "0.25 s");
    assert_string_equal(lo_number_duration(45).text, "45.0 s");
    assert_string_equal(lo_number_duration(720).text, "12 min");
    assert_string_equal(lo_number_duration(3 * 3600 + 300).text, "3 h 05 min");
    assert_string_equal(lo_number_duration(2 * 86400 + 4 * 3600).text, "2 d 4 h");
}

static void test_summary(void **state)
{
    (void)state;
    lo_error err;
    lo_summary summary;
    const float value[] = {4, NAN, 1, 3, 2, 10};
    assert_int_equal(lo_summarize(value, 6, &summary, &err), LO_OK);
    /* numpy.quantile([1, 2, 3, 4, 10], [.05, .25, .5, .75, .95]) = 1.2, 2, 3, 4, 8.8 */
    assert_int_equal(summary.count, 5);
    assert_true(fabs(summary.mean - 4) < 1e-12);
    assert_true(fabs(summary.standard_deviation - sqrt(50.0 / 4)) < 1e-12);
    assert_true(summary.minimum == 1 && summary.maximum == 10);
    assert_true(fabs(summary.q05 - 1.2) < 1e-12 && fabs(summary.q95 - 8.8) < 1e-12);
    assert_true(summary.q25 == 2 && summary.median == 3 && summary.q75 == 4);
    assert_int_equal(lo_summarize(NULL, 6, &summary, &err), LO_OK);
    assert_true(summary.count == 0 && isnan(summary.median));
}

/* The definitions, by double loops. */
static void test_detection_against_brute_force(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    float value[COUNT];
    int32_t label[COUNT];
    int32_t label_true[COUNT];
    unsigned seed = 1;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1103515245U + 12345U;
        label_true[i] = 0;
        label[i] = (seed >> 16) % 5 == 0;
        seed = seed * 1103515245U + 12345U;
        value[i] = (float)((seed >> 16) % 12 + (label[i] ? 3 : 0)) / 10; /* many ties */
    }
    value[17] = NAN;
    for (int orientation = -1; orientation <= 1; orientation += 2) {
        double place[COUNT] = {0};
        double m = 0;
        double n = 0;
        double sum = 0;
        for (int i = 0; i < COUNT; i++) {
            m += label[i] && !isnan(value[i]);
            n += !label[i] && !isnan(value[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            for (int j = 0; j < COUNT; j++) {
                if (label[i] && !label[j] && !isnan(value[i]) && !isnan(value[j])) {
                    const double x = orientation * (double)value[i];
                    const double y = orientation * (double)value[j];
                    const double win = x > y ? 1 : x == y ? 0.5 : 0;
                    sum += win;
                    place[i] += win / n;
                    place[j] += win / m;
                }
            }
        }
        const double auc = sum / m / n;
        double variance = 0;
        for (int i = 0; i < COUNT; i++) {
            const double group = label[i] ? m : n;
            variance += isnan(value[i]) ? 0 : (place[i] - auc) * (place[i] - auc) / (group - 1) / group;
        }
        lo_detection detection;
        lo_error err;
        assert_int_equal(lo_detect(value, orientation, label, label_true, COUNT, &detection, &err), LO_OK);
        assert_true(detection.relabelled == (int64_t)m && detection.clean == (int64_t)n);
        assert_true(fabs(detection.auc - auc) < 1e-12);
        assert_true(fabs(detection.standard_error - sqrt(variance)) < 1e-12);
    }
    /* Two relabelled: one on top alone, the second tied with three clean ones at the one place that is left.
     */
    const float tied[] = {5, 4, 4, 4, 4, 1};
    const int32_t wrong[] = {1, 0, 1, 0, 0, 0, false};
    const int32_t right[] = {0, 0, 0, 0, 0, 0, false};
    lo_detection detection;
    lo_error err;
    assert_int_equal(lo_detect(tied, 1, wrong, right, 6, &detection, &err), LO_OK);
    assert_true(fabs(detection.found - (1 + 0.25) / 2) < 1e-12);
    assert_true(fabs(detection.auc - (1 + (1 + 1.5) / 4) / 2) < 1e-12);
    assert_int_equal(lo_detect(tied, 1, right, right, 6, &detection, &err), LO_OK);
    assert_true(isnan(detection.auc));
}

static void test_base64(void **state)
{
    (void)state;
    /* RFC 4648, section 10 */
    const char *const cases[][2] = {{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        lo_base64_write(stream, (const uint8_t *)cases[i][0], strlen(cases[i][0]));
        fclose(stream);
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

/* The picture of a data URI, decoded by libpng; returns malloc'ed interleaved pixels. */
static uint8_t *decode(const char *uri, lo_shape expected)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char prefix[] = "data:image/png;base64,";
    assert_memory_equal(uri, prefix, sizeof(prefix) - 1);
    const char *c = uri + sizeof(prefix) - 1;
    uint8_t *png = malloc(strlen(c) + 3);
    size_t size = 0;
    uint32_t bits = 0;
    for (int have = 0; *c != '\0' && *c != '='; c++) {
        bits = bits << 6 | (uint32_t)(strchr(digit, *c) - digit);
        have += 6;
        if (have >= 8) {
            have -= 8;
            png[size++] = (uint8_t)(bits >> have);
        }
    }
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, png, size));
    assert_int_equal(image.width, expected.width);
    assert_int_equal(image.height, expected.height);
    image.format = expected.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    uint8_t *pixel = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, pixel, 0, NULL));
    free(png);
    return pixel;
}

static void test_pictures(void **state)
{
    (void)state;
    lo_error err = {""};
    /* Unchanged below the limit, planes interleaved; 2 by 2 means above it. */
    const struct {
        lo_shape shape, shown;
        int side;
    } cases[] = {{{1, 28, 28}, {1, 28, 28}, 84},
                 {{3, 5, 7}, {3, 5, 7}, 7},
                 {{3, 8, 12}, {3, 4, 6}, 6},
                 {{1, 20, 2}, {1, 10, 1}, 10}};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        const lo_shape from = cases[k].shape;
        const lo_shape to = cases[k].shown;
        uint8_t pixel[28 * 28];
        for (size_t i = 0; i < sizeof(pixel); i++) {
            pixel[i] = (uint8_t)(i * i % 253);
        }
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        assert_true(lo_picture_possible(from));
        assert_int_equal(lo_picture_write(stream, from, pixel, cases[k].side, &err), LO_OK);
        fclose(stream);
        uint8_t *read = decode(text, to);
        const int by = from.height / to.height;
        for (int y = 0; y < to.height; y++) {
            for (int x = 0; x < to.width; x++) {
                for (int c = 0; c < to.channels; c++) {
                    double mean = 0;
                    for (int p = 0; p < by * by; p++) {
                        mean += pixel[(c * from.height + y * by + p / by) * from.width + x * by + p % by];
                    }
                    mean /= by * by;
                    assert_true(fabs(read[(y * to.width + x) * to.channels + c] - mean) <= 0.5);
                }
            }
        }
        free(read);
        free(text);
    }
    assert_false(lo_picture_possible((lo_shape){2, 8, 8}));
    assert_false(lo_picture_possible((lo_shape){1, 1, 100}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_finds_trouble),
        cmocka_unit_test(test_complete_study),
        cmocka_unit_test(test_user_text_is_escaped),
        cmocka_unit_test(test_galleries_are_ordered_and_ties_told),
        cmocka_unit_test(test_without_gnuplot),
        cmocka_unit_test(test_zero_models),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_mean_memorization_is_of_the_values),
        cmocka_unit_test(test_missing_parts),
        cmocka_unit_test(test_unlearning),
        cmocka_unit_test(test_short_names),
        cmocka_unit_test(test_many_methods),
        cmocka_unit_test(test_originals),
        cmocka_unit_test(test_attribution),
        cmocka_unit_test(test_study_of_scores),
        cmocka_unit_test(test_strange_values),
        cmocka_unit_test(test_many_classes_and_large_pictures),
        cmocka_unit_test(test_where_nothing_can_be_written),
        cmocka_unit_test(test_xmllint_agrees),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_detection_against_brute_force),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
