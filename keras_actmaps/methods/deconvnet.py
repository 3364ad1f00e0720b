"""DeconvNet: the gradient at the image, through ReLUs that pass positive gradients only, on or off."""

from keras_actmaps.methods.kinds import compiled, reduced
from keras_actmaps.rules.backward import deconvnet as positive
from keras_actmaps.rules.backward import with_relu


@compiled
def deconvnet(probe, images, targets, *, channels="sum"):
    """What comes back through the network when each ReLU is run on the gradient (Zeiler & Fergus 2014, section 2.1).

    R_l = 1[R_l+1 > 0] R_l+1 at each ReLU, whether it was on or off. images (N,H,W,C) -> (N,H,W).

    What counts as ReLU and the channels: as for guided_backprop. Raises ValueError for a model without ReLU.
    Cost: 1 forward and backward pass.
    Fails: without max pooling it hardly depends on the image, and it is much the same for every class.
    """
    steps = with_relu(probe.need_graph(), positive, probe.name, "deconvnet")
    return reduced(probe.gradients(images, targets, steps), channels)
