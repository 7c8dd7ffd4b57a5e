#include "report/sections.h"

#include "report/html.h"
#include "report/plot.h"
#include "report/ranked.h"

#include <math.h>
#include <stdlib.h>

enum { CURVE_POINTS = 240, FEW_SCORES = 8 };

static void draw_distribution(const lo_page *page, const lo_report_score *score, const lo_summary *summary)
{
    const lo_bins bins = lo_bins_choose(summary->minimum, summary->maximum, 40);
    int64_t count[BINS_MAX] = {0};
    for (int64_t i = 0; i < page->report->data->train.count; i++) {
        if (!isnan(score->value[i])) {
            count[lo_bins_at(&bins, (double)score->value[i])]++;
        }
    }
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", score->name);
    lo_plot_axis(&figure, "y", "examples (logarithmic)");
    lo_plot_counts(&figure, &bins, count, true);
    lo_plot_begin(page, "Distribution of ", score->name);
    lo_plot_end(page, &figure);
    (void)fputs("How many examples have which value. The scale is logarithmic: a bar that reaches one line "
                "higher stands "
                "for ten times as many examples.</figcaption></figure>\n",
                page->out);
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
static void write_curve(FILE *script, const lo_report_score *score, const lo_ranked *ranked, int64_t count)
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

static lo_status draw_sorted(const lo_page *page, const lo_report_score *score, lo_error *err)
{
    lo_ranked *ranked = NULL;
    int64_t count = 0;
    LO_TRY(lo_rank_examples(page, score, lo_by_strength, &ranked, &count, err));
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", "rank of the example, most memorized first (%)");
    lo_plot_axis(&figure, "y", score->name);
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
    lo_plot_begin(page, "Sorted values and intervals of ", score->name);
    lo_plot_end(page, &figure);
    (void)fprintf(page->out, "All examples from the most to the least memorized%s.</figcaption></figure>\n",
                  has_interval(score)
                      ? ". The band is what one example&#8217;s 95&#160;% interval spans, on average "
                        "around that rank; where it is wide, the order of single examples means little"
                      : "");
    free(ranked);
    return LO_OK;
}

/* ---- tables ---- */

/* Core-seconds with three digits, not below a thousandth. */
static lo_number cost_of(double seconds)
{
    return lo_number_real(seconds, seconds == 0 ? 0 : lo_decimals_for(fmax(seconds, 0.1), 3));
}

/* What each score means, how far it goes with memorization, and its cost. */
static void write_comparison(const lo_page *page)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th><th "
                "scope=\"col\">Memorized<br/>is</th><th scope=\"col\">Spearman with<br/>memorization</th><th "
                "scope=\"col\">Own cost<br/>core-s</th><th scope=\"col\">Shared training<br/>core-s</th><th "
                "scope=\"col\" class=\"left\">What it is</th></tr></thead>\n<tbody>\n",
                out);
    for (int s = 0; s < report->score_count; s++) {
        const lo_report_score *score = &report->score[s];
        (void)fputs("<tr><th scope=\"row\">", out);
        lo_html_text(out, score->name);
        (void)fprintf(out, "</th><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td class=\"left long\">",
                      score->orientation < 0 ? "small" : "large", lo_number_real(score->agreement, 3).text,
                      cost_of(score->cost).text, cost_of(score->shared).text);
        lo_html_text(out, score->description != NULL ? score->description : "");
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n<p class=\"soft\">Own cost: what the score takes beyond trainings. "
                "Shared training: what training the models that it looks at took; several scores may share "
                "them. Spearman&#8217;s correlation is of the ranks: 1 or &#8722;1 for the same order or its "
                "reverse.</p>\n",
                out);
}

static lo_status write_quantile_row(const lo_page *page, const lo_report_score *score, lo_error *err)
{
    FILE *out = page->out;
    const int64_t n = page->report->data->train.count;
    const bool rated = score->standard_error != NULL;
    lo_summary value;
    lo_summary error;
    LO_TRY(lo_summarize(score->value, n, &value, err));
    LO_TRY(lo_summarize(score->standard_error, n, &error, err));
    const double cell[] = {value.mean,   value.minimum, value.q05, value.q25,
                           value.median, value.q75,     value.q95, value.maximum};
    const int d = lo_decimals_of(&value);
    (void)fputs("<tr><th scope=\"row\">", out);
    lo_html_text(out, score->name);
    (void)fprintf(out, "</th><td>%s</td>", lo_number_count(value.count).text);
    for (size_t c = 0; c < sizeof(cell) / sizeof(cell[0]); c++) {
        (void)fprintf(out, "<td>%s</td>", lo_number_real(cell[c], d).text);
    }
    (void)fprintf(out, "<td>%s</td></tr>\n",
                  lo_number_real(rated ? error.median : (double)NAN, d > 3 ? d : 3).text);
    return LO_OK;
}

/* Folded where there are many scores: the distributions of few are worth a look. */
static lo_status write_quantiles(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fprintf(out,
                  "<details%s><summary>Quantiles of the values over the examples</summary>\n<div "
                  "class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th><th "
                  "scope=\"col\">Examples</th><th scope=\"col\">Mean</th><th scope=\"col\">Least</th><th "
                  "scope=\"col\">5&#160;%%</th><th scope=\"col\">25&#160;%%</th><th "
                  "scope=\"col\">Median</th><th scope=\"col\">75&#160;%%</th><th "
                  "scope=\"col\">95&#160;%%</th><th scope=\"col\">Largest</th><th "
                  "scope=\"col\">Median<br/>std. error</th></tr></thead>\n<tbody>\n",
                  report->score_count <= FEW_SCORES ? " open=\"open\"" : "");
    for (int s = 0; s < report->score_count; s++) {
        LO_TRY(write_quantile_row(page, &report->score[s], err));
    }
    (void)fputs(
        "</tbody></table></div>\n<p class=\"soft\">Std. error: of one example&#8217;s value, where the "
        "score has one.</p></details>\n",
        out);
    return LO_OK;
}

static lo_status write_score(const lo_page *page, const lo_report_score *score, lo_error *err)
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

lo_status lo_section_scores(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    int usable_scores = 0;
    for (int s = 0; s < report->score_count; s++) {
        usable_scores += lo_report_usable(&report->score[s]);
    }
    if (usable_scores == 0) {
        return LO_OK;
    }
    (void)fputs(
        "<p>A score is one number for each training example; its scale is its own. For every score the page "
        "says whether large or small values mean that an example is memorized.</p>\n",
        page->out);
    write_comparison(page);
    LO_TRY(write_quantiles(page, err));
    for (int s = 0; s < report->score_count; s++) {
        if (lo_report_usable(&report->score[s]) && !report->score[s].plain) {
            LO_TRY(write_score(page, &report->score[s], err));
        }
    }
    return LO_OK;
}
