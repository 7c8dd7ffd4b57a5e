/* The journal: what it promises after crashes, damage and a full disk. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER = 96, STAGE = 1, OTHER_STAGE = 2, MAX_FOUND = 64 };

static char folder[] = "/tmp/leaveout-journal-XXXXXX";
static char file[128];

/* What a scan found. */
typedef struct found {
    int count;
    uint64_t at[MAX_FOUND];
    lo_record record[MAX_FOUND];
    char text[MAX_FOUND][64]; /* payloads handed over */
    bool has_text[MAX_FOUND];
} found;

static lo_status note(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    found *f = self;
    assert_true(f->count < MAX_FOUND);
    f->at[f->count] = at;
    f->record[f->count] = *record;
    f->has_text[f->count] = payload != NULL;
    (void)snprintf(f->text[f->count], sizeof(f->text[0]), "%s", payload != NULL ? payload : "");
    f->count++;
    return LO_OK;
}

static lo_status scan(found *f, uint64_t *skipped)
{
    uint64_t offset = 0;
    lo_error err;
    *f = (found){0};
    *skipped = 0;
    return lo_journal_scan(file, &offset, skipped, note, f, &err);
}

/* The payload of a task, of any size: bytes that depend on both. */
static void fill(char *payload, size_t size, uint64_t task)
{
    for (size_t i = 0; i < size; i++) {
        payload[i] = (char)(task * 131 + i * 7 + 3);
    }
}

static void append_done(lo_journal *journal, uint64_t task, size_t size)
{
    char payload[1024];
    assert_true(size <= sizeof(payload));
    fill(payload, size, task);
    lo_record record = {.kind = LO_RECORD_DONE,
                        .stage = STAGE,
                        .task = task,
                        .digest = 77,
                        .seconds = 1.5,
                        .value = (double)task / 8};
    assert_int_equal(lo_journal_append(journal, &record, payload, size, true, NULL), LO_OK);
}

static void open_new(lo_journal *journal)
{
    lo_error err;
    (void)unlink(file);
    assert_int_equal(lo_journal_create(file, "host=here\nrank=3\n", journal, &err), LO_OK);
}

static char *read_whole(size_t *size)
{
    char *data;
    assert_int_equal(lo_file_read(file, 1 << 24, &data, size, NULL), LO_OK);
    return data;
}

