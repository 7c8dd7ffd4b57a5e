/* A network's weights and running statistics as a safetensors file that PyTorch loads by
 * load_state_dict(strict=True): PyTorch's names and shapes, numbers in its order. */
#ifndef LEAVEOUT_NN_WEIGHTS_H
#define LEAVEOUT_NN_WEIGHTS_H

#include "base/status.h"
#include "nn/network.h"
#include "nn/training.h"

#include <stdint.h>

/* Writes all parameters and statistics as float32, and for each batch normalization num_batches_tracked
 * (int64), `batches`. The metadata: format "pt", version of the program, preset, and the notes. Errors:
 * LO_IO; LO_INTERNAL. */
lo_status lo_weights_save(const lo_network *network, const char *preset, int64_t batches, const char *file,
                          const lo_weights_note *note, int notes, lo_error *err);

/* Reads them (F32, F64, F16 or BF16) into the network. num_batches_tracked may be there or not and is not
 * used. Errors: LO_IO; LO_DATA for a file that is not sound, and for one that does not fit: every tensor that
 * is missing, that the network does not have, or that has another shape or type is named, up to the length of
 * an error. The network is unchanged after an error. */
lo_status lo_weights_load(lo_network *network, const char *file, lo_error *err);

#endif
