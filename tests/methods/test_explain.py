"""explain() and explain_dataset(): shapes, targets and scores, streams of every type, one image or many."""

import keras
import numpy as np
import pytest
from helpers import array, gap_network
from keras import layers

import keras_actmaps as kam


def test_saliency_is_the_gradient_by_finite_differences(images):
    model = gap_network(activation="softmax")
    linear = keras.models.clone_model(model)
    linear.set_weights(model.get_weights())
    linear.get_layer("logits").activation = keras.activations.linear
    signed = kam.explain(model, images[:1], "saliency", targets=2, channels="keep").maps[0]
    for place in [(0, 0, 0), (5, 7, 2), (11, 15, 1)]:
        step = np.zeros_like(images[:1])
        step[(0, *place)] = 1e-2
        up, down = (array(linear(images[:1] + sign * step))[0, 2] for sign in (1, -1))
        np.testing.assert_allclose(signed[place], (up - down) / 2e-2, rtol=2e-2, atol=1e-4)


def test_a_map_does_not_depend_on_the_other_images(images):
    model = gap_network()
    together = kam.explain(model, images, "gradcam", batch_size=3)
    for place, image in enumerate(images):
        alone = kam.explain(model, image[None], "gradcam")
        np.testing.assert_allclose(together.maps[place], alone.maps[0], rtol=1e-4, atol=1e-6)
        assert together.targets[place] == alone.targets[0]


def test_targets_and_scores_are_the_predictions_of_the_model(images):
    model = gap_network()
    logits = model.predict(images, verbose=0)
    e = kam.explain(model, images)
    np.testing.assert_array_equal(e.targets, logits.argmax(1))
    np.testing.assert_allclose(e.scores, logits.max(1), rtol=1e-5)
    assert (e.maps.dtype, e.targets.dtype, e.scores.dtype) == (np.float32, np.int64, np.float32)
    everything = kam.explain(model, images, "saliency", targets="all")
    np.testing.assert_allclose(everything.scores, logits, rtol=1e-5)
    assert everything.maps.shape == (5, 4, 12, 16)


@pytest.mark.parametrize(
    "shape, layer",
    [((20, 2), layers.Conv1D(3, 3)), ((6, 8, 10, 2), layers.Conv3D(3, 3)), ((9,), layers.Dense(4, "relu"))],
)
def test_sequences_volumes_and_tables(shape, layer):
    model = keras.Sequential([keras.Input(shape), layer, layers.Flatten(), layers.Dense(3)])
    images = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    space = shape[:-1] or shape
    assert kam.explain(model, images, "saliency").maps.shape == (4, *space)
    if len(shape) > 1:
        maps = kam.explain(model, images, "gradcam").maps
        assert maps.shape == (4, *space)
        assert maps.max() > 0


LABELS = np.array([0, 1, 2, 3, 0])


class Sequence(keras.utils.PyDataset):
    """Two images and labels at a time."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return self.images[2 * number :][:2], LABELS[2 * number :][:2]


def tf_data(images):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, LABELS))


def loader(images):
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.from_numpy(LABELS))
    return torch.utils.data.DataLoader(pairs, batch_size=2)


STREAMS = {
    "tf.data, batches with labels": lambda images: tf_data(images).batch(2),
    "tf.data, single images": tf_data,
    "tf.data, images only": lambda images: tf_data(images).map(lambda image, label: image).batch(2),
    "arrays": lambda images: [images[:2], images[2:]],
    "a PyDataset with labels": Sequence,
    "a DataLoader with labels": loader,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_of_every_type_give_the_same_maps(images, kind):
    model, stream = gap_network(), STREAMS[kind](images)
    found = list(kam.explain_dataset(model, stream, batch_size=2))
    np.testing.assert_allclose(
        np.concatenate([e.maps for e in found]), kam.explain(model, images).maps, rtol=1e-4, atol=1e-6
    )
    if "with labels" in kind:
        own = np.concatenate([e.targets for e in kam.explain_dataset(model, stream, targets="labels")])
        np.testing.assert_array_equal(own, LABELS)


def test_empty_streams_and_missing_labels_are_errors(images):
    with pytest.raises(ValueError, match="the dataset has no inputs"):
        list(kam.explain_dataset(gap_network(), []))
    with pytest.raises(ValueError, match="targets='labels', but the dataset has inputs only"):
        list(kam.explain_dataset(gap_network(), [images], targets="labels"))


def test_integer_images_are_not_rescaled(images):
    pixels = (images * 255).astype("uint8")
    model = gap_network()
    as_floats = kam.explain(model, pixels.astype("float32"))
    np.testing.assert_array_equal(kam.explain(model, pixels).maps, as_floats.maps)


def test_a_probe_has_a_layer(images):
    probe = kam.Probe(gap_network(), "conv1")
    assert kam.explain(probe, images).layer == "conv1"
    assert kam.explain(probe, images, "saliency").layer is None
    with pytest.raises(ValueError, match="layer='features', but the Probe was made for layer='conv1'; make another"):
        kam.explain(probe, images, layer="features")
