"""check_attribution.py equal STUDY STUDY...: the same attribution.h5 to rounding.
check_attribution.py same_values STUDY STUDY METHOD: two ways to the same values.
check_attribution.py permuted STUDY STUDY ORDER: the second is of the data set with training example i at ORDER[i].
check_attribution.py top STUDY STUDY: the second holds the strongest of the first's rows.
check_attribution.py exported STUDY DIR TOP: csv and npy in DIR hold what the file does; TOP strongest of each target.
check_attribution.py retrain STUDY DATA GROUPS: against plain refits of some examples and groups in numpy.
check_attribution.py network STUDY DATA RIDGE SMOOTHING: ggn and hessian of a whole network (mlp or linear) against numpy.
check_attribution.py torch_cnn STUDY DATA RIDGE: the same of a cnn of width 2 against PyTorch's derivatives, where there is PyTorch.
check_attribution.py layer STUDY DATA: methods on the features of an mlp's hidden layer against numpy.
check_attribution.py permute DATA TO ORDER: writes the data set with its training examples in another order."""
import os
import struct
import sys

import h5py
import numpy as np

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
PENALTY = 1e-3
GAMMA = 0.02


def check(condition, text):
    if not condition:
        sys.exit("FAILED: " + text)


def datasets(study):
    found = {}
    with h5py.File(os.path.join(study, "attribution.h5")) as f:
        f.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def near(a, b, name, tolerance=2e-6):
    both = np.isfinite(a) & np.isfinite(b)
    check((np.isfinite(a) == np.isfinite(b)).all(), f"{name}: not finite in other places")
    scale = max(np.abs(a[both]).max(initial=0), 1e-6)
    worst = np.abs(a - b)[both].max(initial=0)
    check(worst <= tolerance * scale, f"{name}: differ by {worst}, of {scale}")


def equal(first, *others):
    wanted = datasets(first)
    for other in others:
        found = datasets(other)
        check(wanted.keys() == found.keys(), f"{other} has other datasets")
        for name in wanted:
            if "gradient_norm" in name:
                check((found[name] <= 1e-9).all(), f"{other}: {name} above the tolerance")
            elif wanted[name].dtype.kind == "i":
                check((wanted[name] == found[name]).all(), f"{other}: {name} differs")
            else:
                near(wanted[name], found[name], f"{other}: {name}")


def same_values(first, second, method, tolerance=2.5e-7):
    """Of two forms of one method: to what float32 holds."""
    a, b = datasets(first), datasets(second)
    for name in a:
        if name.startswith(method + "/") and "spectrum" not in name and ("group" not in name or name in b):
            near(a[name], b[name], name, float(tolerance))


def permuted(first, second, order):
    order = np.loadtxt(order, dtype=int)
    a, b = datasets(first), datasets(second)
    for name in a:
        if name.endswith("/value") and "group" not in name:
            near(a[name], b[name][:, order], name)
        elif "/self" in name:
            near(a[name], b[name][order], name)
        elif name.endswith("group/value"):
            near(a[name], b[name], name)


def top(dense, strongest):
    a, b = datasets(dense), datasets(strongest)
    for name in a:
        if name.endswith("/value") and "group" not in name:
            method = name[: -len("/value")]
            index, value = b[method + "/top/index"], b[method + "/top/value"]
            near(np.take_along_axis(a[name], index, 1), value, method + "/top")
            size = -np.sort(-np.abs(a[name]), axis=1)[:, : index.shape[1]]
            near(size, np.abs(value), method + "/top is the strongest")


def exported(study, directory, top):
    f, top = datasets(study), int(top)
    with open(os.path.join(directory, "own.csv")) as file:
        head = file.readline().strip().split(",")
    own = np.genfromtxt(os.path.join(directory, "own.csv"), delimiter=",", skip_header=1)
    check(head[:2] == ["index", "label"] and (own[:, 0] == f["train/index"]).all(), "own.csv: examples")
    methods = head[2:]
    check(sorted(methods) == sorted({name.split("/")[0] for name in f if name.endswith("/self")}), "own.csv: methods")
    for k, name in enumerate(methods):
        check(np.array_equal(own[:, 2 + k].astype(np.float32), f[name + "/self"], equal_nan=True), f"own.csv: {name}")
        array = np.load(os.path.join(directory, name + "_value.npy"))
        check(np.array_equal(array, f[name + "/value"], equal_nan=True), f"{name}_value.npy")
    lines = [line.strip().split(",") for line in open(os.path.join(directory, "strongest.csv"))]
    check(lines[0][0] == "method" and len(lines) == 1 + len(methods) * len(f["target/index"]) * top, "strongest.csv: rows")
    place = {index: i for i, index in enumerate(f["train/index"])}
    target = {index: i for i, index in enumerate(f["target/index"])}
    for line in lines[1:]:
        row = f[line[0] + "/value"][target[int(line[1])]]
        check(row[place[int(line[4])]] == np.float32(line[6]), "strongest.csv: values")
        check(int(line[3]) > 1 or abs(np.float32(line[6])) == np.nanmax(np.abs(row)), "strongest.csv: the first is the strongest")
    check((np.load(os.path.join(directory, "target_label.npy")) == f["target/label"]).all(), "target_label.npy")


