#include "report/sections.h"

#include "report/figure.h"
#include "report/html.h"
#include "report/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 200, LABEL_SHOWN = 30, ROW_HEIGHT = 20, FRAME_HEIGHT = 90, TICS = 4 };

bool lo_unlearning_competes(const lo_report_unlearned *row)
{
    return row->applies && !(row->searched && !row->chosen) && strcmp(row->method, "oracle") != 0 &&
           strcmp(row->method, "original") != 0 && strcmp(row->method, "retrain") != 0;
}

/* "94.2 %" over a smaller "92.1 to 96.0", in percent; or the numbers themselves with three decimals. */
static void write_mean(FILE *out, const lo_report_mean *mean, bool percent)
{
    const double factor = percent ? 100 : 1;
    const int decimals = percent ? 1 : 3;
    (void)fprintf(out, "%s%s", lo_number_real(factor * mean->value, decimals).text,
                  percent && !isnan(mean->value) ? "&#160;%" : "");
    if (!isnan(mean->low) && !isnan(mean->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>",
                      lo_number_real(factor * mean->low, decimals).text,
                      lo_number_real(factor * mean->high, decimals).text);
    }
}

/* ---- one forget set ---- */

static void write_row(FILE *out, const lo_report_unlearned *row)
{
    (void)fputs("<tr><td><code>", out);
    lo_html_text(out, row->method);
    (void)fputs("</code></td><td class=\"left long\">", out);
    lo_html_settings(out, row->setting);
    (void)fputs(row->searched && row->chosen ? " <b>best</b></td>" : "</td>", out);
    if (!row->applies) {
        (void)fputs("<td class=\"left long\" colspan=\"7\">not applicable: ", out);
        lo_html_text(out, row->reason);
        (void)fputs("</td></tr>\n", out);
        return;
    }
    const bool original = strcmp(row->method, "original") == 0; /* which forgets nothing */
    const lo_report_mean *const shares[] = {&row->unlearning, &row->retain, &row->test};
    for (size_t k = 0; k < sizeof(shares) / sizeof(shares[0]); k++) {
        (void)fputs("<td>", out);
        write_mean(out, shares[k], true);
        (void)fputs("</td>", out);
    }
    (void)fputs("<td>", out);
    write_mean(out, &row->tow, false);
    (void)fprintf(out, "</td><td>%s</td><td>%s</td><td>%s",
                  original ? "–" : lo_number_duration(row->seconds).text,
                  original ? "–" : lo_number_real(row->time_ratio, 3).text, lo_number_count(row->seeds).text);
    if (row->diverged > 0) {
        (void)fprintf(out, " <span class=\"mark\">(%s diverged)</span>", lo_number_count(row->diverged).text);
    }
    (void)fputs("</td></tr>\n", out);
}

static bool is_shown(const lo_report_unlearned *row)
{
    return row->applies && !isnan(row->tow.value) && !(row->searched && !row->chosen);
}

static const char *short_name(const lo_report_unlearned *row)
{
    return row->label[0] != '\0' ? row->label : row->method;
}

/* The row's short name; where others of rows [count] have the same, with its settings. */
static void name_row(const lo_report_unlearned *rows, int64_t count, const lo_report_unlearned *row,
                     char *label)
{
    int64_t alike = 0;
    for (int64_t r = 0; r < count; r++) {
        alike += is_shown(&rows[r]) && strcmp(short_name(&rows[r]), short_name(row)) == 0;
    }
    (void)snprintf(label, LABEL, "%s", short_name(row));
    const char *settings = strchr(row->setting, ',');
    if (alike > 1 && settings != NULL) {
        (void)snprintf(label, LABEL, "%s%.*s", short_name(row), (int)strcspn(settings, "}"), settings);
    }
    if (strlen(label) > LABEL_SHOWN) {
        size_t end = LABEL_SHOWN - 3;
        while (end > 0 && ((unsigned char)label[end] & 0xC0) == 0x80) { /* within a character */
            end--;
        }
        memcpy(label + end, "...", 4);
    }
}

static int by_tow(const void *a, const void *b)
{
    const lo_report_unlearned *const *x = a;
    const lo_report_unlearned *const *y = b;
    if ((*x)->tow.value != (*y)->tow.value) {
        return (*x)->tow.value > (*y)->tow.value ? -1 : 1;
    }
    return (*x > *y) - (*x < *y);
}

