/* main.c - the least that a program can do with an installed Quartet. */
#include <stdio.h>

#include <quartet.h>

int main(void)
{
    quartet_db *db = NULL;
    quartet_stmt *s = NULL;
    int rc = quartet_open(":memory:", &db);
    if (rc == QUARTET_OK)
        rc = quartet_exec(db, "CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER COUNTER); INSERT INTO stock VALUES ('bolts', 42)", NULL, NULL, NULL);
    if (rc == QUARTET_OK)
        rc = quartet_prepare(db, "SELECT n, item FROM stock", -1, &s, NULL);
    if (rc == QUARTET_OK && quartet_step(s) == QUARTET_ROW)
        printf("%s %s\n", quartet_column_text(s, 0), quartet_column_text(s, 1));
    else
        fprintf(stderr, "%s\n", quartet_errmsg(db));
    (void)quartet_finalize(s); /* its error was told */
    return quartet_close(db) == QUARTET_OK && rc == QUARTET_OK ? 0 : 1;
}
