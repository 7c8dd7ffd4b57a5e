#!/usr/bin/python3
"""Methods of unlearning on a small network in PyTorch, in double precision: what test_unlearning.c compares with.

Whole sets are one batch each, so that no result depends on an order; of two classes a wrong label is the other one, so that none
depends on chance. Formulas are written from the publications, with autograd for every gradient.

Where a method begins afresh, with weights or with a teacher, these are leaveout's, which the test writes and checks.

Needs Debian's python3-torch and python3-numpy. Writes a binary file, little-endian:
  uint8 pixel[N, 2, 6, 6], int32 label[N], then uint8 pixel[V, ...], int32 label[V] of the validation set; float64 score[N];
  7 tensors of float32 of fresh weights of the network of 4 channels, those of del and those of bad_teacher's teacher;
  for networks of 4 and of 20 channels: 7 tensors of float32 at the start, in the order of PyTorch's state_dict without
  num_batches_tracked; int32 number of cases;
  cases: int32 length of a text, the text (a method with its settings, as in a job file), the 7 tensors of float32 afterwards;
  of a case of del with a learning rate of 0, instead, 1 for what is reset and 0 for what is not (statistics 0).

    build/tests/test_unlearning fresh | tests/oracle/make_unlearning.py > tests/fixtures/unlearning.bin
"""
import copy
import math
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

N, V, CLASSES, SHAPE = 24, 9, 2, (2, 6, 6)
BETAS, EPSILON = (0.9, 0.999), 1e-8


def network(channels):
    return nn.Sequential(nn.Conv2d(2, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(channels * 9, CLASSES))


class Job:
    """The sets, and what is trained on them."""

    def __init__(self):
        torch.manual_seed(11)
        self.pixel = torch.randint(0, 256, (N + V, *SHAPE))
        self.label = torch.randint(0, CLASSES, (N + V,))
        scale, shift = torch.tensor([0.02, 0.018]), torch.tensor([-2.0, -1.7])
        x = (self.pixel.float() * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)).double()
        self.x, self.y = x[:N], self.label[:N]
        self.unseen = (x[N:], self.label[N:])
        self.forget = [i for i in range(N) if i % 3 == 1]
        self.retain = [i for i in range(N) if i % 3 != 1]
        self.score = [(i * 7 % N) / N for i in range(N)]
        self.start, self.wide = self.trained(4), self.trained(20)
        self.fresh, self.teacher = self.given(), self.given()

    def trained(self, channels):
        net = network(channels)
        for name, p in net.named_parameters():
            if p.dim() == 1:
                p.data.uniform_(0.5, 1.5)
        net = net.double()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for _ in range(12):  # enough that some, not all, is learnt
            optimizer.zero_grad()
            F.cross_entropy(net(self.x), self.y).backward()
            optimizer.step()
        for tensor in net.state_dict().values():  # as the file has it
            if tensor.dtype == torch.float64:
                tensor.copy_(tensor.float().double())
        return net

    def given(self):
        """A network of the next values of the standard input."""
        net = network(4).double()
        for name, tensor in net.state_dict().items():
            if "num_batches" not in name:
                values = struct.unpack(f"<{tensor.numel()}f", sys.stdin.buffer.read(4 * tensor.numel()))
                tensor.copy_(torch.tensor(values, dtype=torch.float64).view_as(tensor))
        return net

    def set(self, rows):
        return self.x[rows], self.y[rows]


JOB = Job()


def optimizer_of(net, o):
    if o.get("optimizer", "sgd") == "adamw":
        return torch.optim.AdamW(net.parameters(), lr=o["lr"], betas=BETAS, eps=EPSILON, weight_decay=o["weight_decay"])
    return torch.optim.SGD(net.parameters(), lr=o["lr"], momentum=0.9, weight_decay=o["weight_decay"])


def mean_loss(net, rows, labels=None):
    x, y = JOB.set(rows)
    return F.cross_entropy(net(x), y if labels is None else labels)


def step(optimizer, loss, masks=None, net=None, strict=False):
    optimizer.zero_grad()
    loss.backward()
    before = [p.detach().clone() for p in net.parameters()] if masks else None
    if masks:
        for p, m in zip(net.parameters(), masks):
            p.grad *= m
    optimizer.step()
    if masks and strict:
        for p, m, b in zip(net.parameters(), masks, before):
            p.data = torch.where(m > 0, p.data, b)
            optimizer.state[p]["momentum_buffer"] *= m


