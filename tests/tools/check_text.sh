#!/usr/bin/env bash
# check_text.sh - no file of ours says that it is unfinished, carries conflict markers, or has carriage returns; and none lies
# where none belongs: what a test left behind must not be committed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
# The files that git knows, or, in a tree without git's folder, all but what the build made.
if ! list=$(git -c safe.directory='*' ls-files 2>/dev/null) || [ -z "$list" ]; then
    list=$(find . -path ./build -prune -o -type f -print)
fi
files=()
rc=0
while read -r file; do
    case ${file#./} in
    parser/* | engine/* | crdt/* | net/* | tests/* | grammar/* | docs/* | base/* | include/* | shell/* | cmake/* | .ci/run) ;;
    CMakeLists.txt | CMakePresets.json | README.md | LICENSE | start | check | .gitignore | .clang-format | .clang-tidy) ;;
    .git/*) ;;
    *)
        echo "$file: nothing of this name belongs into the top folder"
        rc=1
        ;;
    esac
    case $file in
    *tests/tools/check_text.sh | *LICENSE | *.test | */data/*) ;; # this list of words; what others wrote
    *) [ ! -f "$file" ] || files+=("$file") ;;
    esac
done <<<"$list"
find_text() {
    local what=$1
    shift
    if grep -nIE "$@" -- "${files[@]}"; then
        echo "^ $what"
        rc=1
    fi
}
find_text "unfinished work belongs into an issue, not into a file" \
    -e '\b(TODO|FIXME|XXX)\b' -e '[Nn]ot implemented yet' -e '[Ff]or now([^(a-z]|$)' -e '[Nn]ot yet implemented'
find_text "a conflict that was not resolved" -e '^(<<<<<<<|>>>>>>>) '
find_text "carriage returns" -e $'\r$'
[ "$rc" -ne 0 ] || echo "text: nothing unfinished in ${#files[@]} files"
exit "$rc"
