"""Some images of some classes on one page, to see what a data set is like."""

import io
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import fit
from mmaml.classification.datasets.splits import SPLITS
from mmaml.runs.errors import shortened
from mmaml.runs.files import write_atomically


TILE, GAP, LABEL = 64, 4, 190
"""Sizes in pixels: of an image, between images, and of the column of class names."""


def contact_sheet(image_set: ImageSet, path: Path, classes: int = 10, images: int = 8) -> None:
    """Write a PNG with up to `images` images of up to `classes` classes, taken evenly over all, and their names.

    Raises `UserError` if it cannot be written.
    """
    shown = np.unique(np.linspace(0, len(image_set.class_names) - 1, classes).round().astype(int))
    page = Image.new("RGB", (LABEL + images * (TILE + GAP) + GAP, len(shown) * (TILE + GAP) + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 10)
    for row, k in enumerate(shown):
        top = GAP + row * (TILE + GAP)
        name, split = image_set.class_names[k], SPLITS[image_set.class_split[k]]
        draw.text((GAP, top + 14), f"{shortened(name, 28)}\n{split}", fill="black", font=font)
        tiles = fit(image_set.images[np.flatnonzero(image_set.labels == k)[:images]], TILE, 3)
        for column, tile in enumerate(tiles):
            page.paste(Image.fromarray(tile), (LABEL + column * (TILE + GAP), top))
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
