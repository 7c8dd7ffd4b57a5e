#include "report/figure.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { TIME_LIMIT_SECONDS = 20, SIZE_LIMIT = 4 << 20 };

lo_figure lo_figure_begin(void)
{
    return lo_figure_begin_of(270);
}

lo_figure lo_figure_begin_of(int height)
{
    lo_figure figure = {tmpfile()};
    if (figure.script != NULL) {
        (void)fprintf(figure.script, "set terminal svg size 480,%d dynamic noenhanced font 'sans,13'\n",
                      height);
        (void)fputs("set encoding utf8\n"
                    "set border 1 linecolor rgb '" LO_FIGURE_INK "' linewidth 1\n"
                    "set grid ytics linetype 1 linewidth 1 linecolor rgb '#d5d9de'\n"
                    "set xtics nomirror out scale 0.5 offset 0,0.3\n"
                    "set ytics nomirror scale 0\n"
                    "set xlabel offset 0,0.4\n"
                    "set style fill solid 1 noborder\n"
                    "set key top right noautotitle samplen 1\n"
                    "set rmargin 2\n",
                    figure.script);
    }
    return figure;
}

static void write_quoted(const lo_figure *figure, const char *text, bool format)
{
    if (figure->script == NULL) {
        return;
    }
    (void)fputc('\'', figure->script);
    for (const char *c = text; *c != '\0';) {
        uint32_t point = 0;
        const int length = lo_utf8_length(c, &point);
        const bool control = point < 0x20 || point == 0x7F || point == 0xFFFE || point == 0xFFFF;
        if (*c == '\'') {
            (void)fputs("''", figure->script);
        } else if (length == 0 || control || strchr("@\\`", *c) != NULL) {
            (void)fputc('?', figure->script);
        } else {
            (void)fputs(*c == '%' && format ? "%" : "", figure->script);
            (void)fwrite(c, 1, (size_t)length, figure->script);
        }
        c += length > 0 ? length : 1;
    }
    (void)fputc('\'', figure->script);
}

void lo_figure_text(lo_figure *figure, const char *text)
{
    write_quoted(figure, text, false);
}

void lo_figure_tic(lo_figure *figure, const char *text)
{
    write_quoted(figure, text, true);
}

