"""Guided Grad-CAM: guided backpropagation where Grad-CAM is."""

from keras_actmaps import engine
from keras_actmaps.methods.gradcam import gradcam
from keras_actmaps.methods.guided_backprop import guided_backprop
from keras_actmaps.methods.kinds import check_channels, many_passes, of_layer, one_layer, reduced
from keras_actmaps.resize import resize
from keras_actmaps.rules.backward import guided, with_relu


def _check(probe, images, *, channels):
    one_layer(probe, "guided_gradcam")
    check_channels(channels)
    with_relu(probe.graph, guided, probe.name, "guided_gradcam")


@of_layer
@many_passes(_check)
def guided_gradcam(probe, images, targets, *, channels="sum"):
    """Guided backpropagation times Grad-CAM, brought to the size of the image (Selvaraju et al. 2017, section 3.2).

    G = guided_backprop * resize(gradcam), bilinear. images (N,H,W,C) -> (N,H,W).

    channels: "sum", "max" of the absolute values, or "keep". Raises ValueError for a model without ReLU.
    Cost: 2 forward and backward passes.
    Fails: as guided backpropagation inside the region of Grad-CAM; fine edges, hardly more about the class.
    """
    edges = engine.to_numpy(probe.ask(guided_backprop.program, images, targets, channels="keep")[0])
    region = engine.to_numpy(probe.ask(gradcam.program, images, targets)[0])
    return engine.to_numpy(reduced(edges * resize(region, images.shape[1:-1])[..., None], channels))
