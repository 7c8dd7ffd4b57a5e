#!/bin/bash
# Privacy of an ensemble's models: privacy.h5 of small studies against numpy, the same on any number of ranks, made again
# when the ensemble grows or other metrics are asked for. About 10 seconds.
. "$(dirname "$0")/../lib.sh"
python=${LEAVEOUT_NUMPY_PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "$python has no numpy and h5py (Debian: python3-numpy, python3-h5py)"
here=$(cd "$(dirname "$0")" && pwd)
"$LEAVEOUT_TOOLS/make_idx" "$work" 1200 300 8 || fail "make_idx"
cat >"$job" <<EOF
seed: 5
data: {format: idx, path: $work, train_limit: 150, test_limit: 90, label_noise: 0.2}
model: {preset: mlp, hidden: [32]}
train: {epochs: 12, batch: 16, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}, schedule: {name: cosine}}
ensemble: {models: 18, ratio: 0.7, design: random}
audit: {}
EOF
expect_code 0 study 1 "$work/one"
expect_text "$work/out" 'event=published file=privacy.h5'
"$python" "$here/check_privacy.py" "$work/one" FEW || fail "fewer than 64 models"
expect_code 0 study 3 "$work/three"
"$python" - "$work/one/privacy.h5" "$work/three/privacy.h5" <<'EOF' || fail "the number of ranks shows"
import sys, h5py
import numpy as np
one, three = (h5py.File(name, "r") for name in sys.argv[1:3])
for name in ("lira/auc", "lira/accuracy", "lira_offline/auc", "rmia/auc", "lira/roc", "rmia/roc"):
    assert np.array_equal(one[name][:], three[name][:], equal_nan=True), name
for group in ("lira", "lira_offline", "rmia"):
    for key, value in one[group].attrs.items():
        same = three[group].attrs[key]
        assert key == "cost_core_seconds" or value == same or value != value, (group, key, value, same)
EOF
# The first model diverged: it is left out, and a is chosen by the next one.
cp -r "$work/one" "$work/lost"
rm "$work/lost/privacy.h5"
"$python" - "$work/lost/ensemble.h5" <<'EOF' || fail "cannot mark a model"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["diverged"][0] = 1
EOF
expect_code 0 study 2 "$work/lost"
expect_text "$work/out" 'event=published file=privacy.h5'
"$python" "$here/check_privacy.py" "$work/lost" FEW || fail "a model that diverged"
# Nothing is done twice; more models, or other metrics, make it again.
expect_code 0 study 2 "$work/one"
! grep -q privacy.h5 "$work/out" || fail "privacy.h5 was made again without need"
expect_code 0 study 2 "$work/one" --set audit.metrics='[lira]'
expect_text "$work/out" 'event=published file=privacy.h5'
expect_code 0 study 2 "$work/one" --set ensemble.models=230
"$python" "$here/check_privacy.py" "$work/one" MANY || fail "each example's own deviations"
expect_code 0 "$LEAVEOUT" verify "$work/one"
expect_text <("$LEAVEOUT" status "$work/one") 'stage=audit published=yes'
# The comparison can fail.
"$python" - "$work/one/privacy.h5" <<'EOF' || fail "cannot damage a copy"
import sys, h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["lira/auc"][7] += 0.01
EOF
"$python" "$here/check_privacy.py" "$work/one" MANY >"$work/out" 2>&1 && fail "a wrong value goes unnoticed"
expect_code 65 "$LEAVEOUT" verify "$work/one"
say "ok"
