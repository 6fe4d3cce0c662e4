#!/usr/bin/env bash
# test_slt.sh RUNNER - the samples of SQL logic tests in the shared folder, but for one file.
set -u
runner=$1
shared=${QUARTET_SHARED:-}
if [ -z "$shared" ] || [ ! -f "$shared/sqllogictest/sqlite-sample.tar.zst" ]; then
    echo "no shared folder with sqllogictest samples: skipped"
    exit 77
fi
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
for archive in sqlite-sample duckdb-sample; do
    zstd -dc "$shared/sqllogictest/$archive.tar.zst" | tar x -C "$dir" || exit 2
done
# decimal_2975 expects what a double next to the DECIMAL prints as; ours is exact, and the nearest double prints otherwise.
mapfile -t files < <(find "$dir" -name '*.test' | grep -v decimal_2975 | sort)
[ "${#files[@]}" -gt 100 ] || { echo "only ${#files[@]} files found"; exit 2; }
"$runner" "${files[@]}"
