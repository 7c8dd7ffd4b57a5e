#include "report/sections.h"

#include "report/figure.h"
#include "report/html.h"

#include <math.h>

static void write_points(const lo_report_scaling *s, FILE *script)
{
    (void)fputs("$all << EOD\n", script);
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (c->trainings > 0 && isfinite(c->somers)) {
            const double low = isnan(c->low) ? c->somers : c->low;
            const double high = isnan(c->high) ? c->somers : c->high;
            (void)fprintf(script, "%.9g %.9g %.9g %.9g\n", c->trainings, c->somers, low, high);
        }
    }
    (void)fputs("EOD\n", script);
}

/* The dearest first score of the front that is dearer than `after`; NULL: none is left. */
static const lo_report_compared *next_on_front(const lo_report_scaling *s, double after)
{
    const lo_report_compared *next = NULL;
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (c->front && c->trainings > after && (next == NULL || c->trainings < next->trainings)) {
            next = c;
        }
    }
    return next;
}

static void write_front(const lo_report_scaling *s, lo_figure *figure)
{
    (void)fputs("$front << EOD\n", figure->script);
    for (const lo_report_compared *c = next_on_front(s, 0); c != NULL; c = next_on_front(s, c->trainings)) {
        (void)fprintf(figure->script, "%.9g %.9g\n", c->trainings, c->somers);
    }
    (void)fputs("EOD\n", figure->script);
    for (const lo_report_compared *c = next_on_front(s, 0); c != NULL; c = next_on_front(s, c->trainings)) {
        (void)fputs("set label ", figure->script);
        lo_figure_text(figure, c->name);
        (void)fprintf(figure->script, " at %.9g,%.9g left offset 0.6,0.6\n", c->trainings, c->somers);
    }
}

static void draw(FILE *out, const lo_report_scaling *s)
{
    lo_figure figure = lo_figure_begin();
    (void)fputs("<figure>\n", out);
    if (figure.script != NULL) {
        (void)fputs("set logscale x\nset xlabel 'cost in trainings, shared ones included'\n"
                    "set ylabel \"Somers' D given memorization\"\nset xrange [*:*] writeback\n"
                    "set offsets graph 0.05, graph 0.25, graph 0.08, graph 0.05\n",
                    figure.script);
        write_points(s, figure.script);
        write_front(s, &figure);
        (void)fputs("plot $all using 1:2:3:4 with yerrorbars pointtype 7 pointsize 0.5 linecolor rgb "
                    "'" LO_FIGURE_FIRST
                    "' notitle, $front using 1:2 with linespoints pointtype 7 linecolor rgb "
                    "'" LO_FIGURE_SECOND "' notitle\n",
                    figure.script);
    }
    (void)lo_figure_end(&figure, out);
    (void)fputs("<figcaption>Every score: what it costs, and how well it orders the examples, with 95&#160;% "
                "intervals. "
                "Orange: the Pareto front, which no score beats in both.</figcaption>\n</figure>\n",
                out);
}

static void write_row(FILE *out, const lo_report_compared *c)
{
    (void)fputs("<tr><th scope=\"row\">", out);
    lo_html_text(out, c->name);
    (void)fprintf(out, "%s%s</th><td>%s</td><td>%s</td>",
                  c->front         ? " ●"
                  : c->later_front ? " ○"
                                   : "",
                  c->in_reference ? " *" : "", lo_number_real(c->trainings, 2).text,
                  lo_number_real(c->own, 3).text);
    (void)fprintf(out, "<td>%s</td><td>%s</td><td>%s to %s</td><td>%s</td>",
                  lo_number_real(c->originals, 0).text, lo_number_real(c->somers, 3).text,
                  lo_number_real(c->low, 3).text, lo_number_real(c->high, 3).text,
                  lo_number_real(c->spread, 3).text);
    const double cells[] = {c->spearman,    c->corrected, c->rmse, c->pearson,
                            c->auc_quarter, c->auc_half,  c->top,  c->middle_median,
                            c->middle_rank, c->bottom,    c->noise};
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        (void)fprintf(out, "<td>%s</td>", lo_number_real(cells[i], 3).text);
    }
    if (isnan(c->difference)) {
        (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_real(c->difference, 3).text);
    } else {
        (void)fprintf(out, "<td>%s (%s to %s)</td></tr>\n", lo_number_signed(c->difference, 3).text,
                      lo_number_signed(c->difference_low, 3).text,
                      lo_number_signed(c->difference_high, 3).text);
    }
}

