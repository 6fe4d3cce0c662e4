/* tpch_data.c - the rows: drawn from a seed, with the key relations, value ranges and words that the queries look for. */
#include "tpch.h"

#include <stdio.h>
#include <string.h>

#define DAY_FIRST 8035 /* 1992-01-01, in days since 1970-01-01 */
#define DAYS      2405 /* to 1998-08-02 */

static const char *const schema[] = {
    "CREATE TABLE region (r_regionkey INTEGER PRIMARY KEY, r_name TEXT, r_comment TEXT)",
    "CREATE TABLE nation (n_nationkey INTEGER PRIMARY KEY, n_name TEXT, n_regionkey INTEGER, n_comment TEXT)",
    "CREATE TABLE supplier (s_suppkey INTEGER PRIMARY KEY, s_name TEXT, s_address TEXT, s_nationkey INTEGER, s_phone TEXT, s_acctbal INTEGER, s_comment TEXT)",
    "CREATE TABLE customer (c_custkey INTEGER PRIMARY KEY, c_name TEXT, c_address TEXT, c_nationkey INTEGER, c_phone TEXT, c_acctbal INTEGER, c_mktsegment TEXT, "
    "c_comment TEXT)",
    "CREATE TABLE part (p_partkey INTEGER PRIMARY KEY, p_name TEXT, p_mfgr TEXT, p_brand TEXT, p_type TEXT, p_size INTEGER, p_container TEXT, p_retailprice INTEGER)",
    "CREATE TABLE partsupp (ps_partkey INTEGER, ps_suppkey INTEGER, ps_availqty INTEGER, ps_supplycost INTEGER, PRIMARY KEY (ps_partkey, ps_suppkey))",
    "CREATE TABLE orders (o_orderkey INTEGER PRIMARY KEY, o_custkey INTEGER, o_orderstatus TEXT, o_totalprice INTEGER, o_orderdate DATE, o_orderpriority TEXT, "
    "o_clerk TEXT, o_shippriority INTEGER, o_comment TEXT)",
    "CREATE TABLE lineitem (l_orderkey INTEGER, l_linenumber INTEGER, l_partkey INTEGER, l_suppkey INTEGER, l_quantity INTEGER, l_extendedprice INTEGER, "
    "l_discount INTEGER, l_tax INTEGER, l_returnflag TEXT, l_linestatus TEXT, l_shipdate DATE, l_commitdate DATE, l_receiptdate DATE, l_shipinstruct TEXT, "
    "l_shipmode TEXT, PRIMARY KEY (l_orderkey, l_linenumber))",
};
static const char *const indexes[] = {
    "CREATE INDEX o_c ON orders (o_custkey)",       "CREATE INDEX l_p ON lineitem (l_partkey, l_suppkey)", "CREATE INDEX c_n ON customer (c_nationkey)",
    "CREATE INDEX s_n ON supplier (s_nationkey)",   "CREATE INDEX ps_s ON partsupp (ps_suppkey)",          "ANALYZE",
};

#define PICK(g, words) words[draw(g, sizeof(words) / sizeof(words)[0])]

struct gen {
    bench_db *b;
    bench_stmt *s;
    uint64_t state;
    int64_t suppliers, customers, parts, orders;
    int at; /* the parameter bound last */
    bool ok;
    char text[16][64];
};

static int64_t draw(struct gen *g, uint64_t n)
{
    return (int64_t)(bench_random(&g->state) % n);
}

static void open_rows(struct gen *g, const char *table, int columns)
{
    char sql[160];
    int n = snprintf(sql, sizeof sql, "INSERT INTO %s VALUES (?", table);
    for (int i = 1; i < columns; i++)
        n += snprintf(sql + n, sizeof sql - (size_t)n, ", ?");
    snprintf(sql + n, sizeof sql - (size_t)n, ")");
    bench_finalize(g->s);
    g->s = NULL;
    g->ok = g->ok && bench_prepare(g->b, sql, &g->s);
    g->at = 0;
}

static void put_int(struct gen *g, int64_t v)
{
    g->ok = g->ok && bench_bind_int(g->s, ++g->at, v);
}

static void put_text(struct gen *g, const char *text)
{
    g->ok = g->ok && bench_bind_text(g->s, ++g->at, text, strlen(text));
}

#define PUT_FORMAT(g, ...)                                                                                                  \
    do {                                                                                                                    \
        snprintf((g)->text[(g)->at], sizeof (g)->text[0], __VA_ARGS__);                                                     \
        put_text(g, (g)->text[(g)->at]);                                                                                    \
    } while (0)

