#include "base/pairwise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_A_TICK = 1 << 20 }; /* some milliseconds */

struct lo_pairwise {
    size_t size;
    int64_t terms, first, next, end;
    lo_pairwise_node node[LO_MOST_NODES];
    int nodes;
    double *room; /* of the next term; NULL: none was asked for */
    double *spare[LO_MOST_NODES];
    int spares;
};

lo_status lo_pairwise_create(size_t size, int64_t terms, int64_t first, int64_t count, lo_pairwise **out,
                             lo_error *err)
{
    lo_pairwise *sum = *out = calloc(1, sizeof(*sum));
    if (sum == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a sum");
    }
    sum->size = size;
    sum->terms = terms;
    sum->first = sum->next = first;
    sum->end = first + count;
    return LO_OK;
}

void lo_pairwise_destroy(lo_pairwise **sum)
{
    if (*sum == NULL) {
        return;
    }
    for (int i = 0; i < (*sum)->nodes; i++) {
        free((*sum)->node[i].value);
    }
    for (int i = 0; i < (*sum)->spares; i++) {
        free((*sum)->spare[i]);
    }
    free((*sum)->room);
    free(*sum);
    *sum = NULL;
}

/* Of `size` values those from `from` on that are done between two ticks. */
static size_t piece_of(size_t from, size_t size)
{
    return size - from < VALUES_A_TICK ? size - from : VALUES_A_TICK;
}

/* Zeros for a term. */
static lo_status take_room(lo_pairwise *sum, const lo_tick *tick, lo_error *err)
{
    if (sum->room == NULL) {
        sum->room = sum->spares > 0 ? sum->spare[--sum->spares] : malloc(sum->size * sizeof(double) + 1);
    }
    if (sum->room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a sum of terms of %zu values", sum->size);
    }
    for (size_t from = 0; from < sum->size; from += VALUES_A_TICK) {
        memset(sum->room + from, 0, piece_of(from, sum->size) * sizeof(double));
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

lo_status lo_pairwise_next(lo_pairwise *sum, const lo_tick *tick, double **term, lo_error *err)
{
    if (sum->next == sum->end) {
        return lo_fail(err, LO_INTERNAL, "a sum of %lld terms was given more of them",
                       (long long)(sum->end - sum->first));
    }
    LO_TRY(take_room(sum, tick, err));
    *term = sum->room;
    return LO_OK;
}

static lo_status add(double *restrict to, const double *restrict from, size_t size, const lo_tick *tick)
{
    for (size_t start = 0; start < size; start += VALUES_A_TICK) {
        for (size_t i = start, end = start + piece_of(start, size); i < end; i++) {
            to[i] += from[i];
        }
        LO_TRY(lo_tick_call(tick));
    }
    return LO_OK;
}

/* Are these two children of one node? */
static bool are_pair(const lo_pairwise_node *left, const lo_pairwise_node *right)
{
    return left->level == right->level && left->number % 2 == 0 && right->number == left->number + 1;
}

static lo_pairwise_node parent_of(const lo_pairwise_node *left)
{
    return (lo_pairwise_node){left->level + 1, left->number / 2, left->value};
}

lo_status lo_pairwise_take(lo_pairwise *sum, const lo_tick *tick)
{
    lo_pairwise_node *node = sum->node;
    node[sum->nodes++] = (lo_pairwise_node){0, sum->next++, sum->room};
    sum->room = NULL;
    while (sum->nodes > 1 && are_pair(&node[sum->nodes - 2], &node[sum->nodes - 1])) {
        LO_TRY(add(node[sum->nodes - 2].value, node[sum->nodes - 1].value, sum->size, tick));
        sum->nodes--;
        sum->spare[sum->spares++] = node[sum->nodes].value;
        node[sum->nodes - 1] = parent_of(&node[sum->nodes - 1]);
    }
    return LO_OK;
}

int lo_pairwise_nodes(lo_pairwise *sum, const lo_pairwise_node **nodes)
{
    *nodes = sum->node;
    return sum->nodes;
}

size_t lo_pairwise_size(const lo_pairwise *sum)
{
    return sum->size;
}

int64_t lo_pairwise_terms(const lo_pairwise *sum)
{
    return sum->terms;
}

int lo_pairwise_plan(int64_t first, int64_t count, lo_pairwise_node nodes[LO_MOST_NODES])
{
    int found = 0;
    for (int64_t at = first, end = first + count; at < end; found++) {
        /* The highest node that begins here and ends within the run. */
        int level = 0;
        while (at % (INT64_C(2) << level) == 0 && (INT64_C(2) << level) <= end - at) {
            level++;
        }
        nodes[found] = (lo_pairwise_node){level, at >> level, NULL};
        at += INT64_C(1) << level;
    }
    return found;
}

/* Is there no term in the node to the right of this one? */
static bool is_last(const lo_pairwise_node *node, int64_t terms)
{
    return (node->number + 1) << node->level >= terms;
}

lo_status lo_pairwise_join(int64_t terms, lo_pairwise_node *nodes, int count, size_t size,
                           const lo_tick *tick)
{
    for (int level = 0; count > 1; level++) {
        int kept = 0;
        for (int i = 0; i < count; i++) {
            lo_pairwise_node node = nodes[i];
            if (node.level == level && i + 1 < count && are_pair(&node, &nodes[i + 1])) {
                LO_TRY(add(node.value, nodes[++i].value, size, tick));
                node = parent_of(&node);
            } else if (node.level == level && is_last(&node, terms)) {
                node = parent_of(&node);
            }
            nodes[kept++] = node;
        }
        count = kept;
    }
    return LO_OK;
}

lo_status lo_pairwise_total(lo_pairwise *sum, const lo_tick *tick, double **total, lo_error *err)
{
    lo_pairwise_node nodes[LO_MOST_NODES];
    if (sum->first != 0 || sum->next != sum->terms) {
        return lo_fail(err, LO_INTERNAL, "a sum lacks terms");
    }
    if (sum->terms == 0) {
        LO_TRY(take_room(sum, tick, err));
        *total = sum->room;
        return LO_OK;
    }
    memcpy(nodes, sum->node, sizeof(nodes));
    LO_TRY(lo_pairwise_join(sum->terms, nodes, sum->nodes, sum->size, tick));
    *total = nodes[0].value;
    return LO_OK;
}
