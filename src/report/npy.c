#include "report/npy.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { HEADER_MAX = 1024, HEADER_ALIGN = 64, MAGIC_SIZE = 10 };

static const struct {
    const char *name; /* NumPy's, without the byte order */
    size_t size;
} types[] = {[LO_NPY_FLOAT32] = {"f4", 4},
             [LO_NPY_FLOAT64] = {"f8", 8},
             [LO_NPY_INT64] = {"i8", 8},
             [LO_NPY_INT32] = {"i4", 4},
             [LO_NPY_UINT8] = {"u1", 1}};

static char byte_order(size_t size)
{
    const uint16_t one = 1;
    uint8_t first = 0;
    memcpy(&first, &one, 1);
    return size == 1 ? '|' : first == 1 ? '<' : '>';
}

/* Magic, version, length of the rest, and a Python dictionary, padded with blanks so that the data begin at a
 * multiple of 64 bytes. Returns the header's size. 32 extents of at most 19 digits fit. */
static size_t make_header(char header[HEADER_MAX], lo_npy_type type, int rank, const int64_t *shape)
{
    size_t used = MAGIC_SIZE;
    used += (size_t)snprintf(header + used, HEADER_MAX - used,
                             "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                             byte_order(types[type].size), types[type].name);
    for (int i = 0; i < rank; i++) {
        used += (size_t)snprintf(header + used, HEADER_MAX - used, "%" PRId64 "%s", shape[i],
                                 i + 1 < rank ? ", "
                                 : rank == 1  ? ","
                                              : "");
    }
    used += (size_t)snprintf(header + used, HEADER_MAX - used, "), }");
    const size_t size = (used + 1 + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    memset(header + used, ' ', size - used - 1);
    header[size - 1] = '\n';
    const size_t rest = size - MAGIC_SIZE;
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(rest & 0xFF);
    header[9] = (char)(rest >> 8);
    return size;
}

lo_status lo_npy_begin(const char *file, lo_npy_type type, int rank, const int64_t *shape, lo_npy *out,
                       lo_error *err)
{
    *out = (lo_npy){.size = types[type].size, .left = 1};
    if (rank < 0 || rank > LO_NPY_RANK_MAX) {
        return lo_fail(err, LO_USAGE, "%s: an array of %d dimensions; allowed are 0 to %d", file, rank,
                       LO_NPY_RANK_MAX);
    }
    int64_t bytes = 0;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0 || __builtin_mul_overflow(out->left, shape[i], &out->left)) {
            return lo_fail(err, LO_USAGE, "%s: extent %" PRId64 " of dimension %d is negative or too large",
                           file, shape[i], i);
        }
    }
    if (__builtin_mul_overflow(out->left, (int64_t)out->size, &bytes)) {
        return lo_fail(err, LO_USAGE, "%s: an array of %" PRId64 " elements is too large", file, out->left);
    }
    LO_TRY(lo_file_begin(file, &out->file, err));
    char header[HEADER_MAX];
    const size_t size = make_header(header, type, rank, shape);
    if (fwrite(header, 1, size, out->file.stream) != size) {
        return lo_file_end(&out->file, lo_fail_errno(err, LO_IO, "%s: cannot write", file), err);
    }
    return LO_OK;
}

lo_status lo_npy_append(lo_npy *npy, const void *data, int64_t count, lo_error *err)
{
    if (count < 0 || count > npy->left) {
        return lo_fail(err, LO_INTERNAL,
                       "%s: %" PRId64 " elements for an array that has room for %" PRId64 " more",
                       npy->file.file, count, npy->left);
    }
    if (count > 0 && fwrite(data, npy->size, (size_t)count, npy->file.stream) != (size_t)count) {
        return lo_fail_errno(err, LO_IO, "%s: cannot write", npy->file.part);
    }
    npy->left -= count;
    return LO_OK;
}

lo_status lo_npy_end(lo_npy *npy, lo_status status, lo_error *err)
{
    if (status == LO_OK && npy->left != 0) {
        status =
            lo_fail(err, LO_INTERNAL, "%s: %" PRId64 " elements were not written", npy->file.file, npy->left);
    }
    return lo_file_end(&npy->file, status, err);
}

lo_status lo_npy_write(const char *file, lo_npy_type type, int rank, const int64_t *shape, const void *data,
                       lo_error *err)
{
    lo_npy npy;
    LO_TRY(lo_npy_begin(file, type, rank, shape, &npy, err));
    return lo_npy_end(&npy, lo_npy_append(&npy, data, npy.left, err), err);
}

lo_csv lo_csv_begin(FILE *stream)
{
    return (lo_csv){stream, false};
}

static void next_field(lo_csv *csv)
{
    if (csv->inside) {
        (void)fputc(',', csv->stream);
    }
    csv->inside = true;
}

void lo_csv_text(lo_csv *csv, const char *text)
{
    next_field(csv);
    if (text == NULL || *text == '\0') {
        return;
    }
    const char last = text[strlen(text) - 1];
    if (strpbrk(text, ",\"\r\n") == NULL && strchr(" \t", text[0]) == NULL && strchr(" \t", last) == NULL) {
        (void)fputs(text, csv->stream);
        return;
    }
    (void)fputc('"', csv->stream);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"') {
            (void)fputc('"', csv->stream);
        }
        (void)fputc(*c, csv->stream);
    }
    (void)fputc('"', csv->stream);
}

void lo_csv_int(lo_csv *csv, int64_t value)
{
    next_field(csv);
    (void)fprintf(csv->stream, "%" PRId64, value);
}

static void write_real(lo_csv *csv, double value, int digits)
{
    next_field(csv);
    if (isnan(value)) {
        (void)fputs("NaN", csv->stream);
    } else if (isinf(value)) {
        (void)fputs(value < 0 ? "-Inf" : "Inf", csv->stream);
    } else {
        (void)fprintf(csv->stream, "%.*g", digits, value);
    }
}

void lo_csv_float(lo_csv *csv, float value)
{
    write_real(csv, (double)value, 9);
}

void lo_csv_double(lo_csv *csv, double value)
{
    write_real(csv, value, 17);
}

void lo_csv_row(lo_csv *csv)
{
    (void)fputc('\n', csv->stream);
    csv->inside = false;
}
