#!/bin/sh
# Usage: scripts/interop.sh [ARGUMENTS OF PYTEST]
# Tests the service and the simulator with third-party clients: see testing/interop/README.md. Installs missing clients,
# builds the binaries, and runs the checks with a throwaway Postgres. Ends with "N passed, M failed".
set -eu
cd "$(dirname "$0")/.."
work=testing/interop/.work
mkdir -p "$work"

say() { echo "interop: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

missing=
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="python3-venv"
command -v node >/dev/null && command -v npm >/dev/null || missing="$missing nodejs npm"
command -v rclone >/dev/null || missing="$missing rclone"
[ -n "${CHROMIUM:-}" ] || find_chromium >/dev/null || missing="$missing chromium"
missing=${missing# }

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; }; then
        say "missing: $missing (Debian's names), and they cannot be installed without apt-get and root or sudo."
        say "Install them with this system's package manager (CHROMIUM can be the path of a Chromium), and run this again."
        exit 1
    fi
    say "installing $missing"
    as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >&2
    # shellcheck disable=SC2086 # several words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends $missing </dev/null >&2
fi
CHROMIUM=${CHROMIUM:-$(find_chromium)}
export CHROMIUM

# Runs an installation once per state of the files it depends on: `once NAME "STATE" COMMAND…`.
once() {
    name=$1 state=$2
    shift 2
    if [ "$(cat "$work/$name.installed" 2>/dev/null)" != "$state" ]; then
        rm -f "$work/$name.installed"
        say "installing the clients of $name"
        "$@" </dev/null >&2
        echo "$state" >"$work/$name.installed"
    fi
}

install_pypi() {
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    timeout 1200 "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --requirement testing/interop/requirements.txt --constraint testing/interop/constraints.txt
}

install_s3fs() {
    rm -rf "$work/venv-s3fs"
    python3 -m venv "$work/venv-s3fs"
    timeout 600 "$work/venv-s3fs/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --requirement testing/interop/requirements-s3fs.txt
}

install_npm() {
    cp testing/interop/package.json testing/interop/package-lock.json testing/interop/.npmrc "$work/"
    (cd "$work" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier)
}

sum() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# The folder is part of the state, because a virtual environment cannot be moved.
once PyPI "$(sum testing/interop/requirements.txt testing/interop/constraints.txt) $(python3 --version) $PWD" install_pypi
once s3fs "$(sum testing/interop/requirements-s3fs.txt) $(python3 --version) $PWD" install_s3fs
once npm "$(sum testing/interop/package-lock.json)" install_npm

# The same build as for `make test`.
cargo build --locked --quiet --workspace --all-features

PYTHONDONTWRITEBYTECODE=1 cargo run --locked --quiet --package private-postgres -- run -- \
    "$work/venv/bin/python" -m pytest --rootdir testing/interop -c testing/interop/pytest.ini "${@:-testing/interop}" </dev/null
