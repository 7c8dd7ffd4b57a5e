/* leaveout submit: writes the batch script and hands it to sbatch. */
#include "base/file.h"
#include "jobs/commands.h"
#include "jobs/study/study.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* slurm/leaveout.sbatch, built in. */
extern const char lo_batch_script[];

/* Runs sbatch and reads what it prints. */
static lo_status call_sbatch(char *const *arguments, char *output, size_t size, lo_error *err)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return lo_fail_errno(err, LO_IO, "cannot make a pipe");
    }
    const pid_t child = fork();
    if (child < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return lo_fail_errno(err, LO_INTERNAL, "cannot start sbatch");
    }
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execvp(arguments[0], arguments);
        (void)fprintf(stderr, "leaveout: sbatch cannot be run: %s\n", strerror(errno));
        _exit(127);
    }
    (void)close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = read(ends[0], output + used, size - 1 - used)) > 0) {
        used += (size_t)got;
    }
    output[used] = '\0';
    (void)close(ends[0]);
    int code = 0;
    (void)waitpid(child, &code, 0);
    if (!WIFEXITED(code) || WEXITSTATUS(code) != 0) {
        return lo_fail(err, LO_INTERNAL, "sbatch failed (its code: %d)",
                       WIFEXITED(code) ? WEXITSTATUS(code) : -1);
    }
    return LO_OK;
}

/* An absolute path, so that the batch job finds it from anywhere. */
static lo_status absolute(const char *path, char out[PATH_MAX], lo_error *err)
{
    if (realpath(path, out) == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot find", path);
    }
    return LO_OK;
}

/* The same for a study that a dry run does not make. */
static lo_status absolute_study(const char *path, char out[PATH_MAX], lo_error *err)
{
    char here[PATH_MAX];
    if (realpath(path, out) != NULL) {
        return LO_OK;
    }
    if (path[0] == '/') {
        (void)snprintf(out, PATH_MAX, "%s", path);
        return LO_OK;
    }
    if (getcwd(here, sizeof(here)) == NULL) {
        return lo_fail_errno(err, LO_IO, "cannot find the current directory");
    }
    if (snprintf(out, PATH_MAX, "%s/%s", here, path) >= PATH_MAX) {
        return lo_fail(err, LO_USAGE, "submit: --study: the path is too long");
    }
    return LO_OK;
}

/* A time limit as sbatch takes it: minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s. */
static bool is_time(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789:-") == strlen(text);
}

/* For the script: text between single quotes. */
static void quote(char *to, size_t size, const char *text)
{
    size_t used = 0;
    to[used++] = '\'';
    for (; *text != '\0' && used + 6 < size; text++) {
        if (*text == '\'') {
            memcpy(to + used, "'\\''", 4);
            used += 4;
        } else {
            to[used++] = *text;
        }
    }
    to[used++] = '\'';
    to[used] = '\0';
}

typedef struct submission {
    char job[PATH_MAX], study[PATH_MAX], program[PATH_MAX], script[PATH_MAX];
    char nodes[32], tasks[32], threads[32], time[64], output[PATH_MAX];
    char words[LO_MAX_SETTINGS][PATH_MAX];
    int words_used;
} submission;

/* The job must be sound before it waits in a queue, and its teams fit the ranks. */
static lo_status check_job(const lo_command_line *line, int64_t nodes, int64_t tasks, submission *s,
                           lo_error *err)
{
    const char *overrides[LO_MAX_SETTINGS];
    lo_job *job = NULL;
    LO_TRY(lo_job_read(line->operand[0], overrides, lo_option_values(line, "set", overrides), &job, err));
    const long long team = lo_job_int(job, "train.team"), threads = lo_job_int(job, "train.threads");
    lo_job_destroy(&job);
    s->threads[0] = '\0';
    if (threads > 1) {
        (void)snprintf(s->threads, sizeof(s->threads), "--cpus-per-task=%lld", threads);
    }
    return nodes * tasks % team == 0
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "submit: %lld nodes with %lld ranks each cannot form teams of %lld (train.team)",
                         (long long)nodes, (long long)tasks, team);
}

