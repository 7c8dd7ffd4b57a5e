#!/usr/bin/python3
"""What scipy, scikit-learn and numpy make of small inputs: what src/audit must agree with.

Needs Debian's python3-scipy and python3-sklearn; seconds. Each line is a name, the number of values, the values.

    tests/oracle/make_audit.py > tests/fixtures/audit.txt
"""
import numpy as np
from scipy import special, stats
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


rng = np.random.default_rng(9)
outputs(rng)
distributions()
embeddings(rng)
