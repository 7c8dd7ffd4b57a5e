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


def somers(x, y):
    """Somers' D of x given y, from all pairs."""
    less = y[:, None] < y[None, :]
    return np.sign(x[None, :] - x[:, None])[less].sum() / less.sum()


ONE = " (one original)"


def columns_of(name, scores, few):
    """The sets of values whose statistics a row has the mean of."""
    if name.endswith(ONE):
        group = scores[name[: -len(ONE)]]
        return list(group["originals"][:].astype(float).T * group.attrs["orientation"])
    own = scores[name]["value"][:].astype(float) * scores[name].attrs["orientation"]
    return [own] + few.get(name, [])


def few_models(mask, correct, value, models):
    """From groups of so many of the last 8, the very last ones left out."""
    out = []
    for first in range(len(mask) - 2 * models, len(mask) - 9, -models):
        m, v = mask[first : first + models], value[first : first + models]
        arms = []
        for arm in (m, ~m):
            with np.errstate(invalid="ignore"):
                mean = ((arm * v).sum(0) / arm.sum(0)).astype(np.float32).astype(float)
            mean[np.isnan(mean)] = mean[~np.isnan(mean)].mean()
            arms.append(mean)
        out.append((arms[0] - arms[1]).astype(np.float32).astype(float))
    return out


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
        "somers_d": somers(x, y),
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


def check_rows(study, scores, reference, noisy, few):
    size = int(study.attrs["group"])
    scale = {"few_2", "few_4", "few_8", "few_2p", "few_8p", "screening", "by_probability"}
    for i, name in enumerate(texts(study["score"])):
        found, errors = [], []
        for x in columns_of(name, scores, few):
            both = ~np.isnan(x) & ~np.isnan(reference)
            near(name + " left out", study["left_out"][i], (~both).sum())
            found.append(statistics(x[both], reference[both], noisy[both], size))
            errors.append(np.sqrt(((x - reference)[both] ** 2).mean()))
        near(name + " rmse", study["rmse"][i], np.mean(errors) if name in scale else np.nan)
        for statistic in found[0]:
            each = [f[statistic] for f in found]
            near(f"{name} {statistic}", study[statistic]["value"][i], np.mean(each))
            near(f"{name} {statistic} spread", study[statistic]["spread"][i],
                 np.std(each, ddof=1) if len(each) > 1 else np.nan)
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


def check_reference(study, mask, correct, reference, noisy):
    count = np.unique(reference[~np.isnan(reference)], return_counts=True)[1].astype(float)
    n = count.sum()
    near("ties", study.attrs["ceiling_of_ties"], np.sqrt(1 - (count**3 - count).sum() / (n**3 - n)), 1e-12)
    near("tied", study.attrs["reference_tied"], count[count > 1].sum() / n, 1e-12)
    inside = (mask & correct).sum(0) / mask.sum(0)
    near("accuracy", study.attrs["in_accuracy"], inside.mean(), 1e-12)
    near("accuracy of replaced", study.attrs["in_accuracy_replaced"], inside[noisy].mean(), 1e-12)


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
        most = study.attrs["ceiling_of_ties"] if kind == "spearman" else 1
        near("ceiling", study.attrs["ceiling_" + kind], min(np.sqrt(2 * r / (1 + r)), most), 1e-12)


PARTS = {"ranks": ["ranks", "confidence", "few_4"], "fitted": ["fitted", "confidence", "knn_input", "few_4"],
         "screening": ["screening", "confidence"], "early": ["early", "csg"]}
MODELS = {"few_2": 2, "few_4": 4, "few_8": 8, "few_2p": 2, "few_8p": 8, "ranks": 4, "fitted": 4}
WHOLE = {"cscore", "ensemble_disagreement", "by_probability"}
SHARE = {"csg": 10 / 20, "sgal": 5 / 20, "early": 10 / 20}


def check_costs(study, scores, mask, seconds, originals):
    """Own work and shared training: of originals, of the last models, of both for what is made of several."""
    names = texts(study["score"])
    unit = seconds.mean() / mask.mean()
    plain = min(unit * len(originals), originals.sum()) # csg's gradients are for csg to pay
    near("a training", study.attrs["training_core_seconds"], unit, 1e-9 * unit)
    for i, row in enumerate(names):
        name = row.replace(ONE, "")
        many = len(originals) if row.endswith(ONE) else 1
        own = sum(scores[p].attrs["cost_core_seconds"] for p in PARTS.get(name, [name])) / many
        own += {"told": 3 * unit, "secret": 0, "untold": np.nan}.get(name, 0)
        last = MODELS.get(name, len(seconds) if name in WHOLE else 0)
        models = seconds[len(seconds) - last :].sum()
        free = set(MODELS) | WHOLE | {"ssft", "told", "untold", "secret"}
        shared = 0 if name in free - {"ranks", "fitted"} else plain
        shared = (originals.sum() if name in ("csg", "early") else shared) * SHARE.get(name, 1) / many
        used = 0 if shared == 0 else len(originals) // many
        for column, value in (("own_core_seconds", own), ("originals_core_seconds", shared),
                              ("ensemble_core_seconds", models), ("own_trainings", own / unit),
                              ("trainings", (own + shared + models) / unit),
                              ("trainings_after_originals", (own + models) / unit)):
            near(f"{row} {column}", study["cost"][column][i], value, 1e-6)
        near(row + " models", study["cost/ensemble_models"][i], last)
        near(row + " originals", study["cost/originals"][i], used)
        near(row + " in reference", study["in_reference"][i], last > 8 or name == "secret")
        if not row.endswith(ONE):
            near(name + " shared", scores[name].attrs["shared_training_core_seconds"], shared + models, 1e-6)


