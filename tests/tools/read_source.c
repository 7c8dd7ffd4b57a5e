/* Prints what a reader makes of a data set, in the format of tests/oracle/make_data_files.py.
 * usage: read_source FORMAT PATH [layout=nchw|nhwc] [header=present|absent] [label_column=X]
 * [first_index=0|1] Errors go to standard error; the exit code is the status. */
#include "data/readers.h"
#include "mpi/reader_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_part(const lo_source *source, const lo_source_part *part)
{
    const lo_shape s = source->shape;
    const size_t size = lo_shape_size(s);
    (void)printf("%lld %d %d %d %s\n", (long long)part->count, s.channels, s.height, s.width,
                 source->element == LO_PIXELS ? "pixel" : "feature");
    for (int64_t i = 0; i < part->count; i++) {
        (void)printf("%d", part->label[i]);
        for (size_t v = 0; v < size; v++) {
            const size_t at = (size_t)i * size + v;
            (void)printf(" %.9g", part->pixel != NULL ? (double)part->pixel[at] : (double)part->feature[at]);
        }
        (void)printf("\n");
    }
}

/* The text behind "name=" if the argument is so named, else NULL. */
static const char *value_of(const char *argument, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return LO_USAGE;
    }
    const lo_reader *reader = strcmp(argv[1], "hdf5") == 0 ? &lo_reader_hdf5 : lo_reader_find(argv[1]);
    lo_read_options options = {.first_index = 1};
    for (int a = 3; a < argc; a++) {
        const char *text;
        if ((text = value_of(argv[a], "layout")) != NULL) {
            options.layout = strcmp(text, "nhwc") == 0 ? LO_CHANNELS_LAST : LO_CHANNELS_FIRST;
        } else if ((text = value_of(argv[a], "header")) != NULL) {
            options.header = strcmp(text, "present") == 0 ? LO_HEADER_PRESENT : LO_HEADER_ABSENT;
        } else if ((text = value_of(argv[a], "label_column")) != NULL) {
            options.label_column = text;
        } else if ((text = value_of(argv[a], "first_index")) != NULL) {
            options.first_index = atoi(text);
        } else {
            return LO_USAGE;
        }
    }
    if (reader == NULL) {
        return LO_USAGE;
    }
    lo_source source = {0};
    lo_error err = {""};
    const lo_status status = reader->read(argv[2], &options, &source, &err);
    if (status == LO_OK) {
        for (int32_t c = 0; source.class_name != NULL && c < source.classes; c++) {
            (void)printf("%s%s", c > 0 ? "|" : "", source.class_name[c]);
        }
        (void)printf("%s\n", source.class_name == NULL ? "-" : "");
        print_part(&source, &source.train);
        print_part(&source, &source.test);
    } else {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    lo_source_free(&source);
    return (int)status;
}
