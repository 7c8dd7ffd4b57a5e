#include "report/sections.h"

#include "report/html.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { FEW_OUT_MODELS = 10 };
static const double FITTED = 0.95; /* in-sample accuracy below which memorization cannot be read */

static void tile(const lo_page *page, const char *number, const char *meaning)
{
    (void)fprintf(page->out, "<li><b>%s</b><span>%s</span></li>\n", number, meaning);
}

/* What a study without an ensemble has trained instead. */
static void write_other_tiles(const lo_page *page)
{
    const lo_report *report = page->report;
    int64_t oracles = 0;
    int64_t forgetting = 0;
    for (int64_t i = 0; i < report->unlearned_count; i++) {
        const lo_report_unlearned *row = &report->unlearned[i];
        const bool oracle = strcmp(row->method, "oracle") == 0;
        oracles += oracle ? row->seeds : 0;
        forgetting += lo_unlearning_competes(row) ? row->seeds : 0;
    }
    if (report->originals_planned > 0) {
        tile(page, lo_number_count(report->original_count).text,
             lo_plural(report->original_count, "original trained on everything",
                       "originals trained on everything"));
    }
    if (report->unlearned_count > 0) {
        tile(page, lo_number_count(oracles).text,
             lo_plural(oracles, "oracle that never saw a forget set", "oracles that never saw a forget set"));
        tile(page, lo_number_count(forgetting).text,
             lo_plural(forgetting, "model made to forget", "models made to forget"));
    }
}

static void write_tiles(const lo_page *page)
{
    const lo_report *report = page->report;
    if (!lo_page_of_ensemble(page) && report->originals_planned == 0 && report->unlearned_count == 0) {
        return;
    }
    (void)fputs("<ul class=\"tiles\">\n", page->out);
    if (lo_page_of_ensemble(page)) {
        tile(page, lo_number_count(report->models_done).text,
             lo_plural(report->models_done, "model trained", "models trained"));
    } else {
        write_other_tiles(page);
    }
    if (page->accuracy.count > 0) {
        tile(page, lo_number_percent(page->accuracy.mean, 1).text, "mean test accuracy of a model");
    }
    if (page->value.count > 0) {
        tile(page, lo_number_count(page->above_quarter).text,
             lo_plural(page->above_quarter, "example memorized above 0.25", "examples memorized above 0.25"));
        tile(page, lo_number_count(page->above_half).text,
             lo_plural(page->above_half, "example memorized above 0.5", "examples memorized above 0.5"));
    }
    if (page->error.count > 0) {
        tile(page, lo_number_real(page->error.median, 3).text, "typical standard error of one value");
    }
    (void)fputs("</ul>\n", page->out);
}

