#!/bin/sh
# Prints the directory of what only npm has (tests/tools/package.json), installed; as root on Debian installs Node.js where
# there is none. Prints nothing where it is not to be had.
set -eu
cd "$(dirname "$0")/../tests/tools"
if ! command -v npm >/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; } >&2
fi
sum=$(cksum <package-lock.json)
if [ "$(cat node_modules/installed 2>/dev/null || true)" != "$sum" ]; then
    npm ci --ignore-scripts --no-audit --no-fund --silent >&2
    echo "$sum" >node_modules/installed
fi
cd node_modules && pwd
