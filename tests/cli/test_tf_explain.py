"""explain.py --engine tf-explain: maps and pictures of the original, and one line where it fails."""

import re
import sys

import cv2
import keras
import numpy as np
import pytest

from keras_actmaps import Explanation
from keras_actmaps.cli import tf_explain
from keras_actmaps.training.checkpoint_file import model_bytes
from keras_actmaps.training.run_folder import RunFolder

INDEX = [2, 0, 3]

pytest.importorskip("tf_explain")
if keras.backend.backend() != "tensorflow":
    pytest.skip("tf-explain is TensorFlow's", allow_module_level=True)


@pytest.fixture(scope="module")
def run(run, tmp_path_factory):
    """The untrained run, with shifted logits, so that not all images are of one class."""
    model = run.model()
    logits = np.concatenate([model.predict(images, verbose=0) for images, _ in run.data().test.as_numpy_iterator()])
    model.layers[-1].bias.assign(model.layers[-1].bias - logits.mean(0))
    folder = RunFolder(tmp_path_factory.mktemp("runs"), "drawn-grid")
    folder.begin(run.record, "")
    return folder.publish(model_bytes(model, folder.partial), [], {})


@pytest.fixture
def explain(run, tmp_path, explain_command):
    """The command explain --engine tf-explain on the untrained run, writing to tmp_path."""
    common = ("--run", run.path, "--output", tmp_path, "--index", *INDEX, "--engine", "tf-explain")
    return lambda *arguments: explain_command(*common, *arguments)


@pytest.fixture
def images(run):
    """The images of the index, and the outputs of the model for them."""
    images = np.concatenate([images for images, _ in run.data().test.as_numpy_iterator()])[INDEX]
    return images, run.model().predict(images, verbose=0)


def picture(tmp_path, method):
    return cv2.imread(str(tmp_path / f"tf-explain-{method}.png"), cv2.IMREAD_UNCHANGED)


def test_gradcam_at_a_layer_is_tf_explains_own(explain, run, images, tmp_path):
    from tf_explain.core.grad_cam import GradCAM

    (arrays, outputs), model = images, run.model()
    status, stdout, stderr = explain(
        "--method", "gradcam", "--layer", "features", "--target", 3, "-s", "use_guided_grads=False"
    )
    assert (status, stderr) == (0, "") and "drawn by tf-explain 0.3.1" in stdout
    e = Explanation.load(tmp_path / "tf-explain-gradcam.npz")
    cams = GradCAM.generate_ponderated_output(*GradCAM.get_gradients_and_filters(model, arrays, "features", 3, False))
    expected = [cv2.resize(cam.numpy(), (56, 56), interpolation=cv2.INTER_LINEAR) for cam in cams]
    np.testing.assert_allclose(e.maps, expected, atol=1e-6)
    np.testing.assert_allclose(e.scores, outputs[:, 3], rtol=1e-6)
    assert e.method == "tf-explain-gradcam" and e.layer == "features" and e.versions["tf-explain"] == "0.3.1"
    grid = GradCAM().explain((arrays, None), model, 3, layer_name="features", use_guided_grads=False)
    np.testing.assert_array_equal(picture(tmp_path, "gradcam")[..., ::-1], grid)
    assert (tmp_path / "original_image.png").exists()


def test_each_image_is_explained_for_its_own_predicted_class(explain, run, images, tmp_path):
    from tf_explain.core.vanilla_gradients import VanillaGradients

    (arrays, outputs), model = images, run.model()
    assert explain("--method", "saliency").status == 0
    e = Explanation.load(tmp_path / "tf-explain-saliency.npz")
    classes = outputs.argmax(1)
    assert len(set(classes)) > 1
    np.testing.assert_array_equal(e.targets, classes)
    pairs = zip(arrays[:, None], classes)
    gradients = [np.abs(VanillaGradients.compute_gradients(image, model, int(target))[0]) for image, target in pairs]
    np.testing.assert_allclose(e.maps, np.sum(gradients, -1), rtol=1e-5)


def test_all_that_work_are_drawn_and_the_others_are_named_with_their_reason(explain, tmp_path):
    status, stdout, _ = explain("--method", "all", "-s", "patch_size=14", "-s", "n_steps=3")
    assert status == 0
    assert "fails at gradcam with Keras 3" in stdout and "'Dense' object has no attribute 'output_shape'" in stdout
    written = {path.name for path in tmp_path.glob("tf-explain-*")}
    assert written == {
        f"tf-explain-{name}.{kind}" for name in tf_explain.METHODS if name != "gradcam" for kind in ("png", "npz")
    }
    assert Explanation.load(tmp_path / "tf-explain-occlusion.npz").settings == {"patch_size": 14}
    for name in tf_explain.METHODS.keys() - {"gradcam"}:
        assert picture(tmp_path, name).shape[:2] == (112, 112)
        assert np.isfinite(Explanation.load(tmp_path / f"tf-explain-{name}.npz").maps).all()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--method", "gradcam"], "gradcam with Keras 3.*AttributeError: .*'output_shape'; it may work with a --layer"),
        (["--method", "gradcam", "--layer", "conv9"], "fails at gradcam .*ValueError: No such layer: conv9"),
        (["--method", "lrp"], "no method 'lrp'; choices: gradcam, saliency, gradient_x_input, smoothgrad, integrated"),
        (["--target", "all"], "--target all: tf-explain explains one class at a time; pass one class"),
        (["--boxes", "otsu"], "--boxes is not for --engine tf-explain, which draws its own pictures"),
        (["--boxes", "0"], "--boxes is not for --engine tf-explain"),
        (["--compare"], "--compare is not for --engine tf-explain"),
        (["--metrics", "all"], "--metrics and --limit need --compare"),
        (
            ["--method", "smoothgrad", "-s", "samples=3"],
            "smoothgrad has no setting 'samples'; choices: noise, num_samp",
        ),
        (["--method", "smoothgrad", "-s", "num_samples=0"], "num_samples must be an integer >= 1 .*, got 0"),
    ],
)
def test_what_it_cannot_do_is_one_line(explain, tmp_path, arguments, words):
    status, _, stderr = explain(*arguments)
    assert status == 2 and stderr.count("\n") == 1 and not list(tmp_path.glob("tf-explain-*"))
    assert re.search(words, stderr)


def test_without_tf_explain_or_on_another_backend_one_line_says_so(explain, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_explain.core", None)
    status, _, stderr = explain("--method", "saliency")
    assert status == 2 and stderr.endswith("; pip install tf-explain\n") and stderr.count("\n") == 1
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    status, _, stderr = explain("--method", "saliency")
    expected = "explain.py: tf-explain needs TensorFlow, but Keras runs on jax; set KERAS_BACKEND=tensorflow\n"
    assert (status, stderr) == (2, expected)
