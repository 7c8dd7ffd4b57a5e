#include "nn/safetensors.h"

#include "base/file.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "__metadata__"
#define CRC_NOTE "crc32"
enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100000000, ALIGNMENT = 8 };

static const struct {
    const char *name;
    size_t size;
} types[LO_TENSOR_TYPES] = {
    [LO_TENSOR_BOOL] = {"BOOL", 1}, [LO_TENSOR_U8] = {"U8", 1},   [LO_TENSOR_I8] = {"I8", 1},
    [LO_TENSOR_I16] = {"I16", 2},   [LO_TENSOR_U16] = {"U16", 2}, [LO_TENSOR_F16] = {"F16", 2},
    [LO_TENSOR_BF16] = {"BF16", 2}, [LO_TENSOR_I32] = {"I32", 4}, [LO_TENSOR_U32] = {"U32", 4},
    [LO_TENSOR_F32] = {"F32", 4},   [LO_TENSOR_F64] = {"F64", 8}, [LO_TENSOR_I64] = {"I64", 8},
    [LO_TENSOR_U64] = {"U64", 8},
};

const char *lo_tensor_type_name(lo_tensor_type type)
{
    return types[type].name;
}

size_t lo_tensor_type_size(lo_tensor_type type)
{
    return types[type].size;
}

int64_t lo_tensor_count(const lo_tensor *tensor)
{
    int64_t count = 1;
    for (int d = 0; d < tensor->rank; d++) {
        count *= tensor->shape[d];
    }
    return count;
}

static size_t bytes_of(const lo_tensor *tensor)
{
    return (size_t)lo_tensor_count(tensor) * types[tensor->type].size;
}

const char *lo_tensor_shape(const lo_tensor *tensor, char *buffer, size_t size)
{
    int used = snprintf(buffer, size, "[");
    for (int d = 0; d < tensor->rank && used < (int)size; d++) {
        used +=
            snprintf(buffer + used, size - (size_t)used, "%s%" PRId64, d > 0 ? ", " : "", tensor->shape[d]);
    }
    if (used < (int)size) {
        (void)snprintf(buffer + used, size - (size_t)used, "]");
    }
    return buffer;
}

/* ---- numbers ---- */

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE 754 binary16. */
static float float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    const uint32_t exponent = half >> 10 & 0x1fU, fraction = half & 0x3ffU;
    if (exponent == 0x1f) {
        return float_of_bits(sign | 0x7f800000U | fraction << 13);
    }
    if (exponent == 0) {
        const float size = (float)fraction * 0x1p-24F; /* zero or subnormal */
        return sign != 0 ? -size : size;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

lo_status lo_tensor_floats(const lo_tensor *tensor, float *values, lo_error *err)
{
    const char *from = tensor->data;
    const int64_t count = lo_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        const char *at = from + (size_t)i * types[tensor->type].size;
        uint16_t half;
        double wide;
        switch (tensor->type) {
        case LO_TENSOR_F32:
            memcpy(&values[i], at, sizeof(values[i]));
            break;
        case LO_TENSOR_F64:
            memcpy(&wide, at, sizeof(wide));
            values[i] = (float)wide;
            break;
        case LO_TENSOR_F16:
            memcpy(&half, at, sizeof(half));
            values[i] = float_of_half(half);
            break;
        case LO_TENSOR_BF16:
            memcpy(&half, at, sizeof(half));
            values[i] = float_of_bits((uint32_t)half << 16);
            break;
        default:
            return lo_fail(err, LO_DATA, "tensor %s is of type %s; allowed are F32, F64, F16 and BF16",
                           tensor->name, types[tensor->type].name);
        }
    }
    return LO_OK;
}

/* ---- the header: JSON of just this form ---- */

typedef struct cursor {
    const char *file;
    char *start, *at; /* ends with a NUL, which no JSON holds */
    lo_error *err;
} cursor;

__attribute__((format(printf, 2, 3))) static lo_status refuse(const cursor *c, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return lo_fail(c->err, LO_DATA, "%s: header, byte %td: %s", c->file, c->at - c->start, text);
}

static void skip_space(cursor *c)
{
    c->at += strspn(c->at, " \t\r\n");
}

static bool takes(cursor *c, char wanted)
{
    skip_space(c);
    if (*c->at != wanted) {
        return false;
    }
    c->at++;
    return true;
}

static lo_status take(cursor *c, char wanted)
{
    return takes(c, wanted) ? LO_OK : refuse(c, "expected '%c'", wanted);
}

