/* Safetensors files of any bytes: read or refused; what is read has its numbers where it says. */
#include "nn/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches all that a file has; that the sum is used keeps the compiler from leaving it out. */
static size_t touch(const lo_safetensors *file)
{
    size_t sum = 0;
    for (int i = 0; i < file->notes; i++) {
        sum += strlen(file->note[i].key) + strlen(file->note[i].value);
    }
    for (int i = 0; i < file->count; i++) {
        const lo_tensor *tensor = &file->tensor[i];
        const size_t count = (size_t)lo_tensor_count(tensor);
        const uint8_t *byte = tensor->data;
        char text[64];
        sum += strlen(lo_tensor_shape(tensor, text, sizeof(text)));
        for (size_t b = 0; b < count * lo_tensor_type_size(tensor->type); b++) {
            sum += byte[b];
        }
        float *values = malloc((count + 1) * sizeof(*values));
        if (values != NULL && lo_tensor_floats(tensor, values, NULL) == LO_OK && count > 0) {
            sum += values[count - 1] > 0;
        }
        free(values);
        if (lo_safetensors_find(file, tensor->name) != tensor) {
            abort(); /* a name is there twice */
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lo_error err = {{0}};
    lo_safetensors file;
    const lo_status status = lo_safetensors_parse("input", (const char *)data, size, &file, &err);
    if (status == LO_OK) {
        if (touch(&file) == SIZE_MAX) {
            abort(); /* never; it is used */
        }
        (void)lo_safetensors_verify("input", &file, &err);
    } else if (status != LO_DATA || err.text[0] == '\0') {
        abort();
    }
    lo_safetensors_free(&file);
    return 0;
}
