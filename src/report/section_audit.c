#include "report/sections.h"

lo_status lo_section_audit(const lo_page *page, lo_error *err)
{
    (void)err;
    lo_report_write_audit(page->out, &page->report->audit);
    return LO_OK;
}

lo_status lo_section_privacy(const lo_page *page, lo_error *err)
{
    (void)err;
    lo_report_write_privacy(page->out, &page->report->privacy);
    return LO_OK;
}
