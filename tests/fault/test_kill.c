/* test_kill.c - kill -9 of a real process at random moments: while it opens and recovers, commits from several sessions, flushes small buffers, writes large
 * transactions, changes the schema. The next process finds every acknowledged transaction, none of them half, and sums, counters and indexes that agree.
 *   fault-kill [--seed N] [--kills N]; after 100 kills a new database: what is looked at after each one grows, and 1,000 in one take hours
 * The seed decides what is written and how far the process gets; where in a step the kill strikes is up to the machine. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/prng.h"
#include "fault/work.h"

#define SESSIONS 3
#define ACCOUNTS 16
#define LARGE_ROWS 400
#define DEADLINE_S 120
#define KILLS_A_DATABASE 100

struct shared { /* with the process that is killed */
    atomic_uint_fast64_t progress;
    uint64_t last; /* progress that is not survived, however late the one who kills; 0: no limit */
    atomic_uint_fast64_t started[SESSIONS], acknowledged[SESSIONS];
    atomic_bool failed;
    atomic_uint_fast64_t verified, opened;
    char why[1024];
};
struct session {
    struct shared *sh;
    db *d;
    int number;
    uint64_t seed;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(struct shared *sh, const char *what, const char *text)
{
    if (!atomic_exchange(&sh->failed, true))
        snprintf(sh->why, sizeof sh->why, "%s: %s", what, text);
}

static void step(struct shared *sh)
{
    if (atomic_fetch_add(&sh->progress, 1) >= sh->last && sh->last != 0)
        kill(getpid(), SIGKILL);
}

/* ---- what the sessions do ---- */

/* The statements of transaction n of a session; the same again after a serialization failure. */
static void draw(const struct session *s, uint64_t n, struct buf *sql)
{
    struct prng r;
    prng_seed(&r, s->seed * 1000003 + n);
    unsigned long long k = n, from = prng_below(&r, ACCOUNTS), to = prng_below(&r, ACCOUNTS), amount = prng_below(&r, 100);
    uint64_t kind = prng_below(&r, 40);
    buf_str(sql, "BEGIN;");
    buf_printf(sql, "UPDATE acc SET n = n - %llu, c = c + 1 WHERE id = %llu; UPDATE acc SET n = n + %llu WHERE id = %llu;", amount, from, amount, to);
    if (kind == 0) {
        buf_str(sql, "INSERT INTO large (session, n, k, pad) VALUES ");
        for (int i = 0; i < LARGE_ROWS; i++)
            buf_printf(sql, "%s(%d, %llu, %d, 'some text that fills a buffer sooner, row %d of %llu')", i > 0 ? "," : "", s->number, k, i, i, k);
        buf_str(sql, ";");
    } else if (kind == 1) {
        buf_printf(sql, "CREATE TABLE t%d_%llu (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t%d_%llu VALUES (1, 'a'), (2, 'b');", s->number, k, s->number, k);
    } else if (kind == 2) {
        buf_printf(sql, "DELETE FROM large WHERE session = %d AND n %% 2 = %llu;", s->number, k % 2);
    } else if (kind < 12) {
        buf_printf(sql, "SAVEPOINT s; UPDATE acc SET n = 0; DELETE FROM audit; ROLLBACK TO s;");
    }
    buf_printf(sql, "INSERT INTO audit (session, n, source, target, amount) VALUES (%d, %llu, %llu, %llu, %llu);COMMIT", s->number, k, from, to, amount);
}

static void *session_main(void *arg)
{
    struct session *s = arg;
    struct shared *sh = s->sh;
    struct work w = {.d = s->d};
    struct err err = ERR_INIT;
    if (conn_open(s->d, &w.c, &err) != QUARTET_OK) {
        fail(sh, "a session", err.text);
        return NULL;
    }
    if (s->number == 1)
        conn_settings(w.c)->synchronous = LOG_SYNC_NORMAL; /* survives a kill, though not a power cut */
    for (;;) {
        struct buf sql = {0};
        uint64_t n = atomic_load(&sh->acknowledged[s->number]) + 1;
        draw(s, n, &sql);
        buf_u8(&sql, 0);
        atomic_store(&sh->started[s->number], n);
        step(sh);
        quartet_status rc = work_sql(&w, (const char *)sql.data, NULL, &err);
        buf_deinit(&sql);
        if (rc == QUARTET_OK) {
            atomic_store(&sh->acknowledged[s->number], n);
            step(sh);
            db_tick(s->d);
            continue;
        }
        if (rc != QUARTET_SERIALIZATION && rc != QUARTET_BUSY) {
            fail(sh, "a transaction", err.text);
            return NULL;
        }
        struct err ignored = ERR_INIT;
        if (conn_in_transaction(w.c))
            (void)work_sql(&w, "ROLLBACK", NULL, &ignored); /* the next BEGIN would tell */
    }
}

/* ---- what must hold ---- */

static const struct {
    const char *what, *sql, *want;
} invariants[] = {
    {"an index and its table differ", "SELECT (SELECT count(*) FROM audit WHERE target >= 0) - (SELECT count(*) FROM audit WHERE target + 0 >= 0)", "0;\n"},
    {"an index and its table differ", "SELECT (SELECT count(*) FROM audit WHERE source >= 0) - (SELECT count(*) FROM audit WHERE source + 0 >= 0)", "0;\n"},
    {"money was made or lost", "SELECT sum(n) FROM acc", "16000;\n"},
    {"a balance is not that of the audit table",
     "SELECT count(*) FROM acc WHERE n <> 1000 + (SELECT coalesce(sum(amount), 0) FROM audit WHERE target = acc.id) - "
     "(SELECT coalesce(sum(amount), 0) FROM audit WHERE source = acc.id)", "0;\n"},
    {"a counter is not that of the audit table", "SELECT count(*) FROM acc WHERE c <> (SELECT count(*) FROM audit WHERE source = acc.id)", "0;\n"},
    {"half of a large transaction", "SELECT count(*) FROM (SELECT session, n FROM large GROUP BY session, n HAVING count(*) <> 400)", "0;\n"},
    {"a large transaction without its audit row", "SELECT count(*) FROM (SELECT DISTINCT session, n FROM large) AS l LEFT JOIN audit AS a ON a.session = l.session "
     "AND a.n = l.n WHERE a.n IS NULL", "0;\n"},
};

static bool ask(struct work *w, const char *sql, struct buf *out, struct shared *sh)
{
    struct err err = ERR_INIT;
    buf_clear(out);
    quartet_status rc = work_sql(w, sql, out, &err);
    buf_u8(out, 0);
    if (rc != QUARTET_OK)
        fail(sh, sql, err.text);
    return rc == QUARTET_OK;
}

static bool verify_session(struct work *w, struct shared *sh, int number, struct buf *out)
{
    char sql[200], text[300];
    unsigned long long count = 0, max = 0, least = atomic_load(&sh->acknowledged[number]), most = atomic_load(&sh->started[number]);
    snprintf(sql, sizeof sql, "SELECT count(*), coalesce(max(n), 0) FROM audit WHERE session = %d", number);
    if (!ask(w, sql, out, sh))
        return false;
    if (sscanf((const char *)out->data, "%llu,%llu", &count, &max) != 2 || count != max || max < least || max > (most > least ? most : least)) {
        snprintf(text, sizeof text, "session %d has %llu transactions, the last is %llu; acknowledged were %llu, begun %llu", number, count, max, least, most);
        fail(sh, "lost or made up", text);
        return false;
    }
    atomic_store(&sh->started[number], max); /* in this order: killed in between, both are still true */
    atomic_store(&sh->acknowledged[number], max);
    return true;
}

static bool verify(struct work *w, struct shared *sh, bool deep)
{
    struct buf out = {0};
    char why[600];
    bool good = true;
    for (size_t i = 0; good && i < sizeof invariants / sizeof *invariants; i++) {
        good = ask(w, invariants[i].sql, &out, sh);
        if (good && strcmp((const char *)out.data, invariants[i].want) != 0) {
            fail(sh, invariants[i].what, (const char *)out.data);
            good = false;
        }
    }
    for (int k = 0; good && k < SESSIONS; k++)
        good = verify_session(w, sh, k, &out);
    if (good && deep && !work_consistent(w, why, sizeof why)) {
        fail(sh, "tables, indexes and hashes", why);
        good = false;
    }
    buf_deinit(&out);
    return good;
}

static bool make_tables(struct work *w, struct shared *sh)
{
    static const char *const sql =
        "BEGIN; CREATE TABLE IF NOT EXISTS acc (id INTEGER PRIMARY KEY, n INTEGER, c INTEGER COUNTER DEFAULT 0);"
        "CREATE TABLE IF NOT EXISTS audit (session INTEGER, n INTEGER, source INTEGER, target INTEGER, amount INTEGER, PRIMARY KEY (session, n));"
        "CREATE TABLE IF NOT EXISTS large (session INTEGER, n INTEGER, k INTEGER, pad TEXT, PRIMARY KEY (session, n, k));"
        "CREATE INDEX IF NOT EXISTS audit_source ON audit (source); CREATE INDEX IF NOT EXISTS audit_target ON audit (target);"
        "INSERT OR IGNORE INTO acc (id, n) WITH RECURSIVE r (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 15) SELECT i, 1000 FROM r; COMMIT";
    struct err err = ERR_INIT;
    if (work_sql(w, sql, NULL, &err) == QUARTET_OK)
        return true;
    fail(sh, "the tables", err.text);
    return false;
}

/* One life; ends by the kill, or when something is wrong. */
static _Noreturn void live(struct shared *sh, const char *dir, uint64_t seed, uint64_t round)
{
    static const size_t buffers[] = {16 << 10, 128 << 10, 1 << 20, 0};
    struct prng r;
    struct work w = {.env = env_posix()};
    struct err err = ERR_INIT;
    struct session sessions[SESSIONS];
    pthread_t threads[SESSIONS];
    prng_seed(&r, seed * 7919 + round);
    w.options.buffer_bytes = buffers[prng_below(&r, 4)];
    w.options.slice_pages = prng_chance(&r, 0.5) ? 4 + (uint32_t)prng_below(&r, 60) : 0; /* flushes of many slices */
    snprintf(w.path, sizeof w.path, "%s", dir);
    step(sh);
    if (work_open(&w, &err) != QUARTET_OK) {
        fail(sh, "open", err.text);
        _exit(1);
    }
    atomic_fetch_add(&sh->opened, 1);
    step(sh);
    if (!make_tables(&w, sh) || !verify(&w, sh, round % 8 == 0))
        _exit(1);
    atomic_fetch_add(&sh->verified, 1);
    step(sh);
    for (int k = 0; k < SESSIONS; k++) {
        sessions[k] = (struct session){.sh = sh, .d = w.d, .number = k, .seed = seed + (uint64_t)k};
        if (pthread_create(&threads[k], NULL, session_main, &sessions[k]) != 0)
            _exit(2);
    }
    for (int k = 0; k < SESSIONS; k++)
        pthread_join(threads[k], NULL);
    _exit(1); /* sessions end only when something failed */
}

/* Start a process, let it get as far as the seed says, kill it. */
static bool round_of(struct shared *sh, const char *dir, uint64_t seed, uint64_t round, bool kill_it)
{
    struct prng r;
    prng_seed(&r, seed ^ round * 0x9e3779b97f4a7c15u);
    uint64_t target = prng_chance(&r, 0.25) ? prng_below(&r, 4) : 4 + prng_below(&r, 150);
    uint64_t spins = prng_below(&r, target < 2 ? 20 : 300);
    atomic_store(&sh->progress, 0);
    sh->last = kill_it ? target + 20 : 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        live(sh, dir, seed, round);
    if (pid < 0)
        exit(2);
    double end = now() + DEADLINE_S;
    int status = 0;
    uint64_t verified = atomic_load(&sh->verified), seen = 0;
    while (!atomic_load(&sh->failed) && now() < end &&
           (kill_it ? atomic_load(&sh->progress) < target : atomic_load(&sh->verified) == verified)) {
        if (atomic_load(&sh->progress) != seen) { /* on a busy machine it may be slow, but not stand still */
            seen = atomic_load(&sh->progress);
            end = now() + DEADLINE_S;
        }
        poll(NULL, 0, target > 8 ? 1 : 0);
    }
    for (uint64_t i = 0; i < spins && kill_it; i++)
        sched_yield();
    bool late = now() >= end;
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid)
        exit(2);
    if (late)
        fail(sh, "a process", "made no progress");
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail(sh, "a process", "ended by itself");
    return !atomic_load(&sh->failed);
}

