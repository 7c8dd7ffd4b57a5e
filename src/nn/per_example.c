#include "nn/per_example.h"

#include "base/job.h"
#include "nn/batch.h"
#include "nn/kernels/float_mode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXAMPLES_A_TICK = 64,
    VECTOR_BYTES = 256 << 20,  /* of whole vectors at a time */
    GATHERED_BYTES = 256 << 20 /* of gradients that wait to be projected */
};

/* One of the chosen parameters. */
typedef struct chosen {
    const lo_parameter *parameter;
    const lo_layer *layer;
    size_t start;    /* in a vector */
    size_t channel;  /* the number of its first channel */
    uint64_t number; /* of its first element among all trained ones of the network */
    size_t count;    /* elements */
    bool first;      /* of its layer's parameters */
} chosen;

struct lo_per_example {
    lo_network *network;
    const lo_dataset *dataset;
    int count;
    chosen *list;    /* [count] */
    bool *frozen;    /* [layers]: what the layers were before a pass, while it runs */
    int32_t *labels; /* [capacity] */
    size_t size, channels;
};

/* ---- which parameters ---- */

/* Does `name` stand for the parameter, by its own name or that of a layer it is in? */
static bool names(const char *name, const lo_parameter *p)
{
    const size_t length = strlen(name);
    return strncmp(p->name, name, length) == 0 && (p->name[length] == '\0' || p->name[length] == '.');
}

static bool is_chosen(const lo_parameter *p, const char *const *choice, int choices)
{
    bool found = choice == NULL;
    for (int i = 0; i < choices && !found; i++) {
        found = names(choice[i], p);
    }
    return found && !p->statistic && !p->frozen;
}

static lo_status unknown_name(const lo_network *network, const char *name, lo_error *err)
{
    char near[LO_NAME_SIZE + 16];
    size_t length = 1;
    for (int k = 0; k < network->parameter_count; k++) {
        length += strlen(network->parameter[k].name) + 1;
    }
    char *known = calloc(length, 1);
    if (known == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the names of parameters");
    }
    for (int k = 0; k < network->parameter_count; k++) {
        if (!network->parameter[k].statistic) {
            (void)strcat(strcat(known, network->parameter[k].name), " ");
        }
    }
    const char *nearest = lo_nearest(name, known, near, sizeof(near));
    const lo_status status =
        nearest != NULL
            ? lo_fail(err, LO_USAGE, "the network has no parameter or layer %s (nearest: %s)", name, nearest)
            : lo_fail(err, LO_USAGE, "the network has no parameter or layer %s; it has %s", name, known);
    free(known);
    return status;
}

static lo_status check_choice(const lo_network *network, const char *const *choice, int choices,
                              lo_error *err)
{
    for (int i = 0; i < choices && choice != NULL; i++) {
        bool known = false;
        for (int k = 0; k < network->parameter_count && !known; k++) {
            known = !network->parameter[k].statistic && names(choice[i], &network->parameter[k]);
        }
        if (!known) {
            return unknown_name(network, choice[i], err);
        }
    }
    return LO_OK;
}

static void choose(lo_per_example *self, const char *const *choice, int choices)
{
    const lo_network *network = self->network;
    uint64_t number = 0;
    int layer = -1;
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const size_t count = p->out * p->in * p->taps;
        if (is_chosen(p, choice, choices)) {
            self->list[self->count++] = (chosen){.parameter = p,
                                                 .layer = network->layer[p->layer],
                                                 .start = self->size,
                                                 .channel = self->channels,
                                                 .number = number,
                                                 .count = count,
                                                 .first = p->layer != layer};
            self->size += count;
            self->channels += p->out;
        }
        number += p->statistic ? 0 : count;
        layer = p->layer;
    }
}

