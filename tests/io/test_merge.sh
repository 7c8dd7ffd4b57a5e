#!/bin/bash
# Parts of an ensemble, trained apart and merged, are the ensemble trained at once: bit for bit, with kept weights, originals
# and checkpoints; overlapping models must be equal; what cannot be merged is named. About 20 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e 's/^ensemble:.*/ensemble: {models: 20, ratio: 0.7, keep_models: 3}/' -e 's/^  batch:.*/&\n  precision: f32/' "$job"
merge() { on 1 "$LEAVEOUT" merge "$@"; }

expect_code 0 study 2 "$work/whole"
expect_code 0 study 1 "$work/a" --models 0:8
expect_silence
expect_no_text "$work/out" 'report=|file=scores.h5'
expect_trained_once "$work/a" 8
expect_code 0 study 2 "$work/b" --models 8:20
expect_code 0 study 1 "$work/c" --models 5:12
"$LEAVEOUT_TOOLS/journal_records" "$work/b" | awk '$2 == "DONE" { sub("task=", "", $3); print $3 }' | sort -n | tr '\n' ' ' >"$work/numbers"
expect_text "$work/numbers" '^8 9 10 11 12 13 14 15 16 17 18 19 $'
expect_code 75 "$LEAVEOUT" verify "$work/b"
expect_code 0 study 1 "$work/b" --models 8:20 # nothing to do
expect_trained_once "$work/b" 12

expect_code 0 merge "$work/a" "$work/b" "$work/c" --into "$work/merged"
expect_silence
expect_text "$work/out" "event=merged stage=ensemble from=$work/a done=8 taken=8"
expect_text "$work/out" "event=merged stage=ensemble from=$work/c done=7 taken=0"
expect_equal "$work/whole" "$work/merged"
expect_trained_once "$work/merged" 20
expect_code 0 "$LEAVEOUT" verify "$work/merged"
for model in 0 1 2; do
    cmp "$work/whole/models/$model.safetensors" "$work/merged/models/$model.safetensors" || fail "weights of model $model"
