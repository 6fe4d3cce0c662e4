#!/usr/bin/env bash
# test_suite.sh QUARTET_CHECK FOLDER RUNS - the suite for users: the examples break or hold as they should, each case shows its anomaly, bad files are told by
# line, the forms of output are well formed, and the exit status says what happened.
set -u
check=$(readlink -f "$1")
cd "$2" || exit 1
runs=$3 # of each example that holds
few=60 # of what breaks: most of it does within so many
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}
# expect STATUS NAME ARGS...: runs quartet-check, output in $out/NAME
expect() {
    local status=$1 name=$2
    shift 2
    "$check" "$@" >"$out/$name" 2>"$out/$name.err"
    local rc=$?
    [ $rc = "$status" ] || { fail "$name: exit status $rc, not $status"; head -20 "$out/$name" "$out/$name.err"; }
}
# says NAME TEXT...: the output has each text
says() {
    local name=$1 text
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$out/$name" "$out/$name.err" || fail "$name does not say: $text"
    done
}

e=examples
expect 1 bank_naive --schema $e/bank_naive.sql --workload $e/bank.workload --runs "$few"
says bank_naive 'Anomaly: lost update' 'helps       table account: balance COUNTER' 'on 2 nodes:' '    3. all nodes meet and merge' 'total = '
expect 0 bank_cured --schema $e/bank_cured.sql --workload $e/bank.workload --runs "$runs"
expect 1 shop_naive --schema $e/shop_naive.sql --workload $e/shop_naive.workload --runs "$few"
says shop_naive 'Column n of table stock' 'Column items of table cart' 'helps       table stock: n COUNTER'
expect 0 shop_cured --schema $e/shop_cured.sql --workload $e/shop_cured.workload --runs "$runs"
expect 1 booking_naive --schema $e/booking_naive.sql --workload $e/booking_naive.workload --runs "$few"
says booking_naive 'Anomaly: duplicate' 'Column seat of table booking' 'helps       table booking: UNIQUE (seat)'
expect 0 booking_cured --schema $e/booking_cured.sql --workload $e/booking_cured.workload --runs "$runs"
expect 1 sessions_naive --schema $e/sessions_naive.sql --workload $e/sessions_naive.workload --runs "$few"
says sessions_naive 'Anomaly: lost update' 'Anomaly: mixed row' 'helps       table session: hits COUNTER' 'helps       table session: MERGE TOGETHER (zone, server)' \
    'helps       table session: last_seen MAXIMUM' 'table session: tags SET'
expect 0 sessions_cured --schema $e/sessions_cured.sql --workload $e/sessions_cured.workload --runs "$runs"

# Each case is named after its anomaly.
for f in cases/*.workload; do
    name=$(basename "$f" .workload)
    case $name in
    blind_overwrite | long_fork | mixed_row) few=150 ;; # rarer
    *) few=60 ;;
    esac
    expect 1 "$name" --schema cases/all.sql --workload "$f" --json --runs "$few"
    says "$name" "\"anomaly\":\"${name//_/ }\""
done

expect 1 overspent --schema cases/all.sql --workload cases/overspending.workload --runs "$few"
says overspent 'helps       table tally: n COUNTER CHECK (n >= 0)'

# The same seed, the same report.
expect 1 again --schema $e/bank_naive.sql --workload $e/bank.workload --json --runs 50 --seed 7
expect 1 again2 --schema $e/bank_naive.sql --workload $e/bank.workload --json --runs 50 --seed 7
cmp -s "$out/again" "$out/again2" || fail "two runs of one seed differ"

expect 1 forms --schema $e/bank_naive.sql --workload $e/bank.workload --json --junit "$out/junit.xml" --nodes 2 --runs 60
says forms '"held":false' '"schedule":[{"step":"node ' '"verdict":"helps"'
if command -v python3 >/dev/null; then
    python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$out/forms" || fail "the JSON is none"
    python3 -c 'import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); s = r.find("testsuite"); assert s.get("tests") == "4" and s.get("failures") == "2" and len(s.findall("testcase/failure")) == 2' \
        "$out/junit.xml" || fail "the JUnit XML is not what it should be"
fi

# Files and options that are wrong: status 2, and where.
bad() { # NAME LINE TEXT, workload on standard input
    cat >"$out/$1.workload"
    expect 2 "$1" --schema cases/all.sql --workload "$out/$1.workload" --runs 1
    says "$1" "$1.workload:$2: " "$3"
}
bad no_end 1 'has no line that says: end' <<<'transaction t
  SELECT 1;'
bad no_semicolon 2 "put a ';' after it" <<<'transaction t
  SELECT 1
end'
bad section 1 'here begins no section' <<<'something else'
bad range 2 'a range is LOW..HIGH' <<<'transaction t
  draw x in 9..1;
  SELECT 1;
end'
bad unknown 4 ':y is neither drawn nor let before' <<<'transaction t
  draw x in 1..9;
  SELECT :x;
  UPDATE person SET n = :y;
end
invariant i
  SELECT 1 WHERE 0;
end'
bad table 2 'no such table' <<<'transaction t
  UPDATE nothing SET n = 1;
end
invariant i
  SELECT 1 WHERE 0;
end'
bad broken_setup 4 'broken before any transaction has run' <<<'transaction t
  SELECT 1;
end
invariant i
  SELECT 1;
end'
bad commit 2 'the suite itself says BEGIN and COMMIT' <<<'transaction t
  COMMIT;
end
invariant i
  SELECT 1 WHERE 0;
end'
bad empty_let 2 'here should stand a statement' <<<'transaction t
  let x = ;
end
invariant i
  SELECT 1 WHERE 0;
end'
bad empty 1 'no transaction' </dev/null
expect 2 missing --schema cases/nothing.sql --workload cases/duplicate.workload
says missing nothing.sql
expect 2 nodes --schema cases/all.sql --workload cases/duplicate.workload --nodes 5
expect 2 option --schema cases/all.sql --workload cases/duplicate.workload --nonsense 5
head -c 2000000 /dev/zero | tr '\0' ' ' >"$out/large.workload"
expect 2 large --schema cases/all.sql --workload "$out/large.workload"
printf 'transaction t\n\0end' >"$out/binary.workload"
expect 2 binary --schema cases/all.sql --workload "$out/binary.workload"
# Wherever a file is cut off, and whatever byte of it is another: an answer, never a crash.
size=$(stat -c %s $e/shop_naive.workload)
for ((n = 0; n < size; n += 59000 / runs)); do
    head -c $n $e/shop_naive.workload >"$out/cut.workload"
    "$check" --schema $e/shop_naive.sql --workload "$out/cut.workload" --runs 1 >/dev/null 2>"$out/cut.err"
    rc=$?
    [ $rc -le 2 ] || { fail "cut at byte $n: exit status $rc"; cat "$out/cut.err"; }
    for byte in "'" ';' ':' '(' '\377'; do
        { head -c $n $e/shop_naive.workload; printf "$byte"; tail -c +$((n + 2)) $e/shop_naive.workload; } >"$out/cut.workload"
        "$check" --schema $e/shop_naive.sql --workload "$out/cut.workload" --runs 1 >/dev/null 2>"$out/cut.err"
        rc=$?
        [ $rc -le 2 ] || { fail "byte $n changed to $byte: exit status $rc"; cat "$out/cut.err"; }
    done
done
[ $failed = 0 ] && echo "the suite for users: all as it should be"
exit $failed
