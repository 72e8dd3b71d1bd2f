#!/usr/bin/env bash
# Are the secrets here that a job needs? `secrets.sh any|all NAME…`; each NAME is an environment
# variable that the workflow filled from a secret. Writes `ready=true|false` to GITHUB_OUTPUT. What
# is missing is named in the summary and as a warning: a job that did nothing must not look as if
# it had found everything well.
set -euo pipefail

wanted=$1
shift
missing=()
for name in "$@"; do
  [ -n "${!name:-}" ] || missing+=("$name")
done

if [ ${#missing[@]} -eq 0 ] || { [ "$wanted" = any ] && [ ${#missing[@]} -lt $# ]; }; then
  echo 'ready=true' >> "$GITHUB_OUTPUT"
else
  echo 'ready=false' >> "$GITHUB_OUTPUT"
  said="Skipped: not set among this repository's secrets: ${missing[*]}"
  echo "::warning title=Skipped::$said"
  echo "$said" >> "$GITHUB_STEP_SUMMARY"
fi