/* A new database, killed until round is at the next hundred or at the end, and then looked at closely. */
static bool database_of(struct shared *sh, const char *dir, uint64_t seed, uint64_t *round, uint64_t kills)
{
    for (int k = 0; k < SESSIONS; k++) {
        atomic_store(&sh->started[k], 0);
        atomic_store(&sh->acknowledged[k], 0);
    }
    uint64_t end = *round + KILLS_A_DATABASE < kills ? *round + KILLS_A_DATABASE : kills;
    bool good = true;
    for (; *round < end && good; ++*round)
        good = round_of(sh, dir, seed, *round, true);
    return good && round_of(sh, dir, seed, *round * 8, false);
}

int main(int argc, char **argv)
{
    const char *given = getenv("QUARTET_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1, kills = 50, total = 0;
    for (int i = 1; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "--kills") == 0 ? &kills : &seed) = strtoull(argv[i + 1], NULL, 10);
    struct shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char dir[512], db_dir[600];
    if (sh == MAP_FAILED)
        return 2;
    env_posix_set_log(4, false);
    work_dir_begin(dir, sizeof dir, "kill");
    bool good = true;
    uint64_t databases = 0;
    uint64_t round = 0;
    while (round < kills && good) {
        snprintf(db_dir, sizeof db_dir, "%s/db%llu", dir, (unsigned long long)databases++);
        good = database_of(sh, db_dir, seed, &round, kills);
        for (int k = 0; k < SESSIONS; k++)
            total += atomic_load(&sh->acknowledged[k]);
    }
    if (!good)
        printf("FAILED: seed %llu, after kill %llu (the files are in %s): %s\n", (unsigned long long)seed, (unsigned long long)round, dir, sh->why);
    else
        printf("kill: %llu kills (%llu of them before the database was open), %llu transactions: all that were acknowledged are there, none is half\n",
               (unsigned long long)kills, (unsigned long long)(kills + databases - atomic_load(&sh->opened)), (unsigned long long)total);
    if (good)
        work_dir_end(dir);
    return !good;
}