/* One line a method, as they are ordered; `rows` are all of the forget set. */
static void plot_tow(lo_figure *figure, const lo_report_unlearned *rows, int64_t all,
                     const lo_report_unlearned *const *shown, int64_t count)
{
    FILE *script = figure->script;
    double ceiling = NAN;
    double left = 1;
    double right = 0;
    (void)fprintf(script,
                  "set key off\nunset grid\nset grid xtics linetype 1 linewidth 1 linecolor rgb "
                  "'#d5d9de'\nset yrange [-0.6:%.1f]\nset ytics (",
                  (double)count - 0.4);
    for (int64_t i = 0; i < count; i++) {
        char label[LABEL];
        name_row(rows, all, shown[i], label);
        (void)fputs(i > 0 ? ", " : "", script);
        lo_figure_tic(figure, label);
        (void)fprintf(script, " %d", (int)(count - 1 - i));
        ceiling = isnan(shown[i]->tow_ceiling) ? ceiling : shown[i]->tow_ceiling;
        left = fmin(left, isnan(shown[i]->tow.low) ? shown[i]->tow.value : shown[i]->tow.low);
        right = fmax(right, isnan(shown[i]->tow.high) ? shown[i]->tow.value : shown[i]->tow.high);
    }
    const double room = 0.03 * fmax(right - left, 0.01);
    (void)fprintf(script, ") noenhanced\nset xrange [%.6g:%.6g]\nset xtics %.6g\n$tow << EOD\n", left - room,
                  right + room, lo_bins_choose(left - room, right + room, TICS).step);
    for (int64_t i = 0; i < count; i++) {
        const lo_report_mean *tow = &shown[i]->tow;
        const bool bounded = !isnan(tow->low) && !isnan(tow->high);
        (void)fprintf(script, "%.6g %d %.6g %.6g %d\n", tow->value, (int)(count - 1 - i),
                      bounded ? tow->low : tow->value, bounded ? tow->high : tow->value,
                      strcmp(shown[i]->method, "oracle") == 0 ? 1 : 0);
    }
    (void)fputs("EOD\n", script);
    if (!isnan(ceiling)) {
        (void)fprintf(script,
                      "set arrow from first %.6g, graph 0 to first %.6g, graph 1 nohead dashtype 2 "
                      "linecolor rgb '" LO_FIGURE_SECOND "'\n",
                      ceiling, ceiling);
    }
    (void)fputs("plot $tow using ($5 == 0 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 7 pointsize 0.6 "
                "linecolor rgb '" LO_FIGURE_FIRST
                "', $tow using ($5 == 1 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 13 pointsize 0.9 "
                "linecolor rgb '" LO_FIGURE_SECOND "'\n",
                script);
}

/* ToW of one forget set's methods, oracles and originals. Errors: LO_INTERNAL without memory. */
static lo_status draw_tow(FILE *out, const lo_report_unlearned *rows, int64_t count, lo_error *err)
{
    const lo_report_unlearned **shown = calloc((size_t)count + 1, sizeof(*shown));
    int64_t some = 0;
    if (shown == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a figure of %lld methods", (long long)count);
    }
    for (int64_t r = 0; r < count; r++) {
        if (is_shown(&rows[r])) {
            shown[some++] = &rows[r];
        }
    }
    if (some > 1) {
        qsort(shown, (size_t)some, sizeof(const lo_report_unlearned *), by_tow);
        lo_figure figure = lo_figure_begin_of(FRAME_HEIGHT + ROW_HEIGHT * (int)some);
        if (figure.script != NULL) {
            (void)fputs("set xlabel 'ToW (1: as right as an oracle)'\n", figure.script);
            plot_tow(&figure, rows, count, shown, some);
        }
        (void)fputs("<div class=\"figures\"><figure><div role=\"img\" aria-label=\"ToW of each method\">\n",
                    out);
        (void)lo_figure_end(&figure, out);
        (void)fputs(
            "</div>\n<figcaption>ToW, the nearest to the oracles at the top; bars: 95&#160;% intervals "
            "over seeds. Diamond: the oracles themselves; dashed: one oracle against another, more than "
            "which cannot be asked.</figcaption></figure></div>\n",
            out);
    }
    free(shown);
    return LO_OK;
}

static lo_status write_set(FILE *out, const lo_report_unlearned *rows, int64_t count, lo_error *err)
{
    (void)fputs("<h3>Forget set <code>", out);
    lo_html_text(out, rows->forget_set);
    (void)fprintf(
        out,
        "</code></h3>\n<p>%s training examples, on which originals are right %s of the time: nothing "
        "can be forgotten that was not learned.",
        lo_number_count(rows->forget_count).text, lo_number_percent(rows->original, 1).text);
    if (!isnan(rows->tow_ceiling)) {
        (void)fprintf(out, " ToW of one oracle against another is %s: more cannot be asked of a method.",
                      lo_number_real(rows->tow_ceiling, 3).text);
    }
    (void)fputs("</p>\n", out);
    LO_TRY(draw_tow(out, rows, count, err));
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Method</th><th scope=\"col\" "
                "class=\"left\">Settings</th><th scope=\"col\">Forget set:<br/>wrong (UA)</th><th "
                "scope=\"col\">Retained:<br/>right (RA)</th><th scope=\"col\">Test:<br/>right (TA)</th><th "
                "scope=\"col\">ToW</th><th scope=\"col\">Core time</th><th scope=\"col\">as share of<br/>"
                "retraining</th><th scope=\"col\">Seeds</th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t r = 0; r < count; r++) {
        write_row(out, &rows[r]);
    }
    (void)fputs("</tbody></table></div>\n", out);
    return LO_OK;
}

/* ---- all forget sets ---- */

/* Is it the same method, with the same settings or those that a search chose for each set? */
static bool same_method(const lo_report_unlearned *a, const lo_report_unlearned *b)
{
    return strcmp(a->method, b->method) == 0 &&
           ((a->searched && b->searched) || strcmp(a->setting, b->setting) == 0);
}

