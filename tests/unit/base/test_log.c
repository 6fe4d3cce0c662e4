/* test_log.c - what reaches the sink: escaped, cut, one line. */
#include "unit/cunit.h"

#include "base/bytes.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

struct sink {
    int level;
    unsigned lines;
    char component[32];
    char line[2000];
};

static void sink_log(struct env *env, int level, const char *component, const char *line)
{
    struct sink *sink = env->ctx;
    sink->lines++;
    sink->level = level;
    (void)snprintf(sink->component, sizeof sink->component, "%s", component); /* short in these tests */
    (void)snprintf(sink->line, sizeof sink->line, "%s", line);                /* the test looks at its length */
}

static const struct env_ops SINK_OPS = {.log = sink_log};

static void test_log_passes_level_component_and_text(void)
{
    struct sink sink = {0};
    struct env env = {.ops = &SINK_OPS, .ctx = &sink};
    log_line(&env, LOG_WARN, "gossip", "peer %d is %s", 3, "away");
    CU_ASSERT_EQUAL(sink.lines, 1);
    CU_ASSERT_EQUAL(sink.level, LOG_WARN);
    CU_ASSERT_STRING_EQUAL(sink.component, "gossip");
    CU_ASSERT_STRING_EQUAL(sink.line, "peer 3 is away");
}

static void test_log_escapes_what_could_forge_or_drive(void)
{
    static const struct {
        const char *in;
        const char *out;
    } CASES[] = {
        {"a\nb", "a\\x0Ab"},
        {"\x1B[31mred", "\\x1B[31mred"},
        {"\x7F\t\r", "\\x7F\\x09\\x0D"},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\xFF\xC3", "\\xFF\\xC3"},
        {"\xC3(", "\\xC3("},
        {"\xED\xA0\x80", "\\xED\\xA0\\x80"},
        {"\xC2\x9B" "5m", "\\xC2\\x9B5m"}, /* a control sequence introducer in two bytes */
        {"\xC2\xA0", "\xC2\xA0"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct sink sink = {0};
        struct env env = {.ops = &SINK_OPS, .ctx = &sink};
        log_line(&env, LOG_INFO, "x", "%s", CASES[i].in);
        CU_ASSERT_STRING_EQUAL(sink.line, CASES[i].out);
    }
}

static void test_log_cuts_long_text_at_whole_characters(void)
{
    static const char *const UNITS[] = {"x", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\n"};
    for (size_t kind = 0; kind < 5; kind++) {
        for (size_t lead = 0; lead < 5; lead++) {
            struct sink sink = {0};
            struct env env = {.ops = &SINK_OPS, .ctx = &sink};
            char text[3000];
            size_t n = lead;
            memset(text, 'a', lead);
            for (; n + 4 < sizeof text; n += strlen(UNITS[kind]))
                memcpy(text + n, UNITS[kind], strlen(UNITS[kind]));
            text[n] = '\0';
            log_line(&env, LOG_INFO, "x", "%s", text);
            size_t len = strlen(sink.line);
            CU_ASSERT(len <= 1000 && len > 996);
            CU_ASSERT_TRUE(utf8_valid((const uint8_t *)sink.line, len));
            CU_ASSERT_PTR_NULL(strchr(sink.line, '\n'));
            if (kind < 4)
                CU_ASSERT_PTR_NULL(strstr(sink.line, "\\x")); /* the cut itself is not shown as damage */
        }
    }
}

const char *const unit_suite = "log";
const struct unit_test unit_tests[] = {
    {"passes_level_component_and_text", test_log_passes_level_component_and_text},
    {"escapes_what_could_forge_or_drive", test_log_escapes_what_could_forge_or_drive},
    {"cuts_long_text_at_whole_characters", test_log_cuts_long_text_at_whole_characters},
    {NULL, NULL},
};
