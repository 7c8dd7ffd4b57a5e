#!/bin/bash
# ensemble.until stops at the same model on any number of ranks, with interruptions or without, with two attempts at once,
# and after a growth by a smaller error; what is there then is an ensemble like any other. About 15 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e 's/^ensemble:.*/ensemble: {models: 200, ratio: 0.7, until: {standard_error: 0.085, first: 10}}/' "$job"

# until_line STUDY: how it was decided, the times left out.
until_line() { grep -h 'event=until' "$1"/log/*.log | sed 's/^.*event=/event=/' | awk '!seen[$0]++'; }
models_of() { "$LEAVEOUT" status "$1" | sed -n 's/^stage=ensemble done=\([0-9]*\) total=\1 .*left=0.*/\1/p'; }

expect_code 0 "$LEAVEOUT" plan "$job"
expect_text "$work/out" '^until=0.085 over=mean models_at_least=10 models_at_most=[0-9]+ allowed=200: '
most=$(sed -n 's/.*models_at_most=\([0-9]*\) .*/\1/p' "$work/out")
expect_code 0 study 1 "$work/one"
expect_silence
models=$(models_of "$work/one")
[ -n "$models" ] || fail "status: $("$LEAVEOUT" status "$work/one")"
[ "$models" -gt 20 ] && [ "$models" -le "$most" ] && [ "$most" -lt 200 ] || fail "$models models, plan: at most $most"
until_line "$work/one" >"$work/decided"
expect_text "$work/decided" "models=$models standard_error=0.0[0-9]+ target=0.085 over=mean enough=yes"
[ "$(grep -c 'enough=no$' "$work/decided")" -ge 2 ] || fail "too few looks: $(cat "$work/decided")"
expect_trained_once "$work/one" "$models"
"$LEAVEOUT" status "$work/one" >"$work/status"
expect_text "$work/status" 'stage=ensemble until=0.085 over=mean found=0.0[0-9]+ enough=yes'
expect_text "$work/status" 'state="complete"'
"$LEAVEOUT" status --json "$work/one" >"$work/status"
expect_text "$work/status" '"decided": ?true'
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_text "$work/out" "models=$models of $models complete=yes"
say "$models of 200 models are enough, $most at most"

# The decision is made from the outcomes: the mean of the errors in scores.h5 is that one, and it was not so before.
for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
if [ -n "$python" ]; then
    "$python" - "$work/one" "$(tail -n 1 "$work/decided")" "$(tail -n 2 "$work/decided" | head -n 1)" <<'PYTHON' || fail "another error"
import re, sys
import h5py, numpy as np
study, last, before = sys.argv[1:]
def field(line, name):
    return float(re.search(name + r"=([0-9.]+)", line).group(1))
with h5py.File(study + "/scores.h5") as f:
    assert abs(f["memorization/standard_error"][:].mean(dtype=float) - field(last, "standard_error")) < 2e-5
with h5py.File(study + "/ensemble.h5") as f:
    n = f.attrs["n_train"]
    k = int(field(before, "models"))
    mask = np.unpackbits(f["mask"][:k], axis=1, count=n, bitorder="little").astype(bool)
    right = np.unpackbits(f["train/correct"][:k], axis=1, count=n, bitorder="little").astype(bool)
    variance = 0
    for arm in mask, ~mask:
        p = ((arm & right).sum(0) + 1) / (arm.sum(0) + 2)
        variance = variance + p * (1 - p) / (arm.sum(0) + 2)
    assert abs(np.sqrt(variance * 10 / 9).mean() - field(before, "standard_error")) < 1e-5
    assert f.attrs["models_planned"] == len(f["model"]) == field(last, "models")
PYTHON
    say "the error is that of scores.h5"
fi

for ranks in 2 3 4; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_equal "$work/one" "$work/ranks-$ranks"
    expect_trained_once "$work/ranks-$ranks" "$models"
done
say "1, 2, 3 and 4 ranks agree"

# Killed twice in the middle, with other numbers of ranks.
kill_at() {
    local wanted=$1 ranks=$2 pid
    LEAVEOUT_FAULT=slow-tasks:60 study "$ranks" "$work/killed" >/dev/null 2>&1 &
    pid=$!
    wait_for 60 enough "$wanted"
    kill -9 $(children $pid) "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
}
enough() { [ -d "$work/killed/journal" ] && [ "$(records "$work/killed" DONE)" -ge "$1" ]; }
kill_at 6 1
kill_at 17 1
expect_code 0 study 2 "$work/killed"
expect_equal "$work/one" "$work/killed"
say "killed twice, the same ensemble"

# Two attempts at once: the younger one waits and helps on.
LEAVEOUT_FAULT=slow-tasks:40 study 1 "$work/joined" >"$work/elder" 2>&1 &
elder=$!
wait_for 30 test -e "$work/joined/journal/attempt-001-rank-0000.jnl"
expect_code 0 study 1 "$work/joined" --join
wait "$elder" || fail "the elder attempt: $(tail -n 5 "$work/elder")"
expect_equal "$work/one" "$work/joined"
say "two attempts at once, the same ensemble"

# Resumed, nothing is done; report keeps what was decided; a smaller error adds models to those that are there.
sum=$(sha256sum "$work"/one/*.h5)
expect_code 0 study 2 "$work/one"
expect_code 0 "$LEAVEOUT" report "$work/one"
expect_code 0 "$LEAVEOUT" verify "$work/one"
[ "$sum" = "$(sha256sum "$work"/one/*.h5)" ] || fail "files were written anew"
smaller=ensemble.until.standard_error=0.07
expect_code 0 study 2 "$work/one" --set $smaller
more=$(models_of "$work/one")
[ "$more" -gt "$models" ] || fail "a smaller error took $more models"
expect_trained_once "$work/one" "$more"
expect_code 0 study 1 "$work/smaller" --set $smaller
expect_equal "$work/smaller" "$work/one"
say "a smaller error: $more models, as made at once"

# Of compacted journals what is in ensemble.h5 counts.
expect_code 0 "$LEAVEOUT" compact "$work/ranks-2"
expect_code 0 study 1 "$work/ranks-2" --set $smaller
expect_equal "$work/smaller" "$work/ranks-2"

# What would drop models is refused; without the rule all are trained; the most may be too few.
expect_code 2 study 1 "$work/one"
expect_text "$work/err" 'ensemble.until.standard_error is 0.085, .*in the study 0.07'
expect_code 2 study 1 "$work/one" --set $smaller --set ensemble.until.over=largest
expect_code 0 study 1 "$work/few" --set ensemble.models=20
expect_text "$work/out" 'event=until models=20 .*enough=no, and no more are allowed'
"$LEAVEOUT" status "$work/few" >"$work/status"
expect_text "$work/status" 'found=0.[0-9]+ enough=no, and no more are allowed'
expect_text "$work/status" 'state="complete"'
expect_code 0 study 2 "$work/few"
expect_equal "$work/ranks-3" "$work/few"
expect_code 0 study 1 "$work/few" --set ensemble.until=null
expect_trained_once "$work/few" 200
expect_code 2 study 1 "$work/few"
expect_text "$work/err" 'in the study no ensemble.until'

# Pairs, and the error that nine tenths do not exceed.
sed -e 's/^ensemble:.*/ensemble: {design: complementary, models: 300, until: {standard_error: 0.12, over: p90, first: 9}}/' \
    "$job" >"$work/pairs.yaml"
expect_code 0 on 1 "$LEAVEOUT" run "$work/pairs.yaml" --study "$work/pairs-1"
expect_code 0 on 3 "$LEAVEOUT" run "$work/pairs.yaml" --study "$work/pairs-3"
expect_equal "$work/pairs-1" "$work/pairs-3"
until_line "$work/pairs-1" >"$work/decided"
expect_text "$work/decided" 'models=10 .*over=p90 enough=no$'
expect_text "$work/decided" 'over=p90 enough=yes$'
[ $(($(models_of "$work/pairs-1") % 2)) -eq 0 ] || fail "an odd number of halves"
say "pairs: $(models_of "$work/pairs-1") models"
