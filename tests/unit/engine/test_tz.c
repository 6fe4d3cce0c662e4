/* test_tz.c - time zones: files against libc, rules, hostile bytes, and what SQL makes of them. */
#include "engine/tz.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/prng.h"
#include "engine/conn.h"
#include "query_help.h"

static struct tz_cache *cache_new(void)
{
    struct tz_cache *c = NULL;
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL_FATAL(tz_cache_new(env_posix(), &c, &err), QUARTET_OK);
    return c;
}

/* NULL: this system has no tz database. */
static const struct tz *zone(struct tz_cache *c, const char *name)
{
    const struct tz *z = NULL;
    struct err err = ERR_INIT;
    return tz_find(c, slice_of(name, strlen(name)), &z, &err) == QUARTET_OK ? z : NULL;
}

static bool has_database(struct tz_cache *c)
{
    bool has = zone(c, "Europe/Rome") != NULL;
    if (!has)
        printf("no tz database on this system: skipped\n");
    return has;
}

static const char *const zones[] = {"Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Europe/Dublin", "America/Sao_Paulo", "Pacific/Apia",
                                    "Asia/Tehran", "Antarctica/Troll", "America/Godthab", "Etc/GMT+12", "Asia/Gaza"};

static void test_tz_as_libc(void)
{
    struct tz_cache *c = cache_new();
    struct prng r;
    prng_seed(&r, 7);
    for (size_t i = 0; has_database(c) && i < sizeof zones / sizeof *zones; i++) {
        const struct tz *z = zone(c, zones[i]);
        if (z == NULL)
            continue; /* not in this system's */
        CU_ASSERT_EQUAL(setenv("TZ", zones[i], 1), 0);
        tzset();
        for (int n = 0; n < 20000; n++) {
            time_t at = (time_t)((int64_t)prng_below(&r, UINT64_C(6300000000)) - INT64_C(2200000000)); /* 1900 to 2099 */
            struct tm tm;
            CU_ASSERT_PTR_NOT_NULL_FATAL(localtime_r(&at, &tm));
            if (tz_offset(z, at) != tm.tm_gmtoff) {
                printf("\n%s at %lld: %d, libc says %ld\n", zones[i], (long long)at, tz_offset(z, at), tm.tm_gmtoff);
                CU_FAIL("an offset differs from libc's");
                break;
            }
        }
    }
    CU_ASSERT_EQUAL(unsetenv("TZ"), 0);
    tzset();
    tz_cache_free(c);
}

/* What is shown at an instant leads back to it, or to the earlier one at which the same was shown; what is never shown lies past the gap. */
static void test_tz_back_from_local(void)
{
    struct tz_cache *c = cache_new();
    struct prng r;
    uint32_t twice = 0, never = 0;
    prng_seed(&r, 8);
    for (size_t i = 0; has_database(c) && i < sizeof zones / sizeof *zones; i++) {
        const struct tz *z = zone(c, zones[i]);
        for (int n = 0; z != NULL && n < 20000; n++) {
            int64_t at = (int64_t)prng_below(&r, UINT64_C(6300000000)) - INT64_C(2200000000), local = at + tz_offset(z, at);
            int64_t back = tz_from_local(z, local);
            CU_ASSERT(back + tz_offset(z, back) == local && back <= at);
            twice += back < at;
            int64_t any = at + 3600 * (int64_t)prng_below(&r, 3), found = tz_from_local(z, any), shown = found + tz_offset(z, found);
            CU_ASSERT(shown >= any && shown - any <= 86400); /* a day: where the date line moved */
            never += shown > any;
        }
    }
    CU_ASSERT(twice > 0 || !has_database(c));
    CU_ASSERT(never > 0 || !has_database(c));
    tz_cache_free(c);
}

