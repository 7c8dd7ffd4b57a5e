#include "report/sections.h"

#include "report/html.h"
#include "report/summary.h"

static double core_seconds(const lo_report *report)
{
    double sum = 0;
    for (int i = 0; i < report->attempt_count; i++) {
        sum += report->attempt[i].core_seconds;
    }
    return sum;
}

static void write_attempts(const lo_page *page)
{
    static const char left[] = "<th scope=\"col\" class=\"left\">";
    static const char right[] = "<th scope=\"col\">";
    static const struct {
        const char *tag, *name;
    } column[] = {{right, "Attempt"},  {left, "Start"},       {right, "Wall time"}, {right, "Ranks"},
                  {right, "Models"},   {right, "Core-hours"}, {left, "Ended"},      {left, "Slurm job"},
                  {left, "Processor"}, {left, "Hosts"}};
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fputs("<div class=\"wide\"><table>\n<thead><tr>", out);
    for (size_t c = 0; c < sizeof(column) / sizeof(column[0]); c++) {
        (void)fprintf(out, "%s%s</th>", column[c].tag, column[c].name);
    }
    (void)fputs("</tr></thead>\n<tbody>\n", out);
    for (int i = 0; i < report->attempt_count; i++) {
        const lo_report_attempt *attempt = &report->attempt[i];
        (void)fprintf(out, "<tr><td>%d</td><td class=\"left\">", attempt->number);
        lo_html_text(out, attempt->start);
        (void)fprintf(
            out, "</td><td>%s</td><td>%d</td><td>%s</td><td>%s</td>",
            lo_number_duration(attempt->seconds).text, attempt->ranks, lo_number_count(attempt->models).text,
            lo_number_real(attempt->core_seconds / 3600, lo_decimals_for(attempt->core_seconds / 3600, 3))
                .text);
        const char *const text[] = {attempt->ended, attempt->job, attempt->processor, attempt->hosts};
        for (size_t t = 0; t < sizeof(text) / sizeof(text[0]); t++) {
            (void)fputs(t == 3 ? "<td class=\"left long\">" : "<td class=\"left\">", out);
            lo_html_text(out, text[t]);
            (void)fputs("</td>", out);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

lo_status lo_section_run(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    lo_summary seconds;
    LO_TRY(lo_summarize(report->seconds, report->models_done, &seconds, err));
    (void)fputs("<section>\n<h2>What was run, where, and what it cost</h2>\n", out);
    if (report->attempt_count > 0) {
        const double hours = core_seconds(report) / 3600;
        (void)fprintf(out, "<p>%d %s, <b>%s core-hours</b> in all", report->attempt_count,
                      lo_plural(report->attempt_count, "attempt", "attempts"),
                      lo_number_real(hours, lo_decimals_for(hours, 3)).text);
        if (seconds.count > 0) {
            (void)fprintf(out, "; one model took %s (median; from %s to %s)",
                          lo_number_duration(seconds.median).text, lo_number_duration(seconds.minimum).text,
                          lo_number_duration(seconds.maximum).text);
        }
        (void)fputs(". The study can be stopped and continued; each start is an attempt.</p>\n", out);
        write_attempts(page);
    } else {
        (void)fputs("<p>No attempt is on record.</p>\n", out);
    }
    if (report->job_yaml != NULL && *report->job_yaml != '\0') {
        (void)fputs("<details><summary>The job, every default written out</summary>\n<pre>", out);
        lo_html_text(out, report->job_yaml);
        (void)fputs("</pre></details>\n", out);
    }
    (void)fputs("</section>\n", out);
    return LO_OK;
}
