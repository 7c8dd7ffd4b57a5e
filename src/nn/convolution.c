#include "nn/convolution.h"

#include <math.h>
#include <string.h>

enum {
    PATCH_ROWS = 256,            /* of a product: what a block of the sum leaves in the second-level cache */
    TRANSFORMED_BYTES = 1250000, /* by Winograd: what the transforms of a piece may take ... */
    TRANSFORMED_ROWS = 64, /* ... unless its products then had fewer rows than pay for reading the filter */
    WIDEST = 1 << 16,
    LARGEST = 1 << 10
};

/* Outputs out_first .. out_first + outs - 1 of a convolution, and the inputs that they see. Without groups
 * there is one slice; with groups each is a dense matrix [rows, outs], rows [taps, ins] and zeros up to a
 * multiple of LO_LANES, where outputs of several groups that share a slice meet zeros. */
typedef struct slice {
    size_t out_first, outs, in_first, ins;
    size_t rows, offset; /* offset: of the matrix, in floats */
} slice;

static size_t taps_of(const lo_convolution *c)
{
    return c->kernel * c->kernel;
}

static size_t out_pixels(const lo_convolution *c)
{
    return c->out_height * c->out_width;
}

static size_t slice_width(const lo_convolution *c)
{
    const size_t outs = c->out / c->groups;
    return c->groups == 1 ? c->out_columns : outs % LO_LANES == 0 ? outs : LO_LANES;
}

static size_t slice_count(const lo_convolution *c)
{
    return c->out_columns / slice_width(c);
}

static slice slice_at(const lo_convolution *c, size_t i)
{
    const size_t outs = slice_width(c);
    slice s = {.out_first = i * outs, .outs = outs, .ins = c->in_columns};
    if (c->groups > 1) {
        const size_t group_outs = c->out / c->groups, group_ins = c->in / c->groups;
        const size_t last = s.out_first + outs < c->out ? s.out_first + outs : c->out;
        const size_t first_group = s.out_first / group_outs, last_group = (last - 1) / group_outs;
        s.in_first = first_group * group_ins;
        s.ins = (last_group - first_group + 1) * group_ins;
    }
    s.rows = c->planar ? taps_of(c) * c->in : lo_padded(taps_of(c) * s.ins);
    return s;
}

/* The slice with its place among the matrices. */
static slice next_slice(const lo_convolution *c, size_t i, size_t offset)
{
    slice s = slice_at(c, i);
    s.offset = offset;
    return s;
}

static size_t matrices_size(const lo_convolution *c)
{
    size_t size = 0;
    for (size_t i = 0; i < slice_count(c); i++) {
        const slice s = slice_at(c, i);
        size += s.rows * s.outs;
    }
    return size;
}

/* ---- planning ---- */

/* Images whose transforms fit the second-level cache, more or less, or more of them where the filter is so
 * large that reading it must be shared. */
static size_t winograd_images(const lo_conv *conv)
{
    const size_t tiles = ((conv->height + 1) / 2) * ((conv->width + 1) / 2);
    const size_t image = 16 * tiles * (conv->in + conv->out) * sizeof(float);
    const size_t fit = TRANSFORMED_BYTES / image, least = (TRANSFORMED_ROWS + tiles - 1) / tiles;
    return fit > least ? fit : least;
}

static size_t images_of(const lo_convolution *c)
{
    if (c->way == LO_BY_WINOGRAD) {
        return winograd_images(&c->conv);
    }
    const size_t images = PATCH_ROWS / out_pixels(c);
    return images > 1 && !c->planar ? images : 1;
}

