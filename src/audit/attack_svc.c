/* The support-vector attack. Points are sorted, so that libsvm, whose result depends on their order in the
 * last digits, sees the same problem whatever order they come in. */
#include "audit/attack.h"

#include "base/random.h"

#include <libsvm/svm.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of [count, size] without NaN, sorted, then at most `most` of them, drawn with the seed, in that order.
 */
typedef struct chosen {
    double *value; /* [count, size], with one more number before each row: its class */
    int64_t count;
} chosen;

static int by_row(const void *a, const void *b)
{
    const double *x = a, *y = b;
    for (int k = 1; k <= (int)x[0]; k++) {
        if (x[k] != y[k]) {
            return x[k] < y[k] ? -1 : 1;
        }
    }
    return 0;
}

static bool has_nan(const double *row, int64_t size)
{
    for (int64_t k = 0; k < size; k++) {
        if (isnan(row[k])) {
            return true;
        }
    }
    return false;
}

/* At most `most` (0: all) of the points, drawn with the seed. */
static lo_status choose(lo_points points, int64_t size, int64_t most, uint64_t seed, uint64_t stream,
                        chosen *out, lo_error *err)
{
    const size_t row = (size_t)size + 1;
    out->value = malloc(((size_t)points.count + 1) * row * sizeof(*out->value));
    if (out->value == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld points", (long long)points.count);
    }
    int64_t n = 0;
    for (int64_t i = 0; i < points.count; i++) {
        const double *from = points.value + i * size;
        if (!has_nan(from, size)) {
            out->value[(size_t)n * row] = (double)size;
            memcpy(out->value + (size_t)n * row + 1, from, (size_t)size * sizeof(*from));
            n++;
        }
    }
    qsort(out->value, (size_t)n, row * sizeof(*out->value), by_row);
    out->count = n;
    if (most > 0 && n > most) {
        const lo_permutation drawn =
            lo_permutation_make(lo_random_make(seed, LO_FOR_AUDIT), stream, (uint64_t)n);
        int64_t kept = 0;
        for (int64_t i = 0; i < n; i++) {
            if (lo_permutation_at(&drawn, (uint64_t)i) < (uint64_t)most) {
                memmove(out->value + (size_t)kept++ * row, out->value + (size_t)i * row,
                        row * sizeof(*out->value));
            }
        }
        out->count = kept;
    }
    return LO_OK;
}

static void silent(const char *text)
{
    (void)text;
}

/* A problem of libsvm: rows as its sparse nodes, numbered from 1. */
typedef struct problem {
    struct svm_problem svm;
    struct svm_node *node;
} problem;

static void fill(problem *p, const chosen *points, int64_t size, double label)
{
    for (int64_t i = 0; i < points->count; i++) {
        struct svm_node *node = p->node + (int64_t)p->svm.l * (size + 1);
        const double *row = points->value + i * (size + 1) + 1;
        for (int64_t k = 0; k < size; k++) {
            node[k] = (struct svm_node){(int)k + 1, row[k]};
        }
        node[size].index = -1;
        p->svm.x[p->svm.l] = node;
        p->svm.y[p->svm.l++] = label;
    }
}

static void release(problem *p)
{
    free(p->node);
    free(p->svm.x);
    free(p->svm.y);
}

static lo_status pose(const chosen *member, const chosen *other, int64_t size, problem *p, lo_error *err)
{
    const size_t n = (size_t)(member->count + other->count);
    *p = (problem){.node = malloc(n * ((size_t)size + 1) * sizeof(*p->node))};
    p->svm.x = malloc(n * sizeof(struct svm_node *));
    p->svm.y = malloc(n * sizeof(*p->svm.y));
    if (p->node == NULL || p->svm.x == NULL || p->svm.y == NULL) {
        release(p);
        return lo_fail(err, LO_INTERNAL, "no memory for a support-vector machine of %zu points", n);
    }
    fill(p, member, size, 1);
    fill(p, other, size, 0);
    return LO_OK;
}

static lo_status fit(const problem *p, int64_t size, struct svm_model **model, lo_error *err)
{
    const struct svm_parameter parameter = {.svm_type = C_SVC,
                                            .kernel_type = RBF,
                                            .gamma = 1.0 / (double)size,
                                            .C = 3,
                                            .cache_size = 200,
                                            .eps = 1e-3,
                                            .shrinking = 1};
    const char *wrong = svm_check_parameter(&p->svm, &parameter);
    if (wrong != NULL) {
        return lo_fail(err, LO_INTERNAL, "libsvm: %s", wrong);
    }
    svm_set_print_string_function(silent);
    *model = svm_train(&p->svm, &parameter);
    return *model != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "libsvm could not fit %d points", p->svm.l);
}

