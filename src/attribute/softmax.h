/* Softmax regression with a ridge (with two classes: logistic regression): its optimum, its curvature, and
 * what it would be without some of its examples, approximately and with a certificate.
 *
 *   minimize over W [classes, d]   (1/n) sum_i (logsumexp_c z_ic - z_i,label) + penalty / 2 |W but for the
 * intercepts|^2
 *
 * with logits z_i = W x_i. Leaving examples out drops their terms and changes nothing else: n stays, so the
 * penalty keeps its weight against each example that is left.
 *
 * Adding one vector to all rows of W changes no probability, and at the optimum the rows' sum is zero (that
 * of the intercepts, which have no penalty, is chosen so: the same model as with one class's intercept
 * fixed). So W = Q theta with the K = classes - 1 columns of Q orthonormal and orthogonal to the ones:
 * parameters theta [K, d], without a singular direction, with |theta| = |W|. Q is the first K columns of the
 * Householder reflection that maps the last unit vector to the ones' direction: with a = 1 / (classes -
 * sqrt(classes)), b = 1 / sqrt(classes), z_c = u_c - a sum(u) for c < K and z_K = b sum(u).
 *
 * Matrices of parameters are in the order of theta: row (k d + f) is weight f of output k. */
#ifndef LEAVEOUT_ATTRIBUTE_SOFTMAX_H
#define LEAVEOUT_ATTRIBUTE_SOFTMAX_H

#include "attribute/left_out.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

typedef struct lo_softmax {
    int64_t count, d; /* examples; numbers in a row, of which the last is 1 */
    int32_t classes;
    double penalty;       /* above 0 */
    const double *rows;   /* [count, d] */
    const int32_t *label; /* [count] */
} lo_softmax;

static inline int64_t lo_softmax_outputs(const lo_softmax *model)
{
    return model->classes - 1;
}

static inline int64_t lo_softmax_parameters(const lo_softmax *model)
{
    return lo_softmax_outputs(model) * model->d;
}

/* Logits of `count` rows under `models` parameter vectors: out [count, models, classes]. */
lo_status lo_softmax_logits(const lo_softmax *model, const double *rows, int64_t count, const double *theta,
                            int64_t models, double *out, lo_error *err);

/* ---- optima ---- */

/* Multiplies `count` vectors of parameters by a positive definite matrix that is near the inverse of the
 * Hessian. */
typedef struct lo_preconditioner {
    void (*apply)(void *self, int64_t count, const double *in, double *out);
    void *self;
} lo_preconditioner;

/* A preconditioner that is a symmetric matrix [parameters, parameters]. */
typedef struct lo_dense_preconditioner {
    int64_t size;
    const double *inverse;
} lo_dense_preconditioner;
lo_preconditioner lo_precondition_dense(lo_dense_preconditioner *self);

typedef struct lo_newton {
    double tolerance;    /* of the gradient's norm */
    int32_t steps;       /* at most */
    int32_t inner;       /* products with the Hessian in a step, at most */
    double inner_factor; /* a step's equations are solved to this share of the gradient, or 0.3 tolerance */
    const lo_preconditioner *preconditioner; /* NULL: none */
    const lo_tick *tick;
} lo_newton;

typedef struct lo_optimum {
    double gradient; /* norm of the objective's gradient where the search ended: the certificate */
    double objective;
    int32_t steps, products; /* of Newton, and with the Hessian */
} lo_optimum;

/* Newton's method with conjugate gradients for `problems` objectives at once, each without its own left-out
 * examples (NULL: none is), from theta [problems, parameters], where the results go. A step that
 * lowers the objective too little (Armijo) is halved. The problems share the passes over the examples; each
 * is solved as if alone. Ends at the tolerance or where one of the bounds does: result [problems] says which.
 * Cost, per product and problem: 4 count d K flops and the preconditioner's. Memory: problems (count classes
 * + 7 parameters) doubles. Errors: LO_INTERNAL without memory, what the tick returns. */
lo_status lo_softmax_minimize(const lo_softmax *model, const lo_newton *newton, const lo_left_out *left_out,
                              int64_t problems, double *theta, lo_optimum *result, lo_error *err);

/* The optimum over all examples, from zero: theta [parameters]. Preconditioned by the bound of D. Boehning,
 * "Multinomial logistic regression algorithm", Ann. Inst. Statist. Math. 44:197 (1992): the Hessian is at
 * most 1/2 I (x) X'X / n + the penalty. Errors: LO_INTERNAL when the tolerance is not reached; LO_USAGE when
 * the penalty is too small for double. */
lo_status lo_softmax_fit(const lo_softmax *model, double tolerance, const lo_tick *tick, double *theta,
                         lo_optimum *result, lo_error *err);

/* ---- curvature ---- */

/* Probabilities [count, classes] of the examples. */
lo_status lo_softmax_probabilities(const lo_softmax *model, const double *theta, double *probability,
                                   lo_error *err);

/* The Hessian's blocks: of outputs k and l, [d, d], symmetric: (1/n) sum_i R_i[k, l] x_i x_i', R_i = Q'(diag
 * p_i - p_i p_i')Q, and for k = l the penalty. There are K (K + 1) / 2 of them, each n d^2 multiply-adds. */
lo_status lo_softmax_hessian_block(const lo_softmax *model, const double *probability, int64_t k, int64_t l,
                                   const lo_tick *tick, double *out, lo_error *err);

/* Puts a block at (k, l) and (l, k) of a matrix [parameters, parameters]. */
void lo_softmax_place_block(const lo_softmax *model, const double *block, int64_t k, int64_t l,
                            double *matrix);

/* ---- gradients ---- */

/* Gradients of the margins phi of rows with these labels, by the parameters: out [count, parameters]. With e
 * the probability of all other classes, e[i], that of the label's probability is (1 - e) e times it, that of
 * the loss -e times it. Exact where e underflows in 1 - p. */
lo_status lo_softmax_margin_gradients(const lo_softmax *model, const double *theta, const double *rows,
                                      const int32_t *label, int64_t count, double *out, double *e,
                                      lo_error *err);

/* ---- approximate leave-one-out ---- */

/* One Newton step from the optimum on the objective without example i, in closed form: with J_i = I (x) x_i',
 * Q_i = J_i H^-1 J_i' and residual e_i = Q'(p_i - y_i),
 *   theta_-i = theta + (1/n) H^-1 J_i' c_i,   c_i = (I - R_i Q_i / n)^-1 e_i
 * for the examples [first, first + count): out [count, parameters]. K. Rahnama Rad and A. Maleki, "A scalable
 * estimate of the out-of-sample prediction error via approximate leave-one-out cross-validation", JRSS B
 * 82:965 (2020). inverse is H^-1. Cost: count parameters (parameters + d K). Errors: LO_INTERNAL. */
lo_status lo_softmax_alo(const lo_softmax *model, const double *probability, const double *theta,
                         const double *inverse, int64_t first, int64_t count, double *out, lo_error *err);

#endif