static void write_whole(const char *data, size_t size)
{
    FILE *stream = fopen(file, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static void expect_payload(uint64_t at, uint64_t task, size_t size)
{
    char expected[1024];
    char *payload;
    lo_record record;
    fill(expected, size, task);
    assert_int_equal(lo_journal_payload(file, at, &record, &payload, NULL), LO_OK);
    assert_int_equal(record.task, task);
    assert_int_equal(record.payload_size, size);
    assert_memory_equal(payload, expected, size);
    assert_int_equal(payload[size], 0);
    free(payload);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 96, 1000};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
    lo_journal journal;
    open_new(&journal);
    const double before = lo_clock_wall();
    for (uint64_t t = 0; t < SIZES; t++) {
        append_done(&journal, t, sizes[t]);
    }
    lo_record end = {.kind = LO_RECORD_END, .flags = LO_RECORD_ALONE};
    assert_int_equal(lo_journal_append(&journal, &end, "complete", 8, false, NULL), LO_OK);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal((uint64_t)st.st_size, journal.size);
    lo_journal_close(&journal);
    lo_journal_close(&journal); /* twice is allowed */

    found f;
    uint64_t skipped;
    assert_int_equal(scan(&f, &skipped), LO_OK);
    assert_int_equal(skipped, 0);
    assert_int_equal(f.count, SIZES + 2);
    assert_int_equal(f.record[0].kind, LO_RECORD_ATTEMPT);
    assert_string_equal(f.text[0], "host=here\nrank=3\n");
    for (int t = 0; t < SIZES; t++) {
        const lo_record *r = &f.record[t + 1];
        assert_int_equal(r->kind, LO_RECORD_DONE);
        assert_int_equal(r->stage, STAGE);
        assert_int_equal(r->task, t);
        assert_int_equal(r->digest, 77);
        assert_true(r->seconds == 1.5 && r->value == t / 8.0);
        assert_true(r->wall >= before && r->wall <= lo_clock_wall());
        assert_false(f.has_text[t + 1]); /* DONE payloads are not read by a scan */
        expect_payload(f.at[t + 1], (uint64_t)t, sizes[t]);
    }
    assert_int_equal(f.record[SIZES + 1].flags, LO_RECORD_ALONE);
    assert_string_equal(f.text[SIZES + 1], "complete");
    lo_error err;
    assert_int_equal(lo_journal_create(file, "", &journal, &err), LO_IO); /* never written over */
    assert_non_null(strstr(err.text, file));
}

/* A scan goes on where the last one ended, whatever piece of a record was there then. */
static void test_scan_goes_on(void **state)
{
    (void)state;
    lo_journal journal;
    open_new(&journal);
    append_done(&journal, 4, 13);
    append_done(&journal, 5, 29);
    lo_journal_close(&journal);
    size_t size;
    char *data = read_whole(&size);
    for (size_t cut = 0; cut <= size; cut++) {
        found f = {0};
        uint64_t offset = 0;
        uint64_t skipped = 0;
        write_whole(data, cut);
        assert_int_equal(lo_journal_scan(file, &offset, &skipped, note, &f, NULL), LO_OK);
        write_whole(data, size);
        assert_int_equal(lo_journal_scan(file, &offset, &skipped, note, &f, NULL), LO_OK);
        assert_int_equal(skipped, 0);
        assert_int_equal(f.count, 3);
        assert_int_equal(f.record[2].task, 5);
        assert_int_equal(offset, size);
    }
    free(data);
}

/* A crash leaves any prefix of the last record: all before it counts, it does not (unless only padding is
 * missing), and nothing is called damage. */
static void test_torn_tail(void **state)
{
    (void)state;
    enum { LAST = 45 };
    lo_journal journal;
    open_new(&journal);
    append_done(&journal, 0, 17);
    const size_t last_at = journal.size;
    append_done(&journal, 1, LAST);
    lo_journal_close(&journal);
    size_t size;
    char *data = read_whole(&size);
    for (size_t cut = last_at; cut <= size; cut++) {
        found f;
        uint64_t skipped;
        char *payload;
        lo_record record;
        write_whole(data, cut);
        assert_int_equal(scan(&f, &skipped), LO_OK);
        assert_int_equal(skipped, 0);
        assert_int_equal(f.count, cut >= last_at + HEADER + LAST ? 3 : 2);
        expect_payload(f.at[1], 0, 17);
        if (f.count == 2) {
            assert_int_equal(lo_journal_payload(file, last_at, &record, &payload, NULL), LO_DATA);
            assert_null(payload);
        } else {
            expect_payload(last_at, 1, LAST);
        }
    }
    free(data);
}

/* Whatever byte is flipped, and whichever way: no crash, no wrong payload, no wrong record, and all records
 * that the byte is not part of are found. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    enum { RECORDS = 4 };
    static const size_t sizes[RECORDS] = {17, 21, 8, 30}; /* the first is the ATTEMPT text's */
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    lo_journal journal;
    open_new(&journal);
    for (uint64_t t = 1; t < RECORDS; t++) {
        append_done(&journal, t, sizes[t]);
    }
    lo_journal_close(&journal);
    size_t size;
    char *data = read_whole(&size);
    for (size_t i = 0; i < size * sizeof(flips); i++) {
        const size_t byte = i / sizeof(flips);
        data[byte] = (char)(data[byte] ^ flips[i % sizeof(flips)]);
        write_whole(data, size);
        found f;
        uint64_t skipped;
        int seen = 0;
        uint64_t at = 0;
        const lo_status status = scan(&f, &skipped);
        assert_int_equal(status, LO_OK);
        for (int r = 0; r < RECORDS; r++) {
            const uint64_t next = at + HEADER + (sizes[r] + 7) / 8 * 8;
            const bool hit = byte >= at && byte < at + HEADER + sizes[r];
            const bool found_it = seen < f.count && f.at[seen] == at;
            assert_true(found_it || hit); /* the others are all there */
            if (found_it) {
                seen++;
            }
            if (r > 0) {
                char expected[64];
                char *payload = NULL;
                lo_record record;
                fill(expected, sizes[r], (uint64_t)r);
                if (lo_journal_payload(file, at, &record, &payload, NULL) == LO_OK) {
                    assert_false(hit);
                    assert_int_equal(record.task, r);
                    assert_memory_equal(payload, expected, sizes[r]);
                } else {
                    assert_true(hit);
                }
                free(payload);
            }
            at = next;
        }
        assert_int_equal(seen, f.count); /* and nothing that was never written */
        data[byte] = (char)(data[byte] ^ flips[i % sizeof(flips)]);
    }
    free(data);
}

