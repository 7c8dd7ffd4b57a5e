#include "report/audit_figures.h"

#include "report/figure.h"
#include "report/html.h"
#include "report/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *lo_audited_name(const lo_report_audited *row)
{
    return row->label[0] != '\0' ? row->label : row->method;
}

static void begin_figure(FILE *out, const char *about)
{
    (void)fprintf(out, "<figure><div role=\"img\" aria-label=\"%s\">\n", about);
}

/* ---- forgetting against utility ---- */

/* The figure's frame in pixels, so that what a number covers is known before it is drawn. */
enum { WIDTH = 480, HEIGHT = 300, LEFT = 60, RIGHT = 16, TOP = 12, BOTTOM = 58, DIGIT = 8, LINE = 14 };

/* A range of values and the pixels that show it. */
typedef struct span {
    double low, high;
    int pixels;
} span;

/* A point with its number, in pixels from the lower left corner of the frame. */
typedef struct place {
    double x, y, radius;   /* of the circle */
    double text_x, text_y; /* middle of the number */
    double width;          /* of the number */
    int64_t row;
} place;

static bool is_placed(const lo_report_audited *row)
{
    return !isnan(row->utility.value) && !isnan(row->forgetting.value);
}

static double across(const lo_report_audited *row)
{
    return 100 * (1 - row->forgetting.value);
}

static double up(const lo_report_audited *row)
{
    return 100 * row->utility.value;
}

/* The values with room around them. */
static span make_span(const lo_report_audited *rows, const place *places, int64_t count,
                      double (*of)(const lo_report_audited *), int pixels)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        low = fmin(low, of(&rows[places[i].row]));
        high = fmax(high, of(&rows[places[i].row]));
    }
    const double room = 0.1 * fmax(high - low, 1);
    return (span){low - room, high + room, pixels};
}

static double pixel_of(const span *s, double value)
{
    return (value - s->low) / (s->high - s->low) * s->pixels;
}

static double value_of(const span *s, double pixel)
{
    return s->low + pixel / s->pixels * (s->high - s->low);
}

/* How much of a number at (x, y) lies on circles, on numbers that have their place, or outside the frame. */
static double covered(const place *places, int64_t count, int64_t own, double x, double y)
{
    const double half = places[own].width / 2, most_x = WIDTH - LEFT - RIGHT, most_y = HEIGHT - TOP - BOTTOM;
    double sum = x - half < 0 || x + half > most_x || y < LINE / 2.0 || y > most_y - LINE / 2.0 ? 1000 : 0;
    for (int64_t i = 0; i < count; i++) {
        const place *p = &places[i];
        const double right = half + p->radius - fabs(p->x - x),
                     above = LINE / 2.0 + p->radius - fabs(p->y - y);
        sum += right > 0 && above > 0 ? right * above : 0;
        if (i < own) {
            const double wide = half + p->width / 2 + 5 - fabs(p->text_x - x),
                         high = LINE - fabs(p->text_y - y);
            sum += wide > 0 && high > 0 ? wide * high : 0;
        }
    }
    return sum;
}

/* Each number goes where it covers least: around its point, the nearer the better. */
static void place_numbers(place *places, int64_t count)
{
    enum { DIRECTIONS = 16, RINGS = 5 };
    for (int64_t i = 0; i < count; i++) {
        place *p = &places[i];
        double least = INFINITY;
        for (int k = 0; k < DIRECTIONS * RINGS; k++) {
            const double angle = 2 * M_PI * (k % DIRECTIONS) / DIRECTIONS, ring = 10.0 * (k / DIRECTIONS);
            const double x = p->x + (p->radius + p->width / 2 + 3 + ring) * cos(angle);
            const double y = p->y + (p->radius + LINE / 2.0 + 1 + ring) * sin(angle);
            const double cost = covered(places, count, i, x, y) + ring;
            if (cost < least) {
                least = cost;
                p->text_x = x;
                p->text_y = y;
            }
        }
    }
}

