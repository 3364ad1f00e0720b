"""ExplainCallback: the weights of the moment, the fit left as it is, pictures, numbers, and what fails."""

import csv
import os
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from helpers import BACKEND, array, enlarged, traced
from keras import layers, ops
from PIL import Image

import keras_actmaps as kam
from keras_actmaps.callbacks import history, worker
from keras_actmaps.callbacks.image_source import by_name
from keras_actmaps.methods import explain

SIDE, CLASSES, BATCH, STEPS = 12, 4, 8, 4
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras' variables
needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow only")


class Traced(layers.Layer):
    """Hands on its input and counts how often it is called by Python in training and not."""

    def __init__(self):
        super().__init__()
        self.counts = {True: 0, False: 0}

    def call(self, inputs, training=False):
        self.counts[bool(training)] += 1
        return inputs


def network(seed=0):
    """All that a fit changes or draws: dropout, noise, batch normalisation, augmentation, an activity penalty."""
    keras.utils.set_random_seed(seed)
    penalty = "l2" if keras.config.dtype_policy().name == "float32" else None  # which Keras takes in one precision only
    return keras.Sequential([
        keras.Input((SIDE, SIDE, 1)),
        layers.GaussianNoise(0.1, seed=1),
        layers.Conv2D(6, 3, padding="same", activity_regularizer=penalty, name="conv"),
        layers.BatchNormalization(),
        layers.ReLU(name="features"),
        Traced(),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, name="logits"),
    ])  # fmt: skip


def compiled(model, **settings):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quick = {"jit_compile": False} if BACKEND == "tensorflow" else {}  # to compile
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], **{**quick, **settings})
    return model


def make_data():
    """Images whose brightest quarter says the class, and masks of that quarter."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, BATCH * STEPS)
    images, masks = rng.random((len(labels), SIDE, SIDE, 1), "float32"), np.zeros((len(labels), SIDE, SIDE), bool)
    for image, mask, label in zip(images, masks, labels):
        top, left = label // 2 * 6, label % 2 * 6
        image[top : top + 6, left : left + 6] += 1
        mask[top : top + 6, left : left + 6] = True
    return images / 2, labels, masks


@pytest.fixture(scope="module")
def data():
    return make_data()


def fit(model, data, *callbacks, epochs=3, **settings):
    keras.utils.set_random_seed(1)
    images, labels, _ = data
    return model.fit(images, labels, BATCH, epochs, callbacks=list(callbacks), verbose=0, **settings)


def quiet(*_):
    pass


@pytest.fixture(autouse=True)
def film(request, monkeypatch):
    """Drawn, which takes a second, only for tests of the strip."""
    if "strip" not in request.node.name:
        monkeypatch.setattr(kam.render, "film", lambda *given: given[3])


def callback(data, folder, method="gradcam", count=5, **settings):
    images, labels, masks = (part[:count] for part in data)
    given = {"output": folder, "labels": labels, "masks": masks, "say": quiet, **settings}
    return kam.ExplainCallback(images, method, **given)


def state(model):
    """Weights, statistics, random state of layers, metrics, and the optimizer's."""
    parts = [*model.variables, *model.optimizer.variables, *(v for m in model.metrics for v in m.variables)]
    return [array(ops.convert_to_tensor(part)) for part in parts]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other))


def maps(folder, number, kind="epoch"):
    return kam.Explanation.load(folder / f"{kind}-{number:0{history.DIGITS[kind]}d}.npz")


class Copies(keras.callbacks.Callback):
    """A copy of the model's weights after each epoch, and after each batch."""

    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


def by_hand(weights, images, targets):
    """Grad-CAM in front of GAP and a linear layer: relu(sum_k w_k A_k) / (h w), enlarged by OpenCV."""
    model = network()
    model.set_weights(weights)
    features = keras.Model(model.inputs, model.get_layer("features").output).predict(images, verbose=0)
    kernel = array(model.get_layer("logits").kernel)[:, targets]
    return enlarged(np.maximum(np.einsum("nhwk,kn->nhw", features, kernel), 0) / SIDE**2, (SIDE, SIDE))


WATCHED = {  # some that ask once, many times, with random numbers
    "gradcam": {"metrics": ["average_drop", "energy_pointing"]},
    "saliency": {"targets": None, "metrics": []},
    "occlusion": {"patch": 6, "stride": 6},
    "smoothgrad": {"samples": 2},
}