static void test_tz_rules(void)
{
    static const struct {
        const char *text;
        bool good;
        int64_t at;
        int32_t offset;
    } cases[] = {
        {"UTC0", true, 0, 0},
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 2540000000, 7200},       /* 2050-06-27 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 2557000000, 3600},       /* 2051-01-10 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 1711846799, 3600},       /* 2024-03-31 00:59:59 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 1711846800, 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 1729990799, 7200},       /* 2024-10-27 00:59:59 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", true, 1729990800, 3600},
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", true, 1704067200, 46800},     /* January: summer there */
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", true, 1719792000, 43200},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true, 1704067200, 39600},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, 1719792000, -3600},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", true, 1704067200, 0},           /* summer time is the standard, winter the exception */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", true, 1719792000, 3600},
        {"XXX3EDT4,0/0,J365/23", true, 1719792000, -14400},            /* always */
        {"AAA0BBB,J60/0,J61/0", true, 1709251200, 3600},               /* 2024-03-01, in a leap year */
        {"AAA0BBB,59/0,60/0", true, 1709164800, 3600},                 /* 2024-02-29 */
        {"", false, 0, 0}, {"CE-1", false, 0, 0}, {"CET", false, 0, 0}, {"CET-25", false, 0, 0}, {"CET-1CEST", false, 0, 0}, {"CET-1CEST,M13.1.0,M1.1.0", false, 0, 0},
        {"CET-1CEST,M3.6.0,M1.1.0", false, 0, 0}, {"CET-1CEST,M3.5.7,M1.1.0", false, 0, 0}, {"CET-1CEST,M3.5.0", false, 0, 0}, {"CET-1CEST,M3.5.0,J0", false, 0, 0},
        {"CET-1CEST,M3.5.0,M10.5.0/168", false, 0, 0}, {"CET-1CEST,M3.5.0,M10.5.0x", false, 0, 0}, {"<CET-1", false, 0, 0}, {"CET-1:60", false, 0, 0}, {"CET-99999999999999999999", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tz_rule rule;
        size_t n = strlen(cases[i].text);
        bool good = tz_rule_parse(slice_of(cases[i].text, n), &rule);
        CU_ASSERT_EQUAL(good, cases[i].good);
        if (good && tz_rule_offset(&rule, cases[i].at) != cases[i].offset) {
            printf("\n%s at %lld: %d\n", cases[i].text, (long long)cases[i].at, tz_rule_offset(&rule, cases[i].at));
            CU_FAIL("a rule's offset");
        }
        for (size_t k = 0; good && k < n; k++) /* every prefix is read within its bounds */
            (void)tz_rule_parse(slice_of(cases[i].text, k), &rule);
    }
}

