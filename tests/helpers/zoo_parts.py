"""Parts and networks of the kinds of model in zoo.py."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L
from keras import ops

from helpers.tensors import outside_keras

IMAGE = (8, 12, 3)


def body(activation: Any = "relu", **options: Any) -> list:
    """Convolution, pooling, convolution."""
    return [
        L.Conv2D(4, 3, padding="same", activation=activation, **options),
        L.MaxPooling2D(2, **{name: value for name, value in options.items() if name == "data_format"}),
        L.Conv2D(5, 3, padding="same", activation=activation, **options),
    ]


def head(classes: int = 3, activation: Any = None, **options: Any) -> list:
    """Global average pooling and a linear layer."""
    of_dense = {name: value for name, value in options.items() if name != "data_format"}
    return [L.GlobalAveragePooling2D(**options), L.Dense(classes, activation=activation, **of_dense)]


def classify(*top: Any, classes: int = 3, activation: Any = None, shape: tuple = IMAGE, **options: Any) -> keras.Model:
    """A Sequential classifier of images."""
    return keras.Sequential([keras.Input(shape), *body(**options), *head(classes, activation, **options), *top])


def functional(top: Callable | None = None, classes: int = 3) -> keras.Model:
    """The same as a functional model."""
    inputs = x = keras.Input(IMAGE)
    for layer in [*body(), *head(classes)]:
        x = layer(x)
    return keras.Model(inputs, x if top is None else top(x))


def nested() -> keras.Model:
    """The same with the convolutions in a model of their own."""
    backbone = keras.Sequential([keras.Input(IMAGE), *body()], name="backbone")
    inputs = keras.Input(IMAGE)
    pooled, dense = head()
    return keras.Model(inputs, dense(pooled(backbone(inputs))))


class Subclassed(keras.Model):
    """The same as a subclassed model of Keras layers."""

    def __init__(self, top: str | None = None):
        super().__init__()
        self.parts = [*body(), *head(3, top)]

    def call(self, images):
        for part in self.parts:
            images = part(images)
        return images


class Opaque(Subclassed):
    """The same with operations outside Keras."""

    def call(self, images):
        return outside_keras(super().call(outside_keras(images)))


class Unsized(Subclassed):
    """The same with sizes that are known at run time only."""

    def call(self, images):
        images = ops.reshape(images, (ops.shape(images)[0], *IMAGE))
        if images.shape[-1] == 3:
            images = super().call(images)
        return images


class OwnSoftmax(L.Layer):
    def call(self, inputs):
        return ops.softmax(inputs)


def repeated(is_shared: bool) -> keras.Model:
    """A convolution that is called twice, or two convolutions."""
    inputs = keras.Input(IMAGE)
    first = L.Conv2D(4, 3, padding="same", activation="relu")
    again = [L.Conv2D(4, 3, padding="same", activation="relu") for _ in range(2)]
    x = again[0](first(inputs))
    x = again[0 if is_shared else 1](x)
    for layer in head():
        x = layer(x)
    return keras.Model(inputs, x)


def normalization(*, plain: bool = False) -> L.Layer:
    """Normalization by known statistics, or the same as an operation."""
    mean, variance = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    if plain:
        return L.Lambda(lambda x: (x * 2 - 1 - ops.convert_to_tensor(mean)) / ops.sqrt(ops.convert_to_tensor(variance)))
    return L.Normalization(mean=mean, variance=variance)


def residual() -> keras.Model:
    inputs = keras.Input(IMAGE)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(inputs)))
    branch = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(x))
    x = L.AveragePooling2D(2)(L.ReLU()(L.Add()([x, branch])))
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def concatenated() -> keras.Model:
    inputs = x = keras.Input(IMAGE)
    for _ in range(2):
        x = L.Concatenate()([x, L.Conv2D(3, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))])
    pooled, dense = head()
    return keras.Model(inputs, dense(pooled(L.ReLU()(x))))


def mobile() -> keras.Model:
    """Depthwise and separable convolutions with ReLU6 and batch normalization."""
    inputs = keras.Input(IMAGE)
    x = L.Conv2D(4, 3, 2, padding="same", use_bias=False)(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization()(x))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
    x = L.SeparableConv2D(6, 3, padding="same", activation="relu")(x)
    pooled, dense = head()
    return keras.Model(inputs, dense(pooled(x)))


def gated() -> keras.Model:
    """A gate on the channels by squeeze and excitation."""
    inputs = x = keras.Input(IMAGE)
    for layer in body():
        x = layer(x)
    gate = L.Dense(5, "sigmoid")(L.Dense(2, "relu")(L.GlobalAveragePooling2D(keepdims=True)(x)))
    pooled, dense = head()
    return keras.Model(inputs, dense(pooled(L.Multiply()([x, gate]))))


def next_like() -> keras.Model:
    """A block of ConvNeXt: depthwise convolution, layer normalization, GELU, a residual."""
    inputs = keras.Input(IMAGE)
    x = L.LayerNormalization()(L.Conv2D(4, 2, 2)(inputs))
    branch = L.LayerNormalization()(L.DepthwiseConv2D(3, padding="same")(x))
    x = L.Add()([x, L.Dense(4)(L.Dense(8, "gelu")(branch))])
    return keras.Model(inputs, L.Dense(3)(L.LayerNormalization()(L.GlobalAveragePooling2D()(x))))


def rectified() -> keras.Model:
    stack = [L.Conv2D(4, 3), L.PReLU(shared_axes=[1, 2]), L.Conv2D(4, 3, padding="same"), L.LeakyReLU(0.2)]
    return keras.Sequential([keras.Input(IMAGE), *stack, L.Conv2D(5, 3), L.ReLU(6.0), *head()])


def vision_transformer() -> keras.Model:
    """Patches with positions, a class token, one block of attention, and a linear layer on the class token."""
    inputs = keras.Input(IMAGE)
    x = L.Reshape((6, 8))(L.Conv2D(8, 4, 4)(inputs))
    x = Tokens()(x)
    x = attention_block(x, 8)
    return keras.Model(inputs, L.Dense(3)(L.LayerNormalization()(x)[:, 0]))


class Tokens(L.Layer):
    """A class token before the patches, and learned positions."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token", initializer="random_normal")
        self.positions = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="positions", initializer="normal")

    def call(self, x):
        first = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([first, x], axis=1) + self.positions


