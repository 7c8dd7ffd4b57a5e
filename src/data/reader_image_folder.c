/* Image folders, the layout of torchvision's ImageFolder: train/CLASS/ and test/CLASS/ (or val/CLASS/) with
 * JPEG and PNG files. Classes are numbered in the order of their folders' names, examples in the order of
 * class and path, by bytes. Pictures that cannot be read keep their numbers and are left out. */
#include "data/folder.h"
#include "data/image.h"
#include "data/sharing.h"
#include "data/spool.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COLOURS = 3, MOST_NAMED = 10 };

/* What became of a file: the first byte of its record. The planes red, green, blue follow, zero for one that
 * is unreadable. */
enum { UNREADABLE = 0, GREY = 1, COLOUR = 3 };

/* The list begins with a line of these numbers, ended by a NUL; the folder's paths follow. */
typedef struct list_head {
    long long train, test;   /* files */
    int height, width;       /* of every example */
    long long sized_by;      /* the file that has given them; -1: data.resize has */
    long long hidden, other; /* files ignored */
} list_head;

/* The list, opened. */
typedef struct image_set {
    const char *root;
    const lo_read_options *options;
    list_head head;
    int64_t files;
    char *text;        /* the paths, one after the other; owned */
    const char **path; /* [files] into text */
    uint8_t *data;     /* scratch: the file that is read, the picture in it */
    size_t room;
    lo_image image;
    /* Of the process that collects: */
    uint8_t *outcome; /* [files] */
    lo_spool train, test;
} image_set;

/* ---- listing ---- */

/* Finds the first picture that can be read: all others must have its size. */
static lo_status find_size(const char *root, const lo_folder *folder, const lo_tick *tick, list_head *head,
                           lo_error *err)
{
    char file[PATH_MAX];
    uint8_t *data = NULL;
    size_t room = 0;
    lo_image image = {0};
    lo_error why = {{0}};
    lo_error first = {{0}};
    lo_status status = LO_DATA;
    const char *at = folder->text;
    for (int64_t i = 0; i < folder->train + folder->test && status == LO_DATA; i++, at += strlen(at) + 1) {
        (void)snprintf(file, sizeof(file), "%s/%s", root, at); /* no longer than while they were scanned */
        LO_TRY_GOTO(status, lo_tick_call(tick), end);
        status = lo_image_read(file, &data, &room, &image, &why);
        if (i == 0) {
            (void)lo_fail(&first, LO_DATA, "%s: %.512s", at, why.text);
        }
        head->sized_by = i;
    }
    if (status == LO_DATA) {
        (void)lo_fail(err, status, "%s: none of %lld images can be read; the first is %s", root,
                      (long long)(folder->train + folder->test), first.text);
    } else if (status != LO_OK) {
        (void)lo_fail(err, status, "%s: %.512s", file, why.text);
    }
    head->height = image.height;
    head->width = image.width;
end:
    lo_image_free(&image);
    free(data);
    return status;
}

static lo_status list_images(const char *path, const lo_read_options *options, lo_listing *out, lo_error *err)
{
    lo_folder folder = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, lo_folder_scan(path, options->tick, &folder, err), end);
    list_head head = {.train = folder.train,
                      .test = folder.test,
                      .height = options->resize_height,
                      .width = options->resize_width,
                      .sized_by = -1,
                      .hidden = folder.hidden,
                      .other = folder.other};
    if (head.height == 0) {
        LO_TRY_GOTO(status, find_size(path, &folder, options->tick, &head, err), end);
    }
    char line[192];
    const int length = snprintf(line, sizeof(line), "%lld %lld %d %d %lld %lld %lld", head.train, head.test,
                                head.height, head.width, head.sized_by, head.hidden, head.other);
    out->size = (size_t)length + 1 + folder.size;
    out->text = malloc(out->size);
    if (out->text == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory for a list of its files", path);
        goto end;
    }
    memcpy(out->text, line, (size_t)length + 1);
    memcpy(out->text + length + 1, folder.text, folder.size);
end:
    lo_folder_free(&folder);
    return status;
}

/* ---- decoding ---- */

