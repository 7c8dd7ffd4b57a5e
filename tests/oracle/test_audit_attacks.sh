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
# Test examples that are training examples too are counted and named.
"$LEAVEOUT" check "$job" >"$work/out" 2>"$work/err" || fail "check"
! grep -q 'in the training set too' "$work/err" || fail "a warning without need"
mkdir "$work/both" && cp "$work"/*-ubyte "$work/both"
"$python" - "$work/both" <<'EOT' || fail "cannot copy examples"
import sys
train = open(sys.argv[1] + "/train-images-idx3-ubyte", "rb").read()
with open(sys.argv[1] + "/t10k-images-idx3-ubyte", "r+b") as f:
    for own, twin in ((7, 11), (20, 3), (21, 3)):
        f.seek(16 + 64 * own)
        f.write(train[16 + 64 * twin:16 + 64 * (twin + 1)])
EOT
sed "s|path: $work,|path: $work/both,|" "$job" >"$work/both.yaml"
"$LEAVEOUT" check "$work/both.yaml" >"$work/out" 2>"$work/err" || fail "check"
says='3 test and 0 validation examples are in the training set too, byte for byte \(test 7 is training 11, test 20 is training 3, test 21 is training 3\)'
expect_text "$work/err" "warning: $says"
expect_code 0 on 2 "$LEAVEOUT" run "$work/both.yaml" --study "$work/overlap" --set 'audit.metrics=[accuracy_delta]'
expect_text "$work/err" "warning: $says"
expect_text "$work/overlap/report.html" '3 test and 0 validation examples are in the training set too'
"$python" -c 'import sys, h5py; assert h5py.File(sys.argv[1]).attrs["test_in_train"] == 3' "$work/overlap/audit.h5" || fail "audit.h5"
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
