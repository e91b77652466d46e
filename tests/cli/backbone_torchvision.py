"""Compares the zoo with torchvision and with independent definitions of the small networks.

For each architecture: random weights (running statistics too) saved by torch.save, imported by
cachectl-backbone, loaded by torch.jit.load; names of the state dict and outputs must agree.
Usage: backbone_torchvision.py CACHECTL_BACKBONE
"""
import subprocess
import sys

import torch
import torch.nn.functional as F
import torchvision
from torch import nn


class PadBlock(nn.Module):
    """He et al. 2016, shortcut A: subsampled, zero channels on both sides."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(short, (0, 0, 0, 0, self.pad, self.pad)))


class PadResNet(nn.Module):
    def __init__(self, depth, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            blocks = []
            for i in range(depth):
                first = i == 0
                blocks.append(PadBlock(channels[stage - 1] if first else channels[stage],
                                       channels[stage], 2 if first and stage > 1 else 1))
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, pad=0, groups=1, activated=True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        if activated:
            self.prelu = nn.PReLU(outputs)

    def forward(self, x):
        x = self.bn(self.conv(x))
        return self.prelu(x) if hasattr(self, "prelu") else x


class DepthWise(nn.Module):
    def __init__(self, inputs, hidden, outputs, stride, residual=False):
        super().__init__()
        self.conv = ConvNorm(inputs, hidden, 1)
        self.conv_dw = ConvNorm(hidden, hidden, 3, stride, 1, hidden)
        self.project = ConvNorm(hidden, outputs, 1, activated=False)
        self.residual = residual

    def forward(self, x):
        y = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class Residual(nn.Module):
    def __init__(self, channels, hidden, count):
        super().__init__()
        self.model = nn.Sequential(
            *[DepthWise(channels, hidden, channels, 1, True) for _ in range(count)])

    def forward(self, x):
        return self.model(x)


class MobileFaceNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = ConvNorm(3, 64, 3, 2, 1)
        self.conv2_dw = ConvNorm(64, 64, 3, 1, 1, 64)
        self.conv_23 = DepthWise(64, 128, 64, 2)
        self.conv_3 = Residual(64, 128, 4)
        self.conv_34 = DepthWise(64, 256, 128, 2)
        self.conv_4 = Residual(128, 256, 6)
        self.conv_45 = DepthWise(128, 512, 128, 2)
        self.conv_5 = Residual(128, 256, 2)
        self.conv_6_sep = ConvNorm(128, 512, 1)
        self.conv_6_dw = ConvNorm(512, 512, 7, groups=512, activated=False)
        self.linear = nn.Linear(512, 512, bias=False)
        self.bn = nn.BatchNorm1d(512)
        self.classifier = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, classes))

    def forward(self, x):
        for name in ("conv1 conv2_dw conv_23 conv_3 conv_34 conv_4 conv_45 conv_5 conv_6_sep "
                     "conv_6_dw").split():
            x = getattr(self, name)(x)
        return self.classifier(self.bn(self.linear(torch.flatten(x, 1))))


def cifar_stem(model):
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


models = torchvision.models
CASES = [
    # architecture, flags, reference, side of the input
    ("resnet20", [], lambda: PadResNet(3, 10), 32),
    ("resnet18", [], lambda: models.resnet18(num_classes=12), 64),
    ("resnet18", [], lambda: cifar_stem(models.resnet18(num_classes=10)), 32),
    ("resnet50", [], lambda: models.resnet50(num_classes=10), 64),
    ("mobilenet_v2", [], lambda: models.mobilenet_v2(num_classes=10), 96),
    ("efficientnet_b0", [], lambda: models.efficientnet_b0(num_classes=10), 96),
    ("mobilefacenet", [], lambda: MobileFaceNet(10), 112),
    ("vit_small", [], lambda: models.VisionTransformer(
        image_size=32, patch_size=4, num_layers=6, num_heads=3, hidden_dim=192, mlp_dim=768,
        num_classes=10), 32),
    ("vgg11", [], lambda: models.vgg11(num_classes=10), 64),
]


def randomise(model):
    """Weights and running statistics that leave no layer without effect."""
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif tensor.dim() == 1:
            tensor.uniform_(0.8, 1.2) if name.endswith("weight") else tensor.normal_(0, 0.1)
        elif tensor.is_floating_point() and tensor.dim() >= 2 and "token" in name:
            tensor.normal_(0, 0.5)
        elif tensor.is_floating_point() and "head" in name:
            tensor.normal_(0, 0.1)


def compare(tool, arch, flags, reference, side, legacy):
    torch.manual_seed(1)
    model = reference().eval()
    randomise(model)
    torch.save(model.state_dict(), "weights.pth", _use_new_zipfile_serialization=not legacy)
    command = [tool, "import", "--arch", arch, "--weights", "weights.pth", "--out", "model.pt",
               "--force", "--log-level", "warning"] + flags
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ours = torch.jit.load("model.pt").eval()
    names, expected = set(ours.state_dict()), set(model.state_dict())
    assert names == expected, (arch, names ^ expected)
    inputs = torch.randn(2, 3, side, side)
    with torch.no_grad():
        output, wanted = ours(inputs), model(inputs)
    error = (output - wanted).abs().max() / wanted.abs().max()
    print(f"{arch} at {side}{' (legacy file)' if legacy else ''}: {len(names)} tensors, "
          f"outputs within {error:.1e} of {wanted.abs().max():.3f}")
    assert wanted.std() > 1e-3, "the reference's outputs say nothing"
    assert error < 1e-4, arch


def main():
    torch.set_num_threads(2)
    for arch, flags, reference, side in CASES:
        for legacy in (False, True) if arch in ("resnet20", "mobilenet_v2") else (False,):
            compare(sys.argv[1], arch, flags, reference, side, legacy)


main()
