#!/usr/bin/python3
"""privacy.h5 against numpy, model by model, pair by pair, from ensemble.h5: check_privacy.py STUDY FEW|MANY

FEW: fewer than 64 models a side, so one deviation for all examples. numpy and h5py alone.
"""
import sys

import h5py
import numpy as np


def bits(packed, n):
    return np.unpackbits(packed, axis=1, bitorder="little")[:, :n].astype(bool)


def close(found, expected, error, what):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    bad = ~((np.abs(found - expected) <= error) | (np.isnan(found) & np.isnan(expected)))
    assert not bad.any(), f"{what}: {bad.sum()} of {bad.size}, first {found[bad][0]} instead of {expected[bad][0]}"
    print(f"ok {what} {found.size}")


def auc(members, others):
    if len(members) == 0 or len(others) == 0:
        return np.nan
    return ((members[:, None] > others).sum() + (members[:, None] == others).sum() / 2) / (len(members) * len(others))


def gaussian(phi, side, without, pooled):
    """Mean and deviation of a side of one example without one of its models."""
    side = side.copy()
    side[without] = False
    values = phi[side]
    if len(values) < (1 if pooled else 2):
        return np.nan, np.nan
    return values.mean(), max(pooled or values.std(ddof=1), 1e-6 * (1 + abs(values.mean())))


def log_density(x, g):
    return -((x - g[0]) / g[1]) ** 2 / 2 - np.log(g[1])


def lira(phi, mask, pooled, offline):
    """Scores of every model, and by example the AUC over pairs, both models out of what judges them."""
    models, n = phi.shape
    score, by_example, accuracy = np.full((models, n), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for i in range(n):
        x, inside = phi[:, i], mask[:, i]
        whole = [gaussian(x, side, [], p) for side, p in ((inside, pooled[0]), (~inside, pooled[1]))]
        ins, outs = np.flatnonzero(inside), np.flatnonzero(~inside)
        without = {m: gaussian(x, inside if inside[m] else ~inside, [m], pooled[0 if inside[m] else 1]) for m in range(models)}

        def judge(v, g_in, g_out):
            return (v - g_out[0]) / g_out[1] if offline else log_density(v, g_in) - log_density(v, g_out)

        for m in range(models):
            score[m, i] = judge(x[m], without[m] if inside[m] else whole[0], whole[1] if inside[m] else without[m])
        g_in = np.array([without[a] for a in ins]).reshape(-1, 2).T[:, :, None]
        g_out = np.array([without[b] for b in outs]).reshape(-1, 2).T[:, None, :]
        mine, its = judge(x[ins][:, None], g_in, g_out), judge(x[outs][None, :], g_in, g_out)
        if offline:
            mine, its = (np.broadcast_to(v, (len(ins), len(outs))) for v in (mine, its))
        wins = np.where(np.isnan(mine + its), np.nan, (mine > its) + (mine == its) / 2).sum()
        right = (mine > 0).sum() + (its < 0).sum()
        if len(ins) and len(outs):
            by_example[i] = wins / (len(ins) * len(outs))
            accuracy[i] = np.nan if offline or np.isnan(wins) else right / (2 * len(ins) * len(outs))
    return score, by_example, accuracy


def rmia(phi, test, mask, a):
    models, n = phi.shape
    p, q = 1 / (1 + np.exp(-phi)), 1 / (1 + np.exp(-test))
    score = np.full((models, n), np.nan)
    for m in range(models):
        others = np.arange(models) != m
        out = ~mask & others[:, None]
        with np.errstate(invalid="ignore"):
            mean = np.where(out, p, 0).sum(axis=0) / out.sum(axis=0)
        ratio = p[m] / ((1 + a) / 2 * mean + (1 - a) / 2)
        ratio_z = q[m] / ((1 + a) / 2 * q[others].mean(axis=0) + (1 - a) / 2)
        score[m] = np.where(np.isnan(ratio), np.nan, (ratio_z[:, None] < ratio).mean(axis=0))
    return score


def ranks(x):
    order, out = np.argsort(x), np.empty(len(x))
    out[order] = np.arange(len(x))
    return np.array([out[x == v].mean() for v in x])


def check(group, score, by_example, mask, memorization, error):
    close(group["auc"][:], by_example, error, group.name + "/auc")
    each = [auc(score[m][mask[m] & ~np.isnan(score[m])], score[m][~mask[m] & ~np.isnan(score[m])]) for m in range(len(score))]
    close(group.attrs["auc"], np.nanmean(each), error, group.name + " auc")
    good = ~np.isnan(score)
    members, others = score[mask & good], score[~mask & good]
    close(group.attrs["pooled_auc"], auc(members, others), error, group.name + " pooled auc")
    assert group.attrs["members"] == len(members) and group.attrs["others"] == len(others)
    allowed = int(0.01 * len(others) + 1e-9)
    rate = (members > np.sort(others)[::-1][allowed]).mean() if allowed else np.nan
    close(group.attrs["pooled_tpr_at_0.01"], rate, 0.004, group.name + " pooled rate at 1 %")
    both = ~np.isnan(memorization) & ~np.isnan(by_example)
    x, y = ranks(group["auc"][:][both]), ranks(memorization[both])
    close(group.attrs["agreement_with_memorization"], np.corrcoef(x, y)[0, 1], 1e-6, group.name + " agreement")


def main():
    study, few = sys.argv[1], sys.argv[2] == "FEW"
    with h5py.File(study + "/ensemble.h5") as file, h5py.File(study + "/privacy.h5") as privacy:
        n, used = file["train/logit"].shape[1], file["diverged"][:] == 0
        phi, test = (file[k + "/logit"][:][used].astype(float) for k in ("train", "test"))
        mask, right = (bits(file[k][:], n)[used] for k in ("mask", "train/correct"))
        with np.errstate(invalid="ignore"):
            memorization = ((right & mask).sum(axis=0) / mask.sum(axis=0)
                            - (right & ~mask).sum(axis=0) / (~mask).sum(axis=0)).astype(np.float32).astype(float)
        pooled = [0, 0]
        if few:
            for k, side in enumerate((mask, ~mask)):
                off = [phi[side[:, i], i] - phi[side[:, i], i].mean() for i in range(n) if side[:, i].any()]
                pooled[k] = np.sqrt(sum((x ** 2).sum() for x in off) / sum(len(x) - 1 for x in off))
        for name, offline in (("lira", False), ("lira_offline", True)):
            score, by_example, accuracy = lira(phi, mask, pooled, offline)
            check(privacy[name], score.astype(np.float32), by_example, mask, memorization, 2e-4)
            close([privacy[name].attrs[k] for k in ("in_deviation", "out_deviation")], pooled, 1e-6, name + " deviations")
            if not offline:
                close(privacy["lira/accuracy"][:], accuracy, 2e-4, "lira accuracy")
        score = rmia(phi, test, mask, privacy["rmia"].attrs["a"])
        by_example = np.array([auc(score[mask[:, i] & ~np.isnan(score[:, i]), i], score[~mask[:, i] & ~np.isnan(score[:, i]), i])
                               for i in range(n)])
        check(privacy["rmia"], score.astype(np.float32), by_example, mask, memorization, 2e-3)
        first = [auc(s[0][mask[0] & ~np.isnan(s[0])], s[0][~mask[0] & ~np.isnan(s[0])])
                 for s in (rmia(phi, test, mask, k / 10) for k in range(11))]
        assert first[int(round(privacy["rmia"].attrs["a"] * 10))] > max(first) - 2e-3, "a is not the best"
        assert privacy["lira"].attrs["agreement_with_memorization"] > 0.3, "memorized examples are not told better"


main()
