#include "report/choices.h"

#include "report/figure.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

/* "memorization, shuffled" */
static void name_of(const lo_report_choice *c, char *out, size_t size)
{
    const bool plain = strcmp(c->control, "none") == 0;
    if (strcmp(c->control, "vanilla") == 0) {
        (void)snprintf(out, size, "all at once");
    } else {
        (void)snprintf(out, size, "%s%s%s", c->by, plain ? "" : ", ", plain ? "" : c->control);
    }
}

static void write_bounds(FILE *out, const lo_bounded *b, bool sign)
{
    (void)fprintf(out, "<td>%s",
                  sign ? lo_number_signed(b->value, 3).text : lo_number_real(b->value, 3).text);
    if (!isnan(b->low) && !isnan(b->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>",
                      sign ? lo_number_signed(b->low, 3).text : lo_number_real(b->low, 3).text,
                      sign ? lo_number_signed(b->high, 3).text : lo_number_real(b->high, 3).text);
    }
    (void)fputs("</td>", out);
}

static void write_row(FILE *out, const lo_report_choice *c)
{
    char name[128];
    name_of(c, name, sizeof(name));
    (void)fputs("<tr><td>", out);
    lo_html_text(out, name);
    (void)fputs("</td><td class=\"left long\">", out);
    lo_html_text(out, c->rest);
    (void)fputs("</td>", out);
    write_bounds(out, &c->tow, false);
    if (c->reference || isnan(c->less.value)) {
        (void)fprintf(out, "<td>&#8211;</td><td class=\"left\">%s</td>",
                      c->reference ? "what the others are compared with" : "");
    } else {
        write_bounds(out, &c->less, true);
        (void)fprintf(out, "<td class=\"left\">%s</td>",
                      lo_inside_noise(c->less) ? "inside the noise"
                      : c->less.value > 0      ? "better"
                                               : "worse");
    }
    (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_count(c->seeds).text);
}

/* ToW from the first choice at the top to the last, with its intervals. */
static void draw(FILE *out, const lo_report_choice *c, int64_t count)
{
    lo_figure figure = lo_figure_begin();
    if (figure.script != NULL) {
        (void)fprintf(figure.script,
                      "set key off\nset xlabel 'ToW (1: the accuracies of the oracles)'\nset yrange "
                      "[-0.6:%.1f]\nset offsets graph 0.05, graph 0.05, 0, 0\nset ytics (",
                      (double)count - 0.4);
        for (int64_t i = 0; i < count; i++) {
            char name[128];
            name_of(&c[i], name, sizeof(name));
            (void)fputs(i > 0 ? ", " : "", figure.script);
            lo_figure_text(&figure, name);
            (void)fprintf(figure.script, " %d", (int)(count - 1 - i));
        }
        (void)fputs(") noenhanced\n$all << EOD\n", figure.script);
        for (int64_t i = 0; i < count; i++) {
            const bool bounded = !isnan(c[i].tow.low) && !isnan(c[i].tow.high);
            (void)fprintf(figure.script, "%.6g %d %.6g %.6g %d\n", c[i].tow.value, (int)(count - 1 - i),
                          bounded ? c[i].tow.low : c[i].tow.value, bounded ? c[i].tow.high : c[i].tow.value,
                          c[i].reference ? 1 : 0);
        }
        (void)fputs("EOD\nplot $all using ($5 == 0 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 7 pointsize "
                    "0.7 linecolor rgb '" LO_FIGURE_FIRST
                    "', $all using ($5 == 1 ? $1 : 1/0):2:3:4 with xerrorbars pointtype 7 pointsize 0.7 "
                    "linecolor rgb '" LO_FIGURE_SECOND "'\n",
                    figure.script);
    }
    (void)fputs(
        "<div class=\"figures\"><figure><div role=\"img\" aria-label=\"ToW of each choice of groups\">\n",
        out);
    (void)lo_figure_end(&figure, out);
    (void)fputs("</div>\n<figcaption>ToW of each choice of groups: means over seeds with Student's 95 % "
                "intervals. Overlapping bars are not yet equal: the table's differences are taken seed by "
                "seed.</figcaption></figure></div>\n",
                out);
}

static void write_set(FILE *out, const lo_report_choice *choices, int64_t count)
{
    int64_t known = 0;
    for (int64_t i = 0; i < count; i++) {
        known += !isnan(choices[i].tow.value);
    }
    (void)fputs("<h4>Forget set <code>", out);
    lo_html_text(out, choices->forget_set);
    (void)fputs("</code></h4>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Groups by</th><th "
                "scope=\"col\" class=\"left\">Other settings</th><th scope=\"col\">ToW</th><th "
                "scope=\"col\">Difference</th><th scope=\"col\" class=\"left\">which is</th><th "
                "scope=\"col\">Seeds</th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t i = 0; i < count; i++) {
        write_row(out, &choices[i]);
    }
    (void)fputs("</tbody></table></div>\n", out);
    if (known == count) {
        draw(out, choices, count);
    }
}

void lo_report_write_choices(FILE *out, const lo_report_choice *choices, int64_t count)
{
    bool said = false;
    for (int64_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && strcmp(choices[next].forget_set, choices[i].forget_set) == 0; next++) {
        }
        if (next - i < 2) {
            continue;
        }
        if (!said) {
            (void)fputs("<h3>Does the choice of groups matter?</h3>\n<p><code>rum</code> forgets groups of "
                        "rising memorization one after the other. Here the groups are chosen by different "
                        "scores, and by controls: <b>all at once</b> (no groups, the last group's method), "
                        "<b>shuffled</b> (groups of the same sizes by chance), <b>reversed</b> (the most "
                        "memorized first). Differences are from groups by memorization, where the job has "
                        "them, seed by seed.</p>\n",
                        out);
            said = true;
        }
        write_set(out, choices + i, next - i);
    }
}
