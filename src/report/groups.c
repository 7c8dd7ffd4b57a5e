#include "report/groups.h"

#include "report/audit_tables.h"
#include "report/html.h"
#include "report/intervals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[LO_REPORT_GROUPS] = {"low", "middle", "high"};

static void write_cell(FILE *out, const lo_report_audited *row, int n, int g)
{
    const lo_bounded *b = &row->by_group[n][g];
    (void)fprintf(out, "<td>%s%s", row->oracle ? "" : lo_report_mark(row->group_told[n][g], b->value),
                  lo_number_real(b->value, 3).text);
    if (!isnan(b->low) && !isnan(b->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>", lo_number_real(b->low, 3).text,
                      lo_number_real(b->high, 3).text);
    }
    (void)fputs("</td>", out);
}

static void write_panel(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count,
                        int g)
{
    (void)fprintf(
        out,
        "<p class=\"row\">Of %s score: %s examples, mean %s</p>\n<div class=\"wide\"><table>\n<thead><tr><th "
        "scope=\"col\">Method</th>",
        names[g], lo_number_count(rows->examples[g]).text, lo_number_real(rows->mean_score[g], 3).text);
    for (int n = 0; n < a->by_numbers; n++) {
        lo_audited_write_head(out, a->by_number[n].name);
    }
    (void)fputs("<th scope=\"col\">Seeds</th></tr></thead>\n<tbody>\n", out);
    for (int64_t r = 0; r < count; r++) {
        (void)fputs("<tr>", out);
        lo_audited_write_name(out, rows, count, r);
        for (int n = 0; n < a->by_numbers; n++) {
            write_cell(out, &rows[r], n, g);
        }
        (void)fprintf(out, "<td>%s</td></tr>\n", lo_number_count(rows[r].seeds).text);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

/* The first number that all groups have, of every method: ToW where it was asked for. */
static int number_to_draw(const lo_report_audit *a)
{
    for (int n = 0; n < a->by_numbers; n++) {
        if (strcmp(a->by_number[n].name, "tow") == 0) {
            return n;
        }
    }
    return 0;
}

static void draw(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int g)
{
    const int n = number_to_draw(a);
    char axis[128], about[256], caption[128];
    lo_report_interval *bars = calloc((size_t)count + 1, sizeof(*bars));
    int64_t used = 0;
    for (int64_t r = 0; bars != NULL && r < count; r++) {
        if (!isnan(rows[r].by_group[n][g].value)) {
            lo_report_interval *bar = &bars[used++];
            (void)snprintf(bar->name, sizeof(bar->name), "%.*s", (int)sizeof(bar->name) - 1, rows[r].label);
            bar->value = rows[r].by_group[n][g];
            bar->marked = rows[r].oracle;
        }
    }
    (void)snprintf(axis, sizeof(axis), "%s, examples of %s score", a->by_number[n].name, names[g]);
    (void)snprintf(about, sizeof(about), "%s of every method on the examples of %s score",
                   a->by_number[n].name, names[g]);
    (void)snprintf(caption, sizeof(caption), "Examples of %s score.", names[g]);
    if (bars != NULL) {
        lo_report_draw_intervals(out, bars, used, axis, about, caption);
    }
    free(bars);
}

void lo_report_write_groups(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count)
{
    if (count == 0 || rows->score[0] == '\0' || a->by_numbers == 0) {
        return;
    }
    (void)fputs("<h4>By group of the forget set</h4>\n<p>Its thirds in the order of <code>", out);
    lo_html_text(out, rows->score);
    (void)fputs("</code>: what is known of all examples hides what becomes of those that are memorized. Same "
                "marks and intervals as above.</p>\n",
                out);
    for (int g = 0; g < LO_REPORT_GROUPS; g++) {
        write_panel(out, a, rows, count, g);
    }
    (void)fputs("<div class=\"figures\">\n", out);
    for (int g = 0; g < LO_REPORT_GROUPS; g++) {
        draw(out, a, rows, count, g);
    }
    (void)fputs("</div>\n", out);
}
