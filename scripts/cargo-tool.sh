#!/bin/sh
# Usage: scripts/cargo-tool.sh NAME VERSION
# Builds a program from cargo's registry into target/tools, once per version, and prints its path. It is a debug build,
# because these programs run for seconds and a release build takes minutes longer.
set -eu
cd "$(dirname "$0")/.."
name=$1 version=$2
program=$PWD/target/tools/bin/$name
list=target/tools/.crates.toml
if [ ! -x "$program" ] || ! grep -q "^\"$name $version " "$list" 2>/dev/null; then
    echo "tools: building $name $version" >&2
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --force --version "$version" --root target/tools \
        --target-dir "target/tools/build" "$name" </dev/null >&2
    rm -rf target/tools/build
fi
echo "$program"
