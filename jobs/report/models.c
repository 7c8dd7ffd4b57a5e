#include "jobs/report/material.h"

#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/outcome.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static lo_status read_floats(const lo_h5_reader *reader, const char *path, float **out, int64_t *rows,
                             lo_error *err)
{
    double *wide = NULL;
    LO_TRY(lo_h5_read_all(reader, path, LO_H5_F64, (void **)&wide, rows, NULL, err));
    *out = calloc((size_t)*rows + 1, sizeof(**out));
    for (int64_t i = 0; *out != NULL && i < *rows; i++) {
        (*out)[i] = (float)wide[i];
    }
    free(wide);
    return *out != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %s", path);
}

/* Of an imported ensemble: the share of the training examples that its models were trained on, on average. */
static lo_status mean_share(const lo_ensemble_file *file, double *share, lo_error *err)
{
    const int64_t bytes = (int64_t)lo_bit_bytes(file->n_train);
    uint8_t *row = calloc((size_t)bytes + 1, 1);
    lo_status status = row != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a mask");
    int64_t members = 0;
    for (int64_t r = 0; r < file->rows && status == LO_OK; r++) {
        status = lo_h5_read(&file->reader, "/mask", LO_H5_U8, r, 1, row, err);
        for (int64_t b = 0; b < bytes; b++) {
            members += __builtin_popcount(row[b]);
        }
    }
    free(row);
    *share = (double)members / (double)file->rows / (double)file->n_train;
    return status;
}

lo_status lo_gather_ensemble(lo_material *m, lo_error *err)
{
    lo_ensemble_file file;
    lo_report *r = &m->report;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", m->study->run.study);
    r->models_planned = m->study->design.models;
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = lo_ensemble_open(m->study->run.study, &file, err);
    if (status == LO_OK) {
        r->models_done = file.rows;
        r->models_diverged = file.diverged;
        int64_t rows;
        if (m->study->design.kind == LO_DESIGN_IMPORTED) {
            status = mean_share(&file, &r->ratio, err);
        }
        status = status != LO_OK ? status
                                 : read_floats(&file.reader, "/test_accuracy", &m->test_accuracy, &rows, err);
        if (status == LO_OK) {
            status = read_floats(&file.reader, "/seconds", &m->seconds, &rows, err);
        }
        /* A diverged model counts in no score, so its accuracy is no part of the mean either. */
        for (int64_t k = 0; status == LO_OK && k < file.rows; k++) {
            const int64_t model = file.model[k];
            if ((file.use[model / 8] >> (model % 8) & 1) == 0) {
                m->test_accuracy[k] = NAN;
            }
        }
        r->test_accuracy = m->test_accuracy;
        r->seconds = m->seconds;
    }
    lo_ensemble_close(&file);
    return status;
}

lo_status lo_gather_originals(lo_material *m, lo_error *err)
{
    lo_report *r = &m->report;
    char path[PATH_MAX];
    lo_h5_reader reader;
    int64_t *seed = NULL;
    double *accuracy = NULL, *seconds = NULL;
    uint8_t *diverged = NULL;
    (void)snprintf(path, sizeof(path), "%s/training.h5", m->study->run.study);
    if (access(path, F_OK) != 0) {
        return LO_OK;
    }
    lo_status status = lo_h5_open(path, &reader, err);
    LO_TRY_GOTO(status, status, done);
    LO_TRY_GOTO(status, lo_h5_get_int(&reader, "/", "epochs", &r->epochs, err), done);
    LO_TRY_GOTO(status,
                lo_h5_read_all(&reader, "/seed", LO_H5_I64, (void **)&seed, &r->original_count, NULL, err),
                done);
    LO_TRY_GOTO(status,
                lo_h5_read_all(&reader, "/test_accuracy", LO_H5_F64, (void **)&accuracy, NULL, NULL, err),
                done);
    LO_TRY_GOTO(status, lo_h5_read_all(&reader, "/seconds", LO_H5_F64, (void **)&seconds, NULL, NULL, err),
                done);
    LO_TRY_GOTO(status, lo_h5_read_all(&reader, "/diverged", LO_H5_U8, (void **)&diverged, NULL, NULL, err),
                done);
    m->original = calloc((size_t)r->original_count + 1, sizeof(*m->original));
    m->curves = calloc((size_t)(r->original_count * 2 * r->epochs) + 1, sizeof(*m->curves));
    if (m->original == NULL || m->curves == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the originals' curves");
        goto done;
    }
    r->original = m->original;
    for (int64_t i = 0; i < r->original_count; i++) {
        double *curve = m->curves + i * 2 * r->epochs;
        m->original[i] = (lo_report_original){.seed = seed[i],
                                              .test_accuracy = accuracy[i],
                                              .seconds = seconds[i],
                                              .diverged = diverged[i] != 0,
                                              .loss = curve,
                                              .accuracy = curve + r->epochs};
        (void)snprintf(path, sizeof(path), "/%lld/epoch/loss", (long long)seed[i]);
        LO_TRY_GOTO(status, lo_h5_read(&reader, path, LO_H5_F64, 0, r->epochs, curve, err), done);
        (void)snprintf(path, sizeof(path), "/%lld/epoch/accuracy", (long long)seed[i]);
        LO_TRY_GOTO(status, lo_h5_read(&reader, path, LO_H5_F64, 0, r->epochs, curve + r->epochs, err), done);
    }
done:
    lo_h5_close(&reader);
    free(seed);
    free(accuracy);
    free(seconds);
    free(diverged);
    return status;
}
