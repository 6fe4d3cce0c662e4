#!/usr/bin/env bash
# test_token.sh BIN - nodes join a cluster that is written to by one-time tokens; tokens that are used twice, late, elsewhere, or changed, let nobody in. Then the root key is replaced
# while a node is away.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

at() { only "$url" "$(address "$url" $(($1 + 1)))"; } # SLOT: the URL of that node alone
well() { timeout 20 "$bin/quartetd" status "$url" >"$tmp/status" 2>&1 && grep -q "^well: $1 of $1 " "$tmp/status"; }
logged() { grep -q "$2" "$tmp/$1.log"; } # NAME WHAT
token() { "$bin/quartetd" token "$tmp/c" "$@" 2>"$tmp/token"; }
join() { timeout 20 "$bin/quartetd" join "$1" --dir "$2" --listen "${3:-127.0.0.1:$(free_port)}" --http "127.0.0.1:$(free_port)" >"$tmp/join" 2>&1; } # TOKEN DIRECTORY [ADDRESS]
refused() { # WHAT TOKEN DIRECTORY TEXT: joining fails and says so, and nothing that could start is left
    join "$2" "$3" && fail "$1: it joins"
    grep -q "$4" "$tmp/join" || fail "$1: $(cat "$tmp/join")"
    [ ! -e "$3/keys/node.key" ] || fail "$1: a key is there"
    ! "$bin/quartetd" --dir "$3" >"$tmp/out" 2>&1 || fail "$1: a node starts"
}
knows() { cmp -s "$tmp/c/$1/keys/member.qm" "$tmp/c/$2/keys/member.qm"; } # SLOT SLOT: of the same membership

"$bin/quartetd" init --dir "$tmp/c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || die "init"
start 0
start 1
url=$(cat "$tmp/c/admin.url")
until_ok 20 well 2 || die "two nodes: $(cat "$tmp/status")"
ask "$url" "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'row ' || i FROM n" >"$tmp/out" || die "load: $(cat "$tmp/out")"
touch "$tmp/writing" "$tmp/written"
two=$url
(
    n=0
    while [ -e "$tmp/writing" ]; do
        n=$((n + 1))
        timeout 20 "$bin/quartet" "$two" -c "INSERT INTO t VALUES ($((1000000 + n)), 'w')" >>"$tmp/writer" 2>&1 && echo "$n" >"$tmp/written" || echo "write $n failed" >>"$tmp/writer.failed"
    done
) &
writer=$!

# ---- a token that nobody was told of yet is good for nothing; then it lets one node in ----
first=$(token --at 1) || die "token: $(cat "$tmp/token")"
refused "before the members know" "$first" "$tmp/early" "Does node 1 run, was it given the member.qm"
give 0
until_ok 20 knows 0 1 || die "node 1 does not hear of the invitation"
until_ok 20 logged 1 "slot 1 serves at" || die "node 1"
third=127.0.0.1:$(free_port) fourth=127.0.0.1:$(free_port)
joined() { join "$first" "$tmp/c/2" "$third"; }
until_ok 20 joined || die "join: $(cat "$tmp/join" "$tmp/1.log" | tail -20)"
grep -q "joined as node 2" "$tmp/join" || fail "join says: $(cat "$tmp/join")"
[ "$(stat -c %a "$tmp/c/2/keys/node.key")" = 600 ] || fail "others may read the new node's key"
[ ! -e "$tmp/c/2/keys/node.key.joining" ] || fail "the key of before is still there"

