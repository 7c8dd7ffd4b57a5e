#!/usr/bin/python3
"""Agreement of scores by scipy and numpy: what test_agreement.c compares with.

Needs Debian's python3-scipy. A case is a line "n threshold size at", then the lines x, y, weight (n numbers each), and a line of
expected values of the sample in which each example stands as often as its weight says: Pearson, Spearman, area under the ROC
curve and average precision of x for y > threshold, the quantile of `at` in y, then for each kind of group (top, bottom, near
the median, near `at`, at the quantile of `at` in y) the overlap of x's group with y's and the mean of y in x's. After the cases:
a line "bca count estimate acceleration level", the replicates, and low and high by the percentile method and by BCa.

    tests/oracle/make_agreement.py > tests/fixtures/agreement.txt
"""
import numpy as np
from scipy import stats


def shares(values, keys, size):
    """How much of each element is in the group of the `size` smallest keys, ties shared equally."""
    order = np.sort(keys)
    edge = order[size - 1]
    inside = keys < edge
    tied = keys == edge
    share = inside.astype(float)
    share[tied] = (size - inside.sum()) / tied.sum()
    return share


def at_quantile(values, size, at):
    first = min(max(at * len(values) - size / 2, 0), len(values) - size)
    share = np.empty(len(values))
    for v in np.unique(values):
        low, tied = (values < v).sum(), (values == v).sum()
        share[values == v] = max(0, min(first + size, low + tied) - max(first, low)) / tied
    return share


def average_precision(x, positive):
    total, before = 0.0, 0.0
    for t in np.unique(x)[::-1]:
        taken = x >= t
        recall = positive[taken].sum() / positive.sum()
        total += (recall - before) * positive[taken].mean()
        before = recall
    return total


def quantile(values, at):
    return stats.percentileofscore(values, at, kind="mean") / 100


def expected(x, y, threshold, size, at):
    positive = y > threshold
    u = stats.mannwhitneyu(x[positive], x[~positive]).statistic
    out = [stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0], u / positive.sum() / (~positive).sum(),
           average_precision(x, positive), quantile(y, at)]
    groups = [
        lambda v: shares(v, -v, size),
        lambda v: shares(v, v, size),
        lambda v: shares(v, np.abs(v - np.median(v)), size),
        lambda v: shares(v, np.abs(v - at), size),
        lambda v: at_quantile(v, size, quantile(y, at)),
    ]
    for group in groups:
        a, b = group(x), group(y)
        out += [(a * b).sum() / size, (a * y).sum() / size]
    return out


def case(rng, n, levels, threshold, size, at, weighted):
    x = rng.integers(0, levels, n) / 4.0
    y = np.clip(x / x.max() + rng.integers(-8, 8, n) / 32.0, 0, 1)
    weight = rng.integers(0, 4, n) if weighted else np.ones(n, int)
    print(n, threshold, size, at)
    for row in (x, y, weight):
        print(*(repr(v.item()) for v in row))
    print(*(repr(float(v)) for v in expected(np.repeat(x, weight), np.repeat(y, weight), threshold, size, at)))


def bca(rng, count, estimate, acceleration, level):
    replicate = np.round(rng.gamma(2.0, size=count), 2)
    bias = stats.norm.ppf((np.sum(replicate < estimate) + np.sum(replicate == estimate) / 2) / count)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    z = bias + stats.norm.ppf(tails)
    print("bca", count, estimate, acceleration, level)
    print(*(repr(float(v)) for v in replicate))
    print(*(repr(float(v)) for v in np.quantile(replicate, tails)),
          *(repr(float(v)) for v in np.quantile(replicate, stats.norm.cdf(bias + z / (1 - acceleration * z)))))


def main():
    rng = np.random.default_rng(5)
    case(rng, 40, 7, 0.5, 10, 0.5, False)
    case(rng, 41, 1000, 0.25, 13, 0.5, False)
    case(rng, 60, 5, 0.5, 17, 0.25, True)
    case(rng, 61, 400, 0.25, 9, 0.75, True)
    case(rng, 60, 30, 0.9, 40, 1.0, True)
    bca(rng, 199, 1.7, 0.04, 0.95)
    bca(rng, 200, 1.3, -0.02, 0.9)


if __name__ == "__main__":
    main()
