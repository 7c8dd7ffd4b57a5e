#include "report/sections.h"

#include "report/html.h"
#include "report/plot.h"

#include <inttypes.h>
#include <math.h>

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

lo_status lo_section_originals(const lo_page *page, lo_error *err)
{
    (void)err;
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (report->originals_planned == 0) {
        return LO_OK;
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
    return LO_OK;
}
