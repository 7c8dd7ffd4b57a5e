#!/usr/bin/python3
"""What scipy, scikit-learn and numpy make of small inputs: what src/audit must agree with.

Needs Debian's python3-scipy and python3-sklearn; seconds. Each line is a name, the number of values, the values.

    tests/oracle/make_audit.py > tests/fixtures/audit.txt
"""
import numpy as np
from scipy import optimize, special, stats
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.svm import SVC

N, CLASSES = 40, 5


def put(name, values):
    values = np.asarray(values, float).ravel()
    print(name, len(values), *(repr(float(v)) for v in values))


def outputs(rng):
    """Logits of two models, labels; the scales make some probabilities nearly 0 and 1. Float32, as read."""
    scale = rng.choice([0.3, 2, 8], (N, 1))
    a = (rng.normal(size=(N, CLASSES)) * scale).astype(np.float32)
    b = (a + rng.normal(size=(N, CLASSES)) * rng.choice([0.01, 1, 5], (N, 1))).astype(np.float32)
    label = rng.integers(0, CLASSES, N)
    put("a", a), put("b", b), put("label", label)
    p, q = (special.softmax(z.astype(float), axis=1) for z in (a, b))
    one = np.arange(N)
    put("confidence", p[one, label])
    put("loss", special.logsumexp(a.astype(float), axis=1) - a[one, label])
    put("entropy", stats.entropy(p, axis=1))
    hot = np.eye(CLASSES)[label]
    all_but = special.logsumexp(np.where(np.eye(CLASSES, dtype=bool), -np.inf, a.astype(float)[:, None, :]), axis=2)
    log_rest = all_but - special.logsumexp(a.astype(float), axis=1)[:, None]  # log(1 - p), also where p is 1 in double
    put("modified_entropy", -(np.exp(log_rest) * special.log_softmax(a.astype(float), axis=1) * hot
                              + p * log_rest * (1 - hot)).sum(axis=1))
    put("margin", a[one, label] - all_but[one, label])
    put("disagreement", a.argmax(axis=1) != b.argmax(axis=1))
    put("l2", np.linalg.norm(p - q, axis=1))
    put("l1", np.abs(p - q).sum(axis=1))
    put("js", jensenshannon(p, q, axis=1) ** 2)


