/* The dual form of a network's Gauss-Newton matrix: with B [p, N] the factor rows of all examples as columns,
 * N = n (classes - 1), and K = B'B,
 *
 *   (B B' / n + lam I)^-1 = (I - B (K + n lam I)^-1 B') / lam
 *
 * so that with K + n lam I = L L' and the gradients' images y = L^-1 B' q
 *
 *   q' A^-1 g = (q . g - y_q . y_g) / lam.
 *
 * All that is needed of rows is their products, and rows are never stored whole. The gradient of the weight
 * of a linear layer on vectors is an outer product, s a' with the layer's input a and the slope s of its
 * output, which is the bias's gradient: so the products of weight and bias together are (s . s') (a . a' +
 * 1), from which each rank fills its tiles. All other parameters are cut into slices: for each a pass over
 * all rows, put on the grid, multiplied and added up there. */
#include "attribute/linear.h"
#include "base/clock.h"
#include "jobs/attribution/attribution_curvature.h"
#include "jobs/attribution/attribution_kept.h"
#include "mpi/agree.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 64, MOST_LAYERS = 64 };

/* ---- the parts of a network ---- */

/* A linear layer on vectors: what it is given, and its bias's name. */
typedef struct outer_layer {
    int value;
    int64_t inputs, outputs;
    const char *bias;
} outer_layer;

typedef struct parts {
    int layers;
    outer_layer layer[MOST_LAYERS];
    const char **other; /* the parameters of no such layer */
    int others;
    int64_t other_size;
} parts;

/* Is the layer's work an outer product? Its weight, then its bias, are parameters i and i + 1. */
static bool is_outer(const lo_network *network, int i, outer_layer *out)
{
    const lo_parameter *weight = &network->parameter[i];
    const lo_layer *layer = network->layer[weight->layer];
    if (i + 1 >= network->parameter_count || strcmp(layer->type->name, "linear") != 0 ||
        layer->in.height * layer->in.width != 1) {
        return false;
    }
    const lo_parameter *bias = weight + 1;
    *out = (outer_layer){layer->value[0], (int64_t)weight->in, (int64_t)weight->out, bias->name};
    return bias->layer == weight->layer && weight->taps == 1 && bias->in * bias->taps == 1 &&
           weight->in == (size_t)layer->in.channels && weight->out == bias->out;
}

/* Errors: LO_INTERNAL without memory. parts_free in any case. */
static lo_status find_parts(const lo_attribution *a, parts *out, lo_error *err)
{
    const lo_network *network = lo_trainer_network(a->network->trainer);
    *out = (parts){.other = calloc((size_t)network->parameter_count + 1, sizeof(*out->other))};
    if (out->other == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the names of parameters");
    }
    for (int i = 0; i < network->parameter_count; i++) {
        const lo_parameter *parameter = &network->parameter[i];
        if (parameter->statistic) {
            continue;
        }
        if (out->layers < MOST_LAYERS && is_outer(network, i, &out->layer[out->layers])) {
            out->layers++;
            i++;
            continue;
        }
        out->other[out->others++] = parameter->name;
        out->other_size += (int64_t)(parameter->out * parameter->in * parameter->taps);
    }
    return LO_OK;
}

static void parts_free(parts *p)
{
    free(p->other);
}

/* ---- sizes ---- */

/* Bytes of the dual form's matrices on the grid. */
static double dual_matrices(const lo_attribution *a, int ranks)
{
    const int64_t n = a->train.count;
    const int64_t order = n * (a->classes - 1);
    const int64_t targets = (a->target.count + ranks - 1) / ranks * ranks;
    const bool smooth = a->network->rows.smoothing > 0;
    return lo_grid_bytes(order, order, ranks) * (a->spectrum || a->keep ? 5 : 1) +
           lo_grid_bytes(order, n, ranks) * (smooth ? 2 : 1) + lo_grid_bytes(order, targets, ranks) +
           lo_grid_bytes(n, targets, ranks) * 2 + 8.0 * 3 * (double)n;
}

/* Bytes that one parameter of a slice takes: rows as they are made, and on the grid. */
static double slice_bytes(const lo_attribution *a, int ranks)
{
    int64_t first;
    int64_t own;
    const int64_t width = lo_attribution_slab(a->train.count, 0, ranks, &first, &own);
    const bool smooth = a->network->rows.smoothing > 0;
    return 16.0 * ((double)width * (a->classes + (smooth ? 1 : 0)) + ceil((double)a->target.count / ranks));
}