/* Days since 1970 as YYYY-MM-DD (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static void put_day(struct gen *g, int64_t day)
{
    int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9, y = yoe + era * 400 + (m <= 2);
    PUT_FORMAT(g, "%04d-%02d-%02d", (int)y, (int)m, (int)d);
}

static void end_row(struct gen *g)
{
    g->ok = g->ok && bench_run(g->s);
    g->at = 0;
}

static void put_words(struct gen *g, const char *rare, unsigned one_in)
{
    static const char *const words[] = {"carefully", "final", "deposits", "sleep", "quickly", "even", "ideas", "haggle", "bold", "accounts", "regular", "pinto", "beans"};
    bool special = one_in > 0 && draw(g, one_in) == 0;
    PUT_FORMAT(g, "%s %s%s%s %s", PICK(g, words), PICK(g, words), special ? " " : "", special ? rare : "", PICK(g, words));
}

static void put_phone(struct gen *g, int64_t nation)
{
    PUT_FORMAT(g, "%d-%03d-%03d-%04d", (int)nation + 10, (int)draw(g, 900) + 100, (int)draw(g, 900) + 100, (int)draw(g, 9000) + 1000);
}

static void fill_places(struct gen *g)
{
    static const char *const regions[] = {"AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"};
    static const struct {
        const char *name;
        int region;
    } nations[] = {{"ALGERIA", 0}, {"ARGENTINA", 1}, {"BRAZIL", 1}, {"CANADA", 1},     {"EGYPT", 4},        {"ETHIOPIA", 0}, {"FRANCE", 3},
                   {"GERMANY", 3}, {"INDIA", 2},     {"INDONESIA", 2}, {"IRAN", 4},    {"IRAQ", 4},         {"JAPAN", 2},    {"JORDAN", 4},
                   {"KENYA", 0},   {"MOROCCO", 0},   {"MOZAMBIQUE", 0}, {"PERU", 1},   {"CHINA", 2},        {"ROMANIA", 3},  {"SAUDI ARABIA", 4},
                   {"VIETNAM", 2}, {"RUSSIA", 3},    {"UNITED KINGDOM", 3}, {"UNITED STATES", 1}};
    open_rows(g, "region", 3);
    for (int i = 0; i < 5; i++) {
        put_int(g, i);
        put_text(g, regions[i]);
        put_words(g, "", 0);
        end_row(g);
    }
    open_rows(g, "nation", 4);
    for (int i = 0; i < 25; i++) {
        put_int(g, i);
        put_text(g, nations[i].name);
        put_int(g, nations[i].region);
        put_words(g, "", 0);
        end_row(g);
    }
}

static void fill_people(struct gen *g)
{
    static const char *const segments[] = {"AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"};
    open_rows(g, "supplier", 7);
    for (int64_t i = 1; g->ok && i <= g->suppliers; i++) {
        int64_t nation = draw(g, 25);
        put_int(g, i);
        PUT_FORMAT(g, "Supplier#%09d", (int)i);
        PUT_FORMAT(g, "street %d", (int)draw(g, 100000));
        put_int(g, nation);
        put_phone(g, nation);
        put_int(g, draw(g, 1100000) - 100000);
        put_words(g, "Customer Complaints", 50);
        end_row(g);
    }
    open_rows(g, "customer", 8);
    for (int64_t i = 1; g->ok && i <= g->customers; i++) {
        int64_t nation = draw(g, 25);
        put_int(g, i);
        PUT_FORMAT(g, "Customer#%09d", (int)i);
        PUT_FORMAT(g, "street %d", (int)draw(g, 100000));
        put_int(g, nation);
        put_phone(g, nation);
        put_int(g, draw(g, 1100000) - 100000);
        put_text(g, PICK(g, segments));
        put_words(g, "", 0);
        end_row(g);
    }
}

static int64_t supplier_of(const struct gen *g, int64_t part, int64_t which) /* one of four, all different */
{
    return (part + which * (g->suppliers / 4 + (part - 1) / g->suppliers)) % g->suppliers + 1;
}