def check_screening(study, scores, reference):
    at, low = texts(study["score"]).index("screening"), scores["confidence"]["value"][:]
    picked = np.zeros(len(low), bool)
    picked[np.argsort(low, kind="stable")[: round(0.1 * len(low))]] = True
    for name, threshold in (("missed_025", 0.25), ("missed_050", 0.5)):
        near(name, study["screening/" + name][at], (~picked)[reference > threshold].mean())
        near(name, study["screening/" + name][0], np.nan)
    near("saving", study["screening/saving"][at], len(low) / round(0.1 * len(low)))


def check_one_front(study, what, value, cost, taken):
    for i, name in enumerate(texts(study["score"])):
        beaten = any(
            cost[k] <= 1.02 * cost[i] and value[k] >= value[i] and (cost[k] < cost[i] or value[k] > value[i])
            for k in range(len(cost)) if not taken[k]
        )
        near(name + what, study[what + "/member"][i], not beaten and not taken[i])
        share = study[what + "/share"][i]
        if not 0 <= share <= 1 or (taken[i] and share > 0):
            sys.exit(f"{name}: on {what} in {share} of the resamples")
    total = study[what + "/share"][:].sum()
    if not 1 <= total <= len(cost): # somebody always is
        sys.exit(f"{what}: shares add up to {total}")


def check_weights(study):
    names, value = texts(study["score"]), study["somers_d/value"][:]
    cost = study["cost/trainings"][:]
    taken = study["in_reference"][:].astype(bool) | np.isnan(cost)
    check_one_front(study, "front", value, cost, taken)
    check_one_front(study, "front_after_originals", value, study["cost/trainings_after_originals"][:], taken)
    curves = {"correctness": ["few_2", "few_4", "few_8"], "probability": ["few_2p", "few_8p"]}

    def best_at(at):
        best = ("", np.nan, None)
        for kind, members in curves.items():
            order = sorted((names.index(m) for m in members), key=lambda m: cost[m])
            if cost[order[0]] <= at <= cost[order[-1]]:
                here = np.interp(np.log(at), np.log(cost[order]), value[order])
                best = (kind, here, order) if not here <= best[1] else best
        return best

    for i, name in enumerate(names):
        kind, here, order = best_at(cost[i])
        few = name.startswith("few_")
        near(name + " at equal cost", study["equal_cost/value"][i], np.nan if few else value[i] - here)
        if few or kind == "":
            near(name + " worth", study["equal_cost/worth_trainings"][i], np.nan)
            continue
        if texts(study["equal_cost/few_models_by"])[i] != kind:
            sys.exit(f"{name}: compared with {texts(study['equal_cost/few_models_by'])[i]}, not {kind}")
        if not study["equal_cost/low"][i] < study["equal_cost/high"][i]:
            sys.exit(f"{name}: at equal cost from {study['equal_cost/low'][i]}")
        after = next((k for k, row in enumerate(order) if value[row] >= value[i]), 0)
        worth = np.nan
        if after > 0:
            a, b = order[after - 1], order[after]
            part = (value[i] - value[a]) / (value[b] - value[a])
            worth = cost[a] * (cost[b] / cost[a]) ** part
        near(name + " worth", study["equal_cost/worth_trainings"][i], worth)
    for b, budget in enumerate(study["budgets/trainings"][:]):
        allowed = [k for k in range(len(names)) if not taken[k] and cost[k] <= 1.05 * budget]
        best = max(allowed, key=lambda k: value[k]) if allowed else None
        near("budget", study["budgets/best_somers_d"][b], value[best] if allowed else np.nan)
        if texts(study["budgets/best"])[b] != (names[best] if allowed else ""):
            sys.exit(f"budget {budget}: {texts(study['budgets/best'])[b]} is best")
        near("budget, few models", study["budgets/few_models_somers_d"][b], best_at(budget)[1])
        if texts(study["budgets/few_models_by"])[b] != best_at(budget)[0]:
            sys.exit(f"budget {budget}: {texts(study['budgets/few_models_by'])[b]} is compared with")


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
        phi = ensemble["train/logit"][:].astype(float)
        probability = 1 / (1 + np.exp(-phi))
        few = {"few_2": few_models(mask, correct, correct, 2), "few_4": few_models(mask, correct, correct, 4),
               "few_2p": few_models(mask, correct, probability, 2)}
        check_rows(study, scores, reference, noisy, few)
        check_interval(study, scores, reference)
        check_reference(study, mask[:-8], correct[:-8], reference, noisy)
        check_reliability(study, mask[:-8], correct[:-8])
        check_costs(study, scores, mask, ensemble["seconds"][:], training["seconds"][:])
        check_weights(study)
        check_screening(study, scores, reference)
    print("equal")


if __name__ == "__main__":
    main()
