"""Exemplars against a full sort of all activations, in networks of integer weights, where ties are exact and many."""

import keras
import numpy as np
import pytest
from helpers import gap_network, traced
from keras import layers

import keras_actmaps as kam
from keras_actmaps.features.exemplars import fetch_images
from keras_actmaps.features.topk import Exemplars

COUNT = 23


def with_integer_weights(model, seed=0):
    """The model with kernels and biases of small integers, whose sums are exact in any order."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(random.integers(-2, 3, variable.shape))
    return model


def network(shape=(6, 8, 2)):
    inputs = keras.Input(shape)
    convolution = {4: layers.Conv3D, 3: layers.Conv2D, 2: layers.Conv1D}[len(shape)]
    x = convolution(5, 3, activation="relu", name="conv1")(inputs)
    x = convolution(7, 2, name="conv2")(x)
    return with_integer_weights(keras.Model(inputs, layers.Dense(4, "softmax", name="classes")(layers.Flatten()(x))))


def pictures(shape=(6, 8, 2), count=COUNT):
    """Images of which some are equal, and the last is the brightest."""
    images = np.random.default_rng(1).integers(0, 2, (count, *shape)).astype("float32")
    images[5], images[11] = images[2], images[2]
    images[-1] *= 3
    return images


def features(model, name, images):
    return keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0).astype("float64")


def sorted_fully(values, k):
    """values (N, channels) -> the k highest and their positions, of equal ones the first: (channels, k) each."""
    numbers = np.arange(len(values))
    order = np.array([np.lexsort((numbers, -column))[:k] for column in values.T])
    return np.take_along_axis(values.T, order, axis=1), order


@pytest.mark.parametrize("reduce", ["max", "mean"])
@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("batch_size", [1, 4, 9, 64])
def test_exemplars_are_those_of_a_full_sort_for_any_batch_size(reduce, layer, batch_size):
    model, images = network(), pictures()
    found = kam.exemplars(model, images, layer, k=6, reduce=reduce, batch_size=batch_size)
    values = getattr(np, reduce)(features(model, layer, images), axis=(1, 2))
    scores, order = sorted_fully(values, 6)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-6)
    np.testing.assert_allclose(found.lowest, values.min(axis=0), rtol=1e-6)
    assert (found.layer, found.reduce, found.channels.tolist()) == (layer, reduce, list(range(values.shape[1])))


def test_the_data_above_have_ties():
    values = features(network(), "conv1", pictures()).max((1, 2))
    scores, order = sorted_fully(values, 6)
    assert (scores[:, 1:] == scores[:, :-1]).any() and (order == COUNT - 1).any()


def labelled(images):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, np.arange(COUNT)))


STREAMS = {
    "batches": lambda images: [images[:10], images[10:20], images[20:]],
    "ragged batches": lambda images: (images[a:b] for a, b in [(0, 3), (3, 20), (20, 21), (21, COUNT)]),
    "single images": iter,
    "tf.data": lambda images: labelled(images).map(lambda image, label: image),
    "labelled tf.data": lambda images: labelled(images).batch(8),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_every_kind_of_stream_gives_the_same_result(kind):
    model, images = network(), pictures()
    found, expected = (kam.exemplars(model, stream, "conv2", k=3) for stream in (STREAMS[kind](images), images))
    for name in ("scores", "indices", "places", "lowest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("shape", [(6, 8, 2), (9, 2), (5, 4, 6, 2)])
def test_places_are_the_positions_of_the_maximum(shape):
    model, images = network(shape), pictures(shape)
    found = kam.exemplars(model, images, "conv2", k=4, batch_size=7)
    values = features(model, "conv2", images)
    for row, channel in enumerate(found.channels):
        for score, index, place in zip(found.scores[row], found.indices[row], found.places[row]):
            assert values[(index, *place, channel)] == score == values[index, ..., channel].max()


def test_a_mean_and_a_unit_without_space_have_no_places():
    model, images = network(), pictures()
    assert kam.exemplars(model, images, "conv2", reduce="mean").places is None
    assert kam.exemplars(model, images, "classes").places is None


def test_units_of_a_dense_layer_are_ranked_by_their_logits():
    model, images = network(), pictures()
    kernel, bias = model.get_layer("classes").get_weights()
    logits = features(model, "conv2", images).reshape(COUNT, -1) @ kernel + bias
    for reduce in ("max", "mean"):
        found = kam.exemplars(model, images, "classes", k=5, reduce=reduce)
        scores, order = sorted_fully(logits, 5)
        np.testing.assert_array_equal(found.indices, order)
        np.testing.assert_array_equal(found.scores, scores)


def test_the_result_for_some_channels_is_rows_of_that_for_all():
    model, images = network(), pictures()
    everything, some = (kam.exemplars(model, images, "conv2", channels, k=3) for channels in (None, [4, 0]))
    one = kam.exemplars(model, images, "conv2", 4, k=3)
    for name in ("scores", "indices", "channels", "lowest", "places"):
        np.testing.assert_array_equal(getattr(some, name), getattr(everything, name)[[4, 0]])
        np.testing.assert_array_equal(getattr(one, name), getattr(everything.rows([4]), name))
    assert len(some) == 2 and len(one) == 1


def test_fewer_images_than_k_are_all_returned_with_a_warning():
    model, images = network(), pictures(count=12)
    with pytest.warns(UserWarning, match="^k=20, but the dataset has only 12 images; all are returned$"):
        found = kam.exemplars(model, images, "conv2", k=20, batch_size=5)
    assert found.scores.shape == found.indices.shape == found.places.shape[:2] == (7, 12)
    np.testing.assert_array_equal(found.indices, sorted_fully(features(model, "conv2", images).max((1, 2)), 12)[1])


def test_a_layer_of_a_nested_model_by_its_path_and_the_default_layer():
    inner = keras.Sequential([keras.Input((6, 8, 2)), layers.Conv2D(3, 2, name="deep")], name="inner")
    inputs = keras.Input((6, 8, 2))
    model = with_integer_weights(keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling2D()(inner(inputs)))))
    values = inner.predict(pictures(), verbose=0).max((1, 2))
    for layer in ("inner/deep", "deep", None):
        found = kam.exemplars(model, pictures(), layer, k=2)
        assert found.layer == "inner/deep"
        np.testing.assert_array_equal(found.indices, sorted_fully(values, 2)[1])
    assert kam.exemplars(kam.Probe(network(), "conv1"), pictures()).layer == "conv1"
    assert kam.exemplars(network(), pictures(), 2).layer == "conv2"
    with pytest.raises(ValueError, match="exemplars takes one layer and cannot fuse conv1, conv2"):
        kam.exemplars(kam.Probe(network(), ["conv1", "conv2"]), pictures())


def test_later_weights_are_used():
    model, images = network(), pictures()
    kam.exemplars(model, images, "conv2")
    with_integer_weights(model, seed=5)
    scores, order = sorted_fully(features(model, "conv2", images).max((1, 2)), 9)
    found = kam.exemplars(model, images, "conv2")
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_array_equal(found.scores, scores)


@traced
def test_compiled_once_for_a_ragged_stream_and_the_next():
    probe, images = kam.Probe(network()), pictures()
    for _ in range(2):
        kam.exemplars(probe, [images[:8], images[8:16], images[16:]], k=2)
    assert probe.traces == 1


def test_one_probe_serves_several_layers_and_reductions():
    probe, model, images = kam.Probe(network()), network(), pictures()
    for layer, reduce in (("conv1", "max"), ("conv1", "mean"), ("conv2", "max")):
        values = getattr(np, reduce)(features(model, layer, images), axis=(1, 2))
        found = kam.exemplars(probe, images, layer, reduce=reduce)
        np.testing.assert_allclose(found.scores, sorted_fully(values, 9)[0], rtol=1e-6)


def test_every_image_is_reported_once():
    reports = []
    kam.exemplars(network(), pictures(), batch_size=5, report=lambda done, total: reports.append((done, total)))
    assert sum(done for done, _ in reports) == COUNT and set(reports) == {(5, None), (3, None)}


def test_dead_channels_and_images_that_do_not_excite_a_channel():
    """Channels: the mean of the image, 0, always 3, and the image's excess over 2.5."""
    images = np.array([0, 1, 2, 3], "float32").reshape(4, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(4, (2, 1), activation="relu")])
    model.set_weights([np.array([[0.5, 0, 0, 0.5]] * 2).reshape(2, 1, 1, 4), np.array([0, -1, 3, -2.5])])
    found = kam.exemplars(model, images, k=4)
    np.testing.assert_array_equal(found.scores, [[3, 2, 1, 0], [0] * 4, [3] * 4, [0.5, 0, 0, 0]])
    np.testing.assert_array_equal(found.dead, [False, True, False, False])
    np.testing.assert_array_equal(found.silent, [[False] * 3 + [True], [True] * 4, [False] * 4, [False] + [True] * 3])


