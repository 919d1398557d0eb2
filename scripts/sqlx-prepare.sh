#!/bin/sh
# Usage: private-postgres run -- scripts/sqlx-prepare.sh FOLDER
# Lets sqlx's macros describe every query with the (empty) database in DATABASE_URL and save the descriptions in FOLDER.
# The macros save them whenever they use a database and SQLX_OFFLINE_DIR is set, so sqlx-cli is not needed.
set -eu
folder=$1
cd "$(dirname "$0")/.."

for migration in migrations/[0-9]*.sql; do
    psql -X -q -v ON_ERROR_STOP=1 -f "$migration" "$DATABASE_URL"
done

touch crates/store/src/lib.rs # cargo does not know that the database is an input
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$folder cargo check --locked --quiet --package tableferry-store --all-targets

if [ -z "$(ls "$folder")" ]; then
    echo "sqlx-prepare: the macros saved nothing" >&2
    exit 1
fi
