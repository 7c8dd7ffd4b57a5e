#!/bin/bash
# leaveout plan: tables over ranks, what a study has seen in the place of the probe, and a probe on several ranks. About ten
# seconds. Nothing here depends on how fast the machine is: predictions are compared with each other and with what
# journals and logs say.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
# field KEY LINE FILE: of the first line that begins with LINE or has it behind its time.
field() { sed -nE "/(^| )$2/s/.* $1=([0-9.-]*).*/\1/p" "$3" | head -n 1; }
is() { awk "BEGIN { exit !($1) }" || fail "$2: not $1"; }

# A table: more ranks are never slower, nor faster than perfect; models that grow with them take no less.
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 1:8,12 --weak
expect_silence
for ranks in 1 2 4 8 12; do
    expect_text "$work/out" "^strong ranks=$ranks stage=ensemble wall_s="
    expect_text "$work/out" "^strong ranks=$ranks stage=all wall_s="
    expect_text "$work/out" "^weak ranks=$ranks models=$((20 * ranks)) stage=ensemble "
done
expect_text "$work/out" '^total ranks=12 '
expect_text "$work/out" '^hint: 20 models on 12 ranks leave 4 ranks idle'
expect_text "$work/out" 'note: files are not measured'
awk '/^strong .*stage=ensemble/ { split($4, w, "="); split($6, e, "=")
        if (NR > 1 && seen++ && w[2] > before) { print "slower on more ranks: " $0; bad = 1 }
        if (e[2] > 1.02) { print "faster than perfect: " $0; bad = 1 }
        before = w[2] }
    END { exit bad || seen != 5 }' "$work/out" || fail "strong scaling"
for wrong in 2,1 0 4: :4 2,,3 x 1:2:3; do
    expect_code 2 "$LEAVEOUT" plan "$job" --ranks "$wrong"
    expect_text "$work/err" '^leaveout: --ranks: found '
done
expect_code 2 "$LEAVEOUT" plan
expect_text "$work/err" 'neither a job nor --study DIR'

# A study that is still to come: its file system is measured, and nothing is left there.
mkdir "$work/place"
expect_code 0 "$LEAVEOUT" plan "$job" --study "$work/place/later/study"
expect_text "$work/out" '^machine: files=measured sync_ms=[0-9.]+ write_mb_per_s=[1-9]'
expect_no_text "$work/out" '^measured '
[ -z "$(ls -A "$work/place")" ] || fail "left behind: $(ls -A "$work/place")"

# What a study has seen.
expect_code 0 study 1 "$work/study"
expect_code 0 "$LEAVEOUT" plan --study "$work/study" --ranks 2
expect_text "$work/out" '^measured stage=ensemble tasks=20 '
expect_text "$work/out" '^checked attempt=1 stage=ensemble ranks=1 tasks=20 '
wall=$(field wall_s checked "$work/out") predicted=$(field predicted_s checked "$work/out")
mean=$(field seconds_per_task measured "$work/out") record=$(field record_s measured "$work/out")
is "20 * ($mean + $record) <= 1.02 * $wall + 0.002" "tasks and records of one rank are within its farm's time"
is "$predicted >= 0.95 * 20 * ($mean + $record) - 0.002" "and within what is predicted"
logged=$(field record_s event=farmed "$work/study/log/attempt-001.log")
is "20 * $record - $logged < 0.002 && $logged - 20 * $record < 0.002" "records take what the log says"
is "$(field seconds_per_model stage=ensemble "$work/out") - $mean < 0.006 && $mean > 0" "the study's task times are the plan's"
# Grown on two ranks: both attempts are checked, all tasks count; a job of other keys has seen nothing.
expect_code 0 study 2 "$work/study" --set ensemble.models=40
expect_code 0 "$LEAVEOUT" plan --study "$work/study"
expect_text "$work/out" '^measured stage=ensemble tasks=40 '
expect_text "$work/out" '^checked attempt=1 stage=ensemble ranks=1 tasks=20 '
expect_text "$work/out" '^checked attempt=2 stage=ensemble ranks=2 tasks=20 '
expect_code 0 "$LEAVEOUT" plan "$job" --study "$work/study" --set train.epochs=5
expect_no_text "$work/out" '^measured stage=ensemble'
rm "$work/study/log/attempt-001.log"
expect_code 0 "$LEAVEOUT" plan --study "$work/study"
expect_text "$work/out" '^measured stage=ensemble tasks=40 '
expect_no_text "$work/out" '^checked attempt=1 '
say "a study's own times: $mean s a task, farm of $wall s, predicted $predicted s"

# Attribution, for which nothing need be trained: a time, a total, and more ranks are never slower.
sed -E '/^(ensemble|scores|influence):/d' "$job" >"$work/alone.yaml"
echo 'attribution: {methods: [ridge_loo, kernel_ridge_loo, alo, certified_loo, ggn]}' >>"$work/alone.yaml"
expect_code 0 "$LEAVEOUT" plan "$work/alone.yaml" --ranks 1:8
expect_silence
expect_text "$work/out" '^stage=attribution methods=5 wall_s='
expect_no_text "$work/out" 'not planned'
awk '/^strong .*stage=attribution/ { split($4, w, "="); split($6, e, "=")
        if (seen++ && w[2] > before) { print "slower on more ranks: " $0; bad = 1 }
        if (e[2] > 1.02) { print "faster than perfect: " $0; bad = 1 }
        before = w[2] }
    END { exit bad || seen != 4 || before <= 0 }' "$work/out" || fail "strong scaling of attribution"
# Of a network: its passes and matrices are in the stage too.
expect_code 0 "$LEAVEOUT" plan "$work/alone.yaml" --ranks 1,2 --set originals.seeds=1 --set attribution.model=network \
    --set "attribution.methods=[ggn]" --set attribution.damping=0.01
expect_text "$work/out" "^strong ranks=2 stage=attribution wall_s="
is "$(field wall_s "strong ranks=1 stage=attribution" "$work/out") > 0" "a network takes its time"

# On ranks: one voice, in good and in bad.
expect_code 0 on 2 "$LEAVEOUT" plan "$job" --ranks 4 --study "$work/study"
expect_text "$work/out" '^probe: .* ranks=2$'
expect_text "$work/out" 'messages=measured'
[ "$(grep -c '^total ' "$work/out")" -eq 1 ] || fail "not one voice"
expect_code 2 on 2 "$LEAVEOUT" plan "$job" --set train.epochz=3
[ "$(grep -c '^leaveout: ' "$work/err")" -eq 1 ] || fail "not one voice"
