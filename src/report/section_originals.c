#include "report/sections.h"

#include "audit/interval.h"
#include "report/html.h"
#include "report/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* One line a model, over the epochs; of the losses on a logarithmic axis. */
static void draw_training(const lo_page *page, bool losses)
{
    const lo_report *report = page->report;
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", "epoch");
    lo_plot_axis(&figure, "y", losses ? "training loss" : "training accuracy (%)");
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
    lo_plot_begin(
        page, losses ? "Loss of the originals by epoch" : "Training accuracy of the originals by epoch", "");
    lo_plot_end(page, &figure);
    (void)fprintf(page->out,
                  "%s of each epoch, over the passes that trained; one line a model.</figcaption></figure>\n",
                  losses ? "Mean loss" : "Accuracy");
}

/* "88.40 %" over a smaller "88.1 to 88.7", with a factor of 100 for shares. */
static void write_mean(FILE *out, lo_bounded mean, double factor, int decimals)
{
    (void)fprintf(out, "<td>%s%s", lo_number_real(factor * mean.value, decimals).text,
                  factor > 1 && !isnan(mean.value) ? "&#160;%" : "");
    if (!isnan(mean.low) && !isnan(mean.high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>",
                      lo_number_real(factor * mean.low, decimals).text,
                      lo_number_real(factor * mean.high, decimals).text);
    }
    (void)fputs("</td>", out);
}

/* Means over the seeds that did not diverge, with Student's intervals. Nothing for fewer than two. */
static lo_status write_means(const lo_page *page, lo_error *err)
{
    enum { TEST, ACCURACY, LOSS, SECONDS, COLUMNS };
    const lo_report *report = page->report;
    const int64_t room = report->original_count;
    double *column = calloc((size_t)room * COLUMNS + 1, sizeof(*column));
    int64_t count = 0;
    if (column == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the means of %" PRId64 " originals", room);
    }
    for (int64_t i = 0; i < room; i++) {
        const lo_report_original *original = &report->original[i];
        if (!original->diverged) {
            column[TEST * room + count] = original->test_accuracy;
            column[ACCURACY * room + count] = original->accuracy[report->epochs - 1];
            column[LOSS * room + count] = original->loss[report->epochs - 1];
            column[SECONDS * room + count++] = original->seconds;
        }
    }
    if (count > 1) {
        (void)fputs("<tr><th scope=\"row\">mean</th>", page->out);
        write_mean(page->out, lo_student_mean(column + TEST * room, count), 100, 2);
        write_mean(page->out, lo_student_mean(column + ACCURACY * room, count), 100, 2);
        write_mean(page->out, lo_student_mean(column + LOSS * room, count), 1, 4);
        (void)fprintf(page->out, "<td>%s</td><td class=\"left\"></td></tr>\n",
                      lo_number_duration(lo_student_mean(column + SECONDS * room, count).value).text);
    }
    free(column);
    return LO_OK;
}

static void write_original(FILE *out, const lo_report_original *original, int64_t last)
{
    (void)fprintf(
        out,
        "<tr><td>%" PRId64 "</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td "
        "class=\"left\">%s</td></tr>\n",
        original->seed, lo_number_percent(original->diverged ? (double)NAN : original->test_accuracy, 2).text,
        lo_number_percent(original->accuracy[last], 2).text, lo_number_real(original->loss[last], 4).text,
        lo_number_duration(original->seconds).text, original->diverged ? "diverged" : "");
}

lo_status lo_section_originals(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (report->originals_planned == 0) {
        return LO_OK;
    }
    (void)fputs(
        "<p>Models of the whole training set: what the recipe gives when nothing is left out. They differ in "
        "their seed alone. Their weights are in <code>originals/</code>, the log of their training is in "
        "<code>training.h5</code>.",
        out);
    if (report->original_count < report->originals_planned) {
        (void)fprintf(out, " %s of %s are done.", lo_number_count(report->original_count).text,
                      lo_number_count(report->originals_planned).text);
    }
    (void)fputs("</p>\n", out);
    if (report->original_count == 0 || report->epochs == 0) {
        return LO_OK;
    }
    (void)fputs("<div class=\"figures\">\n", out);
    draw_training(page, false);
    draw_training(page, true);
    (void)fputs("</div>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Seed</th><th "
                "scope=\"col\">Test<br/>accuracy</th><th scope=\"col\">Training accuracy,<br/>last epoch</th>"
                "<th scope=\"col\">Training loss,<br/>last epoch</th><th scope=\"col\">Core time</th><th "
                "scope=\"col\" class=\"left\"></th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t i = 0; i < report->original_count; i++) {
        write_original(out, &report->original[i], report->epochs - 1);
    }
    LO_TRY(write_means(page, err));
    (void)fputs("</tbody></table></div>\n", out);
    (void)fputs(report->original_count > 1
                    ? "<p class=\"soft\">Mean: over the seeds, with Student&#8217;s 95&#160;% interval.</p>\n"
                    : "",
                out);
    return LO_OK;
}
