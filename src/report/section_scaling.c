#include "report/sections.h"

#include "report/figure.h"
#include "report/html.h"

#include <math.h>

/* What the figure shows, the cost by its logarithm. */
typedef struct frame {
    double left, right, bottom, top;
} frame;

static bool is_shown(const lo_report_compared *c)
{
    return c->trainings > 0 && isfinite(c->trainings) && isfinite(c->somers);
}

/* Room on the left for the name of the cheapest, and at the top for names that are stacked. */
static frame frame_of(const lo_report_scaling *s)
{
    frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (is_shown(c)) {
            f.left = fmin(f.left, log10(c->trainings));
            f.right = fmax(f.right, log10(c->trainings));
            f.bottom = fmin(f.bottom, isnan(c->low) ? c->somers : c->low);
            f.top = fmax(f.top, isnan(c->high) ? c->somers : c->high);
        }
    }
    const double wide = fmax(f.right - f.left, 0.3);
    const double high = fmax(f.top - f.bottom, 0.05);
    return (frame){f.left - 0.45 * wide, f.right + 0.06 * wide, f.bottom - 0.05 * high, f.top + 0.2 * high};
}

static void write_points(const lo_report_scaling *s, FILE *script)
{
    (void)fputs("$all << EOD\n", script);
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (is_shown(c)) {
            const double low = isnan(c->low) ? c->somers : c->low;
            const double high = isnan(c->high) ? c->somers : c->high;
            (void)fprintf(script, "%.9g %.9g %.9g %.9g\n", c->trainings, c->somers, low, high);
        }
    }
    (void)fputs("EOD\n", script);
}

/* The cheapest score of the front that is dearer than `after`; NULL: none is left. */
static const lo_report_compared *next_on_front(const lo_report_scaling *s, double after)
{
    const lo_report_compared *next = NULL;
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (c->front && is_shown(c) && c->trainings > after &&
            (next == NULL || c->trainings < next->trainings)) {
            next = c;
        }
    }
    return next;
}

/* Names stand above and to the left, where no other score can be, each at least a line above the one before,
 * with a thread to its point. */
static void write_front(const lo_report_scaling *s, frame f, lo_figure *figure)
{
    static const double line = 0.06; /* of a text, as a share of the height */
    double last = -1;
    (void)fputs("$front << EOD\n", figure->script);
    for (const lo_report_compared *c = next_on_front(s, 0); c != NULL; c = next_on_front(s, c->trainings)) {
        (void)fprintf(figure->script, "%.9g %.9g\n", c->trainings, c->somers);
    }
    (void)fputs("EOD\n", figure->script);
    for (const lo_report_compared *c = next_on_front(s, 0); c != NULL; c = next_on_front(s, c->trainings)) {
        const double x = (log10(c->trainings) - f.left) / (f.right - f.left);
        const double y = (c->somers - f.bottom) / (f.top - f.bottom);
        const double at = fmax(y + 0.5 * line, last + line);
        last = at;
        (void)fputs("set label ", figure->script);
        lo_figure_text(figure, c->name);
        (void)fprintf(figure->script, " at graph %.4f, graph %.4f right\n", x - 0.03, at);
        (void)fprintf(figure->script,
                      "set arrow from graph %.4f, graph %.4f to graph %.4f, graph %.4f nohead linewidth 0.5 "
                      "linecolor rgb '" LO_FIGURE_INK "'\n",
                      x - 0.025, at, x, y);
    }
}

static void draw(FILE *out, const lo_report_scaling *s)
{
    const frame f = frame_of(s);
    if (!isfinite(f.left)) {
        return; /* no score has a cost and a worth */
    }
    lo_figure figure = lo_figure_begin_of(340);
    (void)fputs("<figure><div role=\"img\" aria-label=\"Cost and worth of every score\">\n", out);
    if (figure.script != NULL) {
        (void)fprintf(figure.script,
                      "set logscale x\nset xlabel 'cost in trainings, shared ones included (logarithmic)'\n"
                      "set ylabel \"Somers' D given memorization\"\nset xrange [%.6g:%.6g]\nset yrange "
                      "[%.6g:%.6g]\nset format x '%%g'\n",
                      pow(10, f.left), pow(10, f.right), f.bottom, f.top);
        write_points(s, figure.script);
        write_front(s, f, &figure);
        (void)fputs(
            "plot $all using 1:2:3:4 with yerrorbars pointtype 6 pointsize 0.5 linecolor rgb "
            "'" LO_FIGURE_FIRST
            "' notitle, $front using 1:2 with linespoints pointtype 7 pointsize 0.7 linewidth 2 linecolor "
            "rgb '" LO_FIGURE_SECOND "' notitle\n",
            figure.script);
    }
    (void)lo_figure_end(&figure, out);
    (void)fputs(
        "</div>\n<figcaption>Every score: what it costs, and how well it orders the examples, with "
        "95&#160;% intervals. Up and to the left is better. Filled points and the line: the Pareto front, "
        "which no score beats in both.</figcaption>\n</figure>\n",
        out);
}

