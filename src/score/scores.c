#include "score/scores.h"

#include <assert.h>
#include <string.h>

/* Every score, in the order in which they are listed: lo_score_NAME is defined in score_NAME.c. */
#define SCORES(X)                                                                                            \
    X(memorization)                                                                                          \
    X(cscore)

#define DECLARE(name) extern const lo_score lo_score_##name;
SCORES(DECLARE)

#define REFER(name) &lo_score_##name,
static const lo_score *const scores[] = {SCORES(REFER)};

int lo_score_count(void)
{
    return (int)(sizeof(scores) / sizeof(scores[0]));
}

const lo_score *lo_score_at(int i)
{
    assert(i >= 0 && i < lo_score_count());
    return scores[i];
}

const lo_score *lo_score_find(const char *name)
{
    for (int i = 0; i < lo_score_count(); i++) {
        if (strcmp(scores[i]->name, name) == 0) {
            return scores[i];
        }
    }
    return NULL;
}

static bool right(const lo_columns *correct, int64_t model, int64_t example)
{
    return (correct->word[(model / 64) * correct->stride + example] >> (model % 64) & 1) != 0;
}

static bool chosen(const uint8_t *use, int64_t model)
{
    return use == NULL || (use[model / 8] >> (model % 8) & 1) != 0;
}

void lo_count_pairs(const lo_design *design, const lo_columns *correct, const uint8_t *use, lo_pairs *pairs)
{
    assert(design->kind == LO_DESIGN_LEAVE_ONE_OUT && correct->count == design->n);
    memset(pairs, 0, (size_t)design->n * sizeof(*pairs));
    const int64_t models_a_seed = design->left_count + 1;
    for (int64_t twin = 0; twin < correct->models; twin += models_a_seed) {
        if (!chosen(use, twin)) {
            continue;
        }
        for (int64_t e = 0; e < design->left_count && twin + 1 + e < correct->models; e++) {
            const int64_t without = twin + 1 + e;
            if (!chosen(use, without)) {
                continue;
            }
            const int64_t example = design->left[e];
            const int gain = right(correct, twin, example) - right(correct, without, example);
            pairs[example].pairs++;
            pairs[example].plus += gain > 0;
            pairs[example].minus += gain < 0;
        }
    }
}
