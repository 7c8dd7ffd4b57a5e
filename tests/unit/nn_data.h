/* A small data set that networks can learn: every class has its own random image, and examples are noisy
 * copies. */
#ifndef LEAVEOUT_TESTS_NN_DATA_H
#define LEAVEOUT_TESTS_NN_DATA_H

#include "base/random.h"
#include "data/dataset.h"

#include <stdlib.h>

enum { NN_DATA_MOST = 4096 };

typedef struct nn_data {
    lo_dataset dataset;
    float scale[8], shift[8];
    uint8_t *pixel[2];
    int32_t *label[2];
} nn_data;

static inline lo_examples nn_data_fill(nn_data *data, int part, int64_t count)
{
    const lo_random random = lo_random_make(9, LO_FOR_TEST);
    const size_t size = lo_shape_size(data->dataset.shape);
    data->pixel[part] = malloc((size_t)count * size);
    data->label[part] = malloc((size_t)count * sizeof(int32_t));
    if (data->pixel[part] == NULL || data->label[part] == NULL) {
        abort();
    }
    for (int64_t i = 0; i < count; i++) {
        const uint64_t stream = (uint64_t)(1000 + 5000 * part + i);
        const int32_t label =
            (int32_t)lo_random_below(random, stream, 1U << 20, (uint64_t)data->dataset.classes);
        data->label[part][i] = label;
        for (size_t p = 0; p < size; p++) {
            const float image = lo_random_unit(random, (uint64_t)label, p);
            const float noise = lo_random_unit(random, stream, p);
            data->pixel[part][(size_t)i * size + p] = (uint8_t)(255 * (0.5F * image + 0.5F * noise));
        }
    }
    return (lo_examples){.count = count, .pixel = data->pixel[part], .label = data->label[part]};
}

static inline nn_data *nn_data_create(lo_shape shape, int32_t classes, int64_t train, int64_t test)
{
    nn_data *data = calloc(1, sizeof(*data));
    if (data == NULL || shape.channels > 8 || train > NN_DATA_MOST) {
        abort();
    }
    data->dataset =
        (lo_dataset){.shape = shape, .classes = classes, .scale = data->scale, .shift = data->shift};
    for (int c = 0; c < shape.channels; c++) {
        data->scale[c] = 0.02F + 0.001F * (float)c;
        data->shift[c] = -2.5F + 0.1F * (float)c;
    }
    data->dataset.train = nn_data_fill(data, 0, train);
    data->dataset.test = nn_data_fill(data, 1, test);
    return data;
}

static inline void nn_data_destroy(nn_data *data)
{
    for (int part = 0; part < 2; part++) {
        free(data->pixel[part]);
        free(data->label[part]);
    }
    free(data);
}

#endif
