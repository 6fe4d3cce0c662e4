#!/usr/bin/env bash
# galera.sh BIN [--json] [--nodes 1|4] [--rows N] [--seconds S] [--turns T] - the same transactions on Quartet and on MariaDB with Galera, on this machine, in turns: update_non_index, write_only
# and read_write, 32 sessions over all nodes, commits flushed. BIN is where quartet-bench is. MariaDB, Galera and sysbench are run as programs of their own where they are installed; nothing is
# installed here, nothing outside a temporary directory is touched, and all listen on loopback. With --nodes 1 MariaDB runs without Galera.
# Ids are drawn evenly, from a table of 10,000 rows, on both sides. MariaDB is left at its own isolation (REPEATABLE READ, reads not validated); Quartet's transactions are serializable.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${1:?usage: galera.sh BIN [--json] [--nodes 1|4] [--rows N] [--seconds S] [--turns T]}
shift
json=0 nodes=4 rows=10000 seconds=10 turns=3
while [ $# -gt 0 ]; do
    case $1 in
    --json) json=1 && shift && continue ;;
    --nodes) nodes=$2 ;;
    --rows) rows=$2 ;;
    --seconds) seconds=$2 ;;
    --turns) turns=$2 ;;
    *) echo "galera: wrong: $1" >&2 && exit 64 ;;
    esac
    shift 2
done
case $nodes in 1 | 4) ;; *) echo "galera: --nodes is 1 or 4" >&2 && exit 64 ;; esac

lib=
for f in /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so /usr/lib/libgalera_smm.so; do
    [ -r "$f" ] && lib=$f && break
done
missing=()
for program in mariadbd:mariadb-server mariadb-install-db:mariadb-server sysbench:sysbench rsync:rsync; do
    PATH=$PATH:/usr/sbin command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
