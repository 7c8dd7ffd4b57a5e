#include "jobs/scores/score_by_name.h"

#include "data/npy_file.h"
#include "jobs/scores/score_list.h"
#include "mpi/h5file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char attribution[] = "attribution/";

static bool is_file(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".npy") == 0;
}

static bool is_attribution(const char *name)
{
    return strncmp(name, attribution, strlen(attribution)) == 0;
}

lo_status lo_score_named_check(const lo_job *job, const char *name, lo_error *err)
{
    if (is_file(name)) {
        return access(name, R_OK) == 0 ? LO_OK : lo_fail_errno(err, LO_IO, "%s: cannot read the score", name);
    }
    if (is_attribution(name)) {
        const char *method = name + strlen(attribution);
        return lo_job_has(job, "attribution") && lo_job_lists(job, "attribution.methods", method)
                   ? LO_OK
                   : lo_fail(err, LO_USAGE,
                             "found '%s', but the job's attribution.methods do not have '%s': no stage "
                             "computes it",
                             name, method);
    }
    lo_score_list list;
    bool planned = false;
    const lo_status status = lo_score_list_read(job, &list, err);
    for (int i = 0; status == LO_OK && i < list.count; i++) {
        planned = planned || strcmp(list.listed[i].name, name) == 0;
    }
    lo_score_list_destroy(&list);
    if (status != LO_OK || planned) {
        return status;
    }
    return lo_fail(err, LO_USAGE,
                   "found '%s', which the job does not compute; allowed: a name of its list `scores`, "
                   "attribution/METHOD with one of its attribution.methods, or a file ending in .npy",
                   name);
}

/* Element i of an array of numbers of any type and alignment. */
static double element(const lo_npy_file *file, int64_t i)
{
    const char *at = (const char *)file->map + file->data + i * file->size;
    if (file->kind == 'f' && file->size == 8) {
        double value;
        memcpy(&value, at, sizeof(value));
        return value;
    }
    if (file->kind == 'f') {
        float value;
        memcpy(&value, at, sizeof(value));
        return (double)value;
    }
    int64_t value = 0; /* little-endian, of 1 to 8 bytes */
    memcpy(&value, at, (size_t)file->size);
    if (file->kind == 'i' && file->size < 8) {
        const int shift = 64 - 8 * file->size;
        value = (int64_t)((uint64_t)value << shift) >> shift;
    }
    return (double)value;
}

static lo_status read_npy(const char *name, int64_t n, double **score, lo_error *err)
{
    lo_npy_file file;
    lo_status status = lo_npy_file_open(name, &file, err);
    if (status == LO_OK && (file.array.dimensions != 1 || file.array.dimension[0] != n ||
                            (file.kind == 'f' && file.size == 2))) {
        status = lo_fail(
            err, LO_DATA,
            "%s: %d dimensions, the first of %lld, of type %c%d; allowed: one of %lld numbers of 4 or 8 "
            "bytes, one for each training example in use",
            name, file.array.dimensions, (long long)file.array.dimension[0], file.kind, file.size,
            (long long)n);
    }
    *score = status == LO_OK ? malloc((size_t)n * sizeof(**score)) : NULL;
    if (status == LO_OK && *score == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the score %s", name);
    }
    for (int64_t i = 0; status == LO_OK && i < n; i++) {
        (*score)[i] = element(&file, i);
    }
    lo_npy_file_close(&file);
    return status;
}

static lo_status read_h5(const char *file, const char *group, const char *dataset, int64_t n, double **score,
                         lo_error *err)
{
    lo_h5_reader reader;
    char path[128];
    float *value = NULL;
    int64_t rows = 0, orientation = 1;
    (void)snprintf(path, sizeof(path), "/%s/%s", group, dataset);
    LO_TRY(lo_h5_open(file, &reader, err));
    lo_status status = lo_h5_read_all(&reader, path, LO_H5_F32, (void **)&value, &rows, NULL, err);
    if (status == LO_OK && rows != n) {
        status = lo_fail(err, LO_DATA, "%s: %s has %lld values; %lld are expected", file, path,
                         (long long)rows, (long long)n);
    }
    (void)snprintf(path, sizeof(path), "/%s", group);
    if (lo_h5_get_int(&reader, path, "orientation", &orientation, NULL) != LO_OK) {
        orientation = 1;
    }
    lo_h5_close(&reader);
    *score = status == LO_OK ? malloc((size_t)n * sizeof(**score)) : NULL;
    if (status == LO_OK && *score == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for the score %s", group);
    }
    for (int64_t i = 0; status == LO_OK && i < n; i++) {
        (*score)[i] = (orientation < 0 ? -1 : 1) * (double)value[i];
    }
    free(value);
    return status;
}

lo_status lo_score_named_read(const char *study, const char *name, int64_t n, double **score, lo_error *err)
{
    char path[PATH_MAX];
    *score = NULL;
    if (is_file(name)) {
        return read_npy(name, n, score, err);
    }
    if (study == NULL) {
        return LO_OK;
    }
    const bool self = is_attribution(name);
    (void)snprintf(path, sizeof(path), "%s/%s", study, self ? "attribution.h5" : "scores.h5");
    return read_h5(path, self ? name + strlen(attribution) : name, self ? "self" : "value", n, score, err);
}
