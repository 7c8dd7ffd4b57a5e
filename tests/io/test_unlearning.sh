#!/bin/bash
# Unlearning: the same bits from 1 to 4 ranks and after growth; what the files hold, by numpy from the weights' logits
# and the forget sets; a sequence of requests; lost files are made again. About 20 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' -e 's/label_noise: 0.05/validation: 0.1/' -e 's/epochs: 4/epochs: 4\n  precision: f32/' "$job"
cat >>"$job" <<'END'
originals: {seeds: 2}
ensemble: {models: 8}
scores: [memorization]
unlearning:
  forget:
    - {name: random10, select: random, share: 0.1}
    - {name: three, select: class, classes: 3}
    - {name: mix, select: mix, by: memorization, size: 30}
  methods: [retrain, finetune, {name: finetune, epochs: 2}, neggrad]
  seeds: 2
  oracles: 3
END
models_of() { find "$1/oracles" "$1/unlearned" -name '*.safetensors' -printf '%P\n' | sort; }
expect_same() {
    local file
    expect_equal "$1" "$2"
    [ "$(models_of "$1")" = "$(models_of "$2")" ] || fail "$2 has other models than $1"
    for file in "$1"/oracles/* "$1"/unlearned/*; do
        cmp "$file" "$2/${file#"$1"/}" || fail "${file#"$1"/} differs in $2"
    done
}

expect_code 0 "$LEAVEOUT" check "$job"
expect_text "$work/out" '^unlearning oracles=9 runs=24$'
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 2
expect_text "$work/out" '^stage=unlearning oracles=9 runs=24 wall_s='
expect_code 0 study 1 "$work/one"
expect_silence
expect_text "$work/out" 'event=settings method=finetune-[0-9a-f]{8} settings="\{name: finetune, epochs: 2\}"'
expect_text "$work/out" 'event=unlearned method=finetune forget_set=three seed=1 forget_accuracy=[01]'
expect_text "$work/out" 'event=evaluation forget_set=mix method=neggrad seeds=2 UA='
for ranks in 2 3 4; do
    expect_code 0 study $ranks "$work/ranks-$ranks"
    expect_same "$work/one" "$work/ranks-$ranks"
done
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_text "$work/out" 'damaged=0 .*unlearning=35 of 35 complete=yes'
expect_code 0 "$LEAVEOUT" status "$work/one"
expect_text "$work/out" 'stage=unlearning done=35 total=35 given_up=0 left=0'
say "1 to 4 ranks agree"

# Grown in every direction, with methods in another order: nothing is done twice, and the result is that of one go.
expect_code 0 study 2 "$work/grown" --set unlearning.oracles=2 --set unlearning.seeds=1 \
    --set 'unlearning.methods=[neggrad, finetune]' \
    --set 'unlearning.forget=[{name: three, select: class, classes: 3}]'
expect_code 0 study 2 "$work/grown"
expect_text "$work/out" 'event=resume stage=unlearning done=5 total=35'
expect_same "$work/one" "$work/grown"
rm "$work/grown/oracles/mix-1.safetensors"
printf x | dd of="$work/grown/unlearned/finetune-mix-0.safetensors" bs=1 seek=2000 conv=notrunc status=none
expect_code 0 study 1 "$work/grown"
[ "$(grep -c 'will be done again' "$work/err")" -eq 2 ] || fail "not two warnings: $(cat "$work/err")"
expect_same "$work/one" "$work/grown"
# A record whose outputs are damaged: found when the files are made again, its task done once more.
read -r file _ _ _ at _ < <("$LEAVEOUT_TOOLS/journal_records" "$work/grown" | awk '$2 == "DONE" && $6 != "payload=0"' | tail -n 1)
printf '\377\377' | dd of="$work/grown/journal/$file" bs=1 seek=$((${at#at=} + 96 + 5000)) conv=notrunc status=none
rm "$work/grown/outputs.h5"
expect_code 65 "$LEAVEOUT" verify "$work/grown"
expect_code 0 study 2 "$work/grown"
expect_text "$work/err" 'will be done again'
expect_same "$work/one" "$work/grown"
expect_code 0 "$LEAVEOUT" verify "$work/grown"
rm "$work/grown"/{forget,outputs,evaluation}.h5
expect_code 0 "$LEAVEOUT" report "$work/grown"
expect_same "$work/one" "$work/grown"
say "a study grows by tasks"

# A search is more methods, and a choice among them; what is known already is not tried again.
searched=(--set 'unlearning.methods=[finetune, {name: neggrad_plus, alpha: 0.9}]'
    --set 'unlearning.search=[{name: neggrad_plus, alpha: [0.9, 0.5], lr: [0.01, 0.03]}]')
expect_code 0 study 2 "$work/search" "${searched[@]}" --set unlearning.trials=2
expect_text "$work/out" 'event=resume stage=unlearning done=0 total=(29|35)'
expect_code 0 study 1 "$work/search" "${searched[@]}"
expect_text "$work/out" 'event=resume stage=unlearning done=(29|35) total=41'
[ "$(grep -c 'chosen=yes' "$work/out")" -eq 3 ] || fail "not one choice for each forget set"
expect_text "$work/search/report.html" '<b>best</b>'
expect_code 0 "$LEAVEOUT" export "$work/search" evaluation --out "$work/evaluation.csv"
[ "$(wc -l <"$work/evaluation.csv")" -eq $((1 + 3 * (2 + 3 + 5 * 2))) ] || fail "evaluation.csv: $(wc -l <"$work/evaluation.csv") lines"
say "a search"

# train.from: what retraining and oracles start from. With steps too small to change a weight both stay there.
expect_code 0 study 2 "$work/from" --set "train.from=$work/one/originals/0.safetensors" --set train.optimizer.lr=1.0e-30 --set 'scores=[]' \
    --set ensemble=null --set 'unlearning.methods=[retrain]' --set 'unlearning.forget=[{name: random10, select: random, share: 0.1}]'
say "a start"

# Requests one after the other; the weights that a step begins with are made again where they are lost.
expect_code 0 study 2 "$work/sequence" --set 'unlearning.sequence=[three, random]' --set 'unlearning.methods=[finetune]' \
    --set 'unlearning.forget=[{name: random, select: labels, classes: [1, 2], size: 20}, {name: three, select: class, classes: 3}]'
expect_code 0 study 1 "$work/lost" --set 'unlearning.sequence=[three, random]' --set 'unlearning.methods=[finetune]' \
    --set unlearning.keep_models=false \
    --set 'unlearning.forget=[{name: random, select: labels, classes: [1, 2], size: 20}, {name: three, select: class, classes: 3}]'
expect_equal "$work/sequence" "$work/lost"
expect_code 0 study 1 "$work/sequence" --set 'unlearning.sequence=[three, random]' --set 'unlearning.methods=[finetune]' \
    --set unlearning.criterion=validation_loss \
    --set 'unlearning.forget=[{name: random, select: labels, classes: [1, 2], size: 20}, {name: three, select: class, classes: 3}]'
[ -e "$work/sequence/unlearned/finetune-three+random-1.safetensors" ] || fail "no weights of the second step"
[ ! -e "$work/lost/oracles" ] || fail "weights of oracles were kept"

for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "numpy and h5py are not there"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$LEAVEOUT_SOURCE/tests/tools "$python" - "$work/one" "$work/sequence" "$work/data" "$work/search" "$work/from" <<'PYTHON' || fail "numpy"
import glob, gzip, sys
import h5py, numpy as np
from safetensors_numpy import read
one, sequence, data, search, began = sys.argv[1:]
text = lambda d: [x.decode() for x in d[:]]
with h5py.File(one + "/forget.h5") as f:
    sets = {k: f[k + "/index"][:] for k in f}
    assert sorted(sets) == ["mix", "random10", "three"] and f["mix"].attrs["by"] == b"memorization"
    assert f["three"].attrs["whole_class"] == 1 and f["mix"].attrs["whole_class"] == 0
with h5py.File(one + "/scores.h5") as f:
    score = f["/memorization/value"][:].astype(float)
with h5py.File(one + "/outputs.h5") as f:
    classes = f.attrs["classes"]
    index, label, test = f["/train/index"][:], f["/train/label"][:], f["/test/label"][:]
    name, kind, of = text(f["/model/name"]), text(f["/model/kind"]), text(f["/model/forget_set"])
    logit = {p: f[p + "/logit"][:].reshape(len(name), -1, classes) for p in ("train", "test", "validation")}
    held = f["/validation/label"][:]
n = len(index)
assert (np.diff(index) > 0).all() and len(sets["random10"]) == round(0.1 * n)
assert set(sets["three"]) == set(index[label == 3])
order = np.lexsort((np.arange(n), -score))
high = set(order[:10])
low = set([i for i in np.lexsort((np.arange(n), score)) if i not in high][:10])
rest = [i for i in range(n) if i not in high | low]
near = np.abs(score - np.median(score))
middle = set(sorted(rest, key=lambda i: (near[i], score[i], i))[:10])
assert set(sets["mix"]) == set(index[sorted(high | low | middle)])
right = lambda z, y: np.argmax(z, -1) == y
row = {(k, m): i for i, (k, m) in enumerate(zip(kind, name))}
inside = {s: np.isin(index, x) for s, x in sets.items()}
def accuracies(i, s):
    hit = right(logit["train"][i], label)
    return np.array([hit[inside[s]].mean(), hit[~inside[s]].mean(), right(logit["test"][i], test).mean()])
with h5py.File(one + "/evaluation.h5") as f:
    run = {k: (text(d) if d.dtype.kind == "S" else d[:]) for k, d in f["run"].items()}
    metric = {k: {x: d[:] for x, d in f[k].items()} for k in f if k != "run"}
assert len(run["seed"]) == 3 * (2 + 3 + 4 * 2)
near = lambda a, b: np.allclose(a, b, atol=1e-12, equal_nan=True)
for r, s in enumerate(run["forget_set"]):
    a = accuracies(row[run["kind"][r], run["model"][r]], s)
    oracles = [row["oracle", f"{s}-{o}"] for o in range(3)]
    others = [o for o in oracles if o != row[run["kind"][r], run["model"][r]]]
    tow = lambda x, y: np.prod(1 - np.abs(x - y))
    assert near([metric[m]["value"][r] for m in ("forget_accuracy", "retain_accuracy", "test_accuracy")], a)
    assert near(metric["unlearning_accuracy"]["value"][r], 1 - a[0])
    assert near(metric["tow"]["value"][r], np.mean([tow(a, accuracies(o, s)) for o in others]))
    pairs = [tow(accuracies(o, s), accuracies(p, s)) for o in oracles for p in oracles if o < p]
    assert near(metric["tow"]["ceiling"][r], np.mean(pairs))
    assert near(metric["test_accuracy"]["ceiling"][r], np.mean([accuracies(o, s)[2] for o in others]))
    v = right(logit["validation"][row[run["kind"][r], run["model"][r]]], held).mean()
    assert near(metric["validation_accuracy"]["value"][r], v)
    low, value, high = (metric["forget_accuracy"][k][r] for k in ("low", "value", "high"))
    assert low <= value <= high and high - low < 0.4
    if run["kind"][r] == "unlearned":
        original = accuracies(row["original", str(run["seed"][r])], s)
        assert near(metric["original_forget_accuracy"]["value"][r], original[0])
        seconds = np.mean([run["seconds"][q] for q in range(len(run["seed"]))
                           if run["kind"][q] == "oracle" and run["forget_set"][q] == s])
        assert np.isclose(metric["time_ratio"]["value"][r], run["seconds"][r] / seconds)
    if run["method"][r] == "oracle":
        assert run["read_retain"][r] == 4 * (n - len(sets[s])) and run["read_forget"][r] == 0
    if run["method"][r] == "neggrad":
        assert run["read_retain"][r] == 0 and run["read_forget"][r] > 0
    if run["method"][r] == "finetune":
        epochs = 2 if "epochs" in run["setting"][r] else 10
        assert run["read_retain"][r] == epochs * (n - len(sets[s])) and run["read_forget"][r] == 0
# Outputs are those of the weights that were kept: an mlp by hand.
def pictures(name):
    raw = open(glob.glob(f"{data}/{name}*")[0], "rb").read()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 64).astype(float)
x, x_test = pictures("train-images")[index], pictures("t10k-images")
for k, folder, m in (("oracle", "oracles", "three-1"), ("unlearned", "unlearned", "finetune-mix-0")):
    w, _ = read(f"{one}/{folder}/{m}.safetensors")
    (w1, b1), (w2, b2) = [(w[q + ".weight"].astype(float), w[q + ".bias"]) for q in sorted({q.split(".")[0] for q in w})]
    for part, y in (("train", x), ("test", x_test)):
        z = np.maximum((y - x.mean()) / x.std() @ w1.T + b1, 0) @ w2.T + b2
        assert np.allclose(z, logit[part][row[k, m]], atol=1e-3)
assert not any(right(logit["train"][row["oracle", f"three-{o}"]], label)[inside["three"]].any() for o in range(3))
# A model that has forgotten is not its original, and another seed's is another.
first, notes = read(one + "/unlearned/finetune-mix-0.safetensors")
second, _ = read(one + "/unlearned/finetune-mix-1.safetensors")
original, _ = read(one + "/originals/0.safetensors")
assert notes["seed"] == "0" and not any(np.array_equal(first[k], second[k]) for k in first if "weight" in k)
assert not any(np.array_equal(first[k], original[k]) for k in first if "weight" in k)
# Seed s begins with original s: what it becomes is nearest to that.
for s, w in enumerate((first, second)):
    away = [sum(np.linalg.norm(w[k] - read(f"{one}/originals/{o}.safetensors")[0][k]) for k in w) for o in (0, 1)]
    assert np.argmin(away) == s, away
with h5py.File(search + "/evaluation.h5") as f:
    run = {k: text(f["run"][k]) for k in ("method", "forget_set", "setting")}
    chosen, criterion = f["/run/chosen"][:], f["/criterion/value"][:]
    gaps = [np.abs(f[m + "/value"][:] - f[m + "/ceiling"][:]) for m in ("forget_accuracy", "retain_accuracy", "validation_accuracy")]
assert near(np.mean(gaps, 0), criterion)
for s in set(run["forget_set"]):
    tried = {}
    for r in range(len(chosen)):
        if run["forget_set"][r] == s and run["method"][r] == "neggrad_plus":
            tried.setdefault(run["setting"][r], []).append(r)
    means = {k: criterion[v].mean() for k, v in tried.items()}
    assert len(means) == 4 and all(len(v) == 2 for v in tried.values())
    assert [k for k, v in tried.items() if chosen[v].all()] == [min(means, key=means.get)]
    assert all(chosen[r] for r in range(len(chosen)) if run["method"][r] != "neggrad_plus")
with h5py.File(sequence + "/forget.h5") as f:
    assert sorted(f) == ["three", "three+random"] and f["three+random"].attrs["after"] == b"three"
    assert len(f["three+random/index"]) == len(f["three/index"]) + 20
with h5py.File(sequence + "/evaluation.h5") as f:
    sets, read_retain = text(f["/run/forget_set"]), f["/run/read_retain"][:]
    kinds = text(f["/run/kind"])
    for s, r, k in zip(sets, read_retain, kinds):
        gone = len(np.flatnonzero(label == 3)) + (20 if s == "three+random" else 0)
        assert k != "unlearned" or r == 10 * (n - gone)
# validation_loss: classes of which nothing is retained count by accuracy alone, others by loss.
with h5py.File(sequence + "/forget.h5") as f:
    forgotten = {k: np.isin(index, f[k + "/index"][:]) for k in f}
with h5py.File(sequence + "/outputs.h5") as f:
    logit = {p: f[p + "/logit"][:].reshape(-1, len(f[p + "/label"]), classes) for p in ("train", "validation")}
    row = {(k, m): i for i, (k, m) in enumerate(zip(text(f["/model/kind"]), text(f["/model/name"])))}
def losses(z, y):
    z = z.astype(float)
    return np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1)) + z.max(-1) - z[np.arange(len(y)), y]
checked = 0
with h5py.File(sequence + "/evaluation.h5") as f:
    run = {k: (text(d) if d.dtype.kind == "S" else d[:]) for k, d in f["run"].items()}
    criterion = f["/criterion/value"][:]
for r, s in enumerate(run["forget_set"]):
    if run["kind"][r] != "unlearned":
        continue
    i, o = row["unlearned", run["model"][r]], row["original", str(run["seed"][r])]
    kept = np.isin(np.arange(classes), label[~forgotten[s]])
    assert list(np.flatnonzero(~kept)) == [3]
    unseen = [losses(logit["validation"][m], held)[kept[held]].mean() for m in (i, o)]
    away, left = forgotten[s] & ~kept[label], forgotten[s] & kept[label]
    expected = right(logit["train"][i], label)[away].mean() + abs(unseen[0] - unseen[1])
    if left.any():
        expected += abs(losses(logit["train"][i], label)[left].mean() - unseen[0])
    assert np.isclose(criterion[r], expected, atol=1e-5), (s, criterion[r], expected)
    checked += left.any() + 1
assert checked == 6
start, _ = read(one + "/originals/0.safetensors")
for m in ("oracles/random10-0", "oracles/random10-2", "unlearned/retrain-random10-0", "unlearned/retrain-random10-1"):
    w, _ = read(f"{began}/{m}.safetensors")
    assert all(np.array_equal(w[k], start[k]) for k in start), m
PYTHON
say "the files hold what they say, by numpy"
