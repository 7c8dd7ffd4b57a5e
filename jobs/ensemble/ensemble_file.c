#include "jobs/ensemble/ensemble_file.h"

#include "jobs/study/outcome.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lo_status read_head(lo_ensemble_file *f, lo_error *err)
{
    int64_t mask = 0;
    int64_t train = 0;
    int64_t test = 0;
    double *seconds = NULL;
    uint8_t *diverged = NULL;
    LO_TRY(lo_h5_get_int(&f->reader, "/", "models_planned", &f->planned, err));
    if (lo_h5_get_real(&f->reader, "/", "until_standard_error", &f->until, NULL) != LO_OK ||
        lo_h5_get_real(&f->reader, "/", "until_found", &f->found, NULL) != LO_OK) {
        f->until = 0;
    }
    LO_TRY(lo_h5_get_int(&f->reader, "/", "n_train", &f->n_train, err));
    LO_TRY(lo_h5_get_int(&f->reader, "/", "n_test", &f->n_test, err));
    LO_TRY(lo_h5_get_int(&f->reader, "/mask", "crc32", &mask, err));
    LO_TRY(lo_h5_get_int(&f->reader, "/train/correct", "crc32", &train, err));
    LO_TRY(lo_h5_get_int(&f->reader, "/test/correct", "crc32", &test, err));
    LO_TRY(lo_h5_read_all(&f->reader, "/model", LO_H5_I64, (void **)&f->model, &f->rows, NULL, err));
    (void)snprintf(f->identity, sizeof(f->identity), "%lld-%08llx-%08llx-%08llx", (long long)f->rows,
                   (unsigned long long)mask, (unsigned long long)train, (unsigned long long)test);
    lo_status status = lo_h5_read_all(&f->reader, "/seconds", LO_H5_F64, (void **)&seconds, NULL, NULL, err);
    if (status == LO_OK) {
        status = lo_h5_read_all(&f->reader, "/diverged", LO_H5_U8, (void **)&diverged, NULL, NULL, err);
    }
    f->use = calloc(lo_bit_bytes(f->planned) + 1, 1);
    if (status == LO_OK && f->use == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the list of models");
    }
    for (int64_t r = 0; r < f->rows && status == LO_OK; r++) {
        const int64_t k = f->model[r];
        if (k < 0 || k >= f->planned) {
            status = lo_fail(err, LO_DATA, "%s: /model[%lld] is %lld; 0 to %lld are allowed", f->reader.file,
                             (long long)r, (long long)k, (long long)f->planned - 1);
            break;
        }
        f->seconds += seconds[r];
        f->diverged += diverged[r] != 0;
        if (diverged[r] == 0) {
            f->use[k / 8] = (uint8_t)(f->use[k / 8] | 1U << (k % 8));
        }
    }
    free(seconds);
    free(diverged);
    return status;
}

lo_status lo_ensemble_open(const char *directory, lo_ensemble_file *out, lo_error *err)
{
    char path[PATH_MAX];
    *out = (lo_ensemble_file){.reader = {.id = -1}};
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", directory);
    LO_TRY(lo_h5_open(path, &out->reader, err));
    return read_head(out, err);
}

void lo_ensemble_close(lo_ensemble_file *file)
{
    lo_h5_close(&file->reader);
    free(file->model);
    free(file->use);
    file->model = NULL;
    file->use = NULL;
}

lo_status lo_ensemble_columns(const lo_ensemble_file *file, const char *path, int64_t first, int64_t count,
                              lo_columns *out, lo_error *err)
{
    enum { BATCH = 64 };
    int64_t rows;
    int64_t bytes;
    LO_TRY(lo_h5_sizes(&file->reader, path, &rows, &bytes, err));
    if (rows != file->rows || bytes * 8 < first + count) {
        return lo_fail(err, LO_DATA,
                       "%s: %s is %lld x %lld bytes; %lld rows of at least %lld bits are expected",
                       file->reader.file, path, (long long)rows, (long long)bytes, (long long)file->rows,
                       (long long)(first + count));
    }
    LO_TRY(lo_columns_create(file->planned, count, out, err));
    uint8_t *buffer = malloc((size_t)(BATCH * bytes));
    lo_status status = buffer != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory to read %s", path);
    for (int64_t r = 0; r < rows && status == LO_OK; r += BATCH) {
        const int64_t now = rows - r < BATCH ? rows - r : BATCH;
        status = lo_h5_read(&file->reader, path, LO_H5_U8, r, now, buffer, err);
        for (int64_t i = 0; i < now && status == LO_OK; i++) {
            lo_columns_set_row(out, file->model[r + i], buffer + i * bytes, first);
        }
    }
    free(buffer);
    if (status != LO_OK) {
        lo_columns_destroy(out);
    }
    return status;
}

bool lo_ensemble_is_source_of(const lo_ensemble_file *file, const char *path, uint64_t digest)
{
    char ensemble[sizeof(file->identity)] = "";
    char keys[32] = "";
    char expected[32];
    lo_h5_reader reader;
    (void)snprintf(expected, sizeof(expected), "%016llx", (unsigned long long)digest);
    if (lo_h5_open(path, &reader, NULL) != LO_OK) {
        return false;
    }
    const bool same = lo_h5_get_text(&reader, "/", "ensemble", ensemble, sizeof(ensemble), NULL) == LO_OK &&
                      lo_h5_get_text(&reader, "/", "digest", keys, sizeof(keys), NULL) == LO_OK &&
                      strcmp(ensemble, file->identity) == 0 && strcmp(keys, expected) == 0;
    lo_h5_close(&reader);
    return same;
}
