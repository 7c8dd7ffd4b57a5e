/* Claims: who lives, and who has a lease. Every rank does the serial parts in a study of its own, before MPI
 * is there (they fork); then all race for one lease in a common one. */
#include "base/clock.h"
#include "mpi/claims.h"
#include "mpi_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static lo_error err;

static lo_attempt begin_attempt(void)
{
    lo_attempt a = lo_attempt_self(1);
    CHECK_OK(lo_attempt_begin(mpi_test.study, &a, &err));
    return a;
}

/* An attempt whose process announced itself and died. */
static lo_attempt dead_attempt(void)
{
    lo_attempt a = {0};
    int channel[2];
    if (pipe(channel) != 0) {
        exit(1);
    }
    const pid_t child = fork();
    if (child == 0) {
        a = lo_attempt_self(1);
        const bool sent = lo_attempt_begin(mpi_test.study, &a, NULL) == LO_OK &&
                          write(channel[1], &a, sizeof(a)) == (ssize_t)sizeof(a);
        _exit(sent ? 0 : 1);
    }
    CHECK(read(channel[0], &a, sizeof(a)) == (ssize_t)sizeof(a));
    (void)close(channel[0]);
    (void)close(channel[1]);
    CHECK(waitpid(child, NULL, 0) == child);
    return a;
}

static bool take(int64_t range, const lo_attempt *self)
{
    bool taken = false;
    CHECK_OK(lo_lease_take(mpi_test.study, "ensemble", range, self, &taken, &err));
    return taken;
}

static void release(int64_t range, const lo_attempt *self)
{
    lo_lease_release(mpi_test.study, "ensemble", range, self);
}

static bool lease_exists(int64_t range, int generation)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/claims/ensemble-%06lld-%d", mpi_test.study, (long long)range,
                   generation);
    return access(path, F_OK) == 0;
}

static void test_take_and_release(void)
{
    mpi_test_make_study("take");
    const lo_attempt one = begin_attempt();
    lo_attempt two = begin_attempt();
    CHECK_INT(one.number, 1);
    CHECK_INT(two.number, 2);
    CHECK(take(5, &one));
    CHECK(take(5, &one)); /* what one has, one may take again */
    CHECK(!take(5, &two));
    CHECK(take(6, &two));
    release(5, &two); /* not his: nothing happens */
    CHECK(!take(5, &two));
    release(5, &one);
    CHECK(take(5, &two));
    CHECK(!take(5, &one));
    lo_attempt_end(mpi_test.study, &two); /* ended without giving back: void */
    CHECK(take(5, &one));
    CHECK(lease_exists(5, 1));
    lo_attempt_end(mpi_test.study, &one);
}

static void test_dead_holder(void)
{
    mpi_test_make_study("dead");
    const lo_attempt living = begin_attempt();
    for (int generation = 0; generation < 4; generation++) {
        const lo_attempt dead = dead_attempt();
        lo_attempt *list;
        int count;
        CHECK_OK(lo_attempt_list(mpi_test.study, &living, &list, &count, &err));
        CHECK_INT(count, 2);
        CHECK(list[0].number == living.number && list[0].live);
        CHECK(list[1].number == dead.number && !list[1].live && list[1].age < 60);
        CHECK(take(3, &dead)); /* as it did while it lived */
        CHECK(lease_exists(3, generation));
        lo_attempt_bury(mpi_test.study, list, count);
        free(list);
        CHECK_OK(lo_attempt_list(mpi_test.study, &living, &list, &count, &err));
        CHECK_INT(count, 1);
        free(list);
    }
    CHECK(take(3, &living));
    CHECK(lease_exists(3, 4));
    release(3, &living);
    CHECK(!lease_exists(3, 4));
    CHECK(lease_exists(3, 3)); /* the void ones stay: a reader must not start below a younger lease */
    const lo_attempt other = begin_attempt();
    CHECK(take(3, &other));
    CHECK(lease_exists(3, 4));
    CHECK(!take(3, &living));
}

