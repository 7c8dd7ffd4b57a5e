#!/bin/bash
# The study of scores: the same statistics on 1 and 3 ranks; against numpy and scipy; made again when it must be, and not
# otherwise.
source "$(dirname "$0")/../lib.sh"
/usr/bin/python3 -c 'import h5py, scipy' 2>/dev/null || skip "no python3-h5py or python3-scipy"

make_job "$job"
/usr/bin/python3 -c "import random; random.seed(4); [print(random.random()) for i in range(360)]" >"$work/numbers.txt"
cat >"$job" <<END
seed: 7
data: {format: idx, path: $work/data, label_noise: 0.05, validation: 0.1, train_limit: 400}
model: {preset: mlp, hidden: [32, 16]}
train: {epochs: 20, batch: 16, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, precision: f32}
originals: {seeds: 2}
ensemble: {models: 48, ratio: 0.5}
scores:
  - memorization
  - cscore
  - confidence
  - {name: knn_disagreement, as: knn_input, value: input, k: 5}
  - {name: ssft, epochs: 4}
  - ensemble_disagreement
  - {name: few_models, models: 2, as: few_2}
  - {name: few_models, models: 4, as: few_4}
  - {name: few_models, models: 8, as: few_8}
  - {name: few_models, models: 2, by: probability, as: few_2p}
  - {name: few_models, models: 8, by: probability, as: few_8p}
  - {name: hybrid, of: [confidence, few_4], as: ranks}
  - {name: hybrid, of: [confidence, knn_input], combine: regression, target: few_4, as: fitted}
  - {name: screening, by: confidence, share: 0.1, models: 2}
  - {name: memorization, by: probability, as: by_probability}
  - {name: csg, until: 10}
  - {name: sgal, until: 5}
  - {name: hybrid, of: [csg], as: early}
  - {name: told, file: $work/numbers.txt, cost: 3}
  - {name: untold, file: $work/numbers.txt}
  - {name: secret, file: $work/numbers.txt, cost: 0, uses_ensemble: true}
scaling: {resamples: 400, budgets: [0.5, 1, 2, 4]}
END
expect_code 0 "$LEAVEOUT" run "$job" --study "$work/one"
expect_silence
expect_text "$work/out" 'event=published file=scaling.h5 scores=24'
expect_no_text "$work/out" 'is not computed'

say "against numpy and scipy"
/usr/bin/python3 "$LEAVEOUT_SOURCE/tests/oracle/check_scaling.py" "$work/one" >"$work/out" 2>&1 || fail "check_scaling.py"

say "again, and on three ranks: nothing is made twice, and statistics are the same bits"
expect_code 0 "$LEAVEOUT" run "$job" --study "$work/one"
expect_no_text "$work/out" 'file=scaling.h5'
expect_code 0 "$LEAVEOUT" export "$work/one" scaling
cp "$work/one/export/scaling.csv" "$work/one.csv"
rm "$work/one/scaling.h5"
expect_code 0 on 3 "$LEAVEOUT" run "$job" --study "$work/one"
expect_code 0 "$LEAVEOUT" export "$work/one" scaling
cmp "$work/one.csv" "$work/one/export/scaling.csv" || fail "three ranks say something else"
expect_code 0 "$LEAVEOUT" run "$job" --study "$work/one" --set scaling.group=11
expect_text "$work/out" 'event=published file=scaling.h5'
expect_code 2 "$LEAVEOUT" export "$work/one" scaling --format npy

say "scores of a version that kept no values of every original: nothing is lost, and there is no row of one"
/usr/bin/python3 - "$work/one/scores.h5" <<'END'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    del f["knn_input/originals"], f.attrs["digest"]
END
expect_code 0 "$LEAVEOUT" report "$work/one"
expect_text "$work/out" 'event=published file=scores.h5'
expect_text "$work/out" 'event=published file=scaling.h5 scores=23'
/usr/bin/python3 - "$work/one/scores.h5" <<'END' || fail "scores are lost"
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    sys.exit(not ("knn_input/value" in f and "confidence/originals" in f and "knn_input/originals" not in f))
END

say "what it takes is planned, and grows with the resamples"
planned() {
  expect_code 0 "$LEAVEOUT" plan "$job" --set "scaling.resamples=$1"
  expect_text "$work/out" '^stage=scaling'
  sed -n 's/^stage=scaling.* core_hours=\([0-9.]*\).*/\1/p' "$work/out" | head -1
}
awk -v few="$(planned 100)" -v many="$(planned 1000000)" 'BEGIN { exit !(many > 10 * few && many > 0) }' || fail "scaling is planned with fewer core-hours"

say "what is wrong is said before anything is trained"
expect_code 2 "$LEAVEOUT" check "$job" --set 'scaling.scores=[confidense]'
expect_text "$work/err" "confidense.*nearest: confidence"
expect_code 2 "$LEAVEOUT" check "$job" --set 'scaling.scores=[memorization]'
expect_text "$work/err" 'memorization is what the others are compared with'
expect_code 2 "$LEAVEOUT" check "$job" --set ensemble=null --set 'scores=[confidence]'
expect_text "$work/err" 'section ensemble'
expect_code 2 "$LEAVEOUT" check "$job" --set ensemble.models=11
expect_text "$work/err" 'set ensemble.models to 12'
expect_code 0 "$LEAVEOUT" run "$job" --study "$work/part" --models 0:3
expect_code 0 "$LEAVEOUT" report "$work/part"
expect_no_text "$work/out" 'file=scaling.h5'
say "done"
