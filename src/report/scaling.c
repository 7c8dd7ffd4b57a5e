#include "report/scaling.h"

#include "report/figure.h"
#include "report/html.h"

#include <math.h>

static void write_points(const lo_report_scaling *s, FILE *script)
{
    (void)fputs("$all << EOD\n", script);
    for (int64_t r = 0; r < s->rows; r++) {
        const lo_report_compared *c = &s->row[r];
        if (c->trainings > 0 && isfinite(c->spearman)) {
            const double low = isnan(c->low) ? c->spearman : c->low;
            const double high = isnan(c->high) ? c->spearman : c->high;
            (void)fprintf(script, "%.9g %.9g %.9g %.9g\n", c->trainings, c->spearman, low, high);
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
        (void)fprintf(figure->script, "%.9g %.9g\n", c->trainings, c->spearman);
    }
    (void)fputs("EOD\n", figure->script);
    for (const lo_report_compared *c = next_on_front(s, 0); c != NULL; c = next_on_front(s, c->trainings)) {
        (void)fputs("set label ", figure->script);
        lo_figure_text(figure, c->name);
        (void)fprintf(figure->script, " at %.9g,%.9g left offset 0.6,0.6\n", c->trainings, c->spearman);
    }
}

static void draw(FILE *out, const lo_report_scaling *s)
{
    lo_figure figure = lo_figure_begin();
    (void)fputs("<figure>\n", out);
    if (figure.script != NULL) {
        (void)fputs("set logscale x\nset xlabel 'cost in trainings, shared ones included'\n"
                    "set ylabel 'rank correlation with memorization'\nset xrange [*:*] writeback\n"
                    "set offsets graph 0.05, graph 0.25, graph 0.08, graph 0.05\n",
                    figure.script);
        write_points(s, figure.script);
        write_front(s, &figure);
        if (isfinite(s->ceiling)) {
            (void)fprintf(
                figure.script,
                "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead dashtype 2 linecolor "
                "rgb '" LO_FIGURE_INK "'\n",
                s->ceiling, s->ceiling);
        }
        (void)fputs("plot $all using 1:2:3:4 with yerrorbars pointtype 7 pointsize 0.5 linecolor rgb "
                    "'" LO_FIGURE_FIRST
                    "' notitle, $front using 1:2 with linespoints pointtype 7 linecolor rgb "
                    "'" LO_FIGURE_SECOND "' notitle\n",
                    figure.script);
    }
    (void)lo_figure_end(&figure, out);
    (void)fputs(
        "<figcaption>Every score: what it costs, and how well it orders the examples, with 95&#160;% "
        "intervals. "
        "Orange: the Pareto front, which no score beats in both. Dashed: what a score that knew the truth "
        "would reach against this reference.</figcaption>\n</figure>\n",
        out);
}

static void write_row(FILE *out, const lo_report_compared *c)
{
    (void)fputs("<tr><th scope=\"row\">", out);
    lo_html_text(out, c->name);
    (void)fprintf(out, "%s%s</th><td>%s</td><td>%s</td>", c->front ? " ●" : "", c->in_reference ? " *" : "",
                  lo_number_real(c->trainings, 2).text, lo_number_real(c->own, 3).text);
    (void)fprintf(out, "<td>%s</td><td>%s to %s</td>", lo_number_real(c->spearman, 3).text,
                  lo_number_real(c->low, 3).text, lo_number_real(c->high, 3).text);
    const double cells[] = {c->corrected,     c->pearson,     c->auc_quarter, c->auc_half, c->top,
                            c->middle_median, c->middle_rank, c->bottom,      c->noise};
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
                                        "Spearman",
                                        "95&#160;%",
                                        "Corrected",
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
        "</tbody></table></div>\n<p class=\"soft\">● on the Pareto front. * looks at models that the "
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
                "class=\"left\">Best score</th><th scope=\"col\">Spearman</th><th scope=\"col\">Few "
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

void lo_report_write_scaling(FILE *out, const lo_report_scaling *scaling)
{
    if (scaling->rows == 0) {
        return;
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
        "%s; against it a perfect score would reach %s. A training takes %s of a core. Intervals are of a "
        "bootstrap of %s resamples of the examples.</p>\n<div class=\"figures\">\n",
        lo_number_real(scaling->reliability, 3).text, lo_number_real(scaling->ceiling, 3).text,
        lo_number_duration(scaling->training).text, lo_number_count(scaling->resamples).text);
    draw(out, scaling);
    (void)fputs("</div>\n", out);
    write_table(out, scaling);
    write_budgets(out, scaling);
    (void)fputs("</section>\n", out);
}
