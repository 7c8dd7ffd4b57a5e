#!/usr/bin/python3
"""The study of scores recomputed by numpy and scipy from what the study's other files say: check_scaling.py STUDY.

Everything but what takes leaveout's own random numbers: intervals and reliability are compared with ranges.
"""
import sys

import h5py
import numpy as np
from scipy import stats

SAME = 1e-6


def bits(packed, n):
    return np.unpackbits(packed, axis=1, bitorder="little")[:, :n].astype(bool)


def texts(dataset):
    return [bytes(row).split(b"\0")[0].decode() for row in dataset[:]]


def near(what, got, expected, error=SAME):
    same = (np.isnan(got) and np.isnan(expected)) or abs(got - expected) <= error
    if not same:
        sys.exit(f"{what}: {got}, not {expected}")


def memorization(mask, correct):
    inside, outside = mask.sum(0), (~mask).sum(0)
    with np.errstate(invalid="ignore"):
        return ((mask & correct).sum(0) / inside - (~mask & correct).sum(0) / outside).astype(np.float32).astype(float)


def smallest(keys, size):
    edge = np.sort(keys)[size - 1]
    share = (keys < edge).astype(float)
    share[keys == edge] = (size - share.sum()) / (keys == edge).sum()
    return share


def at_quantile(values, size, at):
    first = min(max(at * len(values) - size / 2, 0), len(values) - size)
    below = np.array([(values < v).sum() for v in values])
    tied = np.array([(values == v).sum() for v in values])
    return np.maximum(0, np.minimum(first + size, below + tied) - np.maximum(first, below)) / tied


def area(x, positive):
    if positive.all() or not positive.any():
        return np.nan
    return stats.mannwhitneyu(x[positive], x[~positive]).statistic / positive.sum() / (~positive).sum()


def precision(x, positive):
    order = np.unique(x)[::-1]
    total, before = 0.0, 0.0
    for t in order:
        taken = x >= t
        recall = positive[taken].sum() / positive.sum()
        total += (recall - before) * positive[taken].mean()
        before = recall
    return total


def statistics(x, y, noisy, size):
    quantile = stats.percentileofscore(y, 0.5, kind="mean") / 100
    groups = {
        "top": (smallest(-x, size), smallest(-y, size)),
        "bottom": (smallest(x, size), smallest(y, size)),
        "middle_median": (smallest(np.abs(x - np.median(x)), size), smallest(np.abs(y - 0.5), size)),
        "middle_rank": (at_quantile(x, size, quantile), smallest(np.abs(y - 0.5), size)),
    }
    out = {
        "spearman": stats.spearmanr(x, y)[0],
        "pearson": stats.pearsonr(x, y)[0],
        "auc_025": area(x, y > 0.25),
        "auc_050": area(x, y > 0.5),
        "noise_auc": area(x, noisy),
        "noise_precision": precision(x, noisy),
    }
    for name, (a, b) in groups.items():
        out[name] = (a * b).sum() / size
        out[name + "_mean"] = (a * y).sum() / size
    return out


def check_rows(study, scores, reference, noisy):
    size = int(study.attrs["group"])
    for i, name in enumerate(texts(study["score"])):
        x = scores[name]["value"][:].astype(float) * scores[name].attrs["orientation"]
        both = ~np.isnan(x) & ~np.isnan(reference)
        near(name + " left out", study["left_out"][i], (~both).sum())
        for statistic, value in statistics(x[both], reference[both], noisy[both], size).items():
            near(f"{name} {statistic}", study[statistic]["value"][i], value)
            low, high = study[statistic]["low"][i], study[statistic]["high"][i]
            if not low <= high:
                sys.exit(f"{name} {statistic}: from {low} to {high}")
        for statistic in ("spearman", "pearson"):
            near(f"{name} {statistic} corrected", study[statistic]["corrected"][i],
                 study[statistic]["value"][i] / np.sqrt(study.attrs["reliability_" + statistic]))


def check_interval(study, scores, reference):
    """A bootstrap of another's random numbers: the same interval, but for its own error."""
    name = "confidence"
    i = texts(study["score"]).index(name)
    x, rng = -scores[name]["value"][:].astype(float), np.random.default_rng(1)
    found = []
    for _ in range(400):
        at = rng.integers(0, len(x), len(x))
        found.append(stats.spearmanr(x[at], reference[at])[0])
    low, high = np.quantile(found, [0.025, 0.975])
    width = high - low
    near("low end", study["spearman/low"][i], low, 0.25 * width)
    near("high end", study["spearman/high"][i], high, 0.25 * width)


