#!/bin/bash
# Submitting, joining, stopping and cancelling under Slurm. About 70 s.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
slurm_begin
make_reference

# expect_all_worked STUDY ATTEMPTS: as many attempts have a journal with a model in it.
expect_all_worked() {
    local attempts
    attempts=$(find "$1/journal" -name '*.jnl' -size +8k -printf '%f\n' | cut -d- -f2 | sort -u | wc -l)
    [ "$attempts" -eq "$2" ] || fail "$1: $attempts attempts trained models, not $2"
}

say "a dry run submits nothing"
text=$("$program" submit "$work/job.yaml" --study "$work/dry" --nodes 2 --ntasks-per-node 2 --time 10 --dry-run)
[[ $text == '#!/bin/bash'* ]] || fail "the dry run prints no script"
[[ $text == *"sbatch --parsable --nodes=2 --ntasks-per-node=2 --time=10 "*"$work/dry"* ]] || fail "no sbatch line"
bash -n <(echo "$text") || fail "the script does not parse"
[ ! -e "$work/dry" ] || fail "the dry run made a study"
[ -z "$(squeue -h)" ] || fail "the dry run submitted"

say "a job on two nodes"
submit "$work/plain"
expect_completed "$job" 90
[ "$(field "$job" NumNodes)" = 2 ] || fail "not on two nodes"
[ "$(find "$work/plain/journal" -name '*.jnl' | wc -l)" = 4 ] || fail "not four ranks with a journal each"
expect_reference "$work/plain"
submit "$work/plain"
expect_completed "$job" 30
expect_reference "$work/plain"

say "two jobs on one study; a third that does not ask to join is refused, and not queued again"
submit "$work/joined" --nodes 1
wait_models "$work/joined" 2
first=$job
submit "$work/joined" --nodes 1 --join
second=$job
submit "$work/joined" --nodes 1 --ntasks-per-node 1
wait_end "$job" 30
[ "$end $(field "$job" ExitCode) $(field "$job" Restarts)" = "FAILED 75:0 0" ] ||
    fail "a job that did not ask to join: $end $(field "$job" ExitCode), restarts $(field "$job" Restarts)"
grep -q "attempt 1 works on this study (job $first, host n" "$work/joined/log/slurm-$job.log" ||
    fail "it does not say who works there"
expect_completed "$first" 90
expect_completed "$second" 90
expect_all_worked "$work/joined" 2
expect_reference "$work/joined"

say "the tasks of a job array share one study"
submit "$work/array" --nodes 1 --array 0-1
for _ in $(seq 90); do
    [ -z "$(squeue -h)" ] && break
    sleep 1
done
[ "$(scontrol -o show job "$job" | grep -c "ArrayJobId=$job .*JobState=COMPLETED")" = 2 ] ||
    fail "the tasks of the array: $(scontrol -o show job "$job" | grep -o 'JobState=[A-Z]*' | tr '\n' ' ')"
expect_all_worked "$work/array" 2
expect_reference "$work/array"

say "a wrong job fails at once"
sed 's/epochs: [0-9]*/epochs: many/' "$work/job.yaml" >"$work/wrong.yaml"
"$program" submit "$work/wrong.yaml" --study "$work/wrong" 2>"$work/wrong.err" && fail "submit took a wrong job"
grep -q 'epochs' "$work/wrong.err" || fail "submit does not say what is wrong"
mkdir -p "$work/wrong/log"
job=$(sbatch --parsable --nodes=1 --output="$work/wrong/log/slurm-%j.log" --export="ALL,LEAVEOUT=$program" \
    "$LEAVEOUT_SOURCE/slurm/leaveout.sbatch" "$work/wrong.yaml" "$work/wrong" 9>&-)
wait_end "$job" 30
[ "$end $(field "$job" ExitCode) $(field "$job" Restarts)" = "FAILED 2:0 0" ] ||
    fail "a wrong job: $end $(field "$job" ExitCode), restarts $(field "$job" Restarts)"
grep -q 'epochs' "$work/wrong/log/slurm-$job.log" || fail "the log does not say what is wrong"
