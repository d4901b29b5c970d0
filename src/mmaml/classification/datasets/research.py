"""Research packs: `.npz` files with `images`, `labels`, `class_names` and one or more splits of the classes."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from mmaml.classification.datasets.pack import ImageSet
from mmaml.runs.errors import UserError


def read_research_pack(path: Path, name: str = "", split: str = "class_split") -> ImageSet:
    """Read a pack into memory. `split` is the key of its split; the set's name is the file's if `name` is empty.

    Raises `UserError` if the file is damaged, or lacks something.
    """
    try:
        with open(path, "rb") as opened, np.load(opened) as file:
            if missing := [key for key in ("images", "labels", "class_names", split) if key not in file]:
                raise UserError(f"{path} lacks {', '.join(missing)}; it has {', '.join(file)}.")
            images = file["images"]
            return ImageSet(
                name or path.stem,
                images[..., None] if images.ndim == 3 else images,
                file["labels"].astype(np.int32),
                tuple(file["class_names"].tolist()),
                file[split],
            )
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read as a research pack: {error}. If it is damaged, get it anew.") from error
