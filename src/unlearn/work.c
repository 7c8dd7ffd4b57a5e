#include "unlearn/work.h"

#include <string.h>

void lo_work_train(lo_unlearn_work *work, lo_set set, double examples)
{
    work->read[set] += examples;
    work->trained += examples;
}

void lo_work_evaluate(lo_unlearn_work *work, lo_set set, double examples)
{
    work->read[set] += examples;
    work->evaluated += examples;
}

void lo_work_sum(lo_unlearn_work *work, lo_set set, double examples)
{
    work->read[set] += examples;
    work->summed += examples;
}

static int64_t batch_of(const lo_unlearn_sizes *sizes, int64_t batch)
{
    return batch > 0 ? batch : sizes->batch;
}

int64_t lo_work_batches(const lo_unlearn_sizes *sizes, int64_t batch, int64_t count)
{
    const int64_t size = batch_of(sizes, batch);
    return (count + size - 1) / size;
}

double lo_work_cycled(const lo_unlearn_sizes *sizes, int64_t batch, int64_t count, int64_t taken)
{
    const int64_t batches = lo_work_batches(sizes, batch, count);
    if (batches == 0) {
        return 0;
    }
    /* All but the last of a pass are whole, so those of an unfinished one are. */
    return (double)(taken / batches * count + taken % batches * batch_of(sizes, batch));
}

lo_unlearn_work lo_work_retain_epochs(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    lo_unlearn_work work = {.trained = 0};
    lo_work_train(&work, LO_SET_RETAIN, (double)(lo_item_int(settings, "epochs") * sizes->retain));
    return work;
}

lo_work_rates lo_work_rates_of(const lo_network *network, double trained, double evaluated)
{
    lo_work_rates rates = {.trained = trained, .evaluated = evaluated};
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const lo_layer *layer = network->layer[p->layer];
        const bool vector = layer->in.height == 1 && layer->in.width == 1;
        const double count = p->statistic ? 0 : (double)(p->out * p->in * p->taps);
        *(vector && strcmp(layer->type->name, "linear") == 0 ? &rates.factored : &rates.formed) += count;
    }
    return rates;
}

double lo_unlearn_seconds(const lo_unlearn_work *work, const lo_work_rates *rates)
{
    /* A training step on an example is a pass forward and two as long backward, of the weights' gradients and
     * of the values'. A product with the Gauss-Newton matrix has two passes forward for the tangents and one
     * for the values; what it needs of the loss takes no time. */
    const double product = 5.0 / 3.0;
    /* Of one weight and one example: 20 bytes that are read and written, in the caches or beyond; of factors
     * a product, a conversion and a sum in double. docs/performance.md. */
    const double in_caches = 0.7e-9, beyond = 1.8e-9, of_factors = 0.18e-9, cached = 1 << 18;
    const double of_drawing = 16e-9; /* of a weight */
    const double summed = rates->formed * (rates->formed > cached ? beyond : in_caches);
    return (work->trained + work->summed + product * work->products) / rates->trained +
           work->evaluated / rates->evaluated + work->drawn * of_drawing * (rates->formed + rates->factored) +
           work->summed * (summed + of_factors * rates->factored);
}