# ---- a second use, before and after the sponsor starts anew with it, and of the members' own documents ----
refused "used twice" "$first" "$tmp/thief" "refuses: the token for slot 2 was used\|Does node 1 run"
start 2
url=${url/@*\//@$(address "$url" 1),$(address "$url" 2),$third/}
until_ok 30 well 3 || die "node 2 does not join: $(cat "$tmp/status" "$tmp/2.log" | tail -30)"
until_ok 20 answers "$(at 2)" "SELECT count(*) FROM t WHERE id <= 5000" 5000 || die "node 2 has not all rows: $(ask "$(at 2)" "SELECT count(*) FROM t")"
until_ok 20 knows 0 1 || die "the members have different memberships"
refused "used twice, later" "$first" "$tmp/thief" "refuses: the token for slot 2 was used"
ask "$(at 2)" "INSERT INTO t VALUES (2000000, 'by the third')" >/dev/null || die "node 2 takes no writes"
until_ok 10 answers "$(at 0)" "SELECT v FROM t WHERE id = 2000000" "by the third" || fail "what node 2 writes does not come to node 0"

# ---- a document of an operator who has not heard of node 2 forgets nobody; he hears of it from any node's file ----
mkdir "$tmp/away" && mv "$tmp/c/2" "$tmp/c/1" "$tmp/c/0" "$tmp/away" || die "the operator's own directory"
member zone 0 west
for k in 0 1 2; do mv "$tmp/away/$k" "$tmp/c/$k"; done
give 0
zone_known() { grep -qa west "$tmp/c/$1/keys/member.qm"; }
for k in 0 1 2; do until_ok 20 zone_known $k || fail "node $k does not hear of membership 3"; done
until_ok 20 well 3 || fail "a document that was made without node 2: $(cat "$tmp/status")"
cp "$tmp/c/1/keys/member.qm" "$tmp/c/member.qm"

# ---- changed, cut, of another cluster, late ----
second=$(token --at 0) || die "a second token: $(cat "$tmp/token")"
give 1
until_ok 20 knows 0 1 || die "node 0 does not hear of the second invitation"
until_ok 20 well 3 || die "with the second invitation: $(cat "$tmp/status")"
refused "cut" "${second:0:60}" "$tmp/x1" "this is no token, or a part of one is missing"
other=A && [ "${second:80:1}" != A ] || other=B
refused "changed" "${second:0:80}$other${second:81}" "$tmp/x1" "this is no token"
"$bin/quartetd" init --dir "$tmp/other" --nodes 1 --port "$(free_port)" --http-port "$(free_port)" >/dev/null || die "another cluster"
cp "$tmp/c/0/keys/member.qm" "$tmp/member.was"
address0=$(address "$url" 1)
foreign=$("$bin/quartetd" member "$tmp/other" address 0 "$address0" >/dev/null && "$bin/quartetd" token "$tmp/other" 2>/dev/null) || die "another cluster's token"
refused "of another cluster" "$foreign" "$tmp/x2" "Does node 0 run"
cmp -s "$tmp/member.was" "$tmp/c/0/keys/member.qm" || fail "another cluster's token changed the membership"
grep -q "a stranger: wrong gate secret or another cluster" "$tmp/0.log" || fail "node 0 does not tell of it"
if command -v faketime >/dev/null; then
    faketime -f -2h "$bin/quartetd" token "$tmp/c" --minutes 60 --at 2 >"$tmp/late" 2>&1 # its slot is taken by the second one: the fifth node
    grep -q "at most 4 nodes" "$tmp/late" || fail "a fifth node: $(cat "$tmp/late")"
fi
[ "$(token)" = "" ] && grep -q "at most 4 nodes, and this one has them, or tokens for them" "$tmp/token" || fail "a fifth node: $(cat "$tmp/token")"
"$bin/quartetd" member "$tmp/c" add-node 127.0.0.1:1 >"$tmp/out" 2>&1 && fail "a fifth node by a document"

# ---- two that show one token at the same time: one is let in ----
join "$second" "$tmp/c/3" "$fourth" &
one=$!
"$bin/quartetd" join "$second" --dir "$tmp/rival" --listen 127.0.0.1:1 >"$tmp/rival.out" 2>&1
rival=$?
wait "$one"
mine=$?
[ $((mine == 0)) != $((rival == 0)) ] || fail "of two with one token $mine and $rival: $(cat "$tmp/join" "$tmp/rival.out")"
if [ $rival = 0 ]; then # the other may have it then; its address is no good
    rm -rf "$tmp/c/3" "$tmp/rival"
else
    start 3
    until_ok 20 answers "$(only "$url" "$fourth")" "SELECT v FROM t WHERE id = 2000000" "by the third" || fail "node 3 has not all rows: $(tail -3 "$tmp/3.log")"
fi
rm "$tmp/writing"
wait "$writer"
[ -s "$tmp/written" ] && [ ! -e "$tmp/writer.failed" ] || fail "writes failed: $(cat "$tmp/writer.failed" "$tmp/writer" 2>/dev/null | tail -5)"

# ---- another root key, while node 2 is away; the old one signs nothing any more ----
kill -TERM "${node[2]}"
wait "${node[2]}"
cp "$tmp/c/1/keys/member.qm" "$tmp/c/member.qm"
cp -r "$tmp/c" "$tmp/old"
member new-root
cmp -s "$tmp/c/root.key" "$tmp/old/root.key" && fail "the root key is the old one"
[ "$(stat -c %a "$tmp/c/root.key")" = 600 ] && [ ! -e "$tmp/c/root.key.next" ] || fail "the new root key: $(ls -l "$tmp/c")"
give 0
until_ok 20 knows 0 1 || fail "node 1 does not follow to the new root key: $(tail -3 "$tmp/1.log")"
"$bin/quartetd" member "$tmp/old" zone 0 one >/dev/null 2>&1 && "$bin/quartetd" member "$tmp/old" zone 0 two >/dev/null || die "the old root key"
cp "$tmp/old/member.qm" "$tmp/c/1/keys/stolen" && cp "$tmp/c/1/keys/member.qm" "$tmp/good"
kill -TERM "${node[1]}"
wait "${node[1]}"
cp "$tmp/c/1/keys/stolen" "$tmp/c/1/keys/member.qm" # who can write there can stop node 1; he moves nobody else
start 1
until_ok 20 logged 0 "is not taken: membership .* is signed by a root key that was replaced" || fail "node 0 takes what the old root key signed: $(tail -3 "$tmp/0.log")"
cmp -s "$tmp/good" "$tmp/c/0/keys/member.qm" || fail "node 0 has another membership"
kill -TERM "${node[1]}"
wait "${node[1]}"
cp "$tmp/good" "$tmp/c/1/keys/member.qm"
start 1
member zone 0 north
give 0
north() { grep -qa north "$tmp/c/$1/keys/member.qm"; }
until_ok 20 north 1 || fail "what the new root key signs does not come to node 1"
start 2
until_ok 20 north 2 || fail "node 2, which was away, does not follow to the new root key: $(tail -3 "$tmp/2.log")"
until_ok 20 answers "$(at 2)" "SELECT count(*) FROM t WHERE id >= 1000000 AND id < 2000000" "$(cat "$tmp/written")" || fail "node 2 has $(ask "$(at 2)" "SELECT count(*) FROM t") rows"
[ $failed = 0 ] && echo "token: two nodes joined while $(cat "$tmp/written") rows were written; the root key was replaced"
exit $failed
