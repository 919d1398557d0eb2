#!/bin/sh
# Usage: scripts/sbom.sh [FOLDER]
# Writes the bill of materials of the service's production build to FOLDER/tableferry.cdx.json (default: target/sbom), as
# CycloneDX 1.5 with the checksum and licence of each crate. The output is reproducible per commit. TARGET is the platform.
set -eu
cd "$(dirname "$0")/.."
tool=$(scripts/cargo-tool.sh cargo-cyclonedx 0.5.9)
target=${TARGET:-x86_64-unknown-linux-gnu}
to=${1:-target/sbom}

# cargo-cyclonedx writes next to each Cargo.toml, so it runs on a copy of the manifests and sources.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# shellcheck disable=SC2046 # unquoted, so that the shell expands patterns such as crates/*
members=$(echo $(sed -n 's/^members = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '",'))
[ -n "$members" ] || { echo "sbom: no members found in Cargo.toml" >&2; exit 1; }
for member in . $members; do
    [ -f "$member/Cargo.toml" ] || { echo "sbom: the member $member has no Cargo.toml" >&2; exit 1; }
    mkdir -p "$copy/$member"
    for part in Cargo.toml build.rs src tests; do
        [ ! -e "$member/$part" ] || cp -R "$member/$part" "$copy/$member/"
    done
done
cp Cargo.lock "$copy/"

# The time is the commit's; without git it is 0.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
cp "$copy/Cargo.lock" "$copy/Cargo.lock.before"
"$tool" cyclonedx -q --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 --target "$target" --override-filename tableferry.cdx
cmp -s "$copy/Cargo.lock" "$copy/Cargo.lock.before" || { echo "sbom: Cargo.lock does not match the manifests" >&2; exit 1; }

mkdir -p "$to"
sed "s#path+file://$copy#path+file:///tableferry#g" "$copy/tableferry.cdx.json" >"$to/tableferry.cdx.json"

# Check the content.
grep -q '"pkg:cargo/aws-sdk-dynamodb@' "$to/tableferry.cdx.json" || { echo "sbom: the AWS SDK is missing" >&2; exit 1; }
if grep -q -e "$copy" -e 'tableferry-simulator' "$to/tableferry.cdx.json"; then
    echo "sbom: it contains a path of this machine, or a crate that is not in production builds" >&2
    exit 1
fi
echo "sbom: $(grep -c '"bom-ref": "registry' "$to/tableferry.cdx.json") crates, in $to/tableferry.cdx.json"
