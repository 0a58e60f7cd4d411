#!/bin/bash
# ACTIONS_RUNNER_HOOK_JOB_STARTED of GitHub's runner: the steps of the job find supervise-step as bash and sh.
set -eu
dir=$RUNNER_TEMP/supervise
mkdir -p "$dir/bin"
for shell in bash sh; do
	ln -sf "$(dirname "$0")/supervise-step" "$dir/bin/$shell"
done
: >"$dir/job"
echo "$dir/bin" >>"$GITHUB_PATH"
echo "SUPERVISE_JOB=$dir/job" >>"$GITHUB_ENV"
