#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_NESTED = 8 };

/* Some names, each malloc'ed. */
typedef struct names {
    char **name;
    size_t count, room;
} names;

typedef struct scan {
    const char *root;
    const lo_tick *tick;
    lo_folder *folder;
} scan;

static void names_free(names *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->name[i]);
    }
    free(list->name);
    *list = (names){0};
}

static lo_status names_add(names *list, const char *name, lo_error *err)
{
    if (list->count == list->room) {
        const size_t room = list->room > 0 ? 2 * list->room : 64;
        char **larger = realloc(list->name, room * sizeof(*larger));
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for %zu file names", room);
        }
        list->name = larger;
        list->room = room;
    }
    list->name[list->count] = strdup(name);
    if (list->name[list->count] == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu file names", list->count);
    }
    list->count++;
    return LO_OK;
}

/* strcmp compares bytes, whatever the locale. */
static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void names_sort(names *list)
{
    if (list->count > 1) {
        qsort(list->name, list->count, sizeof(*list->name), by_bytes);
    }
}

/* "a/b", or a without b where either is empty. */
static lo_status join(char *path, const char *a, const char *b, lo_error *err)
{
    const char *between = a[0] != '\0' && b[0] != '\0' ? "/" : "";
    if (snprintf(path, PATH_MAX, "%s%s%s", a, between, b) >= PATH_MAX) {
        return lo_fail(err, LO_IO, "%.256s...: the path is too long", path);
    }
    return LO_OK;
}

static bool is_picture(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcasecmp(dot + 1, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Links are followed; one that leads nowhere is a file, and will be found unreadable. */
static bool is_folder(const char *path, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG) {
        return entry->d_type == DT_DIR;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Too much for the stack of a recursion. */
typedef struct look_paths {
    char folder[PATH_MAX], entry[PATH_MAX], name[PATH_MAX];
} look_paths;

/* Sorts an entry of paths->folder in. */
static lo_status sort_entry(scan *s, const struct dirent *entry, look_paths *paths, const char *prefix,
                            names *folders, names *pictures, lo_error *err)
{
    const char *name = entry->d_name;
    if (name[0] == '.') {
        s->folder->hidden += strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
        return LO_OK;
    }
    LO_TRY(join(paths->entry, paths->folder, name, err));
    LO_TRY(join(paths->name, prefix, name, err));
    if (is_folder(paths->entry, entry)) {
        return names_add(folders, paths->name, err);
    }
    if (pictures != NULL && is_picture(name)) {
        return names_add(pictures, paths->name, err);
    }
    s->folder->other++;
    return LO_OK;
}

/* Sorts the entries of root/below into folders and pictures, with prefix/ before their names, and counts the
 * others. pictures NULL: there are none, all files are others. */
static lo_status look(scan *s, const char *below, const char *prefix, names *folders, names *pictures,
                      lo_error *err)
{
    DIR *stream = NULL;
    lo_status status = LO_OK;
    look_paths *paths = malloc(sizeof(*paths));
    if (paths == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to look into %s", below);
    }
    LO_TRY_GOTO(status, join(paths->folder, s->root, below, err), end);
    stream = opendir(paths->folder);
    if (stream == NULL) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot open", paths->folder);
        goto end;
    }
    errno = 0;
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        LO_TRY_GOTO(status, lo_tick_call(s->tick), end);
        LO_TRY_GOTO(status, sort_entry(s, entry, paths, prefix, folders, pictures, err), end);
        errno = 0;
    }
    if (errno != 0) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot read", paths->folder);
    }
end:
    if (stream != NULL) {
        (void)closedir(stream);
    }
    free(paths);
    return status;
}

/* The pictures of a class, with the path below its folder, from `inner` in it and what that holds. */
static lo_status find_pictures(scan *s, const char *class_folder, const char *inner, int depth,
                               names *pictures, lo_error *err)
{
    char *below = malloc(PATH_MAX);
    names folders = {0};
    lo_status status = LO_OK;
    if (below == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to look into %s", class_folder);
    }
    LO_TRY_GOTO(status, join(below, class_folder, inner, err), end);
    if (depth > MOST_NESTED) {
        status = lo_fail(err, LO_DATA, "%s/%s: folders are nested more than %d deep in a class", s->root,
                         below, MOST_NESTED);
        goto end;
    }
    LO_TRY_GOTO(status, look(s, below, inner, &folders, pictures, err), end);
    for (size_t i = 0; i < folders.count; i++) {
        LO_TRY_GOTO(status, find_pictures(s, class_folder, folders.name[i], depth + 1, pictures, err), end);
    }
end:
    names_free(&folders);
    free(below);
    return status;
}