static void fill_parts(struct gen *g)
{
    static const char *const colors[] = {"almond", "azure", "beige", "blue", "brown", "chocolate", "cyan", "forest", "green", "ivory", "khaki", "lime", "maroon", "navy",
                                         "olive", "orange", "pink", "plum", "red", "rose", "salmon", "tan", "violet", "white"};
    static const char *const sizes[] = {"STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"};
    static const char *const finishes[] = {"ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"};
    static const char *const metals[] = {"TIN", "NICKEL", "BRASS", "STEEL", "COPPER"};
    static const char *const packs[] = {"SM", "LG", "MED", "JUMBO", "WRAP"};
    static const char *const boxes[] = {"CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"};
    open_rows(g, "part", 8);
    for (int64_t i = 1; g->ok && i <= g->parts; i++) {
        int maker = (int)draw(g, 5) + 1;
        put_int(g, i);
        PUT_FORMAT(g, "%s %s %s", PICK(g, colors), PICK(g, colors), PICK(g, colors));
        PUT_FORMAT(g, "Manufacturer#%d", maker);
        PUT_FORMAT(g, "Brand#%d%d", maker, (int)draw(g, 5) + 1);
        PUT_FORMAT(g, "%s %s %s", PICK(g, sizes), PICK(g, finishes), PICK(g, metals));
        put_int(g, draw(g, 50) + 1);
        PUT_FORMAT(g, "%s %s", PICK(g, packs), PICK(g, boxes));
        put_int(g, 90000 + i / 10 % 20001 + 100 * (i % 1000));
        end_row(g);
    }
    open_rows(g, "partsupp", 4);
    for (int64_t i = 1; g->ok && i <= g->parts; i++)
        for (int64_t k = 0; k < 4; k++) {
            put_int(g, i);
            put_int(g, supplier_of(g, i, k));
            put_int(g, draw(g, 9999) + 1);
            put_int(g, draw(g, 99901) + 100);
            end_row(g);
        }
}

static void line(struct gen *g, int64_t order, int number, int64_t day)
{
    static const char *const instructions[] = {"DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"};
    static const char *const modes[] = {"REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"};
    int64_t part = draw(g, (uint64_t)g->parts) + 1, quantity = draw(g, 50) + 1;
    int64_t shipped = day + 1 + draw(g, 121), received = shipped + 1 + draw(g, 30), today = DAY_FIRST + 1263; /* 1995-06-17 */
    put_int(g, order);
    put_int(g, number);
    put_int(g, part);
    put_int(g, supplier_of(g, part, draw(g, 4)));
    put_int(g, quantity);
    put_int(g, quantity * (90000 + part / 10 % 20001 + 100 * (part % 1000)));
    put_int(g, draw(g, 11));
    put_int(g, draw(g, 9));
    put_text(g, received > today ? "N" : draw(g, 2) == 0 ? "R" : "A");
    put_text(g, shipped > today ? "O" : "F");
    put_day(g, shipped);
    put_day(g, day + 30 + draw(g, 61));
    put_day(g, received);
    put_text(g, PICK(g, instructions));
    put_text(g, PICK(g, modes));
    end_row(g);
}

static void fill_orders(struct gen *g)
{
    static const char *const priorities[] = {"1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"};
    static const char *const states[] = {"F", "O", "P"};
    const uint64_t seed = 19920101;
    open_rows(g, "orders", 9);
    g->state = seed;
    for (int64_t i = 1; g->ok && i <= g->orders; i++) {
        int64_t day = DAY_FIRST + draw(g, DAYS), customer = draw(g, (uint64_t)g->customers) + 1;
        put_int(g, i);
        put_int(g, customer % 3 == 0 ? customer % g->customers + 1 : customer); /* a third of them never orders */
        put_text(g, PICK(g, states));
        put_int(g, draw(g, 50000000) + 100000);
        put_day(g, day);
        put_text(g, PICK(g, priorities));
        PUT_FORMAT(g, "Clerk#%06d", (int)draw(g, 1000));
        put_int(g, 0);
        put_words(g, "special packages requests", 60);
        end_row(g);
    }
    open_rows(g, "lineitem", 15);
    for (int64_t i = 1; g->ok && i <= g->orders; i++) {
        int lines = (int)draw(g, 7) + 1;
        int64_t day = DAY_FIRST + draw(g, DAYS);
        for (int k = 1; k <= lines; k++)
            line(g, i, k, day);
    }
}

bool tpch_fill(bench_db *b, double scale)
{
    struct gen g = {.b = b, .state = 20261123, .ok = true};
    g.suppliers = (int64_t)(10000 * scale) < 20 ? 20 : (int64_t)(10000 * scale);
    g.customers = (int64_t)(150000 * scale) < 100 ? 100 : (int64_t)(150000 * scale);
    g.parts = (int64_t)(200000 * scale) < 100 ? 100 : (int64_t)(200000 * scale);
    g.orders = (int64_t)(1500000 * scale) < 500 ? 500 : (int64_t)(1500000 * scale);
    for (size_t i = 0; g.ok && i < sizeof schema / sizeof *schema; i++)
        g.ok = bench_exec(b, schema[i]);
    g.ok = g.ok && bench_exec(b, "BEGIN");
    fill_places(&g);
    fill_people(&g);
    fill_parts(&g);
    fill_orders(&g);
    bench_finalize(g.s);
    g.ok = g.ok && bench_exec(b, "COMMIT");
    for (size_t i = 0; g.ok && i < sizeof indexes / sizeof *indexes; i++)
        g.ok = bench_exec(b, indexes[i]);
    return g.ok;
}
