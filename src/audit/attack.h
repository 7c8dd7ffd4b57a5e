/* Membership attacks on one model that need no other model: one or a few numbers per example (feature.h),
 * members against examples that the model never saw. For a forgotten class the latter must be of the same
 * class, or the attack tells classes apart: lo_same_class.
 *
 * Examples are sorted by what is known of them before anything is drawn, so their order changes nothing. NaN
 * values are left out. */
#ifndef LEAVEOUT_AUDIT_ATTACK_H
#define LEAVEOUT_AUDIT_ATTACK_H

#include "audit/interval.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* Which of rows [count] (NULL: 0 .. count - 1) have a label that occurs among those of forget [forget_count],
 * labels being numbers of `label`: out [count], in their order; their number is returned. test_label [..] is
 * read at rows, forget_label at forget. Classes are 0 .. classes - 1. Errors: LO_INTERNAL without memory;
 * LO_DATA where none has. */
lo_status lo_same_class(const int32_t *test_label, const uint32_t *rows, int64_t count,
                        const int32_t *forget_label, const uint32_t *forget, int64_t forget_count,
                        int32_t classes, uint32_t *out, int64_t *found, lo_error *err);

/* --- mia_svc: the support-vector attack (Jia et al., NeurIPS 2023; Fan et al., ICLR 2024) --- */

/* Values of examples, [count, size]. */
typedef struct lo_points {
    const double *value;
    int64_t count;
} lo_points;

typedef struct lo_efficacy {
    lo_bounded
        efficacy; /* the share of the forget set that is taken for non-members, in [0, 1]: the oracle's value
                   * is to be reached, not 1. Clopper and Pearson's interval over the forget set. */
    int64_t fitted;   /* points of either kind that the machine was fitted to */
    int64_t left_out; /* forget examples with NaN */
    double accuracy;  /* on the points that it was fitted to */
} lo_efficacy;

enum { LO_SVC_MOST = 10000 }; /* of each kind, where `most` is 0 */

/* A support-vector machine (libsvm; C = 3, radial basis functions, gamma = 1 / size) is fitted to members, of
 * the retain set, and non-members, of the test set: as many of each, at most `most`, drawn with the seed
 * where there are more. Errors: LO_DATA for fewer than 2 points of a kind or none to be forgotten;
 * LO_INTERNAL without memory; what tick returned, which is called before and after the fit: 20,000 points
 * take seconds. */
lo_status lo_mia_svc(lo_points member, lo_points other, lo_points forget, int64_t size, int64_t most,
                     uint64_t seed, const lo_tick *tick, lo_efficacy *out, lo_error *err);

/* The same; each [forget.count] says what every example of the forget set is taken for, so that shares of
 * parts of it add up to that of the whole. each may be NULL. */
enum { LO_SVC_MEMBER, LO_SVC_OTHER, LO_SVC_LEFT_OUT };
lo_status lo_mia_svc_each(lo_points member, lo_points other, lo_points forget, int64_t size, int64_t most,
                          uint64_t seed, const lo_tick *tick, lo_efficacy *out, uint8_t *each, lo_error *err);

/* --- mia_loss, mia_entropy: logistic regression on one number --- */

typedef struct lo_logistic {
    double slope, intercept;
} lo_logistic;

/* Minimizes slope^2 / 2 + c sum log(1 + exp(-s (slope x + intercept))), s = 1 for members and -1 for others
 * (scikit-learn's LogisticRegression; its default c is 1), by Newton's method, to a gradient of 1e-9 n. x [n]
 * finite.
 */
lo_logistic lo_logistic_fit(const double *x, const uint8_t *member, int64_t n, double c);

typedef struct lo_guess {
    lo_bounded accuracy; /* mean over splits; 0.5: nothing is told apart */
    int64_t used;        /* examples of either kind */
    int64_t splits;
} lo_guess;

enum { LO_SPLITS = 10 };

/* The starting kit's attack (2023 competition; nabla-tau; DeepUnlearn): as many members (the forget set) as
 * others, the larger side drawn from with the seed; LO_SPLITS times a tenth of each side is held out (rounded
 * up), the regression fitted to the rest, and its accuracy on what was held out taken. The interval is Nadeau
 * and Bengio's (Mach. Learn. 52:239, 2003), which counts that splits share examples. Errors: LO_DATA for
 * fewer than 10 of a kind; LO_INTERNAL without memory. */
lo_status lo_mia_logistic(const double *member, int64_t members, const double *other, int64_t others,
                          uint64_t seed, lo_guess *out, lo_error *err);

/* --- mia_population --- */

typedef struct lo_population_attack {
    double threshold; /* on the loss: taken for a member below or at it */
    double at;        /* false positive rate that it was chosen for */
    lo_bounded found; /* share of the forget set taken for members */
    lo_bounded
        false_found; /* the same of others that the threshold was not chosen on; NaN where there are none */
} lo_population_attack;

/* A threshold on the loss that at most a share `at` of a population that the model never saw is below or at
 * (Ye et al., CCS 2022, attack P), applied to the forget set, and to others to see what rate it has. Errors:
 * LO_DATA for a population of fewer than 1 / at; LO_INTERNAL without memory. */
lo_status lo_mia_population(const double *population, int64_t count, const double *forget,
                            int64_t forget_count, const double *other, int64_t others, double at,
                            lo_population_attack *out, lo_error *err);

#endif
