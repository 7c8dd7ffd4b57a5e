#!/bin/bash
# A full disk, while records are written and while files are published: a clear error, exit 74, nothing finished is lost;
# with more room the run completes with the bits of an undisturbed one. A study that cannot be written: exit 74. Needs
# root, for small file systems of its own. About 40 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"

# Not writable, which root can meet too: a file in the directory's place, and /proc.
touch "$work/file"
for directory in "$work/file" "$work/file/study" /proc/leaveout/study; do
    for ranks in 1 2; do
        expect_code 74 study $ranks "$directory"
        expect_text "$work/err" "leaveout: $(dirname "$directory").*(not a directory|Not a directory|cannot create|No such file)"
    done
done

# Full while a file is written: here for a rank's files above 300 kB, which is less than influence.h5 needs. With room
# reserved it is refused at once; without, HDF5 fails late and badly.
limited="trap '' XFSZ; ulimit -f 300; exec"
for preload in '' "$LEAVEOUT_TOOLS/preload_no_fallocate.so"; do
    for ranks in 1 2; do
        directory=$work/limited-$ranks
        expect_code 74 timeout 60 mpirun --oversubscribe -n $ranks env LD_PRELOAD="$preload" \
            bash -c "$limited \"$LEAVEOUT\" run \"$job\" --study \"$directory\" --set ensemble.models=40"
        expect_text "$work/err" "leaveout: $directory/influence.h5.part: cannot (reserve|write)"
        expect_no_text "$work/err" 'Segmentation fault'
        [ ! -e "$directory/influence.h5.part" ] || fail "a part is left behind"
        [ -z "$(ls "$directory/claims")" ] || fail "claims are left behind"
        expect_code 0 study $ranks "$directory" --set ensemble.models=40
        expect_code 0 "$LEAVEOUT" verify "$directory"
        rm -rf "$directory"
    done
done
say "files that cannot grow: exit 74, then completed"

small="$work/small"
mkdir "$small"
mount -t tmpfs -o size=1m none "$small" 2>/dev/null || skip "a small file system cannot be mounted (needs root)"
mounted+=("$small")

resize() { mount -o "remount,size=$1" none "$small" || fail "the file system cannot be enlarged"; }
# fill KILOBYTES_LEFT: takes all other room.
fill() {
    local room
    room=$(df --output=avail -k "$small" | tail -n 1)
    head -c "$(((room - $1) * 1024))" /dev/zero >"$small/filler"
}

# 40 models of 3.7 kB each.
more=(--set ensemble.models=40)
expect_code 0 study 2 "$work/undisturbed" "${more[@]}"

for ranks in 1 3; do
    rm -rf "${small:?}"/*
    resize 1m
    # Room for the data set (75 kB), the job and some records.
    fill 200
    expect_code 74 study $ranks "$small/study" "${more[@]}"
    expect_text "$work/err" 'leaveout: .*/small/study/(journal|claims)/.*: cannot .*: No space left on device'
    finished=$(records "$small/study" DONE)
    [ "$finished" -gt 0 ] && [ "$finished" -lt 40 ] || fail "$finished models were finished on a full disk"
    expect_code 75 "$LEAVEOUT" verify "$small/study"
    # As full as before: the same, and nothing is lost.
    expect_code 74 study $ranks "$small/study" "${more[@]}"
    [ "$(records "$small/study" DONE)" -ge "$finished" ] || fail "records were lost"
    resize 4m
    expect_code 0 study $((4 - ranks)) "$small/study" "${more[@]}"
    expect_trained_once "$small/study" 40
    expect_equal "$work/undisturbed" "$small/study"
    expect_code 0 "$LEAVEOUT" verify "$small/study"
    say "$ranks ranks: full with $finished models journaled, then completed: equal"
done

# Full while publishing: all is journaled, and no more than some kilobytes are left, then enough for the ensemble only.
for left in 20 120 260 420; do
    rm -rf "${small:?}"/*
    resize 2m
    expect_code 0 study 2 "$small/study" "${more[@]}"
    rm -f "$small"/study/*.h5 "$small/study/report.html"
    fill $left
    code=0
    study 2 "$small/study" "${more[@]}" >"$work/out" 2>"$work/err" || code=$?
    [ $code -eq 74 ] || fail "exit code $code, not 74, with $left kB left"
    expect_text "$work/err" 'leaveout: .*No space left on device'
    for file in "$small"/study/*.h5; do
        [ ! -e "$file" ] || "$LEAVEOUT_TOOLS/compare_studies" "$small/study" "$small/study" >"$work/difference" ||
            fail "a published file does not open: $(cat "$work/difference")"
    done
    [ -z "$(find "$small/study" -maxdepth 1 -name '*.part*')" ] || fail "parts are left behind: $(ls "$small/study")"
    resize 4m
    expect_code 0 study 1 "$small/study" "${more[@]}"
    expect_trained_once "$small/study" 40
    expect_equal "$work/undisturbed" "$small/study"
    say "publishing with $left kB left: exit 74, then completed: equal"
done

# A file system that became read-only.
mount -o remount,ro none "$small" || fail "the file system cannot be made read-only"
expect_code 74 study 2 "$small/study" "${more[@]}"
expect_text "$work/err" 'Read-only file system'
expect_code 0 "$LEAVEOUT" status "$small/study"
expect_code 0 "$LEAVEOUT" verify "$small/study"
