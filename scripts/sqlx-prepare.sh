#!/bin/sh
# Usage: private-postgres run -- scripts/sqlx-prepare.sh FOLDER
# Lets sqlx's macros describe every query against the (empty) database DATABASE_URL and save what they learn in FOLDER.
# The macros do so whenever they ask a database and SQLX_OFFLINE_DIR is set, so no sqlx-cli is needed.
set -eu
folder=$1
cd "$(dirname "$0")/.."

for migration in migrations/[0-9]*.sql; do
    psql -X -q -v ON_ERROR_STOP=1 -f "$migration" "$DATABASE_URL"
done

touch crates/store/src/lib.rs # cargo does not know that the database is an input too
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$folder cargo check --locked --quiet --package tableferry-store --all-targets

if [ -z "$(ls "$folder")" ]; then
    echo "sqlx-prepare: the macros saved nothing" >&2
    exit 1
fi
