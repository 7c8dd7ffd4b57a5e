#include "report/report.h"

#include "attribute/linear.h"
#include "base/file.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/picture.h"
#include "report/style.h"
#include "report/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    GALLERY_CLASSES = 20,    /* classes whose examples are shown */
    GALLERY_PICTURES = 8,    /* most and least memorized ones of a class */
    INFLUENCE_ROWS = 16,     /* test examples that are shown */
    INFLUENCE_COLUMNS = 8,   /* and their training examples */
    PICTURE_BYTES = 2200000, /* room for all pictures together, about */
    SIDE_MIN = 32,           /* larger pictures are scaled down to fit that room, but not below this */
    SIDE_SHOWN = 84,         /* CSS pixels */
    CURVE_POINTS = 240,
    FEW_OUT_MODELS = 10
};

static const double FITTED = 0.95; /* in-sample accuracy below which memorization cannot be read */

struct page {
    FILE *out;
    const lo_report *report;
    const lo_report_score *memorization; /* NULL without it */
    bool leave_groups; /* models differ in one left-out example (or group), not in random subsets */
    int64_t above_quarter, above_half, surely_above_quarter;
    lo_summary value, error; /* of memorization */
    lo_summary error_above;  /* of the examples memorized above 0.25 */
    lo_summary accuracy;     /* of the models on the test examples */
    int side;                /* pictures are at most this large */
    bool warned;
};

/* ---- small things ---- */

static bool usable(const lo_report_score *score)
{
    return score->value != NULL;
}

static void write_class(const struct page *page, int32_t label)
{
    const lo_report *report = page->report;
    if (report->class_name != NULL && label >= 0 && label < report->data->classes &&
        report->class_name[label] != NULL) {
        lo_html_text(page->out, report->class_name[label]);
    } else {
        (void)fprintf(page->out, "class %" PRId32, label);
    }
}

static const char *plural(int64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* Decimals that show so many digits of numbers as large as `size`. */
static int decimals_for(double size, int digits)
{
    if (!(size > 0) || isinf(size)) {
        return digits - 1;
    }
    const double decimals = digits - 1 - floor(log10(size));
    return decimals < 0 ? 0 : decimals > 8 ? 8 : (int)decimals;
}

static int decimals_of(const lo_summary *summary)
{
    return decimals_for(fmax(fabs(summary->minimum), fabs(summary->maximum)), 4);
}

/* 70 %, 12.5 % */
static int decimals_of_share(double share)
{
    return fabs(100 * share - round(100 * share)) < 1e-6 ? 0 : 1;
}

static double core_seconds(const lo_report *report)
{
    double sum = 0;
    for (int i = 0; i < report->attempt_count; i++) {
        sum += report->attempt[i].core_seconds;
    }
    return sum;
}

/* ---- what is computed before anything is written ---- */

static void count_memorized(struct page *page)
{
    const lo_report_score *score = page->memorization;
    for (int64_t i = 0; i < page->report->data->train.count; i++) {
        page->above_quarter += score->value[i] > 0.25F;
        page->above_half += score->value[i] > 0.5F;
        page->surely_above_quarter += score->low != NULL && score->low[i] > 0.25F;
    }
}

/* Most examples have values and errors near zero; the errors of those that matter are larger. */
static lo_status summarize_error_above(struct page *page, lo_error *err)
{
    const lo_report_score *score = page->memorization;
    const int64_t n = page->report->data->train.count;
    if (score->standard_error == NULL || page->above_quarter == 0) {
        return lo_summarize(NULL, 0, &page->error_above, err);
    }
    float *error = malloc((size_t)page->above_quarter * sizeof(*error));
    if (error == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %" PRId64 " errors", page->above_quarter);
    }
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (score->value[i] > 0.25F) {
            error[count++] = score->standard_error[i];
        }
    }
    const lo_status status = lo_summarize(error, count, &page->error_above, err);
    free(error);
    return status;
}

/* Large pictures are made so small that all of them together fit. */
static int choose_side(const lo_report *report)
{
    const int64_t classes = report->data->classes < GALLERY_CLASSES ? report->data->classes : GALLERY_CLASSES;
    const int64_t rows = report->influence_rows < INFLUENCE_ROWS ? report->influence_rows : INFLUENCE_ROWS;
    const int64_t columns = report->influence_k < INFLUENCE_COLUMNS ? report->influence_k : INFLUENCE_COLUMNS;
    const lo_report_attribution *a = &report->attribution;
    const int64_t pictures =
        1 + classes * 3 * GALLERY_PICTURES + rows * (1 + columns) + a->own + a->rows * (1 + 2 * a->k);
    const double raw = PICTURE_BYTES / 1.35 / (double)pictures / (double)report->data->shape.channels;
    const double side = sqrt(raw);
    return side < SIDE_MIN ? SIDE_MIN : side > SIDE_SHOWN ? SIDE_SHOWN : (int)side;
}

static lo_status prepare(struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    const int64_t n = report->data->train.count;
    page->leave_groups = report->design != NULL && strncmp(report->design, "leave_", 6) == 0;
    page->side = choose_side(report);
    for (int i = 0; i < report->score_count; i++) {
        if (strcmp(report->score[i].name, "memorization") == 0 && usable(&report->score[i])) {
            page->memorization = &report->score[i];
        }
    }
    if (page->memorization != NULL) {
        count_memorized(page);
        LO_TRY(lo_summarize(page->memorization->value, n, &page->value, err));
        LO_TRY(lo_summarize(page->memorization->standard_error, n, &page->error, err));
        LO_TRY(summarize_error_above(page, err));
    }
    return lo_summarize(report->test_accuracy, report->models_done, &page->accuracy, err);
}

/* ---- headline ---- */

static void tile(const struct page *page, const char *number, const char *meaning)
{
    (void)fprintf(page->out, "<li><b>%s</b><span>%s</span></li>\n", number, meaning);
}

static void write_tiles(const struct page *page)
{
    const lo_report *report = page->report;
    (void)fputs("<ul class=\"tiles\">\n", page->out);
    tile(page, lo_number_count(report->models_done).text,
         plural(report->models_done, "model trained", "models trained"));
    if (page->accuracy.count > 0) {
        tile(page, lo_number_percent(page->accuracy.mean, 1).text, "mean test accuracy");
    }
    if (page->value.count > 0) {
        tile(page, lo_number_count(page->above_quarter).text,
             plural(page->above_quarter, "example memorized above 0.25", "examples memorized above 0.25"));
        tile(page, lo_number_count(page->above_half).text,
             plural(page->above_half, "example memorized above 0.5", "examples memorized above 0.5"));
    }
    if (page->error.count > 0) {
        tile(page, lo_number_real(page->error.median, 3).text, "typical standard error of one value");
    }
    (void)fputs("</ul>\n", page->out);
}

static void write_what_was_trained(const struct page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    const int64_t n = report->data->train.count;
    if (report->models_planned == 0) {
        (void)fputs(
            report->originals_planned > 0
                ? "<p class=\"lead\">The job asks for no ensemble: only originals, models of the whole "
                  "training set.</p>\n"
                : "<p class=\"lead\">The job asks for no ensemble, so no model was trained.</p>\n",
            out);
        return;
    }
    if (report->models_done == 0) {
        (void)fprintf(
            out,
            "<p class=\"lead\">No model has been trained yet, of %s planned. There is nothing to read "
            "here but the job.</p>\n",
            lo_number_count(report->models_planned).text);
        return;
    }
    (void)fprintf(out, "<p class=\"lead\">%s %s trained, ", lo_number_count(report->models_done).text,
                  plural(report->models_done, "model was", "models were"));
    if (page->leave_groups) {
        (void)fprintf(out, "on all or all but one of %s training examples", lo_number_count(n).text);
    } else {
        (void)fprintf(
            out, "%s %s of %s training examples", plural(report->models_done, "on", "each on its own"),
            lo_number_percent(report->ratio, decimals_of_share(report->ratio)).text, lo_number_count(n).text);
    }
    if (report->data->classes > 0) {
        (void)fprintf(out, " of %" PRId32 " %s", report->data->classes,
                      plural(report->data->classes, "class", "classes"));
    }
    if (page->accuracy.count > 0) {
        (void)fprintf(out,
                      plural(page->accuracy.count, ". It is right on <b>%s</b> of %s test examples",
                             ". They are right on <b>%s</b> of %s test examples on average"),
                      lo_number_percent(page->accuracy.mean, 1).text,
                      lo_number_count(report->data->test.count).text);
        if (page->accuracy.count > 1) {
            (void)fprintf(out, " (standard deviation between models %s)",
                          lo_number_percent(page->accuracy.standard_deviation, 2).text);
        }
    }
    (void)fputs(".</p>\n", out);
}

