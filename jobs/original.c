#include "jobs/original.h"

#include "jobs/kept.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The fixed part as it lies in the record. */
typedef struct fixed {
    int64_t n, epochs, logged;
    uint64_t seed;
    double seconds, test_accuracy;
    int64_t diverged;
    char processor[LO_MAX_PROCESSOR];
} fixed;

static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

size_t lo_original_size(int64_t n, int64_t epochs, bool logged)
{
    const size_t values = (size_t)(n * epochs);
    return sizeof(fixed) + 2 * (size_t)epochs * sizeof(double) +
           (logged ? LO_LOG_QUANTITIES * padded(values * sizeof(float)) + padded(values) : 0);
}

void lo_original_map(lo_original *original, char *buffer)
{
    const size_t values = (size_t)(original->n * original->epochs);
    char *at = buffer + sizeof(fixed);
    original->log = (lo_training_log){.loss = (double *)(void *)at};
    at += (size_t)original->epochs * sizeof(double);
    original->log.accuracy = (double *)(void *)at;
    at += (size_t)original->epochs * sizeof(double);
    if (original->logged) {
        for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
            original->log.example[q] = (float *)(void *)at;
            at += padded(values * sizeof(float));
        }
        original->log.correct = (uint8_t *)at;
    }
}

void lo_original_seal(const lo_original *original, char *buffer)
{
    fixed f = {.n = original->n,
               .epochs = original->epochs,
               .logged = original->logged,
               .seed = original->seed,
               .seconds = original->seconds,
               .test_accuracy = original->test_accuracy,
               .diverged = original->diverged};
    memcpy(f.processor, original->processor, sizeof(f.processor));
    memcpy(buffer, &f, sizeof(f));
}

lo_status lo_original_read(char *payload, size_t size, int64_t n, int64_t epochs, bool logged,
                           lo_original *out, lo_error *err)
{
    fixed f = {0};
    if (size >= sizeof(f)) {
        memcpy(&f, payload, sizeof(f));
    }
    if (size != lo_original_size(n, epochs, logged) || f.n != n || f.epochs != epochs ||
        (f.logged != 0) != logged) {
        return lo_fail(
            err, LO_DATA,
            "a record of %zu bytes, %lld examples and %lld epochs; %zu, %lld and %lld are expected", size,
            (long long)f.n, (long long)f.epochs, lo_original_size(n, epochs, logged), (long long)n,
            (long long)epochs);
    }
    *out = (lo_original){.n = n,
                         .epochs = epochs,
                         .logged = logged,
                         .seed = f.seed,
                         .seconds = f.seconds,
                         .test_accuracy = f.test_accuracy,
                         .diverged = f.diverged};
    memcpy(out->processor, f.processor, sizeof(out->processor));
    lo_original_map(out, payload);
    return LO_OK;
}

bool lo_originals_logged(const lo_job *job)
{
    return strcmp(lo_job_text(job, "originals.log"), "true") == 0;
}

void lo_original_path(const char *study, int64_t seed, int64_t epochs, char *path, size_t size)
{
    if (epochs == 0) {
        (void)snprintf(path, size, "%s/originals/%lld.safetensors", study, (long long)seed);
    } else {
        (void)snprintf(path, size, "%s/checkpoints/original-%lld-epoch-%lld.safetensors", study,
                       (long long)seed, (long long)epochs);
    }
}

lo_status lo_original_check(const char *study, const lo_job *job, int64_t seed, lo_error *err)
{
    const uint64_t digest = lo_job_digest(job, LO_KEYS_ORIGINALS);
    const int64_t checkpoints = lo_job_length(job, "originals.checkpoints");
    char path[PATH_MAX];
    for (int64_t c = 0; c < checkpoints; c++) {
        lo_original_path(study, seed, lo_job_int_at(job, "originals.checkpoints", c), path, sizeof(path));
        LO_TRY(lo_check_weights(path, digest, err));
    }
    lo_original_path(study, seed, 0, path, sizeof(path));
    return lo_check_weights(path, digest, err);
}
