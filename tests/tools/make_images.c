/* make_images DIRECTORY CLASSES TRAIN TEST SIDE: an image folder of made-up pictures, TRAIN and TEST of each
 * class; every third is a JPEG, the others are PNG. Those of a class look alike. */
#include "image_fixture.h"

static void make_part(const char *root, const char *part, int classes, int count, int side)
{
    for (int c = 0; c < classes; c++) {
        for (int i = 0; i < count; i++) {
            char name[64];
            const bool jpeg = i % 3 == 0;
            const int seed = 1000 * c + i % 3;
            (void)snprintf(name, sizeof(name), "%s/class%02d/%04d.%s", part, c, i, jpeg ? "jpg" : "png");
            (jpeg ? image_save_jpeg : image_save_png)(root, name, seed, side, side, 3);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "use: make_images DIRECTORY CLASSES TRAIN TEST SIDE\n");
        return 2;
    }
    const int classes = atoi(argv[2]);
    const int side = atoi(argv[5]);
    make_part(argv[1], "train", classes, atoi(argv[3]), side);
    make_part(argv[1], "test", classes, atoi(argv[4]), side);
    return 0;
}
