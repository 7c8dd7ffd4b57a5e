"""check_proxies.py STUDY DATA: computes the scores of a study of test_proxies.sh again, with numpy alone and in double, from
the log in training.h5, the weights and the raw files."""
import sys

import h5py
import numpy as np
from safetensors_numpy import read

EPOCHS, SMOOTHING, RATE, BATCH, POINTS = 40, 0.05, 0.1, 32, (2, 6, 12, 0)


def close(name, found, expected, tolerance=2e-5):
    scale = np.abs(expected).max() + 1e-30
    worst = np.abs(found - expected).max() / scale
    if not worst <= tolerance:
        sys.exit(f"FAILED: {name}: {worst:.3g} of the largest value away from numpy's")


def network(study, seed, epoch):
    file = f"originals/{seed}" if epoch == 0 else f"checkpoints/original-{seed}-epoch-{epoch}"
    tensors, _ = read(f"{study}/{file}.safetensors")
    return [tensors[f"linear{k}.{part}"].astype(float) for k in (1, 2) for part in ("weight", "bias")]


class Passes:
    """What a network of one hidden layer makes of inputs x [n, d]."""

    def __init__(self, weights, x, label):
        self.w1, b1, self.w2, b2 = weights
        self.x, self.label, self.rows = x, label, np.arange(len(x))
        before = x @ self.w1.T + b1
        self.on = before > 0
        self.hidden = before * self.on
        self.z = self.hidden @ self.w2.T + b2
        shifted = self.z - self.z.max(1, keepdims=True)
        self.log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        self.onehot = np.eye(self.z.shape[1])[label]

    def loss_slope(self):
        return np.exp(self.log_p) - (1 - SMOOTHING) * self.onehot - SMOOTHING / self.z.shape[1]

    def inputs(self, slope):
        return ((slope @ self.w2) * self.on) @ self.w1

    def squares(self, slope):
        below = (slope @ self.w2) * self.on
        return (slope**2).sum(1) * ((self.hidden**2).sum(1) + 1) + (below**2).sum(1) * ((self.x**2).sum(1) + 1)