lo_status lo_per_example_create(lo_network *network, const lo_dataset *dataset, const char *const *choice,
                                int choices, lo_per_example **out, lo_error *err)
{
    *out = NULL;
    LO_TRY(check_choice(network, choice, choices, err));
    lo_per_example *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for gradients of examples");
    }
    self->network = network;
    self->dataset = dataset;
    self->list = calloc((size_t)network->parameter_count + 1, sizeof(*self->list));
    self->frozen = calloc((size_t)network->layer_count + 1, sizeof(*self->frozen));
    self->labels = calloc(network->capacity, sizeof(*self->labels));
    if (self->list == NULL || self->frozen == NULL || self->labels == NULL) {
        lo_per_example_destroy(&self);
        return lo_fail(err, LO_INTERNAL, "no memory for gradients of examples");
    }
    choose(self, choice, choices);
    if (self->count == 0) {
        lo_per_example_destroy(&self);
        return lo_fail(err, LO_USAGE, "gradients of no parameter: all that were chosen are frozen");
    }
    *out = self;
    return LO_OK;
}

void lo_per_example_destroy(lo_per_example **self)
{
    if (*self != NULL) {
        free((*self)->list);
        free((*self)->frozen);
        free((*self)->labels);
        free(*self);
        *self = NULL;
    }
}

size_t lo_per_example_size(const lo_per_example *self)
{
    return self->size;
}

int lo_per_example_parameters(const lo_per_example *self)
{
    return self->count;
}

const lo_parameter *lo_per_example_parameter(const lo_per_example *self, int i)
{
    return self->list[i].parameter;
}

size_t lo_per_example_start(const lo_per_example *self, int i)
{
    return self->list[i].start;
}

size_t lo_per_example_channels(const lo_per_example *self)
{
    return self->channels;
}

/* ---- passes ---- */

/* What is done with gradients. The gradient of the chosen parameter c of one example is where the network
 * has it; square, unless NULL, is the sum of its squares and stands for it. */
typedef struct collector collector;
struct collector {
    lo_per_example *of;
    lo_status (*take)(collector *self, const chosen *c, size_t n, const double *square);
    lo_status (*take_factors)(collector *self, const lo_factors *factors); /* see lo_each; or NULL */
    lo_status (*begin)(collector *self);                                   /* before a batch; or NULL */
    lo_status (*end_layer)(collector *self, const lo_layer *layer); /* after its last example; or NULL */
    lo_status (*end)(collector *self);                              /* after a batch; or NULL */
    bool squares;                                                   /* are enough */
    size_t most;     /* examples of a batch; 0: what the network takes */
    int64_t origin;  /* what the list's first example is numbered for outputs of the caller's own */
    int64_t at;      /* the batch's first example in the list */
    size_t examples; /* of the batch */
    const lo_tick *tick;
    lo_error *err;
};

static lo_status check_list(const lo_per_example *self, const lo_example_list *list, const lo_output *output,
                            lo_error *err)
{
    const int64_t known = list->examples->count;
    if (list->count < 0 || list->first < 0 ||
        (list->position == NULL && (list->first > known || list->count > known - list->first))) {
        return lo_fail(err, LO_USAGE, "examples %lld to %lld of %lld", (long long)list->first,
                       (long long)(list->first + list->count - 1), (long long)known);
    }
    for (int64_t i = 0; i < list->count && list->position != NULL; i++) {
        if (list->position[i] >= known) {
            return lo_fail(err, LO_USAGE, "example %u of %lld", list->position[i], (long long)known);
        }
    }
    if (output != NULL && output->kind == LO_OUTPUT_LOGIT &&
        (output->logit < 0 || output->logit >= self->network->classes)) {
        return lo_fail(err, LO_USAGE, "logit %d; 0 to %d are allowed", output->logit,
                       self->network->classes - 1);
    }
    return LO_OK;
}

static lo_status forward(lo_per_example *self, const lo_example_list *list, int64_t at, size_t examples,
                         const lo_tick *tick)
{
    lo_network *network = self->network;
    for (size_t n = 0; n < examples; n++) {
        const int64_t i = at + (int64_t)n;
        const size_t row = list->position != NULL ? list->position[i] : (size_t)(list->first + i);
        lo_batch_example(network->kernels, self->dataset, list->examples, row,
                         lo_network_input(network) + n * lo_network_input_size(network));
        self->labels[n] = list->examples->label[row];
        if (n % EXAMPLES_A_TICK == 0) {
            LO_TRY(lo_tick_call(tick));
        }
    }
    return lo_network_forward(network, examples, false, tick);
}

