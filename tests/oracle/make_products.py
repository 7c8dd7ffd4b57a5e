#!/usr/bin/python3
"""Products with Jacobian, Gauss-Newton and Hessian matrices in PyTorch, in double precision: what test_products.c compares
with. The networks are those of make_networks.py, in evaluation mode.

Needs Debian's python3-torch. Writes a binary file, little-endian, cases one after the other:
  int32: length of the text, text: "preset", or "layers" and a line break and the list of layers as YAML;
  int32: width, depth, heads, patch, channels, height, width of the images, classes, batch, vectors, 1 if the vectors are all
  unit vectors (as many as parameters), which are not stored; uint8 pixel[batch, channels, height, width];
  int32 label[batch]; float32 weight[batch] of the examples, float32 smoothing of the labels;
  int32 number of tensors; each: int32 length of the name, name (empty: by order), int32 1 for a statistic, int32 values,
  float32 values.
  Parameters of all tensors that are no statistics, one after the other, are p values: float32 v[vectors, p] (unless they are
  unit vectors), u[vectors, batch, classes]; then, with the weights in the sums: gradient[p], H v[vectors, p],
  G v[vectors, p], J' u[vectors, p], J v[vectors, batch, classes].
A network's input is pixel / 64 - 2.

    tests/oracle/make_products.py > tests/fixtures/products.bin
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np
import torch
import torch.nn.functional as F

from make_networks import ViT, Basic, ResNet, by_name, floats, ints, listed, resnet9, start_values, yaml


def network(preset, shape, classes, width, depth, heads, patch, layers):
    if preset == "layers":
        return listed(layers, shape)[0], preset + "\n" + yaml(layers)
    return {"resnet9": lambda: resnet9(shape[0], classes, width),
            "resnet18": lambda: ResNet(shape[0], classes, width, Basic, (2, 2, 2, 2), False),
            "vit": lambda: ViT(shape, classes, width, depth, heads, patch)}[preset](), preset


def case(number, preset, shape, classes, batch, width=0, depth=0, heads=0, patch=0, layers=None, smoothing=0.0, unit=False,
         vectors=2):
    torch.manual_seed(number)
    net, text = network(preset, shape, classes, width, depth, heads, patch, layers)
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    with torch.no_grad():
        for t, (k, v) in enumerate(state.items()):
            v.copy_(torch.from_numpy(start_values(t, tuple(v.shape), by_name(k))))
    start = {k: v.clone() for k, v in state.items()}
    net = net.double().eval()
    named = dict(net.named_parameters())
    parameters = [named[k] for k in state if k in named]
    pixel = torch.randint(0, 256, (batch, *shape))
    label = torch.randint(0, classes, (batch,))
    weight = (torch.rand(batch) + 0.5).float()
    count = sum(p.numel() for p in parameters)
    vectors = count if unit else vectors
    v = torch.eye(count) if unit else torch.randn(vectors, count).float()
    u = torch.randn(vectors, batch, classes).float()

    def flat(tensors):
        return torch.cat([t.reshape(-1) for t in tensors])

    def split(vector):
        out, at = [], 0
        for p in parameters:
            out.append(vector[at:at + p.numel()].reshape(p.shape))
            at += p.numel()
        return out

    def gradient(y, of, **options):
        found = torch.autograd.grad(y, of, allow_unused=True, **options)
        return [torch.zeros_like(p) if g is None else g for g, p in zip(found, of)]

    z = net(pixel.double() / 64 - 2)
    a = weight.double()
    loss = (a * F.cross_entropy(z, label, reduction="none", label_smoothing=smoothing)).sum()
    g = gradient(loss, parameters, create_graph=True)
    free = torch.zeros_like(z, requires_grad=True)  # J' free is linear in it, with the transposed Jacobian J
    back = flat(gradient(z, parameters, grad_outputs=free, create_graph=True))
    probability = z.softmax(1).detach()
    h, gn, transposed, tangent = [], [], [], []
    for k in range(vectors):
        direction = v[k].double()
        h.append(flat(gradient((flat(g) * direction).sum(), parameters, retain_graph=True)))
        jv = torch.autograd.grad(back, free, direction, retain_graph=True)[0]
        lj = probability * (jv - (probability * jv).sum(1, keepdim=True))
        gn.append(flat(gradient(z, parameters, grad_outputs=a[:, None] * lj, retain_graph=True)))
        transposed.append(flat(gradient(z, parameters, grad_outputs=a[:, None] * u[k].double(), retain_graph=True)))
        tangent.append(jv)
    h, gn, transposed, tangent = (torch.stack(x).detach() for x in (h, gn, transposed, tangent))
    print(f"case {number} {preset}: {count} parameters, loss {loss.item() / batch:.3g}, norms of H v {h[0].norm():.3g}, "
          f"G v {gn[0].norm():.3g}", file=sys.stderr)
    raw = text.encode()
    out = ints(len(raw)) + raw + ints(width, depth, heads, patch, *shape, classes, batch, vectors, int(unit))
    out += bytes(pixel.flatten().tolist()) + ints(*label.tolist()) + floats(weight.tolist()) + floats([smoothing])
    out += ints(len(start))
    for k, values in start.items():
        name = b"" if preset == "layers" else k.encode()
        out += ints(len(name)) + name + ints(int(k not in named), values.numel()) + floats(values.flatten().tolist())
    if not unit:
        out += floats(v.flatten().tolist())
    for values in (u, flat(g).detach(), h, gn, transposed, tangent):
        out += floats(values.flatten().tolist())
    sys.stdout.buffer.write(out)


def main():
    number = 0

    def layers(*items, shape=(3, 8, 8), classes=4, batch=5, **options):
        nonlocal number
        number += 1
        case(number, "layers", shape, classes, batch, layers=list(items), **options)

    flat, last = {"flatten": None}, {"linear": 4}
    # Whole matrices.
    layers(flat, last, shape=(2, 2, 3), unit=True)
    layers(flat, {"linear": 5}, {"relu": None}, {"linear": 3}, {"relu": None}, last, shape=(1, 2, 3), batch=7, unit=True)
    layers({"conv": 3}, {"batch_norm": None}, {"relu": None}, {"max_pool": 2}, {"linear": 3}, shape=(1, 2, 3), classes=3,
           batch=9, unit=True)
    # Every kind of layer.
    layers(flat, {"linear": 17}, {"relu": None}, {"dropout": 0.5}, {"linear": 11}, {"relu": None}, last, shape=(2, 4, 4),
           smoothing=0.1)
    layers({"conv": 6}, {"batch_norm": None}, {"relu": None}, {"max_pool": 2}, {"conv": 20, "bias": True},
           {"batch_norm": None}, {"relu": None}, {"max_pool": 2}, {"mean_pool": None}, last, shape=(3, 9, 10))
    layers({"conv": 6}, {"residual": [{"conv": 6}, {"relu": None}, {"conv": 6}], "relu": True},
           {"residual": [{"conv": 8, "stride": 2}, {"batch_norm": None}],
            "shortcut": [{"conv": 8, "kernel": 1, "stride": 2}, {"batch_norm": None}]},
           {"residual": [{"residual": [{"relu": None}, {"conv": 8}]}, {"gelu": None}]}, {"max_pool": None}, last)
    layers({"batch_norm": None}, {"relu": None}, {"conv": 12, "groups": 3}, {"gelu": None}, {"batch_norm": None},
           {"conv": 9, "kernel": 1}, {"max_pool": 3, "stride": 2, "padding": 1}, {"mean_pool": 2, "stride": 1}, flat, last,
           shape=(3, 6, 6))
    layers({"layer_norm": None}, {"linear": 12, "each": True}, {"gelu": None}, {"linear": 6, "each": True},
           {"layer_norm": None}, flat, last, shape=(5, 3, 4))
    layers({"conv": 12, "kernel": 4, "stride": 4, "padding": 0}, {"tokens": None}, {"residual": [{"layer_norm": None},
           {"attention": 2}]}, {"attention": 3}, {"first_token": None}, last)
    for preset, shape, width in (("resnet9", (3, 16, 16), 1), ("resnet18", (3, 12, 12), 1)):
        number += 1
        case(number, preset, shape, 5, 4, width=width, vectors=1)
    number += 1
    case(number, "vit", (3, 8, 12), 5, 4, width=6, depth=2, heads=3, patch=4, vectors=1)


if __name__ == "__main__":
    main()
