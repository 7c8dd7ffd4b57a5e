/* The ledger: what the journals of several attempts say together. Rank 0 writes journals as attempts of
 * several ranks would; all ranks read them, and share. */
#include "mpi/ledger.h"
#include "mpi_test.h"

enum { TASKS = 20, DIGEST = 99 };

static lo_error err;

static void open_journal(int attempt, int rank, lo_journal *journal)
{
    char path[1024];
    char text[64];
    (void)snprintf(path, sizeof(path), "%s/journal/attempt-%03d-rank-%04d.jnl", mpi_test.study, attempt,
                   rank);
    (void)snprintf(text, sizeof(text), "attempt=%d\nhost=node%d\n", attempt, rank);
    CHECK_OK(lo_journal_create(path, text, journal, &err));
}

static void append(lo_journal *journal, lo_record_kind kind, int64_t task, uint32_t flags,
                   const char *payload)
{
    lo_record record = {.kind = kind,
                        .stage = LO_STAGE_ENSEMBLE,
                        .flags = flags,
                        .task = (uint64_t)task,
                        .digest = DIGEST,
                        .seconds = 0.5,
                        .value = (double)task};
    CHECK_OK(lo_journal_append(journal, &record, payload, strlen(payload), false, &err));
}

/* A payload that tells task and writer. */
static void append_done(lo_journal *journal, int64_t task, const char *by)
{
    char payload[64];
    (void)snprintf(payload, sizeof(payload), "task %lld by %s", (long long)task, by);
    append(journal, LO_RECORD_START, task, 0, "");
    append(journal, LO_RECORD_DONE, task, 0, payload);
}

static lo_ledger read_ledger(int64_t tasks)
{
    lo_ledger ledger;
    CHECK_OK(lo_ledger_create(mpi_test.study, LO_STAGE_ENSEMBLE, DIGEST, tasks, &ledger, &err));
    CHECK_OK(lo_ledger_read(&ledger, &err));
    return ledger;
}

static void check_payload(const lo_ledger *ledger, int64_t task, const char *wanted)
{
    char *payload = NULL;
    lo_record record;
    CHECK(ledger->entry[task].file >= 0);
    if (ledger->entry[task].file >= 0) {
        CHECK_OK(lo_ledger_payload(ledger, task, &record, &payload, &err));
        CHECK_TEXT(payload != NULL ? payload : "", wanted);
        free(payload);
    }
}

static void test_union_and_share(void)
{
    mpi_test_folder("union");
    lo_ledger empty = read_ledger(TASKS);
    CHECK_INT(empty.done, 0);
    MPI_Barrier(MPI_COMM_WORLD);
    if (mpi_test.rank == 0) {
        /* Attempt 1 on three ranks, attempt 2 on one, attempt 12 on two: whatever each of them did counts. */
        lo_journal j;
        for (int rank = 0; rank < 3; rank++) {
            open_journal(1, rank, &j);
            append_done(&j, rank, "first");
            append_done(&j, rank + 3, "first");
            lo_journal_close(&j);
        }
        open_journal(2, 0, &j);
        append_done(&j, 3, "second"); /* twice: the first stands */
        append_done(&j, 10, "second");
        append_done(&j, TASKS + 5, "second"); /* of a larger ensemble */
        lo_journal_close(&j);
        open_journal(12, 1, &j);
        append_done(&j, 11, "twelfth");
        lo_record other = {
            .kind = LO_RECORD_DONE, .stage = LO_STAGE_ENSEMBLE, .task = 12, .digest = DIGEST + 1};
        CHECK_OK(lo_journal_append(&j, &other, "", 0, false, &err)); /* of other keys */
        other.stage = 77;
        other.digest = DIGEST;
        CHECK_OK(lo_journal_append(&j, &other, "", 0, false, &err)); /* of another stage */
        lo_record spent = {.kind = LO_RECORD_SPENT, .stage = LO_STAGE_AUDIT, .seconds = 3, .value = 4};
        CHECK_OK(lo_journal_append(&j, &spent, NULL, 0, false, &err)); /* 3 s on 4 cores */
        append(&j, LO_RECORD_GIVEN_UP, 13, 0, "");
        lo_journal_close(&j);
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/journal/attempt-001-rank-0000.jnl.part.host.7",
                       mpi_test.study);
        CHECK_OK(lo_file_write(path, "not a journal", 13, &err));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK_OK(lo_ledger_read(&empty, &err)); /* only what is new */
    CHECK_INT(empty.done, 8);
    CHECK_OK(lo_ledger_read(&empty, &err));
    CHECK_INT(empty.done, 8);
    CHECK_INT(empty.foreign, 2);
    CHECK_INT(empty.sources, 5);
    CHECK(empty.entry[13].given_up && empty.entry[13].file < 0);
    const lo_spent *spent = empty.source[4].spent; /* of attempt 12 */
    CHECK(spent[LO_STAGE_ENSEMBLE].tasks == 2 && spent[LO_STAGE_ENSEMBLE].task_seconds == 0.5);
    CHECK(spent[LO_STAGE_AUDIT].tasks == 0 && spent[LO_STAGE_AUDIT].core_seconds == 12);
    CHECK(empty.entry[12].file < 0);
    check_payload(&empty, 3, "task 3 by first");
    check_payload(&empty, 10, "task 10 by second");
    CHECK(empty.entry[10].value == 10 && empty.entry[10].seconds == 0.5);
    lo_ledger grown = read_ledger(TASKS + 10);
    CHECK_INT(grown.done, 9);
    check_payload(&grown, TASKS + 5, "second");
    lo_ledger_destroy(&grown);

    lo_ledger shared;
    CHECK_OK(lo_ledger_create(mpi_test.study, LO_STAGE_ENSEMBLE, DIGEST, TASKS, &shared, &err));
    if (mpi_test.rank == 0) {
        CHECK_OK(lo_ledger_read(&shared, &err));
    }
    for (int round = 0; round < 2; round++) {
        CHECK_OK(lo_ledger_share(&shared, MPI_COMM_WORLD, &err));
        CHECK_INT(shared.done, 8);
        CHECK(shared.entry[13].given_up);
        check_payload(&shared, 5, "task 5 by first");
        check_payload(&shared, 11, "task 11 by twelfth");
    }
    lo_ledger_destroy(&shared);
    lo_ledger_destroy(&empty);
}

