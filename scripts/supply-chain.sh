#!/bin/sh
# Checks the dependencies against deny.toml: licences, banned crates and duplicate versions, registries. Then checks them
# against the database of known vulnerabilities and yanked versions, if it can be fetched; otherwise prints a warning.
set -eu
cd "$(dirname "$0")/.."
deny=$(scripts/cargo-tool.sh cargo-deny 0.20.2)

"$deny" --locked --workspace check bans licenses sources

if reason=$("$deny" --locked --workspace fetch db 2>&1); then
    "$deny" --locked --workspace check --disable-fetch advisories
else
    echo "supply-chain: NOT CHECKED for known vulnerabilities: the database cannot be fetched:" >&2
    echo "$reason" | tail -n 2 >&2
    # ADVISORIES=required makes this an error, for example before a release.
    [ "${ADVISORIES:-}" != required ] || exit 1
fi
