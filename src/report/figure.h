/* Figures: SVG drawn by gnuplot and embedded in the page. A figure that cannot be drawn leaves a sentence in
 * its place and never fails the report. */
#ifndef LEAVEOUT_REPORT_FIGURE_H
#define LEAVEOUT_REPORT_FIGURE_H

#include <stdbool.h>
#include <stdio.h>

/* The page's style sheet knows these: figures use no other colours. */
#define LO_FIGURE_INK    "#5b6470" /* axes; redefined by the page in dark mode */
#define LO_FIGURE_FIRST  "#3b7dbf"
#define LO_FIGURE_SECOND "#df7a26"

typedef struct lo_figure {
    FILE *
        script; /* gnuplot commands go here, after the common settings; NULL: there is no room for a script */
} lo_figure;

/* Starts a figure's script with the look that all figures share, 480 wide and 270 high, or so high. Series
 * are told apart by more than colour: point types 1 to 15 of gnuplot are drawn (7: disc, 6: circle, 5 and 4:
 * square, 9 and 8: triangle, 13 and 12: diamond), as are dash types. The caller ends it. */
lo_figure lo_figure_begin(void);
lo_figure lo_figure_begin_of(int height);

/* Writes text as a gnuplot string in single quotes, which are doubled in it: names given by users cannot be
 * commands. Control characters, bytes that are not UTF-8, and what gnuplot may expand (@, ` and \) become
 * "?". */
void lo_figure_text(lo_figure *figure, const char *text);

/* The same for the label of a tic, which gnuplot takes for a format: % is doubled. */
void lo_figure_tic(lo_figure *figure, const char *text);

/* Runs gnuplot (found in PATH; no shell, no start-up file of the user) on the script and writes the SVG, as
 * HTML can embed it, to page; or, when gnuplot is missing, fails, or takes longer than 20 seconds, a
 * paragraph that says so. Returns whether the figure was drawn. Releases the figure. */
bool lo_figure_end(lo_figure *figure, FILE *page);

#endif
