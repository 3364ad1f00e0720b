"""A stand-in for torchvision, from which zennit and grad-cam import a few names that are not used here."""

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import MagicMock


@contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """Where torchvision is not installed, modules of its name, while peers are imported."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision"):
        yield
        return
    import torch

    names = ("torchvision", "torchvision.models", "torchvision.models.resnet", "torchvision.transforms")
    modules = {name: types.ModuleType(name) for name in names}
    block = type("Unused", (torch.nn.Module,), {})
    modules["torchvision.models.resnet"].Bottleneck = modules["torchvision.models.resnet"].BasicBlock = block
    for name in ("Compose", "Normalize", "ToTensor"):
        setattr(modules["torchvision.transforms"], name, MagicMock())
    modules["torchvision.transforms.functional"] = MagicMock()
    modules["torchvision.ops"] = modules["torchvision"].ops = MagicMock()
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)