def gradients(net, loss):
    return torch.autograd.grad(loss, list(net.parameters()))


def each_gradient(net, rows):
    """One flat gradient an example, in evaluation mode."""
    net.eval()
    return torch.stack([torch.cat([g.flatten() for g in gradients(net, mean_loss(net, [i]))]) for i in rows])


def flat(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def unflat(net, vector):
    at = 0
    for p in net.parameters():
        p.data = vector[at:at + p.numel()].view_as(p).clone()
        at += p.numel()


# ---- the methods: net, forget rows, retain rows, settings


def finetune(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train()
    for _ in range(o["epochs"]):
        step(optimizer, mean_loss(net, retain))


def neggrad(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train(o.get("mode", "train") == "train")
    for _ in range(o["epochs"]):
        step(optimizer, -mean_loss(net, forget))


def neggrad_plus(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train()
    for _ in range(o["epochs"]):
        step(optimizer, o["alpha"] * mean_loss(net, retain) - (1 - o["alpha"]) * mean_loss(net, forget))


def random_label(net, forget, retain, o, masks=None, strict=False):
    optimizer = optimizer_of(net, o)
    net.train()
    for _ in range(o["epochs"]):
        step(optimizer, mean_loss(net, forget, 1 - JOB.y[forget]), masks, net, strict)
        step(optimizer, mean_loss(net, retain), masks, net, strict)


def amnesiac(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train()
    both = sorted(forget + retain)
    labels = torch.tensor([int(1 - JOB.y[i]) if i in forget else int(JOB.y[i]) for i in both])
    for _ in range(o["epochs"]):
        step(optimizer, mean_loss(net, both, labels))


def salun(net, forget, retain, o):
    size = each_gradient(net, forget).sum(0).abs()
    chosen = torch.zeros_like(size)
    chosen[size.argsort(descending=True)[:int(o["share"] * len(size))]] = 1
    masks, at = [], 0
    for p in net.parameters():
        masks.append(chosen[at:at + p.numel()].view_as(p))
        at += p.numel()
    random_label(net, forget, retain, o, masks, o.get("strict_mask", True))


def l1_sparse(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train()
    sparse = o["epochs"] - o["plain_epochs"]
    for e in range(o["epochs"]):
        strength = o["l1"] * (1 - e / sparse) if e < sparse else 0
        step(optimizer, mean_loss(net, retain) + strength * sum(p.abs().sum() for p in net.parameters()))


def scrub(net, forget, retain, o):
    teacher, T = copy.deepcopy(net).eval(), o["temperature"]
    optimizer = optimizer_of(net, o)
    net.train()

    def kl(rows):
        x, _ = JOB.set(rows)
        with torch.no_grad():
            p = F.softmax(teacher(x) / T, 1)
        z = net(x)
        return F.kl_div(F.log_softmax(z / T, 1), p, reduction="batchmean") * T * T, F.cross_entropy(z, JOB.y[rows])

    for e in range(o["epochs"]):
        if e < o["max_epochs"]:
            step(optimizer, -kl(forget)[0])
        divergence, loss = kl(retain)
        step(optimizer, o["gamma"] * loss + o["alpha"] * divergence)


def ssd(net, forget, retain, o):
    both = sorted(forget + retain)
    if o.get("importance", "per_example") == "per_example":
        of_forget, of_all = (each_gradient(net, rows).pow(2).mean(0) for rows in (forget, both))
    else:
        net.eval()
        batches = [[rows[i:i + o["batch"]] for i in range(0, len(rows), o["batch"])] for rows in (forget, both)]
        of_forget, of_all = (torch.stack([torch.cat([g.flatten() for g in gradients(net, mean_loss(net, b))])
                                          for b in list_]).pow(2).mean(0) for list_ in batches)
    ratio = of_forget / of_all
    alpha = o.get("alpha", 0.2 * len(both) / len(forget))
    assert (ratio - alpha).abs().min() > 1e-4 * alpha
    weight = flat(net)
    factor = (getattr(torch, "clamp")(o.get("lambda", 1) / ratio, max=1))
    unflat(net, torch.where(of_forget > alpha * of_all, weight * factor, weight))


def influence(net, forget, retain, o):
    n, n_f, n_r = len(forget) + len(retain), len(forget), len(retain)
    v = each_gradient(net, forget).sum(0) / n - n_f / (n * n_r) * each_gradient(net, retain).sum(0)
    G = torch.zeros(len(v), len(v), dtype=torch.float64)
    for i in retain:
        x, _ = JOB.set([i])
        z = net(x)[0]
        J = torch.stack([torch.cat([g.flatten() for g in torch.autograd.grad(z[k], list(net.parameters()), retain_graph=True)])
                         for k in range(CLASSES)])
        p = F.softmax(z.detach(), 0)
        G += J.T @ (torch.diag(p) - torch.outer(p, p)) @ J
    G /= n_r
    unflat(net, flat(net) + o["scale"] * torch.linalg.solve(G + o["damping"] * torch.eye(len(v)).double(), v))


def mask_of_del(net, forget, retain, o):
    """What the public code ranks and selects by a stable sort, which may cut the last channel; without cut_last, whole units
    while they fit. A flat vector of 0 and 1."""
    net.eval()
    sums = gradients(net, mean_loss(net, sorted(forget + retain) if o.get("over") == "all" else forget))
    scores, units = [], []
    for p, g in zip(net.parameters(), sums):
        criterion = o.get("criterion", "weighted_grad")
        a = {"weighted_grad": p.detach() * g, "grad": g, "weight": p.detach()}[criterion].abs()
        rows = a.reshape(a.shape[0], -1)
        if a.dim() > 1 and o.get("granularity") != "param":
            tenth = {"rows": rows.shape[0], "row_length": rows.shape[1], "row": 10 * rows.shape[1]}[o.get("h_rule", "rows")]
            h = min(max(int(0.1 * tenth), 1), rows.shape[1])
            a = rows.sort(1, descending=True).values[:, :h].mean(1, keepdim=True).expand_as(rows)
        else:
            rows = a.reshape(-1, 1)
        units += [rows.shape[1]] * rows.shape[0]
        scores.append(a.flatten())
    scores = torch.cat(scores)
    mask = torch.zeros_like(scores)
    most = int(o["share"] * len(scores))
    if o.get("cut_last"):
        mask[scores.argsort(descending=True, stable=True)[:most]] = 1
        return mask
    start = [0]
    for size in units:
        start.append(start[-1] + size)
    for u in sorted(range(len(units)), key=lambda u: (-scores[start[u]], u)):
        if mask.sum() + units[u] > most:
            break
        mask[start[u]:start[u + 1]] = 1
    return mask


def del_mask(net, forget, retain, o):
    unflat(net, mask_of_del(net, forget, retain, o))
    for name, tensor in net.state_dict().items():
        if "running" in name:
            tensor.zero_()


def del_trained(net, forget, retain, o):
    """Reset, then what was reset and the whole head learn by a cosine that ends at a share of the rate."""
    mask = mask_of_del(net, forget, retain, o)
    unflat(net, torch.where(mask > 0, flat(JOB.fresh), flat(net)))
    mask[-sum(p.numel() for p in net[5].parameters()):] = 1
    masks, at = [], 0
    for p in net.parameters():
        masks.append(mask[at:at + p.numel()].view_as(p))
        at += p.numel()
    optimizer = optimizer_of(net, o)
    net.train()
    for e in range(o["epochs"]):
        low = o.get("floor", 0.01) * o["lr"]
        optimizer.param_groups[0]["lr"] = low + (o["lr"] - low) * (1 + math.cos(math.pi * e / o["epochs"])) / 2
        step(optimizer, mean_loss(net, retain), masks, net, strict=True)


def bad_teacher(net, forget, retain, o):
    """The divergence without T^2, as the public code has it."""
    good, bad, T = copy.deepcopy(net).eval(), JOB.teacher.eval(), o["temperature"]
    both = sorted(forget + retain)
    x, _ = JOB.set(both)
    unlearnt = torch.tensor([[float(i in forget)] for i in both])
    with torch.no_grad():
        p = unlearnt * F.softmax(bad(x) / T, 1) + (1 - unlearnt) * F.softmax(good(x) / T, 1)
    optimizer = optimizer_of(net, o)
    net.train()
    for _ in range(o["epochs"]):
        step(optimizer, F.kl_div(F.log_softmax(net(x) / T, 1), p,
                                 reduction="mean" if o.get("reduction") == "elements" else "batchmean"))


def nabla_tau(net, forget, retain, o):
    optimizer = optimizer_of(net, o)
    net.train(o.get("mode", "eval") == "train")
    E = o["epochs"]
    for e in range(E):
        if e % o.get("tau_refresh", 5) == 0:
            training = net.training
            net.eval()
            with torch.no_grad():
                tau = F.cross_entropy(net(JOB.unseen[0]), JOB.unseen[1])
            net.train(training)
        alpha = o.get("alpha", 5 / 3 * len(forget) / (len(forget) + len(retain))) * (1 - e / E)
        for group in optimizer.param_groups:
            group["lr"] = o["lr"] * (1 + (0.1 - 1) * e / E)
        gap = tau - mean_loss(net, forget)
        gap = gap if o.get("gate") == "sq" else F.relu(gap)
        step(optimizer, alpha * gap ** 2 + (1 - alpha) * mean_loss(net, retain))


def imu(net, forget, retain, o):
    optimizer = torch.optim.SGD(net[5].parameters() if o.get("weights", "head") == "head" else net.parameters(),
                                lr=o["lr"], momentum=0.9, weight_decay=o["weight_decay"])
    trained = list(net[5].parameters() if o.get("weights", "head") == "head" else net.parameters())
    size = sum(p.numel() for p in trained)
    for e in range(o["epochs"]):
        if e == 0 or o.get("refresh", "once") != "once":
            g = each_gradient(net, forget)[:, -size:]
            influences = -(g / (g.pow(2).mean(0) + 0.01)) @ g.mean(0)
            kept = sorted((i for i in range(len(forget)) if influences[i] < 0), key=lambda i: influences[i])
            kept = kept[:max(1, int(o["top"] * len(kept)))]
            w = influences[kept].abs().sqrt()
            w = w.clamp(max=torch.quantile(w, 0.93))
            rows = [forget[i] for i in kept]
        net.train()
        optimizer.zero_grad()
        if o.get("refresh") == "batch":  # all examples are in the batch; those that are not used weigh nothing
            used = dict(zip(rows, w))
            rows, w = forget, torch.tensor([float(used.get(i, 0)) for i in forget]).double()
        x, y = JOB.set(rows)
        loss = -(w * F.cross_entropy(net(x), y, reduction="none")).sum() / w.sum()
        loss = loss + o["l1"] * sum(p.abs().sum() for p in trained)
        grads = torch.autograd.grad(loss, trained)
        for p, g in zip(trained, grads):
            p.grad = g
        optimizer.step()


def rum(net, forget, retain, o):
    """Low: left alone. Middle: neggrad. High: neggrad_plus."""
    order = sorted(forget, key=lambda i: JOB.score[i])
    third = len(forget) // 3
    middle, high = order[third:2 * third], order[2 * third:]
    neggrad(net, sorted(middle), sorted(retain + high), {"lr": 0.02, "weight_decay": 5e-4, "epochs": 1})
    neggrad_plus(net, sorted(high), retain, {"lr": 0.05, "weight_decay": 5e-4, "epochs": 2, "alpha": 0.7})


def text_of(value):
    return {True: "true", False: "false"}.get(value, repr(value).replace("'", "")) if isinstance(value, bool) else \
        f"{value:.10f}".rstrip("0") + "0" if isinstance(value, float) else str(value)


SGD, ADAM = {"lr": 0.05, "weight_decay": 0.01}, {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.02}
CASES = (
    (finetune, {**SGD, "epochs": 3}),
    (finetune, {**ADAM, "epochs": 3}),
    (neggrad, {**SGD, "epochs": 2}),
    (neggrad, {**SGD, "epochs": 2, "mode": "eval"}),
    (neggrad_plus, {**SGD, "epochs": 3, "alpha": 0.7}),
    (random_label, {**SGD, "epochs": 2, "wrong_only": True}),
    (amnesiac, {**ADAM, "epochs": 3}),
    (salun, {**SGD, "epochs": 2, "share": 0.4, "wrong_only": True}),
    (salun, {**SGD, "epochs": 2, "share": 0.4, "wrong_only": True, "strict_mask": False}),
    (l1_sparse, {**SGD, "epochs": 3, "plain_epochs": 1, "l1": 0.01}),
    (scrub, {**SGD, "epochs": 3, "max_epochs": 2, "gamma": 0.9, "alpha": 0.5, "temperature": 2.0}),
    (ssd, {"alpha": 1.1, "lambda": 0.9}),
    (ssd, {"alpha": 1.2, "lambda": 1.0, "importance": "batch", "batch": 5}),
    (influence, {"damping": 0.05, "scale": 2.0, "examples": 0, "iterations": 1000, "tolerance": 0.000000001}),
    (del_mask, {"share": 0.4, "cut_last": True, "lr": 0, "epochs": 1}),
    (nabla_tau, {**ADAM, "epochs": 7, "alpha": 0.6}),
    (nabla_tau, {**SGD, "optimizer": "sgd", "lr": 0.002, "epochs": 6, "alpha": 0.8, "gate": "sq", "mode": "train", "tau_refresh": 2}),
    (imu, {**SGD, "epochs": 2, "top": 0.7, "l1": 0.01}),
    (imu, {**SGD, "epochs": 3, "top": 1.0, "l1": 0.0, "refresh": "epoch"}),
    (imu, {**SGD, "epochs": 2, "top": 1.0, "l1": 0.001, "weights": "all"}),
    (rum, {"inner": "[none, {name: neggrad, lr: 0.02, epochs: 1}, {name: neggrad_plus, lr: 0.05, epochs: 2, alpha: 0.7}]"}),
    (del_trained, {**SGD, "epochs": 4, "share": 0.4, "weight_decay": 0.1, "floor": 0.3}),
    (del_trained, {**SGD, "epochs": 2, "share": 0.3, "cut_last": True}),
    (bad_teacher, {**SGD, "optimizer": "sgd", "epochs": 3, "share": 1.0, "temperature": 2.0}),
    (bad_teacher, {**SGD, "optimizer": "sgd", "epochs": 2, "share": 1.0, "temperature": 3.0, "reduction": "elements"}),
    (nabla_tau, {**SGD, "optimizer": "sgd", "epochs": 4}),
    (nabla_tau, {**SGD, "optimizer": "sgd", "epochs": 4, "alpha_decay": "step"}),
    (imu, {**SGD, "epochs": 3, "top": 1.0, "l1": 0.001, "refresh": "batch"}),
)
RESET = {"lr": 0, "epochs": 1}
WIDE_CASES = (
    (del_mask, {"share": 0.66, **RESET}),
    (del_mask, {"share": 0.74, "cut_last": True, **RESET}),
    (del_mask, {"share": 0.45, "h_rule": "row_length", "cut_last": True, **RESET}),
    (del_mask, {"share": 0.3, "h_rule": "row", "criterion": "grad", **RESET}),
    (del_mask, {"share": 0.3, "criterion": "weight", **RESET}),
    (del_mask, {"share": 0.3, "over": "all", **RESET}),
    (del_mask, {"share": 0.2, "granularity": "param", **RESET}),
)


def tensors(net):
    return [v.detach().flatten().tolist() for k, v in net.state_dict().items() if "num_batches" not in k]


def floats(net):
    return b"".join(struct.pack(f"<{len(t)}f", *t) for t in tensors(net))


def run(start, method, settings):
    net = copy.deepcopy(start)
    method(net, JOB.forget, JOB.retain, settings)
    name = "del" if method in (del_mask, del_trained) else method.__name__
    text = "{name: " + name + "".join(f", {k}: {text_of(v)}" for k, v in settings.items()) + "}"
    moved = torch.tensor(sum(tensors(net), [])) - torch.tensor(sum(tensors(start), []))
    print(f"{text}: moved by {moved.norm():.3g} in {int((moved != 0).sum())} of {len(moved)}", file=sys.stderr)
    assert math.isfinite(moved.norm())
    return struct.pack("<i", len(text)) + text.encode() + floats(net)


def main():
    out = b""
    for first, last in ((0, N), (N, N + V)):
        out += bytes(JOB.pixel[first:last].flatten().tolist())
        out += struct.pack(f"<{last - first}i", *JOB.label[first:last].tolist())
    out += struct.pack(f"<{N}d", *JOB.score) + floats(JOB.fresh) + floats(JOB.teacher)
    for start, cases in ((JOB.start, CASES), (JOB.wide, WIDE_CASES)):
        out += floats(start) + struct.pack("<i", len(cases))
        for case in cases:
            out += run(start, *case)
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main()
