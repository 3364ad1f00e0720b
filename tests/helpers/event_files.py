"""TensorBoard's event files, read by TensorBoard's own reader."""

import cv2
import numpy as np
import pytest


def read_events(folder):
    """TensorBoard's reader of a folder, with all events loaded."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    everything = dict.fromkeys(("images", "histograms", "scalars"), 0)
    return module.EventAccumulator(str(folder), everything).Reload()


def decode(image):
    """An image event as BGR pixels, as OpenCV reads a file."""
    return cv2.imdecode(np.frombuffer(image.encoded_image_string, "uint8"), cv2.IMREAD_COLOR)


def read_images(folder):
    """(tag, step, RGB pixels) of all images in a folder."""
    reader = read_events(folder)
    return [
        (tag, image.step, decode(image)[..., ::-1]) for tag in reader.Tags()["images"] for image in reader.Images(tag)
    ]