static lo_status check(const lo_convolution_spec *spec, lo_shape in, const char *name, lo_error *err)
{
    const int32_t kernel = spec->kernel, stride = spec->stride, padding = spec->padding,
                  groups = spec->groups;
    if (spec->outputs < 1 || spec->outputs > WIDEST || kernel < 1 || kernel > LARGEST || stride < 0 ||
        stride > LARGEST || padding < 0 || padding > LARGEST || groups < 0) {
        return lo_fail(err, LO_USAGE,
                       "layer %s: %d outputs, kernel %d, stride %d, padding %d, groups %d; allowed: 1 to %d "
                       "outputs, a kernel and a stride of 1 to %d, a padding of 0 to %d, groups from 1",
                       name, spec->outputs, kernel, stride, padding, groups, WIDEST, LARGEST, LARGEST);
    }
    if (groups > 1 && (spec->outputs % groups != 0 || in.channels % groups != 0)) {
        return lo_fail(err, LO_USAGE, "layer %s: %d groups of %d inputs and %d outputs; groups divide both",
                       name, groups, in.channels, spec->outputs);
    }
    if (in.height + 2 * padding < kernel || in.width + 2 * padding < kernel) {
        return lo_fail(
            err, LO_USAGE,
            "layer %s: a kernel of %d x %d on an input of %d x %d x %d with padding %d; the kernel "
            "fits into the padded input",
            name, kernel, kernel, in.channels, in.height, in.width, padding);
    }
    return LO_OK;
}

lo_status lo_convolution_plan(lo_convolution *c, const lo_network *network, const lo_convolution_spec *spec,
                              const char *name, lo_shape *out, lo_error *err)
{
    const lo_shape in = lo_network_shape(network);
    LO_TRY(check(spec, in, name, err));
    const int32_t stride = spec->stride > 0 ? spec->stride : 1;
    *out = (lo_shape){.channels = spec->outputs,
                      .height = (in.height + 2 * spec->padding - spec->kernel) / stride + 1,
                      .width = (in.width + 2 * spec->padding - spec->kernel) / stride + 1};
    *c = (lo_convolution){.planar = lo_network_head(network) == 0,
                          .kernel = (size_t)spec->kernel,
                          .stride = (size_t)stride,
                          .padding = (size_t)spec->padding,
                          .groups = spec->groups > 0 ? (size_t)spec->groups : 1,
                          .height = (size_t)in.height,
                          .width = (size_t)in.width,
                          .in = (size_t)in.channels,
                          .out_height = (size_t)out->height,
                          .out_width = (size_t)out->width,
                          .out = (size_t)out->channels,
                          .out_columns = lo_padded((size_t)out->channels)};
    c->in_columns = c->planar ? c->in : lo_padded(c->in);
    c->x_size = c->planar ? lo_network_input_size(network) : c->height * c->width * c->in_columns;
    c->way = LO_BY_PATCHES;
    if (!c->planar && c->groups == 1 && c->stride == 1) {
        c->way = c->kernel == 3 && c->padding == 1   ? LO_BY_WINOGRAD
                 : c->kernel == 1 && c->padding == 0 ? LO_BY_PRODUCT
                                                     : LO_BY_PATCHES;
    }
    c->conv = (lo_conv){.height = c->height, .width = c->width, .in = c->in_columns, .out = c->out_columns};
    c->images = images_of(c);
    c->conv.group = c->images;
    return LO_OK;
}

lo_parameter lo_convolution_weight(const lo_convolution *c)
{
    const size_t taps = taps_of(c), ins = c->in / c->groups;
    lo_parameter weight = {
        .out = c->out, .in = ins, .taps = taps, .out_step = 1, .bound = 1.0F / sqrtf((float)(taps * ins))};
    if (c->planar || c->groups > 1) { /* [in, taps, out] */
        weight.in_step = taps * c->out_columns;
        weight.tap_step = c->out_columns;
        weight.size = ins * taps * c->out_columns;
    } else { /* [taps, in, out] */
        weight.in_step = c->out_columns;
        weight.tap_step = c->in_columns * c->out_columns;
        weight.size = taps * c->in_columns * c->out_columns;
    }
    return weight;
}

void lo_convolution_reserve(lo_convolution *c, const lo_kernels *kernels, lo_memory *memory)
{
    if (c->way == LO_BY_WINOGRAD) {
        if (kernels->precision == LO_BF16) {
            /* The kernels know what suits their words and tiles. Float32's number stays: sums of batch
             * normalization are rounded by it. */
            c->images = c->conv.group = kernels->conv_group(&c->conv);
        }
        const size_t size = kernels->conv_filter_size(&c->conv);
        c->filter = lo_memory_floats(memory, size);
        c->turned = lo_memory_floats(memory, size);
        c->gradient = lo_memory_floats(memory, size);
    } else if (c->groups > 1) {
        c->filter = lo_memory_floats(memory, matrices_size(c));
        c->gradient = lo_memory_floats(memory, matrices_size(c));
    }
}