done
expect_code 0 study 2 "$work/merged"
expect_trained_once "$work/merged" 20
sum=$(sha256sum "$work"/merged/*.h5)
expect_code 0 merge "$work/c" "$work/b" --into "$work/merged"
expect_text "$work/out" "from=$work/b done=12 taken=0"
[ "$sum" = "$(sha256sum "$work"/merged/*.h5)" ] || fail "merging what is there wrote files anew"
expect_code 0 on 3 "$LEAVEOUT" merge "$work/b" "$work/a" --into "$work/by-three"
expect_equal "$work/whole" "$work/by-three"
say "three parts, merged, are the whole"

# Killed while it merges: half of the journal, torn, and nothing published.
cp -r "$work/by-three" "$work/torn"
journal=$work/torn/journal/attempt-001-rank-0000.jnl
truncate -s $(($(stat -c %s "$journal") / 2)) "$journal"
rm "$work"/torn/*.h5 "$work/torn/report.html" "$work/torn/models/2.safetensors"
expect_code 0 merge "$work/a" "$work/b" --into "$work/torn"
expect_text "$work/out" "from=$work/b done=12 taken=(9|10|11)$"
expect_equal "$work/whole" "$work/torn"
expect_code 0 study 1 "$work/torn" # trains the model again whose weights are lost
expect_equal "$work/whole" "$work/torn"
expect_code 0 "$LEAVEOUT" verify "$work/torn"
say "torn and merged again"

# An incomplete ensemble, of studies of different sizes: run goes on.
expect_code 0 study 1 "$work/larger" --models 30:40 --set ensemble.models=40
expect_code 0 merge "$work/a" "$work/larger" "$work/b" --into "$work/grown"
expect_code 75 "$LEAVEOUT" verify "$work/grown"
expect_text "$work/out" 'models=30 of 40'
expect_code 0 study 2 "$work/grown" --set ensemble.models=40
expect_code 0 study 2 "$work/whole" --set ensemble.models=40
expect_equal "$work/whole" "$work/grown"
expect_trained_once "$work/grown" 40

# Of compacted journals the models are in ensemble.h5.
expect_code 0 "$LEAVEOUT" compact "$work/a"
expect_code 0 merge "$work/a" "$work/b" "$work/c" --into "$work/compacted"
expect_equal "$work/merged" "$work/compacted"
expect_code 0 "$LEAVEOUT" verify "$work/compacted"
say "sizes that differ, and a compacted journal"

# Originals, with their weights, and a training that is not finished.
sed -e '$a originals: {seeds: 2, checkpoints: [1], log: true}' "$job" >"$work/originals.yaml"
expect_code 0 on 1 "$LEAVEOUT" run "$work/originals.yaml" --study "$work/with"
LEAVEOUT_FAULT=slow-ticks:2000 "$LEAVEOUT" run "$job" --study "$work/half" --models 19:20 \
    --set train.checkpoint_minutes=0.001 >/dev/null 2>&1 &
pid=$!
wait_for 30 test -e "$work/half/checkpoints/ensemble-000019.ckpt"
expect_code 75 merge "$work/c" "$work/half" --into "$work/busy"
expect_text "$work/err" "$work/half: attempt 1 works on this study"
kill -9 $pid
wait $pid 2>/dev/null
expect_code 0 merge "$work/with" "$work/half" --into "$work/with-2"
[ ! -e "$work/with-2/checkpoints/ensemble-000019.ckpt" ] || fail "a checkpoint of a finished model"
expect_equal "$work/with" "$work/with-2"
for file in originals/0 originals/1 checkpoints/original-1-epoch-1; do
    cmp "$work/with/$file.safetensors" "$work/with-2/$file.safetensors" || fail "$file"
done
expect_code 0 "$LEAVEOUT" verify "$work/with-2"
expect_code 0 merge "$work/a" "$work/c" "$work/half" --into "$work/going-on"
cmp "$work/half/checkpoints/ensemble-000019.ckpt" "$work/going-on/checkpoints/ensemble-000019.ckpt" || fail "no checkpoint"
expect_code 0 study 1 "$work/going-on"
expect_silence
expect_equal "$work/merged" "$work/going-on"
say "originals and checkpoints travel"

# What cannot be merged.
expect_code 0 study 1 "$work/other" --models 0:2 --set seed=8 --set train.epochs=3
expect_code 2 merge "$work/a" "$work/other" --into "$work/refused"
expect_text "$work/err" "$work/other is the study of another job than $work/a"
expect_text "$work/err" '^seed: 7 in the study, 8 in the job$'
expect_text "$work/err" '^train.epochs: 4 in the study, 3 in the job$'
expect_code 2 merge "$work/a" --into "$work/other"
expect_text "$work/err" "$work/other: this study was made by another job"
[ ! -e "$work/refused" ] || fail "a refused merge made a study"
expect_code 0 env LEAVEOUT_ISA=portable "$LEAVEOUT" run "$job" --study "$work/portable" --models 6:9
expect_code 65 merge "$work/b" "$work/c" "$work/portable" --into "$work/refused"
expect_text "$work/err" '3 models are there twice and not equal'
expect_text "$work/err" "^model 6 of $work/c and of $work/portable$"
expect_text "$work/err" "^model 8 of $work/b and of $work/portable$"
[ "$("$LEAVEOUT_TOOLS/journal_records" "$work/refused" | grep -c DONE)" -eq 0 ] || fail "half of it was merged"
cp -r "$work/b" "$work/damaged"
journal=$(ls -S "$work"/damaged/journal/*.jnl | head -n 1)
printf 'XXXXXXXX' | dd of="$journal" bs=1 seek=$(($(stat -c %s "$journal") / 2)) conv=notrunc 2>/dev/null
expect_code 65 merge "$work/a" "$work/damaged" --into "$work/refused-too"
expect_text "$work/err" "$work/damaged/journal/"
expect_code 2 merge "$work/a" "$work/b" --into "$work/a"
expect_text "$work/err" 'merged into itself'
expect_code 2 merge "$work/a" "$work/a/" --into "$work/refused"
expect_text "$work/err" 'named twice'
expect_code 2 merge "$work/a" "$work/nowhere" --into "$work/refused"
expect_text "$work/err" 'nowhere: there is no study here'
expect_code 2 merge "$work/a"
expect_text "$work/err" '--into DIR'
for part in 5 5:5 7:3 -1:3 3:x 0:41; do
    expect_code 2 study 1 "$work/part" --models $part
    expect_text "$work/err" "--models: found '?$part"
done
say "what cannot be merged is named"
