#!/usr/bin/env bash
# test_directories.sh BIN - directories that are not a database's, not this user's, not this version's, or not free: each is refused with a reason that names it, and
# nothing in it is changed. As root the user without rights is nobody; else it is oneself, with the rights taken away.
set -uo pipefail
bin=$1
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
chmod 755 "$tmp"
at_end() { chmod -R u+rwx "$tmp" 2>/dev/null; }
count=0
as=()
# refused WHAT PATTERN COMMAND...: it must fail, say PATTERN, and end by itself.
refused() {
    local what=$1 pattern=$2 out rc
    shift 2
    out=$(timeout 60 "${as[@]}" "$@" 2>&1)
    rc=$?
    count=$((count + 1))
    if [ "$rc" = 0 ] || [ "$rc" -ge 124 ] || ! grep -qiE -- "$pattern" <<<"$out"; then
        fail "$what: exit status $rc, expected an error with '$pattern': $(head -c 400 <<<"$out")"
    fi
}
expect() {
    local what=$1 want=$2 got
    shift 2
    got=$(timeout 60 "$@" 2>&1)
    count=$((count + 1))
    [ "$got" = "$want" ] || fail "$what: $(head -c 400 <<<"$got"), expected $want"
}
sum_of() { (cd "$1" && find . -type f ! -name lock ! -name '*-lock' -exec cksum {} + | sort); }
q="$bin/quartet"
select="SELECT count(*), sum(x) FROM t"

"$q" "$tmp/db" -c "CREATE TABLE t (x INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)" >/dev/null || die "no database"
expect "the database itself" "3|6" "$q" "$tmp/db" --format list -c "$select"

# Paths
echo text >"$tmp/file"
refused "a file" "$tmp/file" "$q" "$tmp/file" -c "$select"
refused "no parent" "$tmp/none" "$q" "$tmp/none/db" -c "$select"
long=$(printf 'x%.0s' $(seq 300))
refused "a long name" "x" "$q" "$tmp/$long" -c "$select"
refused "a long path" "longer|limit|too long" "$q" "$tmp/$(printf 'd/%.0s' $(seq 2500))" -c "$select"

# Other versions: of the log, of the base
cp -r "$tmp/db" "$tmp/log2"
printf 'QRTLOG02' | dd of="$tmp/log2/log/00000001" conv=notrunc status=none
before=$(sum_of "$tmp/log2")
refused "a log of another version" "log/00000001" "$q" "$tmp/log2" -c "$select"
[ "$before" = "$(sum_of "$tmp/log2")" ] || fail "the log of another version was changed"
cp -r "$tmp/db" "$tmp/base2"
at=$(grep -abo 'quartet base ' "$tmp/base2/base.mdb" | head -n 1 | cut -d: -f1)
for at in $(grep -abo 'quartet base ' "$tmp/base2/base.mdb" | cut -d: -f1); do
    printf '9' | dd of="$tmp/base2/base.mdb" bs=1 seek=$((at + 13)) conv=notrunc status=none
done
refused "a base of another version, or damaged" "base.mdb" "$q" "$tmp/base2" -c "$select"

# What is no backup, or not one of this version, or not whole
"$q" "$tmp/db" -c "BACKUP TO '$tmp/backup'" >/dev/null || fail "no backup"
refused "restoring a database" "no backup: it has no backup.manifest" "$q" restore "$tmp/db" "$tmp/restored"
refused "restoring nothing" "none is no backup" "$q" restore "$tmp/none" "$tmp/restored"
refused "restoring over something" "not empty" "$q" restore "$tmp/backup" "$tmp/db"
refused "opening a backup" "is a backup" "$q" "$tmp/backup" -c "$select"
cp -r "$tmp/backup" "$tmp/backup2"
sed -i 's/quartet backup 1/quartet backup 9/' "$tmp/backup2/backup.manifest"
refused "a backup of another version" "another version .*quartet backup 9" "$q" restore "$tmp/backup2" "$tmp/restored"
rm -r "$tmp/backup2" && cp -r "$tmp/backup" "$tmp/backup2" && rm "$tmp/backup2/backup.manifest"
refused "a backup without its manifest" "no backup.manifest" "$q" restore "$tmp/backup2" "$tmp/restored"
rm -r "$tmp/backup2" && cp -r "$tmp/backup" "$tmp/backup2" && rm "$tmp/backup2/base.mdb"
refused "a backup without its base" "base.mdb" "$q" restore "$tmp/backup2" "$tmp/restored"
cp "$tmp/backup/base.mdb" "$tmp/backup2/base.mdb" && truncate -s -4096 "$tmp/backup2/base.mdb"
refused "a backup that was cut short" "base.mdb has [0-9]+ bytes" "$q" restore "$tmp/backup2" "$tmp/restored"
[ ! -e "$tmp/restored" ] && [ -z "$(find "$tmp" -maxdepth 1 -name '*.partial-*')" ] || fail "a refused restore left something behind"
expect "a good one" "restored $tmp/restored: open it with: quartet $tmp/restored" "$q" restore "$tmp/backup" "$tmp/restored"
expect "what it holds" "3|6" "$q" "$tmp/restored" --format list -c "$select"

# Parts of two databases
"$q" "$tmp/other" -c "CREATE TABLE t (x INTEGER PRIMARY KEY); INSERT INTO t VALUES (10), (20); CREATE TABLE u (y)" >/dev/null
cp -r "$tmp/db" "$tmp/mixed"
for i in 1 2 3 4 5 6 7 8; do "$q" "$tmp/mixed" -c "INSERT INTO t VALUES (100 + $i)" >/dev/null; done
rm -r "$tmp/mixed/log"
refused "a base whose log is missing" "log" "$q" "$tmp/mixed" -c "$select"

