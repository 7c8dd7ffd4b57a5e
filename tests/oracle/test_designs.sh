#!/bin/bash
# Designs complementary, bernoulli and leave_group_out from masks to scores, against numpy; the same bits on 1, 2, 3 and 4
# ranks, and from ensembles that have grown. About 12 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i 's/^scores:.*/scores: [memorization, cscore, {name: memorization, by: probability, as: p}, {name: memorization, by: margin, as: phi}]/' "$job"
for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "no Python with numpy and h5py"
for i in $(seq 0 599); do
    echo $((i % 7 < 5 ? i % 3 * 10 : -1)) # groups 0, 10 and 20
done >"$work/groups.txt"
sed -e 's/^ensemble:.*/ensemble: {design: complementary, models: 24}/' "$job" >"$work/complementary.yaml"
sed -e 's/^ensemble:.*/ensemble: {design: bernoulli, models: 24, ratio: 0.6}/' "$job" >"$work/bernoulli.yaml"
sed -e 's/^ensemble:.*/ensemble: {design: leave_group_out, groups: groups.txt, seeds: 6}/' -e '/^influence:/d' "$job" \
    >"$work/leave_group_out.yaml"

for design in complementary bernoulli leave_group_out; do
    for ranks in 1 2 3 4; do
        expect_code 0 on $ranks "$LEAVEOUT" run "$work/$design.yaml" --study "$work/$design-$ranks"
        expect_silence
        expect_equal "$work/$design-1" "$work/$design-$ranks"
    done
    expect_trained_once "$work/$design-4" 24
    expect_code 0 "$LEAVEOUT" verify "$work/$design-3"
    expect_code 0 "$LEAVEOUT" status "$work/$design-3"
    expect_text "$work/out" 'done=24 total=24'
    grow=$([ $design = leave_group_out ] && echo ensemble.seeds=8 || echo ensemble.models=32)
    expect_code 0 on 2 "$LEAVEOUT" run "$work/$design.yaml" --study "$work/$design-2" --set $grow
    expect_code 0 on 1 "$LEAVEOUT" run "$work/$design.yaml" --study "$work/$design-large" --set $grow
    expect_equal "$work/$design-large" "$work/$design-2"
    expect_trained_once "$work/$design-2" 32
    say "$design: 1, 2, 3 and 4 ranks agree, and what has grown"
done

"$python" - "$work" <<'PYTHON' || fail "numpy"
import sys
import h5py, numpy as np
work = sys.argv[1]

def study(name):
    with h5py.File(f"{work}/{name}/ensemble.h5") as f:
        assert f.attrs["design"].decode() == name.rsplit("-", 1)[0]
        n, t = f.attrs["n_train"], f.attrs["n_test"]
        bits = lambda path, count: np.unpackbits(f[path][:], axis=1, count=count, bitorder="little").astype(int)
        made = bits("mask", n), bits("train/correct", n), bits("test/correct", t), f["seed"][:], f.attrs["ratio"]
    with h5py.File(f"{work}/{name}/scores.h5") as f:
        scores = {k: f["memorization/" + k][:] for k in ("value", "standard_error", "low", "high")}
        scores["cscore"] = f["cscore/value"][:]
        for name in "p", "phi":
            scores[name] = [f[name + "/" + k][:] for k in ("value", "standard_error", "low", "high")]
    return made + (scores,)

def measures(name):
    """Probability of the label and margin, each with what one more model adds to an arm's spread."""
    with h5py.File(f"{work}/{name}/ensemble.h5") as f:
        phi = f["train/logit"][:].astype(float)
    return ("p", 1 / (1 + np.exp(-phi)), None), ("phi", phi, 1.0)

def quantile(freedom):
    """The 97.5 % point of Student's t by its distribution function, which is integrated numerically."""
    lgamma = np.vectorize(__import__("math").lgamma)
    t = np.linspace(0, 1, 20001)[:, None] * 13
    log = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    density = np.exp(log - (freedom + 1) / 2 * np.log1p(t ** 2 / freedom))
    area = np.concatenate([np.zeros((1, len(freedom))), np.cumsum((density[1:] + density[:-1]) / 2 * (13 / 20000), axis=0)])
    return np.array([np.interp(0.475, area[:, k], t[:, 0]) for k in range(len(freedom))])