static void test_skipped_bytes(void **state)
{
    (void)state;
    lo_journal journal;
    open_new(&journal);
    const uint64_t first = journal.size;
    append_done(&journal, 1, 20);
    append_done(&journal, 2, 40);
    const uint64_t third = journal.size;
    append_done(&journal, 3, 5);
    lo_journal_close(&journal);
    size_t size;
    char *data = read_whole(&size);
    memset(data + first, 0xa5, third - first);
    write_whole(data, size);
    found f;
    uint64_t skipped;
    assert_int_equal(scan(&f, &skipped), LO_OK);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.record[1].task, 3);
    assert_int_equal(skipped, third - first);
    /* A header that promises more than the file holds is damage too. */
    uint64_t huge = UINT64_MAX - 50;
    memset(data + first, 0, 8);
    memcpy(data + first + 40, &huge, sizeof(huge));
    write_whole(data, size);
    assert_int_equal(scan(&f, &skipped), LO_OK);
    assert_int_equal(f.count, 2);
    free(data);
    assert_int_equal(unlink(file), 0);
    lo_error err;
    uint64_t offset = 0;
    assert_int_equal(lo_journal_scan(file, &offset, &skipped, note, &f, &err), LO_IO);
}

static void test_newer_version(void **state)
{
    (void)state;
    lo_journal journal;
    open_new(&journal);
    append_done(&journal, 1, 20);
    lo_journal_close(&journal);
    size_t size;
    char *data = read_whole(&size);
    const uint32_t version = 2;
    memcpy(data + 4, &version, sizeof(version));
    const uint32_t crc = lo_crc32(0, data, HEADER - 4);
    memcpy(data + HEADER - 4, &crc, sizeof(crc));
    write_whole(data, size);
    free(data);
    uint64_t offset = 0;
    uint64_t skipped = 0;
    found f = {0};
    lo_error err;
    assert_int_equal(lo_journal_scan(file, &offset, &skipped, note, &f, &err), LO_DATA);
    assert_non_null(strstr(err.text, "version 2"));
    assert_int_equal(f.count, 0);
}

static lo_status refuse(void *self, uint64_t at, const lo_record *record, const char *payload)
{
    (void)at;
    (void)payload;
    return record->kind == LO_RECORD_DONE ? lo_fail(self, LO_INTERNAL, "enough") : LO_OK;
}

static void test_scan_returns_what_the_callback_returns(void **state)
{
    (void)state;
    lo_journal journal;
    open_new(&journal);
    append_done(&journal, 1, 20);
    lo_journal_close(&journal);
    uint64_t offset = 0;
    uint64_t skipped = 0;
    lo_error err;
    assert_int_equal(lo_journal_scan(file, &offset, &skipped, refuse, &err, &err), LO_INTERNAL);
    assert_string_equal(err.text, "enough");
}

/* A disk that is full at any byte of a record: the append fails, what was there stays, and when there is
 * room again the next append is found. */
static void test_full_disk(void **state)
{
    (void)state;
    enum { SIZE = 50 };
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < HEADER + 56; room += 5) {
        lo_journal journal;
        open_new(&journal);
        append_done(&journal, 1, 20);
        const uint64_t before = journal.size;
        struct rlimit tight = old;
        tight.rlim_cur = before + room;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        char payload[SIZE] = {0};
        lo_record record = {.kind = LO_RECORD_DONE, .stage = STAGE, .task = 2};
        lo_error err;
        const lo_status status = lo_journal_append(&journal, &record, payload, SIZE, true, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(status, LO_IO);
        assert_non_null(strstr(err.text, strerror(EFBIG)));
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal((uint64_t)st.st_size, before);
        append_done(&journal, 3, 33);
        lo_journal_close(&journal);
        found f;
        uint64_t skipped;
        assert_int_equal(scan(&f, &skipped), LO_OK);
        assert_int_equal(skipped, 0);
        assert_int_equal(f.count, 3);
        expect_payload(f.at[1], 1, 20);
        expect_payload(f.at[2], 3, 33);
    }
    /* No room for the first record: no file stays behind. */
    (void)unlink(file);
    struct rlimit tight = old;
    tight.rlim_cur = 10;
    lo_journal journal;
    lo_error err;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const lo_status status = lo_journal_create(file, "host=here\n", &journal, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, LO_IO);
    assert_int_equal(access(file, F_OK), -1);
    (void)signal(SIGXFSZ, SIG_DFL);
}

static void expect_same(const lo_record *a, const lo_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->digest, b->digest);
    assert_true(a->seconds == b->seconds && a->wall == b->wall && a->value == b->value);
    assert_int_equal(a->payload_size, b->payload_size);
    assert_int_equal(a->payload_crc, b->payload_crc);
}

/* What cannot be read is no damage: or a disk that is away for a moment would have all models trained again.
 */
