#!/usr/bin/env bash
# check_text.sh - no committed file of ours says that it is unfinished, carries conflict markers, or has carriage returns.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    echo "not a git checkout: nothing to list the files by"
    exit 77
fi
rc=0
find_text() {
    local what=$1
    shift
    if git grep -nIE "$@" -- ':!tests/tools/check_text.sh' ':!LICENSE' ':!tests/*.test' ':!tests/**/data'; then
        echo "^ $what"
        rc=1
    fi
}
find_text "unfinished work belongs into an issue, not into a file" \
    -e '\b(TODO|FIXME|XXX)\b' -e '[Nn]ot implemented yet' -e '[Ff]or now([^(a-z]|$)' -e '[Nn]ot yet implemented'
find_text "a conflict that was not resolved" -e '^(<<<<<<<|>>>>>>>) '
find_text "carriage returns" -e $'\r$'
[ "$rc" -ne 0 ] || echo "text: nothing unfinished"
exit "$rc"
