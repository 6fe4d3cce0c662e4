#!/usr/bin/env bash
# test_example.sh BUILD SOURCE CC - installs the library into a temporary prefix, builds docs/example/service.c against it with pkg-config,
# with the shared and with the static library, and runs it: one node alone, then a cluster of two processes that both count.
# And a project outside, which finds it with find_package(Quartet).
set -uo pipefail
build=$1 source=$2 cc=$3
source "$(dirname "${BASH_SOURCE[0]}")/../process/common.sh"

if ! cmake --install "$build" --prefix "$tmp/usr" >"$tmp/install.log" 2>&1; then
    cat "$tmp/install.log"
    exit 1
fi
PKG_CONFIG_PATH=$(dirname "$(find "$tmp/usr" -name quartet.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir quartet) || exit 1
for f in "$tmp/usr/bin/quartet" "$tmp/usr/bin/quartetd" "$tmp/usr/include/quartet.h" "$tmp/usr/include/quartet_status.h" \
    "$libdir/libquartet.so" "$libdir/libquartet.a"; do
    [ -e "$f" ] || fail "not installed: $f"
done

# Nothing but quartet_* may be seen from outside.
foreign=$(nm -D --defined-only "$libdir/libquartet.so" | awk '$3 !~ /^quartet_/ && $2 != "A" {print $3}')
[ -z "$foreign" ] || fail "libquartet.so shows: $foreign"
foreign=$(nm -g --defined-only "$libdir/libquartet.a" | awk 'NF == 3 && $3 !~ /^(quartet_|DW\.ref|__x86\.get_pc)/ {print $3}')
[ -z "$foreign" ] || fail "libquartet.a shows: $foreign"

flags=$(pkg-config --cflags quartet)
libs=$(pkg-config --libs quartet)
static=$(pkg-config --static --libs quartet | sed 's/-lquartet/-l:libquartet.a/')
$cc -std=c11 -Wall -Wextra -Werror -o "$tmp/service" "$source/docs/example/service.c" $flags $libs || fail "the shared build"
$cc -std=c11 -Wall -Wextra -Werror -o "$tmp/service-static" "$source/docs/example/service.c" $flags $static || fail "the static build"
[ "$failed" = 0 ] || exit 1
if ldd "$tmp/service-static" | grep -q libquartet; then
    fail "service-static needs libquartet.so"
fi
export LD_LIBRARY_PATH=$libdir

# ---- a project of its own finds the package, also after the installation was moved ----
mv "$tmp/usr" "$tmp/moved" && mv "$tmp/moved" "$tmp/usr2" || fail "moving"
if cmake -S "$source/tests/example/outside" -B "$tmp/outside" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$tmp/usr2" >"$tmp/outside.log" 2>&1 &&
    cmake --build "$tmp/outside" >>"$tmp/outside.log" 2>&1; then
    for program in outside outside-static; do
        got=$("$tmp/outside/$program" 2>&1)
        [ "$got" = "42 bolts" ] || fail "$program says [$got]"
    done
    ldd "$tmp/outside/outside-static" | grep -q libquartet && fail "outside-static needs libquartet.so"
else
    cat "$tmp/outside.log"
    fail "the project that uses find_package"
fi
cmake -S "$source/tests/example/outside" -B "$tmp/newer" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$tmp/usr2" -DWANTED=0.9 >"$tmp/newer.log" 2>&1 &&
    fail "version 0.9 was found where there is an older one"
mv "$tmp/usr2" "$tmp/usr"
[ "$failed" = 0 ] || exit 1

# ---- one node alone, with each of the two builds, and again with its data ----
expect() { # NAME EXPECTED ACTUAL
    [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"
}
run_alone() { # PROGRAM DIR COMMANDS: what it says, without the ready line
    printf '%s\n' "$3" | timeout 20 "$1" run "$2/0" 2>"$2/err" | tail -n +2
}
for program in service service-static; do
    dir=$tmp/$program.d
    for try in 1 2 3 4 5; do
        rm -rf "$dir"
        port=$(free_port 5)
        "$tmp/$program" init "$dir" 1 "$port" >"$tmp/init.out" || fail "$program init"
        got=$(run_alone "$tmp/$program" "$dir" "$(printf 'hit home\nhit help\nhit home\ntop\nquit')")
        grep -q 'in use' "$dir/err" || break
    done
    expect "$program" "$(printf 'ok home\n.\nok help\n.\nok home\n.\n2 home\n1 help\n.')" "$got"
    [ -z "$got" ] && cat "$dir/err"
    expect "$program again" "$(printf 'ok home\n.\n3 home\n1 help\n.')" "$(run_alone "$tmp/$program" "$dir" "$(printf 'hit home\ntop\nquit')")"
    "$tmp/$program" init "$dir" 1 "$port" >/dev/null 2>&1 && fail "$program init over a cluster that is there"
done
[ "$failed" = 0 ] || exit 1

# ---- a cluster of two services; both count the same page ----
ask() { # FD_IN FD_OUT COMMAND: the answer's lines up to the dot
    local line
    echo "$3" >&"$1"
    while IFS= read -r -t 20 -u "$2" line; do
        [ "$line" != . ] || return 0
        echo "$line"
    done
    echo "no answer to $3"
}
for try in 1 2 3 4 5; do
    dir=$tmp/two$try
    port=$(free_port 6)
    "$tmp/service" init "$dir" 2 "$port" >/dev/null || fail "init of two"
    mkfifo "$dir/in0" "$dir/out0" "$dir/in1" "$dir/out1"
    "$tmp/service" run "$dir/0" <"$dir/in0" >"$dir/out0" 2>"$dir/err0" &
    pid_a=$!
    "$tmp/service-static" run "$dir/1" <"$dir/in1" >"$dir/out1" 2>"$dir/err1" &
    pid_b=$!
    exec 3>"$dir/in0" 4<"$dir/out0" 5>"$dir/in1" 6<"$dir/out1"
    read -r -t 20 -u 4 ready_a
    read -r -t 20 -u 6 ready_b
    case ${ready_a:-}${ready_b:-} in ready*ready*) break ;; esac
    kill -KILL "$pid_a" "$pid_b" 2>/dev/null
    wait "$pid_a" "$pid_b" 2>/dev/null
    cat "$dir/err0" "$dir/err1" | grep -q 'in use' || break
done
case ${ready_a:-}${ready_b:-} in
ready*ready*) ;;
*)
    fail "the two services did not start"
    cat "$dir/err0" "$dir/err1"
    exit 1
    ;;
esac
for i in 1 2 3 4 5; do
    expect "hit on 0" "ok home" "$(ask 3 4 'hit home')"
    expect "hit on 1" "ok home" "$(ask 5 6 'hit home')"
done
until=$((SECONDS + 10))
while [ "$SECONDS" -lt "$until" ]; do
    a=$(ask 3 4 top)
    b=$(ask 5 6 top)
    [ "$a" = "10 home" ] && [ "$b" = "10 home" ] && break
    read -r -t 0.02 <> <(:)
done
expect "both count on 0" "10 home" "$a"
expect "both count on 1" "10 home" "$b"
ask 3 4 cluster | grep -q '^1 127.0.0.1:' || fail "SHOW CLUSTER does not name the other node"
echo quit >&3
echo quit >&5
wait "$pid_a" || fail "service 0 ended with status $?"
wait "$pid_b" || fail "service 1 ended with status $?"
[ "$failed" = 0 ] && echo "example: shared and static, alone and as two: all as expected"
exit "$failed"
