#include "report/sections.h"

#include "report/html.h"
#include "report/summary.h"

#include <math.h>

/* What core time is told in: hours, or seconds where there is little of it in all. */
typedef struct unit {
    double seconds;
    const char *name, *head;
} unit;

static unit unit_for(double all)
{
    return all < 360 ? (unit){1, "core-seconds", "Core-seconds"} : (unit){3600, "core-hours", "Core-hours"};
}

/* "0.512", not below a thousandth of a second. */
static lo_number core_time(double core_seconds, unit u)
{
    const double time = core_seconds / u.seconds;
    return lo_number_real(time,
                          u.seconds > 1 ? lo_decimals_for(time, 3) : lo_decimals_for(fmax(time, 0.1), 3));
}

/* What each stage took, and what is left: starting, waiting between stages, reading data, this report. */
static void write_stages(const lo_page *page, double all, unit u)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    double known = 0;
    bool complete = true; /* is every stage's time on record? */
    (void)fprintf(
        out,
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Stage</th><th scope=\"col\">Tasks"
        "</th><th scope=\"col\">%s<br/>of its tasks</th><th scope=\"col\">%s,<br/>"
        "waiting included</th></tr></thead>\n<tbody>\n",
        u.head, u.head);
    for (int s = 0; s < report->stage_count; s++) {
        const lo_report_stage *stage = &report->stage[s];
        (void)fprintf(out, "<tr><th scope=\"row\">%s</th>", stage->name);
        if (stage->tasks > 0) {
            (void)fprintf(out, "<td>%s</td><td>%s</td>", lo_number_count(stage->tasks).text,
                          core_time(stage->task_core_seconds, u).text);
        } else {
            /* Its work is shared out, not cut into tasks. */
            (void)fputs("<td>&#8211;</td><td>&#8211;</td>", out);
        }
        (void)fprintf(out, "<td>%s</td></tr>\n", core_time(stage->core_seconds, u).text);
        complete = complete && !isnan(stage->core_seconds);
        known += isnan(stage->core_seconds) ? 0 : stage->core_seconds;
    }
    if (complete && known <= all) {
        (void)fprintf(out,
                      "<tr><th scope=\"row\">all else</th><td>&#8211;</td><td>&#8211;</td><td>%s</td></tr>\n",
                      core_time(all - known, u).text);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

/* "n1,n2; AuthenticAMD-25-17 avx512; Slurm job 4711" */
static void write_where(FILE *out, const lo_report_attempt *attempt)
{
    lo_html_text(out, attempt->hosts);
    if (attempt->processor != NULL && attempt->processor[0] != '\0') {
        (void)fputs("; ", out);
        lo_html_text(out, attempt->processor);
    }
    if (attempt->job != NULL && attempt->job[0] != '\0') {
        (void)fputs("; Slurm job ", out);
        lo_html_text(out, attempt->job);
    }
}

static void write_attempts(const lo_page *page, unit u)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    (void)fprintf(out,
                  "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Attempt</th><th scope=\"col\" "
                  "class=\"left\">Start</th><th scope=\"col\">Wall time</th><th scope=\"col\">Ranks</th><th "
                  "scope=\"col\">Tasks</th><th scope=\"col\">%s</th><th scope=\"col\" class=\"left\">"
                  "Ended</th><th scope=\"col\" class=\"left\">Where</th></tr></thead>\n<tbody>\n",
                  u.head);
    for (int i = 0; i < report->attempt_count; i++) {
        const lo_report_attempt *attempt = &report->attempt[i];
        (void)fprintf(out, "<tr><td>%d</td><td class=\"left\">", attempt->number);
        lo_html_text(out, attempt->start);
        (void)fprintf(out, "</td><td>%s</td><td>%d</td><td>%s</td><td>%s</td><td class=\"left long\">",
                      lo_number_duration(attempt->seconds).text, attempt->ranks,
                      lo_number_count(attempt->tasks).text, core_time(attempt->core_seconds, u).text);
        lo_html_text(out, attempt->ended);
        (void)fputs("</td><td class=\"left long\">", out);
        write_where(out, attempt);
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</tbody></table></div>\n", out);
}

lo_status lo_section_run(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    lo_summary seconds;
    LO_TRY(lo_summarize(report->seconds, report->models_done, &seconds, err));
    if (report->attempt_count > 0) {
        double all = 0;
        for (int i = 0; i < report->attempt_count; i++) {
            all += report->attempt[i].core_seconds;
        }
        (void)fprintf(out, "<p>%d %s, ", report->attempt_count,
                      lo_plural(report->attempt_count, "attempt", "attempts"));
        const unit u = unit_for(all);
        (void)fprintf(out, "<b>%s %s</b>", core_time(all, u).text, u.name);
        (void)fputs(" in all: wall time times cores", out);
        if (seconds.count > 0) {
            (void)fprintf(out, "; one model of the ensemble took %s (median; from %s to %s)",
                          lo_number_duration(seconds.median).text, lo_number_duration(seconds.minimum).text,
                          lo_number_duration(seconds.maximum).text);
        }
        (void)fputs(". The study can be stopped and continued; each start is an attempt.</p>\n", out);
        if (report->stage_count > 0) {
            write_stages(page, all, u);
        }
        write_attempts(page, u);
    } else {
        (void)fputs("<p>No attempt is on record.</p>\n", out);
    }
    if (report->job_yaml != NULL && *report->job_yaml != '\0') {
        (void)fputs("<details><summary>The job, every default written out</summary>\n<pre>", out);
        lo_html_text(out, report->job_yaml);
        (void)fputs("</pre></details>\n", out);
    }
    return LO_OK;
}