static void test_unreadable(void **state)
{
    (void)state;
    (void)unlink(file);
    assert_int_equal(mkdir(file, 0777), 0); /* opens, but reading fails */
    found f;
    uint64_t skipped;
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    if (st.st_size >= HEADER) { /* not on every file system */
        assert_int_equal(scan(&f, &skipped), LO_IO);
    }
    lo_record record;
    char *payload;
    lo_error err;
    assert_int_equal(lo_journal_payload(file, 0, &record, &payload, &err), LO_IO);
    assert_non_null(strstr(err.text, strerror(EISDIR)));
    assert_null(payload);
    assert_int_equal(rmdir(file), 0);
}

static void test_compact(void **state)
{
    (void)state;
    lo_journal journal;
    open_new(&journal);
    append_done(&journal, 1, 20);
    lo_record other = {.kind = LO_RECORD_DONE, .stage = OTHER_STAGE, .task = 9, .digest = 5};
    char payload[40];
    fill(payload, sizeof(payload), 9);
    assert_int_equal(lo_journal_append(&journal, &other, payload, sizeof(payload), true, NULL), LO_OK);
    append_done(&journal, 2, 501);
    lo_record end = {.kind = LO_RECORD_END};
    assert_int_equal(lo_journal_append(&journal, &end, "done", 4, true, NULL), LO_OK);
    lo_journal_close(&journal);
    found before;
    found after;
    uint64_t skipped;
    uint64_t saved = 0;
    lo_error err;
    assert_int_equal(scan(&before, &skipped), LO_OK);
    for (int round = 0; round < 2; round++) { /* the second finds nothing to drop */
        assert_int_equal(lo_journal_compact(file, STAGE, &saved, &err), LO_OK);
        assert_int_equal(saved, 24 + 504);
        assert_int_equal(scan(&after, &skipped), LO_OK);
        assert_int_equal(skipped, 0);
        assert_int_equal(after.count, before.count);
    }
    for (int i = 0; i < before.count; i++) {
        const bool dropped = before.record[i].kind == LO_RECORD_DONE && before.record[i].stage == STAGE;
        lo_record expected = before.record[i];
        if (dropped) {
            expected.flags |= LO_RECORD_COMPACTED;
            expected.payload_size = 0;
            expected.payload_crc = 0;
            char *nothing;
            lo_record record;
            assert_int_equal(lo_journal_payload(file, after.at[i], &record, &nothing, &err), LO_DATA);
            assert_non_null(strstr(err.text, "compact"));
        }
        expect_same(&after.record[i], &expected);
        assert_string_equal(after.text[i], before.text[i]);
    }
    expect_payload(after.at[2], 9, sizeof(payload));
}

static void test_arena(void **state)
{
    (void)state;
    lo_arena *arena = lo_arena_create(1000);
    assert_non_null(arena);
    assert_null(lo_arena_take(arena, SIZE_MAX / 2, 3)); /* the product overflows */
    assert_null(lo_arena_take(arena, SIZE_MAX, 1));
    char *one = lo_arena_take(arena, 3, 5);
    double *two = lo_arena_take(arena, 10, sizeof(double));
    assert_non_null(one);
    assert_non_null(two);
    assert_int_equal((uintptr_t)one % 64, 0);
    assert_int_equal((uintptr_t)two % 64, 0);
    assert_true((char *)two - one >= 15);
    assert_int_equal(lo_arena_used(arena), 64 + 128);
    for (int i = 0; i < 10; i++) {
        assert_true(two[i] == 0);
    }
    assert_null(lo_arena_take(arena, 1000 - 64 - 128 + 1, 1));
    assert_int_equal(lo_arena_used(arena), 64 + 128); /* a refusal takes nothing */
    lo_arena_destroy(&arena);
    assert_null(arena);
    lo_arena_destroy(&arena);
    assert_null(lo_arena_create(SIZE_MAX / 2));
}

static void test_clock(void **state)
{
    (void)state;
    char text[32];
    lo_clock_iso(0, text, sizeof(text));
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    lo_clock_iso(1795252321.9, text, sizeof(text));
    assert_string_equal(text, "2026-11-21T09:12:01Z");
    const double from = lo_clock_monotonic();
    (void)usleep(20000);
    const double passed = lo_clock_monotonic() - from;
    assert_true(passed >= 0.02 && passed < 20);
}

static int begin(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(file, sizeof(file), "%s/attempt-001-rank-0000.jnl", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_scan_goes_on),
        cmocka_unit_test(test_torn_tail),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_skipped_bytes),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_scan_returns_what_the_callback_returns),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests_name("journal, arena, clock", tests, begin, end);
}
