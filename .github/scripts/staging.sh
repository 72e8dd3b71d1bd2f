#!/usr/bin/env bash
# Drive the staging project. With no USERS: `phasegate gate`, at the upper bound of phase PHASE, which
# ends in a verdict. With USERS: a trial of that many by `phasegate load`, which ends in how that one stage went.
# Either sends no more than BUDGET requests, reads only, and ends as its program does: 0 holds, 1 does
# not, 2 wrong call, 3 not measured fairly. Records and pages go to RUNNER_TEMP/staging.
set -euo pipefail

refuse() {
  echo "::error title=Load test::$1. No request was sent"
  exit 2
}
[ -n "${SUPABASE_URL:-}" ] || refuse 'SUPABASE_URL is not set among the secrets of the environment staging'
# It becomes an argument, which every process of the machine may read.
[[ $SUPABASE_URL != *@* ]] || refuse 'SUPABASE_URL holds an @: a user name or password is not sent, so leave it out'
[[ $PHASE =~ ^[234]$ ]] || refuse 'The phase is 2, 3 or 4'
[[ $BUDGET =~ ^[0-9]+$ ]] || refuse 'The budget is a number of requests'
[[ $USERS =~ ^([0-9]+k?)?$ ]] || refuse 'The users are a number, as 5000 or 5k'

results=$RUNNER_TEMP/staging
said=$RUNNER_TEMP/said
mkdir -p "$results"
code=0
if [ -z "$USERS" ]; then
  title="Phase $PHASE"
  options=(--to "$PHASE" --host "$SUPABASE_URL" --request-budget "$BUDGET" --duration "$DURATION_S")
  [ -z "${COMPUTE:-}" ] || options+=(--compute "$COMPUTE")
  phasegate gate "${options[@]}" --results "$results" | tee "$said" || code=$?
else
  title="A trial of $USERS users"
  # As a gate does: a phase is driven on the level of its number, later ones on the last level.
  levels=$(grep -c '^ *\[\[levels\]\]' "$PHASEGATE_PROJECT/phasegate.toml")
  phasegate load --host "$SUPABASE_URL" --stages "$USERS" --duration "$DURATION_S" \
    --level "$((PHASE < levels ? PHASE : levels))" --request-budget "$BUDGET" --out "$results/load" 2>&1 | tee "$RUNNER_TEMP/log" || code=$?
  # One line a stage, behind what Locust's log puts before each.
  sed -n 's/.*phasegate\.load: //p' "$RUNNER_TEMP/log" > "$said"
fi
{
  echo "### $title"
  echo '```'
  cat "$said"
  echo '```'
} >> "$GITHUB_STEP_SUMMARY"
exit "$code"
