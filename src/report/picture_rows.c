#include "report/picture_rows.h"

#include "report/html.h"
#include "report/picture.h"

#include <inttypes.h>
#include <math.h>

lo_status lo_page_picture(const lo_page *page, const lo_examples *examples, int64_t at, lo_error *err)
{
    const lo_shape shape = page->report->data->shape;
    FILE *out = page->out;
    if (!lo_picture_possible(shape) || examples->pixel == NULL) {
        return LO_OK;
    }
    const lo_shape small = lo_picture_shape(shape, page->side);
    const int32_t longest = small.height > small.width ? small.height : small.width;
    const int32_t scale = longest < SIDE_SHOWN ? SIDE_SHOWN / longest : 1;
    (void)fprintf(out, "<img width=\"%d\" height=\"%d\" alt=\"", small.width * scale, small.height * scale);
    lo_page_class(page, examples->label[at]);
    (void)fprintf(out, ", number %" PRId64 "\" src=\"", examples->index[at]);
    LO_TRY(
        lo_picture_write(out, shape, examples->pixel + (size_t)at * lo_shape_size(shape), page->side, err));
    (void)fputs("\"/>", out);
    return LO_OK;
}

/* The class that the source gives, when training used another. */
void lo_page_true_label(const lo_page *page, const lo_examples *examples, int64_t at)
{
    if (examples->label[at] != examples->label_true[at]) {
        (void)fputs("<span class=\"mark\">&#9873; truly ", page->out);
        lo_page_class(page, examples->label_true[at]);
        (void)fputs("</span>", page->out);
    }
}
/* The training examples of a row, as pictures with their values. */
lo_status lo_page_training_pictures(const lo_page *page, const lo_picture_row *row, lo_error *err)
{
    const lo_examples *train = &page->report->data->train;
    FILE *out = page->out;
    int64_t shown = 0;
    (void)fputs("<ul class=\"pictures\">\n", out);
    for (int64_t c = 0; c < row->columns; c++) {
        const int64_t of = row->index[c];
        const double value = (double)row->value[c];
        if (of < 0 || of >= train->count || isnan(value)) {
            continue;
        }
        (void)fprintf(out, "<li class=\"%s\">", value < 0 ? "harms" : "helps");
        LO_TRY(lo_page_picture(page, train, of, err));
        (void)fprintf(out, "<b>%s", lo_number_signed(value, 2).text);
        if (row->error != NULL && !isnan(row->error[c])) {
            (void)fprintf(out, " ± %s", lo_number_real((double)row->error[c], 2).text);
        }
        (void)fputs("</b><span>", out);
        lo_page_class(page, train->label[of]);
        (void)fprintf(out, "</span><span>#%" PRId64 "</span>", train->index[of]);
        lo_page_true_label(page, train, of);
        (void)fputs("</li>\n", out);
        shown++;
    }
    if (shown == 0) {
        (void)fputs("<li>none</li>\n", out);
    }
    (void)fputs("</ul>\n", out);
    return LO_OK;
}

lo_status lo_page_picture_row(const lo_page *page, const lo_picture_row *row, lo_error *err)
{
    FILE *out = page->out;
    (void)fputs("<div class=\"influence\">\n<ul class=\"pictures\"><li>", out);
    LO_TRY(lo_page_picture(page, row->examples, row->at, err));
    (void)fputs("<b>", out);
    lo_page_class(page, row->examples->label[row->at]);
    (void)fprintf(out, "</b><span>%s #%" PRId64 "</span></li></ul>\n", row->kind,
                  row->examples->index[row->at]);
    LO_TRY(lo_page_training_pictures(page, row, err));
    (void)fputs("</div>\n", out);
    return LO_OK;
}