[ -n "$lib" ] || missing+=(galera-4)
[ -x "$bin/quartet-bench" ] || missing+=("$bin/quartet-bench (build it first)")
if [ ${#missing[@]} -gt 0 ]; then
    echo "galera: left out, not installed: $(printf '%s\n' "${missing[@]}" | sort -u | paste -sd, | sed 's/,/, /g')"
    exit 77
fi
PATH=$PATH:/usr/sbin
source "$here/../process/common.sh"
user=$(id -un)
if [ "$user" = root ]; then # who may not own a copy that rsync takes
    user=mysql
    chmod 755 "$tmp"
fi

declare -a port
for ((k = 0; k < nodes; k++)); do port[k]=$(free_port); done
group=()
for ((k = 0; k < nodes; k++)); do group[k]=$(free_port 3); done # its own, incremental transfer, state transfer
members=$(for g in "${group[@]}"; do echo "127.0.0.1:$g"; done | paste -sd,)

start_node() { # K
    local k=$1 dir=$tmp/m$1 wsrep=()
    mkdir -p "$dir"
    [ "$user" = "$(id -un)" ] || chown "$user" "$dir"
    mariadb-install-db --no-defaults --user="$user" --datadir="$dir" --auth-root-authentication-method=normal --skip-test-db >"$tmp/install.log" 2>&1 || die "mariadb-install-db: $(tail -n 3 "$tmp/install.log")"
    printf '%s\n' "CREATE DATABASE IF NOT EXISTS sbtest;" "CREATE USER IF NOT EXISTS sbtest@'127.0.0.1' IDENTIFIED BY 'sbtest';" "GRANT ALL ON *.* TO sbtest@'127.0.0.1';" >"$tmp/init.sql"
    if [ "$nodes" -gt 1 ]; then
        wsrep=(--wsrep-on=ON --wsrep-provider="$lib" --wsrep-cluster-name=bench --wsrep-sst-method=rsync --wsrep-node-name="m$k"
            --wsrep-node-address="127.0.0.1:${group[k]}" --wsrep-sst-receive-address="127.0.0.1:$((group[k] + 2))" --wsrep-slave-threads=4
            --wsrep-provider-options="base_port=${group[k]};gmcast.listen_addr=tcp://127.0.0.1:${group[k]};ist.recv_addr=127.0.0.1:$((group[k] + 1));gcache.size=128M")
        if [ "$k" = 0 ]; then wsrep+=(--wsrep-cluster-address=gcomm:// --init-file="$tmp/init.sql"); else wsrep+=(--wsrep-cluster-address="gcomm://$members"); fi
    else
        wsrep=(--init-file="$tmp/init.sql")
    fi
    mariadbd --no-defaults --user="$user" --datadir="$dir" --socket="$dir/s" --pid-file="$dir/pid" --bind-address=127.0.0.1 --port="${port[k]}" --binlog-format=ROW \
        --default-storage-engine=InnoDB --innodb-autoinc-lock-mode=2 --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=256M --innodb-log-file-size=256M --max-connections=200 \
        --skip-name-resolve "${wsrep[@]}" >"$tmp/m$k.log" 2>&1 &
    started+=("$!")
}
sql() { # K STATEMENT
    mariadb --no-defaults -N -h 127.0.0.1 -P "${port[$1]}" -u sbtest -psbtest -e "$2" 2>/dev/null
}
serves() { # K
    if [ "$nodes" = 1 ]; then [ "$(sql "$1" 'SELECT 1')" = 1 ]; else [ "$(sql "$1" "SHOW STATUS LIKE 'wsrep_local_state_comment'" | cut -f2)" = Synced ]; fi
}
for ((k = 0; k < nodes; k++)); do
    start_node "$k"
    until_ok 90 serves "$k" || die "node $k of the other cluster does not come up"
done
args=(--db-driver=mysql --mysql-host=127.0.0.1 --mysql-port="$(printf '%s\n' "${port[@]}" | paste -sd,)" --mysql-user=sbtest --mysql-password=sbtest --mysql-db=sbtest --table-size="$rows"
    --rand-type=uniform --mysql-ignore-errors=1213,1020,1205,1062 --db-ps-mode=auto)
sysbench oltp_read_write "${args[@]}" --mysql-port="${port[0]}" prepare >"$tmp/prepare.log" 2>&1 || die "sysbench prepare: $(tail -n 5 "$tmp/prepare.log")"

suffix=
[ "$nodes" = 4 ] || suffix=_1
scaled=$(sed -E 's/^(.*)(.)$/\1.\2/; s/^\./0./' <<<"$seconds") # quartet-bench runs ten times its --seconds
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
for ((turn = 0; turn < turns; turn++)); do
    for w in update_non_index write_only read_write; do
        "$bin/quartet-bench" --json --runs 1 --rows $((rows * 100)) --seconds "$scaled" "oltp_$w$suffix" >"$tmp/ours.json" 2>"$tmp/ours.err" || die "quartet-bench: $(tr '\r' '\n' <"$tmp/ours.err" | tail -n 3)"
        sysbench "oltp_$w" "${args[@]}" --threads=32 --time="$seconds" --report-interval=0 run >"$tmp/theirs.log" 2>&1 || die "sysbench: $(tail -n 5 "$tmp/theirs.log")"
        ours=$(grep -o '"quartet": [0-9.e+]*' "$tmp/ours.json" | cut -d' ' -f2)
        again=$(tr '\r' '\n' <"$tmp/ours.err" | grep -o '[0-9.]* % of all' | cut -d' ' -f1)
        theirs=$(sed -n 's/^ *transactions: *[0-9]* *(\([0-9.]*\) per sec.*/\1/p' "$tmp/theirs.log")
        ignored=$(sed -n 's/^ *ignored errors: *[0-9]* *(\([0-9.]*\) per sec.*/\1/p' "$tmp/theirs.log")
        lost=$(awk -v g="$theirs" -v b="$ignored" 'BEGIN {printf "%.2f", (g + b > 0) ? 100 * b / (g + b) : 0}')
        [ -n "$ours" ] && [ -n "$theirs" ] || die "no figures: $(cat "$tmp/ours.json") $(tail -n 20 "$tmp/theirs.log")"
        echo "$ours $theirs $(awk -v a="$ours" -v b="$theirs" 'BEGIN {print a / b}') ${again:-0} $lost" >>"$tmp/$w.turns"
    done
done
[ "$json" = 1 ] && echo "[" || printf '%-18s %12s %12s %8s  %s\n' "$nodes node(s)" quartet "mariadb" ratio "transactions/s, 32 sessions, medians of $turns turns; aborted: quartet, mariadb"
sep=
for w in update_non_index write_only read_write; do
    read -r a b r x y < <(for c in 1 2 3 4 5; do cut -d' ' -f$c "$tmp/$w.turns" | median; done | paste -sd' ')
    if [ "$json" = 1 ]; then
        printf '%s  {"name": "oltp_%s", "nodes": %d, "quartet": %s, "galera": %s, "ratio": %s, "aborted_percent": [%s, %s], "unit": "transactions/s"}' "$sep" "$w" "$nodes" "$a" "$b" "$r" "$x" "$y"
        sep=$',\n'
    else
        printf '%-18s %12.0f %12.0f %8.2f  %s %%, %s %%\n' "$w" "$a" "$b" "$r" "$x" "$y"
    fi
done
[ "$json" = 1 ] && printf '\n]\n'
exit "$failed"
