/* What scores with gradients share: the points of a training that they look at, and gradients in the input
 * of examples as they are and moved. */
#ifndef LEAVEOUT_SCORE_GRADIENTS_H
#define LEAVEOUT_SCORE_GRADIENTS_H

#include "nn/output.h"
#include "nn/per_example.h"
#include "score/scores.h"

#include <stddef.h>
#include <stdint.h>

/* The setting `over`, and lo_score.check for it: the checkpoints must be kept. */
extern const lo_setting lo_score_over;
lo_status lo_score_check_over(const lo_score_input *input, lo_error *err);

/* The points of an original's training, for input->load: with over: checkpoints those that are kept,
 * ascending, and then 0, the end; else 0 alone. A checkpoint after the last epoch is the end. point has room
 * for input->checkpoints + 1; returns how many. */
int lo_score_points(const lo_score_input *input, bool checkpoints, int64_t *point);

/* The loss that the recipe trains on. */
lo_output lo_score_loss(const lo_score_input *input);

/* Gradients in the network's input of some of this shard's examples, a block at a time. */
enum { LO_GRADIENT_BLOCK = 128 };
typedef struct lo_input_gradients {
    const lo_score_input *input;
    size_t size; /* of an example's input and of its gradient */
    lo_per_example *own, *given;
    lo_dataset plain; /* whose examples are inputs already */
    float *scale, *shift;
} lo_input_gradients;

/* For plans: adds the work of `passes` such gradients of all examples, and of moving so many inputs. */
void lo_input_gradients_add_work(const lo_score_input *input, double passes, double moved,
                                 lo_score_work *work);

/* Errors: LO_INTERNAL without memory; those of lo_per_example_create. Destroy it in any case. */
lo_status lo_input_gradients_create(const lo_score_input *input, lo_input_gradients *out, lo_error *err);
void lo_input_gradients_destroy(lo_input_gradients *gradients);

/* Examples first .. first + count - 1 of the training set, count <= LO_GRADIENT_BLOCK: gradients [count,
 * size] of the output with the network's weights, at their inputs, or at x [count, size]. */
lo_status lo_input_gradients_at_own(const lo_input_gradients *g, int64_t first, int64_t count,
                                    const lo_output *output, float *gradients, lo_error *err);
lo_status lo_input_gradients_at(const lo_input_gradients *g, int64_t first, int64_t count, const float *x,
                                const lo_output *output, float *gradients, lo_error *err);

/* The input of an example: x [size]. */
void lo_input_of(const lo_input_gradients *g, int64_t example, float *x);

#endif
