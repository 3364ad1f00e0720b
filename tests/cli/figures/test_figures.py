"""Looks inside by explain.py: raw numbers against Keras' own submodels, pictures, mixtures, one line for bad input."""

import sys

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps import Explanation, render
from keras_actmaps.cli import explain, inputs, main


@pytest.fixture
def explain(run, tmp_path, capsys):
    """explain.py's work on the run: (exit status, what it said, what it wrote on stderr)."""

    def answer(**settings):
        given = {"run": str(run.path), "output": str(tmp_path / "out"), "index": [0], **settings}
        status = main.run(lambda: explain.answer(**given), "explain.py")
        said = capsys.readouterr()
        return status, said.out, said.err

    return answer


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def pictures(run, places):
    images = np.concatenate([images for images, _ in run.data().test.as_numpy_iterator()])
    return images[places]


def submodel(model, name, images):
    return keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0)


def test_feature_maps_of_all_convolutions_by_default(explain, run, tmp_path):
    status, said, complained = explain(method="feature_maps", index=[3, 1])
    assert (status, complained) == (0, "")
    assert files(tmp_path / "out") == ["feature_maps.npz", "feature_maps.png", "original_image.png"]
    found, model = np.load(tmp_path / "out" / "feature_maps.npz"), run.model()
    assert found.files == ["conv1", "conv2", "features"]
    for name in found.files:
        expected = submodel(model, name, pictures(run, [3, 1]))
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4)
    assert "test image 3: true: " in said and "maps for" not in said and "feature_maps.png" in said


@pytest.mark.parametrize(
    "layer, names", [("pool", ["pool1", "pool2"]), ("features,conv1", ["conv1", "features"]), ("2", ["pool1"])]
)
def test_layers_of_feature_maps_by_kind_name_and_number(explain, tmp_path, layer, names):
    assert explain(method="feature_maps", layer=layer)[0] == 0
    assert np.load(tmp_path / "out" / "feature_maps.npz").files == names


def test_settings_and_colour_map_change_the_picture_and_not_the_numbers(explain, tmp_path):
    drawn, numbers = set(), set()
    for settings, colormap in (["order=index"], None), (["scale=layer"], None), (["channels=5"], "viridis"), ([], None):
        assert explain(method="feature_maps", settings=settings, colormap=colormap, layer="conv2")[0] == 0
        picture = cv2.imread(str(tmp_path / "out" / "feature_maps.png"))
        assert (picture.max(-1) == picture.min(-1)).all() == (colormap is None)
        drawn.add(picture.tobytes())
        numbers.add(np.load(tmp_path / "out" / "feature_maps.npz")["conv2"].tobytes())
    assert len(drawn) == 4 and len(numbers) == 1


def test_of_many_layers_some_are_drawn_evenly_and_all_are_kept(explain, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sys.modules["keras_actmaps.looks.feature_maps"], "MOST_LAYERS", 3)
    figure = render.feature_figure
    monkeypatch.setattr(render, "feature_figure", lambda *given: drawn.append(given) or figure(*given))
    assert explain(method="feature_maps", layer="all")[0] == 0
    assert list(drawn[0][0]) == ["conv1", "conv2", "features"] and drawn[0][3].startswith("3 of 5 layers · ")
    assert np.load(tmp_path / "out" / "feature_maps.npz").files == ["conv1", "pool1", "conv2", "pool2", "features"]


