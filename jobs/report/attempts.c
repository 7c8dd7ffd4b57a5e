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

/* What a journal says about originals, which the ensemble's ledger does not count. */
static const lo_journal_file *originals_of(const lo_material *m, const lo_journal_file *source)
{
    for (int i = 0; i < m->originals.sources; i++) {
        if (strcmp(m->originals.source[i].name, source->name) == 0) {
            return &m->originals.source[i];
        }
    }
    static const lo_journal_file none = {0};
    return &none;
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
        const lo_journal_file *originals = originals_of(m, source);
        char value[TEXT];
        int a = find_attempt(m, source->attempt);
        if (a < 0) {
            a = m->report.attempt_count++;
            m->attempt[a].number = source->attempt;
            lo_clock_iso(lo_field_real(source->text, "start"), m->attempt_text[a][0], TEXT);
            m->attempt[a].ranks = (int)lo_field_int(source->text, "ranks");
            lo_field(source->text, "processor", m->attempt_text[a][2], TEXT);
            lo_field(source->text, "job", m->attempt_text[a][3], TEXT);
            (void)snprintf(m->attempt_text[a][4], TEXT, "%s",
                           source->attempt == m->study->run.attempt.number ? "wrote this report"
                           : attempt_lives(m->study, source->attempt)      ? "running"
                                                                           : "died");
        }
        lo_report_attempt *attempt = &m->attempt[a];
        lo_field(source->text, "host", value, sizeof(value));
        add_word(m->attempt_text[a][1], value);
        attempt->seconds = fmax(attempt->seconds, source->last - lo_field_real(source->text, "start"));
        attempt->models += source->done + originals->done;
        attempt->core_seconds += fmax(1, lo_field_real(source->text, "cores")) * /* older ones have none */
                                 (source->done_seconds + originals->done_seconds);
        if (source->ended) {
            (void)snprintf(m->attempt_text[a][4], TEXT, "%s", source->reason);
        }
        if (source->done + originals->done > 0) {
            int64_t p = 0;
            lo_field(source->text, "processor", value, sizeof(value));
            while (p < m->report.processor_types && strcmp(processors[p], value) != 0) {
                p++;
            }
            if (p == m->report.processor_types) {
                (void)snprintf(processors[m->report.processor_types++], sizeof(*processors), "%.*s",
                               LO_MAX_PROCESSOR - 1, value);
            }
        }
    }
    for (int a = 0; a < m->report.attempt_count; a++) {
        m->attempt[a].start = m->attempt_text[a][0];
        m->attempt[a].hosts = m->attempt_text[a][1];
        m->attempt[a].processor = m->attempt_text[a][2];
        m->attempt[a].job = m->attempt_text[a][3];
        m->attempt[a].ended = m->attempt_text[a][4];
    }
    m->report.attempt = m->attempt;
    free(processors);
    return LO_OK;
}
