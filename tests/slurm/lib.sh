# For the tests under Slurm: a cluster of four nodes on this machine, a small job, and what its study must hold.
# Source it; then slurm_begin, tests, and the end of the script takes the cluster down, whatever happened.
# shellcheck shell=bash
set -euo pipefail

MODELS=40
program=${LEAVEOUT:?names the program under test}
cluster=${LEAVEOUT_SLURM_CLUSTER:-$LEAVEOUT_SOURCE/../shared/tools/slurm-cluster}
state=${SLURM_CLUSTER_DIR:-/var/lib/slurm-cluster}

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*" >&2
    for file in "$work"/*/log/slurm-*.log "$work"/*/log/requeue.log; do
        [ -e "$file" ] && { echo "--- $file" && tail -n 40 "$file"; } >&2
    done
    exit 1
}

say() {
    echo "$(date +%T) $*"
}

# The kernel keeps a network for minutes where a connection of it was cut off with something left to send: its links
# would be in the way of the next cluster.
take_down() {
    local link
    "$cluster" down >/dev/null 2>&1 9>&- || true
    for link in /sys/class/net/scv*; do
        ip link del "${link##*/}" 2>/dev/null || true
    done
}

# Four idle nodes; a second and a third try, for what the last cluster may have left.
bring_up() {
    local i
    for i in 1 2 3; do
        "$cluster" up 4 >"$work/up.log" 2>&1 9>&- && [ "$(sinfo -h -t idle -o %D)" = 4 ] && return 0
        echo "try $i: $(tail -n 1 "$work/up.log")"
        take_down
        sleep 1
    done
    fail "the cluster does not start"
}

clean_up() {
    local code=$?
    trap - EXIT
    take_down
    rm -f "$state/leaveout-test"
    if [ $code -eq 0 ] || [ -z "${LEAVEOUT_KEEP_TESTS:-}" ]; then
        rm -rf "$work"
    fi
    exit $code
}

# A cluster of four nodes; skips where there can be none. Studies lie in $work, which all nodes see: a node's /tmp is
# its own.
slurm_begin() {
    local tool
    [ "$(id -u)" = 0 ] || skip "a Slurm cluster needs root"
    [ -x "$cluster" ] || skip "no tool to start a Slurm cluster (LEAVEOUT_SLURM_CLUSTER)"
    for tool in slurmctld slurmd munged sbatch srun scontrol ip nsenter unshare h5dump flock; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    unshare --net --mount --uts --pid --fork true 2>/dev/null || skip "no namespaces of one's own here"
    [ -d /usr/share/datasets/fashion-mnist ] || skip "dataset-fashion-mnist is not installed"
    mkdir -p "$state"
    exec 9>"$state.lock"
    flock -w 900 9 || skip "another test holds the cluster"
    if ip link show scbr >/dev/null 2>&1; then
        [ -e "$state/leaveout-test" ] || skip "a cluster that is not this test's is up"
        take_down # left by a test that was killed
    fi
    work=$(mktemp -d "$PWD/slurm-XXXXXX")
    trap clean_up EXIT
    trap 'exit 1' INT TERM
    touch "$state/leaveout-test"
    # Job numbers begin at 1 again: what the nodes kept of the last cluster's jobs would be in their way.
    rm -rf /var/spool/slurmd.n[1-4]
    # The daemons must not hold the lock when this test is over, nor hand on what it was told by the one before it.
    unset "${!SLURM_@}" "${!LEAVEOUT_FAULT@}" PMIX_MCA_psec
    export SLURM_CONF=$state/slurm.conf
    bring_up
    write_job "$work/job.yaml"
}

# 40 models of about half a second each.
write_job() {
    cat >"$1" <<JOB
seed: 3
data: {format: idx, path: /usr/share/datasets/fashion-mnist, train_limit: 2000, test_limit: 500, label_noise: 0.05}
model: {preset: mlp, hidden: [64]}
train: {epochs: ${EPOCHS:-80}, batch: 64, optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}}
ensemble: {design: balanced, models: $MODELS, ratio: 0.7}
scores: [memorization, cscore]
influence: {top: 0}
JOB
}

