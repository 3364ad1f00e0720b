"""tf-explain's documented examples as written: with their import lines changed, and unchanged after activate()."""

import re
import runpy
import sys
import warnings
from importlib import import_module
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_explain
from keras import layers

from keras_actmaps import tf_explain as ours
from keras_actmaps.tf_explain import activate, callbacks, core, deactivate, switch

ROOT = Path(__file__).parents[2]
ORIGIN = Path(__file__).parent / "tf_explain_upstream" / "tf-explain-0.3.1"
EXAMPLES = sorted((ORIGIN / "examples" / "core").glob("[!_]*.py"))
BLOCKS = re.findall(r"```python\n(.*?)```", (ORIGIN / "README.md").read_text(), re.S)
FITTED = [block for block in BLOCKS if "model.fit" in block]
(ON_TRAINED,) = (block for block in BLOCKS if "model.fit" not in block)
MODES = ["changed import lines", "activate"]
TAGS = ["Grad CAM", "Activations Visualization", "VanillaGradients", "GradientsInputs", "Occlusion Sensitivity",
        "Grad CAM", "SmoothGrad", "IntegratedGradients"]  # fmt: skip


@pytest.fixture(params=MODES)
def adapted(request):
    """What has to be done to a script of tf-explain's: text -> text."""
    if request.param == "activate":
        activate()
        yield lambda script: script
        deactivate()
    else:
        yield lambda script: re.sub(r"^(from|import) tf_explain", r"\1 keras_actmaps.tf_explain", script, flags=re.M)


@pytest.fixture
def photograph(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with the cat of the examples, and their big networks made small."""
    monkeypatch.chdir(tmp_path)
    for path in (Path("cat.jpg"), Path("examples/core/cat.jpg")):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (50, 60, 3), "uint8"))
    monkeypatch.setattr(tf.keras.applications.vgg16, "VGG16", big_network)
    monkeypatch.setattr(tf.keras.applications.resnet50, "ResNet50", big_network)
    return tmp_path


def big_network(weights, include_top) -> keras.Model:
    """A small network in the shape of those of keras.applications, and with the layers that the examples name."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Conv2D(4, 8, strides=8, activation="relu", name="conv1_relu"),
            layers.Conv2D(4, 3, strides=2, activation="relu", name="block5_conv3"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1000, activation="softmax"),
        ]
    )


def names(adapted, script: str) -> dict:
    """What the examples of the README take for granted."""
    random = np.random.default_rng(0)
    images, labels = random.random((4, 16, 16, 3), "float32"), np.eye(2)[[0, 1, 1, 0]]
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.ReLU(name="activation_1"),
                              layers.Flatten(), layers.Dense(2, activation="softmax")])  # fmt: skip
    model.compile("adam", "categorical_crossentropy")
    return {"model": model, "x_train": images, "y_train": labels, "x_val": images, "y_val": labels}


def pictures(folder: Path) -> list[tuple[str, int, np.ndarray]]:
    """The tags, steps and decoded images in the event files below a folder."""
    (path,) = folder.glob("*/events.*")
    events = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    values = [
        (event.step, value) for event in map(tf.compat.v1.Event.FromString, events) for value in event.summary.value
    ]
    return [(value.tag, step, tf.image.decode_image(value.tensor.string_val[2]).numpy()) for step, value in values]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_the_core_api_run_as_written(photograph, adapted, path):
    script = photograph / path.name
    script.write_text(adapted(path.read_text()))
    scope = runpy.run_path(str(script), run_name="__main__")
    assert type(scope["explainer"]).__module__.startswith("keras_actmaps.tf_explain.core.")
    written = list(photograph.glob("*.png"))
    assert len(written) == (2 if path.stem == "occlusion_sensitivity" else 1)
    for one in written:
        image = cv2.imread(str(one))
        assert min(image.shape[:2]) > 50 and np.ptp(image) > 100


