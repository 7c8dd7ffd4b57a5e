#include "report/sections.h"

#include "report/html.h"

#include <math.h>
#include <string.h>

/* "94.2" over a smaller "92.1 to 96.0", in percent. */
static void write_percent(FILE *out, const lo_report_mean *mean)
{
    (void)fprintf(out, "<td>%s", lo_number_percent(mean->value, 1).text);
    if (!isnan(mean->low) && !isnan(mean->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>",
                      lo_number_real(100 * mean->low, 1).text, lo_number_real(100 * mean->high, 1).text);
    }
    (void)fputs("</td>", out);
}

static void write_tow(FILE *out, const lo_report_mean *mean)
{
    (void)fprintf(out, "<td>%s", lo_number_real(mean->value, 3).text);
    if (!isnan(mean->low) && !isnan(mean->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>", lo_number_real(mean->low, 3).text,
                      lo_number_real(mean->high, 3).text);
    }
    (void)fputs("</td>", out);
}

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
    write_percent(out, &row->unlearning);
    write_percent(out, &row->retain);
    write_percent(out, &row->test);
    write_tow(out, &row->tow);
    (void)fprintf(out, "<td>%s</td><td>%s</td><td>%s", lo_number_duration(row->seconds).text,
                  strcmp(row->method, "original") == 0 ? "" : lo_number_real(row->time_ratio, 3).text,
                  lo_number_count(row->seeds).text);
    if (row->diverged > 0) {
        (void)fprintf(out, " <span class=\"mark\">(%s diverged)</span>", lo_number_count(row->diverged).text);
    }
    (void)fputs("</td></tr>\n", out);
}

static void write_set(FILE *out, const lo_report_unlearned *rows, int64_t count)
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
    (void)fputs(
        "</p>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Method</th><th scope=\"col\" "
        "class=\"left\">Settings</th><th scope=\"col\">UA</th><th scope=\"col\">RA</th><th "
        "scope=\"col\">TA</th><th scope=\"col\">ToW</th><th scope=\"col\">Time</th><th "
        "scope=\"col\">of retraining</th><th scope=\"col\">Seeds</th></tr></thead>\n<tbody>\n",
        out);
    for (int64_t r = 0; r < count; r++) {
        write_row(out, &rows[r]);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

lo_status lo_section_unlearning(const lo_page *page, lo_error *err)
{
    (void)err;
    FILE *out = page->out;
    const lo_report_unlearned *rows = page->report->unlearned;
    const int64_t count = page->report->unlearned_count;
    if (count == 0) {
        return LO_OK;
    }
    (void)fputs(
        "<section>\n<h2>Unlearning</h2>\n<p>Models that were made to forget, beside the <b>oracles</b>, "
        "which were trained "
        "afresh without the forget set, and the <b>originals</b> that the methods began with. UA: 1 "
        "&#8722; accuracy on the forget set; RA, TA: accuracy on the training examples that are kept, "
        "and on the test set. The aim is to be like the oracles, not to be wrong as often as possible. "
        "ToW is 1 for a model that has an oracle's three accuracies. Means over seeds with 95 % "
        "intervals; time as a share of an oracle's training.</p>\n",
        out);
    for (int64_t r = 0, next; r < count; r = next) {
        for (next = r; next < count && strcmp(rows[next].forget_set, rows[r].forget_set) == 0; next++) {
        }
        write_set(out, rows + r, next - r);
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}
