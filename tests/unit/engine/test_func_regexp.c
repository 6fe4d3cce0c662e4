/* test_func_regexp.c - regexp_*() with MySQL's arguments and its manual's answers (but with case); bases, bits, base64. */
#include "query_help.h"

const char *const unit_suite = "func_regexp";

static void test_func_regexp(void)
{
    db *d = help_memory();
    expect_rows(d, "SELECT regexp_like('Michael!', '.*'), regexp_like('a', '^[a-d]'), regexp_like('CamelCase', 'CAMELCASE'), regexp_like('CamelCase', 'CAMELCASE', 'i'), regexp_like('b\na', '^a'), "
                   "regexp_like(char(98, 10, 97), '^a', 'm'), regexp_like(NULL, 'a'), regexp_like('', '')", "1|1|0|1|0|1|NULL|1\n");
    expect_rows(d, "SELECT regexp_instr('dog cat dog', 'dog'), regexp_instr('dog cat dog', 'dog', 2), regexp_instr('aa aaa aaaa', 'a{2}'), regexp_instr('aa aaa aaaa', 'a{4}'), "
                   "regexp_instr('straße x', 'x'), regexp_instr('dog cat dog', 'dog', 1, 2, 1), regexp_instr('abc', 'z'), regexp_instr('aXa', 'x', 1, 1, 0, 'i')", "1|9|1|8|8|12|0|2\n");
    expect_rows(d, "SELECT regexp_substr('abc def ghi', '[a-z]+'), regexp_substr('abc def ghi', '[a-z]+', 1, 3), regexp_substr('abc', 'z'), regexp_substr('aBc', 'b', 1, 1, 'i'), regexp_substr('ab', 'b*', 1, 1)",
                "abc|ghi|NULL|B|\n");
    expect_rows(d, "SELECT regexp_replace('a b c', 'b', 'X'), regexp_replace('abc def ghi', '[a-z]+', 'X', 1, 3), regexp_replace('abc', 'x*', '-'), regexp_replace('äöü', '', '.'), "
                   "regexp_replace('John Smith', '(\\w+) (\\w+)', '$2, $1 \\$0 [$0] $7'), regexp_replace('aAa', 'a', 'b', 2, 0, 'i'), regexp_replace('abc', 'z', 'y')",
                "a X c|abc def X|-a-b-c-|.ä.ö.ü.|Smith, John $0 [John Smith] |abb|abc\n");
    expect_error(d, "SELECT regexp_like('a', '(')", QUARTET_ERROR, "regular expression", -2);
    expect_error(d, "SELECT regexp_like('a', 'a', 'q')", QUARTET_ERROR, "flags of a regular expression are c, i, m, n and s, not 'q'", -2);
    expect_error(d, "SELECT regexp_instr('a', 'a', 0)", QUARTET_ERROR, "positions count from 1, not 0", -2);
    expect_error(d, "SELECT regexp_substr('a', 'a', 1, 0)", QUARTET_ERROR, "occurrences count from 1, not 0", -2);
    expect_error(d, "SELECT regexp_instr('a', 'a', 1, 1, 2)", QUARTET_ERROR, "0 asks where a match begins", -2);
    expect_error(d, "SELECT regexp_like(repeat('a', 40), '(a*)*[bc]')", QUARTET_LIMIT, "steps", -2);
    help_close(d);
}

static void test_func_bases(void)
{
    db *d = help_memory();
    expect_rows(d, "SELECT bin(12), bin(0), bin(-1) = repeat('1', 64), oct(12), conv('a', 16, 2), conv('6E', 18, 8), conv(-17, 10, -18), conv(10, 1, 10), conv('zz', 36, 10), conv('12x', 10, 10), "
                   "conv('99999999999999999999', 10, 16), bit_count(29), bit_count(-1), bin(NULL)", "1100|0|1|14|1010|172|-H|NULL|1295|12|FFFFFFFFFFFFFFFF|4|64|NULL\n");
    expect_rows(d, "SELECT to_base64('abc'), to_base64('a'), to_base64(''), to_base64(x'00ff'), CAST(from_base64('YWJj') AS TEXT), hex(from_base64('AP8=')), from_base64('YWJ'), from_base64('a*=='), "
                   "hex(from_base64('Y W' || char(10) || 'Jj')), typeof(from_base64('YQ=='))", "YWJj|YQ==||AP8=|abc|00FF|NULL|NULL|616263|blob\n");
    help_close(d);
}

const struct unit_test unit_tests[] = {
    {"test_func_regexp", test_func_regexp},
    {"test_func_bases", test_func_bases},
    {NULL, NULL},
};
