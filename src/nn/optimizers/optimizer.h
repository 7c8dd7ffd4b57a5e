/* Optimizers: how a step changes the weights, given the gradient. One file each, optimizer_*.c; the table is
 * in optimizers.c. */
#ifndef LEAVEOUT_NN_OPTIMIZER_H
#define LEAVEOUT_NN_OPTIMIZER_H

#include "nn/network.h"
#include "nn/training.h"

enum { LO_OPTIMIZER_STATES = 2 };

/* An optimizer at work on one network. */
typedef struct lo_optimizer_state {
    float *array[LO_OPTIMIZER_STATES]; /* [weight_size]: velocity, moments; as many as the type asks for */
    int64_t steps;                     /* taken since the start */
} lo_optimizer_state;

typedef struct lo_optimizer_type {
    const char *name;
    int arrays; /* floats that it keeps for each weight */
    /* Takes step number state->steps (1 is the first) with learning rate lr, on `scale` times the network's
     * gradient, for weights from .. from + count - 1; what masks hold keeps its bits, in the state too. */
    void (*update)(const lo_recipe *recipe, lo_network *network, const lo_optimizer_state *state, double lr,
                   double scale, size_t from, size_t count);
} lo_optimizer_type;

extern const lo_optimizer_type lo_optimizer_type_sgd, lo_optimizer_type_adamw;

/* The recipe's optimizer; NULL where the table has none such. */
const lo_optimizer_type *lo_optimizer_of(const lo_recipe *recipe);

/* Takes the state's memory; called twice, first to count. */
void lo_optimizer_reserve(lo_optimizer_state *state, const lo_recipe *recipe, const lo_network *network,
                          lo_memory *memory);

/* Forgets all steps. */
void lo_optimizer_start(lo_optimizer_state *state, const lo_network *network);

/* One step from the network's gradient, clipped as the recipe says. */
void lo_optimizer_step(lo_optimizer_state *state, const lo_recipe *recipe, lo_network *network, double lr);

#endif
