/* Softmax cross-entropy, and what logits say about an example. Logits are [examples, step], of which the
 * first `classes` columns count. */
#ifndef LEAVEOUT_NN_LOSS_H
#define LEAVEOUT_NN_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sum of the losses of a batch of `batch` examples over `examples` of them; slope [examples, step]: the
 * gradient of the batch's mean, 0 in padding. The target is 1 - smoothing at the label plus smoothing /
 * classes everywhere, as torch.nn.CrossEntropyLoss has it (Szegedy et al., "Rethinking the Inception
 * architecture", CVPR 2016); 0: the label alone. *correct is raised by the number of examples whose label has
 * the largest logit. */
double lo_softmax_loss_of(const float *logits, size_t step, const int32_t *labels, size_t examples,
                          size_t batch, int32_t classes, double smoothing, float *slope, int64_t *correct);

/* The same of all of them. */
double lo_softmax_loss(const float *logits, size_t step, const int32_t *labels, size_t examples,
                       int32_t classes, double smoothing, float *slope, int64_t *correct);

/* Is the label's logit the largest, and the first such? False where a NaN has a say. */
bool lo_is_correct(const float *logits, int32_t classes, int32_t label);

/* phi = z_label - log(sum of exp(z_other)), which is the logit of the label's probability. NaN where a logit
 * is. */
float lo_logit_margin(const float *logits, int32_t classes, int32_t label);

/* z_label - the largest of the other z. NaN where a logit is. */
float lo_logit_gap(const float *logits, int32_t classes, int32_t label);

/* The largest probability that softmax gives a class, and the entropy of the probabilities in nats, which is
 * logsumexp(z) - sum of p z. Both keep their precision where one probability is almost 1. NaN where a logit
 * is. */
void lo_softmax_spread(const float *logits, int32_t classes, float *largest, float *entropy);

/* The loss of one example, as lo_softmax_loss sums it; from its margin, because log(1 + exp(-margin)) keeps
 * its precision where the probability is almost 1. */
float lo_example_loss(const float *logits, int32_t classes, int32_t label, double smoothing, float margin);

#endif
