#!/bin/bash
# Bad jobs and bad data from the command line: the right exit code, and a message that says where, what was found and what is
# allowed. Nothing of a study is made. About fifteen seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
good=$work/data
n=0

# refused CODE REGEX...: leaveout run refuses $job with this code, its message matches all of these, and no results are left.
refused() {
    local code=$1 regex
    shift
    n=$((n + 1))
    expect_code "$code" "$LEAVEOUT" check "$job"
    for regex in "$@"; do
        expect_text "$work/err" "$regex"
    done
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "not one line on standard error"
    expect_code "$code" "$LEAVEOUT" run "$job" --study "$work/study-$n"
    for regex in "$@"; do
        expect_text "$work/err" "$regex"
    done
    ! ls "$work/study-$n"/*.h5 "$work/study-$n"/journal/*.jnl >/dev/null 2>&1 || fail "results of a job that was refused"
}

# job_line FILE-LINE REPLACEMENT: the good job with this line replaced.
make_job "$work/good.yaml"
job_line() { sed "$1s|.*|$2|" "$work/good.yaml" >"$job"; }
line_of() { grep -n "$1" "$work/good.yaml" | head -n 1 | cut -d: -f1; }
epochs=$(line_of '^  epochs') ensemble=$(line_of '^ensemble') data=$(line_of '^data') scores=$(line_of '^scores')

# ---- the job
job_line "$epochs" '  epoch: 4'
refused 2 "job\.yaml:$epochs: " 'epoch' 'unknown key; the nearest is train\.epochs'
job_line "$epochs" '  epochs: many'
refused 2 "job\.yaml:$epochs: train\.epochs: found 'many'" 'allowed: a whole number, 1 to'
job_line "$epochs" '  epochs: [4]'
refused 2 "job\.yaml:$epochs: train\.epochs"
job_line "$epochs" '  epochs: 0'
refused 2 "job\.yaml:$epochs: train\.epochs: found '0'" 'allowed: .*1 to'
job_line "$epochs" '  epochs: 4: 5'
refused 2 "job\.yaml:$epochs"
job_line "$epochs" "$(printf '  epochs: 4\\n  epochs: 5')"
refused 2 "job\.yaml:$((epochs + 1)): " 'epochs'
for ratio in 1.5 0 1 -0.2 .nan; do
    job_line "$ensemble" "ensemble: {models: 20, ratio: $ratio, design: balanced}"
    refused 2 "job\.yaml:$ensemble: ensemble\.ratio: found '$ratio'" 'allowed: .*above 0 and below 1'
done
job_line "$ensemble" 'ensemble: {models: 0, ratio: 0.7}'
refused 2 "job\.yaml:$ensemble: ensemble\.models: found '0'" 'at least 1'
job_line "$ensemble" 'ensemble: {ratio: 0.7}'
refused 2 'ensemble\.models' 'job\.yaml'
job_line "$ensemble" 'ensemble: {models: 20, design: balnced}'
refused 2 "job\.yaml:$ensemble: ensemble\.design: found 'balnced'" 'allowed: .*random.*balanced'
job_line "$scores" 'scores: [memorization, cscores]'
refused 2 "job\.yaml:$scores: scores" 'cscores'
job_line "$data" "data: {format: idx, path: $good, train_limit: 601}"
refused 2 'data\.train_limit: found 601' '600' "$good"
job_line "$data" "data: {format: idx, path: $good, test_limit: 201}"
refused 2 'data\.test_limit: found 201' '200'
job_line "$data" "data: {format: idx, path: $good, label_noise: 1}"
refused 2 "job\.yaml:$data: data\.label_noise: found '1'" 'below 1'
job_line "$data" "data: {format: cifar11, path: $good}"
refused 2 "job\.yaml:$data: data\.format: found 'cifar11'" 'idx'
job_line "$data" "data: {format: idx, path: $good, class_names: [one, two]}"
refused 2 'data\.class_names: found 2 names' '10'
job_line "$data" "data: {format: idx}"
refused 2 'data\.path'
: >"$job"
refused 2 'job\.yaml'
printf 'seed: 1\n\tdata: 2\n' >"$job"
refused 2 'job\.yaml:2'
job=$work/none.yaml
refused 74 'none\.yaml'
job=$work/job.yaml

# ---- the data: each a good directory with one file changed
bad=$work/bad
images=train-images-idx3-ubyte labels=train-labels-idx1-ubyte
sed "${data}s|$good|$bad|" "$work/good.yaml" >"$job"
fresh() { rm -rf "$bad" && cp -r "$good" "$bad"; }
poke() { printf '%b' "$3" | dd of="$bad/$1" bs=1 seek="$2" conv=notrunc status=none; }
ls "$good/$images" "$good/$labels" >/dev/null || fail "make_idx writes other names"

rm -rf "$bad"
refused 74 "$bad: cannot open: No such file"
mkdir "$bad"
refused 65 "$bad: found none of .*$images"
fresh && rm "$bad/$labels"
refused 65 "$bad: found none of .*$labels"
fresh && truncate -s -100 "$bad/$images"
refused 65 "$bad/$images: " 'truncated'
fresh && truncate -s 10 "$bad/$images"
refused 65 "$bad/$images: is truncated: found 10 bytes"
fresh && : >"$bad/$images"
refused 65 "$bad/$images: is empty"
fresh && echo more >>"$bad/$images"
refused 65 "$bad/$images: is oversized: goes on after byte 38416"
fresh && poke $images 2 '\x0d'
refused 65 "$bad/$images: " 'found' 'allowed'
fresh && poke $images 3 '\x01'
refused 65 "$bad/$images: wrong number of dimensions at byte 3: found 1, allowed 3"
fresh && poke $images 0 'IDX!'
refused 65 "$bad/$images: "
fresh && truncate -s -1 "$bad/$labels" && poke $labels 4 '\x00\x00\x02\x57' # 599 labels, well-formed
refused 65 "$bad" '600' '599'
fresh && printf '\xfa' | dd of="$bad/t10k-labels-idx1-ubyte" bs=1 seek=108 conv=notrunc status=none
refused 65 "$bad/t10k-labels-idx1-ubyte: record 100 \(byte 108\): found label 250, allowed 0 to 9"
fresh && printf '\xfa' | dd of="$bad/$labels" bs=1 seek=108 conv=notrunc status=none
refused 65 "$bad: training labels: record 100: found label 250, but no example has label 10"
fresh && gzip "$bad/$images"
expect_code 0 "$LEAVEOUT" check "$job"
expect_silence
truncate -s -500 "$bad/$images.gz"
refused 65 "$bad/$images\.gz: the gzip stream is cut short after byte [0-9]+"
fresh && gzip "$bad/$images" && poke $images.gz 2000 '\xff\xff\xff\xff\xff\xff'
refused 65 "$bad/$images\.gz: "
fresh && rm "$bad/$images" && mkdir "$bad/$images"
refused 74 "$bad/$images: is not a regular file"

# ---- the command line
job=$work/good.yaml
expect_code 2 "$LEAVEOUT"
expect_code 2 "$LEAVEOUT" rum "$job" --study "$work/x"
expect_text "$work/err" "unknown command 'rum'; did you mean run"
expect_code 2 "$LEAVEOUT" run "$job"
expect_text "$work/err" '\-\-study'
expect_code 2 "$LEAVEOUT" run "$job" --study "$work/x" --modles 3
expect_text "$work/err" 'modles'
expect_code 2 "$LEAVEOUT" run "$job" --study "$work/x" --set train.slices=8 --set train.team=2
expect_text "$work/err" 'train\.team: 1 ranks cannot form teams of 2: that is a power of two and divides their number'
expect_code 2 "$LEAVEOUT" plan "$job" --ranks 3 --set train.slices=8 --set train.team=2
expect_text "$work/err" 'plan: --ranks: 3 ranks cannot form teams of 2'
expect_code 2 "$LEAVEOUT" submit "$job" --study "$work/x" --dry-run --nodes 3 --ntasks-per-node 5 --set train.slices=8 \
    --set train.team=2
expect_text "$work/err" 'submit: 3 nodes with 5 ranks each cannot form teams of 2'
expect_code 2 "$LEAVEOUT" run "$job" --study "$work/x" --set train.epochs
expect_text "$work/err" 'KEY=VALUE|train\.epochs'
say "$n bad jobs and data sets"
