#!/usr/bin/python3
"""Training throughput of PyTorch for the presets that torch_train.py does not have: twins of vit, resnet50 and vgg16_bn.

Needs Debian's python3-torch; the modules are those of tests/oracle/make_networks.py. As torch_train.py: whole steps, forward,
backward and SGD with momentum, on one thread, inputs in memory, bf16 by autocast, images channels-last (vit: as it is fastest),
the C library told to keep its memory. One line a case.

    torch_networks.py [--arch vit] [--precision f32] [--batch 128] [--seconds 4]
"""
import argparse
import os
import sys
import time

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000",
               "MALLOC_TOP_PAD_": "64000000", "OMP_NUM_THREADS": "1"}
if any(os.environ.get(k) != v for k, v in KEEP_MEMORY.items()):
    os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **KEEP_MEMORY})

import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import make_networks as twins

SHAPE, CLASSES = (3, 32, 32), 10
NETWORKS = {"vit": lambda: twins.ViT(SHAPE, CLASSES, 192, 6, 3, 4),
            "resnet50": lambda: twins.ResNet(3, CLASSES, 64, twins.Bottleneck, (3, 4, 6, 3), True),
            "vgg16_bn": lambda: twins.VGG(3, CLASSES, 64)}


def throughput(arch, precision, batch, seconds):
    layout = torch.contiguous_format if arch == "vit" else torch.channels_last
    net = NETWORKS[arch]().train().to(memory_format=layout)
    x = torch.randn(batch, *SHAPE).to(memory_format=layout)
    y = torch.randint(0, CLASSES, (batch,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            out = net(x)
        loss = F.cross_entropy(out.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()
    steps, start = 0, time.perf_counter()
    while True:
        step()
        steps += 1
        elapsed = time.perf_counter() - start
        if elapsed > seconds:
            return steps * batch / elapsed


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", default="vit")
    parser.add_argument("--precision", default="f32,bf16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for arch in options.arch.split(","):
        for precision in options.precision.split(","):
            rate = throughput(arch, precision, options.batch, options.seconds)
            print(f"torch {arch:9s} {precision:4s} batch {options.batch}: {rate:9.1f} images/s", flush=True)
