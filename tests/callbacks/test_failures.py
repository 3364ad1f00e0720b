"""What fails: before the fit one error, during the fit one warning while training continues."""

import os
import warnings

import numpy as np
import pytest
from helpers.fits import compiled, fit, is_same, make_callback, network, state

import keras_actmaps as kam


@pytest.fixture(scope="module")
def state_without(data):
    """The state after a fit without callbacks."""
    model = compiled(network())
    fit(model, data)
    return state(model)


def warnings_of_fit(model, data, *callbacks):
    """The callback's warnings during a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, data, *callbacks)
    return [str(one.message) for one in caught if "ExplainCallback" in str(one.message)]


def test_a_failing_explanation_warns_once_and_training_continues(data, state_without, tmp_path):
    lines, calls = [], []

    def target(outputs):
        calls.append(1)
        if len(calls) in (1, 3):
            raise RuntimeError("on\npurpose")
        return outputs[:, 0]

    callback = make_callback(data, tmp_path, "occlusion", targets=target, say=lines.append, metrics=())
    model = compiled(network())
    caught = warnings_of_fit(model, data, callback)
    assert is_same(state_without, state(model)) and len(caught) == 1
    assert "training continues: ValueError: the target function raised RuntimeError: on purpose; it" in caught[0]
    assert len(callback.failures) + len(callback.turns) == 3 and len(callback.turns) >= 1
    assert f"{len(callback.failures)} failed: ValueError: the target function raised RuntimeError: on" in lines[0]


def test_an_unknown_layer_does_not_stop_the_fit(data, state_without, tmp_path):
    lines = []
    callback = make_callback(data, tmp_path, layer="nowhere", say=lines.append)
    model = compiled(network())
    caught = warnings_of_fit(model, data, callback)
    assert is_same(state_without, state(model)) and len(caught) == 1 and "no spatial layer 'nowhere'" in caught[0]
    assert callback.turns == [] and len(callback.failures) == 3 and not list(tmp_path.iterdir())
    assert "3 failed: ValueError: no spatial layer 'nowhere'" in lines[0]


def test_a_full_disk_does_not_stop_the_fit_and_leaves_no_partial_file(data, state_without, tmp_path, monkeypatch):
    write, calls, lines = np.savez_compressed, [], []

    def full(file, **arrays):
        calls.append(1)
        if len(calls) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        write(file, **arrays)

    monkeypatch.setattr(np, "savez_compressed", full)
    callback = make_callback(data, tmp_path, say=lines.append)
    model = compiled(network())
    caught = warnings_of_fit(model, data, callback)
    assert is_same(state_without, state(model)) and len(caught) == 1 and "No space left on device" in caught[0]
    assert callback.turns == [1, 3] and "1 failed: OSError: [Errno 28] No space left on device" in lines[0]
    names = ["epoch-001.npz", "epoch-001.png", "epoch-003.npz", "epoch-003.png", "strip.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert len(fit(compiled(network()), data, callback).history["gradcam_energy_pointing"]) == 3


def test_a_folder_that_cannot_be_created_does_not_stop_the_fit(data, state_without, tmp_path):
    (tmp_path / "file").touch()
    callback = make_callback(data, tmp_path / "file" / "folder")
    model = compiled(network())
    caught = warnings_of_fit(model, data, callback)
    assert is_same(state_without, state(model)) and len(caught) == 1 and "file" in caught[0]
    assert len(callback.failures) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_a_full_disk_below_the_event_file_is_reported_and_does_not_block(data, state_without, tmp_path, monkeypatch):
    writing = pytest.importorskip("tensorboardX.record_writer")
    monkeypatch.setattr(writing, "open_file", lambda path: open("/dev/full", "wb"))  # noqa: SIM115
    callback = make_callback(data, tmp_path, tensorboard=tmp_path / "board")
    model = compiled(network())
    caught = warnings_of_fit(model, data, callback)
    assert is_same(state_without, state(model)) and len(caught) == 1 and "No space left on device" in caught[0]
    assert len(callback.failures) >= 3 and len(list(tmp_path.glob("epoch-*.png"))) == 3


def test_wait_returns_at_once_before_and_after_a_fit_and_waits_during_it(data, tmp_path):
    callback = make_callback(data, tmp_path)
    callback.wait()
    callback.set_model(compiled(network()))
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, {})
    callback.wait()
    assert callback.turns == [1] and (tmp_path / "epoch-001.png").is_file()
    callback.on_train_end()
    callback.wait()
    assert (tmp_path / "strip.png").is_file()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"method": "gradkam"}, "method must be one of .*gradcam.*, got 'gradkam'"),
        ({"steps": 3}, "gradcam has no setting 'steps'; it has: none"),
        ({"every": 0}, "every must be a positive integer, 'N epochs' or 'N batches', got 0"),
        ({"every": True}, "every must be .*, got True"),
        ({"every": "3 minutes"}, "every must be .*, got '3 minutes'"),
        ({"targets": "all"}, "targets must be a class, .* since a picture shows one map per image; got 'all'"),
        ({"targets": [[0, 2]] * 5}, "since a picture shows one map per image"),
        ({"targets": "labels", "labels": None}, "the labels of the images are not known"),
        (
            {"labels": [[1, 1, 0]] * 5},
            r"labels must be classes \(N,\) or one-hot rows \(N, classes\), got shape \(5, 3\)",
        ),
        ({"labels": [0, 1]}, r"labels must have shape \(5,\) to fit the images, got \(2,\)"),
        (
            {"masks": np.ones((5, 3, 3), bool)},
            r"masks must have shape \(5, 12, 12\) to fit the images, got \(5, 3, 3\)",
        ),
        ({"metrics": ["energy"]}, "metric must be one of .*energy_pointing.*, got 'energy'"),
        ({"metrics": ["energy_pointing"], "masks": None}, "energy_pointing requires masks, and the images have none"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1 .*, got 0"),
        ({"limit": 0}, "limit must be an integer >= 1 .*, got 0"),
        ({"method": "saliency", "channels": "keep"}, "channels='keep' gives several maps per image"),
    ],
)
def test_mistakes_are_errors_before_the_fit(settings, message, data, tmp_path):
    with pytest.raises(ValueError, match=message):
        make_callback(data, tmp_path, **settings)


def test_images_that_cannot_be_drawn_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"images must be .*tables.*, got \(5,\)"):
        kam.ExplainCallback(np.zeros(5), output=tmp_path)
