/* The safetensors format: what is written is read back, what is damaged is refused. */
#include "base/file.h"
#include "nn/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "safetensors-%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path) == 0 || access(path, F_OK) != 0 ? 0 : -1;
}

/* A file in memory: length, header, `data` bytes 0, 1, 2, ... */
static char *make_file(const char *header, size_t data, size_t *size)
{
    const size_t length = strlen(header);
    char *bytes = malloc(8 + length + data + 1);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)(length >> 8 * i & 0xff);
    }
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) {
        bytes[8 + length + i] = (char)i;
    }
    *size = 8 + length + data;
    return bytes;
}

/* Parses a header with so many bytes of data behind it. */
static lo_status parse(const char *header, size_t data, lo_safetensors *out, lo_error *err, char **bytes)
{
    size_t size;
    *bytes = make_file(header, data, &size);
    return lo_safetensors_parse("F", *bytes, size, out, err);
}

static void refused(const char *header, size_t data, const char *text)
{
    lo_safetensors tensors;
    lo_error err = {{0}};
    char *bytes;
    const lo_status status = parse(header, data, &tensors, &err, &bytes);
    if (status != LO_DATA || strstr(err.text, text) == NULL) {
        fail_msg("%s\n  gives %d '%s', which lacks '%s'", header, (int)status, err.text, text);
    }
    lo_safetensors_free(&tensors);
    free(bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    const float weights[6] = {1, -2, NAN, INFINITY, 0.5F, -0.0F};
    const int64_t batches = -77;
    const uint8_t flags[3] = {1, 0, 255};
    lo_tensor tensor[] = {
        {.name = "z.flags", .type = LO_TENSOR_U8, .rank = 1, .shape = {3}, .data = flags},
        {.name = "b.\"\xc3\xa4\n", .type = LO_TENSOR_F32, .rank = 2, .shape = {2, 3}, .data = weights},
        {.name = "a.empty", .type = LO_TENSOR_F32, .rank = 2, .shape = {0, 4}, .data = weights},
        {.name = "n", .type = LO_TENSOR_I64, .data = &batches},
    };
    const lo_tensor_note notes[] = {{"seed", "3"}, {"digest", "\\\"x\""}};
    lo_safetensors read;
    lo_error err = {{0}};
    assert_int_equal(lo_safetensors_write(path, tensor, 4, notes, 2, &err), LO_OK);
    assert_int_equal(lo_safetensors_read(path, &read, &err), LO_OK);
    assert_int_equal(read.count, 4);
    assert_string_equal(lo_safetensors_note(&read, "seed"), "3");
    assert_string_equal(lo_safetensors_note(&read, "digest"), "\\\"x\"");
    assert_null(lo_safetensors_note(&read, "none"));
    const lo_tensor *b = lo_safetensors_find(&read, "b.\"\xc3\xa4\n");
    assert_non_null(b);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[1], 3);
    assert_memory_equal(b->data, weights, sizeof(weights));
    const lo_tensor *n = lo_safetensors_find(&read, "n");
    assert_int_equal(n->rank, 0);
    assert_memory_equal(n->data, &batches, sizeof(batches));
    assert_memory_equal(lo_safetensors_find(&read, "z.flags")->data, flags, sizeof(flags));
    /* The widest first, and the header padded, so that every array is aligned in the file. */
    assert_string_equal(read.tensor[0].name, "n");
    assert_string_equal(read.tensor[3].name, "z.flags");
    assert_int_equal(((const char *)n->data - read.bytes) % 8, 0);
    assert_int_equal(lo_safetensors_verify(path, &read, &err), LO_OK);
    ((char *)(uintptr_t)b->data)[5] ^= 1;
    assert_int_equal(lo_safetensors_verify(path, &read, &err), LO_DATA);
    lo_safetensors_free(&read);

    tensor[2].name = "n"; /* another type, the same name */
    assert_int_equal(lo_safetensors_write(path, tensor, 4, NULL, 0, &err), LO_DATA);
}

/* Every shorter file is refused, and no byte beyond its end is read (the copy has none: a sanitizer sees it).
 */
static void test_cut_off(void **state)
{
    (void)state;
    size_t size;
    char *whole = make_file(
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} ", 8,
        &size);
    lo_safetensors tensors;
    assert_int_equal(lo_safetensors_parse("F", whole, size, &tensors, NULL), LO_OK);
    lo_safetensors_free(&tensors);
    for (size_t length = 0; length < size; length++) {
        char *cut = malloc(length + 1);
        assert_non_null(cut);
        char *exact = realloc(cut, length > 0 ? length : 1);
        assert_non_null(exact);
        memcpy(exact, whole, length);
        assert_int_equal(lo_safetensors_parse("F", exact, length, &tensors, NULL), LO_DATA);
        lo_safetensors_free(&tensors);
        free(exact);
    }
    /* A header that says it is longer than the file, than memory, than the limit. */
    const uint8_t lengths[][8] = {{200}, {0, 0, 0, 0, 0, 0, 0, 1}, {255, 255, 255, 255, 255, 255, 255, 255}};
    for (size_t i = 0; i < 3; i++) {
        lo_error err = {{0}};
        memcpy(whole, lengths[i], 8);
        assert_int_equal(lo_safetensors_parse("F", whole, size, &tensors, &err), LO_DATA);
        assert_non_null(strstr(err.text, "header"));
        lo_safetensors_free(&tensors);
    }
    free(whole);
}