/* What the layers' outer products are made of, of all examples. */
static double layer_bytes(const lo_attribution *a, const parts *p)
{
    const double smooth = a->network->rows.smoothing > 0 ? 1 : 0;
    const double n = (double)a->train.count;
    double most = 0;
    for (int l = 0; l < p->layers; l++) {
        const double slopes =
            (double)p->layer[l].outputs * (n * (a->classes + smooth) + (double)a->target.count);
        most = fmax(most, slopes + (double)p->layer[l].inputs * (n + (double)a->target.count));
    }
    return 8 * 1.5 * most;
}

double lo_dual_bytes(const lo_attribution *a, int ranks)
{
    parts p;
    double bytes = dual_matrices(a, ranks);
    if (find_parts(a, &p, NULL) == LO_OK) {
        bytes += fmax(layer_bytes(a, &p), p.others > 0 ? SLICE * slice_bytes(a, ranks) : 0);
    }
    parts_free(&p);
    return bytes;
}

/* As many parameters at a time as there is room for. */
static int64_t slice_of(const lo_attribution *a, int ranks, int64_t size)
{
    const double left = a->room - a->network->memory - dual_matrices(a, ranks);
    const double each = slice_bytes(a, ranks);
    const double most = fmin(left / each, 2e9 / (each / 16));
    const int64_t fit = most > SLICE ? (int64_t)most / SLICE * SLICE : SLICE;
    return fit < size ? fit : size;
}

/* ---- work ---- */

/* Products of all sides with the factor's rows, from rows of `inner` numbers: K, B'q, B'g, and q_t . g_i. */
static void add_products(const lo_attribution *a, double inner, double *shared)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double order = n * (a->classes - 1);
    const double sides = n * (a->network->rows.smoothing > 0 ? 2 : 1) + t;
    shared[LO_WORK_PRODUCT] += (order * order + 2 * order * sides + 2 * n * t) * inner;
}

/* A layer's slopes and inputs, on every rank, and the tiles that are filled from them. */
static void add_layer_work(const lo_attribution *a, const outer_layer *layer, lo_attribution_work *sum)
{
    const double tile_visits = 3;
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double order = n * (a->classes - 1);
    const double sides = n * (a->network->rows.smoothing > 0 ? 2 : 1) + t;
    const double outputs = (double)layer->outputs;
    const double inputs = (double)layer->inputs;
    sum->shared[LO_WORK_FORWARDS] += n + t;
    sum->shared[LO_WORK_GRADIENTS] += order + sides;
    add_products(a, outputs, sum->shared);
    /* A tile of factor rows is of LO_GRID_BLOCK / (classes - 1) examples. */
    sum->shared[LO_WORK_THIN] += (n * n + 2 * n * (sides + t)) * inputs;
    sum->shared[LO_WORK_NUMBERS] += tile_visits * (order * order / 2 + order * sides + n * t);
    sum->alone[LO_WORK_NUMBERS] += outputs * (order + sides) + inputs * (n + t);
    sum->bytes += (outputs * (order + sides) + inputs * (n + t)) * sizeof(double);
}

/* Parameters of no such layer, slice by slice: a pass each. */
static void add_others_work(const lo_attribution *a, double size, double slices, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double rows = n * (a->classes - 1 + (a->network->rows.smoothing > 0 ? 2 : 1)) + t;
    sum->shared[LO_WORK_GRADIENTS] += slices * rows;
    sum->shared[LO_WORK_NUMBERS] += (2 + 2) * rows * size; /* made, turned to double, laid on the grid */
    sum->bytes += rows * size * sizeof(double);
    add_products(a, size, sum->shared);
}

void lo_dual_work(const lo_attribution *a, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double t = (double)a->target.count;
    const double order = n * (a->classes - 1);
    const double rows = n * (a->network->rows.smoothing > 0 ? 2 : 1);
    double *shared = sum->shared;
    parts p;
    if (find_parts(a, &p, NULL) == LO_OK) {
        for (int l = 0; l < p.layers; l++) {
            add_layer_work(a, &p.layer[l], sum);
        }
        if (p.others > 0) {
            const double slice = a->room > 0 ? (double)slice_of(a, 1, p.other_size) : (double)p.other_size;
            add_others_work(a, (double)p.other_size, ceil((double)p.other_size / slice), sum);
        }
    }
    parts_free(&p);
    shared[LO_WORK_NUMBERS] += order * order + 4 * n * t;
    if (a->keep) {
        lo_kept_work(a, order, rows, sum);
        sum->kept_bytes += n * t * sizeof(double);
        return;
    }
    lo_work_add_factor(order, shared);
    lo_work_add_solve(order, rows + t, true, shared);
    shared[LO_WORK_PRODUCT] += 2 * order * n * t;
    shared[LO_WORK_EIGEN] += a->spectrum ? 9 * order * order * order : 0;
    sum->bytes += (order * (rows + t) + n * t) * sizeof(double);
}

