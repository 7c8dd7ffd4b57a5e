#include "report/sections.h"

#include "report/html.h"

/* "60" or "55 to 64" */
static void write_range(FILE *out, int64_t from, int64_t to)
{
    (void)fputs(lo_number_count(from).text, out);
    if (to != from) {
        (void)fprintf(out, " to %s", lo_number_count(to).text);
    }
}

lo_status lo_section_meaning(const lo_page *page, lo_error *err)
{
    (void)err;
    if (!lo_page_of_ensemble(page)) {
        return LO_OK;
    }
    (void)fputs(
        ""
        "<p>A model can be right about a training example for two reasons: it has understood what such "
        "examples "
        "have in common, or it has stored this one. Memorization tells them apart by experiment: models are "
        "trained with and without the example, and their answers about it are compared.</p>\n"
        "<p class=\"formula\"><b>memorization</b> of an example = share of the models trained <b>with</b> it "
        "that give its label &#8722; share of the models trained <b>without</b> it that give its label</p>\n"
        "<p>Near <b>0</b>: models get it right (or wrong) whether they have seen it or not. Near <b>1</b>: "
        "only "
        "models that have seen it get it right; it is rare, ambiguous, or wrongly labelled. Small negative "
        "values are noise. ",
        page->out);
    if (page->report->models_done == 0) {
        (void)fputs("There is no model yet to ask.", page->out);
    } else if (page->leave_groups) {
        (void)fputs(
            "Each model without an example has a twin with it that shares everything else: initial weights, "
            "order, random numbers.",
            page->out);
    } else {
        (void)fprintf(
            page->out,
            "Each model leaves out a random %s of the examples, so one set of models answers for all of "
            "them: every example was in ",
            lo_number_percent(1 - page->report->ratio, lo_decimals_of_share(page->report->ratio)).text);
        write_range(page->out, page->report->in_min, page->report->in_max);
        (void)fputs(" models and left out by ", page->out);
        write_range(page->out, page->report->out_min, page->report->out_max);
        (void)fputc('.', page->out);
    }
    (void)fputs("</p>\n", page->out);
    return LO_OK;
}
