"""The networks of networks.py in PyTorch, channels first, on the same weights."""

import numpy as np
import torch
from networks import TARGETS, images, weights
from torch import nn


class Join(nn.Module):
    """A sum as a module of its own, to be replaced by the one that a peer needs."""

    def forward(self, first, second):
        return first + second


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution_1, self.relu_1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.convolution_2, self.relu_2 = nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(8, 4)

    def forward(self, x):
        x = self.pool(self.relu_1(self.convolution_1(x)))
        return self.dense(torch.flatten(self.mean(self.relu_2(self.convolution_2(x))), 1))


class Residual(nn.Module):
    shape = (4, 3, 5)  # of the features before they are flattened, in Keras

    def __init__(self, join):
        super().__init__()
        self.convolution_1, self.normalization_1 = nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5, eps=1e-3)
        self.relu_1 = nn.ReLU()
        self.convolution_2, self.normalization_2 = nn.Conv2d(5, 5, 3, padding=1), nn.BatchNorm2d(5, eps=1e-3)
        self.join, self.relu_2 = join, nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        self.dense = nn.Linear(60, 3)

    def forward(self, x):
        first = self.relu_1(self.normalization_1(self.convolution_1(x)))
        x = self.relu_2(self.join(first, self.normalization_2(self.convolution_2(first))))
        return self.dense(torch.flatten(self.pool(x), 1))


class Mixed(nn.Module):
    shape = (3, 2, 10)

    def __init__(self):
        super().__init__()
        self.convolution_1, self.leaky = nn.Conv2d(3, 6, 3, stride=2), nn.LeakyReLU(0.1)
        self.depthwise, self.relu_1 = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU6()
        self.convolution_2, self.relu_2 = nn.Conv2d(6, 4, 1), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.dense_1, self.relu_3, self.dense_2 = nn.Linear(60, 5), nn.ReLU(), nn.Linear(5, 3)

    def forward(self, x):
        x = self.leaky(self.convolution_1(x))
        x = torch.cat([self.relu_1(self.depthwise(x)), self.relu_2(self.convolution_2(x))], dim=1)
        x = torch.flatten(self.pool(nn.functional.pad(x, (1, 1, 1, 1))), 1)
        return self.dense_2(self.relu_3(self.dense_1(x)))


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense_1, self.relu_1 = nn.Linear(6, 8), nn.ReLU()
        self.dense_2, self.relu_2 = nn.Linear(8, 5), nn.ReLU()
        self.dense_3 = nn.Linear(5, 3)

    def forward(self, x):
        return self.dense_3(self.relu_2(self.dense_2(self.relu_1(self.dense_1(x)))))


def torch_model(name: str, join: nn.Module | None = None) -> nn.Module:
    """The network in float64, without softmax. join: the module that adds the branches of `residual`."""
    model = (
        Residual(join or Join()) if name == "residual" else {"pooled": Pooled, "mixed": Mixed, "table": Table}[name]()
    )
    flattened = {"residual": "dense", "mixed": "dense_1"}.get(name)
    for layer, arrays in weights(name).items():
        names = ("weight", "bias", "running_mean", "running_var")
        if len(arrays) == 2:
            kernel, bias = arrays
            if layer == flattened:  # Keras flattens channels last, PyTorch channels first
                kernel = kernel.reshape(*model.shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            first, second = (-2, -1) if layer == "depthwise" else (-1, -2)
            arrays = [np.moveaxis(kernel, (first, second), (0, 1)), bias]
        for key, array in zip(names, arrays):
            getattr(getattr(model, layer), key).data = torch.tensor(array.copy())
    return model.double().eval()


def inputs(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The images as PyTorch takes them, in float64, and the targets."""
    array = images(name)
    array = np.moveaxis(array, -1, 1) if array.ndim == 4 else array
    return torch.tensor(array).double(), torch.tensor(TARGETS[name])


@torch.no_grad()
def fold_batch_normalization(model: nn.Module) -> None:
    """Fold each normalization_i into convolution_i, after which it is the identity."""
    for name, norm in model.named_children():
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        convolution = model.get_submodule(name.replace("normalization", "convolution"))
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        convolution.bias.copy_((convolution.bias - norm.running_mean) * scale + norm.bias)
        convolution.weight.mul_(scale[:, None, None, None])
        norm.reset_running_stats()
        norm.reset_parameters()
        norm.eps = 0.0
