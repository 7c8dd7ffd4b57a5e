#!/usr/bin/python3
"""Networks of every layer and preset in PyTorch, in double precision: what test_networks.c compares with.

Needs Debian's python3-torch; torchvision is not needed: its modules are written out here, with its names. Writes a binary
file, little-endian, cases one after the other:
  int32: length of the text, text: "preset", or "layers" and a line break and the list of layers as YAML;
  int32: width, depth, heads, patch, channels, height, width of the images, classes, batch; uint8 pixel[batch, channels,
  height, width]; int32 label[batch]; float32 the rate of the steps, and by how much rounding may be worse than usual;
  int32 number of tensors; each: int32 length of the name, name (empty: by order), int32 values, int32 stride of the
  samples that follow: float32 values at the start, gradients of the first step, values after three steps.
  float32: loss[3], the batch's mean before each step; logits[batch, classes] in evaluation mode after three steps.
The values at the start are not stored whole: value i of tensor t is start_value(t, i), which the test computes too. A
network's input is pixel / 64 - 2. Each step is SGD with rate 0.05 (vit and attention: 0.01), momentum 0.9, weight decay
0.01.

    tests/oracle/make_networks.py > tests/fixtures/networks.bin
"""
import struct
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MOST = 24  # samples of a tensor


def start_values(t, shape, kind):
    """Values in [-1, 1) by a hash of (tensor, element), scaled so that activations neither vanish nor grow."""
    count = int(np.prod(shape))
    h = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    h += np.uint64((t + 1) * 0xBF58476D1CE4E5B9 % 2**64)
    h ^= h >> np.uint64(31)
    h *= np.uint64(0x94D049BB133111EB)
    h ^= h >> np.uint64(29)
    unit = (h >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    fan = count // shape[0] if len(shape) > 1 else 0
    scale, shift = (1.7 / np.sqrt(fan), 0) if fan else {"weight": (0.5, 0.9), "bias": (0.3, 0), "running_mean": (0.2, 0),
                                                        "running_var": (0.4, 1), "other": (0.3, 0)}[kind]
    return (unit.astype(np.float32) * np.float32(scale) + np.float32(shift)).astype(np.float32).reshape(shape)


# ---- torchvision's and torch_train.py's modules


def block(i, o, pool=False):
    layers = [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class Residual(nn.Module):
    def __init__(self, body, shortcut=None, relu=False):
        super().__init__()
        self.shortcut, self.body, self.relu = shortcut, body, relu

    def forward(self, x):
        y = self.body(x) + (x if self.shortcut is None else self.shortcut(x))
        return F.relu(y) if self.relu else y


def resnet9(c, classes, w):
    return nn.Sequential(block(c, w), block(w, 2 * w, True),
                         Residual(nn.Sequential(block(2 * w, 2 * w), block(2 * w, 2 * w))),
                         block(2 * w, 4 * w, True), block(4 * w, 8 * w, True),
                         Residual(nn.Sequential(block(8 * w, 8 * w), block(8 * w, 8 * w))),
                         nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8 * w, classes))


def conv(i, o, kernel, stride=1):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 1), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3, stride), nn.BatchNorm2d(o)
        self.conv3, self.bn3 = conv(o, 4 * o, 1), nn.BatchNorm2d(4 * o)
        self.downsample = None
        if stride != 1 or i != 4 * o:
            self.downsample = nn.Sequential(conv(i, 4 * o, 1, stride), nn.BatchNorm2d(4 * o))

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, c, classes, w, kind, blocks, large):
        super().__init__()
        self.conv1 = conv(c, w, 7, 2) if large else conv(c, w, 3)
        self.bn1 = nn.BatchNorm2d(w)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        i = w
        for stage, count in enumerate(blocks):
            o, layers = w << stage, []
            for b in range(count):
                layers.append(kind(i, o, 2 if stage and not b else 1))
                i = o * kind.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(i, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))


