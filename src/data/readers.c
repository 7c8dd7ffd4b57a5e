#include "data/readers.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const lo_reader readers[] = {
    {"idx", "MNIST's files of images and labels, plain or gzip, in one directory", lo_read_idx, NULL},
    {"image_folder", "JPEG and PNG files in train/CLASS/ and test/CLASS/", lo_read_image_folder,
     &lo_shared_image_folder},
    {"cifar10", "CIFAR-10 in its binary version, six files in one directory", lo_read_cifar10, NULL},
    {"cifar100", "CIFAR-100 in its binary version, with fine and coarse labels", lo_read_cifar100, NULL},
    {"npy", "numpy arrays of images or features: x_train.npy, y_train.npy, x_test.npy, y_test.npy",
     lo_read_npy, NULL},
    {"csv", "tables of numbers, one column the label: train.csv and test.csv", lo_read_csv, NULL},
    {"svmlight", "sparse text of SVMlight and LIBSVM: train.svm and test.svm", lo_read_svmlight, NULL},
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

bool lo_source_name_allowed(const char *text, size_t length)
{
    char copy[LO_MAX_CLASS_NAME + 1];
    if (length < 1 || length > LO_MAX_CLASS_NAME) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    size_t at = 0;
    while (at < length) {
        uint32_t point = 0;
        const int bytes = lo_utf8_length(copy + at, &point);
        if (bytes <= 0 || point < 0x20 || (point >= 0x7f && point <= 0x9f)) {
            return false;
        }
        at += (size_t)bytes;
    }
    return true;
}

bool lo_source_name(char **names, int32_t i, const char *text, size_t length)
{
    char *copy = lo_source_name_allowed(text, length) ? strndup(text, length) : NULL;
    if (copy == NULL) {
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