static void script_trade_off(lo_figure *figure, const lo_report_audited *rows, const place *places,
                             int64_t count, const span *x, const span *y)
{
    FILE *script = figure->script;
    const lo_bins steps[] = {lo_bins_choose(x->low, x->high, 7), lo_bins_choose(y->low, y->high, 6)};
    (void)fprintf(
        script,
        "set xlabel 'accuracy on the forget set (%%)'\nset ylabel 'test accuracy (%%)'\nset key off\n"
        "set lmargin at screen %.5f\nset rmargin at screen %.5f\nset tmargin at screen %.5f\n"
        "set bmargin at screen %.5f\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\nset xtics %.9g\n"
        "set ytics %.9g\n",
        (double)LEFT / WIDTH, 1 - (double)RIGHT / WIDTH, 1 - (double)TOP / HEIGHT, (double)BOTTOM / HEIGHT,
        x->low, x->high, y->low, y->high, steps[0].step, steps[1].step);
    for (int64_t i = 0; i < count; i++) {
        const place *p = &places[i];
        const double far_x = value_of(x, p->text_x), far_y = value_of(y, p->text_y);
        (void)fprintf(script, "set label '%lld' at %.9g,%.9g center\n", (long long)i + 1, far_x, far_y);
        if (hypot(p->text_x - p->x, p->text_y - p->y) > p->radius + LINE + 8) { /* whose is it? */
            const double part = 1 - 9 / hypot(p->text_x - p->x, p->text_y - p->y);
            (void)fprintf(script,
                          "set arrow from %.9g,%.9g to %.9g,%.9g nohead linecolor rgb '" LO_FIGURE_INK "'\n",
                          value_of(x, p->x), value_of(y, p->y), value_of(x, p->x + part * (p->text_x - p->x)),
                          value_of(y, p->y + part * (p->text_y - p->y)));
        }
    }
    (void)fputs("$runs << EOD\n", script);
    for (int64_t i = 0; i < count; i++) {
        const lo_report_audited *row = &rows[places[i].row];
        (void)fprintf(script, "%.9g %.9g %.6g %d\n", across(row), up(row),
                      places[i].radius / x->pixels * (x->high - x->low), row->oracle ? 1 : 0);
    }
    (void)fputs("EOD\nplot $runs using 1:($4 == 0 ? $2 : 1/0):3 with circles linecolor rgb '" LO_FIGURE_FIRST
                "', $runs using 1:($4 == 1 ? $2 : 1/0):3 with circles fillstyle solid linecolor rgb "
                "'" LO_FIGURE_SECOND "'\n",
                script);
}

/* A circle the larger the longer it took. Figures have no symbols of a size: circles are drawn as such. */
static int64_t make_places(const lo_report_audited *rows, int64_t count, place *places, span *x, span *y)
{
    int64_t some = 0;
    for (int64_t r = 0; r < count; r++) {
        if (is_placed(&rows[r])) {
            places[some++].row = r;
        }
    }
    *x = make_span(rows, places, some, across, WIDTH - LEFT - RIGHT);
    *y = make_span(rows, places, some, up, HEIGHT - TOP - BOTTOM);
    for (int64_t i = 0; i < some; i++) {
        const lo_report_audited *row = &rows[places[i].row];
        const double time = isnan(row->time) ? 0.1 : fmin(fmax(row->time, 0), 4);
        places[i].x = pixel_of(x, across(row));
        places[i].y = pixel_of(y, up(row));
        places[i].radius = 2.5 + 3.5 * sqrt(time);
        places[i].width = i + 1 < 10 ? DIGIT : i + 1 < 100 ? 2 * DIGIT : 3 * DIGIT;
    }
    place_numbers(places, some);
    return some;
}

void lo_report_draw_trade_off(FILE *out, const lo_report_audited *rows, int64_t count)
{
    span x, y;
    place *places = calloc((size_t)count + 1, sizeof(*places));
    const int64_t some = places == NULL ? 0 : make_places(rows, count, places, &x, &y);
    if (some > 0) {
        lo_figure figure = lo_figure_begin_of(HEIGHT);
        if (figure.script != NULL) {
            script_trade_off(&figure, rows, places, some, &x, &y);
        }
        begin_figure(out, "Forgetting against utility");
        (void)lo_figure_end(&figure, out);
        (void)fputs("</div>\n<figcaption>Forgetting against utility: the aim is the orange circle, the "
                    "oracles. The larger a circle, the longer it took.",
                    out);
        for (int64_t i = 0; i < some; i++) {
            (void)fprintf(out, "%s <b>%lld</b>&#160;", i == 0 ? "" : ",", (long long)i + 1);
            lo_html_text(out, lo_audited_name(&rows[places[i].row]));
        }
        (void)fputs(".</figcaption></figure>\n", out);
    }
    free(places);
}

/* ---- ROC curves ---- */

enum { NEAREST = 5, CURVES = NEAREST + 2, FRAME = 300, KEY_ROW = 20 };

/* Where the curves of a forget set begin: the least rate that its non-members can tell. NaN: there is none.
 */
static double first_rate(const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int curve)
{
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        for (int64_t r = 0; r < count; r++) {
            if (rows[r].roc[curve][i] > 0) {
                return a->rate[i];
            }
        }
    }
    return (double)NAN;
}

/* The AUC of an attack on a row; NaN: it is not known. */
static double auc_of(const lo_report_audit *a, const lo_report_audited *row, int curve)
{
    for (int n = 0; n < a->numbers; n++) {
        if (strcmp(a->number[n].name, a->curve[curve]) == 0) {
            return row->value[n].value;
        }
    }
    return (double)NAN;
}

static bool is_original(const lo_report_audited *row)
{
    return strcmp(row->method, "original") == 0;
}

/* How far a row's AUC is from the oracles' (without them, from guessing); what is not known is last. */
static double distance_of(const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int64_t r,
                          int curve)
{
    double aim = 0.5;
    for (int64_t o = 0; o < count; o++) {
        const double auc = auc_of(a, &rows[o], curve);
        aim = rows[o].oracle && !isnan(auc) ? auc : aim;
    }
    const double auc = auc_of(a, &rows[r], curve);
    return isnan(auc) ? INFINITY : fabs(auc - aim);
}