void lo_convolution_reserve_along(const lo_convolution *c, const lo_kernels *kernels, lo_convolution *along,
                                  lo_memory *memory)
{
    *along = *c;
    if (c->way == LO_BY_WINOGRAD) {
        along->filter = lo_memory_floats(memory, kernels->conv_filter_size(&c->conv));
        along->turned = lo_memory_floats(memory, kernels->conv_filter_size(&c->conv));
    } else if (c->groups > 1) {
        along->filter = lo_memory_floats(memory, matrices_size(c));
    }
    along->gradient = NULL;
}

/* The convolution from `out` to `in` channels that carries the gradient back. */
static lo_conv turned(const lo_convolution *c)
{
    lo_conv back = c->conv;
    back.in = c->conv.out;
    back.out = c->conv.in;
    return back;
}

size_t lo_convolution_scratch(const lo_convolution *c, const lo_kernels *kernels)
{
    size_t size = 0;
    if (c->way == LO_BY_WINOGRAD) {
        const lo_conv back = turned(c);
        const size_t forth = kernels->conv_scratch_size(&c->conv), home = kernels->conv_scratch_size(&back);
        size = 9 * c->conv.in * c->conv.out;
        size = forth > size ? forth : size;
        size = home > size ? home : size;
    } else if (c->way == LO_BY_PATCHES) {
        for (size_t i = 0; i < slice_count(c); i++) {
            const size_t needed = c->images * out_pixels(c) * slice_at(c, i).rows;
            size = needed > size ? needed : size;
        }
        size += c->planar ? LO_LANES + lo_padded_image(c->height, c->width) : 0;
        /* Or the gradients of the patches, and dy with a whole number of LO_LANES of rows. */
        const size_t rows = lo_padded(out_pixels(c)), back = rows * (taps_of(c) * c->in + c->out_columns);
        size = c->planar && back > size ? back : size;
    }
    return size;
}

/* ---- patches ---- */

/* The part [*from, *to) of a kernel at output `at` that lies inside 0 .. length - 1, and where it starts
 * there. */
static size_t inside(const lo_convolution *c, size_t at, size_t length, size_t *from, size_t *to)
{
    const size_t start = at * c->stride; /* in the padded image */
    *from = start < c->padding ? c->padding - start : 0;
    *from = *from < c->kernel ? *from : c->kernel;
    const size_t end = length + c->padding > start ? length + c->padding - start : 0;
    *to = end < c->kernel ? end : c->kernel;
    *to = *to > *from ? *to : *from;
    return start + *from - (*to > *from ? c->padding : 0);
}

/* Calls for each row of the kernel at each output pixel of an image: `count` of its taps from `tap` on see
 * the pixels from `pixel` on; the rest of the row is outside. */
typedef void row_function(const lo_convolution *c, const slice *s, float *row, size_t tap, size_t count,
                          float *pixel);

static void each_row(const lo_convolution *c, const slice *s, row_function *act, float *x, float *patches)
{
    for (size_t i = 0; i < c->out_height; i++) {
        size_t r0, r1, q0, q1;
        const size_t top = inside(c, i, c->height, &r0, &r1);
        for (size_t j = 0; j < c->out_width; j++, patches += s->rows) {
            const size_t left = inside(c, j, c->width, &q0, &q1);
            for (size_t r = 0; r < c->kernel; r++) {
                const bool in = r >= r0 && r < r1 && q1 > q0;
                float *pixel =
                    in ? x + ((top + r - r0) * c->width + left) * c->in_columns + s->in_first : NULL;
                act(c, s, patches + r * c->kernel * s->ins, q0, in ? q1 - q0 : 0, pixel);
            }
        }
    }
}

static void copy_row(const lo_convolution *c, const slice *s, float *row, size_t tap, size_t count,
                     float *pixel)
{
    if (count < c->kernel) {
        memset(row, 0, c->kernel * s->ins * sizeof(float));
    }
    if (s->ins == c->in_columns && count > 0) {
        memcpy(row + tap * s->ins, pixel, count * s->ins * sizeof(float));
        return;
    }
    for (size_t q = 0; q < count; q++) {
        memcpy(row + (tap + q) * s->ins, pixel + q * c->in_columns, s->ins * sizeof(float));
    }
}

