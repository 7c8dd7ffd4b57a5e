#!/bin/bash
# Scores from trained models, trainings of their own, a few models and other scores: the same bits on 1, 2 and 4 ranks, and
# after a kill; said what is missing before anything is trained.
source "$(dirname "$0")/../lib.sh"

make_job "$job"
cat >"$job" <<END
seed: 7
data: {format: idx, path: $work/data, label_noise: 0.05, validation: 0.1, train_limit: 240}
model: {preset: mlp, hidden: [24, 16]}
train: {epochs: 12, batch: 16, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, precision: f32}
originals: {seeds: 2}
ensemble: {models: 12, ratio: 0.5}
scores:
  - memorization
  - final_loss
  - knn_disagreement
  - {name: knn_disagreement, as: knn_input, value: input, k: 5}
  - prediction_depth
  - {name: holdout_retraining, epochs: 3}
  - {name: ssft, epochs: 3}
  - ensemble_disagreement
  - {name: few_models, models: 2, as: few_2}
  - {name: few_models, models: 4, by: probability, as: few_4}
  - {name: hybrid, of: [knn_input, few_4], as: ranks}
  - {name: hybrid, of: [knn_input, final_loss, ssft], combine: regression, target: few_4, as: fitted}
  - {name: hybrid, of: [screening, few_4], as: mixed}
  - {name: screening, by: knn_input, share: 0.2, models: 2}
END

# scores_of RANKS STUDY
scores_of() {
    expect_code 0 on "$1" "$LEAVEOUT" run "$job" --study "$2"
    expect_silence
    expect_code 0 "$LEAVEOUT" export "$2" scores --format npy --out "$2.npy"
}
say "the same bits on 1, 2 and 4 ranks"
for ranks in 1 2 4; do
    scores_of $ranks "$work/s$ranks"
done
names=0
for file in "$work"/s1.npy/*.npy; do
    names=$((names + 1))
    for ranks in 2 4; do
        cmp "$file" "$work/s$ranks.npy/$(basename "$file")" || fail "$ranks ranks differ in $(basename "$file")"
    done
done
[ $names -ge 15 ] || fail "only $names arrays"

say "what is missing is said before anything is trained"
expect_code 2 "$LEAVEOUT" check "$job" --set data.validation=0
expect_text "$work/err" 'holdout_retraining needs .*data.validation'
expect_code 2 "$LEAVEOUT" check "$job" --set 'scores=[{name: hybrid, of: [confidence]}]'
expect_text "$work/err" 'made from confidence'
expect_code 2 "$LEAVEOUT" check "$job" --set 'scores=[{name: hybrid, of: [memorization], combine: regression}, memorization]'
expect_text "$work/err" 'set target'
expect_code 2 "$LEAVEOUT" check "$job" --set 'scores=[{name: few_models, models: 13}]'
expect_text "$work/err" 'ensemble.models'
expect_code 2 "$LEAVEOUT" check "$job" --set 'scores=[memorization, {name: screening, by: memorization, models: 3}]'
expect_text "$work/err" 'even number'
expect_code 2 "$LEAVEOUT" check "$job" --set 'scores=[{name: hybrid, of: [b], as: a}, {name: hybrid, of: [a], as: b}]'
expect_text "$work/err" 'made of it'
say "done"