static lo_status append(lo_folder *folder, const char *class_folder, const char *name, lo_error *err)
{
    const size_t length = strlen(class_folder) + 1 + strlen(name) + 1;
    if (folder->size + length > folder->room) {
        const size_t room = 2 * folder->room + length + 4096;
        char *larger = realloc(folder->text, room);
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for %zu bytes of file names", room);
        }
        folder->text = larger;
        folder->room = room;
    }
    (void)snprintf(folder->text + folder->size, length, "%s/%s", class_folder, name);
    folder->size += length;
    return LO_OK;
}

static lo_status scan_class(scan *s, const char *class_folder, int64_t *files, lo_error *err)
{
    names pictures = {0};
    lo_status status = LO_OK;
    const int64_t ignored = s->folder->hidden + s->folder->other;
    LO_TRY_GOTO(status, find_pictures(s, class_folder, "", 0, &pictures, err), end);
    if (pictures.count == 0) {
        status = lo_fail(err, LO_DATA,
                         "%s/%s: a class without images: found none of *.jpg, *.jpeg, *.png, and %lld other "
                         "files",
                         s->root, class_folder, (long long)(s->folder->hidden + s->folder->other - ignored));
        goto end;
    }
    names_sort(&pictures);
    for (size_t i = 0; i < pictures.count; i++) {
        LO_TRY_GOTO(status, append(s->folder, class_folder, pictures.name[i], err), end);
    }
    *files += (int64_t)pictures.count;
end:
    names_free(&pictures);
    return status;
}

/* Every class of `part` must be among `known`, unless that is NULL. */
static lo_status scan_part(scan *s, const char *part, const names *known, names *classes, int64_t *files,
                           lo_error *err)
{
    LO_TRY(look(s, part, "", classes, NULL, err));
    if (classes->count == 0) {
        return lo_fail(err, LO_DATA, "%s/%s: has no folders; needed is one for each class, of its images",
                       s->root, part);
    }
    names_sort(classes);
    char class_folder[PATH_MAX];
    for (size_t i = 0; i < classes->count; i++) {
        LO_TRY(join(class_folder, part, classes->name[i], err));
        if (known != NULL &&
            bsearch(&classes->name[i], known->name, known->count, sizeof(*known->name), by_bytes) == NULL) {
            return lo_fail(err, LO_DATA,
                           "%s/%s: a class that the training part lacks: allowed are the %zu classes of "
                           "%s/train",
                           s->root, class_folder, known->count, s->root);
        }
        LO_TRY(scan_class(s, class_folder, files, err));
    }
    return LO_OK;
}

/* The first of the names that is a folder below root; NULL: none is. */
static const char *first_folder(const char *root, const char *const *name, int count)
{
    char path[PATH_MAX];
    struct stat st;
    for (int i = 0; i < count; i++) {
        if (join(path, root, name[i], NULL) == LO_OK && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            return name[i];
        }
    }
    return NULL;
}

lo_status lo_folder_scan(const char *path, const lo_tick *tick, lo_folder *out, lo_error *err)
{
    static const char *const train[] = {"train"};
    static const char *const test[] = {"test", "val"};
    scan s = {.root = path, .tick = tick, .folder = out};
    names train_classes = {0};
    names test_classes = {0};
    struct stat st;
    *out = (lo_folder){0};
    if (stat(path, &st) != 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot open", path);
    }
    const char *part = first_folder(path, test, 2);
    if (first_folder(path, train, 1) == NULL || part == NULL) {
        return lo_fail(err, LO_DATA,
                       "%s: has no folder %s; needed are train/CLASS/ and test/CLASS/ (or val/CLASS/), with "
                       "images",
                       path, part == NULL ? "test (or val)" : "train");
    }
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, scan_part(&s, "train", NULL, &train_classes, &out->train, err), end);
    status = scan_part(&s, part, &train_classes, &test_classes, &out->test, err);
end:
    names_free(&train_classes);
    names_free(&test_classes);
    return status;
}

void lo_folder_free(lo_folder *folder)
{
    free(folder->text);
    *folder = (lo_folder){0};
}