static lo_status read_options(const lo_command_line *line, submission *s, lo_error *err)
{
    int64_t nodes, tasks;
    const char *study = lo_option_value(line, "study");
    const char *time = lo_option_value(line, "time");
    const char *overrides[LO_MAX_SETTINGS];
    const int count = lo_option_values(line, "set", overrides);
    if (study == NULL) {
        return lo_fail(err, LO_USAGE, "submit: --study DIR says where the results go");
    }
    LO_TRY(lo_option_int(line, "nodes", 1, 1 << 20, 1, &nodes, err));
    (void)snprintf(s->nodes, sizeof(s->nodes), "--nodes=%lld", (long long)nodes);
    LO_TRY(lo_option_int(line, "ntasks-per-node", 1, 1 << 16, 1, &tasks, err));
    (void)snprintf(s->tasks, sizeof(s->tasks), "--ntasks-per-node=%lld", (long long)tasks);
    if (time != NULL && !is_time(time)) {
        return lo_fail(
            err, LO_USAGE,
            "submit: --time: found '%s'; allowed is what sbatch takes, such as 90 (minutes), 2:30:00 or "
            "1-12:00:00",
            time);
    }
    if (time != NULL) {
        (void)snprintf(s->time, sizeof(s->time), "--time=%s", time);
    }
    LO_TRY(check_job(line, nodes, tasks, s, err));
    LO_TRY(absolute(line->operand[0], s->job, err));
    if (lo_option_value(line, "dry-run") == NULL) {
        char log[PATH_MAX];
        (void)snprintf(log, sizeof(log), "%s/log", study);
        LO_TRY(lo_file_mkdirs(log, err));
    }
    LO_TRY(absolute_study(study, s->study, err));
    LO_TRY(absolute("/proc/self/exe", s->program, err));
    (void)snprintf(s->script, sizeof(s->script), "%s/leaveout.sbatch", s->study);
    (void)snprintf(s->output, sizeof(s->output), "--output=%s/log/slurm-%%%s.log", s->study,
                   lo_option_value(line, "array") != NULL ? "A_%a" : "j");
    for (int i = 0; i < count && s->words_used + 2 < LO_MAX_SETTINGS; i++) {
        (void)snprintf(s->words[s->words_used++], PATH_MAX, "--set");
        (void)snprintf(s->words[s->words_used++], PATH_MAX, "%s", overrides[i]);
    }
    if (lo_option_value(line, "join") != NULL) {
        (void)snprintf(s->words[s->words_used++], PATH_MAX, "--join");
    }
    return LO_OK;
}

/* The built-in script with the program's path put in behind its head. */
static lo_status write_script(const submission *s, FILE *stream)
{
    const char *body = strstr(lo_batch_script, "\nset -u\n");
    char program[PATH_MAX * 2];
    quote(program, sizeof(program), s->program);
    (void)fprintf(stream, "%.*s\nexport LEAVEOUT=${LEAVEOUT:-%s}%s", (int)(body - lo_batch_script),
                  lo_batch_script, program, body);
    return LO_OK;
}

lo_status lo_command_submit(const lo_command_line *line, lo_error *err)
{
    static submission s; /* some hundred kB of paths: not for the stack */
    const bool dry = lo_option_value(line, "dry-run") != NULL;
    char array[64];
    char *arguments[LO_MAX_SETTINGS + 16];
    int count = 0;
    LO_TRY(read_options(line, &s, err));
    arguments[count++] = (char *)(uintptr_t) "sbatch";
    arguments[count++] = (char *)(uintptr_t) "--parsable";
    arguments[count++] = s.nodes;
    arguments[count++] = s.tasks;
    if (s.threads[0] != '\0') {
        arguments[count++] = s.threads;
    }
    if (s.time[0] != '\0') {
        arguments[count++] = s.time;
    }
    if (lo_option_value(line, "array") != NULL) {
        (void)snprintf(array, sizeof(array), "--array=%s", lo_option_value(line, "array"));
        arguments[count++] = array;
    }
    arguments[count++] = s.output;
    arguments[count++] = s.script;
    arguments[count++] = s.job;
    arguments[count++] = s.study;
    for (int i = 0; i < s.words_used; i++) {
        arguments[count++] = s.words[i];
    }
    arguments[count] = NULL;
    if (dry) {
        LO_TRY(write_script(&s, stdout));
        (void)printf("# would be submitted by:\n#");
        for (int i = 0; i < count; i++) {
            char quoted[PATH_MAX * 2];
            quote(quoted, sizeof(quoted), arguments[i]);
            (void)printf(" %s",
                         strpbrk(arguments[i], " '\"$*?[]{}()|&;<>\\") != NULL ? quoted : arguments[i]);
        }
        (void)printf("\n");
        return LO_OK;
    }
    lo_file file = {0};
    LO_TRY(lo_file_begin(s.script, &file, err));
    LO_TRY(lo_file_end(&file, write_script(&s, file.stream), err));
    char output[256];
    LO_TRY(call_sbatch(arguments, output, sizeof(output), err));
    /* --parsable: "JOB" or "JOB;CLUSTER" */
    output[strcspn(output, ";\n")] = '\0';
    (void)printf("script=%s\nlog=%s\njob=%s\n", s.script, s.output + strlen("--output="), output);
    return LO_OK;
}