static bool in_overview(const lo_report_unlearned *row)
{
    return !(row->searched && !row->chosen);
}

/* The first row of the next forget set. */
static int64_t end_of_set(const lo_report_unlearned *rows, int64_t count, int64_t from)
{
    int64_t end = from;
    while (end < count && strcmp(rows[end].forget_set, rows[from].forget_set) == 0) {
        end++;
    }
    return end;
}

/* The largest ToW of a method on a forget set; NaN: there is none. */
static double best_of(const lo_report_unlearned *rows, int64_t from, int64_t to)
{
    double best = NAN;
    for (int64_t r = from; r < to; r++) {
        best = lo_unlearning_competes(&rows[r]) ? fmax(best, rows[r].tow.value) : best;
    }
    return best;
}

/* Has a row of another method, or of other settings, the same short name? */
static bool is_ambiguous(const lo_report_unlearned *rows, int64_t count, const lo_report_unlearned *of)
{
    for (int64_t r = 0; r < count; r++) {
        if (in_overview(&rows[r]) && !same_method(&rows[r], of) &&
            strcmp(short_name(&rows[r]), short_name(of)) == 0) {
            return true;
        }
    }
    return false;
}

/* A line of the overview: of the method of `of`, one cell a forget set. */
static void write_overview_row(FILE *out, const lo_report_unlearned *rows, int64_t count,
                               const lo_report_unlearned *of)
{
    (void)fputs("<tr><td class=\"long who\"><code>", out);
    lo_html_text(out, of->searched ? of->method : short_name(of));
    (void)fputs("</code>", out);
    if (!of->searched && of->setting[0] != '\0' && is_ambiguous(rows, count, of)) {
        (void)fputs("<br/><span class=\"soft\">", out);
        lo_html_settings(out, of->setting);
        (void)fputs("</span>", out);
    }
    (void)fputs("</td>", out);
    for (int64_t from = 0, to; from < count; from = to) {
        to = end_of_set(rows, count, from);
        const lo_report_unlearned *row = NULL;
        for (int64_t r = from; r < to && row == NULL; r++) {
            row = in_overview(&rows[r]) && same_method(&rows[r], of) ? &rows[r] : NULL;
        }
        const bool best =
            row != NULL && lo_unlearning_competes(row) && row->tow.value == best_of(rows, from, to);
        (void)fputs(best ? "<td class=\"best\">" : "<td>", out);
        if (row != NULL && row->applies) {
            write_mean(out, &row->tow, false);
        } else {
            (void)fputs("&#8211;", out);
        }
        (void)fputs("</td>", out);
    }
    (void)fputs("</tr>\n", out);
}

/* Every method on every forget set. */
static void write_overview(FILE *out, const lo_report_unlearned *rows, int64_t count)
{
    (void)fputs("<h3>Every method on every forget set</h3>\n<p>ToW: the mean over seeds and its 95&#160;% "
                "interval. Bold: the best of a column; where intervals overlap, chance may have decided. "
                "&#8211;: the method does not apply there.</p>\n<div class=\"wide\"><table>\n<thead><tr><th "
                "scope=\"col\">Method</th>",
                out);
    for (int64_t from = 0; from < count; from = end_of_set(rows, count, from)) {
        (void)fputs("<th scope=\"col\"><code>", out);
        lo_html_text(out, rows[from].forget_set);
        (void)fputs("</code></th>", out);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", out);
    for (int64_t r = 0; r < count; r++) {
        bool earlier = !in_overview(&rows[r]);
        for (int64_t e = 0; e < r && !earlier; e++) {
            earlier = in_overview(&rows[e]) && same_method(&rows[e], &rows[r]);
        }
        if (!earlier) {
            write_overview_row(out, rows, count, &rows[r]);
        }
    }
    (void)fputs("</tbody></table></div>\n", out);
}

lo_status lo_section_unlearning(const lo_page *page, lo_error *err)
{
    FILE *out = page->out;
    const lo_report_unlearned *rows = page->report->unlearned;
    const int64_t count = page->report->unlearned_count;
    if (count == 0) {
        return LO_OK;
    }
    (void)fputs(
        "<p>Models that were made to forget, beside the <b>oracles</b>, which were trained afresh without "
        "the "
        "forget set, and the <b>originals</b> that the methods began with. UA: 1 &#8722; accuracy on the "
        "forget set; RA, TA: accuracy on the training examples that are kept, and on the test set. The aim "
        "is "
        "to be like the oracles, not to be wrong as often as possible. ToW is 1 for a model that has an "
        "oracle's three accuracies. Means over seeds with 95&#160;% intervals; time as a share of an "
        "oracle's "
        "training.</p>\n",
        out);
    if (end_of_set(rows, count, 0) < count) {
        write_overview(out, rows, count);
    }
    for (int64_t from = 0, to; from < count; from = to) {
        to = end_of_set(rows, count, from);
        LO_TRY(write_set(out, rows + from, to - from, err));
    }
    return LO_OK;
}