def check_numbers(scores, value, error, freedom, most):
    close(scores[0], value)
    close(scores[1], error)
    some = np.flatnonzero(~np.isnan(value))[::41]
    half = quantile(freedom[some]) * error[some]
    assert np.allclose(scores[2][some], np.maximum(value[some] - half, -most), atol=2e-4 * (1 + half))
    assert np.allclose(scores[3][some], np.minimum(value[some] + half, most), atol=2e-4 * (1 + half))

def close(a, b):
    assert np.allclose(a, b, rtol=2e-6, atol=1e-6, equal_nan=True), np.nanmax(np.abs(a - b))

def check_pairs(scores, plus, minus, pairs):
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = (plus + 1) / (pairs + 2), (minus + 1) / (pairs + 2)
        error = np.sqrt((u + v - (u - v) ** 2) / (pairs + 2))
        none = pairs == 0
        value = np.where(none, np.nan, (plus - minus) / pairs)
        close(scores["value"], value)
        close(scores["standard_error"], np.where(none, np.nan, error))
        close(scores["low"], np.where(none, np.nan, np.maximum(u - v - 1.959963984540054 * error, -1)))
        close(scores["high"], np.where(none, np.nan, np.minimum(u - v + 1.959963984540054 * error, 1)))
    return value, error

# Halves: nothing in common, nothing left out, the same seed.
mask, right, test, seed, ratio, scores = study("complementary-1")
a, b = mask[0::2], mask[1::2]
assert ((a + b) == 1).all() and (a.sum(1) == 300).all() and ratio == 0.5
assert (seed == np.repeat(np.arange(12), 2)).all()
gain = np.where(a == 1, right[0::2] - right[1::2], right[1::2] - right[0::2])
value, _ = check_pairs(scores, (gain == 1).sum(0), (gain == -1).sum(0), np.full(600, 12))
assert np.ptp(value) > 0.2
close(scores["cscore"], ((1 - mask) * right).sum(0) / 12)
for name, x, least in measures("complementary-1"):
    d = np.where(a == 1, x[0::2] - x[1::2], x[1::2] - x[0::2])
    extra = 0.25 if least is None else np.maximum((d ** 2).mean(0), least)
    error = np.sqrt(((d - d.mean(0)) ** 2).sum(0) + extra) / 12
    check_numbers(scores[name], d.mean(0), error, np.full(600, 12.0), 1 if name == "p" else np.inf)
with h5py.File(work + "/complementary-1/influence.h5") as f:
    contrast, error = f["contrast"][:], f["standard_error"][:]
signed = np.where(a == 1, 1, -1)
for j in range(0, 200, 7):
    gain = signed * (test[0::2, j] - test[1::2, j])[:, None]
    u, v = ((gain == 1).sum(0) + 1) / 14, ((gain == -1).sum(0) + 1) / 14
    close(contrast[j], gain.mean(0))
    close(error[j], np.sqrt((u + v - (u - v) ** 2) / 14))

# Draws of their own: sizes vary around the ratio, estimates are those of two samples.
mask, right, test, seed, ratio, scores = study("bernoulli-1")
assert ratio == 0.6 and len(set(mask.sum(1))) > 5 and abs(mask.mean() - 0.6) < 0.02 and (seed == np.arange(24)).all()
m, o = mask.sum(0), (1 - mask).sum(0)
hit, miss = (mask * right).sum(0), ((1 - mask) * right).sum(0)
p, q = (hit + 1) / (m + 2), (miss + 1) / (o + 2)
close(scores["value"], hit / m - miss / o)
close(scores["standard_error"], np.sqrt(p * (1 - p) / (m + 2) + q * (1 - q) / (o + 2)))
for name, x, least in measures("bernoulli-1"):
    arm = [np.where(side == 1, x, np.nan) for side in (mask, 1 - mask)]
    mean = [np.nanmean(y, axis=0) for y in arm]
    extra = 0.25 if least is None else np.maximum(x.var(0), least)
    va, vb = [(np.nansum((y - c) ** 2, axis=0) + extra) / k ** 2 for y, c, k in zip(arm, mean, (m, o))]
    freedom = (va + vb) ** 2 / (va ** 2 / m + vb ** 2 / o)
    check_numbers(scores[name], mean[0] - mean[1], np.sqrt(va + vb), freedom, 1 if name == "p" else np.inf)
