#!/bin/sh
# Usage: scripts/generate.sh write|check
# Generates the committed files that are derived from the code: .sqlx (the database's description of each query),
# docs/schema.sql, and the OpenAPI document in openapi/, as version 3.1 and 3.0. `write` replaces the files; `check` fails
# if that would change them. Both work on copies first, so a failure changes nothing.
set -eu
mode=${1:-}
case $mode in write | check) ;; *) echo "usage: $0 write|check" >&2 && exit 2 ;; esac
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

# Writes or compares one folder.
settle() {
    if [ "$mode" = check ]; then
        if ! diff -r "$1" "$fresh/$1" >&2; then
            echo "$1 is out of date: run 'make generate' and commit the result" >&2
            exit 1
        fi
    else
        rm -rf "$1"
        mkdir -p "$(dirname "$1")"
        cp -R "$fresh/$1" "$1"
    fi
}

mkdir "$fresh/.sqlx" "$fresh/docs" "$fresh/openapi"
# shellcheck disable=SC2016 # for the inner shell
cargo run --locked --quiet --package private-postgres -- run -- \
    sh -c 'scripts/sqlx-prepare.sh "$1/.sqlx" && scripts/schema.sh "$1/docs/schema.sql"' sh "$fresh"
settle .sqlx # before the next step, which compiles with it

schema=docs/schema.sql
if [ "$mode" = check ] && [ "$(head -n 1 "$schema")" != "$(head -n 1 "$fresh/$schema")" ]; then
    echo "$schema is not checked: another major version of Postgres made it" >&2
else
    settle "$schema"
fi

# The whole workspace, as tests and lints build it, so that the dependencies have the same features and builds.
cargo build --locked --quiet --workspace --all-features
"${CARGO_TARGET_DIR:-target}/debug/tableferry" openapi >"$fresh/openapi/openapi.json"
"${CARGO_TARGET_DIR:-target}/debug/tableferry" openapi --openapi-version 3.0 >"$fresh/openapi/openapi-3.0.json"
settle openapi