static void set_slopes(lo_per_example *self, const lo_output *output, int64_t at, size_t examples)
{
    lo_network *network = self->network;
    const size_t step = lo_network_logit_step(network);
    float *slope = lo_network_logit_slope(network);
    memset(slope, 0, examples * step * sizeof(float));
    for (size_t n = 0; n < examples; n++) {
        lo_output_slope(output, at + (int64_t)n, lo_network_logits(network) + n * step, network->classes,
                        self->labels[n], slope + n * step);
    }
}

/* Layers of which nothing was chosen count as frozen during a pass, or all of them. */
static void freeze_others(lo_per_example *self, bool all)
{
    lo_network *network = self->network;
    for (int i = 0; i < network->layer_count; i++) {
        self->frozen[i] = network->layer[i]->frozen;
        network->layer[i]->frozen = true;
    }
    for (int j = 0; j < self->count && !all; j++) {
        network->layer[self->list[j].parameter->layer]->frozen = false;
    }
    network->input_learns = all;
}

static void thaw(lo_per_example *self)
{
    for (int i = 0; i < self->network->layer_count; i++) {
        self->network->layer[i]->frozen = self->frozen[i];
    }
    self->network->input_learns = false;
}

static lo_status take_layer(void *self, const lo_layer *layer, size_t n, const double *weight_square)
{
    collector *c = self;
    const lo_per_example *of = c->of;
    for (int j = 0; j < of->count; j++) {
        if (of->list[j].layer == layer) {
            LO_TRY(c->take(c, &of->list[j], n, of->list[j].first ? weight_square : NULL));
        }
    }
    if (n + 1 == c->examples && c->end_layer != NULL) {
        LO_TRY(c->end_layer(c, layer));
    }
    return lo_tick_call(c->tick);
}

static lo_status take_factors(void *self, const lo_factors *factors)
{
    collector *c = self;
    return c->take_factors(c, factors);
}

static lo_status each_batch(collector *c, const lo_example_list *list, const lo_output *output)
{
    lo_per_example *self = c->of;
    const size_t capacity = self->network->capacity;
    const size_t most = c->most > 0 && c->most < capacity ? c->most : capacity;
    const lo_each each = {.take = take_layer,
                          .take_factors = c->take_factors != NULL ? take_factors : NULL,
                          .self = c,
                          .squares = c->squares};
    for (c->at = 0; c->at < list->count; c->at += (int64_t)most) {
        const int64_t left = list->count - c->at;
        c->examples = left < (int64_t)most ? (size_t)left : most;
        LO_TRY(forward(self, list, c->at, c->examples, c->tick));
        if (output != NULL) {
            set_slopes(self, output, c->origin + c->at, c->examples);
            LO_TRY(c->begin != NULL ? c->begin(c) : LO_OK);
            LO_TRY(lo_network_backward_fixed(self->network, c->examples, c->take != NULL ? &each : NULL,
                                             c->tick));
        }
        LO_TRY(c->end != NULL ? c->end(c) : LO_OK);
    }
    return LO_OK;
}

/* All batches of a list: forward, backward unless output is NULL, and what the collector does. */
static lo_status go_through(collector *c, const lo_example_list *list, const lo_output *output)
{
    LO_TRY(check_list(c->of, list, output, c->err));
    const lo_float_mode mode = lo_flush_denormals();
    freeze_others(c->of, c->take == NULL);
    const lo_status status = each_batch(c, list, output);
    thaw(c->of);
    lo_restore_floats(mode);
    return status;
}

static const float *gradient_of(const collector *c, const chosen *of)
{
    return c->of->network->gradient + of->parameter->offset;
}

/* ---- vectors ---- */

typedef struct vectors {
    collector base;
    float *vectors; /* [examples of a batch, step] */
    size_t step;
    lo_vector_sink *sink;
    void *sink_self;
} vectors;

static lo_status take_vector(collector *self, const chosen *c, size_t n, const double *square)
{
    (void)square;
    const vectors *v = (const vectors *)self;
    lo_network_get(self->of->network, c->parameter, LO_GRADIENTS, v->vectors + n * v->step + c->start);
    return LO_OK;
}

