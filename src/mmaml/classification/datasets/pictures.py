"""Picture files of any kind, and arrays of any size, to arrays of one shape."""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from mmaml.classification.datasets.archive import read_file
from mmaml.runs.errors import Note, UserError


# Large scans are nothing to fear; what is twice as large as this warns of is refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

LARGEST_SIDE = 1024
"""Images in a data set have no more pixels a side."""

FEWEST_BITS = 12
"""What gray pictures with more than 8 bits have at least."""


def bits_of(images: Iterable[Any]) -> int:
    """How many bits gray pictures with more than 8 are taken to have: 12 if no pixel of any is above 4095, else 16.

    `images` are such as `as_picture` takes. Only together do they show it: one may be dark. What cannot be read is
    passed over.
    """
    return max((_bits(image) for image in images), default=FEWEST_BITS)


def as_picture(image: Any, side: int, channels: int, bits: int) -> UInt8[np.ndarray, "side side channels"]:
    """One picture of those with `bits`, squashed to `side` × `side`, as `decode` does it.

    `image` is a file's path, a Pillow image, or a uint8 array of the shape `(height, width)`, or `(height, width,
    channels)` with 1 or 3 channels. Raises `ValueError` for other arrays and for pictures whose numbers have no known
    range, `UserError` for files that cannot be read.
    """
    if isinstance(image, str | Path):
        return decode(read_file(Path(image)), side, channels, str(image), bits)
    if isinstance(image, Image.Image):
        return _to_array(_to_eight_bits(image, bits), side, channels)
    array = np.asarray(image)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise ValueError(
            f"an image is {array.dtype} of the shape {array.shape}; it must be the path of a picture, a Pillow image, "
            "or uint8 of the shape (height, width), or (height, width, channels) with 1 or 3 channels."
        )
    return fit(array[None], side, channels)[0]


def decode(data: bytes, side: int, channels: int, name: str, bits: int = 16) -> UInt8[np.ndarray, "side side channels"]:
    """The picture in `data`, squashed to `side` × `side` (Lanczos), gray if `channels` is 1 and RGB if it is 3.

    The picture is turned as its EXIF tag says, transparency shows white, and gray of more than 8 bits
    is taken to have `bits`.

    Raises `UserError` that gives `name` if it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _to_array(_to_eight_bits(image, bits), side, channels)
    except Exception as error:  # a damaged picture can make its decoder raise almost anything
        raise UserError(
            f"{name} cannot be read as a picture: {_reason(error)}. Replace the file, or remove it if it is not needed."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "it has more than 178 million pixels, scale it down"
    return "its format is unknown" if isinstance(error, UnidentifiedImageError) else str(error).rstrip(".")


def fit(images: UInt8[np.ndarray, "n h w c"], side: int, channels: int) -> UInt8[np.ndarray, "n side side channels"]:
    """Images squashed to `side` × `side` (Lanczos) with `channels` 1 or 3; themselves if they are so already."""
    if images.shape[1:] == (side, side, channels):
        return images
    fitted = np.empty((len(images), side, side, channels), np.uint8)
    for image, place in zip(images, fitted, strict=True):
        place[:] = _to_array(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), side, channels)
    return fitted


def _bits(image: Any) -> int:
    if isinstance(image, str | Path):
        try:
            with Image.open(image) as opened:
                return _bits(opened)
        except Exception:  # `decode` says what is wrong with it
            return FEWEST_BITS
    deep = isinstance(image, Image.Image) and image.mode.startswith("I")
    return 16 if deep and np.asarray(image).max(initial=0) > 4095 else FEWEST_BITS


def _to_eight_bits(image: Image.Image, bits: int) -> Image.Image:
    if getattr(image, "n_frames", 1) > 1:
        warnings.warn("some pictures have several pages or frames; the first of each is taken.", Note, stacklevel=2)
    image = ImageOps.exif_transpose(image)
    if image.mode in ("F", "I"):
        raise ValueError("what is black in it and what white is not known; save it with 8 or 16 bits for each pixel")
    if image.mode.startswith("I"):  # 16-bit gray, which convert("L") would clip
        gray = np.asarray(image) >> (bits - 8)
        if gray.max(initial=0) > 255:
            message = f"some gray pictures are brighter than {bits} bits can tell, which all were taken to have"
            warnings.warn(f"{message}: what is beyond is shown white.", Note, stacklevel=2)
        return Image.fromarray(np.minimum(gray, 255).astype(np.uint8))
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image


def _to_array(image: Image.Image, side: int, channels: int) -> UInt8[np.ndarray, "side side channels"]:
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(side, side, channels)
