#!/usr/bin/python3
"""Test accuracy of PyTorch on Fashion-MNIST with the recipe of test_accuracy.c: what ours must agree with.

Needs Debian's python3-torch and dataset-fashion-mnist; takes some minutes on one core. Writes tests/fixtures/accuracy.txt:
the standardisation and, for each preset, the recipe and the accuracy of every seed.

    tests/oracle/make_accuracy.py [--seeds 20] > tests/fixtures/accuracy.txt
"""
import argparse
import gzip
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

PATH = "/usr/share/datasets/fashion-mnist"
TRAIN = 10000  # the first ones
BATCH, LR, MOMENTUM, DECAY = 128, 0.05, 0.9, 5e-4


def images(name):
    with gzip.open(f"{PATH}/{name}-images-idx3-ubyte.gz") as f:
        return np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)


def labels(name):
    with gzip.open(f"{PATH}/{name}-labels-idx1-ubyte.gz") as f:
        return torch.from_numpy(np.frombuffer(f.read(), np.uint8, offset=8).astype(np.int64))


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))


def cnn(w):
    return nn.Sequential(block(1, w), block(w, 2 * w), block(2 * w, 4 * w), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4 * w, 10))


def accuracy(make, epochs, seed, x, y, x_test, y_test):
    torch.manual_seed(seed)
    net = make()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    steps = epochs * math.ceil(len(x) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5 * (1 + math.cos(math.pi * t / steps)))
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x_test.split(500), y_test.split(500)))
    return right / len(y_test)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    train, test = images("train")[:TRAIN], images("t10k")
    mean, std = train.mean(dtype=np.float64), train.std(dtype=np.float64)
    x, x_test = (torch.from_numpy(((a - mean) / std).astype(np.float32)) for a in (train, test))
    y, y_test = labels("train")[:TRAIN], labels("t10k")
    print(f"standard {mean:.9f} {std:.9f}")
    for name, make, width, epochs in (("mlp", mlp, 0, 5), ("cnn", lambda: cnn(16), 16, 3)):
        values = [accuracy(make, epochs, seed, x, y, x_test, y_test) for seed in range(seeds)]
        print(f"{name} width {width} epochs {epochs} batch {BATCH} lr {LR} momentum {MOMENTUM} decay {DECAY} seeds {seeds}",
              *values, flush=True)


if __name__ == "__main__":
    main()