/* After a batch: on to the next rows, or to the sink. */
static lo_status end_vectors(collector *self)
{
    vectors *v = (vectors *)self;
    for (size_t n = 0; n < self->examples && v->sink != NULL; n++) {
        LO_TRY(v->sink(v->sink_self, self->at + (int64_t)n, v->vectors + n * v->step));
        LO_TRY(lo_tick_call(self->tick));
    }
    v->vectors += v->sink == NULL ? self->examples * v->step : 0;
    return LO_OK;
}

lo_status lo_per_example_vectors(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 float *to, const lo_tick *tick, lo_error *err)
{
    vectors v = {.base = {.of = self, .take = take_vector, .end = end_vectors, .tick = tick, .err = err},
                 .vectors = to,
                 .step = self->size};
    return go_through(&v.base, list, output);
}

lo_status lo_per_example_each_vector(lo_per_example *self, const lo_example_list *list,
                                     const lo_output *output, lo_vector_sink *sink, void *sink_self,
                                     const lo_tick *tick, lo_error *err)
{
    const size_t capacity = self->network->capacity;
    size_t most = VECTOR_BYTES / (self->size * sizeof(float));
    most = most < 1 ? 1 : most > capacity ? capacity : most;
    float *buffer = malloc(most * self->size * sizeof(*buffer));
    if (buffer == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu gradients", most);
    }
    vectors v = {
        .base = {.of = self, .take = take_vector, .end = end_vectors, .most = most, .tick = tick, .err = err},
        .vectors = buffer,
        .step = self->size,
        .sink = sink,
        .sink_self = sink_self};
    const lo_status status = go_through(&v.base, list, output);
    free(buffer);
    return status;
}

lo_status lo_per_example_jacobian(lo_per_example *self, const lo_example_list *list, float *rows,
                                  const lo_tick *tick, lo_error *err)
{
    for (int32_t k = 0; k < self->network->classes; k++) {
        const lo_output output = {.kind = LO_OUTPUT_LOGIT, .logit = k};
        vectors v = {.base = {.of = self, .take = take_vector, .end = end_vectors, .tick = tick, .err = err},
                     .vectors = rows + (size_t)k * self->size,
                     .step = (size_t)self->network->classes * self->size};
        LO_TRY(go_through(&v.base, list, &output));
    }
    return LO_OK;
}

/* ---- squared norms and inner products ---- */

typedef struct squares {
    collector base;
    double *total, *by_parameter;
} squares;

static lo_status take_square(collector *self, const chosen *c, size_t n, const double *known)
{
    const squares *s = (const squares *)self;
    const size_t at = (size_t)self->at + n;
    const double square =
        known != NULL
            ? *known
            : self->of->network->kernels->square_sum(gradient_of(self, c), lo_padded(c->parameter->size));
    if (s->total != NULL) {
        s->total[at] += square;
    }
    if (s->by_parameter != NULL) {
        s->by_parameter[at * (size_t)self->of->count + (size_t)(c - self->of->list)] = square;
    }
    return LO_OK;
}

lo_status lo_per_example_squares(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 double *total, double *by_parameter, const lo_tick *tick, lo_error *err)
{
    squares s = {.base = {.of = self, .take = take_square, .squares = true, .tick = tick, .err = err},
                 .total = total,
                 .by_parameter = by_parameter};
    LO_TRY(check_list(self, list, output, err));
    if (total != NULL) {
        memset(total, 0, (size_t)list->count * sizeof(*total));
    }
    return go_through(&s.base, list, output);
}

typedef struct dots {
    collector base;
    const float *direction; /* [directions, weight size], laid out as the gradient */
    size_t directions;
    double *dots;
} dots;

/* In pieces whose sums float holds well. */
static double dot(const float *restrict x, const float *restrict y, size_t count)
{
    enum { PIECE = 512 };
    double sum = 0;
    for (size_t i = 0; i < count; i += PIECE) {
        const size_t end = count - i < PIECE ? count : i + PIECE;
        float lane[LO_LANES] = {0};
        for (size_t k = i; k < end; k += LO_LANES) { /* count is a multiple of LO_LANES */
            for (size_t l = 0; l < LO_LANES; l++) {
                lane[l] += x[k + l] * y[k + l];
            }
        }
        for (size_t l = 0; l < LO_LANES; l++) {
            sum += (double)lane[l];
        }
    }
    return sum;
}

