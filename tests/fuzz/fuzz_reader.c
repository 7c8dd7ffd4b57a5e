/* Readers of data sets on files of any bytes. FUZZ_READER in the environment names the reader. An input is a
 * byte of options, then the reader's files in the order below, with the bytes "<|>" between them; what is not
 * there is not written. */
#include "data/readers.h"
#include "mpi/reader_hdf5.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_FILES = 7, LARGEST_FILE = 1 << 24 };

static const struct {
    const char *reader, *files[MAX_FILES + 1];
} formats[] = {{"idx",
                {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                 "t10k-labels-idx1-ubyte"}},
               {"cifar10",
                {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                 "data_batch_5.bin", "test_batch.bin", "batches.meta.txt"}},
               {"cifar100", {"train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"}},
               {"npy", {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"}},
               {"csv", {"train.csv", "test.csv"}},
               {"svmlight", {"train.svm", "test.svm"}},
               {"hdf5", {"data.h5"}}};

static char directory[64];
static const lo_reader *reader;
static const char *const *files;

static void remove_all(void)
{
    char path[256];
    for (int f = 0; files != NULL && files[f] != NULL; f++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, files[f]);
        (void)unlink(path);
    }
}

static void remove_directory(void)
{
    remove_all();
    (void)rmdir(directory);
}

/* Once: finds the reader, makes the directory, and bounds what a damaged header can make it write. */
static void prepare(void)
{
    const char *name = getenv("FUZZ_READER");
    const struct rlimit limit = {LARGEST_FILE, LARGEST_FILE};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (name != NULL && strcmp(name, formats[i].reader) == 0) {
            files = formats[i].files;
            reader = strcmp(name, "hdf5") == 0 ? &lo_reader_hdf5 : lo_reader_find(name);
        }
    }
    (void)snprintf(directory, sizeof(directory), "%s/fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (reader == NULL || mkdtemp(directory) == NULL) {
        (void)fprintf(stderr, "FUZZ_READER must name a reader, and /dev/shm or /tmp be writable\n");
        exit(2);
    }
    (void)atexit(remove_directory);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0) {
        abort();
    }
}

static void write_files(const uint8_t *data, size_t size)
{
    for (int f = 0; files[f] != NULL; f++) {
        const uint8_t *end = files[f + 1] != NULL ? memmem(data, size, "<|>", 3) : NULL;
        const size_t length = end != NULL ? (size_t)(end - data) : size;
        write_file(files[f], data, length);
        if (end == NULL) {
            return;
        }
        data += length + 3;
        size -= length + 3;
    }
}

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_part(const lo_source *source, const lo_source_part *part)
{
    const size_t size = lo_shape_size(source->shape);
    unsigned sum = 0;
    require(part->count > 0 && (part->pixel != NULL) != (part->feature != NULL));
    require((part->feature != NULL) == (source->element == LO_FEATURES));
    for (int64_t i = 0; i < part->count; i++) {
        require(part->label[i] >= 0 && part->label[i] < source->classes);
        require(part->label_coarse == NULL ||
                (part->label_coarse[i] >= 0 && part->label_coarse[i] < source->coarse_classes));
        for (size_t v = 0; v < size; v++) {
            const size_t at = (size_t)i * size + v;
            sum += part->pixel != NULL ? part->pixel[at] : 0;
            require(part->feature == NULL || isfinite(part->feature[at]));
        }
    }
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {NULL, "last", "1", "label"};
    if (reader == NULL) {
        prepare();
    }
    const unsigned choice = size > 0 ? data[0] : 0;
    const lo_read_options options = {.scratch = directory,
                                     .layout = (lo_layout)(choice % 3),
                                     .header = (lo_header)(choice / 4 % 3),
                                     .label_column = columns[choice / 16 % 4],
                                     .first_index = (int32_t)(choice / 64 % 2)};
    char path[256];
    lo_source source = {0};
    lo_error err = {""};
    write_files(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0);
    (void)snprintf(path, sizeof(path), "%s%s%s", directory, files[1] == NULL ? "/" : "",
                   files[1] == NULL ? files[0] : "");
    const lo_status status = reader->read(path, &options, &source, &err);
    if (status == LO_OK) {
        require(source.classes > 0 && source.shape.channels > 0 && source.shape.height > 0 &&
                source.shape.width > 0);
        check_part(&source, &source.train);
        check_part(&source, &source.test);
        for (int32_t c = 0; source.class_name != NULL && c < source.classes; c++) {
            require(lo_source_name_allowed(source.class_name[c], strlen(source.class_name[c])));
        }
    } else {
        require((status == LO_DATA || status == LO_USAGE || status == LO_IO) && err.text[0] != '\0');
    }
    lo_source_free(&source);
    remove_all();
    return 0;
}