static void write_name(FILE *out, const lo_report_compared *c)
{
    (void)fputs("<tr><th scope=\"row\">", out);
    lo_html_text(out, c->name);
    (void)fprintf(out, "%s%s</th>",
                  c->front         ? " ●"
                  : c->later_front ? " ○"
                                   : "",
                  c->in_reference ? " *" : "");
}

static void write_heads(FILE *out, const char *const *heads, size_t count)
{
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Score</th>", out);
    for (size_t h = 0; h < count; h++) {
        (void)fprintf(out, "<th scope=\"col\">%s</th>", heads[h]);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", out);
}

static void write_row(FILE *out, const lo_report_compared *c)
{
    write_name(out, c);
    (void)fprintf(out, "<td>%s</td>", lo_number_real(c->trainings, 2).text);
    (void)fprintf(out, "<td>%s</td><td>%s to %s</td><td>%s</td><td>%s</td><td>%s</td>",
                  lo_number_real(c->somers, 3).text, lo_number_real(c->low, 3).text,
                  lo_number_real(c->high, 3).text, lo_number_real(c->spread, 3).text,
                  lo_number_real(c->spearman, 3).text, lo_number_real(c->noise, 3).text);
    if (isnan(c->difference)) {
        (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_real(c->difference, 3).text);
    } else {
        (void)fprintf(out, "<td>%s (%s to %s)</td></tr>\n", lo_number_signed(c->difference, 3).text,
                      lo_number_signed(c->difference_low, 3).text,
                      lo_number_signed(c->difference_high, 3).text);
    }
}

/* What decides: cost, and Somers' D. */
static void write_table(FILE *out, const lo_report_scaling *s)
{
    static const char *const heads[] = {"Cost<br/>trainings",
                                        "Somers’ D",
                                        "95&#160;%",
                                        "Spread",
                                        "Spearman",
                                        "AUC of<br/>relabelled",
                                        "Less few models<br/>at equal cost"};
    write_heads(out, heads, sizeof(heads) / sizeof(heads[0]));
    for (int64_t r = 0; r < s->rows; r++) {
        write_row(out, &s->row[r]);
    }
    (void)fputs(
        "</tbody></table></div>\n<p class=\"soft\">● on the Pareto front. ○ on that of costs without the "
        "originals', for who has them. * looks at models that the reference is made of, so it shares its "
        "noise and is on no front. Spread: standard deviation over originals, or "
        "over groups of few models; “one original”: means over those from each by itself. Last column: "
        "Somers’ D less that of an estimate from as few models "
        "as cost the same, with its 95&#160;% interval; positive: the score is worth its cost.</p>\n",
        out);
}

/* Other ways to compare, folded. */
static void write_more(FILE *out, const lo_report_scaling *s)
{
    static const char *const heads[] = {"Own part<br/>of cost",
                                        "Originals",
                                        "Spearman,<br/>corrected",
                                        "RMSE",
                                        "Pearson",
                                        "AUC<br/>above 0.25",
                                        "AUC<br/>above 0.5",
                                        "Top",
                                        "Middle<br/>by median",
                                        "Middle<br/>by rank",
                                        "Bottom"};
    (void)fputs("<details><summary>Other ways to compare them with memorization</summary>\n", out);
    write_heads(out, heads, sizeof(heads) / sizeof(heads[0]));
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        const double cells[] = {c->corrected, c->rmse,          c->pearson,     c->auc_quarter, c->auc_half,
                                c->top,       c->middle_median, c->middle_rank, c->bottom};
        write_name(out, c);
        (void)fprintf(out, "<td>%s</td><td>%s</td>", lo_number_real(c->own, 3).text,
                      lo_number_real(c->originals, 0).text);
        for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
            (void)fprintf(out, "<td>%s</td>", lo_number_real(cells[i], 3).text);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fprintf(
        out,
        "</tbody></table></div>\n<p class=\"soft\">Own part: of the cost, in trainings; the rest others "
        "share. "
        "Originals: the score is the mean over so many. Corrected: divided by the root of the "
        "reference's reliability. RMSE: from the reference, of scores on its scale. AUC: of the score as "
        "a detector of examples with a memorization above 0.25 or 0.5. Top, middle, bottom: overlap of %s "
        "examples each.</p></details>\n",
        lo_number_count(s->group).text);
}

static void write_budgets(FILE *out, const lo_report_scaling *s)
{
    if (s->budgets == 0) {
        return;
    }
    (void)fputs("<h3>What a budget buys</h3>\n<p>For so many trainings: the best of the scores that cost no "
                "more, and what "
                "memorization estimated from few models reaches for as much.</p>\n"
                "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Budget<br/>trainings</th><th "
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
    (void)fprintf(out,
                  "<p>Compared with memorization from %s "
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
    write_more(out, scaling);
    write_screenings(out, scaling);
    write_budgets(out, scaling);
    return LO_OK;
}
