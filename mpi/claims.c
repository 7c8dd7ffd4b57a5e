#include "mpi/claims.h"

#include "base/clock.h"
#include "base/fields.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ATTEMPTS = 100000 };

static double stale_seconds(void)
{
    const char *text = getenv("LEAVEOUT_STALE_SECONDS");
    const double seconds = text != NULL ? strtod(text, NULL) : 0;
    return seconds > 0 ? seconds : 60;
}

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), 0 when there is none. */
static unsigned long long birth_of(long pid)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        return 0;
    }
    const size_t size = fread(text, 1, sizeof(text) - 1, stream);
    (void)fclose(stream);
    text[size] = '\0';
    /* The name in parentheses may hold anything; fields are counted from the last ')', which ends field 2. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    /* A zombie has died, whatever its entry says. */
    const char *state = strrchr(text, ')');
    if (at == NULL || state == NULL || state[1] == '\0' || state[2] == 'Z') {
        return 0;
    }
    return strtoull(at + 1, NULL, 10);
}

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

lo_attempt lo_attempt_self(int ranks)
{
    lo_attempt self = {.ranks = ranks, .pid = (long)getpid(), .start = lo_clock_wall(), .live = true};
    self.birth = birth_of(self.pid);
    if (gethostname(self.host, sizeof(self.host) - 1) != 0) {
        copy(self.host, sizeof(self.host), "unknown");
    }
    char boot[40] = "";
    FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (stream != NULL) {
        if (fgets(boot, sizeof(boot), stream) != NULL) {
            boot[strcspn(boot, "\n")] = '\0';
        }
        (void)fclose(stream);
    }
    struct stat st = {0};
    (void)stat("/proc/self/ns/pid", &st);
    (void)snprintf(self.place, sizeof(self.place), "%s/%llu", boot, (unsigned long long)st.st_ino);
    copy(self.job, sizeof(self.job), getenv("SLURM_JOB_ID"));
    const char *restart = getenv("SLURM_RESTART_COUNT");
    self.restart = restart != NULL ? (int)strtol(restart, NULL, 10) : 0;
    return self;
}

static void attempt_path(const char *study, int number, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/claims/attempt-%03d", study, number);
}

lo_status lo_attempt_begin(const char *study, lo_attempt *self, lo_error *err)
{
    char path[PATH_MAX];
    for (self->number = 1; self->number < MAX_ATTEMPTS; self->number++) {
        (void)snprintf(path, sizeof(path), "%s/log/attempt-%03d.log", study, self->number);
        const int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
        if (fd >= 0) {
            (void)close(fd);
            break;
        }
        if (errno != EEXIST) {
            return lo_fail_errno(err, LO_IO, "%s: cannot create", path);
        }
    }
    if (self->number == MAX_ATTEMPTS) {
        return lo_fail(err, LO_IO, "%s: has had %d attempts, the most there can be", study, MAX_ATTEMPTS - 1);
    }
    attempt_path(study, self->number, path, sizeof(path));
    char text[1024];
    const int size = snprintf(
        text, sizeof(text),
        "attempt=%d\nhost=%s\nplace=%s\npid=%ld\nbirth=%llu\njob=%s\nrestart=%d\nranks=%d\nstart=%.3f\n",
        self->number, self->host, self->place, self->pid, self->birth, self->job, self->restart, self->ranks,
        self->start);
    return lo_file_write(path, text, (size_t)size, err);
}

