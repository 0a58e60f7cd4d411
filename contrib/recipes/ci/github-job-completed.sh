#!/bin/bash
# ACTIONS_RUNNER_HOOK_JOB_COMPLETED of GitHub's runner: what a step has started to last until the end of the job, ends.
rm -f "$RUNNER_TEMP/supervise/job"