static void close_images(lo_sharing *sharing)
{
    image_set *set = sharing->self;
    if (set != NULL) {
        lo_spool_close(&set->train);
        lo_spool_close(&set->test);
        lo_image_free(&set->image);
        free(set->outcome);
        free(set->data);
        free(set->path);
        free(set->text);
        free(set);
    }
    *sharing = (lo_sharing){0};
}

static size_t planes_size(const image_set *set)
{
    return (size_t)COLOURS * (size_t)set->head.height * (size_t)set->head.width;
}

static lo_status open_images(const char *path, const lo_read_options *options, const lo_listing *listing,
                             lo_sharing *out, lo_error *err)
{
    image_set *set = calloc(1, sizeof(*set));
    *out = (lo_sharing){.self = set};
    if (set == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for a list of its files", path);
    }
    set->root = path;
    set->options = options;
    list_head *head = &set->head;
    if (sscanf(listing->text, "%lld %lld %d %d %lld %lld %lld", &head->train, &head->test, &head->height,
               &head->width, &head->sized_by, &head->hidden, &head->other) != 7) {
        return lo_fail(err, LO_INTERNAL, "%s: the list of its files is not what was written", path);
    }
    set->files = head->train + head->test;
    set->text = malloc(listing->size);
    set->path = calloc((size_t)set->files, sizeof(*set->path));
    if (set->text == NULL || set->path == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for a list of %lld files", path,
                       (long long)set->files);
    }
    memcpy(set->text, listing->text, listing->size);
    const char *at = set->text + strlen(set->text) + 1;
    for (int64_t i = 0; i < set->files; i++) {
        set->path[i] = at;
        at += strlen(at) + 1;
    }
    out->examples = set->files;
    out->record = 1 + planes_size(set);
    return LO_OK;
}

/* LO_DATA: it is unreadable, and err says why without its name. */
static lo_status read_image(image_set *set, int64_t i, lo_error *err)
{
    char file[PATH_MAX];
    (void)snprintf(file, sizeof(file), "%s/%s", set->root, set->path[i]);
    const lo_status status = lo_image_read(file, &set->data, &set->room, &set->image, err);
    return status == LO_OK || status == LO_DATA ? status : lo_fail_prefix(err, status, "%s", file);
}

static lo_status check_size(const image_set *set, int64_t i, lo_error *err)
{
    const list_head *head = &set->head;
    if (head->sized_by < 0 || (set->image.height == head->height && set->image.width == head->width)) {
        return LO_OK;
    }
    return lo_fail(err, LO_DATA,
                   "%s: images of different sizes: %s has %d x %d pixels (height x width), %s has %d x %d; "
                   "allowed is one size, or data.resize: [height, width]",
                   set->root, set->path[head->sized_by], head->height, head->width, set->path[i],
                   set->image.height, set->image.width);
}

static lo_status decode_image(image_set *set, int64_t i, uint8_t *record, lo_error *err)
{
    const lo_status status = read_image(set, i, err);
    if (status == LO_DATA) {
        memset(record, 0, 1 + planes_size(set));
        record[0] = UNREADABLE;
        return LO_OK;
    }
    LO_TRY(status);
    LO_TRY(check_size(set, i, err));
    record[0] = set->image.channels == 1 ? GREY : COLOUR;
    return lo_image_planes(&set->image, COLOURS, set->head.height, set->head.width, record + 1, err);
}

static lo_status decode_images(lo_sharing *sharing, int64_t first, int64_t count, uint8_t *record,
                               lo_error *err)
{
    image_set *set = sharing->self;
    for (int64_t i = 0; i < count; i++) {
        LO_TRY(lo_tick_call(set->options->tick));
        LO_TRY(decode_image(set, first + i, record + (size_t)i * sharing->record, err));
    }
    return LO_OK;
}

/* ---- collecting ---- */

static lo_status collect_images(lo_sharing *sharing, int64_t first, int64_t count, const uint8_t *record,
                                lo_error *err)
{
    image_set *set = sharing->self;
    if (set->outcome == NULL) {
        set->outcome = calloc((size_t)set->files, sizeof(*set->outcome));
        if (set->outcome == NULL) {
            return lo_fail(err, LO_INTERNAL, "%s: no memory for %lld images", set->root,
                           (long long)set->files);
        }
        LO_TRY(lo_spool_open(set->options->scratch, &set->train, err));
        LO_TRY(lo_spool_open(set->options->scratch, &set->test, err));
    }
    for (int64_t i = first; i < first + count; i++, record += sharing->record) {
        set->outcome[i] = record[0];
        LO_TRY(
            lo_spool_put(i < set->head.train ? &set->train : &set->test, record + 1, planes_size(set), err));
    }
    return LO_OK;
}