class VGG(nn.Module):
    def __init__(self, c, classes, w):
        super().__init__()
        layers = []
        for m in (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0):
            if m:
                layers += [nn.Conv2d(c, m * w, 3, padding=1), nn.BatchNorm2d(m * w), nn.ReLU()]
                c = m * w
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        # Dropout is the identity here: the test evaluates and trains with it switched off.
        self.classifier = nn.Sequential(nn.Linear(c, c), nn.ReLU(), nn.Identity(), nn.Linear(c, c), nn.ReLU(),
                                        nn.Identity(), nn.Linear(c, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.self_attention(x, x, x, need_weights=False)[0]


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    def __init__(self, tokens, width, heads, depth):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.zeros(1, tokens, width))
        self.layers = nn.Sequential()
        for i in range(depth):
            self.layers.add_module(f"encoder_layer_{i}", EncoderBlock(width, heads))
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        return self.ln(self.layers(x + self.pos_embedding))


class ViT(nn.Module):
    def __init__(self, shape, classes, width, depth, heads, patch):
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.conv_proj = nn.Conv2d(shape[0], width, patch, patch)
        self.encoder = Encoder(shape[1] // patch * (shape[2] // patch) + 1, width, heads, depth)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(width, classes))

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = self.encoder(torch.cat([self.class_token.expand(len(x), -1, -1), x], 1))
        return self.heads(x[:, 0])


# ---- a job's own list of layers


class Places(nn.Module):
    """A module of sequences applied to images [n, c, h, w] as sequences of places."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        n, c, h, w = x.shape
        return self.inner(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(n, -1, h, w)


class Tokens(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, tokens, width))

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.position
        return x.transpose(1, 2).unsqueeze(3)


class First(nn.Module):
    def forward(self, x):
        return x[:, :, 0, 0]


def listed(items, shape):
    """Modules of a list of layers, and the shape [c, h, w] of what they make."""
    layers = []
    for i, item in enumerate(items):
        kind, value = next(iter(item.items()))
        c, h, w = shape
        normed = i + 1 < len(items) and "batch_norm" in items[i + 1]
        if kind == "conv":
            k = item.get("kernel", 3)
            layer = nn.Conv2d(c, value, k, item.get("stride", 1), item.get("padding", (k - 1) // 2),
                              groups=item.get("groups", 1), bias=item.get("bias", not normed))
        elif kind == "linear":
            layer = Places(nn.Linear(c, value)) if item.get("each") else nn.Linear(c, value)
        elif kind == "batch_norm":
            layer = nn.BatchNorm2d(c)
        elif kind == "layer_norm":
            layer = Places(nn.LayerNorm(c))
        elif kind in ("relu", "gelu", "flatten"):
            layer = {"relu": nn.ReLU, "gelu": nn.GELU, "flatten": nn.Flatten}[kind]()
        elif kind == "dropout":
            layer = nn.Identity()
        elif kind == "max_pool":
            layer = nn.MaxPool2d(value, item.get("stride", value), item.get("padding", 0)) if value else nn.Sequential(
                nn.AdaptiveMaxPool2d(1))
        elif kind == "mean_pool":
            layer = nn.AvgPool2d(value, item.get("stride", value), item.get("padding", 0)) if value else nn.Sequential(
                nn.AdaptiveAvgPool2d(1))
        elif kind == "tokens":
            layer = Tokens(h * w + 1, c)
        elif kind == "first_token":
            layer = First()
        elif kind == "attention":
            layer = Places(Attention(c, value))
        elif kind == "residual":
            shortcut = listed(item["shortcut"], shape)[0] if "shortcut" in item else None
            layer = Residual(listed(value, shape)[0], shortcut, item.get("relu", False))
        layers.append(layer)
        with torch.no_grad():
            x = torch.zeros(2, c, h, w)
            y = layer.eval()(x if kind != "linear" or item.get("each") else x.flatten(1))
        shape = tuple(y.shape[1:]) + (1,) * (4 - y.dim())
    layers = [FlattenFirst(l) if isinstance(l, nn.Linear) else l for l in layers]
    return nn.Sequential(*layers), shape


class FlattenFirst(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.flatten(1))


def yaml(items):
    def text(v):
        if isinstance(v, list):
            return yaml(v)
        return "" if v is None else str(v).lower()
    return "[" + ", ".join("{" + ", ".join(f"{k}: {text(v)}" for k, v in item.items()) + "}" for item in items) + "]"


# ---- cases


def ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


def floats(values):
    return np.asarray(values, dtype="<f4").tobytes()


def by_name(name):
    last = name.split(".")[-1]
    return last if last in ("weight", "bias", "running_mean", "running_var") else "bias" if "bias" in last else "other"


def case(number, preset, shape, classes, batch, width=0, depth=0, heads=0, patch=0, layers=None, rate=0.05, slack=1):
    torch.manual_seed(number)
    c = shape[0]
    text = preset
    if preset == "layers":
        net, _ = listed(layers, shape)
        text += "\n" + yaml(layers)
    else:
        net = {"resnet9": lambda: resnet9(c, classes, width),
               "resnet18": lambda: ResNet(c, classes, width, Basic, (2, 2, 2, 2), False),
               "resnet50": lambda: ResNet(c, classes, width, Bottleneck, (3, 4, 6, 3), True),
               "vgg16_bn": lambda: VGG(c, classes, width),
               "vit": lambda: ViT(shape, classes, width, depth, heads, patch)}[preset]()
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    with torch.no_grad():
        for t, (k, v) in enumerate(state.items()):
            v.copy_(torch.from_numpy(start_values(t, tuple(v.shape), by_name(k))))
    start = {k: v.clone() for k, v in state.items()}
    net = net.double().train()
    pixel = torch.randint(0, 256, (batch, *shape))
    label = torch.randint(0, classes, (batch,))
    x = (pixel.double() / 64 - 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=0.01)
    gradients, losses = {}, []
    for step in range(3):
        loss = F.cross_entropy(net(x), label)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            gradients = {k: p.grad.clone() for k, p in net.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    logits = net(x).detach()
    end = net.state_dict()
    print(f"case {number} {preset} losses {losses}, logits {logits.abs().max():.3g}", file=sys.stderr)
    raw = text.encode()
    out = ints(len(raw)) + raw + ints(width, depth, heads, patch, *shape, classes, batch)
    out += bytes(pixel.flatten().tolist()) + ints(*label.tolist()) + floats([rate, slack]) + ints(len(start))
    for k, v in start.items():
        name = b"" if preset == "layers" else k.encode()
        count = v.numel()
        stride = -(-count // MOST)
        stride += stride > 1 and stride % 2 == 0  # odd, so that samples go round the last dimension
        out += ints(len(name)) + name + ints({"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3, "other": 4}[
            by_name(k)], v.shape[0] if v.dim() > 1 else 0, count, stride)
        gradient = gradients.get(k, torch.zeros_like(v, dtype=torch.double))
        moved = (end[k] - start[k]).norm().item()
        out += floats([gradient.norm().item(), moved])
        for values in (v, gradient, end[k]):
            out += floats(values.flatten()[::stride].tolist())
    sys.stdout.buffer.write(out + floats(losses) + floats(logits.flatten().tolist()))


def main():
    number = 0
    small = (3, 8, 8)

    def layers(*items, shape=small, classes=4, batch=5, rate=0.05):
        nonlocal number
        number += 1
        case(number, "layers", shape, classes, batch, layers=list(items), rate=rate)

    flat, last = {"flatten": None}, {"linear": 4}
    layers({"conv": 5}, {"relu": None}, {"conv": 18, "stride": 2, "bias": False}, flat, last)
    layers({"conv": 7, "kernel": 5, "stride": 2, "padding": 1}, {"conv": 6, "kernel": 2, "padding": 1}, flat, last,
           shape=(2, 11, 9))
    layers({"conv": 6, "kernel": 1}, {"conv": 8, "kernel": 1, "bias": False}, {"relu": None}, {"conv": 4, "kernel": 1,
           "stride": 3}, {"max_pool": None}, last)
    layers({"conv": 12, "groups": 3}, {"conv": 24, "groups": 4, "kernel": 3, "stride": 2}, {"conv": 24, "groups": 24},
           {"conv": 32, "groups": 2, "kernel": 1}, {"mean_pool": None}, last)
    layers({"conv": 64, "groups": 1, "kernel": 1}, {"conv": 64, "groups": 2}, {"relu": None}, {"conv": 40, "groups": 8,
           "kernel": 5}, flat, last, shape=(3, 5, 6))
    layers({"conv": 6}, {"batch_norm": None}, {"relu": None}, {"conv": 9, "bias": True}, {"batch_norm": None}, flat, last)
    layers({"conv": 6}, {"batch_norm": None}, {"relu": None}, {"max_pool": 2}, {"conv": 20, "bias": True},
           {"batch_norm": None}, {"relu": None}, {"max_pool": 2}, flat, last, shape=(3, 9, 10))
    layers({"batch_norm": None}, {"relu": None}, {"conv": 4}, {"gelu": None}, {"batch_norm": None}, flat, {"linear": 9},
           {"gelu": None}, last)
    layers({"max_pool": 3, "stride": 2, "padding": 1}, {"conv": 5}, {"max_pool": 2, "stride": 1}, {"mean_pool": 3,
           "stride": 2, "padding": 1}, {"relu": None}, flat, last, shape=(2, 9, 12))
    layers({"conv": 6}, {"residual": [{"conv": 6}, {"relu": None}, {"conv": 6}], "relu": True},
           {"residual": [{"conv": 8, "stride": 2}, {"batch_norm": None}],
            "shortcut": [{"conv": 8, "kernel": 1, "stride": 2}, {"batch_norm": None}]},
           {"residual": [{"residual": [{"relu": None}, {"conv": 8}]}, {"gelu": None}]}, flat, last)
    layers({"layer_norm": None}, {"linear": 20, "each": True}, {"gelu": None}, {"linear": 6, "each": True},
           {"layer_norm": None}, flat, last, shape=(5, 3, 4))
    layers({"conv": 12, "kernel": 4, "stride": 4, "padding": 0}, {"tokens": None}, {"residual": [{"layer_norm": None},
           {"attention": 2}]}, {"attention": 3}, {"first_token": None}, last, rate=0.01)
    layers({"conv": 20, "kernel": 2, "stride": 2, "padding": 0}, {"tokens": None}, {"attention": 1}, {"layer_norm": None},
           {"mean_pool": None}, last, rate=0.01)
    layers({"flatten": None}, {"dropout": 0}, {"linear": 17}, {"relu": None}, last)
    # resnet50's 53 normalizations of few values each amplify rounding.
    for preset, shape, width, slack in (("resnet9", (3, 16, 16), 4, 1), ("resnet18", (3, 12, 12), 3, 1),
                                        ("resnet50", (3, 32, 32), 2, 10), ("vgg16_bn", (3, 32, 32), 2, 1)):
        number += 1
        case(number, preset, shape, 5, 6, width=width, rate=0.05 / slack**5, slack=slack)
    number += 1
    case(number, "vit", (3, 8, 12), 5, 6, width=12, depth=2, heads=3, patch=4, rate=0.01)


if __name__ == "__main__":
    main()
