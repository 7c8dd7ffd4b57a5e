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

static int lease_holder(const char *path)
{
    char *text;
    size_t size;
    if (lo_file_read(path, 1 << 12, &text, &size, NULL) != LO_OK) {
        return 0;
    }
    const int holder = (int)lo_field_int(text, "attempt");
    free(text);
    return holder;
}

/* An attempt that is no longer announced has ended. */
static bool holder_lives(const char *study, int holder, const lo_attempt *self)
{
    lo_attempt attempt;
    return holder > 0 && read_attempt(study, holder, file_system_now(study, self), &attempt) &&
           is_live(&attempt, self);
}

lo_status lo_lease_take(const char *study, const char *stage, int64_t range, const lo_attempt *self,
                        bool *taken, lo_error *err)
{
    *taken = false;
    char path[PATH_MAX];
    for (int generation = 0;; generation++) {
        lease_path(study, stage, range, generation, path, sizeof(path));
        char temporary[PATH_MAX + 64];
        (void)snprintf(temporary, sizeof(temporary), "%s.%d.part", path, self->number);
        char text[256];
        const int size = snprintf(text, sizeof(text), "attempt=%d\njob=%s\nhost=%s\nstart=%.3f\n",
                                  self->number, self->job, self->host, lo_clock_wall());
        struct stat st;
        if (stat(path, &st) == 0) {
            const int holder = lease_holder(path);
            if (holder == self->number) {
                *taken = true;
                return LO_OK;
            }
            if (holder_lives(study, holder, self)) {
                return LO_OK;
            }
            continue; /* void: try to be the next generation */
        }
        /* link() of a finished file is as exclusive as O_EXCL, and nobody ever reads half a lease. */
        const int fd = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
        if (fd < 0) {
            return lo_fail_errno(err, LO_IO, "%s: cannot create the lease", temporary);
        }
        const bool written = write(fd, text, (size_t)size) == size;
        (void)close(fd);
        if (!written) {
            const lo_status status = lo_fail_errno(err, LO_IO, "%s: cannot write the lease", temporary);
            (void)unlink(temporary);
            return status;
        }
        const bool linked = link(temporary, path) == 0;
        const int reason = errno;
        (void)unlink(temporary);
        if (linked) {
            *taken = true;
            return LO_OK;
        }
        if (reason != EEXIST) {
            errno = reason;
            return lo_fail_errno(err, LO_IO, "%s: cannot create the lease", path);
        }
        generation--; /* somebody was faster: look at who */
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
    lease_path(study, stage, range, last, path, sizeof(path));
    if (last < 0 || lease_holder(path) != self->number) {
        return;
    }
    /* Void older generations stay: without them a reader would start at 0 again, beside a younger lease. */
    (void)unlink(path);
}