static lo_status take_dots(collector *self, const chosen *c, size_t n, const double *square)
{
    (void)square;
    const dots *d = (const dots *)self;
    double *own = d->dots + ((size_t)self->at + n) * d->directions;
    for (size_t k = 0; k < d->directions; k++) {
        own[k] += dot(gradient_of(self, c),
                      d->direction + k * self->of->network->weight_size + c->parameter->offset,
                      lo_padded(c->parameter->size));
        LO_TRY(lo_tick_call(self->tick));
    }
    return LO_OK;
}

/* Where element (o, i, t) of a parameter lies from its start. */
static size_t place(const lo_parameter *p, size_t o, size_t i, size_t t)
{
    return o * p->out_step + i * p->in_step + t * p->tap_step;
}

/* A vector laid out as the network's weights. */
static lo_status lay_out(const lo_per_example *self, const float *vector, float *to, const lo_tick *tick)
{
    for (int j = 0; j < self->count; j++) {
        LO_TRY(lo_tick_call(tick));
        const lo_parameter *p = self->list[j].parameter;
        const float *from = vector + self->list[j].start;
        for (size_t o = 0; o < p->out; o++) {
            for (size_t i = 0; i < p->in; i++) {
                for (size_t t = 0; t < p->taps; t++) {
                    to[p->offset + place(p, o, i, t)] = *from++;
                }
            }
        }
    }
    return LO_OK;
}

lo_status lo_per_example_dots(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                              const float *direction, size_t directions, double *to, const lo_tick *tick,
                              lo_error *err)
{
    const size_t step = self->network->weight_size;
    LO_TRY(check_list(self, list, output, err));
    float *laid = calloc(directions * step + 1, sizeof(*laid));
    if (laid == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu directions", directions);
    }
    lo_status status = LO_OK;
    for (size_t k = 0; k < directions && status == LO_OK; k++) {
        status = lay_out(self, direction + k * self->size, laid + k * step, tick);
    }
    memset(to, 0, (size_t)list->count * directions * sizeof(*to));
    dots d = {.base = {.of = self, .take = take_dots, .tick = tick, .err = err},
              .direction = laid,
              .directions = directions,
              .dots = to};
    status = status == LO_OK ? go_through(&d.base, list, output) : status;
    free(laid);
    return status;
}

/* ---- sums over examples ---- */

typedef struct sums {
    collector base;
    lo_term term;
    double *block; /* [weight size], laid out as the gradient */
    lo_pairwise *sum;
} sums;

/* As products in bfloat16 round their operands: to nearest, ties to even; denormal numbers become zero. */
static float rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7FFFFFFFU) <= 0x7F800000U) { /* no NaN */
        bits += 0x7FFFU + (bits >> 16 & 1U);
    }
    bits = (bits & 0x7F800000U) != 0 ? bits & 0xFFFF0000U : 0;
    memcpy(&value, &bits, sizeof(bits));
    return value;
}

/* The factors of a layer's weight: gradients of single examples are never in memory. */
static lo_status take_sum_factors(collector *self, const lo_factors *f)
{
    enum { CHUNK = 64 }; /* examples: what is read of them stays in the first-level cache */
    const sums *s = (const sums *)self;
    const lo_kernels *kernels = self->of->network->kernels;
    const bool rounds = kernels->precision == LO_BF16;
    float x[CHUNK], dy[CHUNK * LO_LANES];
    for (size_t first = 0; first < self->examples; first += CHUNK) {
        const size_t left = self->examples - first, examples = left < CHUNK ? left : CHUNK;
        for (size_t o = 0; o < f->columns; o += LO_LANES) {
            for (size_t i = 0; i < examples * LO_LANES; i++) {
                const float value = f->dy[(first + i / LO_LANES) * f->columns + o + i % LO_LANES];
                dy[i] = rounds ? rounded(value) : value;
            }
            for (size_t i = 0; i < f->inputs; i++) {
                for (size_t n = 0; n < examples; n++) {
                    const float value = f->x[(first + n) * f->x_step + i];
                    x[n] = rounds ? rounded(value) : value;
                }
                kernels->add_terms(x, dy, examples, s->term, s->block + f->offset + i * f->columns + o);
            }
            LO_TRY(lo_tick_call(self->tick));
        }
    }
    return LO_OK;
}

