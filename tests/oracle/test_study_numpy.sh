#!/bin/bash
# Small studies of every design, recomputed by check_study.py with numpy from masks, outcomes and the raw files: scores,
# errors, intervals, influence, labels, what the summary and the report say, what is exported. About 15 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "$python has no numpy and h5py (Debian: python3-numpy, python3-h5py)"
here=$(cd "$(dirname "$0")" && pwd)

data=${LEAVEOUT_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
if [ ! -d "$data" ]; then
    data=$work/data
    mkdir "$data"
    "$LEAVEOUT_TOOLS/make_idx" "$data" 2000 800 8 || fail "make_idx"
fi
cat >"$job" <<EOF
seed: 3
data: {format: idx, path: $data, train_limit: 800, test_limit: 300, label_noise: 0.1}
model: {preset: mlp, hidden: [32]}
train:
  epochs: 20
  batch: 32
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}
  schedule: {name: cosine}
ensemble: {models: 20, ratio: 0.7, design: balanced}
scores: [memorization, cscore]
influence: {top: 0}
EOF

# compare NAME OPTION...: the study $work/NAME, whose run wrote $work/NAME.log.
compare() {
    local name=$1 what
    shift
    for what in scores influence models; do
        [ "$what" != influence ] || [ -f "$work/$name/influence.h5" ] || continue
        expect_code 0 "$LEAVEOUT" export "$work/$name" $what
        expect_code 0 "$LEAVEOUT" export "$work/$name" $what --format npy
    done
    "$python" "$here/check_study.py" "$work/$name" "$data" "$work/$name.log" "$@" || fail "study $name"
}

# make NAME RANKS OPTION...
make() {
    local name=$1 ranks=$2
    shift 2
    expect_code 0 study $ranks "$work/$name" "$@"
    mv "$work/out" "$work/$name.log"
}

make whole 2
compare whole noise=0.1 sums=zero

make part 2 --set data.train_limit=797 --set data.test_limit=301 --set ensemble.models=23 --set influence.top=9
compare part noise=0.1

# Nine models at random: some examples are in all of them and have no score.
make random 1 --set data.validation=0.1 --set ensemble.design=random --set ensemble.models=9
compare random noise=0.1 sums=free

make random-top 1 --set ensemble.design=random --set ensemble.models=9 --set influence.top=900 --set influence.errors=false \
    --set data.label_noise=0 --set data.test_limit=30
compare random-top

# Each tenth of the first study's examples, by its number in the source files.
left=$(awk -F, 'NR % 100 == 2 { printf "%s%s", sep, $1; sep = ", " }' "$work/whole/export/scores.csv")
sed -i -e "s/^ensemble:.*/ensemble: {design: leave_one_out, examples: [$left], seeds: 3}/" "$job"
make loo 2
compare loo noise=0.1

# The comparison can fail: one flipped outcome is noticed.
"$python" - "$work/whole/ensemble.h5" <<'EOF' || fail "cannot damage a copy"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["train/correct"][3, 5] ^= 1
EOF
"$python" "$here/check_study.py" "$work/whole" "$data" "$work/whole.log" noise=0.1 >"$work/out" 2>&1 &&
    fail "a flipped outcome goes unnoticed"
say "a flipped outcome is noticed: $(tail -n 1 "$work/out")"
