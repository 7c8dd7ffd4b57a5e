/* Where in a network examples are: which weights, or whole output channels, are chosen as those that matter
 * to them. What DEL resets and what SalUn trains. */
#ifndef LEAVEOUT_UNLEARN_LOCATE_H
#define LEAVEOUT_UNLEARN_LOCATE_H

#include "unlearn/pupil.h"

typedef enum lo_criterion {
    LO_BY_WEIGHTED_GRADIENT, /* |w sum g|: DEL */
    LO_BY_GRADIENT,          /* |sum g|: SalUn */
    LO_BY_WEIGHT,            /* |w| */
    LO_BY_CHANCE,
    LO_BY_DEPTH,   /* the first layers first */
    LO_BY_HEIGHT,  /* the last layers first */
    LO_BY_FLIPPING /* what flips one example after the other: Maini et al., ICML 2023 */
} lo_criterion;

/* How the values of a channel, its row in the tensor [out, rest], become its score: the mean of the h
 * largest. */
typedef enum lo_h_rule {
    LO_H_OF_ROWS,   /* h = a tenth of the number of rows, as DEL's public code has it for ResNets */
    LO_H_OF_LENGTH, /* a tenth of the row's length */
    LO_H_ROW        /* the whole row, as DEL has it for transformers */
} lo_h_rule;

typedef struct lo_locate {
    lo_criterion criterion;
    bool channels; /* output channels as a whole; elements of vectors (biases, normalization) count alone */
    lo_h_rule h;
    double share;       /* of all weights, that is chosen at most */
    bool cut_last;      /* the channel that does not fit any more is taken in part */
    lo_members members; /* whose gradients are summed */
    int64_t flips;      /* by flipping: units of an example at most */
} lo_locate;

/* chosen [lo_pupil_size]: 1 for what is chosen. Gradients are summed exactly, before absolute values are
 * taken. Channels are taken in the order of their scores, of equal ones the earlier in the network first,
 * while they fit; weights alone likewise, of which there are exactly floor(share * size). By flipping, units
 * are output channels of convolutions and single weights of other layers, and other examples are read from
 * the request's retain set. Errors: LO_INTERNAL without memory; what tick returned. */
lo_status lo_locate_weights(lo_pupil *pupil, const lo_locate *locate, const lo_request *request,
                            uint8_t *chosen, lo_error *err);

/* chosen [size]: 1 for the `count` largest values, none of which is negative; of equal ones the first. */
void lo_choose_largest(const double *value, size_t size, size_t count, uint8_t *chosen);

#endif
