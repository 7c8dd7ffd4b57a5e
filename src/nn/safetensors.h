/* The safetensors format: named arrays of numbers in one file, as PyTorch users exchange weights.
 * https://huggingface.co/docs/safetensors: 8 bytes length of the header, the header (JSON: name -> dtype,
 * shape, data_offsets; __metadata__: texts), then the numbers, little-endian, without gaps. Nothing here
 * knows what the names mean. */
#ifndef LEAVEOUT_NN_SAFETENSORS_H
#define LEAVEOUT_NN_SAFETENSORS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { LO_TENSOR_MAX_RANK = 8 };

typedef enum lo_tensor_type {
    LO_TENSOR_BOOL,
    LO_TENSOR_U8,
    LO_TENSOR_I8,
    LO_TENSOR_I16,
    LO_TENSOR_U16,
    LO_TENSOR_F16,
    LO_TENSOR_BF16,
    LO_TENSOR_I32,
    LO_TENSOR_U32,
    LO_TENSOR_F32,
    LO_TENSOR_F64,
    LO_TENSOR_I64,
    LO_TENSOR_U64,
    LO_TENSOR_TYPES
} lo_tensor_type;

/* The type's name in a header, and its bytes. */
const char *lo_tensor_type_name(lo_tensor_type type);
size_t lo_tensor_type_size(lo_tensor_type type);

typedef struct lo_tensor {
    const char *name;
    lo_tensor_type type;
    int rank; /* 0: one number */
    int64_t shape[LO_TENSOR_MAX_RANK];
    const void *data; /* not aligned in a file that was read */
} lo_tensor;

/* Elements: the product of the shape. */
int64_t lo_tensor_count(const lo_tensor *tensor);

/* The shape as text, "[10, 512]". Returns buffer. */
const char *lo_tensor_shape(const lo_tensor *tensor, char *buffer, size_t size);

/* All elements of a tensor of type F32, F64, F16 or BF16 as floats, [count]. Errors: LO_DATA for another
 * type. */
lo_status lo_tensor_floats(const lo_tensor *tensor, float *values, lo_error *err);

typedef struct lo_tensor_note {
    const char *key, *value;
} lo_tensor_note;

/* A file in memory. Names and notes are texts without NUL, in the file's order. */
typedef struct lo_safetensors {
    lo_tensor *tensor;
    int count;
    lo_tensor_note *note;
    int notes;
    char *bytes, *header; /* what they point into */
} lo_safetensors;

/* Reads a whole file. Errors: LO_IO if it cannot be read; LO_DATA, with the place, if it is anything but
 * sound: cut off, a header longer than the file or 100 MB, not JSON or with anything in it that the format
 * does not have, a name twice, offsets that overlap, leave gaps, or do not fit type and shape. The caller
 * frees it, after an error too. */
lo_status lo_safetensors_read(const char *file, lo_safetensors *out, lo_error *err);

/* The same from bytes[size], which must outlive it; `file` stands for it in errors. */
lo_status lo_safetensors_parse(const char *file, const char *bytes, size_t size, lo_safetensors *out,
                               lo_error *err);
void lo_safetensors_free(lo_safetensors *tensors);

/* NULL when there is none of that name. */
const lo_tensor *lo_safetensors_find(const lo_safetensors *tensors, const char *name);
const char *lo_safetensors_note(const lo_safetensors *tensors, const char *key);

/* Writes a file whole (base/file.h). Wider types come first, then by name, so that every array is aligned. A
 * note `crc32` is added: 8 hexadecimal digits, the CRC-32 of each tensor's name and bytes in the file's
 * order. The tensors are sorted in place. Errors: LO_IO; LO_DATA for a name that is there twice. */
lo_status lo_safetensors_write(const char *file, lo_tensor *tensor, int count, const lo_tensor_note *note,
                               int notes, lo_error *err);

/* Compares a file that was read with its note `crc32`. Errors: LO_DATA when they differ or it has none. */
lo_status lo_safetensors_verify(const char *file, const lo_safetensors *tensors, lo_error *err);

#endif
