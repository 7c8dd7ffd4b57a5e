/* Stage audit: what can be told from models about what they were trained on. */
#include "jobs/privacy.h"
#include "jobs/stages.h"

lo_status lo_stage_audit(lo_study *study, lo_error *err)
{
    return lo_audit_privacy(study, err);
}
