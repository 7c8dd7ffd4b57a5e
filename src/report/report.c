#include "report/report.h"

#include "base/file.h"
#include "report/html.h"
#include "report/sections.h"
#include "report/style.h"

#include <stdlib.h>

/* In the page's order. The title stands above the section and in the list at the top. */
static const struct {
    const char *id, *title; /* NULL: the page's head */
    lo_section *write;
} sections[] = {
    {NULL, NULL, lo_section_headline},
    {"meaning", "What memorization means", lo_section_meaning},
    {"accuracy", "How good the models are", lo_section_accuracy},
    {"scores", "Scores of the training examples", lo_section_scores},
    {"scaling", "What a score costs, and what it is worth", lo_section_scaling},
    {"labels", "Does it find the wrong labels?", lo_section_labels},
    {"gallery", "Most and least memorized examples", lo_section_gallery},
    {"influence", "Which training examples decide a test example", lo_section_influence},
    {"attribution", "Models without one example", lo_section_attribution},
    {"unlearning", "Unlearning", lo_section_unlearning},
    {"audit", "Audit of unlearning", lo_section_audit},
    {"privacy", "Privacy of the ensemble&#8217;s models", lo_section_privacy},
    {"originals", "Originals", lo_section_originals},
    {"run", "What was run, where, and what it cost", lo_section_run},
    {"methods", "How the numbers are computed", lo_section_methods},
};
enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

/* What a section wrote; size 0: nothing, and then it has no title either. */
typedef struct written {
    char *text;
    size_t size;
} written;

static lo_status write_section(lo_page *page, lo_section *write, written *out, lo_error *err)
{
    page->out = open_memstream(&out->text, &out->size);
    if (page->out == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the report");
    }
    const lo_status status = write(page, err);
    const bool whole = ferror(page->out) == 0;
    const bool closed = fclose(page->out) == 0;
    page->out = NULL;
    return status != LO_OK || (whole && closed) ? status
                                                : lo_fail(err, LO_INTERNAL, "no memory for the report");
}

/* What is on the page: a newcomer's map. */
static void write_contents(const written *text, FILE *out)
{
    bool any = false;
    for (int s = 0; s < SECTIONS; s++) {
        if (sections[s].title != NULL && text[s].size > 0) {
            (void)fprintf(out, "%s<a href=\"#%s\">%s</a>", any ? " &#183; " : "<nav>", sections[s].id,
                          sections[s].title);
            any = true;
        }
    }
    (void)fputs(any ? "</nav>\n" : "", out);
}

static lo_status write_page(lo_page *page, FILE *out, lo_error *err)
{
    written text[SECTIONS] = {{NULL, 0}};
    lo_status status = lo_page_prepare(page, err);
    for (int s = 0; s < SECTIONS && status == LO_OK; s++) {
        status = write_section(page, sections[s].write, &text[s], err);
    }
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
                "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>",
                out);
    lo_html_text(out, page->report->study);
    (void)fputs(lo_page_of_ensemble(page) ? ": memorization" : "", out);
    (void)fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
    for (int s = 0; s < SECTIONS; s++) {
        if (sections[s].title != NULL && text[s].size > 0) {
            (void)fprintf(out, "<section id=\"%s\">\n<h2>%s</h2>\n", sections[s].id, sections[s].title);
        }
        (void)fwrite(text[s].text != NULL ? text[s].text : "", 1, text[s].size, out);
        if (sections[s].title == NULL) {
            write_contents(text, out);
        } else if (text[s].size > 0) {
            (void)fputs("</section>\n", out);
        }
        free(text[s].text);
    }
    (void)fputs("</body>\n</html>\n", out);
    return status;
}

lo_status lo_report_write(const lo_report *report, const char *file, lo_error *err)
{
    lo_file whole = {0};
    LO_TRY(lo_file_begin(file, &whole, err));
    lo_page page = {.report = report};
    return lo_file_end(&whole, write_page(&page, whole.stream, err), err);
}