/* Of several that see one void lease exactly one gets it. */
static void test_race_for_a_void_lease(void)
{
    enum { ROUNDS = 40, RACERS = 4 };
    mpi_test_make_study("race");
    const lo_attempt dead = dead_attempt();
    for (int round = 0; round < ROUNDS; round++) {
        CHECK(take(round, &dead));
        int start[2];
        int answer[2];
        int leave[2];
        if (pipe(start) != 0 || pipe(answer) != 0 || pipe(leave) != 0) {
            exit(1);
        }
        pid_t racer[RACERS];
        for (int r = 0; r < RACERS; r++) {
            racer[r] = fork();
            if (racer[r] == 0) {
                char go;
                lo_attempt a = lo_attempt_self(1);
                bool taken = false;
                (void)close(start[1]);
                (void)close(leave[1]);
                /* The end of a pipe is the signal: to race, and, when all have answered, to leave. A winner
                 * that left at once would make room for another. */
                const bool raced =
                    lo_attempt_begin(mpi_test.study, &a, NULL) == LO_OK && read(start[0], &go, 1) == 0 &&
                    lo_lease_take(mpi_test.study, "ensemble", round, &a, &taken, NULL) == LO_OK &&
                    write(answer[1], &taken, 1) == 1 && read(leave[0], &go, 1) == 0;
                _exit(raced ? 0 : 1);
            }
        }
        (void)usleep(3000);
        (void)close(start[1]);
        int winners = 0;
        for (int r = 0; r < RACERS; r++) {
            bool won = false;
            CHECK(read(answer[0], &won, 1) == 1);
            winners += won;
        }
        (void)close(leave[1]);
        for (int r = 0; r < RACERS; r++) {
            int code = 1;
            CHECK(waitpid(racer[r], &code, 0) == racer[r]);
            CHECK(WIFEXITED(code) && WEXITSTATUS(code) == 0);
        }
        (void)close(start[0]);
        (void)close(answer[0]);
        (void)close(answer[1]);
        (void)close(leave[0]);
        CHECK_INT(winners, 1);
        CHECK(lease_exists(round, 1));
        CHECK(!lease_exists(round, 2));
    }
}

/* Holds a lease again and again, ending and beginning attempts between; a second holder finds the guard file
 * there. Returns how often it had the lease, -1 when there were two holders. */
static int hold_again_and_again(double seconds, bool (*give_up)(unsigned *random), unsigned seed)
{
    char guard[1024];
    int held = 0;
    unsigned random = seed;
    const double end = lo_clock_monotonic() + seconds;
    (void)snprintf(guard, sizeof(guard), "%s/guard", mpi_test.study);
    while (lo_clock_monotonic() < end) {
        const lo_attempt a = begin_attempt();
        for (int i = 0; i < 5; i++) {
            if (!take(0, &a)) {
                continue;
            }
            const int fd = open(guard, O_CREAT | O_EXCL | O_WRONLY, 0666);
            if (fd < 0) {
                return -1;
            }
            (void)close(fd);
            held++;
            (void)unlink(guard);
            if (give_up(&random)) {
                break; /* ends while it holds the lease */
            }
            release(0, &a);
        }
        lo_attempt_end(mpi_test.study, &a);
    }
    return held;
}

static bool rarely(unsigned *random)
{
    *random = *random * 1664525U + 1013904223U;
    return (*random >> 16) % 16 == 0;
}

/* Never two holders, whatever the others do at the same time: taking, giving back, ending. */
static void test_one_holder(void)
{
    mpi_test_folder("holder");
    const int held = hold_again_and_again(1.5, rarely, (unsigned)mpi_test.rank + 1);
    CHECK(held >= 0);
    int all = held;
    MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CHECK(all > 10);
}

/* Announces an attempt as some other host would, and sets its last heartbeat. */
static void announce(const lo_attempt *a, double age)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/claims/attempt-%03d", mpi_test.study, a->number);
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    (void)fprintf(stream, "host=%s\nplace=%s\npid=%ld\nbirth=%llu\njob=%s\nrestart=%d\nranks=4\nstart=%.3f\n",
                  a->host, a->place, a->pid, a->birth, a->job, a->restart, lo_clock_wall() - 1000);
    (void)fclose(stream);
    const double then = lo_clock_wall() - age;
    const struct timespec times[2] = {{.tv_sec = (time_t)then}, {.tv_sec = (time_t)then}};
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static bool lives(int number, const lo_attempt *self)
{
    lo_attempt *list;
    int count;
    bool live = false;
    CHECK_OK(lo_attempt_list(mpi_test.study, self, &list, &count, &err));
    for (int i = 0; i < count; i++) {
        live = live || (list[i].number == number && list[i].live);
    }
    free(list);
    return live;
}

