#!/usr/bin/env python3
"""Exports one torchvision model with random weights, scripted or traced.

    export.py NAME scripted|traced FILE

Running statistics and layers that start at zero are drawn too, so that outputs differ.
"""
import sys

import torch


class TextClassifier(torch.nn.Module):
    """Tokens to classes by a Transformer encoder; embedding, positions, mean over tokens."""

    def __init__(self, words=1000, width=64, length=32, classes=7):
        super().__init__()
        self.embedding = torch.nn.Embedding(words, width)
        self.positions = torch.nn.Parameter(torch.randn(1, length, width))
        layer = torch.nn.TransformerEncoderLayer(width, 4, 128, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 4)
        self.head = torch.nn.Linear(width, classes)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        return self.head(self.encoder(x).mean(1))


class PaddedTextClassifier(TextClassifier):
    """The same with a second input: 1 for a token, 0 for padding, applied before the encoder."""

    def forward(self, tokens, mask):
        x = (self.embedding(tokens) + self.positions) * mask.unsqueeze(2)
        return self.head(self.encoder(x).mean(1))


def build(name):
    if name == "text":
        return TextClassifier(), (torch.randint(1000, (2, 32)),)
    if name == "padded_text":
        return PaddedTextClassifier(), (torch.randint(1000, (2, 32)), torch.ones(2, 32))
    import torchvision.models as models
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return getattr(models, name)(weights=None, **extra), (torch.randn(2, 3, 224, 224),)


def main():
    name, way, path = sys.argv[1:]
    torch.manual_seed(11)
    model, inputs = build(name)
    for key, value in model.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and value.dim() > 1:
            torch.nn.init.kaiming_uniform_(value, a=1)
        elif value.is_floating_point() and value.abs().max() == 0:
            value.normal_(0, 0.05)
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    script = torch.jit.script(model) if way == "scripted" else torch.jit.trace(model, inputs)
    script.save(path)


main()
