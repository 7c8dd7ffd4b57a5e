#!/usr/bin/python3
"""Gradients of single examples in PyTorch, in double precision: what test_per_example.c compares with.

Needs Debian's python3-torch. Networks, inputs and values at the start are those of make_networks.py; modules are in
evaluation mode. Writes a binary file, little-endian, cases one after the other:
  int32: length of the preset's name, name; int32: width, depth, heads, patch, channels, height, width of the images,
  classes, examples; uint8 pixel[examples, channels, height, width]; int32 label[examples]; int32 number of tensors;
  each: int32 length of the name, name, int32 kind, rows, values (see make_networks.py), statistic or not;
  then for each output of loss, margin, logit 1, and each example: for each tensor that is no statistic float32 norm of
  the gradient and float32 samples[8] of it, at the elements i * values / 8 (rounded down); and the same for the input.
  Last, float32 sums over the examples: for each tensor that is no statistic, of g and of g * g of the loss at those elements.

    tests/oracle/make_per_example.py > tests/fixtures/per_example.bin
"""
import sys
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F

import make_networks as networks
from make_networks import floats, ints

SAMPLES = 8
KINDS = {"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3, "other": 4}


def linear(shape, classes):
    size = shape[0] * shape[1] * shape[2]
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), linear1=nn.Linear(size, classes)))


def mlp(shape, classes):
    size = shape[0] * shape[1] * shape[2]
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), linear1=nn.Linear(size, 512), relu=nn.ReLU(),
                                     linear2=nn.Linear(512, classes)))


def cnn(shape, classes, width):
    layers, i = OrderedDict(), shape[0]
    for block in range(3):
        o = width << block
        layers[f"conv{block + 1}"] = nn.Conv2d(i, o, 3, padding=1, bias=False)
        layers[f"bn{block + 1}"] = nn.BatchNorm2d(o)
        layers[f"relu{block + 1}"] = nn.ReLU()
        layers[f"pool{block + 1}"] = nn.MaxPool2d(2)
        i = o
    layers.update(mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), linear1=nn.Linear(i, classes))
    return nn.Sequential(layers)


def sampled(values):
    flat = values.flatten()
    return [flat[i * len(flat) // SAMPLES].item() for i in range(SAMPLES)]


def outputs(z, y):
    others = torch.cat([z[:, :y], z[:, y + 1:]], 1)
    return [F.cross_entropy(z, torch.tensor([y])), z[0, y] - others.logsumexp(1)[0], z[0, 1]]


def case(number, preset, net, shape, classes, width=0, depth=0, heads=0, patch=0, examples=4):
    torch.manual_seed(100 + number)
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    with torch.no_grad():
        for t, (k, v) in enumerate(state.items()):
            v.copy_(torch.from_numpy(networks.start_values(t, tuple(v.shape), networks.by_name(k))))
    net = net.double().eval()
    parameters = dict(net.named_parameters())
    pixel = torch.randint(0, 256, (examples, *shape))
    label = torch.randint(0, classes, (examples,))
    out = ints(len(preset)) + preset.encode() + ints(width, depth, heads, patch, *shape, classes, examples)
    out += bytes(pixel.flatten().tolist()) + ints(*label.tolist()) + ints(len(state))
    for k, v in state.items():
        out += ints(len(k)) + k.encode() + ints(KINDS[networks.by_name(k)], v.shape[0] if v.dim() > 1 else 0, v.numel(),
                                                k not in parameters)
    sums = [[0.0] * SAMPLES for _ in parameters], [[0.0] * SAMPLES for _ in parameters]
    for which in range(3):
        for n in range(examples):
            x = (pixel[n:n + 1].double() / 64 - 2).requires_grad_()
            scalar = outputs(net(x), label[n].item())[which]
            gradients = torch.autograd.grad(scalar, [*parameters.values(), x])
            for t, g in enumerate(gradients):
                out += floats([g.norm().item(), *sampled(g)])
                if which == 0 and t < len(parameters):
                    for i, v in enumerate(sampled(g)):
                        sums[0][t][i] += v
                        sums[1][t][i] += v * v
    for t in range(len(parameters)):
        out += floats(sums[0][t] + sums[1][t])
    sys.stdout.buffer.write(out)


def main():
    case(1, "linear", linear((1, 9, 9), 5), (1, 9, 9), 5)
    case(2, "mlp", mlp((3, 5, 5), 4), (3, 5, 5), 4)
    case(3, "cnn", cnn((1, 13, 12), 4, 8), (1, 13, 12), 4, width=8)
    case(4, "cnn", cnn((3, 16, 16), 4, 32), (3, 16, 16), 4, width=32)
    case(5, "resnet9", networks.resnet9(3, 4, 8), (3, 16, 16), 4, width=8)
    case(6, "vit", networks.ViT((3, 8, 8), 4, 24, 2, 3, 4), (3, 8, 8), 4, width=24, depth=2, heads=3, patch=4)


if __name__ == "__main__":
    main()