static bool four_digits(const char *text, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *found;
        const char lower = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
        if (lower == '\0' || (found = strchr(digits, lower)) == NULL) {
            return false;
        }
        *value = *value << 4 | (uint32_t)(found - digits);
    }
    return true;
}

static char *put_utf8(char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (char)point;
        return to;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    *to++ = (char)((0xff00U >> (more + 1) & 0xffU) | point >> 6 * more);
    for (int i = more - 1; i >= 0; i--) {
        *to++ = (char)(0x80U | (point >> 6 * i & 0x3fU));
    }
    return to;
}

/* \uXXXX, or two of them that are one character. c->at is behind the u. */
static lo_status take_point(cursor *c, uint32_t *point)
{
    uint32_t low = 0;
    if (!four_digits(c->at, point)) {
        return refuse(c, "expected four hexadecimal digits");
    }
    c->at += 4;
    if (*point >= 0xd800 && *point < 0xdc00 && c->at[0] == '\\' && c->at[1] == 'u' &&
        four_digits(c->at + 2, &low) && low >= 0xdc00 && low < 0xe000) {
        *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
        c->at += 6;
    }
    return *point != 0 && (*point < 0xd800 || *point >= 0xe000) ? LO_OK : refuse(c, "not a character");
}

/* Decodes a string in place: it never becomes longer, and its NUL takes the place of a quote. */
static lo_status take_string(cursor *c, const char **out)
{
    static const char escapes[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    LO_TRY(take(c, '"'));
    char *to = c->at;
    *out = to;
    while (*c->at != '"') {
        uint32_t point = 0;
        if (*c->at == '\\') {
            c->at++;
            const char *escape = *c->at != '\0' ? strchr(escapes, *c->at) : NULL;
            if (*c->at == 'u') {
                c->at++;
                LO_TRY(take_point(c, &point));
                to = put_utf8(to, point);
            } else if (escape != NULL) {
                c->at++;
                *to++ = means[escape - escapes];
            } else {
                return refuse(c, "unknown escape");
            }
            continue;
        }
        const int length = lo_utf8_length(c->at, &point);
        if (length == 0 || point < 0x20) {
            return refuse(c, "a text with a byte that may not be in one");
        }
        memmove(to, c->at, (size_t)length);
        to += length;
        c->at += length;
    }
    c->at++;
    *to = '\0';
    return LO_OK;
}

static lo_status take_number(cursor *c, uint64_t *value)
{
    skip_space(c);
    const size_t digits = strspn(c->at, "0123456789");
    if (digits == 0 || digits > 18 || (digits > 1 && *c->at == '0')) {
        return refuse(c, "expected a whole number below 10^18");
    }
    *value = strtoull(c->at, NULL, 10);
    c->at += digits;
    return LO_OK;
}

/* Appends room for one more element to an array. */
static lo_status grow(void *array, int count, size_t size, lo_error *err)
{
    if ((count & (count - 1)) != 0) {
        return LO_OK; /* room is a power of two */
    }
    void *old;
    memcpy(&old, array, sizeof(old));
    void *larger = realloc(old, (count > 0 ? 2 * (size_t)count : 1) * size);
    if (larger == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a header of %d entries", count);
    }
    memcpy(array, &larger, sizeof(larger));
    return LO_OK;
}

static lo_status take_metadata(cursor *c, lo_safetensors *out)
{
    LO_TRY(take(c, '{'));
    if (takes(c, '}')) {
        return LO_OK;
    }
    do {
        LO_TRY(grow(&out->note, out->notes, sizeof(*out->note), c->err));
        lo_tensor_note *note = &out->note[out->notes];
        skip_space(c);
        LO_TRY(take_string(c, &note->key));
        LO_TRY(take(c, ':'));
        skip_space(c);
        LO_TRY(take_string(c, &note->value));
        out->notes++;
    } while (takes(c, ','));
    return take(c, '}');
}

static lo_status take_type(cursor *c, lo_tensor_type *type)
{
    const char *name;
    skip_space(c);
    LO_TRY(take_string(c, &name));
    for (int t = 0; t < LO_TENSOR_TYPES; t++) {
        if (strcmp(types[t].name, name) == 0) {
            *type = (lo_tensor_type)t;
            return LO_OK;
        }
    }
    return refuse(c, "unknown dtype '%.32s'", name);
}

static lo_status take_list(cursor *c, uint64_t *value, int most, int *count)
{
    *count = 0;
    LO_TRY(take(c, '['));
    if (takes(c, ']')) {
        return LO_OK;
    }
    do {
        if (*count == most) {
            return refuse(c, "a list of more than %d numbers", most);
        }
        LO_TRY(take_number(c, &value[(*count)++]));
    } while (takes(c, ','));
    return take(c, ']');
}

/* Where a tensor's bytes lie, relative to the end of the header. */
typedef struct span {
    uint64_t begin, end;
    int tensor;
} span;

static lo_status take_tensor(cursor *c, lo_tensor *tensor, span *place)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    uint64_t shape[LO_TENSOR_MAX_RANK];
    uint64_t offsets[2];
    int seen = 0, count = 0;
    LO_TRY(take(c, '{'));
    do {
        const char *key;
        skip_space(c);
        LO_TRY(take_string(c, &key));
        const int field = strcmp(key, "dtype") == 0          ? DTYPE
                          : strcmp(key, "shape") == 0        ? SHAPE
                          : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                             : 0;
        if (field == 0 || (seen & field) != 0) {
            return refuse(c, "tensor '%.128s' has %s '%.32s'", tensor->name,
                          field == 0 ? "an unknown key" : "twice the key", key);
        }
        seen |= field;
        LO_TRY(take(c, ':'));
        skip_space(c);
        if (field == DTYPE) {
            LO_TRY(take_type(c, &tensor->type));
        } else if (field == SHAPE) {
            LO_TRY(take_list(c, shape, LO_TENSOR_MAX_RANK, &tensor->rank));
        } else {
            LO_TRY(take_list(c, offsets, 2, &count));
        }
    } while (takes(c, ','));
    LO_TRY(take(c, '}'));
    if (seen != ALL || count != 2 || offsets[1] < offsets[0]) {
        return refuse(c, "tensor '%.128s' needs dtype, shape and two ascending data_offsets", tensor->name);
    }
    uint64_t bytes = types[tensor->type].size;
    for (int d = 0; d < tensor->rank; d++) {
        if (__builtin_mul_overflow(bytes, shape[d], &bytes)) {
            return refuse(c, "tensor '%.128s' has an impossible shape", tensor->name);
        }
        tensor->shape[d] = (int64_t)shape[d];
    }
    if (bytes != offsets[1] - offsets[0]) {
        char text[256];
        return refuse(c, "tensor '%.128s' has %" PRIu64 " bytes; %s of type %s takes %" PRIu64, tensor->name,
                      offsets[1] - offsets[0], lo_tensor_shape(tensor, text, sizeof(text)),
                      types[tensor->type].name, bytes);
    }
    *place = (span){offsets[0], offsets[1], 0};
    return LO_OK;
}

