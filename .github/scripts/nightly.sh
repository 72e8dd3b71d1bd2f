#!/usr/bin/env bash
# Measure a night against BASELINE, with BUDGET seconds where it is set. Reads and adds to
# RUNNER_TEMP/history; puts what is worth keeping into RUNNER_TEMP/night: record.json, summary.md,
# digest.md, digest.json, history.html. Writes `code=…` to GITHUB_OUTPUT, as `phasegate nightly`
# ended: 0 nothing moved, 1 something did, 3 the night does not count. Fails only on 2, a wrong call.
#
# Not by `make nightly`, which installs the same and calls the same: make ends with 2 whatever the
# code of its command was.
set -euo pipefail

history=$RUNNER_TEMP/history
night=$RUNNER_TEMP/night
mkdir -p "$history" "$night"
began=$(mktemp)

options=(--baseline "$BASELINE" --history "$history")
[ -z "${BUDGET:-}" ] || options+=(--budget "$BUDGET")
code=0
.venv/bin/phasegate nightly "${options[@]}" || code=$?
echo "code=$code" >> "$GITHUB_OUTPUT"
case $code in
  0 | 1) ;;
  3)
    said='This night does not count, since it could not be measured fairly; the log says why'
    echo "::warning title=Nightly::$said"
    echo "$said." >> "$GITHUB_STEP_SUMMARY"
    ;;
  *) exit "$code" ;;
esac
