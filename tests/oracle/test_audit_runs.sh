#!/bin/bash
# The audit of unlearning: audit.h5 of a small study against numpy, the same on any number of ranks, made again when there
# is more to audit; what cannot be computed says what it needs. About 20 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "$python has no numpy and h5py (Debian: python3-numpy, python3-h5py)"
here=$(cd "$(dirname "$0")" && pwd)
"$LEAVEOUT_TOOLS/make_idx" "$work" 1200 400 8 || fail "make_idx"
cat >"$job" <<EOF
seed: 5
data: {format: idx, path: $work, train_limit: 300, test_limit: 300, validation: 0.1, label_noise: 0.1}
model: {preset: mlp, hidden: [32]}
train: {epochs: 12, batch: 16, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, schedule: {name: cosine}, precision: f32}
originals: {seeds: 3}
ensemble: {models: 20, ratio: 0.7, design: random}
scores: [memorization]
unlearning:
  forget: [{name: random10, select: random, share: 0.1}, {name: three, select: class, classes: 3}]
  methods: [retrain, finetune, neggrad]
  seeds: 3
  oracles: 6
  matched: true
audit: {}
EOF
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 2
expect_text "$work/out" '^stage=audit rows=36 attacks=3 wall_s='
expect_code 0 study 1 "$work/one"
expect_text "$work/out" 'event=published file=audit.h5 rows=36'
"$python" "$here/check_audit.py" "$work/one" || fail "audit.h5"
"$python" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/one/report.html" || fail "report.html is not well-formed"
grep -q '<h2>Audit of unlearning' "$work/one/report.html" || fail "the report has no audit"
grep -q "<h2>Privacy of the ensemble" "$work/one/report.html" || fail "the report has no privacy"
expect_code 0 study 3 "$work/three"
"$python" - "$work/one/audit.h5" "$work/three/audit.h5" <<'EOF' || fail "the number of ranks shows"
import sys, h5py
import numpy as np
one, three = (h5py.File(name, "r") for name in sys.argv[1:3])
seen = 0
def compare(name, item):
    global seen
    if isinstance(item, h5py.Dataset):
        seen += 1
        assert item[:].tobytes() == three[name][:].tobytes(), name
one.visititems(compare)
assert seen > 80, seen
EOF
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_code 0 study 2 "$work/one"
! grep -q audit.h5 "$work/out" || fail "audit.h5 was made again without need"
say "the same on 1 and 3 ranks"

# Exports are what the files hold.
expect_code 0 "$LEAVEOUT" export "$work/one" audit --out "$work/audit.csv"
expect_code 0 "$LEAVEOUT" export "$work/one" privacy --out "$work/privacy.csv"
expect_code 0 "$LEAVEOUT" export "$work/one" audit --format npy --out "$work/npy"
expect_code 0 "$LEAVEOUT" export "$work/one" privacy --format npy --out "$work/npy"
"$python" - "$work" <<'EOF' || fail "exports"
import csv, sys, h5py
import numpy as np
work = sys.argv[1]
with h5py.File(work + "/one/audit.h5") as f, open(work + "/audit.csv") as table:
    rows = list(csv.DictReader(table))
    assert len(rows) == 36 and rows[-1]["method"] == "neggrad"
    for k in [k for k in f if k not in ("run", "by_group", "false_positive_rate", "setting")]:
        for x in ("value", "low", "high", "ceiling", "apart", "apart_low", "apart_high"):
            name = k if x == "value" else f"{k}_{x}"
            got = np.array([float(r[name] or "nan") for r in rows])
            assert np.allclose(got, f[k][x][:], rtol=1e-12, equal_nan=True), name
            assert np.array_equal(np.load(f"{work}/npy/{k}_{x}.npy"), f[k][x][:], equal_nan=True), name
        assert [int(r[k + "_models"]) for r in rows] == list(f[k]["models"][:])
    assert [int(r["seed"]) for r in rows] == list(f["run/seed"][:])