def attention_block(x: Any, width: int) -> Any:
    normalized = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, width // 2)(normalized, normalized)])
    return L.Add()([x, L.Dense(width)(L.Dense(2 * width, "gelu")(L.LayerNormalization()(x)))])


def transformer() -> keras.Model:
    """A block of attention on a series."""
    inputs = keras.Input((7, 6))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(attention_block(inputs, 6))))


def functional_table() -> keras.Model:
    inputs = x = keras.Input((6,))
    for layer in (L.Dense(8), L.ReLU(), L.Dense(5), L.ReLU(), L.Dense(3)):
        x = layer(x)
    return keras.Model(inputs, x)


def recurrent(*stack: Any) -> keras.Model:
    return keras.Sequential([keras.Input((7, 2)), *stack, L.Dense(3)])


def low_rank() -> keras.Model:
    return keras.Sequential([keras.Input(IMAGE), *body(), L.GlobalAveragePooling2D(), L.Dense(5, "relu"), L.Dense(3)])


def embedded() -> keras.Model:
    stack = [L.Embedding(20, 6), L.Dense(5, "relu"), L.GlobalAveragePooling1D(), L.Dense(3)]
    return keras.Sequential([keras.Input((7,), dtype="int32"), *stack])


def read(*body: Any) -> keras.Model:
    """Token ids with masked padding, an embedding, and other layers."""
    return keras.Sequential([keras.Input((7,), dtype="int32"), L.Embedding(20, 6, mask_zero=True), *body, L.Dense(3)])