def check_reliability(study, mask, correct):
    rng, half = np.random.default_rng(2), []
    for _ in range(20):
        order = rng.permutation(len(mask))
        a, b = order[: len(order) // 2], order[len(order) // 2 :]
        half.append(stats.spearmanr(memorization(mask[a], correct[a]), memorization(mask[b], correct[b]), nan_policy="omit")[0])
    near("half", study.attrs["half_spearman"], np.mean(half), 4 * np.std(half))
    for kind in ("spearman", "pearson"):
        r = study.attrs["half_" + kind]
        near("whole", study.attrs["reliability_" + kind], 2 * r / (1 + r), 1e-12)
        near("ceiling", study.attrs["ceiling_" + kind], np.sqrt(2 * r / (1 + r)), 1e-12)


def check_costs(study, scores, seconds, originals):
    """Own work and shared training: of originals, of the last models, of both for what is made of several."""
    names = texts(study["score"])
    own = {n: scores[n].attrs["cost_core_seconds"] for n in names}
    parts = {"ranks": ["ranks", "confidence", "few_4"], "fitted": ["fitted", "confidence", "knn_input", "few_4"],
             "screening": ["screening", "confidence"]}
    models = {"few_2": 2, "few_4": 4, "few_8": 8, "few_2p": 2, "few_8p": 8, "ranks": 4, "fitted": 4}
    trained = {"ssft", "few_2", "few_4", "few_8", "few_2p", "few_8p", "cscore", "ensemble_disagreement"}
    near("a training", study.attrs["training_core_seconds"], originals.mean(), 1e-9)
    for i, name in enumerate(names):
        last = models.get(name, len(seconds) if name in ("cscore", "ensemble_disagreement") else 0)
        expected = sum(own[p] for p in parts.get(name, [name])) + seconds[len(seconds) - last :].sum()
        expected += 0 if name in trained else originals.sum()
        near(name + " costs", study["cost/trainings"][i], expected / originals.mean(), 1e-6)
        near(name + " models", study["cost/ensemble_models"][i], last)
        near(name + " in reference", study["in_reference"][i], last > 8)


def check_screening(study, scores, reference):
    at, low = texts(study["score"]).index("screening"), scores["confidence"]["value"][:]
    picked = np.zeros(len(low), bool)
    picked[np.argsort(low, kind="stable")[: round(0.1 * len(low))]] = True
    for name, threshold in (("missed_025", 0.25), ("missed_050", 0.5)):
        near(name, study["screening/" + name][at], (~picked)[reference > threshold].mean())
        near(name, study["screening/" + name][0], np.nan)


def check_front(study):
    names, rho = texts(study["score"]), study["spearman/value"][:]
    cost, taken = study["cost/trainings"][:], study["in_reference"][:].astype(bool)
    for i, name in enumerate(names):
        beaten = any(
            cost[k] <= 1.02 * cost[i] and rho[k] >= rho[i] and (cost[k] < cost[i] or rho[k] > rho[i])
            for k in range(len(names)) if not taken[k]
        )
        near(name + " front", study["front/member"][i], not beaten and not taken[i])
    curves = {"correctness": ["few_2", "few_4", "few_8"], "probability": ["few_2p", "few_8p"]}

    def best_at(at):
        values = {}
        for kind, members in curves.items():
            order = sorted(members, key=lambda m: cost[names.index(m)])
            c = np.array([cost[names.index(m)] for m in order])
            v = np.array([rho[names.index(m)] for m in order])
            if c[0] <= at <= c[-1]:
                values[kind] = np.interp(np.log(at), np.log(c), v)
        return max(values.items(), key=lambda kv: kv[1]) if values else ("", np.nan)

    for i, name in enumerate(names):
        kind, value = best_at(cost[i])
        few = name.startswith("few_")
        near(name + " at equal cost", study["equal_cost/value"][i], np.nan if few else rho[i] - value)
        if not few and texts(study["equal_cost/few_models_by"])[i] != kind:
            sys.exit(f"{name}: compared with {texts(study['equal_cost/few_models_by'])[i]}, not {kind}")
    for b, budget in enumerate(study["budgets/trainings"][:]):
        allowed = [k for k in range(len(names)) if not taken[k] and cost[k] <= 1.05 * budget]
        best = max(allowed, key=lambda k: rho[k]) if allowed else None
        near("budget", study["budgets/best_spearman"][b], rho[best] if allowed else np.nan)
        near("budget, few models", study["budgets/few_models_spearman"][b], best_at(budget)[1])


def main():
    root = sys.argv[1]
    with h5py.File(root + "/scaling.h5") as study, h5py.File(root + "/scores.h5") as scores, \
            h5py.File(root + "/ensemble.h5") as ensemble, h5py.File(root + "/training.h5") as training:
        n = int(study.attrs["examples"])
        mask, correct = bits(ensemble["mask"][:], n), bits(ensemble["train/correct"][:], n)
        near("models held back", study.attrs["models_held_back"], 8)
        near("reference models", study.attrs["reference_models"], len(mask) - 8)
        reference = memorization(mask[:-8], correct[:-8])
        noisy = ensemble["train/label"][:] != ensemble["train/label_true"][:]
        check_rows(study, scores, reference, noisy)
        check_interval(study, scores, reference)
        check_reliability(study, mask[:-8], correct[:-8])
        check_costs(study, scores, ensemble["seconds"][:], training["seconds"][:])
        check_front(study)
        check_screening(study, scores, reference)
    print("equal")


if __name__ == "__main__":
    main()
