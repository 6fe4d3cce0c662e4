/* dir_help.h - for tests: directories of databases, and copies of them as they are at a moment. */
#ifndef TESTS_UNIT_ENGINE_DIR_HELP_H
#define TESTS_UNIT_ENGINE_DIR_HELP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db_help.h"

static inline void path_of(char *out, size_t n, const char *dir, const char *name)
{
    CU_ASSERT_FATAL(snprintf(out, n, "%s/%s", dir, name) < (int)n);
}

static inline void new_dir(char out[64])
{
    snprintf(out, 64, "/tmp/quartet-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(out));
}

static inline void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    static char buf[1 << 16];
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t n; (n = fread(buf, 1, sizeof buf, in)) > 0;)
        CU_ASSERT_EQUAL_FATAL(fwrite(buf, 1, n, out), n);
    fclose(in);
    fclose(out);
}

/* Copy or remove a directory. Its depth is two. */
static inline void walk_dir(const char *from, const char *to)
{
    char a[512], b[512];
    struct stat st;
    DIR *d = opendir(from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        path_of(a, sizeof a, from, e->d_name);
        if (to != NULL)
            path_of(b, sizeof b, to, e->d_name);
        CU_ASSERT_EQUAL_FATAL(stat(a, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            if (to != NULL)
                (void)mkdir(b, 0700);
            walk_dir(a, to != NULL ? b : NULL);
        } else if (to != NULL) {
            copy_file(a, b);
        } else {
            (void)unlink(a);
        }
    }
    closedir(d);
    if (to == NULL)
        (void)rmdir(from);
}

#endif
