#!/bin/bash
# The audit by group of a forget set: audit.h5, its export and the report against numpy; which score the groups go by;
# choices of groups over all and by group. About 10 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "$python has no numpy and h5py (Debian: python3-numpy, python3-h5py)"
here=$(cd "$(dirname "$0")" && pwd)
"$LEAVEOUT_TOOLS/make_idx" "$work" 1200 400 8 || fail "make_idx"
cat >"$job" <<EOF
seed: 5
data: {format: idx, path: $work, train_limit: 400, test_limit: 300, validation: 0.1, label_noise: 0.1}
model: {preset: mlp, hidden: [32]}
train: {epochs: 12, batch: 16, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, schedule: {name: cosine}, precision: f32}
originals: {seeds: 3}
ensemble: {models: 30, ratio: 0.7, design: random}
scores: [memorization, confidence]
unlearning:
  forget:
    - {name: mix, select: mix, by: memorization, size: 61}
    - {name: random10, select: random, share: 0.1}
  methods:
    - finetune
    - {name: rum, by: confidence, inner: [none, finetune, salun]}
    - {name: rum, by: memorization, inner: [none, {name: finetune, epochs: 3, lr: 0.1}, {name: salun, epochs: 3, lr: 0.1}]}
    - {name: rum, by: memorization, inner: [none, {name: finetune, epochs: 3, lr: 0.1}, {name: salun, epochs: 3, lr: 0.1}], control: shuffled}
    - {name: rum, by: memorization, inner: [none, {name: finetune, epochs: 3, lr: 0.1}, {name: salun, epochs: 3, lr: 0.1}], control: reversed}
  seeds: 3
  oracles: 3
audit: {metrics: [accuracy, tow, mia_svc, disagreement]}
EOF
expect_code 0 study 2 "$work/study"
expect_code 0 "$LEAVEOUT" export "$work/study" audit_groups --out "$work/groups.csv"
expect_code 0 "$LEAVEOUT" export "$work/study" audit_groups --format npy --out "$work/npy"
"$python" "$here/check_audit_groups.py" "$work/study" "$work/groups.csv" "$work/npy" >"$work/out" 2>&1 || fail "groups"
cat "$work/out"
"$python" -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/study/report.html" || fail "report.html is not well-formed"
page=$work/study/report.html
[ "$(grep -c 'By group of the forget set' "$page")" -eq 2 ] || fail "the page has no groups of both forget sets"
expect_text "$page" 'Does the choice of groups matter'
expect_text "$page" 'Whom does it matter for'
# Figures tell choices of groups apart.
if command -v gnuplot >/dev/null; then
    for label in 'rum by confidence' 'rum by memorization' 'rum by memorization, shuffled' 'rum by memorization, reversed'; do
        expect_text "$page" ">$label<"
    done
fi

# The comparison can fail.
"$python" - "$work/study/audit.h5" <<'EOF' || fail "cannot damage a copy"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["by_group/tow/value"][-1, 1] += 0.01
EOF
"$python" "$here/check_audit_groups.py" "$work/study" "$work/groups.csv" "$work/npy" >/dev/null 2>&1 && fail "a wrong value goes unnoticed"

# Without a mix and a method that splits by a score there are no groups, and the export says so.
expect_code 0 study 1 "$work/none" --set 'unlearning.methods=[finetune]' --set unlearning.seeds=1 \
    --set 'unlearning.forget=[{name: random10, select: random, share: 0.1}]'
expect_code 2 "$LEAVEOUT" export "$work/none" audit_groups
expect_text "$work/err" 'no forget set has groups'
say "ok"