static void add_row(const lo_convolution *c, const slice *s, float *row, size_t tap, size_t count,
                    float *pixel)
{
    for (size_t q = 0; q < count; q++) {
        const float *restrict from = row + (tap + q) * s->ins;
        float *restrict to = pixel + q * c->in_columns;
        for (size_t k = 0; k < s->ins; k++) {
            to[k] += from[k];
        }
    }
}

/* The patches of `images` images for a slice: [images, out pixels, rows]. */
static void take_patches(const lo_convolution *c, const slice *s, const float *x, size_t images,
                         float *patches)
{
    const size_t pixels = out_pixels(c), used = taps_of(c) * s->ins;
    for (size_t n = 0; n < images; n++) {
        float *own = patches + n * pixels * s->rows;
        for (size_t p = 0; p < pixels && used < s->rows; p++) {
            memset(own + p * s->rows + used, 0, (s->rows - used) * sizeof(float));
        }
        /* copy_row only reads the image */
        each_row(c, s, copy_row, (float *)(uintptr_t)x + n * c->x_size, own);
    }
}

/* The patches of one planar image: [in, taps, out pixels]. */
static void take_planar_patches(const lo_convolution *c, const lo_kernels *kernels, const float *x,
                                float *patches)
{
    if (c->kernel == 3 && c->stride == 1 && c->padding == 1) {
        float *padded = patches + 9 * c->in * out_pixels(c) + LO_LANES;
        kernels->patches(x, c->in, c->height, c->width, padded, patches);
        return;
    }
    for (size_t channel = 0; channel < c->in; channel++) {
        const float *plane = x + channel * c->height * c->width;
        for (size_t t = 0; t < taps_of(c); t++) {
            for (size_t i = 0; i < c->out_height; i++, patches += c->out_width) {
                const size_t r = i * c->stride + t / c->kernel; /* in the padded image */
                const bool in_row = r >= c->padding && r < c->height + c->padding;
                for (size_t j = 0; j < c->out_width; j++) {
                    const size_t q = j * c->stride + t % c->kernel;
                    const bool in = in_row && q >= c->padding && q < c->width + c->padding;
                    patches[j] = in ? plane[(r - c->padding) * c->width + q - c->padding] : 0;
                }
            }
        }
    }
}

/* ---- matrices of groups ---- */

/* Copies the weight [in / groups, taps, out] into the slices' matrices, or their gradients back. */
static void each_weight(const lo_convolution *c, float *weight, float *matrices, bool back)
{
    const size_t group_outs = c->out / c->groups, group_ins = c->in / c->groups;
    size_t offset = 0;
    for (size_t i = 0; i < slice_count(c); i++) {
        const slice s = next_slice(c, i, offset);
        offset += s.rows * s.outs;
        for (size_t o = s.out_first; o < s.out_first + s.outs && o < c->out; o++) {
            const size_t first = o / group_outs * group_ins - s.in_first;
            for (size_t k = 0; k < group_ins; k++) {
                for (size_t t = 0; t < taps_of(c); t++) {
                    float *own = weight + (k * taps_of(c) + t) * c->out_columns + o;
                    float *cell = matrices + s.offset + (t * s.ins + first + k) * s.outs + o - s.out_first;
                    *(back ? own : cell) = *(back ? cell : own);
                }
            }
        }
    }
}

/* ---- forward ---- */

void lo_convolution_prepare(const lo_convolution *c, const lo_pass *pass, const lo_network *network)
{
    float *weight = network->weights + c->weight;
    if (c->way == LO_BY_WINOGRAD) {
        pass->kernels->conv_filter(&c->conv, weight, c->filter);
    } else if (c->groups > 1) {
        memset(c->filter, 0, matrices_size(c) * sizeof(float));
        each_weight(c, weight, c->filter, false);
    }
}

/* Where the matrices of weights are. */
static const float *matrices_of(const lo_convolution *c, const lo_network *network)
{
    return c->groups > 1 ? c->filter : network->weights + c->weight;
}

