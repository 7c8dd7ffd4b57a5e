#include "report/audit_tables.h"

#include "report/audit_figures.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

/* Numbers by what they ask: each subject a table of its own, which fits the page. One that joins stands in
 * the table before where that has room. */
static const struct {
    const char *title, *numbers; /* every name between blanks */
    bool joins;
} subjects[] = {
    {"Do they behave like the oracles? How often they are right, and whether they answer the same.",
     " tow_mia avg_gap aus disagreement activation_distance activation_distance_l1 js ", false},
    {"On which examples are they right more or less often than the oracles, and how far are their weights?",
     " forget_delta retain_delta validation_delta test_delta weight_distance ", false},
    {"Can an attacker who has one model tell what it forgot?",
     " mia_svc mia_svc_matched mia_svc_correct mia_svc_entropy mia_svc_modified_entropy mia_svc_loss "
     "mia_svc_margin ",
     false},
    {"Can that attacker tell by a threshold alone?", " mia_loss mia_entropy mia_population ", true},
    {"Can one who has other models too, by LiRA?", " lira lira_tpr_at_0.01 lira_tpr_at_0.001 lira_epsilon ",
     false},
    {"And by RMIA?", " rmia rmia_tpr_at_0.01 rmia_tpr_at_0.001 rmia_epsilon ", false},
    {"What is left inside?", " zrf relearn anamnesis entanglement ", false},
    {"What do all seeds together give away?",
     " u_lira u_lira_pooled u_lira_tpr_at_0.01 u_lira_tpr_at_0.001 u_lira_example_tpr_at_0.01 "
     "u_lira_example_tpr_at_0.001 ",
     false},
    {"Do all seeds together answer as the oracles together do?", " klom forgetting_quality ", true}};
enum { SUBJECTS = sizeof(subjects) / sizeof(subjects[0]), COLUMNS = 7 };

/* ---- cells ---- */

void lo_audited_write_name(FILE *out, const lo_report_audited *rows, int64_t count, int64_t r)
{
    int64_t alike = 0;
    for (int64_t o = 0; o < count; o++) {
        alike += strcmp(lo_audited_name(&rows[o]), lo_audited_name(&rows[r])) == 0;
    }
    (void)fputs("<td class=\"long who\"><code>", out);
    lo_html_text(out, lo_audited_name(&rows[r]));
    (void)fputs("</code>", out);
    if (alike > 1 && rows[r].setting[0] != '\0') {
        (void)fputs("<br/><span class=\"soft\">", out);
        lo_html_settings(out, rows[r].setting);
        (void)fputs("</span>", out);
    }
    (void)fputs("</td>", out);
}

void lo_audited_write_head(FILE *out, const char *name)
{
    (void)fputs("<th scope=\"col\" class=\"name\"><code>", out);
    for (const char *c = name; *c != '\0';) {
        char part[64];
        const size_t end = strcspn(c, "_") + (strchr(c, '_') != NULL ? 1 : 0);
        const int length = (int)(end < sizeof(part) ? end : sizeof(part) - 1);
        (void)snprintf(part, sizeof(part), "%.*s", length, c);
        lo_html_text(out, part);
        c += length;
        (void)fputs(*c != '\0' ? "<wbr/>" : "", out);
    }
    (void)fputs("</code></th>", out);
}

/* Of large numbers the digits behind the point say nothing; whole epochs have one, of their means. */
static int decimals_of(const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int n)
{
    double most = 0;
    for (int64_t r = 0; r < count; r++) {
        const double size = fabs(rows[r].value[n].value);
        most = isfinite(size) ? fmax(most, size) : most;
    }
    return most >= 1000 ? 0 : strcmp(a->number[n].name, "relearn") == 0 || most >= 100 ? 1 : 3;
}

/* "0.534", "12.3", "12,345" */
static lo_number print(double value, int decimals)
{
    return decimals == 0 && fabs(value) < 1e15 ? lo_number_count((int64_t)llround(value))
                                               : lo_number_real(value, decimals);
}

/* "0.534" over a smaller "0.520 to 0.548", and the ceiling of numbers of all seeds. */
static void write_cell(FILE *out, const lo_report_audited *row, int n, int decimals)
{
    const lo_bounded *b = &row->value[n];
    (void)fprintf(out, "<td>%s%s", row->oracle ? "" : lo_report_mark(row->told[n], b->value),
                  print(b->value, decimals).text);
    if (!isnan(b->low) && !isnan(b->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>", print(b->low, decimals).text,
                      print(b->high, decimals).text);
    }
    if (row->sides[n] > 0) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s a side; ceiling %s</span>",
                      lo_number_count(row->sides[n]).text, print(row->ceiling[n], decimals).text);
    }
    (void)fputs("</td>", out);
}

/* ---- tables ---- */

static bool is_known(const lo_report_audited *rows, int64_t count, int n)
{
    for (int64_t r = 0; r < count; r++) {
        if (!isnan(rows[r].value[n].value)) {
            return true;
        }
    }
    return false;
}

/* Which subject a number is of; SUBJECTS: none that is known here. */
static int subject_of(const char *number)
{
    char name[64];
    (void)snprintf(name, sizeof(name), " %s ", number);
    int s = 0;
    while (s < SUBJECTS && strstr(subjects[s].numbers, name) == NULL) {
        s++;
    }
    return s;
}

/* The numbers of a subject that some row has, into column. Returns how many. */
static int find_columns(const lo_report_audit *a, const lo_report_audited *rows, int64_t count, int subject,
                        int column[LO_REPORT_NUMBERS])
{
    int used = 0;
    for (int n = 0; n < a->numbers; n++) {
        if (subject_of(a->number[n].name) == subject && is_known(rows, count, n)) {
            column[used++] = n;
        }
    }
    return used;
}

