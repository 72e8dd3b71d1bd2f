#!/usr/bin/env bash
# The records of earlier nights, from the branch where history-push.sh keeps them, into
# RUNNER_TEMP/history. An empty folder on the first night.
set -euo pipefail

history=$RUNNER_TEMP/history
mkdir -p "$history"
if git rev-parse --quiet --verify origin/benchmark-history >/dev/null; then
  git archive origin/benchmark-history | tar -x -C "$history"
  find "$history" -name '*.json' | wc -l | xargs printf '%s nights so far\n'
else
  echo 'The first night: there is no branch benchmark-history yet'
fi