static lo_status take_sum(collector *self, const chosen *c, size_t n, const double *known)
{
    (void)n;
    const sums *s = (const sums *)self;
    if (known != NULL) { /* by take_sum_factors */
        return LO_OK;
    }
    const float *restrict g = gradient_of(self, c);
    double *restrict to = s->block + c->parameter->offset;
    const size_t count = c->parameter->size;
    for (size_t i = 0; i < count && s->term == LO_TERM_GRADIENT; i++) {
        to[i] += (double)g[i];
    }
    for (size_t i = 0; i < count && s->term == LO_TERM_ABSOLUTE; i++) {
        to[i] += (double)fabsf(g[i]);
    }
    for (size_t i = 0; i < count && s->term == LO_TERM_SQUARE; i++) {
        to[i] += (double)g[i] * (double)g[i];
    }
    return LO_OK;
}

/* The block's sums as a vector. */
static lo_status take_block(const sums *s, double *to)
{
    const lo_per_example *self = s->base.of;
    for (int j = 0; j < self->count; j++) {
        const lo_parameter *p = self->list[j].parameter;
        const size_t rests = p->in * p->taps;
        for (size_t first = 0; first < p->out; first += LO_LANES) { /* whole cache lines of outputs */
            double *own = to + self->list[j].start + first * rests;
            const size_t outs = p->out - first < LO_LANES ? p->out - first : LO_LANES;
            for (size_t rest = 0; rest < rests; rest++) {
                const double *row = s->block + p->offset + place(p, first, rest / p->taps, rest % p->taps);
                for (size_t o = 0; o < outs; o++) {
                    own[o * rests + rest] = row[o * p->out_step];
                }
            }
            LO_TRY(lo_tick_call(s->base.tick));
        }
    }
    return LO_OK;
}

static void clear_held(const sums *s)
{
    const lo_per_example *self = s->base.of;
    for (int j = 0; j < self->count; j++) {
        const lo_parameter *p = self->list[j].parameter;
        for (size_t i = p->offset; p->held > 0 && i < p->offset + p->size; i++) {
            s->block[i] = lo_network_holds(self->network, i) ? 0 : s->block[i];
        }
    }
}

static lo_status each_block(sums *s, const lo_example_list *list, const lo_output *output)
{
    const lo_per_example *self = s->base.of;
    for (int64_t at = 0; at < list->count; at += LO_SUM_BLOCK) {
        const int64_t left = list->count - at;
        const lo_example_list block = {.examples = list->examples,
                                       .position = list->position != NULL ? list->position + at : NULL,
                                       .first = list->first + at,
                                       .count = left < LO_SUM_BLOCK ? left : LO_SUM_BLOCK};
        double *term = NULL;
        s->base.origin = at;
        memset(s->block, 0, self->network->weight_size * sizeof(*s->block));
        LO_TRY(go_through(&s->base, &block, output));
        clear_held(s);
        LO_TRY(lo_pairwise_next(s->sum, s->base.tick, &term, s->base.err));
        LO_TRY(take_block(s, term));
        LO_TRY(lo_pairwise_take(s->sum, s->base.tick));
        LO_TRY(lo_tick_call(s->base.tick));
    }
    return LO_OK;
}

lo_status lo_per_example_sums(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                              lo_term term, lo_pairwise *sum, const lo_tick *tick, lo_error *err)
{
    if (lo_pairwise_size(sum) != self->size) {
        return lo_fail(err, LO_USAGE, "sums of gradients of %zu parameters into one of %zu values",
                       self->size, lo_pairwise_size(sum));
    }
    sums s = {
        .base = {.of = self, .take = take_sum, .take_factors = take_sum_factors, .tick = tick, .err = err},
        .term = term,
        .sum = sum};
    s.block = calloc(self->network->weight_size, sizeof(*s.block));
    const lo_status status = s.block != NULL ? each_block(&s, list, output)
                                             : lo_fail(err, LO_INTERNAL, "no memory for sums of gradients");
    free(s.block);
    return status;
}

