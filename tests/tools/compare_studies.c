/* compare_studies STUDY STUDY: are the published files of two studies equal, bit for bit? Every dataset and
 * attribute of ensemble.h5, scores.h5, influence.h5, training.h5 and those of unlearning and its audit is
 * compared, NaN by its bits; only times and what is made of times are left out. A file must be in both
 * studies or in none, and there must be one. Prints the first difference and returns 1.
 */
#include <hdf5.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct comparison {
    hid_t other;
    const char *file;
    const char *object; /* whose attributes are being visited */
    int datasets, attributes;
    bool equal;
} comparison;

static herr_t differ(comparison *c, const char *object, const char *what)
{
    (void)printf("%s: %s: %s\n", c->file, object, what);
    c->equal = false;
    return 1; /* ends the visit */
}

static bool is_time(const char *name)
{
    return strstr(name, "seconds") != NULL || strstr(name, "time_") != NULL;
}

/* Compares two buffers that `read` fills. Item by item, to be able to say where. */
static herr_t compare_values(comparison *c, const char *object, const void *a, const void *b, size_t items,
                             size_t item_size)
{
    for (size_t i = 0; i < items; i++) {
        if (memcmp((const char *)a + i * item_size, (const char *)b + i * item_size, item_size) != 0) {
            char text[64];
            (void)snprintf(text, sizeof(text), "item %zu of %zu differs", i, items);
            return differ(c, object, text);
        }
    }
    return 0;
}

static bool same_space(hid_t a, hid_t b)
{
    return H5Sextent_equal(a, b) > 0;
}