#define F32(name, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void test_damage(void **state)
{
    (void)state;
    refused("{" F32("a", "[2]", 0, 8) "," F32("b", "[2]", 4, 12) "}", 12, "overlap");
    refused("{" F32("a", "[2]", 0, 8) "," F32("b", "[2]", 0, 8) "}", 8, "overlap");
    refused("{" F32("a", "[2]", 0, 8) "," F32("b", "[1]", 12, 16) "}", 16, "gap");
    refused("{" F32("a", "[2]", 4, 12) "}", 12, "gap");
    refused("{" F32("a", "[2]", 0, 8) "}", 12, "cover 8");
    refused("{" F32("a", "[2]", 0, 8) "}", 4, "bytes 0 to 8 of 4");
    refused("{" F32("a", "[2]", 0, 8) "," F32("a", "[2]", 8, 16) "}", 16, "'a' is there twice");
    refused("{" F32("a", "[3]", 0, 8) "}", 8, "[3] of type F32 takes 12");
    refused("{" F32("a", "[2]", 8, 0) "}", 8, "ascending");
    refused("{" F32("a", "[4294967296,4294967296,4294967296]", 0, 8) "}", 8, "impossible shape");
    refused("{" F32("a", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "more than 8");
    refused("{" F32("a", "[-2]", 0, 8) "}", 8, "whole number");
    refused("{" F32("a", "[02]", 0, 8) "}", 8, "whole number");
    refused("{" F32("a", "[2.0]", 0, 8) "}", 8, "expected ']'");
    refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "unknown dtype 'F33'");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "needs dtype");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "twice");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, "unknown key 'x'");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "expected '\"'");
    refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "'a' twice");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "there twice");
    refused("{} x", 0, "follows");
    refused("{\"a\\u0000\":{}}", 0, "character");
    refused("{\"a\\ud800\":{}}", 0, "character");
    refused("{\"a\\q\":{}}", 0, "escape");
    refused("{\"a\xff\":{}}", 0, "byte");
    refused("[]", 0, "JSON object");
    refused(" {}", 0, "JSON object");
    refused("", 0, "JSON object");
}

static void test_escapes(void **state)
{
    (void)state;
    lo_safetensors tensors;
    lo_error err = {{0}};
    char *bytes;
    assert_int_equal(parse("{\"__metadata__\" : {\"\\u00e4\\/\" :\t\"\\ud83d\\ude00\\u20AC\\n\"} }  ", 0,
                           &tensors, &err, &bytes),
                     LO_OK);
    assert_string_equal(tensors.note[0].key, "\xc3\xa4/");
    assert_string_equal(tensors.note[0].value, "\xf0\x9f\x98\x80\xe2\x82\xac\n");
    lo_safetensors_free(&tensors);
    free(bytes);
}

static void test_numbers(void **state)
{
    (void)state;
    /* binary16: 1, -2, the largest, the least subnormal, infinity; -0. */
    const uint16_t half[6] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000};
    const float halves[6] = {1, -2, 65504, 0x1p-24F, INFINITY, -0.0F};
    const uint16_t brain[2] = {0x3f80, 0xc040};
    const double wide[2] = {0.1, -1e300};
    float values[6];
    lo_error err = {{0}};
    const lo_tensor f16 = {.name = "h", .type = LO_TENSOR_F16, .rank = 1, .shape = {6}, .data = half};
    assert_int_equal(lo_tensor_floats(&f16, values, &err), LO_OK);
    assert_memory_equal(values, halves, sizeof(halves));
    const lo_tensor bf16 = {.name = "b", .type = LO_TENSOR_BF16, .rank = 1, .shape = {2}, .data = brain};
    assert_int_equal(lo_tensor_floats(&bf16, values, &err), LO_OK);
    assert_true(values[0] == 1 && values[1] == -3);
    const lo_tensor f64 = {.name = "d", .type = LO_TENSOR_F64, .rank = 1, .shape = {2}, .data = wide};
    assert_int_equal(lo_tensor_floats(&f64, values, &err), LO_OK);
    assert_true(values[0] == 0.1F && isinf(values[1]));
    const lo_tensor u8 = {.name = "u", .type = LO_TENSOR_U8, .rank = 1, .shape = {2}, .data = brain};
    assert_int_equal(lo_tensor_floats(&u8, values, &err), LO_DATA);
    assert_non_null(strstr(err.text, "tensor u is of type U8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_cut_off), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_escapes),    cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
