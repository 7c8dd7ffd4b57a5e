#include "jobs/report/material.h"

#include "mpi/h5file.h"
#include "score/subset.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_TESTS = 12, SHOWN_TRAIN = 8 };

/* The strongest influences on a test example: of a dense row, or as they lie in the file. */
static lo_status read_row(const lo_material *m, const lo_h5_reader *reader, bool dense, bool errors,
                          int64_t test, int64_t k, int64_t items, float *value, float *error, int64_t *index,
                          lo_error *err)
{
    if (!dense) {
        int64_t *all = calloc((size_t)items + 1, sizeof(*all));
        lo_status status =
            all != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a row of influence");
        if (status == LO_OK) {
            status = lo_h5_read(reader, "/top/index", LO_H5_I64, test, 1, all, err);
        }
        if (status == LO_OK) {
            memcpy(index, all, (size_t)k * sizeof(*index));
            status = lo_h5_read(reader, "/top/value", LO_H5_F32, test, 1, value, err);
        }
        free(all);
        return status == LO_OK && errors
                   ? lo_h5_read(reader, "/top/standard_error", LO_H5_F32, test, 1, error, err)
                   : status;
    }
    /* value and error hold the whole row first; the chosen ones then move to the front by way of `top`. */
    float *top = calloc((size_t)k + 1, sizeof(*top));
    lo_status status = top != NULL ? lo_h5_read(reader, "/contrast", LO_H5_F32, test, 1, value, err)
                                   : lo_fail(err, LO_INTERNAL, "no memory for a row of influence");
    if (status == LO_OK && errors) {
        status = lo_h5_read(reader, "/standard_error", LO_H5_F32, test, 1, error, err);
    }
    if (status == LO_OK) {
        lo_strongest(value, 1, m->study->data.train.count, k, index, top);
        memcpy(value, top, (size_t)k * sizeof(*value));
        for (int64_t i = 0; i < k; i++) {
            top[i] = errors && index[i] >= 0 ? error[index[i]] : NAN;
        }
        memcpy(error, top, (size_t)k * sizeof(*error));
    }
    free(top);
    return status;
}

/* Rows worth showing: the test examples whose strongest influence is largest, one a class first, so that a
 * page shows different garments. strength [n_test]. */
static int64_t choose_rows(const lo_dataset *data, const float *strength, int64_t *chosen)
{
    int64_t count = 0;
    uint8_t *taken = calloc((size_t)data->test.count, 1);
    if (taken == NULL) {
        return 0;
    }
    for (int pass = 0; pass < 2 && count < SHOWN_TESTS; pass++) {
        for (int c = 0; c < (pass == 0 ? data->classes : SHOWN_TESTS) && count < SHOWN_TESTS; c++) {
            int64_t best = -1;
            for (int64_t j = 0; j < data->test.count; j++) {
                const bool fits =
                    taken[j] == 0 && (pass == 1 || data->test.label[j] == c) && !isnan(strength[j]);
                if (fits && (best < 0 || strength[j] > strength[best])) {
                    best = j;
                }
            }
            if (best >= 0) {
                taken[best] = 1;
                chosen[count++] = best;
            }
        }
    }
    free(taken);
    return count;
}

static float largest_magnitude(const float *row, int64_t count)
{
    float largest = NAN;
    for (int64_t i = 0; i < count; i++) {
        const float size = fabsf(row[i]);
        if (!isnan(size) && (isnan(largest) || size > largest)) {
            largest = size;
        }
    }
    return largest;
}

lo_status lo_gather_influence(lo_material *m, lo_error *err)
{
    char path[PATH_MAX];
    lo_h5_reader reader;
    (void)snprintf(path, sizeof(path), "%s/influence.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    LO_TRY(lo_h5_open(path, &reader, err));
    const lo_dataset *data = &m->study->data;
    const bool dense = lo_h5_has(&reader, "/contrast");
    const char *values = dense ? "/contrast" : "/top/value";
    const bool errors = lo_h5_has(&reader, dense ? "/standard_error" : "/top/standard_error");
    int64_t rows = 0;
    int64_t items = 0;
    float *strength = NULL;
    float *row = NULL;
    float *error = NULL;
    lo_status status = lo_h5_sizes(&reader, values, &rows, &items, err);
    if (status == LO_OK && (rows != data->test.count || (dense && items != data->train.count))) {
        status = lo_fail(err, LO_DATA, "%s: %s is %lld x %lld; it is not of this study's data", reader.file,
                         values, (long long)rows, (long long)items);
    }
    const int64_t k = items < SHOWN_TRAIN ? items : SHOWN_TRAIN;
    if (status == LO_OK) {
        strength = calloc((size_t)rows + 1, sizeof(*strength));
        row = calloc((size_t)items + 1, sizeof(*row));
        error = calloc((size_t)items + 1, sizeof(*error));
        m->influence_test = calloc(SHOWN_TESTS, sizeof(int64_t));
        m->influence_index = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(int64_t));
        m->influence_value = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(float));
        m->influence_error = calloc((size_t)SHOWN_TESTS * SHOWN_TRAIN, sizeof(float));
        if (strength == NULL || row == NULL || error == NULL || m->influence_test == NULL ||
            m->influence_index == NULL || m->influence_value == NULL || m->influence_error == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the influence rows of the report");
        }
    }
    for (int64_t j = 0; j < rows && status == LO_OK; j++) {
        status = lo_h5_read(&reader, values, LO_H5_F32, j, 1, row, err);
        strength[j] = status == LO_OK ? largest_magnitude(row, items) : NAN;
    }
    if (status == LO_OK) {
        m->report.influence_rows = choose_rows(data, strength, m->influence_test);
        m->report.influence_k = k;
    }
    for (int64_t i = 0; i < m->report.influence_rows && status == LO_OK; i++) {
        status = read_row(m, &reader, dense, errors, m->influence_test[i], k, items, row, error,
                          m->influence_index + i * k, err);
        memcpy(m->influence_value + i * k, row, (size_t)k * sizeof(*row));
        memcpy(m->influence_error + i * k, error, (size_t)k * sizeof(*error));
    }
    m->report.influence_test = m->influence_test;
    m->report.influence_index = m->influence_index;
    m->report.influence_value = m->influence_value;
    m->report.influence_error = m->influence_error;
    free(strength);
    free(row);
    free(error);
    lo_h5_close(&reader);
    return status;
}