with h5py.File(work + "/one/privacy.h5") as f, h5py.File(work + "/one/ensemble.h5") as e, open(work + "/privacy.csv") as table:
    rows = list(csv.DictReader(table))
    assert [int(r["train_index"]) for r in rows] == list(e["train/index"][:])
    for k in ("lira/auc", "lira/accuracy", "lira_offline/auc", "rmia/auc"):
        got = np.array([float(r[k.replace("/", "_")] or "nan") for r in rows])
        assert np.allclose(got, f[k][:], rtol=1e-6, equal_nan=True), k
        assert np.array_equal(np.load(f"{work}/npy/{k.replace('/', '_')}.npy"), f[k][:], equal_nan=True), k
EOF

# Receipts: one a run, the same from any ranks; digests are those of sha256sum; whatever was changed is found.
[ "$(find "$work/one/receipts" -name '*.json' | wc -l)" -eq 18 ] || fail "not a receipt for each run"
receipt=$work/one/receipts/finetune-random10-1.json
for file in "$work/one/receipts"/*; do # all but the time
    diff <(sed '/"time_ratio"/,/}/d' "$file") <(sed '/"time_ratio"/,/}/d' "$work/three/receipts/$(basename "$file")") ||
        fail "receipts depend on the number of ranks"
done
(cd / && expect_code 0 "$LEAVEOUT" verify "$receipt") || exit 1
(cd "$work/one/receipts" && expect_code 2 "$LEAVEOUT" verify nothing.json) || exit 1
(cd "$work/one" && expect_code 0 "$LEAVEOUT" verify receipts/neggrad-three-2.json) || exit 1
"$python" - "$work/one" "$receipt" <<'EOF' || fail "the receipt is wrong"
import hashlib, json, sys, h5py
study, name = sys.argv[1:3]
r = json.load(open(name))
for part in [r["model_in"], r["model_out"]] + r["oracles"]:
    assert hashlib.sha256(open(study + "/" + part["file"], "rb").read()).hexdigest() == part["sha256"], part
assert r["model_in"]["file"] == "originals/1.safetensors" and len(r["oracles"]) == 6
with h5py.File(study + "/forget.h5") as f:
    numbers = "".join(f"{i}\n" for i in f["random10/index"][:])
assert hashlib.sha256(numbers.encode()).hexdigest() == r["request"]["sha256_of_numbers"]
assert r["audit"] == {"seed": 5, "sample": 2000, "rmia_a": 0.5, "mia_features": ["confidence"]} and r["oracles_diverged"] == 0
with h5py.File(study + "/audit.h5") as a:
    model = [bytes(x).split(b"\0")[0] for x in a["run/model"][:]]
    apart = [a["js/" + k][model.index(b"finetune-random10-1")] for k in ("apart", "apart_low", "apart_high")]
    assert r["found"]["mia_svc"]["fitted"] == a["mia_svc/fitted"][model.index(b"finetune-random10-1")] > 0
js = r["found"]["js"]
assert js["apart_low"] < js["apart"] < js["apart_high"]
assert all(abs(js[k] - x) < 1e-12 for k, x in zip(("apart", "apart_low", "apart_high"), apart)), js
assert "apart" not in r["found"]["tow"]
assert r["found"]["lira"]["models"] == 20 and len(r["cannot_promise"]) >= 4
EOF
sed -i 's/"method": "finetune"/"method": "neggrad"/' "$work/one/receipts/finetune-random10-0.json"
expect_code 65 "$LEAVEOUT" verify "$work/one/receipts/finetune-random10-0.json"
expect_text "$work/err" "finetune-random10-0.json:[0-9]+: found .*neggrad.*; the study says .*finetune"
cp "$receipt" "$work/one/receipts/another.json"
expect_code 65 "$LEAVEOUT" verify "$work/one/receipts/another.json"
cp "$work/one/receipts/neggrad-three-1.json" "$work/one/receipts/neggrad-three-2.json" # one run in the place of another
expect_code 65 "$LEAVEOUT" verify "$work/one/receipts/neggrad-three-2.json"
{ cat "$receipt" && printf '\0{"more": 1}'; } >"$work/more.json"
cp "$receipt" "$work/kept.json"
cp "$work/more.json" "$receipt"
expect_code 65 "$LEAVEOUT" verify "$receipt"
expect_text "$work/err" 'byte [0-9]+ is 0'
cp "$work/kept.json" "$receipt"
# An oracle that diverged is counted, not listed.
cp -r "$work/one" "$work/less"
rm -r "$work/less/audit.h5" "$work/less/receipts"
"$python" - "$work/less/evaluation.h5" <<'EOF' || fail "cannot make an oracle diverge"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as f:
    kinds, sets = ([bytes(x).split(b"\0")[0] for x in f["run/" + k][:]] for k in ("kind", "forget_set"))
    f["run/diverged"][list(zip(kinds, sets)).index((b"oracle", b"random10"))] = 1
EOF
expect_code 0 study 2 "$work/less"
"$python" - "$work/less/receipts" <<'EOF' || fail "an oracle that diverged is listed"
import json, sys
r = [json.load(open(f"{sys.argv[1]}/finetune-{s}-1.json")) for s in ("random10", "three")]
assert [(len(x["oracles"]), x["oracles_diverged"]) for x in r] == [(5, 1), (6, 0)], r
EOF
# The number and its receipt changed alike: audit.h5 is not what was written.
cp -r "$work/one" "$work/forged"
forged=$work/forged/receipts/finetune-random10-1.json
expect_code 0 "$LEAVEOUT" verify "$forged"
"$python" - "$work/forged/audit.h5" "$forged" <<'EOF' || fail "cannot forge"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as f:
    model = [bytes(m).split(b"\0")[0] for m in f["run/model"][:]]
    f["js/value"][model.index(b"finetune-random10-1")] = 0.25
lines = open(sys.argv[2]).read().split("\n")
at = next(i for i, line in enumerate(lines) if '"js":' in line) + 1
assert '"value":' in lines[at]
lines[at] = lines[at].split(":")[0] + ": 0.25,"
open(sys.argv[2], "w").write("\n".join(lines))
EOF
expect_code 65 "$LEAVEOUT" verify "$forged"
expect_text "$work/err" 'checksum'
# So with what the audit was told.
cp "$receipt" "$forged"
cp "$work/one/audit.h5" "$work/forged/audit.h5"
sed -i 's/"rmia_a": 0.5/"rmia_a": 0.25/' "$forged"
expect_code 65 "$LEAVEOUT" verify "$forged"
expect_text "$work/err" 'rmia_a": 0.25'
"$python" -c 'import sys, h5py; h5py.File(sys.argv[1], "r+")["setting/rmia_a"][0] = 0.25' "$work/forged/audit.h5" || fail "cannot forge"
expect_code 65 "$LEAVEOUT" verify "$forged"
expect_text "$work/err" 'checksum'
# Another run's model in the place of the audited one, and its digest in the receipt.
cp "$work/one/audit.h5" "$work/forged/audit.h5"
swap() { # MODEL FROM RECEIPT: the file and its digest in the receipt
    local old
    old=$(sha256sum <"$1")
    cp "$2" "$1"
    sed -i "s/${old%% *}/$(sha256sum <"$1" | cut -d " " -f 1)/" "$3"
}
cp "$receipt" "$forged"
expect_code 0 "$LEAVEOUT" verify "$forged"
swap "$work/forged/unlearned/finetune-random10-1.safetensors" "$work/one/unlearned/finetune-random10-0.safetensors" "$forged"
expect_code 65 "$LEAVEOUT" verify "$forged"
expect_text "$work/err" 'unlearned/finetune-random10-1.safetensors: is of another job'
cp "$work/one/unlearned/finetune-random10-1.safetensors" "$work/forged/unlearned/"
cp "$receipt" "$forged"
cp "$work/one/originals/1.safetensors" "$work/edited"
printf x | dd of="$work/edited" bs=1 seek=3000 conv=notrunc status=none
swap "$work/forged/originals/1.safetensors" "$work/edited" "$forged"
expect_code 65 "$LEAVEOUT" verify "$forged"
expect_text "$work/err" 'originals/1.safetensors'
printf x | dd of="$work/one/unlearned/finetune-random10-1.safetensors" bs=1 seek=3000 conv=notrunc status=none
expect_code 65 "$LEAVEOUT" verify "$receipt"
expect_text "$work/err" 'sha256'
say "receipts hold, and forged ones do not"

# Killed in the middle of the audit: the next run makes the same. Another a of rmia makes rmia again, and nothing else changes.
cp -r "$work/three" "$work/killed"
rm -rf "$work/killed/audit.h5" "$work/killed/privacy.h5" "$work/killed/receipts"
"$LEAVEOUT" run "$job" --study "$work/killed" >"$work/killed.out" 2>&1 &
killed=$!
for _ in $(seq 3000); do # the audit of the runs comes after that of the ensemble
    [ -f "$work/killed/privacy.h5" ] && break
    sleep 0.02
done
kill -9 "$killed" && wait "$killed"
[ -f "$work/killed/privacy.h5" ] || fail "the audit did not begin"
[ ! -f "$work/killed/audit.h5" ] || say "the audit was faster than the kill"
expect_code 0 study 1 "$work/killed"
expect_code 0 study 2 "$work/three" --set audit.rmia_a=0.9
"$python" - "$work/three/audit.h5" "$work/killed/audit.h5" <<'EOF' || fail "killed, or another a"
import sys, h5py
a, b = (h5py.File(name, "r") for name in sys.argv[1:3])
for k in [k for k in b if k not in ("run", "false_positive_rate", "setting")]:
    assert (a[k + "/value"][:].tobytes() == b[k + "/value"][:].tobytes()) == (not k.startswith("rmia") or k == "rmia_tpr_at_0.001"), k
assert a["rmia"].attrs["a"] == 0.9 and b["rmia"].attrs["a"] == 0.5
EOF

# Groups of rum chosen in several ways, by settings too long for a column: each is a method of its own.
inner="inner: [none, {name: finetune, epochs: 2, lr: 0.02}, {name: finetune, epochs: 3, lr: 0.01}]"
expect_code 0 study 2 "$work/choices" --set unlearning.oracles=3 --set 'audit.metrics=[js, klom]' --set "unlearning.methods=[
    {name: rum, by: memorization, $inner}, {name: rum, by: memorization, control: vanilla, $inner},
    {name: rum, by: memorization, control: shuffled, $inner}, {name: rum, by: memorization, control: reversed, $inner}]"
"$python" - "$work/choices" <<'EOF' || fail "choices of groups"
import json, re, sys, h5py
import numpy as np
study = sys.argv[1]
def text(d):
    return [bytes(x).split(b"\0")[0].decode() for x in d[:]]
with h5py.File(study + "/evaluation.h5") as e, h5py.File(study + "/audit.h5") as a:
    run = {k: text(e["run/" + k]) for k in ("method", "model", "forget_set", "setting")}
    seed, tow, models = e["run/seed"][:], e["tow/value"][:], a["klom/models"][:]
    whole = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in e["run"].attrs.items()}
rows = {}
for r, model in enumerate(run["model"]):
    if run["method"][r] != "rum":
        continue
    full = whole["rum" + model[-9:]]
    control = (re.findall(r"control: (\w+)", full) + ["none"])[0]
    assert len(full) > 127 or control == "none", full
    rows.setdefault((run["forget_set"][r], control), {})[int(seed[r])] = tow[r]
    assert json.load(open(f"{study}/receipts/{model}.json"))["settings"] == full
    assert models[r] == 6, (model, models[r])  # its own 3 seeds, and the oracles
assert len(rows) == 8 and len(set(run["setting"])) == 5, rows.keys()
page = open(study + "/report.html").read()
page = page[page.index("Does the choice of groups matter?"):]
names = {"none": "memorization", "vanilla": "all at once", "shuffled": "memorization, shuffled", "reversed": "memorization, reversed"}
seen = set()
for part in page.split("<h4>Forget set <code>")[1:]:
    s = part[:part.index("</code>")]
    table = part[part.index("<tbody>"):part.index("</tbody>")]
    for row in table.split("<tr>")[1:]:
        cell = [re.sub("<[^>]*>", " ", c).replace("\u2212", "-").split() for c in re.findall("<td[^>]*>(.*?)</td>", row, re.S)]
        control = next(k for k, v in names.items() if v == " ".join(cell[0]))
        own, base = rows[s, control], rows[s, "none"]
        assert abs(float(cell[2][0]) - np.mean(list(own.values()))) < 6e-4 and cell[5] == ["3"], (s, cell)
        seen.add((s, control))
        if control == "none":
            continue
        off = np.array([own[k] - base[k] for k in own])
        half = 4.302652730 * off.std(ddof=1) / np.sqrt(3)
        assert abs(float(cell[3][0]) - off.mean()) < 6e-4 and abs(float(cell[3][3]) - off.mean() - half) < 6e-4, (s, cell, off)
        if abs(abs(off.mean()) - half) > 1e-9:
            says = "inside the noise" if abs(off.mean()) <= half else "better" if off.mean() > 0 else "worse"
            assert " ".join(cell[4]) == says, (s, cell, off)
assert seen == set(rows), seen
EOF

# U-LiRA says what it rests on, everywhere; without matched models it is made again, against oracles.
expect_text "$work/one/report.html" '<code>u_lira</code> of every method against <b>matched</b> models'
expect_text "$work/one/receipts/finetune-random10-2.json" '"reference": "matched"'
expect_code 0 study 2 "$work/three" --set audit.rmia_a=0.9 --set unlearning.matched=false
"$python" - "$work" <<'EOF' || fail "what u_lira rests on"
import csv, sys, h5py
text = lambda d: [bytes(x).split(b"\0")[0].decode() for x in d[:]]
with h5py.File(sys.argv[1] + "/one/audit.h5") as a, h5py.File(sys.argv[1] + "/three/audit.h5") as b:
    kind = text(a["run/kind"])
    reference = text(a["u_lira/reference"])
    assert reference == [{"unlearned": "matched", "oracle": "oracles", "original": ""}[k] for k in kind]
    assert [r["u_lira_reference"] for r in csv.DictReader(open(sys.argv[1] + "/audit.csv"))] == reference
    assert text(b["u_lira/reference"]) == ["oracles" if k != "original" else "" for k in kind]
    run = [i for i, k in enumerate(kind) if k == "unlearned"]
    assert (a["u_lira/value"][:][run] != b["u_lira/value"][:][run]).any()
    assert (a["klom/value"][:][run] == b["klom/value"][:][run]).all()
    assert "need 100 models" in a["u_lira_example_tpr_at_0.01"].attrs["refused"].decode()
EOF

# Without an ensemble the oracles are the references; with few of them what is refused says so.
sed -i -e '/^ensemble:/d' -e '/^scores:/d' "$job"
expect_code 0 study 2 "$work/few" --set unlearning.oracles=1 --set unlearning.seeds=1 --set 'unlearning.methods=[finetune]'
"$python" - "$work/few/audit.h5" <<'EOF' || fail "few oracles"
import sys, h5py
import numpy as np
with h5py.File(sys.argv[1], "r") as f:
    for name, says in (("lira", "2 oracles that are other models"), ("u_lira", "needs 3 seeds and 3 oracles"),
                       ("klom", "needs 3 seeds and 3 oracles")):
        assert says in f[name].attrs["refused"].decode(), (name, f[name].attrs["refused"])
    run = [i for i, k in enumerate(f["run/kind"][:]) if bytes(k).startswith(b"unlearned")]
    assert not np.isnan(f["disagreement/value"][run]).any() and np.isnan(f["lira/value"][run]).all()
EOF
expect_code 0 study 2 "$work/few" --set unlearning.oracles=4 --set unlearning.seeds=1 --set 'unlearning.methods=[finetune]'
expect_text "$work/out" 'event=published file=audit.h5'
"$python" - "$work/few/audit.h5" <<'EOF' || fail "oracles as references"
import sys, h5py
import numpy as np
with h5py.File(sys.argv[1], "r") as f:
    kind = [bytes(k).split(b"\0")[0] for k in f["run/kind"][:]]
    models = f["lira/models"][:]
    assert all(m == (3 if k == b"oracle" else 4) for k, m in zip(kind, models)), models
    assert not np.isnan(f["lira/value"][:]).any() and not np.isnan(f["rmia/value"][:]).any()
EOF
# What is made of mia_svc does not need it to be asked for.
expect_code 0 study 2 "$work/few" --set unlearning.oracles=4 --set unlearning.seeds=1 --set 'unlearning.methods=[finetune]' \
    --set 'audit.metrics=[tow_mia, avg_gap]'
"$python" - "$work/few" <<'EOF' || fail "figures made of mia_svc alone"
import re, sys, h5py
import numpy as np
with h5py.File(sys.argv[1] + "/audit.h5", "r") as f:
    assert "mia_svc" not in f and not np.isnan(f["tow_mia/value"][:]).any() and not np.isnan(f["avg_gap/value"][:]).any()
    run = [i for i, k in enumerate(f["run/kind"][:]) if bytes(k).startswith(b"unlearned")]
    # One seed: what is noise cannot be told, and the report does not call it noise.
    assert not np.isnan(f["avg_gap/apart"][run]).any() and np.isnan(f["avg_gap/apart_low"][run]).all()
page = open(sys.argv[1] + "/report.html").read()
rows = re.findall('<code>finetune</code>.*?</tr>', page[page.index("<h2>Audit of unlearning"):], re.S)
assert rows and all("<td>? " in row and "&#8776;" not in row for row in rows), rows
EOF
# Part of a class: the population has its class too, where the validation set has 100 of it.
sed -i 's/train_limit: 300, test_limit: 300, validation: 0.1/validation: 0.6/; /name: random10/s/.*/  forget: [{name: part, select: labels, classes: [3, 5], size: 30}]/' "$job"
expect_code 0 study 2 "$work/part" --set unlearning.oracles=2 --set unlearning.seeds=1 --set 'unlearning.methods=[finetune]' \
    --set 'audit.metrics=[mia_population]'