/* ---- the form ---- */

/* Rows of one kind: as a rank makes them, and as columns on the grid, a slice of parameters at a time. */
typedef struct side {
    lo_row_kind kind;
    bool targets;
    int64_t first, count, width; /* this rank's examples; a rank's at most */
    int64_t each;                /* rows an example */
    int64_t columns;             /* of all ranks, `each` an example */
    double *rows, *e;            /* [count * each, slice], [count] */
    lo_grid_matrix slice;        /* [slice, columns] */
    lo_grid_matrix image;        /* B' of it: [order, columns]; then L^-1 B' of it */
} side;

typedef struct dual_form {
    lo_curvature *c;
    lo_attribution_direct *out;
    lo_grid grid;
    int64_t order, slice;
    double lambda, fit_gradient;
    parts parts;
    lo_network_rows others;            /* of parameters that belong to no outer product */
    side factor, margin, loss, target; /* loss: with smoothing alone */
    lo_grid_matrix gram;               /* K [order, order] */
    lo_grid_matrix values;             /* q_t . g_i [n, targets] */
    double *own;                       /* [n]: q_i . g_i of this rank's examples */
} dual_form;

static void side_free(side *s)
{
    free(s->rows);
    free(s->e);
    lo_grid_matrix_destroy(&s->slice);
    lo_grid_matrix_destroy(&s->image);
}

static void dual_free(dual_form *f)
{
    side_free(&f->factor);
    side_free(&f->margin);
    side_free(&f->loss);
    side_free(&f->target);
    lo_grid_matrix_destroy(&f->gram);
    lo_grid_matrix_destroy(&f->values);
    lo_grid_destroy(&f->grid);
    lo_per_example_destroy(&f->others.per_example);
    parts_free(&f->parts);
    free(f->own);
}

static bool has_losses(const dual_form *f)
{
    return f->c->a->network->rows.smoothing > 0;
}

/* The gradients of losses, up to the factor -e where there is no smoothing. */
static side *losses_of(dual_form *f)
{
    return has_losses(f) ? &f->loss : &f->margin;
}

static lo_status side_make(dual_form *f, side *s, lo_error *err)
{
    s->each = lo_rows_of_example(&f->c->a->network->rows, s->kind);
    s->columns *= s->each;
    s->rows = lo_attribution_numbers(s->width * s->each * f->slice);
    s->e = lo_attribution_numbers(s->width);
    const lo_status status =
        s->rows != NULL && s->e != NULL
            ? LO_OK
            : lo_fail(err, LO_INTERNAL, "no memory for rows of %lld numbers", (long long)f->slice);
    LO_TRY(lo_agree(f->grid.comm, status, err));
    LO_TRY(lo_grid_matrix_create(&f->grid, f->slice, s->columns, &s->slice, err));
    return s->kind == LO_ROWS_FACTOR ? LO_OK
                                     : lo_grid_matrix_create(&f->grid, f->order, s->columns, &s->image, err);
}

static lo_status open_parts(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    LO_TRY(find_parts(a, &f->parts, err));
    f->others = a->network->rows;
    f->others.per_example = NULL;
    f->slice = 1;
    if (f->parts.others == 0) {
        return LO_OK;
    }
    LO_TRY(lo_per_example_create(lo_trainer_network(a->network->trainer), &a->study->data, f->parts.other,
                                 f->parts.others, &f->others.per_example, err));
    f->slice = slice_of(a, a->study->run.ranks, f->parts.other_size);
    return LO_OK;
}

