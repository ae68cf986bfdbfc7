#!/bin/sh
# Prints the directory of PostgreSQL's programs, version 15 or later; as root on Debian installs it where there is none.
# Prints nothing where there is none to be had.
set -eu

find_programs() {
    for directory in \
        $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5,5rn) \
        "$(pg_config --bindir 2>/dev/null || true)" \
        $(ls -d /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin 2>/dev/null | sort -r) \
        /usr/pgsql-*/bin; do
        # "postgres (PostgreSQL) 15.14 (Debian ...)"; pg_config alone may come with a client library.
        version=$("$directory/postgres" --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/') || true
        if [ "${version:-0}" -ge 15 ] && [ -x "$directory/initdb" ]; then
            echo "$directory"
            return
        fi
    done
    return 1
}

find_programs && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
{
    # Debian's package makes a cluster and starts it, which nobody here asked for.
    config=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$config" ]; then
        mkdir -p "$(dirname "$config")"
        echo "create_main_cluster = false" >"$config"
    fi
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql
} >&2
find_programs || true
