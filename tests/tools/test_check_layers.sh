#!/usr/bin/env bash
# test_check_layers.sh - the check of layers finds what it is there to find: a small tree with one file per rule, half of them
# right and half of them wrong.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{base,parser,crdt,net,engine,shell,include}
touch "$tree"/include/quartet{,_status}.h "$tree"/{base/buf,parser/ast,crdt/row,net/frame,engine/db,shell/repl}.h

file() {
    printf '%s\n' "${@:2}" >"$tree/$1"
}
file base/env_posix.c '#include "base/buf.h"' '#include "quartet_status.h"' 't = clock_gettime(c, &t);'
file parser/good.c '#include "ast.h"' '#include "sql.h"' '#include "base/buf.h"'
file crdt/good.c '#include <msgpack.h>' '#include <sodium.h>' '/* time() and' ' * open() are only named here */ x = "time(0)";'
file net/loop.c '#include <uv.h>' '#include "crdt/row.h"' 'uint64_t now = time(NULL);'
file engine/node.c '#include "net/frame.h"' '#include "quartet.h"'
file engine/good.c '#include <lmdb.h>' '#include "parser/ast.h"' 'rc = ops->open(env, path); mdb_env_open(e); t.time(3);'
file shell/good.c '#include "quartet.h"' '#include <histedit.h>' '#include "repl.h"' 'f = fopen(path, "r");'
if ! bash "$here/check_layers.sh" "$tree"; then
    echo "a tree that keeps to the table was refused"
    exit 1
fi

file base/bad.c '#include <string.h>' '#include "crdt/row.h"' '#include <sodium.h>' 'x = getrandom(p, n, 0);'
file parser/bad.c '#include "engine/db.h"'
file crdt/bad.c '#include "net/frame.h"' '#include <uv.h>' '/* a comment */ x = time(NULL);'
file net/bad.c '#include "engine/db.h"' '#include <lmdb.h>' 'fd = open("x", 0);'
file engine/bad.c '#include "net/frame.h"' '#include "shell/repl.h"' 'fsync(fd);'
file shell/bad.c '#include "base/buf.h"' '#include "engine/db.h"' '#include <lmdb.h>'
file include/bad.h '#include "base/buf.h"' '#include "nowhere.h"'
found=$(bash "$here/check_layers.sh" "$tree")
[ $? -eq 1 ] || { echo "a tree that breaks the table was not refused"; exit 1; }
expected="base/bad.c:2 base/bad.c:3 base/bad.c:4 parser/bad.c:1 crdt/bad.c:1 crdt/bad.c:2 crdt/bad.c:3 net/bad.c:1 net/bad.c:2
net/bad.c:3 engine/bad.c:1 engine/bad.c:2 engine/bad.c:3 shell/bad.c:1 shell/bad.c:2 shell/bad.c:3 include/bad.h:1 include/bad.h:2"
rc=0
for place in $expected; do
    grep -q "^$place: " <<<"$found" || { echo "not found: $place"; rc=1; }
done
[ "$(wc -l <<<"$found")" -eq "$(wc -w <<<"$expected")" ] || { echo "more or less than expected:"; echo "$found"; rc=1; }
exit $rc