static herr_t compare_attribute(hid_t location, const char *name, const H5A_info_t *info, void *self)
{
    (void)info;
    comparison *c = self;
    char label[PATH_MAX];
    (void)snprintf(label, sizeof(label), "%s@%s", c->object, name);
    if (is_time(name) || (is_time(c->object) && strcmp(name, "crc32") == 0)) {
        return 0;
    }
    if (H5Aexists_by_name(c->other, c->object, name, H5P_DEFAULT) <= 0) {
        return differ(c, label, "only in the first study");
    }
    const hid_t a = H5Aopen(location, name, H5P_DEFAULT);
    const hid_t b = H5Aopen_by_name(c->other, c->object, name, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t type_a = H5Aget_type(a);
    const hid_t type_b = H5Aget_type(b);
    herr_t result = 0;
    if (H5Tequal(type_a, type_b) <= 0) {
        result = differ(c, label, "of different types");
    } else {
        const size_t size = H5Tget_size(type_a);
        void *value_a = calloc(2, size);
        if (value_a == NULL) {
            abort();
        }
        void *value_b = (char *)value_a + size;
        (void)H5Aread(a, type_a, value_a);
        (void)H5Aread(b, type_b, value_b);
        result = compare_values(c, label, value_a, value_b, 1, size);
        free(value_a);
    }
    c->attributes++;
    (void)H5Tclose(type_a);
    (void)H5Tclose(type_b);
    (void)H5Aclose(a);
    (void)H5Aclose(b);
    return result;
}

static herr_t compare_dataset(comparison *c, hid_t a, hid_t b, const char *name)
{
    const hid_t type_a = H5Dget_type(a);
    const hid_t type_b = H5Dget_type(b);
    const hid_t space_a = H5Dget_space(a);
    const hid_t space_b = H5Dget_space(b);
    herr_t result = 0;
    if (H5Tequal(type_a, type_b) <= 0 || !same_space(space_a, space_b)) {
        result = differ(c, name, "of different type or shape");
    } else if (!is_time(name)) {
        const size_t items = (size_t)H5Sget_simple_extent_npoints(space_a);
        const size_t size = H5Tget_size(type_a);
        char *value_a = malloc(items * size + 1);
        char *value_b = malloc(items * size + 1);
        if (value_a == NULL || value_b == NULL) {
            abort();
        }
        if (H5Dread(a, type_a, H5S_ALL, H5S_ALL, H5P_DEFAULT, value_a) < 0 ||
            H5Dread(b, type_b, H5S_ALL, H5S_ALL, H5P_DEFAULT, value_b) < 0) {
            result = differ(c, name, "cannot be read");
        } else {
            result = compare_values(c, name, value_a, value_b, items, size);
        }
        free(value_a);
        free(value_b);
    }
    c->datasets++;
    (void)H5Tclose(type_a);
    (void)H5Tclose(type_b);
    (void)H5Sclose(space_a);
    (void)H5Sclose(space_b);
    return result;
}

static herr_t compare_object(hid_t root, const char *name, const H5O_info_t *info, void *self)
{
    comparison *c = self;
    if (strcmp(name, ".") != 0 && H5Lexists(c->other, name, H5P_DEFAULT) <= 0) {
        return differ(c, name, "only in the first study");
    }
    const hid_t a = H5Oopen(root, name, H5P_DEFAULT);
    const hid_t b = H5Oopen(c->other, name, H5P_DEFAULT);
    herr_t result = 0;
    hsize_t position = 0;
    if (info->type == H5O_TYPE_DATASET) {
        result = compare_dataset(c, a, b, name);
    }
    if (result == 0) {
        c->object = name;
        result = H5Aiterate2(a, H5_INDEX_NAME, H5_ITER_INC, &position, compare_attribute, c);
    }
    (void)H5Oclose(a);
    (void)H5Oclose(b);
    return result;
}

static herr_t count_object(hid_t root, const char *name, const H5O_info_t *info, void *self)
{
    (void)root;
    (void)name;
    *(int *)self += info->type == H5O_TYPE_DATASET;
    return 0;
}

static bool compare_file(const char *first, const char *second, const char *name, bool needed, comparison *c)
{
    char path[2][PATH_MAX];
    (void)snprintf(path[0], PATH_MAX, "%s/%s", first, name);
    (void)snprintf(path[1], PATH_MAX, "%s/%s", second, name);
    const bool there[2] = {access(path[0], R_OK) == 0, access(path[1], R_OK) == 0};
    c->file = name;
    if (!there[0] && !there[1] && !needed) {
        return true;
    }
    if (!there[0] || !there[1]) {
        (void)printf("%s: missing in %s\n", name, there[0] ? second : first);
        return false;
    }
    const hid_t file = H5Fopen(path[0], H5F_ACC_RDONLY, H5P_DEFAULT);
    c->other = H5Fopen(path[1], H5F_ACC_RDONLY, H5P_DEFAULT);
    c->equal = file >= 0 && c->other >= 0;
    if (!c->equal) {
        (void)printf("%s: does not open in %s\n", name, file < 0 ? first : second);
    } else {
        const int before = c->datasets;
        int others = 0;
        if (H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, compare_object, c, H5O_INFO_BASIC) < 0) {
            (void)differ(c, "/", "cannot be listed");
        }
        (void)H5Ovisit2(c->other, H5_INDEX_NAME, H5_ITER_INC, count_object, &others, H5O_INFO_BASIC);
        if (c->equal && others != c->datasets - before) {
            (void)differ(c, "/", "the second study has more datasets");
        }
    }
    if (file >= 0) {
        (void)H5Fclose(file);
    }
    if (c->other >= 0) {
        (void)H5Fclose(c->other);
    }
    return c->equal;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"ensemble.h5", "scores.h5",  "influence.h5",  "training.h5",
                                        "forget.h5",   "outputs.h5", "evaluation.h5", "audit.h5"};
    comparison c = {0};
    bool equal = true;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: compare_studies STUDY STUDY\n");
        return 2;
    }
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        equal = compare_file(argv[1], argv[2], names[i], false, &c) && equal;
    }
    if (c.datasets == 0) {
        (void)printf("there is nothing to compare\n");
        equal = false;
    }
    if (equal) {
        (void)printf("equal: %d datasets and %d attributes\n", c.datasets, c.attributes);
    }
    return equal ? EXIT_SUCCESS : EXIT_FAILURE;
}
