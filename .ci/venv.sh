#!/bin/sh
# Makes .venv and installs the named requirement files into it: .ci/venv.sh base [scale] [dev]
# Does nothing where they are installed already. POSIX sh, no GNU tools: runs on Linux and macOS.
set -eu
cd "$(dirname "$0")/.."

find_python() {
    without_venv=
    # An entry of PATH may be a stub that does not run, so each is tried.
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            if "$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then
                echo "$name"
                return
            fi
            without_venv=$name
        fi
    done
    if [ -n "$without_venv" ]; then
        echo "$without_venv has no venv module. On Debian or Ubuntu: apt-get install $without_venv-venv" >&2
    else
        echo "Python 3.11 or later is needed; found: $(python3 --version 2>&1 || echo none). See https://www.python.org/downloads/" >&2
    fi
    return 1
}

# Without pip: a venv whose making was interrupted.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf .venv
    "$python" -m venv .venv
fi

# PostgreSQL's driver, where the database is one.
database=${DATABASE_URL:-$(sed -n "s/^DATABASE_URL=[\"']*//p" .env 2>/dev/null || true)}
case "$database" in
    postgres*) set -- "$@" scale ;;
esac

for name in "$@"; do
    file=requirements/$name.txt
    sum=$(cksum <"$file")
    [ "$(cat ".venv/installed-$name" 2>/dev/null || true)" = "$sum" ] && continue
    echo "Installing $file ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$file"
    echo "$sum" >".venv/installed-$name"
done
