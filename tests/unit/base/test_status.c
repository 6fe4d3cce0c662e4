/* test_status.c - messages, prefixes, cuts at UTF-8 boundaries, names and SQLSTATEs. */
#include "unit/cunit.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

static void test_status_set_keeps_code_text_and_offset(void)
{
    struct err err = ERR_INIT;
    CU_ASSERT_EQUAL(err_set(&err, QUARTET_LIMIT, "row has %u columns, limit %u", 5u, 4u), QUARTET_LIMIT);
    CU_ASSERT_EQUAL(err.code, QUARTET_LIMIT);
    CU_ASSERT_EQUAL(err.sql_offset, -1);
    CU_ASSERT_STRING_EQUAL(err.text, "row has 5 columns, limit 4");
    CU_ASSERT_EQUAL(err_set_at(&err, QUARTET_ERROR, 17, "no such column"), QUARTET_ERROR);
    CU_ASSERT_EQUAL(err.sql_offset, 17);
    err_clear(&err);
    CU_ASSERT_EQUAL(err.code, QUARTET_OK);
    CU_ASSERT_EQUAL(err.sql_offset, -1);
    CU_ASSERT_STRING_EQUAL(err.text, "");
}

static void test_status_prefix_goes_before_text(void)
{
    struct err err = ERR_INIT;
    err_set_at(&err, QUARTET_IO, 3, "cannot read");
    err_prefix(&err, "log");
    err_prefix(&err, "node 2");
    CU_ASSERT_STRING_EQUAL(err.text, "node 2: log: cannot read");
    CU_ASSERT_EQUAL(err.code, QUARTET_IO);
    CU_ASSERT_EQUAL(err.sql_offset, 3);
}

static void test_status_text_may_quote_itself(void)
{
    struct err err = ERR_INIT;
    err_set(&err, QUARTET_ERROR, "inner");
    err_set(&err, QUARTET_IO, "outer (%s)", err.text);
    CU_ASSERT_STRING_EQUAL(err.text, "outer (inner)");
}

/* Texts of each length around the limit, ending in sequences of 1 to 4 bytes: what is left is whole sequences. */
static void test_status_cut_never_splits_a_sequence(void)
{
    static const char *const SEQUENCES[] = {"x", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++) {
        size_t size = strlen(SEQUENCES[kind]);
        for (size_t lead = 0; lead < 8; lead++) {
            char text[ERR_TEXT_BYTES_MAX * 2];
            size_t n = lead;
            memset(text, 'a', lead);
            while (n + size < sizeof text) {
                memcpy(text + n, SEQUENCES[kind], size);
                n += size;
            }
            text[n] = '\0';
            struct err err = ERR_INIT;
            err_set(&err, QUARTET_ERROR, "%s", text);
            size_t expected = lead + (ERR_TEXT_BYTES_MAX - 1 - lead) / size * size;
            CU_ASSERT_EQUAL(strlen(err.text), expected);
            err_prefix(&err, "p");
            CU_ASSERT_EQUAL((strlen(err.text) - 3 - lead) % size, 0);
        }
    }
}

static void test_status_text_at_and_past_the_limit(void)
{
    char text[ERR_TEXT_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    struct err err = ERR_INIT;
    text[ERR_TEXT_BYTES_MAX - 1] = '\0';
    err_set(&err, QUARTET_ERROR, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.text), ERR_TEXT_BYTES_MAX - 1);
    text[ERR_TEXT_BYTES_MAX - 1] = 'a';
    text[ERR_TEXT_BYTES_MAX] = '\0';
    err_set(&err, QUARTET_ERROR, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.text), ERR_TEXT_BYTES_MAX - 1);
}

static void test_status_every_code_has_name_and_sqlstate(void)
{
    for (int code = 0; code <= 22; code++) {
        CU_ASSERT_EQUAL(strncmp(status_name((quartet_status)code), "QUARTET_", 8), 0);
        CU_ASSERT_EQUAL(strlen(status_sqlstate((quartet_status)code)), 5);
    }
    CU_ASSERT_STRING_EQUAL(status_name(QUARTET_ROW), "QUARTET_ROW");
    CU_ASSERT_STRING_EQUAL(status_sqlstate(QUARTET_SERIALIZATION), "40001");
    CU_ASSERT_STRING_EQUAL(status_name((quartet_status)9999), "unknown status");
    CU_ASSERT_STRING_EQUAL(status_sqlstate((quartet_status)9999), "XX000");
}

const char *const unit_suite = "status";
const struct unit_test unit_tests[] = {
    {"set_keeps_code_text_and_offset", test_status_set_keeps_code_text_and_offset},
    {"prefix_goes_before_text", test_status_prefix_goes_before_text},
    {"text_may_quote_itself", test_status_text_may_quote_itself},
    {"cut_never_splits_a_sequence", test_status_cut_never_splits_a_sequence},
    {"text_at_and_past_the_limit", test_status_text_at_and_past_the_limit},
    {"every_code_has_name_and_sqlstate", test_status_every_code_has_name_and_sqlstate},
    {NULL, NULL},
};
