#include "jobs/options.h"

#include "base/job.h"
#include "jobs/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lo_option *find_option(const lo_command *command, const char *name, size_t length)
{
    for (const lo_option *o = command->options; o != NULL && o->name != NULL; o++) {
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) {
            return o;
        }
    }
    return NULL;
}

static lo_status unknown_option(const lo_command *command, const char *name, size_t length, lo_error *err)
{
    char known[1024] = "";
    char word[128];
    char nearest[128];
    for (const lo_option *o = command->options; o != NULL && o->name != NULL; o++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, "%s ", o->name);
    }
    (void)snprintf(word, sizeof(word), "%.*s", (int)length, name);
    const char *near = lo_nearest(word, known, nearest, sizeof(nearest));
    return lo_fail(err, LO_USAGE, "%s: unknown option --%s%s%s (see leaveout %s --help)", command->name, word,
                   near != NULL ? "; did you mean --" : "", near != NULL ? near : "", command->name);
}

lo_status lo_options_read(const lo_command *command, int argc, char **argv, lo_command_line *out, bool *help,
                          lo_error *err)
{
    *out = (lo_command_line){.command = command};
    *help = false;
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            if (out->operand_count == LO_MAX_OPERANDS) {
                return lo_fail(err, LO_USAGE, "%s: too many operands", command->name);
            }
            out->operand[out->operand_count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_operands = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
            return LO_OK;
        }
        const char *name = word + 2;
        const size_t length = strcspn(name, "=");
        if (word[1] != '-') {
            return lo_fail(err, LO_USAGE, "%s: unknown option %s; options are long: see leaveout %s --help",
                           command->name, word, command->name);
        }
        const lo_option *option = find_option(command, name, length);
        if (option == NULL) {
            return unknown_option(command, name, length, err);
        }
        if (out->count == LO_MAX_SETTINGS) {
            return lo_fail(err, LO_USAGE, "%s: more than %d options", command->name, LO_MAX_SETTINGS);
        }
        const char *value = name[length] == '=' ? name + length + 1 : NULL;
        if (option->value == NULL && value != NULL) {
            return lo_fail(err, LO_USAGE, "%s: --%s takes no value", command->name, option->name);
        }
        if (option->value != NULL && value == NULL) {
            if (i + 1 == argc) {
                return lo_fail(err, LO_USAGE, "%s: --%s needs a value (%s)", command->name, option->name,
                               option->value);
            }
            value = argv[++i];
        }
        out->name[out->count] = option->name;
        out->value[out->count++] = value != NULL ? value : "";
    }
    if (out->operand_count < command->operands_min || out->operand_count > command->operands_max) {
        return lo_fail(err, LO_USAGE, "%s: %d operands given; usage: leaveout %s%s%s", command->name,
                       out->operand_count, command->name, command->arguments[0] != '\0' ? " " : "",
                       command->arguments);
    }
    return LO_OK;
}

const char *lo_option_value(const lo_command_line *line, const char *name)
{
    for (int i = line->count - 1; i >= 0; i--) {
        if (strcmp(line->name[i], name) == 0) {
            return line->value[i];
        }
    }
    return NULL;
}

int lo_option_values(const lo_command_line *line, const char *name, const char **values)
{
    int count = 0;
    for (int i = 0; i < line->count; i++) {
        if (strcmp(line->name[i], name) == 0) {
            values[count++] = line->value[i];
        }
    }
    return count;
}

lo_status lo_option_int(const lo_command_line *line, const char *name, int64_t low, int64_t high,
                        int64_t fallback, int64_t *out, lo_error *err)
{
    const char *text = lo_option_value(line, name);
    *out = fallback;
    if (text == NULL) {
        return LO_OK;
    }
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high) {
        return lo_fail(err, LO_USAGE, "%s: --%s: found '%s'; allowed is a whole number, %lld to %lld",
                       line->command->name, name, text, (long long)low, (long long)high);
    }
    *out = value;
    return LO_OK;
}

void lo_options_help(const lo_command *command)
{
    (void)printf("usage: leaveout %s%s%s\n\n%s\n", command->name, command->arguments[0] != '\0' ? " " : "",
                 command->arguments, command->summary);
    if (command->options != NULL && command->options->name != NULL) {
        (void)printf("\noptions:\n");
    }
    for (const lo_option *o = command->options; o != NULL && o->name != NULL; o++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value != NULL ? " " : "",
                       o->value != NULL ? o->value : "");
        (void)printf("  %-28s %s\n", left, o->help);
    }
}
