#include "jobs/report/material.h"

#include "base/clock.h"
#include "base/fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = LO_MATERIAL_TEXT };

static int find_attempt(const lo_material *m, int number)
{
    for (int i = 0; i < m->report.attempt_count; i++) {
        if (m->attempt[i].number == number) {
            return i;
        }
    }
    return -1;
}

/* Appends a word to a comma-separated list that does not hold it yet. */
static void add_word(char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) {
            return;
        }
    }
    const size_t used = strlen(list);
    (void)snprintf(list + used, TEXT - used, "%s%s", used > 0 ? "," : "", word);
}

static bool attempt_lives(const lo_study *study, int number)
{
    lo_attempt *list = NULL;
    int count = 0;
    bool lives = false;
    if (lo_attempt_list(study->run.study, &study->run.attempt, &list, &count, NULL) == LO_OK) {
        for (int i = 0; i < count; i++) {
            lives = lives || (list[i].number == number && list[i].live);
        }
    }
    free(list);
    return lives;
}

/* The attempt that wrote a journal, with what its ATTEMPT record says; a new one where there is none yet. */
static int attempt_of(lo_material *m, const lo_journal_file *source)
{
    int a = find_attempt(m, source->attempt);
    if (a >= 0) {
        return a;
    }
    a = m->report.attempt_count++;
    char(*text)[TEXT] = m->attempt_text[a];
    m->attempt[a] = (lo_report_attempt){.number = source->attempt,
                                        .ranks = (int)lo_field_int(source->text, "ranks"),
                                        .start = text[0],
                                        .hosts = text[1],
                                        .processor = text[2],
                                        .job = text[3],
                                        .ended = text[4]};
    lo_clock_iso(lo_field_real(source->text, "start"), text[0], TEXT);
    lo_field(source->text, "processor", text[2], TEXT);
    lo_field(source->text, "job", text[3], TEXT);
    (void)snprintf(text[4], TEXT, "%s",
                   source->attempt == m->study->run.attempt.number ? "wrote this report"
                   : attempt_lives(m->study, source->attempt)      ? "running"
                                                                   : "died");
    return a;
}

/* Cores that an attempt has, by what one of its journals says; older ones say less. */
static double cores_of(const lo_journal_file *source)
{
    const double threads = lo_field_real(source->text, "threads");
    const double cores = threads > 0 ? threads : fmax(1, lo_field_real(source->text, "cores"));
    return cores * (double)lo_field_int(source->text, "ranks");
}

/* What the tasks of a journal took, by stage, and what its attempt was in each stage. */
static void add_costs(lo_material *m, const lo_journal_file *source, lo_report_attempt *attempt)
{
    const double cores = fmax(1, lo_field_real(source->text, "cores"));
    for (int s = 1; s < LO_STAGES; s++) {
        const lo_spent *spent = &source->spent[s];
        m->stage[s].tasks += spent->tasks;
        m->stage[s].task_core_seconds += cores * spent->task_seconds;
        m->stage[s].core_seconds += spent->core_seconds;
        attempt->tasks += spent->tasks;
        attempt->core_seconds += cores * spent->task_seconds;
    }
    attempt->models += source->spent[LO_STAGE_ENSEMBLE].tasks + source->spent[LO_STAGE_ORIGINALS].tasks;
}

/* Counts the types of processor that finished tasks. */
static void add_processor(lo_material *m, const lo_journal_file *source, char (*seen)[LO_MAX_PROCESSOR])
{
    char value[LO_MAX_PROCESSOR];
    int64_t tasks = 0;
    for (int s = 1; s < LO_STAGES; s++) {
        tasks += source->spent[s].tasks;
    }
    lo_field(source->text, "processor", value, sizeof(value));
    for (int64_t p = 0; p < m->report.processor_types; p++) {
        if (strcmp(seen[p], value) == 0) {
            return;
        }
    }
    if (tasks > 0) {
        memcpy(seen[m->report.processor_types++], value, sizeof(value));
    }
}

/* Stages that took anything, in the order of their numbers. */
static void close_stages(lo_material *m)
{
    for (int s = 1; s < LO_STAGES; s++) {
        lo_report_stage stage = m->stage[s];
        if (stage.tasks > 0 || stage.core_seconds > 0) {
            stage.name = lo_stage_name((lo_stage)s);
            stage.core_seconds = stage.core_seconds > 0 ? stage.core_seconds : (double)NAN;
            m->stage[m->report.stage_count++] = stage; /* which is never beyond s */
        }
    }
    m->report.stage = m->stage;
}

lo_status lo_gather_attempts(lo_material *m, lo_error *err)
{
    const lo_ledger *ledger = &m->ledger;
    const size_t room = (size_t)ledger->sources + 1;
    m->attempt = calloc(room, sizeof(*m->attempt));
    m->attempt_text = calloc(room, sizeof(*m->attempt_text));
    char(*processors)[LO_MAX_PROCESSOR] = calloc(room, sizeof(*processors));
    if (m->attempt == NULL || m->attempt_text == NULL || processors == NULL) {
        free(processors);
        return lo_fail(err, LO_INTERNAL, "no memory for the list of attempts");
    }
    for (int i = 0; i < ledger->sources; i++) {
        const lo_journal_file *source = &ledger->source[i];
        char host[TEXT];
        const int a = attempt_of(m, source);
        const bool writes = source->attempt == m->study->run.attempt.number;
        const double last = writes ? lo_clock_wall() : source->last;
        lo_report_attempt *attempt = &m->attempt[a];
        lo_field(source->text, "host", host, sizeof(host));
        add_word(m->attempt_text[a][1], host);
        attempt->seconds = fmax(attempt->seconds, last - lo_field_real(source->text, "start"));
        attempt->cores = cores_of(source);
        add_costs(m, source, attempt);
        if (source->ended) {
            (void)snprintf(m->attempt_text[a][4], TEXT, "%s", source->reason);
        }
        add_processor(m, source, processors);
    }
    for (int a = 0; a < m->report.attempt_count; a++) {
        /* Models that came from elsewhere took their time there. */
        m->attempt[a].core_seconds =
            fmax(m->attempt[a].core_seconds, m->attempt[a].seconds * m->attempt[a].cores);
    }
    m->report.attempt = m->attempt;
    close_stages(m);
    free(processors);
    return LO_OK;
}
