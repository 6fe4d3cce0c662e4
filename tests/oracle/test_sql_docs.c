/* test_sql_docs.c - docs/SQL.md and the engine name the same functions. */
#include "base/env.h"
#include "base/mem.h"
#include "engine/func.h"
#include "unit/cunit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DOC_BYTES_MAX (1u << 20)

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Does the text name a function: `name( or `name` in code quotes? */
static bool names(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++)
        if (at > text && at[-1] == '`' && (at[n] == '(' || at[n] == '`'))
            return true;
    return false;
}

static char *read_docs(void)
{
    struct err err = ERR_INIT;
    uint8_t *data = NULL;
    size_t n = 0;
    CU_ASSERT_EQUAL_FATAL(env_read_file(env_posix(), QUARTET_DOCS "/SQL.md", DOC_BYTES_MAX, &data, &n, &err), QUARTET_OK);
    char *text = mem_alloc(n + 1);
    CU_ASSERT_FATAL(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    mem_free(data);
    return text;
}

static void test_every_function_is_documented(void)
{
    char *text = read_docs();
    const struct func *f;
    for (uint32_t i = 0; (f = func_at(i)) != NULL; i++) {
        if (!names(text, f->name))
            printf("\n    docs/SQL.md does not name %s()\n", f->name);
        CU_ASSERT(names(text, f->name));
    }
    mem_free(text);
}

/* What the section "Functions" shows as `name(...)` exists. */
static void test_every_documented_function_exists(void)
{
    char *text = read_docs();
    const char *at = strstr(text, "## Functions");
    uint32_t count = 0;
    CU_ASSERT_FATAL(at != NULL);
    const char *end = strstr(at, "\n## "); /* the next section shows statements, too */
    for (; (at = strchr(at, '`')) != NULL && (end == NULL || at < end); at++) {
        char name[64];
        size_t n = 0;
        while (n < sizeof name - 1 && is_name(at[1 + n]))
            n++;
        if (n == 0 || at[1 + n] != '(')
            continue;
        memcpy(name, at + 1, n);
        name[n] = '\0';
        if (!func_exists(name))
            printf("\n    docs/SQL.md names %s(), which is none\n", name);
        CU_ASSERT(func_exists(name));
        count++;
    }
    CU_ASSERT(count > 100);
    mem_free(text);
}

const char *const unit_suite = "sql_docs";
const struct unit_test unit_tests[] = {
    {"test_sql_docs_every_function_is_documented", test_every_function_is_documented},
    {"test_sql_docs_every_documented_function_exists", test_every_documented_function_exists},
    {NULL, NULL},
};