static void write_table(FILE *out, const lo_report_scaling *s)
{
    static const char *const heads[] = {"Cost<br/>trainings",
                                        "Own part",
                                        "Originals",
                                        "Somers’ D",
                                        "95&#160;%",
                                        "Spread",
                                        "Spearman",
                                        "Corrected",
                                        "RMSE",
                                        "Pearson",
                                        "AUC<br/>0.25",
                                        "AUC<br/>0.5",
                                        "Top",
                                        "Middle<br/>by median",
                                        "Middle<br/>by rank",
                                        "Bottom",
                                        "AUC of<br/>relabelled",
                                        "Less few models<br/>at equal cost"};
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th>", out);
    for (size_t h = 0; h < sizeof(heads) / sizeof(heads[0]); h++) {
        (void)fprintf(out, "<th scope=\"col\">%s</th>", heads[h]);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", out);
    for (int64_t r = 0; r < s->rows; r++) {
        write_row(out, &s->row[r]);
    }
    (void)fprintf(
        out,
        "</tbody></table></div>\n<p class=\"soft\">● on the Pareto front. ○ on that of costs without the "
        "originals', for who "
        "has them. Originals: the score is the mean over so many; “one original”: its statistics are the "
        "means "
        "over "
        "those from each by itself. Spread: standard deviation over these, or over groups of few models. "
        "RMSE: "
        "from the "
        "reference, of scores on its scale. * looks at models that the "
        "reference "
        "is made of, so it shares its noise and is on no front. Top, middle, bottom: overlap of %s examples "
        "each. Corrected: divided by the root of the reference's reliability.</p>\n",
        lo_number_count(s->group).text);
}

static void write_budgets(FILE *out, const lo_report_scaling *s)
{
    if (s->budgets == 0) {
        return;
    }
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Budget<br/>trainings</th><th "
                "scope=\"col\" "
                "class=\"left\">Best score</th><th scope=\"col\">Somers’ D</th><th scope=\"col\">Few "
                "models<br/>for as "
                "much</th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t b = 0; b < s->budgets; b++) {
        const lo_report_budget *budget = &s->budget[b];
        (void)fprintf(out, "<tr><th scope=\"row\">%s</th><td class=\"left\">",
                      lo_number_real(budget->trainings, 2).text);
        lo_html_text(out, budget->best[0] != '\0' ? budget->best : "none");
        (void)fprintf(out, "</td><td>%s</td><td>%s</td></tr>\n", lo_number_real(budget->value, 3).text,
                      lo_number_real(budget->few_models, 3).text);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

/* What was not learned is not memorized either, however alike a training would make the models. */
static void write_fit(FILE *out, const lo_report_scaling *s)
{
    static const double enough = 0.95;
    (void)fprintf(out, "<p>The reference’s models are right on %s of what they were trained on",
                  lo_number_percent(s->in_accuracy, 1).text);
    if (!isnan(s->in_accuracy_replaced)) {
        (void)fprintf(out, ", and on %s of the replaced labels among these",
                      lo_number_percent(s->in_accuracy_replaced, 1).text);
    }
    const bool weak = s->in_accuracy < enough || s->in_accuracy_replaced < enough;
    (void)fprintf(out, ".%s</p>\n",
                  weak ? " <b>Below 95&#160;% the reference says what was learned rather than what has to be "
                         "memorized: "
                         "train longer or larger before scores are judged by it.</b>"
                       : "");
}

static void write_screenings(FILE *out, const lo_report_scaling *s)
{
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (!isnan(c->saving)) {
            (void)fputs("<p class=\"soft\">", out);
            lo_html_text(out, c->name);
            (void)fprintf(out,
                          " leaves its candidates out as often as %s times as many models that leave out all "
                          "alike, and never looks at %s of the examples with a memorization above 0.5.</p>\n",
                          lo_number_real(c->saving, 1).text, lo_number_percent(c->missed, 1).text);
        }
    }
}

lo_status lo_section_scaling(const lo_page *page, lo_error *err)
{
    (void)err;
    FILE *out = page->out;
    const lo_report_scaling *scaling = &page->report->scaling;
    if (scaling->rows == 0) {
        return LO_OK;
    }
    (void)fprintf(
        out,
        "<section>\n<h2>What a score costs, and what it is worth</h2>\n<p>Compared with memorization from %s "
        "models of the ensemble",
        lo_number_count(scaling->models).text);
    if (scaling->held_back > 0) {
        (void)fprintf(out, "; the other %s are those that estimates from few models use",
                      lo_number_count(scaling->held_back).text);
    }
    (void)fprintf(
        out,
        ". Ranks by two halves of these models agree so well that all of them together have a reliability of "
        "%s. %s of its examples share their value with others; Somers’ D asks only about pairs that it tells "
        "apart. "
        "No score without ties can have a Spearman’s correlation above %s, an upper bound. A training takes "
        "%s "
        "of a core. Intervals "
        "are of a bootstrap of %s resamples of the examples.</p>\n",
        lo_number_real(scaling->reliability, 3).text, lo_number_percent(scaling->tied, 1).text,
        lo_number_real(scaling->ceiling, 3).text, lo_number_duration(scaling->training).text,
        lo_number_count(scaling->resamples).text);
    write_fit(out, scaling);
    (void)fputs("<div class=\"figures\">\n", out);
    draw(out, scaling);
    (void)fputs("</div>\n", out);
    write_table(out, scaling);
    write_screenings(out, scaling);
    write_budgets(out, scaling);
    (void)fputs("</section>\n", out);
    return LO_OK;
}