def test_the_quickstart_on_a_trained_model_runs_as_written(photograph, adapted):
    scope = {"tf": tf, "IMAGE_PATH": "cat.jpg"}
    exec(adapted("from tf_explain.core.grad_cam import GradCAM\n") + ON_TRAINED, scope)
    assert type(scope["explainer"]) is core.GradCAM
    assert cv2.imread("grad_cam.png").shape == (224, 224, 3)


@pytest.mark.parametrize("block, tag", list(zip(FITTED, TAGS, strict=True)), ids=range(len(TAGS)))
def test_the_callbacks_of_the_readme_write_for_tensorboard_in_fit_as_written(tmp_path, adapted, block, tag):
    scope = {**names(adapted, block), "output_dir": tmp_path}
    exec(adapted(block).replace("model = [...]\n", ""), scope)
    (callback,) = scope["callbacks"]
    assert type(callback).__module__.startswith("keras_actmaps.tf_explain.callbacks.")
    found = pictures(tmp_path)
    assert [(name, step) for name, step, _ in found] == [(tag, 0), (tag, 1)]
    (_, _, first), (_, _, last) = found
    assert first.shape[0] >= 32 and np.ptp(first) > 0 and first.dtype == np.uint8
    assert (first != last).any()  # of the weights of each moment


def test_a_callback_writes_what_its_explainer_gives(tmp_path):
    scope = names(None, "")
    callback = callbacks.VanillaGradientsCallback((scope["x_val"], None), 1, tmp_path)
    scope["model"].fit(scope["x_train"], scope["y_train"], verbose=0, callbacks=[callback])
    ((_, _, found),) = pictures(tmp_path)
    expected = core.VanillaGradients().explain((scope["x_val"], None), scope["model"], 1)
    np.testing.assert_array_equal(found[..., 0], expected)


class Ending(keras.Model):
    """A subclassed model that ends in a softmax of its own."""

    def __init__(self):
        super().__init__()
        self.head = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(2)])
        self.softmax = layers.Softmax()

    def call(self, images):
        return self.softmax(self.head(images))


@pytest.mark.parametrize("kind", ["fused softmax", "subclassed"])
@pytest.mark.parametrize("callback", [callbacks.VanillaGradientsCallback, callbacks.GradientsInputsCallback])
def test_how_a_model_ends_makes_no_difference_and_no_warning(tmp_path, callback, kind):
    scope = names(None, "")
    model = Ending() if kind == "subclassed" else scope["model"]
    model.compile("adam", "categorical_crossentropy")
    model(scope["x_val"])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Unsupported model architecture")
        watching = [callback((scope["x_val"], None), 0, tmp_path)]
        model.fit(scope["x_train"], scope["y_train"], verbose=0, callbacks=watching)
    ((tag, _, found),) = pictures(tmp_path)
    explainer = getattr(core, tag)()
    np.testing.assert_array_equal(found[..., 0], explainer.explain((scope["x_val"], None), model, 0))


def test_what_is_written_is_what_tensorflow_writes_with_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    for grid in (
        np.random.default_rng(0).integers(0, 256, (9, 14), "uint8"),
        np.random.default_rng(0).random((9, 14, 3)),
    ):
        for name in ("theirs", "ours"):
            with tf.summary.create_file_writer(str(tmp_path / str(grid.ndim) / name)).as_default():
                if name == "ours":
                    callbacks.writing.write("a tag", grid, 7)
                else:
                    tf.summary.image("a tag", grid.reshape(1, 9, 14, -1), step=7)
        records = [
            list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
            for path in sorted((tmp_path / str(grid.ndim)).glob("*/*"))
        ]
        ours_and_theirs = [tf.compat.v1.Event.FromString(one[1]) for one in records]
        assert len(records) == 2 and ours_and_theirs[0].summary == ours_and_theirs[1].summary


