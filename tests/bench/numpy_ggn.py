"""numpy_ggn.py N M: seconds that numpy and scipy take for the influence of N training examples on M test examples and on
themselves, by the Hessian of softmax regression with 784 features and 10 classes: the blocks of pairs of classes by one product
each, one Cholesky factorization, two triangular solves a test gradient, one a training gradient, products by tiles. The data are
random: the time does not depend on them."""
import sys
import time

import numpy as np
from scipy.linalg import cholesky, solve_triangular

n, m, d, classes, tile = int(sys.argv[1]), int(sys.argv[2]), 785, 10, 512
random = np.random.default_rng(1)
x, t = (np.c_[random.standard_normal((k, d - 1)), np.ones(k)] for k in (n, m))
w = 0.02 * random.standard_normal((classes, d))


def softmax(z):
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def errors(rows, labels):
    e = softmax(rows @ w.T)
    e[np.arange(len(rows)), labels] -= 1
    return e


y, yt = random.integers(0, classes, n), random.integers(0, classes, m)
size = classes * d - 1  # one class's intercept is fixed
start = time.perf_counter()
p = softmax(x @ w.T)
hessian = np.empty((classes * d, classes * d))
for k in range(classes):
    for l in range(k + 1):
        r = p[:, k] * ((k == l) - p[:, l]) / n
        block = x.T @ (x * r[:, None])
        hessian[k * d : (k + 1) * d, l * d : (l + 1) * d] = block
        hessian[l * d : (l + 1) * d, k * d : (k + 1) * d] = block.T
hessian[np.diag_indices(classes * d)] += 1e-3
part = [time.perf_counter()]
factor = cholesky(hessian[:size, :size], lower=True, overwrite_a=True, check_finite=False)
part.append(time.perf_counter())


def gradients(rows, labels):
    return (errors(rows, labels)[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)[:, :size]


half = solve_triangular(factor, gradients(t, yt).T, lower=True, overwrite_b=True, check_finite=False)
solved = solve_triangular(factor, half, lower=True, trans=1, overwrite_b=True, check_finite=False)
part.append(time.perf_counter())
values = np.empty((m, n), np.float32)
for i in range(0, n, tile):
    values[:, i : i + tile] = solved.T @ gradients(x[i : i + tile], y[i : i + tile]).T
part.append(time.perf_counter())
own = np.empty(n)
for i in range(0, n, tile):
    white = solve_triangular(factor, gradients(x[i : i + tile], y[i : i + tile]).T, lower=True, overwrite_b=True, check_finite=False)
    own[i : i + tile] = np.einsum("ij,ij->j", white, white)
part.append(time.perf_counter())
names = ["hessian", "factor", "solve", "values", "self"]
print(" ".join(f"{a}={b - c:.2f}" for a, b, c in zip(names, part, [start] + part)), f"total={part[-1] - start:.2f}")
