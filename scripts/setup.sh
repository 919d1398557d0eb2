#!/bin/sh
# Usage: scripts/setup.sh [test]
# Installs what the project needs and the machine lacks: Postgres's server programs, a C compiler and git, from Debian's
# packages; with `test`, PgBouncer, nginx and HAProxy too, which only tests use. Says what to do about what it cannot install. Where
# everything is there, it takes no time.
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

# Debian's postgresql makes and starts a server for the whole machine when it is installed. This project needs the
# programs only, so that is turned off, for this one installation.
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

# Debian's pgbouncer, nginx and haproxy start a service when they are installed, now and whenever the machine starts. Tests start their own, so
# that is forbidden for this one installation, by the file that Debian asks, and taken back for later.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        policy= # there is a rule here already: left alone, and what it let start is stopped below
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
        say "missing: $missing (Debian's names), and there is no apt-get: install them by this system's own means,"
        say "put initdb and psql on PATH or name their folder in POSTGRES_BIN_DIR, name PgBouncer's program in"
        say "TABLEFERRY_TEST_PGBOUNCER if it is missing, and run this again."
        exit 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "missing: $missing. Neither root nor sudo here; let somebody who may run: apt-get install $missing"
        exit 1
    fi
    say "installing $missing"
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >&2
    quietly=without_main_cluster
    [ -z "$services" ] || quietly="without_services $quietly"
    # shellcheck disable=SC2086 # several words
    $quietly apt_install $missing
    if ! has_c_compiler || ! has_postgres; then
        say "$missing is installed, and still a C compiler, initdb or psql is not to be found"
        exit 1
    fi
fi

needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! version=$(cargo --version 2>/dev/null); then
    say "cargo is missing, or does not have the toolchain that rust-toolchain.toml names."
    say "Install Rust $needed or newer, best with rustup, and run this again."
    exit 1
fi
version=${version#cargo }
version=${version%% *}
if [ "$(printf '%s\n%s\n' "$needed" "$version" | sort -V | head -n 1)" != "$needed" ]; then
    say "cargo is $version, but the project needs $needed or newer: run 'rustup update', and this again."
    exit 1
fi
