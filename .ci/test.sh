#!/bin/sh
# Runs the tests on SQLite, then those that touch a database or start a site once more on PostgreSQL: all of them with a
# coverage floor over both runs, or what the arguments name without one.
# REQUIRE_ALL=1: a test that was skipped fails the run, and so does a missing PostgreSQL.
set -u
cd "$(dirname "$0")/.."
export CHROMIUM="${CHROMIUM-$(.ci/chromium.sh || true)}"
export NODE_TOOLS="${NODE_TOOLS-$(.ci/node_tools.sh || true)}"
unset DATABASE_URL # of a site that may be served from here
postgres=$(.ci/postgres.sh || true)

first='' second=''
if [ $# -eq 0 ]; then
    set -- --numprocesses=auto --dist=loadfile --no-loadscope-reorder --cov
    first='--cov-report=' second='--cov-append --cov-report=term --cov-fail-under=90'
    [ -n "$postgres" ] || first=${second#--cov-append }
    selected=all
fi

passed() {
    # 5: no test was selected, which is no failure where the selection was narrowed.
    [ "$1" -eq 0 ] || { [ "$1" -eq 5 ] && [ -z "${selected-}" ]; }
}

echo "On SQLite"
# shellcheck disable=SC2086
.venv/bin/python -m pytest "$@" $first
on_sqlite=$?
[ $on_sqlite -eq 2 ] && exit 2 # interrupted

if [ -z "$postgres" ]; then
    echo "SKIPPED on PostgreSQL: there is no PostgreSQL 15 or later on this machine. On Debian: apt-get install postgresql" >&2
    [ "${REQUIRE_ALL-}" != 1 ] && passed $on_sqlite
    exit
fi
echo "On PostgreSQL"
# shellcheck disable=SC2086
.venv/bin/python -m tests.postgres .venv/bin/python -m pytest "$@" $second
on_postgres=$?
passed $on_sqlite && passed $on_postgres
