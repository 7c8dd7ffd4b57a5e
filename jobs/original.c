#include "jobs/original.h"

#include "jobs/kept.h"
#include "jobs/score_list.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Without the norms of the weights, which came later and so come last. */
static size_t size_before_norms(int64_t n, int64_t epochs, bool logged)
{
    const size_t values = (size_t)(n * epochs);
    return sizeof(fixed) + 2 * (size_t)epochs * sizeof(double) +
           (logged ? LO_LOG_QUANTITIES * padded(values * sizeof(float)) + padded(values) : 0);
}

size_t lo_original_size(int64_t n, int64_t epochs, bool logged)
{
    return size_before_norms(n, epochs, logged) + (size_t)epochs * sizeof(double);
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
    at = buffer + size_before_norms(original->n, original->epochs, original->logged);
    original->weight_norm = (double *)(void *)at;
}

void lo_original_without_norms(lo_original *original)
{
    for (int64_t e = 0; e < original->epochs; e++) {
        original->weight_norm[e] = (double)NAN;
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

lo_status lo_original_read(char **payload, size_t size, int64_t n, int64_t epochs, bool logged,
                           lo_original *out, lo_error *err)
{
    fixed f = {0};
    if (size >= sizeof(f)) {
        memcpy(&f, *payload, sizeof(f));
    }
    const size_t whole = lo_original_size(n, epochs, f.logged != 0);
    const bool without = size == size_before_norms(n, epochs, f.logged != 0);
    if (size >= sizeof(f) && logged && f.logged == 0) {
        return lo_fail(err, LO_DATA, "a training whose log says nothing about examples, which a score needs");
    }
    if ((size != whole && !without) || f.n != n || f.epochs != epochs) {
        return lo_fail(
            err, LO_DATA,
            "a record of %zu bytes, %lld examples and %lld epochs; %zu, %lld and %lld are expected", size,
            (long long)f.n, (long long)f.epochs, lo_original_size(n, epochs, logged), (long long)n,
            (long long)epochs);
    }
    *out = (lo_original){.n = n,
                         .epochs = epochs,
                         .logged = f.logged != 0,
                         .seed = f.seed,
                         .seconds = f.seconds,
                         .test_accuracy = f.test_accuracy,
                         .diverged = f.diverged};
    memcpy(out->processor, f.processor, sizeof(out->processor));
    if (without) {
        char *larger = realloc(*payload, whole);
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for the log of an original");
        }
        *payload = larger;
    }
    lo_original_map(out, *payload);
    if (without) {
        lo_original_without_norms(out);
    }
    return LO_OK;
}

bool lo_originals_logged(const lo_job *job)
{
    const char *log = lo_job_text(job, "originals.log");
    lo_score_list list;
    const bool asked =
        lo_score_list_read(job, &list, NULL) == LO_OK && (lo_score_list_needs(&list) & LO_FROM_LOG) != 0;
    lo_score_list_destroy(&list);
    return strcmp(log, "true") == 0 || (strcmp(log, "auto") == 0 && asked);
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