def test_pooling_of_the_runs_own_convolution(explain, run, tmp_path):
    assert explain(method="pooling", layer="conv2", settings=["pool=4"])[0] == 0
    assert files(tmp_path / "out") == ["original_image.png", "pooling.npz", "pooling.png"]
    found = np.load(tmp_path / "out" / "pooling.npz")
    before = submodel(run.model(), "conv2", pictures(run, [0]))
    windows = before.reshape(1, 7, 4, 7, 4, 64)
    assert found["names"].tolist() == ["conv2 (3×3) + ReLU"]
    np.testing.assert_allclose(found["0/before"], before, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["0/maximum"], windows.max((2, 4)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["0/average"], windows.mean((2, 4)), rtol=1e-4, atol=1e-4)


def test_pooling_compares_kernel_sizes_and_stacks(explain, tmp_path):
    assert explain(method="pooling", settings=["kernel_size=3,5,7", "layers=2", "filters=4"])[0] == 0
    found = np.load(tmp_path / "out" / "pooling.npz")
    assert found["names"].tolist() == [f"fresh convolution {n} ({k}×{k}) + ReLU" for k in (3, 5, 7) for n in (1, 2)]
    assert found["4/before"].shape == (1, 56, 56, 4) and found["5/before"].shape == (1, 28, 28, 4)


def test_pooling_without_a_run_takes_a_data_set_and_says_which(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs.datasets, "is_prepared", lambda *_: False)
    assert main.run(lambda: explain.answer(method="pooling"), "explain.py") == 0
    said = capsys.readouterr().out
    assert "no run: images of drawn-grid, since CIFAR-10 is not prepared\n" in said
    assert "test image 0: true: " in said and "predicted" not in said
    assert files(tmp_path / "outputs") == ["original_image.png", "pooling.npz", "pooling.png"]
    for method in ("feature_maps", "pooling,gradcam"):
        assert main.run(lambda: explain.answer(method=method), "explain.py") == 2  # noqa: B023
        assert "no run yet in 'runs'; train one with: python train.py" in capsys.readouterr().err


def test_pooling_without_a_run_takes_cifar10_where_it_is_prepared(tmp_path, monkeypatch, capsys, tfds_data_dir):
    monkeypatch.chdir(tmp_path)
    assert main.run(lambda: explain.answer(method="pooling", data_dir=tfds_data_dir), "explain.py") == 0
    assert "no run: images of cifar10\n" in capsys.readouterr().out
    assert np.load(tmp_path / "outputs" / "pooling.npz")["0/before"].shape == (1, 32, 32, 16)


def test_pooling_of_a_file_without_a_run_keeps_its_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", np.random.default_rng(0).integers(0, 256, (80, 61, 3), "uint8"))
    assert explain.answer(method="pooling", image=["photo.png"], say=lambda *_: None)
    assert np.load(tmp_path / "outputs" / "pooling.npz")["0/maximum"].shape == (1, 40, 30, 16)


def test_maps_and_looks_in_one_go(explain, tmp_path):
    status, said, _ = explain(method="gradcam,feature_maps,rise", settings=["samples=8", "channels=4"])
    assert status == 0 and "maps for the predicted class" in said
    names = ["feature_maps", "gradcam", "rise"]
    assert files(tmp_path / "out") == sorted([*(f"{n}.{end}" for n in names for end in ("npz", "png")),
                                              "original_image.png"])  # fmt: skip
    assert Explanation.load(tmp_path / "out" / "rise.npz").settings["samples"] == 8


def test_all_takes_the_looks_that_fit_and_says_which_do_not(tmp_path, monkeypatch, capsys):
    flat = keras.Sequential([keras.Input((56, 56, 1)), layers.Flatten(), layers.Dense(3)], name="flat")
    flat.save(tmp_path / "flat.keras")
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((56, 56), "uint8"))
    chosen = ("gradcam", "saliency", "feature_maps")
    monkeypatch.setattr(asking, "TABLE", {name: explain.TABLE[name] for name in chosen})
    written = explain.answer(method="all", model=str(tmp_path / "flat.keras"), image=[str(tmp_path / "image.png")],
                            output=str(tmp_path / "out"))  # fmt: skip
    said = capsys.readouterr().out
    assert "gradcam does not fit: " in said and "feature_maps does not fit: no layer or kind 'conv' in 'flat'" in said
    assert {path.name for path in written} == {"original_image.png", "saliency.npz", "saliency.png", "all.png"}


@pytest.mark.parametrize(
    "message, settings",
    [
        ("no method 'feature_map'; there are: cam, ", {"method": "feature_map"}),
        (" feature_maps, pooling", {"method": "feature_map"}),
        ("no spatial layer 'nope' in 'grid_cnn'; there are: conv1, ", {"layer": "nope"}),
        ("no layer or kind 'nope' in 'grid_cnn'; there are: conv1, ", {"method": "feature_maps", "layer": "nope"}),
        ("layer 'logits' gives (None, 10): no channels over space", {"method": "feature_maps", "layer": "logits"}),
        ("gradcam, feature_maps: no setting 'steps'; there are: channels, order, scale", {"settings": ["steps=3"]}),
        ("channels=0 is no number of channels; give 1 or more", {"settings": ["channels=0"]}),
        ("no order 'best' of channels; there are: activity, index", {"settings": ["order=best"]}),
        ("no scale 'x' of channels; there are: channel, layer", {"settings": ["scale=x"]}),
        ("kernel_size=57 is larger than the images, 56×56", {"method": "pooling", "settings": ["kernel_size=57"]}),
        ("layer 'pool1' is no convolution", {"method": "pooling", "layer": "pool1"}),
        ("no colour map 'x'", {"colormap": "x"}),
        ("give --image FILE", {"model": "flat.keras", "run": None, "index": None}),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(explain, tmp_path, monkeypatch, message, settings):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten()]).save("flat.keras")
    status, _, complained = explain(**{"method": "gradcam,feature_maps", **settings})
    assert status == 2 and complained.count("\n") == 1 and message in complained
    assert not files(tmp_path / "out")


def test_no_space_is_one_line_and_leaves_no_half_file(explain, tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", full)
    assert explain(method="feature_maps")[::2] == (2, "explain.py: [Errno 28] No space left on device\n")
    assert files(tmp_path / "out") == []
