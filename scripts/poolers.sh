#!/usr/bin/env bash
# Usage: scripts/poolers.sh [ARGUMENTS OF THE TESTS]
# Runs the tests behind PgBouncer (tests/it/poolers.rs) with two of its versions, on a throwaway Postgres: the installed
# version, and the version in a newer release of Debian (PGBOUNCER_SUITE), which runs with its own C library. Each run
# prints the version.
set -euo pipefail
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true
newer=$(scripts/debian-package.sh pgbouncer "${PGBOUNCER_SUITE:-trixie}")

tests=(cargo test --locked --workspace --all-features --test it -- poolers "$@")
cargo test --locked --workspace --all-features --test it --no-run

run() {
    echo "poolers: $("${PGBOUNCER[@]}" --version | head -n 1)"
    "${CARGO_TARGET_DIR:-target}/debug/private-postgres" run -- "${tests[@]}" </dev/null
}

export TABLEFERRY_TEST_PGBOUNCER=${TABLEFERRY_TEST_PGBOUNCER:-/usr/sbin/pgbouncer}
PGBOUNCER=("$TABLEFERRY_TEST_PGBOUNCER")
failed=0
run || failed=1 # run the other version even so

export TABLEFERRY_TEST_PGBOUNCER=$newer/files/usr/sbin/pgbouncer TABLEFERRY_TEST_PGBOUNCER_LIBS=$newer/libs
PGBOUNCER=("$(echo "$newer"/libs/ld-linux*.so.*)" --library-path "$newer/libs" "$TABLEFERRY_TEST_PGBOUNCER")
run || failed=1
exit "$failed"
