#!/usr/bin/env bash
# Install phasegate, and put it on the PATH of later steps. Where PHASEGATE_PACKAGE names one
# (in pip's words: phasegate==1.2.3, the address of a wheel, git+https://…@COMMIT), that one into an
# environment of its own, with the packages that are locked beside this script; else this checkout's.
set -euo pipefail

home=$PWD/.venv
if [ -z "$PHASEGATE_PACKAGE" ]; then
  make setup
else
  home=$RUNNER_TEMP/phasegate
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --require-hashes -r "$(dirname "$0")/requirements.lock"
  if ! "$home/bin/pip" install --quiet --no-deps "$PHASEGATE_PACKAGE"; then
    echo "::error title=phasegate is not installed::pip does not find '$PHASEGATE_PACKAGE'. Set PHASEGATE_PACKAGE, \
at the top of this workflow, to a release that pip's index has, to the address of a wheel (https://…/phasegate-…whl), \
or to a commit (git+https://…/phasegate@COMMIT)"
    exit 1
  fi
fi
echo "$home/bin" >> "$GITHUB_PATH"
