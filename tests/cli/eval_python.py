"""Runs a plan over a CIFAR ResNet in Python's torch and compares it with cachectl-eval's JSON.

FOLDER holds backbone.pt, images.npy, labels.npy, test_rows.npy, plan.h5; the module is built here,
filled from the TorchScript file's state dict, and watched by forward hooks: on the blocks for the
activations, on convolutions and linear layers for the FLOPs. Hits, verdicts and FLOPs must be equal;
a sample is excused only where its confidence lies within 1e-5 of a threshold.
"""
import json
import sys

import h5py
import numpy
import torch
from torch import nn
from torch.nn import functional as F

folder, measured = sys.argv[1], json.load(open(sys.argv[2]))


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.pad = stride, (after - before) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + short)


class ResNet(nn.Module):
    def __init__(self, depth, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        width = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            blocks = [Block(width[stage - 1], width[stage], 1 if stage == 1 else 2)]
            blocks += [Block(width[stage], width[stage], 1) for _ in range(depth - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


state = torch.jit.load(f"{folder}/backbone.pt").state_dict()
depth = len({name.split(".")[1] for name in state if name.startswith("layer1.")})
backbone = ResNet(depth, state["linear.bias"].numel())
backbone.load_state_dict(state)
backbone.eval()

flops, activations, flops_before = [0.0], {}, {}


def count(module, inputs, output):
    per_output = module.weight[0].numel()
    flops[0] += 2 * per_output * output[0].numel()


def watch(name):
    def hook(module, inputs, output):
        activations[name], flops_before[name] = output, flops[0]

    return hook


for name, module in backbone.named_modules():
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        module.register_forward_hook(count)
    if isinstance(module, nn.Sequential):
        module.register_forward_hook(watch(name))
backbone.bn1.register_forward_hook(
    lambda module, inputs, output: watch("relu@1")(module, inputs, F.relu(output)))


def cache_logits(text, weights, x, prior):
    """conv and fc layers alone: what the fixture's cache models are made of. prior: the logits of
    the one in front, in a cascade."""
    cost = 0.0

    def norm(i, value):
        base = f"{i}.norm"
        return F.batch_norm(value, weights[base + ".mean"], weights[base + ".variance"],
                            weights[base + ".weight"], weights[base + ".bias"])

    for i, word in enumerate(text.split(", ")):
        weight = weights[f"{i}.weight"]
        if word.startswith("conv"):
            stride = int(word.split("/")[1].split("-")[0]) if "/" in word else 1
            x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2)
        else:
            x = F.linear(x.flatten(1), weight)
        cost += 2 * weight[0].numel() * x[0].numel()
        x = F.relu(norm(i, x))
    x = x.flatten(1)
    if prior is not None:
        x = torch.hstack([x, prior - torch.logsumexp(prior, 1, keepdim=True)])
    x = F.linear(x, weights["classifier.weight"], weights["classifier.bias"])
    return x, cost + 2 * weights["classifier.weight"].numel()


rows = numpy.load(f"{folder}/test_rows.npy")
images = torch.tensor(numpy.load(f"{folder}/images.npy")[rows])
labels = numpy.load(f"{folder}/labels.npy")[rows]
with torch.no_grad():
    answer_of_backbone = backbone(images).argmax(1).numpy()
total = flops[0]

label = answer_of_backbone.copy()
left_at = numpy.full(len(rows), -1)
excused = numpy.zeros(len(rows), bool)
names, on_the_way, spent, logits_of = [], [], 0.0, {}
with h5py.File(f"{folder}/plan.h5") as file, torch.no_grad():
    plan = file["plans/0000"]
    for place, (cache, threshold) in enumerate(zip(plan["exits"][()], plan["thresholds"][()])):
        group = file[f"caches/{cache:04}"]
        name = group.attrs["layer"]
        name = name.decode() if isinstance(name, bytes) else name
        text = group.attrs["architecture"]
        text = text.decode() if isinstance(text, bytes) else text
        weights = {key: torch.tensor(value[()]) for key, value in group["weights"].items()}
        prior = group.attrs.get("prior")
        prior = prior.decode() if isinstance(prior, bytes) else prior
        logits, cost = cache_logits(text, weights, activations[name],
                                    None if prior is None else logits_of[prior])
        logits_of[name] = logits
        shares = torch.softmax(logits.double() / group["calibration"].attrs["temperature"], 1)
        confidence, predicted = (values.numpy() for values in shares.max(1))
        waiting = left_at < 0
        excused |= waiting & (abs(confidence - threshold) < 1e-5)
        hits = waiting & (confidence >= numpy.float32(threshold))
        label[hits], left_at[hits] = predicted[hits], place
        spent += cost
        names.append(name)
        on_the_way.append(flops_before[name] + spent)
left_at[left_at < 0] = len(names)
on_the_way.append(total + spent)

right_b, right_c = answer_of_backbone == labels, label == labels
alike = answer_of_backbone == label
verdicts = {
    "both right": alike & right_b,
    "both wrong alike": alike & ~right_b,
    "backbone right, cache wrong": right_b & ~right_c,
    "cache right, backbone wrong": ~right_b & right_c,
    "both wrong, differently": ~alike & ~right_b & ~right_c,
}
given = measured["plans"][0]
faults = 0


def compare(what, ours, theirs, slack=0.0):
    global faults
    if abs(ours - theirs) > slack:
        faults += 1
        print(f"{what}: cachectl-eval {theirs}, python {ours}", file=sys.stderr)


slack = int(excused.sum())
for place, exit in enumerate(given["exits"]):
    here = left_at == place
    if place < len(names):
        assert exit["layer"] == names[place], (exit["layer"], names[place])
    compare(f"hits at {exit['layer']}", int(here.sum()), exit["hits"], slack)
    for verdict, samples in verdicts.items():
        compare(f"{verdict} at {exit['layer']}", int((samples & here).sum()),
                exit["verdicts"][verdict], slack)
compare("plain FLOPs", total, given["flops_plain"], 1e-9 * total)
mean = sum(on_the_way[place] for place in left_at) / len(rows)
compare("cached FLOPs", mean, given["flops_cached"], total * (1e-9 + slack / len(rows)))
compare("agreement", alike.mean(), given["agreement"]["value"], 1e-12 + slack / len(rows))
compare("plain accuracy", right_b.mean(), given["accuracy_plain"]["value"], 1e-12)
compare("cached accuracy", right_c.mean(), given["accuracy_cached"]["value"],
        1e-12 + slack / len(rows))
print(f"{len(rows)} samples, left at {numpy.bincount(left_at, minlength=len(names) + 1)}, "
      f"{slack} excused, {faults} differences")
sys.exit(1 if faults else 0)
