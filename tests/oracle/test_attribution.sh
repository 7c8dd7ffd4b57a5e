#!/bin/bash
# Stage attribution: the same from 1 to 4 ranks, with the examples in another order, and by brute force; what it refuses; what a
# second run, status and verify make of it. About 25 seconds.
. "$(dirname "$0")/../lib.sh"
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "no $python with numpy and h5py"
checker=$LEAVEOUT_SOURCE/tests/oracle/check_attribution.py
check() { "$python" "$checker" "$@" >"$work/out" 2>"$work/err" || fail "check_attribution.py $*"; }

mkdir "$work/data"
"$LEAVEOUT_TOOLS/make_idx" "$work/data" 300 60 5 || fail "make_idx"
# Two groups: every seventh example, and a stretch of 100, more than there are features.
awk 'BEGIN { for (i = 0; i < 300; i++) { g = i % 7 == 3 ? 0 : i >= 150 && i < 250 ? 1 : -1; print g } }' >"$work/groups"
cat >"$job" <<END
data: {format: idx, path: $work/data}
model: {preset: linear}
attribution:
  methods: [ridge_loo, kernel_ridge_loo, alo, certified_loo, ggn, hessian]
  spectrum: true
  gamma: 0.02
  groups: $work/groups
END
for ranks in 1 2 3 4; do
    expect_code 0 study "$ranks" "$work/s$ranks"
    expect_silence
done
check equal "$work/s1" "$work/s2" "$work/s3" "$work/s4"
check retrain "$work/s1" "$work/data" "$work/groups"
say "1 to 4 ranks agree, and with refits"

check permute "$work/data" "$work/turned" "$work/order"
awk 'NR == FNR { place[FNR - 1] = $1; next } { group[place[FNR - 1]] = $1 } END { for (i = 0; i < 300; i++) print group[i] }' \
    "$work/order" "$work/groups" >"$work/turned_groups"
expect_code 0 study 2 "$work/turned_study" --set "data.path=$work/turned" --set "attribution.groups=$work/turned_groups"
check permuted "$work/s1" "$work/turned_study" "$work/order"
expect_code 0 study 2 "$work/top" --set attribution.top=5
check top "$work/s1" "$work/top"
say "permuted examples have permuted values; the strongest are the strongest"

expect_code 0 "$LEAVEOUT" methods
[ "$(grep -c '^attribution ' "$work/out")" -eq 6 ] || fail "leaveout methods"
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 2
expect_text "$work/out" 'stage=attribution method=certified_loo memory_mb_per_rank=[0-9.]+'

expect_code 0 "$LEAVEOUT" export "$work/s1" attribution --out "$work/own.csv"
expect_code 0 "$LEAVEOUT" export "$work/s1" attribution --top 3 --out "$work/strongest.csv"
expect_code 0 "$LEAVEOUT" export "$work/s1" attribution --format npy --out "$work"
check exported "$work/s1" "$work" 3
expect_code 2 "$LEAVEOUT" export "$work/top" attribution --top 6
expect_text "$work/err" 'holds the 5 strongest of each target'
say "what is exported is what is in the file"

# A second run has nothing to do; another penalty is another job; another method is computed.
expect_code 0 study 1 "$work/s1"
expect_no_text "$work/out" 'event=published file=attribution'
expect_code 0 "$LEAVEOUT" status "$work/s1"
expect_text "$work/out" 'stage=attribution published=yes'
expect_text "$work/out" 'state="complete"'
expect_code 0 "$LEAVEOUT" verify "$work/s1"
expect_code 2 study 1 "$work/s1" --set attribution.penalty=0.01
expect_text "$work/err" 'attribution.penalty: 0.001 in the study, 0.01 in the job'
expect_code 0 study 1 "$work/s1" --set 'attribution.methods=[ridge_loo]'
expect_text "$work/out" 'event=published file=attribution.h5 methods=1'

# What cannot be done is refused before anything is computed.
expect_code 2 study 2 "$work/bad" --set attribution.penalty=0 --set 'attribution.methods=[alo]'
expect_text "$work/err" 'attribution.penalty: found 0'
expect_code 2 study 2 "$work/bad" --set attribution.penalty=0 --set 'attribution.methods=[kernel_ridge_loo]' \
    --set attribution.kernel=linear
expect_text "$work/err" 'singular'
expect_code 2 study 2 "$work/bad" --set attribution.memory=1 --set 'attribution.methods=[certified_loo]'
expect_text "$work/err" 'however many there are'
expect_code 2 study 1 "$work/bad" --set attribution.memory=3 --set attribution.targets=none --set attribution.groups=null \
    --set 'attribution.methods=[kernel_ridge_loo]'
expect_text "$work/err" '[0-9]+ ranks with as much would do'
expect_code 2 study 2 "$work/bad" --set attribution.output=correct --set 'attribution.methods=[ggn]'
expect_text "$work/err" 'ggn needs an output that has a gradient'
expect_code 2 study 2 "$work/bad" --set 'attribution.groups=[0, 1]'
expect_text "$work/err" 'attribution.groups: found 2 numbers'
[ ! -e "$work/bad/attribution.h5" ] || fail "a refused study has results"
say "bad input is refused"
