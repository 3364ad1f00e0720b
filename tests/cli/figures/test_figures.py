"""The table of figures; feature maps and pooling: numbers against Keras' own submodels, pictures, and errors."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from keras_actmaps import Explanation, data, render
from keras_actmaps.cli import default
from keras_actmaps.cli.figures import FIGURES, feature_maps
from keras_actmaps.core.settings import Setting


def pictures(run, positions):
    images = np.concatenate([images for images, _ in run.data().test.as_numpy_iterator()])
    return images[positions]


def submodel(model, name, images):
    return keras.Model(model.inputs, model.get_layer(name).output).predict(images, verbose=0)


def test_records_are_complete():
    assert list(FIGURES) == ["feature_maps", "pooling", "exemplars", "ascent"]
    for name, figure in FIGURES.items():
        assert figure.name == name == figure.function.__name__
        assert all((figure.summary, figure.paper, figure.cost, figure.limitations))
        for setting in figure.settings.values():
            assert isinstance(setting, Setting) and setting.meaning
            assert setting.validate(setting.default) == setting.default == setting.parse(str(setting.default))
    assert {name for name, figure in FIGURES.items() if figure.needs_images} == {"feature_maps", "pooling"}
    assert {name for name, figure in FIGURES.items() if not figure.needs_model} == {"pooling"}
    assert {"steps", "film", "ground", "parametrisation"} < set(FIGURES["ascent"].settings)
    assert "bounds" not in FIGURES["ascent"].settings


def test_feature_maps_are_of_all_convolutions_by_default(explain, run, tmp_path, files):
    status, output, errors = explain("feature_maps", index=[3, 1])
    assert (status, errors) == (0, "")
    assert files() == ["feature_maps.npz", "feature_maps.png", "original_image.png"]
    found, model = np.load(tmp_path / "out" / "feature_maps.npz"), run.model()
    assert found.files == ["conv1", "conv2", "features"]
    for name in found.files:
        expected = submodel(model, name, pictures(run, [3, 1]))
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4)
    assert "test image 3: true: " in output and "maps for" not in output and "feature_maps.png" in output


@pytest.mark.parametrize(
    "layer, names", [("pool", ["pool1", "pool2"]), ("features,conv1", ["conv1", "features"]), ("2", ["pool1"])]
)
def test_layers_of_feature_maps_by_type_name_and_number(explain, tmp_path, layer, names):
    assert explain("feature_maps", layer=layer, index=0)[0] == 0
    assert np.load(tmp_path / "out" / "feature_maps.npz").files == names


def test_settings_and_color_map_change_the_picture_and_not_the_numbers(explain, tmp_path):
    drawn, numbers = set(), set()
    for settings, colormap in (["order=index"], None), (["scale=layer"], None), (["channels=5"], "viridis"), ([], None):
        options = {"colormap": colormap} if colormap else {}
        assert explain("feature_maps", *settings, layer="conv2", index=0, **options)[0] == 0
        picture = cv2.imread(str(tmp_path / "out" / "feature_maps.png"))
        assert (picture.max(-1) == picture.min(-1)).all() == (colormap is None)
        drawn.add(picture.tobytes())
        numbers.add(np.load(tmp_path / "out" / "feature_maps.npz")["conv2"].tobytes())
    assert len(drawn) == 4 and len(numbers) == 1


def test_of_many_layers_some_are_drawn_and_all_are_written(explain, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(feature_maps, "MAX_LAYERS", 3)
    draw = render.feature_figure
    monkeypatch.setattr(render, "feature_figure", lambda *arguments: drawn.append(arguments) or draw(*arguments))
    assert explain("feature_maps", layer="all", index=0)[0] == 0
    assert list(drawn[0][0]) == ["conv1", "conv2", "features"] and drawn[0][3].startswith("3 of 5 layers · ")
    assert np.load(tmp_path / "out" / "feature_maps.npz").files == ["conv1", "pool1", "conv2", "pool2", "features"]


def test_pooling_of_the_runs_own_convolution(explain, run, tmp_path, files):
    assert explain("pooling", "pool=4", layer="conv2", index=0)[0] == 0
    assert files() == ["original_image.png", "pooling.npz", "pooling.png"]
    found = np.load(tmp_path / "out" / "pooling.npz")
    before = submodel(run.model(), "conv2", pictures(run, [0]))
    windows = before.reshape(1, 7, 4, 7, 4, 64)
    assert found["names"].tolist() == ["conv2 (3×3) + ReLU"]
    np.testing.assert_allclose(found["0/before"], before, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["0/maximum"], windows.max((2, 4)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["0/average"], windows.mean((2, 4)), rtol=1e-4, atol=1e-4)


def test_pooling_compares_kernel_sizes_and_stacks(explain, tmp_path):
    assert explain("pooling", "kernel_size=3,5,7", "layers=2", "filters=4", index=0)[0] == 0
    found = np.load(tmp_path / "out" / "pooling.npz")
    assert found["names"].tolist() == [f"random convolution {n} ({k}×{k}) + ReLU" for k in (3, 5, 7) for n in (1, 2)]
    assert found["4/before"].shape == (1, 56, 56, 4) and found["5/before"].shape == (1, 28, 28, 4)


def test_pooling_without_a_run_takes_drawn_images(explain_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "is_prepared", lambda *_: False)
    status, output, _ = explain_command("--method", "pooling")
    assert status == 0 and "no run: images of drawn-grid, because CIFAR-10 is not prepared\n" in output
    assert "test image 0: true: " in output and "predicted" not in output
    written = sorted(path.name for path in (tmp_path / "outputs").iterdir())
    assert written == ["original_image.png", "pooling.npz", "pooling.png"]


@pytest.mark.parametrize("method", ["feature_maps", "exemplars", "ascent", "pooling,gradcam"])
def test_other_figures_need_a_model(explain_command, tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    status, _, errors = explain_command("--method", method)
    assert status == 2 and "no run yet in 'runs'" in errors


def test_pooling_without_a_run_takes_cifar10_where_it_is_prepared(
    explain_command, tmp_path, monkeypatch, tfds_data_dir
):
    monkeypatch.chdir(tmp_path)
    status, output, _ = explain_command("--method", "pooling", "--data-dir", tfds_data_dir)
    assert status == 0 and "no run: images of cifar10\n" in output
    assert np.load(tmp_path / "outputs" / "pooling.npz")["0/before"].shape == (1, 32, 32, 16)


def test_pooling_of_a_file_without_a_run_keeps_its_size(explain_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", np.random.default_rng(0).integers(0, 256, (80, 61, 3), "uint8"))
    assert explain_command("--method", "pooling", "--image", "photo.png")[0] == 0
    assert np.load(tmp_path / "outputs" / "pooling.npz")["0/maximum"].shape == (1, 40, 30, 16)


def test_maps_and_figures_in_one_run(explain, tmp_path, files):
    status, output, _ = explain("gradcam,feature_maps,rise", "samples=8", index=0)
    assert status == 0 and "maps for the predicted class" in output
    names = ["feature_maps", "gradcam", "rise"]
    assert files() == sorted([*(f"{n}.{end}" for n in names for end in ("npz", "png")), "original_image.png"])
    assert Explanation.load(tmp_path / "out" / "rise.npz").settings["samples"] == 8


def test_all_draws_the_figures_that_fit_and_names_the_others(explain_command, tmp_path, monkeypatch, files):
    flat = keras.Sequential([keras.Input((56, 56, 1)), layers.Flatten(), layers.Dense(3)], name="flat")
    flat.save(tmp_path / "flat.keras")
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((56, 56), "uint8"))
    table = {name: default.TABLE[name] for name in ("gradcam", "saliency", "feature_maps")}
    monkeypatch.setattr(default, "MODE", default.Mode(table, default.validate, default.write))
    options = ["--model", tmp_path / "flat.keras", "--image", tmp_path / "image.png", "--output", tmp_path / "out"]
    status, output, _ = explain_command("--method", "all", *options)
    assert status == 0 and "gradcam does not fit: " in output
    assert "feature_maps does not fit: no layer or type 'conv' in 'flat'" in output
    assert files() == ["all.png", "original_image.png", "saliency.npz", "saliency.png"]


@pytest.mark.parametrize(
    "message, settings, options",
    [
        ("no layer or type 'nope' in 'grid_cnn'; choices: conv1, ", [], {"layer": "nope"}),
        ("layer 'logits' has outputs of shape (None, 10), without channels over space", [], {"layer": "logits"}),
        ("feature_maps has no setting 'steps'; choices: channels, order, scale", ["steps=3"], {}),
        ("channels must be an integer >= 1 and <= 1,000,000, got 0", ["channels=0"], {}),
        ("order must be 'activity' or 'index', got 'best'", ["order=best"], {}),
        ("scale must be 'channel' or 'layer', got 'x'", ["scale=x"], {}),
        ("kernel_size=57 is larger than the images, 56×56", ["kernel_size=57"], {"method": "pooling"}),
        ("kernel_size must have at least one size, got ()", ["kernel_size=()"], {"method": "pooling"}),
        ("layer 'pool1' is not a convolution", [], {"method": "pooling", "layer": "pool1"}),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(explain, files, message, settings, options):
    options = {"method": "feature_maps", "index": 0, **options}
    status, _, errors = explain(options.pop("method"), *settings, **options)
    assert status == 2 and errors.count("\n") == 1 and message in errors
    assert not files()


def test_a_full_disk_is_one_line_and_leaves_no_partial_file(explain, monkeypatch, files):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", full)
    assert explain("feature_maps", index=0)[::2] == (2, "explain.py: [Errno 28] No space left on device\n")
    assert files() == []
