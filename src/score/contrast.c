/* The influence contrast from packed bits. The formula is in contrast_kernel.h.
 *
 * Loops: tiles of training columns (packed, with what is needed per column, to stay in the L2 cache) x blocks
 * of eight test rows x groups of sixteen columns. Results go through a small buffer to memory past the
 * caches. */
#include "score/columns.h"
#include "score/contrast_kernel.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { ROWS = LO_CONTRAST_ROWS, LANES = LO_CONTRAST_LANES, TILE_BYTES = 256 * 1024, TILE_COLUMNS = 4096 };

/* Results of one block of rows on one tile before they are written. */
typedef struct lines {
    float value[ROWS][TILE_COLUMNS];
    float error[ROWS][TILE_COLUMNS];
} lines;

typedef struct workspace {
    uint64_t *use;                /* [words] */
    uint64_t *panel;              /* [row blocks, words, ROWS] the outcomes in use */
    double *hits;                 /* [row blocks, ROWS] models right on each row */
    uint64_t *tile;               /* [groups in a tile, words, LANES] */
    lo_contrast_factors *factors; /* [groups in a tile] */
    lines *lines;
} workspace;

static void *take(int64_t count, size_t size)
{
    if (size != 0 && (uint64_t)count > (SIZE_MAX / 2) / size) {
        return NULL;
    }
    const size_t bytes = ((size_t)count * size + 63) / 64 * 64;
    return aligned_alloc(64, bytes > 0 ? bytes : 64);
}

static void release(workspace *work)
{
    free(work->use);
    free(work->panel);
    free(work->hits);
    free(work->tile);
    free(work->factors);
    free(work->lines);
}

static bool reserve(workspace *work, int64_t words, int64_t blocks, int64_t groups)
{
    *work = (workspace){
        .use = take(words, sizeof(*work->use)),
        .panel = take(blocks * ROWS * words, sizeof(*work->panel)),
        .hits = take(blocks * ROWS, sizeof(*work->hits)),
        .tile = take(groups * LANES * words, sizeof(*work->tile)),
        .factors = take(groups, sizeof(*work->factors)),
        .lines = take(1, sizeof(*work->lines)),
    };
    return work->use != NULL && work->panel != NULL && work->hits != NULL && work->tile != NULL &&
           work->factors != NULL && work->lines != NULL;
}

/* Copies `lanes` neighbouring columns of every word, from column `first`, into [words, lanes], models not in
 * use cleared, and counts the ones of each column. Spare columns up to the stride are zero. */
static void pack(const lo_columns *columns, const uint64_t *use, int64_t first, int lanes, uint64_t *packed,
                 double *ones)
{
    const int64_t words = lo_words_of(columns->models);
    int64_t total[LANES] = {0};
    for (int64_t w = 0; w < words; w++) {
        const uint64_t *from = columns->word + w * columns->stride + first;
        for (int i = 0; i < lanes; i++) {
            const uint64_t word = from[i] & use[w];
            packed[w * lanes + i] = word;
            total[i] += lo_ones(word);
        }
    }
    for (int i = 0; i < lanes; i++) {
        ones[i] = (double)total[i];
    }
}

static void prepare_factors(lo_contrast_factors *f, double models)
{
    for (int i = 0; i < LANES; i++) {
        const double in = f->in[i];
        const double out = models - in;
        const bool defined = in > 0 && out > 0;
        f->scale[i] = defined ? 1 / (in * out) : (double)NAN;
        f->cube_in[i] = defined ? 1 / ((in + 2) * (in + 2) * (in + 2)) : (double)NAN;
        f->cube_out[i] = 1 / ((out + 2) * (out + 2) * (out + 2));
    }
}

/* memcpy past the caches: nobody reads a contrast before millions more are written. */
static void write_past_caches(float *to, const float *from, int64_t count)
{
    int64_t i = 0;
#if defined(__SSE2__)
    for (; i < count && ((uintptr_t)(to + i) & 15) != 0; i++) {
        to[i] = from[i];
    }
    for (; i + 4 <= count; i += 4) {
        _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
    }
#endif
    if (i < count) {
        memcpy(to + i, from + i, (size_t)(count - i) * sizeof(*to));
    }
}

