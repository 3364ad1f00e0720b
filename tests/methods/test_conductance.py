"""Layer conductance by its completeness, by a closed form, and against captum."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network, randomised
from keras import layers

import keras_actmaps as kam


@pytest.mark.parametrize("layer", ["conv1", "pool1", "features"])
def test_units_sum_to_the_rise_of_the_score(layer, images):
    model = gap_network(images.shape[1:])
    e = kam.explain(kam.Probe(model, layer=layer), images, "conductance", 2, steps=200, baseline=0.2, channels="keep")
    rises = (array(model(images)) - array(model(0 * images + 0.2)))[:, 2]
    np.testing.assert_allclose(e.maps.sum((1, 2, 3)), rises, atol=0.005 * np.abs(rises).max())
    np.testing.assert_allclose(e.residual, e.maps.sum((1, 2, 3)) - rises, atol=1e-4)


def test_units_of_a_product_by_hand():
    """p^2 q of the features p = (2 a)^2 and q = (3 b)^2: dp/dt dY/dp integrates to twice dq/dt dY/dq."""
    inputs = keras.Input((1, 2))
    x = layers.Conv1D(2, 1, use_bias=False, name="scale")(inputs)
    x = layers.Activation(lambda v: v**2, name="squares")(x)
    p, q = x[:, 0, :1], x[:, 0, 1:]
    model = keras.Model(inputs, layers.Multiply()([layers.Multiply()([p, p]), q]))
    model.get_layer("scale").set_weights([np.array([[[2.0, 0], [0, 3]]])])
    row = np.array([[[1, 1]]], "float32")
    e = kam.explain(model, row, "conductance", 0, layer="squares", steps=400, channels="keep")
    np.testing.assert_allclose(e.maps, [[[96, 48]]], rtol=1e-3)  # of 4^2 * 9


def test_it_is_captums_on_the_same_weights(images):
    torch, captum = pytest.importorskip("torch"), pytest.importorskip("captum.attr")
    model = randomised(gap_network(images.shape[1:], activation=None))
    body = torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
        *(torch.nn.Conv2d(6, 8, 3, padding=1), torch.nn.ReLU()),
        *(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4)),
    )
    weights = [np.moveaxis(part, (-1, -2), (0, 1)) if part.ndim > 1 else part for part in model.get_weights()]
    body.load_state_dict({name: torch.tensor(part.copy()) for name, part in zip(body.state_dict(), weights)})
    x = torch.tensor(np.moveaxis(images, -1, 1).copy())
    attribution = captum.LayerConductance(body, body[2])
    expected = attribution.attribute(x, target=1, n_steps=1000, method="riemann_trapezoid", internal_batch_size=500)
    found = kam.explain(model, images, "conductance", 1, layer="pool1", steps=300, channels="keep").maps
    largest = float(expected.abs().max())
    np.testing.assert_allclose(found, np.moveaxis(expected.detach().numpy(), 1, -1), atol=0.01 * largest)


def test_no_steps_are_an_error(images):
    with pytest.raises(ValueError, match=r"^steps must be an integer >= 1 and <= 1,000,000, got 0$"):
        kam.explain(gap_network(images.shape[1:]), images, "conductance", steps=0)
