#!/bin/sh
# Holds what is built in against deny.toml: licences, banned crates and second versions, registries. Then against the database of known
# vulnerabilities and yanked versions, if it can be fetched; if not, that is said, and nothing is concluded from it.
set -eu
cd "$(dirname "$0")/.."
deny=$(scripts/cargo-tool.sh cargo-deny 0.20.2)

"$deny" --locked --workspace check bans licenses sources

if reason=$("$deny" --locked --workspace fetch db 2>&1); then
    "$deny" --locked --workspace check --disable-fetch advisories
else
    echo "supply-chain: NOT CHECKED for known vulnerabilities: the database cannot be fetched:" >&2
    echo "$reason" | tail -n 2 >&2
    # Where it must be checked, such as before a release.
    [ "${ADVISORIES:-}" != required ] || exit 1
fi
