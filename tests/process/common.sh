# common.sh - what scripts that start processes share; they source it. It gives them
#   $tmp      a directory that is removed at the end
#   started   processes that are killed at the end, besides those in the background: started+=("$!")
#   failed    1 after a fail; the script's exit status
# shellcheck shell=bash disable=SC2034
tmp=$(mktemp -d)
failed=0
started=()

at_end() { :; } # a script may say what else is to be undone
cleanup() {
    local pid
    for pid in "${started[@]}" $(jobs -p); do
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    at_end
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() { # WHAT...: the script goes on
    echo "FAILED: $*"
    failed=1
}
die() { # WHAT...: what follows would fail for the same reason
    fail "$@"
    tail -n 15 "$tmp"/*.log 2>/dev/null | cut -c1-300
    exit 1
}
pause() { # SECONDS, between two looks at something, never to wait for it
    read -r -t "$1" <> <(:)
}
until_ok() { # SECONDS COMMAND...: try until it succeeds
    local end=$(($(date +%s%3N) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(date +%s%3N)" -lt "$end" ] || return 1
        pause 0.05
    done
    return 0
}
# free_port [COUNT]: a port of loopback where nobody listens, the first of COUNT in a row; none is given twice. They lie outside
# the kernel's range for outgoing connections, for a port of that range may be some client's when the node comes to listen on it.
free_port() {
    local count=${1:-1} low port i
    read -r low _ </proc/sys/net/ipv4/ip_local_port_range || low=32768
    [ "$low" -gt 12000 ] || low=60000
    while :; do
        port=$((10000 + SRANDOM % (low - 10000 - count)))
        for ((i = 0; i < count; i++)); do
            grep -qx $((port + i)) "$tmp/ports" 2>/dev/null && continue 2
            (: </dev/tcp/127.0.0.1/$((port + i))) 2>/dev/null && continue 2
        done
        for ((i = 0; i < count; i++)); do echo $((port + i)); done >>"$tmp/ports"
        echo "$port"
        return
    done
}

# ---- of a cluster that $bin's programs serve ----
ask() { # URL SQL: its rows, or the error
    timeout 60 "$bin/quartet" "$1" --format list -c "$2" 2>&1
}
answers() { # URL SQL WHAT
    [ "$(ask "$1" "$2")" = "$3" ]
}
only() { # URL ADDRESS: the URL of the one node there
    sed "s|@[^/]*/|@$2/|" <<<"$1"
}
address() { # URL N: the N-th address in it, from 1
    sed -n 's/.*@\([^/]*\).*/\1/p' <<<"$1" | cut -d, -f"$2"
}

# ---- of a cluster in $tmp/c, made by `quartetd init` ----
declare -A node # process by slot, or by directory where that has another name
start() { # SLOT [DIRECTORY]
    "$bin/quartetd" --dir "$tmp/c/${2:-$1}" --die-with-parent >>"$tmp/${2:-$1}.log" 2>&1 &
    node[${2:-$1}]=$!
    started+=("$!")
}
give() { # SLOT: the new membership to one running node
    cp "$tmp/c/member.qm" "$tmp/c/$1/keys/member.qm.new" && mv "$tmp/c/$1/keys/member.qm.new" "$tmp/c/$1/keys/member.qm" && kill -HUP "${node[$1]}"
}
member() { "$bin/quartetd" member "$tmp/c" "$@" >"$tmp/member" 2>&1 || die "member $*: $(cat "$tmp/member")"; }
