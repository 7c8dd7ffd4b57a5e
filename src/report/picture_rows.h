/* Examples as pictures in rows, with their numbers. Private to src/report. */
#ifndef LEAVEOUT_REPORT_PICTURE_ROWS_H
#define LEAVEOUT_REPORT_PICTURE_ROWS_H

#include "report/page.h"

/* An example, and training examples with what they do to it. */
typedef struct lo_picture_row {
    const lo_examples *examples; /* of which the one is */
    int64_t at;
    const char *kind; /* "test" */
    int64_t columns;
    const int64_t *index; /* [columns], -1: none */
    const float *value;   /* [columns] */
    const float *error;   /* [columns], or NULL */
} lo_picture_row;

/* One picture; nothing where examples are no pictures. Errors: those of lo_picture_write. */
lo_status lo_page_picture(const lo_page *page, const lo_examples *examples, int64_t at, lo_error *err);

/* The class that the source gives, when training used another. */
void lo_page_true_label(const lo_page *page, const lo_examples *examples, int64_t at);

/* The training examples of a row, as pictures with their values. */
lo_status lo_page_training_pictures(const lo_page *page, const lo_picture_row *row, lo_error *err);

/* The example, and beside it the training examples. */
lo_status lo_page_picture_row(const lo_page *page, const lo_picture_row *row, lo_error *err);

#endif