static lo_status take_header(cursor *c, lo_safetensors *out, span **places)
{
    bool metadata = false;
    LO_TRY(take(c, '{'));
    if (!takes(c, '}')) {
        do {
            const char *name;
            skip_space(c);
            LO_TRY(take_string(c, &name));
            LO_TRY(take(c, ':'));
            skip_space(c);
            if (strcmp(name, METADATA) == 0) {
                if (metadata) {
                    return refuse(c, METADATA " is there twice");
                }
                metadata = true;
                LO_TRY(take_metadata(c, out));
                continue;
            }
            LO_TRY(grow(&out->tensor, out->count, sizeof(*out->tensor), c->err));
            LO_TRY(grow(places, out->count, sizeof(**places), c->err));
            out->tensor[out->count] = (lo_tensor){.name = name};
            LO_TRY(take_tensor(c, &out->tensor[out->count], &(*places)[out->count]));
            (*places)[out->count].tensor = out->count;
            out->count++;
        } while (takes(c, ','));
        LO_TRY(take(c, '}'));
    }
    skip_space(c);
    return *c->at == '\0' ? LO_OK : refuse(c, "something follows the last '}'");
}

/* ---- reading ---- */

static int by_begin(const void *a, const void *b)
{
    const span *x = a, *y = b;
    return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1) : (x->end > y->end) - (x->end < y->end);
}

