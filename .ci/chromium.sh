#!/bin/sh
# Prints the path of a Chromium for the browser tests; as root on Debian installs one where there is none.
set -eu
for name in chromium chromium-browser google-chrome; do
    command -v "$name" && exit 0
done
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation; } >&2
command -v chromium