def test_fetched_images_and_labels_are_those_at_the_indices():
    images, labels = pictures(), np.arange(COUNT) * 10
    indices = np.array([[3, 20], [20, 0]])
    for dataset in ([(images[:9], labels[:9]), (images[9:], labels[9:])], list(zip(images, labels))):
        found, found_labels = fetch_images(network(), dataset, indices)
        np.testing.assert_array_equal(found, images[indices])
        np.testing.assert_array_equal(found_labels, labels[indices])
    assert fetch_images(network(), images, indices)[1] is None


def test_the_data_set_is_read_up_to_the_last_index_only():
    read = []
    stream = (read.append(number) or image for number, image in enumerate(pictures()))
    fetch_images(network(), stream, np.array([4, 1]), batch_size=3)
    assert len(read) == 6


def test_fetching_from_an_exhausted_stream_is_an_error():
    with pytest.raises(ValueError, match="has 0 images when it is read again, and image 7 is needed"):
        fetch_images(network(), iter([]), np.array([7, 2]))


def unread():
    raise AssertionError("the stream was read")
    yield


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layer": "conv9"}, "no layer 'conv9' in 'functional.*'; choices: conv1, conv2, .*classes"),
        ({"layer": 9}, "no layer 9 in 'functional.*'; it has 5 layers"),
        ({"channels": [0, 7]}, "channel 7 does not exist; layer 'conv2' has channels 0 to 6"),
        ({"channels": -1}, "channel -1 does not exist; layer 'conv2' has channels 0 to 6"),
        ({"channels": 0.5}, "channels must be an integer, a list of integers or None, got 0.5"),
        ({"k": 0}, "k must be an integer >= 1 and <= 1,000,000, got 0"),
        ({"reduce": "sum"}, "reduce must be 'max' or 'mean', got 'sum'"),
    ],
)
def test_bad_settings_are_errors_before_any_work(settings, message):
    with pytest.raises(ValueError, match=message):
        kam.exemplars(network(), unread(), **{"layer": "conv2", **settings})


