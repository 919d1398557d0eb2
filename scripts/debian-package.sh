#!/usr/bin/env bash
# Usage: scripts/debian-package.sh PACKAGE SUITE
# Unpacks a program from another release of Debian into target/debian/SUITE/PACKAGE, without installing anything, and
# prints that folder. `files` has the package, `libs` the shared libraries and the loader of that release, with which it
# runs on this machine:
#     libs/ld-linux-….so.N --library-path libs files/usr/sbin/PROGRAM
# apt downloads it, as any user, with a separate configuration: this machine's repositories, for the other suite.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 2 ] || { echo "usage: $0 PACKAGE SUITE" >&2 && exit 2; }
package=$1 suite=$2
to=$PWD/target/debian/$suite/$package

say() { echo "debian-package: $*" >&2; }

if [ -e "$to/complete" ]; then
    echo "$to"
    exit
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    say "$package of $suite must be downloaded with apt, which this machine does not have"
    exit 1
fi

own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
rm -rf "$to"
mkdir -p "$to"/apt/{state/lists/partial,cache/archives/partial} "$to"/{debs,files,libs,all}

# This machine's Debian repositories, each with the name of the other suite: `trixie-updates` for `bookworm-updates`.
apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 'Component: main' 'Origin: Debian' | sort -u |
    sed -n "s,^\([^ ]*\) $own\(-updates\|-security\|\)\$,deb [signed-by=$keyring] \1 $suite\2 main,p" >"$to/apt/sources.list"
if [ ! -s "$to/apt/sources.list" ]; then
    say "apt's sources contain no repository of Debian $own (or apt-get update has never run)"
    exit 1
fi

: >"$to/apt/state/status"
cat >"$to/apt/apt.conf" <<END
Dir::Etc::SourceList "$to/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$to/apt/state";
Dir::State::Status "$to/apt/state/status";
Dir::Cache "$to/apt/cache";
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
END
export APT_CONFIG=$to/apt/apt.conf

say "downloading $package of $suite"
timeout 300 apt-get -qq -o APT::Update::Error-Mode=any update >&2
# The package's libraries, their libraries, and so on: level by level until there are no new ones.
needed=() level=("$package")
while [ ${#level[@]} != 0 ]; do
    below=$(apt-cache depends --important "${level[@]}" | sed -n 's/^[ |]*\(Pre\)\?Depends: \(lib[a-z0-9.+-]*\).*$/\2/p' | sort -u)
    mapfile -t level < <(grep -vxF -f <(printf '%s\n' none "${needed[@]}") <<<"$below" | grep .)
    needed+=("${level[@]}")
done
(cd "$to/debs" && timeout 300 apt-get -qq download "$package" "${needed[@]}" >&2)

dpkg -x "$to/debs/$package"_*.deb "$to/files"
for deb in "$to"/debs/lib*.deb; do
    dpkg -x "$deb" "$to/all"
done
find "$to/all" -path '*/lib/*-linux-gnu/*.so.*' \( -type f -o -type l \) -exec cp -L -t "$to/libs" {} +
ls "$to"/libs/ld-linux*.so.* >/dev/null
rm -rf "$to/apt" "$to/debs" "$to/all"
: >"$to/complete"
echo "$to"
