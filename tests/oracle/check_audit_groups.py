#!/usr/bin/python3
"""Groups of forget sets in audit.h5 against numpy, from outputs.h5, forget.h5 and scores.h5:
check_audit_groups.py STUDY CSV NPY_FOLDER"""
import csv
import sys

import h5py
import numpy as np

GROUPS = ("low", "middle", "high")
T = {2: 12.706204736432095, 3: 4.302652729911275}  # Student's 0.975 quantiles, by the number of values


def text(dataset):
    return [bytes(x).split(b"\0")[0].decode() for x in np.asarray(dataset[:])]


def student(values):
    mean = np.mean(values)
    half = T[len(values)] * np.std(values, ddof=1) / np.sqrt(len(values))
    return mean, mean - half, mean + half


def same(a, b, tolerance=1e-9):
    return np.allclose(a, b, atol=tolerance, rtol=0, equal_nan=True)


def main():
    study, table, npy = sys.argv[1:4]
    with h5py.File(study + "/outputs.h5") as o, h5py.File(study + "/forget.h5") as f, \
            h5py.File(study + "/scores.h5") as s, h5py.File(study + "/audit.h5") as a:
        classes = o.attrs["classes"]
        name = list(zip(text(o["model/kind"]), text(o["model/name"])))
        logits = {p: o[p + "/logit"][:].reshape(len(name), -1, classes) for p in ("train", "test")}
        label = {p: o[p + "/label"][:] for p in logits}
        guess = {p: logits[p].argmax(axis=-1) for p in logits}
        position = {x: i for i, x in enumerate(o["train/index"][:])}
        kind, which, method, model = (text(a["run/" + k]) for k in ("kind", "forget_set", "method", "model"))
        seed = a["run/seed"][:]
        row = [name.index(x) for x in zip(kind, model)]
        # By what the mix was chosen; the other set by memorization, though the first rum is by confidence.
        score = s["memorization/value"][:].astype(float)
        assert set(text(a["by_group/score"])) == {"memorization"}
        forget = {k: np.array([position[x] for x in f[k + "/index"][:]]) for k in set(which)}
        found = {k: {x: a[f"by_group/{k}/{x}"][:] for x in ("value", "low", "high", "ceiling", "models", "apart", "apart_low", "apart_high")}
                 for k in ("forget_accuracy", "tow", "mia_svc", "disagreement")}
        examples, right, mean_score = (a["by_group/" + k][:] for k in ("examples", "right", "mean_score"))
        whole = {k: a[k + "/value"][:] for k in ("mia_svc", "disagreement")}
        assert "tow" not in a and "lira" not in a
    groups = {}
    for k, members in forget.items():
        order = members[np.lexsort((np.arange(len(members)), score[members]))]
        third = len(order) // 3
        groups[k] = order[:third], order[third:2 * third], order[2 * third:]

    def accuracy(r, part, rows):
        return (guess[part][row[r]][rows] == label[part][rows]).mean()

    rows = range(len(which))
    for r in rows:
        members = forget[which[r]]
        retain = np.delete(np.arange(len(score)), members)
        oracles = [o for o in rows if kind[o] == "oracle" and which[o] == which[r] and o != r]
        assert len(oracles) == (2 if kind[r] == "oracle" else 3)
        for g, x in enumerate(groups[which[r]]):
            assert examples[r, g] == len(x) and np.isclose(mean_score[r, g], score[x].mean())
            assert right[r, g] == (guess["train"][row[r]][x] == label["train"][x]).sum()
            assert same(found["forget_accuracy"]["value"][r, g], right[r, g] / len(x))
            apart = [(guess["train"][row[r]][x] != guess["train"][row[o]][x]).mean() for o in oracles]
            tow = []
            for o in oracles:
                gaps = (abs(accuracy(r, p, y) - accuracy(o, p, y))
                        for p, y in (("train", x), ("train", retain), ("test", slice(None))))
                tow.append(np.prod([1 - y for y in gaps]))
            for k, values in (("disagreement", apart), ("tow", tow)):
                got = [found[k][y][r, g] for y in ("value", "low", "high")]
                assert same(got, student(values), 1e-7), (r, g, k, got, student(values))
                assert found[k]["models"][r, g] == len(oracles)
        # Parts add up to the whole.
        size = np.array([len(x) for x in groups[which[r]]])
        for k in whole:
            assert same(found[k]["value"][r] @ size / size.sum(), whole[k][r]), (r, k)
        low, value, high = (found["mia_svc"][x][r] for x in ("low", "value", "high"))
        assert (low <= value).all() and (value <= high).all() and (low >= 0).all() and (high <= 1).all()
        for k in found:
            of_oracles = [found[k]["value"][o] for o in rows if kind[o] == "oracle" and which[o] == which[r]]
            assert same(found[k]["ceiling"][r], np.mean(of_oracles, axis=0)), (r, k)

    with open(table) as lines:
        got = list(csv.DictReader(lines))
    assert len(got) == len(which) * 3 * 4
    at = {(m, i): r for r, (m, i) in enumerate(zip(model, which))}
    for line in got:
        r, g = at[line["model"], line["forget_set"]], GROUPS.index(line["group"])
        assert line["method"] == method[r] and int(line["seed"]) == seed[r] and line["score"] == "memorization"
        assert int(line["examples"]) == examples[r, g]
        for x in ("value", "low", "high", "ceiling", "apart", "apart_low", "apart_high"):
            assert same(float(line[x] or "nan"), found[line["number"]][x][r, g], 1e-12), line
    for k in found:
        assert np.array_equal(np.load(f"{npy}/by_group_{k}_value.npy"), found[k]["value"], equal_nan=True)
    print(f"ok {len(which)} rows, {len(found)} numbers, {len(got)} lines")


main()
