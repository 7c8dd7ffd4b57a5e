/* Stage audit: what can be told from models about what they were trained on, and how far unlearned ones are
 * from ones that never saw the forget set. */
#include "jobs/audit/audit_runs.h"
#include "jobs/audit/privacy.h"
#include "jobs/stages.h"

lo_status lo_stage_audit(lo_study *study, lo_error *err)
{
    LO_TRY(lo_audit_privacy(study, err));
    return lo_audit_runs(study, err);
}
