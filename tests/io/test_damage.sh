#!/bin/bash
# Damaged and foreign files in a study: named, with the right exit code, and made again where that can be. About 25 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
expect_code 0 study 2 "$work/sound"

flip() { # FILE OFFSET: inverts a byte
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %02x $((255 - byte)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
size() { stat -c %s "$1"; }
damaged=$work/damaged
fresh() { rm -rf "$damaged" && cp -a "$work/sound" "$damaged"; }
# record KIND N: "FILE OFFSET TASK" of the N-th.
record() {
    "$LEAVEOUT_TOOLS/journal_records" "$damaged" | awk -v kind="$1" -v n="$2" '
        $2 == kind && ++seen == n { sub("task=", "", $3); sub("at=", "", $5); print $1, $5, $3 }'
}
drop_published() { rm -f "$damaged"/*.h5 "$damaged/report.html"; }

# A payload of the journal: that model is trained again, and no other.
for ranks in 1 3; do
    fresh
    drop_published
    read -r file at task <<<"$(record DONE 7)"
    flip "$damaged/journal/$file" $((at + 96 + 1000))
    expect_code 65 "$LEAVEOUT" verify "$damaged"
    expect_text "$work/out" "damaged: .*$file: the payload of the record at byte $at \(task $task\) does not match its checksum"
    expect_code 0 study $ranks "$damaged"
    expect_text "$work/err" "warning: .*$file: .* \(task $task\) .*; model $task will be trained again"
    [ "$(records "$damaged" DONE)" -eq 21 ] || fail "$(records "$damaged" DONE) models were trained, not 20 and one again"
    expect_equal "$work/sound" "$damaged"
    expect_code 0 "$LEAVEOUT" verify "$damaged"
done
# `leaveout report` trains nothing and says what does.
fresh
drop_published
read -r file at task <<<"$(record DONE 3)"
flip "$damaged/journal/$file" $((at + 96))
expect_code 65 "$LEAVEOUT" report "$damaged"
expect_text "$work/err" 'leaveout run. trains their models again'
say "a damaged payload is trained again"

# A header in the middle.
fresh
drop_published
read -r file at task <<<"$(record DONE 5)"
flip "$damaged/journal/$file" $((at + 40))
expect_code 65 "$LEAVEOUT" verify "$damaged"
expect_text "$work/out" "damaged: journal/$file: [0-9]+ bytes belong to no record"
expect_code 0 study 2 "$damaged"
expect_text "$work/err" "$file is damaged: [0-9]+ bytes belong to no record; what they held is computed again"
expect_equal "$work/sound" "$damaged"
say "a damaged header is stepped over"

# A torn tail is what a crash leaves; it is nobody's fault.
fresh
drop_published
file=$(basename "$(ls "$damaged"/journal/*.jnl | head -n 1)")
truncate -s $(($(size "$damaged/journal/$file") - 1500)) "$damaged/journal/$file"
expect_code 0 study 2 "$damaged"
! grep -q warning "$work/err" || fail "a warning about a torn tail"
expect_equal "$work/sound" "$damaged"
fresh
truncate -s 50 "$damaged/journal/$file"
expect_code 0 study 1 "$damaged"
expect_equal "$work/sound" "$damaged"
say "a torn tail is ignored"

# Things that are no journals.
fresh
drop_published
head -c 10000 "$LEAVEOUT" >"$damaged/journal/attempt-090-rank-0000.jnl"
: >"$damaged/journal/attempt-091-rank-0000.jnl"
echo hello >"$damaged/journal/notes.txt"
mkdir "$damaged/journal/attempt-092-rank-0000.jnl.old"
expect_code 0 study 2 "$damaged"
expect_trained_once "$damaged" 20
expect_equal "$work/sound" "$damaged"
say "foreign files among the journals are harmless"

# Published files that do not open are published again from the journal.
for name in ensemble.h5 scores.h5 influence.h5; do
    fresh
    truncate -s $(($(size "$damaged/$name") / 2)) "$damaged/$name"
    expect_code 65 "$LEAVEOUT" verify "$damaged"
    expect_text "$work/out" "damaged: .*$name"
    expect_code 0 study 2 "$damaged"
    expect_trained_once "$damaged" 20
    expect_equal "$work/sound" "$damaged"
    fresh
    : >"$damaged/$name"
    expect_code 0 study 1 "$damaged"
    expect_equal "$work/sound" "$damaged"
done
say "published files that do not open are made again"

# One flipped byte of data: verify names the file and the dataset; without the file it is made again.
fresh
at=$(($(size "$damaged/ensemble.h5") / 2))
flip "$damaged/ensemble.h5" $at
expect_code 65 "$LEAVEOUT" verify "$damaged"
expect_text "$work/out" 'damaged: .*ensemble.h5: /(train|test)/[a-z]+ does not match its checksum'
expect_text "$work/out" 'delete it'
rm "$damaged/ensemble.h5"
expect_code 0 "$LEAVEOUT" report "$damaged"
expect_equal "$work/sound" "$damaged"

# The cache.
for at in 10 -200; do
    fresh
    cache=$(ls "$damaged"/cache/*.dat)
    flip "$cache" $((at > 0 ? at : $(size "$cache") + at))
    expect_code 65 "$LEAVEOUT" verify "$damaged"
    expect_text "$work/out" 'damaged: .*cache/'
done
truncate -s 1000 "$cache"
drop_published
expect_code 0 study 2 "$damaged" --set ensemble.models=30
expect_text "$work/out" event=data_prepared
expect_code 0 study 1 "$work/thirty" --set ensemble.models=30
expect_equal "$work/thirty" "$damaged"
say "a damaged cache is made again"

# A newer format; no study; another job; less than there is.
fresh
sed -i '1s/format [0-9]*/format 99/' "$damaged/job.yaml"
for command in "run $job --study $damaged" "status $damaged" "verify $damaged" "report $damaged"; do
    expect_code 65 "$LEAVEOUT" $command
    expect_text "$work/err" 'format 99, made by a newer leaveout; this one reads up to 1'
done
fresh
expect_code 2 study 2 "$damaged" --set train.optimizer.lr=0.1 --set model.hidden=[16]
expect_text "$work/err" 'made by another job'
expect_text "$work/err" 'train.optimizer.lr.*0.05.*0.1'
expect_text "$work/err" 'model.hidden'
expect_code 2 study 2 "$damaged" --set ensemble.models=10
expect_text "$work/err" 'ensemble.models is 20 in the study and 10 in the job: a study can only grow'
expect_code 0 study 1 "$damaged"
expect_equal "$work/sound" "$damaged"
expect_trained_once "$damaged" 20
say "what is not this study's is refused"

# Compacted, then grown.
fresh
expect_code 0 "$LEAVEOUT" compact "$damaged"
expect_text "$work/out" 'bytes_saved=[1-9]'
expect_code 0 "$LEAVEOUT" verify "$damaged"
expect_code 0 study 2 "$damaged"
expect_equal "$work/sound" "$damaged"
expect_code 0 study 3 "$damaged" --set ensemble.models=30
expect_equal "$work/thirty" "$damaged"
expect_trained_once "$damaged" 30
expect_code 0 "$LEAVEOUT" compact "$damaged"
expect_code 0 "$LEAVEOUT" compact "$damaged"
expect_text "$work/out" 'bytes_saved=0'
# Now only ensemble.h5 holds the models: what happens to it is said, not hidden in a new file with new checksums.
cp -a "$damaged" "$work/compacted"
truncate -s 3000 "$damaged/ensemble.h5"
expect_code 65 "$LEAVEOUT" verify "$damaged"
expect_text "$work/out" 'do not delete it'
expect_code 65 study 2 "$damaged" --set ensemble.models=30
expect_text "$work/err" 'the journal was compacted, and the only copy of its models cannot be used: .*ensemble.h5: cannot open as HDF5'
rm -rf "$damaged"
mv "$work/compacted" "$damaged"
flip "$damaged/ensemble.h5" $(($(size "$damaged/ensemble.h5") / 2))
for ranks in 1 3; do
    expect_code 65 study $ranks "$damaged" --set ensemble.models=34
    expect_text "$work/err" 'only copy of its models cannot be used: .*ensemble.h5: /[a-z/]+ does not match its checksum'
done
say "compacted studies grow, and are not grown from damaged files"
