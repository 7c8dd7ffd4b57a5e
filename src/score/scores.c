#include "score/scores.h"

#include <assert.h>
#include <string.h>

/* Every score, in the order in which they are listed: lo_score_NAME is defined in score_NAME.c. */
#define SCORES(X)                                                                                            \
    X(memorization)                                                                                          \
    X(cscore)                                                                                                \
    X(confidence)                                                                                            \
    X(max_confidence)                                                                                        \
    X(entropy)                                                                                               \
    X(binary_accuracy)                                                                                       \
    X(csl)                                                                                                   \
    X(aum)                                                                                                   \
    X(forgetting)                                                                                            \
    X(epochs_to_learn)                                                                                       \
    X(variability)                                                                                           \
    X(csg)                                                                                                   \
    X(sgal)                                                                                                  \
    X(loss_curvature)                                                                                        \
    X(loss_sensitivity)                                                                                      \
    X(grand)                                                                                                 \
    X(el2n)                                                                                                  \
    X(vog)                                                                                                   \
    X(tracin)                                                                                                \
    X(final_loss)                                                                                            \
    X(holdout_retraining)                                                                                    \
    X(prediction_depth)                                                                                      \
    X(knn_disagreement)                                                                                      \
    X(ssft)                                                                                                  \
    X(ensemble_disagreement)                                                                                 \
    X(few_models)                                                                                            \
    X(hybrid)                                                                                                \
    X(screening)

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