/* Every length, and random damage: an error or a zone, never more. */
static void test_tz_hostile_files(void)
{
    struct tz_cache *c = cache_new();
    struct err err = ERR_INIT;
    uint8_t *data = NULL;
    size_t n = 0;
    struct prng r;
    prng_seed(&r, 9);
    if (has_database(c) && env_read_file(env_posix(), "/usr/share/zoneinfo/Europe/Rome", TZ_FILE_BYTES_MAX, &data, &n, &err) == QUARTET_OK) {
        struct tz *z = NULL;
        for (size_t k = 0; k < n; k++) {
            uint8_t *cut = mem_zalloc(k + 1, 1); /* of its own size, so that a read past the end is seen */
            CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
            memcpy(cut, data, k);
            CU_ASSERT_EQUAL(tz_read("x", slice_of(cut, k), &z, &err), QUARTET_CORRUPT);
            mem_free(cut);
        }
        for (int k = 0; k < 3000; k++) {
            uint8_t *bad = mem_zalloc(n, 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(bad);
            memcpy(bad, data, n);
            for (uint64_t m = 1 + prng_below(&r, 4); m > 0; m--)
                bad[prng_below(&r, prng_chance(&r, 0.5) ? 44 : n)] = (uint8_t)prng_below(&r, 256);
            quartet_status rc = tz_read("x", slice_of(bad, n), &z, &err);
            CU_ASSERT(rc == QUARTET_OK || rc == QUARTET_CORRUPT);
            if (rc == QUARTET_OK) {
                int64_t at = (int64_t)prng_below(&r, UINT64_C(6300000000)) - INT64_C(2200000000);
                int64_t back = tz_from_local(z, at);
                CU_ASSERT(back > at - 3 * 86400 && back < at + 3 * 86400);
                tz_free(z);
            }
            mem_free(bad);
        }
        mem_free(data);
    }
    tz_cache_free(c);
}

static void test_tz_names(void)
{
    static const char *const none[] = {"", "/etc/localtime", "../zoneinfo/Europe/Rome", "Europe//Rome", "Europe/./Rome", "Europe/Rome/", ".", "+", "+1:", "+16", "+02:60", "+02:0", "Nowhere/Here", "Europe"};
    static const struct {
        const char *name;
        int32_t offset;
    } fixed[] = {{"UTC", 0}, {"utc", 0}, {"Z", 0}, {"+02:00", 7200}, {"-5", -18000}, {"+0530", 19800}, {"-00:30", -1800}};
    struct tz_cache *c = cache_new();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CU_ASSERT_PTR_NULL(zone(c, none[i]));
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct tz *z = zone(c, fixed[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(z);
        CU_ASSERT_EQUAL(tz_offset(z, 0), fixed[i].offset);
        CU_ASSERT_EQUAL(tz_from_local(z, 1000000), 1000000 - fixed[i].offset);
        CU_ASSERT_PTR_EQUAL(zone(c, fixed[i].name), z);
    }
    tz_cache_free(c);
}

static void asks(conn *c, const char *sql, const char *want)
{
    struct err err = ERR_INIT;
    conn_stmt *s = NULL;
    size_t consumed;
    struct batch rows = {.n = 0};
    struct arena a = {0};
    struct slice text = {0};
    quartet_status rc = conn_prepare(c, sql, strlen(sql), &s, &consumed, &err);
    if (rc == QUARTET_OK)
        rc = conn_step(s, &rows, &err);
    if (rc == QUARTET_OK && rows.n > 0) {
        struct value v = vec_get(&rows.cols[0], batch_row(&rows, 0));
        CU_ASSERT_EQUAL(types_text(&v, &a, &text, &err), QUARTET_OK);
    }
    const char *got = rc == QUARTET_OK ? (const char *)text.p : err.text;
    size_t n = rc == QUARTET_OK ? text.n : strlen(err.text);
    bool same = rc == QUARTET_OK ? n == strlen(want) && (n == 0 || memcmp(got, want, n) == 0) : strstr(got, want) != NULL;
    if (!same)
        printf("\n%s\n  got:  %.*s\n  want: %s\n", sql, (int)n, got == NULL ? "" : got, want);
    CU_ASSERT(same);
    conn_finalize(s);
    arena_free_all(&a);
}

static void test_tz_in_sql(void)
{
    struct tz_cache *cache = cache_new();
    struct err err = ERR_INIT;
    db *d = help_memory();
    conn *c = NULL, *other = NULL;
    bool has = has_database(cache);
    CU_ASSERT_EQUAL_FATAL(conn_open(d, &c, &err), QUARTET_OK);
    CU_ASSERT_EQUAL_FATAL(conn_open(d, &other, &err), QUARTET_OK);
    asks(c, "SELECT TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE '+05:30'", "2024-07-01 17:30:00");
    asks(c, "SELECT '2024-07-01 12:00:00.25+02:00' AT TIME ZONE 'UTC'", "2024-07-01 10:00:00.250000");
    asks(c, "SELECT typeof('2024-07-01' AT TIME ZONE 'UTC')", "timestamp");
    asks(c, "SELECT datetime('2024-07-01 12:00', 'localtime')", "2024-07-01 12:00:00"); /* UTC, until it is set */
    asks(c, "SET TIME ZONE '-05:00'", "");
    asks(c, "SHOW TIME ZONE", "-05:00");
    asks(c, "SELECT datetime('2024-07-01 12:00', 'localtime')", "2024-07-01 07:00:00");
    asks(c, "SELECT datetime('2024-07-01 12:00', 'utc')", "2024-07-01 17:00:00");
    asks(c, "SELECT TIMESTAMP '2024-07-01 12:00:00' AT LOCAL", "2024-07-01 07:00:00");
    asks(c, "SELECT date('2024-07-01 02:00', 'localtime')", "2024-06-30");
    asks(c, "SELECT round((julianday(current_timestamp) - julianday(localtimestamp)) * 24)", "5.0");
    asks(c, "SELECT current_timestamp AT LOCAL = localtimestamp", "1");
    asks(other, "SHOW timezone", "UTC");
    asks(c, "SET time_zone = 'SYSTEM'", "");
    asks(c, "SHOW time_zone", "UTC");
    asks(c, "SET TIME ZONE 'Nowhere'", "no such time zone: 'Nowhere'");
    asks(c, "SELECT now() AT TIME ZONE 'Nowhere/At/All'", "no such time zone: 'Nowhere/At/All'");
    asks(c, "SELECT NULL AT TIME ZONE 'UTC' IS NULL AND '2024-01-01' AT TIME ZONE NULL IS NULL AND 'x' AT TIME ZONE 'UTC' IS NULL", "1");
    asks(c, "CREATE TABLE t (at TIMESTAMP WITH TIME ZONE, CHECK (at AT TIME ZONE 'UTC' > '2020-01-01'))", "timezone() cannot stand in a CHECK");
    asks(c, "CREATE TABLE t (at TEXT, CHECK (date(at, 'localtime') > '2020-01-01'))", "date() cannot stand in a CHECK");
    asks(c, "CREATE TABLE t (at TIMESTAMP WITH TIME ZONE, zone TEXT)", "");
    asks(c, "INSERT INTO t VALUES ('2024-07-01T12:00:00+02:00', '+09:00')", "");
    asks(c, "SELECT at FROM t", "2024-07-01 10:00:00");
    asks(c, "SELECT at AT TIME ZONE zone || '!' FROM t", "2024-07-01 19:00:00!");
    if (has) {
        asks(c, "SELECT TIMESTAMP '2024-07-01 12:00:00' AT TIME ZONE 'Europe/Rome'", "2024-07-01 14:00:00");
        asks(c, "SELECT TIMESTAMP '2050-01-01 12:00:00' AT TIME ZONE 'Europe/Rome'", "2050-01-01 13:00:00");
        asks(c, "SELECT convert_tz('2024-03-31 02:30:00', 'Europe/Rome', 'UTC')", "2024-03-31 01:30:00"); /* never shown: 03:30 is */
        asks(c, "SELECT convert_tz('2024-10-27 02:30:00', 'Europe/Rome', 'UTC')", "2024-10-27 00:30:00"); /* shown twice: the first time */
        asks(c, "SELECT convert_tz('2024-07-01 12:00:00', 'America/New_York', 'Europe/Rome')", "2024-07-01 18:00:00");
        asks(c, "SET TIME ZONE 'Europe/Rome'", "");
        asks(c, "SELECT datetime('2024-07-01 12:00', 'localtime', '+1 day', 'utc')", "2024-07-02 12:00:00");
    }
    conn_close(c);
    conn_close(other);
    help_close(d);
    tz_cache_free(cache);
}

const char *const unit_suite = "tz";
const struct unit_test unit_tests[] = {
    {"as_libc", test_tz_as_libc},
    {"back_from_local", test_tz_back_from_local},
    {"rules", test_tz_rules},
    {"hostile_files", test_tz_hostile_files},
    {"names", test_tz_names},
    {"in_sql", test_tz_in_sql},
    {NULL, NULL},
};