def test_a_layer_without_channels_is_an_error():
    inputs = keras.Input((6, 8, 2))
    model = keras.Model(inputs, layers.Lambda(lambda x: keras.ops.sum(x, axis=(1, 2, 3)), name="total")(inputs))
    with pytest.raises(ValueError, match=r"layer 'total' of 'functional.*' has no channels; its outputs are \(None,\)"):
        kam.exemplars(model, unread(), "total")


def test_bad_data_is_an_error():
    with pytest.raises(ValueError, match="the dataset has no images"):
        kam.exemplars(network(), [])
    with pytest.raises(ValueError, match=r"inputs of shape \(4, 6, 8, 3\) do not fit 'functional.*', which takes"):
        kam.exemplars(network(), np.zeros((4, 6, 8, 3)))
    with pytest.raises(ValueError, match=r"batch_size must be an integer >= 1 and .*, got 0"):
        kam.exemplars(network(), [pictures()], batch_size=0)
    model = gap_network((6, 8, 2))
    model.get_layer("features").bias.assign([np.inf] * 8)
    with pytest.raises(
        ValueError, match="layer 'features' of 'gap_network' returns NaN or Inf for image 0 of the data"
    ):
        kam.exemplars(model, pictures())


def test_the_record_cannot_be_changed():
    found = kam.exemplars(network(), pictures())
    assert isinstance(found, Exemplars)
    with pytest.raises(AttributeError):
        found.scores = None
