#include "report/choices.h"

#include "audit/apart.h"
#include "report/html.h"
#include "report/intervals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void lo_report_choice_name(const lo_report_choice *c, char *out, size_t size)
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
    (void)fputs(sign ? lo_number_signed(b->value, 3).text : lo_number_real(b->value, 3).text, out);
    if (!isnan(b->low) && !isnan(b->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>",
                      sign ? lo_number_signed(b->low, 3).text : lo_number_real(b->low, 3).text,
                      sign ? lo_number_signed(b->high, 3).text : lo_number_real(b->high, 3).text);
    }
}

static const char *verdict(lo_bounded less)
{
    static const char *const words[] = {
        [LO_TOLD_NOTHING] = "cannot be told", [LO_TOLD_NOISE] = "inside the noise", [LO_TOLD_APART] = ""};
    const lo_told told = lo_tell(less);
    return told != LO_TOLD_APART ? words[told] : less.value > 0 ? "better" : "worse";
}

static void write_name(FILE *out, const lo_report_choice *c)
{
    char name[128];
    lo_report_choice_name(c, name, sizeof(name));
    (void)fputs("<tr><td>", out);
    lo_html_text(out, name);
    (void)fputs("</td><td class=\"left long\">", out);
    lo_html_text(out, c->rest);
    (void)fputs("</td>", out);
}

static void write_row(FILE *out, const lo_report_choice *c)
{
    const lo_bounded *less = &c->less[LO_REPORT_OVER_ALL];
    write_name(out, c);
    (void)fputs("<td>", out);
    write_bounds(out, &c->tow[LO_REPORT_OVER_ALL], false);
    (void)fputs("</td>", out);
    if (c->reference || isnan(less->value)) {
        (void)fprintf(out, "<td>&#8211;</td><td class=\"left\">%s</td>",
                      c->reference ? "what the others are compared with" : "");
    } else {
        (void)fputs("<td>", out);
        write_bounds(out, less, true);
        (void)fprintf(out, "</td><td class=\"left\">%s</td>", verdict(*less));
    }
    (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_count(c->seeds).text);
}

/* Of each group ToW, and what of its difference can be said. */
static void write_group_row(FILE *out, const lo_report_choice *c)
{
    write_name(out, c);
    for (int p = LO_REPORT_LOW; p < LO_REPORT_PARTS; p++) {
        (void)fputs("<td>", out);
        write_bounds(out, &c->tow[p], false);
        (void)fputs("</td><td>", out);
        if (c->reference || isnan(c->less[p].value)) {
            (void)fputs("&#8211;", out);
        } else {
            write_bounds(out, &c->less[p], true);
            (void)fprintf(out, "<br/>%s", verdict(c->less[p]));
        }
        (void)fputs("</td>", out);
    }
    (void)fputs("</tr>\n", out);
}

static const char *const part_names[LO_REPORT_PARTS] = {"The whole forget set", "Examples of low score",
                                                        "Examples of middle score", "Examples of high score"};

static void draw(FILE *out, const lo_report_choice *c, int64_t count, int part)
{
    char about[128], caption[320];
    lo_report_interval *rows = calloc((size_t)count, sizeof(*rows));
    for (int64_t i = 0; rows != NULL && i < count; i++) {
        lo_report_choice_name(&c[i], rows[i].name, sizeof(rows[i].name));
        rows[i].value = c[i].tow[part];
        rows[i].marked = c[i].reference;
    }
    (void)snprintf(about, sizeof(about), "ToW of each choice of groups: %s", part_names[part]);
    (void)snprintf(
        caption, sizeof(caption), "%s.%s", part_names[part],
        part == LO_REPORT_OVER_ALL
            ? " ToW of each choice of groups: means over seeds with Student's 95&#160;% intervals. "
              "Overlapping bars are not yet equal: the tables' differences are taken seed by seed."
            : "");
    if (rows != NULL) {
        lo_report_draw_intervals(out, rows, count, "ToW (1: as the oracles)", about, caption);
    }
    free(rows);
}

static bool is_known(const lo_report_choice *choices, int64_t count, int part)
{
    bool all = true;
    for (int64_t i = 0; i < count; i++) {
        all = all && !isnan(choices[i].tow[part].value);
    }
    return all;
}

/* The same by group of the forget set, where it has groups. */
static void write_groups(FILE *out, const lo_report_choice *choices, int64_t count)
{
    (void)fputs(
        "<p class=\"row\">Whom does it matter for? ToW with one third of the forget set in its place, by ",
        out);
    lo_html_text(out, choices->score);
    (void)fputs("</p>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Groups by</th><th "
                "scope=\"col\" class=\"left\">Other settings</th><th scope=\"col\">Low</th><th "
                "scope=\"col\">which is</th><th scope=\"col\">Middle</th><th scope=\"col\">which is</th><th "
                "scope=\"col\">High</th><th scope=\"col\">which is</th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t i = 0; i < count; i++) {
        write_group_row(out, &choices[i]);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

static void write_set(FILE *out, const lo_report_choice *choices, int64_t count)
{
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
    const bool grouped = is_known(choices, count, LO_REPORT_LOW);
    if (grouped) {
        write_groups(out, choices, count);
    }
    (void)fputs("<div class=\"figures\">", out);
    for (int part = 0; part < LO_REPORT_PARTS; part++) {
        if (is_known(choices, count, part)) {
            draw(out, choices, count, part);
        }
    }
    (void)fputs("</div>\n", out);
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
