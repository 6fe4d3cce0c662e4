# check_steps.sh - the steps of ./check: each runs one thing, shows it, counts it, and says how long it took.
# Sourced by ./check after common.sh. A step that fails does not stop those that do not need it.

logs=$root/build/check
passed=0
failed=0
skipped=0
builds=0
failures=()
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

fail_step() {
    failed=$((failed + 1))
    failures+=("$1")
    say "FAILED: $1"
}

find_shared() {
    if [ -z "${QUARTET_SHARED:-}" ] && [ -d "$root/../shared" ]; then
        QUARTET_SHARED=$(cd "$root/../shared" && pwd)
    fi
    if [ -n "${QUARTET_SHARED:-}" ] && [ -d "$QUARTET_SHARED" ]; then
        export QUARTET_SHARED
        return
    fi
    unset QUARTET_SHARED
    if [ "${CI:-}" = true ]; then
        fail_step "no shared folder beside the project, and CI must not skip the tests that need it"
    else
        say "No shared folder beside the project (QUARTET_SHARED): tests that need it are skipped."
    fi
}

# step_build PRESET [TARGETS...]
step_build() {
    local start=$SECONDS
    builds=$((builds + 1))
    say "== build $1"
    if build_preset "$1" always "${@:2}"; then
        passed=$((passed + 1))
        say "== build $1: passed, $((SECONDS - start)) s"
        return 0
    fi
    fail_step "build $1"
    return 1
}

# Each line of ctest's report that ends a test -> "passed NAME", "skipped NAME" or "failed NAME".
ctest_results() {
    sed -nE \
        -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.* +Passed +[0-9.]+ sec.*/passed \1/p; t' \
        -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.*\*\*\*Skipped.*/skipped \1/p; t' \
        -e 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*/failed \1/p' "$1"
}

# step_tests PRESET CTEST_ARGS...: the tests of that build that ctest selects by its arguments.
step_tests() {
    local preset=$1 start=$SECONDS log=$logs/ctest-$1.log run=() rc p f s name
    shift
    # ThreadSanitizer of gcc 12 cannot live with as much address randomization as newer kernels have.
    if [ "$preset" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        run=(setarch "$(uname -m)" -R)
    fi
    say "== tests $preset"
    (cd "$root/build/$preset" &&
        "${run[@]}" ctest --output-on-failure --timeout 300 -j "$(jobs_max)" "$@" </dev/null 2>&1) | tee "$log"
    rc=${PIPESTATUS[0]}
    ctest_results "$log" >"$log.results"
    p=$(grep -c '^passed ' "$log.results")
    f=$(grep -c '^failed ' "$log.results")
    s=$(grep -c '^skipped ' "$log.results")
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    while read -r name; do
        failures+=("$preset: $name")
    done < <(sed -n 's/^failed //p' "$log.results")
    while read -r name; do
        say "SKIPPED: $preset: $name (what it needs is not here; see $log)"
        if [ "${CI:-}" = true ]; then
            fail_step "$preset: $name was skipped, which CI does not allow"
        fi
    done < <(sed -n 's/^skipped //p' "$log.results")
    if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
        fail_step "tests $preset: ctest ended with status $rc, see $log"
    fi
    say "== tests $preset: $p passed, $f failed, $s skipped, $((SECONDS - start)) s"
}

# lint_files NAME COMMAND... -- FILES: the command once for each file, as many at a time as there are cores.
lint_files() {
    local name=$1 start=$SECONDS log=$logs/lint-$1.log command=()
    shift
    while [ "$1" != -- ]; do
        command+=("$1")
        shift
    done
    shift
    say "== lint $name: $# files"
    if printf '%s\0' "$@" | xargs -0 -n 1 -P "$(jobs_max)" "${command[@]}" >"$log" 2>&1; then
        passed=$((passed + 1))
    else
        grep -E 'warning:|error:' "$log" | sort -u >&2
        fail_step "lint $name, see $log"
    fi
    say "== lint $name: $((SECONDS - start)) s"
}

step_lint() {
    shopt -s nullglob
    # The parser that Lemon generates must be there to be included.
    step_build debug || return
    lint_files clang-tidy clang-tidy --quiet -p "$root/build/debug" -- "$root"/{base,parser,crdt,net,engine,shell}/*.c
    # Interprocedural, per file; on the layers that read bytes of strangers.
    lint_files fanalyzer gcc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -fanalyzer -Werror -fno-strict-aliasing \
        -I"$root" -I"$root/include" -c -o /dev/null -- "$root"/{base,crdt,net}/*.c
}

finish() {
    local name
    for name in "${failures[@]}"; do
        say "failed: $name"
    done
    [ "$skipped" -eq 0 ] || say "$skipped skipped"
    say "$SECONDS s in all"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}
