#include "report/intervals.h"

#include "report/figure.h"
#include "report/html.h"

#include <math.h>

/* A step of 1, 2 or 5 times a power of ten that makes at most four ticks of a range: names take most of the
 * width. */
static double step_of(double range)
{
    static const double nice[] = {1, 2, 5, 10};
    const double least = range / 4, power = pow(10, floor(log10(least)));
    int k = 0;
    while (k < 3 && nice[k] * power < least) {
        k++;
    }
    return nice[k] * power;
}

static void write_script(lo_figure *figure, const lo_report_interval *rows, int64_t count, const char *axis)
{
    FILE *script = figure->script;
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        const lo_bounded *b = &rows[i].value;
        low = fmin(low, fmin(b->value, b->low)); /* NaN is left out */
        high = fmax(high, fmax(b->value, b->high));
    }
    if (high > low) {
        const double room = 0.04 * (high - low);
        (void)fprintf(script, "set xtics %.6g\nset xrange [%.9g:%.9g]\n", step_of(high - low), low - room,
                      high + room);
    }
    (void)fputs("set key off\nset xlabel ", script);
    lo_figure_text(figure, axis);
    (void)fprintf(script, "\nset yrange [-0.6:%.1f]\nset offsets graph 0.05, graph 0.05, 0, 0\nset ytics (",
                  (double)count - 0.4);
    for (int64_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? ", " : "", script);
        lo_figure_tic(figure, rows[i].name);
        (void)fprintf(script, " %d", (int)(count - 1 - i));
    }
    (void)fputs(") noenhanced\n$all << EOD\n", script);
    for (int64_t i = 0; i < count; i++) {
        const lo_bounded *b = &rows[i].value;
        const bool bounded = !isnan(b->low) && !isnan(b->high);
        if (!isnan(b->value)) {
            (void)fprintf(script, "%.6g %d %.6g %.6g %d\n", b->value, (int)(count - 1 - i),
                          bounded ? b->low : b->value, bounded ? b->high : b->value, rows[i].marked ? 1 : 0);
        }
    }
    (void)fputs("EOD\nplot $all using ($5 == 0 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 7 pointsize "
                "0.7 linecolor rgb '" LO_FIGURE_FIRST
                "', $all using ($5 == 1 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 7 pointsize 0.7 "
                "linecolor rgb '" LO_FIGURE_SECOND "'\n",
                script);
}

void lo_report_draw_intervals(FILE *out, const lo_report_interval *rows, int64_t count, const char *axis,
                              const char *about, const char *caption)
{
    bool any = false;
    for (int64_t i = 0; i < count; i++) {
        any = any || !isnan(rows[i].value.value);
    }
    if (!any) {
        return;
    }
    enum { FRAME = 90, ROW = 20, LEAST = 150 };
    const int64_t height = FRAME + ROW * count;
    lo_figure figure = lo_figure_begin_of(height > LEAST ? (int)height : LEAST);
    if (figure.script != NULL) {
        write_script(&figure, rows, count, axis);
    }
    (void)fputs("<figure><div role=\"img\" aria-label=\"", out);
    lo_html_text(out, about);
    (void)fputs("\">\n", out);
    (void)lo_figure_end(&figure, out);
    (void)fprintf(out, "</div>\n<figcaption>%s</figcaption></figure>\n", caption);
}
