#include "report/sections.h"

#include "report/html.h"
#include "report/picture.h"
#include "report/picture_rows.h"
#include "report/ranked.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static lo_status write_example(const lo_page *page, const lo_report_score *score, int64_t at, lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    (void)fputs("<li>", page->out);
    LO_TRY(lo_page_picture(page, train, at, err));
    (void)fprintf(page->out, "<b>%s", lo_number_real((double)score->value[at], 2).text);
    if (score->standard_error != NULL && !isnan(score->standard_error[at])) {
        (void)fprintf(page->out, " ± %s", lo_number_real((double)score->standard_error[at], 2).text);
    }
    (void)fprintf(page->out, "</b><span>#%" PRId64 "</span>", train->index[at]);
    lo_page_true_label(page, train, at);
    (void)fputs("</li>\n", page->out);
    return LO_OK;
}

/* How many of count ranked examples share the first one's strength. */
static int64_t count_ties(const lo_ranked *ranked, int64_t count)
{
    int64_t ties = 0;
    while (ties < count && ranked[ties].strength == ranked[0].strength) {
        ties++;
    }
    return ties;
}

/* The first `room` of the ranked examples, of clean ones only if asked, under a line that names the row and
 * its ties. */
static lo_status write_row(const lo_page *page, const char *name, const lo_ranked *ranked, int64_t count,
                           int64_t room, bool clean_only, lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    const int64_t ties = clean_only ? 0 : count_ties(ranked, count);
    (void)fprintf(page->out, "<p class=\"row\">%s", name);
    if (ties > room) {
        (void)fprintf(page->out, " (%s tie at %s; the lowest numbers are shown)", lo_number_count(ties).text,
                      lo_number_real((double)page->memorization->value[ranked[0].at], 2).text);
    }
    (void)fputs("</p>\n<ul class=\"pictures\">\n", page->out);
    for (int64_t r = 0, shown = 0; r < count && shown < room; r++) {
        if (!clean_only || train->label[ranked[r].at] == train->label_true[ranked[r].at]) {
            LO_TRY(write_example(page, page->memorization, ranked[r].at, err));
            shown++;
        }
    }
    (void)fputs("</ul>\n", page->out);
    return LO_OK;
}

static bool any_relabelled(const lo_page *page, const lo_ranked *ranked, int64_t count)
{
    const lo_examples *train = &page->report->data->train;
    for (int64_t r = 0; r < count; r++) {
        if (train->label[ranked[r].at] != train->label_true[ranked[r].at]) {
            return true;
        }
    }
    return false;
}

/* One class: `ranked` holds its examples, most memorized first, and is reordered. */
static lo_status write_class_gallery(const lo_page *page, lo_ranked *ranked, int64_t count, lo_error *err)
{
    const int64_t most = (count + 1) / 2 < GALLERY_PICTURES ? (count + 1) / 2 : GALLERY_PICTURES;
    const int64_t least = count / 2 < GALLERY_PICTURES ? count / 2 : GALLERY_PICTURES;
    double sum = 0;
    int64_t above = 0;
    for (int64_t r = 0; r < count; r++) {
        const double value = (double)page->memorization->value[ranked[r].at];
        sum += value;
        above += value > 0.25;
    }
    (void)fputs("<h3>", page->out);
    lo_page_class(page, ranked[0].label);
    (void)fprintf(page->out, "</h3>\n<p class=\"row\">%s %s, mean memorization %s, %s above 0.25</p>\n",
                  lo_number_count(count).text, lo_plural(count, "example", "examples"),
                  lo_number_real(sum / (double)count, 3).text, lo_number_count(above).text);
    LO_TRY(write_row(page, "Most memorized", ranked, count, most, false, err));
    if (any_relabelled(page, ranked, most)) {
        LO_TRY(write_row(page, "Most memorized among those with their own label", ranked, count, most, true,
                         err));
    }
    if (least > 0) {
        qsort(ranked, (size_t)count, sizeof(*ranked), lo_by_weakness);
        LO_TRY(write_row(page, "Least memorized", ranked, count, least, false, err));
    }
    return LO_OK;
}

lo_status lo_section_gallery(const lo_page *page, lo_error *err)
{
    const lo_dataset *data = page->report->data;
    FILE *out = page->out;
    lo_ranked *ranked = NULL;
    int64_t count = 0;
    lo_status status = LO_OK;
    if (page->value.count == 0) {
        return LO_OK;
    }
    LO_TRY_GOTO(status, lo_rank_examples(page, page->memorization, lo_by_class, &ranked, &count, err), done);
    (void)fputs("<p>By class, as labelled in "
                "training: value ± "
                "standard error, and the example&#8217;s number in the source files. <span "
                "class=\"mark\">&#9873;</span> "
                "marks a label that the job replaced. Many examples usually share the lowest values: models "
                "are right about "
                "them with and without having seen them. Ties are shown in the order of their numbers.</p>\n",
                out);
    if (!lo_picture_possible(data->shape)) {
        (void)fputs("<p class=\"soft\">These examples are not pictures, so their numbers stand alone.</p>\n",
                    out);
    }
    if (data->classes > GALLERY_CLASSES) {
        (void)fprintf(out,
                      "<p class=\"soft\">The first %d of %" PRId32
                      " classes are shown; <code>leaveout export</code> "
                      "writes all scores.</p>\n",
                      GALLERY_CLASSES, data->classes);
    }
    for (int64_t first = 0, end = 0; first < count && ranked[first].label < GALLERY_CLASSES; first = end) {
        for (end = first; end < count && ranked[end].label == ranked[first].label; end++) {
        }
        LO_TRY_GOTO(status, write_class_gallery(page, ranked + first, end - first, err), done);
    }
done:
    free(ranked);
    return status;
}