static lo_status dual_make(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const int ranks = a->study->run.ranks;
    const int64_t targets = (a->target.count + ranks - 1) / ranks;
    const side examples = {
        .first = a->first, .count = a->count, .width = a->width, .columns = a->train.count};
    LO_TRY(lo_grid_create(a->study->run.comm, &f->grid, err));
    f->grid.tick = a->tick;
    f->order = a->train.count * f->c->rank;
    LO_TRY(lo_agree(f->grid.comm, open_parts(f, err), err));
    f->factor = examples;
    f->margin = examples;
    f->loss = examples;
    f->margin.kind = LO_ROWS_MARGIN;
    f->loss.kind = LO_ROWS_LOSS;
    f->target = (side){.kind = LO_ROWS_MARGIN,
                       .targets = true,
                       .first = f->out->first,
                       .count = f->out->count,
                       .width = targets,
                       .columns = targets * ranks};
    LO_TRY(side_make(f, &f->factor, err));
    LO_TRY(side_make(f, &f->margin, err));
    if (has_losses(f)) {
        LO_TRY(side_make(f, &f->loss, err));
    }
    if (targets > 0) {
        LO_TRY(side_make(f, &f->target, err));
        LO_TRY(lo_grid_matrix_create(&f->grid, a->train.count, targets * ranks, &f->values, err));
    }
    LO_TRY(lo_grid_matrix_create(&f->grid, f->order, f->order, &f->gram, err));
    f->own = lo_attribution_numbers(a->width);
    return lo_agree(f->grid.comm,
                    f->own != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for products"), err);
}

/* Parameters [from, from + slice) of a side's rows, onto the grid; beyond the last parameter there are zeros.
 */
static lo_status side_load(dual_form *f, side *s, int64_t from, lo_error *err)
{
    const int64_t left = f->parts.other_size - from;
    const int64_t now = left < f->slice ? left : f->slice;
    const int64_t rows = s->count * s->each;
    lo_status status = LO_OK;
    if (s->count > 0) {
        status = lo_curvature_rows(f->c, &f->others, s->kind, s->targets, s->first, s->count, from, now,
                                   s->rows, s->kind == LO_ROWS_MARGIN ? s->e : NULL, err);
    }
    for (int64_t r = rows - 1; r >= 0 && now < f->slice; r--) {
        memmove(s->rows + r * f->slice, s->rows + r * now, (size_t)now * sizeof(*s->rows));
        memset(s->rows + r * f->slice + now, 0, (size_t)(f->slice - now) * sizeof(*s->rows));
    }
    LO_TRY(lo_agree(f->grid.comm, status, err));
    return lo_grid_put_slabs(&s->slice, s->width * s->each, s->rows, err);
}

static lo_status add_image(dual_form *f, side *s, int64_t from, lo_error *err)
{
    LO_TRY(side_load(f, s, from, err));
    return lo_grid_product(1, &f->factor.slice, &s->slice, 1, &s->image, err);
}

static lo_status add_slice(dual_form *f, int64_t from, lo_error *err)
{
    side *loss = losses_of(f);
    LO_TRY(side_load(f, &f->factor, from, err));
    LO_TRY(lo_grid_gram(1, &f->factor.slice, 1, &f->gram, err));
    LO_TRY(add_image(f, &f->margin, from, err));
    if (loss != &f->margin) {
        LO_TRY(add_image(f, loss, from, err));
    }
    for (int64_t i = 0; i < f->margin.count; i++) {
        const double *q = f->margin.rows + i * f->slice;
        const double *g = loss->rows + i * f->slice;
        for (int64_t k = 0; k < f->slice; k++) {
            f->own[i] += q[k] * g[k];
        }
    }
    if (f->target.width > 0) {
        LO_TRY(add_image(f, &f->target, from, err));
        LO_TRY(lo_grid_product(1, &loss->slice, &f->target.slice, 1, &f->values, err));
    }
    return lo_tick_call(f->c->a->tick);
}

/* ---- layers that are outer products ---- */

/* Of a layer: slopes of the rows of a side, and the layer's inputs, of all ranks' examples. */
typedef struct outer_rows {
    double *slope;       /* [examples * each, outputs] */
    const double *input; /* [examples, inputs] */
    int64_t each;
} outer_rows;

/* Two sides whose products are added to a matrix of the grid. */
typedef struct outer_product {
    const outer_layer *layer;
    outer_rows row, column;
    bool lower; /* tiles above the diagonal are not asked for */
    const lo_tick *tick;
} outer_product;

static lo_status add_outer_tile(void *self, int64_t row, int64_t rows, int64_t column, int64_t columns,
                                double *out, int64_t stride, lo_error *err)
{
    const outer_product *p = self;
    const int64_t o = p->layer->outputs;
    const int64_t k = p->layer->inputs;
    const int64_t first_row = row / p->row.each;
    const int64_t first_column = column / p->column.each;
    const int64_t row_examples = (row + rows - 1) / p->row.each - first_row + 1;
    const int64_t column_examples = (column + columns - 1) / p->column.each - first_column + 1;
    double slopes[LO_GRID_BLOCK * LO_GRID_BLOCK];
    double inputs[LO_GRID_BLOCK * LO_GRID_BLOCK];
    (void)err;
    if (p->lower && row + rows <= column) {
        return LO_OK;
    }
    lo_product_rows(columns, rows, o, 1, p->column.slope + column * o, o, p->row.slope + row * o, o, 0,
                    slopes, rows);
    lo_product_rows(column_examples, row_examples, k, 1, p->column.input + first_column * k, k,
                    p->row.input + first_row * k, k, 0, inputs, row_examples);
    for (int64_t c = 0; c < columns; c++) {
        const double *input = inputs + ((column + c) / p->column.each - first_column) * row_examples;
        for (int64_t r = 0; r < rows; r++) {
            out[c * stride + r] += slopes[c * rows + r] * (1 + input[(row + r) / p->row.each - first_row]);
        }
    }
    return lo_tick_call(p->tick);
}

/* This rank's part, and then everybody's: `count` of at most `width` rows of `size` numbers. */
static lo_status gather(const dual_form *f, int64_t width, int64_t size, const double *own, double **out,
                        lo_error *err)
{
    *out = lo_attribution_numbers(width * size * f->grid.ranks);
    const lo_status status = *out != NULL && own != NULL
                                 ? LO_OK
                                 : lo_fail(err, LO_INTERNAL, "no memory for %lld rows of %lld numbers",
                                           (long long)width, (long long)size);
    LO_TRY(lo_agree(f->grid.comm, status, err));
    MPI_Datatype row;
    MPI_Type_contiguous((int)size, MPI_DOUBLE, &row);
    MPI_Type_commit(&row);
    MPI_Allgather(own, (int)width, row, *out, (int)width, row, f->grid.comm);
    MPI_Type_free(&row);
    return LO_OK;
}

/* The slopes of a side's rows: the gradients of the layer's bias. */
static lo_status gather_slopes(dual_form *f, const lo_network_rows *bias, const outer_layer *layer, side *s,
                               double **out, lo_error *err)
{
    double *own = lo_attribution_numbers(s->width * s->each * layer->outputs);
    lo_status status = LO_OK;
    if (own != NULL && s->count > 0) {
        status = lo_curvature_rows(f->c, bias, s->kind, s->targets, s->first, s->count, 0, layer->outputs,
                                   own, s->kind == LO_ROWS_MARGIN ? s->e : NULL, err);
    }
    status = lo_agree(f->grid.comm, status, err);
    if (status == LO_OK) {
        status = gather(f, s->width * s->each, layer->outputs, own, out, err);
    }
    free(own);
    return status;
}

static lo_status gather_inputs(dual_form *f, const lo_network_rows *bias, const outer_layer *layer,
                               const side *s, double **out, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const int64_t size = s->count * layer->inputs;
    const lo_example_list list = {.examples = s->targets ? a->target_examples : a->train_examples,
                                  .first = s->first,
                                  .count = s->count};
    double *own = lo_attribution_numbers(s->width * layer->inputs);
    float *values = calloc((size_t)size + 1, sizeof(*values));
    lo_status status =
        values != NULL && own != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for a layer's inputs");
    if (status == LO_OK && s->count > 0) {
        status = lo_per_example_features(bias->per_example, &list, layer->value, values, a->tick, err);
    }
    status = lo_agree(f->grid.comm, status, err);
    for (int64_t i = 0; i < size && status == LO_OK; i++) {
        own[i] = (double)values[i];
    }
    free(values);
    if (status == LO_OK) {
        status = gather(f, s->width, layer->inputs, own, out, err);
    }
    free(own);
    return status;
}

/* All that a layer's outer products are made of. */
typedef struct outer_work {
    outer_rows factor, margin, loss, target;
    double *train_input, *target_input;
} outer_work;

static lo_status outer_gather(dual_form *f, const outer_layer *layer, const lo_network_rows *bias,
                              outer_work *w, lo_error *err)
{
    LO_TRY(gather_inputs(f, bias, layer, &f->margin, &w->train_input, err));
    LO_TRY(gather_slopes(f, bias, layer, &f->factor, &w->factor.slope, err));
    LO_TRY(gather_slopes(f, bias, layer, &f->margin, &w->margin.slope, err));
    if (has_losses(f)) {
        LO_TRY(gather_slopes(f, bias, layer, &f->loss, &w->loss.slope, err));
    }
    if (f->target.width > 0) {
        LO_TRY(gather_inputs(f, bias, layer, &f->target, &w->target_input, err));
        LO_TRY(gather_slopes(f, bias, layer, &f->target, &w->target.slope, err));
    }
    w->factor.input = w->train_input;
    w->margin.input = w->train_input;
    w->loss.input = w->train_input;
    w->target.input = w->target_input;
    w->factor.each = f->factor.each;
    w->margin.each = 1;
    w->loss.each = 1;
    w->target.each = 1;
    return LO_OK;
}

static lo_status add_outer(dual_form *f, const outer_layer *layer, const outer_rows *row,
                           const outer_rows *column, bool lower, lo_grid_matrix *out, lo_error *err)
{
    outer_product p = {layer, *row, *column, lower, f->c->a->tick};
    return lo_grid_fill(out, add_outer_tile, &p, err);
}

static void add_own(dual_form *f, const outer_layer *layer, const outer_work *w, const outer_rows *loss)
{
    const int64_t o = layer->outputs;
    const int64_t k = layer->inputs;
    for (int64_t i = 0; i < f->margin.count; i++) {
        const int64_t at = f->margin.first + i;
        double slopes = 0;
        double inputs = 1;
        for (int64_t j = 0; j < o; j++) {
            slopes += w->margin.slope[at * o + j] * loss->slope[at * o + j];
        }
        for (int64_t j = 0; j < k; j++) {
            inputs += w->train_input[at * k + j] * w->train_input[at * k + j];
        }
        f->own[i] += slopes * inputs;
    }
}

static lo_status outer_multiply(dual_form *f, const outer_layer *layer, const outer_work *w, lo_error *err)
{
    const outer_rows *loss = has_losses(f) ? &w->loss : &w->margin;
    LO_TRY(add_outer(f, layer, &w->factor, &w->factor, true, &f->gram, err));
    LO_TRY(add_outer(f, layer, &w->factor, &w->margin, false, &f->margin.image, err));
    if (has_losses(f)) {
        LO_TRY(add_outer(f, layer, &w->factor, loss, false, &f->loss.image, err));
    }
    if (f->target.width > 0) {
        LO_TRY(add_outer(f, layer, &w->factor, &w->target, false, &f->target.image, err));
        LO_TRY(add_outer(f, layer, loss, &w->target, false, &f->values, err));
    }
    add_own(f, layer, w, loss);
    return LO_OK;
}

static lo_status add_layer(dual_form *f, const outer_layer *layer, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    outer_work w = {0};
    lo_network_rows bias = a->network->rows;
    bias.per_example = NULL;
    lo_status status = lo_per_example_create(lo_trainer_network(a->network->trainer), &a->study->data,
                                             &layer->bias, 1, &bias.per_example, err);
    status = lo_agree(f->grid.comm, status, err);
    if (status == LO_OK) {
        status = outer_gather(f, layer, &bias, &w, err);
    }
    if (status == LO_OK) {
        status = outer_multiply(f, layer, &w, err);
    }
    lo_per_example_destroy(&bias.per_example);
    free(w.train_input);
    free(w.target_input);
    free(w.factor.slope);
    free(w.margin.slope);
    free(w.loss.slope);
    free(w.target.slope);
    return status;
}

/* ---- the whole ---- */

static lo_status dual_factor(dual_form *f, lo_error *err)
{
    const double n = (double)f->c->a->train.count;
    const double mean = lo_grid_trace(&f->gram) / (double)f->order;
    bool definite = false;
    if (f->c->a->spectrum) {
        lo_grid_matrix copy;
        LO_TRY(lo_grid_matrix_create(&f->grid, f->order, f->order, &copy, err));
        memcpy(copy.local, f->gram.local, (size_t)(copy.local_rows * copy.local_columns) * sizeof(double));
        const lo_status status = lo_dense_spectrum(&copy, n, f->out->ridge, f->out, err);
        lo_grid_matrix_destroy(&copy);
        LO_TRY(status);
        lo_dense_say(f->c->a, f->c->method, "spectrum", &f->c->clock);
    }
    lo_grid_add_diagonal(&f->gram, n * f->lambda);
    LO_TRY(lo_grid_cholesky(&f->gram, &definite, err));
    return definite
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "attribution.damping: found %g; with it the dual matrix of %lld rows is singular to "
                         "working precision: at least %.1e would do",
                         f->c->a->damping, (long long)f->order, 1e-10 * mean * (double)f->order / n);
}

