# shellcheck shell=bash
# What the shell tests share; each sources it first. Under ctest the environment names the program (LEAVEOUT), the
# source (LEAVEOUT_SOURCE) and the test programs (LEAVEOUT_TOOLS). $work is a directory of the test's own.
set -u
: "${LEAVEOUT:?the program to test}" "${LEAVEOUT_TOOLS:?the folder of make_idx, compare_studies, journal_records}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export PMIX_MCA_psec=native OMP_WAIT_POLICY=passive
# A second run on one machine is no cluster job.
unset SLURM_JOB_ID SLURM_ARRAY_TASK_ID SLURM_RESTART_COUNT LEAVEOUT_END_TIME LEAVEOUT_FAULT LEAVEOUT_ISA

work=$(mktemp -d)
job=$work/job.yaml
mounted=()
clean_up() {
    local it
    for it in $(jobs -p); do
        kill -9 "$it" 2>/dev/null
    done
    wait 2>/dev/null
    for it in ${mounted[@]+"${mounted[@]}"}; do
        umount "$it" 2>/dev/null
    done
    rm -rf "$work"
}
trap clean_up EXIT

say() { echo "$(date +%T) $*"; }
skip() {
    echo "skipped: $*"
    exit 77
}
fail() {
    echo "FAILED: $*"
    local file
    for file in "$work/out" "$work/err"; do
        if [ -s "$file" ]; then
            echo "--- $(basename "$file")"
            tail -n 25 "$file"
        fi
    done
    exit 1
}

# on RANKS COMMAND...: under mpirun, one rank without it.
on() {
    local count=$1
    shift
    if [ "$count" -eq 1 ]; then
        "$@"
    else
        mpirun --oversubscribe -n "$count" "$@"
    fi
}

# expect_code CODE COMMAND...: its exit code; output goes to $work/out and $work/err.
expect_code() {
    local wanted=$1 code=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -eq "$wanted" ] || fail "exit code $code, not $wanted: $*"
}

# expect_text FILE EXTENDED_REGEX / expect_no_text
expect_text() { grep -Eq -- "$2" "$1" || fail "no '$2' in $1: $(tail -n 15 "$1")"; }
expect_no_text() { ! grep -Eq -- "$2" "$1" || fail "'$2' in $1: $(grep -Em 3 -- "$2" "$1")"; }
expect_silence() { [ ! -s "$work/err" ] || fail "something on standard error"; }

# make_job FILE: a small job on made-up images (600 for training, 200 for testing, 8 x 8); a model takes 10 ms.
make_job() {
    if [ ! -d "$work/data" ]; then
        mkdir "$work/data"
        "$LEAVEOUT_TOOLS/make_idx" "$work/data" 600 200 8 || fail "make_idx"
    fi
    cat >"$1" <<END
seed: 7
data: {format: idx, path: $work/data, label_noise: 0.05}
model: {preset: mlp, hidden: [32]}
train:
  epochs: 4
  batch: 64
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}
  schedule: {name: cosine}
ensemble: {models: 20, ratio: 0.7, design: balanced}
scores: [memorization, cscore]
influence: {top: 0}
END
}

# study RANKS DIR OPTION...: runs $job.
study() {
    local count=$1 directory=$2
    shift 2
    on "$count" "$LEAVEOUT" run "$job" --study "$directory" "$@"
}

expect_equal() {
    "$LEAVEOUT_TOOLS/compare_studies" "$1" "$2" >"$work/difference" ||
        fail "$2 differs from $1: $(cat "$work/difference")"
}

# records STUDY KIND: how many records of a kind its journals hold.
records() { "$LEAVEOUT_TOOLS/journal_records" "$1" | awk -v kind="$2" '$2 == kind' | wc -l; }

# expect_trained_once STUDY MODELS: one DONE record for every model.
expect_trained_once() {
    "$LEAVEOUT_TOOLS/journal_records" "$1" | awk -v models="$2" '
        $2 == "DONE" { if (done[$3]++) { print $3 " was finished twice"; bad = 1 } else n++ }
        END { if (n != models) { print n + 0 " models are finished, not " models; bad = 1 }; exit bad }' >"$work/difference" ||
        fail "$1: $(cat "$work/difference")"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local tries=$(($1 * 50))
    shift
    while ! "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# children PID: the processes it started, one a line.
children() { cat "/proc/$1"/task/*/children 2>/dev/null | tr ' ' '\n' | sed '/^$/d'; }