static void order_writes(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* Columns in a tile: as many groups as stay in the L2 cache, at least one. */
static int64_t groups_in_tile(int64_t words, int64_t stride)
{
    int64_t groups = TILE_BYTES / (int64_t)sizeof(uint64_t) / LANES / (words > 0 ? words : 1);
    groups = groups < TILE_COLUMNS / LANES ? groups : TILE_COLUMNS / LANES;
    groups = groups < stride / LANES ? groups : stride / LANES;
    return groups > 1 ? groups : 1;
}

lo_status lo_contrast_with(const lo_contrast_kernel *kernel, const lo_columns *mask,
                           const lo_columns *correct, const uint8_t *use, float *contrast, float *error,
                           const lo_tick *tick)
{
    if (mask->models != correct->models || mask->models > 1 << 24) {
        return LO_INTERNAL;
    }
    const int64_t words = lo_words_of(mask->models);
    const int64_t rows = correct->count;
    const int64_t blocks = (rows + ROWS - 1) / ROWS;
    const int64_t all_groups = mask->stride / LANES;
    const int64_t tile_groups = groups_in_tile(words, mask->stride);
    lo_status status = LO_OK;
    workspace work;
    if (!reserve(&work, words, blocks, tile_groups)) {
        status = LO_INTERNAL;
        goto done;
    }
    double models = 0;
    for (int64_t w = 0; w < words; w++) {
        work.use[w] = lo_selection_word(use, mask->models, w);
        models += (double)lo_ones(work.use[w]);
    }
    for (int64_t b = 0; b < blocks; b++) {
        pack(correct, work.use, b * ROWS, ROWS, work.panel + b * ROWS * words, work.hits + b * ROWS);
        LO_TRY_GOTO(status, lo_tick_call(tick), done);
    }
    for (int64_t first = 0; first < all_groups; first += tile_groups) {
        const int64_t groups = all_groups - first < tile_groups ? all_groups - first : tile_groups;
        const int64_t column = first * LANES;
        const int64_t columns = mask->count - column < groups * LANES ? mask->count - column : groups * LANES;
        for (int64_t g = 0; g < groups; g++) {
            pack(mask, work.use, column + g * LANES, LANES, work.tile + g * LANES * words,
                 work.factors[g].in);
            prepare_factors(&work.factors[g], models);
        }
        for (int64_t b = 0; b < blocks; b++) {
            const int valid = rows - b * ROWS < ROWS ? (int)(rows - b * ROWS) : ROWS;
            for (int64_t g = 0; g < groups; g++) {
                const lo_contrast_block block = {
                    .words = words,
                    .mask = work.tile + g * LANES * words,
                    .correct = work.panel + b * ROWS * words,
                    .factors = &work.factors[g],
                    .hits = work.hits + b * ROWS,
                    .models = models,
                    .stride = TILE_COLUMNS,
                    .value = work.lines->value[0] + g * LANES,
                    .error = error != NULL ? work.lines->error[0] + g * LANES : NULL,
                };
                kernel->compute(&block);
            }
            for (int r = 0; r < valid; r++) {
                const int64_t at = (b * ROWS + r) * mask->count + column;
                write_past_caches(contrast + at, work.lines->value[r], columns);
                if (error != NULL) {
                    write_past_caches(error + at, work.lines->error[r], columns);
                }
            }
            LO_TRY_GOTO(status, lo_tick_call(tick), done);
        }
    }
done:
    order_writes();
    release(&work);
    return status;
}

const lo_contrast_kernel *lo_contrast_kernel_at(int i)
{
    static const lo_contrast_kernel portable = {"portable", lo_contrast_portable};
#if defined(__x86_64__)
    static const lo_contrast_kernel avx2 = {"avx2", lo_contrast_avx2};
    static const lo_contrast_kernel avx512 = {"avx512", lo_contrast_avx512};
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
                          __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq");
    const lo_contrast_kernel *const levels[] = {&portable, has_avx2 ? &avx2 : NULL,
                                                has_avx512 ? &avx512 : NULL};
#else
    const lo_contrast_kernel *const levels[] = {&portable};
#endif
    return i >= 0 && i < (int)(sizeof(levels) / sizeof(levels[0])) ? levels[i] : NULL;
}

static const lo_contrast_kernel *best_kernel(void)
{
    const lo_contrast_kernel *best = lo_contrast_kernel_at(0);
    for (int i = 1; lo_contrast_kernel_at(i) != NULL; i++) {
        best = lo_contrast_kernel_at(i);
    }
    return best;
}

lo_status lo_contrast(const lo_columns *mask, const lo_columns *correct, const uint8_t *use, float *contrast,
                      float *error, const lo_tick *tick)
{
    return lo_contrast_with(best_kernel(), mask, correct, use, contrast, error, tick);
}

const char *lo_contrast_level(void)
{
    return best_kernel()->name;
}
