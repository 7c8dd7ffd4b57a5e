/* AdamW, as torch.optim.AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019. The
 * decay multiplies the weights by 1 - lr weight_decay before the step and stays out of the moments. */
#include "nn/optimizers/optimizer.h"

#include <math.h>

static void update(const lo_recipe *recipe, lo_network *network, const lo_optimizer_state *state, double lr,
                   double scale, size_t from, size_t count)
{
    const double steps = (double)state->steps;
    const lo_adamw adamw = {.rate = (float)(lr / (1 - pow(recipe->beta1, steps))),
                            .keep = (float)(1 - lr * recipe->weight_decay),
                            .beta1 = (float)recipe->beta1,
                            .rest1 = (float)(1 - recipe->beta1),
                            .beta2 = (float)recipe->beta2,
                            .rest2 = (float)(1 - recipe->beta2),
                            .correction = (float)(1 / sqrt(1 - pow(recipe->beta2, steps))),
                            .epsilon = (float)recipe->epsilon,
                            .scale = (float)scale};
    network->kernels->adamw(&adamw, count, network->weights + from, state->array[0] + from,
                            state->array[1] + from, network->gradient + from, lo_network_bits(network, from));
}

const lo_optimizer_type lo_optimizer_type_adamw = {"adamw", 2, update};
