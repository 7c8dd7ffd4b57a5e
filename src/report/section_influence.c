#include "report/sections.h"

#include "report/html.h"
#include "report/picture_rows.h"

lo_status lo_section_influence(const lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    FILE *out = page->out;
    if (report->influence_rows <= 0 || report->influence_k <= 0 || report->influence_test == NULL ||
        report->influence_index == NULL || report->influence_value == NULL) {
        return LO_OK;
    }
    const int64_t rows = report->influence_rows < INFLUENCE_ROWS ? report->influence_rows : INFLUENCE_ROWS;
    const int64_t columns = report->influence_k < INFLUENCE_COLUMNS ? report->influence_k : INFLUENCE_COLUMNS;
    (void)fputs(
        "<p>The influence of a training "
        "example "
        "on a test example: how much more often models are right about the test example when they were "
        "trained on "
        "the training example than when they were not. <b style=\"color:var(--helps)\">+ helps</b>, <b "
        "style=\"color:var(--harms)\">&#8722; harms</b>; ± is the standard error. Strongest first. These are "
        "the "
        "strongest of very many, so chance alone makes some of them large: believe those of several standard "
        "errors.</p>\n",
        out);
    for (int64_t r = 0; r < rows; r++) {
        if (report->influence_test[r] >= 0 && report->influence_test[r] < report->data->test.count) {
            const int64_t cell = r * report->influence_k;
            const lo_picture_row row = {&report->data->test,
                                        report->influence_test[r],
                                        "test",
                                        columns,
                                        report->influence_index + cell,
                                        report->influence_value + cell,
                                        report->influence_error != NULL ? report->influence_error + cell
                                                                        : NULL};
            LO_TRY(lo_page_picture_row(page, &row, err));
        }
    }
    return LO_OK;
}