/* Waits for a child, no longer than the limit; true when it ended well. */
static bool wait_for(pid_t child)
{
    const double deadline = lo_clock_monotonic() + TIME_LIMIT_SECONDS;
    const struct timespec pause = {.tv_nsec = 2000000};
    int state = 0;
    for (;;) {
        const pid_t ended = waitpid(child, &state, WNOHANG);
        if (ended == child) {
            return WIFEXITED(state) && WEXITSTATUS(state) == 0;
        }
        if (ended < 0 && errno != EINTR) {
            return false;
        }
        if (lo_clock_monotonic() > deadline) {
            (void)kill(child, SIGKILL);
            (void)waitpid(child, &state, 0);
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* Runs gnuplot from the file `script` into the file `drawing`. Returns 0, ENOENT when there is no gnuplot,
 * EIO when it failed. Files instead of pipes: neither side can block the other. */
static int run_gnuplot(FILE *script, FILE *drawing)
{
    char name[] = "gnuplot";
    char option[] = "--default-settings";
    char *const arguments[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t child = 0;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return EIO;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return EIO;
    }
    (void)sigemptyset(&none);
    int error = posix_spawnattr_setsigmask(&attributes, &none);
    error = error != 0 ? error : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    error = error != 0 ? error : posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    error = error != 0 ? error : posix_spawn_file_actions_adddup2(&actions, fileno(drawing), STDOUT_FILENO);
    error = error != 0 ? error
                       : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    error = error != 0 ? error : posix_spawnp(&child, name, &actions, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return error == ENOENT || error == EACCES || error == ENOTDIR ? ENOENT : EIO;
    }
    return wait_for(child) ? 0 : EIO;
}

/* The whole file as text, NUL-terminated; NULL when it cannot be read or is unreasonably large. */
static char *read_text(FILE *file)
{
    if (fseek(file, 0, SEEK_END) != 0) {
        return NULL;
    }
    const long size = ftell(file);
    if (size <= 0 || size > SIZE_LIMIT) {
        return NULL;
    }
    rewind(file);
    char *text = malloc((size_t)size + 1);
    if (text == NULL) {
        return NULL;
    }
    if (fread(text, 1, (size_t)size, file) != (size_t)size) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

/* If text starts with `open`, where the text goes on after the next `close`; else NULL. */
static const char *past(const char *text, const char *open, const char *close)
{
    if (strncmp(text, open, strlen(open)) != 0) {
        return NULL;
    }
    const char *end = strstr(text + strlen(open), close);
    return end == NULL ? NULL : end + strlen(close);
}

/* gnuplot defines point symbols once in a figure, by ids, which the figures of one page cannot share. They
 * are drawn in place instead, from -1 to 1 in both directions; those with a shape of which the next is the
 * same, filled, are outlines. */
static const char *const symbols[] = {
    "M-1,0 h2 M0,-1 v2",                                          /* 0 */
    "M-1,-1 L1,1 M1,-1 L-1,1",                                    /* 1 */
    "M-1,0 h2 M0,-1 v2 M-1,-1 L1,1 M1,-1 L-1,1",                  /* 2 */
    "M-1,-1 h2 v2 h-2 z",                                         /* 3: a square */
    "M-1,-1 h2 v2 h-2 z",                                         /* 4: filled */
    "M-1,0 a1,1 0 1,0 2,0 a1,1 0 1,0 -2,0 z",                     /* 5: a circle */
    "M-1,0 a1,1 0 1,0 2,0 a1,1 0 1,0 -2,0 z",                     /* 6: filled */
    "M0,-1.33 L-1.33,0.67 L1.33,0.67 z",                          /* 7: a triangle */
    "M0,-1.33 L-1.33,0.67 L1.33,0.67 z",                          /* 8: filled */
    "M0,1.33 L-1.33,-0.67 L1.33,-0.67 z",                         /* 9: on its tip */
    "M0,1.33 L-1.33,-0.67 L1.33,-0.67 z",                         /* 10: filled */
    "M0,-1.33 L1.33,0 L0,1.33 L-1.33,0 z",                        /* 11: a diamond */
    "M0,-1.33 L1.33,0 L0,1.33 L-1.33,0 z",                        /* 12: filled */
    "M0,-1.33 L1.27,-0.41 L0.78,1.08 L-0.78,1.08 L-1.27,-0.41 z", /* 13: a pentagon */
    "M0,-1.33 L1.27,-0.41 L0.78,1.08 L-0.78,1.08 L-1.27,-0.41 z", /* 14: filled */
};

/* At "<use xlink:href='#gpPt6'": writes the path of that symbol and returns where its other attributes,
 * place, size and colour, go on; NULL for anything else. */
static const char *draw_symbol(const char *text, FILE *page)
{
    static const char use[] = "<use xlink:href='#gpPt";
    if (strncmp(text, use, sizeof(use) - 1) != 0) {
        return NULL;
    }
    char *end = NULL;
    const long kind = strtol(text + sizeof(use) - 1, &end, 10);
    if (*end != '\'' || kind < 0 || kind >= (long)(sizeof(symbols) / sizeof(symbols[0]))) {
        return NULL;
    }
    /* A white disc clears the ground under a symbol, and all that lies there. */
    const char *closed = strstr(end, "/>");
    const char *white = strstr(end, "color='white'");
    if (closed != NULL && white != NULL && white < closed) {
        return closed + 2;
    }
    const bool filled = kind > 3 && kind % 2 == 0;
    (void)fprintf(page, "<path d='%s' fill='%s' stroke='currentColor' stroke-width='0.3'", symbols[kind],
                  filled ? "currentColor" : "none");
    return end + 1;
}

/* Copies the svg element without what several figures in one page cannot share (ids) and what none of them
 * needs: titles that would pop up as tooltips. */
static bool embed(const char *text, FILE *page)
{
    static const char *const dropped[][2] = {
        {"<defs>", "</defs>"}, {"<title>", "</title>"}, {"<desc>", "</desc>"}, {" id=\"", "\""}};
    const char *start = strstr(text, "<svg");
    const char *end = start == NULL ? NULL : strstr(start, "</svg>");
    if (end == NULL) {
        return false;
    }
    for (const char *c = start; c < end;) {
        const char *next = draw_symbol(c, page);
        for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]) && next == NULL; i++) {
            next = past(c, dropped[i][0], dropped[i][1]);
        }
        if (next == NULL) {
            (void)fputc(*c, page);
            next = c + 1;
        }
        c = next;
    }
    (void)fputs("</svg>\n", page);
    return true;
}

bool lo_figure_end(lo_figure *figure, FILE *page)
{
    int error = EIO;
    char *text = NULL;
    FILE *drawing = tmpfile();
    if (figure->script != NULL && drawing != NULL && fflush(figure->script) == 0) {
        rewind(figure->script);
        error = run_gnuplot(figure->script, drawing);
    }
    if (error == 0) {
        text = read_text(drawing);
    }
    const bool drawn = text != NULL && embed(text, page);
    if (!drawn) {
        (void)fputs(error == ENOENT
                        ? "<p class=\"absent\">Figures are drawn by gnuplot (Debian: gnuplot-nox), which "
                          "was not found.</p>\n"
                        : "<p class=\"absent\">Figures are drawn by gnuplot (Debian: gnuplot-nox), which "
                          "failed on this one.</p>\n",
                    page);
    }
    free(text);
    if (drawing != NULL) {
        (void)fclose(drawing);
    }
    if (figure->script != NULL) {
        (void)fclose(figure->script);
        figure->script = NULL;
    }
    return drawn;
}
