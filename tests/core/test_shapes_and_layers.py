"""Layers as objects, inputs of several shapes and streams in the place of inputs."""

import keras
import numpy as np
import pytest
from helpers import randomised
from keras import layers

import keras_actmaps as kam
from keras_actmaps.callbacks.image_source import image_source
from keras_actmaps.callbacks.snapshot import make_snapshot_request
from keras_actmaps.features.top_images import top_images


def block(name):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(inputs), name=name)


def two_blocks():
    """Two nested models whose layers have one name."""
    inputs = keras.Input((8, 8, 3))
    first, second = block("first"), block("second")
    x = layers.GlobalAveragePooling2D()(second(first(inputs)))
    return randomised(keras.Model(inputs, layers.Dense(3)(x))), first, second


def pictures(*shape):
    return np.random.default_rng(0).random(shape, "float32")


def test_a_layer_object_is_that_very_layer():
    model, first, second = two_blocks()
    images = pictures(2, 8, 8, 3)
    for nested in (first, second):
        by_object = kam.explain(model, images, targets=1, layer=nested.get_layer("conv"))
        by_path = kam.explain(model, images, targets=1, layer=f"{nested.name}/conv")
        assert by_object.layer == f"{nested.name}/conv"
        assert by_object.maps.tobytes() == by_path.maps.tobytes()
    with pytest.raises(ValueError, match="'conv' is not one of the layers of"):
        kam.explain(model, images, layer=layers.Conv2D(3, 3, name="conv"))


def flexible(*space):
    inputs = keras.Input((*(space or (None, None)), 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return randomised(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))


def test_images_of_several_sizes_are_explained_by_size_in_a_stream():
    model = flexible()
    images = [pictures(6, 7, 3), pictures(6, 7, 3) / 2, pictures(9, 5, 3), pictures(6, 7, 3) / 3]
    with pytest.raises(ValueError, match=r"2 shapes, such as \(6, 7, 3\) and \(9, 5, 3\).*kam.explain_dataset"):
        kam.explain(model, images, "gradient_x_input")
    found = list(kam.explain_dataset(model, iter(images), "gradient_x_input", targets=1))
    assert [len(e) for e in found] == [2, 1, 1]
    maps = [one for e in found for one in e.maps]
    for image, streamed in zip(images, maps):
        alone = kam.explain(model, image[None], "gradient_x_input", targets=1).maps[0]
        np.testing.assert_allclose(streamed, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 7, 3), (2, 6, 7, 3)])
def test_a_list_of_images_in_a_stream_is_not_read_as_an_image_and_its_label(shape):
    images = [pictures(*shape), pictures(*shape)]
    with pytest.raises(ValueError, match=r"has labels of shape .*6, 7, 3\), which is that of its inputs.*stack"):
        list(kam.explain_dataset(flexible(), [images], "saliency"))
    (found,) = kam.explain_dataset(flexible(), [np.stack(images).reshape(-1, 6, 7, 3)], "saliency")  # the advice
    assert len(found) == np.prod((2, *shape)) // 126


def test_a_list_of_rows_in_a_stream_is_not_read_as_a_row_and_its_label():
    model = randomised(keras.Sequential([keras.Input((4,)), layers.Dense(3)]))
    row, one_hot = np.float32([1, 2, 3, 4]), np.float32([0, 1, 0])
    with pytest.raises(ValueError, match=r"has labels of shape \(1, 4\), which is that of its inputs"):
        list(kam.explain_dataset(model, [[row, row]], "saliency"))
    (found,) = kam.explain_dataset(model, [(row, one_hot)], "saliency", targets="labels")
    assert found.targets.tolist() == [1]
    square = randomised(keras.Sequential([keras.Input((3,)), layers.Dense(3)]))  # as many classes as features
    (found,) = kam.explain_dataset(square, [(row[:3], one_hot)], "saliency", targets="labels")
    assert found.targets.tolist() == [1]


def test_a_stream_is_told_explain_dataset():
    with pytest.raises(ValueError, match=r"of type generator are a stream of batches.*kam\.explain_dataset"):
        kam.explain(flexible(), (pictures(1, 6, 7, 3) for _ in range(2)), "saliency")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with pytest.raises(ValueError, match=r"kam\.explain_dataset"):
            kam.explain(flexible(), tf.data.Dataset.from_tensor_slices(pictures(2, 6, 7, 3)).batch(2), "saliency")


@pytest.mark.parametrize("is_dict", [True, False])
def test_the_default_layer_is_on_the_way_to_the_explained_output(is_dict):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="shared")(inputs)
    heads = {}
    for name in ("age", "kind"):
        y = layers.Conv2D(3, 3, activation="relu", name=f"{name}_conv")(x)
        heads[name] = layers.Dense(2, name=name)(layers.GlobalAveragePooling2D()(y))
    model = randomised(keras.Model(inputs, heads if is_dict else list(heads.values())))
    images = pictures(2, 8, 8, 3)
    for position, name in enumerate(heads):
        one = kam.targets.Output(name if is_dict else position, 1)
        alone = keras.Model(inputs, heads[name])
        for target, same in ((one, 1), (kam.targets.Negative(one), kam.targets.Negative(1))):
            e = kam.explain(model, images, "gradcam", targets=target)
            assert e.layer == f"{name}_conv"
            expected = kam.explain(alone, images, "gradcam", targets=same).maps
            np.testing.assert_allclose(e.maps, expected, rtol=1e-4, atol=1e-6)
        (streamed,) = kam.explain_dataset(model, [images], "gradcam", targets=one)
        assert streamed.layer == f"{name}_conv"
    both = kam.targets.Difference(*(kam.targets.Output(name if is_dict else k, 0) for k, name in enumerate(heads)))
    assert kam.explain(model, images, "gradcam", targets=both).layer == kam.Probe(model).layer
    assert kam.explain(model, images, "gradcam", targets=one, layer="shared").layer == "shared"


READERS = {
    "compare": lambda model, stream: kam.compare(model, stream, ["saliency"], ["entropy"]),
    "exemplars": lambda model, stream: kam.exemplars(model, stream, k=1),
    "top images": lambda model, stream: top_images(model, stream, [0]),
    "callback": lambda model, stream: make_snapshot_request(
        image_source(iter(stream)), "saliency", None, None, 2, None, {}
    ).compute(model, 1),
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_a_stream_refuses_images_as_labels(reader):
    images = [pictures(2, 6, 7, 3), pictures(2, 6, 7, 3)]
    with pytest.raises(ValueError, match=r"has labels of shape \(2, 6, 7, 3\), which is that of its inputs"):
        READERS[reader](flexible(6, 7), [images])
    READERS[reader](flexible(6, 7), [np.concatenate(images)])  # the advice