def attended() -> keras.Model:
    """Token ids with masked padding, and a block of attention."""
    ids = keras.Input((7,), dtype="int32")
    x = L.Embedding(20, 6, mask_zero=True)(ids)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))
    return keras.Model(ids, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def read_with_segments() -> keras.Model:
    """Token ids, a mask and segments by name, as BERT takes them; the mean of the words that are not padding."""
    ids, mask, segments = (
        keras.Input((7,), dtype="int32", name=name) for name in ("token_ids", "padding_mask", "segment_ids")
    )
    x = L.Add()([L.Embedding(20, 6)(ids), L.Embedding(2, 6)(segments)])
    x = L.GlobalAveragePooling1D()(L.Dense(5, "relu")(x), mask=ops.cast(mask, "bool"))
    return keras.Model({"token_ids": ids, "padding_mask": mask, "segment_ids": segments}, L.Dense(3)(x))


def siamese() -> keras.Model:
    """The distance of the embeddings of two images."""
    first, second = keras.Input(IMAGE, name="first"), keras.Input(IMAGE, name="second")
    encoder = keras.Sequential([keras.Input(IMAGE), *body(), *head(4)], name="encoder")
    return keras.Model([first, second], L.Dense(1)(ops.square(encoder(first) - encoder(second))))


def image_and_table(is_named: bool = False) -> keras.Model:
    picture, row = keras.Input(IMAGE, name="picture"), keras.Input((5,), name="row")
    x = picture
    for layer in [*body(), L.GlobalAveragePooling2D()]:
        x = layer(x)
    outputs = L.Dense(3)(L.Concatenate()([x, L.Dense(4, "relu")(row)]))
    return keras.Model({"picture": picture, "row": row} if is_named else [picture, row], outputs)


def unet() -> keras.Model:
    inputs = keras.Input(IMAGE)
    early = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = L.Conv2D(6, 3, padding="same", activation="relu")(L.MaxPooling2D()(early))
    x = L.Concatenate()([L.UpSampling2D()(x), early])
    return keras.Model(inputs, L.Conv2D(2, 1)(L.Conv2D(4, 3, padding="same", activation="relu")(x)))


def autoencoder() -> keras.Model:
    stack = [L.Flatten(), L.Dense(10, "relu"), L.Dense(int(np.prod(IMAGE))), L.Reshape(IMAGE)]
    return keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3, 2, padding="same", activation="relu"), *stack])


def detector() -> keras.Model:
    """Classes (6, 3) and boxes (6, 4) of one anchor at each position of a grid of 2 x 3."""
    inputs = x = keras.Input(IMAGE)
    for layer in [*body(), L.MaxPooling2D()]:
        x = layer(x)
    found = {name: L.Reshape((6, size))(L.Conv2D(size, 3, padding="same")(x)) for name, size in
             (("boxes", 4), ("classes", 3))}  # fmt: skip
    return keras.Model(inputs, found)


def quantized(model: keras.Model) -> keras.Model:
    model.quantize("int8")
    return model


def adapted(model: keras.Model) -> keras.Model:
    """The model with a low-rank update of its second Dense layer from the end."""
    layer = model.layers[-2]
    layer.enable_lora(2)
    random = np.random.default_rng(5)
    for weight in (layer.lora_kernel_a, layer.lora_kernel_b):
        weight.assign(random.normal(0, 0.5, weight.shape))
    return model


def merged(weights: list) -> list:
    """The weights of `adapted` with the low-rank update added to its kernel."""
    *before, kernel, bias, a, b, last_kernel, last_bias = weights
    return [*before, kernel + a @ b, bias, last_kernel, last_bias]


def predictions(model: keras.Model) -> Any:
    """A plain function from images to scores."""
    return lambda images: model.predict(images, verbose=0)


def torch_module() -> Any:
    """Convolution, ReLU, pooling and a linear layer in PyTorch."""
    import torch

    torch.manual_seed(0)
    stack = [torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    stack += [torch.nn.Conv2d(4, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)]
    return torch.nn.Sequential(*stack, torch.nn.Flatten(), torch.nn.Linear(5, 3)).eval()
