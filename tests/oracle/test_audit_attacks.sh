#!/bin/bash
# Attacks on unlearned models against numpy, scipy and scikit-learn: rates at 1 % and 0.1 %, ROC curves, what they say of
# epsilon, support-vector machines on every feature and with matched classes; the papers' deltas. About 10 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py, scipy' 2>/dev/null || skip "$python has no numpy, h5py and scipy"
here=$(cd "$(dirname "$0")" && pwd)
"$LEAVEOUT_TOOLS/make_idx" "$work" 1200 1080 8 || fail "make_idx"
cat >"$job" <<EOT
seed: 5
data: {format: idx, path: $work, label_noise: 0}
model: {preset: mlp, hidden: [64]}
train: {epochs: 30, batch: 32, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, schedule: {name: cosine}, precision: f32}
originals: {seeds: 1}
unlearning:
  forget:
    - {name: random10, select: random, share: 0.1}
    - {name: part, select: labels, classes: [3, 5], size: 24}
    - {name: three, select: class, classes: 3}
  methods: [finetune]
  seeds: 1
  oracles: 3
audit:
  metrics: [accuracy_delta, activation_distance, mia_svc, lira, rmia]
  mia_features: [confidence, correct, entropy, modified_entropy, loss, margin]
EOT
expect_code 0 study 2 "$work/one"
"$python" "$here/check_audit_attacks.py" "$work/one" || fail "audit.h5"
grep -q 'ROC curves of an attack on unlearned models' "$work/one/report.html" || fail "the report has no curves"
"$python" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/one/report.html" || fail "report.html is not well-formed"
expect_code 0 "$LEAVEOUT" export "$work/one" audit --format npy --out "$work/npy"
expect_code 0 "$LEAVEOUT" export "$work/one" audit --out "$work/audit.csv"
"$python" - "$work" <<'EOT' || fail "exports"
import csv, sys, h5py
import numpy as np
work = sys.argv[1]
with h5py.File(work + "/one/audit.h5") as a, open(work + "/audit.csv") as table:
    rows = list(csv.DictReader(table))
    assert np.array_equal(np.load(work + "/npy/lira_roc.npy"), a["lira/roc"][:], equal_nan=True)
    assert np.array_equal(np.load(work + "/npy/false_positive_rate.npy"), a["false_positive_rate"][:])
    assert [int(r["mia_svc_fitted"]) for r in rows] == list(a["mia_svc/fitted"][:])
    assert len(set(a["mia_svc/fitted"][:])) > 1
EOT
# One feature is the default, and others change nothing of it.
expect_code 0 study 1 "$work/few" --set 'audit.mia_features=[entropy]' --set 'audit.metrics=[mia_svc]'
"$python" - "$work/one/audit.h5" "$work/few/audit.h5" <<'EOT' || fail "one feature"
import sys, h5py
import numpy as np
with h5py.File(sys.argv[1]) as a, h5py.File(sys.argv[2]) as b:
    assert [k for k in b if k.startswith("mia_svc")] == ["mia_svc_entropy"], list(b)
    assert np.array_equal(a["mia_svc_entropy/value"][:], b["mia_svc_entropy/value"][:])
EOT
# The comparison can fail.
"$python" - "$work/one/audit.h5" <<'EOT' || fail "cannot damage a copy"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["lira/roc"][-1, 60] += 0.02
EOT
"$python" "$here/check_audit_attacks.py" "$work/one" >"$work/out" 2>&1 && fail "a wrong value goes unnoticed"
say "ok"
