#include "jobs/study/kept.h"

#include "base/file.h"
#include "nn/safetensors.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

lo_status lo_save_weights(const lo_trainer *trainer, const char *path, uint64_t digest, uint64_t seed,
                          lo_error *err)
{
    char directory[PATH_MAX];
    char keys[32];
    char number[32];
    (void)snprintf(directory, sizeof(directory), "%s", path);
    (void)snprintf(keys, sizeof(keys), "%016" PRIx64, digest);
    (void)snprintf(number, sizeof(number), "%" PRIu64, seed);
    const lo_weights_note notes[] = {{"digest", keys}, {"seed", number}};
    LO_TRY(lo_file_mkdirs(dirname(directory), err));
    return lo_trainer_save(trainer, path, notes, 2, err);
}

lo_status lo_check_weights(const char *path, uint64_t digest, lo_error *err)
{
    lo_safetensors file;
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "%016" PRIx64, digest);
    lo_status status = lo_safetensors_read(path, &file, err);
    if (status == LO_OK) {
        status = lo_safetensors_verify(path, &file, err);
    }
    if (status == LO_OK) {
        const char *found = lo_safetensors_note(&file, "digest");
        if (found == NULL || strcmp(found, expected) != 0) {
            status = lo_fail(err, LO_DATA, "%s: is of another job: its digest is %.32s, not %s", path,
                             found != NULL ? found : "missing", expected);
        }
    }
    lo_safetensors_free(&file);
    return status;
}

void lo_kept_model_path(const char *study, int64_t model, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/models/%lld.safetensors", study, (long long)model);
}
