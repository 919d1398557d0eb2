#!/bin/sh
# Usage: scripts/setup.sh [test]
# Installs the missing Debian packages that the project needs: Postgres's server programs, a C compiler and git; with
# `test` also PgBouncer, nginx and HAProxy, which only tests use. If it cannot install something, it says what to do. If
# nothing is missing, it takes no time.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

has_postgres() {
    for initdb in "${POSTGRES_BIN_DIR:-/nonexistent}"/initdb /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && command -v psql >/dev/null && return
    done
    command -v initdb >/dev/null && command -v psql >/dev/null
}

has_pgbouncer() {
    [ -x "${TABLEFERRY_TEST_PGBOUNCER:-/usr/sbin/pgbouncer}" ]
}

has_nginx() {
    [ -x /usr/sbin/nginx ] && [ -r /etc/nginx/nginx.conf ]
}

has_haproxy() {
    [ -x /usr/sbin/haproxy ] && [ -r /etc/haproxy/haproxy.cfg ]
}

has_c_compiler() {
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' | cc -x c -fsyntax-only - 2>/dev/null
}

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's postgresql creates and starts a machine-wide server when it is installed. This project only needs the
# programs, so this is turned off for this one installation.
without_main_cluster() {
    folder=/etc/postgresql-common/createcluster.d
    setting=$folder/tableferry-setup.conf
    as_root mkdir -p "$folder"
    echo "create_main_cluster = false" | as_root tee "$setting" >/dev/null
    status=0
    "$@" || status=$?
    as_root rm -f "$setting"
    return "$status"
}

# Debian's pgbouncer, nginx and haproxy start a service when they are installed and at every boot. Tests start their own,
# so policy-rc.d forbids the start during this installation, and the services are disabled afterwards.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy= # keep an existing policy; services that it allowed to start are stopped below
    else
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    status=0
    "$@" || status=$?
    [ -z "$policy" ] || as_root rm -f "$policy"
    for service in $services; do
        if [ "$status" = 0 ] && [ -d /run/systemd/system ]; then
            as_root systemctl --quiet disable --now "$service" >&2 || status=$?
        elif [ "$status" = 0 ]; then
            ! command -v systemctl >/dev/null || as_root systemctl --quiet disable "$service" 2>/dev/null || status=$?
            as_root update-rc.d "$service" disable >&2 || status=$?
        fi
    done
    return "$status"
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "$@" </dev/null >&2
}

missing=
has_c_compiler || missing="gcc libc6-dev"
has_postgres || missing="$missing postgresql"
command -v git >/dev/null || missing="$missing git"
services=
if [ "${1:-}" = test ]; then
    has_pgbouncer || services="$services pgbouncer"
    has_nginx || services="$services nginx"
    has_haproxy || services="$services haproxy"
fi
missing="$missing$services"
missing=${missing# }

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        say "missing: $missing (Debian's names), and there is no apt-get: install them with this system's package manager,"
        say "put initdb and psql on PATH or set POSTGRES_BIN_DIR to their folder, set TABLEFERRY_TEST_PGBOUNCER"
        say "to PgBouncer's program if it is missing, and run this again."
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "missing: $missing. This user is not root and sudo is not installed; run as root: apt-get install $missing"
        exit 1
    fi
    say "installing $missing"
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >&2
    quietly=without_main_cluster
    [ -z "$services" ] || quietly="without_services $quietly"
    # shellcheck disable=SC2086 # several words
    $quietly apt_install $missing
    if ! has_c_compiler || ! has_postgres; then
        say "$missing is installed, but a C compiler, initdb or psql still cannot be found"
        exit 1
    fi
fi

needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! version=$(cargo --version 2>/dev/null); then
    say "cargo is missing, or the toolchain in rust-toolchain.toml is not installed."
    say "Install Rust $needed or newer, preferably with rustup, and run this again."
    exit 1
fi
version=${version#cargo }
version=${version%% *}
if [ "$(printf '%s\n%s\n' "$needed" "$version" | sort -V | head -n 1)" != "$needed" ]; then
    say "cargo is $version, but the project needs $needed or newer: run 'rustup update', and then this again."
    exit 1
fi