# The undisturbed bits: one rank, no cluster. Kept for the next test of this program; the lock is held.
make_reference() {
    reference=$PWD/slurm-reference
    [ "$reference/report.html" -nt "$program" ] && cmp -s "$work/job.yaml" "$reference/of.yaml" && return
    rm -rf "$reference"
    "$program" run "$work/job.yaml" --study "$reference" >"$work/reference.log" 2>&1 ||
        fail "the reference: $(tail -n 3 "$work/reference.log")"
    cp "$work/job.yaml" "$reference/of.yaml"
}

# submit STUDY [OPTION ...]: sets $job to the id that the last line names.
submit() {
    local study=$1 last
    shift
    last=$("$program" submit "$work/job.yaml" --study "$study" --nodes 2 --ntasks-per-node 2 --time 10 "$@" 9>&- |
        tail -n 1)
    [[ $last =~ ^job=([0-9]+)$ ]] || fail "submit ended with '$last', not with job=ID"
    job=${BASH_REMATCH[1]}
    say "job $job submitted"
}

# field JOB NAME: of scontrol's description.
field() {
    scontrol -o show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1
}

# Number of models the study holds.
finished() {
    "$program" status "$1" 2>/dev/null | sed -n 's/^stage=ensemble done=\([0-9]*\) .*/\1/p'
}

# wait_models STUDY COUNT: until the study holds as many.
wait_models() {
    local i
    for i in $(seq 300); do
        [ "$(finished "$1" || true)" -ge "$2" ] 2>/dev/null && return 0
        sleep 0.2
    done
    fail "$1 does not get $2 models in $((i / 5)) s"
}

# wait_end JOB SECONDS: until it has ended for good; sets $end to its state. Slurm holds a requeued job for two minutes;
# this skips the hold, but for the few seconds in which its nodes still refuse the job's number.
wait_end() {
    local held=0 i
    for i in $(seq "$2"); do
        end=$(field "$1" JobState)
        case $end in
        RUNNING | COMPLETING | CONFIGURING) held=0 ;;
        PENDING | REQUEUED | REQUEUE_HOLD)
            held=$((held + 1))
            if [ $((held % 5)) -eq 0 ]; then
                scontrol update job="$1" starttime=now 2>/dev/null || true
            fi
            ;;
        *) return 0 ;;
        esac
        sleep 1
    done
    fail "job $1 is $end after $i s"
}

expect_completed() {
    wait_end "$1" "$2"
    [ "$end" = COMPLETED ] || fail "job $1 ended as $end, code $(field "$1" ExitCode)"
    say "job $1 completed, restarts: $(field "$1" Restarts)"
}

dump() {
    h5dump -d "$2" -b NATIVE -o "$3" "$1" >/dev/null || fail "$1 has no $2"
}

# The study is complete, holds the reference's bits, and no model was trained twice.
expect_reference() {
    local study=$1 line name file data
    line=$("$program" verify "$study") || fail "verify $study: $line"
    [[ $line == *" records=$MODELS "*" damaged=0 "*complete=yes* ]] ||
        fail "$study: expected $MODELS records, each model trained once; found: $line"
    for name in scores.h5:/memorization/value scores.h5:/memorization/standard_error scores.h5:/cscore/value \
        influence.h5:/contrast ensemble.h5:/mask ensemble.h5:/train/correct ensemble.h5:/train/logit \
        ensemble.h5:/test/logit; do
        file=${name%%:*} data=${name#*:}
        dump "$reference/$file" "$data" "$work/expected.bin"
        dump "$study/$file" "$data" "$work/found.bin"
        [ -s "$work/expected.bin" ] || fail "nothing in $name"
        cmp -s "$work/expected.bin" "$work/found.bin" || fail "$study: $name has other bits than the reference"
    done
    [ -s "$study/report.html" ] || fail "$study: no report"
    say "$(basename "$study"): the reference's bits, each model trained once"
}
