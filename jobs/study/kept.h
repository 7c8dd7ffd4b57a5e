/* Weights that a study keeps: safetensors files beside the journals' records. Their metadata says which keys
 * and which seed they come from, so that they can be told from those of another job. */
#ifndef LEAVEOUT_JOBS_KEPT_H
#define LEAVEOUT_JOBS_KEPT_H

#include "base/status.h"
#include "nn/training.h"

#include <stddef.h>
#include <stdint.h>

/* Writes the trainer's weights whole; the directory of the path is made if need be. Errors: LO_IO. */
lo_status lo_save_weights(const lo_trainer *trainer, const char *path, uint64_t digest, uint64_t seed,
                          lo_error *err);

/* Is the file there, sound by its checksum, and of these keys? Errors: LO_IO, LO_DATA. */
lo_status lo_check_weights(const char *path, uint64_t digest, lo_error *err);

/* Where the weights of a model of the ensemble are: STUDY/models/MODEL.safetensors. */
void lo_kept_model_path(const char *study, int64_t model, char *path, size_t size);

#endif