/* The tensors must cover the data, each byte once. */
static lo_status place_tensors(const char *file, const char *data, uint64_t size, span *places,
                               lo_safetensors *out, lo_error *err)
{
    uint64_t end = 0;
    if (out->count > 0) {
        qsort(places, (size_t)out->count, sizeof(*places), by_begin);
    }
    for (int i = 0; i < out->count; i++) {
        lo_tensor *tensor = &out->tensor[places[i].tensor];
        if (places[i].begin != end || places[i].end > size) {
            return lo_fail(err, LO_DATA,
                           "%s: tensor '%.128s' lies at bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64
                           "; the one before ends at %" PRIu64 ": tensors may neither overlap nor leave gaps",
                           file, tensor->name, places[i].begin, places[i].end, size, end);
        }
        end = places[i].end;
        tensor->data = data + places[i].begin;
    }
    return end == size ? LO_OK
                       : lo_fail(err, LO_DATA,
                                 "%s: %" PRIu64 " bytes of numbers, of which the tensors cover %" PRIu64
                                 ": cut off, or not whole",
                                 file, size, end);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* A text that is there twice, or NULL. texts is sorted. */
static const char *twice(const char **text, int count)
{
    if (count > 1) {
        qsort(text, (size_t)count, sizeof(*text), by_text);
    }
    for (int i = 1; i < count; i++) {
        if (strcmp(text[i - 1], text[i]) == 0) {
            return text[i];
        }
    }
    return NULL;
}

static lo_status check_names(const char *file, const lo_tensor *tensor, int count, const lo_tensor_note *note,
                             int notes, lo_error *err)
{
    const int most = count > notes ? count : notes;
    const char **text = calloc((size_t)most + 1, sizeof(*text));
    if (text == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d names", most);
    }
    for (int i = 0; i < count; i++) {
        text[i] = tensor[i].name;
    }
    const char *double_tensor = twice(text, count);
    for (int i = 0; i < notes; i++) {
        text[i] = note[i].key;
    }
    const char *double_note = double_tensor == NULL ? twice(text, notes) : NULL;
    free(text);
    if (double_tensor != NULL) {
        return lo_fail(err, LO_DATA, "%s: tensor '%.128s' is there twice", file, double_tensor);
    }
    return double_note == NULL
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: " METADATA " has '%.128s' twice", file, double_note);
}

static uint64_t little_endian(const char *bytes)
{
    uint64_t value = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        value = value << 8 | (uint8_t)bytes[i];
    }
    return value;
}

lo_status lo_safetensors_parse(const char *file, const char *bytes, size_t size, lo_safetensors *out,
                               lo_error *err)
{
    *out = (lo_safetensors){0};
    if (size < LENGTH_BYTES) {
        return lo_fail(err, LO_DATA, "%s: %zu bytes; a safetensors file has at least %d", file, size,
                       LENGTH_BYTES);
    }
    const uint64_t length = little_endian(bytes);
    if (length > HEADER_LIMIT || length > size - LENGTH_BYTES) {
        return lo_fail(err, LO_DATA,
                       "%s: its header would have %" PRIu64
                       " bytes, of a file of %zu; at most %d are allowed: "
                       "cut off, or no safetensors file",
                       file, length, size, HEADER_LIMIT);
    }
    out->header = malloc((size_t)length + 1);
    if (out->header == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a header of %" PRIu64 " bytes", length);
    }
    memcpy(out->header, bytes + LENGTH_BYTES, (size_t)length);
    out->header[length] = '\0';
    if (strlen(out->header) != length || length == 0 || out->header[0] != '{') {
        return lo_fail(err, LO_DATA, "%s: its header is no JSON object", file);
    }
    span *places = NULL;
    cursor c = {file, out->header, out->header, err};
    lo_status status = take_header(&c, out, &places);
    if (status == LO_OK) {
        status = check_names(file, out->tensor, out->count, out->note, out->notes, err);
    }
    if (status == LO_OK) {
        status = place_tensors(file, bytes + LENGTH_BYTES + length, size - LENGTH_BYTES - length, places, out,
                               err);
    }
    free(places);
    return status;
}

lo_status lo_safetensors_read(const char *file, lo_safetensors *out, lo_error *err)
{
    char *bytes;
    size_t size;
    *out = (lo_safetensors){0};
    LO_TRY(lo_file_read(file, SIZE_MAX / 4, &bytes, &size, err));
    const lo_status status = lo_safetensors_parse(file, bytes, size, out, err);
    out->bytes = bytes;
    return status;
}

void lo_safetensors_free(lo_safetensors *tensors)
{
    free(tensors->tensor);
    free(tensors->note);
    free(tensors->header);
    free(tensors->bytes);
    *tensors = (lo_safetensors){0};
}

const lo_tensor *lo_safetensors_find(const lo_safetensors *tensors, const char *name)
{
    for (int i = 0; i < tensors->count; i++) {
        if (strcmp(tensors->tensor[i].name, name) == 0) {
            return &tensors->tensor[i];
        }
    }
    return NULL;
}

const char *lo_safetensors_note(const lo_safetensors *tensors, const char *key)
{
    for (int i = 0; i < tensors->notes; i++) {
        if (strcmp(tensors->note[i].key, key) == 0) {
            return tensors->note[i].value;
        }
    }
    return NULL;
}

/* ---- checksum and writing ---- */