static void write_what_is_memorized(const struct page *page)
{
    FILE *out = page->out;
    const int64_t n = page->report->data->train.count;
    if (page->value.count == 0) {
        if (page->report->models_done > 0) {
            (void)fputs(
                page->memorization == NULL
                    ? "<p class=\"lead\">This study has no memorization scores (yet).</p>\n"
                    : "<p class=\"lead\">No example has a memorization score: it takes a model that was "
                      "trained with the example and one that was not, neither of them diverged.</p>\n",
                out);
        }
        return;
    }
    const double count = (double)page->value.count;
    (void)fprintf(
        out,
        "<p class=\"lead\"><b>%s</b> of %s examples (%s) are memorized above 0.25 and <b>%s</b> (%s) above "
        "0.5: a model that has seen them is right about them that much more often than one that has not.",
        lo_number_count(page->above_quarter).text, lo_number_count(page->value.count).text,
        lo_number_percent((double)page->above_quarter / count, 1).text,
        lo_number_count(page->above_half).text, lo_number_percent((double)page->above_half / count, 1).text);
    if (page->memorization->low != NULL) {
        (void)fprintf(out, " For %s the whole 95&#160;%% interval lies above 0.25.",
                      lo_number_count(page->surely_above_quarter).text);
    }
    if (page->error.count > 0) {
        (void)fprintf(out, " The typical (median) standard error of a value is %s",
                      lo_number_real(page->error.median, 3).text);
        if (page->error_above.count > 0) {
            (void)fprintf(out, ", and %s among those above 0.25",
                          lo_number_real(page->error_above.median, 3).text);
        }
        (void)fputs(".", out);
    }
    if (page->value.count < n) {
        (void)fprintf(
            out,
            " For the other %s examples nothing can be said: no model was trained without them, or none "
            "with them.",
            lo_number_count(n - page->value.count).text);
    }
    (void)fputs("</p>\n", out);
}

/* Opens the box before the first warning and a new line in it before each. */
static void warning(struct page *page)
{
    (void)fputs(page->warned
                    ? "</li>\n<li>"
                    : "<aside class=\"warning\"><p>What limits the reading of this report</p>\n<ul>\n<li>",
                page->out);
    page->warned = true;
}

static void warn_of_fit(struct page *page, double accuracy, const char *which)
{
    if (accuracy < FITTED) { /* false for NaN */
        warning(page);
        (void)fprintf(
            page->out,
            "Models are right on only %s of the %s examples that they were trained on. Memorization cannot "
            "be "
            "read where the recipe does not fit its data: what was never learned looks as if it had not been "
            "memorized. Train longer, with a larger model, or with less regularization.",
            lo_number_percent(accuracy, 1).text, which);
    }
}

static void warn_of_models(struct page *page)
{
    const lo_report *report = page->report;
    if (report->models_done + report->models_given_up < report->models_planned) {
        warning(page);
        (void)fprintf(
            page->out, "The study is partial: %s of %s models are done. The same command goes on with it.",
            lo_number_count(report->models_done).text, lo_number_count(report->models_planned).text);
    }
    if (report->models_diverged > 0) {
        warning(page);
        (void)fprintf(page->out,
                      "%s %s diverged: the loss became infinite or undefined and training ended there. A "
                      "smaller learning rate usually helps. No score and no accuracy counts %s.",
                      lo_number_count(report->models_diverged).text,
                      plural(report->models_diverged, "model", "models"),
                      plural(report->models_diverged, "it", "them"));
    }
    if (report->models_given_up > 0) {
        warning(page);
        (void)fprintf(page->out,
                      "%s %s given up after every attempt to train %s died; <code>leaveout status</code> "
                      "names %s.",
                      lo_number_count(report->models_given_up).text,
                      plural(report->models_given_up, "model was", "models were"),
                      plural(report->models_given_up, "it", "them"),
                      plural(report->models_given_up, "it", "them"));
    }
    /* Without one example there are only as many models as seeds; examples that were never left out have no
     * value at all there, so the largest count is the one that matters. */
    const int64_t out = page->leave_groups ? report->out_max : report->out_min;
    if (report->models_done > 0 && out < FEW_OUT_MODELS) {
        warning(page);
        (void)fprintf(page->out,
                      "Some examples were left out by only %s %s. With fewer than %d, one value says little: "
                      "read distributions and averages, not single examples.",
                      lo_number_count(out).text, plural(out, "model", "models"), FEW_OUT_MODELS);
    }
    if (report->processor_types > 1) {
        warning(page);
        (void)fprintf(
            page->out,
            "The models were trained on %s types of processor. Results repeat bit by bit on one type "
            "only; on another they differ as another seed would make them.",
            lo_number_count(report->processor_types).text);
    }
}

static void write_warnings(struct page *page)
{
    warn_of_fit(page, page->report->in_sample_clean, "clean");
    warn_of_fit(page, page->report->in_sample_relabelled, "relabelled");
    warn_of_models(page);
    if (page->warned) {
        (void)fputs("</li>\n</ul></aside>\n", page->out);
    }
}

/* Is there, or will there be, an ensemble, so that memorization has a meaning here? */
static bool is_of_ensemble(const struct page *page)
{
    return page->report->models_planned > 0 || page->memorization != NULL;
}

static void write_headline(struct page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    const bool ensemble = is_of_ensemble(page);
    (void)fputs(ensemble                          ? "<header>\n<h1>What the models memorized: "
                : report->attribution.methods > 0 ? "<header>\n<h1>What the training examples do: "
                                                  : "<header>\n<h1>The study: ",
                out);
    lo_html_text(out, report->study);
    (void)fputs("</h1>\n<p class=\"byline\">By leaveout ", out);
    lo_html_text(out, report->version);
    if (report->attempt_count > 0 && report->attempt[0].start != NULL) {
        (void)fputs(", begun ", out);
        lo_html_text(out, report->attempt[0].start);
    }
    (void)fputs("</p>\n", out);
    if (ensemble) {
        (void)fprintf(
            out,
            "<p class=\"lead\">The question: how much does each of %s training examples owe to having "
            "been trained on?</p>\n",
            lo_number_count(report->data->train.count).text);
    } else if (report->attribution.methods > 0) {
        (void)fprintf(
            out,
            "<p class=\"lead\">The question: what does each of %s training examples do to a model's "
            "answers, its own and those to others?</p>\n",
            lo_number_count(report->data->train.count).text);
    }
    write_what_was_trained(page);
    write_what_is_memorized(page);
    write_tiles(page);
    write_warnings(page);
    (void)fputs("</header>\n", out);
}

/* ---- what memorization means ---- */

/* "60" or "55 to 64" */
static void write_range(FILE *out, int64_t from, int64_t to)
{
    (void)fputs(lo_number_count(from).text, out);
    if (to != from) {
        (void)fprintf(out, " to %s", lo_number_count(to).text);
    }
}

static void write_meaning(const struct page *page)
{
    (void)fputs(
        "<section>\n<h2>What memorization means</h2>\n"
        "<p>A model can be right about a training example for two reasons: it has understood what such "
        "examples "
        "have in common, or it has stored this one. Memorization tells them apart by experiment: models are "
        "trained with and without the example, and their answers about it are compared.</p>\n"
        "<p class=\"formula\"><b>memorization</b> of an example = share of the models trained <b>with</b> it "
        "that give its label &#8722; share of the models trained <b>without</b> it that give its label</p>\n"
        "<p>Near <b>0</b>: models get it right (or wrong) whether they have seen it or not. Near <b>1</b>: "
        "only "
        "models that have seen it get it right; it is rare, ambiguous, or wrongly labelled. Small negative "
        "values are noise. ",
        page->out);
    if (page->report->models_done == 0) {
        (void)fputs("There is no model yet to ask.", page->out);
    } else if (page->leave_groups) {
        (void)fputs(
            "Each model without an example has a twin with it that shares everything else: initial weights, "
            "order, random numbers.",
            page->out);
    } else {
        (void)fprintf(
            page->out,
            "Each model leaves out a random %s of the examples, so one set of models answers for all of "
            "them: every example was in ",
            lo_number_percent(1 - page->report->ratio, decimals_of_share(page->report->ratio)).text);
        write_range(page->out, page->report->in_min, page->report->in_max);
        (void)fputs(" models and left out by ", page->out);
        write_range(page->out, page->report->out_min, page->report->out_max);
        (void)fputc('.', page->out);
    }
    (void)fputs("</p>\n</section>\n", page->out);
}

