#!/usr/bin/env bash
# Keep tonight's record: `history-push.sh FOLDER` commits the records in FOLDER to the branch
# benchmark-history and pushes it; the first night makes the branch. A branch and not a cache or an
# artefact, since those are deleted after 7 and 90 days, and drift shows in months. It shares no
# commit with the code, and each night is one commit that adds one file.
#
# Works in a clone of its own. Git gets its password from `gh`, which reads GH_TOKEN: neither a
# process list nor a file of git's ever holds it.
set -euo pipefail

shopt -s nullglob
records=("$1"/*.json)
if [ ${#records[@]} -eq 0 ]; then
  echo 'There is no record of this night'
  exit 0
fi

branch=benchmark-history
remote=$(git remote get-url origin)
helper='!gh auth git-credential'
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT

git init --quiet "$clone"
git -C "$clone" config credential.helper "$helper"
git -C "$clone" config user.name 'github-actions[bot]'
git -C "$clone" config user.email '41898282+github-actions[bot]@users.noreply.github.com'

# Only a second push at the same time makes this fail; the record is then put on top of that.
for _ in 1 2 3; do
  if git -C "$clone" fetch --quiet --depth 1 "$remote" "$branch" 2>/dev/null; then
    git -C "$clone" checkout --quiet --force -B "$branch" FETCH_HEAD
  else
    git -C "$clone" checkout --quiet --orphan "$branch"
  fi
  for record in "${records[@]}"; do
    kept=$clone/$(basename "$record")
    [ -e "$kept" ] || cp "$record" "$kept"
  done
  git -C "$clone" add --all
  if git -C "$clone" diff --cached --quiet; then
    echo 'This night is already kept'
    exit 0
  fi
  git -C "$clone" commit --quiet --message "Add the night $(basename "${records[0]}" .json)"
  if git -C "$clone" push --quiet "$remote" "HEAD:refs/heads/$branch"; then
    exit 0
  fi
done
echo '::error title=History::The record of this night could not be pushed; it is in the artefact'
exit 1