/* As they lie in a file that is written: wider types first, then by name. */
static int by_width(const void *a, const void *b)
{
    const lo_tensor *x = a, *y = b;
    const size_t wide_x = types[x->type].size, wide_y = types[y->type].size;
    return wide_x != wide_y ? (wide_x > wide_y ? -1 : 1) : strcmp(x->name, y->name);
}

static uint32_t crc_of(uint32_t crc, const lo_tensor *tensor)
{
    crc = lo_crc32(crc, tensor->name, strlen(tensor->name));
    return lo_crc32(crc, tensor->data, bytes_of(tensor));
}

static int by_place(const void *a, const void *b)
{
    const lo_tensor *x = a, *y = b;
    const uintptr_t at_x = (uintptr_t)x->data, at_y = (uintptr_t)y->data;
    return at_x != at_y ? (at_x < at_y ? -1 : 1) : strcmp(x->name, y->name);
}

lo_status lo_safetensors_verify(const char *file, const lo_safetensors *tensors, lo_error *err)
{
    const char *note = lo_safetensors_note(tensors, CRC_NOTE);
    if (note == NULL) {
        return lo_fail(err, LO_DATA, "%s: has no checksum (" METADATA " " CRC_NOTE ")", file);
    }
    lo_tensor *list = malloc(((size_t)tensors->count + 1) * sizeof(*list));
    if (list == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d tensors", tensors->count);
    }
    uint32_t crc = 0;
    char text[16];
    if (tensors->count > 0) {
        memcpy(list, tensors->tensor, (size_t)tensors->count * sizeof(*list));
        qsort(list, (size_t)tensors->count, sizeof(*list), by_place);
    }
    for (int i = 0; i < tensors->count; i++) {
        crc = crc_of(crc, &list[i]);
    }
    free(list);
    (void)snprintf(text, sizeof(text), "%08" PRIx32, crc);
    return strcmp(text, note) == 0
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: is damaged: its checksum is %s, not %.16s", file, text, note);
}

static char *write_header(const lo_tensor *tensor, int count, const lo_tensor_note *note, int notes,
                          size_t *size)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, size);
    if (stream == NULL) {
        return NULL;
    }
    uint64_t at = 0;
    uint32_t crc = 0;
    char sum[16];
    for (int i = 0; i < count; i++) {
        crc = crc_of(crc, &tensor[i]);
    }
    (void)snprintf(sum, sizeof(sum), "%08" PRIx32, crc);
    lo_json json = lo_json_begin(stream);
    lo_json_object(&json, NULL);
    lo_json_object(&json, METADATA);
    lo_json_text(&json, CRC_NOTE, sum);
    for (int i = 0; i < notes; i++) {
        lo_json_text(&json, note[i].key, note[i].value);
    }
    lo_json_end(&json);
    for (int i = 0; i < count; i++) {
        lo_json_object(&json, tensor[i].name);
        lo_json_text(&json, "dtype", types[tensor[i].type].name);
        lo_json_array(&json, "shape");
        for (int d = 0; d < tensor[i].rank; d++) {
            lo_json_int(&json, NULL, tensor[i].shape[d]);
        }
        lo_json_end(&json);
        lo_json_array(&json, "data_offsets");
        lo_json_int(&json, NULL, (int64_t)at);
        at += bytes_of(&tensor[i]);
        lo_json_int(&json, NULL, (int64_t)at);
        lo_json_end(&json);
        lo_json_end(&json);
    }
    lo_json_end(&json);
    const long length = ftell(stream);
    for (long i = length; i % ALIGNMENT != 0; i++) {
        (void)fputc(' ', stream);
    }
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed || length < 0) {
        free(text);
        return NULL;
    }
    return text;
}

lo_status lo_safetensors_write(const char *file, lo_tensor *tensor, int count, const lo_tensor_note *note,
                               int notes, lo_error *err)
{
    size_t size = 0;
    lo_file out = {0};
    if (count > 0) {
        qsort(tensor, (size_t)count, sizeof(*tensor), by_width);
    }
    LO_TRY(check_names(file, tensor, count, note, notes, err));
    char *header = write_header(tensor, count, note, notes, &size);
    if (header == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the header of %s", file);
    }
    lo_status status = lo_file_begin(file, &out, err);
    if (status == LO_OK) {
        for (int i = 0; i < LENGTH_BYTES; i++) {
            (void)fputc((int)(size >> 8 * i & 0xffU), out.stream);
        }
        (void)fwrite(header, 1, size, out.stream);
        for (int i = 0; i < count; i++) {
            (void)fwrite(tensor[i].data, 1, bytes_of(&tensor[i]), out.stream);
        }
        status = lo_file_end(&out, LO_OK, err);
    }
    free(header);
    return status;
}