void lo_attempt_beat(const char *study, const lo_attempt *self)
{
    char path[PATH_MAX];
    attempt_path(study, self->number, path, sizeof(path));
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

void lo_attempt_end(const char *study, const lo_attempt *self)
{
    char path[PATH_MAX];
    attempt_path(study, self->number, path, sizeof(path));
    (void)unlink(path);
}

/* The file system's clock, which may differ from this host's: the time stamp it gives to our own heartbeat.
 */
static double file_system_now(const char *study, const lo_attempt *self)
{
    char path[PATH_MAX];
    struct stat st;
    if (self->number > 0) {
        lo_attempt_beat(study, self);
        attempt_path(study, self->number, path, sizeof(path));
        if (stat(path, &st) == 0) {
            return (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
        }
    }
    return lo_clock_wall();
}

static bool read_attempt(const char *study, int number, double now, lo_attempt *out)
{
    char path[PATH_MAX];
    attempt_path(study, number, path, sizeof(path));
    struct stat st;
    char *text;
    size_t size;
    if (stat(path, &st) != 0 || lo_file_read(path, 1 << 16, &text, &size, NULL) != LO_OK) {
        return false; /* it ended just now */
    }
    *out = (lo_attempt){.number = number};
    lo_field(text, "host", out->host, sizeof(out->host));
    lo_field(text, "place", out->place, sizeof(out->place));
    lo_field(text, "job", out->job, sizeof(out->job));
    out->pid = (long)lo_field_int(text, "pid");
    out->birth = (unsigned long long)lo_field_int(text, "birth");
    out->restart = (int)lo_field_int(text, "restart");
    out->ranks = (int)lo_field_int(text, "ranks");
    out->start = lo_field_real(text, "start");
    out->age = now - ((double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec);
    free(text);
    return true;
}

static bool is_live(const lo_attempt *other, const lo_attempt *self)
{
    if (other->number == self->number) {
        return true;
    }
    if (self->job[0] != '\0' && strcmp(other->job, self->job) == 0 && other->restart < self->restart) {
        return false; /* Slurm starts a job again only when its former start is over */
    }
    if (strcmp(other->place, self->place) == 0 && strcmp(other->host, self->host) == 0) {
        return birth_of(other->pid) == other->birth && other->birth != 0;
    }
    return other->age < stale_seconds();
}

static int ascending(const void *a, const void *b)
{
    return ((const lo_attempt *)a)->number - ((const lo_attempt *)b)->number;
}

lo_status lo_attempt_list(const char *study, const lo_attempt *self, lo_attempt **out, int *count,
                          lo_error *err)
{
    *out = NULL;
    *count = 0;
    const lo_attempt reader = self != NULL ? *self : lo_attempt_self(0);
    char path[PATH_MAX];
    const double now = file_system_now(study, &reader);
    (void)snprintf(path, sizeof(path), "%s/claims", study);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot read the directory", path);
    }
    lo_status status = LO_OK;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char *end;
        if (strncmp(entry->d_name, "attempt-", 8) != 0) {
            continue;
        }
        const long number = strtol(entry->d_name + 8, &end, 10);
        lo_attempt attempt;
        if (*end != '\0' || number < 1 || number > MAX_ATTEMPTS ||
            !read_attempt(study, (int)number, now, &attempt)) {
            continue; /* a part being written, or one that ended just now */
        }
        lo_attempt *larger = realloc(*out, (size_t)(*count + 1) * sizeof(**out));
        if (larger == NULL) {
            status = lo_fail(err, LO_INTERNAL, "no memory for the list of attempts");
            break;
        }
        attempt.live = is_live(&attempt, &reader);
        larger[(*count)++] = attempt;
        *out = larger;
    }
    (void)closedir(directory);
    if (status != LO_OK) {
        free(*out);
        *out = NULL;
        *count = 0;
    } else if (*count > 0) {
        qsort(*out, (size_t)*count, sizeof(**out), ascending);
    }
    return status;
}

void lo_attempt_bury(const char *study, const lo_attempt *list, int count)
{
    for (int i = 0; i < count; i++) {
        if (!list[i].live) {
            lo_attempt_end(study, &list[i]);
        }
    }
}

/* A lease of range 12 by its generation-0 holder is claims/ensemble-000012-0. When that holder is dead the
 * lease is void, and taking it over is creating generation 1, so that of two who see the void at once only
 * one succeeds. */
static void lease_path(const char *study, const char *stage, int64_t range, int generation, char *path,
                       size_t size)
{
    (void)snprintf(path, size, "%s/claims/%s-%06lld-%d", study, stage, (long long)range, generation);
}

enum { NOBODY = 0, NO_LEASE = -1 };

/* Number of the attempt that a lease names: NOBODY when it was cut short by the crash of a whole host,
 * NO_LEASE when there is none. */
static lo_status lease_holder(const char *path, int *holder, lo_error *err)
{
    char text[1024];
    *holder = NO_LEASE;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ESTALE)) {
        return LO_OK;
    }
    const ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    const lo_status status =
        size >= 0 || errno == ESTALE ? LO_OK : lo_fail_errno(err, LO_IO, "%s: cannot read the lease", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (size >= 0) {
        text[size] = '\0';
        *holder = (int)lo_field_int(text, "attempt");
    }
    return status;
}

