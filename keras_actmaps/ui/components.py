"""The parts of the page that are drawn in the browser, and the numbers that they get."""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from keras_actmaps import render
from keras_actmaps.core.types import Array

ASSETS = Path(__file__).with_name("assets")
COLORMAPS = ("turbo", "viridis", "cividis", "magma", "inferno", "gray", "RdBu_r")
LARGEST = 32767


@cache
def _component(name: str) -> Any:
    script = (ASSETS / f"{name}.js").read_text(encoding="utf-8")
    shared = (ASSETS / "drawing.js").read_text(encoding="utf-8")
    return st.components.v2.component(
        f"actmaps_{name}", css=(ASSETS / "style.css").read_text(encoding="utf-8"), js=f"{shared}\n{script}"
    )


def mount(name: str, key: str, data: dict[str, Any], *, values: tuple[str, ...] = (), width: Any = "stretch") -> Any:
    """Show a component; its result has the attributes `values`."""
    callbacks = {f"on_{value}_change": _nothing for value in values}
    return _component(name)(key=key, data=data, width=width, **callbacks)


def _nothing() -> None:
    """A callback: the values are read from the result."""


def as_png(pixels: Array) -> str:
    """uint8 pixels (H, W, 1 or 3) as the address of a picture that contains it."""
    buffer = io.BytesIO()
    image = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def as_numbers(values: Array) -> dict[str, Any]:
    """A map (H, W) as 16-bit integers and the value of the largest: exact to 1.5e-5 of the largest magnitude."""
    largest = float(np.abs(values).max(initial=0.0))
    integers = np.rint(values.astype("float64") * (LARGEST / (largest or 1.0))).astype("<i2")
    return {
        "height": values.shape[0],
        "width": values.shape[1],
        "largest": largest,
        "values": base64.b64encode(integers.tobytes()).decode(),
    }


def chart(
    key: str, lines: Mapping[str, Array], x: str, y: str, ticks: Sequence[tuple[float, str]] | None = None
) -> None:
    """Curves of values 0 to 1 with the same number of points, over shares 0 to 1 unless there are other `ticks`."""
    rows = [{"name": name, "values": [round(float(value), 5) for value in values]} for name, values in lines.items()]
    ticks = ticks or [(tick / 4, f"{tick / 4:g}") for tick in range(5)]
    mount("chart", f"chart-{key}", {"lines": rows, "x": x, "y": y, "ticks": [list(tick) for tick in ticks]})


@cache
def colormaps() -> dict[str, str]:
    """The colors of each color map: 256 RGB triples in base64."""
    ramp = np.arange(256) / 255
    return {name: base64.b64encode(render.colorize(ramp, name).tobytes()).decode() for name in COLORMAPS}


def decode_address(address: str) -> bytes:
    """The content of a `data:` address; empty if it is none."""
    head, _, body = address.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        return b""
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return b""