/* A DONE record that was declared void does not count, whichever of the two is read first; what was done
 * again does. */
static void test_void(void)
{
    for (int later = 0; later < 2; later++) {
        mpi_test_folder(later ? "void-later" : "void-earlier");
        if (mpi_test.rank == 0) {
            lo_journal j;
            char text[128];
            open_journal(2, 0, &j);
            append_done(&j, 6, "good");
            append(&j, LO_RECORD_START, 7, 0, "");
            (void)snprintf(text, sizeof(text), "attempt-002-rank-0000.jnl %llu", (unsigned long long)j.size);
            append(&j, LO_RECORD_DONE, 7, 0, "bad");
            append_done(&j, 8, "good");
            lo_journal_close(&j);
            open_journal(later ? 3 : 1, 0, &j);
            append(&j, LO_RECORD_VOID, 7, 0, text);
            append(&j, LO_RECORD_VOID, 0, 0, "nonsense");
            lo_journal_close(&j);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        lo_ledger ledger = read_ledger(TASKS);
        CHECK_INT(ledger.done, 2);
        CHECK(ledger.entry[7].file < 0);
        check_payload(&ledger, 6, "good");
        MPI_Barrier(MPI_COMM_WORLD);
        if (mpi_test.rank == 0) {
            lo_journal j;
            open_journal(4, 0, &j);
            append_done(&j, 7, "again");
            lo_journal_close(&j);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        CHECK_OK(lo_ledger_read(&ledger, &err));
        CHECK_INT(ledger.done, 3);
        check_payload(&ledger, 7, "task 7 by again");
        lo_ledger_destroy(&ledger);
    }
}

static bool is_live(void *self, int attempt)
{
    (void)self;
    return attempt == 9;
}

static bool excused(void *self, const lo_journal_file *source)
{
    (void)self;
    return source->attempt == 5;
}

/* Who leaves a task open has died with it: beside others, alone, or for a reason of its own. */
static void test_deaths(void)
{
    mpi_test_folder("deaths");
    if (mpi_test.rank == 0) {
        lo_journal j;
        for (int attempt = 1; attempt <= 9; attempt++) {
            open_journal(attempt, 0, &j);
            append_done(&j, attempt, "it");
            /* 1, 2, 3: beside others; 4, 5: alone, 5 excused; 6: ended in good order; 7: another task; 8: it
             * was finished; 9: lives. */
            append(&j, LO_RECORD_START, attempt == 7 ? 16 : 15,
                   attempt == 4 || attempt == 5 ? LO_RECORD_ALONE : 0, "");
            if (attempt == 6) {
                append(&j, LO_RECORD_END, 0, 0, "stopped");
            }
            if (attempt == 8) {
                append(&j, LO_RECORD_DONE, 15, 0, "");
            }
            lo_journal_close(&j);
        }
        open_journal(11, 0, &j); /* it had got on, and saved that */
        append(&j, LO_RECORD_START, 17, 0, "");
        append(&j, LO_RECORD_SAVED, 17, 0, "");
        lo_journal_close(&j);
        open_journal(10, 0, &j); /* of a larger ensemble: none of ours */
        append(&j, LO_RECORD_START, TASKS + 1, 0, "");
        lo_journal_close(&j);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    lo_ledger ledger = read_ledger(TASKS);
    for (int round = 0; round < 2; round++) { /* no death counts twice */
        lo_ledger_count_deaths(&ledger, is_live, excused, NULL);
        CHECK_INT(ledger.entry[15].deaths, 3);
        CHECK_INT(ledger.entry[15].lone_deaths, 1);
        CHECK_INT(ledger.entry[16].deaths, 1);
        CHECK_INT(ledger.entry[17].deaths, 0);
        CHECK_INT(ledger.entry[1].deaths, 0);
    }
    CHECK_TEXT(ledger.source[5].reason, "stopped");
    CHECK_TEXT(ledger.source[0].text, "host=node0");
    lo_ledger_destroy(&ledger);
}

static void append_named(lo_journal *journal, lo_record_kind kind, int64_t task, uint64_t digest,
                         const char *payload)
{
    lo_record record = {.kind = kind, .stage = LO_STAGE_UNLEARNING, .task = (uint64_t)task, .digest = digest};
    CHECK_OK(lo_journal_append(journal, &record, payload, strlen(payload), false, &err));
}

/* Tasks that have digests of their own keep their results when others are added, taken out and put before. */
static void test_named(void)
{
    enum { NAMED = 5 };
    const uint64_t name[NAMED] = {404, 101, 7, 303, ~(uint64_t)0};
    mpi_test_folder("named");
    if (mpi_test.rank == 0) {
        lo_journal j;
        open_journal(1, 0, &j);
        append_named(&j, LO_RECORD_DONE, 0, 101, "hundred and one"); /* first, when there were fewer */
        append_named(&j, LO_RECORD_DONE, 1, 202, "is asked for no more");
        append_named(&j, LO_RECORD_GIVEN_UP, 70, 303, "");
        append_named(&j, LO_RECORD_DONE, 2, ~(uint64_t)0, "the largest");
        append_named(&j, LO_RECORD_START, 0, 404, "");
        lo_journal_close(&j);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    lo_ledger ledger;
    CHECK_OK(lo_ledger_create(mpi_test.study, LO_STAGE_UNLEARNING, 0, NAMED, &ledger, &err));
    CHECK_OK(lo_ledger_name(&ledger, name, &err));
    CHECK_OK(lo_ledger_read(&ledger, &err));
    CHECK_INT(ledger.done, 2);
    CHECK_INT(ledger.foreign, 1);
    check_payload(&ledger, 1, "hundred and one");
    check_payload(&ledger, 4, "the largest");
    CHECK(ledger.entry[3].given_up && ledger.entry[0].file < 0 && ledger.entry[2].file < 0);
    lo_ledger_count_deaths(&ledger, is_live, excused, NULL);
    CHECK_INT(ledger.entry[0].deaths, 1);
    CHECK(lo_ledger_digest(&ledger, 3) == 303);
    lo_ledger_destroy(&ledger);
    CHECK_OK(lo_ledger_create(mpi_test.study, LO_STAGE_UNLEARNING, 0, 3, &ledger, &err));
    CHECK_INT(lo_ledger_name(&ledger, (const uint64_t[]){4, 9, 4}, &err), LO_INTERNAL);
    CHECK_TEXT(err.text, "tasks");
    lo_ledger_destroy(&ledger);
}

/* A compacted record counts, but one that still has its payload is preferred. */
static void test_compacted(void)
{
    mpi_test_folder("compacted");
    uint64_t saved = 0;
    if (mpi_test.rank == 0) {
        lo_journal j;
        char path[1024];
        open_journal(1, 0, &j);
        append_done(&j, 1, "first");
        append_done(&j, 2, "first");
        lo_journal_close(&j);
        (void)snprintf(path, sizeof(path), "%s/journal/attempt-001-rank-0000.jnl", mpi_test.study);
        CHECK_OK(lo_journal_compact(path, LO_STAGE_ENSEMBLE, &saved, &err));
        open_journal(2, 0, &j);
        append_done(&j, 2, "second");
        lo_journal_close(&j);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    lo_ledger ledger = read_ledger(TASKS);
    CHECK_INT(ledger.done, 2);
    CHECK(ledger.entry[1].compacted && !ledger.entry[2].compacted);
    check_payload(&ledger, 2, "task 2 by second");
    char *payload;
    lo_record record;
    CHECK_INT(lo_ledger_payload(&ledger, 1, &record, &payload, &err), LO_DATA);
    lo_ledger_destroy(&ledger);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    test_union_and_share();
    test_void();
    test_deaths();
    test_named();
    test_compacted();
    return mpi_test_end("test_ledger");
}