/* An attempt that is no longer announced has ended; one whose announcement cannot be read has not. */
static bool holder_lives(const char *study, int holder, const lo_attempt *self)
{
    lo_attempt attempt;
    if (holder == NOBODY) {
        return false;
    }
    if (read_attempt(study, holder, file_system_now(study, self), &attempt)) {
        return is_live(&attempt, self);
    }
    char path[PATH_MAX];
    attempt_path(study, holder, path, sizeof(path));
    return access(path, F_OK) == 0 || errno != ENOENT;
}

typedef enum lease_state { FREE, MINE, HELD, VOID } lease_state;

static lo_status look_at_lease(const char *study, const char *path, const lo_attempt *self,
                               lease_state *state, lo_error *err)
{
    int holder;
    int before = NO_LEASE;
    for (;;) {
        LO_TRY(lease_holder(path, &holder, err));
        if (holder == NO_LEASE || holder == self->number) {
            *state = holder == NO_LEASE ? FREE : MINE;
            return LO_OK;
        }
        if (holder == before) {
            *state = VOID;
            return LO_OK;
        }
        if (holder_lives(study, holder, self)) {
            *state = HELD;
            return LO_OK;
        }
        /* Who ends gives back first, so its lease may have gone, or be another's, while we asked after it:
         * only one that still names the dead is void, and stays. */
        before = holder;
    }
}

/* link() of a finished file is as exclusive as O_EXCL, and nobody ever reads half a lease. */
static lo_status create_lease(const char *path, const lo_attempt *self, bool *created, lo_error *err)
{
    char part[PATH_MAX + 64];
    char text[256];
    (void)snprintf(part, sizeof(part), "%s.%d.part", path, self->number);
    const int size = snprintf(text, sizeof(text), "attempt=%d\njob=%s\nhost=%s\nstart=%.3f\n", self->number,
                              self->job, self->host, lo_clock_wall());
    const int fd = open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) {
        return lo_fail_errno(err, LO_IO, "%s: cannot create the lease", part);
    }
    lo_status status = LO_OK;
    if (write(fd, text, (size_t)size) != size) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot write the lease", part);
    }
    if (close(fd) != 0 && status == LO_OK) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot write the lease", part);
    }
    *created = status == LO_OK && link(part, path) == 0;
    if (status == LO_OK && !*created && errno != EEXIST) {
        status = lo_fail_errno(err, LO_IO, "%s: cannot create the lease", path);
    }
    (void)unlink(part);
    return status;
}

lo_status lo_lease_take(const char *study, const char *stage, int64_t range, const lo_attempt *self,
                        bool *taken, lo_error *err)
{
    *taken = false;
    char path[PATH_MAX];
    int generation = 0;
    for (;;) {
        lease_state state;
        lease_path(study, stage, range, generation, path, sizeof(path));
        LO_TRY(look_at_lease(study, path, self, &state, err));
        if (state == MINE || state == HELD) {
            *taken = state == MINE;
            return LO_OK;
        }
        if (state == VOID) {
            generation++;
            continue;
        }
        LO_TRY(create_lease(path, self, taken, err));
        if (*taken) {
            return LO_OK;
        }
        /* Somebody was faster: look at who. */
    }
}

void lo_lease_release(const char *study, const char *stage, int64_t range, const lo_attempt *self)
{
    char path[PATH_MAX];
    struct stat st;
    int last = -1;
    for (int generation = 0;; generation++) {
        lease_path(study, stage, range, generation, path, sizeof(path));
        if (stat(path, &st) != 0) {
            break;
        }
        last = generation;
    }
    int holder = NO_LEASE;
    lease_path(study, stage, range, last, path, sizeof(path));
    if (last < 0 || lease_holder(path, &holder, NULL) != LO_OK || holder != self->number) {
        return;
    }
    /* Void older generations stay: without them a reader would start at 0 again, beside a younger lease. */
    (void)unlink(path);
}
