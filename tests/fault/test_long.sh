#!/bin/bash
# Trainings that outlast their job: stopped, killed after a checkpoint, out of time before one is finished. Each goes on
# from where it was saved, on another number of ranks too; every model is finished once and has the bits of an undisturbed
# run. Damaged checkpoints and those of another training are warned of and not used. About NNN seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
long=(--set train.epochs=${EPOCHS:-6000} --set ensemble.models=4)

expect_code 0 study 2 "$work/undisturbed" "${long[@]}"
expect_no_text "$work/out" 'saved=[1-9]'
checkpoints() { find "$1/checkpoints" -name '*.ckpt' | wc -l; }
[ -z "$(ls "$work/undisturbed/checkpoints")" ] || fail "short trainings left checkpoints"

# finish STUDY RANKS...: runs it again and again with the environment $with, on 1, 2, 3, 1 ... ranks, until it is complete;
# sets $attempts to how often. An attempt may end with 75 or be killed.
finish() {
    local directory=$1 code=1
    shift
    attempts=0
    until [ $code -eq 0 ]; do
        attempts=$((attempts + 1))
        [ $attempts -le 30 ] || fail "$directory: not complete after 30 attempts"
        code=0
        env "$(with)" "$@" 
    done
}