with h5py.File(work + "/bernoulli-1/influence.h5") as f:
    close(f["contrast"][:], test.T @ mask / m - test.T @ (1 - mask) / o)

# Groups: a member's score is the twin's outcome minus that of the model without its group.
mask, right, test, seed, ratio, scores = study("leave_group_out-1")
group = np.loadtxt(work + "/groups.txt", dtype=int)
plus, minus, pairs = np.zeros(600, int), np.zeros(600, int), np.zeros(600, int)
for r in range(6):
    assert mask[4 * r].all() and (seed[4 * r : 4 * r + 4] == r).all()
    for k, g in enumerate((0, 10, 20)):
        without = 4 * r + 1 + k
        assert (mask[without] == (group != g)).all()
        gain = np.where(group == g, right[4 * r] - right[without], 0)
        plus += gain == 1
        minus += gain == -1
        pairs += group == g
check_pairs(scores, plus, minus, pairs)
for name, x, least in measures("leave_group_out-1"):
    d = np.full((6, 600), np.nan)
    for r in range(6):
        for k, g in enumerate((0, 10, 20)):
            d[r, group == g] = (x[4 * r] - x[4 * r + 1 + k])[group == g]
    extra = 0.25 if least is None else np.maximum((d ** 2).mean(0), least)
    error = np.sqrt(((d - d.mean(0)) ** 2).sum(0) + extra) / 6
    check_numbers(scores[name], d.mean(0), error, np.full(600, 6.0), 1 if name == "p" else np.inf)
assert np.isnan(scores["value"][group == -1]).all() and (plus + minus).sum() > 0
PYTHON
say "masks, scores and influence are those of numpy"

# What does not fit is named, before anything is trained.
refuse() { # SED TEXT [CODE]
    sed -e "$1" "$work/leave_group_out.yaml" >"$work/refused.yaml"
    expect_code ${3:-2} "$LEAVEOUT" run "$work/refused.yaml" --study "$work/refused"
    expect_text "$work/err" "$2"
    [ ! -e "$work/refused/ensemble.h5" ] || fail "something was trained"
}
refuse 's/groups: groups.txt/groups: [0, 1, -1]/' 'ensemble.groups: found 3 numbers; needed is one for each training example'
refuse 's/^data: {/data: {train_limit: 2, /' 'ensemble.groups: group [0-9]+ has none of the 2 training examples in use'
refuse 's/groups: groups.txt/groups: nothing.txt/' 'ensemble.groups: .*nothing.txt' 74
refuse '$a influence: {}' 'influence: found with ensemble.design: leave_group_out'
refuse 's/^scores:.*/scores: [{name: memorization, by: margin}]/' 'scores: memorization: by: margin needs a name of its own, .*set as, such as memorization_margin'
sed -e 's/models: 24/models: 23/' "$work/complementary.yaml" >"$work/refused.yaml"
expect_code 2 "$LEAVEOUT" check "$work/refused.yaml"
expect_text "$work/err" 'ensemble.models: found 23; the complementary design trains pairs'
sed -e 's/ratio: 0.6/ratio: 0.99/' "$work/bernoulli.yaml" >"$work/refused.yaml"
expect_code 2 "$LEAVEOUT" check "$work/refused.yaml"
expect_text "$work/err" 'ensemble.ratio: 0.99 of 600 examples, each by itself'
say "what does not fit is refused and named"
