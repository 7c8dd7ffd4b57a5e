#!/usr/bin/python3
"""PyTorch's side of the benchmarks of sizes: mlp and cnn as in the project's presets, at any size.

Needs Debian's python3-torch. One thread, channels-last, bf16 by autocast; the C library is told to keep its memory, without
which PyTorch's speed jumps between two levels from run to run. Prints one line: images_per_s=...

    torch_shapes.py PRESET PRECISION BATCH SECONDS CHANNELS SIDE [SIZE ...]
"""
import os
import sys
import time

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_TOP_PAD_": "64000000",
               "OMP_NUM_THREADS": "1"}
if any(os.environ.get(k) != v for k, v in KEEP_MEMORY.items()):
    os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **KEEP_MEMORY})

import torch
from torch import nn


def mlp(inputs, hidden):
    layers = [nn.Flatten()]
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def cnn(channels, width):
    layers = []
    for size in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(channels, size, 3, padding=1, bias=False), nn.BatchNorm2d(size), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels = size
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def main():
    preset, precision = sys.argv[1:3]
    batch, seconds, channels, side = int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
    sizes = [int(size) for size in sys.argv[7:]]
    torch.set_num_threads(1)
    net = mlp(channels * side * side, sizes or [512]) if preset == "mlp" else cnn(channels, (sizes or [32])[0])
    x = torch.randn(batch, channels, side, side)
    if preset != "mlp":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,))
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            value = loss(net(x), y)
        value.backward()
        optimizer.step()

    for _ in range(3):
        step()
    steps, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        step()
        steps += 1
    print(f"images_per_s={steps * batch / (time.perf_counter() - begun):.0f}")


main()
