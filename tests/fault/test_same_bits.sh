#!/bin/bash
# The same scores bit for bit from 1, 2, 3 and 4 ranks and from an ensemble grown from 20 to 40 models; resuming a
# finished study does nothing, quickly. About 15 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"

expect_code 0 study 1 "$work/one"
expect_silence
expect_code 0 "$LEAVEOUT" verify "$work/one"
for ranks in 2 3 4; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_silence
    expect_trained_once "$work/ranks-$ranks" 20
    expect_equal "$work/one" "$work/ranks-$ranks"
done
say "1, 2, 3 and 4 ranks agree; $(cat "$work/difference")"

# Ranks of different processors take the best level that all have.
expect_code 0 env LEAVEOUT_ISA=portable "$LEAVEOUT" run "$job" --study "$work/portable"
expect_code 0 mpirun --oversubscribe -n 1 "$LEAVEOUT" run "$job" --study "$work/mixed" : \
    -n 1 env LEAVEOUT_ISA=portable "$LEAVEOUT" run "$job" --study "$work/mixed"
expect_equal "$work/portable" "$work/mixed"

# The comparison can fail.
expect_code 0 study 1 "$work/other" --set seed=8
"$LEAVEOUT_TOOLS/compare_studies" "$work/one" "$work/other" >"$work/difference" && fail "another seed gives the same bits"

for design in balanced random; do
    expect_code 0 study 2 "$work/at-once-$design" --set ensemble.design=$design --set ensemble.models=40
    expect_code 0 study 1 "$work/grown-$design" --set ensemble.design=$design --set ensemble.models=20
    expect_code 0 study 2 "$work/grown-$design" --set ensemble.design=$design --set ensemble.models=40
    expect_equal "$work/at-once-$design" "$work/grown-$design"
    expect_trained_once "$work/grown-$design" 40
done
say "grown ensembles agree with those made at once"

expect_code 0 study 1 "$work/bf16-1" --set train.precision=bf16 --set ensemble.models=6
expect_code 0 study 2 "$work/bf16-2" --set train.precision=bf16 --set ensemble.models=6
expect_equal "$work/bf16-1" "$work/bf16-2"

loo='ensemble: {design: leave_one_out, examples: [3, 77, 401], seeds: 4}'
sed -e "s/^ensemble:.*/$loo/" -e '/^influence:/d' "$job" >"$work/loo.yaml"
expect_code 0 on 2 "$LEAVEOUT" run "$work/loo.yaml" --study "$work/loo-2"
expect_code 0 on 3 "$LEAVEOUT" run "$work/loo.yaml" --study "$work/loo-3"
expect_equal "$work/loo-2" "$work/loo-3"
expect_trained_once "$work/loo-3" 16

# The quickest of three: on a busy machine starting the processes alone may take seconds.
for ranks in 1 2; do
    sum=$(sha256sum "$work"/one/*.h5)
    quickest=1000000
    for ((try = 0; try < 3; try++)); do
        begun=$(date +%s%N)
        expect_code 0 study $ranks "$work/one"
        took=$((($(date +%s%N) - begun) / 1000000))
        quickest=$((took < quickest ? took : quickest))
    done
    [ $quickest -lt 2000 ] || fail "a resume of a finished study took $quickest ms on $ranks ranks"
    [ "$sum" = "$(sha256sum "$work"/one/*.h5)" ] || fail "a resume of a finished study wrote files anew"
    say "a resume that finds everything done takes $quickest ms on $ranks ranks"
done
expect_trained_once "$work/one" 20
