#!/usr/bin/python3
"""Methods of unlearning on a small network in PyTorch, in double precision: what test_unlearning.c compares with.

Whole sets are one batch each, so that no result depends on an order; of two classes a wrong label is the other one, so that none
depends on chance. Formulas are written from the publications, with autograd for every gradient.

Needs Debian's python3-torch and python3-numpy. Writes a binary file, little-endian:
  uint8 pixel[N, 2, 6, 6], int32 label[N], then uint8 pixel[V, ...], int32 label[V] of the validation set; float64 score[N];
  7 tensors of float32 at the start, in the order of PyTorch's state_dict without num_batches_tracked;
  cases: int32 length of a text, the text (a method with its settings, as in a job file), the 7 tensors of float32 afterwards;
  of a case of del, instead, 1 for what is reset and 0 for what is not (statistics 0).

    tests/oracle/make_unlearning.py > tests/fixtures/unlearning.bin
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


def network():
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(4 * 9, CLASSES))


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
        net = network()
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
        self.start = net

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
    assert (ratio - o["alpha"]).abs().min() > 1e-4 * o["alpha"]
    weight = flat(net)
    factor = (getattr(torch, "clamp")(o["lambda"] / ratio, max=1))
    unflat(net, torch.where(of_forget > o["alpha"] * of_all, weight * factor, weight))


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


def del_mask(net, forget, retain, o):
    """What the public code ranks, its last channel cut by a stable sort."""
    net.eval()
    sums = gradients(net, mean_loss(net, forget))
    scores = []
    for p, g in zip(net.parameters(), sums):
        a = (p.detach() * g).abs()
        if a.dim() > 1:
            rows = a.reshape(a.shape[0], -1)
            h = min(max(int(0.1 * rows.shape[0]), 1), rows.shape[1])
            a = rows.topk(h, 1).values.mean(1, keepdim=True).expand_as(rows)
        scores.append(a.flatten())
    scores = torch.cat(scores)
    mask = torch.zeros_like(scores)
    mask[scores.argsort(descending=True, stable=True)[:int(o["share"] * len(scores))]] = 1
    unflat(net, mask)
    for name, tensor in net.state_dict().items():
        if "running" in name:
            tensor.zero_()


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
        alpha = o["alpha"] * (1 - e / E)
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
        if e == 0 or o.get("refresh", "once") == "epoch":
            g = each_gradient(net, forget)[:, -size:]
            influences = -(g / (g.pow(2).mean(0) + 0.01)) @ g.mean(0)
            kept = sorted((i for i in range(len(forget)) if influences[i] < 0), key=lambda i: influences[i])
            kept = kept[:max(1, int(o["top"] * len(kept)))]
            w = influences[kept].abs().sqrt()
            w = w.clamp(max=torch.quantile(w, 0.93))
            rows = [forget[i] for i in kept]
        net.train()
        optimizer.zero_grad()
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
)


def tensors(net):
    return [v.detach().flatten().tolist() for k, v in net.state_dict().items() if "num_batches" not in k]


def floats(net):
    return b"".join(struct.pack(f"<{len(t)}f", *t) for t in tensors(net))


def main():
    out = b""
    for first, last in ((0, N), (N, N + V)):
        out += bytes(JOB.pixel[first:last].flatten().tolist())
        out += struct.pack(f"<{last - first}i", *JOB.label[first:last].tolist())
    out += struct.pack(f"<{N}d", *JOB.score) + floats(JOB.start)
    start = torch.tensor(sum(tensors(JOB.start), []))
    for method, settings in CASES:
        net = copy.deepcopy(JOB.start)
        method(net, JOB.forget, JOB.retain, settings)
        name = "del" if method is del_mask else method.__name__
        text = "{name: " + name + "".join(f", {k}: {text_of(v)}" for k, v in settings.items()) + "}"
        moved = torch.tensor(sum(tensors(net), [])) - start
        print(f"{text}: moved by {moved.norm():.3g} in {int((moved != 0).sum())} of {len(moved)}", file=sys.stderr)
        assert math.isfinite(moved.norm())
        out += struct.pack("<i", len(text)) + text.encode() + floats(net)
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    main()
