/* The values of tests/fixtures/audit.txt, by name. */
#ifndef LEAVEOUT_TESTS_AUDIT_FIXTURE_H
#define LEAVEOUT_TESTS_AUDIT_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The values of `name`, *count of them (NULL: not wanted). The caller frees them. */
static inline double *audit_values(const char *name, int64_t *count)
{
    FILE *file = fopen(FIXTURES "/audit.txt", "r");
    assert_non_null(file);
    char found[64];
    long long n = 0;
    while (fscanf(file, "%63s %lld", found, &n) == 2) {
        double *value = malloc((size_t)(n > 0 ? n : 1) * sizeof(*value));
        assert_non_null(value);
        for (long long i = 0; i < n; i++) {
            assert_int_equal(fscanf(file, "%lf", &value[i]), 1);
        }
        if (strcmp(found, name) == 0) {
            fclose(file);
            if (count != NULL) {
                *count = n;
            }
            return value;
        }
        free(value);
    }
    fclose(file);
    fail_msg("tests/fixtures/audit.txt has no %s", name);
    return NULL;
}

static inline float *audit_floats(const char *name, int64_t *count)
{
    int64_t n = 0;
    double *value = audit_values(name, &n);
    float *out = malloc((size_t)(n > 0 ? n : 1) * sizeof(*out));
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)value[i];
    }
    free(value);
    if (count != NULL) {
        *count = n;
    }
    return out;
}

static inline uint32_t *audit_rows(const char *name, int64_t *count)
{
    int64_t n = 0;
    double *value = audit_values(name, &n);
    uint32_t *out = malloc((size_t)(n > 0 ? n : 1) * sizeof(*out));
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint32_t)value[i];
    }
    free(value);
    if (count != NULL) {
        *count = n;
    }
    return out;
}

/* Within `error`, absolutely or relatively, whichever is wider. */
static inline void assert_close(double value, double expected, double error, const char *what, int64_t i)
{
    if (!(fabs(value - expected) <= error * (1 + fabs(expected)))) {
        fail_msg("%s[%lld] is %.15g instead of %.15g", what, (long long)i, value, expected);
    }
}

#endif