def distributions():
    cases = [(a, b, x) for a in (0.5, 1, 3.7, 60, 5000) for b in (0.5, 2, 41, 800) for x in (1e-4, 0.2, 0.5, 0.93, 0.9995)]
    put("beta_at", cases)
    put("beta", [special.betainc(*case) for case in cases])
    cases = [(p, n) for p in (0.025, 0.9, 0.975, 0.9995) for n in (1, 2, 4, 9, 30, 511)]
    put("student_at", cases)
    # scipy's own t.ppf is good to 1e-9 only: one step of Newton's method.
    x = [stats.t.ppf(*case) for case in cases]
    put("student", [x - (special.betainc(n / 2, 0.5, n / (n + x * x)) / 2 - (1 - p)) / -stats.t.pdf(x, n) if p > 0.5 else x
                    for x, (p, n) in zip(x, cases)])
    cases = [(k, n) for n in (1, 5, 100, 20000) for k in sorted({0, 1, n // 3, n})]
    put("share_at", cases)
    put("share", [[stats.beta.ppf(0.025, k, n - k + 1) if k > 0 else 0, stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1]
                  for k, n in cases])
    values = [0.71, 0.68, 0.75, 0.7]
    put("mean_of", values)
    put("mean", stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))


def embeddings(rng):
    size = 6
    values = rng.normal(size=(50, size)).astype(np.float32)
    forget = rng.permutation(50)[:12]
    retain = np.setdiff1d(np.arange(50), forget)[:30]
    values[forget] += np.float32(0.7)
    f, r = values[forget].astype(float), values[retain].astype(float)
    both = np.concatenate([f, r]).mean(axis=0)
    within = ((f - f.mean(axis=0)) ** 2).sum(axis=1).mean() + ((r - r.mean(axis=0)) ** 2).sum(axis=1).mean()
    apart = (((f.mean(axis=0) - both) ** 2).sum() + ((r.mean(axis=0) - both) ** 2).sum()) / 2
    put("embedding", values), put("embedding_forget", forget), put("embedding_retain", retain)
    put("entanglement", within / apart)


def curves(rng):
    """The first with ties, the second large enough for both rates."""
    for name, member, other in (("tied", rng.integers(0, 9, 60) + 2.0, rng.integers(0, 9, 41)),
                                ("many", rng.normal(1, 1, 700).round(2), rng.normal(0, 1, 1300).round(2))):
        put(f"{name}_member", member), put(f"{name}_other", other)
        m, n = len(member), len(other)
        truth, score = np.r_[np.ones(m), np.zeros(n)], np.r_[member, other]
        auc = roc_auc_score(truth, score)
        wins = (member[:, None] > other).astype(float) + (member[:, None] == other) / 2
        error = np.sqrt(wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n)
        size = (m + n) / 2 - 1
        z = stats.norm.ppf(0.975)

        def off(t):  # Newcombe's method 5
            return abs(auc - t) - z * np.sqrt(t * (1 - t) * (1 + size * (1 - t) / (2 - t) + size * t / (1 + t)) / (m * n))

        low, high = optimize.brentq(off, 1e-9, auc), optimize.brentq(off, auc, 1 - 1e-9)
        fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
        put(f"{name}_roc", [auc, max(0, min(low, auc - z * error)), min(1, max(high, auc + z * error)),
                            (tpr + 1 - fpr).max() / 2])
        put(f"{name}_tpr", [tpr[fpr <= at].max() for at in (0.01, 0.001, 0.1)])


def attacks(rng):
    member, other, forget = (np.sort(rng.beta(*shape, size)) for shape, size in
                             (((6, 1), 150), ((2, 1), 150), ((3, 1), 67)))
    put("svc_member", member), put("svc_other", other), put("svc_forget", forget)
    points, truth = np.r_[member, other], np.r_[np.ones(150), np.zeros(150)]
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(points[:, None], truth)
    assert min(abs(machine.decision_function(x[:, None])).min() for x in (points, forget)) > 1e-3
    put("svc", [1 - machine.predict(forget[:, None]).mean(), machine.score(points[:, None], truth)])
    wide = [np.c_[x, rng.normal(x, 0.3), rng.normal(size=len(x))] for x in (member, other, forget)]
    for name, x in zip(("member", "other", "forget"), wide):
        put(f"svc3_{name}", x)
    points = np.concatenate(wide[:2])
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(points, truth)
    assert min(abs(machine.decision_function(x)).min() for x in (points, wide[2])) > 1e-3
    put("svc3", [1 - machine.predict(wide[2]).mean(), machine.score(points, truth)])
    loss = np.r_[rng.exponential(0.2, 80), rng.exponential(1.5, 50), 25]
    truth = np.r_[np.ones(80), np.zeros(51)]
    put("logistic_x", loss), put("logistic_member", truth)
    for c in (1, 0.01):
        fit = LogisticRegression(C=c, tol=1e-12, max_iter=10000).fit(loss[:, None], truth)
        put(f"logistic_{c:g}", [fit.coef_[0, 0], fit.intercept_[0]])


def epsilon_by_rules(u, r):
    """The competition's epsilon, rule by rule: no sorting, all rules against all models."""
    ranges = np.ptp(u), np.ptp(r)
    if min(ranges) / max(ranges) < 0.01:
        return 50.0
    pos, neg = (r, u) if np.median(r) > np.median(u) else (u, r)
    grid = np.linspace(min(u.min(), r.min()), max(u.max(), r.max()),
                       int(np.ceil((max(u.max(), r.max()) - min(u.min(), r.min())) * 100)))
    found = [((neg[:, None] >= grid).mean(axis=0), (pos[:, None] < grid).mean(axis=0))]
    if np.ptp(pos) >= np.ptp(neg):
        pos, neg = neg, pos
    width = np.ptp(pos)
    low, high = pos.min() + width - 2, pos.max() + 2
    for right in np.linspace(low, high, int(np.ceil((high - low) * 100))):
        left = np.linspace(right - width - 2, right - width + 2, 400)
        found.append((((neg[:, None] >= left) & (neg[:, None] <= right)).mean(axis=0),
                      1 - ((pos[:, None] >= left) & (pos[:, None] <= right)).mean(axis=0)))
    fpr, fnr = (np.concatenate(x) for x in zip(*found))
    fnr[fnr < 1e-9] = 0  # 1 - a mean that rounds
    if ((fpr == 0) & (fnr == 0)).any():
        return 50.0
    keep = (fpr > 0) & (fnr > 0)
    if not keep.any():
        return 50.0 if pos.min() > neg.max() or neg.min() > pos.max() else 0.0
    fpr, fnr, delta = fpr[keep], fnr[keep], 1e-5
    with np.errstate(invalid="ignore"):
        each = np.fmax(np.log(1 - delta - fpr) - np.log(fnr), np.log(1 - delta - fnr) - np.log(fpr))
    return min(50.0, max(0.0, np.nanmax(each)))


def points(epsilon, models):
    for bucket in range(int(2 * np.ceil(np.log(models - 1)))):
        if epsilon < (bucket + 1) / 2:
            return 0.5 ** bucket
    return 0.0


def klom(u, r):
    u, r = np.clip(u, -100, 100), np.clip(r, -100, 100)
    edges = np.linspace(min(u.min(), r.min()), max(u.max(), r.max()), 21)
    p, q = np.histogram(u, edges)[0] / len(u), np.histogram(r, edges)[0] / len(r)
    return stats.entropy(p, np.where(p > 0, np.maximum(q, 1e-5), q))


def populations(rng):
    """Margins of 60 unlearned models and 50 oracles on nine examples."""
    unlearned, oracle = rng.normal(1, 1, (60, 9)), rng.normal(1, 1, (50, 9))
    unlearned[:, 1] += 0.7
    unlearned[:, 2] += 4
    unlearned[:, 3] *= 0.2            # much narrower
    unlearned[:, 4] *= 0.001          # 50 without looking
    oracle[:, 5] = 8 + 0.1 * oracle[:, 5]  # does not touch
    unlearned[:, 6] = np.round(unlearned[:, 6])  # ties
    unlearned[:, 7] *= 150            # beyond klom's 100
    unlearned[:, 8] = np.where(unlearned[:, 8] > 1, 3, -1) + 0.3 * oracle[:, 8].mean()
    unlearned, oracle = unlearned.astype(np.float32), oracle.astype(np.float32)
    put("population_unlearned", unlearned), put("population_oracle", oracle)
    u, r = unlearned.astype(float), oracle.astype(float)
    epsilon = [epsilon_by_rules(u[:, i], r[:, i]) for i in range(9)]
    put("population_epsilon", epsilon)
    put("population_quality", np.mean([points(e, 50) for e in epsilon]))
    each = [klom(u[:, i], r[:, i]) for i in range(9)]
    put("population_klom", each), put("population_klom_95", np.percentile(each, 95))


rng = np.random.default_rng(9)
outputs(rng)
distributions()
embeddings(rng)
curves(rng)
attacks(rng)
populations(rng)
