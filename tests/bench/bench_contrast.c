/* Seconds of the influence contrast on masks and outcomes drawn at random, for comparison with two dense
 * float32 matrix products:
 *
 *     bench_contrast [MODELS TRAIN TEST [LEVEL [error]]]
 *
 * The time starts with packed rows, as an ensemble stores them, and ends with the whole contrast in memory:
 * turning rows into columns and taking the memory of the result are counted. LEVEL is portable, avx2, avx512
 * or best; "error" asks for the standard errors too. */
#include "base/clock.h"
#include "base/random.h"
#include "score/contrast_kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct bits {
    int64_t row_bytes;
    uint8_t *row;
} bits;

static bits draw(int64_t models, int64_t count, float share, uint64_t stream)
{
    const lo_random random = lo_random_make(0, LO_FOR_TEST);
    bits out = {.row_bytes = (count + 7) / 8};
    out.row = calloc((size_t)(models * out.row_bytes), 1);
    for (int64_t m = 0; out.row != NULL && m < models; m++) {
        for (int64_t i = 0; i < count; i += 4) {
            uint32_t number[4];
            lo_random_u32x4(random, stream << 32 | (uint64_t)m, (uint64_t)i, number);
            for (int64_t lane = 0; lane < 4 && i + lane < count; lane++) {
                if ((float)number[lane] * 0x1p-32F < share) {
                    out.row[m * out.row_bytes + (i + lane) / 8] |= (uint8_t)(1 << ((i + lane) % 8));
                }
            }
        }
    }
    return out;
}

/* Fresh memory in huge pages where the system has them, as numpy takes it for large arrays. */
static float *large_array(size_t cells)
{
    const size_t page = (size_t)1 << 21;
    const size_t bytes = (cells * sizeof(float) + page - 1) / page * page;
    float *array = aligned_alloc(page, bytes);
#if defined(MADV_HUGEPAGE)
    if (array != NULL) {
        (void)madvise(array, bytes, MADV_HUGEPAGE);
    }
#endif
    return array;
}

static const lo_contrast_kernel *kernel_named(const char *name)
{
    const lo_contrast_kernel *found = NULL;
    for (int i = 0; lo_contrast_kernel_at(i) != NULL; i++) {
        if (strcmp(name, "best") == 0 || strcmp(name, lo_contrast_kernel_at(i)->name) == 0) {
            found = lo_contrast_kernel_at(i);
        }
    }
    return found;
}

static lo_status columns_of(const bits *rows, int64_t models, int64_t count, lo_columns *out, lo_error *err)
{
    LO_TRY(lo_columns_create(models, count, out, err));
    for (int64_t m = 0; m < models; m++) {
        lo_columns_set_row(out, m, rows->row + m * rows->row_bytes, 0);
    }
    return LO_OK;
}

int main(int argc, char **argv)
{
    const int64_t models = argc > 3 ? atoll(argv[1]) : 1000;
    const int64_t train = argc > 3 ? atoll(argv[2]) : 20000;
    const int64_t test = argc > 3 ? atoll(argv[3]) : 4000;
    const lo_contrast_kernel *kernel = kernel_named(argc > 4 ? argv[4] : "best");
    const bool with_error = argc > 5 && strcmp(argv[5], "error") == 0;
    if (models < 1 || train < 1 || test < 1 || kernel == NULL) {
        fprintf(stderr,
                "usage: bench_contrast [MODELS TRAIN TEST [LEVEL [error]]]; sizes from 1, a level that this "
                "processor has\n");
        return 2;
    }
    const bits mask_rows = draw(models, train, 0.7F, 1);
    const bits correct_rows = draw(models, test, 0.9F, 2);
    lo_columns mask = {0}, correct = {0};
    lo_error err = {""};
    lo_status status = mask_rows.row != NULL && correct_rows.row != NULL ? LO_OK : LO_INTERNAL;

    const double start = lo_clock_monotonic();
    const size_t cells = (size_t)train * (size_t)test;
    float *contrast = NULL, *error = NULL;
    LO_TRY_GOTO(status, status, done);
    LO_TRY_GOTO(status, columns_of(&mask_rows, models, train, &mask, &err), done);
    LO_TRY_GOTO(status, columns_of(&correct_rows, models, test, &correct, &err), done);
    const double packed = lo_clock_monotonic();
    contrast = large_array(cells);
    error = with_error ? large_array(cells) : NULL;
    if (contrast == NULL || (with_error && error == NULL)) {
        status = lo_fail(&err, LO_INTERNAL, "no memory for %zu contrasts", cells);
        goto done;
    }
    LO_TRY_GOTO(status, lo_contrast_with(kernel, &mask, &correct, NULL, contrast, error, NULL), done);
    const double stop = lo_clock_monotonic();

    double sum = 0;
    for (size_t i = 0; i < cells; i++) {
        sum += isnan(contrast[i]) ? 0 : contrast[i];
    }
    printf("leaveout contrast%s %lld models, %lld x %lld: %.3f s (%.3f s of it rows to columns), checksum "
           "%.6e, %s\n",
           with_error ? " and error" : "", (long long)models, (long long)train, (long long)test, stop - start,
           packed - start, sum, kernel->name);
done:
    if (status != LO_OK) {
        fprintf(stderr, "bench_contrast: %s\n", err.text);
    }
    lo_columns_destroy(&mask);
    lo_columns_destroy(&correct);
    free(contrast);
    free(error);
    free(mask_rows.row);
    free(correct_rows.row);
    return (int)status;
}
