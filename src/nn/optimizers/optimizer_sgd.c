/* Stochastic gradient descent with momentum, as torch.optim.SGD without dampening: Sutskever, Martens, Dahl
 * and Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013. */
#include "nn/optimizers/optimizer.h"

static void update(const lo_recipe *recipe, lo_network *network, const lo_optimizer_state *state, double lr,
                   double scale, size_t from, size_t count)
{
    const lo_kernels *kernels = network->kernels;
    const lo_sgd sgd = {.lr = (float)lr,
                        .momentum = (float)recipe->momentum,
                        .weight_decay = (float)recipe->weight_decay,
                        .scale = (float)scale};
    (recipe->nesterov ? kernels->sgd_nesterov
                      : kernels->sgd)(&sgd, count, network->weights + from, state->array[0] + from,
                                      network->gradient + from, lo_network_bits(network, from));
}

const lo_optimizer_type lo_optimizer_type_sgd = {"sgd", 1, update};
