/* What figures of the page share: their frame, axes and histograms. Private to src/report. */
#ifndef LEAVEOUT_REPORT_PLOT_H
#define LEAVEOUT_REPORT_PLOT_H

#include "report/figure.h"
#include "report/page.h"

/* Equal bins whose edges are multiples of a round number (1, 2 or 5 times a power of ten). The last one holds
 * its upper edge too. */
typedef struct lo_bins {
    double low, step;
    int count; /* at most BINS_MAX */
} lo_bins;

enum { BINS_MAX = 64 };

lo_bins lo_bins_choose(double low, double high, int most);

/* The bin of a value; one beyond the ends is in the first or the last. */
int lo_bins_at(const lo_bins *bins, double value);

/* Opens a figure with a description for who does not see it; draws the script and opens the caption. */
void lo_plot_begin(const lo_page *page, const char *about, const char *name);
void lo_plot_end(const lo_page *page, lo_figure *figure);

/* Names the axis `which`, "x" or "y". */
void lo_plot_axis(lo_figure *figure, const char *which, const char *label);

/* One box a bin, count [bins->count]. On a logarithmic axis empty bins are left out. */
void lo_plot_counts(lo_figure *figure, const lo_bins *bins, const int64_t *count, bool logarithmic);

#endif
