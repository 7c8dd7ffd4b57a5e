/* What an image folder holds: the files of train/CLASS and test/CLASS, in the order of their source numbers.
 * For the reader of image folders. */
#ifndef LEAVEOUT_DATA_FOLDER_H
#define LEAVEOUT_DATA_FOLDER_H

#include "base/status.h"
#include "base/tick.h"

#include <stddef.h>
#include <stdint.h>

/* Paths below the folder, each ended by a NUL: "train/cat/1.png", ... Classes in the order of their names,
 * within a class the order of the paths, both by bytes; training files before test files. */
typedef struct lo_folder {
    char *text; /* malloc'ed, owned; released by lo_folder_free */
    size_t size, room;
    int64_t train, test;   /* files */
    int64_t hidden, other; /* ignored: names that begin with a dot; files whose names end otherwise */
} lo_folder;

/* Looks through path/train and path/test, or path/val where there is no test; folders in class folders belong
 * to their class. Errors, with the name: LO_IO for what cannot be opened; LO_DATA for a missing part, no
 * classes, a class without images, a class of the test part that the training part lacks, folders nested
 * deeper than 8; LO_INTERNAL; what the tick says. Free it in any case. */
lo_status lo_folder_scan(const char *path, const lo_tick *tick, lo_folder *out, lo_error *err);

void lo_folder_free(lo_folder *folder);

#endif
