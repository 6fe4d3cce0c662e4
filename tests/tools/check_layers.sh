#!/usr/bin/env bash
# check_layers.sh [ROOT] - holds the #include lines, and the calls of time, randomness and files, against the table of layers.
# The table is in docs/ARCHITECTURE.md; the one below is what is enforced. Why: the simulator can run four nodes in one thread
# from one seed only while no layer goes round the tables of functions, and parts stay replaceable only while they do not know
# what is above them. Prints FILE:LINE: what is wrong; exit status 1 if there is anything.
set -uo pipefail
root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$root" || exit 2
shopt -s nullglob
files=({base,parser,crdt,net,engine,shell,include}/*.[ch])
if [ ${#files[@]} -eq 0 ]; then
    echo "$root: no source files to check"
    exit 2
fi
awk '
BEGIN {
    # layer -> folders of ours it may include; libraries it may include. Everything else in <> is the C library.
    ours["base"] = " base "
    ours["parser"] = " parser base "
    ours["crdt"] = " crdt base "
    ours["net"] = " net crdt base "
    ours["engine"] = " engine parser crdt base include "
    ours["shell"] = " shell include "
    ours["include"] = " include "
    libs["crdt"] = " msgpack sodium xxhash "
    libs["net"] = " uv sodium msgpack "
    libs["engine"] = " lmdb xxhash utf8proc pcre2 sodium "
    libs["shell"] = " histedit editline utf8proc "
    known = " msgpack sodium xxhash uv lmdb utf8proc pcre2 histedit editline sqlite3 CUnit "
    wiring = "^engine/(node|api|remote)[a-z_]*[.][ch]$"  # the files of engine that join it to net
    system_files = "^(base/env_posix|net/loop[a-z_]*|shell/.*)[.][ch]$"
    calls = "(clock_gettime|gettimeofday|time|clock|getrandom|getentropy|rand|random|srand|srandom|open|openat|creat|fopen|fdopen|mkstemp|mkdtemp|fsync|fdatasync|pread|pwrite|rename|unlink|mkdir|opendir|nanosleep|usleep|sleep)"
}
function wrong(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    bad = 1
}
function exists(path,    line, rc) {
    rc = (getline line < path)
    close(path)
    return rc >= 0
}
# The line without comments and string contents; in_comment lasts over lines.
function code(s,    out, c, two, quote) {
    out = ""
    quote = ""
    while (s != "") {
        c = substr(s, 1, 1)
        two = substr(s, 1, 2)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; s = substr(s, 3) } else s = substr(s, 2)
        } else if (quote != "") {
            if (c == "\\") { s = substr(s, 3); continue }
            if (c == quote) quote = ""
            s = substr(s, 2)
        } else if (two == "/*") { in_comment = 1; s = substr(s, 3); out = out " "
        } else if (two == "//") { return out
        } else {
            if (c == "\"" || c == "\047") quote = c
            out = out c
            s = substr(s, 2)
        }
    }
    return out
}
function check_ours(name,    folder) {
    if (name ~ /\//) {
        folder = name
        sub(/\/.*/, "", folder)
    } else if (exists(layer "/" name) || (layer == "parser" && name == "sql.h")) folder = layer
    else if (exists("include/" name)) folder = "include"
    else { wrong("\"" name "\" is neither in " layer "/ nor in include/"); return }
    if (folder == "base" && layer == "shell") wrong("shell/ may include include/quartet.h only, not \"" name "\"")
    else if (folder == "include" && name ~ /quartet_status[.]h$/) return
    else if (folder == "net" && FILENAME ~ wiring) return
    else if (index(ours[layer], " " folder " ") == 0) wrong(layer "/ may not include \"" name "\"")
    else if (folder == "include" && layer == "shell" && name !~ /^(include\/)?quartet[.]h$/)
        wrong("shell/ may include include/quartet.h only, not \"" name "\"")
}
function check_system(name,    library) {
    library = name
    sub(/[.\/].*/, "", library)
    if (index(known, " " library " ") == 0) return
    if (FILENAME ~ wiring && library == "uv") return
    if (index(libs[layer], " " library " ") == 0) wrong(layer "/ may not include <" name ">")
}
FNR == 1 {
    layer = FILENAME
    sub(/\/.*/, "", layer)
    in_comment = 0
}
{
    if (!in_comment && $0 ~ /^[ \t]*#[ \t]*include/) {
        name = $0
        if (match(name, /"[^"]+"/)) check_ours(substr(name, RSTART + 1, RLENGTH - 2))
        else if (match(name, /<[^>]+>/)) check_system(substr(name, RSTART + 1, RLENGTH - 2))
    }
    text = code($0)
    if (FILENAME !~ system_files && match(" " text, "[^A-Za-z0-9_.>]" calls " *[(]"))
        wrong("calls the system directly, not through its table of functions: " substr(" " text, RSTART + 1, RLENGTH - 1))
}
END { exit bad }
' "${files[@]}"
rc=$?
[ "$rc" -ne 0 ] || echo "layers: ${#files[@]} files keep to the table"
exit "$rc"
