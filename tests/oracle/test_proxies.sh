#!/bin/bash
# Scores from originals: every one against numpy, from the log and the weights that the study keeps (check_proxies.py); that
# planted wrong labels stand out in their orientation; the same bits from 1 to 4 ranks, and from a study that gets its
# scores one after the other; what a job lacks is said before anything is trained; trainings of a score's own outlive
# a kill. About 30 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "$python has no numpy and h5py (Debian: python3-numpy, python3-h5py)"
here=$(cd "$(dirname "$0")" && pwd)
make_job "$job" # its data
from_log='confidence, max_confidence, entropy, binary_accuracy, csl, aum, forgetting, epochs_to_learn, variability, sgal, csg,
    {name: epochs_to_learn, when: first, as: first}, {name: sgal, until: 7, as: sgal7}, {name: csg, until: 7, as: csg7}'
from_weights='loss_sensitivity, {name: loss_sensitivity, over: end, as: sensitivity_end}, {name: loss_curvature, directions: 3},
    {name: loss_curvature, direction: sign, over: end, as: curvature_sign}, vog, {name: vog, normalize: false, as: plain_vog},
    tracin, {name: el2n, epoch: 6, seeds: 2}, {name: grand, epoch: 6, seeds: 2}'
cat >"$job" <<END
seed: 7
data: {format: idx, path: $work/data, label_noise: 0.1, validation: 0.1}
model: {preset: mlp, hidden: [128]}
train:
  epochs: 40
  batch: 32
  optimizer: {name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 5.0e-4}
  schedule: {name: cosine, warmup_epochs: 1}
  label_smoothing: 0.05
  precision: f32
originals: {seeds: 2, checkpoints: [2, 6, 12, 40]}
scores: [$from_log, $from_weights]
END

expect_code 0 study 1 "$work/one"
expect_silence
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$LEAVEOUT_SOURCE/tests/tools "$python" "$here/check_proxies.py" "$work/one" "$work/data" ||
    fail "numpy finds other scores"
say "scores are numpy's"

for ranks in 2 3 4; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_equal "$work/one" "$work/ranks-$ranks"
done
expect_code 0 study 1 "$work/grown" --set 'scores=[confidence]'
expect_code 0 study 2 "$work/grown" --set "scores=[confidence, csl, $from_weights]"
# csg's gradients were not logged: the originals are trained again, to the same bits.
expect_code 0 study 2 "$work/grown"
expect_text "$work/err" 'log lacks what a score needs'
! grep -q 'event=score name=\(confidence\|vog\|tracin\|grand\) ' "$work/out" || fail "a score was computed again"
expect_equal "$work/one" "$work/grown"
expect_code 0 study 1 "$work/grown"
! grep -q 'event=published file=scores.h5' "$work/out" || fail "a finished study was published again"
expect_code 0 "$LEAVEOUT" report "$work/one"
expect_text "$work/one/report.html" '<th scope="row">loss_curvature</th>'
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_code 0 "$LEAVEOUT" export "$work/one" scores --out "$work/scores.csv"
expect_text "$work/scores.csv" '^index,label,label_true,confidence,confidence_standard_error,'
say "1 to 4 ranks agree, and scores one after the other"

# What is missing is said before anything is trained.
refused() {
    local pattern=$1
    shift
    expect_code 2 study 1 "$work/refused" "$@"
    expect_text "$work/err" "$pattern"
    [ ! -d "$work/refused/journal" ] || [ -z "$(ls "$work/refused/journal")" ] || fail "something was trained"
    rm -rf "$work/refused"
}
refused 'confidence needs originals' --set originals=null --set 'scores=[confidence]'
refused 'confidence needs the log .* originals\.log' --set originals.log=false --set 'scores=[confidence]'
refused 'tracin needs .*originals\.checkpoints' --set 'originals.checkpoints=[]' --set 'scores=[tracin]'
refused 'loss_curvature.*originals\.checkpoints.* over: end' --set 'originals.checkpoints=[]' --set 'scores=[loss_curvature]'
refused 'memorization needs an ensemble' --set 'scores=[memorization]'
refused 'holdout_retraining needs .*data\.validation' --set data.validation=0 --set 'scores=[holdout_retraining]'
refused 'el2n: epoch: found 41; allowed: up to train\.epochs, 40' --set 'scores=[{name: el2n, epoch: 41}]'
refused 'confidnce: unknown score; the nearest is confidence' --set 'scores=[confidnce]'
refused 'two scores called csl' --set 'scores=[csl, csl]'

# Scores made elsewhere: by the examples in use, and by those of the source files.
"$python" - "$work" <<'PYTHON' || fail "scores of a file"
import sys
import h5py, numpy as np
work = sys.argv[1]
with h5py.File(work + "/one/scores.h5") as f:
    index = f["/train/index"][:]
    np.save(work + "/use.npy", np.arange(len(index)))
    source = np.full(600, np.nan)
    source[index] = index
    with open(work + "/source.csv", "w") as out:
        print("number,score", file=out)
        for i, value in enumerate(source):
            print(i, value, sep=",", file=out)
    np.save(work + "/short.npy", np.arange(len(index) - 1, dtype=np.float32))
PYTHON
expect_code 0 study 2 "$work/files" --set originals=null \
    --set "scores=[{name: mine, file: $work/use.npy}, {name: theirs, file: $work/source.csv, orientation: small}]"
"$python" - "$work" <<'PYTHON' || fail "scores of a file"
import sys
import h5py, numpy as np
with h5py.File(sys.argv[1] + "/files/scores.h5") as f:
    index = f["/train/index"][:]
    assert (f["/mine/value"][:] == np.arange(len(index))).all() and (f["/theirs/value"][:] == index).all()
    assert f["/mine"].attrs["orientation"] == 1 and f["/theirs"].attrs["orientation"] == -1
PYTHON
expect_code 65 study 1 "$work/refused" --set "scores=[{name: mine, file: $work/short.npy}]"
expect_text "$work/err" 'short\.npy: found 539 numbers; needed are 540, .* at least [56][0-9]*'
say "scores of files"

# Trainings of a score's own outlive a kill of all ranks: none is done twice, and the bits are those of an undisturbed run.
own=(--set originals=null --set 'scores=[{name: grand, epoch: 40, seeds: 16}]')
expect_code 0 study 1 "$work/undisturbed" "${own[@]}"
study 2 "$work/killed" "${own[@]}" >"$work/victim.out" 2>"$work/victim.err" &
victim=$!
some_done() { [ "$(records "$work/killed" DONE 2>/dev/null)" -ge 3 ] || ! kill -0 $victim 2>/dev/null; }
wait_for 60 some_done
launcher=$(children $victim | head -n 1)
# shellcheck disable=SC2046  # one word a process
kill -9 $launcher $(children "${launcher:-$victim}") 2>/dev/null
wait $victim 2>/dev/null
expect_code 0 study 1 "$work/killed" "${own[@]}"
expect_trained_once "$work/killed" 16
expect_equal "$work/undisturbed" "$work/killed"
say "a score's own trainings are resumed"
