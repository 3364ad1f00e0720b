"""Small PyTorch networks of the common architectures, channels first, with random weights and statistics."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from helpers import array
from keras_actmaps import backend

SHAPE = (3, 20, 28)
IMAGES = np.random.default_rng(0).random((3, *SHAPE), "float32")


class Block(nn.Module):
    """The residual block of torchvision's ResNet."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.downsample = down if stride > 1 else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 7, 2, 3, bias=False), nn.BatchNorm2d(6)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(6, 6, 1), Block(6, 6, 1))
        self.layer2 = nn.Sequential(Block(6, 8, 2), Block(8, 8, 1))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(8, 5)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(self.layer2(self.layer1(x))), 1))


class VGG(nn.Module):
    """Flattens several positions, pools with `ceil_mode`, and drops out by a module and by a function."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding="same"), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)),
            *(nn.Conv2d(6, 8, (3, 5), padding=(0, 2), dilation=(2, 1)), nn.ReLU(), nn.MaxPool2d(4, ceil_mode=True)),
        )
        self.classifier = nn.Sequential(nn.Linear(64, 12), nn.ReLU(True), nn.Dropout(), nn.Linear(12, 5))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(functional.dropout(x.view(x.size(0), -1), training=self.training))


class MobileNet(nn.Module):
    """An inverted residual with depthwise and grouped convolutions, and squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 8, 1, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Hardswish(True))
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4, padding_mode="reflect")
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 3, 1), nn.ReLU(), nn.Conv2d(3, 8, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.expand(x)
        y = self.grouped(self.depth(x))
        y = functional.hardsigmoid(self.squeeze(y), inplace=True) * y
        return torch.softmax(self.head((x + y).mean([2, 3])), dim=1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in (3, 7))
        self.convs = nn.ModuleList(nn.Conv2d(width, 4, 3, padding=1) for width in (3, 7))
        self.head = nn.Linear(11, 5)

    def forward(self, x):
        for norm, conv in zip(self.norms, self.convs):
            x = torch.cat([x, conv(functional.leaky_relu(norm(x), 0.2))], 1)
        x = functional.avg_pool2d(functional.elu(x), 3, 2, padding=1, count_include_pad=False)
        x = functional.avg_pool2d(x, x.shape[-2:])
        return functional.log_softmax(self.head(x.flatten(1)), dim=-1)


class ConvNeXt(nn.Module):
    """A block that computes channels last, with a learned scale."""

    def __init__(self):
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, 6, 4, 4), nn.Conv2d(6, 6, 7, padding=3, groups=6)
        self.norm, self.wide, self.narrow = nn.LayerNorm(6), nn.Linear(6, 9), nn.Linear(9, 6)
        self.scale, self.head = nn.Parameter(torch.ones(6, 1, 1)), nn.Linear(6, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.narrow(functional.gelu(self.wide(y), approximate="tanh")).permute(0, 3, 1, 2)
        return self.head((x + self.scale * y).mean((-2, -1)))


class ShuffleNet(nn.Module):
    """Split and shuffled channels, upsampling, and a kernel that is computed from a parameter."""

    def __init__(self):
        super().__init__()
        self.conv, self.kernel = nn.Conv2d(3, 8, 3), nn.Parameter(torch.randn(4, 4, 3, 3))
        self.weighed = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 4, 1))
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        one, two = self.conv(x).chunk(2, dim=1)
        kernel = self.kernel - self.kernel.mean((1, 2, 3), keepdim=True)
        x = torch.cat((one.relu_(), functional.conv2d(two, kernel, stride=1, padding=1)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        x = functional.interpolate(functional.silu(self.weighed(x)), scale_factor=2, mode="bilinear")
        return self.head(functional.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x, mask=None):
        if mask is not None:
            x = x * mask
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        y = self.norm(x)
        return self.head((x + self.attention(y, y, y, need_weights=False)[0])[:, 0])


class Segmenter(nn.Module):
    """Scores of classes at each position, in a dict, and a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 6, 3, 2, 1), nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1)

    def forward(self, x):
        return {"out": self.up(torch.tanh(self.down(x))), "sum": x.sum((1, 2, 3))}


class Branching(nn.Module):
    """Cannot be traced: it branches on values."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.head = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x):
        x = torch.relu_(self.bn(self.conv(x.sub_(0.5))))
        if x.mean() > 1e6:
            x = -x
        return self.head(x.mean((2, 3)))


CLASSIFIERS = (ResNet, VGG, MobileNet, DenseNet, ConvNeXt, ShuffleNet, Transformer)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module, in training mode, with seeded weights and with statistics other than 0 and 1."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.dim() > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=random)
            elif tensor.is_floating_point():
                spread = "var" in name or ("weight" in name and tensor.dim() == 1)
                tensor.uniform_(0.5, 1.5, generator=random) if spread else tensor.normal_(0, 0.3, generator=random)
    return module


def expected_outputs(module: nn.Module, images: np.ndarray) -> Any:
    """The outputs of a copy of the module in evaluation mode."""
    with torch.no_grad():
        return copy.deepcopy(module).eval()(torch.as_tensor(images).clone())


def converted(module: nn.Module, images: np.ndarray = IMAGES) -> tuple:
    """The Keras model of a module, and its outputs."""
    model = backend.convert_module(module, images.shape[1:])
    with torch.no_grad():
        return model, model(torch.as_tensor(np.moveaxis(images, 1, -1) if images.ndim > 2 else images))


def assert_close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal up to a fraction of the largest value, which must not be 0."""
    found, expected = array(found), array(expected)
    assert found.shape == expected.shape and np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
