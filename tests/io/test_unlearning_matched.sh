#!/bin/bash
# Oracles that are made to forget other sets (unlearning.matched): the same bits from 1 to 3 ranks and when they are asked
# for later; which sets they forget; where there is none; nothing of them in the evaluation. About 8 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
sed -i -e '/^ensemble:/d' -e '/^scores:/d' -e '/^influence:/d' -e 's/label_noise: 0.05/validation: 0.1/' -e 's/epochs: 4/epochs: 4\n  precision: f32/' "$job"
cat >>"$job" <<'END'
originals: {seeds: 2}
unlearning:
  forget:
    - {name: random10, select: random, share: 0.1}
    - {name: three, select: class, classes: 3}
    - {name: most, select: labels, classes: 1, size: 40}
  methods: [retrain, {name: neggrad, epochs: 2}]
  seeds: 2
  oracles: 3
END
matched=(--set unlearning.matched=true)

expect_code 0 "$LEAVEOUT" check "$job"
expect_text "$work/out" '^unlearning oracles=9 runs=12$'
expect_code 0 "$LEAVEOUT" check "$job" "${matched[@]}"
expect_text "$work/out" '^unlearning oracles=9 runs=12 matched=12$'
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 2 "${matched[@]}"
expect_text "$work/out" '^stage=unlearning oracles=9 runs=12 matched=12 wall_s='
expect_code 0 study 1 "$work/one" "${matched[@]}"
expect_silence
expect_text "$work/out" 'event=matched method=retrain forget_set=three seed=2 forget_accuracy=0.0000'
expect_text "$work/out" 'event=unmatched forget_set=most reason="class 1 has 40 examples to forget and only [0-9]+ others'
for ranks in 2 3; do
    expect_code 0 study $ranks "$work/ranks-$ranks" "${matched[@]}"
    expect_equal "$work/one" "$work/ranks-$ranks"
done
[ ! -e "$work/one/matched" ] || fail "weights of matched models are kept"
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_text "$work/out" 'damaged=0 .*unlearning=35 of 35 complete=yes'
expect_code 0 "$LEAVEOUT" status "$work/one"
expect_text "$work/out" 'stage=unlearning done=35 total=35 given_up=0 left=0'

# Asked for later, and no longer: nothing is done twice, and the evaluation is the same with them and without.
expect_code 0 study 2 "$work/later"
expect_code 0 "$LEAVEOUT" export "$work/later" evaluation --out "$work/without.csv"
expect_code 0 study 2 "$work/later" "${matched[@]}"
expect_text "$work/out" 'event=resume stage=unlearning done=23 total=35'
expect_equal "$work/one" "$work/later"
expect_code 0 "$LEAVEOUT" export "$work/later" evaluation --out "$work/with.csv"
cmp "$work/without.csv" "$work/with.csv" || fail "matched models change the evaluation"
expect_code 0 study 1 "$work/later" --set unlearning.matched=false
expect_no_text "$work/out" 'event=matched'
# A lost oracle is made again, by its own task or by a matched one that comes first.
expect_code 0 study 2 "$work/lost"
rm "$work/lost/oracles/three-2.safetensors" "$work/lost/oracles/random10-0.safetensors"
expect_code 0 study 4 "$work/lost" "${matched[@]}"
expect_text "$work/err" 'will be done again'
expect_equal "$work/one" "$work/lost"
say "the same bits"

expect_code 2 "$LEAVEOUT" check "$job" "${matched[@]}" --set unlearning.keep_models=false
expect_text "$work/err" 'unlearning.matched: begins with the weights of the oracles'
expect_code 2 "$LEAVEOUT" check "$job" "${matched[@]}" --set unlearning.oracles=0
expect_text "$work/err" 'unlearning.matched: .* the job has no oracles'
# Of a sequence the first step has them, of a search what is listed.
expect_code 0 "$LEAVEOUT" check "$job" "${matched[@]}" --set 'unlearning.sequence=[three, most]' \
    --set 'unlearning.search=[{name: neggrad, lr: [0.001, 0.002]}]'
expect_text "$work/out" '^unlearning oracles=9 runs=24 matched=12$'

for python in /usr/bin/python3 python3; do
    "$python" -c 'import numpy, h5py' 2>/dev/null && break
    python=
done
[ -n "$python" ] || skip "numpy and h5py are not there"
"$python" - "$work/one" <<'PYTHON' || fail "numpy"
import sys
import h5py, numpy as np
study = sys.argv[1]
text = lambda d: [bytes(x).split(b"\0")[0].decode() for x in d[:]]
with h5py.File(study + "/outputs.h5") as o, h5py.File(study + "/forget.h5") as f, h5py.File(study + "/evaluation.h5") as e:
    number, label = o["train/index"][:], o["train/label"][:]
    kind, method, which, name, seed = (text(o["model/" + k]) if k != "seed" else list(o["model/seed"][:])
                                       for k in ("kind", "method", "forget_set", "name", "seed"))
    logits = o["train/logit"][:].reshape(len(kind), len(number), -1)
    assert "matched" not in text(e["run/kind"])
    rows = [i for i, k in enumerate(kind) if k == "matched"]
    assert len(rows) == 12 and len({name[i] for i in rows}) == 12
    assert f["most"].attrs["unmatched"].startswith(b"class 1") and "matched_index" not in f["most"]
    seen = set()
    for s in ("random10", "three"):
        forget = f[s + "/index"][:]
        others = np.split(f[s + "/matched_index"][:], np.cumsum(f[s + "/matched_count"][:])[:-1])
        assert len(others) == 3 and f[s].attrs["unmatched"] == b""
        for k, other in enumerate(others):
            assert len(np.intersect1d(other, forget)) == 0 and np.all(np.diff(other) > 0)
            where = np.isin(number, other)
            if s == "three":
                classes = np.unique(label[where])
                assert len(classes) == 1 and np.array_equal(where, label == classes[0])
                seen.add(classes[0])
            else:
                assert len(other) == len(forget)
            # What it forgot is forgotten, where it is a class; it never knew the forget set.
            at = lambda kind_, method_: [i for i in range(len(kind)) if (kind[i], method[i], which[i], seed[i]) == (kind_, method_, s, k)][0]
            model, oracle = logits[at("matched", "retrain")], logits[at("oracle", "oracle")]
            right = lambda z, here: (z.argmax(axis=1) == label)[here].mean()
            if s == "three":
                assert right(model, where) == 0 and right(oracle, where) > 0.5
                assert right(model, np.isin(number, forget)) == 0
            assert not np.array_equal(model, oracle)
            assert not np.array_equal(logits[at("matched", "neggrad")], oracle)
    assert len(seen) == 3, seen
print("ok", len(rows))
PYTHON
say "ok"
