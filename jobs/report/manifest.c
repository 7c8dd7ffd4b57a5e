#include "jobs/report/material.h"

#include "base/file.h"
#include "base/json.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

lo_status lo_write_manifest(const lo_material *m, lo_error *err)
{
    char path[PATH_MAX];
    lo_file file = {0};
    const lo_report *r = &m->report;
    (void)snprintf(path, sizeof(path), "%s/manifest.json", m->study->run.study);
    LO_TRY(lo_file_begin(path, &file, err));
    lo_json json = lo_json_begin(file.stream);
    double core_seconds = 0;
    double training = 0;
    lo_json_object(&json, NULL);
    lo_json_int(&json, "format", LO_STUDY_FORMAT);
    lo_json_text(&json, "version", LEAVEOUT_VERSION);
    lo_json_text(&json, "processor", m->study->run.processor);
    lo_json_int(&json, "processor_types", r->processor_types);
    lo_json_object(&json, "digests");
    for (int g = LO_KEYS_DATA; g < LO_KEY_GROUPS; g++) {
        static const char *const names[] = {"none",    "data",      "recipe",    "ensemble",
                                            "scores",  "influence", "originals", "attribution",
                                            "damping", "unlearning"};
        char digest[32];
        (void)snprintf(digest, sizeof(digest), "%016llx",
                       (unsigned long long)lo_job_digest(m->study->job, (lo_key_group)g));
        lo_json_text(&json, names[g], digest);
    }
    lo_json_end(&json);
    lo_json_array(&json, "attempts");
    for (int a = 0; a < r->attempt_count; a++) {
        const lo_report_attempt *attempt = &r->attempt[a];
        core_seconds += attempt->core_seconds;
        lo_json_object(&json, NULL);
        lo_json_int(&json, "number", attempt->number);
        lo_json_text(&json, "start", attempt->start);
        lo_json_real(&json, "seconds", attempt->seconds);
        lo_json_int(&json, "ranks", attempt->ranks);
        lo_json_text(&json, "hosts", attempt->hosts);
        lo_json_text(&json, "processor", attempt->processor);
        lo_json_text(&json, "job", attempt->job);
        lo_json_text(&json, "ended", attempt->ended);
        lo_json_int(&json, "models", attempt->models);
        lo_json_int(&json, "tasks", attempt->tasks);
        lo_json_real(&json, "cores", attempt->cores);
        lo_json_real(&json, "core_seconds", attempt->core_seconds);
        lo_json_end(&json);
    }
    lo_json_end(&json);
    lo_json_array(&json, "stages");
    for (int s = 0; s < r->stage_count; s++) {
        const lo_report_stage *stage = &r->stage[s];
        const bool trains = strcmp(stage->name, "ensemble") == 0 || strcmp(stage->name, "originals") == 0;
        training += trains ? stage->task_core_seconds : 0;
        lo_json_object(&json, NULL);
        lo_json_text(&json, "name", stage->name);
        lo_json_int(&json, "tasks", stage->tasks);
        lo_json_real(&json, "task_core_seconds", stage->task_core_seconds);
        lo_json_real(&json, "core_seconds", stage->core_seconds);
        lo_json_end(&json);
    }
    lo_json_end(&json);
    lo_json_object(&json, "usage");
    lo_json_real(&json, "core_seconds", core_seconds);
    lo_json_real(&json, "training_core_seconds", training);
    lo_json_int(&json, "models", r->models_done);
    lo_json_int(&json, "models_planned", r->models_planned);
    lo_json_int(&json, "models_diverged", r->models_diverged);
    lo_json_int(&json, "models_given_up", r->models_given_up);
    lo_json_int(&json, "originals", r->original_count);
    lo_json_int(&json, "originals_planned", r->originals_planned);
    lo_json_end(&json);
    lo_json_end(&json);
    (void)fputc('\n', file.stream);
    return lo_file_end(&file, LO_OK, err);
}