/* How many of the points the machine takes for members. */
static lo_status count_members(const struct svm_model *model, const chosen *points, int64_t size,
                               int64_t *members, lo_error *err)
{
    problem p;
    const chosen none = {0};
    LO_TRY(pose(points, &none, size, &p, err));
    *members = 0;
    for (int i = 0; i < p.svm.l; i++) {
        *members += svm_predict(model, p.svm.x[i]) > 0.5 ? 1 : 0;
    }
    release(&p);
    return LO_OK;
}

static lo_status enough(const chosen *member, const chosen *other, const chosen *forget, lo_error *err)
{
    if (member->count < 2 || other->count < 2 || forget->count < 1) {
        return lo_fail(
            err, LO_DATA,
            "mia_svc has %lld members, %lld non-members and %lld examples to judge; it needs 2, 2 and 1",
            (long long)member->count, (long long)other->count, (long long)forget->count);
    }
    return LO_OK;
}

/* What each of the points, in their own order, is taken for (each may be NULL), and how many for members. */
static lo_status judge(const struct svm_model *model, lo_points points, int64_t size, uint8_t *each,
                       int64_t *members, lo_error *err)
{
    struct svm_node *node = malloc(((size_t)size + 1) * sizeof(*node));
    if (node == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a point");
    }
    *members = 0;
    for (int64_t i = 0; i < points.count; i++) {
        const double *row = points.value + i * size;
        for (int64_t k = 0; k < size; k++) {
            node[k] = (struct svm_node){(int)k + 1, row[k]};
        }
        node[size].index = -1;
        const bool left_out = has_nan(row, size), member = !left_out && svm_predict(model, node) > 0.5;
        *members += member;
        if (each != NULL) {
            each[i] = left_out ? LO_SVC_LEFT_OUT : member ? LO_SVC_MEMBER : LO_SVC_OTHER;
        }
    }
    free(node);
    return LO_OK;
}

/* judged, each: see lo_mia_svc_each. */
static lo_status attack(const chosen set[3], lo_points judged, int64_t size, const lo_tick *tick,
                        lo_efficacy *out, uint8_t *each, lo_error *err)
{
    problem p;
    LO_TRY(pose(&set[0], &set[1], size, &p, err));
    struct svm_model *model = NULL;
    int64_t member_found = 0, other_found = 0, forget_found = 0;
    lo_status status;
    LO_TRY_GOTO(status, lo_tick_call(tick), end);
    LO_TRY_GOTO(status, fit(&p, size, &model, err), end);
    LO_TRY_GOTO(status, lo_tick_call(tick), end);
    LO_TRY_GOTO(status, count_members(model, &set[0], size, &member_found, err), end);
    LO_TRY_GOTO(status, count_members(model, &set[1], size, &other_found, err), end);
    LO_TRY_GOTO(status, judge(model, judged, size, each, &forget_found, err), end);
    out->efficacy = lo_share(set[2].count - forget_found, set[2].count);
    out->fitted = p.svm.l;
    out->accuracy = (double)(member_found + set[1].count - other_found) / (double)p.svm.l;
end:
    svm_free_and_destroy_model(&model);
    release(&p);
    return status;
}

lo_status lo_mia_svc(lo_points member, lo_points other, lo_points forget, int64_t size, int64_t most,
                     uint64_t seed, const lo_tick *tick, lo_efficacy *out, lo_error *err)
{
    return lo_mia_svc_each(member, other, forget, size, most, seed, tick, out, NULL, err);
}

lo_status lo_mia_svc_each(lo_points member, lo_points other, lo_points forget, int64_t size, int64_t most,
                          uint64_t seed, const lo_tick *tick, lo_efficacy *out, uint8_t *each, lo_error *err)
{
    int64_t limit = most > 0 ? most : LO_SVC_MOST;
    limit = member.count < limit ? member.count : limit;
    limit = other.count < limit ? other.count : limit;
    *out = (lo_efficacy){.efficacy = lo_unbounded_nan()};
    chosen set[3] = {{0}};
    lo_status status;
    LO_TRY_GOTO(status, choose(member, size, limit, seed, 0, &set[0], err), end);
    LO_TRY_GOTO(status, choose(other, size, limit, seed, 1, &set[1], err), end);
    LO_TRY_GOTO(status, choose(forget, size, 0, seed, 2, &set[2], err), end);
    LO_TRY_GOTO(status, enough(&set[0], &set[1], &set[2], err), end);
    out->left_out = forget.count - set[2].count;
    LO_TRY_GOTO(status, attack(set, forget, size, tick, out, each, err), end);
end:
    for (int i = 0; i < 3; i++) {
        free(set[i].value);
    }
    return status;
}