/* Adds to a text that is cut where there is no more room. */
__attribute__((format(printf, 3, 4))) static void add_text(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* Writes the first unreadable pictures and why; they are read again for that. Returns how many there are. */
static int64_t name_unreadable(image_set *set, char *text, size_t size)
{
    int64_t count = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < set->files; i++) {
        lo_error why = {{0}};
        if (set->outcome[i] != UNREADABLE || count++ >= MOST_NAMED) {
            continue;
        }
        if (read_image(set, i, &why) == LO_OK) {
            (void)lo_fail(&why, LO_DATA, "read well a second time, on another rank; do all see one folder?");
        }
        add_text(text, size, "%s%s: %.120s", count > 1 ? "; " : "", set->path[i], why.text);
    }
    return count;
}

static lo_status check_unreadable(image_set *set, lo_error *err)
{
    char named[1536];
    const list_head *head = &set->head;
    const int64_t count = name_unreadable(set, named, sizeof(named));
    if (count > set->options->max_unreadable) {
        return lo_fail(err, LO_DATA,
                       "%s: %lld of %lld images cannot be read; allowed: %lld (data.max_unreadable); the "
                       "first: %s",
                       set->root, (long long)count, (long long)set->files,
                       (long long)set->options->max_unreadable, named);
    }
    lo_read_remark *remark = set->options->remark;
    if (remark != NULL) {
        *remark = (lo_read_remark){.hidden = head->hidden, .other = head->other, .unreadable = count};
        (void)snprintf(remark->named, sizeof(remark->named), "%s", named);
    }
    return LO_OK;
}

/* The class of a path PART/CLASS/...: where its name begins, and how long it is. */
static const char *class_of(const char *path, size_t *length)
{
    const char *name = strchr(path, '/') + 1;
    *length = strcspn(name, "/");
    return name;
}