def test_compiled_once_in_all_epochs(tmp_path, monkeypatch):
    from keras_actmaps import backend

    made, compiled = [], backend.CompiledFunction
    monkeypatch.setattr(engine, "compiled", lambda *given: made.append(compiled(*given)) or made[-1])
    scope = names(None, "")
    given = {"validation_data": (scope["x_val"], None), "class_index": 0, "output_dir": tmp_path}
    both = [callbacks.GradCAMCallback(**given), callbacks.GradientsInputsCallback(**given)]
    scope["model"].fit(scope["x_train"], scope["y_train"], epochs=4, verbose=0, callbacks=both)
    assert [program.traces for program in made] == [1, 1]


@pytest.mark.parametrize("name", callbacks.__all__)
def test_compatible_reaches_the_explainer_of_each_callback(tmp_path, monkeypatch, name):
    seen = []
    explainers = [getattr(core, explainer) for explainer in core.__all__]
    for cls in explainers:
        for method in ("explain", "explain_score_model"):
            if hasattr(cls, method):
                monkeypatch.setattr(
                    cls, method, lambda self, *given, **more: seen.append(self.compatible) or np.zeros((4, 4))
                )
    more = {"OcclusionSensitivityCallback": {"class_index": 0, "patch_size": 4},
            "ActivationsVisualizationCallback": {"layers_name": []}}.get(name, {"class_index": 0})  # fmt: skip
    for compatible in (None, False, True):
        callback = getattr(callbacks, name)(None, output_dir=tmp_path, compatible=compatible, **more)
        callback.on_epoch_end(0)
    assert seen == [False, False, True]


def test_activate_reaches_all_modules_whenever_tf_explain_was_imported():
    before = {name: import_module(name) for name in switch.OWN}
    activate()
    try:
        for name, module in before.items():
            found = import_module(name)
            assert found is not module and found.__name__ == f"keras_actmaps.{name}"
            own = [each for each, value in vars(module).items() if getattr(value, "__module__", "") == name]
            assert all(hasattr(found, each) for each in own + [each for each in vars(module) if each.isupper()])
        assert tf_explain.core.GradCAM is tf_explain.core.grad_cam.GradCAM is core.GradCAM
        assert tf_explain.callbacks is callbacks and tf_explain.utils is ours.utils
        assert tf_explain.__version__ == ours.__version__ == "0.3.1"
        assert isinstance(core.GradCAM(), before["tf_explain.core.grad_cam"].GradCAM)
    finally:
        deactivate()
    assert {name: import_module(name) for name in switch.OWN} == before
    assert tf_explain.core is before["tf_explain.core"]


def test_activate_compatible_is_the_default_of_those_who_do_not_say_otherwise():
    assert not core.GradCAM().compatible
    activate(compatible=True)
    try:
        assert core.GradCAM().compatible and core.ExtractActivations(8).compatible
        assert not core.GradCAM(compatible=False).compatible
    finally:
        deactivate()
    assert not core.GradCAM().compatible and core.GradCAM(compatible=True).compatible


@pytest.mark.parametrize("options, compatible", [([], False), (["--compatible"], True)])
def test_a_script_runs_unchanged_from_the_command_line(tmp_path, monkeypatch, capsys, options, compatible):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, beside\nimport tf_explain\nfrom tf_explain.core.smoothgrad import SmoothGrad\n"
        "print(__name__, sys.argv[1:], SmoothGrad.__module__, SmoothGrad().compatible, beside.HERE)\n"
    )
    (tmp_path / "beside.py").write_text("HERE = 1\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["", *options, str(script), "--flag", "7"])
    try:
        runpy.run_module("keras_actmaps.tf_explain", run_name="__main__")
    finally:
        deactivate()
    said = capsys.readouterr().out
    assert said == f"__main__ ['--flag', '7'] keras_actmaps.tf_explain.core.smoothgrad {compatible} 1\n"
    sys.argv[1:] = ["no.py"]
    with pytest.raises(SystemExit, match=r"no script 'no.py'; python -m keras_actmaps.tf_explain"):
        runpy.run_module("keras_actmaps.tf_explain", run_name="__main__")
