/* scaling.h5 as readers want it: a table of numbers, one row a score. */
#ifndef LEAVEOUT_JOBS_SCALING_TABLE_H
#define LEAVEOUT_JOBS_SCALING_TABLE_H

#include "base/status.h"
#include "mpi/h5file.h"

#include <stdint.h>

enum { LO_SCALING_MOST = 128 }; /* columns */

typedef struct lo_scaling_table {
    int64_t rows;
    char (*score)[LO_H5_TEXT_SIZE];   /* [rows] */
    char (*against)[LO_H5_TEXT_SIZE]; /* [rows]: the kind of few_models at equal cost, "" for none */
    int columns;
    const char *path[LO_SCALING_MOST]; /* [columns]: "/spearman/value"; the table's */
    double *column[LO_SCALING_MOST];   /* [columns][rows], whatever the type in the file */
    int64_t budgets;
    double *budget, *best_value, *few_models; /* [budgets] */
    char (*best)[LO_H5_TEXT_SIZE], (*by)[LO_H5_TEXT_SIZE];
    double ceiling, reliability, training; /* of ranks; core-seconds */
    double tied;                           /* share of the reference's examples */
    double in_accuracy, in_accuracy_replaced;
    int64_t models, held_back, group, resamples;
} lo_scaling_table;

/* Errors: LO_IO, LO_DATA; LO_INTERNAL without memory. Free it in any case. */
lo_status lo_scaling_table_read(const char *directory, lo_scaling_table *out, lo_error *err);
void lo_scaling_table_free(lo_scaling_table *table);

/* The column of a path; NULL: there is none. */
const double *lo_scaling_column(const lo_scaling_table *table, const char *path);

#endif
