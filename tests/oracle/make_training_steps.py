#!/usr/bin/python3
"""Three steps of every preset and optimizer in PyTorch, in double precision: what test_training_steps.c compares with.

Needs Debian's python3-torch. Writes a binary file, little-endian, cases one after the other:
  int32: preset (0 linear, 1 mlp, 2 cnn), channels, height, width, classes, batch, cnn's width,
         optimizer (0 sgd, 1 adamw), nesterov, number of hidden layers, their sizes;
  float32: lr, weight decay, momentum, beta1, beta2, epsilon, label smoothing, norm to clip at (0: none), scale[channels],
           shift[channels];
  uint8 pixel[batch, channels, height, width]; int32 label[batch]; float64 loss[3], the batch's mean before each step;
  int32 number of tensors; each: int32 values, then float32 values at the start, after one step, after three;
  float32 logits[batch, classes] in evaluation mode after three steps.
Tensors are in the order of PyTorch's state_dict, without num_batches_tracked.

    tests/oracle/make_training_steps.py > tests/fixtures/training_steps.bin
"""
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

REALS = {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
         "smoothing": 0.0, "clip": 0.0}


def block(i, o):
    return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]


def network(preset, shape, classes, width, hidden):
    c, h, w = shape
    if preset == 2:
        return nn.Sequential(*block(c, width), *block(width, 2 * width), *block(2 * width, 4 * width),
                             nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))
    layers, size = [nn.Flatten()], c * h * w
    for outputs in hidden if preset == 1 else []:
        layers += [nn.Linear(size, outputs), nn.ReLU()]
        size = outputs
    return nn.Sequential(*layers, nn.Linear(size, classes))


def tensors(net):
    return [v.detach().clone().flatten().float() for k, v in net.state_dict().items() if "num_batches" not in k]


def floats(values):
    values = list(values)
    return struct.pack(f"<{len(values)}f", *values)


def optimizer_of(net, adamw, nesterov, o):
    if adamw:
        return torch.optim.AdamW(net.parameters(), lr=o["lr"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"],
                                 weight_decay=o["weight_decay"])
    return torch.optim.SGD(net.parameters(), lr=o["lr"], momentum=o["momentum"], nesterov=nesterov,
                           weight_decay=o["weight_decay"])


def case(seed, preset, shape, classes, batch, width=0, hidden=(), adamw=False, nesterov=False, **reals):
    torch.manual_seed(seed)
    net = network(preset, shape, classes, width, hidden)
    for name, p in net.named_parameters():  # batch normalization's too, so that nothing is 0 or 1
        if p.dim() == 1 and "weight" in name:
            p.data.uniform_(0.5, 1.5)
            p.data[0] *= -1
    net = net.double()
    pixel = torch.randint(0, 256, (batch, *shape))
    label = torch.randint(0, classes, (batch,))
    scale = torch.tensor([0.02 - 0.002 * i for i in range(shape[0])])
    shift = torch.tensor([-2.0 + 0.3 * i for i in range(shape[0])])
    x = (pixel.float() * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)).double()
    o = {k: torch.tensor(float(reals.get(k, v))).item() for k, v in REALS.items()}  # as float32 has them
    optimizer = optimizer_of(net, adamw, nesterov, o)
    states, losses = [tensors(net)], []
    net.train()
    for step in range(3):
        loss = F.cross_entropy(net(x), label, label_smoothing=o["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        if o["clip"] > 0:
            norm = nn.utils.clip_grad_norm_(net.parameters(), o["clip"])
            print(f"case {seed}, step {step}: norm {norm:.4g}, clipped at {o['clip']:.4g}", file=sys.stderr)
        optimizer.step()
        losses.append(loss.item())
        if step != 1:
            states.append(tensors(net))
    net.eval()
    logits = net(x).detach().flatten().tolist()
    out = struct.pack("<10i", preset, *shape, classes, batch, width, adamw, nesterov, len(hidden))
    out += struct.pack(f"<{len(hidden)}i", *hidden)
    out += floats(o.values()) + floats(scale.tolist()) + floats(shift.tolist())
    out += bytes(pixel.flatten().tolist()) + struct.pack(f"<{batch}i", *label.tolist()) + struct.pack("<3d", *losses)
    out += struct.pack("<i", len(states[0]))
    for i, first in enumerate(states[0]):
        out += struct.pack("<i", len(first)) + b"".join(floats(s[i].tolist()) for s in states)
    return out + floats(logits)


def main():
    cases = (
        case(1, 0, (2, 5, 6), 3, 7),
        case(2, 1, (1, 9, 9), 11, 10, hidden=(20,)),
        case(3, 1, (3, 4, 5), 2, 1, hidden=(17, 12)),
        case(4, 2, (1, 8, 8), 2, 5, width=4),
        case(5, 2, (3, 9, 11), 4, 6, width=5),
        case(6, 2, (2, 15, 14), 7, 9, width=8),
        case(7, 2, (1, 28, 28), 10, 1, width=3),
        case(8, 1, (1, 7, 6), 5, 9, hidden=(9,), nesterov=True),
        case(9, 2, (1, 9, 8), 4, 6, width=3, nesterov=True),
        case(10, 1, (1, 7, 6), 5, 9, hidden=(9,), adamw=True, lr=0.003, weight_decay=0.5),
        case(11, 2, (1, 9, 8), 4, 6, width=3, adamw=True, lr=0.01, beta1=0.8, beta2=0.95, epsilon=1e-3),
        case(12, 2, (1, 9, 8), 4, 6, width=3, adamw=True, lr=0.01),
        case(13, 1, (1, 7, 6), 5, 9, hidden=(9,), smoothing=0.2),
        case(14, 2, (1, 9, 8), 4, 6, width=3, smoothing=0.1),
        case(15, 1, (1, 7, 6), 5, 9, hidden=(9,), clip=1.0),
        case(16, 2, (1, 9, 8), 4, 6, width=3, clip=0.5),
        case(17, 1, (1, 7, 6), 5, 9, hidden=(9,), adamw=True, lr=0.003, clip=0.3, smoothing=0.05),
        case(18, 2, (1, 9, 8), 4, 6, width=3, nesterov=True, clip=1.5, smoothing=0.4),
    )
    sys.stdout.buffer.write(b"".join(cases))


if __name__ == "__main__":
    main()
