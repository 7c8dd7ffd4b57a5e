/* Operands of products as they are. See kernels_body.h. */
#define PRECISION            LO_F32
#define PAIRS                1
#define PACK_A               0
#define word_(even, odd)     ((void)(odd), (even))
#define narrow_(to, v)       store(to, v)
#define multiply_(a, b, sum) fma_(a, b, sum)
