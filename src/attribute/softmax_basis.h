/* The change between K = classes - 1 parameters and class logits that sum to zero: see softmax.h. */
#ifndef LEAVEOUT_ATTRIBUTE_SOFTMAX_BASIS_H
#define LEAVEOUT_ATTRIBUTE_SOFTMAX_BASIS_H

#include <math.h>
#include <stdint.h>

typedef struct lo_basis {
    int32_t classes;
    double a, b;
} lo_basis;

static inline lo_basis lo_basis_make(int32_t classes)
{
    const double root = sqrt((double)classes);
    return (lo_basis){classes, 1 / (classes - root), 1 / root};
}

/* z = Q u */
static inline void lo_basis_expand(const lo_basis *basis, const double *u, double *z)
{
    const int32_t last = basis->classes - 1;
    double sum = 0;
    for (int32_t c = 0; c < last; c++) {
        sum += u[c];
    }
    for (int32_t c = 0; c < last; c++) {
        z[c] = u[c] - basis->a * sum;
    }
    z[last] = basis->b * sum;
}

/* u = Q'z */
static inline void lo_basis_reduce(const lo_basis *basis, const double *z, double *u)
{
    const int32_t last = basis->classes - 1;
    double sum = 0;
    for (int32_t c = 0; c < last; c++) {
        sum += z[c];
    }
    const double shift = basis->b * z[last] - basis->a * sum;
    for (int32_t c = 0; c < last; c++) {
        u[c] = z[c] + shift;
    }
}

/* R[k, l] = (Q'(diag p - p p')Q)[k, l], with q = Q'p. */
static inline double lo_basis_curvature(const lo_basis *basis, const double *p, const double *q, int64_t k,
                                        int64_t l)
{
    const double rest = p[basis->classes - 1];
    const double spread = basis->a * basis->a * (1 - rest) + basis->b * basis->b * rest;
    return (k == l ? p[k] : 0) - basis->a * (p[k] + p[l]) + spread - q[k] * q[l];
}

/* Logits to probabilities, in place; returns logsumexp. */
static inline double lo_basis_softmax(int32_t classes, double *z)
{
    double top = z[0];
    for (int32_t c = 1; c < classes; c++) {
        top = z[c] > top ? z[c] : top;
    }
    double sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        z[c] = exp(z[c] - top);
        sum += z[c];
    }
    for (int32_t c = 0; c < classes; c++) {
        z[c] /= sum;
    }
    return top + log(sum);
}

#endif