def idx(path):
    raw = open(path, "rb").read()
    rank = raw[3]
    shape = struct.unpack(">" + "I" * rank, raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def permute(data, to, order):
    os.makedirs(to, exist_ok=True)
    count = len(idx(os.path.join(data, NAMES[1])))
    places = np.random.RandomState(3).permutation(count)
    np.savetxt(order, places, "%d")
    for i, name in enumerate(NAMES):
        raw = open(os.path.join(data, name), "rb").read()
        values = idx(os.path.join(data, name)).copy()
        if i < 2:
            turned = np.empty_like(values)
            turned[places] = values
            values = turned
        open(os.path.join(to, name), "wb").write(raw[: len(raw) - values.size] + values.tobytes())


def margins(z, y):
    own = z[np.arange(len(y)), y]
    rest = z.copy()
    rest[np.arange(len(y)), y] = -np.inf
    largest = rest.max(1)
    return own - largest - np.log(np.exp(rest - largest[:, None]).sum(1))


def gaps(v, y):
    own = v[np.arange(len(y)), y]
    rest = v.copy()
    rest[np.arange(len(y)), y] = -np.inf
    return own - rest.max(1)


class Softmax:
    """All weights, the last class's intercept fixed at 0; n in the mean stays that of all examples."""

    def __init__(self, x, y, classes, n):
        self.x, self.y, self.classes, self.n = x, y, classes, n
        self.d = x.shape[1]
        self.penal = np.ones((classes, self.d))
        self.penal[:, -1] = 0
        self.free = np.arange(classes * self.d - 1)

    def derivatives(self, w):
        z = self.x @ w.T
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        e = p.copy()
        e[np.arange(len(self.y)), self.y] -= 1
        whole = (e.T @ self.x / self.n + PENALTY * self.penal * w).ravel()
        hessian = np.zeros((self.classes, self.d, self.classes, self.d))
        for c in range(self.classes):
            for k in range(self.classes):
                r = p[:, c] * ((c == k) - p[:, k])
                hessian[c, :, k, :] = (self.x * r[:, None]).T @ self.x / self.n
        hessian = hessian.reshape(self.classes * self.d, -1) + np.diag(PENALTY * self.penal.ravel())
        return whole, hessian

    def step(self, w):
        whole, hessian = self.derivatives(w)
        gradient, hessian = whole[self.free], hessian[np.ix_(self.free, self.free)]
        moved = w.ravel().copy()
        moved[self.free] -= np.linalg.solve(hessian, gradient)
        return moved.reshape(w.shape), np.linalg.norm(gradient)

    def fit(self, w):
        for _ in range(60):
            w, norm = self.step(w)
            if norm < 1e-13:
                break
        return w


def retrain(study, data, groups):
    f = datasets(study)
    images, labels, tests, wanted = (idx(os.path.join(data, name)) for name in NAMES)
    x = images.reshape(len(images), -1).astype(float)
    mean, deviation = x.mean(), x.std()
    x = (x - mean) / deviation
    t = (tests.reshape(len(tests), -1) - mean) / deviation
    y, yt = labels.astype(int), wanted.astype(int)
    n, classes = len(y), int(y.max()) + 1
    xi, ti = np.c_[x, np.ones(n)], np.c_[t, np.ones(len(t))]
    one_hot = np.eye(classes)[y]
    member = np.loadtxt(groups, dtype=int)

    def ridge(keep):
        lam = n * PENALTY * np.diag(np.r_[np.ones(x.shape[1]), 0])
        return np.linalg.solve(xi[keep].T @ xi[keep] + lam, xi[keep].T @ one_hot[keep])

    def kernel(a, b):
        return np.exp(-GAMMA * ((a[:, None, :] - b[None, :, :]) ** 2).sum(2))

    k, kt = kernel(x, x), kernel(t, x)

    def kernel_ridge(keep):
        alpha = np.linalg.solve(k[np.ix_(keep, keep)] + n * PENALTY * np.eye(len(keep)), one_hot[keep])
        return kt[:, keep] @ alpha, k[:, keep] @ alpha

    everyone = np.arange(n)
    softmax = Softmax(xi, y, classes, n)
    full = softmax.fit(np.zeros((classes, xi.shape[1])))
    full_ridge, (full_kernel, full_kernel_own) = ridge(everyone), kernel_ridge(everyone)
    cases = [("value", i, np.delete(everyone, i)) for i in (0, n // 3, n - 1)]
    cases += [("group/value", g, np.flatnonzero(member != g)) for g in range(2)]
    for what, column, keep in cases:
        w = ridge(keep)
        near(gaps(ti @ full_ridge, yt) - gaps(ti @ w, yt), f["ridge_loo/" + what][:, column], f"ridge_loo {what} {column}", 1e-5)
        test, own = kernel_ridge(keep)
        near(gaps(full_kernel, yt) - gaps(test, yt), f["kernel_ridge_loo/" + what][:, column], f"kernel {what} {column}", 1e-5)
        rest = Softmax(xi[keep], y[keep], classes, n)
        refit, (step, _) = rest.fit(full), rest.step(full)
        for method, weight in (("certified_loo", refit), ("alo", step)):
            near(margins(ti @ full.T, yt) - margins(ti @ weight.T, yt), f[f"{method}/{what}"][:, column], f"{method} {what} {column}", 1e-5)
        if what == "value":
            i, one = column, slice(column, column + 1)
            for method, out, a, b in (
                ("certified_loo", margins, xi[one] @ full.T, xi[one] @ refit.T),
                ("alo", margins, xi[one] @ full.T, xi[one] @ step.T),
                ("ridge_loo", gaps, xi[one] @ full_ridge, xi[one] @ w),
                ("kernel_ridge_loo", gaps, full_kernel_own[one], own[one]),
            ):
                near(out(a, y[one]) - out(b, y[one]), f[method + "/self"][one], f"{method} self {i}", 1e-5)
                right = float(a.argmax() == y[i]) - float(b.argmax() == y[i])
                check(f[method + "/self_correct"][i] == right, f"{method} self_correct {i}")
            p = [np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (xi[i] @ full.T, xi[i] @ refit.T)]
            near(np.array([p[0][y[i]] - p[1][y[i]]]), f["certified_loo/self_probability"][one], f"probability {i}", 1e-5)
    check((f["certified_loo/gradient_norm"] <= 1e-9).all(), "a gradient above the tolerance")
    first_order(f, softmax, full, (xi, y), (ti, yt), member)


def first_order(f, softmax, w, train, test, member):
    """ggn: -q_t' H^-1 g_i / n with the gradients of margins and losses, in coordinates without the common direction."""
    def outer(slopes, x):
        return (slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1)

    def slopes(x, y):
        z = x @ w.T
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        hot = np.eye(softmax.classes)[y]
        return hot - (1 - hot) * p / (1 - p[np.arange(len(y)), y])[:, None], p - hot

    center = np.eye(softmax.classes) - 1 / softmax.classes
    values, vectors = np.linalg.eigh(center)
    basis = np.kron(vectors[:, values > 0.5], np.eye(softmax.d))
    hessian = basis.T @ softmax.derivatives(w)[1] @ basis
    q_train, g = (outer(s, train[0]) @ basis for s in slopes(*train))
    q_test = outer(slopes(*test)[0], test[0]) @ basis
    solved = np.linalg.solve(hessian, g.T) / softmax.n
    near(-q_test @ solved, f["ggn/value"], "ggn", 1e-5)
    near(-(q_train * solved.T).sum(1), f["ggn/self"], "ggn self", 1e-5)
    near(-np.stack([(q_test @ solved)[:, member == k].sum(1) for k in range(2)], 1), f["ggn/group/value"], "ggn groups", 1e-5)
    near(np.linalg.eigvalsh(hessian), f["ggn/spectrum"], "ggn spectrum", 1e-6)
    near(f["ggn/value"], f["hessian/value"], "softmax regression has one curvature", 1e-12)


def prepared(data):
    images, labels, tests, wanted = (idx(os.path.join(data, name)) for name in NAMES)
    x = images.reshape(len(images), -1).astype(float)
    mean, deviation = x.mean(), x.std()
    return (x - mean) / deviation, labels.astype(int), (tests.reshape(len(tests), -1) - mean) / deviation, wanted.astype(int)


class Network:
    """A linear network or one hidden layer, in double; parameters as one vector in PyTorch's order."""

    def __init__(self, study):
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
        from safetensors_numpy import read

        tensors, _ = read(os.path.join(study, "originals", "0.safetensors"))
        self.names = [f"linear{i}.{part}" for i in (1, 2) for part in ("weight", "bias") if f"linear{i}.weight" in tensors]
        self.shapes = [tensors[name].shape for name in self.names]
        self.theta = np.concatenate([tensors[name].ravel().astype(float) for name in self.names])

    def parts(self, theta):
        cuts = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(theta, cuts), self.shapes)]

    def hidden(self, x):
        weight, bias = self.parts(self.theta)[:2]
        return np.maximum(x @ weight.T + bias, 0)

    def logits(self, theta, x):
        parts = self.parts(theta)
        for i in range(0, len(parts), 2):
            x = (np.maximum(x, 0) if i > 0 else x) @ parts[i].T + parts[i + 1]
        return x

    def pull(self, theta, x, slopes):
        """Rows slope_i' J_i of the examples."""
        parts = self.parts(theta)
        if len(parts) == 2:
            return np.c_[(slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1), slopes]
        inner = x @ parts[0].T + parts[1]
        h = np.maximum(inner, 0)
        down = (slopes @ parts[2]) * (inner > 0)
        return np.c_[(down[:, :, None] * x[:, None, :]).reshape(len(x), -1), down,
                     (slopes[:, :, None] * h[:, None, :]).reshape(len(x), -1), slopes]


def softmax_of(z):
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def network(study, data, ridge, smoothing):
    f, net = datasets(study), Network(study)
    x, y, t, yt = prepared(data)
    n, theta, smoothing = len(y), net.theta, float(smoothing)
    classes = net.logits(theta, x).shape[1]

    def losses(theta):
        target = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
        return net.pull(theta, x, softmax_of(net.logits(theta, x)) - target)

    def margins_of(x, y):
        p, hot = softmax_of(net.logits(theta, x)), np.eye(classes)[y]
        return net.pull(theta, x, hot - (1 - hot) * p / (1 - p[np.arange(len(y)), y])[:, None])

    p = softmax_of(net.logits(theta, x))
    rows = np.stack([net.pull(theta, x, np.tile(np.eye(classes)[c], (n, 1))) for c in range(classes)], 1)
    curved = p[:, :, None] * rows - p[:, :, None] * (p[:, :, None] * rows).sum(1, keepdims=True)
    matrices = {"ggn": np.einsum("icp,icq->pq", rows, curved) / n}
    if "hessian/self" in f:
        step = 1e-5
        matrices["hessian"] = np.empty_like(matrices["ggn"])
        for k in range(len(theta)):
            moved = step * np.eye(1, len(theta), k)[0]
            matrices["hessian"][k] = (losses(theta + moved).mean(0) - losses(theta - moved).mean(0)) / (2 * step)
    g, q, qt = losses(theta), margins_of(x, y), margins_of(t, yt)
    with h5py.File(os.path.join(study, "attribution.h5")) as file:
        notes = {name: dict(file[name].attrs) for name in matrices if name in file}
    for name, note in notes.items():
        matrix = matrices[name] + float(ridge) * np.eye(len(theta))
        check(abs(note["penalty"] - float(ridge)) < 1e-12, f"{name}: penalty {note['penalty']}")
        slope = np.linalg.norm(g.mean(0) + float(ridge) * theta)
        check(abs(note["fit_gradient_norm"] / slope - 1) < 1e-5, f"{name}: gradient {note['fit_gradient_norm']}, not {slope}")
        solved = np.linalg.solve(matrix + note["damping"] * np.eye(len(theta)), g.T) / n
        near(-qt @ solved, f[name + "/value"], name, 2e-5)
        near(-(q * solved.T).sum(1), f[name + "/self"], name + " self", 2e-5)
        own = softmax_of(net.logits(theta, x))[np.arange(n), y]
        near(-(q * solved.T).sum(1) * own * (1 - own), f[name + "/self_probability"], name + " probability", 2e-5)
        if name + "/spectrum" in f:
            found, wanted = f[name + "/spectrum"], np.linalg.eigvalsh(matrix)
            near(wanted[-min(len(found), len(wanted)) :], found[-min(len(found), len(wanted)) :], name + " spectrum", 1e-5)
            if name == "hessian":
                check(note["damping"] > -wanted[0], "the hessian's damping is below its most negative eigenvalue")
                check(note["negative_eigenvalues"] == (found < 0).sum() > 0, "negative eigenvalues are counted")
    check(notes != {}, "nothing to compare")


def layer(study, data):
    f, net = datasets(study), Network(study)
    x, y, t, yt = prepared(data)
    n, classes = len(y), int(y.max()) + 1
    xi, ti = np.c_[net.hidden(x), np.ones(n)], np.c_[net.hidden(t), np.ones(len(t))]
    softmax = Softmax(xi, y, classes, n)
    full = softmax.fit(np.zeros((classes, xi.shape[1])))
    one_hot, lam = np.eye(classes)[y], n * PENALTY * np.diag(np.r_[np.ones(xi.shape[1] - 1), 0])
    weight = np.linalg.solve(xi.T @ xi + lam, xi.T @ one_hot)
    for i in (0, n // 2):
        keep = np.delete(np.arange(n), i)
        refit = Softmax(xi[keep], y[keep], classes, n).fit(full)
        near(margins(ti @ full.T, yt) - margins(ti @ refit.T, yt), f["certified_loo/value"][:, i], f"layer {i}", 1e-4)
        w = np.linalg.solve(xi[keep].T @ xi[keep] + lam, xi[keep].T @ one_hot[keep])
        near(gaps(ti @ weight, yt) - gaps(ti @ w, yt), f["ridge_loo/value"][:, i], f"layer ridge {i}", 1e-4)


def torch_cnn(study, data, ridge):
    """The explicit matrices of a convolutional network, in double, by PyTorch."""
    import torch

    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
    from safetensors_numpy import read

    f = datasets(study)
    x, y, t, yt = prepared(data)
    side = int(np.sqrt(x.shape[1]))
    tensors, _ = read(os.path.join(study, "originals", "0.safetensors"))
    values = {name: torch.tensor(value, dtype=torch.float64) for name, value in tensors.items() if value.dtype.kind == "f"}
    names = [f"{layer}.{part}" for layer in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "linear1") for part in ("weight", "bias")]
    names = [name for name in names if name in values]
    sizes = [values[name].numel() for name in names]
    theta = torch.cat([values[name].flatten() for name in names]).requires_grad_()

    def logits(x):
        w = {name: part.reshape(values[name].shape) for name, part in zip(names, torch.split(theta, sizes))}
        h = torch.tensor(x.reshape(len(x), 1, side, side))
        for i in "123":
            h = torch.nn.functional.conv2d(h, w[f"conv{i}.weight"], padding=1)
            h = torch.nn.functional.batch_norm(h, values[f"bn{i}.running_mean"], values[f"bn{i}.running_var"], w[f"bn{i}.weight"], w[f"bn{i}.bias"])
            h = torch.max_pool2d(torch.relu(h), 2)
        return h.mean((2, 3)) @ w["linear1.weight"].T + w["linear1.bias"]

    def rows(outputs):
        return torch.stack([torch.autograd.grad(o, theta, retain_graph=True)[0] for o in outputs]).detach().numpy()

    def margin(z, y):
        y = torch.tensor(y)
        own = z.gather(1, y[:, None])[:, 0]
        return own - torch.logsumexp(z.masked_fill(torch.nn.functional.one_hot(y, z.shape[1]).bool(), -np.inf), 1)

    n, z = len(y), logits(x)
    classes = z.shape[1]
    losses = torch.nn.functional.cross_entropy(z, torch.tensor(y), reduction="none")
    p = torch.softmax(z, 1).detach().numpy()
    jacobian = rows(z.flatten()).reshape(n, classes, -1)
    curved = p[:, :, None] * jacobian - p[:, :, None] * (p[:, :, None] * jacobian).sum(1, keepdims=True)
    matrices = {"ggn": np.einsum("icp,icq->pq", jacobian, curved) / n}
    slope = torch.autograd.grad(losses.mean(), theta, create_graph=True)[0]
    matrices["hessian"] = rows(slope)
    g, q, qt = rows(losses), rows(margin(z, y)), rows(margin(logits(t), yt))
    for name, matrix in matrices.items():
        if name + "/value" not in f:
            continue
        with h5py.File(os.path.join(study, "attribution.h5")) as file:
            damping = file[name].attrs["damping"]
        matrix = matrix + float(ridge) * np.eye(len(matrix))
        solved = np.linalg.solve(matrix + damping * np.eye(len(matrix)), g.T) / n
        near(-qt @ solved, f[name + "/value"], name, 1e-4)
        near(-(q * solved.T).sum(1), f[name + "/self"], name + " self", 1e-4)
        if name + "/spectrum" in f:
            found = f[name + "/spectrum"]
            near(np.linalg.eigvalsh(matrix)[-len(found) :], found, name + " spectrum", 1e-5)


globals()[sys.argv[1]](*sys.argv[2:])
