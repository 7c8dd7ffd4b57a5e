#!/usr/bin/python3
"""Learning rates of PyTorch's schedulers, step by step: what test_schedules.c compares with.

Needs Debian's python3-torch. A case is two lines: schedule, lr, epochs, steps per epoch, epochs of warm-up, gamma, peak,
number of milestones and the milestones; then the rates. Warm-up is a LambdaLR of its own; the schedule follows with a
scheduler made for the steps that are left.

    tests/oracle/make_schedules.py > tests/fixtures/schedules.txt
"""
import warnings

import torch
from torch.optim import lr_scheduler

warnings.simplefilter("ignore")  # schedulers stepped without their optimizer


def rates(lr, steps, make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        if len(out) < steps:
            scheduler.step()
    return out


def case(name, lr, epochs, epoch, warmup=0.0, gamma=0.1, peak=0.3, milestones=()):
    before = int(warmup * epoch + 0.5)
    left = epochs * epoch - before
    make = {
        "constant": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1.0),
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, left),
        "step": lambda o: lr_scheduler.MultiStepLR(o, [m * epoch for m in milestones], gamma),
        "one_cycle": lambda o: lr_scheduler.OneCycleLR(o, lr, total_steps=left, pct_start=peak, cycle_momentum=False),
    }[name]
    values = rates(lr, before, lambda o: lr_scheduler.LambdaLR(o, lambda t: t / max(before, 1))) + rates(lr, left, make)
    print(name, lr, epochs, epoch, warmup, gamma, peak, len(milestones), *milestones)
    print(*(repr(float(v)) for v in values))


def main():
    case("constant", 0.1, 2, 3)
    case("constant", 0.1, 3, 4, warmup=1.5)
    case("cosine", 0.05, 5, 7)
    case("cosine", 0.05, 6, 5, warmup=1.3)
    case("step", 0.2, 6, 3, milestones=(2, 5))
    case("step", 0.2, 9, 4, gamma=0.3, warmup=2, milestones=(6, 1, 3))
    case("one_cycle", 0.4, 4, 6)
    case("one_cycle", 0.4, 5, 7, peak=0.45, warmup=0.7)
    case("one_cycle", 0.01, 1, 10, peak=0.95)
    case("one_cycle", 0.01, 3, 3, peak=0.05)  # the top is before the first step


if __name__ == "__main__":
    main()
