/* copy.c - the shell's side of COPY: standard input and output, and how far it is on a terminal. The rest is the library's. */
#include "shell.h"

#include "clock.h"

#include <errno.h>
#include <unistd.h>

#define TELL_SECONDS 0.25

static int64_t copy_read(void *arg, void *p, int64_t n)
{
    const struct shell *sh = arg;
    ssize_t got = -1;
    if (sh->stdin_is_script) {
        fputs("note: standard input is where the SQL comes from; give the statement with -c, or name a file\n", stderr);
        return -1;
    }
    while ((got = read(STDIN_FILENO, p, (size_t)n)) < 0 && errno == EINTR)
        ;
    return got;
}

static int copy_write(void *arg, const void *p, int64_t n)
{
    struct shell *sh = arg;
    return fwrite(p, 1, (size_t)n, sh->out) == (size_t)n ? 0 : -1;
}

static void copy_progress(void *arg, uint64_t rows, uint64_t bytes, uint64_t total, int done)
{
    struct shell *sh = arg;
    double now = now_seconds();
    if (sh->copy_started == 0)
        sh->copy_started = now;
    if (!done && now - (sh->copy_told > 0 ? sh->copy_told : sh->copy_started) < TELL_SECONDS)
        return;
    if (sh->copy_told > 0 || !done) { /* a short one needs no line */
        double seconds = now - sh->copy_started, mib = (double)bytes / (1 << 20);
        fprintf(stderr, "\r%llu rows, %.1f MiB", (unsigned long long)rows, mib);
        if (total > 0)
            fprintf(stderr, " (%.0f %%)", 100.0 * (double)bytes / (double)total);
        if (seconds > 0)
            fprintf(stderr, ", %.0f rows/s, %.1f MiB/s", (double)rows / seconds, mib / seconds);
        fputs(done ? "\033[K\n" : "\033[K", stderr);
        fflush(stderr);
    }
    sh->copy_told = now;
    if (done)
        sh->copy_started = sh->copy_told = 0;
}

void copy_setup(struct shell *sh)
{
    struct quartet_copy_io io = {.size = sizeof io, .arg = sh, .read = copy_read, .write = copy_write};
    if (isatty(STDERR_FILENO))
        io.progress = copy_progress;
    (void)quartet_on_copy(sh->db, &io); /* the size is right */
}
