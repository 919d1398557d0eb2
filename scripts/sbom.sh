#!/bin/sh
# Usage: scripts/sbom.sh [FOLDER]
# Writes what the service is made of, as it is built for production, to FOLDER/tableferry.cdx.json (target/sbom unless given): CycloneDX
# 1.5, with the checksum and licence of each crate. The same commit gives the same file. TARGET is the platform.
set -eu
cd "$(dirname "$0")/.."
tool=$(scripts/cargo-tool.sh cargo-cyclonedx 0.5.9)
target=${TARGET:-x86_64-unknown-linux-gnu}
to=${1:-target/sbom}

# cargo-cyclonedx writes beside each Cargo.toml, so it works on a copy of what says which crates there are.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# shellcheck disable=SC2046 # several words, some of them patterns
members=$(echo $(sed -n 's/^members = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '",'))
[ -n "$members" ] || { echo "sbom: Cargo.toml names no members" >&2; exit 1; }
for place in . $members; do
    mkdir -p "$copy/$place"
    cp "$place/Cargo.toml" "$copy/$place/"
    for folder in src tests benches; do
        [ ! -d "$place/$folder" ] || cp -R "$place/$folder" "$copy/$place/"
    done
done
cp Cargo.lock build.rs "$copy/"

# Time is that of the commit; outside a checkout, of nothing.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
cp "$copy/Cargo.lock" "$copy/Cargo.lock.before"
"$tool" cyclonedx -q --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 --target "$target" --override-filename tableferry.cdx
cmp -s "$copy/Cargo.lock" "$copy/Cargo.lock.before" || { echo "sbom: Cargo.lock does not fit the manifests" >&2; exit 1; }

mkdir -p "$to"
sed "s#path+file://$copy#path+file:///tableferry#g" "$copy/tableferry.cdx.json" >"$to/tableferry.cdx.json"

# What is in it, by what must be and what must not.
grep -q '"pkg:cargo/aws-sdk-dynamodb@' "$to/tableferry.cdx.json" || { echo "sbom: the AWS SDK is missing" >&2; exit 1; }
if grep -q -e "$copy" -e 'tableferry-simulator' "$to/tableferry.cdx.json"; then
    echo "sbom: it names a folder of this machine, or a crate that production builds do not have" >&2
    exit 1
fi
echo "sbom: $(grep -c '"bom-ref": "registry' "$to/tableferry.cdx.json") crates, in $to/tableferry.cdx.json"