/* ---- channels ---- */

static double term_of(lo_term term, double x)
{
    return term == LO_TERM_GRADIENT ? x : term == LO_TERM_ABSOLUTE ? fabs(x) : x * x;
}

typedef struct channels {
    collector base;
    lo_channel_term term;
    double *sums;
} channels;

static lo_status take_channels(collector *self, const chosen *c, size_t n, const double *square)
{
    (void)square;
    const channels *s = (const channels *)self;
    const lo_parameter *p = c->parameter;
    const float *g = gradient_of(self, c), *w = self->of->network->weights + p->offset;
    double *own = s->sums + ((size_t)self->at + n) * self->of->channels + c->channel;
    memset(own, 0, p->out * sizeof(*own));
    for (size_t i = 0; i < p->in; i++) {
        for (size_t t = 0; t < p->taps; t++) {
            for (size_t o = 0; o < p->out; o++) {
                const size_t at = place(p, o, i, t);
                own[o] += term_of(s->term.term, (s->term.weighted ? (double)w[at] : 1) * (double)g[at]);
            }
        }
    }
    return LO_OK;
}

lo_status lo_per_example_channel_sums(lo_per_example *self, const lo_example_list *list,
                                      const lo_output *output, lo_channel_term term, double *to,
                                      const lo_tick *tick, lo_error *err)
{
    channels s = {
        .base = {.of = self, .take = take_channels, .tick = tick, .err = err}, .term = term, .sums = to};
    return go_through(&s.base, list, output);
}

void lo_channel_sums(const lo_per_example *self, const double *vector, lo_channel_term term, double *to)
{
    const float *weights = self->network->weights;
    for (int j = 0; j < self->count; j++) {
        const lo_parameter *p = self->list[j].parameter;
        for (size_t o = 0; o < p->out; o++, to++) {
            *to = 0;
            for (size_t i = 0; i < p->in; i++) {
                for (size_t t = 0; t < p->taps; t++, vector++) {
                    const double w = term.weighted ? (double)weights[p->offset + place(p, o, i, t)] : 1;
                    *to += term_of(term.term, w * *vector);
                }
            }
        }
    }
}

/* ---- projections ---- */

typedef struct projecting {
    collector base;
    const lo_projection *projection;
    float *projected; /* [count, dimension] */
    float *gathered;  /* one chosen parameter of a layer after the other, each [examples, its count] */
    float *sums, *scratch;
} projecting;

/* Where the gradients of a chosen parameter are gathered: after those of its layer's others. */
static float *gathered_at(const projecting *p, const chosen *c)
{
    float *at = p->gathered;
    for (const chosen *other = p->base.of->list; other < c; other++) {
        at += other->layer == c->layer ? other->count * p->base.examples : 0;
    }
    return at;
}

static lo_status gather(collector *self, const chosen *c, size_t n, const double *square)
{
    (void)square;
    const projecting *p = (const projecting *)self;
    lo_network_get(self->of->network, c->parameter, LO_GRADIENTS, gathered_at(p, c) + n * c->count);
    return LO_OK;
}

static lo_status project_layer(collector *self, const lo_layer *layer)
{
    const projecting *p = (const projecting *)self;
    for (int j = 0; j < self->of->count; j++) {
        const chosen *c = &self->of->list[j];
        if (c->layer == layer) {
            LO_TRY(lo_projection_add(p->projection, lo_kernels_chosen(LO_F32), c->number, c->count,
                                     gathered_at(p, c), c->count, self->examples, p->sums, p->scratch,
                                     self->tick));
        }
    }
    return LO_OK;
}

static lo_status begin_projecting(collector *self)
{
    const projecting *p = (const projecting *)self;
    memset(p->sums, 0, self->examples * lo_projection_step(p->projection) * sizeof(float));
    return LO_OK;
}