/* ---- figures ---- */

/* Equal bins whose edges are multiples of a round number (1, 2 or 5 times a power of ten). The last one holds
 * its upper edge too. */
struct bins {
    double low, step;
    int count;
};

enum { BINS_MAX = 64 };

static struct bins choose_bins(double low, double high, int most)
{
    const double range = high > low && isfinite(high - low) ? high - low : fmax(fabs(low), 1) * 1e-3;
    static const double round_steps[] = {1, 2, 5, 10};
    const double power = pow(10, floor(log10(range / most)));
    double step = power * 10;
    for (int i = 3; i >= 0; i--) {
        if (range / (power * round_steps[i]) <= most) {
            step = power * round_steps[i];
        }
    }
    const double first = floor(low / step + 1e-6);
    const int count = (int)fmin(ceil(high / step - 1e-6) - first, BINS_MAX);
    return (struct bins){first * step, step, count > 0 ? count : 1};
}

/* The nudge keeps values on an edge (0.1 as float) in the bin that the edge begins. */
static int bin_of(const struct bins *bins, double value)
{
    const double at = floor((value - bins->low) / bins->step + 1e-5);
    return !(at >= 0) ? 0 : at >= bins->count ? bins->count - 1 : (int)at;
}

static void begin_plot(const struct page *page, const char *about, const char *name)
{
    (void)fputs("<figure><div role=\"img\" aria-label=\"", page->out);
    lo_html_text(page->out, about);
    lo_html_text(page->out, name);
    (void)fputs("\">\n", page->out);
}

static void end_plot(const struct page *page, lo_figure *figure)
{
    (void)lo_figure_end(figure, page->out);
    (void)fputs("</div>\n<figcaption>", page->out);
}

static void axis(lo_figure *figure, const char *which, const char *label)
{
    if (figure->script != NULL) {
        (void)fprintf(figure->script, "set %slabel ", which);
        lo_figure_text(figure, label);
        (void)fputc('\n', figure->script);
    }
}

/* One box a bin. On a logarithmic axis empty bins are left out. */
static void plot_counts(lo_figure *figure, const struct bins *bins, const int64_t *count, bool logarithmic)
{
    FILE *script = figure->script;
    if (script == NULL) {
        return;
    }
    if (logarithmic) {
        (void)fputs("set logscale y\nset yrange [0.7:*]\nset format y '%.0f'\n", script);
    } else {
        (void)fputs("set yrange [0:*]\n", script);
    }
    (void)fprintf(script, "set xrange [%.9g:%.9g]\nset boxwidth %.9g\n$bins << EOD\n", bins->low,
                  bins->low + bins->step * bins->count, bins->step * 0.9);
    for (int b = 0; b < bins->count; b++) {
        if (count[b] > 0) {
            (void)fprintf(script, "%.9g %" PRId64 "\n", bins->low + bins->step * (b + 0.5), count[b]);
        }
    }
    (void)fputs("EOD\nplot $bins using 1:2 with boxes linecolor rgb '" LO_FIGURE_FIRST "'\n", script);
}