static bool equal_seeds(const lo_report_audited *rows, int64_t count)
{
    for (int64_t r = 1; r < count; r++) {
        if (rows[r].seeds != rows->seeds) {
            return false;
        }
    }
    return true;
}

static void write_table(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count,
                        const char *title, const int *column, int columns)
{
    const bool equal = equal_seeds(rows, count);
    int decimals[COLUMNS];
    (void)fprintf(out,
                  "<p class=\"row\">%s</p>\n<div class=\"wide\"><table>\n<thead><tr><th "
                  "scope=\"col\">Method</th>",
                  title);
    for (int i = 0; i < columns; i++) {
        decimals[i] = decimals_of(a, rows, count, column[i]);
        lo_audited_write_head(out, a->number[column[i]].name);
    }
    (void)fputs(equal ? "</tr></thead>\n<tbody>\n" : "<th scope=\"col\">Seeds</th></tr></thead>\n<tbody>\n",
                out);
    for (int64_t r = 0; r < count; r++) {
        (void)fputs("<tr>", out);
        lo_audited_write_name(out, rows, count, r);
        for (int i = 0; i < columns; i++) {
            write_cell(out, &rows[r], column[i], decimals[i]);
        }
        if (!equal) {
            (void)fprintf(out, "<td>%s</td>", lo_number_count(rows[r].seeds).text);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

/* What no row has, by the reason. */
static void write_left_out(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count)
{
    bool said[LO_REPORT_NUMBERS] = {false}, any = false;
    for (int n = 0; n < a->numbers; n++) {
        if (said[n] || is_known(rows, count, n)) {
            continue;
        }
        (void)fputs(any ? "; " : "<p class=\"soft\">Left out, as no model here has them: ", out);
        any = true;
        for (int o = n; o < a->numbers; o++) {
            if (!is_known(rows, count, o) && strcmp(a->number[o].refused, a->number[n].refused) == 0) {
                (void)fputs(o > n ? ", <code>" : "<code>", out);
                lo_html_text(out, a->number[o].name);
                (void)fputs("</code>", out);
                said[o] = true;
            }
        }
        if (a->number[n].refused[0] != '\0') {
            (void)fputs(" (", out);
            lo_html_text(out, a->number[n].refused);
            (void)fputs(")", out);
        }
    }
    (void)fputs(any ? ".</p>\n" : "", out);
}

/* ---- what u_lira rests on ---- */

/* Oracles are always compared with oracles: nothing that needs to be said. */
static bool is_compared(const lo_report_audited *row)
{
    return row->against[0] != '\0' && !row->oracle;
}

static bool rests_alike(const lo_report_audited *a, const lo_report_audited *b)
{
    return is_compared(a) && strcmp(a->against, b->against) == 0 && a->rests == b->rests;
}

/* The first row that rests on the same; -1: it is not compared. */
static int64_t first_alike(const lo_report_audited *rows, int64_t r)
{
    int64_t first = 0;
    while (is_compared(&rows[r]) && !rests_alike(&rows[first], &rows[r])) {
        first++;
    }
    return is_compared(&rows[r]) ? first : -1;
}

/* What u_lira compares models with, and how many it rests on: a sentence where that is the same for all
 * methods, else grouped. */
static void write_references(FILE *out, const lo_report_audited *rows, int64_t count)
{
    int64_t groups = 0, written = 0;
    for (int64_t r = 0; r < count; r++) {
        groups += first_alike(rows, r) == r;
    }
    for (int64_t r = 0; r < count; r++) {
        if (first_alike(rows, r) != r) {
            continue;
        }
        (void)fputs(written++ == 0 ? "<p class=\"soft\"><code>u_lira</code> of" : "; of", out);
        for (int64_t o = r; groups > 1 && o < count; o++) {
            if (first_alike(rows, o) == r) {
                (void)fputs(o > r ? ", <code>" : " <code>", out);
                lo_html_text(out, lo_audited_name(&rows[o]));
                (void)fputs("</code>", out);
            }
        }
        (void)fprintf(out, "%s against %s, %s models in all", groups > 1 ? "" : " every method",
                      strcmp(rows[r].against, "matched") == 0
                          ? "<b>matched</b> models (oracles that forgot another set by the same method)"
                          : "oracles as they are, without the method's mark",
                      lo_number_count(rows[r].rests).text);
    }
    (void)fputs(written > 0 ? ".</p>\n" : "", out);
}

void lo_report_write_audit_tables(FILE *out, const lo_report_audit *a, const lo_report_audited *rows,
                                  int64_t count)
{
    if (equal_seeds(rows, count)) {
        (void)fprintf(out, "<p>%s%s of each method.</p>\n", lo_number_count(rows->seeds).text,
                      rows->seeds == 1 ? " seed" : " seeds");
    }
    for (int s = 0; s <= SUBJECTS; s++) {
        int column[LO_REPORT_NUMBERS], more[LO_REPORT_NUMBERS];
        const char *title = s < SUBJECTS ? subjects[s].title : "Other numbers.";
        int columns = find_columns(a, rows, count, s, column);
        while (columns > 0 && s + 1 < SUBJECTS && subjects[s + 1].joins) {
            const int others = find_columns(a, rows, count, s + 1, more);
            if (columns + others > COLUMNS) {
                break;
            }
            memcpy(column + columns, more, (size_t)others * sizeof(*more));
            columns += others;
            s++;
        }
        for (int from = 0; from < columns; from += COLUMNS) {
            write_table(out, a, rows, count, title, column + from,
                        columns - from < COLUMNS ? columns - from : COLUMNS);
        }
    }
    write_left_out(out, a, rows, count);
    write_references(out, rows, count);
}