void lo_convolution_apply(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                          const float *x, size_t from, size_t images, float *y)
{
    const lo_kernels *kernels = pass->kernels;
    const size_t rows = images * out_pixels(c);
    for (size_t n = 0; c->planar && images > 1 && n < images; n++) {
        lo_convolution_apply(c, pass, network, x, from + n, 1, y);
    }
    if (c->planar && images > 1) {
        return;
    }
    x += from * c->x_size;
    y += from * out_pixels(c) * c->out_columns;
    if (c->way == LO_BY_WINOGRAD) {
        kernels->conv_apply(&c->conv, c->filter, x, y, images, pass->scratch);
        return;
    }
    lo_gemm product = {.m = rows, .b_column = 1, .c_row = c->out_columns};
    size_t offset = 0;
    for (size_t i = 0; i < slice_count(c); i++) {
        const slice s = next_slice(c, i, offset);
        offset += s.rows * s.outs;
        product.n = s.outs;
        product.k = s.rows;
        product.a = c->way == LO_BY_PRODUCT ? x : pass->scratch;
        product.a_row = c->planar ? 1 : s.rows;
        product.a_column = c->planar ? rows : 1;
        product.b = matrices_of(c, network) + s.offset;
        product.b_row = s.outs;
        product.c = y + s.out_first;
        if (c->planar) {
            take_planar_patches(c, kernels, x, pass->scratch);
        } else if (c->way == LO_BY_PATCHES) {
            take_patches(c, &s, x, images, pass->scratch);
        }
        kernels->gemm(&product);
    }
}

/* ---- backward ---- */

/* Where the gradients of the matrices are. */
static float *gradients_of(const lo_convolution *c, const lo_network *network)
{
    return c->groups > 1 ? c->gradient : network->gradient + c->weight;
}

void lo_convolution_clear(const lo_convolution *c, const lo_pass *pass, const lo_network *network)
{
    if (c->way == LO_BY_WINOGRAD) {
        memset(c->gradient, 0, pass->kernels->conv_filter_size(&c->conv) * sizeof(float));
    } else {
        memset(gradients_of(c, network), 0, matrices_size(c) * sizeof(float));
    }
}

void lo_convolution_turn(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                         bool with_dx)
{
    lo_convolution_clear(c, pass, network);
    lo_convolution_turn_along(c, pass, network, with_dx);
}

void lo_convolution_turn_along(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                               bool with_dx)
{
    if (c->way == LO_BY_WINOGRAD && with_dx) {
        pass->kernels->conv_filter_turned(&c->conv, network->weights + c->weight, c->turned, pass->scratch);
    }
}

void lo_convolution_gradient(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                             const float *x, const float *dy, size_t from, size_t images)
{
    const lo_kernels *kernels = pass->kernels;
    const size_t rows = images * out_pixels(c);
    for (size_t n = 0; c->planar && images > 1 && n < images; n++) {
        lo_convolution_gradient(c, pass, network, x, dy, from + n, 1);
    }
    if (c->planar && images > 1) {
        return;
    }
    x += from * c->x_size;
    dy += from * out_pixels(c) * c->out_columns;
    if (c->way == LO_BY_WINOGRAD) {
        kernels->conv_gradient_add(&c->conv, x, dy, c->gradient, images, pass->scratch);
        return;
    }
    lo_gemm product = {.k = rows, .b_row = c->out_columns, .b_column = 1, .accumulate = true};
    size_t offset = 0;
    for (size_t i = 0; i < slice_count(c); i++) {
        const slice s = next_slice(c, i, offset);
        offset += s.rows * s.outs;
        product.m = s.rows;
        product.n = s.outs;
        product.a = c->way == LO_BY_PRODUCT ? x : pass->scratch;
        product.a_row = c->planar ? rows : 1;
        product.a_column = c->planar ? 1 : s.rows;
        product.b = dy + s.out_first;
        product.c = gradients_of(c, network) + s.offset;
        product.c_row = s.outs;
        if (c->planar) {
            take_planar_patches(c, kernels, x, pass->scratch);
        } else if (c->way == LO_BY_PATCHES) {
            take_patches(c, &s, x, images, pass->scratch);
        }
        kernels->gemm(&product);
    }
}

