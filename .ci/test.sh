#!/bin/sh
# Runs the tests: all of them with a coverage floor, or what the arguments name without one.
# REQUIRE_ALL=1: a test that was skipped fails the run.
set -u
cd "$(dirname "$0")/.."
export CHROMIUM="${CHROMIUM-$(.ci/chromium.sh || true)}"

if [ $# -gt 0 ]; then
    .venv/bin/python -m pytest "$@"
else
    .venv/bin/python -m pytest --numprocesses=auto --dist=loadfile --cov --cov-report=term --cov-fail-under=90
fi
status=$?
# 5: no test was selected, which is no failure where the selection was narrowed.
[ $# -gt 0 ] && [ $status -eq 5 ] && exit 0
exit $status
