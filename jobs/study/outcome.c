#include "jobs/study/outcome.h"

#include <string.h>

/* The fixed part as it lies in the record. */
typedef struct fixed {
    int64_t n_train, n_test;
    uint64_t seed;
    double seconds, test_accuracy, loss;
    int64_t members, diverged;
    char processor[LO_MAX_PROCESSOR];
} fixed;

static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

size_t lo_outcome_size(int64_t n_train, int64_t n_test)
{
    return sizeof(fixed) + 2 * padded(lo_bit_bytes(n_train)) + padded(lo_bit_bytes(n_test)) +
           padded((size_t)n_train * sizeof(float)) + padded((size_t)n_test * sizeof(float));
}

void lo_outcome_map(lo_outcome *outcome, char *buffer)
{
    char *at = buffer + sizeof(fixed);
    outcome->mask = (uint8_t *)at;
    at += padded(lo_bit_bytes(outcome->n_train));
    outcome->train_correct = (uint8_t *)at;
    at += padded(lo_bit_bytes(outcome->n_train));
    outcome->test_correct = (uint8_t *)at;
    at += padded(lo_bit_bytes(outcome->n_test));
    outcome->train_margin = (float *)(void *)at;
    at += padded((size_t)outcome->n_train * sizeof(float));
    outcome->test_margin = (float *)(void *)at;
}

void lo_outcome_seal(const lo_outcome *outcome, char *buffer)
{
    fixed f = {.n_train = outcome->n_train,
               .n_test = outcome->n_test,
               .seed = outcome->seed,
               .seconds = outcome->seconds,
               .test_accuracy = outcome->test_accuracy,
               .loss = outcome->loss,
               .members = outcome->members,
               .diverged = outcome->diverged};
    memcpy(f.processor, outcome->processor, sizeof(f.processor));
    memcpy(buffer, &f, sizeof(f));
}

lo_status lo_outcome_read(char *payload, size_t size, int64_t n_train, int64_t n_test, lo_outcome *out,
                          lo_error *err)
{
    fixed f;
    if (size != lo_outcome_size(n_train, n_test)) {
        return lo_fail(err, LO_DATA, "a record of %zu bytes; %zu are expected", size,
                       lo_outcome_size(n_train, n_test));
    }
    memcpy(&f, payload, sizeof(f));
    if (f.n_train != n_train || f.n_test != n_test) {
        return lo_fail(err, LO_DATA,
                       "a record of %lld training and %lld test examples; %lld and %lld are expected",
                       (long long)f.n_train, (long long)f.n_test, (long long)n_train, (long long)n_test);
    }
    *out = (lo_outcome){.n_train = n_train,
                        .n_test = n_test,
                        .seed = f.seed,
                        .seconds = f.seconds,
                        .test_accuracy = f.test_accuracy,
                        .loss = f.loss,
                        .members = f.members,
                        .diverged = f.diverged};
    memcpy(out->processor, f.processor, sizeof(out->processor));
    lo_outcome_map(out, payload);
    return LO_OK;
}