static lo_status dual_own(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const side *loss = losses_of(f);
    const int64_t columns = f->margin.image.columns;
    double *dots = lo_attribution_numbers(columns);
    LO_TRY(lo_agree(f->grid.comm, dots != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for products"),
                    err));
    lo_grid_column_dots(&f->margin.image, &loss->image, dots);
    for (int64_t i = 0; i < a->count; i++) {
        const double e = f->margin.e[i];
        const double product = (f->own[i] - dots[a->first + i]) / (f->lambda * (double)a->train.count);
        lo_dense_set_own(f->out, i, (has_losses(f) ? -1 : e) * product, e);
    }
    free(dots);
    return LO_OK;
}

/* The e of all training examples, [width * ranks], on every rank. */
static lo_status gather_e(const dual_form *f, double **out, lo_error *err)
{
    const int64_t width = f->margin.width;
    *out = lo_attribution_numbers(width * f->grid.ranks);
    LO_TRY(lo_agree(f->grid.comm, *out != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for factors"),
                    err));
    MPI_Allgather(f->margin.e, (int)width, MPI_DOUBLE, *out, (int)width, MPI_DOUBLE, f->grid.comm);
    return LO_OK;
}

static lo_status dual_values(dual_form *f, lo_error *err)
{
    const lo_attribution *a = f->c->a;
    const int64_t n = a->train.count;
    double *e = NULL;
    LO_TRY(lo_grid_product(-1, &losses_of(f)->image, &f->target.image, 1, &f->values, err));
    LO_TRY(gather_e(f, &e, err));
    double *slab = lo_attribution_numbers(f->target.width * n);
    lo_status status =
        lo_agree(f->grid.comm, slab != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for values"), err);
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&f->values, f->target.width, slab, err);
    }
    lo_dense_scale_targets(f->out, f->target.e);
    for (int64_t t = 0; t < f->out->count && status == LO_OK; t++) {
        for (int64_t i = 0; i < n; i++) {
            const double factor = (has_losses(f) ? -1 : e[i]) / (f->lambda * (double)n);
            f->out->value[t * n + i] = (float)(f->target.e[t] * factor * slab[t * n + i]);
        }
    }
    free(slab);
    free(e);
    return status;
}

