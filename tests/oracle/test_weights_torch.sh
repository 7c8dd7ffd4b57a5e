#!/bin/bash
# Weights to PyTorch and back: state dictionaries load strictly, and both programs say the same about every test example.
# Skipped without python3-torch and h5py. About a minute, of which Python takes most.
. "$(dirname "$0")/../lib.sh"
python=/usr/bin/python3
"$python" -c 'import torch, h5py' 2>/dev/null || skip "$python has no torch or no h5py"
make_job "$job"
tools=$LEAVEOUT_SOURCE/tests/tools
cat >"$work/compare.py" <<'PYTHON'
import glob, sys
import h5py, numpy as np, torch
from torch import nn
from make_networks import Basic, Bottleneck, ResNet, VGG, ViT, resnet9
from safetensors_numpy import read, write

NETWORKS = {"cnn": lambda: Cnn(8), "mlp": lambda: Mlp(32), "resnet9": lambda: resnet9(3, 10, 8),
            "resnet18": lambda: ResNet(3, 10, 8, Basic, (2, 2, 2, 2), False),
            "resnet50": lambda: ResNet(3, 10, 8, Bottleneck, (3, 4, 6, 3), True),
            "vgg16_bn": lambda: VGG(3, 10, 8), "vit": lambda: ViT((3, 32, 32), 10, 48, 2, 3, 4)}

class Cnn(nn.Module):
    def __init__(self, width):
        super().__init__()
        for i, (a, b) in enumerate([(1, width), (width, 2 * width), (2 * width, 4 * width)]):
            setattr(self, f"conv{i + 1}", nn.Conv2d(a, b, 3, padding=1, bias=False))
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(b))
        self.linear1 = nn.Linear(4 * width, 10)
    def forward(self, x):
        for i in "123":
            x = torch.max_pool2d(torch.relu(getattr(self, "bn" + i)(getattr(self, "conv" + i)(x))), 2)
        return self.linear1(x.mean((2, 3)))

class Mlp(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(64, hidden), nn.Linear(hidden, 10)
    def forward(self, x):
        return self.linear2(torch.relu(self.linear1(x.flatten(1))))

def prepared(study):
    """Test images as a network sees them, and their labels, from the study's cache (docs/study-format.md)."""
    raw = open(glob.glob(study + "/cache/*.dat")[0], "rb").read()
    c, h, w = np.frombuffer(raw, "<i4", 3, 24)
    counts = np.frombuffer(raw, "<i8", 3, 56)
    begin = np.frombuffer(raw, "<u8", 22, 104)
    scale, shift = (np.frombuffer(raw, "<f4", c, begin[i]) for i in (0, 1))
    pixel = np.frombuffer(raw, "u1", counts[2] * c * h * w, begin[16]).reshape(-1, c, h, w)
    label = np.frombuffer(raw, "<i4", counts[2], begin[17])
    return pixel * scale[:, None, None] + shift[:, None, None], label

def margins(net, study):
    image, label = prepared(study)
    net.eval()
    with torch.no_grad():
        z = net(torch.from_numpy(image.astype("f4"))).double()
    y = torch.from_numpy(label.astype("i8"))[:, None]
    return (z.gather(1, y)[:, 0] - z.scatter(1, y, -np.inf).logsumexp(1)).numpy()

how, preset, study, file = sys.argv[1:]
if how == "data":
    random = np.random.default_rng(0)
    for part, n in ("train", 200), ("test", 60):
        np.save(f"{study}/x_{part}.npy", random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8))
        np.save(f"{study}/y_{part}.npy", np.arange(n) % 10)
    sys.exit()
torch.manual_seed(3)
net = NETWORKS[preset]()
if how == "make":
    write(file, {k: v.numpy() for k, v in net.state_dict().items()}, {"format": "pt"})
    sys.exit()
tensors, _ = read(file)
net.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=True)
with h5py.File(study + "/ensemble.h5") as f:
    model = list(f["/model"]).index(0)
    found = f["/test/logit"][model]
error = np.abs(margins(net, study) - found).max()
print(f"{preset}: largest difference of margins {error:.2g}, of sizes to {np.abs(found).max():.3g}")
assert error < (1e-4 if preset == "resnet50" else 2e-5) * max(1, np.abs(found).max())
PYTHON
compare() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$tools:$LEAVEOUT_SOURCE/tests/oracle "$python" "$work/compare.py" "$@" >"$work/torch" 2>&1 ||
    fail "$(tail -n 5 "$work/torch")"; }

model() { [ "$1" = cnn ] && echo '{preset: cnn, width: 8}' || echo '{preset: mlp, hidden: [32]}'; }
for preset in mlp cnn; do
    set_keys=(--set model.hidden=null --set "model=$(model $preset)" --set influence=null --set ensemble.models=2
              --set ensemble.keep_models=1 --set train.precision=f32)
    expect_code 0 study 1 "$work/$preset" "${set_keys[@]}"
    compare trained $preset "$work/$preset" "$work/$preset/models/0.safetensors"
    say "to PyTorch, $(cat "$work/torch")"
    # Back: PyTorch's own weights, which steps this small do not move; statistics of batches do move, and are kept.
    compare make $preset "$work/$preset" "$work/$preset-start"
    expect_code 0 study 1 "$work/$preset-back" "${set_keys[@]}" --set train.optimizer.lr=1e-30 \
        --set "train.from=$work/$preset-start"
    [ $preset = cnn ] || compare trained $preset "$work/$preset-back" "$work/$preset-start"
    compare trained $preset "$work/$preset-back" "$work/$preset-back/models/0.safetensors"
    say "and back, $(cat "$work/torch")"
done

# The presets that torchvision has, and its vision transformer at a small size, with its names.
mkdir "$work/npy"
compare data - "$work/npy" -
cat >"$job" <<JOB
data: {format: npy, path: $work/npy}
model: {preset: resnet18}
train: {epochs: 1, batch: 50, precision: f32}
ensemble: {models: 2, keep_models: 1}
JOB
for preset in resnet9 resnet18 resnet50 vgg16_bn vit; do
    model="{preset: $preset, width: 8}"
    [ $preset != vit ] || model='{preset: vit, width: 48, depth: 2, heads: 3, patch: 4}'
    expect_code 0 study 1 "$work/$preset" --set "model=$model"
    compare trained $preset "$work/$preset" "$work/$preset/models/0.safetensors"
    say "$(cat "$work/torch")"
    compare make $preset - "$work/$preset-start"
    expect_code 0 "$LEAVEOUT" check "$job" --set "model=$model" --set "train.from=$work/$preset-start"
done
