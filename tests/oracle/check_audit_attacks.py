#!/usr/bin/python3
"""The attacks of audit.h5 that check_audit.py leaves out, and the deltas, against numpy, scipy and, where it is there,
scikit-learn: check_audit_attacks.py STUDY

The study has no ensemble, 1080 retain and 1080 test examples for the set random10, and as many retain and test examples of the
classes of `part`: machines are fitted to all of them, so nothing is drawn.
"""
import sys

import h5py
import numpy as np
from scipy.stats import beta

try:
    from sklearn.svm import SVC
except ImportError:
    SVC = None


def text(dataset):
    return [bytes(x).split(b"\0")[0].decode() for x in np.asarray(dataset[:])]


def features(z, y):
    """All features of examples, by their names."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    own = p[np.arange(len(y)), y]
    log = z - z.max(axis=1, keepdims=True) - np.log(e.sum(axis=1, keepdims=True))
    others = np.where(np.arange(z.shape[1]) == y[:, None], -np.inf, z)
    most = others.max(axis=1)
    margin = z[np.arange(len(y)), y] - most - np.log(np.exp(others - most[:, None]).sum(axis=1))
    # 1 - p of the label's class is the sum of the others', which does not cancel.
    rest = np.array([[np.delete(row, k).sum() for k in range(len(row))] for row in p])
    terms = np.where(np.arange(z.shape[1]) == y[:, None], rest * -log, p * -np.log(rest))
    return {"correct": (z.argmax(axis=1) == y).astype(float), "confidence": own, "entropy": -(p * log).sum(axis=1),
            "modified_entropy": terms.sum(axis=1), "loss": np.logaddexp(0, -margin), "margin": margin}


def above(a, b, rate):
    """The share of a above all but a share of b, how many of b are, and whether they can tell."""
    allowed = int(rate * len(b) + 1e-9)
    threshold = np.sort(b)[::-1][allowed] if allowed < len(b) else -np.inf
    return (a > threshold).mean(), int((b > threshold).sum()), allowed > 0


def clopper_pearson(hits, n):
    return (beta.ppf(0.025, hits, n - hits + 1) if hits else 0, beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1)


class Study:
    def __init__(self, path):
        self.a = h5py.File(path + "/audit.h5")
        with h5py.File(path + "/outputs.h5") as o, h5py.File(path + "/forget.h5") as f, h5py.File(path + "/evaluation.h5") as e:
            names = list(zip(text(o["model/kind"]), text(o["model/name"])))
            classes = o.attrs["classes"]
            self.kind, self.set, model = (text(self.a["run/" + k]) for k in ("kind", "forget_set", "model"))
            self.row = [names.index(x) for x in zip(self.kind, model)]
            self.logit = {p: o[p + "/logit"][:].reshape(len(names), -1, classes).astype(float) for p in ("train", "test")}
            self.label = {p: o[p + "/label"][:] for p in self.logit}
            index = o["train/index"][:]
            self.forget = {s: np.flatnonzero(np.isin(index, f[s + "/index"][:])) for s in set(self.set)}
            self.accuracy = {k: e[k + "_accuracy/value"][:] for k in ("forget", "retain", "test")}
        self.retain = {s: np.setdiff1d(np.arange(len(index)), x) for s, x in self.forget.items()}
        self.other = {s: np.flatnonzero(np.isin(self.label["test"], self.label["train"][x])) for s, x in self.forget.items()}
        self.rows = range(len(self.set))

    def oracles(self, r):
        return [o for o in self.rows if self.kind[o] == "oracle" and self.set[o] == self.set[r] and o != r]

    def of(self, r, part, rows):
        return features(self.logit[part][self.row[r]][rows], self.label[part][rows])

    def found(self, number, r, field="value"):
        return self.a[number][field][r]


def attack(s, name, r, forget, other, seen):
    """Rates, curve and epsilon from scores."""
    points = s.a["false_positive_rate"][:]
    assert np.allclose(points, 10 ** np.linspace(-5, 0, 101), rtol=1e-12)
    for rate, what in ((0.01, "tpr_at_0.01"), (0.001, "tpr_at_0.001")):
        tpr, _, can = above(forget, other, rate)
        value, low, high = (s.found(f"{name}_{what}", r, x) for x in ("value", "low", "high"))
        if can:
            hits = int(round(tpr * len(forget)))
            assert abs(value - tpr) < 1e-12 and np.allclose((low, high), clopper_pearson(hits, len(forget)), atol=1e-9), \
                (name, what, r, value, tpr)
        else:
            assert np.isnan(value), (name, what, r, value)
        seen.add((what, can))
    wanted = [above(forget, other, f)[0] if above(forget, other, f)[2] else np.nan for f in points]
    assert np.allclose(s.a[name]["roc"][r], wanted, atol=1e-6, equal_nan=True), (name, r)
    tpr, false, can = above(forget, other, 0.01)
    value = s.found(name + "_epsilon", r)
    if not can:
        assert np.isnan(value)
        return
    fpr, fnr = clopper_pearson(false, len(other))[1], 1 - clopper_pearson(int(round(tpr * len(forget))), len(forget))[0]
    wanted = [np.log(x / y) for x, y in ((1 - fpr, fnr), (1 - fnr, fpr)) if x > 0 and y > 0]
    assert abs(value - max(wanted + [0])) < 1e-9, (name, r, value, wanted)
    seen.add(("epsilon", value > 0))


def references(s, r, seen):
    """LiRA offline and RMIA with the other oracles."""
    f, t = s.forget[s.set[r]], s.other[s.set[r]]
    own = np.r_[s.of(r, "train", f)["margin"], s.of(r, "test", t)["margin"]].astype(np.float32).astype(float)
    theirs = np.array([np.r_[s.of(o, "train", f)["margin"], s.of(o, "test", t)["margin"]] for o in s.oracles(r)])
    theirs = theirs.astype(np.float32).astype(float)
    sd = np.sqrt(((theirs - theirs.mean(axis=0)) ** 2).sum() / (theirs.shape[1] * (len(theirs) - 1)))
    z = np.float32((own - theirs.mean(axis=0)) / sd)
    attack(s, "lira", r, z[:len(f)], z[len(f):], seen)
    p, mean = 1 / (1 + np.exp(-own)), (1 / (1 + np.exp(-theirs))).mean(axis=0)
    ratio = p / ((1.5 * mean + 0.5) / 2)
    population, others = ratio[len(f):][0::2], ratio[len(f):][1::2]
    score = [np.float32([(population < x).mean() for x in side]) for side in (ratio[:len(f)], others)]
    attack(s, "rmia", r, score[0], score[1], seen)


def machine(s, r, feature, members, others):
    x = [s.of(r, p, rows)[feature] for p, rows in (("train", members), ("test", others), ("train", s.forget[s.set[r]]))]
    fit = SVC(C=3, kernel="rbf", gamma=1.0).fit(np.r_[x[0], x[1]][:, None], np.r_[np.ones(len(x[0])), np.zeros(len(x[1]))])
    return 1 - fit.predict(x[2][:, None]).mean()


def machines(s, r, seen):
    name, y = s.set[r], s.label["train"]
    alike = s.retain[name][np.isin(y[s.retain[name]], y[s.forget[name]])]
    near = np.flatnonzero(np.isin(s.label["test"], y[alike]))
    numbers = {k: "mia_svc" if k == "confidence" else "mia_svc_" + k
               for k in ("confidence", "correct", "entropy", "modified_entropy", "loss", "margin")}
    for feature, number in numbers.items():
        assert s.found(number, r, "fitted") == 2 * min(len(s.retain[name]), len(s.other[name]), 2000), (r, number)
    wanted = 2 * min(len(alike), len(near)) if len(alike) else 0
    assert s.found("mia_svc_matched", r, "fitted") == wanted, (r, s.found("mia_svc_matched", r, "fitted"), wanted)
    assert np.isnan(s.found("mia_svc_matched", r)) == (wanted == 0), r
    if name == "random10":
        assert len(s.retain[name]) == len(s.other[name]) == 1080
        assert s.found("mia_svc_matched", r) == s.found("mia_svc", r)
    checks = [(f, n, s.retain[name], s.other[name]) for f, n in numbers.items()] if name == "random10" else \
        [("confidence", "mia_svc_matched", alike, near)] if name == "part" else []
    for feature, number, members, others in checks if SVC else []:
        assert len(members) == len(others), (number, len(members), len(others))
        off = abs(s.found(number, r) - machine(s, r, feature, members, others)) * len(s.forget[name])
        assert off < 1.5, (r, number, off)  # one example may lie on the boundary
        seen.add(number)
        seen.add((number, s.found(number, r) not in (0, 1)))


def distances(s, r):
    f = s.forget[s.set[r]]
    p = [np.exp(z - z.max(axis=1, keepdims=True)) for z in (s.logit["train"][s.row[x]][f] for x in [r] + s.oracles(r))]
    p = [x / x.sum(axis=1, keepdims=True) for x in p]
    wanted = np.mean([np.abs(p[0] - x).sum(axis=1).mean() for x in p[1:]])
    assert abs(s.found("activation_distance_l1", r) - wanted) < 1e-6
    for k in ("forget", "retain", "test"):
        off = [s.accuracy[k][o] - s.accuracy[k][r] for o in s.oracles(r)]
        half = 4.302652730 * np.std(off, ddof=1) / np.sqrt(3) if len(off) == 3 else 12.706204736 * np.std(off, ddof=1) / np.sqrt(2)
        assert abs(s.found(k + "_delta", r) - np.mean(off)) < 1e-12, (k, r)
        assert abs(s.found(k + "_delta", r, "high") - np.mean(off) - half) < 1e-8, (k, r)
    assert np.isnan(s.found("validation_delta", r))


def main():
    s, seen = Study(sys.argv[1]), set()
    for r in s.rows:
        references(s, r, seen)
        machines(s, r, seen)
        distances(s, r)
    for number, best in (("lira_epsilon", "0"), ("forget_delta", "0"), ("lira", "AUC 0.5"), ("mia_svc_margin", "the oracles'")):
        assert s.a[number].attrs["best"].decode() == best, number
    assert "data.validation" in s.a["validation_delta"].attrs["refused"].decode()
    assert {("tpr_at_0.001", True), ("tpr_at_0.001", False), ("tpr_at_0.01", True)} <= seen, seen
    assert ("epsilon", True) in seen, seen
    if SVC:
        assert all((n, True) in seen for n in ("mia_svc", "mia_svc_matched", "mia_svc_entropy", "mia_svc_margin")), seen
    print(f"ok {len(s.rows)} rows" + ("" if SVC else ", machines not looked at: there is no scikit-learn"))


main()
