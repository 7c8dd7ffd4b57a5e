#!/usr/bin/python3
"""Computes a study's scores and influence again, with numpy alone, from the masks and outcomes in ensemble.h5 and the raw
IDX files, and compares everything that the program wrote or said.

usage: check_study.py STUDY DATA LOG [noise=SHARE] [sums=zero|free]

LOG is what the run wrote to standard output. noise: the share of replaced labels. sums=zero: influence must sum to zero
over the training examples of every test example (balanced, n x ratio whole, blocks complete); sums=free: it must not.
Prints what was compared; exit code 1 at the first difference.
"""

import csv
import gzip
import os
import re
import sys

import h5py
import numpy as np

Z = 1.959963984540054  # 97.5 % point of the normal distribution


def require(condition, text):
    if not condition:
        sys.exit("FAILED: " + text)


def require_close(found, expected, text, tolerance=1e-6):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    require(found.shape == expected.shape, f"{text}: shape {found.shape}, not {expected.shape}")
    require((np.isnan(found) == np.isnan(expected)).all(), f"{text}: NaN in other places")
    difference = np.nanmax(np.abs(found - expected), initial=0)
    require(difference <= tolerance, f"{text}: differs by {difference:g}")


# ---- what the program must have computed


def with_one_of_each(hit, count):
    return (hit + 1) / (count + 2)


def added_variance(hit, count):
    p = with_one_of_each(hit, count)
    return p * (1 - p) / (count + 2)


