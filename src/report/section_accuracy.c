#include "report/sections.h"

#include "report/html.h"
#include "report/plot.h"

#include <math.h>

static void draw_accuracy(const lo_page *page)
{
    const lo_report *report = page->report;
    const lo_bins bins = lo_bins_choose(100 * page->accuracy.minimum, 100 * page->accuracy.maximum, 20);
    int64_t count[BINS_MAX] = {0};
    for (int64_t i = 0; i < report->models_done; i++) {
        if (!isnan(report->test_accuracy[i])) {
            count[lo_bins_at(&bins, 100 * (double)report->test_accuracy[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", "test accuracy of a model (%)");
    lo_plot_axis(&figure, "y", "models");
    lo_plot_counts(&figure, &bins, count, false);
    lo_plot_begin(page, "Distribution of test accuracy over models", "");
    lo_plot_end(page, &figure);
    (void)fprintf(
        page->out,
        "Test accuracy of %s %s: from %s to %s, median %s. A lone bar far to the left is a training "
        "that went wrong.</figcaption></figure>\n",
        lo_number_count(page->accuracy.count).text, lo_plural(page->accuracy.count, "model", "models"),
        lo_number_percent(page->accuracy.minimum, 1).text, lo_number_percent(page->accuracy.maximum, 1).text,
        lo_number_percent(page->accuracy.median, 1).text);
}

/* Mean memorization of the examples that have one. It is not the difference of the two accuracies where an
 * example is in all models or in none: that one counts in one of the accuracies only. */
static double mean_memorization(const lo_page *page, bool relabelled)
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

static void write_accuracy_row(const lo_page *page, const char *which, int64_t count, double in, double out,
                               double memorization)
{
    (void)fprintf(page->out,
                  "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", which,
                  lo_number_count(count).text, lo_number_percent(in, 1).text, lo_number_percent(out, 1).text,
                  lo_number_real(memorization, 3).text);
}

lo_status lo_section_accuracy(const lo_page *page, lo_error *err)
{
    (void)err;
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (page->accuracy.count == 0) {
        return LO_OK;
    }
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
    return LO_OK;
}
