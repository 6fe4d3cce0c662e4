# common.sh - what ./start and ./check share: packages, presets, messages. Sourced by bash; needs `root` to be set.
# Everything it says goes to stderr, so that the output of the program that is started stays its own.

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

jobs_max() {
    nproc 2>/dev/null || echo 2
}

# Packages of the groups given that are not installed, one a line.
packages_missing() {
    local group name rest
    while read -r group name rest; do
        case " $* " in *" $group "*) ;; *) continue ;; esac
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done < <(grep -v '^#' "$root/cmake/packages.txt")
}

# Install what is missing of the groups given; asks nothing.
install_packages() {
    local missing as_root=() log
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "No apt-get here: taking it that the packages of cmake/packages.txt are installed."
        return 0
    fi
    missing=$(packages_missing "$@" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "These packages are missing: $missing"
            say "Install them, then run this again:"
            say "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
            exit 1
        fi
        as_root=(sudo -n)
    fi
    say "Installing from the system's packages: $missing"
    log=$(mktemp)
    # A list that cannot be refreshed may still do; if not, the installation says so.
    run_apt update >"$log" 2>&1 || say "  apt-get update failed; trying with the lists that are there"
    if ! run_apt install -y --no-install-recommends $missing 2>&1 </dev/null | tee -a "$log" |
        sed -un 's/^\(Get:[0-9]*\) [^ ]* [^ ]* [^ ]* \([^ ]*\) .*/  \1 \2/p; s/^Setting up \([^ ]*\) .*/  ready: \1/p' >&2; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $missing"
    fi
    rm -f "$log"
}

run_apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Write the build files of a preset unless they are there; $2: "always" does it anyhow.
configure_preset() {
    local preset=$1 dir=$root/build/$1
    # A folder that was moved or copied, or made by another generator, cannot be used again.
    if [ -f "$dir/CMakeCache.txt" ] &&
        ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt" &&
            grep -qxF "CMAKE_GENERATOR:INTERNAL=Ninja" "$dir/CMakeCache.txt"; }; then
        rm -rf "$dir"
    fi
    [ "${2:-}" = always ] || [ ! -f "$dir/build.ninja" ] || return 0
    mkdir -p "$dir"
    if ! (cd "$root" && cmake --preset "$preset") >"$dir/configure.log" 2>&1; then
        cat "$dir/configure.log" >&2
        say "error: cmake --preset $preset failed"
        return 1
    fi
}

# Configure and build a preset; a second one that wants the same folder waits for the first. $2 as in configure_preset;
# what follows are targets, all without.
build_preset() {
    local preset=$1
    mkdir -p "$root/build"
    (
        exec 9>"$root/build/.lock-$preset"
        flock 9
        configure_preset "$preset" "${2:-}" || exit 1
        NINJA_STATUS="  [$preset %f/%t, %es] " ninja -C "$root/build/$preset" -k 10 -j "$(jobs_max)" "${@:3}" 9>&- |
            grep --line-buffered -v -e '^ninja: Entering' -e '^ninja: no work to do' -e 'Re-checking globbed' >&2
        exit "${PIPESTATUS[0]}"
    )
}
