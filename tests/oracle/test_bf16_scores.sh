#!/bin/bash
# Memorization scores of a bf16 ensemble agree with those of a float32 ensemble as well as two float32 ensembles of other
# models do: 60 models of each, from numpy on ensemble.h5. About four minutes on two cores.
. "$(dirname "$0")/../lib.sh"
[ -d /usr/share/datasets/fashion-mnist ] || skip "dataset-fashion-mnist is not installed"
python3=/usr/bin/python3
$python3 -c 'import numpy, h5py' 2>/dev/null || skip "$python3 has no numpy and h5py"
cat >"$job" <<END
seed: 5
data: {format: idx, path: /usr/share/datasets/fashion-mnist, train_limit: 4000, test_limit: 1000, label_noise: 0.05}
model: {preset: mlp, hidden: [256]}
train: {epochs: 40, batch: 128, optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}}
ensemble: {models: 60, ratio: 0.7, design: balanced}
END
expect_code 0 study 2 "$work/bf16" --set train.precision=bf16
expect_code 0 study 2 "$work/f32" --set train.precision=f32 --set ensemble.models=120
$python3 - "$work" <<'END' || fail "the scores disagree"
import sys
import h5py
import numpy as np


def memorization(path, models):
    with h5py.File(path) as file:
        n = file.attrs["n_train"]
        keep = np.isin(file["model"][:], models)
        inside = np.unpackbits(file["mask"][:][keep], axis=1, bitorder="little")[:, :n].astype(bool)
        correct = np.unpackbits(file["train/correct"][:][keep], axis=1, bitorder="little")[:, :n].astype(bool)
        accuracy = file["test_accuracy"][:][keep].mean()
    return (correct & inside).sum(0) / inside.sum(0) - (correct & ~inside).sum(0) / (~inside).sum(0), accuracy


def agreement(a, b):
    return np.corrcoef(a, b)[0, 1]


first, second = np.arange(60), np.arange(60, 120)
low, low_accuracy = memorization(sys.argv[1] + "/bf16/ensemble.h5", first)
same, same_accuracy = memorization(sys.argv[1] + "/f32/ensemble.h5", first)
other, other_accuracy = memorization(sys.argv[1] + "/f32/ensemble.h5", second)
print(f"correlation of memorization: bf16 with other float32 models {agreement(low, other):.4f}, float32 with other float32 models "
      f"{agreement(same, other):.4f}, bf16 with the same float32 models {agreement(low, same):.4f}")
print(f"mean test accuracy: bf16 {low_accuracy:.4f}, float32 {same_accuracy:.4f} and {other_accuracy:.4f}")
assert agreement(low, other) > agreement(same, other) - 0.01
assert abs(low_accuracy - same_accuracy) < 0.003
assert agreement(low, same) < 0.99999, "the two precisions give the same models"
END
