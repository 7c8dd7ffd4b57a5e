/* Picture files of any bytes: decoded or refused, and then scaled. */
#include "data/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEIGHT = 5, WIDTH = 7 };
    uint8_t plane[3 * HEIGHT * WIDTH];
    lo_error err = {{0}};
    lo_image image = {0};
    const lo_status status = lo_image_decode(data, size, &image, &err);
    if (status == LO_OK) {
        if (image.height < 1 || image.width < 1 || (image.channels != 1 && image.channels != 3) ||
            (int64_t)image.height * image.width > LO_IMAGE_MAX_AREA) {
            abort();
        }
        if (lo_image_planes(&image, 3, HEIGHT, WIDTH, plane, &err) != LO_OK) {
            abort();
        }
    } else if (status != LO_DATA || err.text[0] == '\0') {
        abort();
    }
    lo_image_free(&image);
    return 0;
}