/* Adds the gradients of a plane's patches at tap t, [out pixels], to those of the plane. */
static void add_planar_tap(const lo_convolution *c, size_t t, const float *patches, float *plane)
{
    for (size_t i = 0; i < c->out_height; i++, patches += c->out_width) {
        const size_t r = i * c->stride + t / c->kernel; /* in the padded image */
        for (size_t j = 0; j < c->out_width && r >= c->padding && r < c->height + c->padding; j++) {
            const size_t q = j * c->stride + t % c->kernel;
            if (q >= c->padding && q < c->width + c->padding) {
                plane[(r - c->padding) * c->width + q - c->padding] += patches[j];
            }
        }
    }
}

/* The gradient of one image of the network's input, [in, height, width]; without groups. */
static void planar_back(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                        const float *dy, float *dx)
{
    const size_t pixels = out_pixels(c), step = lo_padded(pixels), rows = c->in * taps_of(c);
    float *patches = pass->scratch, *padded = patches + rows * step;
    memcpy(padded, dy, pixels * c->out_columns * sizeof(float));
    memset(padded + pixels * c->out_columns, 0, (step - pixels) * c->out_columns * sizeof(float));
    const lo_gemm product = {.m = rows,
                             .n = step,
                             .k = c->out_columns,
                             .a = network->weights + c->weight,
                             .a_row = c->out_columns,
                             .a_column = 1,
                             .b = padded,
                             .b_row = 1,
                             .b_column = c->out_columns,
                             .c = patches,
                             .c_row = step};
    pass->kernels->gemm(&product);
    memset(dx, 0, c->x_size * sizeof(float));
    for (size_t k = 0; k < rows; k++) {
        add_planar_tap(c, k % taps_of(c), patches + k * step, dx + k / taps_of(c) * c->height * c->width);
    }
}

void lo_convolution_back(const lo_convolution *c, const lo_pass *pass, const lo_network *network,
                         const float *dy, size_t from, size_t images, float *dx)
{
    const lo_kernels *kernels = pass->kernels;
    for (size_t n = from; n < from + images && c->planar; n++) {
        planar_back(c, pass, network, dy + n * out_pixels(c) * c->out_columns, dx + n * c->x_size);
    }
    if (c->planar) {
        return;
    }
    dy += from * out_pixels(c) * c->out_columns;
    dx += from * c->x_size;
    if (c->way == LO_BY_WINOGRAD) {
        const lo_conv back = turned(c);
        kernels->conv_apply(&back, c->turned, dy, dx, images, pass->scratch);
        return;
    }
    lo_gemm product = {.m = images * out_pixels(c), .a_row = c->out_columns, .a_column = 1, .b_row = 1};
    size_t offset = 0;
    if (c->way == LO_BY_PATCHES) {
        memset(dx, 0, images * c->x_size * sizeof(float));
    }
    for (size_t i = 0; i < slice_count(c); i++) {
        const slice s = next_slice(c, i, offset);
        offset += s.rows * s.outs;
        product.n = s.rows;
        product.k = s.outs;
        product.a = dy + s.out_first;
        product.b = matrices_of(c, network) + s.offset;
        product.b_column = s.outs;
        product.c = c->way == LO_BY_PRODUCT ? dx : pass->scratch;
        product.c_row = s.rows;
        kernels->gemm(&product);
        for (size_t n = 0; n < images && c->way == LO_BY_PATCHES; n++) {
            each_row(c, &s, add_row, dx + n * c->x_size, pass->scratch + n * out_pixels(c) * s.rows);
        }
    }
}

void lo_convolution_finish(const lo_convolution *c, const lo_pass *pass, const lo_network *network)
{
    float *gradient = network->gradient + c->weight;
    if (c->way == LO_BY_WINOGRAD) {
        pass->kernels->conv_gradient(&c->conv, c->gradient, gradient);
    } else if (c->groups > 1) {
        each_weight(c, gradient, c->gradient, true);
    }
}

double lo_convolution_flops(const lo_convolution *c, bool with_dx)
{
    const double product = 2.0 * (double)(out_pixels(c) * c->out * taps_of(c) * (c->in / c->groups));
    return (with_dx ? 3.0 : 2.0) * product;
}