"$python" - "$work/part" "$here" <<'EOF' || fail "the population of a part of a class"
import sys, h5py
import numpy as np
def loss(z, y):
    top = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(y)), y]
def text(d):
    return [bytes(x).split(b"\0")[0] for x in d[:]]
with h5py.File(sys.argv[1] + "/outputs.h5") as o, h5py.File(sys.argv[1] + "/audit.h5") as a, h5py.File(sys.argv[1] + "/forget.h5") as f:
    names, kinds = text(o["model/name"]), text(o["model/kind"])
    classes = o.attrs["classes"]
    forget = np.isin(o["train/index"][:], f["part/index"][:])
    y, v = o["train/label"][:][forget], o["validation/label"][:]
    same = np.isin(v, y)
    assert 100 <= same.sum() < len(v) / 2 and set(y) == {3, 5}, (same.sum(), len(v))
    differs = 0
    for r, who in enumerate(zip(text(a["run/kind"]), text(a["run/model"]))):
        m = list(zip(kinds, names)).index(who)
        own = loss(o["train/logit"][m].reshape(-1, classes)[forget].astype(float), y)
        every = loss(o["validation/logit"][m].reshape(-1, classes).astype(float), v)
        share = [(own <= np.sort(x)[int(0.01 * len(x)) - 1]).mean() for x in (every[same], every)]
        assert abs(a["mia_population/value"][r] - share[0]) < 1e-12, (who, a["mia_population/value"][r], share)
        differs += share[0] != share[1]
    assert differs, "all classes would do as well"
EOF
# The comparison can fail.
"$python" - "$work/one/audit.h5" <<'EOF' || fail "cannot damage a copy"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["lira/value"][-1] += 0.01
EOF
"$python" "$here/check_audit.py" "$work/one" >"$work/out" 2>&1 && fail "a wrong value goes unnoticed"
expect_code 65 "$LEAVEOUT" verify "$work/one"
say "ok"
