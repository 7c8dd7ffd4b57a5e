#include "nn/augment.h"

#include "base/random.h"

#include <string.h>

bool lo_augments(const lo_augment *augment)
{
    return augment->flip != LO_FLIP_NONE || augment->crop > 0 || augment->cutout > 0;
}

lo_status lo_augment_check(const lo_augment *augment, lo_shape shape, lo_error *err)
{
    const int32_t side = shape.height < shape.width ? shape.height : shape.width;
    if (augment->crop < 0 || augment->cutout < 0 || augment->crop >= side || augment->cutout > 2 * side) {
        return lo_fail(
            err, LO_USAGE,
            "augmentation by %d reflected pixels and holes of %d x %d on images of %d x %d; fewer pixels "
            "than a side are allowed, and holes of two sides at most",
            augment->crop, augment->cutout, augment->cutout, shape.height, shape.width);
    }
    return LO_OK;
}

/* The number of 0 .. n - 1 that 32 random bits stand for. */
static int32_t below(uint32_t bits, int32_t n)
{
    return (int32_t)((uint64_t)bits * (uint64_t)n >> 32);
}

lo_view lo_view_of(const lo_augment *augment, lo_shape shape, uint64_t seed, uint64_t model_seed,
                   int64_t epoch, uint32_t example)
{
    const lo_random random = lo_random_make(seed, LO_FOR_AUGMENT);
    /* One name for the model, from which each epoch and example has two draws of four numbers; flips that
     * alternate have a third, of no epoch. */
    const uint64_t model = lo_random_u64(random, model_seed, 0);
    const uint64_t place = (uint64_t)epoch << 32 | example;
    uint32_t window[4], hole[4];
    lo_random_u32x4(random, model, place, window);
    lo_random_u32x4(random, model + 1, place, hole);
    lo_view view = {.hole = augment->cutout};
    if (augment->flip == LO_FLIP_RANDOM) {
        view.flipped = window[0] >> 31 != 0;
    } else if (augment->flip == LO_FLIP_ALTERNATING) {
        view.flipped = (lo_random_u64(random, model + 2, example) + (uint64_t)epoch) % 2 != 0;
    }
    view.down = below(window[1], 2 * augment->crop + 1) - augment->crop;
    view.right = below(window[2], 2 * augment->crop + 1) - augment->crop;
    view.top = below(hole[0], shape.height) - augment->cutout / 2;
    view.left = below(hole[1], shape.width) - augment->cutout / 2;
    return view;
}

/* Where a place beyond an edge is reflected to; the edge itself is not repeated. */
static int32_t reflect(int32_t at, int32_t length)
{
    return at < 0 ? -at : at >= length ? 2 * length - 2 - at : at;
}

void lo_view_take(const lo_view *view, lo_shape shape, const float *image, float *x)
{
    for (int32_t c = 0; c < shape.channels; c++) {
        for (int32_t i = 0; i < shape.height; i++, x += shape.width) {
            const int32_t row = reflect(i + view->down, shape.height);
            const float *from =
                image + ((size_t)c * (size_t)shape.height + (size_t)row) * (size_t)shape.width;
            const bool holed = i >= view->top && i < view->top + view->hole;
            for (int32_t j = 0; j < shape.width; j++) {
                const bool gone = holed && j >= view->left && j < view->left + view->hole;
                const int32_t column = reflect(j + view->right, shape.width);
                x[j] = gone ? 0 : from[view->flipped ? shape.width - 1 - column : column];
            }
        }
    }
}
