#!/usr/bin/env bash
# test_chinook.sh QUARTET - loads Chinook, unchanged, through the shell into a directory, ends the shell, and asks the queries of
# queries.sql of the reopened database and of sqlite3. Numbers are compared as numbers: 2328.60 (DECIMAL) is 2328.6.
set -uo pipefail
quartet=$1
here=$(dirname "${BASH_SOURCE[0]}")
sql=${QUARTET_SHARED:-/nonexistent}/data/chinook.sql
if [ ! -r "$sql" ] || ! command -v sqlite3 >/dev/null; then
    echo "no shared folder with data/chinook.sql (QUARTET_SHARED), or no sqlite3: skipped"
    exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

if ! timeout 100 "$quartet" "$tmp/db" -f "$sql" >"$tmp/load.out" 2>"$tmp/load.err"; then
    echo "FAILED: chinook.sql does not load: $(tail -n 5 "$tmp/load.err")"
    exit 1
fi
if ! { echo 'PRAGMA foreign_keys = off; PRAGMA journal_mode = off; PRAGMA synchronous = off;' && cat "$sql"; } |
    sqlite3 "$tmp/oracle" >/dev/null 2>"$tmp/oracle.err"; then
    echo "FAILED: sqlite3 does not load it: $(tail -n 5 "$tmp/oracle.err")"
    exit 1
fi

normal() {
    awk -F'|' -v OFS='|' '{
        for (i = 1; i <= NF; i++)
            if ($i ~ /^-?[0-9]+[.][0-9]+$/) { $i = sprintf("%.6f", $i); sub(/0+$/, "", $i); sub(/[.]$/, "", $i) }
        print }'
}
count=0
ask() { # NAME SQL
    count=$((count + 1))
    timeout 20 "$quartet" "$tmp/db" --format list -c "$2" >"$tmp/got.raw" 2>"$tmp/got.err" || echo "exit status $?: $(cat "$tmp/got.err")" >>"$tmp/got.raw"
    sqlite3 -list -separator '|' "$tmp/oracle" "$2" >"$tmp/expected.raw" 2>&1
    normal <"$tmp/got.raw" >"$tmp/got"
    normal <"$tmp/expected.raw" >"$tmp/expected"
    if ! cmp -s "$tmp/got" "$tmp/expected"; then
        echo "FAILED: $1: $2"
        diff "$tmp/expected" "$tmp/got" | head -n 10
        failed=$((failed + 1))
    fi
}

for table in Album Artist Customer Employee Genre Invoice InvoiceLine MediaType Playlist PlaylistTrack Track; do
    ask "all of $table" "SELECT * FROM $table ORDER BY 1, 2;"
done
name=
while IFS= read -r line; do
    case $line in
    '-- '*) name=${line#-- } ;;
    ?*) ask "$name" "$line" ;;
    esac
done <"$here/queries.sql"

[ "$failed" = 0 ] && echo "chinook: loaded, reopened, $count queries as sqlite3 answers them"
[ "$failed" = 0 ]
