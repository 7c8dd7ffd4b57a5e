#!/bin/bash
# Stage attribution of networks: the matrices, values and spectra of numpy and PyTorch; both forms the same, on 1 to 4 ranks, with the
# examples in another order; features of a layer; what it refuses. About 25 seconds.
. "$(dirname "$0")/../lib.sh"
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "no $python with numpy and h5py"
checker=$LEAVEOUT_SOURCE/tests/oracle/check_attribution.py
check() { "$python" "$checker" "$@" >"$work/out" 2>"$work/err" || fail "check_attribution.py $*"; }

mkdir "$work/data"
"$LEAVEOUT_TOOLS/make_idx" "$work/data" 130 30 5 || fail "make_idx"
cat >"$job" <<END
data: {format: idx, path: $work/data}
model: {preset: mlp, hidden: [8]}
train: {epochs: 4, batch: 16}
originals: {seeds: 1}
attribution: {methods: [ggn, hessian], model: network, damping: 0.01, spectrum: true, groups: $work/groups}
END
awk 'BEGIN { for (i = 0; i < 130; i++) print i % 5 == 2 ? 0 : -1 }' >"$work/groups"

# 298 parameters; 130 examples of 10 classes have 1170 rows.
for ranks in 1 2 3 4; do
    expect_code 0 study "$ranks" "$work/s$ranks"
    expect_silence
done
expect_text "$work/out" 'event=sized method=ggn form=primal sums=local parameters=298 matrix=298 '
check equal "$work/s1" "$work/s2" "$work/s3" "$work/s4"
check network "$work/s1" "$work/data" 5e-4 0
expect_text "$work/s1/report.html" 'the network of original 0'
expect_text "$work/s1/report.html" 'are negative: these by their size'
expect_text "$work/s1/report.html" 'most helpful and the most harmful'
expect_no_text "$work/s1/report.html" 'What memorization means'
for ranks in 1 3; do
    expect_code 0 study "$ranks" "$work/dual$ranks" --set attribution.form=dual --set attribution.spectrum=false \
        --set 'attribution.methods=[ggn]'
    expect_text "$work/out" 'form=dual sums=grid parameters=298 matrix=1170 '
    check same_values "$work/s1" "$work/dual$ranks" ggn
    check network "$work/dual$ranks" "$work/data" 5e-4 0
done
say "primal, dual and numpy agree, on 1 to 4 ranks"

# Where a matrix of all parameters does not fit a rank it is summed on the grid; labels are smoothed; a linear network.
more=(--set attribution.groups=null --set attribution.spectrum=false)
wide=("${more[@]}" --set 'model.hidden=[60]' --set 'attribution.methods=[ggn]' --set attribution.form=primal)
expect_code 0 study 4 "$work/local" "${wide[@]}"
expect_text "$work/out" 'sums=local parameters=2170 '
expect_code 0 study 4 "$work/grid" "${wide[@]}" --set attribution.memory=49
expect_text "$work/out" 'sums=grid parameters=2170 '
check same_values "$work/local" "$work/grid" ggn
expect_code 0 study 2 "$work/smooth" "${more[@]}" --set train.label_smoothing=0.1 --set train.optimizer.weight_decay=0
check network "$work/smooth" "$work/data" 0 0.1
expect_code 0 study 2 "$work/smooth_dual" "${more[@]}" --set train.label_smoothing=0.1 --set train.optimizer.weight_decay=0 \
    --set attribution.form=dual --set 'attribution.methods=[ggn]'
check same_values "$work/smooth" "$work/smooth_dual" ggn
expect_code 0 study 2 "$work/linear" "${more[@]}" --set model.hidden=null --set model.preset=linear
check network "$work/linear" "$work/data" 5e-4 0

# More examples than a batch of the passes holds: the Hessian is that of all of them.
mkdir "$work/several"
"$LEAVEOUT_TOOLS/make_idx" "$work/several" 300 10 5 || fail "make_idx"
expect_code 0 study 2 "$work/batches" "${more[@]}" --set "data.path=$work/several" --set 'model.hidden=[4]' \
    --set 'attribution.methods=[hessian]'
check network "$work/batches" "$work/several" 5e-4 0

# A convolutional network, whose last layer alone is an outer product.
mkdir "$work/pictures"
"$LEAVEOUT_TOOLS/make_idx" "$work/pictures" 40 12 8 || fail "make_idx"
cnn=(--set attribution.groups=null --set "data.path=$work/pictures" --set model.hidden=null --set model.preset=cnn
    --set model.width=2 --set attribution.damping=0.05)