@pytest.mark.parametrize(
    "kind, every, settings",
    [
        ("plain", 1, {}),
        ("plain", "3 batches", {}),
        ("xla", 1, {"jit_compile": True}),
        ("eager", "3 batches", {"run_eagerly": True}),
        ("float16", 1, {}),
    ],
)
def test_a_fit_is_the_same_with_and_without(kind, every, settings, data, tmp_path):
    if kind == "xla" and BACKEND == "torch":
        pytest.skip("PyTorch has no XLA")
    if kind == "float16":
        keras.config.set_dtype_policy("mixed_bfloat16" if BACKEND == "torch" else "mixed_float16")
    methods = WATCHED if kind == "plain" else ["gradcam", "smoothgrad"]
    watchers = [callback(data, tmp_path / name, name, every=every, **{"targets": "labels", **WATCHED[name]})
                for name in methods]  # fmt: skip
    found = []
    try:
        for callbacks in ([], watchers):
            model = compiled(network(), **settings)
            history = fit(model, data, *callbacks, epochs=2, validation_data=(data[0][:8], data[1][:8])).history
            kept = {name: values for name, values in history.items() if not name.startswith(tuple(WATCHED))}
            drawn = np.random.get_state()[1].tolist(), random.getstate()
            found.append((state(model), kept, drawn, model.layers[4].counts[True]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert [watcher.turns for watcher in watchers] == [[1, 2] if every == 1 else [3, 6]] * len(watchers)
    assert not any(watcher.failures for watcher in watchers)
    (weights, *without), (others, *with_callback) = found
    assert same(weights, others) and without == with_callback
    assert sum(np.abs(one).sum() for one in weights) > 1


def test_the_maps_are_those_of_the_weights_of_each_moment(data, tmp_path):
    copies = Copies()
    fit(compiled(network()), data, callback(data, tmp_path, targets="labels"), copies)
    for number, weights in enumerate(copies.epochs, 1):
        np.testing.assert_allclose(maps(tmp_path, number).maps, by_hand(weights, data[0][:5], data[1][:5]), atol=1e-6)
    assert np.abs(maps(tmp_path, 1).maps - maps(tmp_path, 3).maps).max() > 1e-3


def test_a_turn_may_come_after_so_many_batches(data, tmp_path):
    copies, told = Copies(), []
    watcher = callback(data, tmp_path, every="6 batches", targets="labels", say=told.append)
    history = fit(compiled(network()), data, watcher, copies).history
    assert watcher.turns == [6, 12] and sorted(path.name for path in tmp_path.glob("batch*")) == [
        "batch-000006.npz", "batch-000006.png", "batch-000012.npz", "batch-000012.png"]  # fmt: skip
    for number in watcher.turns:
        expected = by_hand(copies.batches[number - 1], data[0][:5], data[1][:5])
        np.testing.assert_allclose(maps(tmp_path, number, "batch").maps, expected, atol=1e-6)
    energies = history["gradcam_energy_pointing"]
    assert len(energies) == 2 and np.allclose(energies, [energy(maps(tmp_path, n, "batch"), data) for n in (6, 12)])


def test_batches_are_counted_on_where_a_fit_is_resumed(data, tmp_path):
    model = compiled(network())
    fit(model, data, epochs=1)
    watcher = callback(data, tmp_path, every="5 batches")
    fit(model, data, watcher, initial_epoch=1, epochs=3)
    assert watcher.turns == [5, 10]


@traced
def test_nothing_is_traced_anew_from_epoch_to_epoch(data, tmp_path):
    traces = []  # of the probe, and how often Python has come by a layer
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: traces.append((explain.as_traced(model).traces, *model.layers[4].counts.values()))
    )
    model = compiled(network())
    watchers = [callback(data, tmp_path / name, name, targets="labels") for name in ("gradcam", "occlusion")]
    fit(model, data, *watchers, count, epochs=4)
    assert min(traces[0]) > 0 and len(set(traces)) == 1


def energy(explanation, data):
    """The share of the positive part in the mask, averaged over the images."""
    mask, positive = data[2][: len(explanation)], np.maximum(explanation.maps, 0).astype("float64")
    return np.mean((positive * mask).sum((1, 2)) / positive.sum((1, 2)))


def test_history_csv_logger_and_early_stopping_see_the_energy_on_the_object(data, tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    watcher = callback(data, tmp_path, targets="labels", metrics=("energy_pointing", "sparseness"))
    history = fit(compiled(network()), data, watcher, logger).history
    expected = [energy(maps(tmp_path, number), data) for number in (1, 2, 3)]
    np.testing.assert_allclose(history["gradcam_energy_pointing"], expected, rtol=1e-5)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["gradcam_energy_pointing"]) for row in rows], expected, rtol=1e-5)
    assert all(0 <= float(row["gradcam_sparseness"]) <= 1 for row in rows)
    still = compiled(network())
    still.optimizer.learning_rate = 0.0
    still.layers[2].trainable = False  # whose statistics would change the maps
    stop = keras.callbacks.EarlyStopping("gradcam_energy_pointing", mode="max", patience=2)
    assert len(fit(still, data, callback(data, tmp_path, targets="labels"), stop, epochs=9).epoch) == 3