/* Of a process on another host only the heartbeat tells. */
static void test_heartbeat(void)
{
    mpi_test_make_study("heartbeat");
    const lo_attempt self = begin_attempt();
    const lo_attempt far = {.number = 7, .host = "elsewhere", .place = "boot/1", .pid = 1, .birth = 1};
    announce(&far, 50);
    CHECK(lives(7, &self));
    CHECK(take(1, &far));
    CHECK(!take(1, &self));
    announce(&far, 70);
    CHECK(!lives(7, &self));
    CHECK(take(1, &self));
    (void)setenv("LEAVEOUT_STALE_SECONDS", "5", 1);
    announce(&far, 8);
    CHECK(!lives(7, &self));
    lo_attempt_beat(mpi_test.study, &far);
    CHECK(lives(7, &self));
    (void)unsetenv("LEAVEOUT_STALE_SECONDS");
    /* On this host the process itself tells, however old its heartbeat, and whatever took over its pid. */
    lo_attempt near = self;
    near.number = 8;
    announce(&near, 1000);
    CHECK(lives(8, &self));
    near.birth++;
    announce(&near, 0);
    CHECK(!lives(8, &self));
    near = self;
    near.number = 8;
    (void)snprintf(near.place, sizeof(near.place), "another boot/1"); /* the same host before it restarted */
    announce(&near, 10);
    CHECK(lives(8, &self));
    announce(&near, 100);
    CHECK(!lives(8, &self));
    lo_attempt_end(mpi_test.study, &self);
    CHECK(!lives(self.number, NULL));
}

/* A job that Slurm starts again has nothing running from its former start, wherever that was. */
static void test_restarted_job(void)
{
    mpi_test_make_study("restart");
    (void)setenv("SLURM_JOB_ID", "4711", 1);
    (void)setenv("SLURM_RESTART_COUNT", "2", 1);
    const lo_attempt self = begin_attempt();
    CHECK_INT(self.restart, 2);
    CHECK_TEXT(self.job, "4711");
    lo_attempt far = {.number = 9, .host = "elsewhere", .place = "boot/1", .job = "4711", .restart = 1};
    announce(&far, 0);
    CHECK(!lives(9, &self));
    far.restart = 2; /* another step of this start */
    announce(&far, 0);
    CHECK(lives(9, &self));
    far.restart = 1;
    (void)snprintf(far.job, sizeof(far.job), "4712");
    announce(&far, 0);
    CHECK(lives(9, &self));
    (void)unsetenv("SLURM_JOB_ID");
    (void)unsetenv("SLURM_RESTART_COUNT");
}

/* Half a file, an unknown one, nothing: none of it is an attempt or a lease that lives. */
static void test_odd_files(void)
{
    mpi_test_make_study("odd");
    const lo_attempt self = begin_attempt();
    static const char *const names[] = {"attempt-003.part.host.12", "attempt-x", "attempt-0",
                                        "ensemble-000002-0"};
    for (int i = 0; i < 4; i++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), "%s/claims/%s", mpi_test.study, names[i]);
        CHECK_OK(lo_file_write(path, "", 0, &err));
    }
    lo_attempt *list;
    int count;
    CHECK_OK(lo_attempt_list(mpi_test.study, &self, &list, &count, &err));
    CHECK_INT(count, 1);
    free(list);
    CHECK(take(2, &self));
    CHECK(lease_exists(2, 1));
    (void)snprintf(mpi_test.study, sizeof(mpi_test.study), "%s/nowhere", mpi_test.folder);
    lo_attempt lost = lo_attempt_self(1);
    bool taken;
    CHECK_INT(lo_attempt_begin(mpi_test.study, &lost, &err), LO_IO);
    CHECK_INT(lo_attempt_list(mpi_test.study, NULL, &list, &count, &err), LO_IO);
    CHECK_INT(lo_lease_take(mpi_test.study, "ensemble", 0, &self, &taken, &err), LO_IO);
}

int main(int argc, char **argv)
{
    (void)unsetenv("SLURM_JOB_ID");
    (void)unsetenv("SLURM_RESTART_COUNT");
    mpi_test_make_folder();
    test_take_and_release();
    test_dead_holder();
    test_race_for_a_void_lease();
    test_heartbeat();
    test_restarted_job();
    test_odd_files();
    mpi_test_remove_folder();
    mpi_test_begin(&argc, &argv);
    test_one_holder();
    return mpi_test_end("test_claims");
}
