#include "data/readers.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const lo_reader readers[] = {
    {"idx", "MNIST's files of images and labels, plain or gzip, in one directory", lo_read_idx, NULL},
    {"image_folder", "JPEG and PNG files in train/CLASS/ and test/CLASS/", lo_read_image_folder,
     &lo_shared_image_folder},
};

int lo_reader_count(void)
{
    return (int)(sizeof(readers) / sizeof(readers[0]));
}

const lo_reader *lo_reader_at(int i)
{
    return &readers[i];
}

const lo_reader *lo_reader_find(const char *name)
{
    for (int i = 0; i < lo_reader_count(); i++) {
        if (strcmp(readers[i].name, name) == 0) {
            return &readers[i];
        }
    }
    return NULL;
}

char **lo_source_names(int32_t count)
{
    return calloc((size_t)count, sizeof(char *));
}

bool lo_source_name(char **names, int32_t i, const char *text, size_t length)
{
    if (length < 1 || length > LO_MAX_CLASS_NAME) {
        return false;
    }
    char *copy = strndup(text, length);
    bool good = copy != NULL && strlen(copy) == length;
    for (const char *at = copy; good && *at != '\0';) {
        uint32_t point = 0;
        const int bytes = lo_utf8_length(at, &point);
        good = bytes > 0 && point >= 0x20 && (point < 0x7f || point > 0x9f);
        at += bytes;
    }
    if (!good) {
        free(copy);
        return false;
    }
    free(names[i]);
    names[i] = copy;
    return true;
}

static void names_free(char **names, int32_t count)
{
    for (int32_t i = 0; names != NULL && i < count; i++) {
        free(names[i]);
    }
    free(names);
}

static void part_free(lo_source_part *part)
{
    if (part->map != NULL) {
        (void)munmap(part->map, part->map_size);
    }
    free(part->label);
    free(part->label_coarse);
    free(part->missing);
}

void lo_source_free(lo_source *source)
{
    part_free(&source->train);
    part_free(&source->test);
    names_free(source->class_name, source->classes);
    names_free(source->coarse_name, source->coarse_classes);
    *source = (lo_source){0};
}