def philox(key, counter):
    """Philox 4x32-10 (Salmon et al., SC'11) of one counter."""
    mask, c, k = 0xFFFFFFFF, list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def signs(seed, example, direction, directions, size):
    key = philox((0x6C656176, 0x656F7574), (seed, 0, 17, 0))[:2]
    stream, bits = example * directions + direction, []
    for block in range((size + 127) // 128):
        words = philox(key, (stream & 0xFFFFFFFF, stream >> 32, block, 0))
        bits += [words[k // 32] >> (k % 32) & 1 for k in range(128)]
    return np.where(np.array(bits[:size]) == 1, 1.0, -1.0)


def rate_after(epoch, n):
    steps = -(-n // BATCH)
    warm, step, total = steps, epoch * steps - 1, EPOCHS * steps
    return RATE * 0.5 * (1 + np.cos(np.pi * (step - warm) / (total - warm)))


def from_log(log):
    e, x = log["epoch"], {k: v[:].astype(float) for k, v in log["example"].items()}
    right = x["correct"] == 1
    peak = int(np.argmax(e["weight_norm"][:])) + 1
    never = ~right.any(0)
    wrong = np.where(right, 0, np.arange(1, EPOCHS + 1)[:, None]).max(0)
    return {
        "confidence": x["probability"].mean(0), "max_confidence": x["largest"].mean(0), "entropy": x["entropy"].mean(0),
        "binary_accuracy": right.mean(0), "csl": x["loss"].sum(0), "aum": x["gap"].mean(0),
        "forgetting": np.where(never, EPOCHS, (right[:-1] & ~right[1:]).sum(0)), "epochs_to_learn": wrong + 1.0,
        "first": np.where(never, EPOCHS + 1, right.argmax(0) + 1.0), "variability": x["probability"].std(0),
        "sgal": x["loss"][:peak].sum(0), "csg": x["input_square"][:peak].sum(0),
        "sgal7": x["loss"][:7].sum(0), "csg7": x["input_square"][:7].sum(0),
    }


def from_weights(study, seed, x, label):
    n, size = x.shape
    slopes, sensitivity, curvature, tracin = [], [], [], np.zeros(n)
    for epoch in POINTS:
        weights = network(study, seed, epoch)
        p = Passes(weights, x, label)
        gradient = p.inputs(p.loss_slope())
        sensitivity.append(np.abs(gradient).sum(1))
        slopes.append(p.inputs(p.onehot))
        tracin += rate_after(epoch or EPOCHS, n) * p.squares(p.loss_slope())
        moved = []
        for d in range(3):
            away = x + 1e-3 * np.array([signs(7, i, d, 3, size) for i in range(n)])
            q = Passes(weights, away, label)
            moved.append(np.linalg.norm(q.inputs(q.loss_slope()) - gradient, axis=1))
        curvature.append(np.mean(moved, 0))
    sign = np.sign(gradient)
    z = 0.01 * (sign + 1e-7) / (np.linalg.norm(sign, axis=1, keepdims=True) + 1e-7)
    q = Passes(weights, x + z, label)
    vog = np.std(slopes, 0).mean(1)
    normal = np.zeros(n)
    for c in range(10):
        of = label == c
        normal[of] = (vog[of] - vog[of].mean()) / vog[of].std()
    early = Passes(network(study, seed, 6), x, label)
    return {
        "loss_sensitivity": np.mean(sensitivity, 0), "sensitivity_end": sensitivity[-1],
        "loss_curvature": np.mean(curvature, 0), "tracin": tracin, "vog": normal, "plain_vog": vog,
        "curvature_sign": np.linalg.norm(q.inputs(q.loss_slope()) - gradient, axis=1),
        "el2n": np.linalg.norm(np.exp(early.log_p) - early.onehot, axis=1),
        "grand": np.sqrt(early.squares(early.loss_slope())),
    }


def auc(value, positive):
    ranks = np.array([(value < v).sum() + ((value == v).sum() - 1) / 2 for v in value])
    count = positive.sum()
    return (ranks[positive].sum() - count * (count - 1) / 2) / count / (~positive).sum()


def main(study, data):
    with h5py.File(f"{study}/scores.h5") as f, h5py.File(f"{study}/training.h5") as log:
        index, label, true = (f[f"/train/{k}"][:] for k in ("index", "label", "label_true"))
        with open(f"{data}/train-images-idx3-ubyte", "rb") as stream:
            pixel = np.frombuffer(stream.read()[16:], np.uint8).reshape(600, -1)[index].astype(float)
        x = (pixel - pixel.mean()) / pixel.std()
        relabelled = label != true
        right = log["/0/example/correct"][EPOCHS - 1] == 1
        if right[relabelled].mean() < 0.95:
            sys.exit("FAILED: the recipe does not fit the wrong labels")
        each = [{**from_log(log[str(s)]), **from_weights(study, s, x, label)} for s in range(2)]
        for name in each[0]:
            pair = np.array([e[name] for e in each])
            # Differences of float32 gradients a thousandth apart: their rounding is seen.
            tolerance = 5e-3 if "curvature" in name else 2e-4 if "vog" in name else 2e-5
            close(name, f[f"{name}/value"][:], pair.mean(0), tolerance)
            close(name + "'s error", f[f"{name}/standard_error"][:], np.abs(pair[0] - pair[1]) / 2, 2 * tolerance)
            orientation = f[name].attrs["orientation"]
            found = auc(orientation * f[f"{name}/value"][:], relabelled)
            print(f"{name}: wrong labels {found:.3f}")
            if found < 0.6 and "vog" not in name:
                sys.exit(f"FAILED: {name}: wrong labels do not stand out: area {found:.3f}")


main(*sys.argv[1:])
