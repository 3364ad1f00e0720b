"""Grids become images in TensorFlow's event files."""

import inspect

import tensorflow as tf

METADATA = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "images"})


class GridCallback:
    """What writes its `grid()` under its `tag` when an epoch ends.

    It takes what tf-explain's own callback takes, and `compatible` as its explainer does.
    """

    def __init_subclass__(cls):
        own = inspect.signature(super().__init__)
        more = inspect.Parameter("compatible", inspect.Parameter.KEYWORD_ONLY, default=None)
        cls.__signature__ = own.replace(parameters=[*list(own.parameters.values())[1:], more])

    def __init__(self, *args, compatible: bool | None = None, **settings):
        super().__init__(*args, **settings)
        self.compatible = compatible

    def on_epoch_end(self, epoch, logs=None):
        """Write the grid of the weights of this moment."""
        with self.file_writer.as_default():
            write(self.tag, self.grid(), epoch)


def write(tag: str, grid, step: int) -> None:
    """What `tf.summary.image` writes of one grid, (H,W) or (H,W,3); it does so only where TensorBoard is installed."""
    image = tf.image.convert_image_dtype(grid, tf.uint8, saturate=True)
    image = image if len(image.shape) == 3 else image[..., None]
    height, width, _ = map(str, image.shape)
    tf.summary.write(tag, tf.stack([width, height, tf.image.encode_png(image)]), step, METADATA)