/* ---- kept for another damping ---- */

/* The rows of a side in the basis of K's eigenvectors. */
static lo_status keep_side(const dual_form *f, const lo_grid_matrix *vector, const side *s, lo_kept_part part,
                           lo_kept *kept, lo_error *err)
{
    lo_grid_matrix rotated;
    double *slab = lo_attribution_numbers(s->width * f->order);
    lo_status status = lo_grid_matrix_create(&f->grid, f->order, s->image.columns, &rotated, err);
    status = lo_agree(
        f->grid.comm,
        status == LO_OK && slab == NULL ? lo_fail(err, LO_INTERNAL, "no memory for rows") : status, err);
    if (status == LO_OK) {
        status = lo_grid_product(1, vector, &s->image, 0, &rotated, err);
    }
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&rotated, s->width, slab, err);
    }
    if (status == LO_OK) {
        status = lo_kept_write(kept, part, s->count, slab, err);
    }
    lo_grid_matrix_destroy(&rotated);
    free(slab);
    return status;
}

static lo_status keep_products(const dual_form *f, lo_kept *kept, lo_error *err)
{
    double *slab = lo_attribution_numbers(f->target.width * f->c->a->train.count);
    lo_status status = lo_agree(
        f->grid.comm, slab != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for products"), err);
    if (status == LO_OK) {
        status = lo_grid_get_slabs(&f->values, f->target.width, slab, err);
    }
    if (status == LO_OK) {
        status = lo_kept_write(kept, LO_KEPT_PRODUCT, f->target.count, slab, err);
    }
    free(slab);
    return status;
}

static lo_status keep_parts(const dual_form *f, const lo_grid_matrix *vector, lo_kept *kept, lo_error *err)
{
    LO_TRY(keep_side(f, vector, &f->margin, LO_KEPT_TRAIN, kept, err));
    LO_TRY(lo_kept_write(kept, LO_KEPT_E, f->margin.count, f->margin.e, err));
    LO_TRY(lo_kept_write(kept, LO_KEPT_OWN, f->margin.count, f->own, err));
    if (has_losses(f)) {
        LO_TRY(keep_side(f, vector, &f->loss, LO_KEPT_LOSS, kept, err));
    }
    if (f->target.width == 0) {
        return LO_OK;
    }
    LO_TRY(keep_side(f, vector, &f->target, LO_KEPT_TARGET, kept, err));
    LO_TRY(lo_kept_write(kept, LO_KEPT_TARGET_E, f->target.count, f->target.e, err));
    return keep_products(f, kept, err);
}

static lo_status keep(dual_form *f, lo_error *err)
{
    lo_curvature *c = f->c;
    lo_grid_matrix vector;
    lo_kept kept;
    double *eigenvalue = lo_attribution_numbers(f->order);
    lo_status status = lo_grid_matrix_create(&f->grid, f->order, f->order, &vector, err);
    status = lo_agree(f->grid.comm,
                      status == LO_OK && eigenvalue == NULL
                          ? lo_fail(err, LO_INTERNAL, "no memory for eigenvalues")
                          : status,
                      err);
    if (status == LO_OK) {
        status = lo_grid_eigen(&f->gram, eigenvalue, &vector, err);
        lo_dense_say(c->a, c->method, "spectrum", &c->clock);
    }
    const lo_kept_facts facts = {.method = c->method,
                                 .dual = true,
                                 .losses = has_losses(f),
                                 .rows = f->order,
                                 .eigenvalue = eigenvalue,
                                 .ridge = f->out->ridge,
                                 .fit_gradient = f->fit_gradient,
                                 .parameters = c->p};
    if (status == LO_OK) {
        status = lo_kept_create(c->a, f->out, &facts, &kept, err);
    }
    if (status == LO_OK) {
        status = lo_kept_commit(&kept, keep_parts(f, &vector, &kept, err), err);
        lo_dense_say(c->a, c->method, "keep", &c->clock);
    }
    lo_grid_matrix_destroy(&vector);
    free(eigenvalue);
    return status;
}

static lo_status dual_run(dual_form *f, lo_error *err)
{
    lo_curvature *c = f->c;
    LO_TRY(dual_make(f, err));
    for (int l = 0; l < f->parts.layers; l++) {
        LO_TRY(add_layer(f, &f->parts.layer[l], err));
    }
    for (int64_t from = 0; from < f->parts.other_size; from += f->slice) {
        LO_TRY(lo_agree(f->grid.comm, add_slice(f, from, err), err));
    }
    lo_dense_say(c->a, c->method, "matrix", &c->clock);
    if (c->a->keep) {
        return keep(f, err);
    }
    LO_TRY(dual_factor(f, err));
    lo_dense_say(c->a, c->method, "factor", &c->clock);
    LO_TRY(lo_grid_solve(&f->gram, true, &f->margin.image, err));
    if (has_losses(f)) {
        LO_TRY(lo_grid_solve(&f->gram, true, &f->loss.image, err));
    }
    LO_TRY(dual_own(f, err));
    if (f->target.width > 0) {
        LO_TRY(lo_grid_solve(&f->gram, true, &f->target.image, err));
        LO_TRY(dual_values(f, err));
    }
    lo_dense_say(c->a, c->method, "values", &c->clock);
    return LO_OK;
}

lo_status lo_dual_direct(lo_curvature *c, lo_attribution_direct *out, lo_error *err)
{
    dual_form f = {.c = c, .out = out, .lambda = out->ridge + c->a->damping, .fit_gradient = c->fit_gradient};
    if (!(f.lambda > 0)) {
        return lo_fail(
            err, LO_USAGE,
            "attribution.damping: found 0, and the training has no weight decay; the Gauss-Newton "
            "matrix of %lld examples is singular in %lld parameters, and its dual form needs one above 0",
            (long long)c->a->train.count, (long long)c->p);
    }
    out->form = "dual";
    out->size = c->a->train.count * c->rank;
    out->damping = c->a->damping;
    const lo_status status = dual_run(&f, err);
    dual_free(&f);
    return status;
}
