/* The program leaveout: finds the command and runs it. */
#include "jobs/commands.h"

#include "base/job.h"

#include <stdio.h>
#include <string.h>

static void print_usage(FILE *stream)
{
    (void)fprintf(stream, "usage: leaveout COMMAND ...\n\n"
                          "Leave-out memorization scores and influence on clusters of CPUs.\n\ncommands:\n");
    for (const lo_command *c = lo_commands; c->name != NULL; c++) {
        (void)fprintf(stream, "  %-8s %-38s %s\n", c->name, c->arguments, c->summary);
    }
    (void)fprintf(stream,
                  "\nleaveout COMMAND --help lists a command's options; leaveout help keys lists the keys of "
                  "job files.\n"
                  "exit codes: 0 done, 2 usage, 65 bad data, 70 internal or tasks given up, 74 input/output, "
                  "75 stopped or busy: run again\n");
}

static const lo_command *find_command(const char *name)
{
    for (const lo_command *c = lo_commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    char known[512] = "";
    char nearest[64];
    for (const lo_command *c = lo_commands; c->name != NULL; c++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, "%s ", c->name);
    }
    const char *near = lo_nearest(name, known, nearest, sizeof(nearest));
    (void)fprintf(stderr, "leaveout: unknown command '%s'%s%s; leaveout --help lists them\n", name,
                  near != NULL ? "; did you mean " : "", near != NULL ? near : "");
    return LO_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return LO_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return LO_OK;
    }
    const lo_command *command = find_command(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
    if (command == NULL) {
        return unknown_command(argv[1]);
    }
    lo_command_line line;
    lo_error err = {{0}};
    bool help;
    lo_status status = lo_options_read(command, argc - 2, argv + 2, &line, &help, &err);
    if (status == LO_OK && help) {
        lo_options_help(command);
        return LO_OK;
    }
    if (status == LO_OK) {
        status = command->run(&line, &err);
    }
    if (status != LO_OK && err.text[0] != '\0') {
        (void)fprintf(stderr, "leaveout: %s\n", err.text);
    }
    if (fflush(stdout) != 0 && status == LO_OK) {
        (void)fprintf(stderr, "leaveout: cannot write to standard output\n");
        status = LO_IO;
    }
    return (int)status;
}