static void draw_accuracy(const struct page *page)
{
    const lo_report *report = page->report;
    const struct bins bins = choose_bins(100 * page->accuracy.minimum, 100 * page->accuracy.maximum, 20);
    int64_t count[BINS_MAX] = {0};
    for (int64_t i = 0; i < report->models_done; i++) {
        if (!isnan(report->test_accuracy[i])) {
            count[bin_of(&bins, 100 * (double)report->test_accuracy[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", "test accuracy of a model (%)");
    axis(&figure, "y", "models");
    plot_counts(&figure, &bins, count, false);
    begin_plot(page, "Distribution of test accuracy over models", "");
    end_plot(page, &figure);
    (void)fprintf(
        page->out,
        "Test accuracy of %s %s: from %s to %s, median %s. A lone bar far to the left is a training "
        "that went wrong.</figcaption></figure>\n",
        lo_number_count(page->accuracy.count).text, plural(page->accuracy.count, "model", "models"),
        lo_number_percent(page->accuracy.minimum, 1).text, lo_number_percent(page->accuracy.maximum, 1).text,
        lo_number_percent(page->accuracy.median, 1).text);
}

static void draw_distribution(const struct page *page, const lo_report_score *score,
                              const lo_summary *summary)
{
    const struct bins bins = choose_bins(summary->minimum, summary->maximum, 40);
    int64_t count[BINS_MAX] = {0};
    for (int64_t i = 0; i < page->report->data->train.count; i++) {
        if (!isnan(score->value[i])) {
            count[bin_of(&bins, (double)score->value[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", score->name);
    axis(&figure, "y", "examples (logarithmic)");
    plot_counts(&figure, &bins, count, true);
    begin_plot(page, "Distribution of ", score->name);
    end_plot(page, &figure);
    (void)fputs("How many examples have which value. The scale is logarithmic: a bar that reaches one line "
                "higher stands "
                "for ten times as many examples.</figcaption></figure>\n",
                page->out);
}

struct ranked {
    double strength; /* larger: more memorized */
    int64_t source, at;
    int32_t label;
};

static int by_strength(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->strength != y->strength) {
        return x->strength < y->strength ? 1 : -1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

static int by_weakness(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->strength != y->strength) {
        return x->strength > y->strength ? 1 : -1;
    }
    return (x->source > y->source) - (x->source < y->source);
}

static int by_class(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return x->label != y->label ? (x->label > y->label) - (x->label < y->label) : by_strength(a, b);
}

/* The examples with a value, in some order. Errors: LO_INTERNAL without memory. The caller frees it. */
static lo_status rank_examples(const struct page *page, const lo_report_score *score,
                               int (*order)(const void *, const void *), struct ranked **out, int64_t *count,
                               lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    *count = 0;
    *out = malloc((size_t)(train->count > 0 ? train->count : 1) * sizeof(**out));
    if (*out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to rank %" PRId64 " examples", train->count);
    }
    for (int64_t i = 0; i < train->count; i++) {
        if (!isnan(score->value[i])) {
            (*out)[(*count)++] =
                (struct ranked){score->orientation < 0 ? -(double)score->value[i] : (double)score->value[i],
                                train->index[i], i, train->label[i]};
        }
    }
    qsort(*out, (size_t)*count, sizeof(**out), order);
    return LO_OK;
}

static bool has_interval(const lo_report_score *score)
{
    return (score->low != NULL && score->high != NULL) || score->standard_error != NULL;
}

/* An example's 95 % interval; without limits, 1.96 standard errors to each side. */
static void interval_of(const lo_report_score *score, int64_t i, double *low, double *high)
{
    if (score->low != NULL && score->high != NULL) {
        *low = (double)score->low[i];
        *high = (double)score->high[i];
    } else {
        *low = (double)score->value[i] - 1.96 * (double)score->standard_error[i];
        *high = (double)score->value[i] + 1.96 * (double)score->standard_error[i];
    }
}

/* Writes the means over consecutive groups of ranked examples: share of the examples (%), value, low, high.
 */
static void write_curve(FILE *script, const lo_report_score *score, const struct ranked *ranked,
                        int64_t count)
{
    const int64_t points = count < CURVE_POINTS ? count : CURVE_POINTS;
    (void)fputs("$curve << EOD\n", script);
    for (int64_t p = 0; p < points; p++) {
        const int64_t first = p * count / points;
        const int64_t end = (p + 1) * count / points;
        double value = 0;
        double low = 0;
        double high = 0;
        for (int64_t r = first; r < end; r++) {
            double from = 0;
            double to = 0;
            if (has_interval(score)) {
                interval_of(score, ranked[r].at, &from, &to);
            }
            value += (double)score->value[ranked[r].at];
            low += from;
            high += to;
        }
        const double size = (double)(end - first);
        (void)fprintf(script, "%.6g %.6g %.6g %.6g\n", 50.0 * (double)(first + end) / (double)count,
                      value / size, low / size, high / size);
    }
    (void)fputs("EOD\n", script);
}

static lo_status draw_sorted(const struct page *page, const lo_report_score *score, lo_error *err)
{
    struct ranked *ranked = NULL;
    int64_t count = 0;
    LO_TRY(rank_examples(page, score, by_strength, &ranked, &count, err));
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", "share of the examples, most memorized first (%)");
    axis(&figure, "y", score->name);
    if (figure.script != NULL) {
        write_curve(figure.script, score, ranked, count);
        (void)fputs("set xrange [0:100]\nset autoscale yfix\nplot ", figure.script);
        if (has_interval(score)) {
            (void)fputs("$curve using 1:3:4 with filledcurves linecolor rgb '" LO_FIGURE_FIRST
                        "' fillstyle transparent solid 0.25 noborder, ",
                        figure.script);
        }
        (void)fputs("$curve using 1:2 with lines linewidth 2 linecolor rgb '" LO_FIGURE_FIRST "'\n",
                    figure.script);
    }
    begin_plot(page, "Sorted values and intervals of ", score->name);
    end_plot(page, &figure);
    (void)fprintf(page->out, "All examples from the most to the least memorized%s.</figcaption></figure>\n",
                  has_interval(score)
                      ? ". The band is what one example&#8217;s 95&#160;% interval spans, on average "
                        "around that rank; where it is wide, the order of single examples means little"
                      : "");
    free(ranked);
    return LO_OK;
}

/* ---- accuracy ---- */

/* Mean memorization of the examples that have one. It is not the difference of the two accuracies where an
 * example is in all models or in none: that one counts in one of the accuracies only. */
static double mean_memorization(const struct page *page, bool relabelled)
{
    const lo_examples *train = &page->report->data->train;
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; page->memorization != NULL && i < train->count; i++) {
        const float value = page->memorization->value[i];
        if (!isnan(value) && (train->label[i] != train->label_true[i]) == relabelled) {
            sum += (double)value;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

static void write_accuracy_row(const struct page *page, const char *which, int64_t count, double in,
                               double out, double memorization)
{
    (void)fprintf(page->out,
                  "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", which,
                  lo_number_count(count).text, lo_number_percent(in, 1).text, lo_number_percent(out, 1).text,
                  lo_number_real(memorization, 3).text);
}

static void write_accuracy(const struct page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (page->accuracy.count == 0) {
        return;
    }
    (void)fputs("<section>\n<h2>How good the models are</h2>\n", out);
    (void)fputs(
        "<p>The scores describe the training recipe only if its models fit what they are given (in sample, "
        "near "
        "100&#160;%) and are of the quality that the recipe is meant to have (on test examples).</p>\n"
        "<div class=\"figures\">\n",
        out);
    draw_accuracy(page);
    (void)fputs("</div>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Training examples</th><th "
                "scope=\"col\">Number</th><th scope=\"col\">Right, by models<br/>trained with them</th><th "
                "scope=\"col\">Right, by models<br/>trained without them</th><th scope=\"col\">Mean<br/>"
                "memorization</th></tr></thead>\n<tbody>\n",
                out);
    write_accuracy_row(page, "clean", report->data->train.count - report->relabelled, report->in_sample_clean,
                       report->out_of_sample_clean, mean_memorization(page, false));
    if (report->relabelled > 0) {
        write_accuracy_row(page, "relabelled", report->relabelled, report->in_sample_relabelled,
                           report->out_of_sample_relabelled, mean_memorization(page, true));
    }
    (void)fputs("</tbody></table></div>\n", out);
    if (report->relabelled > 0) {
        (void)fprintf(
            out,
            "<p class=\"soft\">Relabelled: the job gave %s of the training labels another class at random. A "
            "relabelled example counts as right when a model gives that wrong label.</p>\n",
            lo_number_percent(report->label_noise, 1).text);
    }
    (void)fputs("</section>\n", out);
}

/* ---- distributions ---- */

static lo_status write_quantiles(const struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    const int64_t n = report->data->train.count;
    (void)fputs(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th><th "
        "scope=\"col\">Examples</th><th "
        "scope=\"col\">Mean</th><th scope=\"col\">Least</th><th scope=\"col\">5&#160;%</th><th scope=\"col\">"
        "25&#160;%</th><th scope=\"col\">Median</th><th scope=\"col\">75&#160;%</th><th "
        "scope=\"col\">95&#160;%"
        "</th><th scope=\"col\">Largest</th><th scope=\"col\">Median<br/>std. "
        "error</th></tr></thead>\n<tbody>\n",
        out);
    for (int s = 0; s < report->score_count; s++) {
        lo_summary value;
        lo_summary error;
        LO_TRY(lo_summarize(report->score[s].value, n, &value, err));
        const bool rated = report->score[s].standard_error != NULL;
        LO_TRY(
            lo_summarize(rated ? report->score[s].standard_error : report->score[s].value, n, &error, err));
        error.median = rated ? error.median : (double)NAN;
        const int d = decimals_of(&value);
        (void)fputs("<tr><th scope=\"row\">", out);
        lo_html_text(out, report->score[s].name);
        (void)fprintf(out, "</th><td>%s</td>", lo_number_count(value.count).text);
        const double cell[] = {value.mean,   value.minimum, value.q05, value.q25,
                               value.median, value.q75,     value.q95, value.maximum};
        for (size_t c = 0; c < sizeof(cell) / sizeof(cell[0]); c++) {
            (void)fprintf(out, "<td>%s</td>", lo_number_real(cell[c], d).text);
        }
        (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_real(error.median, d > 3 ? d : 3).text);
    }
    (void)fputs("</tbody></table></div>\n", out);
    return LO_OK;
}

/* What each score means, cost, and how far it goes with memorization. */
static void write_comparison(const struct page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th><th "
                "scope=\"col\">Memorized<br/>is</th><th scope=\"col\">Own cost<br/>core-s</th><th "
                "scope=\"col\">Shared training<br/>core-s</th><th scope=\"col\">Spearman with<br/>"
                "memorization</th><th scope=\"col\" class=\"left\">What it is</th></tr></thead>\n<tbody>\n",
                out);
    for (int s = 0; s < report->score_count; s++) {
        const lo_report_score *score = &report->score[s];
        (void)fputs("<tr><th scope=\"row\">", out);
        lo_html_text(out, score->name);
        (void)fprintf(out, "</th><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td class=\"left long\">",
                      score->orientation < 0 ? "small" : "large", lo_number_real(score->cost, 2).text,
                      lo_number_real(score->shared, 1).text, lo_number_real(score->agreement, 3).text);
        lo_html_text(out, score->description != NULL ? score->description : "");
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

static lo_status write_score(const struct page *page, const lo_report_score *score, lo_error *err)
{
    FILE *out = page->out;
    lo_summary summary;
    LO_TRY(lo_summarize(score->value, page->report->data->train.count, &summary, err));
    (void)fputs("<h3>", out);
    lo_html_text(out, score->name);
    (void)fputs("</h3>\n<p>", out);
    if (score->description != NULL && *score->description != '\0') {
        lo_html_text(out, score->description);
        (void)fputs(". ", out);
    }
    (void)fprintf(out, "%s values mean more memorized.</p>\n", score->orientation < 0 ? "Smaller" : "Larger");
    if (summary.count == 0) {
        (void)fputs("<p class=\"absent\">No example has a value.</p>\n", out);
        return LO_OK;
    }
    (void)fputs("<div class=\"figures\">\n", out);
    draw_distribution(page, score, &summary);
    LO_TRY(draw_sorted(page, score, err));
    (void)fputs("</div>\n", out);
    return LO_OK;
}

static lo_status write_scores(const struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    int usable_scores = 0;
    for (int s = 0; s < report->score_count; s++) {
        usable_scores += usable(&report->score[s]);
    }
    if (usable_scores == 0) {
        return LO_OK;
    }
    (void)fputs("<section>\n<h2>Scores of the training examples</h2>\n", page->out);
    LO_TRY(write_quantiles(page, err));
    write_comparison(page);
    for (int s = 0; s < report->score_count; s++) {
        if (usable(&report->score[s]) && !report->score[s].plain) {
            LO_TRY(write_score(page, &report->score[s], err));
        }
    }
    (void)fputs("</section>\n", page->out);
    return LO_OK;
}

/* ---- label noise ---- */

/* Share of the clean and of the relabelled examples in each bin, side by side. */
static void draw_split(const struct page *page, const lo_report_score *score, const lo_summary *summary,
                       const lo_detection *detection)
{
    const lo_examples *train = &page->report->data->train;
    const struct bins bins = choose_bins(summary->minimum, summary->maximum, 16);
    int64_t count[2][BINS_MAX] = {{0}};
    for (int64_t i = 0; i < train->count; i++) {
        if (!isnan(score->value[i])) {
            count[train->label[i] != train->label_true[i]][bin_of(&bins, (double)score->value[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", score->name);
    axis(&figure, "y", "share of each kind (%)");
    if (figure.script != NULL) {
        (void)fprintf(figure.script,
                      "set yrange [0:*]\nset xrange [%.9g:%.9g]\nset boxwidth %.9g\n$bins << EOD\n", bins.low,
                      bins.low + bins.step * bins.count, bins.step * 0.42);
        for (int b = 0; b < bins.count; b++) {
            (void)fprintf(figure.script, "%.9g %.6g %.6g\n", bins.low + bins.step * (b + 0.5),
                          100.0 * (double)count[0][b] / (double)detection->clean,
                          100.0 * (double)count[1][b] / (double)detection->relabelled);
        }
        (void)fprintf(figure.script,
                      "EOD\nset key outside top center horizontal\nplot $bins using ($1-%.9g):2 with boxes "
                      "linecolor rgb '" LO_FIGURE_FIRST
                      "' title 'clean', $bins using ($1+%.9g):3 with boxes linecolor rgb '" LO_FIGURE_SECOND
                      "' title 'relabelled'\n",
                      bins.step * 0.22, bins.step * 0.22);
    }
    begin_plot(page, "Distribution over clean and relabelled examples of ", score->name);
    end_plot(page, &figure);
    (void)fputs("Share of the clean examples (all blue bars: 100&#160;%) and of the relabelled ones (all "
                "orange bars: "
                "100&#160;%) by value.</figcaption></figure>\n",
                page->out);
}

static lo_status write_detection_row(const struct page *page, const lo_report_score *score, lo_error *err)
{
    const lo_dataset *data = page->report->data;
    lo_detection detection;
    LO_TRY(lo_detect(score->value, score->orientation, data->train.label, data->train.label_true,
                     data->train.count, &detection, err));
    (void)fputs("<tr><th scope=\"row\">", page->out);
    lo_html_text(page->out, score->name);
    (void)fprintf(page->out, "</th><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                  lo_number_real(detection.auc, 4).text, lo_number_real(detection.standard_error, 4).text,
                  lo_number_percent(detection.found, 1).text);
    return LO_OK;
}

static lo_status write_label_noise(const struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    const lo_examples *train = &report->data->train;
    FILE *out = page->out;
    const lo_report_score *shown = page->memorization;
    for (int s = report->score_count - 1; s >= 0 && page->memorization == NULL; s--) {
        shown = usable(&report->score[s]) ? &report->score[s] : shown;
    }
    if (report->relabelled == 0 || shown == NULL) {
        return LO_OK;
    }
    lo_detection detection;
    lo_summary summary;
    LO_TRY(lo_detect(shown->value, shown->orientation, train->label, train->label_true, train->count,
                     &detection, err));
    LO_TRY(lo_summarize(shown->value, train->count, &summary, err));
    (void)fprintf(
        out,
        "<section>\n<h2>Does it find the wrong labels?</h2>\n<p>%s training labels were replaced on purpose, "
        "so "
        "for these the truth is known. A model can give such a label only by memorizing it: a score of "
        "memorization should rank them first.</p>\n",
        lo_number_count(report->relabelled).text);
    if (detection.relabelled > 0 && detection.clean > 0) {
        (void)fputs("<div class=\"figures\">\n", out);
        draw_split(page, shown, &summary, &detection);
        (void)fputs("</div>\n", out);
    }
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th><th scope=\"col\">Area "
                "under<br/>the "
                "ROC curve</th><th scope=\"col\">Std. error</th><th scope=\"col\">Found among as "
                "many<br/>top examples"
                "</th></tr></thead>\n<tbody>\n",
                out);
    for (int s = 0; s < report->score_count; s++) {
        if (usable(&report->score[s])) {
            LO_TRY(write_detection_row(page, &report->score[s], err));
        }
    }
    (void)fputs("</tbody></table></div>\n", out);
    if (detection.relabelled > 0 && detection.clean > 0) {
        (void)fprintf(out,
                      "<p class=\"soft\">The area is the chance that a relabelled example scores as more "
                      "memorized than a "
                      "clean one: 1 is perfect, 0.5 is guessing. The last column looks at the %s most "
                      "memorized examples, as "
                      "many as were relabelled: guessing would find %s of them.</p>\n",
                      lo_number_count(detection.relabelled).text,
                      lo_number_percent(
                          (double)detection.relabelled / (double)(detection.relabelled + detection.clean), 1)
                          .text);
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}

/* ---- pictures ---- */

static lo_status write_picture(const struct page *page, const lo_examples *examples, int64_t at,
                               lo_error *err)
{
    const lo_shape shape = page->report->data->shape;
    FILE *out = page->out;
    if (!lo_picture_possible(shape) || examples->pixel == NULL) {
        return LO_OK;
    }
    const lo_shape small = lo_picture_shape(shape, page->side);
    const int32_t longest = small.height > small.width ? small.height : small.width;
    const int32_t scale = longest < SIDE_SHOWN ? SIDE_SHOWN / longest : 1;
    (void)fprintf(out, "<img width=\"%d\" height=\"%d\" alt=\"", small.width * scale, small.height * scale);
    write_class(page, examples->label[at]);
    (void)fprintf(out, ", number %" PRId64 "\" src=\"", examples->index[at]);
    LO_TRY(
        lo_picture_write(out, shape, examples->pixel + (size_t)at * lo_shape_size(shape), page->side, err));
    (void)fputs("\"/>", out);
    return LO_OK;
}

/* The class that the source gives, when training used another. */
static void write_true_label(const struct page *page, const lo_examples *examples, int64_t at)
{
    if (examples->label[at] != examples->label_true[at]) {
        (void)fputs("<span class=\"mark\">&#9873; truly ", page->out);
        write_class(page, examples->label_true[at]);
        (void)fputs("</span>", page->out);
    }
}

static lo_status write_example(const struct page *page, const lo_report_score *score, int64_t at,
                               lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    (void)fputs("<li>", page->out);
    LO_TRY(write_picture(page, train, at, err));
    (void)fprintf(page->out, "<b>%s", lo_number_real((double)score->value[at], 2).text);
    if (score->standard_error != NULL && !isnan(score->standard_error[at])) {
        (void)fprintf(page->out, " ± %s", lo_number_real((double)score->standard_error[at], 2).text);
    }
    (void)fprintf(page->out, "</b><span>#%" PRId64 "</span>", train->index[at]);
    write_true_label(page, train, at);
    (void)fputs("</li>\n", page->out);
    return LO_OK;
}

/* How many of count ranked examples share the first one's strength. */
static int64_t count_ties(const struct ranked *ranked, int64_t count)
{
    int64_t ties = 0;
    while (ties < count && ranked[ties].strength == ranked[0].strength) {
        ties++;
    }
    return ties;
}

/* The first `room` of the ranked examples, of clean ones only if asked, under a line that names the row and
 * its ties. */
static lo_status write_row(const struct page *page, const char *name, const struct ranked *ranked,
                           int64_t count, int64_t room, bool clean_only, lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    const int64_t ties = clean_only ? 0 : count_ties(ranked, count);
    (void)fprintf(page->out, "<p class=\"row\">%s", name);
    if (ties > room) {
        (void)fprintf(page->out, " (%s tie at %s; the lowest numbers are shown)", lo_number_count(ties).text,
                      lo_number_real((double)page->memorization->value[ranked[0].at], 2).text);
    }
    (void)fputs("</p>\n<ul class=\"pictures\">\n", page->out);
    for (int64_t r = 0, shown = 0; r < count && shown < room; r++) {
        if (!clean_only || train->label[ranked[r].at] == train->label_true[ranked[r].at]) {
            LO_TRY(write_example(page, page->memorization, ranked[r].at, err));
            shown++;
        }
    }
    (void)fputs("</ul>\n", page->out);
    return LO_OK;
}

static bool any_relabelled(const struct page *page, const struct ranked *ranked, int64_t count)
{
    const lo_examples *train = &page->report->data->train;
    for (int64_t r = 0; r < count; r++) {
        if (train->label[ranked[r].at] != train->label_true[ranked[r].at]) {
            return true;
        }
    }
    return false;
}

/* One class: `ranked` holds its examples, most memorized first, and is reordered. */
static lo_status write_class_gallery(const struct page *page, struct ranked *ranked, int64_t count,
                                     lo_error *err)
{
    const int64_t most = (count + 1) / 2 < GALLERY_PICTURES ? (count + 1) / 2 : GALLERY_PICTURES;
    const int64_t least = count / 2 < GALLERY_PICTURES ? count / 2 : GALLERY_PICTURES;
    double sum = 0;
    int64_t above = 0;
    for (int64_t r = 0; r < count; r++) {
        const double value = (double)page->memorization->value[ranked[r].at];
        sum += value;
        above += value > 0.25;
    }
    (void)fputs("<h3>", page->out);
    write_class(page, ranked[0].label);
    (void)fprintf(page->out, "</h3>\n<p class=\"row\">%s %s, mean memorization %s, %s above 0.25</p>\n",
                  lo_number_count(count).text, plural(count, "example", "examples"),
                  lo_number_real(sum / (double)count, 3).text, lo_number_count(above).text);
    LO_TRY(write_row(page, "Most memorized", ranked, count, most, false, err));
    if (any_relabelled(page, ranked, most)) {
        LO_TRY(write_row(page, "Most memorized among those with their own label", ranked, count, most, true,
                         err));
    }
    if (least > 0) {
        qsort(ranked, (size_t)count, sizeof(*ranked), by_weakness);
        LO_TRY(write_row(page, "Least memorized", ranked, count, least, false, err));
    }
    return LO_OK;
}

static lo_status write_galleries(const struct page *page, lo_error *err)
{
    const lo_dataset *data = page->report->data;
    FILE *out = page->out;
    struct ranked *ranked = NULL;
    int64_t count = 0;
    lo_status status = LO_OK;
    if (page->value.count == 0) {
        return LO_OK;
    }
    LO_TRY_GOTO(status, rank_examples(page, page->memorization, by_class, &ranked, &count, err), done);
    (void)fputs("<section>\n<h2>Most and least memorized examples</h2>\n<p>By class, as labelled in "
                "training: value ± "
                "standard error, and the example&#8217;s number in the source files. <span "
                "class=\"mark\">&#9873;</span> "
                "marks a label that the job replaced. Many examples usually share the lowest values: models "
                "are right about "
                "them with and without having seen them. Ties are shown in the order of their numbers.</p>\n",
                out);
    if (!lo_picture_possible(data->shape)) {
        (void)fputs("<p class=\"soft\">These examples are not pictures, so their numbers stand alone.</p>\n",
                    out);
    }
    if (data->classes > GALLERY_CLASSES) {
        (void)fprintf(out,
                      "<p class=\"soft\">The first %d of %" PRId32
                      " classes are shown; <code>leaveout export</code> "
                      "writes all scores.</p>\n",
                      GALLERY_CLASSES, data->classes);
    }
    for (int64_t first = 0, end = 0; first < count && ranked[first].label < GALLERY_CLASSES; first = end) {
        for (end = first; end < count && ranked[end].label == ranked[first].label; end++) {
        }
        LO_TRY_GOTO(status, write_class_gallery(page, ranked + first, end - first, err), done);
    }
    (void)fputs("</section>\n", out);
done:
    free(ranked);
    return status;
}

/* ---- influence ---- */

/* An example, and training examples with what they do to it. */
struct picture_row {
    const lo_examples *examples; /* of which the one is */
    int64_t at;
    const char *kind; /* "test" */
    int64_t columns;
    const int64_t *index; /* [columns], -1: none */
    const float *value;   /* [columns] */
    const float *error;   /* [columns], or NULL */
};

/* The training examples of a row, as pictures with their values. */
static lo_status write_training_pictures(const struct page *page, const struct picture_row *row,
                                         lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    FILE *out = page->out;
    int64_t shown = 0;
    (void)fputs("<ul class=\"pictures\">\n", out);
    for (int64_t c = 0; c < row->columns; c++) {
        const int64_t of = row->index[c];
        const double value = (double)row->value[c];
        if (of < 0 || of >= train->count || isnan(value)) {
            continue;
        }
        (void)fprintf(out, "<li class=\"%s\">", value < 0 ? "harms" : "helps");
        LO_TRY(write_picture(page, train, of, err));
        (void)fprintf(out, "<b>%s", lo_number_signed(value, 2).text);
        if (row->error != NULL && !isnan(row->error[c])) {
            (void)fprintf(out, " ± %s", lo_number_real((double)row->error[c], 2).text);
        }
        (void)fputs("</b><span>", out);
        write_class(page, train->label[of]);
        (void)fprintf(out, "</span><span>#%" PRId64 "</span>", train->index[of]);
        write_true_label(page, train, of);
        (void)fputs("</li>\n", out);
        shown++;
    }
    if (shown == 0) {
        (void)fputs("<li>none</li>\n", out);
    }
    (void)fputs("</ul>\n", out);
    return LO_OK;
}

static lo_status write_picture_row(const struct page *page, const struct picture_row *row, lo_error *err)
{
    FILE *out = page->out;
    (void)fputs("<div class=\"influence\">\n<ul class=\"pictures\"><li>", out);
    LO_TRY(write_picture(page, row->examples, row->at, err));
    (void)fputs("<b>", out);
    write_class(page, row->examples->label[row->at]);
    (void)fprintf(out, "</b><span>%s #%" PRId64 "</span></li></ul>\n", row->kind,
                  row->examples->index[row->at]);
    LO_TRY(write_training_pictures(page, row, err));
    (void)fputs("</div>\n", out);
    return LO_OK;
}

static lo_status write_influence(const struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (report->influence_rows <= 0 || report->influence_k <= 0 || report->influence_test == NULL ||
        report->influence_index == NULL || report->influence_value == NULL) {
        return LO_OK;
    }
    const int64_t rows = report->influence_rows < INFLUENCE_ROWS ? report->influence_rows : INFLUENCE_ROWS;
    const int64_t columns = report->influence_k < INFLUENCE_COLUMNS ? report->influence_k : INFLUENCE_COLUMNS;
    (void)fputs(
        "<section>\n<h2>Which training examples decide a test example</h2>\n<p>The influence of a training "
        "example "
        "on a test example: how much more often models are right about the test example when they were "
        "trained on "
        "the training example than when they were not. <b style=\"color:var(--helps)\">+ helps</b>, <b "
        "style=\"color:var(--harms)\">&#8722; harms</b>; ± is the standard error. Strongest first. These are "
        "the "
        "strongest of very many, so chance alone makes some of them large: believe those of several standard "
        "errors.</p>\n",
        out);
    for (int64_t r = 0; r < rows; r++) {
        if (report->influence_test[r] >= 0 && report->influence_test[r] < report->data->test.count) {
            const int64_t cell = r * report->influence_k;
            const struct picture_row row = {&report->data->test,
                                            report->influence_test[r],
                                            "test",
                                            columns,
                                            report->influence_index + cell,
                                            report->influence_value + cell,
                                            report->influence_error != NULL ? report->influence_error + cell
                                                                            : NULL};
            LO_TRY(write_picture_row(page, &row, err));
        }
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}

/* ---- attribution ---- */

static void write_attribution_methods(const struct page *page)
{
    const lo_report_attribution *a = &page->report->attribution;
    FILE *out = page->out;
    (void)fputs(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Method</th><th "
        "scope=\"col\">Parameters</th><th scope=\"col\">Rows of the matrix</th><th "
        "scope=\"col\">Penalty</th><th scope=\"col\">Damping</th><th scope=\"col\">Gradient of<br/>the "
        "fit</th><th scope=\"col\">Largest gradient<br/>without one</th><th scope=\"col\">Core "
        "seconds</th></tr></thead>\n<tbody>\n",
        out);
    for (int i = 0; i < a->methods; i++) {
        const lo_report_method *m = &a->method[i];
        (void)fprintf(out, "<tr><td><code>%s</code></td><td>%s</td>", m->name,
                      lo_number_count(m->parameters).text);
        if (m->form[0] != '\0') {
            (void)fprintf(out, "<td>%s (%s)</td><td>%g</td><td>%.3g</td>", lo_number_count(m->rows).text,
                          m->form, m->penalty, m->damping);
        } else {
            (void)fprintf(out, "<td></td><td>%g</td><td></td>", m->penalty);
        }
        const double norms[2] = {m->fit_gradient, m->largest_gradient};
        for (int k = 0; k < 2; k++) {
            if (isnan(norms[k])) {
                (void)fputs(k == 0 ? "<td>closed form</td>" : "<td></td>", out);
            } else {
                (void)fprintf(out, "<td>%.1e</td>", norms[k]);
            }
        }
        (void)fprintf(out, "<td>%.1f</td></tr>\n", m->core_seconds);
    }
    (void)fputs("</tbody></table></div>\n<ul class=\"soft\">\n", out);
    for (int i = 0; i < a->methods; i++) {
        (void)fprintf(out, "<li><code>%s</code>: ", a->method[i].name);
        lo_html_text(out, a->method[i].description);
        (void)fputs("</li>\n", out);
    }
    (void)fputs("</ul>\n", out);
}

/* Points of one sign: eigenvalues by size, the largest first; of many a choice. */
static void write_eigenvalues(const lo_report_attribution *a, int sign, FILE *script)
{
    enum { POINTS = 400 };
    const int64_t count = a->eigenvalues;
    for (int64_t i = 1, last = 0; i <= POINTS; i++) {
        const int64_t rank = (int64_t)(pow((double)count, (double)i / POINTS) + 0.5);
        const double value = sign * a->eigenvalue[sign > 0 ? count - rank : rank - 1];
        if (rank > last && value > 0) {
            (void)fprintf(script, "%" PRId64 " %.6g\n", rank, value);
        }
        last = rank;
    }
}

/* Eigenvalues of the curvature, both axes logarithmic; the negative ones by their size. */
static void draw_spectrum(const struct page *page)
{
    const lo_report_attribution *a = &page->report->attribution;
    const int64_t count = a->eigenvalues;
    const int64_t negative = lo_negative_eigenvalues(a->eigenvalue, count);
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", "eigenvalue's rank");
    axis(&figure, "y", "eigenvalue");
    if (figure.script != NULL) {
        (void)fputs("set logscale xy\n$spectrum << EOD\n", figure.script);
        write_eigenvalues(a, 1, figure.script);
        (void)fputs("EOD\n$negative << EOD\n", figure.script);
        write_eigenvalues(a, -1, figure.script);
        (void)fputs("EOD\nplot $spectrum using 1:2 with linespoints pointtype 7 pointsize 0.2 linecolor rgb "
                    "'" LO_FIGURE_FIRST "'",
                    figure.script);
        (void)fputs(negative > 0
                        ? ", $negative using 1:2 with linespoints pointtype 7 pointsize 0.2 linecolor rgb "
                          "'" LO_FIGURE_SECOND "'\n"
                        : "\n",
                    figure.script);
    }
    begin_plot(page, "Spectrum of the curvature", "");
    end_plot(page, &figure);
    (void)fprintf(
        page->out,
        "The %s eigenvalues of <code>%s</code>'s curvature, penalty included, from %.3g down to %.3g; a "
        "damping of %.3g was added to each.",
        lo_number_count(count).text, a->spectrum_of, a->eigenvalue[count - 1], a->eigenvalue[0], a->damping);
    if (negative > 0) {
        (void)fprintf(page->out,
                      " %s %s negative: these by their size, the largest first, in the second colour.",
                      lo_number_count(negative).text, plural(negative, "is", "are"));
    }
    (void)fputs("</figcaption></figure>\n", page->out);
}

static void write_attribution_lead(const lo_report_attribution *a, FILE *out)
{
    (void)fputs("<section>\n<h2>Models without one example</h2>\n<p>", out);
    if (strcmp(a->model, "network") == 0) {
        (void)fprintf(out,
                      "What the network of original %" PRId64
                      " owes to a training example, to first order, by the "
                      "curvature of all its parameters: ",
                      a->original);
    } else if (strcmp(a->model, "features") == 0) {
        (void)fprintf(
            out, "What linear and kernel models of the features of original %" PRId64 ", its value <code>",
            a->original);
        lo_html_text(out, a->features);
        (void)fputs("</code>, would be without a training example, by formula or refit: ", out);
    } else {
        (void)fputs(
            "What linear and kernel models of the inputs would be without a training example, by formula or "
            "refit: ",
            out);
    }
    (void)fputs("the change of an output that keeping the example makes. Nothing here is random.</p>\n", out);
}

static lo_status write_attribution(const struct page *page, lo_error *err)
{
    const lo_report_attribution *a = &page->report->attribution;
    FILE *out = page->out;
    if (a->methods == 0) {
        return LO_OK;
    }
    write_attribution_lead(a, out);
    write_attribution_methods(page);
    if (a->eigenvalues > 0) {
        draw_spectrum(page);
    }
    (void)fprintf(out,
                  "<h3>Memorized</h3>\n<p>Of <code>%s</code>: the training examples whose own %s falls most "
                  "when they are "
                  "left out.</p>\n",
                  a->method[a->methods - 1].name, a->output);
    const struct picture_row own = {.columns = a->own, .index = a->own_index, .value = a->own_value};
    LO_TRY(write_training_pictures(page, &own, err));
    if (a->rows > 0) {
        (void)fprintf(out,
                      "<h3>The most helpful and the most harmful</h3>\n<p>For some %s examples: training "
                      "examples that raise "
                      "its %s most (<b style=\"color:var(--helps)\">+</b>), and that lower it most (<b "
                      "style=\"color:var(--harms)\">&#8722;</b>).</p>\n",
                      a->targets_are, a->output);
    }
    for (int64_t r = 0; r < a->rows; r++) {
        const struct picture_row row = {.examples = a->targets,
                                        .at = a->target[r],
                                        .kind = a->targets_are,
                                        .columns = 2 * a->k,
                                        .index = a->index + r * 2 * a->k,
                                        .value = a->value + r * 2 * a->k};
        LO_TRY(write_picture_row(page, &row, err));
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}

/* ---- what was run ---- */

static void write_attempts(const struct page *page)
{
    static const char left[] = "<th scope=\"col\" class=\"left\">";
    static const char right[] = "<th scope=\"col\">";
    static const struct {
        const char *tag, *name;
    } column[] = {{right, "Attempt"},  {left, "Start"},       {right, "Wall time"}, {right, "Ranks"},
                  {right, "Models"},   {right, "Core-hours"}, {left, "Ended"},      {left, "Slurm job"},
                  {left, "Processor"}, {left, "Hosts"}};
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr>", out);
    for (size_t c = 0; c < sizeof(column) / sizeof(column[0]); c++) {
        (void)fprintf(out, "%s%s</th>", column[c].tag, column[c].name);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", out);
    for (int i = 0; i < report->attempt_count; i++) {
        const lo_report_attempt *attempt = &report->attempt[i];
        (void)fprintf(out, "<tr><td>%d</td><td class=\"left\">", attempt->number);
        lo_html_text(out, attempt->start);
        (void)fprintf(
            out, "</td><td>%s</td><td>%d</td><td>%s</td><td>%s</td>",
            lo_number_duration(attempt->seconds).text, attempt->ranks, lo_number_count(attempt->models).text,
            lo_number_real(attempt->core_seconds / 3600, decimals_for(attempt->core_seconds / 3600, 3)).text);
        const char *const text[] = {attempt->ended, attempt->job, attempt->processor, attempt->hosts};
        for (size_t t = 0; t < sizeof(text) / sizeof(text[0]); t++) {
            (void)fputs(t == 3 ? "<td class=\"left long\">" : "<td class=\"left\">", out);
            lo_html_text(out, text[t]);
            (void)fputs("</td>", out);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

static lo_status write_cost(const struct page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    lo_summary seconds;
    LO_TRY(lo_summarize(report->seconds, report->models_done, &seconds, err));
    (void)fputs("<section>\n<h2>What was run, where, and what it cost</h2>\n", out);
    if (report->attempt_count > 0) {
        const double hours = core_seconds(report) / 3600;
        (void)fprintf(out, "<p>%d %s, <b>%s core-hours</b> in all", report->attempt_count,
                      plural(report->attempt_count, "attempt", "attempts"),
                      lo_number_real(hours, decimals_for(hours, 3)).text);
        if (seconds.count > 0) {
            (void)fprintf(out, "; one model took %s (median; from %s to %s)",
                          lo_number_duration(seconds.median).text, lo_number_duration(seconds.minimum).text,
                          lo_number_duration(seconds.maximum).text);
        }
        (void)fputs(". The study can be stopped and continued; each start is an attempt.</p>\n", out);
        write_attempts(page);
    } else {
        (void)fputs("<p>No attempt is on record.</p>\n", out);
    }
    if (report->job_yaml != NULL && *report->job_yaml != '\0') {
        (void)fputs("<details><summary>The job, every default written out</summary>\n<pre>", out);
        lo_html_text(out, report->job_yaml);
        (void)fputs("</pre></details>\n", out);
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}

/* ---- originals ---- */

/* One line a model, over the epochs; of the losses on a logarithmic axis. */
static void draw_training(const struct page *page, bool losses)
{
    const lo_report *report = page->report;
    lo_figure figure = lo_figure_begin();
    axis(&figure, "x", "epoch");
    axis(&figure, "y", losses ? "training loss" : "training accuracy (%)");
    if (figure.script != NULL) {
        (void)fprintf(figure.script, "set xrange [1:%" PRId64 "]\n%s$curves << EOD\n",
                      report->epochs > 1 ? report->epochs : 2, losses ? "set logscale y\n" : "");
        for (int64_t i = 0; i < report->original_count; i++) {
            const lo_report_original *original = &report->original[i];
            for (int64_t e = 0; e < report->epochs; e++) {
                const double value = losses ? original->loss[e] : 100 * original->accuracy[e];
                if (isfinite(value) && (value > 0 || !losses)) {
                    (void)fprintf(figure.script, "%" PRId64 " %.6g\n", e + 1, value);
                }
            }
            (void)fputs("\n", figure.script); /* a gap: the next line */
        }
        (void)fputs("EOD\nplot $curves using 1:2 with linespoints pointtype 7 pointsize 0.3 linecolor rgb "
                    "'" LO_FIGURE_FIRST "'\n",
                    figure.script);
    }
    begin_plot(page,
               losses ? "Loss of the originals by epoch" : "Training accuracy of the originals by epoch", "");
    end_plot(page, &figure);
    (void)fprintf(page->out,
                  "%s of each epoch, over the passes that trained; one line a model.</figcaption></figure>\n",
                  losses ? "Mean loss" : "Accuracy");
}

static void write_originals(const struct page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (report->originals_planned == 0) {
        return;
    }
    (void)fputs(
        "<section>\n<h2>Originals</h2>\n<p>Models of the whole training set: what the recipe gives when "
        "nothing is left out. Their weights are in <code>originals/</code>, the log of their training is in "
        "<code>training.h5</code>.",
        out);
    if (report->original_count < report->originals_planned) {
        (void)fprintf(out, " %s of %s are done.", lo_number_count(report->original_count).text,
                      lo_number_count(report->originals_planned).text);
    }
    (void)fputs("</p>\n", out);
    if (report->original_count > 0) {
        (void)fputs("<div class=\"figures\">\n", out);
        draw_training(page, false);
        draw_training(page, true);
        (void)fputs("</div>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Seed</th><th "
                    "scope=\"col\">Test accuracy</th><th scope=\"col\">Last epoch&#8217;s accuracy</th><th "
                    "scope=\"col\">Last epoch&#8217;s loss</th><th scope=\"col\">Time</th><th scope=\"col\" "
                    "class=\"left\"></th></tr></thead>\n<tbody>\n",
                    out);
    }
    for (int64_t i = 0; i < report->original_count; i++) {
        const lo_report_original *original = &report->original[i];
        const int64_t last = report->epochs - 1;
        (void)fprintf(out,
                      "<tr><td>%" PRId64 "</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td "
                      "class=\"left\">%s</td></tr>\n",
                      original->seed,
                      lo_number_percent(original->diverged ? (double)NAN : original->test_accuracy, 2).text,
                      lo_number_percent(original->accuracy[last], 2).text,
                      lo_number_real(original->loss[last], 4).text,
                      lo_number_duration(original->seconds).text, original->diverged ? "diverged" : "");
    }
    (void)fputs(report->original_count > 0 ? "</tbody></table></div>\n</section>\n" : "</section>\n", out);
}

/* ---- how the numbers are computed ---- */

static void write_methods(const struct page *page)
{
    FILE *out = page->out;
    (void)fputs("<section>\n<h2>How the numbers are computed</h2>\n<ul>\n", out);
    if (page->leave_groups) {
        (void)fputs("<li><b>Memorization</b>: the mean over seeds of the difference, right or not, between "
                    "the model trained "
                    "on everything and its twin trained without the example (Feldman 2020).</li>\n"
                    "<li><b>Standard error and 95&#160;% interval</b>: of paired differences, one pair of "
                    "either sign added (Bonett and Price 2012).</li>\n",
                    out);
    } else {
        (void)fputs("<li><b>Memorization</b>: the difference of two proportions, right with the example in "
                    "training and right "
                    "without it, over one set of models trained on random subsets (Feldman and Zhang 2020). "
                    "It describes "
                    "training on subsets of that size, not on everything.</li>\n"
                    "<li><b>Standard error</b>: one success and one failure are added to each of the two "
                    "groups of models "
                    "(Agresti and Caffo 2000), because a plain error would be zero where all models of a "
                    "group agree.</li>\n"
                    "<li><b>95&#160;% intervals</b>: on each side the wider end of Newcombe&#8217;s, from "
                    "Wilson&#8217;s for each proportion (Newcombe 1998), and of Agresti and "
                    "Caffo&#8217;s.</li>\n",
                    out);
    }
    (void)fputs(
        "<li>Intervals hold for one example at a time. Among thousands, some values are high by chance: of "
        "examples "
        "whose true value is 0.25, about one in forty has its whole interval above it.</li>\n"
        "<li><b>cscore</b>: how often models that were not trained on an example give its label (the "
        "consistency "
        "score of Jiang et al. 2021 at this one subset size), with Wilson&#8217;s interval.</li>\n"
        "<li><b>Influence</b>: the same difference, counted on a test example instead.</li>\n"
        "<li><b>ROC area</b>: computed from ranks, ties counting half; its error is "
        "DeLong&#8217;s.</li>\n</ul>\n"
        "<h3>To cite</h3>\n<p>leaveout ",
        out);
    lo_html_text(out, page->report->version);
    (void)fputs(
        " (its source holds <code>CITATION.cff</code>), and the papers whose quantities you use:</p>\n<ul "
        "class=\"soft\">\n"
        "<li>V. Feldman: Does learning require memorization? A short tale about a long tail. STOC "
        "2020.</li>\n"
        "<li>V. Feldman, C. Zhang: What neural networks memorize and why: discovering the long tail via "
        "influence "
        "estimation. NeurIPS 2020.</li>\n"
        "<li>Z. Jiang, C. Zhang, K. Talwar, M. C. Mozer: Characterizing structural regularities of labeled "
        "data in "
        "overparameterized models. ICML 2021.</li>\n"
        "<li>A. Agresti, B. Caffo: Simple and effective confidence intervals for proportions and differences "
        "of "
        "proportions result from adding two successes and two failures. The American Statistician 54, "
        "2000.</li>\n"
        "<li>R. G. Newcombe: Interval estimation for the difference between independent proportions. "
        "Statistics in "
        "Medicine 17, 1998.</li>\n"
        "<li>D. G. Bonett, R. M. Price: Adjusted Wald confidence interval for a difference of binomial "
        "proportions based on paired data. Journal of Educational and Behavioral Statistics 37, "
        "2012.</li>\n</ul>\n</section>\n",
        out);
}

/* ---- the page ---- */

static lo_status write_page(struct page *page, lo_error *err)
{
    LO_TRY(prepare(page, err));
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
                "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>",
                page->out);
    lo_html_text(page->out, page->report->study);
    (void)fputs(is_of_ensemble(page) ? ": memorization" : "", page->out);
    (void)fprintf(page->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
    write_headline(page);
    if (is_of_ensemble(page)) {
        write_meaning(page);
    }
    write_accuracy(page);
    LO_TRY(write_scores(page, err));
    lo_report_write_scaling(page->out, &page->report->scaling);
    LO_TRY(write_label_noise(page, err));
    LO_TRY(write_galleries(page, err));
    LO_TRY(write_influence(page, err));
    LO_TRY(write_attribution(page, err));
    lo_report_unlearning(page->out, page->report->unlearned, page->report->unlearned_count);
    lo_report_write_audit(page->out, &page->report->audit);
    lo_report_write_privacy(page->out, &page->report->privacy);
    write_originals(page);
    LO_TRY(write_cost(page, err));
    write_methods(page);
    (void)fputs("</body>\n</html>\n", page->out);
    return LO_OK;
}

lo_status lo_report_write(const lo_report *report, const char *file, lo_error *err)
{
    lo_file whole = {0};
    LO_TRY(lo_file_begin(file, &whole, err));
    struct page page = {.out = whole.stream, .report = report};
    return lo_file_end(&whole, write_page(&page, err), err);
}
