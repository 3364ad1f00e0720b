"""PyTorch modules as Keras models: the same outputs, current weights, and an unchanged module."""

import gc
import weakref

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch modules need KERAS_BACKEND=torch", allow_module_level=True)

import torch
from helpers import array
from helpers.torch_networks import (
    CLASSIFIERS,
    IMAGES,
    Branching,
    ResNet,
    Segmenter,
    ShuffleNet,
    Transformer,
    assert_close,
    converted,
    expected_outputs,
    randomised,
)
from torch import nn

import keras_actmaps as kam


@pytest.mark.parametrize("network", CLASSIFIERS)
@pytest.mark.filterwarnings("error::UserWarning")
def test_outputs_are_those_of_the_module_at_inference(network):
    module = randomised(network())
    model, found = converted(module)
    assert module.training and len(model.operations) > 3
    assert_close(found, expected_outputs(module, IMAGES))


def sequence_network():
    convolution = nn.Sequential(nn.Conv1d(2, 4, 3, 2, 1), nn.BatchNorm1d(4), nn.ReLU())
    return nn.Sequential(convolution, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))


def volume_network():
    convolution = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU())
    return nn.Sequential(convolution, nn.MaxPool3d(2), nn.Flatten(), nn.Linear(4 * 2 * 3 * 2, 3))


def table_network():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.PReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "make, shape", [(sequence_network, (2, 15)), (volume_network, (1, 5, 6, 4)), (table_network, (6,))]
)
def test_sequences_volumes_and_tables(make, shape):
    module = randomised(make())
    images = np.random.default_rng(1).random((3, *shape), "float32")
    assert_close(converted(module, images)[1], expected_outputs(module, images))
    e = kam.explain(module, images, "integrated_gradients", targets=1, steps=256)
    assert e.maps.shape == (3, *(shape[1:] or shape))
    assert np.abs(e.residual).max() < 1e-2 * np.abs(e.scores).max()


ACTIVATIONS = [
    *(nn.ReLU6(), nn.LeakyReLU(0.1), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.ELU(0.5), nn.Sigmoid(), nn.Tanh()),
    *(nn.Hardswish(), nn.Hardsigmoid(), nn.Softplus(), nn.Mish(), nn.Hardtanh(-0.5, 0.2), nn.PReLU(4)),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_deeplift_and_lrp_have_rules_for_activations(activation):
    """DeepLIFT of a single activation sums to the difference of the scores."""
    module = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), activation, nn.Flatten(), nn.Linear(4 * 18 * 26, 3)))
    e = kam.explain(module, IMAGES, "deeplift", targets=1)
    assert np.abs(e.residual).max() < 1e-4 * np.abs(e.scores).max()
    assert np.isfinite(kam.explain(module, IMAGES, "lrp", targets=1).maps).all()


def test_target_functions_get_outputs_in_the_layout_of_the_module():
    module = randomised(Segmenter())
    _, found = converted(module)
    expected = expected_outputs(module, IMAGES)
    assert_close(np.moveaxis(array(found["out"]), -1, 1), expected["out"])
    e = kam.explain(module, IMAGES, "saliency", targets=lambda y: y["out"][:, 3, 7, 11])
    np.testing.assert_allclose(e.scores, expected["out"][:, 3, 7, 11], rtol=1e-4)
    rows, columns = np.nonzero(e.maps.any(axis=0))
    assert set(rows) == set(range(5, 10)) and set(columns) == set(range(9, 14))  # the receptive field


def state_of(module):
    """All that a caller could observe: tensors, modes, attributes, hooks, gradients and the random state."""
    tensors = {name: tensor.detach().numpy().tobytes() for name, tensor in module.state_dict().items()}
    flags = [(part.training, sorted(vars(part)), len(part._forward_hooks)) for part in module.modules()]
    return tensors, flags, [(p.requires_grad, p.grad) for p in module.parameters()], torch.get_rng_state().tolist()


@pytest.mark.parametrize("network", (ResNet, ShuffleNet, Branching))
@pytest.mark.filterwarnings("ignore:Branching is explained as a single operation")
def test_the_module_is_not_changed(network):
    module = randomised(network())
    module.conv.eval() if hasattr(module, "conv") else module.layer1.eval()
    hook_calls = []
    module.head.register_forward_hook(lambda *_: hook_calls.append(1)) if hasattr(module, "head") else None
    before = state_of(module)
    for method in ("saliency", "occlusion", *(() if network is Branching else ("gradcam", "lrp"))):
        kam.explain(module, IMAGES, method)
    assert state_of(module) == before and not hook_calls


@pytest.mark.parametrize("network", (ResNet, ShuffleNet, Transformer, Branching))
@pytest.mark.filterwarnings("ignore:Branching is explained as a single operation")
def test_maps_follow_changes_of_the_weights(network):
    module = randomised(network())
    kam.explain(module, IMAGES, "saliency")
    module.load_state_dict(randomised(network(), seed=1).state_dict())
    torch.optim.SGD(module.parameters(), lr=0.5).step()
    for tensor in module.parameters():
        tensor.data = tensor.data * 1.1
    for change in (module, module.double()):
        e = kam.explain(change, IMAGES, "saliency", targets=2)
        np.testing.assert_allclose(e.scores, expected_outputs(module.float(), IMAGES)[:, 2], rtol=1e-4, atol=1e-6)
    (module.fc if network is ResNet else module.head).bias.data += 7
    again = kam.explain(module, IMAGES, "saliency", targets=2).scores
    np.testing.assert_allclose(again, e.scores + 7, rtol=1e-5)


@pytest.mark.parametrize("network", (ResNet, Transformer, Branching))
@pytest.mark.filterwarnings("ignore:Branching is explained as a single operation")
def test_the_cache_keeps_no_module_alive(network):
    module = randomised(network())
    kam.explain(module, IMAGES, "saliency")
    reference = weakref.ref(module)
    del module
    gc.collect()
    assert reference() is None


class InPlace(nn.Module):
    """Overwrites tensors that are read again afterwards."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(x)
        y = 2 * self.relu(x)
        z = x.mul_(-1.5)
        torch.nn.functional.relu(z + 2, inplace=True)
        return self.head((x + y).mean((2, 3)))


@pytest.mark.filterwarnings("error::UserWarning")
def test_in_place_operations_are_converted_correctly():
    module = randomised(InPlace())
    assert_close(converted(module)[1], expected_outputs(module, IMAGES))


class Recurrent(nn.Module):
    """A recurrent layer of PyTorch, which has its activation inside."""

    def __init__(self, nonlinearity):
        super().__init__()
        self.rnn = nn.RNN(5, 4, nonlinearity=nonlinearity, batch_first=True)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.relu(self.rnn(x)[0][:, -1]))


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_a_relu_inside_a_module_of_pytorch_is_refused_by_guided_rules(method):
    x = np.random.default_rng(0).random((2, 7, 5), "float32")
    with pytest.raises(ValueError, match=f"{method} replaces the gradient of every ReLU, but layer 'rnn'"):
        kam.explain(Recurrent("relu"), x, method)
    assert np.isfinite(kam.explain(Recurrent("tanh"), x, method).maps).all()
