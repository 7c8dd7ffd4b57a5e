/* Probes: which training examples are nearest to one by what a layer of a network makes of them. */
#ifndef LEAVEOUT_SCORE_PROBE_H
#define LEAVEOUT_SCORE_PROBE_H

#include "nn/network.h"
#include "nn/per_example.h"
#include "score/scores.h"

/* The hidden values that all of a network's paths go through, in their order: what each block makes. values
 * has room for network->layer_count; returns how many there are. */
int lo_probe_values(const lo_network *network, int *values);

/* Of each of this shard's examples (input->first, input->count) the k nearest of all training examples by a
 * value of the network's current weights in evaluation mode, itself left out: nearest [count, k], as of
 * lo_neighbours. Exact, so the same on any shard. All examples pass the network once for every 256 MiB of the
 * shard's features. Errors: LO_INTERNAL without memory; what the tick returns. */
lo_status lo_probe_neighbours(const lo_score_input *input, lo_per_example *pass, int value, int64_t k,
                              int64_t *nearest, lo_error *err);

/* For plans, with input->network built: adds what lo_probe_neighbours takes of one rank that has all
 * examples.
 */
void lo_probe_add_work(const lo_score_input *input, int value, int64_t k, lo_score_work *work);

/* The network of the input's model, for the works of scores; NULL where it cannot be built. The caller
 * destroys it. */
lo_network *lo_probe_network(const lo_score_input *input);

#endif
