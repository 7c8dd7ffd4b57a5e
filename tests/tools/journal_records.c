/* journal_records STUDY: every record of a study's journals, one a line: "FILE KIND task=T seconds=S
 * at=OFFSET payload=BYTES alone=0|1". Kinds are named as in base/journal.h. */
#include "base/journal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lo_status print_record(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    static const char *const kinds[] = {"?",        "ATTEMPT", "START", "DONE", "VOID",
                                        "GIVEN_UP", "END",     "SAVED", "SPENT"};
    (void)payload;
    (void)printf("%s %s task=%llu seconds=%.3f at=%llu payload=%llu alone=%d\n", (const char *)self,
                 kinds[record->kind <= LO_RECORD_SPENT ? record->kind : 0], (unsigned long long)record->task,
                 record->seconds, (unsigned long long)at, (unsigned long long)record->payload_size,
                 (record->flags & LO_RECORD_ALONE) != 0);
    return LO_OK;
}

static int is_journal(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end != NULL && strcmp(end, ".jnl") == 0;
}

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    struct dirent **name = NULL;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: journal_records STUDY\n");
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/journal", argv[1]);
    const int count = scandir(path, &name, is_journal, alphasort);
    lo_status status = LO_OK;
    for (int i = 0; i < count; i++) {
        uint64_t offset = 0;
        uint64_t skipped = 0;
        lo_error err = {{0}};
        (void)snprintf(path, sizeof(path), "%s/journal/%s", argv[1], name[i]->d_name);
        const lo_status scanned =
            lo_journal_scan(path, &offset, &skipped, print_record, name[i]->d_name, &err);
        if (scanned != LO_OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            status = scanned;
        }
        free(name[i]);
    }
    free(name);
    return (int)status;
}
