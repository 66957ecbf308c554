"""Small pictures for a page, of whatever a column has: files of images, or their pixels."""

from __future__ import annotations

import base64
import colorsys
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lq_spark.report.parts import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

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
    found = sized_picture(value, text)
    return found if isinstance(found, str) else found[0]


def sized_picture(
    value: Any, text: str, longest: int = SIZE
) -> tuple[Picture, tuple[int, int]] | str:
    """Return the picture of a value and its width and height before it was made small.

    Parameters
    ----------
    value, text
        As for :func:`picture`.
    longest : int
        Pixels of the longer side of the picture, at most.
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
            size = image.size
            image.thumbnail((longest, longest))
            if image.mode not in ("L", "RGB", "RGBA"):
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            if longest > SIZE:  # without losses it may be large
                image = _on_white(image)
            kind = "JPEG" if image.mode == "RGB" and math.prod(image.size) > _LOSSY_FROM else "PNG"
            return Picture(_address(image, kind), text), size
    except (OSError, ValueError, TypeError, SyntaxError, Warning, Image.DecompressionBombError):
        return "not an image"


def class_picture(
    classes: NDArray[np.integer], colours: Sequence[tuple[int, int, int]], text: str
) -> Picture:
    """Return a picture of the class of each pixel, in as many colours.

    Parameters
    ----------
    classes : ndarray of int, shape (H, W)
        Class indices; pixels of others, such as -1, are see-through.
    colours : sequence of (int, int, int)
        Red, green and blue of each class.
    text : str
        What it shows.
    """
    from PIL import Image

    known = (classes >= 0) & (classes < len(colours))
    table = np.array([*colours, (0, 0, 0)], dtype=np.uint8)
    pixels = np.zeros((*classes.shape, 4), dtype=np.uint8)
    pixels[..., :3] = table[np.where(known, classes, len(colours))]
    pixels[..., 3] = np.where(known, 255, 0)
    return Picture(_address(Image.fromarray(pixels), "PNG"), text)


def class_colour(k: int) -> tuple[int, int, int]:
    """Return the colour of a class: those of neighbours are far apart.

    >>> class_colour(0) != class_colour(1)
    True
    """
    lightness = (0.45, 0.62, 0.36)[k % 3]
    rgb = colorsys.hls_to_rgb((0.58 + 0.618034 * k) % 1.0, lightness, 0.65)
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue


def _on_white(image: Image) -> Image:
    from PIL import Image as Images

    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Images.new("RGBA", image.size, "white")
    return Images.alpha_composite(white, image).convert("RGB")


def _address(image: Image, kind: str) -> str:
    written = io.BytesIO()
    image.save(written, kind)
    data = base64.b64encode(written.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{data}"


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
