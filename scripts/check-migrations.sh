#!/bin/sh
# Usage: scripts/check-migrations.sh [--add]
# A released migration must never change, because databases have already run it. migrations/CHECKSUMS has the checksum
# of each; lines are only ever added to it. This script fails if a file and its line differ or one of them is missing,
# or, if git knows the upstream branch, if a line of that branch was removed. `--add` adds the lines of new files.
set -eu
cd "$(dirname "$0")/../migrations"
[ -e CHECKSUMS ] || [ "${1:-}" != --add ] || : >CHECKSUMS
failed=0

complain() {
    echo "migrations: $*" >&2
    failed=1
}

for file in *.sql; do
    line=$(sha256sum "$file")
    known=$(grep "  $file\$" CHECKSUMS 2>/dev/null || true)
    if [ "$line" = "$known" ]; then
        continue
    elif [ -n "$known" ]; then
        complain "$file was changed. Undo that and write a new migration. Only if it has never left this branch:" \
            "delete its line from migrations/CHECKSUMS and run 'make generate'."
    elif [ "${1:-}" = --add ]; then
        echo "$line" >>CHECKSUMS
    else
        complain "$file is new: run 'make generate' and commit migrations/CHECKSUMS."
    fi
done

[ -e CHECKSUMS ] || exit "$failed"
while read -r _ file; do
    [ -e "$file" ] || complain "$file was removed, but it has been released: restore it."
done <CHECKSUMS

if base=$(git merge-base HEAD '@{upstream}' 2>/dev/null) && git cat-file -e "$base:./CHECKSUMS" 2>/dev/null; then
    gone=$(git show "$base:./CHECKSUMS" | grep -vxFf CHECKSUMS || true)
    [ -z "$gone" ] || complain "these lines of CHECKSUMS were changed or removed since $base:
$gone"
fi
exit "$failed"
