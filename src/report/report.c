#include "report/report.h"

#include "base/file.h"
#include "report/html.h"
#include "report/sections.h"
#include "report/style.h"

/* In the page's order. */
static lo_section *const sections[] = {
    lo_section_headline,    lo_section_meaning,    lo_section_accuracy, lo_section_scores,
    lo_section_scaling,     lo_section_labels,     lo_section_gallery,  lo_section_influence,
    lo_section_attribution, lo_section_unlearning, lo_section_audit,    lo_section_originals,
    lo_section_run,         lo_section_methods,
};

static lo_status write_page(lo_page *page, lo_error *err)
{
    LO_TRY(lo_page_prepare(page, err));
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
                "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>",
                page->out);
    lo_html_text(page->out, page->report->study);
    (void)fputs(lo_page_of_ensemble(page) ? ": memorization" : "", page->out);
    (void)fprintf(page->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
    for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
        LO_TRY(sections[s](page, err));
    }
    (void)fputs("</body>\n</html>\n", page->out);
    return LO_OK;
}

lo_status lo_report_write(const lo_report *report, const char *file, lo_error *err)
{
    lo_file whole = {0};
    LO_TRY(lo_file_begin(file, &whole, err));
    lo_page page = {.out = whole.stream, .report = report};
    return lo_file_end(&whole, write_page(&page, err), err);
}