def test_every_second_epoch_and_the_first(data, tmp_path):
    history = fit(compiled(network()), data, callback(data, tmp_path, every="2 epochs"), epochs=5).history
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "epoch-001.png", "epoch-002.png", "epoch-004.png", "strip.png"]  # fmt: skip
    assert np.isnan(history["gradcam_energy_pointing"]).tolist() == [False, False, True, False, True]


def block(frame, times):
    """A frame as a strip shows it."""
    return np.repeat(np.repeat(frame, times, axis=0), times, axis=1)


def places(picture, part):
    """The columns at which a part is in a picture, pixel by pixel."""
    found = cv2.matchTemplate(picture, part, cv2.TM_SQDIFF_NORMED)
    height, width = part.shape[:2]
    return sorted(
        {x for y, x in np.argwhere(found < 1e-3) if np.array_equal(picture[y : y + height, x : x + width], part)}
    )


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_a_resumed_fit_continues_the_names_and_the_strip(data, tmp_path):
    model = compiled(network())
    fit(model, data, callback(data, tmp_path), epochs=2)
    fit(model, data, callback(data, tmp_path), epochs=4, initial_epoch=2)
    names = ["strip.png", "strip.gif", *(f"epoch-00{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("png", "npz"))]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    strip = read(tmp_path / "strip.png")
    times = 112 // SIDE
    columns = [places(strip, block(kam.render.overlay(maps(tmp_path, n), data[0][:5])[3], times)) for n in (1, 2, 3, 4)]
    assert all(len(found) == 1 for found in columns) and columns == sorted(columns)
    assert len(places(strip, block(kam.render.pixels(data[0][:5])[3], times))) == 1
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 4 and film.info["duration"] == 500


@pytest.mark.parametrize("change", ["images", "method", "layer"])
def test_a_strip_holds_no_turns_of_another_question(change, data, tmp_path):
    model = compiled(network())
    fit(model, data, callback(data, tmp_path), epochs=2)
    changed = {"images": {"count": 4}, "method": {"method": "hirescam"}, "layer": {"layer": "conv"}}[change]
    fit(model, data, callback(data, tmp_path, **changed), epochs=3, initial_epoch=2)
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 1


def test_a_new_fit_leaves_old_turns_out_of_its_strip(data, tmp_path):
    fit(compiled(network()), data, callback(data, tmp_path), epochs=3)
    fit(compiled(network()), data, callback(data, tmp_path), epochs=2)
    with Image.open(tmp_path / "strip.gif") as film:
        assert film.n_frames == 2


def test_a_picture_shows_the_image_the_map_and_the_map_over_the_image(data, tmp_path):
    fit(compiled(network()), data, callback(data, tmp_path), epochs=1)
    picture, explanation, times = read(tmp_path / "epoch-001.png"), maps(tmp_path, 1), 168 // SIDE
    for number in range(5):
        assert places(picture, block(kam.render.pixels(data[0][:5])[number], times))
        assert places(picture, block(kam.render.overlay(explanation, data[0][:5])[number], times))


def titles(watcher, data, model):
    """What stands above the first image's card."""
    turn = watcher.asked.answer(model, 1)
    return turn, watcher.album._titles(turn)[0]


def test_a_title_says_what_is_true_and_predicted_and_what_the_map_is_for(data, tmp_path):
    model, names = compiled(network()), ["one", "two", "three", "four"]
    fit(model, data, epochs=1)
    logits = model.predict(data[0][:5], verbose=0)
    predicted, true = names[logits[0].argmax()], names[data[1][0]]
    _, title = titles(callback(data, tmp_path, classes=names), data, model)
    assert title == (f"true: {true} · predicted: {predicted}", f"map for {predicted}, logit {logits[0].max():.1f}")
    turn, title = titles(callback(data, tmp_path, classes=names, targets=3), data, model)
    assert title == (f"true: {true} · predicted: {predicted}", f"map for four, logit {logits[0, 3]:.1f}")
    np.testing.assert_array_equal(turn.predicted, logits.argmax(1))
    _, title = titles(callback(data, tmp_path, targets=lambda outputs: ops.sum(outputs, axis=-1)), data, model)
    assert title[1] == f"score {logits[0].sum():.3g}"


def test_what_it_took_is_told(data, tmp_path):
    told = []
    watcher = callback(data, tmp_path, say=told.append)
    fit(compiled(network()), data, watcher)
    assert len(watcher.seconds) == 3 and min(watcher.seconds) > 0 and watcher.drawing > 0 and not watcher.failures
    (line,) = told
    assert re.fullmatch(
        r"gradcam: 3 turns of 5 images took [\d.]+ m?s, [\d.]+ m?s the first, which compiles, [\d.]+ m?s any other; "
        rf"drawn meanwhile in [\d.]+ m?s, the strip in [\d.]+ m?s; wrote {tmp_path}/strip.png, {tmp_path}/strip.gif",
        line)  # fmt: skip


@pytest.fixture(scope="module")
def free(data):
    """The state after a fit without callbacks."""
    model = compiled(network())
    fit(model, data)
    return state(model)


def warned(model, data, *watchers):
    """What a fit warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, data, *watchers)
    return [str(one.message) for one in caught if "ExplainCallback" in str(one.message)]


def test_a_failing_explanation_warns_once_and_the_fit_goes_on(data, free, tmp_path):
    told, asked = [], []

    def target(outputs):
        asked.append(1)
        if len(asked) in (1, 3):
            raise RuntimeError("no\nsuch thing")
        return outputs[:, 0]

    watcher = callback(data, tmp_path, "occlusion", targets=target, say=told.append, metrics=())
    model = compiled(network())
    caught = warned(model, data, watcher)
    assert same(free, state(model)) and len(caught) == 1 and "the fit goes on: RuntimeError: no such thing" in caught[0]
    assert len(watcher.failures) + len(watcher.turns) == 3 and len(watcher.turns) >= 1
    assert told[0].endswith(f"{len(watcher.failures)} failed: RuntimeError: no such thing")


def test_a_layer_that_is_not_there_does_not_stop_the_fit(data, free, tmp_path):
    told = []
    watcher = callback(data, tmp_path, layer="nowhere", say=told.append)
    model = compiled(network())
    caught = warned(model, data, watcher)
    assert same(free, state(model)) and len(caught) == 1 and "no spatial layer 'nowhere'" in caught[0]
    assert watcher.turns == [] and len(watcher.failures) == 3 and not list(tmp_path.iterdir())
    assert "3 failed: ValueError: no spatial layer 'nowhere'" in told[0]


def test_a_full_disk_does_not_stop_the_fit_and_leaves_no_torn_file(data, free, tmp_path, monkeypatch):
    write, calls = np.savez_compressed, []

    def full(file, **arrays):
        calls.append(1)
        if len(calls) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        write(file, **arrays)

    monkeypatch.setattr(np, "savez_compressed", full)
    told = []
    watcher = callback(data, tmp_path, say=told.append)
    model = compiled(network())
    caught = warned(model, data, watcher)
    assert same(free, state(model)) and len(caught) == 1 and "No space left on device" in caught[0]
    assert watcher.turns == [1, 3] and "1 failed: OSError: [Errno 28] No space left on device" in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-001.npz", "epoch-001.png", "epoch-003.npz", "epoch-003.png", "strip.png"]  # fmt: skip
    assert len(fit(compiled(network()), data, watcher).history["gradcam_energy_pointing"]) == 3


def test_a_folder_that_cannot_be_made_does_not_stop_the_fit(data, free, tmp_path):
    (tmp_path / "file").touch()
    watcher = callback(data, tmp_path / "file" / "folder")
    model = compiled(network())
    caught = warned(model, data, watcher)
    assert same(free, state(model)) and len(caught) == 1 and "file" in caught[0] and len(watcher.failures) == 3


def test_tensorboard_reads_the_pictures_and_the_histograms(data, tmp_path):
    tf = pytest.importorskip("tensorflow")
    watcher = callback(data, tmp_path / "out", "saliency", tensorboard=tmp_path / "board", channels="sum")
    history = fit(compiled(network()), data, watcher, epochs=2).history
    (path,) = (tmp_path / "board").iterdir()
    assert "tfevents" in path.name
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()  # which checks their sums
    first, *events = [tf.compat.v1.Event.FromString(record) for record in records]
    assert first.file_version == "brain.Event:2" and [event.step for event in events] == [1, 2]
    for number, event in enumerate(events, 1):
        picture, histogram, value = event.summary.value
        explanation = maps(tmp_path / "out", number)
        assert [picture.tag, histogram.tag, value.tag] == [
            "saliency/images",
            "saliency/maps",
            "saliency/energy_pointing",
        ]
        drawn = cv2.imdecode(np.frombuffer(picture.image.encoded_image_string, "uint8"), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(drawn, cv2.imread(str(tmp_path / "out" / f"epoch-00{number}.png")))
        assert (picture.image.height, picture.image.width) == drawn.shape[:2]
        assert histogram.histo.num == sum(histogram.histo.bucket) == explanation.maps.size
        expected = [f(explanation.maps.astype("float64")) for f in (np.min, np.max, np.sum)]
        np.testing.assert_allclose([histogram.histo.min, histogram.histo.max, histogram.histo.sum], expected)
        below = np.searchsorted(histogram.histo.bucket_limit, np.median(explanation.maps))
        assert (
            sum(histogram.histo.bucket[:below]) <= explanation.maps.size / 2 <= sum(histogram.histo.bucket[: below + 1])
        )
        assert value.simple_value == pytest.approx(history["saliency_energy_pointing"][number - 1])


def test_tensorboard_without_tensorflow_is_one_line(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "keras_actmaps.during.events", raising=False)
    with pytest.raises(
        ImportError, match="tensorboard=DIR writes its files through TensorFlow, which is not installed"
    ):
        callback(data, tmp_path, tensorboard=tmp_path)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"method": "gradkam"}, "no method 'gradkam'; there are: cam, gradcam"),
        ({"steps": 3}, "gradcam has no setting 'steps'; it has: none"),
        ({"every": 0}, "every=0 is no number of epochs from 1 up"),
        ({"every": True}, "every=True is no number"),
        ({"every": "3 minutes"}, "every='3 minutes' is no number"),
        ({"targets": "all"}, "targets='all': a picture shows one map an image"),
        ({"targets": [[0, 1]] * 5}, "a picture shows one map an image"),
        ({"targets": "labels", "labels": None}, "the labels of the images are not known"),
        ({"labels": [0, 1]}, r"labels of shape \(2,\) do not fit the images; they need \(5,\)"),
        ({"masks": np.ones((5, 3, 3), bool)}, r"masks of shape \(5, 3, 3\) do not fit the images"),
        ({"metrics": ["energy"]}, "no metric 'energy'; there are: "),
        ({"metrics": ["energy_pointing"], "masks": None}, "energy_pointing needs masks, and the images have none"),
        ({"batch_size": 0}, "batch_size=0 is no number"),
        ({"limit": 0}, "limit=0 is no number"),
        ({"method": "saliency", "channels": "keep"}, "channels='keep' gives several maps an image"),
    ],
)
def test_mistakes_are_one_line_before_the_fit(settings, message, data, tmp_path):
    with pytest.raises(ValueError, match=message):
        callback(data, tmp_path, **settings)


def test_images_that_cannot_be_drawn_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"images of shape \(5, 8\) cannot be drawn"):
        kam.ExplainCallback(np.zeros((5, 8)), output=tmp_path)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.parts = images, labels

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return tuple(part[number * BATCH :][:BATCH] for part in self.parts)


def endless(images, labels):
    while True:
        yield images[:7], keras.utils.to_categorical(labels[:7], CLASSES)


def test_images_come_from_streams_of_any_kind(data):
    images, labels, _ = data
    given = {
        "list": list(images[:10]),
        "PyDataset": Sequence(images, labels),
        "one by one": iter(zip(images, labels)),
        "as TFDS": iter([{"image": image, "label": label} for image, label in zip(images, labels)]),
        "endless, one-hot": endless(np.tile(images, (2, 1, 1, 1)), labels),
    }
    for name, stream in given.items():
        watched = kam.ExplainCallback(stream, limit=9).asked.watched
        expected = np.concatenate([images[:7], images[:2]]) if "endless" in name else images[:9]
        np.testing.assert_array_equal(watched.images, expected)
        if name != "list":
            classes = np.concatenate([labels[:7], labels[:2]]) if "endless" in name else labels[:9]
            np.testing.assert_array_equal(watched.labels, classes)
    assert len(kam.ExplainCallback(endless(images, labels)).asked.watched.images) == 70 - 6


def test_the_images_are_copied(data):
    images = data[0][:5].copy()
    watcher = kam.ExplainCallback(images)
    images[:] = 0
    np.testing.assert_array_equal(watcher.asked.watched.images, data[0][:5])


def test_a_split_is_named_as_tfds_names_it():
    pytest.importorskip("tensorflow")
    datasets = kam.data
    images, labels, truth = next(datasets.load("drawn-grid").truth("test").as_numpy_iterator())
    watched = kam.ExplainCallback("drawn-grid:test[2:5]", targets="labels").asked.watched
    np.testing.assert_array_equal(watched.images, images[2:5])
    np.testing.assert_array_equal(watched.labels, labels[2:5])
    for mask, position in zip(watched.masks, truth["position"][2:5]):
        rows, columns = np.nonzero(mask)
        assert mask.sum() == 28**2 and rows.min() // 28 * 2 + columns.min() // 28 == position
    assert watched.classes[0] == "T-shirt/top" and "stand-in" in watched.notice
    assert len(kam.ExplainCallback("drawn-grid:test").asked.watched.images) == 64
    assert len(kam.ExplainCallback("drawn-grid:test[60:]", limit=70).asked.watched.images) == 70
    assert len(kam.ExplainCallback("drawn-grid:test[60:99]", limit=7).asked.watched.images) == 7
    assert by_name("drawn-grid", None)[1:] == ("validation", 0, 64)
    with pytest.raises(ValueError, match="no data set 'mnist'; there are: grid"):
        kam.ExplainCallback("mnist:test[:8]")


MIRRORED = """
import sys
from pathlib import Path
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import test_callbacks as t
data = t.make_data()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
states, copies, folder = [], t.Copies(), Path(sys.argv[1])
for callbacks in ([], [t.callback(data, folder, targets="labels"), copies]):
    with strategy.scope():
        model = t.compiled(t.network())
    t.fit(model, data, *callbacks)
    states.append(t.state(model))
assert strategy.num_replicas_in_sync == 2 and t.same(*states) and not callbacks[0].failures, callbacks[0].failures
for number, weights in enumerate(copies.epochs, 1):
    np.testing.assert_allclose(t.maps(folder, number).maps, t.by_hand(weights, data[0][:5], data[1][:5]), atol=1e-6)
print("the same")
"""


@needs_tensorflow
def test_two_replicas_of_a_mirrored_strategy(tmp_path):
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", MIRRORED, str(tmp_path)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert done.stdout.strip().endswith("the same"), done.stderr[-2000:]


def test_what_is_done_behind_is_done_in_order_and_waited_for():
    done = []
    work = worker.Worker(lambda item: done.append(1 / item))
    for item in (1, 2, 0, 4):
        work.hand(item)
    work.finish()
    assert done == [1, 0.5, 0.25] and work.errors == ["ZeroDivisionError: division by zero"]


def test_turns_are_spread_evenly_with_the_first_and_the_last():
    assert history.evenly(range(100), 4) == [0, 33, 66, 99] and history.evenly([7, 8], 4) == [7, 8]
    assert history.evenly([], 4) == [] and history.evenly([5, 6, 7], 1) == [5]
