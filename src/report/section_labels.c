#include "report/sections.h"

#include "report/html.h"
#include "report/plot.h"
#include "report/summary.h"

#include <math.h>

/* Share of the clean and of the relabelled examples in each bin, side by side. */
static void draw_split(const lo_page *page, const lo_report_score *score, const lo_summary *summary,
                       const lo_detection *detection)
{
    const lo_examples *train = &page->report->data->train;
    const lo_bins bins = lo_bins_choose(summary->minimum, summary->maximum, 16);
    int64_t count[2][BINS_MAX] = {{0}};
    for (int64_t i = 0; i < train->count; i++) {
        if (!isnan(score->value[i])) {
            count[train->label[i] != train->label_true[i]][lo_bins_at(&bins, (double)score->value[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", score->name);
    lo_plot_axis(&figure, "y", "share of each kind (%)");
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
                      "fillstyle empty border rgb '" LO_FIGURE_FIRST "' linecolor rgb '" LO_FIGURE_FIRST
                      "' linewidth 1.5 title 'clean', $bins using ($1+%.9g):3 with boxes linecolor rgb "
                      "'" LO_FIGURE_SECOND "' title 'relabelled'\n",
                      bins.step * 0.22, bins.step * 0.22);
    }
    lo_plot_begin(page, "Distribution over clean and relabelled examples of ", score->name);
    lo_plot_end(page, &figure);
    (void)fputs(
        "Share of the clean examples (all outlined bars: 100&#160;%) and of the relabelled ones (all filled "
        "bars: 100&#160;%) by value. The further apart the two, the better the score finds wrong "
        "labels.</figcaption></figure>\n",
        page->out);
}

static lo_status write_detection_row(const lo_page *page, const lo_report_score *score, lo_error *err)
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

lo_status lo_section_labels(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    const lo_examples *train = &report->data->train;
    FILE *out = page->out;
    const lo_report_score *shown = page->memorization;
    for (int s = report->score_count - 1; s >= 0 && page->memorization == NULL; s--) {
        shown = lo_report_usable(&report->score[s]) ? &report->score[s] : shown;
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
        "<p>%s training labels were replaced on purpose, "
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
        if (lo_report_usable(&report->score[s])) {
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
    return LO_OK;
}
