/* demo_data.c - the cities of the demonstration: GeoNames data where the shared folder is there, else a sample made here.
 * The sample is made from a seed, so that a clone without the shared data shows the same thing with fewer rows. */
#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLE_ROWS 20000

static bool find_shared(char *out, size_t n, const char *project)
{
    const char *shared = getenv("QUARTET_SHARED");
    if (shared != NULL)
        snprintf(out, n, "%s/data/cities.csv.xz", shared);
    else
        snprintf(out, n, "%s/../shared/data/cities.csv.xz", project);
    return access(out, R_OK) == 0;
}

static bool unpack(const char *packed, FILE *to)
{
    fflush(to);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fileno(to), STDOUT_FILENO) < 0)
            _exit(127);
        execlp("xz", "xz", "-dc", packed, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool make_sample(FILE *to)
{
    static const char *const countries[] = {"AR", "BR", "CA", "CN", "DE", "EG", "FR", "IN", "JP", "KE", "MX", "NG", "NO", "PE", "US", "ZA"};
    static const char *const first[] = {"San", "New", "Lake", "Mount", "Port", "Bad", "Saint", "Upper"};
    static const char *const second[] = {"Alder", "Brook", "Cairn", "Dorf", "Elm", "Fjord", "Grove", "Hafen", "Issel", "Jura"};
    uint64_t state = 20260101;
    fputs("id,name,lat,lng,country,admin1,admin2\n", to);
    for (int i = 1; i <= SAMPLE_ROWS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        unsigned r = (unsigned)(state >> 33);
        fprintf(to, "%d,%s %s %u,%.5f,%.5f,%s,%02u,%03u\n", i, first[r % 8], second[r / 8 % 10], r % 1000, (double)(r % 1800000) / 10000.0 - 90,
                (double)(r % 3600000) / 10000.0 - 180, countries[r / 80 % 16], r % 50, r % 400);
    }
    return true;
}

FILE *demo_cities(const char *project, bool *sample, char *error, size_t error_bytes)
{
    char packed[4096];
    FILE *to = tmpfile();
    if (to == NULL) {
        snprintf(error, error_bytes, "no temporary file: %s", strerror(errno));
        return NULL;
    }
    *sample = !find_shared(packed, sizeof packed, project);
    bool ok = *sample ? make_sample(to) : unpack(packed, to);
    if (!ok || fflush(to) != 0 || fseek(to, 0, SEEK_SET) != 0) {
        snprintf(error, error_bytes, "the cities could not be unpacked from %s", packed);
        fclose(to); /* a temporary file: nothing to keep */
        return NULL;
    }
    return to;
}
