"""ExplainCallback on a model with several inputs: the maps of the input that is drawn, by the weights of each epoch."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_actmaps as kam


@pytest.mark.parametrize("kind", [list, dict])
def test_the_drawn_input_is_explained_with_all_inputs(tmp_path, kind):
    image, table = keras.Input((8, 6, 3), name="image"), keras.Input((4,), name="table")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, activation="relu")(image))
    x = layers.Multiply()([x, layers.Dense(5)(table)])
    inputs = [table, image] if kind is list else {"table": table, "image": image}
    model = keras.Model(inputs, layers.Dense(2)(x))
    random = np.random.default_rng(0)
    arrays = {"table": random.random((6, 4), "float32"), "image": random.random((6, 8, 6, 3), "float32")}
    passed = list(arrays.values()) if kind is list else arrays
    masks = np.zeros((6, 8, 6), bool)
    masks[:, 2:5] = True
    callback = kam.ExplainCallback(
        passed, "gradient_x_input", masks=masks, output=tmp_path, metrics=["energy_pointing"]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(passed, np.arange(6) % 2, epochs=2, verbose=0, callbacks=[callback]).history
    expected = kam.explain(model, passed, "gradient_x_input").input("image")
    found = kam.Explanation.load(tmp_path / "epoch-002.npz")
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
    energy = kam.metrics.energy_pointing(expected, masks).mean()
    np.testing.assert_allclose(history["gradient_x_input_energy_pointing"][-1], energy, rtol=1e-4)
    assert (tmp_path / "strip.png").stat().st_size


def test_inputs_that_cannot_be_drawn_get_one_line():
    with pytest.raises(ValueError, match="none of the inputs has 1 to 4 axes"):
        kam.ExplainCallback({"a": np.zeros(3), "b": np.zeros((3, 5, 2, 2, 2, 2))}, "saliency")
