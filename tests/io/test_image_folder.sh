#!/bin/bash
# A job on an image folder from the command line: one rank and two, what is ignored and left out, what is refused. About ten
# seconds.
. "$(dirname "$0")/../lib.sh"
images=$work/images
"$LEAVEOUT_TOOLS/make_images" "$images" 3 30 10 8 || fail "make_images"
make_images_job() {
    cat >"$job" <<END
data: {format: image_folder, path: $images$1}
model: {preset: mlp, hidden: [8]}
train: {epochs: 2, batch: 16}
ensemble: {models: 4, ratio: 0.5}
scores: [memorization]
END
}
make_images_job ""

# The same study, whoever decoded; a second run finds it prepared.
for ranks in 1 2; do
    expect_code 0 study "$ranks" "$work/study$ranks"
    expect_text "$work/out" 'event=data_prepared train=90 validation=0 test=30 classes=3 '
    expect_silence
done
cmp "$work"/study1/cache/*.dat "$work"/study2/cache/*.dat || fail "the prepared files of one and of two ranks differ"
expect_equal "$work/study1" "$work/study2"
expect_code 0 study 2 "$work/study1"
expect_no_text "$work/out" 'event=data_prepared'

# Ignored files are counted, and are no reason to warn.
touch "$images/train/class00/.hidden" "$images/train/class01/notes.txt"
expect_code 0 study 2 "$work/study3"
expect_text "$work/out" 'event=data_ignored hidden=1 other=1 unreadable=0'
expect_silence
cmp "$work"/study1/cache/*.dat "$work"/study3/cache/*.dat || fail "ignored files made a difference"
expect_code 0 "$LEAVEOUT" check "$job"
expect_text "$work/out" '^ok train=90 .*shape=3x8x8 '
expect_text "$work/out" '^ignored hidden=1 other=1 unreadable=0$'

# An unreadable image is refused with its name, or left out with a warning.
head -c 100 "$images/train/class02/0003.jpg" >"$images/train/class02/0003.part"
mv "$images/train/class02/0003.part" "$images/train/class02/0003.jpg"
expect_code 65 study 2 "$work/study4"
expect_text "$work/err" '1 of 120 images cannot be read; allowed: 0 \(data\.max_unreadable\); the first: train/class02/0003\.jpg: JPEG: '
[ "$(grep -c . "$work/err")" -eq 1 ] || grep -q mpirun "$work/err" || fail "more than one line on standard error"
make_images_job ", max_unreadable: 1"
expect_code 0 study 2 "$work/study4"
expect_text "$work/out" 'event=data_ignored hidden=1 other=1 unreadable=1'
expect_text "$work/out" 'event=data_prepared train=89 validation=0 test=30 classes=3 '
expect_text "$work/err" 'warning: 1 images cannot be read and are left out; the first: train/class02/0003\.jpg'

# Another size is refused with both names, or scaled.
"$LEAVEOUT_TOOLS/make_images" "$work/other" 1 1 1 12 || fail "make_images"
cp "$work/other/train/class00/0000.jpg" "$images/test/class01/x.jpg"
expect_code 65 study 2 "$work/study5"
expect_text "$work/err" 'train/class00/0000\.jpg has 8 x 8 pixels \(height x width\), test/class01/x\.jpg has 12 x 12'
make_images_job ", max_unreadable: 1, resize: [6, 10]"
expect_code 0 "$LEAVEOUT" check "$job"
expect_text "$work/out" '^ok train=89 validation=0 test=31 classes=3 shape=3x6x10 '
make_images_job ", resize: [6]"
expect_code 2 "$LEAVEOUT" check "$job"
expect_text "$work/err" 'data\.resize: found one number, allowed two'

# Keys of other formats do not apply.
make_job "$job"
expect_code 2 study 1 "$work/study6" --set 'data.resize=[8,8]'
expect_text "$work/err" 'data\.resize'
