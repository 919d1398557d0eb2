#!/bin/sh
# Usage: scripts/generate.sh write|check
# What is committed and made from the code: .sqlx (what the database says about each query) and the OpenAPI document, in openapi/, in
# 3.1 and in 3.0. `write` makes them anew; `check` fails if that would change them. Both work on copies first, so
# a failure changes nothing.
set -eu
mode=${1:-}
case $mode in write | check) ;; *) echo "usage: $0 write|check" >&2 && exit 2 ;; esac
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

# Writes or compares one of them.
settle() {
    if [ "$mode" = check ]; then
        if ! diff -r "$1" "$fresh/$1" >&2; then
            echo "$1 is not what the code makes: run 'make generate' and commit the result" >&2
            exit 1
        fi
    else
        rm -rf "$1"
        mkdir -p "$(dirname "$1")"
        cp -R "$fresh/$1" "$1"
    fi
}

mkdir "$fresh/.sqlx" "$fresh/openapi"
cargo run --locked --quiet --package private-postgres -- run -- scripts/sqlx-prepare.sh "$fresh/.sqlx"
settle .sqlx # before the next step, which is compiled with it

# The whole workspace, as tests and lints build it: the features of dependencies, and so their builds, are the same.
cargo build --locked --quiet --workspace --all-features
"${CARGO_TARGET_DIR:-target}/debug/tableferry" openapi >"$fresh/openapi/openapi.json"
"${CARGO_TARGET_DIR:-target}/debug/tableferry" openapi --openapi-version 3.0 >"$fresh/openapi/openapi-3.0.json"
settle openapi
