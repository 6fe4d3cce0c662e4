#!/usr/bin/env bash
# test_demo.sh BIN PROJECT - the demonstration of ./start cluster, without a terminal: it ends with 0 only if all held, and leaves nothing.
set -uo pipefail
bin=$1 project=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}
TMPDIR=$tmp timeout 115 "$bin/quartet-demo" --no-shell --project "$project" >"$tmp/out" 2>"$tmp/err" </dev/null
rc=$?
[ "$rc" = 0 ] || fail "exit status $rc"
grep -q 'all held' "$tmp/out" || fail "it does not say that all held"
grep -q 'NOT all held' "$tmp/out" && fail "it says that not all held"
[ -z "$(find "$tmp" -mindepth 1 -maxdepth 1 -name 'quartet-*')" ] || fail "its directory is still there"
cat "$tmp/out" "$tmp/err"
exit "$failed"