def wilson(hit, count):
    p = hit / count
    centre = (p + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(p * (1 - p) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return centre - half, centre + half


def difference(in_hit, models_in, out_hit, models_out):
    """Value, Agresti-Caffo standard error, and the wider of Newcombe's and Agresti and Caffo's intervals."""
    p, q = in_hit / models_in, out_hit / models_out
    error = np.sqrt(added_variance(in_hit, models_in) + added_variance(out_hit, models_out))
    p_low, p_high = wilson(in_hit, models_in)
    q_low, q_high = wilson(out_hit, models_out)
    centre = with_one_of_each(in_hit, models_in) - with_one_of_each(out_hit, models_out)
    low = np.minimum(p - q - np.sqrt((p - p_low) ** 2 + (q_high - q) ** 2), centre - Z * error)
    high = np.maximum(p - q + np.sqrt((p_high - p) ** 2 + (q - q_low) ** 2), centre + Z * error)
    undefined = np.where((models_in == 0) | (models_out == 0), np.nan, 0)
    return p - q + undefined, error + undefined, np.maximum(low, -1) + undefined, np.minimum(high, 1) + undefined


def widened(estimate, design, ratio):
    """Errors of a balanced design: sqrt(B / (B - 1)) times those of two samples, B the models of a block."""
    if design != "balanced":
        return estimate
    block = next(b for b in range(2, 101) if abs(ratio * b - round(ratio * b)) < 1e-9)
    factor = np.sqrt(block / (block - 1))
    value, error = estimate[0], factor * estimate[1]
    if len(estimate) == 2:
        return value, error
    low, high = value - factor * (value - estimate[2]), value + factor * (estimate[3] - value)
    return value, error, np.maximum(low, -1), np.minimum(high, 1)


def proportion(hit, count):
    low, high = wilson(hit, count)
    undefined = np.where(count == 0, np.nan, 0)
    return (hit / count, np.sqrt(added_variance(hit, count)) + undefined, np.maximum(low, 0), np.minimum(high, 1))


def paired(plus, minus, pairs):
    """Bonett and Price: mean of paired differences, one pair added to either kind that differs."""
    u, v = with_one_of_each(plus, pairs), with_one_of_each(minus, pairs)
    error = np.sqrt((u + v - (u - v) ** 2) / (pairs + 2))
    value = (plus - minus) / pairs
    undefined = np.where(pairs == 0, np.nan, 0)
    return (value, error + undefined, np.maximum(u - v - Z * error, -1) + undefined,
            np.minimum(u - v + Z * error, 1) + undefined)


def pairs_of(mask, seed):
    """Pairs of models of one seed: (trained on everything, trained on everything but example i, i). Found from the masks,
    not from the models' numbers."""
    n = mask.shape[1]
    pairs = []
    size = mask.sum(axis=1)
    require(np.isin(size, (n - 1, n)).all(), "leave_one_out: a model lacks more than one example")
    for s in np.unique(seed):
        twin = np.flatnonzero((seed == s) & (size == n))
        require(len(twin) == 1, f"seed {s} has {len(twin)} twins")
        for k in np.flatnonzero((seed == s) & (size == n - 1)):
            pairs.append((twin[0], k, np.flatnonzero(~mask[k])[0]))
    return pairs


def paired_memorization(mask, right, seed):
    plus, minus, count = (np.zeros(mask.shape[1]) for _ in range(3))
    for twin, k, i in pairs_of(mask, seed):
        count[i] += 1
        plus[i] += right[twin, i] and not right[k, i]
        minus[i] += right[k, i] and not right[twin, i]
    return paired(plus, minus, count)


def paired_influence(mask, test_right, seed):
    plus, minus, count = (np.zeros((test_right.shape[1], mask.shape[1])) for _ in range(3))
    for twin, k, i in pairs_of(mask, seed):
        count[:, i] += 1
        plus[:, i] += test_right[twin] & ~test_right[k]
        minus[:, i] += test_right[k] & ~test_right[twin]
    value, error, _, _ = paired(plus, minus, count)
    return value, error


# ---- what there is


def read_idx(directory, name):
    for file, opener in ((name, open), (name + ".gz", gzip.open)):
        path = os.path.join(directory, file)
        if os.path.exists(path):
            with opener(path, "rb") as stream:
                raw = stream.read()
            dimensions = raw[3]
            shape = np.frombuffer(raw, ">u4", dimensions, 4)
            return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    sys.exit(f"FAILED: no {name} in {directory}")


def bits(packed, n):
    plain = np.unpackbits(packed, axis=1, bitorder="little")
    require(not plain[:, n:].any(), "spare bits are set")
    return plain[:, :n].astype(bool)


def check_examples(group, raw, noise, text):
    index, label, true = group["index"][:], group["label"][:], group["label_true"][:]
    require((np.diff(index) > 0).all(), f"{text}: source numbers do not ascend")
    require((raw[index] == true).all(), f"{text}: label_true is not the source's")
    replaced = int((label != true).sum())
    require(abs(replaced - noise * len(label)) <= 1, f"{text}: {replaced} of {len(label)} labels were replaced")
    share = np.bincount(raw[index], minlength=10) / len(index) - np.bincount(raw, minlength=10) / len(raw)
    require((np.abs(share) * len(index) <= 2).all(), f"{text}: classes are not in proportion")


def check_margins(margin, right, classes, text):
    """phi = z_y - logsumexp(others): positive means right; below -log(classes - 1) some other class is ahead."""
    require(np.isfinite(margin).all(), f"{text}: a margin is not finite")
    require(right[margin > 1e-3].all(), f"{text}: a positive margin that is not right")
    require(not right[margin < -np.log(classes - 1) - 1e-3].any(), f"{text}: a clearly negative margin that is right")
    require(0 < right.mean() < 1, f"{text}: nothing to tell apart")


def check_mask(mask, design, ratio):
    models, n = mask.shape
    size, times = mask.sum(axis=1), mask.sum(axis=0)
    if design == "random":
        require((size == int(np.floor(ratio * n + 1e-9))).all(), "random: models of other sizes")
        require(len(np.unique(times)) > 1, "random: all examples equally often")
    if design == "balanced":
        block = next(b for b in range(2, 101) if abs(ratio * b - round(ratio * b)) < 1e-9)
        share = round(ratio * block)
        require((np.abs(size - ratio * n) <= 1).all(), "balanced: models of other sizes")
        for first in range(0, models - block + 1, block):
            inside = mask[first:first + block].sum(axis=0)
            require((inside == share).all(), f"balanced: block {first // block} is not balanced")
        rest = mask[models // block * block:].sum(axis=0)
        left = models % block
        require((rest <= min(left, share)).all() and (rest >= max(0, left - (block - share))).all(),
                "balanced: the incomplete block is impossible")


def check_scores(scores, expected):
    for name, fields in expected.items():
        for field, values in zip(("value", "standard_error", "low", "high"), fields):
            require_close(scores[f"{name}/{field}"][:], values, f"/{name}/{field}")
        value, error, low, high = (scores[f"{name}/{f}"][:] for f in ("value", "standard_error", "low", "high"))
        known = ~np.isnan(value)
        require(known.any(), f"/{name}: all NaN")
        require((error[known] > 0).all(), f"/{name}: an error that is not positive")
        require(((low <= value) & (value <= high))[known].all(), f"/{name}: an interval without its value")


def influence_of(mask, test_right):
    models_in = mask.sum(axis=0).astype(float)
    models_out = len(mask) - models_in
    hit_in = test_right.T.astype(float) @ mask.astype(float)
    hit_out = test_right.sum(axis=0)[:, None] - hit_in
    value, error, _, _ = difference(hit_in, models_in[None, :], hit_out, models_out[None, :])
    return value, error


def check_influence(file, value, error, sums):
    if "contrast" in file:
        contrast = file["contrast"][:].astype(float)
        require_close(contrast, value, "/contrast")
        if "standard_error" in file:
            require_close(file["standard_error"][:], error, "/standard_error")
        largest = np.abs(np.nansum(contrast, axis=1)).max()
        if sums == "zero":
            require(largest < 1e-4, f"contrasts sum to {largest:g}, not to zero")
        if sums == "free":
            require(largest > 0.1, f"contrasts sum to {largest:g}: as if the design were balanced")
        return f"influence {contrast.shape}, largest sum over training examples {largest:.2g}"
    index, top = file["top/index"][:], file["top/value"][:].astype(float)
    k = index.shape[1]
    size = -np.sort(-np.where(np.isnan(value), -1, np.abs(value)), axis=1)[:, :k]
    require_close(np.abs(top), np.where(size < 0, np.nan, size), "/top/value, by strength")
    require(((index < 0) == np.isnan(top)).all(), "/top/index: -1 stands beside a value, or none beside NaN")
    at = np.maximum(index, 0)
    require_close(top, np.where(index < 0, np.nan, np.take_along_axis(value, at, axis=1)), "/top/value at /top/index")
    require(all(len(np.unique(row[row >= 0])) == (row >= 0).sum() for row in index), "/top/index: one example twice")
    if "top/standard_error" in file:
        require_close(file["top/standard_error"][:], np.where(index < 0, np.nan, np.take_along_axis(error, at, axis=1)),
                      "/top/standard_error")
    return f"the {k} strongest influences on {len(index)} test examples"


# ---- what it said, and what it exported


def field(line, name):
    found = re.search(rf"\b{re.escape(name)}=(\S+)", line)
    require(found is not None, f"no {name}= in: {line}")
    return float(found.group(1))


def mean_share(hit, count, select):
    select = select & (count > 0)
    return (hit[select] / count[select]).mean() if select.any() else np.nan


def check_words(log, study, counts, relabelled, memorization, accuracy):
    with open(log) as stream:
        summary = [line for line in stream if "event=summary" in line][-1]
    models_in, in_hit, _, _ = counts
    require_close(field(summary, "test_accuracy"), accuracy.mean(), "summary: test_accuracy", 5.1e-5)
    require_close(field(summary, "in_sample_clean"), mean_share(in_hit, models_in, ~relabelled),
                  "summary: in_sample_clean", 5.1e-5)
    if relabelled.any():
        require_close(field(summary, "in_sample_relabelled"), mean_share(in_hit, models_in, relabelled),
                      "summary: in_sample_relabelled", 5.1e-5)
    value, _, low, _ = (np.asarray(f).astype(np.float32) for f in memorization)
    require(field(summary, "memorized_above_0.25") == (value > 0.25).sum(), f"summary: {summary}")
    require(field(summary, "of_these_interval_above_0.25") == (low > 0.25).sum(), f"summary: {summary}")
    with open(os.path.join(study, "report.html"), encoding="utf-8") as stream:
        text = re.sub(r"<[^>]*>", " ", stream.read())
    for select in (~relabelled, relabelled):
        if select.any():
            shown = f"{100 * mean_share(in_hit, models_in, select):.1f}"
            require(shown in text, f"report.html does not say the in-sample accuracy {shown} %")


def check_exports(study, scores, ensemble, influence):
    folder = os.path.join(study, "export")
    with open(os.path.join(folder, "scores.csv")) as stream:
        rows = list(csv.DictReader(stream))
    columns = {key: np.array([float(row[key]) if row[key] else np.nan for row in rows]) for key in rows[0]}
    for name in ("index", "label", "label_true"):
        require_close(columns[name], ensemble[f"train/{name}"][:], f"scores.csv: {name}", 0)
    for name in ("memorization", "cscore"):
        for part in ("value", "standard_error", "low", "high"):
            expected = scores[f"{name}/{part}"][:]
            found = columns[name if part == "value" else f"{name}_{part}"].astype(np.float32)
            require_close(found, expected, f"scores.csv: {name} {part}", 0)
            require_close(np.load(f"{folder}/{name}_{part}.npy"), expected, f"{name}_{part}.npy", 0)
    for name in ("in", "in_correct", "out", "out_correct"):
        require_close(columns[f"models_{name}"], scores[f"models/{name}"][:], f"scores.csv: models_{name}", 0)
        require_close(np.load(f"{folder}/models_{name}.npy"), scores[f"models/{name}"][:], f"models_{name}.npy", 0)
    for path, n in (("mask", "n_train"), ("train/correct", "n_train"), ("test/correct", "n_test")):
        found = np.load(f"{folder}/{path.replace('/', '_')}.npy")
        require((found == bits(ensemble[path][:], ensemble.attrs[n])).all(), f"{path}: npy differs")
    for path in ("train/logit", "test/logit", "test_accuracy"):
        require_close(np.load(f"{folder}/{path.replace('/', '_')}.npy"), ensemble[path][:], f"{path}: npy", 0)
    if influence is None:
        return
    names = {"contrast": "influence", "standard_error": "influence_standard_error", "top/value": "influence_top_value",
             "top/index": "influence_top_position", "top/standard_error": "influence_top_standard_error"}
    for path, name in names.items():
        if path in influence:
            require_close(np.load(f"{folder}/{name}.npy"), influence[path][:], f"{name}.npy", 0)
    check_influence_table(folder, ensemble, influence)


def check_influence_table(folder, ensemble, influence):
    with open(os.path.join(folder, "influence.csv")) as stream:
        rows = list(csv.DictReader(stream))
    train, test = ensemble["train/index"][:], ensemble["test/index"][:]
    dense = "contrast" in influence
    values = influence["contrast" if dense else "top/value"][:]
    strengths = -np.sort(-np.where(np.isnan(values), -1, np.abs(values)), axis=1)
    for row in rows:
        j = int(np.searchsorted(test, int(row["test_index"])))
        i = int(np.searchsorted(train, int(row["train_index"])))
        rank = int(row["rank"]) - 1
        value = np.float32(row["influence"])
        require(test[j] == int(row["test_index"]) and train[i] == int(row["train_index"]), f"influence.csv: {row}")
        require(int(row["train_label"]) == ensemble["train/label"][i], f"influence.csv: {row}")
        require(int(row["test_label"]) == ensemble["test/label"][j], f"influence.csv: {row}")
        require(abs(value) == strengths[j, rank], f"influence.csv: rank {rank + 1} of {row}")
        at = i if dense else int(np.flatnonzero(influence["top/index"][j] == i)[0])
        require(value == values[j, at], f"influence.csv: {row}")
    require(len(rows) >= len(test), "influence.csv: too few rows")


def main():
    study, data, log = sys.argv[1:4]
    options = dict(word.split("=") for word in sys.argv[4:])
    np.seterr(divide="ignore", invalid="ignore")
    ensemble = h5py.File(os.path.join(study, "ensemble.h5"))
    scores = h5py.File(os.path.join(study, "scores.h5"))
    influence_path = os.path.join(study, "influence.h5")
    influence = h5py.File(influence_path) if os.path.exists(influence_path) else None
    n, n_test, design = ensemble.attrs["n_train"], ensemble.attrs["n_test"], ensemble.attrs["design"]
    design = design.decode() if isinstance(design, bytes) else design
    require(not ensemble["diverged"][:].any(), "a model diverged")

    train_labels, test_labels = (read_idx(data, f"{part}-labels-idx1-ubyte") for part in ("train", "t10k"))
    check_examples(ensemble["train"], train_labels, float(options.get("noise", 0)), "train")
    check_examples(ensemble["test"], test_labels, 0, "test")

    mask = bits(ensemble["mask"][:], n)
    right, test_right = bits(ensemble["train/correct"][:], n), bits(ensemble["test/correct"][:], n_test)
    check_mask(mask, design, ensemble.attrs["ratio"])
    check_margins(ensemble["train/logit"][:], right, 10, "train")
    check_margins(ensemble["test/logit"][:], test_right, 10, "test")
    require_close(ensemble["test_accuracy"][:], test_right.mean(axis=1), "/test_accuracy", 1e-7)

    models_in, in_hit = mask.sum(axis=0).astype(float), (mask & right).sum(axis=0).astype(float)
    models_out, out_hit = len(mask) - models_in, (~mask & right).sum(axis=0).astype(float)
    counts = (models_in, in_hit, models_out, out_hit)
    for name, expected in zip(("in", "in_correct", "out", "out_correct"), counts):
        require_close(scores[f"models/{name}"][:], expected, f"/models/{name}", 0)
    memorization = (paired_memorization(mask, right, ensemble["seed"][:]) if design == "leave_one_out" else
                    widened(difference(in_hit, models_in, out_hit, models_out), design, ensemble.attrs["ratio"]))
    check_scores(scores, {"memorization": memorization, "cscore": proportion(out_hit, models_out)})
    told = "no influence"
    if influence is not None:
        expected = (paired_influence(mask, test_right, ensemble["seed"][:]) if design == "leave_one_out" else
                    widened(influence_of(mask, test_right), design, ensemble.attrs["ratio"]))
        told = check_influence(influence, *expected, options.get("sums"))

    relabelled = ensemble["train/label"][:] != ensemble["train/label_true"][:]
    check_words(log, study, counts, relabelled, memorization, test_right.mean(axis=1))
    check_exports(study, scores, ensemble, influence)
    print(f"{design}: {len(mask)} models, {n} and {n_test} examples, {int(np.isnan(memorization[0]).sum())} without a score; "
          f"{told}: as numpy computes them")


main()