static lo_status end_projecting(collector *self)
{
    const projecting *p = (const projecting *)self;
    const size_t dimension = p->projection->dimension;
    const float scale = lo_projection_scale(p->projection);
    for (size_t n = 0; n < self->examples; n++) {
        const float *own = p->sums + n * lo_projection_step(p->projection);
        for (size_t j = 0; j < dimension; j++) {
            p->projected[((size_t)self->at + n) * dimension + j] = scale * own[j];
        }
    }
    return LO_OK;
}

static size_t largest_layer(const lo_per_example *self)
{
    size_t largest = 0;
    for (int j = 0; j < self->count; j++) {
        size_t size = 0;
        for (int k = 0; k < self->count; k++) {
            size += self->list[k].layer == self->list[j].layer ? self->list[k].count : 0;
        }
        largest = size > largest ? size : largest;
    }
    return largest;
}

lo_status lo_per_example_project(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                 const lo_projection *projection, float *projected, const lo_tick *tick,
                                 lo_error *err)
{
    enum { WIDEST = 1 << 20 };
    if (projection->dimension < 1 || projection->dimension > WIDEST ||
        (projection->kind == LO_PROJECT_SPARSE &&
         (projection->entries < 1 || projection->entries > projection->dimension))) {
        return lo_fail(err, LO_USAGE,
                       "a projection to %zu dimensions with %zu entries; 1 to %d dimensions are allowed, and "
                       "1 to as many entries as dimensions",
                       projection->dimension, projection->entries, WIDEST);
    }
    const size_t capacity = self->network->capacity, largest = largest_layer(self);
    size_t most = GATHERED_BYTES / (largest * sizeof(float));
    most = most < 1 ? 1 : most > capacity ? capacity : most;
    projecting p = {.base = {.of = self,
                             .take = gather,
                             .begin = begin_projecting,
                             .end_layer = project_layer,
                             .end = end_projecting,
                             .most = most,
                             .tick = tick,
                             .err = err},
                    .projection = projection,
                    .projected = projected};
    lo_memory memory = {0};
    lo_arena *arena = NULL;
    for (int take = 0; take < 2; take++) { /* counting, taking */
        p.gathered = lo_memory_floats(&memory, most * largest);
        p.sums = lo_memory_floats(&memory, most * lo_projection_step(projection));
        p.scratch = lo_memory_floats(&memory, lo_projection_scratch(projection));
        arena = take == 0 ? lo_arena_create(memory.bytes) : arena;
        memory = (lo_memory){.arena = arena};
    }
    const lo_status status = arena != NULL
                                 ? go_through(&p.base, list, output)
                                 : lo_fail(err, LO_INTERNAL, "no memory for projecting %zu gradients", most);
    lo_arena_destroy(&arena);
    return status;
}

/* ---- inputs and features ---- */

typedef struct values {
    collector base;
    int value;
    float *to; /* [count, size] */
    size_t size;
} values;

static lo_status end_inputs(collector *self)
{
    const values *v = (const values *)self;
    const lo_network *network = self->of->network;
    for (size_t n = 0; n < self->examples; n++) {
        memcpy(v->to + ((size_t)self->at + n) * v->size,
               lo_network_input_slope(network) + n * lo_network_input_size(network), v->size * sizeof(float));
    }
    return LO_OK;
}

lo_status lo_per_example_inputs(lo_per_example *self, const lo_example_list *list, const lo_output *output,
                                float *gradients, const lo_tick *tick, lo_error *err)
{
    values v = {.base = {.of = self, .end = end_inputs, .tick = tick, .err = err},
                .to = gradients,
                .size = lo_shape_size(self->network->input)};
    return go_through(&v.base, list, output);
}

static lo_status end_features(collector *self)
{
    const values *v = (const values *)self;
    for (size_t n = 0; n < self->examples; n++) {
        lo_network_take(self->of->network, v->value, n, v->to + ((size_t)self->at + n) * v->size);
    }
    return lo_tick_call(self->tick);
}

lo_status lo_per_example_features(lo_per_example *self, const lo_example_list *list, int value,
                                  float *features, const lo_tick *tick, lo_error *err)
{
    values v = {.base = {.of = self, .end = end_features, .tick = tick, .err = err},
                .value = value,
                .to = features,
                .size = lo_shape_size(lo_network_shape_of(self->network, value))};
    return go_through(&v.base, list, NULL);
}
