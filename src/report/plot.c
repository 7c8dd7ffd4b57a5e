#include "report/plot.h"

#include "report/html.h"

#include <inttypes.h>
#include <math.h>

lo_bins lo_bins_choose(double low, double high, int most)
{
    const double range = high > low && isfinite(high - low) ? high - low : fmax(fabs(low), 1) * 1e-3;
    static const double round_steps[] = {1, 2, 5, 10};
    const double power = pow(10, floor(log10(range / most)));
    double step = power * 10;
    for (int i = 3; i >= 0; i--) {
        if (range / (power * round_steps[i]) <= most) {
            step = power * round_steps[i];
        }
    }
    const double first = floor(low / step + 1e-6);
    const int count = (int)fmin(ceil(high / step - 1e-6) - first, BINS_MAX);
    return (lo_bins){first * step, step, count > 0 ? count : 1};
}

/* The nudge keeps values on an edge (0.1 as float) in the bin that the edge begins. */
int lo_bins_at(const lo_bins *bins, double value)
{
    const double at = floor((value - bins->low) / bins->step + 1e-5);
    return !(at >= 0) ? 0 : at >= bins->count ? bins->count - 1 : (int)at;
}

void lo_plot_begin(const lo_page *page, const char *about, const char *name)
{
    (void)fputs("<figure><div role=\"img\" aria-label=\"", page->out);
    lo_html_text(page->out, about);
    lo_html_text(page->out, name);
    (void)fputs("\">\n", page->out);
}

void lo_plot_end(const lo_page *page, lo_figure *figure)
{
    (void)lo_figure_end(figure, page->out);
    (void)fputs("</div>\n<figcaption>", page->out);
}

void lo_plot_axis(lo_figure *figure, const char *which, const char *label)
{
    if (figure->script != NULL) {
        (void)fprintf(figure->script, "set %slabel ", which);
        lo_figure_text(figure, label);
        (void)fputc('\n', figure->script);
    }
}

/* One box a bin. On a logarithmic axis empty bins are left out. */
void lo_plot_counts(lo_figure *figure, const lo_bins *bins, const int64_t *count, bool logarithmic)
{
    FILE *script = figure->script;
    if (script == NULL) {
        return;
    }
    if (logarithmic) {
        (void)fputs("set logscale y\nset yrange [0.7:*]\nset format y '%.0f'\n", script);
    } else {
        (void)fputs("set yrange [0:*]\n", script);
    }
    (void)fprintf(script, "set xrange [%.9g:%.9g]\nset boxwidth %.9g\n$bins << EOD\n", bins->low,
                  bins->low + bins->step * bins->count, bins->step * 0.9);
    for (int b = 0; b < bins->count; b++) {
        if (count[b] > 0) {
            (void)fprintf(script, "%.9g %" PRId64 "\n", bins->low + bins->step * (b + 0.5), count[b]);
        }
    }
    (void)fputs("EOD\nplot $bins using 1:2 with boxes linecolor rgb '" LO_FIGURE_FIRST "'\n", script);
}