static void write_what_was_trained(const lo_page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    const int64_t n = report->data->train.count;
    if (report->models_planned == 0) {
        (void)fputs(
            report->unlearned_count > 0 ? ""
            : report->originals_planned > 0
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
                  lo_plural(report->models_done, "model was", "models were"));
    if (page->leave_groups) {
        (void)fprintf(out, "on all or all but one of %s training examples", lo_number_count(n).text);
    } else {
        (void)fprintf(out, "%s %s of %s training examples",
                      lo_plural(report->models_done, "on", "each on its own"),
                      lo_number_percent(report->ratio, lo_decimals_of_share(report->ratio)).text,
                      lo_number_count(n).text);
    }
    if (report->data->classes > 0) {
        (void)fprintf(out, " of %" PRId32 " %s", report->data->classes,
                      lo_plural(report->data->classes, "class", "classes"));
    }
    if (page->accuracy.count > 0) {
        (void)fprintf(out,
                      lo_plural(page->accuracy.count, ". It is right on <b>%s</b> of %s test examples",
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

static void write_what_is_memorized(const lo_page *page)
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

/* "closest to the oracles is ...": of one forget set, the best by ToW, and whether the others are told apart
 * from it. */
static void write_closest(FILE *out, const lo_report_unlearned *rows, int64_t count)
{
    const lo_report_unlearned *best = NULL;
    int64_t alike = 0;
    for (int64_t r = 0; r < count; r++) {
        if (lo_unlearning_competes(&rows[r]) && !isnan(rows[r].tow.value) &&
            (best == NULL || rows[r].tow.value > best->tow.value)) {
            best = &rows[r];
        }
    }
    if (best == NULL) {
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        alike += &rows[r] != best && lo_unlearning_competes(&rows[r]) && rows[r].tow.high >= best->tow.low;
    }
    (void)fputs("<li>Forget set <code>", out);
    lo_html_text(out, best->forget_set);
    (void)fputs("</code>: closest to the oracles is <code>", out);
    lo_html_text(out, best->method);
    (void)fprintf(out, "</code>, ToW <b>%s</b>", lo_number_real(best->tow.value, 3).text);
    if (!isnan(best->tow.low)) {
        (void)fprintf(out, " (95&#160;%% interval %s to %s)", lo_number_real(best->tow.low, 3).text,
                      lo_number_real(best->tow.high, 3).text);
    }
    if (!isnan(best->tow_ceiling)) {
        (void)fprintf(out, "; one oracle against another has %s", lo_number_real(best->tow_ceiling, 3).text);
    }
    if (alike > 0) {
        (void)fprintf(out, ". The intervals of %s %s overlap with its", lo_number_count(alike).text,
                      lo_plural(alike, "other", "others"));
    }
    (void)fputs(".</li>\n", out);
}

static void write_what_was_forgotten(const lo_page *page)
{
    const lo_report_unlearned *rows = page->report->unlearned;
    const int64_t count = page->report->unlearned_count;
    FILE *out = page->out;
    if (count == 0) {
        return;
    }
    (void)fputs("<p class=\"lead\">Models were made to forget examples, and are held against <b>oracles</b> "
                "that never saw these. ToW is 1 for a model that is right as often as an oracle: on what it "
                "was to forget, on what it was to keep, and on test examples.</p>\n<ul>\n",
                out);
    for (int64_t r = 0, next; r < count; r = next) {
        for (next = r; next < count && strcmp(rows[next].forget_set, rows[r].forget_set) == 0; next++) {
        }
        write_closest(out, rows + r, next - r);
    }
    (void)fputs("</ul>\n", out);
}

/* Opens the box before the first warning and a new line in it before each. */
static void warning(const lo_page *page, bool *warned)
{
    (void)fputs(*warned
                    ? "</li>\n<li>"
                    : "<aside class=\"warning\"><p>What limits the reading of this report</p>\n<ul>\n<li>",
                page->out);
    *warned = true;
}

static void warn_of_fit(const lo_page *page, double accuracy, const char *which, bool *warned)
{
    if (accuracy < FITTED) { /* false for NaN */
        warning(page, warned);
        (void)fprintf(
            page->out,
            "Models are right on only %s of the %s examples that they were trained on. Memorization cannot "
            "be "
            "read where the recipe does not fit its data: what was never learned looks as if it had not been "
            "memorized. Train longer, with a larger model, or with less regularization.",
            lo_number_percent(accuracy, 1).text, which);
    }
}

static void warn_of_models(const lo_page *page, bool *warned)
{
    const lo_report *report = page->report;
    if (report->models_done + report->models_given_up < report->models_planned) {
        warning(page, warned);
        (void)fprintf(
            page->out, "The study is partial: %s of %s models are done. The same command goes on with it.",
            lo_number_count(report->models_done).text, lo_number_count(report->models_planned).text);
    }
    if (report->models_diverged > 0) {
        warning(page, warned);
        (void)fprintf(page->out,
                      "%s %s diverged: the loss became infinite or undefined and training ended there. A "
                      "smaller learning rate usually helps. No score and no accuracy counts %s.",
                      lo_number_count(report->models_diverged).text,
                      lo_plural(report->models_diverged, "model", "models"),
                      lo_plural(report->models_diverged, "it", "them"));
    }
    if (report->models_given_up > 0) {
        warning(page, warned);
        (void)fprintf(page->out,
                      "%s %s given up after every attempt to train %s died; <code>leaveout status</code> "
                      "names %s.",
                      lo_number_count(report->models_given_up).text,
                      lo_plural(report->models_given_up, "model was", "models were"),
                      lo_plural(report->models_given_up, "it", "them"),
                      lo_plural(report->models_given_up, "it", "them"));
    }
    /* Without one example there are only as many models as seeds; examples that were never left out have no
     * value at all there, so the largest count is the one that matters. */
    const int64_t out = page->leave_groups ? report->out_max : report->out_min;
    if (report->models_done > 0 && out < FEW_OUT_MODELS) {
        warning(page, warned);
        (void)fprintf(page->out,
                      "Some examples were left out by only %s %s. With fewer than %d, one value says little: "
                      "read distributions and averages, not single examples.",
                      lo_number_count(out).text, lo_plural(out, "model", "models"), FEW_OUT_MODELS);
    }
    if (report->processor_types > 1) {
        warning(page, warned);
        (void)fprintf(
            page->out,
            "The models were trained on %s types of processor. Results repeat bit by bit on one type "
            "only; on another they differ as another seed would make them.",
            lo_number_count(report->processor_types).text);
    }
}

static void write_warnings(const lo_page *page)
{
    bool warned = false;
    warn_of_fit(page, page->report->in_sample_clean, "clean", &warned);
    warn_of_fit(page, page->report->in_sample_relabelled, "relabelled", &warned);
    warn_of_models(page, &warned);
    if (warned) {
        (void)fputs("</li>\n</ul></aside>\n", page->out);
    }
}

lo_status lo_section_headline(const lo_page *page, lo_error *err)
{
    (void)err;
    const lo_report *report = page->report;
    FILE *out = page->out;
    const bool ensemble = lo_page_of_ensemble(page);
    const bool forgets = report->unlearned_count > 0;
    (void)fputs("<header>\n<h1>", out);
    (void)fputs(ensemble && forgets               ? "What the models memorized and forgot: "
                : ensemble                        ? "What the models memorized: "
                : forgets                         ? "What the models forgot: "
                : report->attribution.methods > 0 ? "What the training examples do: "
                                                  : "The study: ",
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
    } else if (forgets) {
        (void)fprintf(
            out,
            "<p class=\"lead\">The question: is a model that was made to forget some of its %s training "
            "examples like a model that never saw them?</p>\n",
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
    write_what_was_forgotten(page);
    write_tiles(page);
    write_warnings(page);
    (void)fputs("</header>\n", out);
    return LO_OK;
}
