#!/usr/bin/env bash
# Install phasegate, and put it on the PATH of later steps. Where PHASEGATE_PACKAGE names a release
# (in pip's words: phasegate==1.2.3), that one into an environment of its own, with the packages that are
# locked beside this script; else this checkout's.
set -euo pipefail

home=$PWD/.venv
if [ -z "$PHASEGATE_PACKAGE" ]; then
  make setup
else
  home=$RUNNER_TEMP/phasegate
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --require-hashes -r "$(dirname "$0")/requirements.lock"
  "$home/bin/pip" install --quiet --no-deps "$PHASEGATE_PACKAGE"
fi
echo "$home/bin" >> "$GITHUB_PATH"
