#include "jobs/study/original.h"

#include "jobs/study/kept.h"
#include "jobs/scores/score_list.h"

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

/* The first versions had these quantities and no norms; what came later comes last. */
enum { FIRST_QUANTITIES = LO_LOG_MARGIN + 1 };

static size_t first_size(int64_t n, int64_t epochs, unsigned logged)
{
    const size_t values = (size_t)(n * epochs);
    return sizeof(fixed) + 2 * (size_t)epochs * sizeof(double) +
           (logged != 0 ? FIRST_QUANTITIES * padded(values * sizeof(float)) + padded(values) : 0);
}

/* How many quantities of every example follow the norms. */
static size_t later_quantities(unsigned logged)
{
    return (size_t)((logged & LO_LOGGED_OUTPUTS) != 0) + (size_t)((logged & LO_LOGGED_GRADIENTS) != 0);
}

size_t lo_original_size(int64_t n, int64_t epochs, unsigned logged)
{
    return first_size(n, epochs, logged) + (size_t)epochs * sizeof(double) +
           later_quantities(logged) * padded((size_t)(n * epochs) * sizeof(float));
}

void lo_original_map(lo_original *original, char *buffer)
{
    const size_t values = (size_t)(original->n * original->epochs);
    char *at = buffer + sizeof(fixed);
    lo_training_log *log = &original->log;
    *log = (lo_training_log){.loss = (double *)(void *)at};
    at += (size_t)original->epochs * sizeof(double);
    log->accuracy = (double *)(void *)at;
    at += (size_t)original->epochs * sizeof(double);
    for (int q = 0; q < FIRST_QUANTITIES && original->logged != 0; q++) {
        log->example[q] = (float *)(void *)at;
        at += padded(values * sizeof(float));
    }
    if (original->logged != 0) {
        log->correct = (uint8_t *)at;
        at += padded(values);
    }
    original->weight_norm = (double *)(void *)at;
    at += (size_t)original->epochs * sizeof(double);
    for (size_t q = 0; q < later_quantities(original->logged); q++) {
        log->example[(size_t)LO_LOG_GAP + q] = (float *)(void *)at;
        at += padded(values * sizeof(float));
    }
}

void lo_original_without(lo_original *original, float *quantity)
{
    for (int64_t e = 0; e < original->epochs && quantity == NULL; e++) {
        original->weight_norm[e] = (double)NAN;
    }
    for (int64_t i = 0; i < original->n * original->epochs && quantity != NULL; i++) {
        quantity[i] = NAN;
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

/* Nothing was known of what came later. */
static lo_status fill_up(lo_original *o, char **payload, size_t size, lo_error *err)
{
    const size_t whole = lo_original_size(o->n, o->epochs, o->logged);
    char *larger = realloc(*payload, whole);
    if (larger == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the log of an original");
    }
    *payload = larger;
    memset(larger + size, 0, whole - size);
    lo_original_map(o, larger);
    lo_original_without(o, NULL);
    for (int q = FIRST_QUANTITIES; q < LO_LOG_QUANTITIES; q++) {
        lo_original_without(o, o->log.example[q]);
    }
    return LO_OK;
}

static bool is_whole(const fixed *f, size_t size, int64_t n, int64_t epochs, bool *early)
{
    const unsigned logged = (unsigned)f->logged;
    *early = size == first_size(n, epochs, logged);
    return (*early || size == lo_original_size(n, epochs, logged)) && f->n == n && f->epochs == epochs;
}

lo_status lo_original_read(char **payload, size_t size, int64_t n, int64_t epochs, unsigned logged,
                           lo_original *out, lo_error *err)
{
    fixed f = {0};
    bool early = false;
    if (size >= sizeof(f)) {
        memcpy(&f, *payload, sizeof(f));
    }
    if (!is_whole(&f, size, n, epochs, &early)) {
        return lo_fail(
            err, LO_DATA,
            "a record of %zu bytes, %lld examples and %lld epochs; %zu, %lld and %lld are expected", size,
            (long long)f.n, (long long)f.epochs, lo_original_size(n, epochs, logged), (long long)n,
            (long long)epochs);
    }
    if ((logged & ~(unsigned)f.logged) != 0 || (early && logged != 0)) {
        return lo_fail(err, LO_DATA, "a training whose log lacks what a score needs of every example");
    }
    *out = (lo_original){.n = n,
                         .epochs = epochs,
                         .logged = (unsigned)f.logged,
                         .seed = f.seed,
                         .seconds = f.seconds,
                         .test_accuracy = f.test_accuracy,
                         .diverged = f.diverged};
    memcpy(out->processor, f.processor, sizeof(out->processor));
    lo_original_map(out, *payload);
    return early ? fill_up(out, payload, size, err) : LO_OK;
}

unsigned lo_originals_logged(const lo_job *job)
{
    const char *log = lo_job_text(job, "originals.log");
    lo_score_list list;
    const unsigned needs = lo_score_list_read(job, &list, NULL) == LO_OK ? lo_score_list_needs(&list) : 0;
    lo_score_list_destroy(&list);
    unsigned logged = strcmp(log, "true") == 0 ? LO_LOGGED_OUTPUTS : 0;
    if (strcmp(log, "false") != 0 && (needs & LO_FROM_LOG) != 0) {
        logged |= LO_LOGGED_OUTPUTS;
    }
    if (strcmp(log, "false") != 0 && (needs & LO_FROM_INPUT_SQUARES) != 0) {
        logged |= LO_LOGGED_OUTPUTS | LO_LOGGED_GRADIENTS;
    }
    return logged;
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
