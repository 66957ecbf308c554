"""Small pictures for a page, of whatever a column has: files of images, or their pixels."""

from __future__ import annotations

import base64
import io
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from lq_spark.report.parts import Picture

SIZE = 96
"""Pixels of the longer side, at most."""

_LOSSY_FROM = 32 * 32
"""Pixels from which a photograph is kept with losses: a drawing of a few is small as it is."""


def picture(value: Any, text: str) -> Picture | str:
    """Return the picture of a value, or why there is none.

    Parameters
    ----------
    value : bytes, mapping or nested sequence of numbers
        A file of an image (PNG, JPEG, …); a mapping with one as ``bytes``; or pixels: height by
        width, with 1, 3 or 4 channels or none, or those of a square image one after the other.
        Fractions, numbers beyond 0..255 and whole numbers all below 33 are stretched to black and
        white.
    text : str
        What it shows.
    """
    from PIL import Image

    if isinstance(value, Mapping):
        value = value.get("bytes")
    if value is None:
        return "no image"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image
            if isinstance(value, (bytes, bytearray, memoryview)):
                image = Image.open(io.BytesIO(bytes(value)))
            else:
                image = Image.fromarray(_pixels(value))
            image.thumbnail((SIZE, SIZE))
            kind = "JPEG" if image.mode == "RGB" and math.prod(image.size) > _LOSSY_FROM else "PNG"
            if image.mode not in ("L", "RGB", "RGBA"):
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            written = io.BytesIO()
            image.save(written, kind)
    except (OSError, ValueError, TypeError, SyntaxError, Warning, Image.DecompressionBombError):
        return "not an image"
    data = base64.b64encode(written.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind.lower()};base64,{data}", text)


def _pixels(value: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return pixels as an array of bytes, height by width, perhaps by channels.

    Raises ValueError, TypeError if they are none.
    """
    pixels = np.asarray(value, dtype=np.float64)
    if pixels.ndim == 1:
        channels = next(
            (c for c in (1, 3) if len(pixels) % c == 0 and _is_square(len(pixels) // c)), 0
        )
        if not channels:
            raise ValueError("no square")
        side = math.isqrt(len(pixels) // channels)
        pixels = pixels.reshape(side, side, channels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    is_coloured = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if not pixels.size or not (pixels.ndim == 2 or is_coloured):
        raise ValueError("no image")
    pixels = np.nan_to_num(pixels, posinf=0.0, neginf=0.0)
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 255 or high <= 32 or (pixels % 1).any():
        low = min(low, 0.0)
        pixels = (pixels - low) * (255.0 / ((high - low) or 1.0))
    return pixels.astype(np.uint8)


def _is_square(n: int) -> bool:
    return n > 0 and math.isqrt(n) ** 2 == n