static bool same_name(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* Both parts are in the order of their classes, and those of the test part are among the others: labels by
 * going along. The training part makes the classes. */
static lo_status label_images(const image_set *set, lo_source *out, lo_error *err)
{
    int32_t classes = 0;
    const char *last = "";
    size_t last_length = 0;
    for (int64_t i = 0; i < set->head.train; i++) {
        size_t length = 0;
        const char *name = class_of(set->path[i], &length);
        if (i == 0 || !same_name(last, last_length, name, length)) {
            classes++;
        }
        last = name;
        last_length = length;
        out->train.label[i] = classes - 1;
    }
    out->class_name = lo_source_names(classes);
    if (out->class_name == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for the names of %d classes", set->root, classes);
    }
    out->classes = classes;
    for (int64_t i = 0; i < set->head.train; i++) {
        const int32_t label = out->train.label[i];
        size_t length = 0;
        const char *name = class_of(set->path[i], &length);
        if (out->class_name[label] == NULL && !lo_source_name(out->class_name, label, name, length)) {
            return lo_fail(err, LO_DATA,
                           "%s: the folder of %s: the name of a class has 1 to %d bytes of UTF-8 without "
                           "control characters",
                           set->root, set->path[i], LO_MAX_CLASS_NAME);
        }
    }
    int32_t label = 0;
    for (int64_t i = 0; i < set->head.test; i++) {
        size_t length = 0;
        const char *name = class_of(set->path[set->head.train + i], &length);
        while (label < classes - 1 &&
               !same_name(out->class_name[label], strlen(out->class_name[label]), name, length)) {
            label++;
        }
        out->test.label[i] = label;
    }
    return LO_OK;
}

/* Those that could not be read are left out; every class must have kept some for training. */
static lo_status mark_missing(const image_set *set, lo_source_part *part, int64_t first, lo_error *err)
{
    for (int64_t i = 0; i < part->count; i++) {
        if (set->outcome[first + i] != UNREADABLE) {
            continue;
        }
        if (part->missing == NULL) {
            part->missing = calloc((size_t)part->count, sizeof(*part->missing));
            if (part->missing == NULL) {
                return lo_fail(err, LO_INTERNAL, "%s: no memory for %lld images", set->root,
                               (long long)part->count);
            }
        }
        part->missing[i] = true;
    }
    return LO_OK;
}

static lo_status check_classes(const image_set *set, const lo_source *source, lo_error *err)
{
    lo_status status = LO_OK;
    int64_t *count = calloc((size_t)source->classes + 1, sizeof(*count));
    int64_t tests = 0;
    if (count == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %d classes", set->root, source->classes);
    }
    for (int64_t i = 0; i < set->files; i++) {
        if (i < set->head.train) {
            count[source->train.label[i]] += set->outcome[i] != UNREADABLE;
        } else {
            tests += set->outcome[i] != UNREADABLE;
        }
    }
    for (int32_t c = 0; c < source->classes && status == LO_OK; c++) {
        if (count[c] == 0) {
            status = lo_fail(err, LO_DATA, "%s/train/%s: none of its images can be read", set->root,
                             source->class_name[c]);
        }
    }
    if (status == LO_OK && tests == 0) {
        status = lo_fail(err, LO_DATA, "%s: none of the %lld images for testing can be read", set->root,
                         set->head.test);
    }
    free(count);
    return status;
}

/* Keeps the first of each example's three equal planes. */
static lo_status keep_one_plane(const image_set *set, lo_source_part *part, lo_error *err)
{
    lo_spool spool = {0};
    lo_source_part grey = {0};
    lo_status status = LO_OK;
    const size_t planes = planes_size(set);
    LO_TRY_GOTO(status, lo_spool_open(set->options->scratch, &spool, err), end);
    for (int64_t i = 0; i < part->count; i++) {
        LO_TRY_GOTO(status, lo_tick_call(set->options->tick), end);
        LO_TRY_GOTO(
            status,
            lo_spool_put(&spool, (const uint8_t *)part->map + (size_t)i * planes, planes / COLOURS, err),
            end);
    }
    LO_TRY_GOTO(status, lo_spool_map(&spool, &grey, err), end);
    (void)munmap(part->map, part->map_size);
    part->map = grey.map;
    part->map_size = grey.map_size;
end:
    lo_spool_close(&spool);
    return status;
}

static lo_status take_part(image_set *set, lo_spool *spool, int64_t first, int64_t count, bool grey,
                           lo_source_part *part, lo_error *err)
{
    part->count = count;
    part->label = calloc((size_t)count, sizeof(*part->label));
    if (part->label == NULL) {
        return lo_fail(err, LO_INTERNAL, "%s: no memory for %lld labels", set->root, (long long)count);
    }
    LO_TRY(lo_spool_map(spool, part, err));
    if (grey) {
        LO_TRY(keep_one_plane(set, part, err));
    }
    part->pixel = part->map;
    return mark_missing(set, part, first, err);
}

static lo_status finish_images(lo_sharing *sharing, lo_source *out, lo_error *err)
{
    image_set *set = sharing->self;
    LO_TRY(check_unreadable(set, err));
    bool grey = true;
    for (int64_t i = 0; i < set->files; i++) {
        grey = grey && set->outcome[i] != COLOUR;
    }
    out->element = LO_PIXELS;
    out->shape = (lo_shape){grey ? 1 : COLOURS, set->head.height, set->head.width};
    LO_TRY(take_part(set, &set->train, 0, set->head.train, grey, &out->train, err));
    LO_TRY(take_part(set, &set->test, set->head.train, set->head.test, grey, &out->test, err));
    LO_TRY(label_images(set, out, err));
    return check_classes(set, out, err);
}

const lo_shared_read lo_shared_image_folder = {.list = list_images,
                                               .open = open_images,
                                               .decode = decode_images,
                                               .collect = collect_images,
                                               .finish = finish_images,
                                               .close = close_images};

lo_status lo_read_image_folder(const char *path, const lo_read_options *options, lo_source *out,
                               lo_error *err)
{
    return lo_read_alone(&lo_shared_image_folder, path, options, out, err);
}