/* The rows to be drawn: oracles and originals, then the nearest methods. Returns how many; *methods of all
 * that there are. */
static int choose_rows(const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int curve,
                       int64_t chosen[CURVES], int64_t *methods)
{
    int used = 0;
    *methods = 0;
    for (int64_t r = 0; r < count && used < 2; r++) {
        if (rows[r].oracle || is_original(&rows[r])) {
            chosen[used++] = r;
        }
    }
    const int fixed = used;
    for (int64_t r = 0; r < count; r++) {
        if (rows[r].oracle || is_original(&rows[r])) {
            continue;
        }
        ++*methods;
        int at = used; /* insertion by distance; of equals the first stays first */
        const double own = distance_of(a, rows, count, r, curve);
        while (at > fixed && distance_of(a, rows, count, chosen[at - 1], curve) > own) {
            at--;
        }
        used += used < fixed + NEAREST;
        for (int k = used - 1; k > at; k--) {
            chosen[k] = chosen[k - 1];
        }
        if (at < used) {
            chosen[at] = r;
        }
    }
    return used;
}

/* Told apart by colour and dashes; the oracles' is a broad one in ink. */
static void plot_curve(lo_figure *figure, const lo_report_audited *row, int curve, int number)
{
    (void)fprintf(figure->script, ", $roc%d using 1:2 with lines ", curve);
    if (row->oracle) {
        (void)fputs("linewidth 4 linecolor rgb '" LO_FIGURE_INK "'", figure->script);
    } else {
        (void)fprintf(figure->script, "linewidth 2 linecolor rgb '%s' dashtype %d",
                      number % 2 == 0 ? LO_FIGURE_FIRST : LO_FIGURE_SECOND, number / 2 + 1);
    }
    (void)fputs(" title ", figure->script);
    lo_figure_text(figure, lo_audited_name(row));
}

static void script_curves(lo_figure *figure, const lo_report_audit *a, const lo_report_audited *rows,
                          int curve, const int64_t *chosen, int used, double first)
{
    FILE *script = figure->script;
    for (int k = 0; k < used; k++) {
        (void)fprintf(script, "$roc%d << EOD\n", k);
        for (int i = 0; i < LO_REPORT_ROC; i++) {
            const double found = rows[chosen[k]].roc[curve][i];
            if (found > 0) { /* 0 has no place on such an axis */
                (void)fprintf(script, "%.6g %.6g\n", a->rate[i], found);
            }
        }
        (void)fputs("1 1\nEOD\n", script);
    }
    /* The key is below, in one column, whose height the figure has: however long names are they fit. */
    (void)fprintf(script,
                  "set logscale xy\nset xrange [%.6g:1]\nset yrange [%.6g:1]\nset format xy '%%g'\n"
                  "set tmargin at screen %.5f\nset bmargin at screen %.5f\n"
                  "set key at screen 0.14, screen %.5f left top Left reverse maxcols 1 samplen 3\n"
                  "set xlabel 'false positive rate'\nset ylabel 'share of the forget set found'\n"
                  "plot x with lines linecolor rgb '" LO_FIGURE_INK "' dashtype 3 title 'guessing'",
                  first, first, 1 - 12.0 / (FRAME + KEY_ROW * (used + 1)),
                  (56.0 + KEY_ROW * (used + 1)) / (FRAME + KEY_ROW * (used + 1)),
                  (KEY_ROW * (used + 1) + 2.0) / (FRAME + KEY_ROW * (used + 1)));
    int number = 0;
    for (int k = 0; k < used; k++) {
        plot_curve(figure, &rows[chosen[k]], k, number);
        number += !rows[chosen[k]].oracle;
    }
    (void)fputs("\n", script);
}

void lo_report_draw_curves(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count,
                           int curve)
{
    int64_t chosen[CURVES], methods = 0;
    const double first = first_rate(a, rows, count, curve);
    if (a->curve[curve] == NULL || isnan(first) || first >= 1) {
        return;
    }
    const int used = choose_rows(a, rows, count, curve, chosen, &methods);
    lo_figure figure = lo_figure_begin_of(FRAME + KEY_ROW * (used + 1));
    if (figure.script != NULL) {
        script_curves(&figure, a, rows, curve, chosen, used, first);
    }
    begin_figure(out, "ROC curves of an attack on unlearned models on logarithmic axes");
    (void)lo_figure_end(&figure, out);
    (void)fprintf(out, "</div>\n<figcaption><code>%s</code>: means over seeds", a->curve[curve]);
    if (methods > NEAREST) {
        (void)fprintf(out, "; of %s methods the %d whose AUC is nearest to the oracles'",
                      lo_number_count(methods).text, NEAREST);
    }
    (void)fputs(". A method that forgets looks like the broad line, the oracles.</figcaption></figure>\n",
                out);
}
