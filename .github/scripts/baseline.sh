#!/usr/bin/env bash
# Which commit should tonight be measured against? NAMED where somebody named one, else PINNED (a
# variable of the repository), else the newest release tag: what users have. Writes `ref=…` to
# GITHUB_OUTPUT; empty, with a warning, where there is none of them.
set -euo pipefail

ref=${NAMED:-${PINNED:-}}
if [ -z "$ref" ]; then
  ref=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
fi
if [ -z "$ref" ]; then
  said="Skipped: there is no baseline. Tag a release (v…), or set this repository's variable BENCHMARK_BASELINE"
  echo "::warning title=Skipped::$said"
  echo "$said" >> "$GITHUB_STEP_SUMMARY"
elif [[ ! $ref =~ ^[A-Za-z0-9_][A-Za-z0-9_./-]*$ ]]; then
  echo "::error title=Baseline::That is no name of a tag, a branch or a commit"
  exit 2
fi
echo "ref=$ref" >> "$GITHUB_OUTPUT"
