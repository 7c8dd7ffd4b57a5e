/* make_idx DIR TRAIN TEST SIDE [SEED]: a small learnable data set in the four IDX files. Ten classes, each a
 * fixed pattern of SIDE x SIDE pixels; an example is its class's pattern under noise, and one in eight is
 * half another class's, so that there is something to memorize. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, IMAGES_MAGIC = 0x803, LABELS_MAGIC = 0x801 };

/* splitmix64 (Steele, Lea and Flood 2014) */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void put_u32(FILE *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        (void)fputc((int)(value >> shift & 255), to);
    }
}

static FILE *begin(const char *directory, const char *name, uint32_t magic, uint32_t count)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *to = fopen(path, "wb");
    if (to == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    put_u32(to, magic);
    put_u32(to, count);
    return to;
}

static uint64_t pattern(int label, int pixel)
{
    uint64_t state = (uint64_t)(label * 100000 + pixel);
    return next(&state) % 160;
}

static bool make(const char *directory, const char *images, const char *labels, uint32_t count, uint32_t side,
                 uint64_t seed)
{
    FILE *image = begin(directory, images, IMAGES_MAGIC, count);
    FILE *label = begin(directory, labels, LABELS_MAGIC, count);
    put_u32(image, side);
    put_u32(image, side);
    for (uint32_t i = 0; i < count; i++) {
        const int class = (int)(i % CLASSES);
        const int other = next(&seed) % 8 == 0 ? (int)(next(&seed) % CLASSES) : class;
        for (uint32_t p = 0; p < side * side; p++) {
            const uint64_t clean = (pattern(class, (int)p) + pattern(other, (int)p)) / 2;
            (void)fputc((int)(clean + next(&seed) % 96), image);
        }
        (void)fputc(class, label);
    }
    const bool whole = ferror(image) == 0 && ferror(label) == 0;
    return fclose(image) == 0 && fclose(label) == 0 && whole;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        (void)fprintf(stderr, "usage: make_idx DIR TRAIN TEST SIDE [SEED]\n");
        return 2;
    }
    const uint32_t train = (uint32_t)strtoul(argv[2], NULL, 10);
    const uint32_t test = (uint32_t)strtoul(argv[3], NULL, 10);
    const uint32_t side = (uint32_t)strtoul(argv[4], NULL, 10);
    const uint64_t seed = argc == 6 ? strtoull(argv[5], NULL, 10) : 1;
    const bool written =
        make(argv[1], "train-images-idx3-ubyte", "train-labels-idx1-ubyte", train, side, 2 * seed) &&
        make(argv[1], "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", test, side, 2 * seed + 1);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
