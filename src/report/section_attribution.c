#include "report/sections.h"

#include "attribute/linear.h"
#include "report/html.h"
#include "report/picture_rows.h"
#include "report/plot.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void write_attribution_methods(const lo_page *page)
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
    (void)fputs(
        "</tbody></table></div>\n<p class=\"soft\">Penalty: of the fit, on its squared weights. Damping: "
        "added to the "
        "curvature so that it can be inverted. Gradient of the fit: its norm, 0 at an optimum; without "
        "one: the largest of the refits'.</p>\n<ul class=\"soft\">\n",
        out);
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
static void draw_spectrum(const lo_page *page)
{
    const lo_report_attribution *a = &page->report->attribution;
    const int64_t count = a->eigenvalues;
    const int64_t negative = lo_negative_eigenvalues(a->eigenvalue, count);
    lo_figure figure = lo_figure_begin();
    lo_plot_axis(&figure, "x", "rank of the eigenvalue");
    lo_plot_axis(&figure, "y", "eigenvalue");
    if (figure.script != NULL) {
        (void)fputs("set logscale xy\n$spectrum << EOD\n", figure.script);
        write_eigenvalues(a, 1, figure.script);
        (void)fputs("EOD\n$negative << EOD\n", figure.script);
        write_eigenvalues(a, -1, figure.script);
        (void)fputs("EOD\nplot $spectrum using 1:2 with linespoints pointtype 7 pointsize 0.3 linecolor rgb "
                    "'" LO_FIGURE_FIRST "'",
                    figure.script);
        (void)fputs(
            negative > 0
                ? ", $negative using 1:2 with linespoints pointtype 6 pointsize 0.4 dashtype 2 linecolor rgb "
                  "'" LO_FIGURE_SECOND "'\n"
                : "\n",
            figure.script);
    }
    (void)fputs("<div class=\"figures\">", page->out);
    lo_plot_begin(page, "Spectrum of the curvature", "");
    lo_plot_end(page, &figure);
    (void)fprintf(
        page->out,
        "The %s eigenvalues of <code>%s</code>'s curvature, penalty included, from %.3g down to %.3g; a "
        "damping of %.3g was added to each.",
        lo_number_count(count).text, a->spectrum_of, a->eigenvalue[count - 1], a->eigenvalue[0], a->damping);
    if (negative > 0) {
        (void)fprintf(page->out, " %s %s negative: these by their size, the largest first, as open points.",
                      lo_number_count(negative).text, lo_plural(negative, "is", "are"));
    }
    (void)fputs("</figcaption></figure></div>\n", page->out);
}

static void write_attribution_lead(const lo_report_attribution *a, FILE *out)
{
    (void)fputs("<p>", out);
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

lo_status lo_section_attribution(const lo_page *page, lo_error *err)
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
    const lo_picture_row own = {.columns = a->own, .index = a->own_index, .value = a->own_value};
    LO_TRY(lo_page_training_pictures(page, &own, err));
    if (a->rows > 0) {
        (void)fprintf(out,
                      "<h3>The most helpful and the most harmful</h3>\n<p>For some %s examples: training "
                      "examples that raise "
                      "its %s most (<b style=\"color:var(--helps)\">+</b>), and that lower it most (<b "
                      "style=\"color:var(--harms)\">&#8722;</b>).</p>\n",
                      a->targets_are, a->output);
    }
    for (int64_t r = 0; r < a->rows; r++) {
        const lo_picture_row row = {.examples = a->targets,
                                    .at = a->target[r],
                                    .kind = a->targets_are,
                                    .columns = 2 * a->k,
                                    .index = a->index + r * 2 * a->k,
                                    .value = a->value + r * 2 * a->k};
        LO_TRY(lo_page_picture_row(page, &row, err));
    }
    return LO_OK;
}
