#!/usr/bin/env bash
# `phasegate health`, its table in the summary too. Annotations are its own lines (::error …). Ends
# as it does: 0 well, 1 something is not, 2 the secrets are wrong.
set -euo pipefail

code=0
said=$(phasegate health 2>&1) || code=$?
echo "$said"
{
  echo '### Health'
  echo '```'
  grep -v '^::' <<< "$said" || true
  echo '```'
} >> "$GITHUB_STEP_SUMMARY"
exit "$code"
