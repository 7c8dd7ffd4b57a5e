/* The precision of a training's arithmetic. */
#ifndef LEAVEOUT_NN_PRECISION_H
#define LEAVEOUT_NN_PRECISION_H

#include <stdbool.h>

/* Of the operands of products. LO_BF16 rounds them to bfloat16 (to nearest, ties to even; what is too small
 * for a normal number becomes zero) where products and convolutions pack them; sums, weights, activations and
 * all else are float32 with both. */
typedef enum lo_precision { LO_F32, LO_BF16 } lo_precision;

/* "f32", "bf16"; any other name is f32. */
lo_precision lo_precision_named(const char *name);
const char *lo_precision_name(lo_precision precision);

/* Does this processor, at the level of the kernels in use, gain by bfloat16? It does where the peak of its
 * products, measured in some milliseconds, is at least 1.5 times float32's. */
bool lo_bf16_pays(void);

#endif
