"""Snapshots: the maps of the current weights, when they are made, their metrics, and their titles."""

import csv
import re

import keras
import numpy as np
import pytest
from helpers.fits import (
    WeightCopies,
    compiled,
    energy_in_mask,
    expected_gradcam,
    fit,
    load,
    make_callback,
    network,
)
from keras import ops

import keras_actmaps as kam


def test_the_maps_are_those_of_the_weights_after_each_epoch(data, tmp_path):
    copies = WeightCopies()
    fit(compiled(network()), data, make_callback(data, tmp_path, targets="labels"), copies)
    for number, weights in enumerate(copies.epochs, 1):
        expected = expected_gradcam(weights, data[0][:5], data[1][:5])
        np.testing.assert_allclose(load(tmp_path, number).maps, expected, atol=1e-6)
    assert np.abs(load(tmp_path, 1).maps - load(tmp_path, 3).maps).max() > 1e-3


def test_a_snapshot_may_follow_a_number_of_batches(data, tmp_path):
    copies = WeightCopies()
    callback = make_callback(data, tmp_path, every="6 batches", targets="labels")
    history = fit(compiled(network()), data, callback, copies).history
    names = ["batch-000006.npz", "batch-000006.png", "batch-000012.npz", "batch-000012.png"]
    assert callback.turns == [6, 12] and sorted(path.name for path in tmp_path.glob("batch*")) == names
    for number in callback.turns:
        expected = expected_gradcam(copies.batches[number - 1], data[0][:5], data[1][:5])
        np.testing.assert_allclose(load(tmp_path, number, "batch").maps, expected, atol=1e-6)
    expected = [energy_in_mask(load(tmp_path, number, "batch"), data) for number in (6, 12)]
    np.testing.assert_allclose(history["gradcam_energy_pointing"], expected, rtol=1e-5)


def test_batches_are_counted_from_the_start_of_training_in_a_resumed_fit(data, tmp_path):
    model = compiled(network())
    fit(model, data, epochs=1)
    callback = make_callback(data, tmp_path, every="5 batches")
    fit(model, data, callback, initial_epoch=1, epochs=3)
    assert callback.turns == [5, 10]


def test_every_second_epoch_and_the_first(data, tmp_path):
    history = fit(compiled(network()), data, make_callback(data, tmp_path, every="2 epochs"), epochs=5).history
    names = ["epoch-001.png", "epoch-002.png", "epoch-004.png", "strip.png"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
    assert np.isnan(history["gradcam_energy_pointing"]).tolist() == [False, False, True, False, True]


def test_history_csv_logger_and_early_stopping_see_the_metrics(data, tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    callback = make_callback(data, tmp_path, targets="labels", metrics=("energy_pointing", "sparseness"))
    history = fit(compiled(network()), data, callback, logger).history
    expected = [energy_in_mask(load(tmp_path, number), data) for number in (1, 2, 3)]
    np.testing.assert_allclose(history["gradcam_energy_pointing"], expected, rtol=1e-5)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["gradcam_energy_pointing"]) for row in rows], expected, rtol=1e-5)
    assert all(0 <= float(row["gradcam_sparseness"]) <= 1 for row in rows)
    constant = compiled(network())
    constant.optimizer.learning_rate = 0.0
    constant.layers[2].trainable = False  # its statistics would change the maps
    stop = keras.callbacks.EarlyStopping("gradcam_energy_pointing", mode="max", patience=2)
    fitted = fit(constant, data, make_callback(data, tmp_path, targets="labels"), stop, epochs=9)
    assert len(fitted.epoch) == 3


def test_the_metrics_are_those_of_the_explained_targets(data, tmp_path):
    callback = make_callback(data, tmp_path, targets="labels", metrics="deletion")
    model = compiled(network())
    fit(model, data, callback, epochs=1)
    expected = kam.metrics.deletion(model, data[0][:5], load(tmp_path, 1))
    assert callback.request.compute(model, 1).values == {"deletion": pytest.approx(np.nanmean(expected), rel=1e-5)}


def first_titles(callback, model):
    """The snapshot, and the lines above the first image."""
    snapshot = callback.request.compute(model, 1)
    return snapshot, callback.snapshots.titles(snapshot)[0]


def test_titles_name_the_true_and_the_predicted_class_and_what_the_map_explains(data, tmp_path):
    model, names = compiled(network()), ["one", "two", "three", "four"]
    fit(model, data, epochs=1)
    logits = model.predict(data[0][:5], verbose=0)
    predicted, true = names[logits[0].argmax()], names[data[1][0]]
    _, title = first_titles(make_callback(data, tmp_path, classes=names), model)
    assert title == (f"true: {true} · predicted: {predicted}", f"map for {predicted}, logit {logits[0].max():.1f}")
    snapshot, title = first_titles(make_callback(data, tmp_path, classes=names, targets=3), model)
    assert title == (f"true: {true} · predicted: {predicted}", f"map for four, logit {logits[0, 3]:.1f}")
    np.testing.assert_array_equal(snapshot.predicted, logits.argmax(1))
    _, title = first_titles(make_callback(data, tmp_path, targets=lambda outputs: ops.sum(outputs, axis=-1)), model)
    assert title == (
        f"true: class {data[1][0]} · predicted: class {logits[0].argmax()}",
        f"score {logits[0].sum():.3g}",
    )


def test_one_hot_targets_are_the_classes_that_they_mark(data, tmp_path):
    model, classes = compiled(network()), [3, 0, 1, 1, 2]
    rows = np.eye(4)[classes].astype("int64")
    requests = [make_callback(data, tmp_path, targets=targets).request for targets in (rows, classes)]
    one_hot, expected = (request.compute(model, 1).explanation for request in requests)
    np.testing.assert_array_equal(one_hot.maps, expected.maps)
    assert one_hot.targets.tolist() == classes


def test_one_hot_targets_of_other_classes_are_refused(data, tmp_path):
    callback = make_callback(data, tmp_path, targets=np.eye(3, dtype="int64")[[0, 1, 2, 0, 1]])
    with pytest.raises(ValueError, match=r"^one-hot targets of shape \(5, 3\) do not fit a model with 4 classes$"):
        callback.request.compute(compiled(network()), 1)


def test_a_function_of_outputs_without_classes_is_explained_and_drawn(data, tmp_path):
    inputs = keras.Input((12, 12, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", name="features")(inputs))
    model.compile("sgd", "mse")
    callback = make_callback(data, tmp_path, "saliency", labels=None, targets=lambda out: ops.sum(out, axis=(1, 2, 3)))
    model.fit(data[0], data[0], verbose=0, callbacks=[callback])
    assert callback.turns == [1] and not callback.failures
    snapshot, title = first_titles(callback, model)
    assert snapshot.predicted is None and title[0] == "image 0" and title[1].startswith("score ")
    assert load(tmp_path, 1).targets is None and (tmp_path / "strip.png").is_file()


def test_a_summary_says_what_the_snapshots_took(data, tmp_path):
    lines = []
    callback = make_callback(data, tmp_path, say=lines.append)
    fit(compiled(network()), data, callback)
    assert len(callback.seconds) == 3 and min(callback.seconds) > 0 and callback.drawing > 0 and not callback.failures
    (line,) = lines
    time = r"[\d.]+ m?s"
    assert re.fullmatch(
        rf"gradcam: 3 snapshots of 5 images took {time} \({time} the first, with compilation; {time} each other\); "
        rf"drawn in the background in {time}, the strip in {time}; "
        rf"wrote {re.escape(str(tmp_path))}/strip.png, {re.escape(str(tmp_path))}/strip.gif",
        line,
    )
