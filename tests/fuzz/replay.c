/* Gives a fuzz target the files of a corpus, one after another, without libFuzzer: any compiler will do.
 * usage: replay DIRECTORY [LEAST], which must hold at least LEAST files (1) */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *load(const char *path, size_t *size)
{
    enum { MOST = 1 << 20 };
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(MOST);
    *size = f != NULL && data != NULL ? fread(data, 1, MOST, f) : 0;
    if (f != NULL) {
        (void)fclose(f);
    }
    /* A block of just its size, so that a sanitizer sees what reads beyond it. */
    uint8_t *exact = malloc(*size > 0 ? *size : 1);
    if (exact != NULL && data != NULL) {
        memcpy(exact, data, *size);
    }
    free(data);
    return exact;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    const int least = argc > 2 ? atoi(argv[2]) : 1;
    const int count = argc > 1 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    int replayed = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        size_t size = 0;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            (void)fprintf(stderr, "%s\n", path); /* the last one named is the one that crashes */
            uint8_t *data = load(path, &size);
            (void)LLVMFuzzerTestOneInput(data, size);
            free(data);
            replayed++;
        }
        free(entries[i]);
    }
    free(entries);
    (void)printf("replayed %d inputs\n", replayed);
    return replayed >= least ? 0 : 1;
}
