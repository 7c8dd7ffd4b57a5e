#include "report/page.h"

#include "report/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PICTURE_BYTES = 2200000, /* room for all pictures together, about */
    SIDE_MIN = 32            /* larger pictures are scaled down to fit that room, but not below this */
};

/* ---- small things ---- */

bool lo_report_usable(const lo_report_score *score)
{
    return score->value != NULL;
}

void lo_page_class(const lo_page *page, int32_t label)
{
    const lo_report *report = page->report;
    if (report->class_name != NULL && label >= 0 && label < report->data->classes &&
        report->class_name[label] != NULL) {
        lo_html_text(page->out, report->class_name[label]);
    } else {
        (void)fprintf(page->out, "class %" PRId32, label);
    }
}

const char *lo_plural(int64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* Decimals that show so many digits of numbers as large as `size`. */
int lo_decimals_for(double size, int digits)
{
    if (!(size > 0) || isinf(size)) {
        return digits - 1;
    }
    const double decimals = digits - 1 - floor(log10(size));
    return decimals < 0 ? 0 : decimals > 8 ? 8 : (int)decimals;
}

int lo_decimals_of(const lo_summary *summary)
{
    return lo_decimals_for(fmax(fabs(summary->minimum), fabs(summary->maximum)), 4);
}

/* 70 %, 12.5 % */
int lo_decimals_of_share(double share)
{
    return fabs(100 * share - round(100 * share)) < 1e-6 ? 0 : 1;
}

/* ---- what is computed before anything is written ---- */

static void count_memorized(lo_page *page)
{
    const lo_report_score *score = page->memorization;
    for (int64_t i = 0; i < page->report->data->train.count; i++) {
        page->above_quarter += score->value[i] > 0.25F;
        page->above_half += score->value[i] > 0.5F;
        page->surely_above_quarter += score->low != NULL && score->low[i] > 0.25F;
    }
}

/* Most examples have values and errors near zero; the errors of those that matter are larger. */
static lo_status summarize_error_above(lo_page *page, lo_error *err)
{
    const lo_report_score *score = page->memorization;
    const int64_t n = page->report->data->train.count;
    if (score->standard_error == NULL || page->above_quarter == 0) {
        return lo_summarize(NULL, 0, &page->error_above, err);
    }
    float *error = malloc((size_t)page->above_quarter * sizeof(*error));
    if (error == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %" PRId64 " errors", page->above_quarter);
    }
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (score->value[i] > 0.25F) {
            error[count++] = score->standard_error[i];
        }
    }
    const lo_status status = lo_summarize(error, count, &page->error_above, err);
    free(error);
    return status;
}

/* Large pictures are made so small that all of them together fit. */
static int choose_side(const lo_report *report)
{
    const int64_t classes = report->data->classes < GALLERY_CLASSES ? report->data->classes : GALLERY_CLASSES;
    const int64_t rows = report->influence_rows < INFLUENCE_ROWS ? report->influence_rows : INFLUENCE_ROWS;
    const int64_t columns = report->influence_k < INFLUENCE_COLUMNS ? report->influence_k : INFLUENCE_COLUMNS;
    const lo_report_attribution *a = &report->attribution;
    const int64_t pictures =
        1 + classes * 3 * GALLERY_PICTURES + rows * (1 + columns) + a->own + a->rows * (1 + 2 * a->k);
    const double raw = PICTURE_BYTES / 1.35 / (double)pictures / (double)report->data->shape.channels;
    const double side = sqrt(raw);
    return side < SIDE_MIN ? SIDE_MIN : side > SIDE_SHOWN ? SIDE_SHOWN : (int)side;
}

lo_status lo_page_prepare(lo_page *page, lo_error *err)
{
    const lo_report *report = page->report;
    const int64_t n = report->data->train.count;
    page->leave_groups = report->design != NULL && strncmp(report->design, "leave_", 6) == 0;
    page->side = choose_side(report);
    for (int i = 0; i < report->score_count; i++) {
        if (strcmp(report->score[i].name, "memorization") == 0 && lo_report_usable(&report->score[i])) {
            page->memorization = &report->score[i];
        }
    }
    if (page->memorization != NULL) {
        count_memorized(page);
        LO_TRY(lo_summarize(page->memorization->value, n, &page->value, err));
        LO_TRY(lo_summarize(page->memorization->standard_error, n, &page->error, err));
        LO_TRY(summarize_error_above(page, err));
    }
    return lo_summarize(report->test_accuracy, report->models_done, &page->accuracy, err);
}

/* Is there, or will there be, an ensemble, so that memorization has a meaning here? */
bool lo_page_of_ensemble(const lo_page *page)
{
    return page->report->models_planned > 0 || page->memorization != NULL;
}
