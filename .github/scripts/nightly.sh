#!/usr/bin/env bash
# Measure a night against BASELINE, for BUDGET seconds where that is set. Reads and adds to
# RUNNER_TEMP/history; puts what is worth keeping into RUNNER_TEMP/night: history/ with the new record,
# summary.md, digest.md, digest.json and history.html. Writes `code=…` to GITHUB_OUTPUT, as `phasegate nightly`
# ended: 0 nothing moved, 1 something did, 3 the night does not count. Fails on 2, a wrong call.
#
# Not by `make nightly`, which calls the same: make ends with 2 whatever its command ended with.
set -euo pipefail
shopt -s nullglob

history=$RUNNER_TEMP/history
night=$RUNNER_TEMP/night
mkdir -p "$history" "$night/history"
before=$(ls "$history")

options=(--baseline "$BASELINE" --history "$history")
[ -z "${BUDGET:-}" ] || options+=(--budget "$BUDGET")
code=0
phasegate nightly "${options[@]}" || code=$?
[[ $code =~ ^[013]$ ]] || exit "$code"
echo "code=$code" >> "$GITHUB_OUTPUT"
if [ "$code" = 3 ]; then
  echo '::warning title=Nightly::This night does not count: it could not be measured fairly'
fi

for path in "$history"/*.json; do
  name=$(basename "$path")
  grep -qxF "$name" <<< "$before" || cp "$path" "$night/history/"
done
if [ -z "$(ls "$night/history")" ]; then
  echo 'This night left no record; the log says why.' >> "$GITHUB_STEP_SUMMARY"
  exit 0
fi
phasegate digest --history "$history" > "$night/digest.md"
phasegate digest --history "$history" --json > "$night/digest.json"
phasegate history --history "$history" --page > /dev/null
mv "$RUNNER_TEMP/history.html" "$RUNNER_TEMP/nightly/summary.md" "$night/"
cat "$night/summary.md" >> "$GITHUB_STEP_SUMMARY"
