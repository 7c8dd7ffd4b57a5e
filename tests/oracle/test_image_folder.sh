#!/bin/bash
# Real JPEG files: some hundreds of CIFAR-10's, prepared on one rank and on two, compared with Pillow. About five seconds.
. "$(dirname "$0")/../lib.sh"
archive=$LEAVEOUT_SOURCE/../shared/data/cifar10-jpeg.tar.xz
[ -r "$archive" ] || skip "no ../shared/data/cifar10-jpeg.tar.xz"
/usr/bin/python3 -c 'import PIL, numpy' 2>/dev/null || skip "Python without PIL or numpy (Debian: python3-pil, python3-numpy)"

mkdir "$work/images"
tar xf "$archive" -C "$work/images" --wildcards 'train/*/000*.jpg' 'train/*/001*.jpg' 'test/*/000*.jpg' 2>/dev/null || fail "tar"
cat >"$job" <<END
data: {format: image_folder, path: $work/images}
model: {preset: mlp, hidden: [8]}
train: {epochs: 1}
ensemble: {models: 2, ratio: 0.5}
END
for ranks in 1 2; do
    expect_code 0 study "$ranks" "$work/study$ranks"
    expect_text "$work/out" 'event=data_prepared train=200 validation=0 test=100 classes=10 '
    expect_no_text "$work/out" 'event=data_ignored'
    expect_silence
done
cmp "$work"/study1/cache/*.dat "$work"/study2/cache/*.dat || fail "the prepared files of one and of two ranks differ"
/usr/bin/python3 "$LEAVEOUT_SOURCE/tests/oracle/check_images.py" "$work"/study1/cache/*.dat "$work/images" >"$work/out" 2>"$work/err" ||
    fail "the prepared images are not Pillow's"
cat "$work/out"