# Another cluster, another node, keys of anybody
if [ -x "$bin/quartetd" ]; then
    for c in one two; do "$bin/quartetd" init --dir "$tmp/$c" --nodes 2 --port "$(free_port 2)" --http-port "$(free_port 2)" >/dev/null || exit 1; done
    timeout 60 "$bin/quartetd" --dir "$tmp/one/0" --die-with-parent >"$tmp/node.out" 2>&1 &
    pid=$!
    started+=("$pid")
    until_ok 30 grep -q '^ready' "$tmp/node.out" || die "a node of a new cluster is not ready: $(cat "$tmp/node.out")"
    kill "$pid" 2>/dev/null
    wait "$pid"
    started=()
    cp -r "$tmp/one/0" "$tmp/of_two" && rm -r "$tmp/of_two/keys" && cp -r "$tmp/two/0/keys" "$tmp/of_two/keys"
    refused "data of another cluster" "belongs to another cluster" "$bin/quartetd" --dir "$tmp/of_two" --die-with-parent
    cp -r "$tmp/one/0" "$tmp/of_1" && rm -r "$tmp/of_1/keys" && cp -r "$tmp/one/1/keys" "$tmp/of_1/keys"
    refused "data of another node" "belongs to slot 0" "$bin/quartetd" --dir "$tmp/of_1" --die-with-parent
    mkdir "$tmp/joins" && cp -r "$tmp/db/." "$tmp/joins" && cp -r "$tmp/one/1/keys" "$tmp/joins/keys"
    refused "data that were in no cluster" "never in a cluster" "$bin/quartetd" --dir "$tmp/joins" --die-with-parent
    for part in node.key member.qm; do
        rm -rf "$tmp/keys2" && cp -r "$tmp/one/1" "$tmp/keys2"
        printf 'X' | dd of="$tmp/keys2/keys/$part" bs=1 seek=40 conv=notrunc status=none
        refused "a damaged $part" "$part" "$bin/quartetd" --dir "$tmp/keys2" --die-with-parent
        : >"$tmp/keys2/keys/$part"
        refused "an empty $part" "$part" "$bin/quartetd" --dir "$tmp/keys2" --die-with-parent
        rm "$tmp/keys2/keys/$part"
        refused "a missing $part" "$part" "$bin/quartetd" --dir "$tmp/keys2" --die-with-parent
    done
fi

# In use
coproc HOLD { exec "$q" "$tmp/db" 2>&1; }
pid=$HOLD_PID
started+=("$pid")
exec 10>&"${HOLD[1]}" 11<&"${HOLD[0]}"
printf 'SELECT 42;\n' >&10
IFS= read -r -t 30 -u 11 _
refused "in use" "in use by process $pid" "$q" "$tmp/db" -c "$select"
refused "verifying what is in use" "in use by process $pid" "$q" verify "$tmp/db"
refused "restoring over what is in use" "not empty" "$q" restore "$tmp/backup" "$tmp/db"
printf '.quit\n' >&10
wait "$pid"
started=()
expect "free again" "3|6" "$q" "$tmp/db" --format list -c "$select"

# Rights
if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null && as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
if [ "$(id -u)" != 0 ] || [ ${#as[@]} -gt 0 ]; then
    if [ ${#as[@]} -gt 0 ] && ! "${as[@]}" "$q" --version >/dev/null 2>&1; then
        cp "$q" "$tmp/quartet" && chmod 755 "$tmp/quartet" # nobody may not come to where it lies
        q="$tmp/quartet"
    fi
    chmod 000 "$tmp/db"
    refused "a directory without rights" "$tmp/db" "$q" "$tmp/db" -c "$select"
    chmod 755 "$tmp/db"
    chmod 555 "$tmp"
    refused "no right to make one" "$tmp/fresh" "$q" "$tmp/fresh" -c "$select"
    chmod 755 "$tmp"
    for part in base.mdb log/00000001 log lock; do
        rm -rf "$tmp/copy"
        cp -r "$tmp/db" "$tmp/copy"
        [ ${#as[@]} = 0 ] || chown -R 65534:65534 "$tmp/copy"
        chmod 000 "$tmp/copy/$part"
        refused "$part without rights" "copy" "$q" "$tmp/copy" -c "$select"
    done
    as=()
    q="$bin/quartet"
else
    echo "directories: no setpriv here: the cases without rights are left out"
fi

# A file system that may only be read
readonly="mount --bind '$tmp/db' '$tmp/db' && mount -o remount,ro,bind '$tmp/db'"
if unshare --mount bash -c "$readonly" 2>/dev/null; then
    sum=$(sum_of "$tmp/db")
    on_readonly() { refused "$1 on a read-only file system" "$tmp/db.*: Read-only file system" unshare --mount bash -c "$readonly && $2"; }
    on_readonly "opening" "'$q' '$tmp/db' -c '$select'"
    on_readonly "verifying" "'$q' verify '$tmp/db'"
    on_readonly "a new database" "'$q' '$tmp/db/new' -c '$select'"
    on_readonly "BACKUP" "'$q' '$tmp/restored' -c \"BACKUP TO '$tmp/db/backup'\""
    on_readonly "COPY TO" "'$q' '$tmp/restored' -c \"COPY t TO '$tmp/db/t.csv'\""
    on_readonly "restoring" "'$q' restore '$tmp/backup' '$tmp/db/restored'"
    [ "$sum" = "$(sum_of "$tmp/db")" ] || fail "a read-only file system was changed"
else
    echo "directories: nothing may be mounted here: the cases of a read-only file system are left out"
fi
expect "unharmed" "3|6" "$q" "$tmp/db" --format list -c "$select"
[ "$failed" = 0 ] && echo "directories: $count cases: refused where they should be, with the reason, and nothing was changed"
exit "$failed"
