/* Operands of products rounded to bfloat16, each in the upper half of a word, for processors without a
 * product of bfloat16. See kernels_body.h. */
#define PRECISION LO_BF16
#define PAIRS     1
#define PACK_A    1

typedef uint32_t bits_of_vector __attribute__((vector_size(4 * VEC)));

/* As the instruction vcvtneps2bf16: to nearest, ties to even; NaN stays (quiet), denormal numbers become
 * zero. */
static inline V round_(V v)
{
    const bits_of_vector bits = (bits_of_vector)v, upper = ~(bits_of_vector){0} << 16;
    const bits_of_vector exponent = bits & 0x7F800000U;
    const bits_of_vector rounded = bits + 0x7FFFU + ((bits >> 16) & 1U);
    const bits_of_vector nan = (bits_of_vector)((bits & 0x7FFFFFFFU) > 0x7F800000U);
    const bits_of_vector tiny = (bits_of_vector)(exponent == 0U);
    const bits_of_vector normal = (nan & (bits | 0x400000U)) | (~nan & rounded);
    return (V)((tiny & bits & 0x80000000U) | (~tiny & normal & upper));
}

#define word_(even, odd)     ((void)(odd), round_(even))
#define narrow_(to, v)       store(to, round_(v))
#define multiply_(a, b, sum) fma_(a, b, sum)
