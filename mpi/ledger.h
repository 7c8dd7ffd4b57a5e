/* The ledger: what the journals of a study say, task by task. */
#ifndef LEAVEOUT_MPI_LEDGER_H
#define LEAVEOUT_MPI_LEDGER_H

#include "base/journal.h"
#include "base/status.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/* Stages: the first four farm tasks, the others are sharded and journal only what they took. The numbers
 * stand in every journal: append, never renumber. */
typedef enum lo_stage {
    LO_STAGE_ENSEMBLE = 1,
    LO_STAGE_ORIGINALS = 2,
    LO_STAGE_UNLEARNING = 3,
    LO_STAGE_SCORES = 4,
    LO_STAGE_SCALING = 5,
    LO_STAGE_INFLUENCE = 6,
    LO_STAGE_ATTRIBUTION = 7,
    LO_STAGE_AUDIT = 8,
    LO_STAGES /* one more than the last */
} lo_stage;
const char *lo_stage_name(lo_stage stage);

/* What a journal says that a stage took. */
typedef struct lo_spent {
    int64_t tasks;       /* finished, of any digest */
    double task_seconds; /* that these took, one after the other */
    double core_seconds; /* that the attempt was in the stage, times its cores: waiting included */
} lo_spent;

typedef struct lo_entry {
    int32_t file;        /* journal of its DONE record, -1: not done */
    int32_t deaths;      /* attempts that died while it ran beside others */
    int32_t lone_deaths; /* attempts whose rank died while it ran alone, with nothing else to blame */
    bool given_up;
    bool compacted;
    uint64_t at; /* offset of its DONE record */
    double seconds, value;
} lo_entry;

/* One journal file: which attempt and rank wrote it, and how far it was read. */
typedef struct lo_journal_file {
    char name[48]; /* "attempt-001-rank-0000.jnl" */
    int32_t attempt, rank;
    uint64_t offset, skipped;
    char *text;        /* its ATTEMPT record's payload */
    bool ended;        /* has an END record */
    char reason[96];   /* of its end */
    int64_t open_task; /* begun, neither finished nor ended; -1: none */
    bool open_alone, open_counted;
    double last;  /* wall time of its last record */
    int64_t done; /* tasks of the ledger's stage */
    lo_spent spent[LO_STAGES];
} lo_journal_file;

typedef struct lo_ledger {
    char study[3072];
    lo_stage stage;
    uint64_t digest; /* records with another digest do not count */
    int64_t tasks;
    struct lo_named *named; /* [tasks], ascending: see lo_ledger_name; NULL: tasks go by their number */
    uint64_t *name;         /* [tasks] */
    lo_entry *entry;        /* [tasks] */
    lo_journal_file *source;
    int sources;
    struct lo_void *voided; /* DONE records found damaged */
    int voids;
    bool outdated;         /* one of them was counted before it was known to be void */
    int64_t done, foreign; /* tasks finished; DONE records of other digests or beyond `tasks` */
} lo_ledger;

/* An empty ledger for the tasks 0 .. tasks-1 of a stage. Errors: LO_INTERNAL. The caller destroys it. */
lo_status lo_ledger_create(const char *study, lo_stage stage, uint64_t digest, int64_t tasks, lo_ledger *out,
                           lo_error *err);
void lo_ledger_destroy(lo_ledger *ledger);

/* Gives each task a digest of its own, name [tasks] (copied), of all that its result depends on. A record
 * then belongs to the task that has its digest, whatever number that had when it was written: tasks can be
 * added, taken out and put in another order. Before anything is read. Errors: LO_INTERNAL without memory, or
 * for two tasks with one digest. */
lo_status lo_ledger_name(lo_ledger *ledger, const uint64_t *name, lo_error *err);

/* The digest that records of a task have. */
uint64_t lo_ledger_digest(const lo_ledger *ledger, int64_t task);

/* Reads what is new in all journals (headers only). A journal directory that does not exist is an empty one.
 */
lo_status lo_ledger_read(lo_ledger *ledger, lo_error *err);

/* Counts deaths: a task that a journal of a dead attempt leaves open. `is_live(self, attempt)` tells who
 * still lives, `excused(self, source)` whether a death has something else to blame (a lost node, the time
 * limit). Call it once, when an attempt begins. */
void lo_ledger_count_deaths(lo_ledger *ledger, bool (*is_live)(void *self, int attempt),
                            bool (*excused)(void *self, const lo_journal_file *source), void *self);

/* Collective over comm: rank 0's entries and file names on every rank, for lo_ledger_payload. */
lo_status lo_ledger_share(lo_ledger *ledger, MPI_Comm comm, lo_error *err);

/* Path of source number `file`. */
void lo_ledger_path(const lo_ledger *ledger, int32_t file, char *path, size_t size);

/* Payload of a finished task, checked; malloc'ed, the caller frees it. Errors: as lo_journal_payload. */
lo_status lo_ledger_payload(const lo_ledger *ledger, int64_t task, lo_record *record, char **payload,
                            lo_error *err);

#endif
