"""The calls that tf-explain documents, as scripts with changed import lines, and unchanged after activate()."""

import re
import runpy

import cv2
import keras
import numpy as np
import pytest
from helpers.event_files import read_images
from keras import layers

from keras_actmaps.tf_explain import activate, deactivate

EXPLAINERS = {  # module: class and the arguments after the data and the model
    "activations": ("ExtractActivations", "layers_name=['target_layer']"),
    "gradients_inputs": ("GradientsInputs", "class_index=2"),
    "grad_cam": ("GradCAM", "class_index=2, layer_name='target_layer'"),
    "integrated_gradients": ("IntegratedGradients", "class_index=2, n_steps=15"),
    "occlusion_sensitivity": ("OcclusionSensitivity", "class_index=2, patch_size=8"),
    "smoothgrad": ("SmoothGrad", "class_index=2, num_samples=20, noise=1.0"),
    "vanilla_gradients": ("VanillaGradients", "class_index=2"),
}
CALLBACKS = {  # module: class, the arguments after the data, and the tag in TensorBoard
    "activations_visualization": (
        "ActivationsVisualizationCallback",
        "layers_name=['target_layer']",
        "Activations Visualization",
    ),
    "grad_cam": ("GradCAMCallback", "layer_name='target_layer', class_index=0", "Grad CAM"),
    "gradients_inputs": ("GradientsInputsCallback", "class_index=0", "GradientsInputs"),
    "integrated_gradients": ("IntegratedGradientsCallback", "class_index=0, n_steps=20", "IntegratedGradients"),
    "occlusion_sensitivity": ("OcclusionSensitivityCallback", "class_index=0, patch_size=4", "Occlusion Sensitivity"),
    "smoothgrad": ("SmoothGradCallback", "class_index=0, num_samples=20, noise=1.0", "SmoothGrad"),
    "vanilla_gradients": ("VanillaGradientsCallback", "class_index=0", "VanillaGradients"),
}
EXPLAINER_SCRIPT = """
import sys
import tensorflow as tf
from tf_explain.core.{module} import {name}

model = tf.keras.models.load_model("model.keras")
image = tf.keras.preprocessing.image.load_img("photograph.png", target_size=(48, 64))
data = ([tf.keras.preprocessing.image.img_to_array(image)], None)
explainer = {name}()
grid = explainer.explain(data, model, {arguments})
explainer.save(grid, "pictures", "{module}.png")
"""
CALLBACK_SCRIPT = """
import numpy as np
import tensorflow as tf
from tf_explain.callbacks.{module} import {name}

model = tf.keras.models.load_model("model.keras")
model.compile(optimizer="adam", loss="categorical_crossentropy")
rng = np.random.default_rng(0)
x, y = rng.random((4, 48, 64, 3), "float32"), np.eye(3)[[0, 1, 1, 2]]
callback = {name}(validation_data=(x, y), {arguments}, output_dir="logs")
model.fit(x, y, batch_size=2, epochs=2, callbacks=[callback], verbose=0)
"""


@pytest.fixture(params=["changed import lines", "activate"])
def adapt(request):
    """What turns a script for tf-explain into one for this package."""
    if request.param == "activate":
        activate()
        yield lambda script: script
        deactivate()
    else:
        yield lambda script: re.sub(r"^(from|import) tf_explain", r"\1 keras_actmaps.tf_explain", script, flags=re.M)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of the scripts, with a model and a photograph."""
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    parts = [
        keras.Input((48, 64, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 5, strides=4, activation="relu", name="target_layer"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]
    keras.Sequential(parts).save("model.keras")
    cv2.imwrite("photograph.png", np.random.default_rng(0).integers(0, 256, (50, 60, 3), "uint8"))
    return tmp_path


@pytest.mark.parametrize("module", EXPLAINERS)
def test_a_script_with_an_explainer(folder, adapt, module):
    name, arguments = EXPLAINERS[module]
    (folder / "script.py").write_text(adapt(EXPLAINER_SCRIPT.format(module=module, name=name, arguments=arguments)))
    scope = runpy.run_path("script.py", run_name="__main__")
    assert type(scope["explainer"]).__module__ == f"keras_actmaps.tf_explain.core.{module}"
    picture = cv2.imread(str(folder / "pictures" / f"{module}.png"), cv2.IMREAD_UNCHANGED)
    is_colored = name in ("GradCAM", "OcclusionSensitivity")
    size = (2 * 11, 2 * 15) if name == "ExtractActivations" else (48, 64)  # a grid of 4 channels
    assert picture.shape == (*size, 3) if is_colored else picture.shape == size
    assert np.ptp(picture) > 100


@pytest.mark.parametrize("module", CALLBACKS)
def test_a_script_with_a_callback(folder, adapt, module):
    name, arguments, tag = CALLBACKS[module]
    (folder / "script.py").write_text(adapt(CALLBACK_SCRIPT.format(module=module, name=name, arguments=arguments)))
    scope = runpy.run_path("script.py", run_name="__main__")
    assert type(scope["callback"]).__module__ == f"keras_actmaps.tf_explain.callbacks.{module}"
    (log,) = (folder / "logs").iterdir()
    images = read_images(log)
    assert [(found, step) for found, step, _ in images] == [(tag, 0), (tag, 1)]
    first, last = (picture for _, _, picture in images)
    assert first.shape[0] >= 22 and np.ptp(first) > 0
    assert (first != last).any()  # the weights of each moment
