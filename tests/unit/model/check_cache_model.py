"""Builds a cache model from its text in Python's torch and compares logits and gradients.

Reads each FILE: attributes text, classes; groups state (by parameter name) and gradient; data sets
input, target, eval_logits, train_loss; prior for a model that takes one. Prints the largest relative differences.
"""
import sys

import h5py
import torch
from torch.nn import functional as F


def forward(text, state, x, prior, training):
    def norm(base, value):
        mean, variance = state[base + ".mean"].clone(), state[base + ".variance"].clone()
        return F.batch_norm(
            value, mean, variance, state[base + ".weight"], state[base + ".bias"], training
        )

    def tokens(value):
        return value.flatten(2).transpose(1, 2) if value.dim() == 4 else value

    words = [] if text == "linear" else text.split(", ")
    for i, word in enumerate(words):
        if word.startswith(("conv", "dwconv", "res")):
            size = int(word.split("x")[1].split("/")[0].split("-")[0])
            stride = int(word.split("/")[1].split("-")[0]) if "/" in word else 1
            before, groups, key = x, 1, "weight"
            if word.startswith("dwconv"):
                depth = F.conv2d(
                    x, state[f"{i}.depth_weight"], None, stride, size // 2, groups=x.shape[1]
                )
                x, size, stride = F.relu(norm(f"{i}.depth_norm", depth)), 1, 1
            y = norm(f"{i}.norm", F.conv2d(x, state[f"{i}.{key}"], None, stride, size // 2, 1, groups))
            x = F.relu(before + y) if word.startswith("res") else F.relu(y)
        elif word.startswith("pool"):
            x = F.avg_pool2d(x, int(word[4:]))
        elif word.startswith("maxpool"):
            x = F.max_pool2d(x, int(word[7:]))
        elif word == "mean":
            x = tokens(x).mean(1)
        elif word == "attention":
            weights = torch.softmax(tokens(x) @ state[f"{i}.query"], 1)
            x = (weights[:, :, None] * tokens(x)).sum(1)
        elif word.startswith("fc"):
            x = F.relu(norm(f"{i}.norm", F.linear(x.flatten(1), state[f"{i}.weight"])))
        else:
            raise ValueError(word)
    x = x.flatten(1)
    if prior is not None:
        x = torch.hstack([x, prior - torch.logsumexp(prior, 1, keepdim=True)])
    return F.linear(x, state["classifier.weight"], state["classifier.bias"])


def difference(a, b):
    return float((a - b).abs().max() / (b.abs().max() + 1e-6))


def check(path):
    with h5py.File(path) as file:
        text = file.attrs["text"]
        text = text.decode() if isinstance(text, bytes) else text

        def read(group):
            return {name: torch.tensor(value[()]) for name, value in file[group].items()}

        state, gradient = read("state"), read("gradient")
        x, target = torch.tensor(file["input"][()]), torch.tensor(file["target"][()])
        prior = torch.tensor(file["prior"][()]) if "prior" in file else None
        logits = torch.tensor(file["eval_logits"][()])
        loss_given = float(file["train_loss"][0])
    worst = difference(forward(text, state, x, prior, False), logits)
    for name in gradient:
        state[name].requires_grad_(True)
    log_shares = F.log_softmax(forward(text, state, x, prior, True), 1)
    loss = F.kl_div(log_shares, target, reduction="batchmean")
    loss.backward()
    worst = max(worst, abs(float(loss) - loss_given) / abs(float(loss)))
    for name, value in gradient.items():
        worst = max(worst, difference(value, state[name].grad))
    print(f"{text}: {worst:.3g}")
    return worst < 1e-3


sys.exit(0 if all([check(path) for path in sys.argv[1:]]) else 1)