expect_code 0 study 2 "$work/cnn" "${cnn[@]}"
expect_code 0 study 3 "$work/cnn_primal" "${cnn[@]}" --set attribution.form=primal --set 'attribution.methods=[ggn]'
expect_text "$work/out" 'form=primal sums=local parameters=496 '
check same_values "$work/cnn" "$work/cnn_primal" ggn
if "$python" -c 'import torch' 2>/dev/null; then
    check torch_cnn "$work/cnn" "$work/pictures" 5e-4
else
    say "no torch: the matrices of the convolutional network were not looked at"
fi
say "other forms of the same"

expect_code 0 study 2 "$work/layer" "${more[@]}" --set attribution.model=features --set attribution.damping=0 \
    --set 'attribution.methods=[ridge_loo, certified_loo, alo, ggn]'
check layer "$work/layer" "$work/data"
expect_code 0 study 1 "$work/inputs" "${more[@]}" --set attribution.model=features --set attribution.layer=input \
    --set 'attribution.methods=[ridge_loo, ggn]'
expect_code 0 study 1 "$work/regression" "${more[@]}" --set attribution.model=linear --set originals=null \
    --set 'attribution.methods=[ridge_loo, ggn]'
# Networks scale their inputs in float32.
check same_values "$work/inputs" "$work/regression" ggn 1e-5
check same_values "$work/inputs" "$work/regression" ridge_loo 1e-5
say "features of a layer; those of the inputs are the inputs"

# The damping may be changed in a study that is finished.
expect_code 0 study 2 "$work/s2" --set attribution.damping=0.1
expect_text "$work/out" 'event=published file=attribution.h5'
check network "$work/s2" "$work/data" 5e-4 0
# With what it needs kept it takes no matrix: the same values, primal and dual, with smoothed labels, of softmax regression.
kept() {
    local name=$1
    shift
    expect_code 0 study 2 "$work/kept_$name" "$@" --set attribution.keep=true
    expect_code 0 study 3 "$work/kept_$name" "$@" --set attribution.keep=true --set attribution.damping=0.05
    expect_text "$work/out" 'event=kept method=ggn'
    expect_no_text "$work/out" 'part=matrix'
    expect_code 0 study 1 "$work/again_$name" "$@" --set attribution.damping=0.05
    check same_values "$work/again_$name" "$work/kept_$name" ggn 2e-6
}
kept primal "${more[@]}"
check network "$work/kept_primal" "$work/data" 5e-4 0
kept dual --set attribution.groups=null --set attribution.form=dual --set train.label_smoothing=0.1 --set 'attribution.methods=[ggn]'
check network "$work/kept_dual" "$work/data" 5e-4 0.1
kept linear "${more[@]}" --set attribution.model=linear --set originals=null
expect_code 0 "$LEAVEOUT" verify "$work/kept_dual"
say "another damping from what is kept"

# What cannot be done is refused before anything is trained; what has to be computed first leaves no file.
bad() { expect_code 2 study 2 "$work/bad" "${more[@]}" "$@"; }
bad --set 'attribution.methods=[alo]'
expect_text "$work/err" 'found alo, which is of linear models'
bad --set originals=null
expect_text "$work/err" 'has no section originals'
bad --set attribution.original=1
expect_text "$work/err" 'attribution.original: found 1; with originals.seeds 1 allowed are 0 to 0'
expect_code 2 "$LEAVEOUT" check "$job" --set attribution.original=1
expect_text "$work/err" 'attribution.original: found 1'
bad --set attribution.model=features --set attribution.layer=linaer1 --set 'attribution.methods=[alo]'
expect_text "$work/err" 'attribution.layer: the network has no value linaer1 \(nearest: linear1\)'
bad --set attribution.memory=1
expect_text "$work/err" 'ggn needs [0-9]+ MiB on each rank, however many there are'
bad --set attribution.memory=6 --set attribution.form=dual --set 'attribution.methods=[ggn]'
expect_text "$work/err" '[0-9]+ ranks with as much would do'
expect_no_text "$work/out" 'stage=originals'
bad --set attribution.form=dual --set attribution.damping=0 --set train.optimizer.weight_decay=0
expect_text "$work/err" 'attribution.damping: found 0, and the training has no weight decay'
[ ! -e "$work/bad/attribution.h5" ] || fail "a refused study has results"
say "bad input is refused"
